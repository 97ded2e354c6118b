//! PostgreSQL: a pool for reads and claims, one connection that writes, one that listens.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `open` | connections, and what each session is told |
//! | `transactions` | the transaction of a batch, under the lock that orders events |
//! | `scratch` | databases for tests and measurements |
//! | `relay` | other servers' commits, told on this server in their order |

mod open;
mod relay;
#[cfg(any(test, feature = "testing"))]
mod scratch;
mod transactions;

use std::sync::Arc;

use hearback_core::{Error, ErrorKind, Result, event::Bus};

pub(super) use self::open::connect;
#[cfg(any(test, feature = "testing"))]
pub use self::scratch::Scratch;
use self::{relay::Relay, transactions::PostgresTransactions};
use super::{
    Cipher, Migrate, SqlStorage,
    sql::{
        Audience,
        migrate::{self, Database},
        session::{AnyConnections, Count, Pool},
    },
};

/// Opens the database that `database` names, whose schema has to be the newest or is made so.
pub(super) async fn open(database: &str, migrate: Migrate, bus: Arc<Bus>, cipher: Arc<Cipher>) -> Result<SqlStorage> {
    let mut connection = connect(database).await?;
    open::require_version(connection.server_version_num())?;
    match migrate {
        Migrate::Auto => drop(migrate::run(&mut Database::Postgres(&mut connection)).await?),
        Migrate::Manual => require_newest(&mut Database::Postgres(&mut connection)).await?,
    }
    let options = open::working(database)?;
    let count = Count::default();
    let readers = Pool { connections: AnyConnections::Postgres(open::readers(options.clone())), count: count.clone() };
    let audience = Audience::new(bus);
    let relay = Relay::new(readers.clone(), audience.clone()).await?;
    let head = relay.head().await;
    relay.clone().listen(options.clone()).await?;
    let transactions = PostgresTransactions::new(options, relay, count);
    SqlStorage::new(readers, Box::new(transactions), head, audience, cipher)
}

/// Whoever runs several servers decides when the schema moves.
pub(super) async fn require_newest(database: &mut Database<'_>) -> Result<()> {
    let missing: Vec<_> = migrate::read(database).await?.into_iter().filter(|step| !step.applied).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let detail = format!(
        "the database lacks {} of this program's migrations, from {:04} {}: run `hearback migrate up`, or set MIGRATE=auto",
        missing.len(),
        first.version,
        first.name
    );
    Err(Error::new(ErrorKind::Config, "storage.open", detail))
}
