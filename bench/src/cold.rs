//! Cold starts: a new process each time, the functions taking turns. It owns the clock from the start of the process to its
//! first `next` (what Lambda calls init) and to its first response, which includes the first TLS handshake.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;

use crate::function::{Backend, Function};
use crate::runtime_api::RuntimeApi;
use crate::warm::median;
use crate::workload::{Workload, check_constant};

/// Medians of one function's starts, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Cold {
    /// Start of the process to its first `next`.
    pub init: f64,
    /// Start of the process to its first whole answer, fetched from the origin over TLS.
    pub first_answer: f64,
}

/// Starts every function `count` times, in turns, and measures.
///
/// # Errors
/// When a function does not come up or answers wrongly.
pub fn measure(
    functions: &[Function],
    workload: &Workload,
    backend: &Backend,
    folder: &Path,
    count: usize,
) -> anyhow::Result<Vec<(&'static str, Cold)>> {
    let mut api = RuntimeApi::listen()?;
    let address = api.address()?;
    let mut times: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); functions.len()];
    for round in 0..=count {
        for (function, (inits, answers)) in functions.iter().zip(&mut times) {
            let event = workload.event(function.mode)?;
            api.reset();
            let started = Instant::now();
            let process = function.start(&address, backend, folder, &[])?;
            let began = api.wait_for_next().map(|()| started.elapsed());
            let began =
                began.with_context(|| format!("`{}` did not start\n{}", function.name, process.last_words()))?;
            let handed_over = Instant::now();
            let timing = api.invoke(&event, |reply| match function.is_constant() {
                true => check_constant(function.mode, reply),
                false => workload.check(function.mode, reply),
            });
            let timing = timing.with_context(|| format!("first answer of `{}`", function.name))?;
            let answered = handed_over.duration_since(started) + timing.latency;
            // The first round only brings the files into memory.
            if round > 0 {
                inits.push(began.as_secs_f64() * 1e3);
                answers.push(answered.as_secs_f64() * 1e3);
            }
        }
    }
    let medians = times.into_iter().map(|(inits, answers)| Cold { init: median(inits), first_answer: median(answers) });
    Ok(functions.iter().map(|function| function.name).zip(medians).collect())
}
