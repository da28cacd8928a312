//! The environment variables and files that a configuration may refer to. Callers implement the access, since this
//! crate does no I/O.

use std::path::Path;
use std::sync::Arc;

use crate::reach::RuntimeApi;

/// Access to environment variables and files.
pub trait Surroundings {
    /// Returns the value of an environment variable; `None` if it is not set.
    fn variable(&self, name: &str) -> Option<String>;

    /// Returns the content of a file that the configuration names, relative to it; or the reason why it cannot be read.
    fn file(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// Returns the Runtime API that this process gets its events from, which no back end may be; `None` outside Lambda.
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
        Err("files are not available here".to_owned())
    }
}
