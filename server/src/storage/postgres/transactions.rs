//! The transaction of a batch on PostgreSQL.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, Row, postgres::PgConnectOptions};
use tokio::time::timeout;

use super::{open::CONNECT_MAX, relay::Relay};
use crate::storage::sql::{Fault, News, Session, Transactions, session::Count};

/// The one connection of this server that writes.
///
/// Its transactions lock the row that holds the number of the newest event, from their beginning to their commit, so that
/// the numbers follow the order of commits, and no two servers' writes overlap (decision 0016).
pub(super) struct PostgresTransactions {
    options: PgConnectOptions,
    /// `None` at first and once it has failed, until the next batch.
    connection: Option<PgConnection>,
    relay: Arc<Relay>,
    count: Count,
}

/// Both statements go in one message. The lock is held until the commit.
const BEGIN: &str = "BEGIN; SELECT head FROM event_log FOR UPDATE";

/// How long a batch may take: longer than the database lets any of its statements take, or wait for the log. A database that
/// is gone without a word would hold every write for as long as the network takes to notice.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long taking a batch back may take, before its connection is given up instead.
const ROLLBACK_MAX: Duration = Duration::from_secs(5);

async fn begin(connection: &mut PgConnection) -> Result<u64, Fault> {
    let row = connection.fetch_one(sqlx::raw_sql(BEGIN)).await?;
    Ok(row.try_get::<i64, _>("head")?.unsigned_abs())
}

impl PostgresTransactions {
    pub(super) const fn new(options: PgConnectOptions, relay: Arc<Relay>, count: Count) -> Self {
        Self { options, connection: None, relay, count }
    }

    fn lost() -> Fault {
        Fault::unavailable("the connection to the database was lost")
    }
}

#[async_trait]
impl Transactions for PostgresTransactions {
    async fn begin(&mut self) -> Result<u64, Fault> {
        // A connection that was kept may have been lost since, as when the database was started anew. Nothing is tried yet.
        if let Some(mut kept) = self.connection.take()
            && let Ok(head) = begin(&mut kept).await
        {
            self.connection = Some(kept);
            return Ok(head);
        }
        let made = timeout(CONNECT_MAX, self.options.connect()).await;
        let mut connection = made.map_err(|_| Fault::unavailable("the database does not answer"))??;
        let head = begin(&mut connection).await?;
        self.connection = Some(connection);
        Ok(head)
    }

    fn has_own_thread(&self) -> bool {
        false
    }

    fn patience(&self) -> Option<Duration> {
        Some(PATIENCE)
    }

    fn session(&mut self) -> Result<Session<'_>, Fault> {
        let connection = self.connection.as_mut().ok_or_else(Self::lost)?;
        Ok(Session::postgres(connection, self.count.clone()))
    }

    async fn commit(&mut self, head: u64, news: News) -> Result<(), Fault> {
        let connection = self.connection.as_mut().ok_or_else(Self::lost)?;
        let note = if news.events.is_empty() { String::new() } else { format!("UPDATE event_log SET head = {head}; ") };
        let notify = if news.is_empty() { String::new() } else { self.relay.notify(head, &news) };
        let statements = format!("{note}{notify}COMMIT");
        // Numbers and ids of the program's own: there is nothing to escape.
        if let Err(error) = connection.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await {
            self.relay.doubt();
            return Err(error.into());
        }
        self.relay.tell_own(news).await;
        Ok(())
    }

    async fn rollback(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        // A connection that cannot even do this is given up; the server takes back what it was at.
        if matches!(timeout(ROLLBACK_MAX, connection.execute(sqlx::raw_sql("ROLLBACK"))).await, Ok(Ok(_))) {
            self.connection = Some(connection);
        }
    }

    async fn end(mut self: Box<Self>) {
        self.relay.stop();
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the connection to the database was not closed cleanly");
        }
    }
}
