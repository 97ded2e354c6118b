//! No query scans a table: its plan says so.

use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use tempfile::TempDir;

use super::open;
use crate::storage::sqlite::{
    accounts, addresses, create, ending, migrate, open::Place, people, respond, route, send, settle, sign_ins, store,
    unit, vault,
};

/// Statements as they stand, by their names.
macro_rules! whole {
    ($($module:ident::$name:ident),* $(,)?) => {
        [$((concat!(stringify!($module), "::", stringify!($name)), $module::$name.to_owned())),*]
    };
}

/// Statements that are completed by rows: what comes before them, how many columns they have, what comes after.
macro_rules! with_rows {
    ($($module:ident::$name:ident, $columns:literal, $tail:expr);* $(;)?) => {
        [$((concat!(stringify!($module), "::", stringify!($name)), with_rows($module::$name, $columns, $tail))),*]
    };
}

fn with_rows(head: &str, columns: usize, tail: &str) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    format!("{head}VALUES {row}, {row}{tail}")
}

fn statements() -> Vec<(&'static str, String)> {
    let whole = whole![
        store::REQUEST,
        store::OF_TOKEN,
        store::OF_TOKEN_BY_STATUS,
        store::OF_USER,
        store::OF_USER_BY_STATUS,
        store::ASKED,
        store::ASKED_BY_STATUS,
        store::NEWEST_EVENT,
        store::EVENTS,
        store::WAITING_FOR_PERSON,
        store::WAITING_OF_TOKEN,
        store::RESPONSES,
        store::DELIVERIES,
        store::COUNTS,
        store::PRUNE,
        send::DUE,
        send::NOTE,
        send::IS_ON,
        send::ACKNOWLEDGE,
        send::HASTEN_FOR,
        send::REQUEUE,
        route::DUE,
        route::CLAIMED,
        route::STEP,
        route::TELL,
        route::HASTEN,
        route::HASTEN_ALL,
        settle::DUE,
        settle::AGAIN,
        settle::OVER,
        ending::DUE,
        ending::NEXT_DEADLINE,
        people::FIND,
        people::AT,
        people::INSERT,
        accounts::IS_EMPTY,
        accounts::BY_ID,
        accounts::BY_EMAIL,
        accounts::BY_USERNAME,
        accounts::NEWEST,
        accounts::INSERT_ACCOUNT,
        accounts::TOKENS,
        accounts::BY_HASH,
        accounts::TOKEN_LIVES,
        accounts::INSERT_TOKEN,
        accounts::REVOKE,
        accounts::TOUCH,
        accounts::KEPT,
        accounts::KEEP,
        addresses::OF,
        addresses::REPLACED,
        addresses::ADD,
        addresses::HASTEN,
        sign_ins::ENDS,
        sign_ins::FORGET,
        sign_ins::BEGIN,
        sign_ins::GIVE,
        sign_ins::SHOWN,
        sign_ins::USE,
        sign_ins::FORGET_TOKENS,
        sign_ins::EXTEND,
        sign_ins::END,
        vault::GET,
        vault::VERSION,
        vault::PUT,
        vault::REMOVE,
    ];
    let with_rows = with_rows![
        unit::REQUESTS_BY_ID, 1, ")";
        people::BY_IDS, 1, ")";
        create::KEPT, 1, ")";
        create::INSERT_REQUESTS, 10, "";
        create::INSERT_DELIVERIES, 10, "";
        create::INSERT_KEYS, 4, "";
        respond::EARLIER_HEAD, 2, respond::EARLIER_TAIL;
        respond::INSERT, 11, "";
        ending::END_HEAD, 4, ending::END_TAIL;
        ending::SETTLE_HEAD, 3, ending::SETTLE_TAIL;
        ending::ASKED_HEAD, 3, ending::ASKED_TAIL;
        send::STATES, 1, ")";
        send::LEASE_HEAD, 2, send::LEASE_TAIL;
        send::FINISH_HEAD, 8, send::FINISH_TAIL;
        send::TAKE_BACK_HEAD, 1, send::TAKE_BACK_TAIL;
        send::ERROR_HEAD, 2, send::ERROR_TAIL;
        send::ROUTE_HEAD, 3, send::ROUTE_TAIL;
        route::LEASE_HEAD, 3, route::LEASE_TAIL;
        route::DELIVERIES_HEAD, 2, route::DELIVERIES_TAIL;
        route::AGAIN_HEAD, 3, route::AGAIN_TAIL;
        route::GOING_ON_HEAD, 2, route::GOING_ON_TAIL;
        settle::LEASE_HEAD, 2, settle::LEASE_TAIL;
    ];
    whole.into_iter().chain(with_rows).collect()
}

async fn plan(connection: &mut SqliteConnection, sql: String) -> Vec<String> {
    let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    sqlx::query(sql).fetch_all(connection).await.unwrap().iter().map(|row| row.get("detail")).collect()
}

/// A step that walks a whole table or index, and not the rows that a statement brings along.
fn scans(step: &str) -> bool {
    let own = ["SCAN given", "SCAN found", "SCAN json_each", "SCAN CONSTANT ROW"];
    let rows = step.ends_with("VALUES CLAUSE") || step.ends_with("CONSTANT ROWS");
    step.starts_with("SCAN ") && !rows && !own.iter().any(|own| step.starts_with(own))
}

#[tokio::test]
async fn no_query_scans_a_table() {
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("hearback.db").to_str().unwrap().to_owned();
    migrate::up(&database).await.unwrap();
    let mut connection = Place::take(&database).unwrap().writer().await.unwrap();
    // These walk an index that holds nothing but what they are after, or stop at the first row.
    let walks = [
        ("send::DUE", "SCAN d USING INDEX deliveries_due"),
        ("route::DUE", "SCAN k USING INDEX asked_route_due"),
        ("settle::DUE", "SCAN d USING INDEX deliveries_settle_due"),
        ("store::COUNTS", "SCAN deliveries USING INDEX deliveries_due"),
        ("accounts::IS_EMPTY", "SCAN users"),
    ];
    let mut faults = Vec::new();
    for (name, sql) in statements() {
        for step in plan(&mut connection, sql).await {
            let walk = walks.iter().any(|(of, walk)| *of == name && step.starts_with(walk));
            if (scans(&step) && !walk) || step.contains("AUTOMATIC") {
                faults.push(format!("{name}: {step}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A list of every status merges its parts by their order, and reads no more than a page.
#[tokio::test]
async fn lists_are_not_sorted() {
    let folder = TempDir::new().unwrap();
    open(&folder).await.close().await;
    let database = folder.path().join("hearback.db").to_str().unwrap().to_owned();
    let mut connection = Place::take(&database).unwrap().writer().await.unwrap();
    for (name, sql) in statements() {
        let steps = plan(&mut connection, sql).await;
        let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE"));
        // What is sorted once more is the page itself, of which the parts came in order.
        let merges = steps.iter().any(|step| step.starts_with("MERGE"));
        assert!(!sorts || merges || name.ends_with("_BY_STATUS"), "{name}: {steps:#?}");
        if let Some(kind) = ["store::OF_TOKEN", "store::OF_USER", "store::ASKED"].iter().find(|kind| **kind == name) {
            assert!(merges, "{kind}: {steps:#?}");
        }
    }
}

/// Every statement that has a name is looked at here.
#[test]
fn every_statement_is_looked_at() {
    let this = include_str!("plans.rs");
    let sources = [
        ("accounts", include_str!("../accounts.rs")),
        ("addresses", include_str!("../addresses.rs")),
        ("create", include_str!("../create.rs")),
        ("ending", include_str!("../ending.rs")),
        ("people", include_str!("../people.rs")),
        ("respond", include_str!("../respond.rs")),
        ("route", include_str!("../route.rs")),
        ("send", include_str!("../send.rs")),
        ("settle", include_str!("../settle.rs")),
        ("sign_ins", include_str!("../sign_ins.rs")),
        ("store", include_str!("../store.rs")),
        ("unit", include_str!("../unit.rs")),
        ("vault", include_str!("../vault.rs")),
    ];
    for (module, source) in sources {
        let names = source.lines().filter_map(|line| line.split_once("const ")?.1.split_once(": &str"));
        for (name, _) in names {
            assert!(this.contains(&format!("{module}::{name}")), "{module}::{name} has no plan here");
        }
        assert!(!source.contains("query(\""), "{module} has a statement without a name");
    }
}
