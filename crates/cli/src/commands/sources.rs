//! The options that name a source of listener rules, for all commands that use them. The emulator reads the files.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use crossfade_emulator::Settings;
use crossfade_emulator::source::{self, Loaded};
use crossfade_journal::redaction::is_secret_name;

use super::environment::Environment;
use crate::terminal::say;

/// Values of at least this length are hidden; of shorter ones, those of variables whose name is a secret's.
const LIKELY_SECRET: usize = 8;

/// Files with listener rules, and values that a file lacks.
#[derive(clap::Args)]
pub(super) struct Sources {
    /// Read listeners, rules and functions from the `alb` events of this Serverless Framework file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["template", "describe_rules", "terraform"])]
    serverless: Option<PathBuf>,
    /// Read them from this CloudFormation or SAM template, such as `osls package` and `cdk synth` write
    #[arg(long, value_name = "FILE", conflicts_with_all = ["describe_rules", "terraform"])]
    template: Option<PathBuf>,
    /// Read them from the output of `aws elbv2 describe-rules`
    #[arg(long, value_name = "FILE", conflicts_with = "terraform")]
    describe_rules: Option<PathBuf>,
    /// Read them from the output of `terraform show -json` or `tofu show -json`: a plan or a state
    #[arg(long, value_name = "FILE")]
    terraform: Option<PathBuf>,
    /// Downgrade AWS quota violations and unsupported features to warnings
    #[arg(long)]
    lenient: bool,
    /// Stage for variables in the file [default: the file's, or `dev`]
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Region for variables in the file [default: the file's, or `us-east-1`]
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// Value for `${opt:NAME}`; can be repeated
    #[arg(long = "opt", value_name = "NAME=VALUE", value_parser = pair)]
    options: Vec<(String, String)>,
    /// Value for `${param:NAME}` or for a parameter of the template; can be repeated
    #[arg(long = "param", visible_alias = "parameter", value_name = "NAME=VALUE", value_parser = pair)]
    parameters: Vec<(String, String)>,
}

/// The contents of a file with listener rules.
pub(super) struct Rules {
    pub(super) file: PathBuf,
    /// It, and those that it includes, as absolute paths.
    pub(super) files: Vec<PathBuf>,
    pub(super) settings: Settings,
    /// All names of each function.
    pub(super) names: Vec<Vec<String>>,
    /// Environment variables that each function lacks.
    pub(super) left_out: Vec<Vec<String>>,
    /// The environment variables that the file uses.
    pub(super) environment: Environment,
}

impl Sources {
    fn file(&self) -> Option<&Path> {
        let templates = self.serverless.as_deref().or(self.template.as_deref());
        templates.or(self.describe_rules.as_deref()).or(self.terraform.as_deref())
    }

    /// The region of `--region`.
    pub(super) fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// As [`Sources::load`], without the front ends that have no listener rules.
    ///
    /// # Errors
    ///
    /// As [`Sources::load`]; and if the file has no others.
    pub(super) fn load_rules(&self) -> Result<Option<Rules>> {
        let Some(mut rules) = self.load()? else { return Ok(None) };
        rules.settings.listeners.retain(|listener| listener.endpoint.is_none());
        if rules.settings.listeners.is_empty() {
            return Err(anyhow!(
                "`{}` has front ends without listener rules only\n  hint: `crossfade dev` runs them; leave the file out here",
                rules.file.display()
            ));
        }
        Ok(Some(rules))
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
        let loaded = match (&self.serverless, &self.template, &self.describe_rules) {
            (Some(file), ..) => source::serverless(file, &options),
            (None, Some(file), _) => source::cloudformation(file, &options),
            (None, None, Some(file)) => source::describe_rules(file, &options),
            (None, None, None) => source::terraform(file, &options),
        };
        // Below the command line, where a user looks first.
        let Loaded { settings, names, left_out, environment, files, warnings } =
            loaded.map_err(|error| match error.count() {
                1 => anyhow!("{error}"),
                count => anyhow!("{count} errors in `{}`\n{error}", file.display()),
            })?;
        for warning in warnings {
            say(&warning);
        }
        // Short values such as a stage's occur by chance, in names and in our own words.
        let may_be_secret = |(name, value): &(String, String)| value.len() >= LIKELY_SECRET || is_secret_name(name);
        let environment = Environment::of(environment.into_iter().filter(may_be_secret));
        let absolute = |file: String| std::path::absolute(&file).unwrap_or_else(|_| file.into());
        let files = files.into_iter().map(absolute).collect();
        Ok(Some(Rules { file: file.to_owned(), files, settings, names, left_out, environment }))
    }
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
