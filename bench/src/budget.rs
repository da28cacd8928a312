//! The limits on the cost of the shipped function, in figures that other load on the machine does not change. A change
//! that exceeds a limit raises it here, with its reason in the commit, or does better. It owns the limits; `counts` does the
//! counting.

use std::process::Command;

use anyhow::{Context as _, ensure};
use crossfade_testkit::server::Server;

use crate::certificate::Tls;
use crate::function::{Backend, Function};
use crate::warm::Lane;
use crate::workload::{Workload, script};
use crate::{counts, function};

/// Instructions from the start of the process to its first answer over TLS.
const TO_FIRST_ANSWER: u64 = 4_000_000;
/// Instructions for each further small GET.
const PER_REQUEST: u64 = 99_500;
/// System calls for each small GET.
const SYSTEM_CALLS: f64 = 11.0;
/// The zip of the binary, in bytes. Comparing responses is a seventh of it, nearly half of that brotli and zstd; the
/// language of the routes, with its regexes and its messages, a tenth. Live state adds its stores, and the judge of a migration's
/// steps, which a schedule invokes: an eighth. Front ends, streaming, compression and the mapping of content add 120 KB,
/// and the bucket for large responses 29 KB. Metrics, traces and OpenTelemetry's names of the access line, in both directions, add 35 KB.
const ZIP: u64 = 2_640_000;

/// Number of requests to count over.
const COUNTED: usize = 200;

/// Builds the function and prints a line for each figure. Returns false if one exceeds its limit or
/// cannot be counted. Figures that need a missing `valgrind`, `strace` or `zip` are named and skipped.
///
/// # Errors
/// When the function cannot be built or does not work.
pub fn check() -> anyhow::Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--locked", "--package", "crossfade-function", "--bin", "bootstrap"])
        .status()
        .context("cannot start `cargo`")?;
    ensure!(status.success(), "`cargo build` failed");
    let ours = Function::ours(&function::release_folder()?);

    let folder = tempfile::tempdir()?;
    let tls = Tls::generate(folder.path())?;
    let workloads = Workload::all();
    let small = workloads.first().context("there is no workload")?;
    let origin = Server::start(Some(tls.server.clone()), script(&workloads))?;
    let backend = Backend { url: origin.url(), ca_file: tls.ca_file.clone() };

    let mut lane = Lane::start(&ours, &backend, folder.path(), &[])?;
    lane.run(small, &small.event(ours.mode)?, COUNTED)?;
    let calls = counts::system_calls(&mut lane, small, folder.path(), COUNTED);
    let instructions = counts::instructions(&ours, small, &backend, folder.path(), COUNTED);
    let zip = counts::zip_size(ours.command[0].as_ref(), folder.path());

    let first = instructions.as_ref().map(|counted| counted.to_first_answer as f64);
    let each = instructions.as_ref().map(|counted| counted.per_request as f64);
    let lines = [
        line("instructions to the first answer", first, TO_FIRST_ANSWER as f64),
        line("instructions for a small GET", each, PER_REQUEST as f64),
        line("system calls for a small GET", calls.as_ref().copied(), SYSTEM_CALLS),
        line("bytes of the zip", zip.as_ref().map(|size| *size as f64), ZIP as f64),
    ];
    Ok(lines.into_iter().all(|is_within| is_within))
}

fn line(what: &str, figure: Result<f64, &anyhow::Error>, limit: f64) -> bool {
    match figure {
        Ok(figure) => {
            let verdict = if figure <= limit { "ok" } else { "OVER" };
            println!("{what:<34}{figure:>12}  limit {limit:>12}  {verdict}");
            figure <= limit
        }
        Err(error) => {
            println!("{what:<34}not counted: {error:#}");
            is_tool_missing(error)
        }
    }
}

/// Only that excuses a figure; a tool that fails does not.
fn is_tool_missing(error: &anyhow::Error) -> bool {
    let io_error = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io_error.is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}
