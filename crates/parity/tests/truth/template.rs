//! Fills the templates of responses. Owns the notation, which `README.md` beside this file documents; knows nothing about
//! HTTP.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds by which the new system reads a feed later than the old one.
const LAG: u64 = 3;

/// One response: all that its content depends on.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// `true` for the templates of the new system, after `=>`.
    pub(crate) is_new: bool,
    /// Identifies the system. With the same application as both, they still have caches and counters of their own.
    pub(crate) system: u64,
    /// Number of the thing that is requested.
    pub(crate) id: u64,
    /// Time of the response.
    pub(crate) time: SystemTime,
    /// Number of responses that the system has sent for this endpoint.
    pub(crate) counter: u64,
    /// The state of the response's own random numbers.
    pub(crate) random: Random,
    /// The seed of the whole run.
    pub(crate) seed: u64,
}

/// SplitMix64 (Steele, Lea and Flood 2014): a random number for each state, of a generator that is a few lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn of(parts: &[u64]) -> Random {
        let mut random = Random(0);
        for part in parts {
            random.0 ^= part;
            random.0 = random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn text(&mut self, letters: &str, length: u64) -> String {
        (0..length).map(|_| char::from(letters.as_bytes()[self.below(letters.len() as u64) as usize])).collect()
    }
}

/// Returns the text of a template at a moment. A template that is not valid panics.
pub(crate) fn fill(template: &str, moment: &mut Moment) -> Vec<u8> {
    let mut out = Vec::new();
    fill_into(&mut out, template, moment, None);
    out
}

/// `index` is the number of the copy within `repeat`.
fn fill_into(out: &mut Vec<u8>, template: &str, moment: &mut Moment, index: Option<u64>) {
    let mut rest = template;
    while let Some(begin) = rest.find("${") {
        out.extend_from_slice(&rest.as_bytes()[..begin]);
        let end = begin + 2 + end_of(&rest[begin + 2..]).unwrap_or_else(|| panic!("`}}` is missing: {rest}"));
        expression(out, &rest[begin + 2..end], moment, index);
        rest = &rest[end + 1..];
    }
    out.extend_from_slice(rest.as_bytes());
}

/// The offset of the brace that closes an expression.
fn end_of(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(offset),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Splits at a separator outside braces. One space before and one after it belong to the separator.
fn split<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    let (mut parts, mut begin, mut depth) = (Vec::new(), 0, 0_usize);
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ if depth == 0 && offset >= begin && text.as_bytes()[offset..].starts_with(separator.as_bytes()) => {
                parts.push(&text[begin..offset]);
                begin = offset + separator.len();
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    let last = parts.len() - 1;
    let trimmed = parts.into_iter().enumerate().map(|(index, part)| {
        let part = if index > 0 { part.strip_prefix(' ').unwrap_or(part) } else { part };
        if index < last { part.strip_suffix(' ').unwrap_or(part) } else { part }
    });
    trimmed.collect()
}

fn expression(out: &mut Vec<u8>, text: &str, moment: &mut Moment, index: Option<u64>) {
    if let [old, new] = split(text, "=>")[..] {
        return fill_into(out, if moment.is_new { new } else { old }, moment, index);
    }
    if let Some((head, arguments)) = text.split_once(": ") {
        let words: Vec<&str> = head.split(' ').collect();
        let choices = split(arguments, "|");
        let count = choices.len() as u64;
        let chosen = match words[..] {
            ["either"] => moment.random.below(count),
            ["turn"] => moment.counter % count,
            ["of", "id"] => moment.id % count,
            ["if", "id", id] => u64::from(moment.id != number(id)),
            ["1", "in", many] => u64::from(moment.random.below(number(many)) != 0),
            ["every", period] => {
                let name = arguments.len() as u64;
                Random::of(&[moment.seed, moment.system, name, seconds(moment) / number(period)]).below(count)
            }
            ["shuffle"] => return shuffle(out, choices, ", ", moment, index),
            ["shuffle", "lines"] => return shuffle(out, choices, "\n", moment, index),
            ["repeat", times] => {
                return (0..number(times)).for_each(|copy| fill_into(out, arguments, moment, Some(copy)));
            }
            _ => panic!("unknown expression: {text}"),
        };
        return fill_into(out, choices[chosen as usize], moment, index);
    }
    const HEX: &str = "0123456789abcdef";
    const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let words: Vec<&str> = text.split(' ').collect();
    let random = &mut moment.random;
    let text = match words[..] {
        ["id"] => moment.id.to_string(),
        ["n"] => index.unwrap_or_else(|| panic!("`n` outside `repeat`")).to_string(),
        ["counter"] => (moment.counter + 1000 * moment.system).to_string(),
        ["hex", length] => random.text(HEX, number(length)),
        ["token"] => random.text(BASE64, 32),
        ["uuid"] => {
            let [a, b, c, d] = [8, 3, 3, 12].map(|length| random.text(HEX, length));
            format!("{a}-{}-4{b}-8{c}-{d}", random.text(HEX, 4))
        }
        ["number", low, high] => (number(low) + random.below(number(high) + 1 - number(low))).to_string(),
        ["clock"] => humantime::format_rfc3339_millis(moment.time).to_string(),
        ["clock", "unix"] => seconds(moment).to_string(),
        ["clock", "ms"] => moment.time.duration_since(UNIX_EPOCH).unwrap().as_millis().to_string(),
        ["clock", "date"] => humantime::format_rfc3339_seconds(moment.time).to_string()[..10].to_owned(),
        ["clock", "basic"] => humantime::format_rfc3339_seconds(moment.time).to_string().replace(['-', ':'], ""),
        ["clock", "http"] => http_date(moment.time),
        ["revision", period] => {
            let lag = if moment.system == 0 { 0 } else { LAG };
            ((seconds(moment) - lag) / number(period)).to_string()
        }
        ["age", period] => {
            let filled = Random::of(&[moment.seed, moment.system]).below(number(period));
            ((seconds(moment) + filled) % number(period)).to_string()
        }
        ["x", digits] => {
            let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap());
            return out.extend(bytes);
        }
        [code] if code.starts_with("u+") => {
            char::from_u32(u32::from_str_radix(&code[2..], 16).unwrap()).unwrap().to_string()
        }
        _ => panic!("unknown expression: {text}"),
    };
    out.extend_from_slice(text.as_bytes());
}

fn shuffle(out: &mut Vec<u8>, mut parts: Vec<&str>, separator: &str, moment: &mut Moment, index: Option<u64>) {
    for last in (1..parts.len()).rev() {
        parts.swap(last, moment.random.below(last as u64 + 1) as usize);
    }
    for (number, part) in parts.into_iter().enumerate() {
        out.extend_from_slice(if number > 0 { separator } else { "" }.as_bytes());
        fill_into(out, part, moment, index);
    }
}

fn number(text: &str) -> u64 {
    text.trim_end_matches('s').parse().unwrap_or_else(|_| panic!("not a number: {text}"))
}

fn seconds(moment: &Moment) -> u64 {
    moment.time.duration_since(UNIX_EPOCH).as_ref().map_or(0, Duration::as_secs)
}

/// The days of a run are in one month of one year, so that no calendar is needed.
fn http_date(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let (year, day, clock) = (&text[..4], &text[8..10], &text[11..19]);
    assert!(text.starts_with("2026-06-"), "{text} is not in June 2026");
    // The first of June 2026 is a Monday.
    let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let name = names[(day.parse::<usize>().unwrap() - 1) % 7];
    format!("{name}, {day} Jun {year} {clock} GMT")
}

#[test]
fn the_notation() {
    let moment = Moment {
        is_new: false,
        system: 0,
        id: 3,
        time: humantime::parse_rfc3339("2026-06-01T12:34:56Z").unwrap(),
        counter: 5,
        random: Random(1),
        seed: 0,
    };
    for (template, old, new) in [
        ("a${b => c}d", "abd", "acd"),
        ("${=> c}${b => }", "b", "c"),
        ("${ a => }x", " ax", "x"),
        (r#"{"a": ${{"b": {}} => ${id}}}"#, r#"{"a": {"b": {}}}"#, r#"{"a": 3}"#),
        ("${of id: a | b}${turn: a | b | c}${if id 3: ${x => y} | z}", "bcx", "bcy"),
        ("${repeat 3: ${n},}", "0,1,2,", "0,1,2,"),
        ("${clock} ${clock unix} ${clock date}", "2026-06-01T12:34:56.000Z 1780317296 2026-06-01", ""),
        ("${clock http}", "Mon, 01 Jun 2026 12:34:56 GMT", ""),
        ("${clock basic}${u+d}${x 4142}", "20260601T123456Z\rAB", ""),
        ("${revision 60s}", "29671954", ""),
    ] {
        let filled = |is_new| String::from_utf8(fill(template, &mut Moment { is_new, ..moment.clone() })).unwrap();
        assert_eq!(filled(false), old, "{template}");
        assert!(new.is_empty() || filled(true) == new, "{template}: {}", filled(true));
    }
    // The same random numbers give the same text, other ones another text of the same kind.
    for template in ["${hex 16}", "${uuid}", "${token}", "${shuffle: a | b | c | d | e}", "${number 1 1000000}"] {
        let filled = |random| fill(template, &mut Moment { random: Random(random), ..moment.clone() });
        assert_eq!(filled(1), filled(1), "{template}");
        assert_ne!(filled(1), filled(2), "{template}");
    }
}
