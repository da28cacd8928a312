//! Renders an explanation as text. Owns wording and layout only.

use std::fmt::Write;

use crossfade_parity::number::grouped;

use super::balancer::LoadBalancer;
use super::explanation::{Answer, Explanation, Migrating, Outcome, Sent, Timeouts};
use super::mirrored::{Copied, Mirrored};
use super::upstream::Upstream;
use crate::routes::{Skipped, SkippedList, Taken};

/// Writing to a `String` cannot fail.
pub(super) fn render(explanation: &Explanation) -> String {
    let mut text = String::new();
    let Explanation { method, url, normalised_path, load_balancer, skipped, route, migration, outcome } = explanation;
    let _ = writeln!(text, "request       {method} {url}");
    if let Some(path) = normalised_path {
        let _ = writeln!(text, "matched as    {path} (normalised for conditions; forwarded as sent)");
    }
    if let Some(load_balancer) = load_balancer {
        render_rules(&mut text, load_balancer);
    }
    if let Some(route) = route {
        render_list(&mut text, "routes", skipped, route);
    }
    if let Some(Migrating { from, to, live, progress, .. }) = migration {
        let by = live.map_or("the file".to_owned(), |version| format!("version {version} of the live state"));
        let _ = writeln!(text, "\nmigration     {from} -> {to}: {progress}, by {by}");
    }
    match outcome {
        Outcome::Sent(sent) => render_sent(&mut text, sent),
        Outcome::Answered { answer: Answer { status, location, by } } => {
            let _ = writeln!(text, "\nresponse      {status} by {by}");
            if let Some(location) = location {
                let _ = writeln!(text, "  location: {location}");
            }
        }
    }
    text
}

fn render_rules(text: &mut String, load_balancer: &LoadBalancer) {
    let nothing = Taken { priority: None, name: "no rule matches".to_owned(), conditions: String::new() };
    render_list(text, "load balancer", &load_balancer.skipped, load_balancer.rule.as_ref().unwrap_or(&nothing));
    // For a request that no rule matches, the response says it.
    for line in load_balancer.does.iter().filter(|_| load_balancer.rule.is_some()) {
        let _ = writeln!(text, "             {line}");
    }
}

fn render_list(text: &mut String, title: &str, list: &SkippedList, taken: &Taken) {
    let SkippedList { skipped, skipped_left_out } = list;
    let _ = match skipped_left_out {
        0 => writeln!(text, "\n{title}"),
        left_out => {
            let all = grouped((skipped.len() + left_out) as u64);
            writeln!(text, "\n{title:<13} the nearest {} of {all} that do not match; `--all` prints all", skipped.len())
        }
    };
    let width = skipped.iter().map(|it| it.name.len()).chain([taken.name.len()]).max().unwrap_or_default();
    let number = |priority: Option<u32>| priority.map(|priority| priority.to_string()).unwrap_or_default();
    for Skipped { priority, name, condition, found } in skipped {
        let found = if found.is_empty() { String::new() } else { format!(" ({found})") };
        let _ = writeln!(text, "    {:>5} {name:<width$}  no: {condition}{found}", number(*priority));
    }
    let Taken { priority, name, conditions } = taken;
    let line = format!("  > {:>5} {name:<width$}  {conditions}", number(*priority));
    let _ = writeln!(text, "{}", line.trim_end());
}

fn render_sent(text: &mut String, sent: &Sent) {
    let Sent {
        transforms,
        target,
        upstream,
        timeouts,
        retry,
        outlier,
        failover,
        spill,
        public_url,
        compress,
        streaming,
        tracing,
        error_pages,
        mirror,
    } = sent;
    if let Some(change) = transforms {
        let _ = writeln!(text, "\ntransforms\n    {}\n  > {}", change.before, change.after);
    }
    let _ = writeln!(text, "\ntarget        {}: {}", target.backend, target.why);
    if let Some(cookie) = &target.set_cookie {
        let _ = writeln!(text, "  set-cookie: {cookie}");
    }
    let _ = writeln!(text);
    render_upstream(text, "upstream", upstream);
    let _ = writeln!(text);
    let Timeouts { connect, backend_request, request } = timeouts;
    let limits = [("connect", Some(*connect)), ("backendRequest", *backend_request), ("request", *request)];
    let limits: Vec<String> = limits.iter().filter_map(|(name, ms)| Some(format!("{name} {} ms", (*ms)?))).collect();
    let _ = writeln!(text, "timeouts      {}, and the function's own", limits.join(", "));
    if !upstream.addresses.is_empty() {
        let _ = writeln!(text, "addresses     {}", upstream.addresses.join(", "));
    }
    for (name, value) in [
        ("retry", retry.as_deref()),
        ("outlier", outlier.as_deref()),
        ("failover", failover.as_deref()),
        ("spill", spill.as_deref()),
        ("publicUrl", public_url.as_deref()),
        ("compress", *compress),
        ("streaming", streaming.as_deref()),
        ("tracing", tracing.as_deref()),
        ("errorPages", error_pages.as_deref()),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<13} {value}");
        }
    }
    if let Some(mirror) = mirror {
        render_mirror(text, mirror);
    }
}

fn render_mirror(text: &mut String, mirror: &Mirrored) {
    let Mirrored { backend, copied, why, upstream } = mirror;
    let copied = match copied {
        Copied::Yes => "gets a copy",
        Copied::No => "gets no copy",
        Copied::ByChance => "may get a copy",
    };
    let _ = writeln!(text, "\nmirror        {backend} {copied}: {why}");
    if let Some(upstream) = upstream {
        render_upstream(text, "copy", upstream);
    }
}

fn render_upstream(text: &mut String, label: &str, upstream: &Upstream) {
    let Upstream { method, url, headers, .. } = upstream;
    let _ = writeln!(text, "{label:<13} {method} {url}");
    for (name, value) in headers {
        let _ = writeln!(text, "  {name}: {value}");
    }
}
