//! What the databases and the disk may answer, as the faults of the ports.

use hearback_core::{Error, ErrorKind};
use sqlx::{error::ErrorKind as Constraint, postgres::PgDatabaseError};

/// The operation that storage faults name.
const OPERATION: &str = "storage";

/// A fault on its way out of this module: it makes `?` work on the databases' errors.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) Error);

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    /// What should not happen.
    pub(crate) fn unexpected(detail: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self(Error::new(ErrorKind::Unexpected, OPERATION, detail))
    }

    /// What passes by itself.
    pub(crate) fn unavailable(detail: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self(Error::new(ErrorKind::Unavailable, OPERATION, detail))
    }

    /// Whether the fault lies with the disk or the system, and so with no member of a batch.
    pub(super) fn is_of_the_disk(&self) -> bool {
        self.0.kind() == ErrorKind::Unavailable
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        fault.0
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self(Error::new(ErrorKind::Unexpected, OPERATION, "a stored JSON text cannot be read").with_source(error))
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        let (kind, detail) = match &error {
            sqlx::Error::Database(inner) => match inner.kind() {
                Constraint::UniqueViolation => {
                    (ErrorKind::Unexpected, format!("it exists already ({})", inner.message()))
                }
                Constraint::ForeignKeyViolation => {
                    (ErrorKind::NotFound, "it names a person or a request that does not exist".into())
                }
                Constraint::NotNullViolation | Constraint::CheckViolation => {
                    (ErrorKind::Unexpected, format!("it breaks a rule of the schema ({})", inner.message()))
                }
                _ if inner.try_downcast_ref::<PgDatabaseError>().is_some() => {
                    of_sql_state(&inner.code().unwrap_or_default(), inner.message())
                }
                _ => of_result_code(inner.code().and_then(|code| code.parse().ok()), inner.message()),
            },
            sqlx::Error::Io(inner) => {
                (ErrorKind::Unavailable, format!("the disk, or the connection to the database, does not work: {inner}"))
            }
            sqlx::Error::PoolTimedOut => {
                (ErrorKind::Unavailable, "no connection to the database was free or could be made in time".into())
            }
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                (ErrorKind::Unavailable, "the storage is closed".into())
            }
            other => (ErrorKind::Unexpected, other.to_string()),
        };
        Self(Error::new(kind, OPERATION, detail).with_source(error))
    }
}

/// Sorts SQLite's result codes (<https://sqlite.org/rescode.html>); the low byte of an extended code is its kind.
fn of_result_code(code: Option<i32>, message: &str) -> (ErrorKind, String) {
    match code.map(|code| code & 0xff) {
        Some(13) => (ErrorKind::Unavailable, "the disk is full".into()),
        Some(8) => (ErrorKind::Unavailable, "the database cannot be written to".into()),
        Some(5 | 6) => (ErrorKind::Unavailable, "the database is locked by another program".into()),
        // Out of memory, input/output, cannot open, protocol of locks.
        Some(7 | 10 | 14 | 15) => (ErrorKind::Unavailable, format!("the disk does not work ({message})")),
        Some(11 | 26) => (ErrorKind::Unexpected, format!("the file is no sound SQLite database ({message})")),
        _ => (ErrorKind::Unexpected, message.into()),
    }
}

/// Sorts PostgreSQL's SQLSTATEs by their class (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn of_sql_state(code: &str, message: &str) -> (ErrorKind, String) {
    match (code, code.get(..2)) {
        ("53100", _) => (ErrorKind::Unavailable, "the database's disk is full".into()),
        ("25006", _) => (ErrorKind::Unavailable, "the database cannot be written to: it is read-only".into()),
        // Connections, rollbacks that ask for another try, insufficient resources, locks, operators, system errors.
        (_, Some("08" | "40" | "53" | "55" | "57" | "58")) => {
            (ErrorKind::Unavailable, format!("the database does not serve now ({message})"))
        }
        (_, Some("28")) => (ErrorKind::Config, format!("the database refuses the hub's credentials ({message})")),
        _ => (ErrorKind::Unexpected, format!("{message} (SQLSTATE {code})")),
    }
}

/// The storage is closed, or closing.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, OPERATION, "the storage is closed")
}
