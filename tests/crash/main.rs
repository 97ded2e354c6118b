//! The real program on real files, killed again and again: see `docs/crash-test.md`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `hub`, `site`, `killer` | the program and its lives; where it is; when it dies |
//! | `world`, `call` | who takes part; calls of a hub that may die at any moment |
//! | `agents`, `people` | the load: who asks, who answers |
//! | `readers`, `streams` | who reads along, by sockets and by server-sent events |
//! | `plug_in` | the channel that counts what it got, and tells the killer when |
//! | `ledger`, `promise` | what was acknowledged; what is promised |
//! | `check`, `quiet` | the comparison: after every restart, and when all has come to rest |
//! | `run`, `database` | one run from its first start to its report; where its data are |

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agents;
mod call;
mod check;
mod database;
mod hub;
mod killer;
mod ledger;
mod people;
mod plug_in;
mod promise;
mod quiet;
mod readers;
mod run;
mod site;
mod streams;
mod world;

use database::Database;
use hearback::storage::postgres::Scratch;
use promise::Promise;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_whatever_was_acknowledged_survives_every_kill() {
    run::run("on_sqlite", &Database::Sqlite, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_whatever_was_acknowledged_survives_every_kill() {
    let Some(scratch) = Scratch::for_test().await else { return };
    run::run("on_postgres", &Database::Postgres(scratch), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hubs_on_one_database_stand_it_that_one_is_killed_and_killed() {
    let Some(scratch) = Scratch::for_test().await else { return };
    run::run("two_hubs", &Database::Postgres(scratch), 2).await;
}

#[test]
fn the_documentation_names_every_promise() {
    let text = include_str!("../../docs/crash-test.md");
    let missing: Vec<_> =
        Promise::ALL.map(Promise::name).into_iter().filter(|name| !text.contains(&format!("\n| `{name}` |"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
