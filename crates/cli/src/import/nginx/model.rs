//! The meaning of NGINX's directives: servers, locations, upstreams, and the variables of `map` and `split_clients`.
//!
//! Owns which directives mean something, and their inheritance. `reading` builds it from the tree; `choice` follows NGINX's order
//! of precedence.

use std::collections::BTreeMap;

use super::syntax::Place;
use super::text::Text;

/// All that a file says about requests.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) servers: Vec<Server>,
    pub(crate) upstreams: BTreeMap<String, Upstream>,
    pub(crate) variables: BTreeMap<String, Variable>,
}

/// A variable whose value depends on others.
#[derive(Debug)]
pub(crate) enum Variable {
    Map(Map),
    Split(Split),
}

/// `map`.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) place: Place,
    pub(crate) source: Text,
    pub(crate) has_hostnames: bool,
    pub(crate) entries: Vec<(Key, Text)>,
    pub(crate) default: Text,
}

/// A value that `map` compares its source with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Key {
    /// Ignores case.
    Exact(String),
    /// With `hostnames`: a name that begins or ends with `*`, or begins with a dot.
    Mask(String),
    Regex(Pattern),
}

/// `split_clients`: parts in hundredths of a percent.
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) place: Place,
    pub(crate) key: Text,
    pub(crate) parts: Vec<(u32, Text)>,
}

#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) place: Place,
    pub(crate) servers: Vec<UpstreamServer>,
    /// The value that always gets the same server.
    pub(crate) hash: Option<Text>,
}

#[derive(Debug)]
pub(crate) struct UpstreamServer {
    pub(crate) place: Place,
    pub(crate) address: String,
    pub(crate) weight: u32,
    pub(crate) is_backup: bool,
    pub(crate) max_fails: Option<u32>,
    pub(crate) fail_timeout: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) place: Place,
    pub(crate) names: Vec<Name>,
    pub(crate) is_default: bool,
    /// Clients reach it with http, with https, or with both.
    pub(crate) is_http: bool,
    pub(crate) is_https: bool,
    pub(crate) block: Block,
}

/// A name of a server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Name {
    Exact(String),
    /// `*.example.com` as `.example.com`.
    Leading(String),
    /// `www.example.*` as `www.example.`.
    Trailing(String),
    Regex(Pattern),
}

/// A regex as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pattern {
    pub(crate) source: String,
    pub(crate) ignores_case: bool,
}

#[derive(Debug)]
pub(crate) struct Location {
    pub(crate) place: Place,
    pub(crate) matcher: Matcher,
    pub(crate) block: Block,
}

/// The requests that a location is for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Matcher {
    Exact(String),
    Prefix { path: String, no_regex: bool },
    Regex(Pattern),
}

/// The content of a server or of a location.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) settings: Settings,
    pub(crate) steps: Vec<Step>,
    pub(crate) proxy: Option<ProxyPass>,
    /// Another way to respond, which Crossfade lacks.
    pub(crate) content: Option<Foreign>,
    pub(crate) is_internal: bool,
    pub(crate) locations: Vec<Location>,
}

/// A directive that Crossfade cannot follow, and the reason.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Foreign {
    pub(crate) place: Place,
    pub(crate) shown: String,
    pub(crate) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProxyPass {
    pub(crate) place: Place,
    pub(crate) url: Text,
}

/// A directive of the rewrite module, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Return { place: Place, status: u16, text: Option<Text> },
    Rewrite { place: Place, regex: Pattern, replacement: Text, flag: Flag },
    If { place: Place, condition: Test, steps: Vec<Step>, proxy: Option<ProxyPass> },
    Break,
    Foreign(Foreign),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    Last,
    Break,
    Redirect,
    Permanent,
}

/// A condition of `if`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Test {
    pub(crate) variable: String,
    pub(crate) is_negated: bool,
    pub(crate) kind: TestKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TestKind {
    /// Neither empty nor `0`.
    True,
    Equals(Text),
    Matches(Pattern),
}

/// Directives that blocks inherit, unless they have some of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    pub(crate) add_header: Vec<(String, Text, Place)>,
    pub(crate) set_header: Vec<(String, Text, Place)>,
    pub(crate) hide_header: Vec<String>,
    pub(crate) connect_timeout: Option<String>,
    pub(crate) read_timeout: Option<String>,
    pub(crate) redirect: Redirects,
    pub(crate) sub_filters: Vec<(Text, Text, Place)>,
    pub(crate) sub_filter_types: Vec<String>,
    pub(crate) mirrors: Vec<(String, Place)>,
    pub(crate) default_type: Option<String>,
    /// `allow` (true) and `deny`; `None` for all addresses.
    pub(crate) access: Vec<(bool, Option<String>)>,
    pub(crate) protection: Option<Foreign>,
    /// `root` and the like of an outer block, for locations without a response of their own.
    pub(crate) files: Option<Foreign>,
}

/// `proxy_redirect`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Redirects {
    #[default]
    Default,
    Off,
    Replace(Vec<(Text, Text, Place)>),
}

impl Model {
    /// Returns true if a server, a location or another variable uses the variable.
    pub(crate) fn uses(&self, name: &str) -> bool {
        let of_text = |text: &Text| text.variables().any(|variable| variable == name);
        let of_variable = |variable: &Variable| match variable {
            Variable::Map(map) => {
                of_text(&map.source) || of_text(&map.default) || map.entries.iter().any(|(_, text)| of_text(text))
            }
            Variable::Split(split) => split.parts.iter().any(|(_, text)| of_text(text)),
        };
        let mut blocks: Vec<&Block> = self.servers.iter().map(|server| &server.block).collect();
        let mut is_used = self.variables.values().any(of_variable);
        while let Some(block) = blocks.pop().filter(|_| !is_used) {
            is_used = block.proxy.iter().any(|proxy| of_text(&proxy.url)) || steps_use(&block.steps, name);
            blocks.extend(block.locations.iter().map(|location| &location.block));
        }
        is_used
    }
}

fn steps_use(steps: &[Step], name: &str) -> bool {
    let of_text = |text: &Text| text.variables().any(|variable| variable == name);
    steps.iter().any(|step| match step {
        Step::Return { text, .. } => text.iter().any(of_text),
        Step::Rewrite { replacement, .. } => of_text(replacement),
        Step::If { condition, steps, proxy, .. } => {
            condition.variable == name || proxy.iter().any(|proxy| of_text(&proxy.url)) || steps_use(steps, name)
        }
        Step::Break | Step::Foreign(_) => false,
    })
}
