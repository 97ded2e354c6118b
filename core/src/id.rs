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
}

/// Gives out new ids. Seeded, it gives the same ids for the same clock: the simulation replays a run by its seed.
pub struct Ids {
    clock: Arc<dyn Clock>,
    rng: Mutex<StdRng>,
}

impl Ids {
    /// Ids whose random part comes from the operating system.
    #[must_use]
    pub fn random(clock: Arc<dyn Clock>) -> Self {
        Self { clock, rng: Mutex::new(StdRng::from_os_rng()) }
    }

    /// Ids whose random part follows from `seed`.
    #[must_use]
    pub fn seeded(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self { clock, rng: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    /// A new UUIDv7 of the present millisecond (RFC 9562, section 5.7).
    pub fn next<I: From<Uuid>>(&self) -> I {
        let mut random = [0; 10];
        self.rng.lock().fill_bytes(&mut random);
        let millis = u64::try_from(self.clock.now().micros() / 1000).unwrap_or_default();
        I::from(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// A fraction in `0.0..1.0`, for jitter.
    pub fn fraction(&self) -> f64 {
        rand::Rng::random(&mut *self.rng.lock())
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}
