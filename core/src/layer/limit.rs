//! Keeps to the provider's own send rate: by waiting a little, else by saying when.

use std::{future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{Breaker, Call, Layer, Operation};
use crate::{
    channel::SendRate,
    clock::{Clock, Timestamp},
    error::{Error, ErrorKind, Result, Retry},
};

/// The longest wait inside an attempt, whose lease goes on meanwhile.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The generic cell rate algorithm: one moment is all its state.
#[derive(Debug)]
pub(super) struct Limit {
    clock: Arc<dyn Clock>,
    rate: Option<SendRate>,
    breaker: Arc<Breaker>,
    /// When the bucket will be empty again.
    empty_at: Mutex<Timestamp>,
}

impl Limit {
    /// Asks `breaker`, which lies outside, once more after a wait.
    pub(super) fn new(clock: Arc<dyn Clock>, rate: Option<SendRate>, breaker: Arc<Breaker>) -> Self {
        let empty_at = Mutex::new(clock.now());
        Self { clock, rate, breaker, empty_at }
    }

    /// When the next send may go; if that is too far off, how far, and no place is taken.
    fn reserve(&self, rate: SendRate) -> Result<Timestamp, Duration> {
        let step = 1_000_000 / i64::from(rate.per_second.max(1));
        let room = step * i64::from(rate.burst.max(1) - 1);
        let mut empty_at = self.empty_at.lock();
        let now = self.clock.now();
        let begin = empty_at.micros().max(now.micros());
        let may_go = Timestamp::from_micros(begin - room);
        let wait = may_go.since(now);
        if wait > WAIT_MAX {
            return Err(wait);
        }
        *empty_at = Timestamp::from_micros(begin + step);
        Ok(may_go)
    }
}

impl Layer for Limit {
    async fn around<T: Send>(&self, call: Call<'_>, next: impl Future<Output = Result<T>> + Send) -> Result<T> {
        if let (Operation::Send, Some(rate)) = (call.operation, self.rate) {
            let too_fast = |wait| {
                let detail = "the channel's own send rate is used up";
                Error::new(ErrorKind::RateLimited, call.operation.as_str(), detail)
                    .with_retry(Retry::After(wait))
                    .uncalled()
            };
            let may_go = self.reserve(rate).map_err(too_fast)?;
            if may_go > self.clock.now() {
                self.clock.sleep_until(may_go).await;
                self.breaker.admit_again(call)?;
            }
        }
        next.await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::poll;

    use super::*;
    use crate::{
        channel::{Capabilities, MemoryChannel},
        layer::tests::{address, notice, surrounded},
    };

    #[tokio::test]
    async fn a_burst_passes_and_what_follows_waits_its_turn() {
        let rate = SendRate { per_second: 2, burst: 2 };
        let all = surrounded(Capabilities { send_rate: Some(rate), ..MemoryChannel::CAPABILITIES });
        let (to, what) = (address(), notice("?"));
        all.channel.send(&to, &what).await.unwrap();
        all.channel.send(&to, &what).await.unwrap();
        let mut third = all.channel.send(&to, &what);
        assert!(poll!(&mut third).is_pending());
        all.clock.advance(Duration::from_millis(499));
        assert!(poll!(&mut third).is_pending());
        all.clock.advance(Duration::from_millis(1));
        third.await.unwrap();
    }

    #[tokio::test]
    async fn what_would_wait_longer_than_its_lease_bears_is_told_when_to_come_back() {
        let rate = SendRate { per_second: 1, burst: 1 };
        let all = surrounded(Capabilities { send_rate: Some(rate), ..MemoryChannel::CAPABILITIES });
        let (to, what) = (address(), notice("?"));
        let mut waiting: Vec<_> = (0..6).map(|_| all.channel.send(&to, &what)).collect();
        for send in &mut waiting {
            let _ = poll!(send);
        }
        let refused = all.channel.send(&to, &what).await.unwrap_err();
        assert_eq!((refused.kind(), refused.retry()), (ErrorKind::RateLimited, Retry::After(Duration::from_secs(6))));
        assert_eq!(all.below.sent().len(), 1);
    }
}
