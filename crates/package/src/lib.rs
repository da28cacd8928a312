//! The zip file that Lambda gets: the function's program, a configuration and the files that it names.
//!
//! Owns its content, its bytes, and the checks that keep out what Amazon Linux 2023 could not start or Lambda would reject. Runs
//! nothing, prints nothing, and builds no program: `crossfade package` takes a prebuilt one, `cargo xtask package` builds it.
//!
//! Reading order: `package`, `configuration`, `compiled`, `linkage`, `archive`.

mod archive;
mod compiled;
mod configuration;
mod linkage;
mod package;

pub use configuration::{Configuration, Files};
pub use linkage::{Architecture, Program};
pub use package::{Package, code_sha256};
