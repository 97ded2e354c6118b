//! Durable storage. The only part of the program that knows SQL.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `backup` | everything at one moment, in one file |
//! | `reencrypt` | everything sealed, sealed anew under the present key |
//! | `secrets`, `key_file` | the hub's secrets, from which keys are derived, and the file of generated ones |
//! | [`cipher`] | how texts are sealed at rest |
//! | `dump` | everything as bytes, for tests |
//! | [`sql`] | the ports `Store`, `AccountStore` and `Vault`, and the schema |
//! | [`sqlite`] | what is SQLite's own: the file, and the transaction of its one writer |
//! | [`postgres`] | what is PostgreSQL's own: connections, the lock on the log, news from other servers |

mod backup;
pub mod cipher;
#[cfg(any(test, feature = "testing"))]
mod dump;
mod key_file;
pub mod postgres;
mod reencrypt;
mod secrets;
pub mod sql;
pub mod sqlite;

pub use backup::{backup, restore};
pub use cipher::{Cipher, KeyId};
#[cfg(any(test, feature = "testing"))]
pub use dump::dump;
pub use reencrypt::reencrypt;
pub use secrets::{SECRET_MIN, SecretKey, Secrets};
pub use sql::{SqlStorage, migrate, reencrypt::Reencrypted, sealed::Unreadable};
pub use sqlite::database_file;

/// When the schema of a PostgreSQL database is brought to the newest. SQLite's is at every start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Migrate {
    /// At the start.
    Auto,
    /// By `hearback migrate up` alone: a start on an older schema is refused.
    #[default]
    Manual,
}

/// Whether `database` names a PostgreSQL database.
#[must_use]
pub fn is_postgres(database: &str) -> bool {
    database.starts_with("postgres://") || database.starts_with("postgresql://")
}
