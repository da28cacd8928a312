//! `crossfade init --deploy`: writes the deploy files of a tool, so that an installed release needs no checkout. Owns the list of
//! files, which are those in `deploy/`, and the commands that come next.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use super::super::Verdict;
use crate::program;
use crate::terminal::say;

/// Tools with files in `deploy/`.
#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
pub(super) enum Tool {
    Serverless,
    Sam,
    Cloudformation,
    Cdk,
    Terraform,
}

/// Relative paths and texts of the files below a folder of `deploy/`.
macro_rules! files {
    ($folder:literal: $($path:literal)*) => {
        &[$(($path, include_str!(concat!("../../../../../deploy/", $folder, "/", $path)))),*]
    };
}

#[rustfmt::skip]
const SERVERLESS: &[(&str, &str)] = files! { "serverless":
    ".gitignore"
    ".npmrc"
    "README.md"
    "live/alarm.yml"
    "live/appconfig.yml"
    "live/none.yml"
    "live/people.yml"
    "live/s3.yml"
    "live/schedule.yml"
    "live/ssm.yml"
    "monitoring.yml"
    "package-lock.json"
    "package.json"
    "serverless.yml"
    "spill.yml"
};
#[rustfmt::skip]
const SAM: &[(&str, &str)] = files! { "sam":
    ".gitignore"
    "README.md"
    "samconfig.toml"
    "template.yml"
};
#[rustfmt::skip]
const CLOUDFORMATION: &[(&str, &str)] = files! { "cloudformation":
    ".gitignore"
    "README.md"
    "crossfade.yml"
};
#[rustfmt::skip]
const CDK: &[(&str, &str)] = files! { "cdk":
    ".gitignore"
    ".npmrc"
    "README.md"
    "bin/app.ts"
    "cdk.json"
    "lib/arn.ts"
    "lib/crossfade.ts"
    "lib/live.ts"
    "lib/monitoring.ts"
    "lib/movers.ts"
    "lib/rules.ts"
    "lib/spill.ts"
    "monitoring/alarms/back-end-failing.query"
    "monitoring/alarms/failed-responses.query"
    "monitoring/alarms/lost-copies.query"
    "monitoring/dashboard.json"
    "package-lock.json"
    "package.json"
    "python/app.py"
    "python/cdk.json"
    "python/crossfade_cdk/__init__.py"
    "python/crossfade_cdk/arn.py"
    "python/crossfade_cdk/crossfade.py"
    "python/crossfade_cdk/live.py"
    "python/crossfade_cdk/monitoring.py"
    "python/crossfade_cdk/monitoring/alarms/back-end-failing.query"
    "python/crossfade_cdk/monitoring/alarms/failed-responses.query"
    "python/crossfade_cdk/monitoring/alarms/lost-copies.query"
    "python/crossfade_cdk/monitoring/dashboard.json"
    "python/crossfade_cdk/movers.py"
    "python/crossfade_cdk/rules.py"
    "python/crossfade_cdk/spill.py"
    "python/requirements.txt"
    "tsconfig.json"
};
#[rustfmt::skip]
const TERRAFORM: &[(&str, &str)] = files! { "terraform":
    ".gitignore"
    "README.md"
    "examples/existing-listener/main.tf"
    "live.tf"
    "live_movers.tf"
    "main.tf"
    "monitoring.tf"
    "monitoring/alarms/back-end-failing.query"
    "monitoring/alarms/failed-responses.query"
    "monitoring/alarms/lost-copies.query"
    "monitoring/dashboard.json"
    "outputs.tf"
    "rules.tf"
    "spill.tf"
    "tests/permissions.tftest.hcl"
    "variables.tf"
    "versions.tf"
};

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Tool::Serverless => "serverless",
            Tool::Sam => "sam",
            Tool::Cloudformation => "cloudformation",
            Tool::Cdk => "cdk",
            Tool::Terraform => "terraform",
        }
    }

    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Tool::Serverless => SERVERLESS,
            Tool::Sam => SAM,
            Tool::Cloudformation => CLOUDFORMATION,
            Tool::Cdk => CDK,
            Tool::Terraform => TERRAFORM,
        }
    }

    /// The folder that the commands of the READMEs use.
    fn folder(self) -> PathBuf {
        Path::new("deploy").join(self.name())
    }
}

/// The text of a file as it is written. Links in a README that leave the folder lead nowhere in a copy of it: they become names.
fn text_of(path: &str, text: &str) -> String {
    if !path.ends_with(".md") {
        return text.to_owned();
    }
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, target)) = rest.split_once("](../") {
        let (Some(start), Some(end)) = (before.rfind('['), target.find(')')) else { break };
        let (before, label) = before.split_at(start);
        written.push_str(before);
        written.push_str(label.strip_prefix('[').unwrap_or(label));
        rest = target.get(end + 1..).unwrap_or_default();
    }
    written + rest
}

/// The commands that a user types next, in the folder with `deploy/`.
fn next(tool: Tool, folder: &str) -> Vec<String> {
    let folder = shell_words::quote(folder);
    let package = |to: &str| format!("{} package --output {folder}/{to}bootstrap.zip", program::name());
    let example = "examples/existing-listener/";
    match tool {
        Tool::Serverless => vec![package(""), format!("cd {folder} && npm ci && npx osls deploy")],
        Tool::Sam => vec![package(""), format!("cd {folder} && sam deploy --parameter-overrides ListenerArn=…")],
        Tool::Cloudformation => vec![package(""), format!("cd {folder} && aws cloudformation deploy …")],
        Tool::Cdk => vec![package(""), format!("cd {folder} && npm ci && npx cdk deploy")],
        Tool::Terraform => {
            vec![package(example), format!("cd {folder}/{example} && terraform init && terraform apply")]
        }
    }
}

pub(super) fn run(tool: Tool, output: Option<&Path>, force: bool) -> Result<Verdict> {
    let folder = output.map_or_else(|| tool.folder(), Path::to_owned);
    if folder == Path::new("-") || folder.is_file() {
        bail!("`--output` is `{}`\n  hint: with `--deploy` it must be a folder", folder.display());
    }
    let files: Vec<(PathBuf, String)> =
        tool.files().iter().map(|(path, text)| (folder.join(path), text_of(path, text))).collect();
    let is_current = |(file, text): &&(PathBuf, String)| fs::read(file).is_ok_and(|present| present == text.as_bytes());
    let wanted: Vec<_> = files.iter().filter(|file| !is_current(file)).collect();
    // Before anything is written.
    if let Some((file, _)) = wanted.iter().find(|(file, _)| file.is_dir()) {
        bail!("`{}` is a folder, not a file\n  hint: name another folder with `--output`", file.display());
    }
    let parents =
        wanted.iter().flat_map(|(file, _)| file.ancestors().skip(1).take_while(|parent| parent.starts_with(&folder)));
    if let Some(parent) = parents.into_iter().find(|parent| fs::symlink_metadata(parent).is_ok() && !parent.is_dir()) {
        bail!("`{}` is a file, not a folder\n  hint: name another folder with `--output`", parent.display());
    }
    // A link that leads nowhere is something of the user's as well.
    let changed: Vec<_> = wanted.iter().filter(|(file, _)| fs::symlink_metadata(file).is_ok()).collect();
    if let ([(first, _), rest @ ..], false) = (&changed[..], force) {
        let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
        bail!(
            "`{}` already exists with other content{more}\n  hint: overwrite with `--force`, or name another folder with `--output`",
            first.display()
        );
    }
    for (file, text) in &wanted {
        let parent = file.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot create `{}`", parent.display()))?;
        fs::write(file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    let shown = folder.display().to_string();
    say(&match wanted.len() {
        0 => format!("`{shown}` has all {} files already", files.len()),
        1 => format!("wrote 1 file to `{shown}`"),
        count => format!("wrote {count} files to `{shown}`"),
    });
    let readme = folder.join("README.md").display().to_string();
    say(&format!("next: edit the rules, as `{readme}` describes, then"));
    next(tool, &shown).iter().for_each(|line| say(&format!("  {line}")));
    Ok(Verdict::Clean)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Files that are not for users: results of the tools, and tests, except for those of the Terraform module, which its README explains.
    const LEFT_OUT: [&str; 9] = [
        ".aws-sam",
        ".serverless",
        ".terraform",
        ".venv",
        "__pycache__",
        "bootstrap.zip",
        "cdk.out",
        "node_modules",
        "packaged.yml",
    ];
    const TESTS: &str = "test";

    fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if LEFT_OUT.iter().any(|known| name.starts_with(known)) || name == TESTS {
                continue;
            }
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/"));
            }
        }
    }

    #[test]
    fn each_tool_has_all_files_of_its_folder() {
        for tool in Tool::value_variants() {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(tool.name());
            let mut found = BTreeSet::new();
            walk(&root, &root, &mut found);
            let known: BTreeSet<String> = tool.files().iter().map(|(path, _)| (*path).to_owned()).collect();
            assert_eq!(known, found, "{tool:?}");
        }
    }

    #[test]
    fn links_that_leave_the_folder_become_names() {
        let text = "a [b](c.md) [`d`](../../docs/d.md#e) and [f\ng](../f/README.md), [h](#h) [";
        assert_eq!(text_of("README.md", text), "a [b](c.md) `d` and f\ng, [h](#h) [");
        assert_eq!(text_of("a.yml", text), text);
        assert_eq!(text_of("README.md", "](../ x"), "](../ x");
    }
}
