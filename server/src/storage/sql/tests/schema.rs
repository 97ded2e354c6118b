//! The schema, and databases of other hubs.

use std::collections::BTreeMap;

use sqlx::Row;
use tempfile::TempDir;

use crate::storage::{
    sql::{copy, migrate},
    sqlite::Place,
};

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

/// What a query of one text column finds.
async fn rows(database: &str, sql: &'static str) -> Vec<String> {
    let mut writer = Place::take(database).unwrap().writer().await.unwrap();
    sqlx::query_scalar(sql).fetch_all(&mut writer).await.unwrap()
}

async fn execute(database: &str, sql: &'static str) {
    let mut writer = Place::take(database).unwrap().writer().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut writer).await.unwrap();
}

/// A way up or down that makes tables anew keeps what is in them, and every reference.
#[tokio::test]
async fn what_is_stored_outlives_the_routes_migration() {
    const DELIVERIES: &str = "SELECT json_array(hex(substr(id, 1, 1)), status, due_at, receipt, reason, settle_due_at, \
        settle_tries) FROM deliveries ORDER BY id";
    const ATTEMPTS: &str = "SELECT json_array(hex(substr(delivery_id, 1, 1)), number, at, error) FROM attempts";
    const EVENTS: &str = "SELECT json_array(e.id, e.at, e.kind, count(n.reader)) FROM events e \
        LEFT JOIN event_readers n ON n.event_id = e.id GROUP BY e.id ORDER BY e.id";
    const FAULTS: &str = "SELECT \"table\" FROM pragma_foreign_key_check";
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("hearback.db").to_str().unwrap().to_owned();
    let migrations = migrate::up(&database).await.unwrap().len();
    migrate::down(&database, migrations - 1).await.unwrap();
    let first = shape(&database).await;
    execute(&database, include_str!("before_routes.sql")).await;
    let stored = [rows(&database, DELIVERIES).await, rows(&database, ATTEMPTS).await, rows(&database, EVENTS).await];
    assert_eq!(stored.each_ref().map(Vec::len), [3, 2, 3]);

    migrate::up(&database).await.unwrap();
    assert_eq!(
        [rows(&database, DELIVERIES).await, rows(&database, ATTEMPTS).await, rows(&database, EVENTS).await],
        stored
    );
    assert!(rows(&database, FAULTS).await.is_empty());
    let routes = "SELECT json_array(created_event, hex(substr(user_id, 1, 1)), status, route_due_at, route_rounds, \
        route_exhausted) FROM asked ORDER BY created_event, user_id";
    let expected =
        [r#"[1,"01","pending",null,0,0]"#, r#"[1,"02","pending",null,0,1]"#, r#"[2,"01","cancelled",null,0,0]"#];
    assert_eq!(rows(&database, routes).await, expected, "the start looks at what is pending");
    execute(
        &database,
        "UPDATE deliveries SET status = 'queued', not_before = 77, receipt = NULL, reason = 'busy' \
         WHERE status = 'sent' AND settle_due_at IS NULL; \
         INSERT INTO events (id, at, kind, request_id) SELECT 4, 9, 'undeliverable', request_id FROM events WHERE id = 1; \
         INSERT INTO event_readers VALUES (zeroblob(16), 4)",
    )
    .await;

    migrate::down(&database, migrations - 1).await.unwrap();
    assert_eq!(shape(&database).await, first);
    assert!(rows(&database, FAULTS).await.is_empty());
    let [mut deliveries, attempts, events] = stored;
    deliveries[0] = r#"["20","queued",77,null,null,null,0]"#.into();
    assert_eq!(rows(&database, DELIVERIES).await, deliveries, "what was held comes due by itself");
    assert_eq!(rows(&database, ATTEMPTS).await, attempts);
    assert_eq!(rows(&database, EVENTS).await, events);
    assert!(rows(&database, "SELECT hex(reader) FROM event_readers WHERE event_id = 4").await.is_empty());
}

/// Addresses that were there before they had ids get one each.
#[tokio::test]
async fn addresses_outlive_the_migration_that_gives_them_ids() {
    const ADDRESSES: &str = "SELECT json_array(channel, address, confirmed) FROM addresses ORDER BY channel, address";
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("hearback.db").to_str().unwrap().to_owned();
    migrate::up(&database).await.unwrap();
    let steps = migrate::status(&database).await.unwrap().into_iter().filter(|step| step.version >= 8).count();
    migrate::down(&database, steps).await.unwrap();
    execute(
        &database,
        "INSERT INTO users (id, username, email, email_confirmed, role, created_at) \
         VALUES (zeroblob(16), 'ana', 'ana@example.com', 1, 'member', 1); \
         INSERT INTO addresses VALUES (zeroblob(16), 'desk', 'desk-7', 1), (zeroblob(16), 'pager', '+43 1', 0)",
    )
    .await;
    let stored = rows(&database, ADDRESSES).await;
    assert_eq!(stored.len(), 2);
    migrate::up(&database).await.unwrap();
    assert_eq!(rows(&database, ADDRESSES).await, stored);
    assert_eq!(rows(&database, "SELECT DISTINCT hex(id) FROM addresses WHERE length(id) = 16").await.len(), 2);
    migrate::down(&database, steps).await.unwrap();
    assert_eq!(rows(&database, ADDRESSES).await, stored);
}

/// What an older hub cannot read goes; but the newest event keeps its place, so that it is not given again.
#[tokio::test]
async fn events_that_an_older_hub_does_not_know_leave_no_place_to_be_given_twice() {
    const EVENTS: &str = "SELECT json_array(e.id, e.at, e.kind, count(n.reader)) FROM events e \
        LEFT JOIN event_readers n ON n.event_id = e.id GROUP BY e.id ORDER BY e.id";
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("hearback.db").to_str().unwrap().to_owned();
    migrate::up(&database).await.unwrap();
    execute(
        &database,
        "INSERT INTO events (id, at, kind, request_id, subject) VALUES \
         (7, 1, 'created', zeroblob(16), NULL), (8, 2, 'delivery', zeroblob(16), zeroblob(16)), \
         (9, 3, 'response', zeroblob(16), zeroblob(16)); \
         INSERT INTO event_readers VALUES (zeroblob(16), 7), (zeroblob(16), 8), (zeroblob(16), 9)",
    )
    .await;
    let steps = migrate::status(&database).await.unwrap().into_iter().filter(|step| step.version >= 5).count();
    migrate::down(&database, steps).await.unwrap();
    assert_eq!(rows(&database, EVENTS).await, [r#"[7,1,"created",1]"#, r#"[9,3,"undeliverable",0]"#]);
    migrate::up(&database).await.unwrap();
    assert_eq!(rows(&database, EVENTS).await, [r#"[7,1,"created",1]"#, r#"[9,3,"undeliverable",0]"#]);
}

/// The schema without what a change of a table leaves in its text.
async fn shape(database: &str) -> BTreeMap<String, String> {
    let plain = |sql: String| sql.replace(|letter: char| letter.is_whitespace() || letter == '"', "");
    schema(database).await.into_iter().map(|(name, sql)| (name, plain(sql))).collect()
}

/// A back-up holds every table, or one of those that are left out on purpose.
#[tokio::test]
async fn no_table_is_left_out_of_a_back_up() {
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("hearback.db").to_str().unwrap().to_owned();
    migrate::up(&database).await.unwrap();
    let tables = rows(&database, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").await;
    let own: Vec<_> = tables.iter().filter(|name| !name.starts_with("_sqlx") && !name.starts_with("sqlite")).collect();
    let mut named = [copy::TABLES, copy::LEFT_OUT].concat();
    named.sort_unstable();
    assert_eq!(own, named);
}

/// The program carries every migration that lies in the folder.
#[test]
fn no_migration_is_left_behind() {
    for database in ["sqlite", "postgres"] {
        let folder = format!("{}/../migrations/{database}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        assert_eq!(files, migrate::files(), "{database}");
    }
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
