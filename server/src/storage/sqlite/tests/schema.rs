//! The schema, and databases of other hubs.

use std::collections::BTreeMap;

use sqlx::Row;
use tempfile::TempDir;

use crate::storage::sqlite::{migrate, open::Place};

/// Every table and index, by its name.
async fn schema(database: &str) -> BTreeMap<String, String> {
    let mut writer = Place::take(database).unwrap().writer().await.unwrap();
    let sql = "SELECT name, coalesce(sql, '') AS sql FROM sqlite_schema WHERE name NOT LIKE '\\_sqlx%' ESCAPE '\\'";
    let rows = sqlx::query(sql).fetch_all(&mut writer).await.unwrap();
    rows.iter()
        .map(|row| (row.get("name"), row.get("sql")))
        .filter(|(name, _): &(String, _)| !name.contains("_sqlx_"))
        .collect()
}

#[tokio::test]
async fn up_down_and_up_again_gives_the_same_schema() {
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("hearback.db").to_str().unwrap().to_owned();
    migrate::up(&database).await.unwrap();
    let first = schema(&database).await;
    assert!(first.len() > 20, "{first:?}");
    let tables = first.values().filter(|sql| sql.starts_with("CREATE TABLE"));
    assert!(tables.clone().all(|sql| sql.contains("STRICT")), "every table is strict");
    migrate::down(&database, usize::MAX).await.unwrap();
    assert_eq!(schema(&database).await, BTreeMap::new());
    migrate::up(&database).await.unwrap();
    assert_eq!(schema(&database).await, first);
}

/// The program carries every migration that lies in the folder.
#[test]
fn no_migration_is_left_behind() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/sqlite");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, migrate::files());
}

#[tokio::test]
async fn a_database_of_another_hub_is_refused_with_a_reason() {
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("hearback.db").to_str().unwrap().to_owned();
    migrate::up(&database).await.unwrap();
    let execute = async |sql: &'static str| {
        let mut writer = Place::take(&database).unwrap().writer().await.unwrap();
        sqlx::query(sql).execute(&mut writer).await.unwrap();
    };
    execute("UPDATE _sqlx_migrations SET checksum = X'00' WHERE version = 1").await;
    assert!(migrate::up(&database).await.unwrap_err().detail().contains("migration 1 was changed"));
    execute("DELETE FROM _sqlx_migrations").await;
    execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', 1, X'00', 0)",
    )
    .await;
    for refused in [migrate::up(&database).await, migrate::down(&database, 1).await, migrate::status(&database).await] {
        assert!(refused.unwrap_err().detail().contains("a newer hub made this database (migration 9999)"));
    }
}
