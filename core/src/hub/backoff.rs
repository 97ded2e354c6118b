//! How long to wait before the next try.

use std::time::Duration;

use crate::{error::Retry, id::Ids};

/// How long waits are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// The first wait, at most; it doubles.
    first: Duration,
    /// The longest wait.
    max: Duration,
}

/// Between the tries of what goes to people.
const DELIVERIES: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_hours(1) };
/// Between the tries of a callback: the first after about 5 s, the later ones within hours.
pub(super) const CALLBACKS: Backoff = Backoff { first: Duration::from_secs(10), max: Duration::from_hours(6) };

/// The wait after try number `tries` (from 1) of what goes to people: up to a second, doubling to an hour.
pub(super) fn wait(tries: u32, retry: Retry, ids: &Ids) -> Duration {
    DELIVERIES.wait(tries, retry, ids)
}

impl Backoff {
    /// The wait after try number `tries` (from 1), with full jitter so that many do not come back at once; never less
    /// than the other side asked for, nor less for its asking.
    pub(super) fn wait(self, tries: u32, retry: Retry, ids: &Ids) -> Duration {
        let ceiling = self.first.saturating_mul(1 << tries.saturating_sub(1).min(12)).min(self.max);
        let jittered = ceiling.mul_f64(ids.fraction());
        match retry {
            Retry::After(asked) => asked.saturating_add(jittered.min(self.first)).max(jittered),
            Retry::Never | Retry::Backoff => jittered,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    #[test]
    fn it_doubles_to_an_hour_and_obeys_the_provider() {
        let ids = Ids::seeded(Arc::new(ManualClock::at(Timestamp::from_micros(0))), 7);
        for (tries, ceiling) in [(1, 1), (2, 2), (5, 16), (12, 2048), (13, 3600), (u32::MAX, 3600)] {
            let waits: Vec<_> = (0..200).map(|_| wait(tries, Retry::Backoff, &ids)).collect();
            assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(ceiling)), "try {tries}");
            assert!(waits.iter().any(|wait| *wait > Duration::from_secs(ceiling) / 2), "try {tries}");
        }
        for (tries, ceiling) in [(1, 10), (2, 20), (11, 10_240), (13, 21_600), (u32::MAX, 21_600)] {
            let waits: Vec<_> = (0..200).map(|_| CALLBACKS.wait(tries, Retry::Backoff, &ids)).collect();
            assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(ceiling)), "callback, try {tries}");
            assert!(waits.iter().any(|wait| *wait > Duration::from_secs(ceiling) / 2), "callback, try {tries}");
        }
        assert!(wait(1, Retry::After(Duration::from_secs(90)), &ids) >= Duration::from_secs(90));
        let asked = Retry::After(Duration::ZERO);
        assert!(
            (0..200).any(|_| CALLBACKS.wait(13, asked, &ids) > CALLBACKS.max / 2),
            "who asks for nothing waits too"
        );
    }
}
