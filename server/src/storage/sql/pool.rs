//! Connections that read, and on PostgreSQL claim. One is lent for a statement or a transaction, and not asked first whether it
//! is still there: whatever a pool asks is a trip to the database more, or to the thread that is SQLite.

use std::{fmt, time::Duration};

use deadpool::{
    Runtime,
    managed::{
        self, Manager, Metrics, Object, PoolConfig, PoolError, QueueMode, RecycleError, RecycleResult, Timeouts,
    },
};
use sqlx::{ConnectOptions, Connection};

use super::fault::{self, Fault, Result};

/// How long one may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a caller waits for one.
const WAIT: Duration = Duration::from_secs(5);
/// One that nobody used for so long is let go, before anything between it and the database forgets it without a word.
const IDLE_MAX: Duration = Duration::from_mins(1);

/// Opens connections.
struct Opener<C: Connection>(C::Options);

impl<C: Connection> Manager for Opener<C> {
    type Type = C;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<C, sqlx::Error> {
        self.0.connect().await
    }

    async fn recycle(&self, _: &mut C, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.last_used() < IDLE_MAX { Ok(()) } else { Err(RecycleError::message("unused for long")) }
    }
}

/// Connections, opened as they are needed, and at most so many.
pub(crate) struct Connections<C: Connection>(managed::Pool<Opener<C>>);

impl<C: Connection> Clone for Connections<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Connection> fmt::Debug for Connections<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.status())
    }
}

/// A connection that is given back by [`keep`](Self::keep). Dropped otherwise it is closed: its statement failed, or whoever
/// ran it hung up in the middle.
pub(crate) struct Lent<C: Connection>(Option<Object<Opener<C>>>);

impl<C: Connection> Connections<C> {
    pub(crate) fn new(options: C::Options, most: usize) -> Self {
        let config = PoolConfig {
            max_size: most,
            timeouts: Timeouts { wait: Some(WAIT), create: Some(CONNECT_MAX), recycle: None },
            // Of those that wait, the one that was used last is the likeliest to be there.
            queue_mode: QueueMode::Lifo,
        };
        let builder = managed::Pool::builder(Opener(options)).config(config).runtime(Runtime::Tokio1);
        Self(builder.build().expect("a runtime is named, and there are no hooks"))
    }

    /// A connection.
    ///
    /// # Errors
    ///
    /// `Unavailable` when none is free or made in time, or after [`close`](Self::close).
    pub(crate) async fn take(&self) -> Result<Lent<C>> {
        match self.0.get().await {
            Ok(connection) => Ok(Lent(Some(connection))),
            Err(PoolError::Backend(error)) => Err(error.into()),
            Err(PoolError::Closed) => Err(fault::closed().into()),
            Err(_) => Err(Fault::unavailable("no connection to the database was free or could be made in time")),
        }
    }

    /// Lends no more, and closes those that nobody uses.
    pub(crate) async fn close(&self) {
        let idle = self.0.retain(|_, _| false).removed;
        self.0.close();
        for connection in idle {
            // It reads: nothing is lost with it.
            let _ = connection.close().await;
        }
    }
}

impl<C: Connection> Lent<C> {
    /// Whether it was used before, so that it may have been lost since.
    pub(crate) fn is_used(&self) -> bool {
        self.0.as_ref().is_some_and(|object| Object::metrics(object).recycle_count > 0)
    }

    pub(crate) fn connection(&mut self) -> Result<&mut C> {
        self.0.as_deref_mut().ok_or_else(|| Fault::unexpected("a connection that was given back"))
    }

    /// Gives it back.
    pub(crate) fn keep(mut self) {
        drop(self.0.take());
    }
}

impl<C: Connection> Drop for Lent<C> {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

/// Whether a statement failed since its connection is gone, as after a restart of the database.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        // Connections, and a server that shuts down (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
        sqlx::Error::Database(inner) => {
            inner.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P"))
        }
        _ => false,
    }
}
