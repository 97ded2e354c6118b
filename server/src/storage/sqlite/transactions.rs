//! The transaction of a batch on SQLite.

use std::{fs::File, time::Duration};

use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};

use crate::storage::sql::{Audience, Fault, News, Session, Transactions, session::Count};

/// The one connection that writes. No other program has the file, so nobody else's events come between.
pub(super) struct SqliteTransactions {
    connection: SqliteConnection,
    audience: Audience,
    count: Count,
    /// The newest committed event.
    head: u64,
    /// Keeps others out until the connection is closed.
    _lock: File,
}

/// The number outlives the events, which are removed when they are old.
const HEAD: &str = "UPDATE event_log SET head = $1";

impl SqliteTransactions {
    /// Goes on after the event `head`.
    pub(super) const fn new(
        connection: SqliteConnection,
        lock: File,
        head: u64,
        audience: Audience,
        count: Count,
    ) -> Self {
        Self { connection, audience, count, head, _lock: lock }
    }
}

/// BEGIN and COMMIT are plain statements, since SQLite takes a transaction back by itself when the disk fails, which sqlx's
/// own transactions do not notice.
#[async_trait]
impl Transactions for SqliteTransactions {
    async fn begin(&mut self) -> Result<u64, Fault> {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.connection).await?;
        Ok(self.head)
    }

    fn has_own_thread(&self) -> bool {
        true
    }

    fn patience(&self) -> Option<Duration> {
        None
    }

    fn session(&mut self) -> Result<Session<'_>, Fault> {
        Ok(Session::sqlite(&mut self.connection, self.count.clone()))
    }

    async fn commit(&mut self, head: u64, news: News) -> Result<(), Fault> {
        if !news.events.is_empty() {
            sqlx::query(HEAD).bind(i64::try_from(head).unwrap_or(i64::MAX)).execute(&mut self.connection).await?;
        }
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        self.head = head;
        self.audience.bus.publish(&news.events);
        self.audience.tell_over(news.over);
        Ok(())
    }

    async fn rollback(&mut self) {
        // Fails when SQLite has taken it back already.
        let _ = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
    }

    /// Leaves one file behind where it can: the log is written into the database.
    async fn end(mut self: Box<Self>) {
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut self.connection).await {
            tracing::warn!(%error, "the database was closed without a checkpoint; the next start does it");
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the database was not closed cleanly");
        }
    }
}
