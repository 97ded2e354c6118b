//! The arithmetic of limits: governor's generic cell rate algorithm, on a state that is kept elsewhere.
//!
//! The whole state of a limit is one moment: when nothing counts any more. Each thing counted moves it on by the time in which
//! the limit allows one more.

use std::{cell::Cell as Shared, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, FakeRelativeClock},
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::{NotKeyed, StateStore},
};
use hearback_core::Timestamp;

use super::{Cell, Standing, Taken};

/// What counting once comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is allowed: the new state, and how much more is.
    Allowed(Timestamp, u32),
    /// It is not, for so long.
    Refused(Duration),
}

/// Counting against several limits at once, of which each has its state.
#[derive(Debug)]
pub struct Step<'a> {
    cells: &'a [Cell],
    until: Vec<Option<Timestamp>>,
    now: Timestamp,
}

impl<'a> Step<'a> {
    /// At `now`, with the states of these limits in their order; `None` for what was never counted.
    #[must_use]
    pub const fn new(cells: &'a [Cell], until: Vec<Option<Timestamp>>, now: Timestamp) -> Self {
        Self { cells, until, now }
    }

    /// Counts once against all of them; the states to keep, unless one refuses.
    #[must_use]
    pub fn take(&self) -> (Taken, Vec<Timestamp>) {
        let (mut standings, mut next, mut refused) = (Vec::new(), Vec::new(), None);
        for (index, (cell, until)) in self.cells.iter().zip(&self.until).enumerate() {
            match count(cell.per_minute, *until, self.now) {
                Verdict::Allowed(until, remaining) => {
                    standings.push(Standing { remaining, reset: until.since(self.now) });
                    next.push(until);
                }
                Verdict::Refused(wait) => {
                    refused = refused.filter(|(_, longest)| *longest >= wait).or(Some((index, wait)));
                }
            }
        }
        match refused {
            Some((index, wait)) => (Taken::Refused { index, wait }, Vec::new()),
            None => (Taken::Allowed(standings), next),
        }
    }

    /// The states without what was counted once.
    #[must_use]
    pub fn give_back(&self) -> Vec<Timestamp> {
        let before = |(cell, until): (&Cell, &Option<Timestamp>)| {
            let one = Duration::from_mins(1) / cell.per_minute.get();
            until.map_or(self.now, |until| until.before(one))
        };
        self.cells.iter().zip(&self.until).map(before).collect()
    }

    /// How each of them stands.
    #[must_use]
    pub fn look(&self) -> Vec<Standing> {
        let standing = |(cell, until): (&Cell, &Option<Timestamp>)| {
            let remaining = match count(cell.per_minute, *until, self.now) {
                // What it would allow after one more, and that one.
                Verdict::Allowed(_, remaining) => remaining + 1,
                Verdict::Refused(_) => 0,
            };
            Standing { remaining, reset: until.map_or(Duration::ZERO, |until| until.since(self.now)) }
        };
        self.cells.iter().zip(&self.until).map(standing).collect()
    }
}

/// Counts once against a limit of so much a minute in this state.
#[must_use]
fn count(per_minute: NonZeroU32, until: Option<Timestamp>, now: Timestamp) -> Verdict {
    // The limiter begins at 0 and is asked at `now`, so that its times are those of the hub's clock.
    let clock = FakeRelativeClock::default();
    let state = Kept(Shared::new(until.map(|until| nanos(until).into())));
    let quota = Quota::per_minute(per_minute);
    let limiter = RateLimiter::<_, _, _, StateInformationMiddleware>::new(quota, state, clock.clone());
    clock.advance(nanos(now));
    match limiter.check() {
        Ok(snapshot) => {
            let until = limiter.into_state_store().0.get().map_or(now, timestamp);
            Verdict::Allowed(until, snapshot.remaining_burst_capacity())
        }
        Err(refused) => Verdict::Refused(refused.wait_time_from(clock.now())),
    }
}

fn nanos(moment: Timestamp) -> Duration {
    moment.since(Timestamp::from_micros(0))
}

/// Rounded up, since the database keeps microseconds: nothing is allowed too early.
fn timestamp(nanos: Nanos) -> Timestamp {
    Timestamp::from_micros(i64::try_from(nanos.as_u64().div_ceil(1000)).unwrap_or(i64::MAX))
}

/// One limit's state.
struct Kept(Shared<Option<Nanos>>);

impl StateStore for Kept {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (answer, next) = decide(self.0.get())?;
        self.0.set(Some(next));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn cell(per_minute: u32) -> Cell {
        Cell::new("user", "ana", per_minute).unwrap()
    }

    /// Counts once against one limit; what it says, and its state.
    fn take(cell: Cell, until: Option<Timestamp>, now: Timestamp) -> (Taken, Option<Timestamp>) {
        let (counted, next) = Step::new(&[cell], vec![until], now).take();
        (counted, next.first().copied().or(until))
    }

    #[test]
    fn so_much_is_allowed_at_once_and_then_one_each_part_of_the_minute() {
        let (ten, mut until) = (cell(10), None);
        for left in (0..10).rev() {
            let counted;
            (counted, until) = take(ten, until, NOW);
            let reset = Duration::from_secs(6 * (10 - u64::from(left)));
            assert_eq!(counted, Taken::Allowed(vec![Standing { remaining: left, reset }]));
        }
        assert_eq!(
            Step::new(&[ten], vec![until], NOW).look(),
            [Standing { remaining: 0, reset: Duration::from_mins(1) }]
        );
        let (refused, same) = take(ten, until, NOW.after(Duration::from_secs(2)));
        assert_eq!(refused, Taken::Refused { index: 0, wait: Duration::from_secs(4) });
        assert_eq!(same, until, "what is refused does not count");
        let later = NOW.after(Duration::from_secs(6));
        assert!(matches!(take(ten, until, later).0, Taken::Allowed(_)));
        assert_eq!(Step::new(&[ten], vec![until], NOW.after(Duration::from_mins(1))).look()[0].remaining, 10);
    }

    #[test]
    fn one_limit_that_refuses_keeps_the_others_from_counting_and_the_longest_wait_is_told() {
        let cells = [cell(60), cell(2), cell(1)];
        let states = vec![None, Some(NOW.after(Duration::from_mins(1))), Some(NOW.after(Duration::from_mins(1)))];
        let (counted, next) = Step::new(&cells, states, NOW).take();
        assert_eq!((counted, next), (Taken::Refused { index: 2, wait: Duration::from_mins(1) }, Vec::new()));
    }

    #[test]
    fn what_is_given_back_may_be_taken_again() {
        let two = cell(2);
        let (_, until) = take(two, None, NOW);
        let (_, until) = take(two, until, NOW);
        let given = Step::new(&[two], vec![until], NOW).give_back();
        assert_eq!(Step::new(&[two], given.into_iter().map(Some).collect(), NOW).look()[0].remaining, 1);
    }

    #[test]
    fn a_limit_of_0_is_none_and_two_names_are_two_limits() {
        assert_eq!(Cell::new("user", "ana", 0), None);
        assert_ne!(Cell::new("user", "ana", 1).unwrap().key, Cell::new("channel", "ana", 1).unwrap().key);
    }
}
