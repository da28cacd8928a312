//! `crossfade check --connect`: connects to each back end from this machine.
//!
//! Owns the output and which results are findings. `crossfade-proxy` makes the connections, as it does for requests.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use crossfade_proxy::{Answer, Probe, Proxy, Reached, Session};
use crossfade_route::{Backend, Diagnostic, HostHeader, Severity};
use http::header::HeaderValue;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::terminal::printable;

/// Longest wait for a response.
const PATIENCE: Duration = Duration::from_secs(10);
/// Back ends that are contacted concurrently.
const AT_ONCE: usize = 16;
/// A certificate that expires sooner is a warning: most authorities renew after two thirds of the lifetime.
const SOON: Duration = Duration::from_secs(30 * DAY);
const DAY: u64 = 24 * 60 * 60;

/// A back end and the results for its destinations.
pub(super) struct Look {
    backend: Arc<Backend>,
    probes: Vec<Probe>,
}

/// Contacts every back end with the client's `host`, by default the host of `publicUrl`.
///
/// # Errors
///
/// If the runtime cannot start. Problems of a back end are findings.
pub(super) fn look(proxy: Proxy, host: Option<&HeaderValue>) -> Result<Vec<Look>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot open connections")?.block_on(look_at_all(Arc::new(proxy), host))
}

async fn look_at_all(proxy: Arc<Proxy>, host: Option<&HeaderValue>) -> Result<Vec<Look>> {
    let mut looks = Vec::new();
    let mut at_work = JoinSet::new();
    let backends = proxy.table().backends().to_vec();
    for (index, backend) in backends.into_iter().enumerate() {
        if at_work.len() == AT_ONCE {
            looks.extend(at_work.join_next().await);
        }
        let public = backend.public_url.as_ref().and_then(|public| HeaderValue::from_str(&public.host).ok());
        let (proxy, host) = (proxy.clone(), host.cloned().or(public));
        at_work.spawn(async move {
            let probes = proxy.probe(index, host.as_ref(), PATIENCE).await;
            (index, Look { backend, probes })
        });
    }
    looks.extend(at_work.join_all().await.into_iter().map(Ok));
    let mut looks =
        looks.into_iter().collect::<Result<Vec<_>, _>>().context("a connection check ended unexpectedly")?;
    looks.sort_by_key(|(index, _)| *index);
    Ok(looks.into_iter().map(|(_, look)| look).collect())
}

impl Look {
    /// Current problems, and certificates that expire soon.
    pub(super) fn findings(&self, now: SystemTime) -> Vec<Diagnostic> {
        let is_reached = |probe: &Probe| matches!(&probe.outcome, Ok(Reached { answer: Ok(_), .. }));
        // A request uses the next destination if one cannot be reached.
        let unreached = if self.probes.iter().any(is_reached) { Severity::Warning } else { Severity::Error };
        self.probes.iter().flat_map(|probe| self.findings_at(probe, unreached, now)).collect()
    }

    fn findings_at(&self, probe: &Probe, unreached: Severity, now: SystemTime) -> Vec<Diagnostic> {
        let finding = |severity, message: String, hint: Option<&str>| Diagnostic {
            severity,
            place: None,
            path: format!("backends.{}", self.backend.name),
            part: String::new(),
            route: None,
            message: printable(&format!("{}: {message}", probe.destination)),
            hint: hint.map(str::to_owned),
        };
        let reached = match &probe.outcome {
            Ok(reached) => reached,
            Err(error) => return vec![finding(unreached, error.to_string(), None)],
        };
        let mut findings = Vec::new();
        for certificate in reached.tls.iter().flat_map(certificates) {
            let message = match certificate.not_after.duration_since(now) {
                Ok(left) if left < SOON => format!("its certificate expires {}", certificate.end(now)),
                Ok(_) => continue,
                Err(_) => format!("its certificate expired {}", certificate.end(now)),
            };
            findings.push(finding(Severity::Warning, format!("{message}: {}", certificate.subject), None));
        }
        let host = String::from_utf8_lossy(probe.host.as_bytes()).into_owned();
        match &reached.answer {
            Err(error) => findings.push(finding(unreached, error.to_string(), None)),
            Ok(Answer { status, .. }) if status.as_u16() == 421 => {
                let message = format!("it responds with 421 (Misdirected Request) to the Host `{host}`");
                let hint = "set `hostHeader` to a host that it serves";
                findings.push(finding(Severity::Error, message, Some(hint)));
            }
            Ok(Answer { status, .. }) if !(200..500).contains(&status.as_u16()) => {
                let message = format!("it responds with {status} to `HEAD`");
                findings.push(finding(Severity::Warning, message, Some("see the back end's log")));
            }
            Ok(Answer { status, .. }) if status.as_u16() == 400 => {
                let message = format!("it responds with 400 (Bad Request) to `HEAD` with the Host `{host}`");
                let hint =
                    "if it serves only certain hosts (Django: `ALLOWED_HOSTS`), add this one, or set `hostHeader`";
                findings.push(finding(Severity::Warning, message, Some(hint)));
            }
            Ok(_) => {}
        }
        findings
    }

    pub(super) fn text(&self, now: SystemTime) -> String {
        let Backend { name, scheme, authority, base_path, .. } = &*self.backend;
        let authority = String::from_utf8_lossy(authority.as_bytes());
        let mut text = format!("{name}  {}://{authority}{base_path}\n", scheme.as_str());
        for probe in &self.probes {
            let mut line = |name: &str, value: String| {
                // A `String` takes every write.
                let _ = writeln!(text, "  {name:<12} {}", printable(&value));
            };
            let reached = match &probe.outcome {
                Ok(reached) => reached,
                Err(error) => {
                    line("error", format!("{}: {error}", probe.destination));
                    continue;
                }
            };
            line("connected", format!("{} in {}", reached.address, milliseconds(reached.took)));
            match &reached.tls {
                Some(session) => line("TLS", tls_text(session)),
                None => line("TLS", "none, plain http".to_owned()),
            }
            for certificate in reached.tls.iter().flat_map(certificates) {
                line("certificate", certificate.text(now));
            }
            line("Host", self.host(probe));
            match &reached.answer {
                Ok(Answer { version, status, took }) => {
                    line("response", format!("{status} to HEAD {base_path}/ in {}, {version:?}", milliseconds(*took)));
                }
                Err(error) => line("error", error.to_string()),
            }
        }
        text
    }

    /// The `Host` that the back end received, with a note if requests will have another one.
    fn host(&self, probe: &Probe) -> String {
        let host = String::from_utf8_lossy(probe.host.as_bytes());
        let is_unknown = self.backend.host_header == HostHeader::Preserve && probe.host == self.backend.authority;
        let note = if is_unknown { "; requests have the client's Host: name it with `--host`" } else { "" };
        format!("{host}{note}")
    }

    pub(super) fn json(&self) -> Value {
        let destinations: Vec<_> = self.probes.iter().map(probe_json).collect();
        let Backend { name, scheme, authority, base_path, .. } = &*self.backend;
        let authority = String::from_utf8_lossy(authority.as_bytes());
        let url = format!("{}://{authority}{base_path}", scheme.as_str());
        json!({ "backend": name, "url": url, "destinations": destinations })
    }
}

fn probe_json(probe: &Probe) -> Value {
    let host = String::from_utf8_lossy(probe.host.as_bytes());
    let reached = match &probe.outcome {
        Ok(reached) => reached,
        Err(error) => return json!({ "destination": probe.destination, "host": host, "error": error.to_string() }),
    };
    let tls = reached.tls.as_ref().map(|session| {
        let chain: Vec<_> = certificates(session).map(|certificate| certificate.json()).collect();
        let (version, cipher_suite) = names(session);
        json!({ "version": version, "cipher_suite": cipher_suite, "alpn": session.alpn, "chain": chain })
    });
    let mut members = json!({
        "destination": probe.destination,
        "host": host,
        "address": reached.address.to_string(),
        "ms": in_milliseconds(reached.took),
        "tls": tls,
    });
    match &reached.answer {
        Ok(Answer { version, status, took }) => {
            let version = format!("{version:?}");
            members["response"] =
                json!({ "status": status.as_u16(), "http_version": version, "ms": in_milliseconds(*took) });
        }
        Err(error) => members["error"] = json!(error.to_string()),
    }
    members
}

/// The displayed parts of a certificate.
struct Certificate {
    subject: String,
    issuer: String,
    not_after: SystemTime,
}

impl Certificate {
    /// `None` if the TLS library accepted a certificate that this parser cannot read.
    fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(Certificate {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            not_after: at(certificate.validity().not_after.timestamp())?,
        })
    }

    fn text(&self, now: SystemTime) -> String {
        format!("{}, until {}, by {}", self.subject, self.end(now), self.issuer)
    }

    fn json(&self) -> Value {
        json!({ "subject": self.subject, "issuer": self.issuer, "not_after": date(self.not_after) })
    }

    /// Its last day, and the number of days until or since then.
    fn end(&self, now: SystemTime) -> String {
        let days = |duration: Duration| super::counted((duration.as_secs() / DAY) as usize, "day");
        let distance = match self.not_after.duration_since(now) {
            Ok(left) => format!("in {}", days(left)),
            Err(error) => format!("{} ago", days(error.duration())),
        };
        format!("{} ({distance})", date(self.not_after))
    }
}

/// A time from 1970 to 9999, the range that dates can show.
fn at(seconds: i64) -> Option<SystemTime> {
    const END_OF_9999: u64 = 253_402_300_799;
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds <= END_OF_9999)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn date(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

fn certificates(session: &Session) -> impl Iterator<Item = Certificate> {
    session.chain.iter().filter_map(|der| Certificate::read(der))
}

/// The version of TLS and the cipher suite.
fn names(session: &Session) -> (String, String) {
    let version = session.version.map_or_else(String::new, |version| format!("{version:?}"));
    let suite = session.cipher_suite.map_or_else(String::new, |suite| format!("{suite:?}"));
    (version.replace("TLSv1_", "1."), suite)
}

fn tls_text(session: &Session) -> String {
    let (version, suite) = names(session);
    let alpn = session.alpn.as_ref().map_or_else(|| "no ALPN".to_owned(), |protocol| format!("ALPN {protocol}"));
    format!("{version}, {suite}, {alpn}")
}

fn in_milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
