//! Options for where listener rules come from, for all commands that look at some. Reading the files is the emulator's.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use crossfade_emulator::Settings;
use crossfade_emulator::source::{self, Loaded};

use super::environment::Environment;
use crate::terminal::say;

/// Files that listener rules come from, and what a file cannot know.
#[derive(clap::Args)]
pub(super) struct Sources {
    /// Take listeners, rules and functions from the `alb` events of this Serverless Framework file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["template", "describe_rules"])]
    serverless: Option<PathBuf>,
    /// Take them from this CloudFormation or SAM template; `osls package` and `cdk synth` write such
    #[arg(long, value_name = "FILE", conflicts_with = "describe_rules")]
    template: Option<PathBuf>,
    /// Take them from what `aws elbv2 describe-rules` prints
    #[arg(long, value_name = "FILE")]
    describe_rules: Option<PathBuf>,
    /// Warn of quotas that AWS has and of what is not emulated, instead of refusing it
    #[arg(long)]
    lenient: bool,
    /// The stage, for variables of the file; by default what the file says, or `dev`
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// The region; by default what the file says, or `us-east-1`
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// A value for `${opt:NAME}`; can be repeated
    #[arg(long = "opt", value_name = "NAME=VALUE", value_parser = pair)]
    options: Vec<(String, String)>,
    /// A value for `${param:NAME}` or for a parameter of the template; can be repeated
    #[arg(long = "param", visible_alias = "parameter", value_name = "NAME=VALUE", value_parser = pair)]
    parameters: Vec<(String, String)>,
}

/// What a file gives.
pub(super) struct Rules {
    pub(super) file: PathBuf,
    pub(super) settings: Settings,
    /// By which each function may be known.
    pub(super) names: Vec<Vec<String>>,
    /// Variables that each function goes without.
    pub(super) left_out: Vec<Vec<String>>,
    /// What the file has from the environment.
    pub(super) environment: Environment,
}

impl Sources {
    fn file(&self) -> Option<&Path> {
        self.serverless.as_deref().or(self.template.as_deref()).or(self.describe_rules.as_deref())
    }

    /// Reads the file, if there is one. Warnings go to standard error.
    pub(super) fn load(&self) -> Result<Option<Rules>> {
        let Some(file) = self.file() else { return Ok(None) };
        let options = source::Options {
            lenient: self.lenient,
            stage: self.stage.clone(),
            region: self.region.clone(),
            options: self.options.clone(),
            parameters: self.parameters.clone(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        };
        let loaded = match (&self.serverless, &self.template) {
            (Some(file), _) => source::serverless(file, &options),
            (None, Some(file)) => source::cloudformation(file, &options),
            (None, None) => source::describe_rules(file, &options),
        };
        // What a user looks for is below the last line that was typed.
        let Loaded { settings, names, left_out, environment, warnings } =
            loaded.map_err(|error| match error.count() {
                1 => anyhow!("{error}"),
                count => anyhow!("{count} errors in `{}`\n{error}", file.display()),
            })?;
        for warning in warnings {
            say(&warning);
        }
        let environment = Environment::of(environment);
        Ok(Some(Rules { file: file.to_owned(), settings, names, left_out, environment }))
    }
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
