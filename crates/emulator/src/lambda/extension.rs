//! Extensions as data: their names, the events they registered for, and the events that wait for them. Owns no call
//! (`extensions_api`).

use std::collections::VecDeque;
use std::path::Path;

use crate::Function;

/// A registered extension.
pub(super) struct Extension {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) external: bool,
    pub(super) invoke: bool,
    pub(super) shutdown: bool,
    /// It has called `next` and has not got an event since.
    pub(super) asking: bool,
    pub(super) failed: bool,
    pub(super) pending: VecDeque<String>,
}

/// Returns the names of a function's external extensions: the file names of their programs.
pub(super) fn names(function: &Function) -> Vec<String> {
    let programs = function.extensions.iter().map(|command| command.first().map(String::as_str).unwrap_or_default());
    let name =
        |program| Path::new(program).file_name().map_or_else(String::new, |it| it.to_string_lossy().into_owned());
    programs.map(name).collect()
}

/// Returns a warning if two external extensions have the same name.
pub(super) fn same_name(function: &Function) -> Option<String> {
    let mut names = names(function);
    names.sort_unstable();
    let (twice, _) = names.iter().zip(names.iter().skip(1)).find(|(one, next)| one == next)?;
    Some(format!(
        "two external extensions are called `{twice}`, but only one can register; start each by a script with a name of its own"
    ))
}

/// The kinds of extensions of an environment, which decide how it is shut down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extensions {
    None,
    Internal,
    External,
}
