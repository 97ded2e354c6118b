//! Keeps to the provider's own send rate, by waiting.

use std::{future::Future, sync::Arc};

use parking_lot::Mutex;

use super::{Call, Layer, Operation};
use crate::{
    channel::SendRate,
    clock::{Clock, Timestamp},
    error::Result,
};

/// The generic cell rate algorithm: one moment is all its state.
#[derive(Debug)]
pub(super) struct Limit {
    clock: Arc<dyn Clock>,
    rate: Option<SendRate>,
    /// When the bucket will be empty again.
    empty_at: Mutex<Timestamp>,
}

impl Limit {
    pub(super) fn new(clock: Arc<dyn Clock>, rate: Option<SendRate>) -> Self {
        let empty_at = Mutex::new(clock.now());
        Self { clock, rate, empty_at }
    }

    /// When the next send may go.
    fn reserve(&self, rate: SendRate) -> Timestamp {
        let step = 1_000_000 / i64::from(rate.per_second.max(1));
        let room = step * i64::from(rate.burst.max(1) - 1);
        let mut empty_at = self.empty_at.lock();
        let begin = empty_at.micros().max(self.clock.now().micros());
        *empty_at = Timestamp::from_micros(begin + step);
        Timestamp::from_micros(begin - room)
    }
}

impl Layer for Limit {
    async fn around<T: Send>(&self, call: Call<'_>, next: impl Future<Output = Result<T>> + Send) -> Result<T> {
        if let (Operation::Send, Some(rate)) = (call.operation, self.rate) {
            let may_go = self.reserve(rate);
            self.clock.sleep_until(may_go).await;
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
}
