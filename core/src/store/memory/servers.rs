//! Who lives, who is connected to whom, who runs a channel.

use std::collections::BTreeMap;

use super::state::State;
use crate::{
    channel::{Address, ChannelName},
    clock::Timestamp,
    feedback::Delivery,
    id::ServerId,
    store::{Company, Connected, Hold, LEFT_KEPT, Presence},
};

/// What is kept of servers.
#[derive(Debug, Default)]
pub(super) struct Servers {
    /// When the life of each ends.
    lives: BTreeMap<ServerId, Timestamp>,
    /// To what somebody is connected at an address, or since when not any more.
    places: BTreeMap<(ChannelName, Address), BTreeMap<Option<ServerId>, Option<Timestamp>>>,
    /// Who may run a channel, and until when.
    runs: BTreeMap<ChannelName, (ServerId, Timestamp)>,
}

impl Servers {
    pub(super) fn connect(&mut self, channel: &ChannelName, address: &Address, server: Option<ServerId>) {
        let place = self.places.entry((channel.clone(), address.clone())).or_default();
        if server.is_none() {
            place.clear();
        }
        place.insert(server, None);
    }

    pub(super) fn disconnect(
        &mut self,
        channel: &ChannelName,
        address: &Address,
        server: Option<ServerId>,
        now: Timestamp,
    ) {
        self.connect(channel, address, server);
        for place in self.places.values_mut() {
            let long_ago = |left: &Option<Timestamp>| left.is_some_and(|left| now.since(left) > LEFT_KEPT);
            place.retain(|server, left| server.is_none() || !long_ago(left));
        }
        self.places.entry((channel.clone(), address.clone())).or_default().insert(server, Some(now));
        self.places.retain(|_, place| !place.is_empty());
    }

    pub(super) fn presence(&self, channel: &ChannelName, address: &Address, now: Timestamp) -> Presence {
        let place = self.places.get(&(channel.clone(), address.clone()));
        let stored = place.into_iter().flatten().map(|(server, left_at)| {
            let alive_until = server.and_then(|server| self.lives.get(&server).copied());
            Connected { server: *server, left_at: *left_at, alive_until }
        });
        Presence::of(stored, now)
    }

    /// Until when at least a due delivery is left for servers other than this one.
    pub(super) fn left_until(&self, delivery: &Delivery, server: ServerId, now: Timestamp) -> Option<Timestamp> {
        let place = self.places.get(&(delivery.channel.clone(), delivery.address.clone()))?;
        let connected: Vec<_> = place.iter().filter(|(_, left)| left.is_none()).filter_map(|(at, _)| *at).collect();
        if connected.contains(&server) {
            return None;
        }
        connected.iter().filter_map(|other| self.lives.get(other).copied()).filter(|until| *until > now).min()
    }

    pub(super) fn stay(&mut self, server: ServerId, now: Timestamp, until: Timestamp) -> Company {
        let anew = self.lives.insert(server, until).is_none_or(|before| before <= now);
        let dead: Vec<_> = self.lives.iter().filter(|(_, until)| **until <= now).map(|(id, at)| (*id, *at)).collect();
        for (id, died) in &dead {
            self.lives.remove(id);
            for left in self.places.values_mut().filter_map(|place| place.get_mut(&Some(*id))) {
                left.get_or_insert(*died);
            }
        }
        Company::Shared { anew, bereft: !dead.is_empty() }
    }

    pub(super) fn leave(&mut self, server: ServerId, now: Timestamp) {
        if let Some(until) = self.lives.get_mut(&server) {
            *until = now.min(*until);
        }
        self.runs.retain(|_, (holder, _)| *holder != server);
    }

    pub(super) fn hold_run(
        &mut self,
        channel: &ChannelName,
        server: ServerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Hold {
        match self.runs.get(channel) {
            Some((holder, held_until)) if *holder != server && *held_until > now => Hold::HeldUntil(*held_until),
            _ => {
                self.runs.insert(channel.clone(), (server, until));
                Hold::Held
            }
        }
    }

    pub(super) fn release_run(&mut self, channel: &ChannelName, server: ServerId) {
        self.runs.retain(|held, (holder, _)| held != channel || *holder != server);
    }
}

impl State {
    /// What is known at the addresses of these deliveries.
    pub(super) fn presences(&self, deliveries: &[Delivery], now: Timestamp) -> crate::store::Presences {
        let place = |one: &Delivery| (one.channel.clone(), one.address.clone());
        let known = deliveries.iter().map(|one| (place(one), self.servers.presence(&one.channel, &one.address, now)));
        known.filter(|(_, presence)| *presence != Presence::Unknown).collect()
    }
}
