//! Connections that are lent.

use futures_util::poll;
use hearback_core::ErrorKind;
use sqlx::{Executor, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::storage::sql::pool::Connections;

fn of(most: u32) -> Connections<SqliteConnection> {
    Connections::new(SqliteConnectOptions::new().in_memory(true), most, None)
}

#[tokio::test]
async fn what_is_kept_is_lent_again_and_what_failed_is_not() {
    let connections = of(1);
    let mut first = connections.take().await.unwrap();
    assert!(!first.is_used());
    first.connection().execute("CREATE TEMP TABLE here (a)").await.unwrap();
    first.keep();
    let mut again = connections.take().await.unwrap();
    assert!(again.is_used());
    again.connection().execute("SELECT * FROM here").await.unwrap();
    drop(again);
    let mut other = connections.take().await.unwrap();
    assert!(!other.is_used());
    assert!(other.connection().execute("SELECT * FROM here").await.is_err(), "it is another one");
}

#[tokio::test]
async fn what_was_made_before_it_was_forgotten_is_not_lent_again() {
    let connections = of(2);
    connections.take().await.unwrap().keep();
    connections.forget();
    assert!(!connections.take().await.unwrap().is_used());
}

#[tokio::test]
async fn whoever_finds_none_free_in_time_hears_so() {
    let connections = of(1);
    let lent = connections.take().await.unwrap();
    let Err(fault) = connections.take().await else { panic!("one is lent at most") };
    assert_eq!(fault.0.kind(), ErrorKind::Unavailable);
    assert!(fault.0.detail().contains("no connection to the database was free"), "{}", fault.0);
    lent.keep();
    assert!(connections.take().await.is_ok());
}

#[tokio::test]
async fn closing_waits_for_what_is_lent() {
    let connections = of(2);
    let lent = connections.take().await.unwrap();
    let closing = connections.clone();
    let mut closing = Box::pin(async move { closing.close().await });
    assert!(poll!(&mut closing).is_pending());
    lent.keep();
    closing.await;
    let Err(fault) = connections.take().await else { panic!("it is closed") };
    assert_eq!(fault.0.detail(), "the storage is closed");
}
