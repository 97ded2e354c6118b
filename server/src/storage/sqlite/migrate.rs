//! The schema, up and down. The files lie in `migrations/sqlite`; the program carries them.

use std::collections::HashSet;

use hearback_core::{Error, ErrorKind, Result};
use sqlx::{
    SqlSafeStr, SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::{
    fault::Fault,
    open::{self, Place},
};

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../../../migrations/sqlite/", $name))
    };
}

/// Every migration: its number, its name, the way up and the way down.
const MIGRATIONS: &[(i64, &str, &str, &str)] =
    &[(1, "initial", file!("0001_initial.up.sql"), file!("0001_initial.down.sql"))];

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
    let mut writer = place.writer().await?;
    let before = applied(&mut writer).await?;
    run(&mut writer).await?;
    Ok(steps(&before).into_iter().filter(|step| !step.applied).map(|step| Step { applied: true, ..step }).collect())
}

/// Takes back the newest `steps` migrations that the database has, with the data that only they can hold. Says which.
///
/// # Errors
///
/// As [`up`].
pub async fn down(database: &str, steps: usize) -> Result<Vec<Step>> {
    let place = Place::take(database)?;
    let mut writer = place.writer().await?;
    let before = self::steps(&applied(&mut writer).await?);
    let undone: Vec<_> = before.into_iter().rev().filter(|step| step.applied).take(steps).collect();
    if let Some(last) = undone.last() {
        migrator().undo(&mut writer, last.version - 1).await.map_err(fault)?;
    }
    Ok(undone.into_iter().map(|step| Step { applied: false, ..step }).collect())
}

/// Every migration that this program knows, oldest first. Creates nothing.
///
/// # Errors
///
/// As [`up`].
pub async fn status(database: &str) -> Result<Vec<Step>> {
    if !open::path(database)?.exists() {
        return Ok(steps(&HashSet::new()));
    }
    let mut writer = Place::take(database)?.writer().await?;
    Ok(steps(&applied(&mut writer).await?))
}

/// Brings an open database to the newest schema.
pub(super) async fn run(writer: &mut SqliteConnection) -> Result<()> {
    migrator().run(writer).await.map_err(fault)
}

fn migrator() -> Migrator {
    let both = |&(version, name, up, down): &(i64, &'static str, &'static str, &'static str)| {
        let migration = |kind, sql: &'static str| Migration::new(version, name.into(), kind, sql.into_sql_str(), false);
        [migration(MigrationType::ReversibleUp, up), migration(MigrationType::ReversibleDown, down)]
    };
    Migrator::with_migrations(MIGRATIONS.iter().flat_map(both).collect())
}

fn steps(applied: &HashSet<i64>) -> Vec<Step> {
    let step = |&(version, name, ..): &(i64, &'static str, _, _)| Step { version, name, applied: applied.contains(&version) };
    MIGRATIONS.iter().map(step).collect()
}

async fn applied(writer: &mut SqliteConnection) -> Result<HashSet<i64>> {
    let versions = async {
        let table = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
        if sqlx::query_scalar::<_, i64>(table).fetch_one(&mut *writer).await? == 0 {
            return Ok(HashSet::new());
        }
        let versions = sqlx::query_scalar("SELECT version FROM _sqlx_migrations").fetch_all(&mut *writer).await?;
        Ok::<_, Fault>(versions.into_iter().collect())
    };
    Ok(versions.await?)
}

fn fault(error: MigrateError) -> Error {
    let detail = match &error {
        MigrateError::VersionMissing(version) => {
            format!("a newer hub wrote this database (migration {version}): use that one, or its `migrate down`")
        }
        MigrateError::VersionMismatch(version) => {
            format!("migration {version} was changed after this database was made with it")
        }
        other => format!("cannot migrate: {other}"),
    };
    Error::new(ErrorKind::Config, "storage.migrate", detail).with_source(error)
}
