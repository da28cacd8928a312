//! Foreign files as configurations: `nginx` reads NGINX's, `refactor_spaces` the routes of Migration Hub Refactor Spaces.
//!
//! Owns what all imports share: the configuration that they write (`file`, `conditions`, `yaml`) and the list of parts that they
//! leave out (`findings`), and the requests that their tests are made of (`expected`). A format can be removed with its folder and its option of `crossfade init`.

pub(crate) mod conditions;
pub(crate) mod expected;
pub(crate) mod file;
pub(crate) mod findings;
pub(crate) mod nginx;
pub(crate) mod refactor_spaces;
pub(crate) mod yaml;

use self::expected::{Answer, Request};
use self::file::File;
use self::findings::Findings;

/// The configuration, without tests, and requests with the other proxy's response to each.
#[derive(Debug)]
pub(crate) struct Imported {
    pub(crate) file: File,
    pub(crate) findings: Findings,
    pub(crate) requests: Vec<(Request, Answer)>,
}
