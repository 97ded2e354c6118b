//! The schema, up and down. The files lie in `migrations/sqlite` and `migrations/postgres`, by the same names; the program
//! carries them.

use std::collections::HashMap;

use hearback_core::{Error, ErrorKind, Result};
use sqlx::{
    PgConnection, SqlSafeStr, SqliteConnection,
    migrate::{Migrate, MigrateError, Migration, MigrationType},
};

use super::session::{Count, Dialect, Session, Sql};
use crate::storage::{
    is_postgres, postgres,
    sqlite::{Place, database_path},
};

/// Where the database notes its migrations, in the form of sqlx's own tool.
const TABLE: &str = "_sqlx_migrations";

/// A way up and a way down.
type Ways = (&'static str, &'static str);

/// A migration: its number, its name, and its ways on SQLite and on PostgreSQL.
type Entry = (i64, &'static str, Ways, Ways);

macro_rules! migration {
    ($number:literal, $name:literal, $file:literal) => {
        (
            $number,
            $name,
            (
                include_str!(concat!("../../../../migrations/sqlite/", $file, ".up.sql")),
                include_str!(concat!("../../../../migrations/sqlite/", $file, ".down.sql")),
            ),
            (
                include_str!(concat!("../../../../migrations/postgres/", $file, ".up.sql")),
                include_str!(concat!("../../../../migrations/postgres/", $file, ".down.sql")),
            ),
        )
    };
}

/// Every migration, oldest first.
const MIGRATIONS: &[Entry] = &[
    migration!(1, "initial", "0001_initial"),
    migration!(2, "routes", "0002_routes"),
    migration!(3, "servers", "0003_servers"),
    migration!(4, "callbacks", "0004_callbacks"),
    migration!(5, "streams", "0005_streams"),
    migration!(6, "event_log", "0006_event_log"),
    migration!(7, "access", "0007_access"),
    migration!(8, "preferences", "0008_preferences"),
    migration!(9, "links", "0009_links"),
];

/// An open database whose schema is moved.
pub(crate) enum Database<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// A migration, and whether the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number, from 1.
    pub version: i64,
    /// Its name.
    pub name: &'static str,
    /// Whether the database has it.
    pub applied: bool,
}

/// Brings the database to the newest schema; a SQLite file is created where there is none. Says what was applied.
///
/// # Errors
///
/// `Config` when the database cannot be opened, another hub has the file open, or a newer hub made it. `Unavailable` when
/// PostgreSQL does not answer.
pub async fn up(database: &str) -> Result<Vec<Step>> {
    if is_postgres(database) {
        return run(&mut Database::Postgres(&mut postgres::connect(database).await?)).await;
    }
    let place = Place::take(database)?;
    run(&mut Database::Sqlite(&mut place.writer().await?)).await
}

/// Takes back the newest `steps` migrations that the database has, with the data that only they can hold. Says which.
///
/// # Errors
///
/// As [`up`].
pub async fn down(database: &str, steps: usize) -> Result<Vec<Step>> {
    if is_postgres(database) {
        return back(&mut Database::Postgres(&mut postgres::connect(database).await?), steps).await;
    }
    let place = Place::take(database)?;
    back(&mut Database::Sqlite(&mut place.writer().await?), steps).await
}

/// Every migration that this program knows, oldest first. Creates nothing.
///
/// # Errors
///
/// As [`up`].
pub async fn status(database: &str) -> Result<Vec<Step>> {
    if is_postgres(database) {
        return read(&mut Database::Postgres(&mut postgres::connect(database).await?)).await;
    }
    if !database_path(database)?.exists() {
        return Ok(steps(|_| false));
    }
    let place = Place::take(database)?;
    read(&mut Database::Sqlite(&mut place.writer().await?)).await
}

/// Brings an open database to the newest schema. Says what was applied.
pub(crate) async fn run(database: &mut Database<'_>) -> Result<Vec<Step>> {
    database.lock().await?;
    let done = async {
        let mut done = Vec::new();
        database.prepare().await?;
        for step in read(database).await?.into_iter().filter(|step| !step.applied) {
            let (up, _) = both(step.version, database.dialect())?;
            database.apply(&up).await?;
            done.push(Step { applied: true, ..step });
        }
        Ok(done)
    }
    .await;
    database.unlock().await?;
    done
}

async fn back(database: &mut Database<'_>, steps: usize) -> Result<Vec<Step>> {
    database.lock().await?;
    let done = async {
        let applied: Vec<_> = read(database).await?.into_iter().filter(|step| step.applied).collect();
        let mut undone = Vec::new();
        for step in applied.into_iter().rev().take(steps) {
            let (_, down) = both(step.version, database.dialect())?;
            database.revert(&down).await?;
            undone.push(Step { applied: false, ..step });
        }
        Ok(undone)
    }
    .await;
    database.unlock().await?;
    done
}

/// Whether no hub has ever used the database.
pub(crate) async fn is_new(database: &mut Database<'_>) -> Result<bool> {
    Ok(!database.is_noted().await?)
}

/// What the database has; checks that this program made it.
pub(crate) async fn read(database: &mut Database<'_>) -> Result<Vec<Step>> {
    let applied = database.applied().await?;
    for (version, checksum) in &applied {
        let (up, _) = both(*version, database.dialect())?;
        if up.checksum != *checksum {
            return Err(refuse(format!("migration {version} was changed after this database was made with it")));
        }
    }
    Ok(steps(|version| applied.contains_key(&version)))
}

/// Calls a method of sqlx's on whichever database it is.
macro_rules! on {
    ($database:expr, $call:ident($($argument:expr),*)) => {
        match $database {
            Database::Sqlite(connection) => connection.$call($($argument),*).await,
            Database::Postgres(connection) => connection.$call($($argument),*).await,
        }
        .map_err(fault)
    };
}

impl Database<'_> {
    const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Of several servers that start at once on PostgreSQL, one moves the schema and the others wait for it.
    async fn lock(&mut self) -> Result<()> {
        on!(self, lock())
    }

    async fn unlock(&mut self) -> Result<()> {
        on!(self, unlock())
    }

    /// Makes the table in which migrations are noted.
    async fn prepare(&mut self) -> Result<()> {
        on!(self, ensure_migrations_table(TABLE))
    }

    async fn apply(&mut self, migration: &Migration) -> Result<()> {
        on!(self, apply(TABLE, migration)).map(drop)
    }

    async fn revert(&mut self, migration: &Migration) -> Result<()> {
        on!(self, revert(TABLE, migration)).map(drop)
    }

    /// Whether the database has ever noted a migration.
    async fn is_noted(&mut self) -> Result<bool> {
        let sql = Sql {
            sqlite: "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')",
            postgres: "SELECT to_regclass('_sqlx_migrations') IS NOT NULL",
        };
        let mut session = match self {
            Database::Sqlite(connection) => Session::sqlite(connection, Count::default()),
            Database::Postgres(connection) => Session::postgres(connection, Count::default()),
        };
        Ok(session.query(sql).fetch_scalar().await?)
    }

    /// The checksums of what it has, by number.
    async fn applied(&mut self) -> Result<HashMap<i64, std::borrow::Cow<'static, [u8]>>> {
        if !self.is_noted().await? {
            return Ok(HashMap::new());
        }
        let applied = on!(self, list_applied_migrations(TABLE))?;
        Ok(applied.into_iter().map(|one| (one.version, one.checksum)).collect())
    }
}

/// The way up and the way down of one migration.
fn both(version: i64, dialect: Dialect) -> Result<(Migration, Migration)> {
    let Some(&(_, name, sqlite, postgres)) = MIGRATIONS.iter().find(|(known, ..)| *known == version) else {
        let detail =
            format!("a newer hub made this database (migration {version}): use that one, or its `migrate down`");
        return Err(refuse(detail));
    };
    let (up, down) = match dialect {
        Dialect::Sqlite => sqlite,
        Dialect::Postgres => postgres,
    };
    let migration = |kind, sql: &'static str| Migration::new(version, name.into(), kind, sql.into_sql_str(), false);
    Ok((migration(MigrationType::ReversibleUp, up), migration(MigrationType::ReversibleDown, down)))
}

fn steps(applied: impl Fn(i64) -> bool) -> Vec<Step> {
    let step = |&(version, name, ..): &(i64, &'static str, _, _)| Step { version, name, applied: applied(version) };
    MIGRATIONS.iter().map(step).collect()
}

fn refuse(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, "storage.migrate", detail)
}

fn fault(error: MigrateError) -> Error {
    refuse(format!("cannot migrate: {error}")).with_source(error)
}

/// The files of all migrations, in their order.
#[cfg(test)]
pub(super) fn files() -> Vec<String> {
    let both =
        |(version, name, ..): &(i64, &str, _, _)| ["down", "up"].map(|way| format!("{version:04}_{name}.{way}.sql"));
    MIGRATIONS.iter().flat_map(both).collect()
}
