//! Connections that read, and on PostgreSQL claim. One is lent for a statement or a transaction, and not asked first whether it
//! is still there: whatever a pool asks is a trip to the database more, or to the thread that is SQLite.

use std::{fmt, sync::Arc, time::Duration};

use deadpool::{
    Runtime,
    managed::{
        self, Manager, Metrics, Object, PoolConfig, PoolError, QueueMode, RecycleError, RecycleResult, Timeouts,
    },
};
use sqlx::{ConnectOptions, Connection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::fault::{self, Result};

/// How long one may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a caller waits for one, and a pool that closes for those that are lent.
const WAIT: Duration = Duration::from_secs(5);

/// Opens connections.
struct Opener<C: Connection> {
    options: C::Options,
    idle_max: Option<Duration>,
}

impl<C: Connection> Manager for Opener<C> {
    type Type = C;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<C, sqlx::Error> {
        self.options.connect().await
    }

    async fn recycle(&self, _: &mut C, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        match self.idle_max {
            Some(max) if metrics.last_used() >= max => Err(RecycleError::message("unused for long")),
            _ => Ok(()),
        }
    }
}

/// Connections, opened as they are needed, and at most so many.
pub(crate) struct Connections<C: Connection> {
    pool: managed::Pool<Opener<C>>,
    /// A place for each that may be lent.
    places: Arc<Semaphore>,
    most: u32,
}

impl<C: Connection> Clone for Connections<C> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), places: self.places.clone(), most: self.most }
    }
}

impl<C: Connection> fmt::Debug for Connections<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.pool.status())
    }
}

/// A connection that is given back by [`keep`](Self::keep). Dropped otherwise it is closed: its statement failed, or whoever
/// ran it hung up in the middle.
pub(crate) struct Lent<C: Connection> {
    object: Option<Object<Opener<C>>>,
    _place: OwnedSemaphorePermit,
}

impl<C: Connection> Connections<C> {
    /// At most `most` of them. One that nobody took for `idle_max` is not lent any more, since whatever lies between may have
    /// forgotten it without a word.
    pub(crate) fn new(options: C::Options, most: u32, idle_max: Option<Duration>) -> Self {
        let config = PoolConfig {
            max_size: most as usize,
            timeouts: Timeouts { wait: None, create: Some(CONNECT_MAX), recycle: None },
            // Of those that wait, the one that was used last is the likeliest to be there.
            queue_mode: QueueMode::Lifo,
        };
        let opener = Opener { options, idle_max };
        let pool = managed::Pool::builder(opener).config(config).runtime(Runtime::Tokio1).build();
        let pool = pool.expect("a runtime is named, and there are no hooks");
        Self { pool, places: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// A connection.
    ///
    /// # Errors
    ///
    /// `Unavailable` when none is free or made in time, or after [`close`](Self::close).
    pub(crate) async fn take(&self) -> Result<Lent<C>> {
        let place = timeout(WAIT, self.places.clone().acquire_owned()).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let place = place.map_err(|_| fault::closed())?;
        match self.pool.get().await {
            Ok(connection) => Ok(Lent { object: Some(connection), _place: place }),
            Err(PoolError::Backend(error)) => Err(error.into()),
            Err(PoolError::Closed) => Err(fault::closed().into()),
            Err(_) => Err(sqlx::Error::PoolTimedOut.into()),
        }
    }

    /// Lends none any more that was made before now: one of them has fallen silent.
    pub(crate) fn forget(&self) {
        self.pool.retain(|_, _| false);
    }

    /// Lends no more, and closes all of them; waits a little for those that are lent.
    pub(crate) async fn close(&self) {
        if let Ok(Ok(all)) = timeout(WAIT, self.places.acquire_many(self.most)).await {
            all.forget();
        }
        self.places.close();
        let kept = self.pool.retain(|_, _| false).removed;
        self.pool.close();
        for connection in kept {
            // It reads: nothing is lost with it.
            let _ = connection.close().await;
        }
    }
}

impl<C: Connection> Lent<C> {
    /// Whether it was used before, so that it may have been lost since.
    pub(crate) fn is_used(&self) -> bool {
        self.object.as_ref().is_some_and(|object| Object::metrics(object).recycle_count > 0)
    }

    pub(crate) fn connection(&mut self) -> &mut C {
        self.object.as_deref_mut().expect("it is there until it is kept")
    }

    /// Gives it back.
    pub(crate) fn keep(mut self) {
        drop(self.object.take());
    }
}

impl<C: Connection> Drop for Lent<C> {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}

/// Whether a statement failed since its connection is gone, as after a restart of the database.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
        // Connections, and a server that shuts down (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
        sqlx::Error::Database(inner) => {
            inner.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P"))
        }
        _ => false,
    }
}

/// Does something with a connection that may be done again, and was made before: `$run` of `$lent`. Where that connection turns
/// out to be lost, or silent for `$silent`, it is done with another; a new one is not lost.
macro_rules! repeated {
    ($connections:expr, $silent:expr, |$lent:ident| $run:expr) => {
        loop {
            let mut $lent = $connections.take().await?;
            let patience = if $lent.is_used() { $silent } else { std::time::Duration::MAX };
            match tokio::time::timeout(patience, $run).await {
                Ok(Ok(done)) => break Ok((done, $lent)),
                Ok(Err(error)) if $lent.is_used() && $crate::storage::sql::pool::is_lost(&error) => {}
                Ok(Err(error)) => break Err($crate::storage::sql::Fault::from(error)),
                Err(_) => $connections.forget(),
            }
        }
    };
}
pub(crate) use repeated;
