//! SQLite: one file, WAL, full synchronisation, one writer, a small pool of readers.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `open` | the file, its lock, how SQLite is to treat it |
//! | `transactions` | the transaction of a batch |

mod open;
mod transactions;

use std::sync::Arc;

use hearback_core::{Result, event::Bus};

pub use self::open::database_file;
pub(super) use self::open::{BUSY, Place, path as database_path, private};
use self::transactions::SqliteTransactions;
use super::{
    Cipher, SqlStorage,
    sql::{
        self, Audience,
        migrate::{self, Database},
        session::{AnyConnections, Count, Pool},
    },
};

/// Opens the file that `database` names, creates it where there is none, and brings it to the newest schema.
pub(super) async fn open(database: &str, bus: Arc<Bus>, cipher: Arc<Cipher>) -> Result<SqlStorage> {
    let place = Place::take(database)?;
    let mut writer = place.writer().await?;
    migrate::run(&mut Database::Sqlite(&mut writer)).await?;
    let count = Count::default();
    let readers = Pool { connections: AnyConnections::Sqlite(place.readers()), count: count.clone() };
    let head = sql::head(&readers).await?;
    let audience = Audience::new(bus);
    let transactions = SqliteTransactions::new(writer, place.into_lock(), head, audience.clone(), count);
    SqlStorage::new(readers, Box::new(transactions), head, audience, cipher)
}
