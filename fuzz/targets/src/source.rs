//! Any text as each kind of file with listener rules: a result in bounded time, and no error without a message.

use std::path::Path;

use crossfade_emulator::fuzzing;
use crossfade_emulator::source::{Options, table};

use crate::text;

/// The file. It names others, which are not there.
pub fn source(data: &[u8]) {
    let text = text(data);
    let options = Options {
        lenient: text.len().is_multiple_of(2),
        options: vec![("stage".to_owned(), "prod".to_owned())],
        parameters: vec![("P".to_owned(), "/p".to_owned())],
        environment: vec![("A".to_owned(), "a".to_owned())],
        ..Options::default()
    };
    for loaded in fuzzing::rules(Path::new("/nowhere/fuzz.yml"), text, &options) {
        match loaded {
            Ok(loaded) => {
                let functions = loaded.settings.functions.len();
                assert_eq!((loaded.names.len(), loaded.left_out.len()), (functions, functions));
                assert!(!table(&loaded.settings).is_empty());
            }
            Err(error) => assert!(error.count() > 0 && !error.to_string().is_empty()),
        }
    }
}
