//! What an agent and a person do, at some concurrency.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use futures_util::future::{join, join_all};

use crate::{
    client::{self, Connection},
    hub::Hub,
    slice::{self, Slice},
};

/// An id as it stands in a path, until the request's own is put there.
const ID: &str = "00000000-0000-0000-0000-000000000000";
/// What stands before the id in the answer to a create.
const LOCATION: &str = "location: /api/feedback/";

impl Hub {
    /// Creates.
    pub(crate) async fn creates(&self, concurrency: usize, lasts: Duration) -> Slice {
        let create = self.create();
        let worker = async |until| {
            let mut connection = Connection::open(self.address).await;
            slice::repeat(until, async || {
                connection.call(&create).await.expect("201");
            })
            .await
        };
        slice::run(self.pid(), concurrency, lasts, worker).await
    }

    /// Creates so many.
    pub(crate) async fn fill(&self, count: u64, concurrency: usize) {
        let create = self.create();
        let left = Cell::new(count);
        let worker = async || {
            let mut connection = Connection::open(self.address).await;
            while let Some(fewer) = left.get().checked_sub(1) {
                left.set(fewer);
                connection.call(&create).await.expect("201");
            }
        };
        join_all((0..concurrency).map(|_| worker())).await;
    }

    /// Round trips: create, wait parked, answer, hear. What is timed is from the first byte of the answer to the last byte
    /// that the waiter reads.
    ///
    /// A worker parks on the next request before it answers the last one. Between a wait and its answer lie two commits,
    /// which is ample for it to be parked.
    pub(crate) async fn round_trips(&self, concurrency: usize, lasts: Duration) -> Slice {
        let worker = async |until| {
            let mut worker = Worker::new(self).await;
            let mut took = Vec::new();
            let mut parked = worker.park(0).await;
            for turn in 1.. {
                let next = worker.park(turn).await;
                took.push(worker.answer(turn - 1, &parked).await);
                parked = next;
                if Instant::now() >= until {
                    break;
                }
            }
            took
        };
        slice::run(self.pid(), concurrency, lasts, worker).await
    }
}

struct Worker {
    create: Vec<u8>,
    wait: Template,
    answer: Template,
    asking: Connection,
    answering: Connection,
    parked: [Connection; 2],
}

impl Worker {
    async fn new(hub: &Hub) -> Self {
        let open = || Connection::open(hub.address);
        let path = format!("/api/feedback/{ID}");
        let value = Some(r#"{"value":"approved"}"#);
        Self {
            create: hub.create(),
            wait: Template::new(client::request(&format!("{path}?wait=60"), &hub.agent, None)),
            answer: Template::new(client::request(&format!("{path}/responses"), &hub.person, value)),
            asking: open().await,
            answering: open().await,
            parked: [open().await, open().await],
        }
    }

    /// Asks, and waits for the ending. Says the id.
    async fn park(&mut self, turn: usize) -> String {
        let created = self.asking.call(&self.create).await;
        let id = created.expect("201").after(LOCATION, ID.len()).to_owned();
        self.parked[turn % 2].send(self.wait.with(&id)).await;
        id
    }

    /// Answers, and says when the waiter had heard.
    async fn answer(&mut self, turn: usize, id: &str) -> Duration {
        let (answer, waiter) = (self.answer.with(id), &mut self.parked[turn % 2]);
        let begun = Instant::now();
        let answering = async {
            self.answering.call(answer).await.expect("200");
        };
        let hearing = async {
            let heard = waiter.answer().await;
            let took = begun.elapsed();
            assert!(heard.expect("200").contains(r#""status":"answered""#), "a waiter heard of no answer");
            took
        };
        join(answering, hearing).await.1
    }
}

/// A request with a place for an id.
struct Template {
    request: Vec<u8>,
    at: usize,
}

impl Template {
    fn new(request: Vec<u8>) -> Self {
        let at = request.windows(ID.len()).position(|window| window == ID.as_bytes()).unwrap();
        Self { request, at }
    }

    fn with(&mut self, id: &str) -> &[u8] {
        self.request[self.at..self.at + ID.len()].copy_from_slice(id.as_bytes());
        &self.request
    }
}
