//! The store in memory, for tests and the simulation. Nothing survives the process.

mod callbacks;
mod claims;
mod lists;
mod log;
mod servers;
mod state;

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use state::{Route, Settle, State, Stored};

use super::{
    CallbackClaim, Candidate, Claims, Company, Counts, Created, DeliveryCounts, Ended, FinishedCallback, FinishedSend,
    Following, Hold, NewRequest, Noted, Page, Presence, Prune, RequestQuery, RouteAdvance, RouteClaim, SendClaim,
    SettleClaim, SettleResult, Store, judge,
};
use crate::{
    callback::Callback,
    channel::{Address, ChannelName, Receipt, Recorded},
    clock::Timestamp,
    error::Result,
    event::{Bus, Event, EventId, EventKind, Work},
    feedback::{Delivery, DeliveryState, Ending, Request, Response},
    id::{CallbackId, DeliveryId, RequestId, ResponseId, ServerId},
    person::{Person, Reader, UserRef},
};

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    bus: Arc<Bus>,
    state: Mutex<State>,
}

impl MemoryStore {
    /// An empty store that publishes on `bus`.
    #[must_use]
    pub fn new(bus: Arc<Bus>) -> Self {
        Self { bus, state: Mutex::default() }
    }

    /// Called with the state locked, so that events are published in their order.
    fn publish(&self, events: impl IntoIterator<Item = Arc<Event>>) {
        self.bus.publish(&events.into_iter().collect::<Vec<_>>());
    }

    fn wake(&self, works: &[Work]) {
        for work in works {
            self.bus.wake(*work);
        }
    }

    /// Puts what is known of a person now in the place of what was.
    pub fn replace_person(&self, person: &Person) {
        let mut state = self.state.lock();
        for (known, _) in state.people.iter_mut().filter(|(known, _)| known.user.id == person.user.id) {
            known.clone_from(person);
        }
    }

    /// Adds a person, with their confirmed e-mail if they have one.
    pub fn add_person(&self, person: Person, email: Option<String>) {
        self.state.lock().people.push((person, email));
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn create(&self, new: NewRequest) -> Result<Created> {
        let mut state = self.state.lock();
        if let Some(idempotency) = new.idempotency {
            if let Some((fingerprint, id, _)) = state.idempotency.get(&idempotency.key) {
                let replayed = *fingerprint == idempotency.fingerprint;
                let request = state.requests.get(id).cloned();
                return Ok(request.filter(|_| replayed).map_or(Created::Mismatch, Created::Replayed));
            }
            let kept = (idempotency.fingerprint, new.request.id, new.request.created_at);
            state.idempotency.insert(idempotency.key, kept);
        }
        let mut request = new.request;
        request.created_event = EventId(state.head().0 + 1);
        let (id, at) = (request.id, request.created_at);
        let request = Arc::new(request);
        state.requests.insert(id, request.clone());
        for person in &request.terms.to {
            let exhausted = !new.deliveries.iter().any(|delivery| delivery.user_id == person.id);
            let due = exhausted.then_some(at);
            state.routes.insert((id, person.id), Route { due, exhausted, ..Route::default() });
        }
        let deliveries = new.deliveries.into_iter().map(|delivery| (delivery.id, Stored { delivery, settle: None }));
        state.deliveries.extend(deliveries);
        self.wake(&[Work::Sends, Work::Routes, Work::Deadlines]);
        self.publish(state.append(EventKind::Created, id, at));
        Ok(Created::New(request))
    }

    async fn request(&self, id: RequestId) -> Result<Option<Arc<Request>>> {
        Ok(self.state.lock().requests.get(&id).cloned())
    }

    async fn requests(&self, query: RequestQuery) -> Result<Page<Arc<Request>>> {
        Ok(self.state.lock().list(&query))
    }

    async fn respond(&self, candidate: Candidate) -> Result<Option<Recorded>> {
        let mut state = self.state.lock();
        let Some(request) = state.requests.get(&candidate.request_id).cloned() else { return Ok(None) };
        let event = candidate.event.clone().map(|event| (candidate.channel.clone(), event));
        if let Some(id) = event.as_ref().and_then(|event| state.response_events.get(event)) {
            let earlier = state.responses.iter().find(|response| response.id == *id).cloned();
            return Ok(earlier.map(|response| Recorded { response, request, duplicate: true }));
        }
        let judgement = judge(&request, &candidate);
        let response = judgement.response(&candidate);
        self.wake(&[Work::Settlements, Work::Callbacks]);
        state.responses.push(response.clone());
        if let Some(event) = event {
            state.response_events.insert(event, response.id);
        }
        let recorded = state.append(EventKind::Response(response.id), request.id, candidate.at);
        let ended = judgement.ending.and_then(|ending| state.end(request.id, ending, candidate.at));
        self.publish(recorded.into_iter().chain(ended));
        let request = state.requests[&request.id].clone();
        Ok(Some(Recorded { response, request, duplicate: false }))
    }

    async fn cancel(&self, id: RequestId, at: Timestamp) -> Result<Option<Ended>> {
        let mut state = self.state.lock();
        let Some(request) = state.requests.get(&id).cloned() else { return Ok(None) };
        if !request.is_pending() {
            return Ok(Some(Ended::Before(request)));
        }
        // A deadline that passed unnoticed comes before the cancellation.
        let expired = at >= request.expires_at;
        let ending = if expired { request.expiry() } else { Ending::Cancelled { at } };
        self.publish(state.end(id, ending, at));
        self.wake(&[Work::Settlements, Work::Callbacks]);
        let request = state.requests[&id].clone();
        Ok(Some(if expired { Ended::Before(request) } else { Ended::Now(request) }))
    }

    async fn expire(&self, now: Timestamp, limit: usize) -> Result<(usize, Option<Timestamp>)> {
        let mut state = self.state.lock();
        let mut pending: Vec<_> = state.requests.values().filter(|request| request.is_pending()).cloned().collect();
        pending.sort_by_key(|request| request.expires_at);
        let due = pending.iter().take_while(|request| request.expires_at <= now).take(limit).count();
        let mut events = Vec::new();
        for request in &pending[..due] {
            events.extend(state.end(request.id, request.expiry(), now));
        }
        self.publish(events);
        if due > 0 {
            self.wake(&[Work::Settlements, Work::Callbacks]);
        }
        Ok((due, pending.get(due).map(|request| request.expires_at)))
    }

    async fn responses(&self, id: RequestId, after: Option<ResponseId>, limit: usize) -> Result<Page<Response>> {
        Ok(self.state.lock().responses_to(id, after, limit))
    }

    async fn deliveries(&self, id: RequestId, after: Option<DeliveryId>, limit: usize) -> Result<Page<Delivery>> {
        Ok(self.state.lock().deliveries_of(id, after, limit))
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>> {
        Ok(self.state.lock().deliveries.get(&id).map(|stored| stored.delivery.clone()))
    }

    async fn sent_as(&self, channel: &ChannelName, receipt: &Receipt) -> Result<Option<RequestId>> {
        Ok(self.state.lock().sent_as.get(&(channel.clone(), receipt.clone())).copied())
    }

    async fn response(&self, request: RequestId, id: ResponseId) -> Result<Option<Response>> {
        let state = self.state.lock();
        Ok(state.responses.iter().find(|response| response.request_id == request && response.id == id).cloned())
    }

    async fn bring(&self, delivery: Delivery, now: Timestamp) -> Result<bool> {
        let brought = self.state.lock().bring(delivery, now);
        self.wake(&[Work::Sends]);
        Ok(brought.map(|events| self.publish(events)).is_some())
    }

    async fn claim_sends(
        &self,
        server: ServerId,
        now: Timestamp,
        lease: Timestamp,
        limit: usize,
    ) -> Result<Claims<SendClaim>> {
        Ok(self.state.lock().claim_sends(server, now, lease, limit))
    }

    async fn finish_send(&self, end: FinishedSend) -> Result<()> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let Some(stored) = state.deliveries.get_mut(&end.id) else { return Ok(()) };
        let ours = stored.delivery.state == DeliveryState::Sending { lease: end.lease };
        // A receipt that turns up late is welcome.
        if !ours && (end.state.receipt().is_none() || !stored.delivery.state.is_open()) {
            return Ok(());
        }
        if !end.attempted {
            stored.delivery.attempts.pop();
        } else if let Some(attempt) = stored.delivery.attempts.last_mut() {
            attempt.error = end.error;
        }
        stored.delivery.in_doubt |= end.in_doubt;
        self.wake(&[Work::Sends, Work::Routes, Work::Settlements]);
        let id = stored.delivery.request_id;
        let sent = end.state.clone();
        if state.requests.get(&id).is_some_and(|request| request.is_pending()) {
            stored.delivery.state = end.state;
            if let (Some(due), Some(route)) = (end.route_due, state.routes.get_mut(&(id, stored.delivery.user_id))) {
                (route.due, route.lease) = (Some(due), None);
                route.exhausted &= stored.delivery.state.receipt().is_none();
            }
        } else {
            stored.finish_after_end(end.state, end.now);
        }
        state.note_sent(end.id, &sent);
        self.publish(state.append(EventKind::Delivery(end.id), id, end.now));
        Ok(())
    }

    async fn note_receipt(
        &self,
        channel: &ChannelName,
        id: DeliveryId,
        receipt: &Receipt,
        now: Timestamp,
    ) -> Result<Option<Noted>> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let on_channel = |stored: &&mut Stored| stored.delivery.channel == *channel;
        let Some(stored) = state.deliveries.get_mut(&id).filter(on_channel) else { return Ok(None) };
        let Delivery { state: before, attempts, .. } = &stored.delivery;
        let lacks_one = before.receipt().is_none() && *before != DeliveryState::Settled && !attempts.is_empty();
        let (address, request) = (stored.delivery.address.clone(), stored.delivery.request_id);
        if !lacks_one {
            return Ok(Some(Noted { address, is_news: false }));
        }
        let sent = DeliveryState::Sent { receipt: receipt.clone() };
        state.sent_as.insert((channel.clone(), receipt.clone()), request);
        self.wake(&[Work::Routes, Work::Settlements]);
        if state.requests.get(&request).is_some_and(|request| request.is_pending()) {
            stored.delivery.state = sent;
            let route = state.routes.get_mut(&(request, stored.delivery.user_id));
            if let Some(route) = route {
                // Whoever claimed it took what is out for failed.
                (route.lease, route.exhausted) = (None, false);
                route.hasten(now);
            }
        } else {
            stored.finish_after_end(sent, now);
        }
        self.publish(state.append(EventKind::Delivery(id), request, now));
        Ok(Some(Noted { address, is_news: true }))
    }

    async fn claim_routes(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<RouteClaim>> {
        Ok(self.state.lock().claim_routes(now, lease, limit))
    }

    async fn finish_route(&self, step: RouteAdvance) -> Result<()> {
        let mut state = self.state.lock();
        if !state.is_pending(step.request) {
            return Ok(());
        }
        let route = state.routes.get_mut(&(step.request, step.user)).filter(|route| route.lease == Some(step.lease));
        let Some(route) = route else { return Ok(()) };
        let hastened = route.due.filter(|due| *due < step.lease);
        let newly = step.exhausted && !route.exhausted;
        let due = hastened.map_or(step.due, |due| Some(step.due.map_or(due, |later| later.min(due))));
        *route = Route { due, lease: None, rounds: step.rounds, exhausted: step.exhausted };
        self.wake(&[Work::Sends, Work::Routes]);
        let mut changed: Vec<_> = step.begin.iter().map(|delivery| delivery.id).collect();
        let begin = step.begin.into_iter().map(|delivery| (delivery.id, Stored { delivery, settle: None }));
        state.deliveries.extend(begin);
        for (id, due) in step.again {
            if let Some(stored) = state.deliveries.get_mut(&id)
                && stored.delivery.request_id == step.request
            {
                let reason = match &mut stored.delivery.state {
                    DeliveryState::Held { reason, .. } => Some(std::mem::take(reason)),
                    DeliveryState::Skipped { .. } => None,
                    _ => continue,
                };
                stored.delivery.state = DeliveryState::Queued { due, reason };
                changed.push(id);
            }
        }
        let mut events = state.append_changes(changed.into_iter().map(|id| (id, step.request)), step.now);
        if newly {
            events.extend(state.tell_undeliverable(step.request, step.now));
        }
        self.publish(events);
        Ok(())
    }

    async fn hasten_routes(&self, channel: &ChannelName, address: &Address, due: Timestamp) -> Result<u64> {
        self.wake(&[Work::Routes]);
        Ok(self.state.lock().hasten_routes(channel, address, due))
    }

    async fn acknowledge(
        &self,
        channel: &ChannelName,
        address: &Address,
        receipt: &Receipt,
        read: bool,
        now: Timestamp,
    ) -> Result<bool> {
        let mut state = self.state.lock();
        let (mut known, mut changed) = (false, Vec::new());
        for stored in state.deliveries.values_mut() {
            let delivery = &mut stored.delivery;
            if delivery.channel == *channel && delivery.address == *address && delivery.state.receipt() == Some(receipt)
            {
                let acknowledged = delivery.state.clone().acknowledged(read);
                if acknowledged != delivery.state {
                    delivery.state = acknowledged;
                    changed.push((delivery.id, delivery.request_id));
                }
                known = true;
            }
        }
        self.publish(state.append_changes(changed, now));
        Ok(known)
    }

    async fn connected(
        &self,
        channel: &ChannelName,
        address: &Address,
        server: Option<ServerId>,
        now: Timestamp,
    ) -> Result<u64> {
        let mut state = self.state.lock();
        state.servers.connect(channel, address, server);
        self.wake(&[Work::Sends]);
        let changed = state.requeue_skipped(channel, address, now);
        let count = changed.len() as u64;
        self.publish(state.append_changes(changed, now));
        Ok(count)
    }

    async fn disconnected(
        &self,
        channel: &ChannelName,
        address: &Address,
        server: Option<ServerId>,
        now: Timestamp,
        due: Timestamp,
    ) -> Result<u64> {
        let mut state = self.state.lock();
        state.servers.disconnect(channel, address, server, now);
        self.wake(&[Work::Routes, Work::Sends]);
        Ok(state.hasten_routes(channel, address, due))
    }

    async fn presence(&self, channel: &ChannelName, address: &Address, now: Timestamp) -> Result<Presence> {
        Ok(self.state.lock().servers.presence(channel, address, now))
    }

    async fn stay(&self, server: ServerId, now: Timestamp, until: Timestamp, due: Timestamp) -> Result<Company> {
        let mut state = self.state.lock();
        let company = state.servers.stay(server, now, until);
        if company != (Company::Shared { anew: false, bereft: false }) {
            state.hasten_all_routes(due);
            self.wake(&[Work::Sends, Work::Routes]);
        }
        Ok(company)
    }

    async fn leave(&self, server: ServerId, now: Timestamp) -> Result<()> {
        self.state.lock().servers.leave(server, now);
        self.wake(&[Work::Sends, Work::Runs]);
        Ok(())
    }

    async fn hold_run(
        &self,
        channel: &ChannelName,
        server: ServerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Hold> {
        Ok(self.state.lock().servers.hold_run(channel, server, now, until))
    }

    async fn release_run(&self, channel: &ChannelName, server: ServerId) -> Result<()> {
        self.state.lock().servers.release_run(channel, server);
        self.wake(&[Work::Runs]);
        Ok(())
    }

    async fn claim_settlements(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<SettleClaim>> {
        Ok(self.state.lock().claim_settlements(now, lease, limit))
    }

    async fn finish_settlement(
        &self,
        id: DeliveryId,
        lease: Timestamp,
        result: SettleResult,
        now: Timestamp,
    ) -> Result<()> {
        let mut state = self.state.lock();
        let Some(stored) = state.deliveries.get_mut(&id) else { return Ok(()) };
        let Some(settle) = stored.settle.filter(|settle| settle.due == lease) else { return Ok(()) };
        stored.settle = None;
        match result {
            SettleResult::Settled => stored.delivery.state = DeliveryState::Settled,
            SettleResult::Again(due) => {
                stored.settle = Some(Settle { due, ..settle });
                self.wake(&[Work::Settlements]);
                return Ok(());
            }
            SettleResult::GivenUp(reason) => stored.delivery.state = DeliveryState::Failed { reason },
        }
        let request = stored.delivery.request_id;
        self.publish(state.append(EventKind::Delivery(id), request, now));
        Ok(())
    }

    async fn claim_callbacks(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<CallbackClaim>> {
        Ok(self.state.lock().claim_callbacks(now, lease, limit))
    }

    async fn finish_callback(&self, end: FinishedCallback) -> Result<()> {
        self.state.lock().finish_callback(end);
        self.wake(&[Work::Callbacks]);
        Ok(())
    }

    async fn callbacks(&self, id: RequestId, after: Option<CallbackId>, limit: usize) -> Result<Page<Callback>> {
        Ok(lists::page(self.state.lock().callbacks_of(id, after, limit + 1), limit))
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn head(&self) -> Result<EventId> {
        Ok(self.state.lock().head())
    }

    async fn events(&self, reader: Reader, after: EventId, limit: usize) -> Result<Following> {
        let concerned = |event: &Event| event.readers().any(|one| one == reader);
        Ok(self.state.lock().following(after, limit, concerned))
    }

    async fn request_events(&self, id: RequestId, after: Option<EventId>, limit: usize) -> Result<Following> {
        Ok(self.state.lock().following_of(id, after, limit))
    }

    async fn pending(&self, reader: Reader, after: EventId, limit: usize) -> Result<Vec<Arc<Event>>> {
        Ok(self.state.lock().pending(reader, after, limit))
    }

    async fn people(&self, names: &[String]) -> Result<Vec<Option<Person>>> {
        let state = self.state.lock();
        Ok(names.iter().map(|name| state.find(name)).collect())
    }

    async fn person_at(&self, channel: &ChannelName, address: &Address) -> Result<Option<UserRef>> {
        let state = self.state.lock();
        let has = |(person, _): &&(Person, Option<String>)| {
            person.addresses.iter().any(|(name, at)| name == channel && at == address)
        };
        Ok(state.people.iter().find(has).map(|(person, _)| person.user.clone()))
    }

    async fn delivery_counts(&self, channel: &ChannelName) -> Result<DeliveryCounts> {
        Ok(self.state.lock().counts(channel))
    }

    async fn counts(&self) -> Result<Counts> {
        let state = self.state.lock();
        let pending = state.requests.values().filter(|request| request.is_pending()).count() as u64;
        Ok(Counts { people: state.people.len() as u64, pending })
    }

    async fn prune(&self, what: Prune) -> Result<bool> {
        let mut state = self.state.lock();
        state.idempotency.retain(|_, (_, _, at)| *at >= what.keys_before);
        Ok(state.prune_events(what))
    }
}
