//! How long to wait before the next try.

use std::time::Duration;

use crate::{error::Retry, id::Ids};

/// The first wait; it doubles.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const MAX: Duration = Duration::from_hours(1);

/// The wait after try number `tries` (from 1): up to a second, doubling to an hour, with full jitter so that many do not
/// come back at once; never less than the provider asked for.
pub(super) fn wait(tries: u32, retry: Retry, ids: &Ids) -> Duration {
    let ceiling = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(12)).min(MAX);
    let jittered = ceiling.mul_f64(ids.fraction());
    match retry {
        Retry::After(asked) => asked.saturating_add(jittered.min(FIRST)),
        Retry::Never | Retry::Backoff => jittered,
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
        assert!(wait(1, Retry::After(Duration::from_secs(90)), &ids) >= Duration::from_secs(90));
    }
}
