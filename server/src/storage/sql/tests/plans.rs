//! No query scans a table: its plan says so.

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};
use tempfile::TempDir;

use super::open;
use crate::storage::{
    postgres::Scratch,
    sql::{
        accounts, addresses, bring, callbacks, codes, create, ending, limits, links, migrate, people, preferences,
        prune, respond, route, sealed, send, servers,
        session::{Dialect, Sql},
        settle, sign_ins, store, tokens, unit, vault,
    },
    sqlite::Place,
};

/// Statements as they stand, by their names.
macro_rules! whole {
    ($($module:ident::$name:ident),* $(,)?) => {
        [$((concat!(stringify!($module), "::", stringify!($name)), Statement::whole($module::$name))),*]
    };
}

/// Statements that are completed by rows: what comes before them, how many columns they have, what comes after.
macro_rules! with_rows {
    ($($module:ident::$name:ident, $types:literal, $tail:expr);* $(;)?) => {
        [$((
            concat!(stringify!($module), "::", stringify!($name)),
            Statement { head: $module::$name.into(), types: $types, tail: $tail.into() },
        )),*]
    };
}

struct Statement {
    head: Sql,
    /// PostgreSQL's types of the columns of each row that it is completed by; none where it is whole.
    types: &'static str,
    tail: Sql,
}

impl Statement {
    fn whole(sql: impl Into<Sql>) -> Self {
        Self { head: sql.into(), types: "", tail: "".into() }
    }

    /// With two rows, where it takes any.
    fn text(&self, dialect: Dialect) -> String {
        let columns = self.types.split_whitespace().count();
        let row = |first: usize| {
            let place = |number: usize| format!("${}", first + number);
            format!("({})", (1..=columns).map(place).collect::<Vec<_>>().join(", "))
        };
        let rows = if columns == 0 { String::new() } else { format!("VALUES {}, {}", row(0), row(columns)) };
        format!("{}{rows}{}", self.head.of(dialect), self.tail.of(dialect))
    }

    /// The statement that prepares it on PostgreSQL.
    fn prepare(&self, name: &str, of: &str) -> String {
        let types: Vec<_> = self.types.split_whitespace().collect();
        let rows = [types.clone(), types].concat().join(", ");
        // The hub tells a parameter's type with its value. Here PostgreSQL is to guess, and in these it cannot.
        let types = match of {
            "send::NOTE" => "uuid, text, text, bigint",
            "links::MARK" => "text, text, bigint",
            "sign_ins::BEGIN" => "uuid, uuid, bigint, text",
            "tokens::INSERT_TOKEN" => "uuid, uuid, text, text, bytea, bytea, bigint, bigint, uuid",
            list if list.starts_with("store::OF_") || list.starts_with("store::ASKED") => "uuid, uuid, bigint, text",
            _ => rows.as_str(),
        };
        let types = if types.is_empty() { String::new() } else { format!("({types})") };
        format!("PREPARE {name} {types} AS {}", self.text(Dialect::Postgres))
    }
}

fn statements() -> Vec<(&'static str, Statement)> {
    // The census of sealed values alone reads whole tables, once a start.
    let sealed =
        sealed::PLACES.iter().flat_map(|place| [place.page, place.put].map(|sql| (sql, Statement::whole(sql))));
    whole().chain(completed()).chain(sealed).collect()
}

#[expect(clippy::too_many_lines, reason = "a list of all statements")]
fn whole() -> impl Iterator<Item = (&'static str, Statement)> {
    let whole = whole![
        bring::THERE,
        bring::QUEUE,
        links::OFFER,
        links::CODE,
        links::USE,
        links::FORGET_OLD,
        links::UNLINK,
        links::GIVE_UP,
        links::BLOCKED,
        links::MARK,
        links::TAKE_UP,
        store::SENT_AS,
        store::CENSUS,
        store::REQUEST,
        store::OF_TOKEN,
        store::OF_TOKEN_BY_STATUS,
        store::OF_USER,
        store::OF_USER_BY_STATUS,
        store::ASKED,
        store::ASKED_BY_STATUS,
        store::NEWEST_EVENT,
        store::EVENTS,
        store::EVENTS_OF_REQUEST,
        store::OLDEST_EVENT,
        store::DELIVERY,
        store::RESPONSE,
        store::WAITING_FOR_PERSON,
        store::WAITING_OF_TOKEN,
        store::RESPONSES,
        store::DELIVERIES,
        store::COUNTS,
        prune::FORGET_KEYS,
        limits::LOOK,
        limits::FORGET,
        prune::OLDEST,
        prune::FORGET_EVENTS,
        store::LOG,
        send::DUE,
        send::NEXT_DUE,
        send::LEFT_UNTIL,
        send::NOTE,
        send::IS_ON,
        send::ACKNOWLEDGE,
        send::IS_OUT,
        send::HASTEN_FOR,
        send::REQUEUE,
        route::DUE,
        route::NEXT_DUE,
        route::CLAIMED,
        route::STEP,
        route::TELL,
        route::HASTEN,
        route::HASTEN_ALL,
        servers::OF,
        servers::CLEAR,
        servers::NOTE,
        servers::FORGET,
        servers::FORGET_SERVER,
        servers::LIFE,
        servers::LIVE,
        servers::END_OTHERS,
        servers::LEAVE_THE_DEAD,
        servers::BURY,
        servers::END,
        servers::HOLD,
        servers::HELD_UNTIL,
        servers::RELEASE,
        servers::RELEASE_ALL,
        settle::DUE,
        settle::NEXT_DUE,
        settle::AGAIN,
        settle::OVER,
        callbacks::DUE,
        callbacks::NEXT_DUE,
        callbacks::FINISH,
        callbacks::DISABLE,
        callbacks::OF_REQUEST,
        ending::DUE,
        ending::NEXT_DEADLINE,
        people::FIND,
        people::AT,
        people::INSERT,
        accounts::IS_EMPTY,
        accounts::BY_ID,
        accounts::BY_EMAIL,
        accounts::BY_USERNAME,
        accounts::BY_LOGIN,
        accounts::TAKE_UP,
        accounts::NEWEST,
        accounts::INSERT_ACCOUNT,
        accounts::INSERT_SERVICE_USER,
        accounts::HAS_OTHER_ADMINISTRATOR,
        accounts::CHANGE,
        accounts::CHANGE_PASSWORD,
        sign_ins::END_OTHERS,
        tokens::TOKENS,
        tokens::BY_HASH,
        tokens::TOKEN_LIVES,
        tokens::WEBHOOK_SECRET,
        tokens::INSERT_TOKEN,
        tokens::REVOKE,
        tokens::TOUCH,
        tokens::KEPT,
        tokens::KEEP,
        addresses::OF,
        addresses::THEIRS,
        addresses::OWNER,
        addresses::REPLACED,
        addresses::ADD,
        addresses::CONFIRM_EMAIL,
        addresses::HASTEN,
        addresses::REMOVE,
        codes::SENT,
        codes::WAITING,
        codes::LAPSE,
        codes::FORGET,
        codes::FORGET_OLD,
        codes::WAIT,
        codes::PUT,
        codes::CODE,
        codes::MISS,
        codes::USED_UP,
        preferences::OF,
        preferences::PREFER,
        preferences::WAITING,
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
    whole.into_iter()
}

fn completed() -> impl Iterator<Item = (&'static str, Statement)> {
    let with_rows = with_rows![
        unit::REQUESTS_BY_ID, "uuid", ")";
        preferences::MOVE_HEAD, "uuid bigint bigint", preferences::MOVE_TAIL;
        prune::FORGET_READERS_HEAD, "uuid bigint", prune::FORGET_READERS_TAIL;
        people::BY_IDS, "uuid", ")";
        create::KEPT, "bytea", ")";
        create::INSERT_REQUESTS, "bigint uuid uuid text uuid text text text bigint bigint", "";
        create::INSERT_DELIVERIES, "uuid uuid uuid text text text bigint bigint text text", "";
        create::INSERT_KEYS, "bytea bytea uuid bigint", "";
        respond::EARLIER_HEAD, "text text", respond::EARLIER_TAIL;
        respond::INSERT, "uuid uuid uuid text text text text text text text bigint", "";
        ending::END_HEAD, "uuid text bigint text", ending::END_TAIL;
        ending::SETTLE_HEAD, "uuid bigint text", ending::SETTLE_TAIL;
        ending::ASKED_HEAD, "uuid bigint text", ending::ASKED_TAIL;
        send::STATES, "uuid", send::STATES_TAIL;
        send::LEASE_HEAD, "uuid bigint", send::LEASE_TAIL;
        send::FINISH_HEAD, "uuid text bigint bigint text text bigint boolean", send::FINISH_TAIL;
        send::TAKE_BACK_HEAD, "uuid", send::TAKE_BACK_TAIL;
        send::ERROR_HEAD, "uuid text", send::ERROR_TAIL;
        send::ROUTE_HEAD, "uuid bigint bigint boolean", send::ROUTE_TAIL;
        route::LEASE_HEAD, "uuid bigint bigint", route::LEASE_TAIL;
        route::DELIVERIES_HEAD, "uuid uuid", route::DELIVERIES_TAIL;
        route::AGAIN_HEAD, "uuid uuid bigint", route::AGAIN_TAIL;
        route::GOING_ON_HEAD, "uuid bigint", route::GOING_ON_TAIL;
        servers::AT_HEAD, "text text", servers::AT_TAIL;
        settle::LEASE_HEAD, "uuid bigint", settle::LEASE_TAIL;
        callbacks::INSERT, "uuid uuid uuid text text bigint bigint", "";
        callbacks::LEASE_HEAD, "uuid bigint", callbacks::LEASE_TAIL;
    ];
    with_rows.into_iter()
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
        ("accounts::HAS_OTHER_ADMINISTRATOR", "SCAN users USING INDEX users_administrators"),
        // Once an hour, and an index would cost each time that something is counted.
        ("limits::FORGET", "SCAN limits"),
        // Few addresses wait for their codes.
        ("codes::FORGET_OLD", "SCAN address_codes"),
        ("links::FORGET_OLD", "SCAN link_codes"),
        // At most once a minute: people are few beside what they are asked.
        ("store::CENSUS", "SCAN users"),
        ("store::CENSUS", "SCAN feedback_requests USING COVERING INDEX feedback_requests_deadline"),
        // By its number, from the first.
        ("prune::OLDEST", "SCAN e"),
        ("store::NEWEST_EVENT", "SCAN event_log"),
        ("store::OLDEST_EVENT", "SCAN event_log"),
        // There are few servers, and few channels.
        ("servers::END_OTHERS", "SCAN servers"),
        ("servers::LEAVE_THE_DEAD", "SCAN s"),
        ("servers::BURY", "SCAN servers"),
        ("servers::RELEASE_ALL", "SCAN runs"),
    ];
    let mut faults = Vec::new();
    for (name, sql) in statements() {
        for step in plan(&mut connection, sql.text(Dialect::Sqlite)).await {
            let walk = walks.iter().any(|(of, walk)| *of == name && step.starts_with(walk));
            if (scans(&step) && !walk) || step.contains("AUTOMATIC") {
                faults.push(format!("{name}: {step}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// PostgreSQL chooses by what the tables hold, and scans small ones; where it may not choose to, an index has to serve.
#[tokio::test]
async fn no_query_scans_a_table_on_postgres() {
    let Some(database) = Scratch::for_test().await else { return };
    migrate::up(database.url()).await.unwrap();
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let settings = "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan";
    sqlx::raw_sql(settings).execute(&mut connection).await.unwrap();
    // One row; few rows; and whether there is any at all.
    let few =
        [("Seq Scan on event_log", ""), ("Seq Scan on servers", ""), ("Seq Scan on runs", "servers::RELEASE_ALL")];
    let walks = [
        few[0],
        few[1],
        few[2],
        ("Seq Scan on users", "accounts::IS_EMPTY"),
        ("Seq Scan on limits", "limits::FORGET"),
        ("Seq Scan on address_codes", "codes::FORGET_OLD"),
        ("Seq Scan on link_codes", "links::FORGET_OLD"),
        ("Seq Scan on users", "store::CENSUS"),
    ];
    let mut faults = Vec::new();
    for (number, (name, statement)) in statements().into_iter().enumerate() {
        let prepare = AssertSqlSafe(statement.prepare(&format!("plan_{number}"), name));
        let prepared = sqlx::raw_sql(prepare).execute(&mut connection).await;
        prepared.unwrap_or_else(|error| panic!("{name}: {error}"));
        let count = "SELECT array_length(parameter_types, 1) FROM pg_prepared_statements WHERE name = $1";
        let parameters: Option<i32> =
            sqlx::query_scalar(count).bind(format!("plan_{number}")).fetch_one(&mut connection).await.unwrap();
        let values = vec!["NULL"; usize::try_from(parameters.unwrap_or(0)).unwrap()].join(", ");
        let values = if values.is_empty() { values } else { format!("({values})") };
        let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE plan_{number}{values}"));
        let plan = sqlx::raw_sql(explain).fetch_all(&mut connection).await.unwrap();
        for step in plan.iter().map(|row| row.get::<String, _>(0)) {
            let walk = walks.iter().any(|(walk, of)| step.contains(walk) && (of.is_empty() || *of == name));
            if step.contains("Seq Scan on") && !step.contains("Seq Scan on given") && !walk {
                faults.push(format!("{name}: {}", step.trim()));
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
        let steps = plan(&mut connection, sql.text(Dialect::Sqlite)).await;
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
        ("bring", include_str!("../bring.rs")),
        ("callbacks", include_str!("../callbacks.rs")),
        ("codes", include_str!("../codes.rs")),
        ("create", include_str!("../create.rs")),
        ("ending", include_str!("../ending.rs")),
        ("links", include_str!("../links.rs")),
        ("people", include_str!("../people.rs")),
        ("preferences", include_str!("../preferences.rs")),
        ("prune", include_str!("../prune.rs")),
        ("respond", include_str!("../respond.rs")),
        ("route", include_str!("../route.rs")),
        ("send", include_str!("../send.rs")),
        ("servers", include_str!("../servers.rs")),
        ("settle", include_str!("../settle.rs")),
        ("sign_ins", include_str!("../sign_ins.rs")),
        ("store", include_str!("../store.rs")),
        ("unit", include_str!("../unit.rs")),
        ("vault", include_str!("../vault.rs")),
    ];
    for (module, source) in sources {
        let names = source.lines().filter_map(|line| line.split_once("const ")?.1.split_once(": "));
        for (name, _) in names.filter(|(_, kind)| kind.starts_with("&str") || kind.starts_with("Sql")) {
            assert!(this.contains(&format!("{module}::{name}")), "{module}::{name} has no plan here");
        }
        assert!(!source.contains("query(\""), "{module} has a statement without a name");
    }
}
