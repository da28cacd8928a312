//! What a configuration may refer to outside of its text. Whoever compiles one brings it: this crate does no I/O.

use std::path::Path;
use std::sync::Arc;

use crate::reach::RuntimeApi;

/// Environment variables and files.
pub trait Surroundings {
    /// The value of an environment variable; `None` if it is not set.
    fn variable(&self, name: &str) -> Option<String>;

    /// The content of a file that the configuration names, relative to it; or why it cannot be read.
    fn file(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// The Runtime API that this process gets its events from, which no back end may be; `None` outside of Lambda.
    fn runtime_api(&self) -> Option<Arc<RuntimeApi>> {
        None
    }
}

/// No variables and no files.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Surroundings for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<Vec<u8>, String> {
        Err("there are no files here".to_owned())
    }
}
