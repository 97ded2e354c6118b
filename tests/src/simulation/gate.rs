//! Between a server and the store: here calls take their time, fail, and are where servers die.

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use hearback_core::{
    Clock, Error, ErrorKind, Result, Timestamp,
    callback::Callback,
    channel::{Address, ChannelName, Receipt, Recorded},
    event::{Event, EventId},
    feedback::{Delivery, Request, Response},
    id::{CallbackId, DeliveryId, RequestId, ResponseId, ServerId},
    person::{Person, Reader, UserRef},
    store::{
        CallbackClaim, Candidate, Claims, Company, Counts, Created, DeliveryCounts, Ended, FinishedCallback,
        FinishedSend, Following, Hold, NewRequest, Noted, Page, Presence, Prune, RequestQuery, RouteAdvance,
        RouteClaim, SendClaim, SettleClaim, SettleResult, Store,
    },
};
use tokio_util::sync::CancellationToken;

use super::{durable::Durable, world::World};

/// One life of a server. What a dead one calls never returns, so nothing of it has any effect any more.
#[derive(Debug)]
pub struct Life {
    /// Its name in the record.
    pub name: String,
    /// Cancelled when it dies.
    pub died: CancellationToken,
    /// What it lives in.
    pub world: Arc<World>,
    /// By what the store knows it, once it has been asked anything.
    pub server: OnceLock<ServerId>,
    cut_off: Mutex<Timestamp>,
    troubled: Mutex<Option<Timestamp>>,
}

impl Life {
    /// A new one.
    #[must_use]
    pub fn new(name: String, world: Arc<World>) -> Arc<Self> {
        let cut_off = Mutex::new(world.now());
        let (died, server, troubled) = (CancellationToken::new(), OnceLock::new(), Mutex::default());
        Arc::new(Self { name, died, world, server, cut_off, troubled })
    }

    /// Returns at once while it lives, never after that.
    pub async fn lives(&self) {
        if self.died.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    /// It dies here and now.
    pub fn end(&self, how: &str) {
        self.world.note(format_args!("{} dies {how}", self.name));
        self.world.people.dies(&self.name, self.world.now());
        self.died.cancel();
    }

    /// It does not reach the store for so long.
    pub fn cut_off(&self, span: Duration) {
        *self.cut_off.lock().unwrap() = self.world.now().after(span);
    }

    /// When the store last did not do what it was asked, or did not say that it had.
    #[must_use]
    pub fn troubled_at(&self) -> Option<Timestamp> {
        *self.troubled.lock().unwrap()
    }

    fn failure<T>(&self, call: &str, how: &'static str) -> Result<T> {
        self.world.note(format_args!("{} {call} {how}", self.name));
        *self.troubled.lock().unwrap() = Some(self.world.now());
        Err(Error::new(ErrorKind::Unavailable, "store", how))
    }

    /// Others get their turn; sometimes time passes.
    pub async fn pause(&self) {
        if self.world.rough_time() {
            for _ in 0..self.world.chance.below(4) {
                tokio::task::yield_now().await;
            }
        }
        if self.world.fault(self.world.rough.store_slow) {
            let span = self.world.chance.up_to(Duration::from_millis(80));
            self.world.clock.sleep_until(self.world.now().after(span)).await;
        }
        self.lives().await;
    }

    /// Whether it does not reach the store.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.world.rough_time() && self.world.now() < *self.cut_off.lock().unwrap()
    }
}

/// One server's way to the store.
#[derive(Debug)]
pub struct Gate {
    life: Arc<Life>,
    store: Arc<Durable>,
}

impl Gate {
    /// The way of the server with this life.
    #[must_use]
    pub fn new(life: Arc<Life>, store: Arc<Durable>) -> Self {
        Self { life, store }
    }

    async fn before(&self, call: &'static str) -> Result<()> {
        let Life { world, .. } = &*self.life;
        self.life.lives().await;
        world.clock.tick(world.chance.up_to(Duration::from_micros(300)));
        self.life.pause().await;
        if self.life.is_cut_off() {
            return self.life.failure(call, "is cut off");
        }
        if world.fault(world.rough.crash) {
            self.life.end(&format!("before {call}"));
            self.life.lives().await;
        }
        if world.fault(world.rough.store_fault) {
            return self.life.failure(call, "fails before");
        }
        Ok(())
    }

    /// Some calls never return, as over a connection that is dead without saying so.
    async fn may_hang(&self, call: &'static str) {
        let Life { name, world, .. } = &*self.life;
        if world.fault(world.rough.store_fault / 4) {
            world.note(format_args!("{name} {call} hangs"));
            std::future::pending::<()>().await;
        }
    }

    async fn after<T>(&self, call: &'static str, result: Result<T>) -> Result<T> {
        let Life { name, world, .. } = &*self.life;
        world.note(format_args!("{name} {call} ok={}", result.is_ok()));
        if world.fault(world.rough.crash) {
            self.life.end(&format!("after {call}"));
        }
        self.life.pause().await;
        if world.fault(world.rough.store_fault / 2) {
            return self.life.failure(call, "fails after");
        }
        result
    }
}

macro_rules! gate {
    ($($call:ident($($argument:ident: $of:ty),*) -> $result:ty;)* { $($written_out:tt)* }) => {
        #[async_trait]
        impl Store for Gate {
            $(async fn $call(&self, $($argument: $of),*) -> Result<$result> {
                self.before(stringify!($call)).await?;
                let result = self.store.$call($($argument),*).await;
                self.after(stringify!($call), result).await
            })*
            $($written_out)*
        }
    };
}

gate! {
    create(new: NewRequest) -> Created;
    request(id: RequestId) -> Option<Arc<Request>>;
    requests(query: RequestQuery) -> Page<Arc<Request>>;
    respond(candidate: Candidate) -> Option<Recorded>;
    cancel(id: RequestId, at: Timestamp) -> Option<Ended>;
    expire(now: Timestamp, limit: usize) -> (usize, Option<Timestamp>);
    responses(id: RequestId, after: Option<ResponseId>, limit: usize) -> Page<Response>;
    deliveries(id: RequestId, after: Option<DeliveryId>, limit: usize) -> Page<Delivery>;
    delivery(id: DeliveryId) -> Option<Delivery>;
    response(request: RequestId, id: ResponseId) -> Option<Response>;
    sent_as(channel: &ChannelName, receipt: &Receipt) -> Option<RequestId>;
    bring(delivery: Delivery, now: Timestamp) -> bool;
    counts() -> Counts;
    finish_send(end: FinishedSend) -> ();
    note_receipt(channel: &ChannelName, id: DeliveryId, receipt: &Receipt, now: Timestamp) -> Option<Noted>;
    finish_route(step: RouteAdvance) -> ();
    hasten_routes(channel: &ChannelName, address: &Address, due: Timestamp) -> u64;
    acknowledge(channel: &ChannelName, address: &Address, receipt: &Receipt, read: bool, now: Timestamp) -> bool;
    disconnected(
        channel: &ChannelName, address: &Address, server: Option<ServerId>, now: Timestamp, due: Timestamp
    ) -> u64;
    presence(channel: &ChannelName, address: &Address, now: Timestamp) -> Presence;
    claim_settlements(now: Timestamp, lease: Timestamp, limit: usize) -> Claims<SettleClaim>;
    finish_settlement(id: DeliveryId, lease: Timestamp, result: SettleResult, now: Timestamp) -> ();
    claim_callbacks(now: Timestamp, lease: Timestamp, limit: usize) -> Claims<CallbackClaim>;
    finish_callback(end: FinishedCallback) -> ();
    callbacks(id: RequestId, after: Option<CallbackId>, limit: usize) -> Page<Callback>;
    ping() -> ();
    head() -> EventId;
    events(reader: Reader, after: EventId, limit: usize) -> Following;
    request_events(id: RequestId, after: Option<EventId>, limit: usize) -> Following;
    pending(reader: Reader, after: EventId, limit: usize) -> Vec<Arc<Event>>;
    people(names: &[String]) -> Vec<Option<Person>>;
    person_at(channel: &ChannelName, address: &Address) -> Option<UserRef>;
    delivery_counts(channel: &ChannelName) -> DeliveryCounts;
    prune(what: Prune) -> bool;
    {
        async fn connected(
            &self,
            channel: &ChannelName,
            address: &Address,
            server: Option<ServerId>,
            now: Timestamp,
        ) -> Result<u64> {
            self.before("connected").await?;
            let result = self.store.connected(channel, address, server, now).await;
            self.life.world.people.is_known(&(channel.clone(), address.clone()), &self.life.name);
            self.after("connected", result).await
        }

        async fn hold_run(
            &self,
            channel: &ChannelName,
            server: ServerId,
            now: Timestamp,
            until: Timestamp,
        ) -> Result<Hold> {
            self.may_hang("hold_run").await;
            self.before("hold_run").await?;
            let result = self.store.hold_run(channel, server, now, until).await;
            self.after("hold_run", result).await
        }

        async fn release_run(&self, channel: &ChannelName, server: ServerId) -> Result<()> {
            self.may_hang("release_run").await;
            self.before("release_run").await?;
            let result = self.store.release_run(channel, server).await;
            self.after("release_run", result).await
        }

        async fn stay(&self, server: ServerId, now: Timestamp, until: Timestamp, due: Timestamp) -> Result<Company> {
            self.may_hang("stay").await;
            self.before("stay").await?;
            self.life.server.get_or_init(|| server);
            let result = self.store.stay(server, now, until, due).await;
            self.life.world.people.lives(&self.life.name, now, until);
            self.after("stay", result).await
        }

        async fn leave(&self, server: ServerId, now: Timestamp) -> Result<()> {
            self.before("leave").await?;
            let result = self.store.leave(server, now).await;
            self.life.world.people.lives(&self.life.name, now, now);
            self.after("leave", result).await
        }

        async fn claim_sends(
            &self,
            server: ServerId,
            now: Timestamp,
            lease: Timestamp,
            limit: usize,
        ) -> Result<Claims<SendClaim>> {
            self.before("claim_sends").await?;
            let result = self.store.claim_sends(server, now, lease, limit).await;
            for claim in result.iter().flat_map(|claims| &claims.claimed) {
                self.life.world.causes.claimed(claim, &self.life);
                self.life.world.people.is_asked_by(&self.life, claim);
            }
            self.after("claim_sends", result).await
        }

        async fn claim_routes(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<RouteClaim>> {
            self.before("claim_routes").await?;
            let result = self.store.claim_routes(now, lease, limit).await;
            for claim in result.iter().flat_map(|claims| &claims.claimed) {
                self.store.routes.is_looked_at_by(&self.life, claim);
            }
            self.after("claim_routes", result).await
        }
    }
}
