//! The same requests through both emulators, compared with AWS's documentation. It owns the requests and the checks.

use std::process::Command;

use anyhow::Context as _;
use crossfade_testkit::client::Response;
use serde_json::Value;

use super::server::{Kit, Server, file};

/// A request, the behaviour that AWS documents, and a function that extracts the observed one.
struct Case {
    request: &'static str,
    target: &'static str,
    /// Arguments of curl.
    arguments: Vec<String>,
    aws: &'static str,
    seen: fn(&Answer) -> String,
}

/// The response that curl got.
#[derive(Default)]
struct Answer {
    status: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn values(&self, name: &str) -> String {
        let mut values: Vec<&str> =
            self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect();
        values.sort_unstable();
        values.join(" and ")
    }

    /// A part of the event, as the handler reports it; or the status of a failed response.
    fn told(&self, of: fn(&Value) -> String) -> String {
        let told = serde_json::from_slice::<Value>(&self.body).ok().filter(|_| self.status == "200");
        told.map_or_else(|| self.status.clone(), |told| of(&told))
    }
}

/// The table in Markdown.
pub(super) fn table(kit: &Kit) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let binary: Vec<u8> = (0..=255).collect();
    let binary = format!("@{}", file(folder.path(), "binary", &binary)?);
    let large = format!("@{}", file(folder.path(), "large", &vec![b'a'; 1_200_000])?);
    let (mut ours, mut offline) = (kit.ours_with_rules()?, kit.offline()?);
    let mut table = String::from("| request | AWS | Crossfade | serverless-offline |\n|---|---|---|---|\n");
    for case in cases(&binary, &large) {
        let cell = |server: &mut Server| -> anyhow::Result<String> {
            let seen = observe(server, &case)?;
            Ok(if seen == case.aws { "as AWS".to_owned() } else { seen })
        };
        let (here, there) = (cell(&mut ours)?, cell(&mut offline)?);
        // The next request needs one that runs.
        if !offline.runs() {
            offline = kit.offline()?;
        }
        table.push_str(&format!("| {} | {} | {here} | {there} |\n", case.request, case.aws));
    }
    Ok(table)
}

fn observe(server: &mut Server, case: &Case) -> anyhow::Result<String> {
    let fixed = ["--silent", "--include", "--path-as-is", "--http1.1", "--max-time", "10", "--noproxy", "*"];
    let mut command = Command::new("curl");
    command.args(fixed).args(&case.arguments).args(["-H", "Expect:"]).arg(server.url(case.target));
    let output = command.output().context("cannot start `curl`")?;
    // It takes a process some time to notice that it has ended.
    std::thread::sleep(std::time::Duration::from_millis(200));
    if !server.runs() {
        return Ok("its process ends".to_owned());
    }
    let Some(response) = Response::of_curl(&output.stdout) else {
        return Ok("no answer".to_owned());
    };
    let answer = Answer {
        status: response.status.to_string(),
        fields: response.fields().map(|(name, value)| (name, value.to_owned())).collect(),
        body: response.body,
    };
    Ok((case.seen)(&answer))
}

/// User guide, "Lambda functions as targets" and "Troubleshoot your Application Load Balancers". Documented nowhere but
/// seen by many: paths and queries stay encoded, cookies by names that differ in case, `"body": null`, `Server` of an
/// ALB's own answers.
fn cases(binary: &str, large: &str) -> Vec<Case> {
    let status: fn(&Answer) -> String = |answer| answer.status.clone();
    let case = |request, target, arguments: &[&str], aws, seen| {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Case { request, target, arguments, aws, seen }
    };
    let octets = "content-type: application/octet-stream";
    let multi = ["-H", "x-mode: multi"];
    let families: fn(&Answer) -> String = |answer| {
        answer.told(|told| {
            let names: Vec<&str> =
                told["families"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            format!("`{}`", names.join("`, `"))
        })
    };
    let cookies: fn(&Answer) -> String = |answer| answer.values("set-cookie");
    vec![
        case("`/api/a/b`, rule `/api/*`", "/api/a/b", &[], "200", status),
        case("`/api/a%2Fb`: `path`", "/api/a%2Fb", &[], "`/api/a%2Fb`", |answer| {
            answer.told(|told| format!("`{}`", told["path"].as_str().unwrap_or_default()))
        }),
        case("`?q=a%20b%26`: `queryStringParameters`", "/echo?q=a%20b%26", &[], "`{\"q\":\"a%20b%26\"}`", |answer| {
            answer.told(|told| format!("`{}`", told["query"]))
        }),
        case(
            "256 different bytes, sent back",
            "/same",
            &["--data-binary", binary, "-H", octets],
            "the same bytes",
            |answer| {
                if answer.status == "200" && answer.body == (0..=255).collect::<Vec<u8>>() {
                    return "the same bytes".to_owned();
                }
                format!("{}, {} bytes", answer.status, answer.body.len())
            },
        ),
        case("two cookies, names that differ in case", "/cookies", &[], "a=1 and b=2", cookies),
        case("two cookies, multi-value rule, in `multiValueHeaders`", "/cookies", &multi, "a=1 and b=2", cookies),
        case("event of a single-value rule", "/echo", &[], "`headers`", families),
        case("event of a multi-value rule", "/echo", &multi, "`multiValueHeaders`", families),
        case("fields that are added", "/echo", &[], "x-forwarded-for, -port, -proto, x-amzn-trace-id", |answer| {
            answer.told(|told| {
                let fields = told["fields"].as_object();
                let has = |name: &str| fields.is_some_and(|fields| fields.contains_key(name));
                let all = ["x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-amzn-trace-id"];
                match all.iter().filter(|name| has(name)).count() {
                    4 => "x-forwarded-for, -port, -proto, x-amzn-trace-id".to_owned(),
                    0 => "none".to_owned(),
                    some => format!("{some} of 4"),
                }
            })
        }),
        case("HEAD", "/echo", &["--head"], "200, no content", |answer| {
            let content = if answer.body.is_empty() { "no content" } else { "content" };
            format!("{}, {content}", answer.status)
        }),
        case("TRACE", "/echo", &["--request", "TRACE"], "405", status),
        case("a body of 1.2 MB", "/same", &["--data-binary", large, "-H", "content-type: text/plain"], "413", status),
        case("an answer of 1.2 MB", "/large", &[], "502", status),
        case("an answer with `\"body\": null`", "/no-body", &[], "502", status),
        case("a handler that throws", "/fail", &[], "502, awselb/2.0", |answer| {
            let server = answer.values("server");
            format!("{}, {}", answer.status, if server.is_empty() { "no `Server`" } else { &server })
        }),
        case("an answer with `content-type` in lower case", "/lower-case", &[], "200", status),
    ]
}
