//! Identity: UUIDv7 newtypes, so that one kind of id is never passed for another.

use std::{fmt, str::FromStr, sync::Arc};

use parking_lot::Mutex;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Clock;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The bare UUID, for storage.
            #[must_use]
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    )*};
}

id! {
    /// A feedback request.
    RequestId;
    /// A feedback response.
    ResponseId;
    /// A delivery.
    DeliveryId;
    /// A person's account.
    UserId;
    /// An agent's service token.
    TokenId;
    /// A call to the asker.
    CallbackId;
    /// Where a person is reached on a channel: one of their addresses.
    AddressId;
    /// One run of the program: a new one at every start.
    ServerId;
}

/// Gives out new ids, each greater than the one before, so that lists in the order of ids are in the order of creation.
/// Seeded, it gives the same ids for the same clock: the simulation replays a run by its seed.
pub struct Ids {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    rng: StdRng,
    /// The millisecond of the newest id.
    millis: u64,
    /// How many ids were given in that millisecond: 12 bits.
    count: u16,
}

/// The most ids of one millisecond; more borrow from the next.
const COUNT_MAX: u16 = 0x0fff;

impl Ids {
    /// Ids whose random part comes from the operating system.
    #[must_use]
    pub fn random(clock: Arc<dyn Clock>) -> Self {
        Self::new(clock, StdRng::from_os_rng())
    }

    /// Ids whose random part follows from `seed`.
    #[must_use]
    pub fn seeded(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self::new(clock, StdRng::seed_from_u64(seed))
    }

    fn new(clock: Arc<dyn Clock>, rng: StdRng) -> Self {
        Self { clock, state: Mutex::new(State { rng, millis: 0, count: 0 }) }
    }

    /// A new UUIDv7 of the present millisecond, with a counter (RFC 9562, sections 5.7 and 6.2, method 1).
    pub fn next<I: From<Uuid>>(&self) -> I {
        let now = u64::try_from(self.clock.now().micros() / 1000).unwrap_or_default();
        let mut random = [0; 10];
        let mut state = self.state.lock();
        state.rng.fill_bytes(&mut random);
        if now > state.millis {
            (state.millis, state.count) = (now, 0);
        } else if state.count < COUNT_MAX {
            state.count += 1;
        } else {
            (state.millis, state.count) = (state.millis + 1, 0);
        }
        random[..2].copy_from_slice(&state.count.to_be_bytes());
        let millis = state.millis;
        I::from(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// A fraction in `0.0..1.0`, for jitter.
    pub fn fraction(&self) -> f64 {
        rand::Rng::random(&mut self.state.lock().rng)
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    #[test]
    fn ids_of_one_millisecond_are_in_the_order_they_were_given() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_000_000_000_000)));
        let ids = Ids::seeded(clock, 1);
        let given: Vec<RequestId> = (0..10_000).map(|_| ids.next()).collect();
        assert!(given.is_sorted_by(|one, next| one < next));
        assert!(given.iter().all(|id| id.uuid().get_version_num() == 7));
    }
}
