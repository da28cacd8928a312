//! The configuration file that a command names. Owns reading its text in any encoding, compiling it as the function does, and
//! recognising other files that users name in its place.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use crossfade_emulator::source::{self, Kind, SourceError};
use crossfade_function::{ConfigSource, load};
use crossfade_route::{PemFile, RoutingTable, decode};

use crate::program;

/// Reads the file.
///
/// # Errors
/// It cannot be read, or it is a file of another kind.
pub(super) fn bytes(file: &Path) -> Result<Vec<u8>> {
    let bytes = match source::bytes(file, Kind::Configuration) {
        Err(SourceError::Read { error, .. }) if error.kind() == ErrorKind::NotFound => {
            bail!("cannot read `{}`: {error}\n  hint: `{} init` writes a starter file", file.display(), program::name())
        }
        read => read?,
    };
    if let Some((what, hint)) = decode(bytes.clone()).and_then(|text| source::by_text(&text, Kind::Configuration)) {
        bail!("`{}` is {what}\n  hint: {hint}", file.display());
    }
    Ok(bytes)
}

/// Reads the file as text.
///
/// # Errors
/// As [`bytes`], and it is no text.
pub(super) fn text(file: &Path) -> Result<String> {
    decode(bytes(file)?).with_context(|| format!("`{}` is neither UTF-8 nor UTF-16", file.display()))
}

/// The configuration that the function would have with this file, and the certificates in `SSL_CERT_FILE`.
///
/// # Errors
/// As [`bytes`], and all errors in the file.
pub(super) fn compiled(file: &Path) -> Result<(RoutingTable, Option<PemFile>)> {
    bytes(file)?;
    Ok(load(&ConfigSource::file(file.to_owned()), super::cert_file()?.as_deref())?)
}
