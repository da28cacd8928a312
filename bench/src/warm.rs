//! Warm exchanges: all functions stay alive and take turns in rounds, so that disturbances of the machine affect all of them. It
//! owns rounds and medians; `workload` has the content and `runtime_api` the clock.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossfade_event::HeaderMode;
use crossfade_testkit::message::{Kind, Reader};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::function::{Backend, Function, Process};
use crate::process::{cpu_nanoseconds, peak_memory_kib};
use crate::runtime_api::{RuntimeApi, Timing};
use crate::workload::{Workload, check_constant};

/// The harness's own connection to the origin, as it is called in the tables.
pub const DIRECT: &str = "direct";

/// The size of a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Rounds; every figure is a median over them.
    pub rounds: usize,
    /// Small requests for each function in a round; of larger bodies fewer, by their `share`.
    pub requests: usize,
    /// Small requests before anything counts, so that Node has compiled its code.
    pub warm_up: usize,
    /// Processes started for each function's cold figures.
    pub cold: usize,
    /// Requests over which system calls and instructions are counted.
    pub counted: usize,
}

/// The medians of one function in one round, in microseconds a request.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Event written to answer read.
    pub latency: f64,
    /// Event written to the following `next`.
    pub cycle: f64,
    /// The function's own user and system time (a mean: the kernel's clock is read once a round).
    pub cpu: f64,
}

/// All rounds of one function and one workload.
#[derive(Debug)]
pub struct Series {
    /// The function.
    pub name: &'static str,
    /// A sample for each round, or what was wrong with the answer.
    pub samples: Result<Vec<Sample>, String>,
    /// Peak memory of the process so far, in KiB; none for `direct`.
    pub peak_kib: Option<u64>,
}

/// Says what is wrong with a reply.
pub type Check<'c> = dyn Fn(&[u8]) -> anyhow::Result<()> + 'c;

/// A function that stays alive, with its own Runtime API.
#[derive(Debug)]
pub struct Lane {
    /// The measured function.
    pub function: Function,
    /// Its process.
    pub process: Process,
    api: RuntimeApi,
}

impl Lane {
    /// Starts the function, under `wrapper` if given, and waits for its first `next`.
    ///
    /// # Errors
    /// When it does not come up, with what it wrote to standard error.
    pub fn start(
        function: &Function,
        backend: &Backend,
        folder: &Path,
        wrapper: &[std::ffi::OsString],
    ) -> anyhow::Result<Self> {
        let mut api = RuntimeApi::listen()?;
        let process = function.start(&api.address()?, backend, folder, wrapper)?;
        api.wait_for_next().with_context(|| format!("`{}` did not start\n{}", function.name, process.last_words()))?;
        Ok(Self { function: function.clone(), process, api })
    }

    /// Sends `event` `count` times, checks every answer, and returns what each took.
    ///
    /// # Errors
    /// At the first answer that is wrong.
    pub fn timings(&mut self, workload: &Workload, event: &[u8], count: usize) -> anyhow::Result<Vec<Timing>> {
        let mode = self.function.mode;
        let constant = self.function.is_constant();
        self.checked_timings(event, count, &|reply| {
            if constant { check_constant(HeaderMode::Multi, reply) } else { workload.check(mode, reply) }
        })
    }

    fn checked_timings(&mut self, event: &[u8], count: usize, check: &Check<'_>) -> anyhow::Result<Vec<Timing>> {
        (0..count).map(|_| self.api.invoke(event, check)).collect()
    }

    /// Sends `event` `count` times, checks every answer, and returns the medians of latency and cycle and the mean CPU
    /// time.
    ///
    /// # Errors
    /// At the first answer that is wrong.
    pub fn run(&mut self, workload: &Workload, event: &[u8], count: usize) -> anyhow::Result<Sample> {
        self.sample(count, |lane| lane.timings(workload, event, count))
    }

    /// The same for a reply that is checked in another way.
    ///
    /// # Errors
    /// At the first answer that is wrong.
    pub fn run_checked(&mut self, event: &[u8], count: usize, check: &Check<'_>) -> anyhow::Result<Sample> {
        self.sample(count, |lane| lane.checked_timings(event, count, check))
    }

    fn sample(
        &mut self,
        count: usize,
        exchange: impl FnOnce(&mut Self) -> anyhow::Result<Vec<Timing>>,
    ) -> anyhow::Result<Sample> {
        let before = cpu_nanoseconds(self.process.pid())?;
        let timings = exchange(self)?;
        let micros =
            |of: fn(&Timing) -> Duration| timings.iter().map(|timing| of(timing).as_secs_f64() * 1e6).collect();
        let (latencies, cycles) = (micros(|timing| timing.latency), micros(|timing| timing.cycle));
        let cpu = cpu_nanoseconds(self.process.pid())? - before;
        Ok(Sample { latency: median(latencies), cycle: median(cycles), cpu: cpu as f64 / 1e3 / count as f64 })
    }
}

/// One kept TLS connection to the origin, with no function in between.
#[derive(Debug)]
pub struct Direct(Reader<StreamOwned<ClientConnection, TcpStream>>);

impl Direct {
    /// Connects.
    ///
    /// # Errors
    /// When the origin does not listen.
    pub fn connect(port: u16, tls: &Arc<ClientConfig>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let connection = ClientConnection::new(tls.clone(), ServerName::try_from("localhost")?)?;
        Ok(Self(Reader::new(StreamOwned::new(connection, stream))))
    }

    /// Sends a workload's request `count` times, and returns the median as latency and cycle. The CPU time is unknown.
    ///
    /// # Errors
    /// When the origin fails, or its answer is wrong.
    pub fn run(&mut self, workload: &Workload, count: usize) -> anyhow::Result<Sample> {
        let request = workload.direct();
        let mut latencies = Vec::with_capacity(count);
        for _ in 0..count {
            let started = Instant::now();
            self.0.stream.write_all(&request)?;
            let response = self.0.read(Kind::Response)?.context("the origin closed the connection")?;
            latencies.push(started.elapsed().as_secs_f64() * 1e6);
            workload.check_body(&response.body)?;
        }
        let latency = median(latencies);
        Ok(Sample { latency, cycle: latency, cpu: f64::NAN })
    }
}

/// Measures one workload on every lane and on `direct`, `rounds` rounds of `count` requests, in an order that turns.
///
/// # Errors
/// When `direct` fails. A function's failure is its own result.
pub fn measure(
    lanes: &mut [Lane],
    direct: &mut Direct,
    workload: &Workload,
    rounds: usize,
    count: usize,
    warm_up: usize,
) -> anyhow::Result<Vec<Series>> {
    let events: Vec<Vec<u8>> =
        lanes.iter().map(|lane| workload.event(lane.function.mode)).collect::<anyhow::Result<_>>()?;
    direct.run(workload, count)?;
    let mut direct_samples = Vec::with_capacity(rounds);
    let mut samples: Vec<Result<Vec<Sample>, String>> = Vec::with_capacity(lanes.len());
    for (lane, event) in lanes.iter_mut().zip(&events) {
        let warm = lane.run(workload, event, warm_up);
        samples.push(warm.map(|_| Vec::with_capacity(rounds)).map_err(|error| error.to_string()));
    }
    for round in 0..rounds {
        direct_samples.push(direct.run(workload, count)?);
        for turn in 0..lanes.len() {
            let at = (round + turn) % lanes.len();
            let Ok(taken) = &mut samples[at] else { continue };
            match lanes[at].run(workload, &events[at], count) {
                Ok(sample) => taken.push(sample),
                Err(error) => samples[at] = Err(error.to_string()),
            }
        }
    }
    let mut series = vec![Series { name: DIRECT, samples: Ok(direct_samples), peak_kib: None }];
    for (lane, samples) in lanes.iter().zip(samples) {
        series.push(Series { name: lane.function.name, samples, peak_kib: peak_memory_kib(lane.process.pid()).ok() });
    }
    Ok(series)
}

/// The middle value; the mean of the two in the middle for an even count; NaN for none.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn a_median_is_the_middle() {
        assert!(median(Vec::new()).is_nan());
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), 3.0);
    }
}
