//! What the store in memory holds, and what happens to it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::servers::Servers;
use crate::{
    callback::Callback,
    channel::{ChannelName, Receipt},
    clock::Timestamp,
    event::{Event, EventId, EventKind},
    feedback::{Delivery, DeliveryState, Ending, Request, Response},
    id::{CallbackId, DeliveryId, RequestId, ResponseId, TokenId, UserId},
    person::Person,
};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) people: Vec<(Person, Option<String>)>,
    pub(super) requests: BTreeMap<RequestId, Arc<Request>>,
    pub(super) deliveries: BTreeMap<DeliveryId, Stored>,
    /// Which request was sent with which receipt.
    pub(super) sent_as: HashMap<(ChannelName, Receipt), RequestId>,
    pub(super) responses: Vec<Response>,
    pub(super) response_events: HashMap<(ChannelName, String), ResponseId>,
    pub(super) events: BTreeMap<EventId, (EventKind, RequestId, Timestamp)>,
    pub(super) idempotency: HashMap<[u8; 32], ([u8; 32], RequestId, Timestamp)>,
    pub(super) routes: BTreeMap<(RequestId, UserId), Route>,
    /// Of which requests it was told that nobody was reached.
    pub(super) undeliverable: BTreeSet<RequestId>,
    pub(super) callbacks: BTreeMap<CallbackId, Callback>,
    pub(super) disabled: HashSet<(TokenId, String)>,
    pub(super) servers: Servers,
}

/// Where the route of one person asked stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Route {
    pub(super) due: Option<Timestamp>,
    pub(super) lease: Option<Timestamp>,
    pub(super) rounds: u32,
    pub(super) exhausted: bool,
}

#[derive(Debug)]
pub(super) struct Stored {
    pub(super) delivery: Delivery,
    pub(super) settle: Option<Settle>,
}

impl Stored {
    /// What was sent although the request has ended is to be settled.
    pub(super) fn finish_after_end(&mut self, state: DeliveryState, now: Timestamp) {
        self.delivery.state = state.ended(self.delivery.in_doubt);
        if self.delivery.state.receipt().is_some() {
            self.settle = Some(Settle { due: now, tries: 0 });
        }
    }
}

impl Route {
    pub(super) fn hasten(&mut self, due: Timestamp) {
        // Haste that comes behind the lease would be forgotten by a step that comes later still.
        let latest = self.lease.map(|lease| Timestamp::from_micros(lease.micros() - 1));
        self.due = [self.due, latest, Some(due)].into_iter().flatten().min();
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Settle {
    pub(super) due: Timestamp,
    pub(super) tries: u32,
}

impl State {
    /// Ends a pending request: its state, the settling of its deliveries, its event.
    pub(super) fn end(&mut self, id: RequestId, ending: Ending, now: Timestamp) -> Option<Arc<Event>> {
        let request = self.requests.get_mut(&id)?;
        *request = Arc::new(Request::clone(request).ended(ending));
        for stored in self.deliveries.values_mut().filter(|stored| stored.delivery.request_id == id) {
            stored.delivery.state = stored.delivery.state.clone().ended(stored.delivery.in_doubt);
            if stored.delivery.state.receipt().is_some() {
                stored.settle = Some(Settle { due: now, tries: 0 });
            }
        }
        for (_, route) in self.routes_of(id) {
            (route.due, route.lease) = (None, None);
        }
        self.queue_callback(id, now);
        self.append(EventKind::Ended, id, now)
    }

    /// Notes what a delivery was sent as.
    pub(super) fn note_sent(&mut self, id: DeliveryId, state: &DeliveryState) {
        if let (Some(receipt), Some(stored)) = (state.receipt(), self.deliveries.get(&id)) {
            let Delivery { channel, request_id, .. } = &stored.delivery;
            self.sent_as.insert((channel.clone(), receipt.clone()), *request_id);
        }
    }

    /// Has a request sent to a person at an address now; says whether it is on its way there.
    pub(super) fn bring(&mut self, delivery: Delivery, now: Timestamp) -> Option<Vec<Arc<Event>>> {
        let request = delivery.request_id;
        if !self.is_pending(request) {
            return None;
        }
        let same = |one: &&mut Stored| {
            let one = &one.delivery;
            (one.request_id, one.user_id) == (request, delivery.user_id)
                && (&one.channel, &one.address) == (&delivery.channel, &delivery.address)
        };
        let Some(stored) = self.deliveries.values_mut().rev().find(same) else {
            let id = delivery.id;
            self.deliveries.insert(id, Stored { delivery, settle: None });
            return Some(self.append_changes([(id, request)], now));
        };
        match &stored.delivery.state {
            DeliveryState::Sending { .. } => return Some(Vec::new()),
            DeliveryState::Queued { due, .. } if *due <= now => return Some(Vec::new()),
            state if state.receipt().is_some() || *state == DeliveryState::Settled => return None,
            _ => {}
        }
        stored.delivery.state = DeliveryState::Queued { due: now, reason: None };
        let id = stored.delivery.id;
        Some(self.append_changes([(id, request)], now))
    }

    pub(super) fn routes_of(&mut self, id: RequestId) -> impl Iterator<Item = (UserId, &mut Route)> {
        self.routes.iter_mut().filter(move |((request, _), _)| *request == id).map(|((_, user), route)| (*user, route))
    }

    pub(super) fn is_pending(&self, id: RequestId) -> bool {
        self.requests.get(&id).is_some_and(|request| request.is_pending())
    }

    /// Says once that nobody asked can be reached.
    pub(super) fn tell_undeliverable(&mut self, id: RequestId, now: Timestamp) -> Option<Arc<Event>> {
        let all = self.routes_of(id).all(|(_, route)| route.exhausted);
        if !all || !self.undeliverable.insert(id) {
            return None;
        }
        self.queue_callback(id, now);
        self.append(EventKind::Undeliverable, id, now)
    }

    pub(super) fn find(&self, name: &str) -> Option<Person> {
        let matches = |(person, email): &&(Person, Option<String>)| {
            person.user.username.eq_ignore_ascii_case(name)
                || person.user.id.to_string() == name
                || email.as_ref().is_some_and(|email| email.eq_ignore_ascii_case(name))
        };
        self.people.iter().find(matches).map(|(person, _)| person.clone())
    }
}
