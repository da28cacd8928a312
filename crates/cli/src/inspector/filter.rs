//! The filter of the list: the words of a line such as `orders method:GET -status:2xx is:cold`, and the form's menus, which
//! have the same effect. It matches text that the page shows, never masked values.

use super::routes;
use super::secrets::percent_decoded;
use super::store::{Entry, Mark};

/// Further words are ignored.
const MOST_WORDS: usize = 16;

/// A filter and the form's values.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) q: String,
    pub(super) method: String,
    pub(super) status: String,
    pub(super) rule: String,
    pub(super) route: String,
    /// Selects a single request, for its own page.
    id: Option<u64>,
    words: Vec<Word>,
}

#[derive(Clone, Debug)]
struct Word {
    is_negated: bool,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// Lower case; matches within method, host, path, query, function, route or back end.
    Text(String),
    Method(String),
    /// `4xx` or `404`; compared digit by digit.
    Status(String),
    /// As displayed in the list.
    Rule(String),
    Route(String),
    Backend(String),
    Mark(Mark),
}

/// A parameter of a query, decoded.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| percent_decoded(value))
}

impl Filter {
    pub(super) fn parse(query: &str) -> Filter {
        let get = |name: &str| parameter(query, name).unwrap_or_default().trim().chars().take(200).collect::<String>();
        let mut filter = Filter {
            q: get("q"),
            method: get("method"),
            status: get("status"),
            rule: get("rule"),
            route: get("route"),
            id: get("id").parse().ok(),
            words: Vec::new(),
        };
        filter.words = filter.q.split_whitespace().take(MOST_WORDS).map(Word::parse).collect();
        let choices = filter.choices().into_iter().filter(|(_, value)| !value.is_empty());
        let choices: Vec<Word> = choices.map(|(name, value)| Word::parse(&format!("{name}:{value}"))).collect();
        filter.words.extend(choices);
        filter
    }

    /// The form's menus.
    fn choices(&self) -> [(&'static str, &String); 4] {
        [("method", &self.method), ("status", &self.status), ("rule", &self.rule), ("route", &self.route)]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.id.is_none()
    }

    pub(super) fn matches(&self, entry: &Entry) -> bool {
        self.id.is_none_or(|id| id == entry.id)
            && self.words.iter().all(|word| word.what.holds(entry) != word.is_negated)
    }

    /// Returns the filter as the query of a link: `q=a&status=5xx`.
    pub(super) fn query(&self) -> String {
        let parts = [("q", &self.q)].into_iter().chain(self.choices()).filter(|(_, value)| !value.is_empty());
        let parts = parts.map(|(name, value)| format!("{name}={}", percent_encoded(value)));
        parts.collect::<Vec<_>>().join("&")
    }
}

fn percent_encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

impl Word {
    fn parse(word: &str) -> Word {
        let (is_negated, word) = match word.strip_prefix('-') {
            Some(rest) if !rest.is_empty() => (true, rest),
            _ => (false, word),
        };
        let known = word.split_once(':').filter(|(_, value)| !value.is_empty()).and_then(|(name, value)| match name {
            "method" => Some(What::Method(value.to_owned())),
            "status" if value.len() <= 3 => Some(What::Status(value.to_ascii_lowercase())),
            "rule" => Some(What::Rule(value.to_owned())),
            "route" => Some(What::Route(value.to_owned())),
            "backend" => Some(What::Backend(value.to_lowercase())),
            "is" => Mark::ALL.into_iter().find(|mark| mark.word() == value).map(What::Mark),
            _ => None,
        });
        Word { is_negated, what: known.unwrap_or_else(|| What::Text(word.to_lowercase())) }
    }
}

impl What {
    fn holds(&self, entry: &Entry) -> bool {
        let exchange = &entry.exchange;
        match self {
            What::Text(text) => {
                let of_line = [entry.backend(), routes::name(entry)];
                entry.shown.text.contains(text)
                    || of_line.into_iter().flatten().any(|name| name.to_lowercase().contains(text))
            }
            What::Method(method) => exchange.method.eq_ignore_ascii_case(method),
            What::Status(pattern) => {
                let status = exchange.status.to_string();
                status.bytes().zip(pattern.bytes()).all(|(digit, wanted)| wanted == b'x' || digit == wanted)
            }
            What::Rule(rule) => exchange.rule.to_string() == *rule,
            What::Route(route) => routes::name(entry) == Some(route),
            What::Backend(backend) => entry.backend().is_some_and(|name| name.to_lowercase() == *backend),
            What::Mark(mark) => entry.has(*mark),
        }
    }
}
