//! The orchestrator: it carries requests to people, takes the first valid answer, and tells everybody how it ended.
//!
//! | file | what it does |
//! | --- | --- |
//! | `create.rs`, `route.rs` | stores a request with its first deliveries; where each person is reached |
//! | `dispatch.rs` | attempts what is due |
//! | `advance.rs` | carries routes on: next channel, next round |
//! | `presence.rs` | who is connected, and who has left |
//! | `respond.rs` | takes answers: from the API, and as the [`Inbox`](crate::channel::Inbox) of every channel |
//! | `desk.rs` | what channels may ask: who is where, what awaits them, how much there is |
//! | `acknowledge.rs` | notes what arrived and what was seen |
//! | `wait.rs` | parks those who wait for an ending, without a query |
//! | `code.rs` | sends the codes by which people confirm their addresses |
//! | `settle.rs` | tells every delivery that the request is over |
//! | `callbacks.rs` | tells the asker what became of the request |
//! | `expire.rs` | ends what nobody answered in time |
//! | `channels.rs`, `supervise.rs` | the running channels, their health, and their restarts |
//! | `lease.rs` | which server runs a channel |
//! | `servers.rs` | says that this server lives, and hears of the work of others |

mod acknowledge;
mod advance;
mod backoff;
mod callbacks;
mod channels;
mod code;
mod create;
mod desk;
mod dispatch;
mod expire;
mod lease;
mod presence;
mod respond;
mod route;
mod servers;
mod settle;
mod supervise;
#[cfg(test)]
mod tests;
mod wait;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    select,
    sync::{Notify, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use channels::{ChannelState, Channels, Running};
pub use code::Code;
pub use create::CreateError;
pub use respond::{Answer, Responded};

use crate::{
    callback::CallbackCaller,
    channel::AnswerUrls,
    clock::{Clock, Timestamp},
    error::Result,
    event::Bus,
    id::{Ids, RequestId, ServerId},
    limits::Limits,
    person::Addresses,
    store::{Counts, Ended, Store},
};

/// Nothing looks for due work more often than this without being woken.
const POLL: Duration = Duration::from_secs(30);
/// How much work is claimed at once.
const BATCH: usize = 64;
/// How many sends may be under way. A hanging one takes its place for as long as a send may take.
const SENDS_MAX: usize = 1024;
/// How many settlements may be under way, whatever the sends do.
const SETTLEMENTS_MAX: usize = 256;
/// How many callbacks may be under way.
const CALLBACKS_MAX: usize = 256;
/// How long after a fault of the store the loops try again.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long after `stop` a call under way is waited for: the program ends within 10 s (DESIGN.md, section 8).
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// The most calls that the work under one lease makes: a settlement that becomes a notice, each with a probe before it.
const CALLS_OF_A_LEASE: u32 = 4;
/// What a lease lasts beyond the time that its calls may take.
const LEASE_MARGIN: Duration = Duration::from_secs(20);

/// What the orchestrator is built with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Durable storage.
    pub store: Arc<dyn Store>,
    /// The bus that the store publishes on.
    pub bus: Arc<Bus>,
    /// The channels.
    pub channels: Channels,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<Ids>,
    /// Where people answer in a browser.
    pub answer_urls: Arc<dyn AnswerUrls>,
    /// How long a send may take before it counts as hanging.
    pub send_timeout: Duration,
    /// How long events stay in the log.
    pub event_retention: Duration,
    /// Calls askers back.
    pub caller: Arc<dyn CallbackCaller>,
    /// Counts what comes in over channels. What comes over the API is counted there.
    pub limits: Arc<dyn Limits>,
    /// Where people are reached, as far as channels change it.
    pub addresses: Arc<dyn Addresses>,
}

/// Does something when it is dropped: also when the caller of a use case hangs up half-way, since what the store has
/// queued by then commits all the same, and work that nobody is woken for would lie until the next look.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// The orchestrator.
pub struct Hub {
    store: Arc<dyn Store>,
    bus: Arc<Bus>,
    channels: Channels,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    server: ServerId,
    answer_urls: Arc<dyn AnswerUrls>,
    lease: Duration,
    event_retention: Duration,
    call_timeout: Duration,
    caller: Arc<dyn CallbackCaller>,
    limits: Arc<dyn Limits>,
    addresses: Arc<dyn Addresses>,
    counted: Mutex<Option<(Timestamp, Counts)>>,
    /// Told whenever the end of an attempt has been stored.
    stored: Notify,
    sends_due: Notify,
    routes_due: Notify,
    settlements_due: Notify,
    callbacks_due: Notify,
    deadline_moved: Notify,
    /// The deadline that the expiring loop sleeps towards, in microseconds.
    next_deadline: AtomicI64,
    attempts: TaskTracker,
    early: acknowledge::Early,
    presences: presence::Presences,
    servers: servers::Servers,
    sends: Arc<Semaphore>,
    settlements: Arc<Semaphore>,
    callbacks: Arc<Semaphore>,
    receivers: callbacks::Receivers,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("store", &self.store).field("channels", &self.channels).finish_non_exhaustive()
    }
}

impl Hub {
    /// An orchestrator at rest; [`Hub::run`] sets it to work.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let presences = presence::Presences::new(parts.clock.now());
        Arc::new(Self {
            store: parts.store,
            bus: parts.bus,
            channels: parts.channels,
            clock: parts.clock,
            server: parts.ids.next(),
            ids: parts.ids,
            answer_urls: parts.answer_urls,
            lease: parts.send_timeout * CALLS_OF_A_LEASE + LEASE_MARGIN,
            event_retention: parts.event_retention,
            call_timeout: parts.send_timeout,
            caller: parts.caller,
            limits: parts.limits,
            addresses: parts.addresses,
            counted: Mutex::default(),
            stored: Notify::new(),
            sends_due: Notify::new(),
            routes_due: Notify::new(),
            settlements_due: Notify::new(),
            callbacks_due: Notify::new(),
            deadline_moved: Notify::new(),
            next_deadline: AtomicI64::new(i64::MAX),
            attempts: TaskTracker::new(),
            early: acknowledge::Early::default(),
            presences,
            servers: servers::Servers::default(),
            sends: Arc::new(Semaphore::new(SENDS_MAX)),
            settlements: Arc::new(Semaphore::new(SETTLEMENTS_MAX)),
            callbacks: Arc::new(Semaphore::new(CALLBACKS_MAX)),
            receivers: callbacks::Receivers::default(),
        })
    }

    /// The channels.
    #[must_use]
    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    /// Works until `stop`, then lets the attempts under way end. Those that do not within [`STOP_PATIENCE`] are written
    /// down as of unknown end.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let loops = TaskTracker::new();
        loops.spawn(self.clone().stay(stop.clone()));
        loops.spawn(self.clone().hear_of_work(stop.clone()));
        loops.spawn(self.clone().dispatch(stop.clone()));
        loops.spawn(self.clone().advance_routes(stop.clone()));
        loops.spawn(self.clone().settle_ended(stop.clone()));
        loops.spawn(self.clone().call_back(stop.clone()));
        loops.spawn(self.clone().expire_overdue(stop.clone()));
        for channel in self.channels.iter() {
            loops.spawn(self.clone().supervise(channel.clone(), stop.clone()));
            loops.spawn(self.clone().watch(channel.clone(), stop.clone()));
        }
        loops.close();
        loops.wait().await;
        self.attempts.close();
        self.attempts.wait().await;
        self.leave().await;
    }

    /// Cancels a pending request. `None` when there is no such request.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn cancel(&self, id: RequestId) -> Result<Option<Ended>> {
        let _wake = OnDrop(|| self.note_ending(true));
        self.store.cancel(id, self.clock.now()).await
    }

    /// Sleeps until there may be work: told so, at `due`, or after [`POLL`] at the latest. Says whether to stop.
    async fn rest(&self, told: &Notify, due: Option<Timestamp>, stop: &CancellationToken) -> bool {
        let latest = self.clock.now().after(POLL);
        let until = due.map_or(latest, |due| due.min(latest));
        select! {
            biased;
            () = stop.cancelled() => true,
            () = told.notified() => false,
            () = self.clock.sleep_until(until) => false,
        }
    }

    /// Returns some time after `stop`: what is still under way then is not waited for.
    async fn cut_short(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        self.clock.sleep_until(self.clock.now().after(STOP_PATIENCE)).await;
    }

    /// Wakes those who tell of endings: everybody it was delivered to, and where it may be one `with_callback` its
    /// asker.
    fn note_ending(&self, with_callback: bool) {
        self.settlements_due.notify_one();
        if with_callback {
            self.callbacks_due.notify_one();
        }
    }

    /// Wakes the expiring loop when a new deadline comes before the one it sleeps towards.
    fn note_deadline(&self, deadline: Timestamp) {
        if deadline.micros() < self.next_deadline.load(Ordering::Acquire) {
            self.deadline_moved.notify_one();
        }
    }
}
