//! Listener rules from a Serverless Framework file: the `alb` events of its functions. Owns which parts of such a file
//! count and how its mistakes are told. What a condition may hold is `crossfade-rule`'s; variables (`${...}`) are resolved
//! by nobody here, so they are refused where they would matter.

mod node;

use crossfade_event::HeaderMode;
use crossfade_rule::{Condition, check_quotas};
use serde::Deserialize;
use thiserror::Error;

use node::{Node, Value};

/// A listener rule that forwards to a function.
#[derive(Clone, Debug)]
pub struct ListenerRule {
    /// 1 to 50000; the lowest is looked at first.
    pub priority: u32,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// The header mode of the rule's target group.
    pub mode: HeaderMode,
    /// The function that the rule names.
    pub function: String,
}

/// ALB's range of priorities.
const PRIORITIES: std::ops::RangeInclusive<u32> = 1..=50_000;
/// What an `alb` event may have besides what is read here: it changes nothing for a local load balancer.
const IGNORED_KEYS: [&str; 4] = ["authorizer", "healthCheck", "listenerArn", "targetGroupName"];

/// Why a file gives no rules. The message has the file, the line, the function and the event, as far as they are known.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerlessError {
    /// Not YAML.
    #[error("{file}: {message}")]
    Yaml {
        /// The file.
        file: String,
        /// The parser's words, with the line.
        message: String,
    },
    /// Nothing to read rules from.
    #[error("{file}: no `alb` event in any function; rules come from `functions.<name>.events: - alb: ...`")]
    NoRules {
        /// The file.
        file: String,
    },
    /// `functions` is not what it should be.
    #[error("{file}:{line}: {problem}")]
    Functions {
        /// The file.
        file: String,
        /// Counting from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// An `alb` event that an ALB, or this emulator, could not take.
    #[error("{file}:{line}: function `{function}`, event {event}: {problem}")]
    Event {
        /// The file.
        file: String,
        /// Counting from 1.
        line: u64,
        /// The function's key under `functions`.
        function: String,
        /// The position among the function's events, counting from 1.
        event: usize,
        /// What is wrong.
        problem: String,
    },
}

/// Reads the rules of all `alb` events of all functions, in the order of the file. `file_name` is for messages only.
///
/// As the framework does: each condition may be one value or a list, `header` one header or a list of them (each a condition
/// of its own), and all keys of `query` together are ONE condition, of which any may match.
///
/// # Errors
///
/// The first mistake, see [`ServerlessError`].
pub fn read(text: &str, file_name: &str) -> Result<Vec<ListenerRule>, ServerlessError> {
    let file = || file_name.to_owned();
    // As the framework's own parser: `yes` and `no` are strings.
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    let document: Document = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let message = error.to_string();
        ServerlessError::Yaml { file: file(), message: message.lines().collect::<Vec<_>>().join(" ") }
    })?;
    let functions =
        match document.functions {
            Some(functions) => functions_of(functions)
                .map_err(|Mistake { line, problem }| ServerlessError::Functions { file: file(), line, problem })?,
            None => Vec::new(),
        };

    let mut rules: Vec<ListenerRule> = Vec::new();
    for (function, definition) in functions {
        let events = alb_events(&function, definition)
            .map_err(|Mistake { line, problem }| ServerlessError::Functions { file: file(), line, problem })?;
        for AlbEvent { event, line, alb } in events {
            let rule = read_event(&function, line, alb)
                .and_then(|rule| match rules.iter().find(|other| other.priority == rule.priority) {
                    Some(other) => mistake(
                        line,
                        format!(
                            "priority {} is already taken by function `{}`; all rules go to one listener here, and the \
                             priorities of a listener must differ",
                            rule.priority, other.function
                        ),
                    ),
                    None => Ok(rule),
                })
                .map_err(|Mistake { line, problem }| {
                    let function = function.clone();
                    ServerlessError::Event { file: file(), line, function, event, problem }
                })?;
            rules.push(rule);
        }
    }
    if rules.is_empty() { Err(ServerlessError::NoRules { file: file() }) } else { Ok(rules) }
}

/// All else in the file is skipped unread.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    functions: Option<Node>,
}

struct Mistake {
    line: u64,
    problem: String,
}

fn mistake<T>(line: u64, problem: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { line, problem: problem.into() })
}

/// `functions` is a map, or a list of maps, of which some may be in other files.
fn functions_of(node: Node) -> Result<Vec<(String, Node)>, Mistake> {
    match node.value {
        Value::Null => Ok(Vec::new()),
        Value::Map(functions) => Ok(functions),
        Value::List(parts) => {
            let parts: Vec<_> = parts.into_iter().map(functions_of).collect::<Result<_, _>>()?;
            Ok(parts.into_iter().flatten().collect())
        }
        Value::Scalar(text) if is_variable(&text) => mistake(
            node.line,
            format!("`functions` is `{text}`, variables are not resolved here; name the file that holds them"),
        ),
        Value::Scalar(_) => mistake(node.line, "`functions` must be a map of functions"),
    }
}

/// An `alb` event: its number among all events of its function, its line, what it holds.
struct AlbEvent {
    event: usize,
    line: u64,
    alb: Node,
}

/// The `alb` events of a function, with their position among all its events and their line.
///
/// A variable in the place of any of these may stand for rules, which must not be lost without a word.
fn alb_events(function: &str, definition: Node) -> Result<Vec<AlbEvent>, Mistake> {
    let refuse_variable = |node: &Node| match &node.value {
        Value::Scalar(text) if is_variable(text) => mistake(
            node.line,
            format!(
                "function `{function}` has `{text}`, variables are not resolved here; write out what it stands for"
            ),
        ),
        _ => Ok(()),
    };
    refuse_variable(&definition)?;
    let Value::Map(members) = definition.value else { return Ok(Vec::new()) };
    let Some((_, events)) = members.into_iter().find(|(key, _)| key == "events") else { return Ok(Vec::new()) };
    refuse_variable(&events)?;
    let Value::List(events) = events.value else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (index, event) in events.into_iter().enumerate() {
        refuse_variable(&event)?;
        if let Value::Map(kinds) = event.value {
            let alb = kinds.into_iter().find(|(kind, _)| kind == "alb");
            found.extend(alb.map(|(_, alb)| AlbEvent { event: index + 1, line: event.line, alb }));
        }
    }
    Ok(found)
}

fn read_event(function: &str, line: u64, alb: Node) -> Result<ListenerRule, Mistake> {
    let members = map("alb", alb)?;
    let mut priority = None;
    let mut conditions = None;
    let mut mode = HeaderMode::Single;
    for (key, node) in members {
        match key.as_str() {
            "priority" => priority = Some(read_priority(node)?),
            "conditions" => conditions = Some(read_conditions(node)?),
            "multiValueHeaders" => mode = read_mode(node)?,
            ignored if IGNORED_KEYS.contains(&ignored) => {}
            unknown => {
                let known =
                    "priority, conditions, multiValueHeaders, listenerArn, healthCheck, targetGroupName, authorizer";
                return mistake(node.line, format!("`alb` has no key `{unknown}`; it has {known}"));
            }
        }
    }
    let Some(priority) = priority else { return mistake(line, "`priority` is missing") };
    let Some(conditions) = conditions else { return mistake(line, "`conditions` is missing") };
    Ok(ListenerRule { priority, conditions, mode, function: function.to_owned() })
}

fn read_priority(node: Node) -> Result<u32, Mistake> {
    let line = node.line;
    let text = scalar("priority", node)?;
    match text.parse() {
        Ok(priority) if PRIORITIES.contains(&priority) => Ok(priority),
        _ => mistake(line, format!("`priority` is `{text}`, it must be a number from 1 to 50000")),
    }
}

fn read_mode(node: Node) -> Result<HeaderMode, Mistake> {
    let line = node.line;
    match scalar("multiValueHeaders", node)?.as_str() {
        "true" => Ok(HeaderMode::Multi),
        "false" => Ok(HeaderMode::Single),
        other => mistake(line, format!("`multiValueHeaders` is `{other}`, it must be true or false")),
    }
}

fn read_conditions(node: Node) -> Result<Vec<Condition>, Mistake> {
    let line = node.line;
    let mut conditions = Vec::new();
    for (key, node) in map("conditions", node)? {
        let at = node.line;
        let refused = |error: crossfade_rule::ConditionError| Mistake { line: at, problem: error.to_string() };
        match key.as_str() {
            "host" => conditions.push(Condition::host(values("host", node)?).map_err(refused)?),
            "path" => conditions.push(Condition::path(values("path", node)?).map_err(refused)?),
            "method" => conditions.push(Condition::method(values("method", node)?).map_err(refused)?),
            "ip" => conditions.push(Condition::ip(values("ip", node)?).map_err(refused)?),
            "header" => match node.value {
                Value::List(headers) => {
                    for header in headers {
                        conditions.push(read_header(header)?);
                    }
                }
                _ => conditions.push(read_header(node)?),
            },
            "query" => {
                let mut pairs = Vec::new();
                for (key, node) in map("query", node)? {
                    not_variable("query", at, &key)?;
                    pairs.extend(values("query", node)?.into_iter().map(|value| (Some(key.clone()), value)));
                }
                conditions.push(Condition::query(pairs).map_err(refused)?);
            }
            unknown => {
                let known = "host, path, method, header, query, ip";
                return mistake(at, format!("`conditions` has no key `{unknown}`; it has {known}"));
            }
        }
    }
    check_quotas(&conditions).or_else(|error| mistake(line, error.to_string()))?;
    Ok(conditions)
}

fn read_header(node: Node) -> Result<Condition, Mistake> {
    let line = node.line;
    let (mut name, mut compared) = (None, None);
    for (key, node) in map("header", node)? {
        match key.as_str() {
            "name" => name = Some(scalar("header", node)?),
            "values" => compared = Some(values("header", node)?),
            unknown => return mistake(node.line, format!("`header` has no key `{unknown}`; it has name, values")),
        }
    }
    let (Some(name), Some(compared)) = (name, compared) else {
        return mistake(line, "`header` needs `name` and `values`");
    };
    Condition::header(&name, compared).or_else(|error| mistake(line, error.to_string()))
}

/// One value or a list of them.
fn values(key: &str, node: Node) -> Result<Vec<String>, Mistake> {
    match node.value {
        Value::List(nodes) => nodes.into_iter().map(|node| scalar(key, node)).collect(),
        _ => Ok(vec![scalar(key, node)?]),
    }
}

fn scalar(key: &str, node: Node) -> Result<String, Mistake> {
    match node.value {
        Value::Scalar(text) => {
            not_variable(key, node.line, &text)?;
            Ok(text)
        }
        other => mistake(node.line, format!("`{key}` has {} where a value belongs", other.describe())),
    }
}

fn map(key: &str, node: Node) -> Result<Vec<(String, Node)>, Mistake> {
    match node.value {
        Value::Map(members) => Ok(members),
        Value::Scalar(text) => {
            not_variable(key, node.line, &text)?;
            mistake(node.line, format!("`{key}` is `{text}`, it must be a map"))
        }
        other => mistake(node.line, format!("`{key}` is {}, it must be a map", other.describe())),
    }
}

fn not_variable(key: &str, line: u64, text: &str) -> Result<(), Mistake> {
    if is_variable(text) {
        return mistake(
            line,
            format!("`{key}` holds the variable `{text}`, which is not resolved here; write the value"),
        );
    }
    Ok(())
}

fn is_variable(text: &str) -> bool {
    text.contains("${")
}
