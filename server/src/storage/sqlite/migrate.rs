//! The schema, up and down. The files lie in `migrations/sqlite`; the program carries them.

use std::collections::HashMap;

use hearback_core::{Error, ErrorKind, Result};
use sqlx::{
    SqlSafeStr, SqliteConnection,
    migrate::{Migrate, MigrateError, Migration, MigrationType},
};

use super::open::{self, Place};

/// Where the database notes its migrations, in the form of sqlx's own tool.
const TABLE: &str = "_sqlx_migrations";

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../../../migrations/sqlite/", $name))
    };
}

/// Every migration: its number, its name, the way up and the way down.
const MIGRATIONS: &[(i64, &str, &str, &str)] = &[
    (1, "initial", file!("0001_initial.up.sql"), file!("0001_initial.down.sql")),
    (2, "routes", file!("0002_routes.up.sql"), file!("0002_routes.down.sql")),
];

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

/// Brings the database to the newest schema; creates it where there is none. Says what was applied.
///
/// # Errors
///
/// `Config` when the file cannot be opened, another hub has it open, or a newer hub wrote it.
pub async fn up(database: &str) -> Result<Vec<Step>> {
    let place = Place::take(database)?;
    run(&mut place.writer().await?).await
}

/// Takes back the newest `steps` migrations that the database has, with the data that only they can hold. Says which.
///
/// # Errors
///
/// As [`up`].
pub async fn down(database: &str, steps: usize) -> Result<Vec<Step>> {
    let place = Place::take(database)?;
    let mut writer = place.writer().await?;
    let applied: Vec<_> = read(&mut writer).await?.into_iter().filter(|step| step.applied).collect();
    let mut undone = Vec::new();
    for step in applied.into_iter().rev().take(steps) {
        let (_, down) = both(step.version)?;
        writer.revert(TABLE, &down).await.map_err(fault)?;
        undone.push(Step { applied: false, ..step });
    }
    Ok(undone)
}

/// Every migration that this program knows, oldest first. Creates nothing.
///
/// # Errors
///
/// As [`up`].
pub async fn status(database: &str) -> Result<Vec<Step>> {
    if !open::path(database)?.exists() {
        return Ok(steps(|_| false));
    }
    let place = Place::take(database)?;
    read(&mut place.writer().await?).await
}

/// Brings an open database to the newest schema. Says what was applied.
pub(super) async fn run(writer: &mut SqliteConnection) -> Result<Vec<Step>> {
    let mut done = Vec::new();
    for step in read(writer).await?.into_iter().filter(|step| !step.applied) {
        let (up, _) = both(step.version)?;
        writer.apply(TABLE, &up).await.map_err(fault)?;
        done.push(Step { applied: true, ..step });
    }
    Ok(done)
}

/// What the database has; checks that this program made it.
async fn read(writer: &mut SqliteConnection) -> Result<Vec<Step>> {
    writer.ensure_migrations_table(TABLE).await.map_err(fault)?;
    let applied = writer.list_applied_migrations(TABLE).await.map_err(fault)?;
    let applied: HashMap<_, _> = applied.into_iter().map(|one| (one.version, one.checksum)).collect();
    for (version, checksum) in &applied {
        let (up, _) = both(*version)?;
        if up.checksum != *checksum {
            return Err(refuse(format!("migration {version} was changed after this database was made with it")));
        }
    }
    Ok(steps(|version| applied.contains_key(&version)))
}

/// The way up and the way down of one migration.
fn both(version: i64) -> Result<(Migration, Migration)> {
    let Some(&(_, name, up, down)) = MIGRATIONS.iter().find(|(known, ..)| *known == version) else {
        let detail =
            format!("a newer hub made this database (migration {version}): use that one, or its `migrate down`");
        return Err(refuse(detail));
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
