//! The configuration in a package: compiled as `crossfade check` does it, with every file that it names.
//!
//! The compiler asks for each file, so there is no list of keys here that could miss one. Owns the names that files have in the
//! package: the function reads them below the folder of its program, so they keep their relative paths. `compiled` owns the text.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path};

use anyhow::{Context, Result, bail};
use crossfade_proxy::Proxy;
use crossfade_route::{Checked, Diagnostic, Diagnostics, Place, Surroundings};

use crate::compiled::as_json;

/// Lambda's limit for a function with its layers, unpacked (AWS, "Lambda quotas").
pub(crate) const MOST_UNPACKED: u64 = 250 * 1024 * 1024;

/// The name under which the function finds its configuration.
const CONFIGURATION: &str = "crossfade.yaml";

/// The name under which Lambda starts the function.
pub(crate) const PROGRAM: &str = "bootstrap";

/// The files of a package beside the program, by their names in it.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// Reads a file and adds it. Its relative path is its name in the package.
    ///
    /// # Errors
    ///
    /// The reason why the package cannot have it, to follow the path in a message.
    pub fn add(&mut self, folder: &Path, path: &Path) -> Result<Vec<u8>, String> {
        let name = name_inside(path).ok_or(
            "a package holds files below its own folder only: copy it there, and name it without `/` and `..`",
        )?;
        let is_taken = || Err(format!("the package has another file at `{name}`: rename this one"));
        let first = name.split('/').next().unwrap_or_default();
        if first == PROGRAM || first == CONFIGURATION && name != CONFIGURATION {
            return is_taken();
        }
        let data = read(&folder.join(path))?;
        match self.0.get(&name) {
            Some(other) if *other != data => return is_taken(),
            None if name == CONFIGURATION => return Err("pass the configuration with `--config`".to_owned()),
            _ => self.0.insert(name, data.clone()),
        };
        Ok(data)
    }

    /// All of them: the configuration, then the others by name.
    pub(crate) fn sorted(self) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = self.0.into_iter().collect();
        files.sort_by_key(|(name, _)| name != CONFIGURATION);
        files
    }
}

/// Returns `true` for a PEM text with a private key of any kind.
pub(crate) fn has_private_key(data: &[u8]) -> bool {
    const MARK: &[u8] = b"PRIVATE KEY-----";
    data.windows(MARK.len()).any(|part| part == MARK)
}

/// A configuration that was examined for a package.
#[derive(Debug)]
pub struct Configuration {
    /// Its errors and warnings. With an error there is no package.
    pub diagnostics: Diagnostics,
    /// Names of the environment variables that it takes values from.
    pub variables: BTreeSet<String>,
    /// `true` if the package has it as JSON, which starts faster than YAML.
    pub is_compiled: bool,
}

impl Configuration {
    /// Examines a configuration, and adds it and every file that it names.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no text.
    pub fn add(file: &Path, files: &mut Files) -> Result<Configuration> {
        let cannot_read = || format!("cannot read `{}`", file.display());
        let bytes = read(file).map_err(anyhow::Error::msg).with_context(cannot_read)?;
        let Some(text) = crossfade_document::decode(bytes.clone()) else {
            bail!("`{}` is neither UTF-8 nor UTF-16", file.display());
        };
        // Before the others, so that none of them takes its name.
        files.0.insert(CONFIGURATION.to_owned(), bytes);
        let folder = file.parent().unwrap_or(Path::new(""));
        let package = Package { folder, files: RefCell::new(files), variables: RefCell::default() };
        let Checked { table, mut diagnostics, .. } = Checked::new(&text, &file.display().to_string(), &package);
        // Only building a client parses certificates and keys.
        if let Some(Err(error)) = table.map(|table| Proxy::new(table, None, "crossfade-check")) {
            diagnostics.list.push(Diagnostic { place: None, ..Diagnostic::error(Place::new(1, 1), error.to_string()) });
        }
        let json = if diagnostics.has_errors() { None } else { as_json(&text, &package) };
        let variables = package.variables.into_inner();
        let is_compiled = json.is_some();
        files.0.extend(json.map(|json| (CONFIGURATION.to_owned(), json.into_bytes())));
        Ok(Configuration { diagnostics, variables, is_compiled })
    }
}

/// The surroundings of a configuration that is packaged: this shell's environment, and files that a package can hold.
struct Package<'p> {
    folder: &'p Path,
    files: RefCell<&'p mut Files>,
    variables: RefCell<BTreeSet<String>>,
}

impl Surroundings for Package<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        let value = std::env::var(name).ok()?;
        self.variables.borrow_mut().insert(name.to_owned());
        Some(value)
    }

    fn file(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.files.borrow_mut().add(self.folder, path)
    }
}

/// A regular file that is small enough for Lambda.
fn read(file: &Path) -> Result<Vec<u8>, String> {
    let metadata = fs::metadata(file).map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("it is a folder".to_owned());
    }
    // Reading a pipe or a device may never end.
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if metadata.len() > MOST_UNPACKED {
        return Err(format!("its {} bytes are more than Lambda allows a function: {MOST_UNPACKED}", metadata.len()));
    }
    fs::read(file).map_err(|error| error.to_string())
}

/// Only a path that stays below the archive's root means the same thing in Lambda's folder as here. `a/../b` does not: Lambda
/// has no folder `a` if it has no file in it.
fn name_inside(file: &Path) -> Option<String> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_str().map(str::to_owned)),
        Component::CurDir => None,
        _ => Some(None),
    };
    let parts: Vec<String> = file.components().filter_map(part).collect::<Option<_>>()?;
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_beside_the_binary_keep_a_relative_path_only() {
        assert_eq!(name_inside(Path::new("./certs/./corp-ca.pem")).unwrap(), "certs/corp-ca.pem");
        for bad in ["/etc/ca.pem", "../ca.pem", "certs/../../ca.pem", "certs/../ca.pem", "", "."] {
            assert_eq!(name_inside(Path::new(bad)), None, "{bad}");
        }
    }
}
