//! The settings of a file while it is read: functions, target groups, listeners and rules, by the names that the file
//! gives them. Reads nothing itself.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crossfade_document::{Diagnostic, Diagnostics, Place};
use crossfade_event::HeaderMode;
use http::StatusCode;

use super::dialect::Dialect;
use super::findings::Findings;
use super::node::{Files, excerpt};
use crate::{Action, Function, Listener, Rule, Settings, TargetGroup};

/// The values that a file does not have, given by the user.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Downgrade violations of AWS quotas and unsupported features to warnings.
    pub lenient: bool,
    /// The stage of the Serverless Framework; by default that of the file, or `dev`.
    pub stage: Option<String>,
    /// By default that of the file, or `us-east-1`.
    pub region: Option<String>,
    /// For `${opt:NAME}`.
    pub options: Vec<(String, String)>,
    /// For `${param:NAME}` and for the parameters of a template.
    pub parameters: Vec<(String, String)>,
    /// For `${env:NAME}`.
    pub environment: Vec<(String, String)>,
}

/// The settings in a file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Complete except for `command` of the functions, `listen` of the listeners, and certificates of listeners with
    /// `tls`.
    pub settings: Settings,
    /// For each function, the names by which users know it: its key or logical id, its name, its target groups.
    pub names: Vec<Vec<String>>,
    /// For each function, the environment variables that are left out because their values are not known here.
    pub left_out: Vec<Vec<String>>,
    /// The variables of [`Options::environment`] that the file, or one that it includes, refers to.
    pub environment: BTreeMap<String, String>,
    /// One text for each warning, with its place: settings that are probably not intended, or not emulated.
    pub warnings: Vec<String>,
}

/// The settings as far as they have been read.
pub(super) struct Draft<'o> {
    pub(super) options: &'o Options,
    /// The folder that functions run in.
    pub(super) folder: PathBuf,
    pub(super) region: String,
    /// The region comes from the file or the user, and is not the default.
    pub(super) knows_region: bool,
    pub(super) files: Files,
    pub(super) findings: Findings,
    /// Its listeners stay empty until the end.
    pub(super) settings: Settings,
    pub(super) listeners: Vec<DraftListener>,
    /// The IDs by which rules name the target groups of the settings.
    pub(super) group_ids: Vec<String>,
    /// The functions that the file refers to and does not define, by the ARN or expression that it has for them.
    pub(super) function_ids: BTreeMap<String, usize>,
    /// As [`Loaded::names`].
    pub(super) names: Vec<Vec<String>>,
    /// As [`Loaded::left_out`].
    pub(super) left_out: Vec<Vec<String>>,
    /// As [`Loaded::environment`].
    pub(super) environment: BTreeMap<String, String>,
}

/// A listener with the places of its rules.
pub(super) struct DraftListener {
    /// The ID by which rules name it: an ARN or a logical ID.
    pub(super) id: String,
    pub(super) listener: Listener,
    pub(super) rules: Vec<DraftRule>,
    pub(super) place: Place,
}

/// A rule with its place and the part of the file that it belongs to.
pub(super) struct DraftRule {
    pub(super) rule: Rule,
    pub(super) place: Place,
    pub(super) part: String,
}

impl<'o> Draft<'o> {
    pub(super) fn new(file: &Path, options: &'o Options, dialect: &'static Dialect) -> Self {
        Draft {
            options,
            folder: folder_of(file),
            region: options.region.clone().unwrap_or_else(|| "us-east-1".to_owned()),
            knows_region: options.region.is_some(),
            files: Files::default(),
            findings: Findings::new(options.lenient, dialect),
            settings: Settings::default(),
            listeners: Vec::new(),
            group_ids: Vec::new(),
            function_ids: BTreeMap::new(),
            names: Vec::new(),
            left_out: Vec::new(),
            environment: BTreeMap::new(),
        }
    }

    /// `AWS_REGION` for a function's environment, if the region is known.
    pub(super) fn region_variable(&self) -> Vec<(String, String)> {
        let region = self.knows_region.then(|| ("AWS_REGION".to_owned(), self.region.clone()));
        region.into_iter().collect()
    }

    pub(super) fn add_function(&mut self, function: Function, names: Vec<String>) -> usize {
        self.settings.functions.push(function);
        self.names.push(Vec::new());
        self.left_out.push(Vec::new());
        let index = self.names.len() - 1;
        names.into_iter().for_each(|name| self.add_name(index, &name));
        index
    }

    /// Returns the index of a function that the file refers to by `id` and does not define. It gets Lambda's defaults.
    pub(super) fn function(&mut self, id: &str, name: &str) -> usize {
        if let Some(index) = self.function_ids.get(id) {
            return *index;
        }
        let name = function_name(name);
        let is_taken = |name: &str| self.names.iter().any(|names| names.iter().any(|known| known == name));
        let name = free_name(&name, |number| format!("-{number}"), is_taken);
        let index = self.add_function(Function::new(&name, Vec::new()), vec![name]);
        self.function_ids.insert(id.to_owned(), index);
        index
    }

    /// Notes the variables that a function goes without.
    pub(super) fn leave_out(&mut self, function: usize, names: Vec<String>) {
        if let Some(left_out) = self.left_out.get_mut(function) {
            *left_out = names;
        }
    }

    /// Adds a name by which users may know a function.
    pub(super) fn add_name(&mut self, function: usize, name: &str) {
        if let Some(names) = self.names.get_mut(function)
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }

    /// Adds a target group that rules name by `id`, and returns its index.
    pub(super) fn add_group(&mut self, id: &str, group: TargetGroup) -> usize {
        if let Some(function) = group.function {
            self.add_name(function, &group.name);
        }
        self.settings.target_groups.push(group);
        self.group_ids.push(id.to_owned());
        self.group_ids.len() - 1
    }

    /// A target group with an ARN of this region.
    pub(super) fn new_group(&self, name: &str, mode: HeaderMode, function: Option<usize>) -> TargetGroup {
        let group = TargetGroup::new(name, mode, function);
        TargetGroup { arn: group.arn.replace("us-east-1", &self.region), ..group }
    }

    /// Returns the index of the target group that a rule names. If the file does not define it, it gets a function of
    /// its own.
    pub(super) fn group(&mut self, id: &str) -> usize {
        if let Some(index) = self.group_ids.iter().position(|known| known == id) {
            return index;
        }
        let name = name_in_arn(id);
        let function = self.function(id, &name);
        let is_taken = |name: &str| self.settings.target_groups.iter().any(|group| group.name == name);
        let name = free_name(&excerpt(&name), |number| format!(" ({number})"), is_taken);
        let mut group = self.new_group(&name, HeaderMode::Single, Some(function));
        if id.starts_with("arn:") {
            group.arn = id.to_owned();
        }
        self.add_group(id, group)
    }

    /// Returns the index of the listener that a rule names. If the file does not define it, its default action is 404.
    pub(super) fn listener(&mut self, id: &str, place: &Place) -> usize {
        if let Some(index) = self.listeners.iter().position(|known| known.id == id) {
            return index;
        }
        let is_taken = |name: &str| self.listeners.iter().any(|known| known.listener.name == name);
        let name = free_name(&excerpt(&name_in_arn(id)), |number| format!(" ({number})"), is_taken);
        let listener = Listener { name, ..Listener::http(Action::status(StatusCode::NOT_FOUND)) };
        self.add_listener(id, listener, place)
    }

    pub(super) fn add_listener(&mut self, id: &str, listener: Listener, place: &Place) -> usize {
        self.listeners.push(DraftListener { id: id.to_owned(), listener, rules: Vec::new(), place: *place });
        self.listeners.len() - 1
    }

    pub(super) fn add_rule(&mut self, listener: usize, rule: Rule, place: &Place) {
        if let Some(listener) = self.listeners.get_mut(listener) {
            listener.rules.push(DraftRule { rule, place: *place, part: self.findings.part().to_owned() });
        }
    }

    /// `file:line`, for [`Rule::origin`].
    pub(super) fn origin(&self, place: &Place) -> String {
        format!("{}:{}", self.files.name(place.file), place.line)
    }

    pub(super) fn finish(self) -> Result<Loaded, Diagnostics> {
        let Draft { mut settings, listeners, names, left_out, environment, files, findings, .. } = self;
        for DraftListener { mut listener, rules, .. } in listeners {
            listener.rules = rules.into_iter().map(|draft| draft.rule).collect();
            settings.listeners.push(listener);
        }
        let in_files = |list: Vec<Diagnostic>| {
            let list = list.into_iter().map(|finding| without_values(finding, &environment)).collect();
            Diagnostics::in_files(files.into_names(), list)
        };
        let warnings = match findings.finish() {
            Ok(warnings) => in_files(warnings).texts(),
            Err(errors) => return Err(in_files(errors)),
        };
        Ok(Loaded { settings, names, left_out, environment, warnings })
    }
}

/// Shorter values of the environment stay in messages: they are no secrets, and occur in many texts by chance.
const SHORT: usize = 4;

/// Replaces the values of the environment, which may be secrets, by their names.
fn without_values(finding: Diagnostic, environment: &BTreeMap<String, String>) -> Diagnostic {
    let mut values: Vec<_> = environment.iter().filter(|(_, value)| value.len() >= SHORT).collect();
    values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    let hide = |text: String| {
        values.iter().fold(text, |text, (name, value)| text.replace(value.as_str(), &format!("${{env:{name}}}")))
    };
    let (part, hint) = (hide(finding.part), finding.hint.map(hide));
    Diagnostic { message: hide(finding.message), part, hint, ..finding }
}

/// The folder that functions run in: that of the file, or its parent for a file that `osls package` wrote.
fn folder_of(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    match folder.file_name() {
        Some(name) if name == ".serverless" => folder.parent().unwrap_or(folder).to_owned(),
        _ => folder.to_owned(),
    }
}

/// The most characters of a function's name (API reference, `CreateFunction`).
const MAX_NAME: usize = 64;

/// Makes a function's name of a text: letters, digits, `-` and `_`, so that `--function NAME=COMMAND` can have it.
fn function_name(text: &str) -> String {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let words = text.split(|c| !is_of_a_name(c)).filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("-");
    name.get(name.len().saturating_sub(MAX_NAME)..).unwrap_or_default().to_owned()
}

/// Returns the name, with a number if it is taken.
fn free_name(name: &str, suffix: fn(u32) -> String, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(name) {
        return name.to_owned();
    }
    // The search ends: with very many equal names, the last ones share one.
    let mut numbered = (2..100).map(|number| format!("{name}{}", suffix(number)));
    numbered.find(|name| !is_taken(name)).unwrap_or_else(|| name.to_owned())
}

/// The name in an ARN: of a target group its own, of a listener that of its load balancer and its ID.
pub(super) fn name_in_arn(id: &str) -> String {
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
        f.debug_struct("Draft").field("findings", &self.findings).finish_non_exhaustive()
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

    #[test]
    fn functions_get_names_that_the_command_line_can_have() {
        for (text, name) in [
            ("shop_1", "shop_1"),
            ("!ImportValue prod-Group", "ImportValue-prod-Group"),
            ("!Select [0, !Ref Arns]", "Select-0-Ref-Arns"),
            ("${env:GROUP}", "env-GROUP"),
            ("é", ""),
        ] {
            assert_eq!(function_name(text), name);
        }
        assert_eq!(function_name(&"a".repeat(100)).len(), MAX_NAME);
    }
}
