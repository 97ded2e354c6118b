//! Back-ups: everything that is stored, at one moment, in one SQLite file, whichever database it comes from or goes to.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use hearback_core::{Error, ErrorKind, Result, Timestamp};
use sqlx::{
    ConnectOptions, Connection, PgConnection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};

use super::{
    Cipher, is_postgres, postgres,
    sql::{
        Fault, Session,
        copy::{self, Side},
        migrate::{self, Database},
        sealed,
        session::Count,
    },
    sqlite::{self, Place},
};

fn refuse(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, "storage.backup", detail.into())
}

fn disk(what: &str, path: &Path, error: io::Error) -> Error {
    refuse(format!("cannot {what} {}: {error}", path.display())).with_source(error)
}

/// Writes what `database` holds now into a new file, while hubs go on working on it. The file appears when it is whole.
///
/// # Errors
///
/// `Config` when the file is there already or cannot be written, or the database cannot be read or is of another version's
/// schema; `Unavailable` when PostgreSQL does not answer.
pub async fn backup(database: &str, file: &Path) -> Result<()> {
    if file.exists() {
        return Err(refuse(format!("{} is there already: give the name of a new file", file.display())));
    }
    let draft = Draft::new(file)?;
    if is_postgres(database) {
        from_postgres(database, &draft.0).await?;
    } else {
        from_file(&sqlite::database_path(database)?, &draft.0).await?;
    }
    draft.keep(file)
}

/// Puts what a back-up holds into an empty database, whose schema is brought to the newest. Numbers of events go on far
/// above those of the back-up.
///
/// # Errors
///
/// `Config` when the file is no back-up, the database is not empty or in use, or `cipher` has another key than what was
/// sealed in the back-up; `Unavailable` when PostgreSQL does not answer. The database is as it was then.
pub async fn restore(file: &Path, database: &str, cipher: &Cipher, now: Timestamp) -> Result<()> {
    if !file.is_file() {
        return Err(refuse(format!("there is no file {}", file.display())));
    }
    // The back-up stays as it is: an older one is brought to the newest schema in a copy.
    let target = if is_postgres(database) { file.to_owned() } else { sqlite::database_path(database)? };
    let draft = Draft::new(&target.with_extension("restoring"))?;
    let mut copied = from_file_to(file, &draft.0, cipher, now).await?;
    if is_postgres(database) {
        into_postgres(&mut copied, database, now).await?;
        return copied.close().await.map_err(|error| Fault::from(error).into());
    }
    copied.close().await.map_err(Fault::from)?;
    // Nobody else can take the place between the look and the renaming.
    let place = Place::take(database)?;
    let mut empty = place.writer().await?;
    if !migrate::is_new(&mut Database::Sqlite(&mut empty)).await? {
        let mut session = Session::sqlite(&mut empty, Count::default());
        copy::require_empty(&mut session).await?;
    }
    empty.close().await.map_err(Fault::from)?;
    draft.replace(&target)
}

/// A file under another name until it is whole; removed when it never is.
struct Draft(PathBuf);

impl Draft {
    fn new(file: &Path) -> Result<Self> {
        // A name of its own: somebody else may be writing a back-up by the same name.
        let draft = PathBuf::from(format!("{}.{:08x}.part", file.display(), rand::random::<u32>()));
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|error| disk("create the folder", folder, error))?;
        }
        sqlite::private(&draft).map_err(|error| disk("write", &draft, error))?;
        Ok(Self(draft))
    }

    /// Gives it its name, unless somebody else has taken that meanwhile.
    fn keep(self, file: &Path) -> Result<()> {
        self.sync()?;
        fs::hard_link(&self.0, file).map_err(|error| disk("write", file, error))
    }

    /// Puts it in the place of a file that holds nothing.
    fn replace(self, file: &Path) -> Result<()> {
        self.sync()?;
        for beside in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{beside}", file.display()));
        }
        fs::rename(&self.0, file).map_err(|error| disk("write", file, error))
    }

    fn sync(&self) -> Result<()> {
        let synced = File::open(&self.0).and_then(|file| file.sync_all());
        synced.map_err(|error| disk("write", &self.0, error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It is gone already where it was kept by renaming.
        let _ = fs::remove_file(&self.0);
    }
}

/// A connection to a file that no hub has open, or that a hub may go on writing to.
pub(super) async fn open(file: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(file).synchronous(SqliteSynchronous::Full);
    let opened = options.busy_timeout(sqlite::BUSY).foreign_keys(true).disable_statement_logging().connect().await;
    opened.map_err(|error| {
        let Fault(inner) = error.into();
        refuse(format!("cannot open {}: {}", file.display(), inner.detail())).with_source(inner)
    })
}

/// SQLite copies itself at one moment, whoever writes.
async fn from_file(from: &Path, to: &Path) -> Result<()> {
    if !from.is_file() {
        return Err(refuse(format!("there is no database {}", from.display())));
    }
    let mut source = open(from).await?;
    if migrate::is_new(&mut Database::Sqlite(&mut source)).await? {
        return Err(refuse(format!("{} is no database of a hub", from.display())));
    }
    let copied = sqlx::query("VACUUM INTO $1").bind(to.display().to_string()).execute(&mut source).await;
    copied.map_err(Fault::from)?;
    source.close().await.map_err(|error| Fault::from(error).into())
}

/// A copy of a back-up, of the newest schema, whose events leave a gap.
async fn from_file_to(file: &Path, copy: &Path, cipher: &Cipher, now: Timestamp) -> Result<SqliteConnection> {
    from_file(file, copy).await?;
    let mut copied = open(copy).await?;
    migrate::run(&mut Database::Sqlite(&mut copied)).await?;
    let mut session = Session::sqlite(&mut copied, Count::default());
    if let Some(lost) = sealed::unreadable(&mut session, cipher).await?.first() {
        return Err(refuse(format!(
            "of what is sealed in the back-up, {lost}, but {}: restore it with the SECRET_KEY that it was made under, among \
             SECRET_KEY_OLD if there is a newer one",
            cipher.shown()
        )));
    }
    copy::leave_gap(&mut session, now).await?;
    Ok(copied)
}

async fn from_postgres(database: &str, file: &Path) -> Result<()> {
    let mut target = open(file).await?;
    migrate::run(&mut Database::Sqlite(&mut target)).await?;
    let mut source = postgres::connect(database).await?;
    postgres::require_newest(&mut Database::Postgres(&mut source)).await?;
    // One moment for all tables.
    execute(&mut source, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut target).await.map_err(Fault::from)?;
    {
        let mut from = Session::postgres(&mut source, Count::default());
        let mut to = Session::sqlite(&mut target, Count::default());
        copy::copy(&mut from, &mut to, Side::From).await?;
        copy::note_head(&mut to).await?;
    }
    sqlx::query("COMMIT").execute(&mut target).await.map_err(Fault::from)?;
    execute(&mut source, "COMMIT").await?;
    target.close().await.map_err(|error| Fault::from(error).into())
}

async fn into_postgres(from: &mut SqliteConnection, database: &str, now: Timestamp) -> Result<()> {
    let mut target = postgres::connect(database).await?;
    // Before anything is changed, and again once nobody else can change it.
    if !migrate::is_new(&mut Database::Postgres(&mut target)).await? {
        copy::require_empty(&mut Session::postgres(&mut target, Count::default())).await?;
    }
    migrate::run(&mut Database::Postgres(&mut target)).await?;
    execute(&mut target, "BEGIN; LOCK TABLE event_log, users IN ACCESS EXCLUSIVE MODE").await?;
    let mut to = Session::postgres(&mut target, Count::default());
    copy::require_empty(&mut to).await?;
    let mut from = Session::sqlite(from, Count::default());
    copy::copy(&mut from, &mut to, Side::To).await?;
    copy::leave_gap(&mut to, now).await?;
    execute(&mut target, "COMMIT; ANALYZE").await
}

async fn execute(connection: &mut PgConnection, sql: &'static str) -> Result<()> {
    sqlx::raw_sql(sql).execute(connection).await.map(drop).map_err(|error| Fault::from(error).into())
}
