//! Durable storage. The only part of the program that knows SQL.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`cipher`] | the key, and how secrets are sealed at rest |
//! | [`sqlite`] | the ports `Store`, `AccountStore` and `Vault` on one SQLite file |
//! | [`sqlite::migrate`] | the schema, up and down |

pub mod cipher;
pub mod sqlite;

pub use cipher::{Cipher, SECRET_MIN, SecretKey};
pub use sqlite::{SqliteStorage, database_file};
