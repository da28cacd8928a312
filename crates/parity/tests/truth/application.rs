//! Reads the application from `endpoints/*.txt`, and gives its responses. `README.md` documents the files.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::template::{Moment, fill};

/// One endpoint in both systems, with the truth about it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) method: String,
    /// A template of the target.
    target: String,
    pub(crate) about: String,
    pub(crate) truths: Vec<Truth>,
    pub(crate) ids: u64,
    pub(crate) requests: u64,
    old: Reply,
    new: Reply,
    /// The answer of either system without the conditions that led to 304.
    whole: Option<Reply>,
}

/// One line of the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    Same,
    Noisy,
    /// Without a place: anywhere.
    Differs(Option<String>),
    NotMeasured(String),
    CannotBeJudged,
}

/// The template of a response.
#[derive(Clone, Debug, Default)]
struct Reply {
    status: String,
    fields: Vec<String>,
    content: String,
}

/// A response.
#[derive(Clone, Debug)]
pub(crate) enum Response {
    Received { status: StatusCode, headers: HeaderMap, body: Vec<u8>, time: SystemTime },
    None,
    Lost,
}

/// All endpoints, in the order of the files.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/truth/endpoints");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let texts: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    texts.iter().flat_map(|text| text.split("\n=== ").skip(1)).map(Endpoint::parse).collect()
}

impl Endpoint {
    fn parse(text: &str) -> Endpoint {
        let (head, replies) = text.split_once("\n\n").unwrap_or_else(|| panic!("no response: {text}"));
        let mut lines = head.lines();
        let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
        let mut parts = BTreeMap::new();
        for part in replies.strip_prefix("--- ").into_iter().flat_map(|replies| replies.split("\n--- ")) {
            let (name, reply) = part.split_once('\n').unwrap();
            parts.insert(name, Reply::parse(reply));
        }
        if parts.is_empty() {
            parts.insert("old", Reply::parse(replies));
        }
        let old = parts.remove("old").unwrap_or_else(|| panic!("{target}: no old response"));
        let (new, whole) = (parts.remove("new").unwrap_or_else(|| old.clone()), parts.remove("whole"));
        assert!(parts.is_empty(), "{target}: unknown parts: {parts:?}");
        let mut endpoint = Endpoint {
            method: method.to_owned(),
            target: target.to_owned(),
            about: String::new(),
            truths: Vec::new(),
            ids: 20,
            requests: 40,
            old,
            new,
            whole,
        };
        for line in lines {
            match line.split_once(": ") {
                Some(("about", about)) => endpoint.about = about.to_owned(),
                Some(("ids", count)) => endpoint.ids = count.parse().unwrap(),
                Some(("requests", count)) => endpoint.requests = count.parse().unwrap(),
                _ => endpoint.truths.push(Truth::parse(line)),
            }
        }
        assert!(!endpoint.truths.is_empty() && !endpoint.about.is_empty(), "{target}: no truth, or nothing about it");
        endpoint
    }

    /// The method and the template of the path: names the endpoint in the report.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path_template())
    }

    /// The path as the report shows it.
    pub(crate) fn path_template(&self) -> String {
        self.target.split('?').next().unwrap().replace("${id}", "{id}")
    }

    /// Returns `true` if something in the responses changes with time.
    pub(crate) fn is_slow(&self) -> bool {
        let changes = |text: &str| ["${every ", "${age ", "${revision ", "${clock"].iter().any(|it| text.contains(it));
        let changes = |reply: &Reply| changes(&reply.content) || reply.fields.iter().any(|field| changes(field));
        changes(&self.old) || changes(&self.new)
    }

    /// The path and query of a request.
    pub(crate) fn target(&self, moment: &Moment) -> String {
        String::from_utf8(fill(&self.target, &mut moment.clone())).unwrap()
    }

    /// The response to a request that has conditions, or has them no more.
    pub(crate) fn response(&self, moment: &Moment, is_conditional: bool) -> Response {
        let mut moment = moment.clone();
        let reply = if moment.is_new { &self.new } else { &self.old };
        let reply = self.whole.as_ref().filter(|_| !is_conditional && reply.status == "304").unwrap_or(reply);
        match reply.status.as_str() {
            "no response" => return Response::None,
            "lost" => return Response::Lost,
            _ => {}
        }
        let mut text = |template: &str| String::from_utf8(fill(template, &mut moment)).unwrap();
        let status = text(&reply.status).parse().unwrap();
        let mut headers = HeaderMap::new();
        // A field may vanish as a whole.
        for line in reply.fields.iter().map(|line| text(line)).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("not a field: {line}"));
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value.trim()).unwrap());
        }
        let content = fill(&reply.content, &mut moment);
        let body = encoded(content, &headers);
        Response::Received { status, headers, body, time: moment.time }
    }
}

fn encoded(content: Vec<u8>, headers: &HeaderMap) -> Vec<u8> {
    let has = |name: &str, part: &str| headers.get(name).is_some_and(|value| value.to_str().unwrap().contains(part));
    if headers.contains_key("x-not-encoded") {
        return content;
    }
    let content = match String::from_utf8(content) {
        Ok(text) if has("content-type", "charset=iso-8859-1") => {
            text.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
        }
        Ok(text) => text.into_bytes(),
        Err(error) => error.into_bytes(),
    };
    if !has("content-encoding", "gzip") {
        return content;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&content).unwrap();
    encoder.finish().unwrap()
}

impl Reply {
    fn parse(text: &str) -> Reply {
        let (head, content) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        Reply {
            status: lines.next().unwrap().to_owned(),
            fields: lines.map(str::to_owned).collect(),
            content: content.trim_end_matches('\n').to_owned(),
        }
    }
}

impl Truth {
    fn parse(line: &str) -> Truth {
        match line.split_once(" at ") {
            Some(("differs", place)) => Truth::Differs(Some(place.to_owned())),
            Some(("not measured", place)) => Truth::NotMeasured(place.to_owned()),
            _ => match line {
                "same" => Truth::Same,
                "noisy" => Truth::Noisy,
                "differs" => Truth::Differs(None),
                "cannot be judged" => Truth::CannotBeJudged,
                _ => panic!("not a truth: {line}"),
            },
        }
    }
}
