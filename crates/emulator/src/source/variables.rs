//! Variables of the Serverless Framework, `${...}`, resolved as far as no AWS is needed. Owns their syntax and sources;
//! what resolves to nothing or to something that only AWS knows stays in the tree as [`Value::Unknown`], for its reader
//! to say whether that matters. Source: the framework's guide, "Variables", `lib/configuration/variables` and
//! `lib/cli/load-dotenv` of osls 4, and `packages/sf-core/src/lib/resolvers` of Framework v4.
//!
//! As there: the first source that has a value wins, `null` has none, files are looked for from the folder of the
//! `serverless.yml`, and `.env` files add to the environment without changing it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossfade_document::{MAX_DEPTH, MAX_NODES, Place, Scalar, did_you_mean};

use super::dialect::FRAMEWORK;
use super::dotenv;
use super::draft::Options;
use super::node::{self, Files, Node, Unknown, Value, excerpt};

/// The most variables that may refer to one another in a chain.
const MAX_NESTING: usize = 24;
/// The most levels of the tree, including those that variables add: few enough for the smallest stack.
const MAX_LEVELS: usize = 2 * MAX_DEPTH;
/// The most look-ups for one file: more than any file needs, few enough to end soon.
const MAX_LOOKUPS: usize = 20_000;
/// The most text that variables may produce, in bytes.
const MAX_GROWN: usize = 1024 * 1024;

/// Sources whose values only AWS or a deployment has.
const OF_AWS: [&str; 5] = ["ssm", "cf", "s3", "aws", "output"];
/// Sources of values that the framework takes from other programs and services.
const ELSEWHERE: [&str; 5] = ["git", "vault", "terraform", "doppler", "service"];

/// All sources.
const SOURCES: [&str; 17] = [
    "self",
    "env",
    "opt",
    "sls",
    "aws",
    "param",
    "file",
    "strToBool",
    "ssm",
    "cf",
    "s3",
    "git",
    "output",
    "vault",
    "terraform",
    "doppler",
    "service",
];

/// Resolves the variables of one file.
pub(super) struct Variables<'o> {
    root: Arc<Node>,
    folder: PathBuf,
    options: &'o Options,
    /// Known from the start, as for the framework: `.env` files do not change it.
    stage: Option<String>,
    /// The variables of `.env` files.
    dotenv: BTreeMap<String, String>,
    /// The framework reads `.env` files.
    uses_dotenv: bool,
    /// The variables of the environment that were used, with their values.
    used: BTreeMap<String, String>,
    files: Files,
    contents: BTreeMap<PathBuf, Result<Arc<Node>, Unknown>>,
    /// The variables that are being resolved; one that occurs again is a cycle.
    open: Vec<String>,
    levels: usize,
    lookups: usize,
    nodes: usize,
    grown: usize,
}

/// The answer of a source.
enum Found {
    Value(Node),
    Nothing,
    Unknown(Unknown),
}

/// A text in its parts.
enum Part<'t> {
    Text(&'t str),
    /// The text between `${` and `}`.
    Variable(&'t str),
}

impl<'o> Variables<'o> {
    pub(super) fn new(root: Node, folder: &Path, options: &'o Options, files: Files) -> Self {
        let folder = folder.to_owned();
        Variables {
            root: Arc::new(root),
            folder,
            options,
            stage: None,
            dotenv: BTreeMap::new(),
            uses_dotenv: false,
            used: BTreeMap::new(),
            files,
            contents: BTreeMap::new(),
            open: Vec::new(),
            levels: 0,
            lookups: 0,
            nodes: 0,
            grown: 0,
        }
    }

    /// Returns the value at a path from the root, with all variables in it resolved.
    pub(super) fn at(&mut self, path: &[&str]) -> Option<Node> {
        let root = Arc::clone(&self.root);
        match self.follow(&root, path) {
            Found::Value(node) => Some(node),
            Found::Nothing => None,
            Found::Unknown(unknown) => {
                let place = self.root.place;
                Some(Node::new(place, Value::Unknown(unknown)))
            }
        }
    }

    /// The files of all places, and the variables of the environment that were used, with their values.
    pub(super) fn finish(self) -> (Files, BTreeMap<String, String>) {
        (self.files, self.used)
    }

    /// `--stage NAME`, or `--opt stage=NAME`.
    fn given_stage(&self) -> Option<String> {
        self.options.stage.clone().or_else(|| self.option("stage"))
    }

    fn given_region(&self) -> Option<String> {
        self.options.region.clone().or_else(|| self.option("region"))
    }

    fn option(&self, name: &str) -> Option<String> {
        let found = self.options.options.iter().rev().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone())
    }

    pub(super) fn stage(&mut self) -> String {
        let known = self.stage.clone().or_else(|| self.given_stage());
        known.or_else(|| self.text_at(&["provider", "stage"])).unwrap_or_else(|| "dev".to_owned())
    }

    /// Reads the `.env` files: in v4 that of the stage and the common one, before v4 the first of them, and only with
    /// `useDotenv`. Returns a text for each file that exists but cannot be read.
    pub(super) fn read_dotenv(&mut self) -> Vec<(Place, String)> {
        let stage = self.stage();
        self.stage = Some(stage.clone());
        let is_v4 = self.is_v4();
        let wish = self.at(&["useDotenv"]);
        self.uses_dotenv = is_v4 || wish.as_ref().and_then(Node::as_text) == Some("true");
        let of_folder = |folder: &Path| [folder.join(format!(".env.{stage}")), folder.join(".env")];
        let mut files = of_folder(&self.folder).to_vec();
        // Further files or folders; of v4 alone.
        let further = wish.iter().flat_map(|wish| std::iter::once(wish).chain(wish.items()));
        for path in further.filter_map(Node::as_text).filter(|path| is_v4 && !matches!(*path, "true" | "false")) {
            let path = self.folder.join(path);
            if path.is_dir() { files.extend(of_folder(&path)) } else { files.push(path) }
        }
        let mut unreadable = Vec::new();
        for file in files {
            // Not `exists`: it follows a link.
            if file.symlink_metadata().is_err() {
                continue;
            }
            let start = Place { file: self.files.add(&file.to_string_lossy()), line: 1, column: 1 };
            match super::text(&file) {
                Ok(text) => self.take_dotenv(dotenv::parse(&text), !is_v4),
                Err(error) if self.uses_dotenv => unreadable.push((start, format!("the file is ignored: {error}"))),
                Err(_) => {}
            }
            if !is_v4 {
                break;
            }
        }
        unreadable
    }

    /// Adds the variables of a file. Those of earlier files and of the shell win.
    fn take_dotenv(&mut self, variables: Vec<(String, String)>, with_expansion: bool) {
        let shell = |name: &str| self.options.environment.iter().rev().find(|(known, _)| known == name);
        let shell = |name: &str| shell(name).map(|(_, value)| value.clone());
        let variables = if with_expansion { dotenv::expand(variables, &shell) } else { variables };
        for (name, value) in variables {
            self.dotenv.entry(name).or_insert(value);
        }
    }

    /// Decides the framework's major version: `frameworkVersion` names it; otherwise keys that only v4 has or requires.
    fn is_v4(&mut self) -> bool {
        let first_number = |text: String| {
            let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
            digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|number| number.parse::<u32>().ok())
        };
        match self.text_at(&["frameworkVersion"]).and_then(first_number) {
            Some(major) => major >= 4,
            None => ["stages", "org"].iter().any(|key| self.root.get(key).is_some()),
        }
    }

    /// Returns the place of a top-level `params` in a file that has `stages` as well.
    pub(super) fn params_beside_stages(&self) -> Option<Place> {
        let key = |name: &str| self.root.members().iter().find(|(key, _)| &*key.name == name);
        key("stages").and(key("params")).map(|(key, _)| key.place)
    }

    fn text_at(&mut self, path: &[&str]) -> Option<String> {
        Some(self.at(path)?.as_text()?.to_owned())
    }

    pub(super) fn region(&mut self) -> String {
        let given = self.given_region();
        given.or_else(|| self.text_at(&["provider", "region"])).unwrap_or_else(|| "us-east-1".to_owned())
    }

    /// Returns the same tree with all variables resolved.
    fn resolve(&mut self, node: &Node) -> Node {
        let place = node.place;
        if self.levels > MAX_LEVELS {
            let unknown =
                Unknown { written: "...".to_owned(), ..invalid("the variables are nested too deep".to_owned()) };
            return Node::new(place, Value::Unknown(unknown));
        }
        self.levels += 1;
        let value = match &node.value {
            Value::Scalar(scalar) => self.scalar(&place, scalar),
            Value::List(items) => Value::List(items.iter().map(|item| self.resolve(item)).collect()),
            Value::Map(members) => {
                Value::Map(members.iter().map(|(key, node)| (key.clone(), self.resolve(node))).collect())
            }
            Value::Unknown(unknown) => Value::Unknown(unknown.clone()),
        };
        self.levels -= 1;
        Node::new(place, value)
    }

    fn scalar(&mut self, place: &Place, scalar: &Scalar) -> Value {
        if !scalar.text.contains("${") {
            return Value::Scalar(scalar.clone());
        }
        match self.text(place, &scalar.text) {
            Ok(node) => node.value,
            Err(unknown) => {
                // One variable stands for the source that it leads to: other variables may lead there as well.
                let is_source = !unknown.is_error && !unknown.written.is_empty();
                let is_whole = is_source && matches!(parts(&scalar.text).as_deref(), Ok([Part::Variable(_)]));
                let written = if is_whole { unknown.written.clone() } else { scalar.text.to_string() };
                Value::Unknown(Unknown { written, ..unknown })
            }
        }
    }

    /// Resolves a text. A text that is one variable has that variable's value, of any type.
    fn text(&mut self, place: &Place, text: &str) -> Result<Node, Unknown> {
        let parts = parts(text).map_err(invalid)?;
        if let [Part::Variable(variable)] = parts[..] {
            return self.variable(place, variable);
        }
        let mut whole = String::new();
        // An empty text in quotes is a text.
        let mut is_plain = !parts.is_empty();
        for part in parts {
            match part {
                Part::Text(text) => {
                    is_plain = false;
                    whole.push_str(text);
                }
                Part::Variable(variable) => match self.variable(place, variable)?.value {
                    Value::Scalar(scalar) => {
                        is_plain &= scalar.is_plain;
                        whole.push_str(&scalar.text);
                    }
                    Value::Unknown(unknown) => return Err(unknown),
                    Value::List(_) | Value::Map(_) => {
                        return Err(invalid(format!("`${{{variable}}}` is not a text, so it cannot be part of one")));
                    }
                },
            }
        }
        self.grown += whole.len();
        if self.grown > MAX_GROWN {
            return Err(invalid("the variables of this file produce too much text".to_owned()));
        }
        Ok(Node::new(*place, Value::Scalar(Scalar { is_plain, ..Scalar::plain(whole) })))
    }

    fn variable(&mut self, place: &Place, variable: &str) -> Result<Node, Unknown> {
        self.enter(variable)?;
        let found = self.first_of(place, variable);
        self.open.pop();
        self.counted(found?)
    }

    /// The part of a file or of a tree to which a path leads, without the rest, which may refer to this part.
    fn part_of(&mut self, place: &Place, scalar: &Scalar, path: &[&str]) -> Option<Found> {
        let parts = parts(&scalar.text).ok()?;
        let [Part::Variable(variable)] = parts[..] else { return None };
        let is_tree = ["self:", "file("].iter().any(|kind| variable.starts_with(kind));
        if !is_tree || split(variable, ',').ok()?.len() > 1 {
            return None;
        }
        let separator = match variable.chars().last() {
            Some(')') => ":",
            Some(':') => "",
            _ => ".",
        };
        let part = format!("{variable}{separator}{}", path.join("."));
        let found = self.enter(&part).and_then(|()| {
            let found = self.source(place, &part);
            self.open.pop();
            match found? {
                Found::Value(node) => self.counted(node).map(Found::Value),
                found => Ok(found),
            }
        });
        Some(found.unwrap_or_else(Found::Unknown))
    }

    /// Begins with a variable, which must not lead to itself.
    fn enter(&mut self, variable: &str) -> Result<(), Unknown> {
        self.lookups += 1;
        if self.lookups > MAX_LOOKUPS || self.nodes > MAX_NODES {
            return Err(invalid("the file has too many variables".to_owned()));
        }
        if self.open.len() > MAX_NESTING {
            return Err(invalid(format!("more than {MAX_NESTING} variables refer to one another in a chain")));
        }
        if self.open.iter().any(|open| open == variable) {
            let circle = self.open.iter().map(|open| format!("`${{{open}}}`")).collect::<Vec<_>>().join(" -> ");
            return Err(invalid(format!("the variables are circular: {circle} -> `${{{variable}}}`")));
        }
        self.open.push(variable.to_owned());
        Ok(())
    }

    fn counted(&mut self, node: Node) -> Result<Node, Unknown> {
        let (nodes, depth) = node.extent();
        self.nodes += nodes;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return Err(invalid("the variables of this file make a tree that is too large".to_owned()));
        }
        Ok(node)
    }

    fn first_of(&mut self, place: &Place, variable: &str) -> Result<Node, Unknown> {
        let sources = split(variable, ',').map_err(invalid)?;
        for source in &sources {
            match self.source(place, source.trim())? {
                Found::Value(node) if node.is_null() => {}
                Found::Value(node) => return Ok(node),
                Found::Nothing => {}
                Found::Unknown(unknown) => return Err(unknown),
            }
        }
        // `null` written down as the last resort is a value.
        if sources.last().is_some_and(|last| last.trim() == "null") {
            return Ok(Node::plain(*place, ""));
        }
        let hint = self.hint_for(sources.first().map_or("", |source| source.trim()));
        let why = "none of its sources has a value";
        Err(Unknown { hint, ..Unknown::elsewhere(why) })
    }

    /// `type:address`, `type(parameter):address`, or a literal.
    fn source(&mut self, place: &Place, source: &str) -> Result<Found, Unknown> {
        let is_literal_word = matches!(source, "true" | "false" | "null") || source.parse::<f64>().is_ok();
        if is_literal_word {
            return Ok(Found::Value(Node::plain(*place, source)));
        }
        if let Some(literal) = quoted(source) {
            // Variables work in quotes, too.
            return self.text(place, literal).map(Found::Value);
        }
        if let Ok(parts) = parts(source)
            && let [Part::Variable(inner)] = parts[..]
        {
            return self.variable(place, inner).map(Found::Value).or_else(or_nothing);
        }
        let kind_ends = source.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(source.len());
        let (kind, rest) = source.split_at(kind_ends);
        let (parameter, rest) = match rest.strip_prefix('(').map(|inner| inner_and_rest(inner)) {
            Some(Some((parameter, rest))) => (Some(parameter), rest),
            Some(None) => return Err(invalid(format!("`{source}` has no `)`"))),
            None => (None, rest),
        };
        let Some(address) = rest.strip_prefix(':').or(rest.is_empty().then_some("")) else {
            return Err(invalid(format!(
                "`{source}` is not a variable; it needs a source such as `self:`, `env:`, `opt:`"
            )));
        };
        let parameter = parameter.map(|text| self.plain_text(place, text)).transpose()?;
        let address = self.plain_text(place, address)?;
        self.look_up(place, source, kind, parameter.as_deref(), &address)
    }

    fn look_up(
        &mut self,
        place: &Place,
        source: &str,
        kind: &str,
        parameter: Option<&str>,
        address: &str,
    ) -> Result<Found, Unknown> {
        let of_text =
            |text: Option<String>| text.map_or(Found::Nothing, |text| Found::Value(Node::quoted(*place, text)));
        let named = |list: &[(String, String)]| {
            let found = list.iter().rev().find(|(name, _)| name == address);
            found.map(|(_, value)| value.clone())
        };
        // One address is one source, however it is written. Values of the environment stay out of it: they may be secrets.
        let resolved = match parameter {
            _ if !source.contains("${") || source.contains("env:") => source.to_owned(),
            Some(parameter) => format!("{kind}({parameter}):{address}"),
            None => format!("{kind}:{address}"),
        };
        Ok(match (kind, parameter) {
            ("self", None) => {
                let path: Vec<&str> = if address.is_empty() { Vec::new() } else { address.split('.').collect() };
                let root = Arc::clone(&self.root);
                self.follow(&root, &path)
            }
            ("env", None) => {
                let of_file = self.dotenv.get(address).filter(|_| self.uses_dotenv).cloned();
                let value = named(&self.options.environment).or(of_file);
                self.used.extend(value.clone().map(|value| (address.to_owned(), value)));
                of_text(value)
            }
            ("opt", None) if address == "stage" => of_text(self.given_stage()),
            ("opt", None) if address == "region" => of_text(self.given_region()),
            ("opt", None) => of_text(self.option(address)),
            ("sls", None) if address == "stage" => of_text(Some(self.stage())),
            ("sls", None) => Found::Unknown(unavailable(source, "only a deployment has it")),
            ("aws", None) if address == "region" => of_text(Some(self.region())),
            ("param", None) => match named(&self.options.parameters) {
                Some(text) => of_text(Some(text)),
                None => self.parameter(address),
            },
            ("file", Some(file)) => self.file(source, file, address),
            ("strToBool", Some(text)) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" => Found::Value(Node::plain(*place, "true")),
                "false" | "0" => Found::Value(Node::plain(*place, "false")),
                other => return Err(invalid(format!("`strToBool` accepts true, false, 1 or 0, not `{other}`"))),
            },
            (kind, _) if OF_AWS.contains(&kind) => Found::Unknown(unavailable(&resolved, "only AWS knows its value")),
            (kind, _) if ELSEWHERE.contains(&kind) || self.is_own_source(kind) => {
                Found::Unknown(unavailable(&resolved, "only the Serverless Framework can resolve it"))
            }
            _ => {
                let hint = did_you_mean(kind, &SOURCES);
                let why = format!("`{source}`: unknown variable source `{kind}`");
                return Err(Unknown { hint, ..invalid(why) });
            }
        })
    }

    /// A source that the file defines: a resolver of v4, or possibly one of a plugin.
    fn is_own_source(&self, name: &str) -> bool {
        let stages = self.root.get("stages").map_or(&[][..], Node::members);
        let resolvers = stages.iter().filter_map(|(_, stage)| stage.get("resolvers"));
        let is_resolver = resolvers.into_iter().any(|resolvers| resolvers.get(name).is_some());
        is_resolver || self.root.get("plugins").is_some_and(|plugins| !plugins.is_null())
    }

    /// The parameters of the stage, then those of all stages; for each, v4's `stages` before `params`.
    fn parameter(&mut self, name: &str) -> Found {
        let stage = self.stage();
        let root = Arc::clone(&self.root);
        for stage in [stage.as_str(), "default"] {
            for path in [["stages", stage, "params", name].as_slice(), &["params", stage, name]] {
                match self.follow(&root, path) {
                    Found::Nothing => {}
                    found => return found,
                }
            }
        }
        Found::Nothing
    }

    /// Follows a path from a node. Variables on the way are resolved.
    fn follow(&mut self, node: &Node, path: &[&str]) -> Found {
        let Some((name, rest)) = path.split_first() else {
            let resolved = self.resolve(node);
            return match resolved.value {
                Value::Unknown(unknown) => Found::Unknown(unknown),
                _ if resolved.is_null() => Found::Nothing,
                _ => Found::Value(resolved),
            };
        };
        let next = match &node.value {
            Value::Map(_) => node.get(name),
            Value::List(items) => name.parse().ok().and_then(|index: usize| items.get(index)),
            Value::Unknown(unknown) => return Found::Unknown(unknown.clone()),
            Value::Scalar(scalar) => {
                if let Some(found) = self.part_of(&node.place, scalar, path) {
                    return found;
                }
                let value = self.scalar(&node.place, scalar);
                return match value {
                    Value::Scalar(_) => Found::Nothing,
                    value => self.follow(&Node::new(node.place, value), path),
                };
            }
        };
        next.map_or(Found::Nothing, |next| self.follow(next, rest))
    }

    fn hint_for(&self, source: &str) -> Option<String> {
        let (kind, name) = source.split_once(':')?;
        let name = name.trim();
        Some(match kind {
            "env" if self.dotenv.contains_key(name) => {
                "a `.env` file has it: the framework reads that with `useDotenv: true`, or from v4 on (`frameworkVersion: '4'`)"
                    .to_owned()
            }
            "env" => format!("set the environment variable `{name}`, or give a fallback: `${{{source}, 'value'}}`"),
            "opt" if name == "stage" || name == "region" => format!("set it with `--{name} VALUE`"),
            "opt" => format!("set it with `--opt {name}=VALUE`"),
            "param" => format!("set it with `--param {name}=VALUE`"),
            _ => return None,
        })
    }

    fn file(&mut self, source: &str, file: &str, address: &str) -> Found {
        let path: PathBuf = self.folder.join(file).components().collect();
        let content = match self.contents.get(&path) {
            Some(content) => content.clone(),
            None => {
                let content = read(&path, source, &mut self.files).map(Arc::new);
                self.contents.insert(path, content.clone());
                content
            }
        };
        match content {
            Ok(node) => {
                let path: Vec<&str> = if address.is_empty() { Vec::new() } else { address.split('.').collect() };
                self.follow(&node, &path)
            }
            Err(unknown) => Found::Unknown(unknown),
        }
    }

    /// Resolves variables within a variable, which must be texts.
    fn plain_text(&mut self, place: &Place, text: &str) -> Result<String, Unknown> {
        if !text.contains("${") {
            return Ok(quoted(text.trim()).unwrap_or(text).to_owned());
        }
        match self.text(place, text)?.value {
            Value::Scalar(scalar) => Ok(scalar.text.into_string()),
            Value::Unknown(unknown) => Err(unknown),
            Value::List(_) | Value::Map(_) => Err(invalid(format!("`{text}` is not a text"))),
        }
    }
}

/// Reads a file. One that does not exist has no value, so that a fallback applies.
fn read(path: &Path, source: &str, files: &mut Files) -> Result<Node, Unknown> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let name = path.to_string_lossy();
    if matches!(extension, "js" | "cjs" | "mjs" | "ts") {
        return Err(unavailable(source, "code is not executed"));
    }
    let start = Place { file: files.add(&name), line: 1, column: 1 };
    // One that is not there, or a folder.
    if !path.is_file() {
        return Ok(Node::plain(start, ""));
    }
    let text = super::text(path).map_err(|error| invalid(format!("cannot read `{name}`: {error}")))?;
    match extension {
        "yml" | "yaml" | "json" | "tfstate" => {
            node::parse(&text, start.file, &FRAMEWORK).map(|(node, _)| node).map_err(|malformed| {
                invalid(format!("{}: {}", files.shown(malformed.place.unwrap_or(start)), malformed.message))
            })
        }
        _ => Ok(Node::quoted(start, text)),
    }
}

fn invalid(why: String) -> Unknown {
    Unknown::error(why)
}

fn unavailable(source: &str, why: &str) -> Unknown {
    let hint = Some("write the value, or take it from `${env:...}`, `${opt:...}` or `${param:...}`".to_owned());
    Unknown { written: format!("${{{source}}}"), hint, ..Unknown::elsewhere(why) }
}

/// Turns a missing value into [`Found::Nothing`], so that the next source is tried. Errors stay.
fn or_nothing(unknown: Unknown) -> Result<Found, Unknown> {
    if unknown.is_error { Err(unknown) } else { Ok(Found::Nothing) }
}

/// Returns the text within quotes of either kind.
fn quoted(text: &str) -> Option<&str> {
    let within = |quote| text.strip_prefix(quote).and_then(|text: &str| text.strip_suffix(quote));
    within('\'').or_else(|| within('"'))
}

/// Splits at the closing `)`.
fn inner_and_rest(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (index, character) in text.char_indices() {
        match character {
            '(' | '{' => depth += 1,
            ')' if depth == 0 => return Some((text.get(..index)?, text.get(index + 1..)?)),
            ')' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// `${Name}` and `${AWS::Region}` are CloudFormation's, `${!x}` escapes them: no variables here.
fn parts(text: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    // The literal text begins at `begin`; the text behind `at` has not been searched.
    let (mut begin, mut at) = (0, 0);
    let between = |begin, end| text.get(begin..end).unwrap_or_default();
    while let Some((before, inner)) = between(at, text.len()).split_once("${") {
        let start = at + before.len();
        let Some(length) = closing(inner) else {
            if is_variable(inner) {
                return Err(format!("`{}` has no `}}`", excerpt(between(start, text.len()))));
            }
            break;
        };
        let variable = inner.get(..length).unwrap_or_default();
        at = start + "${".len() + length + "}".len();
        if !is_variable(variable) || between(0, start).ends_with('\\') {
            continue;
        }
        if begin < start {
            parts.push(Part::Text(between(begin, start)));
        }
        parts.push(Part::Variable(variable));
        begin = at;
    }
    if begin < text.len() {
        parts.push(Part::Text(between(begin, text.len())));
    }
    Ok(parts)
}

/// A source's name begins with a small letter and is followed by `:` or `(` (`isType` in the framework's parser); `::`
/// is CloudFormation's.
fn is_variable(inner: &str) -> bool {
    let inner = inner.trim_start();
    let ends = inner.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(ends);
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && (rest.starts_with('(') || (rest.starts_with(':') && !rest.starts_with("::")))
}

/// Returns the index of the closing `}`, skipping those in quotes and of inner variables.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut before = ' ';
    for (index, character) in text.char_indices() {
        match (character, quote) {
            (character, Some(open)) if character == open => quote = None,
            // An apostrophe within a word quotes nothing.
            ('\'' | '"', None) if matches!(before, ' ' | ',' | '(' | '{') => quote = Some(character),
            ('{', _) if before == '$' => depth += 1,
            ('}', _) if depth > 0 => depth -= 1,
            ('}', None) => return Some(index),
            _ => {}
        }
        before = character;
    }
    None
}

/// Splits at each separator outside quotes, parentheses and inner variables.
fn split(text: &str, separator: char) -> Result<Vec<&str>, String> {
    let mut pieces = Vec::new();
    let (mut begin, mut depth, mut quote) = (0, 0_usize, None);
    for (index, character) in text.char_indices() {
        match (character, quote) {
            (character, Some(open)) if character == open => quote = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) => quote = Some(character),
            ('{' | '(', None) => depth += 1,
            ('}' | ')', None) => depth = depth.saturating_sub(1),
            (character, None) if character == separator && depth == 0 => {
                pieces.push(text.get(begin..index).unwrap_or_default());
                begin = index + character.len_utf8();
            }
            _ => {}
        }
    }
    if quote.is_some() {
        return Err(format!("`${{{text}}}` has a quote that does not end"));
    }
    pieces.push(text.get(begin..).unwrap_or_default());
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value at `x` of a file, as text, or what is wrong with it.
    fn x(text: &str) -> Result<String, String> {
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let options = Options {
            stage: Some("prod".to_owned()),
            options: [("o", "option"), ("key", "b")].map(pair).into(),
            parameters: [("p", "given")].map(pair).into(),
            environment: [("E", "environment"), ("EMPTY", "")].map(pair).into(),
            ..Options::default()
        };
        let (root, _) = node::parse(text, 0, &FRAMEWORK).unwrap();
        let mut variables = Variables::new(root, Path::new("/nowhere"), &options, Files::default());
        match variables.at(&["x"]).map(|node| node.value) {
            Some(Value::Scalar(scalar)) => Ok(scalar.text.into_string()),
            Some(Value::List(items)) => Ok(format!("{} items", items.len())),
            Some(Value::Map(members)) => Ok(format!("{} members", members.len())),
            Some(Value::Unknown(unknown)) => Err(unknown.why),
            None => Err("nothing".to_owned()),
        }
    }

    #[test]
    fn sources_and_fallbacks() {
        for (text, value) in [
            ("x: '${env:E}'", "environment"),
            ("x: '<${env:E}|${opt:o}>'", "<environment|option>"),
            ("x: '${env:EMPTY}'", ""),
            ("x: '${env:NO, opt:no, self:a.b, \"last\"}'\na: { b: 1 }", "1"),
            ("x: '${env:NO, ''a, b''}'", "a, b"),
            ("x: '${env:NO, ${env:ALSO_NO, ''inner''}}'", "inner"),
            ("x: '${env:NO, ''<${env:E}>''}'", "<environment>"),
            ("x: '${opt:no, 5}'", "5"),
            ("x: '${opt:no, true}'", "true"),
            ("x: '${self:a.${opt:key}}'\na: { b: 2 }", "2"),
            ("x: '${self:${self:where}.b}'\nwhere: a\na: { b: 3 }", "3"),
            ("x: '${self:a}'\na: { b: 1, c: 2 }", "2 members"),
            ("x: '${self:a.b.1}'\na: { b: [zero, one] }", "one"),
            ("x: '${self:a.c}'\na: '${self:b}'\nb: { c: through }", "through"),
            ("x: '${sls:stage} ${opt:stage}'", "prod prod"),
            (
                "x: '${self:a.c}'\na: '${self:b}'\nb: { c: '${self:a.d}', d: a part refers to another }",
                "a part refers to another",
            ),
            ("x: '${aws:region}'\nprovider: { region: eu-west-1 }", "eu-west-1"),
            (
                "x: '${param:p} ${param:q} ${param:r}'\nparams: { prod: { p: 0, q: of-stage }, default: { q: 0, r: of-all } }",
                "given of-stage of-all",
            ),
            ("x: '${strToBool(1)} ${strToBool(${env:NO, ''FALSE''})}'", "true false"),
            ("x: '${file(none.yml), ''no file''}'", "no file"),
            ("x: '${file(none.yml):a.b, ''no file''}'", "no file"),
            ("x: '${AWS::Region} ${Name} ${!Literal}'", "${AWS::Region} ${Name} ${!Literal}"),
            ("x: \"it's ${env:E}\"", "it's environment"),
        ] {
            assert_eq!(x(text), Ok(value.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_says_why() {
        for (text, why) in [
            ("x: '${env:NO}'", "none of its sources has a value"),
            ("x: '${ssm:/a, ''fallback''}'", "only AWS knows its value"),
            ("x: '${sls:instanceId}'", "only a deployment has it"),
            ("x: '${file(a.js):b}'", "code is not executed"),
            ("x: '${self:x}'", "the variables are circular: `${self:x}` -> `${self:x}`"),
            ("x: 'a${self:a}'\na: { b: c }", "`${self:a}` is not a text, so it cannot be part of one"),
            ("x: '${self:a'", "`${self:a` has no `}`"),
            ("x: '${env:NO, ''a}'", "`${env:NO, 'a}` has no `}`"),
            ("x: '${what:ever}'", "`what:ever`: unknown variable source `what`"),
            ("x: '${file(a.yml}'", "`file(a.yml` has no `)`"),
            ("x: '${strToBool(maybe)}'", "`strToBool` accepts true, false, 1 or 0, not `maybe`"),
        ] {
            assert_eq!(x(text), Err(why.to_owned()), "{text}");
        }
    }
}
