//! Reads the directives of a tree into a [`Model`]. Owns which directives are known in which block, and the inheritance of settings;
//! what it does not know becomes a finding. `upstreams` reads the blocks without locations.

use super::directives;
use super::model::{
    Block, Flag, Foreign, Location, Matcher, Model, Name, Pattern, ProxyPass, Redirects, Server, Settings, Step, Test,
    TestKind,
};
use super::syntax::{Directive, Place, Tree};
use super::text::Text;
use super::upstreams;
use crate::import::findings::{Findings, Kind};

pub(super) fn read(tree: &Tree, findings: &mut Findings) -> Model {
    for (include, reason) in &tree.missing {
        // Types of files, and parameters of FastCGI.
        let is_needed = !["mime.types", "_params"].iter().any(|end| include.word(0).ends_with(end));
        match is_needed {
            true => findings.not_imported(include, reason),
            false => findings.add(Kind::NotNeeded, at(include.place), &include.shown(), "Crossfade serves no files"),
        }
    }
    let mut reader = Reader { model: Model::default(), findings };
    // A file of `sites-available` has no `http`.
    reader.http(&tree.directives, &Settings::default());
    reader.model
}

pub(super) fn at(place: Place) -> (usize, usize, usize) {
    (place.file, place.line, place.column)
}

impl Findings {
    pub(super) fn not_imported(&mut self, directive: &Directive, reason: &str) {
        self.add(Kind::NotImported, at(directive.place), &directive.shown(), reason);
    }

    /// A directive without a meaning of its own here.
    pub(super) fn other(&mut self, directive: &Directive) {
        match directives::not_needed(&directive.name) {
            Some(reason) => self.add(Kind::NotNeeded, at(directive.place), &directive.shown(), reason),
            None => self.not_imported(directive, directives::not_imported(&directive.name)),
        }
    }
}

struct Reader<'f> {
    model: Model,
    findings: &'f mut Findings,
}

impl Reader<'_> {
    fn http(&mut self, directives: &[Directive], inherited: &Settings) {
        let settings = self.settings(directives, inherited);
        for directive in directives {
            let Some(block) = &directive.block else {
                if !is_setting(directive) {
                    self.findings.other(directive);
                }
                continue;
            };
            match &*directive.name {
                "http" => self.http(block, &settings),
                "server" => self.server(directive, block, &settings),
                "upstream" => {
                    let upstream = upstreams::upstream(directive, block, self.findings);
                    self.model.upstreams.insert(directive.word(0).to_owned(), upstream);
                }
                "map" => upstreams::map(directive, block, &mut self.model, self.findings),
                "split_clients" => upstreams::split(directive, block, &mut self.model, self.findings),
                _ => self.findings.other(directive),
            }
        }
    }

    fn server(&mut self, directive: &Directive, block: &[Directive], inherited: &Settings) {
        let mut server = Server {
            place: directive.place,
            names: Vec::new(),
            is_default: false,
            is_http: false,
            is_https: false,
            block: Block::default(),
        };
        for inner in block {
            match &*inner.name {
                "server_name" => server.names.extend(inner.words.iter().flat_map(|word| names(&word.text))),
                "listen" => {
                    let words = || inner.words.iter().map(|word| &*word.text);
                    server.is_default |= words().any(|word| word == "default_server" || word == "default");
                    let is_https =
                        words().any(|word| word == "ssl" || word == "quic") || inner.word(0).ends_with("443");
                    server.is_https |= is_https;
                    server.is_http |= !is_https;
                    self.findings.other(inner);
                }
                "ssl" => server.is_https |= inner.word(0) == "on",
                _ => {}
            }
        }
        // Without `listen` it listens on port 80.
        server.is_http |= !server.is_https;
        server.block = self.block(block, inherited, "");
        self.model.servers.push(server);
    }

    /// The content of a server, or of a location with the path or regex `outer`.
    fn block(&mut self, directives: &[Directive], inherited: &Settings, outer: &str) -> Block {
        let settings = self.settings(directives, inherited);
        let mut block = Block { settings, ..Block::default() };
        for directive in directives {
            match (&*directive.name, &directive.block) {
                ("server_name" | "listen", None) => {}
                ("location", Some(inner)) => self.location(directive, inner, &mut block, outer),
                ("proxy_pass", None) => {
                    block.proxy = Some(ProxyPass { place: directive.place, url: Text::parse(directive.word(0)) });
                }
                ("internal", None) => block.is_internal = true,
                ("return" | "rewrite" | "break" | "if", _) => {
                    let step = self.step(directive);
                    block.steps.push(step);
                }
                ("set", None) => block.steps.push(Step::Foreign(foreign(directive, directives::not_imported("set")))),
                (name, _) if is_setting(directive) || directives::protects(name).is_some() => {}
                (name, _) => match directives::serves(name) {
                    Some(reason) => {
                        let found = foreign(directive, reason);
                        // A location inherits `root`, but no other way to respond.
                        if name != "root" {
                            block.content.get_or_insert(found);
                        }
                    }
                    None => self.findings.other(directive),
                },
            }
        }
        block
    }

    fn location(&mut self, directive: &Directive, inner: &[Directive], block: &mut Block, outer: &str) {
        let (operator, text) = match directive.words.as_slice() {
            [path] => match path.text.char_indices().find(|(_, c)| !"=~^*".contains(*c)) {
                // `location =/x` and `location ~\.php$` are one word.
                Some((at, _)) if at > 0 => path.text.split_at(at),
                _ => ("", &*path.text),
            },
            [operator, path] => (&*operator.text, &*path.text),
            _ => return self.findings.not_imported(directive, "a location has a path"),
        };
        let regex = |ignores_case| Matcher::Regex(Pattern { source: text.to_owned(), ignores_case });
        let matcher = match operator {
            "" if text.starts_with('@') => {
                return self
                    .findings
                    .not_imported(directive, "`error_page` and `try_files` use it, which are not imported");
            }
            "" => Matcher::Prefix { path: text.to_owned(), no_regex: false },
            "^~" => Matcher::Prefix { path: text.to_owned(), no_regex: true },
            "=" => Matcher::Exact(text.to_owned()),
            "~" => regex(false),
            "~*" => regex(true),
            _ => return self.findings.not_imported(directive, "an unknown modifier"),
        };
        if !matches!(matcher, Matcher::Regex(_)) && !text.starts_with(outer) {
            return self.findings.not_imported(directive, "it is outside the location around it, so NGINX rejects it");
        }
        let block_of_location = self.block(inner, &block.settings, text);
        block.locations.push(Location { place: directive.place, matcher, block: block_of_location });
    }

    fn step(&mut self, directive: &Directive) -> Step {
        let place = directive.place;
        let unsupported = |reason| Step::Foreign(foreign(directive, reason));
        match &*directive.name {
            "break" => Step::Break,
            "return" => match (directive.word(0).parse(), directive.words.as_slice()) {
                (Ok(status), [_]) => Step::Return { place, status, text: None },
                (Ok(status), [_, text]) => Step::Return { place, status, text: Some(Text::parse(&text.text)) },
                (Err(_), [url]) => Step::Return { place, status: 302, text: Some(Text::parse(&url.text)) },
                _ => unsupported("expected a status, and a URL or a text"),
            },
            "rewrite" => {
                let regex = Pattern { source: directive.word(0).to_owned(), ignores_case: false };
                let replacement = directive.word(1);
                let is_url = ["http://", "https://", "$scheme"].iter().any(|start| replacement.starts_with(start));
                let flag = match directive.word(2) {
                    "permanent" => Flag::Permanent,
                    "redirect" => Flag::Redirect,
                    _ if is_url => Flag::Redirect,
                    "break" => Flag::Break,
                    // Without a flag, the next directives see the new path, and then a location is chosen again.
                    _ => Flag::Last,
                };
                Step::Rewrite { place, regex, replacement: Text::parse(replacement), flag }
            }
            "if" => {
                let Some(condition) = condition(directive) else {
                    return unsupported("such a condition is not supported");
                };
                let (mut steps, mut proxy) = (Vec::new(), None);
                for inner in directive.block.iter().flatten() {
                    match (&*inner.name, &inner.block) {
                        ("return" | "rewrite" | "break", None) => steps.push(self.step(inner)),
                        ("proxy_pass", None) => {
                            proxy = Some(ProxyPass { place: inner.place, url: Text::parse(inner.word(0)) });
                        }
                        (name, _) if directives::not_needed(name).is_some() => self.findings.other(inner),
                        _ => {
                            let reason = "only `return`, `rewrite` and `proxy_pass` are supported in `if`";
                            steps.push(Step::Foreign(foreign(inner, reason)));
                        }
                    }
                }
                Step::If { place, condition, steps, proxy }
            }
            _ => unsupported("unknown"),
        }
    }

    /// The settings of a block: those of one kind replace the inherited ones, as in NGINX.
    fn settings(&mut self, directives: &[Directive], inherited: &Settings) -> Settings {
        let mut settings = inherited.clone();
        let of = |name: &'static str| directives.iter().filter(move |directive| directive.name == name);
        if of("add_header").next().is_some() {
            let field = |it: &Directive| (it.word(0).to_owned(), Text::parse(it.word(1)), it.place);
            settings.add_header = of("add_header").map(field).collect();
            for directive in of("add_header").filter(|directive| directive.word(2) != "always") {
                let reason =
                    "NGINX adds the field to 2xx and 3xx responses only, since `always` is missing; Crossfade to all";
                self.findings.add(Kind::Differs, at(directive.place), &directive.shown(), reason);
            }
        }
        if of("proxy_set_header").next().is_some() {
            settings.set_header =
                of("proxy_set_header").map(|it| (it.word(0).to_owned(), Text::parse(it.word(1)), it.place)).collect();
        }
        if of("proxy_hide_header").next().is_some() {
            settings.hide_header = of("proxy_hide_header").map(|it| it.word(0).to_owned()).collect();
        }
        if of("sub_filter").next().is_some() {
            settings.sub_filters =
                of("sub_filter").map(|it| (Text::parse(it.word(0)), Text::parse(it.word(1)), it.place)).collect();
        }
        if of("mirror").next().is_some() {
            let paths = of("mirror").filter(|it| it.word(0) != "off");
            settings.mirrors = paths.map(|it| (it.word(0).to_owned(), it.place)).collect();
        }
        if of("proxy_redirect").next().is_some() {
            let mut pairs = Vec::new();
            settings.redirect = Redirects::Default;
            for it in of("proxy_redirect") {
                match (it.word(0), it.words.len()) {
                    ("off", 1) => settings.redirect = Redirects::Off,
                    ("default", 1) => {}
                    _ => pairs.push((Text::parse(it.word(0)), Text::parse(it.word(1)), it.place)),
                }
            }
            if !pairs.is_empty() {
                settings.redirect = Redirects::Replace(pairs);
            }
        }
        if directives.iter().any(|it| it.name == "allow" || it.name == "deny") {
            let rules = directives.iter().filter(|it| it.name == "allow" || it.name == "deny");
            settings.access =
                rules.map(|it| (it.name == "allow", (it.word(0) != "all").then(|| it.word(0).to_owned()))).collect();
        }
        for directive in directives {
            let word = || directive.word(0).to_owned();
            match &*directive.name {
                "proxy_connect_timeout" => settings.connect_timeout = Some(word()),
                "proxy_read_timeout" => {
                    settings.read_timeout = Some(word());
                    let reason = "NGINX limits the time between two reads, `backendRequest` the whole attempt";
                    self.findings.add(Kind::Differs, at(directive.place), &directive.shown(), reason);
                }
                "default_type" => settings.default_type = Some(word()),
                "sub_filter_types" => {
                    settings.sub_filter_types = directive.words.iter().map(|word| word.text.clone()).collect();
                }
                "root" => settings.files = directives::serves("root").map(|reason| foreign(directive, reason)),
                "auth_basic" | "auth_request" if word() == "off" => settings.protection = None,
                name => {
                    if let Some(reason) = directives::protects(name) {
                        let is_first = settings.protection.is_none();
                        if is_first && name != "satisfy" {
                            settings.protection = Some(foreign(directive, reason));
                        }
                        self.findings.not_imported(directive, reason);
                    }
                }
            }
        }
        settings
    }
}

/// Directives that [`Reader::settings`] reads.
fn is_setting(directive: &Directive) -> bool {
    const NAMES: [&str; 13] = [
        "add_header",
        "proxy_set_header",
        "proxy_hide_header",
        "sub_filter",
        "sub_filter_types",
        "mirror",
        "proxy_redirect",
        "allow",
        "deny",
        "proxy_connect_timeout",
        "proxy_read_timeout",
        "default_type",
        "root",
    ];
    NAMES.contains(&&*directive.name) || directives::protects(&directive.name).is_some()
}

fn foreign(directive: &Directive, reason: &'static str) -> Foreign {
    Foreign { place: directive.place, shown: directive.shown(), reason }
}

/// The names for which a word stands; none for the name of no request.
fn names(text: &str) -> Vec<Name> {
    let lower = text.to_ascii_lowercase();
    let name = match (&*lower, text.strip_prefix('~')) {
        ("" | "_", _) => return Vec::new(),
        // Names are compared in lower case.
        (_, Some(source)) => Name::Regex(Pattern { source: source.to_owned(), ignores_case: true }),
        (name, _) => match (name.strip_prefix('*'), name.strip_prefix('.'), name.strip_suffix('*')) {
            (Some(rest), ..) => Name::Leading(rest.to_owned()),
            (_, Some(rest), _) => return vec![Name::Exact(rest.to_owned()), Name::Leading(name.to_owned())],
            (.., Some(rest)) => Name::Trailing(rest.to_owned()),
            _ => Name::Exact(name.to_owned()),
        },
    };
    vec![name]
}

/// The condition of `if (…)`, whose words include the parentheses.
fn condition(directive: &Directive) -> Option<Test> {
    let mut words: Vec<String> = directive.words.iter().map(|word| word.text.clone()).collect();
    let first = words.first_mut()?;
    *first = first.strip_prefix('(')?.to_owned();
    let last = words.last_mut()?;
    *last = last.strip_suffix(')')?.to_owned();
    words.retain(|word| !word.is_empty() || directive.words.len() > 3);
    if words.last().is_some_and(String::is_empty) && words.len() > 3 {
        words.pop();
    }
    if words.first().is_some_and(String::is_empty) {
        words.remove(0);
    }
    let variable = words.first()?.strip_prefix('$')?.to_owned();
    if !variable.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let (operator, value) = match words.as_slice() {
        [_] => return Some(Test { variable, is_negated: false, kind: TestKind::True }),
        [_, operator, value] => (&**operator, value),
        _ => return None,
    };
    let regex = |ignores_case| TestKind::Matches(Pattern { source: value.clone(), ignores_case });
    let (is_negated, kind) = match operator {
        "=" => (false, TestKind::Equals(Text::parse(value))),
        "!=" => (true, TestKind::Equals(Text::parse(value))),
        "~" => (false, regex(false)),
        "~*" => (false, regex(true)),
        "!~" => (true, regex(false)),
        "!~*" => (true, regex(true)),
        _ => return None,
    };
    Some(Test { variable, is_negated, kind })
}
