//! Keeps to the provider's own send rate: by waiting a little, else by saying when.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{Breaker, Call, Layer, Operation};
use crate::{
    channel::{Address, SendRate},
    clock::{Clock, Timestamp},
    error::{Error, ErrorKind, Result, Retry},
};

/// The longest wait inside an attempt, whose lease goes on meanwhile.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// So many addresses are remembered before those are forgotten at which nothing waits.
const ADDRESSES_MAX: usize = 1024;

/// The provider's rates: one for all sends, and one for those to the same address.
#[derive(Debug)]
pub(super) struct Limit {
    clock: Arc<dyn Clock>,
    rate: Option<SendRate>,
    address_rate: Option<SendRate>,
    breaker: Arc<Breaker>,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    all: Bucket,
    of_address: HashMap<Address, Bucket>,
}

/// The generic cell rate algorithm: when the bucket will be empty again, in microseconds, is all its state.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(i64);

impl Bucket {
    /// When the next send may go, and the bucket once it has its place.
    fn next(self, rate: SendRate, now: Timestamp) -> (Timestamp, Self) {
        let step = 1_000_000 / i64::from(rate.per_second.max(1));
        let room = step * i64::from(rate.burst.max(1) - 1);
        let begin = self.0.max(now.micros());
        (Timestamp::from_micros(begin - room), Self(begin + step))
    }
}

impl Limit {
    /// Asks `breaker`, which lies outside, once more after a wait.
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        rate: Option<SendRate>,
        address_rate: Option<SendRate>,
        breaker: Arc<Breaker>,
    ) -> Self {
        Self { clock, rate, address_rate, breaker, buckets: Mutex::default() }
    }

    /// When the next send to `to` may go; if that is too far off, how far, and no place is taken.
    fn reserve(&self, to: &Address) -> Result<Timestamp, Duration> {
        let mut buckets = self.buckets.lock();
        let now = self.clock.now();
        let of_all = self.rate.map(|rate| buckets.all.next(rate, now));
        let of_address = self.address_rate.map(|rate| {
            let bucket = buckets.of_address.get(to).copied().unwrap_or_default();
            bucket.next(rate, now)
        });
        let may_go = [of_all, of_address].into_iter().flatten().map(|(may_go, _)| may_go).max().unwrap_or(now);
        let wait = may_go.since(now);
        if wait > WAIT_MAX {
            return Err(wait);
        }
        if let Some((_, bucket)) = of_all {
            buckets.all = bucket;
        }
        if let Some((_, bucket)) = of_address {
            if buckets.of_address.len() >= ADDRESSES_MAX {
                buckets.of_address.retain(|_, bucket| bucket.0 > now.micros());
            }
            buckets.of_address.insert(to.clone(), bucket);
        }
        Ok(may_go)
    }
}

impl Layer for Limit {
    async fn around<T: Send>(&self, call: Call<'_>, next: impl Future<Output = Result<T>> + Send) -> Result<T> {
        if let (Operation::Send, Some((to, _))) = (call.operation, call.sending) {
            let too_fast = |wait| {
                let detail = "the channel's own send rate is used up";
                Error::new(ErrorKind::RateLimited, call.operation.as_str(), detail)
                    .with_retry(Retry::After(wait))
                    .uncalled()
            };
            let may_go = self.reserve(to).map_err(too_fast)?;
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

    #[tokio::test]
    async fn each_address_has_a_rate_of_its_own() {
        let rate = SendRate { per_second: 1, burst: 1 };
        let all = surrounded(Capabilities { address_rate: Some(rate), ..MemoryChannel::CAPABILITIES });
        let (ana, ben, what) = (address(), "ben".parse().unwrap(), notice("?"));
        all.channel.send(&ana, &what).await.unwrap();
        let mut second = all.channel.send(&ana, &what);
        assert!(poll!(&mut second).is_pending(), "one a second to one address");
        all.channel.send(&ben, &what).await.unwrap();
        all.clock.advance(Duration::from_secs(1));
        second.await.unwrap();
        assert_eq!(all.below.sent().len(), 3);
    }

    #[tokio::test]
    async fn addresses_at_which_nothing_waits_are_forgotten() {
        let rate = SendRate { per_second: 1, burst: 1 };
        let clock: Arc<dyn Clock> = Arc::new(crate::clock::ManualClock::at(Timestamp::from_micros(0)));
        let limit = Limit::new(clock.clone(), None, Some(rate), Arc::new(Breaker::new(clock)));
        let to = |number: usize| -> Address { number.to_string().parse().unwrap() };
        for number in 0..ADDRESSES_MAX {
            limit.buckets.lock().of_address.insert(to(number), Bucket::default());
        }
        limit.reserve(&to(ADDRESSES_MAX)).unwrap();
        assert_eq!(limit.buckets.lock().of_address.len(), 1);
    }
}
