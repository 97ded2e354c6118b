//! What is due: claimed, hastened, queued again.

use std::collections::BTreeSet;

use super::state::{Settle, State, Stored};
use crate::{
    channel::{Address, ChannelName},
    clock::Timestamp,
    feedback::{Attempt, Delivery, DeliveryState},
    id::{DeliveryId, RequestId, ServerId},
    person::{Person, Preferences},
    store::{Claims, RouteClaim, SendClaim, SettleClaim},
};

fn preferences_of(people: &[(Person, Option<String>)], delivery: &Delivery) -> Preferences {
    let person = people.iter().find(|(person, _)| person.user.id == delivery.user_id);
    person.map(|(person, _)| person.preferences.clone()).unwrap_or_default()
}

impl State {
    pub(super) fn claim_sends(
        &mut self,
        server: ServerId,
        now: Timestamp,
        lease: Timestamp,
        limit: usize,
    ) -> Claims<SendClaim> {
        let mut due: Vec<_> = self
            .deliveries
            .values()
            .filter_map(|stored| match stored.delivery.state {
                DeliveryState::Queued { due, .. } => Some((due, stored.delivery.id, false)),
                DeliveryState::Sending { lease } => Some((lease, stored.delivery.id, true)),
                _ => None,
            })
            .collect();
        due.sort_unstable();
        let (mut claimed, mut next_due) = (Vec::new(), None);
        for (at, id, interrupted) in due {
            let Some(delivery) = self.deliveries.get_mut(&id).map(|stored| &mut stored.delivery) else { continue };
            let left = self.servers.left_until(delivery, server, now).filter(|_| at <= now && !interrupted);
            if let Some(until) = left {
                next_due = Some(next_due.map_or(until, |next: Timestamp| next.min(until)));
                continue;
            }
            if at > now || claimed.len() == limit {
                next_due = Some(next_due.map_or(at, |next| next.min(at)));
                break;
            }
            let Some(request) = self.requests.get(&delivery.request_id).cloned() else { continue };
            let preferences = preferences_of(&self.people, delivery);
            delivery.state = DeliveryState::Sending { lease };
            if !interrupted {
                let number = delivery.attempts.last().map_or(0, |attempt| attempt.number) + 1;
                delivery.attempts.push(Attempt { number, at: now, error: None });
            }
            let delivery = delivery.clone();
            claimed.push(SendClaim { delivery, request, due: at, interrupted, deactivated: false, preferences });
        }
        Claims { claimed, next_due }
    }

    pub(super) fn claim_routes(&mut self, now: Timestamp, lease: Timestamp, limit: usize) -> Claims<RouteClaim> {
        let mut due: Vec<_> = self.routes.iter().filter_map(|(key, route)| route.due.map(|due| (due, *key))).collect();
        due.sort_unstable();
        let ready = due.iter().take_while(|(at, _)| *at <= now).take(limit).count();
        let next_due = due.get(ready).map(|(at, _)| *at);
        let mut claimed = Vec::with_capacity(ready);
        for (_, key) in &due[..ready] {
            let (id, user) = *key;
            let Some(request) = self.requests.get(&id).cloned() else { continue };
            let Some(person) = self.find(&user.to_string()) else { continue };
            let of_person = |stored: &&Stored| stored.delivery.request_id == id && stored.delivery.user_id == user;
            let deliveries: Vec<_> =
                self.deliveries.values().filter(of_person).map(|stored| stored.delivery.clone()).collect();
            let presences = self.presences(&deliveries, now);
            let Some(route) = self.routes.get_mut(key) else { continue };
            (route.due, route.lease) = (Some(lease), Some(lease));
            claimed.push(RouteClaim { request, person, deliveries, presences, rounds: route.rounds, lease });
        }
        Claims { claimed, next_due }
    }

    pub(super) fn claim_settlements(&mut self, now: Timestamp, lease: Timestamp, limit: usize) -> Claims<SettleClaim> {
        let mut due: Vec<_> = self
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
                let stored = self.deliveries.get_mut(id)?;
                let settle = stored.settle.as_mut()?;
                let tries = settle.tries;
                *settle = Settle { due: lease, tries: tries + 1 };
                let request = self.requests.get(&stored.delivery.request_id)?.clone();
                let locale = preferences_of(&self.people, &stored.delivery).locale;
                Some(SettleClaim { delivery: stored.delivery.clone(), request, lease, tries, locale })
            })
            .collect();
        Claims { claimed, next_due }
    }

    pub(super) fn hasten_routes(&mut self, channel: &ChannelName, address: &Address, due: Timestamp) -> u64 {
        let out: BTreeSet<_> = self
            .deliveries
            .values()
            .map(|stored| &stored.delivery)
            .filter(|one| one.channel == *channel && one.address == *address && one.state.receipt().is_some())
            .filter(|one| self.is_pending(one.request_id))
            .map(|one| (one.request_id, one.user_id))
            .collect();
        let routes = self.routes.iter_mut().filter(|(key, _)| out.contains(key));
        routes.map(|(_, route)| route.hasten(due)).count() as u64
    }

    pub(super) fn hasten_all_routes(&mut self, due: Timestamp) {
        let pending = |id: &RequestId| self.requests.get(id).is_some_and(|request| request.is_pending());
        for (_, route) in self.routes.iter_mut().filter(|((id, _), _)| pending(id)) {
            route.hasten(due);
        }
    }

    pub(super) fn requeue_skipped(
        &mut self,
        channel: &ChannelName,
        address: &Address,
        now: Timestamp,
    ) -> Vec<(DeliveryId, RequestId)> {
        let mut queued = Vec::new();
        for stored in self.deliveries.values_mut() {
            let delivery = &mut stored.delivery;
            let skipped = matches!(delivery.state, DeliveryState::Skipped { .. });
            if skipped && delivery.channel == *channel && delivery.address == *address {
                delivery.state = DeliveryState::Queued { due: now, reason: None };
                queued.push((delivery.id, delivery.request_id));
            }
        }
        queued
    }
}
