//! Where rules come from: files that describe listeners, rules, target groups and functions, read into [`Settings`].
//!
//! Owns the entry points and what is gathered while reading. The formats are in `serverless`, `cloudformation` and
//! `describe_rules`, ELBv2's own JSON, which the latter two share, in `elbv2`. Starts nothing and invents no command,
//! port or certificate: whoever calls brings these.
//!
//! All mistakes are told at once, each with its place.

mod cloudformation;
mod describe_rules;
mod elbv2;
mod intrinsics;
mod node;
mod quota;
mod report;
mod serverless;
mod table;
mod variables;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crossfade_document::{MAX_TEXT, Place};
use crossfade_event::HeaderMode;
use http::StatusCode;

use crate::{Action, Function, Listener, Rule, Settings, TargetGroup};
use node::{Files, Node};
use report::Report;

pub use report::Mistakes;
pub use table::{action_text, table, transforms_text};

/// What a file cannot know.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Quotas of AWS and what is not emulated are warnings, not mistakes.
    pub lenient: bool,
    /// Of the Serverless Framework; by default what the file says, or `dev`.
    pub stage: Option<String>,
    /// By default what the file says, or `us-east-1`.
    pub region: Option<String>,
    /// For `${opt:NAME}`.
    pub options: Vec<(String, String)>,
    /// For `${param:NAME}` and for the parameters of a template.
    pub parameters: Vec<(String, String)>,
    /// For `${env:NAME}`.
    pub environment: Vec<(String, String)>,
}

/// What a file gives.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Ready but for `command` of the functions, `listen` of the listeners and the certificates of those with `tls`.
    pub settings: Settings,
    /// For each function the names by which a user may know it: its key or logical id, its name, its target groups.
    pub names: Vec<Vec<String>>,
    /// For each function the environment variables that it goes without, since only AWS, or nobody here, knows their values.
    pub left_out: Vec<Vec<String>>,
    /// The variables of [`Options::environment`] that the file, or one that it includes, refers to.
    pub environment: BTreeMap<String, String>,
    /// What is used, but hardly means what was meant, or is not emulated.
    pub warnings: Vec<String>,
}

/// Reads a file of the Serverless Framework: the `alb` events of its functions.
///
/// # Errors
///
/// All [`Mistakes`] in the file.
pub fn serverless(file: &Path, options: &Options) -> Result<Loaded, Mistakes> {
    load(file, options, serverless::read)
}

/// Reads a CloudFormation or SAM template, in YAML or JSON.
///
/// # Errors
///
/// All [`Mistakes`] in the file.
pub fn cloudformation(file: &Path, options: &Options) -> Result<Loaded, Mistakes> {
    load(file, options, cloudformation::read)
}

/// Reads what `aws elbv2 describe-rules` prints, alone or merged with what `describe-listeners`, `describe-target-groups`
/// and `describe-target-health` print.
///
/// # Errors
///
/// All [`Mistakes`] in the file.
pub fn describe_rules(file: &Path, options: &Options) -> Result<Loaded, Mistakes> {
    load(file, options, describe_rules::read)
}

/// How a format is read.
type Read = fn(&mut Draft<'_>, Node);

fn load(file: &Path, options: &Options, read: Read) -> Result<Loaded, Mistakes> {
    match text(file) {
        Ok(text) => interpret(file, &text, options, read),
        Err(error) => Err(Mistakes::new(vec![format!("cannot read `{}`: {error}", file.display())])),
    }
}

fn interpret(file: &Path, text: &str, options: &Options, read: Read) -> Result<Loaded, Mistakes> {
    let name = file.to_string_lossy();
    let mut draft = Draft::new(file, options);
    let start = Place { file: draft.files.add(&name), line: 1, column: 1 };
    match node::parse(text, start.file) {
        Ok(document) => {
            read(&mut draft, document);
            draft.report.about("");
            if draft.listeners.is_empty() && !draft.report.has_mistakes() {
                draft.report.mistake(&start, "there is no listener and no rule");
            }
            quota::whole(&mut draft);
        }
        Err(malformed) => draft.report.malformed(&start, *malformed),
    }
    draft.finish()
}

/// For `crate::fuzzing`: what a text means as each kind of file.
pub(crate) fn interpret_as_each(file: &Path, text: &str, options: &Options) -> [Result<Loaded, Mistakes>; 3] {
    [serverless::read, cloudformation::read, describe_rules::read]
        .map(|read: Read| interpret(file, text, options, read))
}

/// Only of a file, and only as much of it as is looked at.
fn text(file: &Path) -> std::io::Result<String> {
    use std::io::Read;
    /// One more than may be tells that there is more.
    const MOST: u64 = MAX_TEXT as u64 + 1;
    let mut bytes = Vec::new();
    // Of a pipe nobody knows when something comes.
    if !std::fs::metadata(file)?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    std::fs::File::open(file)?.take(MOST).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// What was read so far.
struct Draft<'o> {
    options: &'o Options,
    /// Where functions run.
    folder: PathBuf,
    region: String,
    /// Whether the file or the user says which.
    knows_region: bool,
    files: Files,
    report: Report,
    /// Its listeners stay empty until the end.
    settings: Settings,
    listeners: Vec<DraftListener>,
    /// What rules call the target groups of the settings.
    group_ids: Vec<String>,
    /// As [`Loaded::names`].
    names: Vec<Vec<String>>,
    /// As [`Loaded::left_out`].
    left_out: Vec<Vec<String>>,
    /// As [`Loaded::environment`].
    environment: BTreeMap<String, String>,
}

/// A listener with the places of its rules.
struct DraftListener {
    /// What rules call it: an ARN, a logical id.
    id: String,
    listener: Listener,
    rules: Vec<DraftRule>,
    place: Place,
}

/// A rule and where it was found: its place, and what it belongs to.
struct DraftRule {
    rule: Rule,
    place: Place,
    about: String,
}

impl<'o> Draft<'o> {
    fn new(file: &Path, options: &'o Options) -> Self {
        Draft {
            options,
            folder: folder_of(file),
            region: options.region.clone().unwrap_or_else(|| "us-east-1".to_owned()),
            knows_region: options.region.is_some(),
            files: Files::default(),
            report: Report::new(options.lenient),
            settings: Settings::default(),
            listeners: Vec::new(),
            group_ids: Vec::new(),
            names: Vec::new(),
            left_out: Vec::new(),
            environment: BTreeMap::new(),
        }
    }

    /// For a function's environment.
    fn region_variable(&self) -> Vec<(String, String)> {
        let region = self.knows_region.then(|| ("AWS_REGION".to_owned(), self.region.clone()));
        region.into_iter().collect()
    }

    fn add_function(&mut self, function: Function, names: Vec<String>) -> usize {
        self.settings.functions.push(function);
        self.names.push(Vec::new());
        self.left_out.push(Vec::new());
        let index = self.names.len() - 1;
        names.into_iter().for_each(|name| self.call(index, &name));
        index
    }

    /// Notes the variables that a function goes without.
    fn leave_out(&mut self, function: usize, names: Vec<String>) {
        if let Some(left_out) = self.left_out.get_mut(function) {
            *left_out = names;
        }
    }

    /// Gives a function a name more by which users may know it.
    fn call(&mut self, function: usize, name: &str) {
        if let Some(names) = self.names.get_mut(function)
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }

    /// `id` is what rules call it.
    fn add_group(&mut self, id: &str, group: TargetGroup) -> usize {
        if let Some(function) = group.function {
            self.call(function, &group.name);
        }
        self.settings.target_groups.push(group);
        self.group_ids.push(id.to_owned());
        self.group_ids.len() - 1
    }

    /// A target group with an ARN of this region.
    fn new_group(&self, name: &str, mode: HeaderMode, function: Option<usize>) -> TargetGroup {
        let group = TargetGroup::new(name, mode, function);
        TargetGroup { arn: group.arn.replace("us-east-1", &self.region), ..group }
    }

    /// The target group that a rule names. One of which the file says no more gets a function of its own.
    fn group(&mut self, id: &str) -> usize {
        if let Some(index) = self.group_ids.iter().position(|known| known == id) {
            return index;
        }
        let name = name_in_arn(id);
        let function = self.add_function(Function::new(&name, Vec::new()), vec![name.clone()]);
        let mut group = self.new_group(&name, HeaderMode::Single, Some(function));
        if id.starts_with("arn:") {
            group.arn = id.to_owned();
        }
        self.add_group(id, group)
    }

    /// The listener that a rule names. One of which the file says no more answers 404 to what no rule matches.
    fn listener(&mut self, id: &str, place: &Place) -> usize {
        if let Some(index) = self.listeners.iter().position(|known| known.id == id) {
            return index;
        }
        let listener = Listener { name: name_in_arn(id), ..Listener::http(Action::status(StatusCode::NOT_FOUND)) };
        self.add_listener(id, listener, place)
    }

    fn add_listener(&mut self, id: &str, listener: Listener, place: &Place) -> usize {
        self.listeners.push(DraftListener { id: id.to_owned(), listener, rules: Vec::new(), place: *place });
        self.listeners.len() - 1
    }

    fn add_rule(&mut self, listener: usize, rule: Rule, place: &Place) {
        if let Some(listener) = self.listeners.get_mut(listener) {
            listener.rules.push(DraftRule { rule, place: *place, about: self.report.subject().to_owned() });
        }
    }

    /// `file:line`, for [`Rule::origin`].
    fn origin(&self, place: &Place) -> String {
        format!("{}:{}", self.files.name(place.file), place.line)
    }

    fn finish(self) -> Result<Loaded, Mistakes> {
        let Draft { mut settings, listeners, names, left_out, environment, files, report, .. } = self;
        for DraftListener { mut listener, rules, .. } in listeners {
            listener.rules = rules.into_iter().map(|draft| draft.rule).collect();
            settings.listeners.push(listener);
        }
        let texts = |findings| report::texts(findings, &files);
        let warnings = report.finish().map(texts).map_err(|mistakes| Mistakes::new(texts(mistakes)))?;
        Ok(Loaded { settings, names, left_out, environment, warnings })
    }
}

/// The folder of the file; what `osls package` writes lies one below it.
fn folder_of(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    match folder.file_name() {
        Some(name) if name == ".serverless" => folder.parent().unwrap_or(folder).to_owned(),
        _ => folder.to_owned(),
    }
}

/// The part of an ARN that a person would call the thing by: of a target group its name, of a listener its load
/// balancer's and its own.
fn name_in_arn(id: &str) -> String {
    if let Some(parameter) = id.strip_prefix("!Ref ") {
        return parameter.to_owned();
    }
    let resource = id.strip_prefix("arn:").and_then(|rest| rest.splitn(5, ':').nth(4)).unwrap_or(id);
    let parts: Vec<&str> = resource.split('/').collect();
    match parts[..] {
        ["targetgroup", name, ..] => name.to_owned(),
        // What is made up here for a logical id.
        ["listener", _, "local", _, name] => name.to_owned(),
        ["listener", _, balancer, _, own] => format!("{balancer}/{own}"),
        _ => resource.strip_prefix("function:").map_or(id, |name| name).to_owned(),
    }
}

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("report", &self.report).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_have_names() {
        for (arn, name) in [
            ("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/shop/73e2d6bc24d8a067", "shop"),
            (
                "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/front/50dc6c495c0c9188/f2f7dc8e",
                "front/f2f7dc8e",
            ),
            ("arn:aws:lambda:eu-west-1:123456789012:function:shop", "shop"),
            ("${env:ALB_LISTENER_ARN}", "${env:ALB_LISTENER_ARN}"),
            ("!Ref Listener", "Listener"),
            ("arn:", "arn:"),
            ("", ""),
        ] {
            assert_eq!(name_in_arn(arn), name);
        }
    }
}
