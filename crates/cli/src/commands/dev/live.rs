//! `--live`: the place of the live state, which the function reads, and commands and the inspector change. Owns the place and the
//! variables of the function that go with it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use crossfade_function::{Remote, Source};

/// Name of the demo's file, in the folder of a run.
const FILE: &str = "live.json";

/// Variables with these beginnings concern the function, not services.
const OF_LAMBDA: [&str; 3] = ["AWS_LAMBDA_", "AWS_EXECUTION_ENV", "AWS_XRAY_"];

/// The place of the live state.
#[derive(Clone, Debug)]
pub(super) struct LiveState {
    /// As the function and every command read it, wherever they run.
    place: String,
    is_remote: bool,
}

impl LiveState {
    /// From `--live`. A service needs region and credentials in this shell: the function has no other way to them.
    pub(super) fn parse(place: &str) -> Result<LiveState> {
        let source = Source::parse(place).map_err(|error| anyhow!("`--live`: {error}"))?;
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match source {
            Source::File(path) => return LiveState::file(&path),
            Source::Remote(Remote::AppConfig { .. }) => {}
            Source::Remote(Remote::S3 { .. } | Remote::Ssm { .. }) => {
                let credentials = ["AWS_ACCESS_KEY_ID", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
                ensure!(
                    credentials.iter().any(is_set),
                    "`--live {place}`: the function has no credentials\n  \
                     hint: run `eval \"$(aws configure export-credentials --format env)\"` before"
                );
                ensure!(
                    ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().any(is_set),
                    "`--live {place}`: the function has no region\n  hint: set `AWS_REGION`"
                );
            }
        }
        Ok(LiveState { place: place.to_owned(), is_remote: true })
    }

    /// The demo's own, which ends with it.
    pub(super) fn in_folder(folder: &Path) -> Result<LiveState> {
        LiveState::file(&folder.join(FILE))
    }

    fn file(path: &Path) -> Result<LiveState> {
        let path: PathBuf = std::path::absolute(path).context("`--live`")?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        if path.is_dir() || !folder.is_dir() {
            bail!("`--live`: `{}` is not a file in an existing folder", path.display());
        }
        let path = path.to_str().with_context(|| format!("the path `{}` is not UTF-8", path.display()))?;
        Ok(LiveState { place: format!("file:{path}"), is_remote: false })
    }

    /// As `CROSSFADE_LIVE` and `--live` have it.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Returns `true` if the function sends requests to a service for it.
    pub(super) fn is_remote(&self) -> bool {
        self.is_remote
    }
}

/// Region, credentials and endpoints for our own function, from this shell.
pub(super) fn variables_of_aws() -> impl Iterator<Item = (String, String)> {
    let is_wanted = |name: &str| name.starts_with("AWS_") && !OF_LAMBDA.iter().any(|other| name.starts_with(other));
    let texts =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    texts.filter(move |(name, _)| is_wanted(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_same_wherever_it_is_read() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(LiveState::parse("file:live.json").unwrap().place(), format!("file:{}/live.json", here.display()));
        assert_eq!(LiveState::parse("file:/live.json").unwrap().place(), "file:/live.json");
        for (place, expected) in [
            ("live.json", "`live.json` is not a place for live state"),
            ("file:/no/such/folder/live.json", "is not a file in an existing folder"),
            ("file:/tmp", "is not a file in an existing folder"),
        ] {
            let error = LiveState::parse(place).unwrap_err().to_string();
            assert!(error.starts_with("`--live`: ") && error.contains(expected), "{error}");
        }
    }
}
