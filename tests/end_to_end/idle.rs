//! What a hub costs its database while nothing happens.

use std::{sync::Arc, time::Duration};

use hearback::storage::{Migrate, postgres::Scratch};
use hearback_core::{
    Clock,
    clock::{ManualClock, SystemClock},
    feedback::Request,
    id::RequestId,
};
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    server::{SECRET, TestServer},
    socket::SOON,
    streams::client::{Stream, of_request},
};

const WAITERS: usize = 10_000;
/// So many come at a time, since a database serves no more of them at once.
const WAVE: u64 = 250;

/// Whoever asks for every waiter, or faster than every 30 s, does it every time.
const TRIES: usize = 50;

/// Lets everything run that can run, until nothing is under way at the database, and nothing more is asked of it.
async fn settle(server: &TestServer) -> u64 {
    let storage = server.running().storage();
    let (mut before, mut quiet) = (storage.statements(), 0);
    while quiet < 100 {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        quiet = if storage.under_way() == 0 && storage.statements() == before { quiet + 1 } else { 0 };
        before = storage.statements();
    }
    before
}

/// Between two looks of the hub nothing is asked. Says how many statements there were until then.
async fn nothing_is_asked(server: &TestServer, clock: &ManualClock) -> u64 {
    settle(server).await;
    let mut asked = Vec::new();
    // What the start and the question began comes to rest within a minute, and every loop of the hub looks at its end. A thread
    // that the machine holds back then looks between two looks of the others, until the next such minute.
    loop {
        clock.advance(Duration::from_mins(1));
        let before = settle(server).await;
        clock.advance(Duration::from_secs(29));
        let after = settle(server).await;
        if after == before {
            return before;
        }
        asked.push(after - before);
        assert!(asked.len() < TRIES, "statements within 29 s each: {asked:?}");
    }
}

/// The hub looks for due work every 30 s, and for nothing else: between two looks nothing is asked, whoever waits.
async fn waiters_cost_no_query(server: TestServer, clock: Arc<ManualClock>) {
    let owner = server.register("owner").await;
    let (agent, ana) = (server.agent(&owner).await, server.register("ana").await);
    let request = agent.ask(&[&ana]).await;
    let id: RequestId = request["id"].as_str().unwrap().parse().unwrap();
    let until = clock.now().after(Duration::from_hours(1));
    let mut waiters = JoinSet::new();
    while waiters.len() < WAITERS {
        let before = server.running().storage().statements();
        for _ in 0..WAVE {
            let (hub, stop) = (server.running().app().hub.clone(), CancellationToken::new());
            waiters.spawn(async move { hub.wait(id, until, &stop).await });
        }
        // Each reads the request once.
        while server.running().storage().statements() < before + WAVE {
            tokio::task::yield_now().await;
        }
    }
    let before = nothing_is_asked(&server, &clock).await;

    let answered = ana.answer(&request, json!("approved")).await;
    assert!(answered.status.is_success(), "{answered:?}");
    let heard = async {
        while let Some(heard) = waiters.join_next().await {
            let request: Arc<Request> = heard.unwrap().unwrap().expect("there is such a request");
            assert!(!request.is_pending());
        }
    };
    timeout(SOON, heard).await.expect("all hear in time");
    let asked = server.running().storage().statements() - before;
    assert!(asked < 100, "one answer to {WAITERS} waiters: {asked} statements");
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(SystemClock.now()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_waiters_cost_sqlite_no_query() {
    let clock = clock();
    waiters_cost_no_query(TestServer::on(clock.clone(), |_| {}).await, clock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_waiters_cost_postgres_no_query() {
    let Some(database) = Scratch::for_test().await else { return };
    let clock = clock();
    let server = TestServer::on(clock.clone(), |config| {
        config.database_url = database.url().into();
        config.migrate = Migrate::Auto;
        config.secret_key = Some(SECRET.into());
    });
    waiters_cost_no_query(server.await, clock).await;
}

/// Streams that have nothing to tell are kept alive without a query.
#[tokio::test]
async fn silent_streams_cost_no_query() {
    let clock = clock();
    let server = TestServer::on(clock.clone(), |_| {}).await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let request = agent.ask(&[&ana]).await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        for path in ["/api/feedback/events", &of_request(&request)] {
            let mut stream = Stream::open(&agent, path).await;
            stream.expect("feedback.created").await;
            streams.push(stream);
        }
    }
    nothing_is_asked(&server, &clock).await;
    ana.answer(&request, json!("approved")).await;
    for stream in &mut streams {
        stream.tells("feedback.response").await;
        stream.tells("feedback.answered").await;
    }
}
