//! A channel from its building to its stop.

use std::time::Duration;

use hearback_core::channel::Content;
use tokio::{task::yield_now, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{Harness, Suite, bench::person, inbox::RecordingInbox};

/// How long the end of `run` may take by the machine's clock. The bench's stands still: stopping needs no time to pass.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Yields before a stop, so that what runs has begun.
const YIELDS: usize = 64;

/// Building a channel does no I/O.
pub async fn building_calls_nobody<H: Harness>(suite: &Suite<H>) {
    let bench = suite.open().await;
    if let Some(calls) = suite.applies("counting calls", bench.harness.calls()) {
        assert_eq!(calls, 0, "building calls nobody");
    }
}

/// A probe says that all is well, and nobody sees it.
pub async fn a_probe_leaves_nothing_behind<H: Harness>(suite: &Suite<H>) {
    let bench = suite.open().await;
    suite.checks("a probe");
    for _ in 0..2 {
        bench.probe().await.expect("a probe goes well");
    }
    assert_eq!(bench.harness.arrived(), Vec::<String>::new(), "a probe leaves nothing behind");
}

/// `run` ends well when it is told to, also when it was told before it began.
pub async fn stopping_ends_run<H: Harness>(suite: &Suite<H>) {
    suite.checks("a stop");
    for before in [false, true] {
        let bench = suite.open().await;
        let what = bench.approval().await;
        let Content::Request { request, .. } = &what.content else { panic!("a question was made") };
        let inbox = RecordingInbox::of(request.clone(), person());
        let stop = CancellationToken::new();
        if before {
            stop.cancel();
        }
        let (channel, stopped) = (bench.channel.clone(), stop.clone());
        let running = tokio::spawn(async move { channel.run(inbox, stopped).await });
        for _ in 0..YIELDS {
            yield_now().await;
        }
        stop.cancel();
        let ended = timeout(STOP_MAX, running).await.expect("stopping ends `run` in bounded time");
        ended.expect("`run` does not panic").expect("a stop is no error");
    }
}
