//! Connections, and what each session is told.

use std::{str::FromStr, time::Duration};

use hearback_core::{Error, ErrorKind, Result};
use sqlx::{
    ConnectOptions, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use tokio::time::timeout;

use crate::storage::sql::{Fault, pool::Connections};

/// How many reads and claims run at once.
const CONNECTIONS: u32 = 8;
/// How long a connection may take to be made.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(10);
/// One that nobody took for so long is not used again.
const IDLE_MAX: Duration = Duration::from_mins(1);
/// How long the one that listens waits for a connection.
const WAIT: Duration = Duration::from_secs(5);
/// Statements differ by their number of rows, at most `rows::CHUNK` a table, and all of them should stay prepared.
const STATEMENTS: usize = 1024;

/// What every session is told: a server that hangs in a transaction must not keep the others from the log.
const SETTINGS: [(&str, &str); 6] = [
    // Each statement sees what was committed before it: a turn at the log begins with waiting for another's commit.
    ("default_transaction_isolation", "read committed"),
    ("synchronous_commit", "on"),
    ("idle_in_transaction_session_timeout", "15s"),
    ("statement_timeout", "30s"),
    ("lock_timeout", "20s"),
    // Whoever hangs up has their statement ended, instead of a new connection beside it. From PostgreSQL 14 on.
    ("client_connection_check_interval", "1s"),
];

fn fault(error: sqlx::Error, host: &str) -> Error {
    let Fault(inner) = error.into();
    // Nothing of the URL but the host: the rest may hold a password.
    let kind = if inner.kind() == ErrorKind::Unexpected { ErrorKind::Config } else { inner.kind() };
    Error::new(kind, "storage.open", format!("cannot connect to PostgreSQL at {host}: {}", inner.detail()))
        .with_source(inner)
}

/// How to connect to the database that this URL names.
fn options(database: &str) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(database).map_err(|error| {
        let detail = "DATABASE_URL cannot be read: expected postgres://USER:PASSWORD@HOST:PORT/DATABASE";
        Error::new(ErrorKind::Config, "storage.open", detail).with_source(error)
    })?;
    Ok(options.application_name("hearback").statement_cache_capacity(STATEMENTS).disable_statement_logging())
}

/// The same, for the hub's own work.
pub(super) fn working(database: &str) -> Result<PgConnectOptions> {
    Ok(options(database)?.options(SETTINGS))
}

/// One connection, for as long as anything takes.
///
/// # Errors
///
/// `Config` when the URL cannot be read or the server refuses it, `Unavailable` when it does not answer.
pub(crate) async fn connect(database: &str) -> Result<PgConnection> {
    let options = options(database)?;
    let connected = timeout(CONNECT_MAX, options.connect()).await;
    let silent = || sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "it does not answer"));
    connected.unwrap_or_else(|_| Err(silent())).map_err(|error| fault(error, options.get_host()))
}

/// The hub asks for a setting that came with this one.
const OLDEST: u32 = 14;

/// Refuses a server whose version, in the form of `server_version_num`, is too old.
pub(super) fn require_version(number: Option<u32>) -> Result<()> {
    match number.map(|number| number / 10_000) {
        Some(major) if major < OLDEST => {
            let detail = format!("the server is PostgreSQL {major}; the hub needs PostgreSQL {OLDEST} or newer");
            Err(Error::new(ErrorKind::Config, "storage.open", detail))
        }
        _ => Ok(()),
    }
}

/// Connections that read and claim, opened as they are needed.
pub(super) fn readers(options: PgConnectOptions) -> Connections<PgConnection> {
    Connections::new(options, CONNECTIONS, Some(IDLE_MAX))
}

/// The connection that listens, which is never given back.
pub(super) fn pool_of_one(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new().max_connections(1).acquire_timeout(WAIT).connect_lazy_with(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_refused_by_its_version() {
        let refused = require_version(Some(130_011)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config);
        assert_eq!(refused.detail(), "the server is PostgreSQL 13; the hub needs PostgreSQL 14 or newer");
        for taken in [Some(140_000), Some(180_001), None] {
            require_version(taken).unwrap();
        }
    }
}
