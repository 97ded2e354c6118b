//! One stream: from the log to the client, until one of them ends.
//!
//! It listens before it reads, so nothing falls between. While nothing happens it asks the store nothing. A client that
//! reads slowly fills a queue of a few texts; behind it the bus drops what it cannot hand over, and the log is read again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hearback_core::{
    Result, Timestamp,
    event::{BadCursor, Event, EventId, EventKind, Heard, Listening, Topic},
    id::{RequestId, TokenId},
    person::Reader,
    store::Following,
};
use tokio::{
    select,
    sync::{broadcast, mpsc},
};

use super::{Cursor, StreamEvent};
use crate::{
    account::Over,
    api::{
        feedback::View,
        problem::{Problem, ProblemKind},
    },
    app::App,
    auth::Principal,
};

/// How many events are read from the log at once.
const PAGE: usize = 100;
/// How many texts wait for a client.
const QUEUE: usize = 4;
/// After this long without an event a comment is written.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A client that takes nothing for this long is gone.
const WRITE_MAX: Duration = Duration::from_secs(20);
/// The first text: a client that lost its connection comes back after this many milliseconds.
const RETRY: &str = "retry: 2000\n\n";

/// What is streamed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    /// What happens to a request.
    Request(RequestId),
    /// What happens to all requests of an agent.
    Agent(TokenId),
}

/// A stream that has not begun to write.
pub(super) struct Feed {
    app: Arc<App>,
    of: Of,
    view: View,
    listening: Listening,
    /// Everything up to here is written; `None` at the beginning of what the log has of a request.
    cursor: Option<EventId>,
    /// Up to where what is pending is told first.
    pending_to: Option<EventId>,
}

/// Why a stream ends.
enum End {
    /// The client is gone, or does not read.
    Gone,
    /// The hub ends it, and says why in a comment.
    Over(&'static str),
}

type Flow<T = ()> = std::result::Result<T, End>;

impl Feed {
    /// Listens, and finds the place in the log to begin from.
    ///
    /// # Errors
    ///
    /// `malformed` or `cursor_expired` when the client cannot go on from where it says, and those of the store.
    pub(super) async fn open(
        app: Arc<App>,
        of: Of,
        view: View,
        cursor: Option<Cursor>,
    ) -> std::result::Result<Self, Problem> {
        if app.stopping.is_cancelled() {
            return Err(Problem::stopping());
        }
        let topic = match of {
            Of::Request(id) => Topic::Request(id),
            Of::Agent(token) => Topic::Reader(Reader::Token(token)),
        };
        let listening = app.hub.listen(topic);
        let mut feed = Self { app, of, view, listening, cursor: cursor.map(|cursor| cursor.after), pending_to: None };
        match (cursor, of) {
            (Some(cursor), _) => feed.read(1).await?.map(drop).map_err(|bad| cursor.refused(bad))?,
            (None, Of::Agent(_)) => feed.pending_to = Some(feed.app.store.head().await?),
            (None, Of::Request(_)) => {}
        }
        Ok(feed)
    }

    /// Sets it to work, and gives what is to be written. It ends when the client is gone, the hub stops, or what the client
    /// called with is no longer good.
    pub(super) fn start(self, principal: Principal, over: broadcast::Receiver<Over>) -> mpsc::Receiver<Bytes> {
        let (tx, rx) = mpsc::channel(QUEUE);
        let app = self.app.clone();
        let streams = app.streams.clone();
        streams.spawn(async move {
            let mut stream = Stream { written_at: app.clock.now(), feed: self, tx: tx.clone() };
            // Whatever the stream is at, also in the midst of a long backlog: its end comes first.
            let end = select! {
                biased;
                () = app.stopping.cancelled() => End::Over("the hub is stopping"),
                problem = app.auth.until_over(&principal, over) => End::Over(match problem.kind() {
                    ProblemKind::Unauthenticated => "the token or sign-in is no longer valid",
                    _ => "the hub cannot tell whether the token is still valid: connect again",
                }),
                () = tx.closed() => End::Gone,
                Err(end) = stream.run() => end,
            };
            if let End::Over(why) = end {
                // A client that does not read is not told.
                let _ = tx.try_send(comment(why));
            }
        });
        rx
    }

    /// What the log holds after the cursor.
    async fn read(&self, limit: usize) -> Result<Following> {
        match self.of {
            Of::Request(id) => self.app.store.request_events(id, self.cursor, limit).await,
            Of::Agent(token) => {
                let after = self.cursor.unwrap_or_default();
                self.app.store.events(Reader::Token(token), after, limit).await
            }
        }
    }
}

struct Stream {
    feed: Feed,
    tx: mpsc::Sender<Bytes>,
    written_at: Timestamp,
}

impl Stream {
    async fn run(&mut self) -> Flow<std::convert::Infallible> {
        self.write(RETRY.into()).await?;
        self.tell_pending().await?;
        self.catch_up().await?;
        let clock = self.feed.app.clock.clone();
        loop {
            let heard = select! {
                heard = self.feed.listening.next() => Some(heard),
                () = clock.sleep_until(self.written_at.after(KEEP_ALIVE)) => None,
            };
            match heard {
                Some(Heard::Event(event)) => self.tell(&event).await?,
                Some(Heard::Lagged) => self.catch_up().await?,
                None => self.write(comment("")).await?,
            }
        }
    }

    /// Tells what was pending when the stream was opened. What is newer comes by the log, after all of it.
    async fn tell_pending(&mut self) -> Flow {
        let (Of::Agent(token), Some(head)) = (self.feed.of, self.feed.pending_to) else { return Ok(()) };
        loop {
            let after = self.feed.cursor.unwrap_or_default();
            let page = stored(self.feed.app.store.pending(Reader::Token(token), after, PAGE).await)?;
            for event in page.iter().filter(|event| event.id <= head) {
                self.tell(event).await?;
            }
            if page.len() < PAGE || page.last().is_none_or(|last| last.id >= head) {
                break;
            }
        }
        self.feed.cursor = Some(head);
        // Moves the client's cursor without telling anything: what happened before now is told by now.
        self.write(format!("id: {head}\n\n").into()).await
    }

    /// Tells what the log holds after the cursor.
    async fn catch_up(&mut self) -> Flow {
        loop {
            let events = match stored(self.feed.read(PAGE).await)? {
                Ok(events) => events,
                Err(BadCursor::Expired | BadCursor::Unknown) => {
                    return Err(End::Over("the log does not reach back to where this stream is: begin again"));
                }
            };
            for event in &events {
                self.tell(event).await?;
            }
            if events.len() < PAGE {
                return Ok(());
            }
        }
    }

    async fn tell(&mut self, event: &Event) -> Flow {
        if self.feed.cursor.is_some_and(|cursor| event.id <= cursor) {
            return Ok(());
        }
        let (store, view) = (&self.feed.app.store, self.feed.view);
        let told = match event.kind {
            EventKind::Delivery(id) => {
                let delivery = stored(store.delivery(id).await)?.filter(|one| view.shows_delivery_to(one.user_id));
                delivery.map(|delivery| StreamEvent::of_delivery(event.at, delivery))
            }
            EventKind::Response(id) => {
                let response = stored(store.response(event.request.id, id).await)?;
                let response = response.filter(|one| view.shows_response(one));
                response.map(|response| StreamEvent::of_response(event.at, response))
            }
            _ => StreamEvent::of_request(event),
        };
        if let Some(told) = told {
            let data = serde_json::to_string(&told).map_err(|_| End::Over("a fault of the hub"))?;
            self.write(format!("id: {}\nevent: {}\ndata: {data}\n\n", event.id, told.name()).into()).await?;
        }
        self.feed.cursor = Some(event.id);
        Ok(())
    }

    async fn write(&mut self, text: Bytes) -> Flow {
        let clock = &self.feed.app.clock;
        select! {
            biased;
            sent = self.tx.send(text) => sent.map_err(|_| End::Gone)?,
            () = clock.sleep_until(clock.now().after(WRITE_MAX)) => return Err(End::Gone),
        }
        self.written_at = clock.now();
        Ok(())
    }
}

/// What the store said; when it fails, the client is told to come again, since it would miss something.
fn stored<T>(result: Result<T>) -> Flow<T> {
    result.map_err(|error| {
        tracing::error!(%error, "a stream is ended because the store failed");
        End::Over("the hub's database does not answer: connect again")
    })
}

fn comment(text: &str) -> Bytes {
    format!(": {text}\n\n").into()
}
