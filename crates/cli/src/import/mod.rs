//! Foreign files as configurations: `nginx` reads NGINX's, `refactor_spaces` the routes of Migration Hub Refactor Spaces.
//!
//! Owns what all imports share: the configuration that they write (`file`, `conditions`, `yaml`) and the list of parts that they
//! leave out (`findings`). A format can be removed with its folder and its option of `crossfade init`.

pub(crate) mod conditions;
pub(crate) mod file;
pub(crate) mod findings;
pub(crate) mod nginx;
pub(crate) mod yaml;
