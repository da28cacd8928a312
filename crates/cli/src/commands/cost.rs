//! `crossfade cost`: the cost of a month, next to NGINX.
//!
//! Owns the options, where each value comes from (an option, a log, the configuration, or an assumption), and the errors about missing
//! ones. `crate::cost` calculates.

use std::fmt::Display;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use crossfade_emulator::EndpointKind;
use crossfade_parity::number::{milliseconds, percent};
use crossfade_route::RoutingTable;
use serde_json::json;

use super::check::metrics::Count;
use super::{Verdict, configuration};
use crate::cost::alternative::alternatives;
use crate::cost::estimate::Estimate;
use crate::cost::log::Measurement;
use crate::cost::usage::{Architecture, Front, LivePlace, METRICS_OF_A_LINE, Network, SECONDS, Usage};
use crate::cost::{quantity, text};
use crate::prices::{self, Region};
use crate::program;
use crate::terminal::{has_colours, print_json, print_painted, printable, say};

/// Below this time, a log says little about a month.
const SHORT: Duration = Duration::from_secs(60 * 60);

/// Costs that the sums leave out.
const NOT_INCLUDED: [&str; 7] = [
    "taxes, discounts and savings plans",
    "the back ends",
    "storage and queries of logs",
    "transfer between zones and regions",
    "streamed bytes beyond 6 MB of a response",
    "X-Ray",
    "the work of people, such as patches of NGINX and its hosts",
];

/// Calculate what a month costs, from figures or a log, next to NGINX on Fargate and on instances
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade cost --requests 10M/month --duration 60ms
  crossfade cost --requests 40/s --duration 200ms --mirror 5% --live s3 --arch arm64 --region eu-central-1
  crossfade cost --requests 1e6/day --duration 60ms --config crossfade.yaml --json
  aws logs tail /aws/lambda/crossfade --since 1d --format short | crossfade cost -

A log says how many requests there are in a month, how long they take, how large they are and which share is mirrored. If it has Lambda's REPORT
lines, the billed time comes from them. Options override it.
Units: requests per s, min, h, day, week, month or year, with k, M, B or an exponent; us, ms, s; B, KB, MB. A month has 730 hours.
Prices are on-demand list prices; docs/cost.md says how each item is calculated.
Exit codes: 0 calculated, 2 not calculated.")]
pub(super) struct Options {
    /// Logs of the function, plain or gzipped; `-` reads standard input
    #[arg(value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Requests, such as `10M/month`, `40/s` or `1e6/day`
    #[arg(long, value_name = "RATE", value_parser = quantity::rate)]
    requests: Option<f64>,
    /// Average time from the request to the response, retries included
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    duration: Option<f64>,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
    /// Take `mirror`, `accessLog` and `spill` from this crossfade.yaml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Region: us-east-1, eu-west-1 or eu-central-1
    #[arg(long, value_name = "NAME", default_value = "us-east-1", value_parser = Region::parse)]
    region: Region,
    /// Front end [possible values: alb, rest-api, http-api, function-url, lattice]
    #[arg(long, value_name = "KIND", default_value = "alb", value_parser = front)]
    front: Front,
    /// Processor of the function and of NGINX on Fargate
    #[arg(long, value_enum, default_value = "x86_64")]
    arch: Arch,
    /// Memory of the function in MB [default: 128]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(128..=10_240))]
    memory: Option<u32>,
    /// Share of the requests that start an environment [default: 0.5%]
    #[arg(long, value_name = "SHARE", value_parser = quantity::share)]
    cold_starts: Option<f64>,
    /// Time of such a start, which is billed [default: 20ms]
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    init: Option<f64>,
    /// Share of the requests that are mirrored [default: 0%]
    #[arg(long, value_name = "SHARE", value_parser = quantity::share)]
    mirror: Option<f64>,
    /// Time that a shadow request takes [default: `--duration`]
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    mirror_duration: Option<f64>,
    /// Average size of a request's content [default: 1KB]
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    request_size: Option<f64>,
    /// Average size of a response's content [default: 20KB]
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    response_size: Option<f64>,
    /// Requests that a client sends over one connection [default: 5]
    #[arg(long, value_name = "N", value_parser = quantity::count)]
    requests_per_connection: Option<f64>,
    /// Rules of the listener that are evaluated for a request; the first ten cost nothing [default: 10]
    #[arg(long, value_name = "N", value_parser = quantity::count)]
    rules: Option<f64>,
    /// Time between health checks of the load balancer; 0s for none [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    health_check: Option<f64>,
    /// Way to the back ends: not from a VPC, from one through a NAT gateway, or to private addresses
    #[arg(long, value_name = "WAY", value_enum, default_value = "internet")]
    network: Way,
    /// Place of the live state [default: none]
    #[arg(long, value_name = "PLACE", value_enum)]
    live: Option<Place>,
    /// Time between two reads of the live state by an environment [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = quantity::span)]
    live_interval: Option<f64>,
    /// Environments that are busy around the clock, for the live state [default: twice the average number of concurrent requests]
    #[arg(long, value_name = "N", value_parser = quantity::count)]
    environments: Option<f64>,
    /// Number of custom metrics [default: those of `metrics` in the file, else 0]
    #[arg(long, value_name = "N", value_parser = quantity::count)]
    metrics: Option<f64>,
    /// Number of metrics that alarms watch
    #[arg(long, value_name = "N", default_value = "0", value_parser = quantity::count)]
    alarms: f64,
    /// Number of dashboards
    #[arg(long, value_name = "N", default_value = "0", value_parser = quantity::count)]
    dashboards: f64,
    /// Share of the requests in the access log [default: 100%]
    #[arg(long, value_name = "SHARE", value_parser = quantity::share)]
    access_log: Option<f64>,
    /// Lambda leaves out its own lines, START, END and REPORT
    #[arg(long)]
    no_lambda_lines: bool,
    /// Share of the responses that `spill` stores in S3 [default: 0%]
    #[arg(long, value_name = "SHARE", value_parser = quantity::share)]
    spill: Option<f64>,
    /// Average size of these [default: 5MB]
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    spill_size: Option<f64>,
    /// Deduct Lambda's free tier, which an account has once
    #[arg(long)]
    free_tier: bool,
    /// Time that the log covers [default: from its first to its last request]
    #[arg(long, value_name = "TIME", value_parser = quantity::span, requires = "logs")]
    span: Option<f64>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Arch {
    #[value(name = "x86_64")]
    X86,
    #[value(name = "arm64")]
    Arm,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Way {
    Internet,
    Nat,
    Private,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Place {
    None,
    S3,
    Ssm,
    #[value(name = "appconfig")]
    AppConfig,
}

fn front(name: &str) -> Result<Front, String> {
    let kind = if name == "rest" { Some(EndpointKind::RestApi) } else { super::front(name)? };
    Ok(match kind {
        None => Front::Alb,
        Some(EndpointKind::RestApi) => Front::RestApi,
        Some(EndpointKind::HttpApi | EndpointKind::HttpApi1) => Front::HttpApi,
        Some(EndpointKind::FunctionUrl) => Front::FunctionUrl,
        Some(EndpointKind::Lattice | EndpointKind::Lattice1) => Front::Lattice,
    })
}

pub(super) fn run(options: &Options) -> Result<Verdict> {
    let log = options.measurement()?;
    let table = options.config.as_deref().map(configuration::compiled).transpose()?.map(|(table, _)| table);
    let mut inputs = Inputs { options, log: log.as_ref(), assumed: Vec::new() };
    let requests = inputs.requests()?;
    let usage = inputs.usage(requests, table.as_ref())?;
    let (estimate, others) = (Estimate::of(&usage), alternatives(&usage));
    let assumed = inputs.assumed;
    if options.json {
        let document = json!({
            "currency": "USD",
            "prices_of": prices::DATE,
            "region": usage.region.name(),
            "requests_per_month": usage.requests,
            "log": log.as_ref().map(|log| json!({
                "lines": log.counts(),
                "seconds": options.seconds(log),
                "unreadable": log.unreadable().map_or(0, |(count, _)| count),
            })),
            "crossfade": estimate,
            "alternatives": others,
            "assumed": assumed.iter().map(|(value, option)| json!({ "value": value, "option": option })).collect::<Vec<_>>(),
            "not_included": NOT_INCLUDED,
        });
        print_json(&(serde_json::to_string_pretty(&document)? + "\n"))?;
    } else {
        let context = text::Context {
            region: usage.region,
            requests: usage.requests,
            assumed: &assumed,
            not_included: &NOT_INCLUDED,
            has_colours: has_colours(),
        };
        print_painted(&text::text(&estimate, &others, &context))?;
    }
    Ok(Verdict::Clean)
}

impl Options {
    /// The logs, if there are any.
    fn measurement(&self) -> Result<Option<Measurement>> {
        if self.logs.is_empty() {
            return Ok(None);
        }
        let mut log = Measurement::default();
        for file in &self.logs {
            let read = match file.as_os_str() == "-" {
                true if std::io::stdin().is_terminal() => {
                    bail!("`-` reads a log from standard input, which is a terminal")
                }
                true => log.read("standard input", std::io::stdin().lock()),
                false => log.read_file(file),
            };
            read.with_context(|| format!("cannot read `{}`", file.display()))?;
        }
        let unreadable =
            log.unreadable().map(|(count, first)| format!("{count} records cannot be read, the first at {first}"));
        if log.requests().is_none() {
            let reason = unreadable.map(|reason| format!(": {reason}")).unwrap_or_default();
            bail!(
                "the log has neither access lines (`\"type\":\"access\"`) of requests nor REPORT lines{}\n  hint: `aws logs tail GROUP \
                 --since 1d --format short | {} cost -`",
                printable(&reason),
                program::name()
            );
        }
        if let Some(reason) = unreadable {
            say(&format!("warning: {}", printable(&reason)));
        }
        Ok(Some(log))
    }

    /// The time of the log in seconds.
    fn seconds(&self, log: &Measurement) -> Option<f64> {
        self.span.map(|span| span / 1e3).or_else(|| Some(log.span()?.as_secs_f64())).filter(|seconds| *seconds > 0.0)
    }
}

/// Sources of the values, in order: an option, the log, the configuration, an assumption.
struct Inputs<'o> {
    options: &'o Options,
    log: Option<&'o Measurement>,
    /// Values that nobody gave, each with its option.
    assumed: Vec<(String, &'static str)>,
}

impl Inputs<'_> {
    fn requests(&mut self) -> Result<f64> {
        if let Some(requests) = self.options.requests {
            return Ok(requests);
        }
        let Some(log) = self.log else {
            bail!(
                "no traffic to calculate with\n  hint: `{0} cost --requests 10M/month --duration 60ms`, or a log: `{0} cost function.log`, `-` for \
                 standard input",
                program::name()
            );
        };
        let Some(seconds) = self.options.seconds(log) else {
            bail!(
                "the time that the log covers is unknown: {}\n  hint: `--span 24h` if it is of a day, or `--requests 10M/month`",
                if log.counts().access_lines == 0 {
                    "it has no access line"
                } else if log.span().is_none() {
                    "its access lines have no `time`"
                } else {
                    "all its requests are of one moment"
                }
            );
        };
        let span = humantime::format_duration(Duration::from_secs(seconds.round().max(1.0) as u64));
        if seconds < SHORT.as_secs_f64() {
            say(&format!("warning: the log covers only {span}: a month may be quite different"));
        }
        let requests = log.requests().unwrap_or_default();
        self.assumed.push((
            format!("a month like the {span} of the log, with {} requests", text::amount(requests)),
            "--requests",
        ));
        Ok(requests * SECONDS / seconds)
    }

    /// A value of an option, the log or the file, or the assumed one.
    fn value(
        &mut self,
        option: Option<f64>,
        found: Option<f64>,
        default: f64,
        name: impl Display,
        flag: &'static str,
    ) -> f64 {
        option.or(found).unwrap_or_else(|| {
            self.assumed.push((name.to_string(), flag));
            default
        })
    }

    fn usage(&mut self, requests: f64, table: Option<&RoutingTable>) -> Result<Usage> {
        let (options, log) = (self.options, self.log);
        let billed = log.and_then(Measurement::billed);
        // An option about the time is about a month that differs from the log's.
        let times = [options.duration, options.mirror, options.mirror_duration, options.cold_starts, options.init];
        let is_measured = times.iter().all(Option::is_none);
        let measured = billed.map(|(_, measured)| measured).filter(|_| is_measured);
        let duration = log.and_then(|log| log.duration_ms().or_else(|| Some(log.billed()?.1.billed_ms)));
        let Some(duration) = options.duration.map(f64::ceil).or(duration) else {
            bail!(
                "the time of a request is missing\n  hint: `--duration 60ms`, on average from the request to the response"
            );
        };
        let mut usage = Usage::new(requests, duration.max(1.0));
        usage.region = options.region;
        usage.architecture = if matches!(options.arch, Arch::Arm) { Architecture::Arm } else { Architecture::X86 };
        usage.front = options.front;
        usage.measured = measured;
        usage.free_tier = options.free_tier;
        let configured = table.and_then(Count::of).map(Count::number);
        usage.metrics = options.metrics.or(configured).unwrap_or_default();
        if let (None, Some(count)) = (options.metrics, configured) {
            self.assumed
                .push((format!("{count} metrics, the most of the file, with values in every hour"), "--metrics"));
        }
        (usage.alarms, usage.dashboards) = (options.alarms, options.dashboards);
        usage.network = match options.network {
            Way::Internet => Network::Internet,
            Way::Nat => Network::Nat,
            Way::Private => Network::Private,
        };
        let memory = billed.and_then(|(memory, _)| memory);
        let default = usage.memory_mb;
        usage.memory_mb = self.value(options.memory.map(f64::from), memory, default, "128 MB of memory", "--memory");
        self.starts(&mut usage);
        self.mirror(&mut usage, table);
        self.transfer(&mut usage);
        self.live(&mut usage, table);
        self.lines(&mut usage, table);
        self.spill(&mut usage, table);
        Ok(usage)
    }

    fn starts(&mut self, usage: &mut Usage) {
        let (options, found) = (self.options, self.log.and_then(Measurement::cold_starts));
        let share = found.map(|(share, _)| share);
        usage.cold_starts = self.value(
            options.cold_starts,
            share,
            usage.cold_starts,
            "0.5 % of the requests start an environment",
            "--cold-starts",
        );
        let init = found.map(|(_, init)| init.unwrap_or_default());
        usage.init_ms = self.value(options.init.map(f64::ceil), init, usage.init_ms, "a start takes 20 ms", "--init");
        // Without access lines, the reports of health checks cannot be told from others.
        let is_contained = usage.measured.is_some() && self.log.is_some_and(|log| log.counts().access_lines == 0);
        if is_contained && options.health_check.is_none() {
            usage.health_check_seconds = None;
        } else if usage.front == Front::Alb {
            let ms = self.value(options.health_check, None, 30e3, "a health check every 30 s", "--health-check");
            usage.health_check_seconds = Some(ms / 1e3).filter(|seconds| *seconds > 0.0);
        }
    }

    /// Copies: those in the log, or those that the routes ask for.
    fn mirror(&mut self, usage: &mut Usage, table: Option<&RoutingTable>) {
        let options = self.options;
        let found = self.log.and_then(Measurement::copies);
        usage.copies = match (options.mirror, found, self.log, table.map(mirrored)) {
            (Some(share), ..) => share,
            (None, Some(found), ..) => found.share,
            (None, None, Some(log), _) if log.counts().access_lines > 0 => 0.0,
            (None, None, _, Some((share, names))) => {
                if !names.is_empty() {
                    let share = percent(share);
                    self.assumed.push((
                        format!("{share} of all requests are copied, the most of a route: {}", printable(&names)),
                        "--mirror",
                    ));
                }
                share
            }
            (None, None, _, None) => 0.0,
        };
        if usage.copies > 0.0 {
            let ms = found.and_then(|found| found.ms);
            let name = format!("a shadow request takes {}, as a request does", milliseconds(usage.duration_ms));
            usage.copy_ms =
                self.value(options.mirror_duration.map(f64::ceil), ms, usage.duration_ms, name, "--mirror-duration");
        }
        if let Some(found) = found {
            usage.comparison_line = found.line;
            usage.comparisons = Some(found.lines).filter(|_| options.mirror.is_none());
        }
    }

    fn transfer(&mut self, usage: &mut Usage) {
        let (options, log) = (self.options, self.log);
        let request = log.and_then(Measurement::request_bytes);
        usage.request_bytes =
            self.value(options.request_size, request, usage.request_bytes, "a request has 1 KB", "--request-size");
        let response = log.and_then(Measurement::response_bytes);
        usage.response_bytes = self.value(
            options.response_size,
            response,
            usage.response_bytes,
            "a response has 20 KB",
            "--response-size",
        );
        if usage.front == Front::Alb {
            let default = usage.requests_per_connection;
            let name = "5 requests for each connection of a client";
            usage.requests_per_connection =
                self.value(options.requests_per_connection, None, default, name, "--requests-per-connection");
            usage.rules =
                self.value(options.rules, None, usage.rules, "up to 10 rules of the listener for a request", "--rules");
        }
    }

    fn live(&mut self, usage: &mut Usage, table: Option<&RoutingTable>) {
        let options = self.options;
        usage.live = match options.live {
            Some(Place::S3) => Some(LivePlace::S3),
            Some(Place::Ssm) => Some(LivePlace::Ssm),
            Some(Place::AppConfig) => Some(LivePlace::AppConfig),
            Some(Place::None) | None => None,
        };
        if options.live.is_none() && table.is_some_and(|table| table.plan.is_some()) {
            self.assumed.push(("no live state, although the file has a `migration`".to_owned(), "--live"));
        }
        if usage.live.is_some() {
            let default = usage.live_seconds * 1e3;
            let name = "an environment reads the live state every 10 s";
            usage.live_seconds = self.value(options.live_interval, None, default, name, "--live-interval") / 1e3;
            usage.environments = options.environments;
            if usage.environments.is_none() {
                let name =
                    format!("environments that are busy around the clock: {}", text::amount(usage.busy_environments()));
                self.assumed.push((name, "--environments"));
            }
        }
    }

    fn lines(&mut self, usage: &mut Usage, table: Option<&RoutingTable>) {
        let found = self.log.and_then(Measurement::access_log);
        let configured = table.map(|table| table.access_log.percent() / 100.0);
        let share = found.map(|(share, _)| share).or(configured);
        usage.logged = self.value(
            self.options.access_log,
            share,
            usage.logged,
            "all requests are in the access log",
            "--access-log",
        );
        usage.access_line = found.map_or(usage.access_line, |(_, bytes)| bytes);
        // Those of a log may be in it.
        if usage.metrics > 0.0 && !self.log.is_some_and(Measurement::has_metrics) {
            usage.access_line += METRICS_OF_A_LINE;
        }
        if self.options.no_lambda_lines {
            usage.lambda_lines = 0.0;
        }
    }

    fn spill(&mut self, usage: &mut Usage, table: Option<&RoutingTable>) {
        let (options, found) = (self.options, self.log.and_then(Measurement::spilled));
        let is_on = table.is_some_and(|table| table.spill.is_some());
        usage.spilled = options.spill.or(found.map(|(share, _)| share)).unwrap_or_else(|| {
            if is_on {
                self.assumed.push(("no response is stored in S3, although the file has `spill`".to_owned(), "--spill"));
            }
            0.0
        });
        if usage.spilled > 0.0 {
            let size = found.map(|(_, size)| size);
            usage.spilled_bytes =
                self.value(options.spill_size, size, usage.spilled_bytes, "a stored response has 5 MB", "--spill-size");
        }
    }
}

/// The largest number of copies for each request that a route asks for, and the routes with one: which share of the requests each gets is
/// unknown.
fn mirrored(table: &RoutingTable) -> (f64, String) {
    let routes = table.routes().iter().chain([table.default_route()]);
    let all: Vec<_> = routes
        .filter_map(|route| {
            let mirror = route.mirror.as_ref()?;
            let copies = mirror.share.percent() / 100.0 * (1.0 + mirror.noise.self_compare.percent() / 100.0);
            Some((route.name.as_str(), copies))
        })
        .filter(|(_, copies)| *copies > 0.0)
        .collect();
    let names = all.iter().map(|(name, copies)| format!("{name} {}", percent(*copies))).collect::<Vec<_>>().join(", ");
    (all.iter().map(|(_, copies)| *copies).fold(0.0, f64::max), names)
}
