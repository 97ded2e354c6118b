//! The store in memory, for tests and the simulation. Nothing survives the process.

mod state;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;

use state::{Route, Settle, State, Stored};

use super::{
    Candidate, Claims, Created, DeliveryCounts, Ended, FinishedSend, NewRequest, Noted, Page, RequestQuery,
    RouteAdvance, RouteClaim, Scope, SendClaim, SettleClaim, SettleResult, Store, judge,
};
use crate::{
    channel::{Address, ChannelName, Receipt, Recorded},
    clock::Timestamp,
    error::Result,
    event::{Bus, Event, EventId, EventKind},
    feedback::{Attempt, Delivery, DeliveryState, Ending, Request, Response, Status},
    id::{DeliveryId, RequestId, ResponseId},
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

fn page<T>(mut items: Vec<T>, limit: usize) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    Page { items, more }
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
        request.created_event = EventId(state.events.len() as u64 + 1);
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
        let event = state.append(EventKind::Created, id, at);
        self.bus.publish(&event.into_iter().map(Arc::new).collect::<Vec<_>>());
        Ok(Created::New(request))
    }

    async fn request(&self, id: RequestId) -> Result<Option<Arc<Request>>> {
        Ok(self.state.lock().requests.get(&id).cloned())
    }

    async fn requests(&self, query: RequestQuery) -> Result<Page<Arc<Request>>> {
        let state = self.state.lock();
        let in_scope = |request: &Request| match query.scope {
            Scope::AskedByToken(id) => request.asker.token.as_ref().is_some_and(|token| token.id == id),
            Scope::AskedByUser(id) => request.asker.user.id == id,
            Scope::Asked(id) => request.asks(id),
        };
        let before = query.before.map(|id| state.requests.get(&id).map(|request| request.created_event));
        let mut found: Vec<_> = state
            .requests
            .values()
            .filter(|request| {
                in_scope(request)
                    && query.status.is_none_or(|status| request.state.status() == status)
                    && before.is_none_or(|before| before.is_some_and(|before| request.created_event < before))
            })
            .cloned()
            .collect();
        found.sort_by_key(|request| std::cmp::Reverse(request.created_event));
        Ok(page(found, query.limit))
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
        let ended = judgement.ending.and_then(|ending| state.end(request.id, ending, candidate.at));
        self.bus.publish(&ended.into_iter().map(Arc::new).collect::<Vec<_>>());
        state.responses.push(response.clone());
        if let Some(event) = event {
            state.response_events.insert(event, response.id);
        }
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
        let event = state.end(id, ending, at);
        self.bus.publish(&event.into_iter().map(Arc::new).collect::<Vec<_>>());
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
            events.extend(state.end(request.id, request.expiry(), now).map(Arc::new));
        }
        self.bus.publish(&events);
        Ok((due, pending.get(due).map(|request| request.expires_at)))
    }

    async fn responses(&self, id: RequestId, after: Option<ResponseId>, limit: usize) -> Result<Page<Response>> {
        let state = self.state.lock();
        let mut found: Vec<_> = state.responses.iter().filter(|response| response.request_id == id).cloned().collect();
        found.sort_by_key(|response| response.id);
        found.retain(|response| after.is_none_or(|after| response.id > after));
        Ok(page(found, limit))
    }

    async fn deliveries(&self, id: RequestId, after: Option<DeliveryId>, limit: usize) -> Result<Page<Delivery>> {
        let state = self.state.lock();
        let found = state
            .deliveries
            .values()
            .map(|stored| &stored.delivery)
            .filter(|delivery| delivery.request_id == id && after.is_none_or(|after| delivery.id > after));
        Ok(page(found.take(limit + 1).cloned().collect(), limit))
    }

    async fn claim_sends(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<SendClaim>> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let mut due: Vec<_> = state
            .deliveries
            .values()
            .filter_map(|stored| match stored.delivery.state {
                DeliveryState::Queued { due, .. } => Some((due, stored.delivery.id, false)),
                DeliveryState::Sending { lease } => Some((lease, stored.delivery.id, true)),
                _ => None,
            })
            .collect();
        due.sort_unstable();
        let ready = due.iter().take_while(|(at, ..)| *at <= now).take(limit).count();
        let next_due = due.get(ready).map(|(at, ..)| *at);
        let claimed = due[..ready]
            .iter()
            .filter_map(|(_, id, interrupted)| {
                let delivery = &mut state.deliveries.get_mut(id)?.delivery;
                delivery.state = DeliveryState::Sending { lease };
                if !interrupted {
                    let number = delivery.attempts.last().map_or(0, |attempt| attempt.number) + 1;
                    delivery.attempts.push(Attempt { number, at: now, error: None });
                }
                let request = state.requests.get(&delivery.request_id)?.clone();
                Some(SendClaim { delivery: delivery.clone(), request, interrupted: *interrupted })
            })
            .collect();
        Ok(Claims { claimed, next_due })
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
        let id = stored.delivery.request_id;
        if state.requests.get(&id).is_some_and(|request| request.is_pending()) {
            stored.delivery.state = end.state;
            if let (Some(due), Some(route)) = (end.route_due, state.routes.get_mut(&(id, stored.delivery.user_id))) {
                (route.due, route.lease) = (Some(due), None);
            }
        } else {
            stored.finish_after_end(end.state, end.now);
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
        let mut state = self.state.lock();
        let state = &mut *state;
        let on_channel = |stored: &&mut Stored| stored.delivery.channel == *channel;
        let Some(stored) = state.deliveries.get_mut(&id).filter(on_channel) else { return Ok(None) };
        let Delivery { state: before, attempts, .. } = &stored.delivery;
        let lacks_one = before.receipt().is_none() && *before != DeliveryState::Settled && !attempts.is_empty();
        let address = stored.delivery.address.clone();
        if !lacks_one {
            return Ok(Some(Noted { address, is_news: false }));
        }
        let sent = DeliveryState::Sent { receipt: receipt.clone() };
        if state.requests.get(&stored.delivery.request_id).is_some_and(|request| request.is_pending()) {
            stored.delivery.state = sent;
            let route = state.routes.get_mut(&(stored.delivery.request_id, stored.delivery.user_id));
            if let Some(route) = route {
                route.hasten(now);
            }
        } else {
            stored.finish_after_end(sent, now);
        }
        Ok(Some(Noted { address, is_news: true }))
    }

    async fn claim_routes(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<RouteClaim>> {
        let mut state = self.state.lock();
        let mut due: Vec<_> = state.routes.iter().filter_map(|(key, route)| route.due.map(|due| (due, *key))).collect();
        due.sort_unstable();
        let ready = due.iter().take_while(|(at, _)| *at <= now).take(limit).count();
        let next_due = due.get(ready).map(|(at, _)| *at);
        let mut claimed = Vec::with_capacity(ready);
        for (_, key) in &due[..ready] {
            let (id, user) = *key;
            let Some(request) = state.requests.get(&id).cloned() else { continue };
            let Some(person) = state.find(&user.to_string()) else { continue };
            let of_person = |stored: &&Stored| stored.delivery.request_id == id && stored.delivery.user_id == user;
            let deliveries =
                state.deliveries.values().filter(of_person).map(|stored| stored.delivery.clone()).collect();
            let Some(route) = state.routes.get_mut(key) else { continue };
            (route.due, route.lease) = (Some(lease), Some(lease));
            claimed.push(RouteClaim { request, person, deliveries, rounds: route.rounds, lease });
        }
        Ok(Claims { claimed, next_due })
    }

    async fn finish_route(&self, step: RouteAdvance) -> Result<()> {
        let mut state = self.state.lock();
        if !state.is_pending(step.request) {
            return Ok(());
        }
        let route = state.routes.get_mut(&(step.request, step.user)).filter(|route| route.lease == Some(step.lease));
        let Some(route) = route else { return Ok(()) };
        let newly = step.exhausted && !route.exhausted;
        let hastened = route.due.filter(|due| *due < step.lease);
        let due = hastened.map_or(step.due, |due| Some(step.due.map_or(due, |later| later.min(due))));
        *route = Route { due, lease: None, rounds: step.rounds, exhausted: step.exhausted };
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
            }
        }
        if newly {
            let event = state.tell_undeliverable(step.request, step.now);
            self.bus.publish(&event.into_iter().map(Arc::new).collect::<Vec<_>>());
        }
        Ok(())
    }

    async fn hasten_routes(&self, channel: &ChannelName, address: &Address, due: Timestamp) -> Result<u64> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let out: BTreeSet<_> = state
            .deliveries
            .values()
            .map(|stored| &stored.delivery)
            .filter(|one| one.channel == *channel && one.address == *address && one.state.receipt().is_some())
            .filter(|one| state.requests.get(&one.request_id).is_some_and(|request| request.is_pending()))
            .map(|one| (one.request_id, one.user_id))
            .collect();
        let routes = state.routes.iter_mut().filter(|(key, _)| out.contains(key));
        Ok(routes.map(|(_, route)| route.hasten(due)).count() as u64)
    }

    async fn hasten_all_routes(&self, due: Timestamp) -> Result<u64> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let pending = |id: &RequestId| state.requests.get(id).is_some_and(|request| request.is_pending());
        let routes = state.routes.iter_mut().filter(|((id, _), _)| pending(id));
        Ok(routes.map(|(_, route)| route.hasten(due)).count() as u64)
    }

    async fn acknowledge(
        &self,
        channel: &ChannelName,
        address: &Address,
        receipt: &Receipt,
        read: bool,
    ) -> Result<bool> {
        let mut state = self.state.lock();
        let mut known = false;
        for stored in state.deliveries.values_mut() {
            let delivery = &mut stored.delivery;
            if delivery.channel == *channel && delivery.address == *address && delivery.state.receipt() == Some(receipt)
            {
                delivery.state = delivery.state.clone().acknowledged(read);
                known = true;
            }
        }
        Ok(known)
    }

    async fn requeue_skipped(&self, channel: &ChannelName, address: &Address, now: Timestamp) -> Result<u64> {
        let mut state = self.state.lock();
        let mut count = 0;
        for stored in state.deliveries.values_mut() {
            let delivery = &mut stored.delivery;
            let skipped = matches!(delivery.state, DeliveryState::Skipped { .. });
            if skipped && delivery.channel == *channel && delivery.address == *address {
                delivery.state = DeliveryState::Queued { due: now, reason: None };
                count += 1;
            }
        }
        Ok(count)
    }

    async fn claim_settlements(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<SettleClaim>> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let mut due: Vec<_> = state
            .deliveries
            .values()
            .filter_map(|stored| stored.settle.map(|settle| (settle.due, stored.delivery.id)))
            .collect();
        due.sort_unstable();
        let ready = due.iter().take_while(|(at, _)| *at <= now).take(limit).count();
        let next_due = due.get(ready).map(|(at, _)| *at);
        let claimed = due[..ready]
            .iter()
            .filter_map(|(_, id)| {
                let stored = state.deliveries.get_mut(id)?;
                let settle = stored.settle.as_mut()?;
                let tries = settle.tries;
                *settle = Settle { due: lease, tries: tries + 1 };
                let request = state.requests.get(&stored.delivery.request_id)?.clone();
                Some(SettleClaim { delivery: stored.delivery.clone(), request, lease, tries })
            })
            .collect();
        Ok(Claims { claimed, next_due })
    }

    async fn finish_settlement(&self, id: DeliveryId, lease: Timestamp, result: SettleResult) -> Result<()> {
        let mut state = self.state.lock();
        let Some(stored) = state.deliveries.get_mut(&id) else { return Ok(()) };
        let Some(settle) = stored.settle.filter(|settle| settle.due == lease) else { return Ok(()) };
        stored.settle = None;
        match result {
            SettleResult::Settled => stored.delivery.state = DeliveryState::Settled,
            SettleResult::Again(due) => stored.settle = Some(Settle { due, ..settle }),
            SettleResult::GivenUp(reason) => stored.delivery.state = DeliveryState::Failed { reason },
        }
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn head(&self) -> Result<EventId> {
        Ok(EventId(self.state.lock().events.len() as u64))
    }

    async fn events(&self, reader: Reader, after: EventId, limit: usize) -> Result<Option<Vec<Arc<Event>>>> {
        let state = self.state.lock();
        if after.0 > state.events.len() as u64 {
            return Ok(None);
        }
        let events = state.concerns(reader).filter(|event| event.id > after);
        Ok(Some(events.take(limit).map(Arc::new).collect()))
    }

    async fn pending(&self, reader: Reader, after: EventId, limit: usize) -> Result<Vec<Arc<Event>>> {
        let state = self.state.lock();
        let pending = state.concerns(reader).filter(|event| {
            event.id > after && event.kind == EventKind::Created && event.request.state.status() == Status::Pending
        });
        Ok(pending.take(limit).map(Arc::new).collect())
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
        let state = self.state.lock();
        let mut counts = DeliveryCounts::default();
        for stored in state.deliveries.values().filter(|stored| stored.delivery.channel == *channel) {
            match stored.delivery.state {
                DeliveryState::Queued { .. } | DeliveryState::Held { .. } | DeliveryState::Sending { .. } => {
                    counts.queued += 1;
                }
                DeliveryState::Sent { .. } | DeliveryState::Delivered { .. } | DeliveryState::Read { .. } => {
                    counts.sent += 1;
                }
                DeliveryState::Failed { .. } => counts.failed += 1,
                _ => {}
            }
        }
        Ok(counts)
    }

    async fn prune(&self, before: Timestamp) -> Result<()> {
        self.state.lock().idempotency.retain(|_, (_, _, at)| *at >= before);
        Ok(())
    }
}
