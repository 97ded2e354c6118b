//! Durable storage. The only part of the program that knows SQL.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `backup` | everything at one moment, in one file |
//! | [`cipher`] | the key, and how secrets are sealed at rest |
//! | [`sql`] | the ports `Store`, `AccountStore` and `Vault`, and the schema |
//! | [`sqlite`] | what is SQLite's own: the file, and the transaction of its one writer |
//! | [`postgres`] | what is PostgreSQL's own: connections, the lock on the log, news from other servers |

mod backup;
pub mod cipher;
pub mod postgres;
pub mod sql;
pub mod sqlite;

pub use backup::{backup, restore};
pub use cipher::{Cipher, SECRET_MIN, SecretKey};
pub use sql::{SqlStorage, migrate};
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
