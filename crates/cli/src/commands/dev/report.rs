//! Turns the emulator's notices into lines of the terminal, one for each request.
//!
//! Owns the wording, and pairs each request with the access log line that Crossfade's function wrote for it. It prints nothing
//! and reads no clock for decisions: `dev` passes the time and writes the lines.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossfade_emulator::{Exchange, Notice};
use crossfade_journal::comparison::{Against, Class, Difference, Record, Side, Verdict};
use crossfade_journal::{AccessRecord, Step};

use crate::inspector::Secrets;
use crate::terminal::{printable, without_colours};

/// Maximum wait of a finished request for its access log line, which arrives through another pipe.
const PATIENCE: Duration = Duration::from_secs(2);
/// Maximum number of access log lines that wait for their request, and of characters shown of one of their texts.
const MOST_EARLY: usize = 1000;
const LONGEST_TEXT: usize = 1000;
/// Maximum number of differences, and of skipped back ends, named in a line.
const MOST_NAMED: usize = 20;

/// The colours of the first two back ends of a configuration, usually the old and the new system: cyan and magenta, which
/// most people can tell apart and which say nothing about good and bad.
const BACKENDS: [&str; 2] = ["36", "35"];

/// One finished line without its line break.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// For standard output.
    Data(String),
    /// For standard error.
    Talk(String),
    /// A record of a function's output, for standard error. Each of its lines gets the prefix.
    Function { prefix: String, record: String },
}

/// The displayed part of an access log line.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Access {
    request_id: String,
    backend: Option<String>,
    error: Option<String>,
    /// The route, the reason for the target, the skipped back ends and the number of retries.
    way: Vec<String>,
}

impl Access {
    /// Parses a line of the function's output. Returns `None` if it is not an access log line.
    fn parse(line: &str) -> Option<Access> {
        let record: AccessRecord<'_> = serde_json::from_str(line).ok()?;
        let text = |text: Option<&Cow<'_, str>>| text.map(|text| cut(text));
        let error = match (text(record.error.as_ref()), text(record.detail.as_ref())) {
            (Some(kind), Some(detail)) => Some(format!("{kind}: {detail}")),
            (kind, detail) => kind.or(detail),
        };
        let way = Access::way(&record);
        Some(Access { request_id: cut(&record.request_id), backend: text(record.backend.as_ref()), error, way })
    }

    fn way(record: &AccessRecord<'_>) -> Vec<String> {
        let route = record.route.as_deref().filter(|route| *route != "default").map(cut);
        let steps = record.steps();
        let mut way: Vec<String> = match steps.as_slice() {
            // The line has the back end already.
            [Step { by, outcome: None, .. }] => {
                let by = by.filter(|by| *by != "only").map(cut);
                Some(route.into_iter().chain(by).collect::<Vec<_>>().join(", "))
                    .filter(|way| !way.is_empty())
                    .into_iter()
                    .collect()
            }
            steps => {
                route.into_iter().chain(steps.iter().take(MOST_NAMED).map(|step| cut(&step.to_string()))).collect()
            }
        };
        match record.retries {
            0 => {}
            1 => way.push("1 retry".to_owned()),
            retries => way.push(format!("{retries} retries")),
        }
        way
    }
}

/// A line of the function's about its live state.
#[derive(serde::Deserialize)]
struct LiveLine {
    version: Option<u32>,
    #[serde(default)]
    by: String,
    #[serde(default)]
    change: String,
    error: Option<String>,
}

impl LiveLine {
    /// The text for a line of the function's output; `None` if it is another one.
    fn text(line: &str) -> Option<String> {
        let is_one = line.starts_with('{') && line.contains(r#""type":"live""#);
        let LiveLine { version, by, change, error } = is_one.then(|| serde_json::from_str(line).ok())??;
        let version = version.map(|version| format!("version {version}"));
        Some(match (error, version) {
            (None, version) => format!("{} by {by}: {change}", version.unwrap_or_default()),
            (Some(error), Some(version)) => format!("{error}; {version} is in use"),
            (Some(error), None) => format!("{error}; the configuration file alone decides"),
        })
    }
}

/// A request whose access log line has not arrived yet.
struct Waiting {
    exchange: Exchange,
    until: Instant,
}

/// Pairs requests with their log lines and formats notices.
pub(super) struct Reporter {
    verbose: bool,
    expects_access: bool,
    shows_rule: bool,
    colour: bool,
    /// The configuration's back ends, in its order, which decides their colours.
    backends: Vec<String>,
    /// There are several functions, so that their output needs their names.
    names_functions: bool,
    /// The environments that have written something.
    talkers: BTreeSet<u32>,
    /// The kinds of warnings about replies, each with its function: the first text, and how often they have occurred.
    reply_warnings: BTreeMap<(String, String), (String, u64)>,
    /// The last text about the live state: each environment reports it.
    live: Option<String>,
    secrets: Secrets,
    stopping: bool,
    /// By Lambda's request id.
    waiting: BTreeMap<String, Waiting>,
    /// Lines that arrived before their exchange, or that have none, such as those of health checks. By request id, with the time
    /// at which each is dropped.
    early: BTreeMap<String, (Access, Instant)>,
}

impl Reporter {
    /// `expects_access`: the function writes access log lines. `shows_rule`: there are rules besides the default one.
    pub(super) fn new(verbose: bool, expects_access: bool, shows_rule: bool, colour: bool) -> Reporter {
        Reporter {
            verbose,
            expects_access,
            shows_rule,
            colour,
            backends: Vec::new(),
            names_functions: false,
            talkers: BTreeSet::new(),
            reply_warnings: BTreeMap::new(),
            live: None,
            secrets: Secrets::Masked,
            stopping: false,
            waiting: BTreeMap::new(),
            early: BTreeMap::new(),
        }
    }

    /// Sets whether query values are shown.
    pub(super) fn showing(self, show_secrets: bool) -> Reporter {
        Reporter { secrets: Secrets::of(show_secrets), ..self }
    }

    /// Sets whether function output needs the function's name.
    pub(super) fn naming_functions(self, names_functions: bool) -> Reporter {
        Reporter { names_functions, ..self }
    }

    /// Sets the back ends of the configuration, in its order.
    pub(super) fn set_backends(&mut self, backends: Vec<String>) {
        self.backends = backends;
    }

    /// From now on the end of a function process is not reported.
    pub(super) fn stopping(&mut self) {
        self.stopping = true;
    }

    /// The next time at which `overdue` has lines to print.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.values().map(|waiting| waiting.until).min()
    }

    /// Returns the lines to print for a notice.
    pub(super) fn tell(&mut self, notice: Notice, now: Instant) -> Vec<Line> {
        match notice {
            Notice::Exchange(exchange) => self.exchange(*exchange, now),
            Notice::FunctionLine { environment, function, line, .. } => {
                self.function_line(environment, &function, &line, now)
            }
            Notice::Started { environment, init, .. } if self.verbose => {
                vec![Line::Talk(format!("function {environment} | ready after {}", milliseconds(init)))]
            }
            Notice::Exited { environment, status, planned } => {
                let mut lines = self.release(|waiting| waiting.exchange.environment == Some(environment));
                if !planned && !self.stopping {
                    lines.push(Line::Talk(format!("function {environment} | ended: {status}")));
                }
                lines
            }
            Notice::Warning { function, text } => {
                vec![Line::Talk(format!("function {function} | {}", printable(&self.secrets.sentence(&text))))]
            }
            Notice::Handshake { client, problem } => {
                vec![Line::Talk(format!("local ALB  | no TLS with {client}: {}", printable(&problem)))]
            }
            Notice::Health { target_group, healthy, detail } => {
                let state = if healthy { "healthy" } else { "unhealthy; it still receives requests" };
                vec![Line::Talk(format!("local ALB  | target group {target_group} is {state}: {}", printable(&detail)))]
            }
            _ => Vec::new(),
        }
    }

    /// Returns the lines of requests that have waited long enough.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Line> {
        self.early.retain(|_, (_, until)| *until > now);
        self.release(|waiting| waiting.until <= now)
    }

    /// Returns the lines of all requests that still wait.
    pub(super) fn everything(&mut self) -> Vec<Line> {
        let mut lines = self.release(|_| true);
        for ((function, _), (warning, count)) in std::mem::take(&mut self.reply_warnings) {
            if let more @ 1.. = count.saturating_sub(1) {
                let times = if more == 1 { "once more" } else { &format!("{more} more times") };
                let (function, warning) = (printable(&function), printable(&self.secrets.sentence(&warning)));
                lines.push(Line::Talk(format!("function {function} | warning, {times}: {warning}")));
            }
        }
        lines
    }

    fn exchange(&mut self, exchange: Exchange, now: Instant) -> Vec<Line> {
        let Some(id) = exchange.request_id.clone().filter(|_| self.expects_access) else {
            return self.lines(&exchange, None);
        };
        match self.early.remove(&id) {
            Some((access, _)) => self.lines(&exchange, Some(&access)),
            None => {
                self.waiting.insert(id, Waiting { exchange, until: now + PATIENCE });
                Vec::new()
            }
        }
    }

    fn function_line(&mut self, environment: u32, function: &str, line: &str, now: Instant) -> Vec<Line> {
        let mut lines = Vec::new();
        if self.expects_access
            && let Ok(record) = serde_json::from_str::<Record>(line)
        {
            let Compared { copy, backend, outcome } = compared(&record);
            let (backend, outcome) = (self.backend(&backend, printable(&backend)), printable(&outcome));
            lines.push(Line::Data(format!("          {copy} {backend}{outcome}")));
            if !self.verbose {
                return lines;
            }
        }
        if self.expects_access
            && let Some(text) = LiveLine::text(line)
        {
            if self.live.as_ref() != Some(&text) {
                lines.push(Line::Talk(format!("live state | {}", printable(&text))));
                self.live = Some(text);
            }
            if !self.verbose {
                return lines;
            }
        }
        let access = Access::parse(line).filter(|_| self.expects_access);
        if access.is_none() || self.verbose {
            // Escaped only when it is printed: most of what nobody reads is skipped before.
            let name = if self.names_functions { format!("{} ", printable(function)) } else { String::new() };
            lines.push(Line::Function { prefix: format!("function {name}{environment} | "), record: line.to_owned() });
            self.talkers.insert(environment);
        }
        let Some(access) = access else { return lines };
        match self.waiting.remove(&access.request_id) {
            Some(waiting) => lines.extend(self.lines(&waiting.exchange, Some(&access))),
            None => {
                if self.early.len() >= MOST_EARLY {
                    self.early.retain(|_, (_, until)| *until > now);
                }
                // Only a foreign function writes this many lines without requests.
                if self.early.len() < MOST_EARLY {
                    self.early.insert(access.request_id.clone(), (access, now + PATIENCE));
                }
            }
        }
        lines
    }

    /// Returns the lines of waiting requests whose access log line will not arrive any more.
    fn release(&mut self, ends: impl Fn(&Waiting) -> bool) -> Vec<Line> {
        let over: Vec<Waiting> = self.waiting.extract_if(.., |_, waiting| ends(waiting)).map(|(_, it)| it).collect();
        over.into_iter().flat_map(|waiting| self.lines(&waiting.exchange, None)).collect()
    }

    fn lines(&mut self, exchange: &Exchange, access: Option<&Access>) -> Vec<Line> {
        let mut marks = String::new();
        if !exchange.is_of_load_balancer() {
            let route = exchange.route.as_deref().map(|route| format!(" {}", printable(route))).unwrap_or_default();
            marks += &format!("  [{}{route}]", exchange.front);
        } else if self.shows_rule {
            // The response shows the effect of a function.
            let own = exchange.actions.last().filter(|action| **action != "forward");
            let did = own.map(|action| format!(": {action}")).unwrap_or_default();
            marks += &format!("  [rule {}{did}]", exchange.rule);
        }
        for step in access.map(|access| &access.way).into_iter().flatten() {
            marks += &format!("  [{step}]");
        }
        if exchange.cold {
            marks += "  [cold start]";
        }
        // With one environment, its output can only belong to this request.
        let talker = exchange.environment.filter(|it| self.talkers.len() > 1 && self.talkers.contains(it));
        if let Some(environment) = talker {
            marks += &format!("  [function {environment}]");
        }
        let backend = access.and_then(|access| access.backend.as_deref()).unwrap_or("-");
        let mut lines = vec![Line::Data(format!(
            "{} {:<7} {} {} {:>9}  {}{marks}",
            time_of_day(),
            printable(&exchange.method),
            self.status(exchange.status),
            self.backend(backend, format!("{:<10}", printable(backend))),
            milliseconds(exchange.duration),
            printable(&self.secrets.target(&exchange.target)),
        ))];
        let problem = match (&exchange.elb_reason, &exchange.problem) {
            (Some(reason), Some(problem)) => Some(format!("{reason}: {problem}")),
            (reason, problem) => reason.clone().or_else(|| problem.clone()),
        };
        let normalised = exchange.normalised_path.as_ref();
        let readers = if self.expects_access { "rules and routes see" } else { "rules see" };
        let normalised = normalised.map(|path| format!("{readers} the path {}", self.secrets.target(path)));
        let error = access.and_then(|access| access.error.clone());
        let (about_request, about_reply) =
            exchange.warnings.split_at(exchange.warnings.len().saturating_sub(exchange.reply_warnings));
        let news: Vec<&String> = about_reply.iter().filter(|warning| self.is_news(exchange, warning)).collect();
        let warnings = about_request.iter().chain(news).map(|warning| format!("warning: {warning}"));
        for detail in normalised.into_iter().chain(problem).chain(error).chain(warnings) {
            let detail = without_colours(&detail);
            lines.push(Line::Data(format!("          {}", printable(&self.secrets.sentence(&detail)))));
        }
        lines
    }

    /// Counts a warning about a function's reply. Returns true if it is the first one of its kind: numbers do not count.
    fn is_news(&mut self, exchange: &Exchange, warning: &str) -> bool {
        let mut kind = String::new();
        for c in warning.chars() {
            match c {
                '0'..='9' if kind.ends_with('N') => {}
                '0'..='9' => kind.push('N'),
                c => kind.push(c),
            }
        }
        let key = (exchange.function.clone().unwrap_or_default(), kind);
        if self.reply_warnings.len() >= MOST_EARLY && !self.reply_warnings.contains_key(&key) {
            return false;
        }
        let (_, count) = self.reply_warnings.entry(key).or_insert_with(|| (warning.to_owned(), 0));
        *count = count.saturating_add(1);
        *count == 1
    }

    /// A text about a back end, in its colour: the first two of the configuration have one.
    fn backend(&self, name: &str, text: String) -> String {
        let place = self.backends.iter().take(BACKENDS.len()).position(|backend| backend == name);
        match place.and_then(|place| BACKENDS.get(place)).filter(|_| self.colour) {
            Some(colour) => format!("\x1b[{colour}m{text}\x1b[0m"),
            None => text,
        }
    }

    fn status(&self, status: u16) -> String {
        let colour = match status {
            200..=299 => "32",
            300..=399 => "36",
            400..=499 => "33",
            _ => "31",
        };
        if self.colour { format!("\x1b[{colour}m{status}\x1b[0m") } else { status.to_string() }
    }
}

/// The result of a copy in one line: `mirror modern 200 23.1 ms: different: missing /phone, order /items`.
struct Compared {
    copy: &'static str,
    backend: String,
    outcome: String,
}

fn compared(record: &Record) -> Compared {
    let copy = match record.against {
        Against::Mirror => "mirror",
        Against::Itself => "self-comparison",
        Against::Again => "mirror, again",
    };
    let Side { backend, status, error, ms, .. } = &record.mirror;
    let answer = match (status, error) {
        (Some(status), _) => format!(" {status}"),
        (None, Some(error)) => format!(" {error}"),
        (None, None) => String::new(),
    };
    let time = ms
        .and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok())
        .map(|time| format!(" {}", milliseconds(time)))
        .unwrap_or_default();
    let differences = || record.differences.iter().filter(|it| !it.accepted);
    let more = differences().count().saturating_sub(MOST_NAMED) as u64 + u64::from(record.more);
    let differences = differences().take(MOST_NAMED);
    let differences: Vec<String> = differences.map(|it| difference(record, it)).collect();
    let more = if more > 0 { format!(", {more} more") } else { String::new() };
    let verdict = match record.verdict {
        Verdict::Match => "match".to_owned(),
        Verdict::Accepted => "accepted".to_owned(),
        Verdict::Different => format!("different: {}{more}", differences.join(", ")),
        Verdict::Failed => format!("{} failed, nothing to compare with", record.primary.backend),
        Verdict::Unknown => format!("not compared: {}", record.reason.as_deref().unwrap_or_default()),
        Verdict::Lost => format!("lost: {}", record.reason.as_deref().unwrap_or_default()),
    };
    Compared { copy, backend: backend.to_string(), outcome: format!("{answer}{time}: {verdict}") }
}

/// A difference in a few words: `missing /phone`, `status 404 instead of 200`.
fn difference(record: &Record, difference: &Difference) -> String {
    if difference.class != Class::Status {
        return format!("{} {}", difference.class.as_str(), cut(&difference.pointer));
    }
    let outcome = |side: &Side| match (side.status, &side.error) {
        (Some(status), _) => status.to_string(),
        (None, Some(error)) => cut(error),
        (None, None) => "no response".to_owned(),
    };
    format!("status {} instead of {}", outcome(&record.mirror), outcome(&record.primary))
}

/// The displayed part of a text from a log line.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn milliseconds(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1000.0;
    if milliseconds < 100.0 { format!("{milliseconds:.1} ms") } else { format!("{milliseconds:.0} ms") }
}

/// Hours, minutes and seconds in UTC, as in the logs of AWS.
fn time_of_day() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() % 86_400);
    format!("{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use crossfade_emulator::Waiting;

    use super::*;

    fn exchange(target: &str, environment: Option<u32>) -> Exchange {
        let request_id = environment.map(|_| target.to_owned());
        let duration = Duration::from_micros(12_340);
        Exchange { status: 200, duration, environment, request_id, ..Exchange::new("GET", target) }
    }

    /// The access log line of the request whose target is its id.
    fn access(target: &str, backend: &str) -> Notice {
        let line = format!(r#"{{"type":"access","request_id":"{target}","backend":"{backend}","error":null}}"#);
        Notice::FunctionLine { environment: 1, function: "local".into(), line, waiting: Waiting::default() }
    }

    /// The lines without the time of day, which the clock decides.
    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines
            .into_iter()
            .map(|line| match line {
                Line::Data(text) => text.get(10..).unwrap_or_default().to_string(),
                Line::Talk(text) => format!("stderr {text}"),
                Line::Function { prefix, record } => format!("stderr {prefix}{record}"),
            })
            .collect()
    }

    #[test]
    fn the_access_line_is_folded_in_whichever_comes_first() {
        let now = Instant::now();
        let folded = ["GET     200 legacy       12.3 ms  /a?q=%20"];
        let mut report = Reporter::new(false, true, false, false).showing(true);
        assert_eq!(texts(report.tell(access("/a?q=%20", "legacy"), now)), [""; 0]);
        assert_eq!(texts(report.tell(Notice::Exchange(Box::new(exchange("/a?q=%20", Some(1)))), now)), folded);
        assert_eq!(texts(report.tell(Notice::Exchange(Box::new(exchange("/a?q=%20", Some(1)))), now)), [""; 0]);
        assert_eq!(texts(report.tell(access("/a?q=%20", "legacy"), now)), folded);
        assert_eq!(report.due(), None);
    }

    #[test]
    fn values_of_queries_are_told_only_if_asked_for() {
        let mut report = Reporter::new(false, true, false, false);
        let target = "/a/b%20c?user=anna&x&y=";
        assert_eq!(
            texts(report.tell(Notice::Exchange(Box::new(exchange(target, None))), Instant::now())),
            ["GET     200 -            12.3 ms  /a/b%20c?user=***&x&y="]
        );
    }

    #[test]
    fn a_request_is_told_without_its_line_after_a_while_and_a_late_line_is_not_given_to_the_next() {
        let now = Instant::now();
        let mut report = Reporter::new(false, true, false, false);
        report.tell(Notice::Exchange(Box::new(exchange("/a", Some(1)))), now);
        assert_eq!(texts(report.overdue(now)), [""; 0]);
        assert_eq!(texts(report.overdue(now + PATIENCE)), ["GET     200 -            12.3 ms  /a"]);
        report.tell(access("/a", "late"), now);
        assert_eq!(texts(report.tell(Notice::Exchange(Box::new(exchange("/b", Some(1)))), now)), [""; 0]);
        assert_eq!(texts(report.tell(access("/b", "legacy"), now)), ["GET     200 legacy       12.3 ms  /b"]);
    }

    #[test]
    fn reasons_and_warnings_follow_indented() {
        let mut report = Reporter::new(false, true, true, false);
        let mut failed = exchange("/a", None);
        failed.status = 502;
        failed.cold = true;
        failed.elb_reason = Some("LambdaInvalidResponse".into());
        failed.problem = Some("`statusCode` is missing".into());
        failed.warnings = vec!["`headers` is ignored".into()];
        assert_eq!(
            texts(report.tell(Notice::Exchange(Box::new(failed)), Instant::now())),
            [
                "GET     502 -            12.3 ms  /a  [rule default]  [cold start]",
                "LambdaInvalidResponse: `statusCode` is missing",
                "warning: `headers` is ignored",
            ]
        );
    }

    #[test]
    fn what_the_function_says_of_a_failed_backend_is_told() {
        let line = r#"{"type":"access","request_id":"/a","backend":"legacy","error":"connection_refused","detail":"no `localhost:1`"}"#;
        let mut report = Reporter::new(false, true, false, false);
        report.tell(
            Notice::FunctionLine {
                environment: 1,
                function: "local".into(),
                line: line.into(),
                waiting: Waiting::default(),
            },
            Instant::now(),
        );
        let lines = texts(report.tell(Notice::Exchange(Box::new(exchange("/a", Some(1)))), Instant::now()));
        assert_eq!(lines[1..], ["connection_refused: no `localhost:1`"]);
    }

    #[test]
    fn how_a_back_end_came_to_be_asked_is_told() {
        let line = r#"{"type":"access","request_id":"/a","route":"orders","backend":"legacy","chosen":"hash","retries":2,
            "target":"modern","skipped":[{"backend":"modern","outcome":"503"}]}"#;
        let told = |line: &str| {
            let mut report = Reporter::new(false, true, false, false);
            let line = line.to_owned();
            let function = "local".into();
            report.tell(
                Notice::FunctionLine { environment: 1, function, line, waiting: Waiting::default() },
                Instant::now(),
            );
            texts(report.tell(Notice::Exchange(Box::new(exchange("/a", Some(1)))), Instant::now()))
        };
        assert_eq!(
            told(line),
            [
                "GET     200 legacy       12.3 ms  /a  [orders]  [modern by hash: 503]  [legacy by failover]  [2 retries]"
            ]
        );
        let one = r#"{"type":"access","request_id":"/a","route":"orders","backend":"legacy","chosen":"hash"}"#;
        assert_eq!(told(one), ["GET     200 legacy       12.3 ms  /a  [orders, hash]"]);
        assert_eq!(told(&one.replace("hash", "only")), ["GET     200 legacy       12.3 ms  /a  [orders]"]);
    }

    #[test]
    fn what_came_of_a_copy_is_told_and_cannot_steer_the_terminal() {
        let line = |members: &str| {
            let line = format!(
                r#"{{"type":"compare","version":1,"time":"2026-11-24T10:57:42.123Z","against":"mirror","request_id":"1","route":"a",
                "method":"GET","endpoint":"/a","primary":{{"backend":"legacy","status":200}},{members}}}"#
            );
            Notice::FunctionLine { environment: 1, function: "local".into(), line, waiting: Waiting::default() }
        };
        let told = |members: &str| texts(Reporter::new(false, true, false, false).tell(line(members), Instant::now()));
        let different = r#""verdict":"different","mirror":{"backend":"modern","status":200,"ms":23.1},"more":2,"differences":
            [{"class":"missing","pointer":"/a\u001b[2J"},{"class":"extra","pointer":"/b","accepted":true}]"#;
        assert_eq!(told(different), ["mirror modern 200 23.1 ms: different: missing /a\\u{1b}[2J, 2 more"]);
        let status = r#"{"class":"status","pointer":"status"},{"class":"value","pointer":"/a"}"#;
        for (mirror, expected) in [
            (r#""status":404"#, "mirror modern 404: different: status 404 instead of 200, value /a"),
            (r#""error":"timeout""#, "mirror modern timeout: different: status timeout instead of 200, value /a"),
        ] {
            let members =
                format!(r#""verdict":"different","mirror":{{"backend":"modern",{mirror}}},"differences":[{status}]"#);
            assert_eq!(told(&members), [expected]);
        }
        let lost = r#""verdict":"lost","reason":"open","mirror":{"backend":"modern"}"#;
        assert_eq!(told(lost), ["mirror modern: lost: open"]);
        let failed = r#""verdict":"failed","mirror":{"backend":"modern","error":"connection_refused"}"#;
        assert_eq!(told(failed), ["mirror modern connection_refused: legacy failed, nothing to compare with"]);
    }

    #[test]
    fn other_output_is_passed_on_and_access_lines_only_when_verbose() {
        let line = |line: &str| Notice::FunctionLine {
            environment: 7,
            function: "local".into(),
            line: line.into(),
            waiting: Waiting::default(),
        };
        let now = Instant::now();
        let mut quiet = Reporter::new(false, true, false, false);
        assert_eq!(texts(quiet.tell(line("hello"), now)), ["stderr function 7 | hello"]);
        assert_eq!(texts(quiet.tell(line(r#"{"type":"access"}"#), now)), [""; 0]);
        assert_eq!(texts(quiet.tell(line(r#"{"type":"warning"}"#), now)).len(), 1);
        let mut verbose = Reporter::new(true, true, false, false);
        assert_eq!(
            texts(verbose.tell(line(r#"{"type":"access"}"#), now)),
            [r#"stderr function 7 | {"type":"access"}"#]
        );
        // A foreign function may log what it likes.
        let mut foreign = Reporter::new(false, false, false, false);
        assert_eq!(texts(foreign.tell(line(r#"{"type":"access"}"#), now)).len(), 1);
        assert_eq!(texts(foreign.tell(Notice::Exchange(Box::new(exchange("/a", Some(7)))), now)).len(), 1);
    }

    /// Lines of a function that look like access-log lines of requests that never were.
    #[test]
    fn made_up_access_lines_fill_nothing() {
        let now = Instant::now();
        let mut report = Reporter::new(false, true, false, false);
        for number in 0..100_000 {
            report.tell(access(&format!("/{number}"), "legacy"), now);
        }
        assert!(report.early.len() <= MOST_EARLY);
        report.overdue(now + PATIENCE);
        assert!(report.early.is_empty());
        let text = "x".repeat(1 << 20);
        report.tell(access("/a", &text), now);
        assert!(report.early.values().all(|(access, _)| access.backend.as_ref().is_some_and(|it| it.len() < 2000)));
    }

    #[test]
    fn the_end_of_a_process_is_news_only_while_nothing_stops() {
        let exited = || Notice::Exited { environment: 1, status: "exit status: 1".into(), planned: false };
        let mut report = Reporter::new(false, true, false, false);
        report.tell(Notice::Exchange(Box::new(exchange("/a", Some(1)))), Instant::now());
        assert_eq!(
            texts(report.tell(exited(), Instant::now())),
            ["GET     200 -            12.3 ms  /a", "stderr function 1 | ended: exit status: 1"]
        );
        report.stopping();
        assert_eq!(texts(report.tell(exited(), Instant::now())), [""; 0]);
    }

    #[test]
    fn a_warning_about_replies_is_told_once_for_each_function_and_counted() {
        let mut report = Reporter::new(false, false, false, false);
        let mut told = |function: &str, length: u32| {
            let mut exchange = exchange("/a", Some(1));
            exchange.function = Some(function.to_owned());
            exchange.reply_warnings = 2;
            exchange.warnings = vec![
                format!("the body of {length} bytes was dropped"),
                "field `connection` is not honoured".to_owned(),
            ];
            texts(report.tell(Notice::Exchange(Box::new(exchange)), Instant::now())).split_off(1)
        };
        let first = ["warning: the body of 12 bytes was dropped", "warning: field `connection` is not honoured"];
        assert_eq!(told("web", 12), first);
        for length in 0..100 {
            assert_eq!(told("web", length), [""; 0]);
        }
        assert_eq!(told("api", 12), first);
        assert_eq!(told("api", 13), [""; 0]);
        assert_eq!(
            texts(report.everything()),
            [
                "stderr function api | warning, once more: field `connection` is not honoured",
                "stderr function api | warning, once more: the body of 12 bytes was dropped",
                "stderr function web | warning, 100 more times: field `connection` is not honoured",
                "stderr function web | warning, 100 more times: the body of 12 bytes was dropped",
            ]
        );
    }

    #[test]
    fn output_names_its_function_and_a_request_the_environment_if_there_are_several() {
        let now = Instant::now();
        let line = |environment| Notice::FunctionLine {
            environment,
            function: "web".into(),
            line: "hello".into(),
            waiting: Waiting::default(),
        };
        let mut report = Reporter::new(false, false, false, false).naming_functions(true);
        assert_eq!(texts(report.tell(line(1), now)), ["stderr function web 1 | hello"]);
        let asked =
            |report: &mut Reporter| texts(report.tell(Notice::Exchange(Box::new(exchange("/a", Some(1)))), now));
        assert_eq!(asked(&mut report), ["GET     200 -            12.3 ms  /a"]);
        report.tell(line(2), now);
        assert_eq!(asked(&mut report), ["GET     200 -            12.3 ms  /a  [function 1]"]);
    }

    #[test]
    fn the_two_systems_have_a_colour_each_in_the_order_of_the_file() {
        let told = |backend: &str, colour| {
            let mut report = Reporter::new(false, true, false, colour);
            report.set_backends(vec!["old".into(), "new".into(), "third".into()]);
            report.tell(access("/a", backend), Instant::now());
            texts(report.tell(Notice::Exchange(Box::new(exchange("/a", Some(1)))), Instant::now())).concat()
        };
        for (backend, column) in [
            ("old", "\x1b[36mold       \x1b[0m"),
            ("new", "\x1b[35mnew       \x1b[0m"),
            ("third", "third     "),
            ("other", "other     "),
        ] {
            let line = told(backend, true);
            assert!(line.contains(&format!(" {column} ")), "{line:?}");
            assert!(!told(backend, false).contains('\x1b'));
        }
        let record = r#"{"type":"compare","version":1,"time":"2026-11-24T10:57:42.123Z","against":"mirror","request_id":"1","route":"a",
            "method":"GET","endpoint":"/a","primary":{"backend":"old"},"verdict":"match","mirror":{"backend":"new","status":200}}"#;
        let mut report = Reporter::new(false, true, false, true);
        report.set_backends(vec!["old".into(), "new".into()]);
        let line = Notice::FunctionLine {
            environment: 1,
            function: "a".into(),
            line: record.into(),
            waiting: Waiting::default(),
        };
        assert_eq!(texts(report.tell(line, Instant::now())), ["mirror \x1b[35mnew\x1b[0m 200: match"]);
    }

    #[test]
    fn colour_adds_nothing_to_the_words() {
        let tell = |colour| {
            let mut report = Reporter::new(false, false, false, colour);
            texts(report.tell(Notice::Exchange(Box::new(exchange("/a", None))), Instant::now())).concat()
        };
        let coloured = tell(true);
        assert!(coloured.contains("\x1b[32m200\x1b[0m"), "{coloured:?}");
        assert_eq!(coloured.replace("\x1b[32m", "").replace("\x1b[0m", ""), tell(false));
    }

    #[test]
    fn a_request_cannot_steer_the_terminal() {
        let mut report = Reporter::new(false, false, false, false);
        let lines =
            texts(report.tell(Notice::Exchange(Box::new(exchange("/\u{1b}[2J\u{9b}x", Some(1)))), Instant::now()));
        assert_eq!(lines, ["GET     200 -            12.3 ms  /\\u{1b}[2J\\u{9b}x"]);
    }
}
