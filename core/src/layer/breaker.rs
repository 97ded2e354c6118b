//! Stops calling a service that is ill, and tries it again with a probe, never with a person's question.

use std::{future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Layer, Operation};
use crate::{
    clock::{Clock, Timestamp},
    error::{Error, ErrorKind, Result, Retry},
};

/// This many illnesses in a row open the breaker.
const THRESHOLD: u32 = 5;
/// How long it stays open the first time; doubles with each failed probe.
const OPEN_FIRST: Duration = Duration::from_secs(30);
/// How long it stays open at most.
const OPEN_MAX: Duration = Duration::from_mins(10);

/// How long a call is put off while a probe is under way.
const HALF_OPEN_WAIT: Duration = Duration::from_secs(1);

/// A breaker's state, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls are refused.
    Open,
    /// A probe is under way.
    HalfOpen,
}

/// A breaker's state, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerStatus {
    /// The state.
    pub state: BreakerState,
    /// Since when.
    pub since: Timestamp,
}

#[derive(Debug)]
struct Inner {
    status: BreakerStatus,
    failures: u32,
    /// How long the present or next opening lasts.
    span: Duration,
}

/// Counts what says that the service is ill ([`Error::is_illness`]); a bad address or an offline person does not.
#[derive(Debug)]
pub struct Breaker {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

enum Admission {
    Pass,
    Probe,
    Refuse(Duration),
}

impl Breaker {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let status = BreakerStatus { state: BreakerState::Closed, since: clock.now() };
        Self { clock, inner: Mutex::new(Inner { status, failures: 0, span: OPEN_FIRST }) }
    }

    /// Its state, and since when.
    #[must_use]
    pub fn status(&self) -> BreakerStatus {
        self.inner.lock().status
    }

    /// How long it refuses every call, if it does.
    #[must_use]
    pub fn refuses_for(&self) -> Option<Duration> {
        let now = self.clock.now();
        let inner = self.inner.lock();
        let left = inner.span.saturating_sub(now.since(inner.status.since));
        match inner.status.state {
            BreakerState::Open if !left.is_zero() => Some(left),
            BreakerState::HalfOpen if !left.is_zero() => Some(HALF_OPEN_WAIT),
            _ => None,
        }
    }

    /// Refuses a call that was admitted and has waited since: it may have opened meanwhile.
    pub(super) fn admit_again(&self, call: Call<'_>) -> Result<()> {
        match self.status().state {
            BreakerState::Closed => Ok(()),
            _ => Err(refusal(call, self.refuses_for().unwrap_or(HALF_OPEN_WAIT))),
        }
    }

    fn admit(&self) -> Admission {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        let left = inner.span.saturating_sub(now.since(inner.status.since));
        match inner.status.state {
            BreakerState::Closed => Admission::Pass,
            BreakerState::Open if left.is_zero() => {
                inner.status = BreakerStatus { state: BreakerState::HalfOpen, since: now };
                Admission::Probe
            }
            BreakerState::Open => Admission::Refuse(left),
            // Whoever probes may be dropped half-way; after as long as an opening lasts, the next one probes.
            BreakerState::HalfOpen if left.is_zero() => {
                inner.status.since = now;
                Admission::Probe
            }
            BreakerState::HalfOpen => Admission::Refuse(HALF_OPEN_WAIT),
        }
    }

    fn record(&self, illness: bool) {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        match (inner.status.state, illness) {
            (BreakerState::Closed, false) => inner.failures = 0,
            (BreakerState::Closed, true) => {
                inner.failures += 1;
                if inner.failures >= THRESHOLD {
                    inner.status = BreakerStatus { state: BreakerState::Open, since: now };
                    inner.span = OPEN_FIRST;
                }
            }
            // A call that began before the breaker opened says nothing new.
            (BreakerState::Open, _) => {}
            (BreakerState::HalfOpen, false) => {
                *inner = Inner {
                    status: BreakerStatus { state: BreakerState::Closed, since: now },
                    failures: 0,
                    span: OPEN_FIRST,
                };
            }
            (BreakerState::HalfOpen, true) => {
                inner.status = BreakerStatus { state: BreakerState::Open, since: now };
                inner.span = (inner.span * 2).min(OPEN_MAX);
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct BreakerLayer {
    breaker: Arc<Breaker>,
}

impl BreakerLayer {
    pub(super) fn new(breaker: Arc<Breaker>) -> Self {
        Self { breaker }
    }
}

impl Layer for BreakerLayer {
    async fn around<T: Send>(&self, call: Call<'_>, next: impl Future<Output = Result<T>> + Send) -> Result<T> {
        // A callback is the provider calling: it says nothing about whether the provider can be called.
        if call.operation == Operation::Callback {
            return next.await;
        }
        match self.breaker.admit() {
            Admission::Pass => {}
            Admission::Refuse(left) => return Err(refusal(call, left)),
            Admission::Probe if call.operation == Operation::Probe => {}
            Admission::Probe => {
                let probe = call.channel.probe().await;
                self.breaker.record(probe.as_ref().is_err_and(Error::is_illness));
                probe.map_err(Error::uncalled)?;
            }
        }
        let result = next.await;
        // What a layer below has stopped says nothing about the service.
        if !result.as_ref().is_err_and(Error::is_uncalled) {
            self.breaker.record(result.as_ref().is_err_and(Error::is_illness));
        }
        result
    }
}

fn refusal(call: Call<'_>, left: Duration) -> Error {
    Error::new(ErrorKind::Unavailable, call.operation.as_str(), "the channel's breaker is open")
        .with_retry(Retry::After(left))
        .uncalled()
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;
    use crate::{
        channel::{Capabilities, MemoryChannel, SendRate},
        layer::tests::{Bench, address, notice, surrounded},
    };

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "memory.send", "as scripted")
    }

    async fn fail(all: &Bench, kind: ErrorKind, times: u32) {
        for _ in 0..times {
            all.below.fail_next(error(kind));
            all.channel.send(&address(), &notice("?")).await.unwrap_err();
        }
    }

    #[tokio::test]
    async fn a_probe_that_is_due_anyway_is_the_one_that_closes_it() {
        let all = surrounded(MemoryChannel::CAPABILITIES);
        fail(&all, ErrorKind::Unavailable, 5).await;
        all.clock.advance(Duration::from_secs(30));
        all.channel.probe().await.unwrap();
        assert_eq!(all.below.probes(), 1);
        assert_eq!(all.breaker.status().state, BreakerState::Closed);
    }

    #[tokio::test]
    async fn it_refuses_what_has_waited_for_the_send_rate_while_it_opened() {
        let rate = SendRate { per_second: 1, burst: 4 };
        let all = surrounded(Capabilities { send_rate: Some(rate), ..MemoryChannel::CAPABILITIES });
        fail(&all, ErrorKind::Unavailable, 4).await;
        let (to, what) = (address(), notice("?"));
        let mut waiting = [all.channel.send(&to, &what), all.channel.send(&to, &what)];
        for send in &mut waiting {
            assert!(poll!(send).is_pending());
        }
        all.below.fail_next(error(ErrorKind::Unavailable));
        all.clock.advance(Duration::from_secs(2));
        let [fifth, sixth] = waiting;
        assert!(!fifth.await.unwrap_err().is_uncalled());
        let refused = sixth.await.unwrap_err();
        assert!(refused.is_uncalled());
        assert_eq!(refused.retry(), Retry::After(Duration::from_secs(30)));
        assert!(all.below.sent().is_empty());
    }

    #[tokio::test]
    async fn a_call_that_the_send_rate_refuses_does_not_break_a_row_of_illnesses() {
        let rate = SendRate { per_second: 1, burst: 4 };
        let all = surrounded(Capabilities { send_rate: Some(rate), ..MemoryChannel::CAPABILITIES });
        fail(&all, ErrorKind::Unavailable, 4).await;
        let (to, what) = (address(), notice("?"));
        let mut waiting: Vec<_> = (0..5).map(|_| all.channel.send(&to, &what)).collect();
        for send in &mut waiting {
            assert!(poll!(send).is_pending());
        }
        assert!(all.channel.send(&to, &what).await.unwrap_err().is_uncalled());
        all.below.fail_next(error(ErrorKind::Unavailable));
        all.clock.advance(Duration::from_secs(1));
        waiting.remove(0).await.unwrap_err();
        assert_eq!(all.breaker.status().state, BreakerState::Open);
    }

    #[tokio::test]
    async fn bad_addresses_leave_it_closed_and_five_illnesses_in_a_row_open_it() {
        let all = surrounded(MemoryChannel::CAPABILITIES);
        fail(&all, ErrorKind::NotFound, 10).await;
        for _ in 0..10 {
            all.below.fail_next(error(ErrorKind::Unavailable).of_recipient());
            all.channel.send(&address(), &notice("?")).await.unwrap_err();
        }
        fail(&all, ErrorKind::Unavailable, 4).await;
        all.channel.send(&address(), &notice("?")).await.unwrap();
        fail(&all, ErrorKind::Unavailable, 4).await;
        assert_eq!(all.breaker.status().state, BreakerState::Closed);
        fail(&all, ErrorKind::Unavailable, 1).await;
        assert_eq!(all.breaker.status().state, BreakerState::Open);

        let sent = all.below.sent().len();
        let refused = all.channel.send(&address(), &notice("?")).await.unwrap_err();
        assert_eq!(refused.retry(), Retry::After(Duration::from_secs(30)));
        assert_eq!(all.below.sent().len(), sent);
    }

    #[tokio::test]
    async fn it_half_opens_with_a_probe_and_doubles_its_span_when_that_fails() {
        let all = surrounded(MemoryChannel::CAPABILITIES);
        fail(&all, ErrorKind::Unavailable, 5).await;
        all.clock.advance(Duration::from_secs(30));
        all.below.fail_probes(Some(ErrorKind::Unavailable));
        assert!(all.channel.send(&address(), &notice("?")).await.unwrap_err().is_uncalled());
        all.below.fail_probes(None);
        assert!(all.below.sent().is_empty());
        assert_eq!(all.breaker.status().state, BreakerState::Open);
        all.clock.advance(Duration::from_secs(59));
        assert!(all.channel.send(&address(), &notice("?")).await.is_err());
        all.clock.advance(Duration::from_secs(1));
        all.channel.send(&address(), &notice("?")).await.unwrap();
        assert_eq!(all.breaker.status().state, BreakerState::Closed);
    }
}
