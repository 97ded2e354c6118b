//! Opening the file: where it is, whose it is, and how SQLite is to treat it.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use hearback_core::{Error, ErrorKind, Result};
use sqlx::{
    ConnectOptions, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::storage::sql::{Fault, pool::Connections};

/// How many reads run at once. Each connection has its own thread.
const READERS: u32 = 4;
/// Statements differ by their number of rows, at most `rows::CHUNK` a table, and all of them should stay prepared.
const WRITER_STATEMENTS: usize = 1024;
/// How long a statement waits for another program, a backup perhaps, that holds the file.
pub(crate) const BUSY: Duration = Duration::from_secs(5);

/// A database that no other hub has open.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// Keeps others out until it is dropped.
    lock: File,
}

fn fault(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, "storage.open", detail.into())
}

/// The file that `database` names: a path, or `sqlite://` with a path.
///
/// # Errors
///
/// What is wrong with it, for people, to come after its name.
pub fn database_file(database: &str) -> std::result::Result<&Path, &'static str> {
    let path = database.strip_prefix("sqlite://").or(database.strip_prefix("sqlite:")).unwrap_or(database);
    if path.contains('?') {
        return Err("names no file: options after a `?` are not supported");
    }
    if path.is_empty() || path.ends_with('/') || path.starts_with(":memory:") || path.contains('\0') {
        return Err("names no file");
    }
    Ok(Path::new(path))
}

/// The same, with a fault that says what to do.
pub(crate) fn path(database: &str) -> Result<PathBuf> {
    let refused = |wrong| fault(format!("{database:?} {wrong}; expected a path, as sqlite://data/hearback.db"));
    database_file(database).map(Path::to_owned).map_err(refused)
}

impl Place {
    /// Takes the file for this hub alone; creates its folder and the file, to be read by this user alone.
    pub(crate) fn take(database: &str) -> Result<Self> {
        let path = path(database)?;
        let shown = path.display();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder)
            .map_err(|error| fault(format!("cannot create the folder {}: {error}", folder.display())))?;
        if path.is_dir() {
            return Err(fault(format!("{shown} is a folder; expected a file")));
        }
        let beside = PathBuf::from(format!("{shown}.lock"));
        let lock = private(&beside).map_err(|error| {
            fault(format!("the folder {} must be writable, but {} is not: {error}", folder.display(), beside.display()))
        })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(fault(format!("{shown} is in use by another hub, which holds {}", beside.display())));
            }
            Err(TryLockError::Error(error)) => {
                return Err(fault(format!("cannot lock {}: {error}", beside.display())));
            }
        }
        private(&path).map_err(|error| fault(format!("cannot open {shown}: {error}")))?;
        Ok(Self { path, lock })
    }

    /// The lock alone, for whoever outlives this.
    pub(super) fn into_lock(self) -> File {
        self.lock
    }

    /// The one connection that writes.
    pub(crate) async fn writer(&self) -> Result<SqliteConnection> {
        let options = self
            .options()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // macOS only: what synchronisation means everywhere else.
            .pragma("fullfsync", "ON")
            .pragma("journal_size_limit", "67108864")
            // In pages of 4 KiB. The pages that every commit changes are carried into the database once for many commits.
            .pragma("wal_autocheckpoint", "8192")
            .pragma("cache_size", "-16384")
            // Where a statement of many rows notes how to take itself back.
            .pragma("temp_store", "MEMORY")
            .statement_cache_capacity(WRITER_STATEMENTS);
        options.connect().await.map_err(|error| {
            let Fault(inner) = error.into();
            fault(format!("cannot open {}: {}", self.path.display(), inner.detail())).with_source(inner)
        })
    }

    /// Connections that only read, opened as they are needed.
    pub(super) fn readers(&self) -> Connections<SqliteConnection> {
        // A file does not hang up.
        Connections::new(self.options().pragma("query_only", "ON"), READERS, None)
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .busy_timeout(BUSY)
            .foreign_keys(true)
            .disable_statement_logging()
    }
}

/// Opens a file, and creates it for this user alone.
pub(crate) fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
