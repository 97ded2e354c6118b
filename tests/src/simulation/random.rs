//! Chance by a seed: every draw of a schedule comes from one [`Chance`], in the order of the calls.

use std::{sync::Mutex, time::Duration};

/// A generator (`SplitMix64`) that many share.
#[derive(Debug)]
pub struct Chance(Mutex<u64>);

impl Chance {
    /// The generator of one seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// The next 64 bits.
    pub fn bits(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to `end`, without it.
    pub fn below(&self, end: usize) -> usize {
        usize::try_from(self.bits() % end.max(1) as u64).unwrap()
    }

    /// Whether something of this many chances in a thousand happens.
    pub fn happens(&self, in_a_thousand: usize) -> bool {
        self.below(1000) < in_a_thousand
    }

    /// One of several.
    pub fn of<'a, T>(&self, several: &'a [T]) -> &'a T {
        &several[self.below(several.len())]
    }

    /// Up to this long, in microseconds.
    pub fn up_to(&self, longest: Duration) -> Duration {
        let micros = u64::try_from(longest.as_micros()).unwrap();
        Duration::from_micros(self.bits() % micros.max(1))
    }

    /// One of several, as often as the weight beside it says.
    pub fn weighted<T: Copy>(&self, several: &[(usize, T)]) -> T {
        let mut left = self.below(several.iter().map(|(weight, _)| weight).sum());
        for (weight, one) in several {
            if left < *weight {
                return *one;
            }
            left -= weight;
        }
        several[0].1
    }
}

/// How rough one schedule is, in chances in a thousand. Some schedules know no faults of one sort and many of another:
/// what hides behind a frequent fault is found in those that do not have it.
#[derive(Clone, Copy, Debug)]
pub struct Roughness {
    /// Nothing stops a server or slows it down, so that whatever is late is late by the hub's own fault.
    pub swift: bool,
    /// A server dies at a call of the store, before or after it.
    pub crash: usize,
    /// A call of the store fails, before or after it took effect.
    pub store_fault: usize,
    /// A call of the store takes its time.
    pub store_slow: usize,
    /// A send or a settlement does not simply succeed.
    pub channel_fault: usize,
    /// What a provider told the hub is told again.
    pub repeated: usize,
    /// Whoever calls a server hangs up before it has answered.
    pub hang_up: usize,
}

impl Roughness {
    /// That of one schedule.
    #[must_use]
    pub fn draw(chance: &Chance) -> Self {
        let swift = chance.happens(200);
        Self {
            swift,
            crash: if swift { 0 } else { *chance.of(&[0, 2, 8, 20]) },
            store_fault: if swift { 0 } else { *chance.of(&[0, 5, 30, 120]) },
            store_slow: if swift { 0 } else { *chance.of(&[0, 50, 300]) },
            channel_fault: *chance.of(&[0, 150, 400, 800]),
            repeated: *chance.of(&[0, 100, 300]),
            hang_up: *chance.of(&[0, 50, 200]),
        }
    }
}
