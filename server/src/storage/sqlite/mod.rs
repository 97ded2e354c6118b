//! All three ports on one SQLite file: WAL, full synchronisation, one writer, a small pool of readers.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `open`, [`migrate`] | the file, its lock, its schema |
//! | `queue`, `writer`, `unit` | the write path: commands, batches, the transaction of one batch |
//! | `create`, `respond`, `ending`, `send`, `route`, `settle` | the writes of the feedback loop |
//! | `store` | the port `Store`: its reads, and its writes handed to the queue |
//! | `people`, `accounts`, `addresses`, `sign_ins` | persons, and the port `AccountStore` |
//! | `vault` | the port `Vault` |
//! | `rows`, `fault` | the core's values as columns, SQLite's errors as faults |

mod accounts;
mod addresses;
mod create;
mod ending;
mod fault;
pub mod migrate;
mod open;
mod people;
mod queue;
mod respond;
mod route;
mod rows;
mod send;
mod settle;
mod sign_ins;
mod store;
mod unit;
mod vault;
mod writer;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use hearback_core::{Result, event::Bus};
use sqlx::SqlitePool;

pub use self::open::database_file;
use self::{accounts::TokenUse, open::Place, queue::Queue};
use super::Cipher;

/// The hub's storage in a SQLite file. Dropped, it finishes what is queued in the background; better to
/// [`close`](Self::close) it.
pub struct SqliteStorage {
    readers: SqlitePool,
    queue: Queue,
    cipher: Arc<Cipher>,
    token_use: TokenUse,
}

impl fmt::Debug for SqliteStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStorage").field("transactions", &self.transactions()).finish_non_exhaustive()
    }
}

impl SqliteStorage {
    /// Opens the file that `database` names (a path, or `sqlite://` with a path), creates it where there is none, and
    /// brings it to the newest schema. Events are published on `bus`.
    ///
    /// # Errors
    ///
    /// `Config`, with what to do about it: the folder cannot be written to, the file is no database, another hub has it
    /// open, a newer hub wrote it.
    pub async fn open(database: &str, bus: Arc<Bus>, cipher: Arc<Cipher>) -> Result<Self> {
        let place = Place::take(database)?;
        let mut writer = place.writer().await?;
        migrate::run(&mut writer).await?;
        let readers = place.readers();
        let queue = Queue::start(writer, place.into_lock(), bus).await?;
        Ok(Self { readers, queue, cipher, token_use: TokenUse::default() })
    }

    /// Finishes what is queued, writes the log into the database, and lets go of the file. Later calls fail.
    pub async fn close(&self) {
        self.readers.close().await;
        self.queue.close().await;
    }

    /// How many transactions have been committed since it was opened: writes that queue up share one.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.queue.transactions()
    }
}
