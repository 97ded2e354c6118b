//! The ordered log of facts, and the bus that carries new ones to those who listen.

mod work;

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tokio::sync::mpsc;

pub use work::{Work, WorkError};

use crate::{
    clock::Timestamp,
    feedback::Request,
    id::{DeliveryId, RequestId, ResponseId},
    person::Reader,
};

/// The place of an event in the log. Ids follow commit order: whoever has read up to one has missed nothing before it.
/// As JSON an opaque text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct EventId(pub u64);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EventId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?
            .parse()
            .map_err(|_| de::Error::custom("expected an event_id that the hub gave"))
    }
}

impl JsonSchema for EventId {
    fn schema_name() -> Cow<'static, str> {
        "EventId".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

/// What an event states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The request was put.
    Created,
    /// Nobody asked could be reached, for as long as the hub tries before it says so. The request stays answerable.
    Undeliverable,
    /// The request ended: answered, expired or cancelled, as the request itself tells.
    Ended,
    /// This delivery of the request changed. It is read by itself, as it stands then.
    Delivery(DeliveryId),
    /// This response to the request was recorded.
    Response(ResponseId),
}

/// Why a place cannot be read on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCursor {
    /// The log has not come that far: the hub never gave this place.
    #[error("this place is not in the log")]
    Unknown,
    /// Events after it have been removed by their age, so that a reader would miss them.
    #[error("the log does not reach back to this place any more")]
    Expired,
}

/// One fact in the log.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its place.
    pub id: EventId,
    /// When it was committed, by the hub's clock.
    pub at: Timestamp,
    /// What it states.
    pub kind: EventKind,
    /// The request it is about, as it was when the event was read: a `Created` read late may show an ended request.
    pub request: Arc<Request>,
}

impl Event {
    /// Whom it concerns: that a request was put and that it ended, the people asked and the token that asked; what happens
    /// between, the token alone.
    pub fn readers(&self) -> impl Iterator<Item = Reader> + '_ {
        let for_all = matches!(self.kind, EventKind::Created | EventKind::Ended);
        self.request.readers().filter(move |reader| for_all || matches!(reader, Reader::Token(_)))
    }
}

/// What one listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Every event that concerns a reader.
    Reader(Reader),
    /// Every event of one request.
    Request(RequestId),
    /// The ending of one request, and nothing before it.
    Ending(RequestId),
}

/// How many events wait for a slow listener before it is told to read the log instead.
const LISTENER_BACKLOG: usize = 32;

struct Listener {
    tx: mpsc::Sender<Arc<Event>>,
    lagged: Arc<AtomicBool>,
}

/// Carries committed events to those who listen, without a query and without waiting for anybody.
///
/// The store publishes in commit order, after the commit and before it answers the caller. A listener that does not
/// keep up loses its backlog, is told so by [`Heard::Lagged`], and reads the log from where it was.
#[derive(Default)]
pub struct Bus {
    topics: Mutex<HashMap<Topic, HashMap<u64, Listener>>>,
    numbers: AtomicU64,
    woken: work::Woken,
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bus({} topics)", self.topics.lock().len())
    }
}

impl Bus {
    /// Starts listening. Listen first, then read the log: whatever is committed in between comes by both ways, and the
    /// event id tells it apart.
    #[must_use]
    pub fn listen(self: &Arc<Self>, topic: Topic) -> Listening {
        // A request ends once, so those who wait for it need no room for more.
        let backlog = if matches!(topic, Topic::Ending(_)) { 1 } else { LISTENER_BACKLOG };
        let (tx, rx) = mpsc::channel(backlog);
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let lagged = Arc::new(AtomicBool::new(false));
        let listener = Listener { tx, lagged: lagged.clone() };
        self.topics.lock().entry(topic).or_default().insert(number, listener);
        Listening { bus: self.clone(), topic, number, rx, lagged }
    }

    /// Hands committed events to their listeners. Called by the store, in commit order.
    pub fn publish(&self, events: &[Arc<Event>]) {
        if events.is_empty() {
            return;
        }
        let topics = self.topics.lock();
        if topics.is_empty() {
            return;
        }
        for event in events {
            let of_request = [Topic::Request(event.request.id)];
            let of_ending = (event.kind == EventKind::Ended).then_some(Topic::Ending(event.request.id));
            for topic in event.readers().map(Topic::Reader).chain(of_request).chain(of_ending) {
                for listener in topics.get(&topic).into_iter().flat_map(HashMap::values) {
                    // A listener that lost one event gets no later one, or it would read past the hole.
                    if !listener.lagged.load(Ordering::Acquire) && listener.tx.try_send(event.clone()).is_err() {
                        listener.lagged.store(true, Ordering::Release);
                    }
                }
            }
        }
    }

    fn leave(&self, topic: Topic, number: u64) {
        let mut topics = self.topics.lock();
        if let Some(listeners) = topics.get_mut(&topic) {
            listeners.remove(&number);
            if listeners.is_empty() {
                topics.remove(&topic);
            }
        }
    }
}

/// What a listener hears.
#[derive(Debug)]
pub enum Heard {
    /// The next event.
    Event(Arc<Event>),
    /// Events were lost: read the log.
    Lagged,
}

/// A place on the bus; dropping it leaves.
#[derive(Debug)]
pub struct Listening {
    bus: Arc<Bus>,
    topic: Topic,
    number: u64,
    rx: mpsc::Receiver<Arc<Event>>,
    lagged: Arc<AtomicBool>,
}

impl Listening {
    /// The next thing heard. May be dropped and called again without losing anything.
    pub async fn next(&mut self) -> Heard {
        // What is in the backlog came before what was lost, so the flag is looked at only when it is empty.
        match self.rx.try_recv() {
            Ok(event) => return Heard::Event(event),
            Err(_) if self.lagged.swap(false, Ordering::AcqRel) => return Heard::Lagged,
            Err(_) => {}
        }
        match self.rx.recv().await {
            Some(event) => Heard::Event(event),
            // The bus keeps the sender as long as this place exists.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.bus.leave(self.topic, self.number);
    }
}
