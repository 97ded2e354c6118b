//! Sockets, which read what is asked and how it ends, and take up where they were after every death of the hub.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use hearback_core::{Clock, Timestamp, clock::SystemClock};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::sleep};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::{
    agents::note_lateness,
    call::Caller,
    ledger::{Counts, id},
    promise::Promise,
    world::World,
};

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long a reader waits before it connects again.
const PAUSE: Duration = Duration::from_millis(20);

/// What one event says: its type, and of what.
pub type Fact = (String, String);

/// What everybody read under each id: one id is one fact, for everybody and for ever.
pub type Facts = Arc<Mutex<HashMap<u64, Fact>>>;

/// What somebody has read: the events by what they say.
pub type Read = Arc<Mutex<BTreeMap<Fact, u64>>>;

/// Who reads.
#[derive(Debug)]
pub struct Reader {
    pub caller: Caller,
    facts: Facts,
    /// The last event that it has read.
    pub after: Option<String>,
    read: Read,
}

impl Reader {
    pub fn new(caller: Caller, facts: Facts) -> Self {
        Self { caller, facts, after: None, read: Read::default() }
    }

    /// The same reader, who reads by another way from here on.
    pub fn beside(&self) -> Self {
        let Self { caller, facts, after, .. } = self;
        Self { caller: caller.clone(), facts: facts.clone(), after: after.clone(), read: Read::default() }
    }

    /// What they have read so far, whenever that is asked.
    pub fn read(&self) -> Read {
        self.read.clone()
    }

    /// Connects for the first time, while nothing is asked yet: from here on it misses nothing.
    pub async fn begin(&mut self, world: &World) {
        let mut stream = self.connect(world).await.expect("a socket before anything is killed");
        let Some(Ok(Message::Text(text))) = stream.next().await else { panic!("a socket says nothing") };
        let established: Value = serde_json::from_str(&text).unwrap();
        self.after = Some(established["after"].as_str().unwrap().to_owned());
    }

    async fn connect(&self, world: &World) -> Option<Stream> {
        let url = world.site.up(self.caller.home).await;
        let after = self.after.as_ref().map(|after| format!("?after={after}")).unwrap_or_default();
        let mut request = format!("{}/ws{after}", url.replacen("http", "ws", 1)).into_client_request().unwrap();
        let bearer = format!("Bearer {}", self.caller.token()).parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        Some(connect_async(request).await.ok()?.0)
    }

    /// Reads until the feeds end.
    pub async fn run(mut self, world: Arc<World>) {
        let over = world.feeds_end.clone();
        while !over.is_cancelled() {
            let Some(Some(stream)) = over.run_until_cancelled(self.connect(&world)).await else {
                sleep(PAUSE).await;
                continue;
            };
            Counts::add(&world.ledger.counts.sockets_resumed);
            over.run_until_cancelled(self.follow(&world, stream)).await;
        }
    }

    /// Reads one connection to its end, or cuts it.
    async fn follow(&mut self, world: &World, mut stream: Stream) {
        let since = SystemClock.now();
        while let Some(Ok(message)) = stream.next().await {
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text).unwrap_or_default();
            let (kind, request) = (&message["type"], &message["request"]["id"]);
            world.ledger.log(&format!("{} reads {kind} {} {request}", self.caller.name, message["event_id"]));
            let Some(event) = message["event_id"].as_str() else {
                self.greeted(world, &message);
                continue;
            };
            self.take(world, event, &message, since);
            if world.chance.happens(300) {
                let ack = json!({"type": "ack", "event_id": event});
                // The feed ends if it does not arrive.
                let _ = stream.send(Message::text(ack.to_string())).await;
            }
            if world.chance.happens(10) {
                return;
            }
        }
    }

    /// What states no fact.
    fn greeted(&self, world: &World, message: &Value) {
        let right = match message["type"].as_str() {
            Some("connection_established") => message["after"].as_str() == self.after.as_deref(),
            // The place was in the log: somebody has read it there.
            Some("error") => message["code"] == "stopping",
            _ => false,
        };
        world.ledger.holds(Promise::FeedsAreWhole, right, || {
            format!("{} was at {:?}, and is told {message}", self.caller.name, self.after)
        });
    }

    fn take(&mut self, world: &World, event: &str, message: &Value, since: Timestamp) {
        let request = &message["request"];
        let kind = message["type"].as_str().unwrap_or_default();
        self.note(world, event, (kind.to_owned(), id(request).to_owned()), message);
        world.ledger.saw(request);
        let stays = world.site.hubs() > 1 && self.caller.home == Some(world.site.hubs() - 1);
        if stays && kind == "feedback_settled" {
            note_lateness(world, request, since);
        }
    }

    /// Notes what an event says, which nobody has read otherwise, and this reader has not read before.
    pub fn note(&mut self, world: &World, event: &str, fact: Fact, message: &Value) {
        let (name, ledger) = (&self.caller.name, &world.ledger);
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        let (place, before) = (number(event), self.after.as_deref().map(number));
        ledger.holds(Promise::FeedsAreWhole, before < Some(place), || {
            format!("{name} was at {before:?}, and reads {message}")
        });
        self.after = Some(event.to_owned());
        let known = self.facts.lock().unwrap().entry(place).or_insert_with(|| fact.clone()).clone();
        ledger.holds(Promise::FeedsAreWhole, known == fact, || {
            format!("the event {place} was {known:?}, and {name} reads {message}")
        });
        let read_before = self.read.lock().unwrap().insert(fact, place);
        ledger.holds(Promise::FeedsAreWhole, read_before.is_none(), || {
            format!("{name} read at {read_before:?} what it reads at {place}: {message}")
        });
    }
}
