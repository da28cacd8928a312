//! `crossfade explain`: shows the routing of a request with the code that runs in production, without sending it.
//!
//! Owns the options. `asked` reads the request, `explanation` gathers the facts, `text` prints them.

mod asked;
mod balancer;
mod explanation;
mod mirrored;
mod text;
mod upstream;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use crossfade_proxy::Proxy;
use crossfade_route::{Overlaid, Overlay, RoutingTable};
use http::Method;
use http::header::{HeaderName, HeaderValue};

use super::environment::{Environment, Recorder};
use super::sources::Sources;
use super::{Verdict, configuration, migration};
use crate::routes::MOST_SHOWN;
use crate::terminal::{print, print_json, printable, say};
pub(super) use asked::Asked;
pub(super) use explanation::{Explanation, Migrating, Outcome};

/// Explain where a request would go, and why, without sending it
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade explain https://shop.example.com/api/orders/7
  crossfade explain POST https://shop.example.com/api/orders -H 'cookie: customer_id=42'
  crossfade explain --serverless serverless.yml --ip 192.0.2.7 https://shop.example.com/
  crossfade explain --live s3://bucket/live.json https://shop.example.com/
  crossfade explain --json https://shop.example.com/ | jq .target.backend")]
pub(super) struct Options {
    /// Method (GET if omitted) and URL, as for curl: the scheme defaults to `http`
    #[arg(required = true, num_args = 1..=2, value_names = ["METHOD", "URL"])]
    request: Vec<String>,
    /// Header field of the request; can be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Client address that the load balancer sees
    #[arg(long, value_name = "ADDRESS", default_value_t = LOCALHOST)]
    ip: IpAddr,
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "crossfade.yaml")]
    config: PathBuf,
    /// Apply the live state in this place, as the function does: file:PATH, s3://BUCKET/KEY, ssm:/NAME or appconfig:APPLICATION/ENVIRONMENT/PROFILE [default: $CROSSFADE_LIVE]
    #[arg(long, value_name = "PLACE")]
    live: Option<String>,
    #[command(flatten)]
    sources: Sources,
    /// List all routes and rules that do not match; without it, the nearest 20
    #[arg(long)]
    all: bool,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

pub(super) const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("expected `name: value`")?;
    let name = name.trim().parse().map_err(|_| format!("`{}` is not a field name", name.trim()))?;
    let value = value.trim().parse().map_err(|_| "invalid field value".to_owned())?;
    Ok((name, value))
}

pub(super) fn run(options: &Options) -> Result<Verdict> {
    let (method, url) = match options.request.as_slice() {
        [method, url] => {
            let parsed = method.parse::<Method>();
            (parsed.map_err(|_| anyhow!("`{}` is not a method", printable(method)))?, url)
        }
        [url] => (Method::GET, url),
        _ => bail!("expected a method and a URL"),
    };
    let asked = Asked::new(method, url, options.headers.clone(), options.ip)?;
    let rules = options.sources.load_rules()?;
    let overlay = migration::place(options.live.as_ref()).as_deref().map(migration::read).transpose()?.flatten();
    let proxy = proxy(&options.config, overlay.as_ref())?;
    let most = if options.all { usize::MAX } else { MOST_SHOWN };
    let mut explanation = Explanation::of(&proxy, rules.as_ref().map(|rules| &rules.settings), &asked, most)?;
    explanation.migration = Migrating::of(proxy.table(), overlay.as_ref(), explanation.route.as_ref());
    let environment = environment(&options.config)?.and(rules.map(|rules| rules.environment));
    let explanation = explanation.without_secrets(&environment);
    match options.json {
        true => print_json(&(serde_json::to_string_pretty(&explanation)? + "\n"))?,
        false => print(&text::render(&explanation))?,
    }
    Ok(Verdict::Clean)
}

/// The environment variables that a configuration uses.
fn environment(config: &Path) -> Result<Environment> {
    let text = configuration::text(config)?;
    let recorder = Recorder::new(config.parent().unwrap_or(config));
    // `proxy` has reported all errors.
    let _ = RoutingTable::from_config(&text, "", &recorder);
    Ok(recorder.environment())
}

/// The proxy that the function would have with this file and this live state.
pub(super) fn proxy(config: &Path, overlay: Option<&Overlay>) -> Result<Proxy> {
    let (table, cert_file) = configuration::compiled(config)?;
    let table = match overlay {
        Some(overlay) => {
            let Overlaid { table, mismatches } = table.overlaid(overlay);
            for mismatch in mismatches {
                say(&format!("warning: not applied: {mismatch}"));
            }
            table
        }
        None => table,
    };
    Ok(Proxy::new(table, cert_file, "crossfade")?)
}
