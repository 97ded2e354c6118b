//! One figure of one round: some workers call for a while, each one call after another.

use std::{
    ops::AsyncFn,
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use crate::process;

/// What a slice came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    /// Calls, or round trips.
    pub(crate) a_second: f64,
    /// What one takes, in milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// CPU time of the measured program for one, in microseconds, with the work that it causes after its answer.
    pub(crate) cpu: f64,
    /// CPU time of this program for one, in microseconds.
    pub(crate) client_cpu: f64,
}

/// Runs `concurrency` workers for as long as `lasts`. A worker is told when to end, and says what each of its calls took.
/// The slice begins and ends with the measured program at rest.
pub(crate) async fn run(
    pid: u32,
    concurrency: usize,
    lasts: Duration,
    worker: impl AsyncFn(Instant) -> Vec<Duration>,
) -> Slice {
    let client = std::process::id();
    let cpu = process::quiet(pid).await;
    let client_cpu = process::cpu(client);
    let begun = Instant::now();
    let took = join_all((0..concurrency).map(|_| worker(begun + lasts))).await;
    let elapsed = begun.elapsed();
    let client_cpu = process::cpu(client).saturating_sub(client_cpu);
    let cpu = process::quiet(pid).await.saturating_sub(cpu);
    let mut took: Vec<_> = took.into_iter().flatten().collect();
    took.sort_unstable();
    let count = f64::from(u32::try_from(took.len()).unwrap());
    Slice {
        a_second: count / elapsed.as_secs_f64(),
        p50: per_cent(&took, 50),
        p99: per_cent(&took, 99),
        cpu: cpu.as_secs_f64() * 1e6 / count,
        client_cpu: client_cpu.as_secs_f64() * 1e6 / count,
    }
}

/// What so many per cent took at most, in milliseconds, of times in order.
pub(crate) fn per_cent(took: &[Duration], at: usize) -> f64 {
    took[(took.len() * at / 100).min(took.len() - 1)].as_secs_f64() * 1e3
}

/// Calls again and again until then, once at least.
pub(crate) async fn repeat(until: Instant, mut call: impl AsyncFnMut()) -> Vec<Duration> {
    let mut took = Vec::new();
    loop {
        let begun = Instant::now();
        call().await;
        took.push(begun.elapsed());
        if Instant::now() >= until {
            return took;
        }
    }
}
