//! All three ports on a SQL database: one set of use cases, with a small part in two dialects.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `session`, `pool` | where statements run, on either database; connections that are lent |
//! | `queue`, `writer`, `unit` | the write path: commands, batches, the transaction of one batch |
//! | `create`, `respond`, `ending`, `send`, `bring`, `route`, `settle` | the writes of the feedback loop |
//! | `callbacks` | what askers are told at their URL |
//! | `servers` | the servers that share the database: who lives, who is connected to which, who runs a channel |
//! | `together` | reads that many callers share |
//! | `store` | the port `Store`: its reads, and its writes handed to the queue |
//! | `people`, `accounts`, `tokens`, `addresses`, `codes`, `preferences`, `sign_ins` | persons, and the port `AccountStore` |
//! | `links` | the port `Addresses`: accounts linked by a link, addresses that block the hub |
//! | `prune` | what is forgotten by its age |
//! | `vault` | the port `Vault` |
//! | `limits` | the port `Counts`: limits that hold across servers |
//! | `sealed`, `reencrypt` | where sealed values are, and sealing them anew under another key |
//! | `copy` | all that is stored, from one kind of database into the other |
//! | `rows`, `fault` | the core's values as columns, the databases' errors as faults |
//! | [`migrate`] | the schema, up and down |

mod accounts;
mod addresses;
mod bring;
mod callbacks;
mod codes;
pub(crate) mod copy;
mod create;
mod ending;
mod fault;
mod limits;
mod links;
pub mod migrate;
mod people;
pub(crate) mod pool;
mod preferences;
mod prune;
mod queue;
pub(crate) mod reencrypt;
mod respond;
mod route;
mod rows;
pub(crate) mod sealed;
mod send;
mod servers;
pub(crate) mod session;
mod settle;
mod sign_ins;
mod store;
#[cfg(test)]
mod tests;
mod together;
mod tokens;
mod unit;
mod vault;
mod writer;

use std::{fmt, sync::Arc};

use hearback_core::{Error, Result, event::Bus, person::Person};
use sqlx::{Executor, PgConnection};
use tokio::{sync::broadcast, time::timeout};

pub(crate) use self::{
    fault::Fault,
    session::Session,
    store::{head, log},
    unit::News,
    writer::Transactions,
};
use self::{
    pool::{Connections, Lent, repeated},
    queue::{Queue, Write},
    session::{AnyConnections, PATIENCE, Pool, SILENT, UnderWay},
    together::Together,
    tokens::TokenUse,
    unit::Unit,
};
use super::{Cipher, Migrate, is_postgres, postgres, sqlite};
use crate::account::{Account, Over, ServiceToken};

/// The hub's storage in a database. Dropped, it finishes what is queued in the background, for as long as the runtime that it was
/// opened on is there; better to [`close`](Self::close) it.
pub struct SqlStorage {
    readers: Pool,
    queue: Queue,
    cipher: Arc<Cipher>,
    token_use: TokenUse,
    refused: limits::Refused,
    tokens: Together<[u8; 32], Option<(ServiceToken, Account)>>,
    people: Together<Vec<String>, Vec<Option<Person>>>,
    audience: Audience,
}

/// How many ended tokens and sign-ins a slow listener may fall behind.
const OVER_BACKLOG: usize = 256;

/// Who on this server is told what was committed, here or elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Audience {
    pub(crate) bus: Arc<Bus>,
    pub(crate) over: broadcast::Sender<Over>,
}

impl Audience {
    pub(crate) fn new(bus: Arc<Bus>) -> Self {
        Self { bus, over: broadcast::Sender::new(OVER_BACKLOG) }
    }

    /// Tells that tokens and sign-ins are over.
    pub(crate) fn tell_over(&self, over: impl IntoIterator<Item = Over>) {
        for over in over {
            // An error means that nobody listens.
            let _ = self.over.send(over);
        }
    }
}

impl fmt::Debug for SqlStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStorage").field("transactions", &self.transactions()).finish_non_exhaustive()
    }
}

impl SqlStorage {
    /// Opens the database that `database` names: `postgres://…`, or a SQLite file (a path, or `sqlite://` with a path),
    /// which is created where there is none. SQLite is brought to the newest schema, PostgreSQL as `migrate` says. Events
    /// are published on `bus`.
    ///
    /// # Errors
    ///
    /// `Config`, with what to do about it: the database cannot be opened, another hub has the file open, a newer hub made
    /// it, PostgreSQL lacks migrations. `Unavailable` when PostgreSQL does not answer.
    pub async fn open(database: &str, migrate: Migrate, bus: Arc<Bus>, cipher: Arc<Cipher>) -> Result<Self> {
        if is_postgres(database) {
            postgres::open(database, migrate, bus, cipher).await
        } else {
            sqlite::open(database, bus, cipher).await
        }
    }

    /// A storage that reads from `readers`, and writes by `transactions` after the event `head`.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the system starts no more threads.
    pub(super) fn new(
        readers: Pool,
        transactions: Box<dyn Transactions>,
        head: u64,
        audience: Audience,
        cipher: Arc<Cipher>,
    ) -> Result<Self> {
        let queue = Queue::start(transactions, head, audience.bus.clone(), readers.count.clone())?;
        let tokens = Together::start(&readers, tokens::by_hashes);
        let people = Together::start(&readers, people::find);
        Ok(Self {
            readers,
            queue,
            cipher,
            token_use: TokenUse::default(),
            refused: limits::Refused::default(),
            tokens,
            people,
            audience,
        })
    }

    /// Finishes what is queued, and lets go of the database. Later calls fail.
    pub async fn close(&self) {
        // On SQLite whoever reads keeps the log from being written into the database; on PostgreSQL the last commits are
        // told by what is read.
        if matches!(self.readers.connections, AnyConnections::Sqlite(_)) {
            self.readers.close().await;
        }
        self.queue.close().await;
        self.readers.close().await;
    }

    /// How many transactions this server's writer has committed: writes that queue up share one.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.queue.transactions()
    }

    /// How many statements have been run, but for those that begin and end transactions.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.readers.count.statements()
    }

    /// How many reads, claims and writes have begun here and not ended.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        self.readers.count.under_way()
    }

    /// Pauses the writer, in a transaction of its own, until what this returns is dropped: so a test knows what queues up.
    #[cfg(any(test, feature = "testing"))]
    pub async fn pause_writer(&self) -> tokio_util::sync::DropGuard {
        self.queue.pause().await
    }

    /// Claims work. On PostgreSQL beside the writer, since rows that another server has locked are skipped; SQLite has one
    /// writer.
    async fn claim<W: Write>(&self, input: W) -> Result<W::Answer> {
        let AnyConnections::Postgres(connections) = &self.readers.connections else {
            return self.queue.write(input).await;
        };
        let _under_way = UnderWay::begin(&self.readers.count);
        let claim = async {
            let mut lent = begin(connections).await?;
            let mut unit = Unit::new(Session::postgres(lent.connection(), self.readers.count.clone()), 0);
            let answer = input.run(&mut unit).await?;
            if !unit.into_news().1.is_empty() {
                return Err(Error::from(Fault::unexpected("a claim states no fact")));
            }
            lent.connection().execute("COMMIT").await.map_err(Fault::from)?;
            lent.keep();
            Ok(answer)
        };
        timeout(PATIENCE, claim)
            .await
            .unwrap_or_else(|_| Err(Fault::unavailable("the database does not answer").into()))
    }
}

/// Begins a transaction beside the writer's. It is taken back unless it is committed, since its connection is closed then.
async fn begin(connections: &Connections<PgConnection>) -> Result<Lent<PgConnection>, Fault> {
    let begun: Result<_, Fault> = repeated!(connections, SILENT, |lent| lent.connection().execute("BEGIN"));
    Ok(begun?.1)
}
