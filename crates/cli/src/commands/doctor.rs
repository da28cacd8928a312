//! `crossfade doctor`: what is wrong with a deployed function, and what to do about it.
//!
//! Owns the options, the local files and the exit code. `crate::doctor` asks AWS and judges.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use aws_config::Region;
use crossfade_function::LocalSurroundings;
use crossfade_route::{Diagnostics, RoutingTable, Surroundings};

use super::environment::Environment;
use super::sources::{Rules, Sources};
use super::{Verdict, configuration};
use crate::aws;
use crate::doctor::{
    self, Configuration, Facts, Known, RuleFile, Unknown, Verdict as Judgement, Wanted, examine, gather,
    print as output,
};
use crate::terminal::{print, print_json};

/// The configuration beside which users run commands.
const DEFAULT: &str = "crossfade.yaml";

/// Checks whose findings have texts from a file, and so perhaps values of the environment.
const QUOTING: [&str; 5] = ["configuration", "rules", "rule order", "health check", "live state"];

/// Check a deployed function: listener rules, target group, permission, limits, log, live state and alarms
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade doctor --function crossfade-dev-proxy --serverless serverless.yml
  crossfade doctor --stack shop --template template.yaml --config crossfade.yaml
  crossfade doctor --function shop --zip bootstrap.zip --deny-warnings         after a deployment, in a pipeline
  crossfade doctor --listener arn:aws:elasticloadbalancing:…:listener/app/… --json | jq '.findings[]'

It only reads. Region and credentials are those of the AWS CLI: `AWS_PROFILE`, `AWS_REGION` and so on; `--region` replaces
the region. A check whose permission is missing is `not checked`, and the others go on. Permissions: docs/doctor.md.
Exit codes: 0 no errors, 1 errors, 2 the function could not be checked.")]
pub(super) struct Options {
    /// Name or ARN of the function, with or without a version or an alias
    #[arg(long, value_name = "NAME", required_unless_present_any = ["stack", "listener"], conflicts_with = "stack")]
    function: Option<String>,
    /// Check the function that this CloudFormation stack created
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// Check the rules of this listener only; without `--function`, the function that they forward to
    #[arg(long, value_name = "ARN")]
    listener: Option<String>,
    /// Configuration that the function should have [default: crossfade.yaml if there is one, or the function's CROSSFADE_BACKEND]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Package that should be deployed
    #[arg(long, value_name = "FILE")]
    zip: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
    /// Exit with 1 for warnings as well
    #[arg(long)]
    deny_warnings: bool,
}

pub(super) fn run(options: &Options) -> Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    // Errors of local files come before any request.
    let rules = options.sources.load_rules()?;
    let zip = options.zip.as_deref().map(doctor::read).transpose()?;
    if let Some(file) = &options.config {
        configuration::bytes(file)?;
    }
    let wanted =
        Wanted { function: options.function.clone(), stack: options.stack.clone(), listener: options.listener.clone() };
    let (region, deployed) = runtime.block_on(async {
        let config = aws::config_in(options.sources.region().map(|name| Region::new(name.to_owned()))).await?;
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        gather(&config, &wanted).await.map(|deployed| (region, deployed))
    })?;
    let variables = match &deployed.function {
        Ok(function) => function.environment.clone().map_err(Unknown),
        Err(unknown) => Err(unknown.clone()),
    };
    let mut used = Environment::default();
    let configuration = match variables {
        Ok(mut variables) => {
            variables.insert("AWS_REGION".to_owned(), region.clone());
            variables.insert("AWS_LAMBDA_FUNCTION_NAME".to_owned(), deployed.name.clone());
            compiled(options.config.as_deref(), zip.as_ref().map(|zip| &zip.files), &variables, &mut used)?
        }
        Err(unknown) => Err(unknown),
    };
    let mut file = None;
    if let Some(Rules { file: path, settings, names, environment, .. }) = rules {
        used = used.and(Some(environment));
        file = Some(RuleFile { name: path.display().to_string(), settings, names });
    }
    let facts = Facts { region, deployed, configuration, file, zip };
    let mut findings = examine(&facts);
    // The others show no part of a file; a region, which AWS's names contain, may be a variable of one.
    for finding in findings.iter_mut().filter(|finding| QUOTING.contains(&finding.check)) {
        finding.found = used.hide(&finding.found);
    }
    let count = |judgement| output::count(&findings, judgement);
    if findings.iter().all(|finding| finding.verdict == Judgement::NotChecked) {
        let reason = findings.first().map(|finding| finding.found.clone()).unwrap_or_default();
        bail!("nothing could be checked: {reason}");
    }
    let is_clean = count(Judgement::Error) == 0 && (count(Judgement::Warning) == 0 || !options.deny_warnings);
    match options.json {
        true => print_json(&output::json(&facts, &findings))?,
        false => print(&output::text(&facts, &findings))?,
    }
    Ok(if is_clean { Verdict::Clean } else { Verdict::Findings })
}

/// The configuration with the function's variables.
///
/// # Errors
///
/// If the file that the user names cannot be read.
fn compiled(
    named: Option<&Path>,
    packaged: Option<&BTreeMap<String, Vec<u8>>>,
    variables: &BTreeMap<String, String>,
    used: &mut Environment,
) -> Result<Known<Configuration>> {
    let backend = variables.get("CROSSFADE_BACKEND").filter(|url| !url.is_empty());
    let beside = || Some(Path::new(DEFAULT)).filter(|file| backend.is_none() && file.is_file());
    let texts = |errors: Diagnostics| errors.list.iter().map(|it| it.message.clone()).collect::<Vec<_>>();
    let Some(file) = named.or_else(beside) else {
        let Some(url) = backend else {
            return Ok(Err(Unknown("pass the configuration of the function with `--config`".to_owned())));
        };
        let folder = LocalSurroundings { folder: Path::new("") };
        let source = "CROSSFADE_BACKEND".to_owned();
        *used = Environment::of([(source.clone(), url.clone())]);
        let table = RoutingTable::from_backend_url(url, &source, &folder).map_err(texts);
        return Ok(Ok(Configuration { source: format!("`{source}`"), is_file: false, table, is_packaged: None }));
    };
    let text = configuration::text(file)?;
    let folder = LocalSurroundings { folder: file.parent().unwrap_or(Path::new("")) };
    let local = Deployed { variables, read: RefCell::default(), file: |path: &Path| folder.file(path) };
    let table = RoutingTable::from_config(&text, &file.display().to_string(), &local);
    let is_packaged = packaged.filter(|files| files.contains_key(DEFAULT)).map(|files| {
        let inside = Deployed {
            variables,
            read: RefCell::default(),
            file: |path: &Path| {
                files.get(&*path.to_string_lossy()).cloned().ok_or_else(|| "it is not in the package".to_owned())
            },
        };
        let text = files.get(DEFAULT).and_then(|bytes| crossfade_document::decode(bytes.clone())).unwrap_or_default();
        let inside = RoutingTable::from_config(&text, DEFAULT, &inside).ok();
        format!("{:?}", table.as_ref().ok()) == format!("{:?}", inside.as_ref())
    });
    *used = Environment::of(local.read.into_inner());
    let source = format!("`{}`", file.display());
    Ok(Ok(Configuration { source, is_file: true, table: table.map_err(texts), is_packaged }))
}

/// The surroundings of a configuration in Lambda: the variables of the function, and none of this shell.
struct Deployed<'d, F> {
    variables: &'d BTreeMap<String, String>,
    /// Those that the configuration has read.
    read: RefCell<BTreeMap<String, String>>,
    file: F,
}

impl<F: Fn(&Path) -> Result<Vec<u8>, String>> Surroundings for Deployed<'_, F> {
    fn variable(&self, name: &str) -> Option<String> {
        let value = self.variables.get(name)?;
        self.read.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value.clone())
    }

    fn file(&self, path: &Path) -> Result<Vec<u8>, String> {
        (self.file)(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_has_the_variables_of_the_function_and_those_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crossfade.yaml");
        std::fs::write(&file, "version: 1\nbackends: { a: '${env:PATH}' }\ndefault: { forward: a }\n").unwrap();
        let of = |variables: &[(&str, &str)], packaged: Option<&str>| {
            let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let files = packaged.map(|text| BTreeMap::from([(DEFAULT.to_owned(), text.as_bytes().to_vec())]));
            let mut used = Environment::default();
            let compiled = compiled(Some(&file), files.as_ref(), &variables, &mut used).unwrap().unwrap();
            (compiled.table.map(|table| table.backends()[0].host.clone()), compiled.is_packaged, used.hide("a.example"))
        };
        let set = [("PATH", "https://a.example")];
        assert_eq!(of(&set, None), (Ok("a.example".to_owned()), None, "${env:PATH}".to_owned()));
        let json = r#"{"version": 1, "backends": {"a": "${env:PATH}"}, "default": {"forward": "a"}}"#;
        assert_eq!(of(&set, Some(json)).1, Some(true));
        assert_eq!(of(&set, Some(&json.replace("${env:PATH}", "https://b.example"))).1, Some(false));
        assert_eq!(of(&set, Some("no configuration")).1, Some(false));
        // This shell has the variable as well.
        let errors = of(&[], None).0.unwrap_err();
        assert!(errors.len() == 1 && errors[0].contains("`PATH`"), "{errors:?}");
    }

    #[test]
    fn without_a_file_the_back_end_of_the_function_counts() {
        let of = |variables: &BTreeMap<String, String>| {
            let compiled = compiled(None, None, variables, &mut Environment::default()).unwrap();
            compiled.map(|it| (it.source, it.is_file, it.table.map(|table| table.backends().len())))
        };
        let backend = |url: &str| BTreeMap::from([("CROSSFADE_BACKEND".to_owned(), url.to_owned())]);
        assert_eq!(of(&backend("https://a.example")), Ok(("`CROSSFADE_BACKEND`".to_owned(), false, Ok(1))));
        assert!(of(&backend("no URL")).unwrap().2.is_err());
        assert!(of(&backend("")).is_err());
        assert!(of(&BTreeMap::new()).is_err());
    }
}
