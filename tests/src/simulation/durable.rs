//! What survives every crash: the in-memory store, watched, and with a fault in it when one is asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use hearback_core::{
    Result, Timestamp,
    callback::{Callback, CallbackState},
    channel::{Address, ChannelName, Receipt, Recorded},
    event::{Bus, Event, EventId, EventKind},
    feedback::{Delivery, Request, Response, Verdict},
    id::{CallbackId, DeliveryId, RequestId, ResponseId, ServerId},
    person::{Person, Reader, UserRef},
    store::{
        CallbackClaim, Candidate, Claims, Company, Counts, Created, DeliveryCounts, Ended, FinishedCallback,
        FinishedSend, Following, Hold, MemoryStore, NewRequest, Noted, Page, Presence, Prune, RequestQuery,
        RouteAdvance, RouteClaim, SendClaim, SettleClaim, SettleResult, Standing, Store, judge,
    },
};

use super::{invariant::Invariant, mutation::Mutation, routes::Routes, world::World};

/// After its end a question may be on its way for as long as a lease lasts.
pub const LEASE: Duration = Duration::from_mins(1);

/// The store that all servers share.
#[derive(Debug)]
pub struct Durable {
    /// The store.
    pub memory: MemoryStore,
    world: Arc<World>,
    open: Mutex<BTreeSet<RequestId>>,
    attempts_at_end: Mutex<BTreeMap<DeliveryId, usize>>,
    claimed: Mutex<Vec<SendClaim>>,
    given_twice: Mutex<BTreeSet<DeliveryId>>,
    accepted_too: Mutex<BTreeSet<ResponseId>>,
    settling: Mutex<BTreeSet<DeliveryId>>,
    /// How the routes go.
    pub routes: Routes,
}

impl Durable {
    /// An empty one that publishes on `bus`.
    #[must_use]
    pub fn new(world: Arc<World>, bus: Arc<Bus>) -> Self {
        Self {
            memory: MemoryStore::new(bus),
            world,
            open: Mutex::default(),
            attempts_at_end: Mutex::default(),
            claimed: Mutex::default(),
            given_twice: Mutex::default(),
            accepted_too: Mutex::default(),
            settling: Mutex::default(),
            routes: Routes::default(),
        }
    }

    /// How many attempts a delivery had when its request ended.
    #[must_use]
    pub fn attempts_at_end(&self, delivery: DeliveryId) -> Option<usize> {
        self.attempts_at_end.lock().unwrap().get(&delivery).copied()
    }

    /// Whether anybody has begun to settle a delivery.
    #[must_use]
    pub fn was_settling(&self, delivery: DeliveryId) -> bool {
        self.settling.lock().unwrap().contains(&delivery)
    }

    /// Notes what has ended by the call that was just made: nothing comes between the two.
    async fn watch_endings(&self) -> Result<()> {
        let open: Vec<RequestId> = self.open.lock().unwrap().iter().copied().collect();
        for id in open {
            if self.memory.request(id).await?.is_none_or(|request| request.is_pending()) {
                continue;
            }
            self.open.lock().unwrap().remove(&id);
            self.world.ended.lock().unwrap().insert(id, self.world.now());
            self.world.note(format_args!("ended {id}"));
            let deliveries = self.memory.deliveries(id, None, 1000).await?.items;
            let counts = deliveries.into_iter().map(|delivery| (delivery.id, delivery.attempts.len()));
            self.attempts_at_end.lock().unwrap().extend(counts);
        }
        Ok(())
    }

    /// A claim that should not be given, by the fault that is put in.
    fn claim_wrongly(&self, limit: usize) -> Option<SendClaim> {
        let ended = |claim: &SendClaim| {
            let at = self.world.ended.lock().unwrap().get(&claim.request.id).copied();
            at.is_some_and(|at| self.world.now().since(at) > LEASE)
        };
        let claimed = self.claimed.lock().unwrap();
        let again = match self.world.mutation {
            _ if limit == 0 => None,
            Some(Mutation::ForgetALease) => claimed.last(),
            Some(Mutation::AskAfterTheEnd) => claimed.iter().find(|claim| ended(claim)),
            _ => None,
        };
        let again = again.filter(|claim| self.given_twice.lock().unwrap().insert(claim.delivery.id));
        again.cloned()
    }

    /// A response that is acknowledged but not stored.
    async fn only_say(&self, candidate: &Candidate) -> Result<Option<Recorded>> {
        let Some(request) = self.memory.request(candidate.request_id).await? else { return Ok(None) };
        let judgement = judge(&request, candidate);
        let response = judgement.response(candidate);
        let request = match judgement.ending {
            Some(ending) => Arc::new(Request::clone(&request).ended(ending)),
            None => request,
        };
        Ok(Some(Recorded { response, request, duplicate: false }))
    }
}

/// Hands the calls named first on as they are; the others are written out.
macro_rules! store {
    ($type:ty: $(fn $call:ident($($argument:ident: $of:ty),*) -> $result:ty;)* { $($written_out:tt)* }) => {
        #[async_trait]
        impl Store for $type {
            $(async fn $call(&self, $($argument: $of),*) -> Result<$result> {
                self.memory.$call($($argument),*).await
            })*
            $($written_out)*
        }
    };
}

store! {
    Durable:
    fn request(id: RequestId) -> Option<Arc<Request>>;
    fn requests(query: RequestQuery) -> Page<Arc<Request>>;
    fn deliveries(id: RequestId, after: Option<DeliveryId>, limit: usize) -> Page<Delivery>;
    fn delivery(id: DeliveryId) -> Option<Delivery>;
    fn response(request: RequestId, id: ResponseId) -> Option<Response>;
    fn sent_as(channel: &ChannelName, receipt: &Receipt) -> Option<RequestId>;
    fn bring(delivery: Delivery, now: Timestamp) -> bool;
    fn counts() -> Counts;
    fn hasten_routes(channel: &ChannelName, address: &Address, due: Timestamp) -> u64;
    fn acknowledge(channel: &ChannelName, address: &Address, receipt: &Receipt, read: bool, now: Timestamp) -> bool;
    fn connected(channel: &ChannelName, address: &Address, server: Option<ServerId>, now: Timestamp) -> u64;
    fn disconnected(
        channel: &ChannelName, address: &Address, server: Option<ServerId>, now: Timestamp, due: Timestamp
    ) -> u64;
    fn presence(channel: &ChannelName, address: &Address, now: Timestamp) -> Presence;
    fn stay(server: ServerId, now: Timestamp, until: Timestamp, due: Timestamp) -> Company;
    fn leave(server: ServerId, now: Timestamp) -> ();
    fn hold_run(channel: &ChannelName, server: ServerId, now: Timestamp, until: Timestamp) -> Hold;
    fn release_run(channel: &ChannelName, server: ServerId) -> ();
    fn finish_settlement(id: DeliveryId, lease: Timestamp, result: SettleResult, now: Timestamp) -> ();
    fn finish_callback(end: FinishedCallback) -> ();
    fn callbacks(id: RequestId, after: Option<CallbackId>, limit: usize) -> Page<Callback>;
    fn ping() -> ();
    fn head() -> EventId;
    fn events(reader: Reader, after: EventId, limit: usize) -> Following;
    fn request_events(id: RequestId, after: Option<EventId>, limit: usize) -> Following;
    fn pending(reader: Reader, after: EventId, limit: usize) -> Vec<Arc<Event>>;
    fn people(names: &[String]) -> Vec<Option<Person>>;
    fn person_at(channel: &ChannelName, address: &Address) -> Option<UserRef>;
    fn delivery_counts(channel: &ChannelName) -> DeliveryCounts;
    fn prune(what: Prune) -> bool;
    {
        async fn create(&self, new: NewRequest) -> Result<Created> {
            if self.world.mutated(Mutation::AcknowledgeBeforeTheCommit, 200) {
                return Ok(Created::New(Arc::new(new.request)));
            }
            let first = new.deliveries.clone();
            let created = self.memory.create(new).await?;
            if let Created::New(request) = &created {
                self.open.lock().unwrap().insert(request.id);
                Routes::begin(&self.world, request, &first);
            }
            Ok(created)
        }

        async fn respond(&self, mut candidate: Candidate) -> Result<Option<Recorded>> {
            if self.world.mutated(Mutation::RepeatAnEvent, 500) {
                candidate.event = None;
            }
            if self.world.mutated(Mutation::LoseAnAcknowledgedAnswer, 300) {
                return self.only_say(&candidate).await;
            }
            let valid = candidate.standing == Standing::Valid;
            let mut recorded = self.memory.respond(candidate).await?;
            self.watch_endings().await?;
            if let Some(Recorded { response, .. }) = &mut recorded
                && valid
                && response.verdict == Verdict::Late
                && self.world.mutated(Mutation::SkipTheConditionalUpdate, 1000)
            {
                response.verdict = Verdict::Accepted;
                self.accepted_too.lock().unwrap().insert(response.id);
            }
            Ok(recorded)
        }

        async fn cancel(&self, id: RequestId, at: Timestamp) -> Result<Option<Ended>> {
            let ended = self.memory.cancel(id, at).await?;
            self.watch_endings().await?;
            Ok(ended)
        }

        async fn expire(&self, now: Timestamp, limit: usize) -> Result<(usize, Option<Timestamp>)> {
            if self.world.mutated(Mutation::ForgetADeadline, 1000) {
                return Ok((0, None));
            }
            let expired = self.memory.expire(now, limit).await?;
            self.watch_endings().await?;
            Ok(expired)
        }

        async fn responses(&self, id: RequestId, after: Option<ResponseId>, limit: usize) -> Result<Page<Response>> {
            let mut page = self.memory.responses(id, after, limit).await?;
            let too = self.accepted_too.lock().unwrap();
            for response in page.items.iter_mut().filter(|response| too.contains(&response.id)) {
                response.verdict = Verdict::Accepted;
            }
            Ok(page)
        }

        async fn claim_sends(
            &self,
            server: ServerId,
            now: Timestamp,
            lease: Timestamp,
            limit: usize,
        ) -> Result<Claims<SendClaim>> {
            let mut claims = self.memory.claim_sends(server, now, lease, limit).await?;
            for claim in &claims.claimed {
                let Delivery { id, .. } = claim.delivery;
                self.world.note(format_args!("claimed {id} interrupted={}", claim.interrupted));
                if !claim.interrupted && !claim.request.is_pending() {
                    self.world.broken(Invariant::NoAttemptAfterTheEnd, format!("an attempt of {id} began"));
                }
            }
            if self.world.mutation.is_some() {
                let wrongly = self.claim_wrongly(limit - claims.claimed.len());
                self.claimed.lock().unwrap().extend(claims.claimed.iter().filter(|one| !one.interrupted).cloned());
                claims.claimed.extend(wrongly);
            }
            Ok(claims)
        }

        async fn finish_send(&self, end: FinishedSend) -> Result<()> {
            self.world.note(format_args!("{} ends as {:?}, its route is due {:?}", end.id, end.state, end.route_due));
            let out = end.state.receipt().map(|_| end.id);
            self.memory.finish_send(end).await?;
            if let Some(id) = out {
                self.world.causes.is_out(id, self.world.now());
            }
            Ok(())
        }

        async fn note_receipt(
            &self,
            channel: &ChannelName,
            id: DeliveryId,
            receipt: &Receipt,
            now: Timestamp,
        ) -> Result<Option<Noted>> {
            let noted = self.memory.note_receipt(channel, id, receipt, now).await?;
            if noted.as_ref().is_some_and(|noted| noted.is_news) {
                self.world.causes.is_out(id, self.world.now());
            }
            Ok(noted)
        }

        async fn claim_routes(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<RouteClaim>> {
            let claims = self.memory.claim_routes(now, lease, limit).await?;
            for claim in &claims.claimed {
                self.routes.is_claimed(&self.world, &self.memory, claim).await;
            }
            Ok(claims)
        }

        async fn finish_route(&self, mut step: RouteAdvance) -> Result<()> {
            let RouteAdvance { request, user, due, rounds, .. } = step;
            let (begin, again) = (step.begin.len(), step.again.len());
            self.world.note(format_args!(
                "route of {user} in {request}: {begin} begin, {again} again, round {rounds}, due {due:?}"
            ));
            if self.world.mutated(Mutation::ForgetARound, 500) {
                step.again.clear();
            }
            let head = self.memory.head().await?;
            let taken = step.clone();
            self.memory.finish_route(step).await?;
            let of_request = self.memory.request_events(taken.request, Some(head), usize::MAX).await?;
            let told = of_request.is_ok_and(|events| events.iter().any(|event| event.kind == EventKind::Undeliverable));
            self.routes.goes_on(&self.world, &self.memory, &taken, told).await;
            Ok(())
        }

        async fn claim_settlements(
            &self,
            now: Timestamp,
            lease: Timestamp,
            limit: usize,
        ) -> Result<Claims<SettleClaim>> {
            let mut claims = self.memory.claim_settlements(now, lease, limit).await?;
            self.settling.lock().unwrap().extend(claims.claimed.iter().map(|claim| claim.delivery.id));
            if self.world.mutated(Mutation::DropASettle, 300)
                && let Some(dropped) = claims.claimed.pop()
            {
                self.memory.finish_settlement(dropped.delivery.id, lease, SettleResult::Settled, now).await?;
            }
            Ok(claims)
        }

        async fn claim_callbacks(
            &self,
            now: Timestamp,
            lease: Timestamp,
            limit: usize,
        ) -> Result<Claims<CallbackClaim>> {
            let mut claims = self.memory.claim_callbacks(now, lease, limit).await?;
            if self.world.mutated(Mutation::DropACallback, 300)
                && let Some(CallbackClaim { callback, .. }) = claims.claimed.pop()
            {
                let state = CallbackState::Delivered { at: now };
                let end = FinishedCallback { id: callback.id, lease, state, called: true, error: None };
                self.memory.finish_callback(end).await?;
            }
            Ok(claims)
        }
    }
}
