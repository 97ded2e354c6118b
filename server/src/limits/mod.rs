//! Limits: how often people may do what counts, and try to sign in.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `gcra` | the arithmetic, which is governor's |
//! | `memory` | counting on one server, in its memory |
//! | `person` | what counts of a person, by the configuration |
//!
//! Several servers that share a PostgreSQL database count there (`storage::sql::limits`), so that a limit holds across them;
//! decision 0024 tells what that costs.

mod gcra;
mod memory;
mod person;

use std::{fmt, num::NonZeroU32, time::Duration};

use async_trait::async_trait;
use hearback_core::{Result, Timestamp};

use crate::digest;

pub use gcra::{Step, Verdict};
pub use memory::MemoryCounts;
pub use person::PersonLimits;

/// Something limited, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// SHA-256 of what is limited, and whose: ids, names and addresses of callers are not kept.
    pub key: [u8; 32],
    /// How much is allowed in a minute, and at once after a pause.
    pub per_minute: NonZeroU32,
}

impl Cell {
    /// The limit `name` of `whose`, which allows so much; `None` where 0 switches it off.
    #[must_use]
    pub fn new(name: &str, whose: impl fmt::Display, per_minute: u32) -> Option<Self> {
        let key = digest::sha256(format!("{name}|{whose}").as_bytes());
        NonZeroU32::new(per_minute).map(|per_minute| Self { key, per_minute })
    }
}

impl Cell {
    /// How long until all of it is allowed again, where one more is after `wait`.
    #[must_use]
    pub fn reset(&self, wait: Duration) -> Duration {
        let minute = Duration::from_mins(1);
        minute.saturating_sub(minute / self.per_minute.get()) + wait
    }
}

/// What became of counting against several limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Each of them allowed it; how each stands now, in the order given.
    Allowed(Vec<Standing>),
    /// One of them did not, so nothing is counted.
    Refused {
        /// The place of the limit that allows it last.
        index: usize,
        /// How long until it does.
        wait: Duration,
    },
}

/// How a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How much it allows at once now.
    pub remaining: u32,
    /// How long until it allows all of it again.
    pub reset: Duration,
}

/// Keeps what was counted lately, for one server or for all of them.
#[async_trait]
pub trait Counts: fmt::Debug + Send + Sync + 'static {
    /// Counts once against each of them, or against none.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the database does not answer.
    async fn take(&self, cells: &[Cell], now: Timestamp) -> Result<Taken>;

    /// Takes back what was counted once against each of them.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the database does not answer.
    async fn give_back(&self, cells: &[Cell], now: Timestamp) -> Result<()>;

    /// How each of them stands, in the order given.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the database does not answer.
    async fn look(&self, cells: &[Cell], now: Timestamp) -> Result<Vec<Standing>>;
}
