//! Requests per second, in rounds that take turns, by `wrk` (HTTP/1.1) and `h2load` (HTTP/2). It owns the load and the
//! figures; a lane with a single answer that is not 2xx has no figure.

use std::process::Command;

use anyhow::{Context as _, ensure};

use super::server::{Kit, Server, file};
use crate::warm::median;

/// Concurrent requests: connections over HTTP/1.1, streams of one connection over HTTP/2.
const CONCURRENCY: usize = 8;
const BODY: usize = 100 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// An emulator with a function, by a protocol.
struct Lane<'a> {
    name: &'static str,
    server: &'a Server,
    protocol: Protocol,
    /// Requests per second of each round, for each load; the last error.
    rounds: [Vec<f64>; 2],
    problem: Option<String>,
}

/// Small ones, and ones with 100 KB that the Node handler sends back.
const LOADS: [&str; 2] = ["/echo", "/same"];

/// The table in Markdown.
pub(super) fn table(kit: &Kit, quick: bool) -> anyhow::Result<String> {
    let (rounds, seconds) = if quick { (2, 1) } else { (7, 2) };
    let folder = tempfile::tempdir()?;
    let body = file(folder.path(), "body", &vec![b'a'; BODY])?;
    let script = "wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'text/plain'\n";
    let script = format!("{script}wrk.body = string.rep('a', {BODY})\n");
    let script = file(folder.path(), "post.lua", script.as_bytes())?;

    let (offline, node, floor) = (kit.offline()?, kit.ours_with_node()?, kit.ours_with_floor()?);
    let lane = |name, server, protocol| Lane { name, server, protocol, rounds: Default::default(), problem: None };
    let mut lanes = [
        lane("serverless-offline, Node handler", &offline, Protocol::Http1),
        lane("Crossfade, Node handler on aws-lambda-ric", &node, Protocol::Http1),
        lane("Crossfade, a constant answer", &floor, Protocol::Http1),
        lane("serverless-offline, Node handler", &offline, Protocol::Http2),
        lane("Crossfade, Node handler on aws-lambda-ric", &node, Protocol::Http2),
        lane("Crossfade, a constant answer", &floor, Protocol::Http2),
    ];
    let run = |lane: &Lane<'_>, load: usize, seconds: u32| match lane.protocol {
        Protocol::Http1 => wrk(&lane.server.url(LOADS[load]), (load == 1).then_some(script.as_str()), seconds),
        Protocol::Http2 => h2load(&lane.server.url(LOADS[load]), (load == 1).then_some(body.as_str()), seconds),
    };
    // The first round is not counted: processes start, Node compiles.
    for round in 0..=rounds {
        eprintln!("bench: round {round} of {rounds}");
        for at in 0..lanes.len() {
            let lane = &mut lanes[(at + round) % LANES];
            for load in 0..LOADS.len() {
                if lane.problem.is_some() {
                    continue;
                }
                match run(lane, load, if round == 0 { 1 } else { seconds }) {
                    Ok(rate) if round > 0 => lane.rounds[load].push(rate),
                    Ok(_) => {}
                    Err(error) => lane.problem = Some(error.to_string()),
                }
            }
        }
    }
    Ok(format!("{}\n{}", introduction(rounds, seconds), markdown(&lanes)))
}

const LANES: usize = 6;

fn introduction(rounds: usize, seconds: u32) -> String {
    format!(
        "{rounds} rounds of {seconds} s for each figure, in turns; {CONCURRENCY} requests at a time: `wrk -t1 -c{CONCURRENCY}` for \
         HTTP/1.1, `h2load -c1 -m{CONCURRENCY}` for HTTP/2 with prior knowledge. Medians; x is the median over rounds of this / \
         serverless-offline by HTTP/1.1 in the same round. The small GET is answered with what the handler was told (some 400 \
         bytes of JSON), the POST of 100 KB with the same 100 KB; the constant answer is 2 bytes in either case, from a function that \
         does nothing else, so it shows what the emulator itself costs.\n"
    )
}

fn markdown(lanes: &[Lane<'_>]) -> String {
    let mut table = String::from(
        "| | protocol | small GET, requests/s | x | POST 100 KB, requests/s | x |\n|---|---|--:|--:|--:|--:|\n",
    );
    for lane in lanes {
        let protocol = if lane.protocol == Protocol::Http1 { "HTTP/1.1" } else { "HTTP/2" };
        table.push_str(&format!("| {} | {protocol} |", lane.name));
        if let Some(problem) = &lane.problem {
            table.push_str(&format!(" {problem} | | | |\n"));
            continue;
        }
        for (own, base) in lane.rounds.iter().zip(&lanes[0].rounds) {
            let ratio = median(own.iter().zip(base).map(|(own, base)| own / base).collect());
            table.push_str(&format!(" {:.0} | {ratio:.2} |", median(own.clone())));
        }
        table.push('\n');
    }
    table
}

fn wrk(url: &str, script: Option<&str>, seconds: u32) -> anyhow::Result<f64> {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{CONCURRENCY}"), &format!("-d{seconds}s"), "--timeout", "10s"]);
    if let Some(script) = script {
        command.args(["-s", script]);
    }
    let text = output(command.arg(url))?;
    ensure!(!text.contains("Non-2xx"), "answers that are not 2xx");
    ensure!(!text.contains("Socket errors"), "socket errors");
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    let rate: f64 = rate.context("no figure from `wrk`")?.trim().parse()?;
    ensure!(rate > 0.0, "no answer");
    Ok(rate)
}

fn h2load(url: &str, body: Option<&str>, seconds: u32) -> anyhow::Result<f64> {
    let mut command = Command::new("h2load");
    command.args(["-c1", &format!("-m{CONCURRENCY}"), &format!("--duration={seconds}")]);
    if let Some(body) = body {
        command.args(["-d", body, "-H", "content-type: text/plain"]);
    }
    let text = output(command.arg(url))?;
    // `status codes: 123 2xx, 0 3xx, 0 4xx, 0 5xx`
    let codes = text.lines().find_map(|line| line.strip_prefix("status codes:")).context("no figure from `h2load`")?;
    let count = |class: &str| {
        let of = codes.split(',').find_map(|part| part.trim().strip_suffix(class));
        of.and_then(|number| number.trim().parse::<f64>().ok()).unwrap_or_default()
    };
    ensure!(count("2xx") > 0.0, "no HTTP/2");
    ensure!(count("3xx") + count("4xx") + count("5xx") == 0.0, "answers that are not 2xx");
    Ok(count("2xx") / f64::from(seconds))
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
