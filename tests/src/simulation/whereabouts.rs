//! Who is connected to which server, and what the hub was told of it: the truth that its store is held against.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use hearback_core::{
    Timestamp,
    channel::{Address, ChannelName},
    store::SendClaim,
};

use super::{gate::Life, invariant::Invariant};

/// Where somebody is reached.
pub type Place = (ChannelName, Address);

/// A connection to one server, or what is left of it.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    open: bool,
    /// Whether the store was told that it is open, and has not forgotten it since.
    known: bool,
    /// When the hub was told that it is closed, at a time when it was.
    told: Option<Timestamp>,
}

/// One time that somebody is connected nowhere.
#[derive(Clone, Debug)]
struct Absence {
    since: Timestamp,
    /// When they came back.
    until: Option<Timestamp>,
    /// When the hub had last been told of all that was closed.
    told: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct State {
    links: BTreeMap<Place, BTreeMap<String, Link>>,
    absences: BTreeMap<Place, Absence>,
    /// Until when each server lives, as the store was told.
    lives: BTreeMap<String, Timestamp>,
    /// Who was connected to a server that went away.
    lost: BTreeSet<Place>,
}

/// Who is connected to which server.
#[derive(Debug, Default)]
pub struct Whereabouts(Mutex<State>);

impl State {
    fn is_open(&self, place: &Place) -> bool {
        self.links.get(place).is_some_and(|links| links.values().any(|link| link.open))
    }

    fn close(&mut self, place: &Place, server: &str, now: Timestamp) {
        let Some(link) = self.links.get_mut(place).and_then(|links| links.get_mut(server)) else { return };
        (link.open, link.known, link.told) = (false, false, None);
        if !self.is_open(place) {
            let absence = Absence { since: now, until: None, told: None };
            self.absences.insert(place.clone(), absence);
        }
    }
}

impl Whereabouts {
    /// Somebody connects to a server.
    pub fn connects(&self, place: &Place, server: &str, now: Timestamp) {
        let mut state = self.0.lock().unwrap();
        if !state.is_open(place)
            && let Some(absence) = state.absences.get_mut(place)
        {
            absence.until = Some(now);
        }
        let link = state.links.entry(place.clone()).or_default().entry(server.into()).or_default();
        *link = Link { open: true, ..Link::default() };
    }

    /// Somebody leaves a server.
    pub fn leaves(&self, place: &Place, server: &str, now: Timestamp) {
        self.0.lock().unwrap().close(place, server, now);
    }

    /// A server has died: who was connected to it is not any more.
    pub fn dies(&self, server: &str, now: Timestamp) {
        let mut state = self.0.lock().unwrap();
        let open = |links: &BTreeMap<String, Link>| links.get(server).is_some_and(|link| link.open);
        let places: Vec<_> = state.links.iter().filter(|(_, links)| open(links)).map(|(at, _)| at.clone()).collect();
        for place in places {
            state.close(&place, server, now);
            state.lost.insert(place);
        }
        for links in state.links.values_mut() {
            links.remove(server);
        }
    }

    /// Takes those whose server went away.
    #[must_use]
    pub fn take_lost(&self) -> BTreeSet<Place> {
        std::mem::take(&mut self.0.lock().unwrap().lost)
    }

    /// The server of these went away, or has not come back yet.
    pub fn are_lost(&self, places: impl IntoIterator<Item = Place>) {
        self.0.lock().unwrap().lost.extend(places);
    }

    /// The servers that somebody is connected to.
    #[must_use]
    pub fn servers_of(&self, place: &Place) -> Vec<String> {
        let state = self.0.lock().unwrap();
        let links = state.links.get(place).into_iter().flatten();
        links.filter(|(_, link)| link.open).map(|(server, _)| server.clone()).collect()
    }

    /// Who is connected to a server.
    #[must_use]
    pub fn places_at(&self, server: &str) -> Vec<Place> {
        let state = self.0.lock().unwrap();
        let open = |links: &BTreeMap<String, Link>| links.get(server).is_some_and(|link| link.open);
        state.links.iter().filter(|(_, links)| open(links)).map(|(place, _)| place.clone()).collect()
    }

    /// Whether somebody is connected to this server.
    #[must_use]
    pub fn is_at(&self, place: &Place, server: &str) -> bool {
        let state = self.0.lock().unwrap();
        state.links.get(place).and_then(|links| links.get(server)).is_some_and(|link| link.open)
    }

    /// A server took the word that somebody has left it, which it was told at `begun`.
    pub fn departure_is_told(&self, place: &Place, server: &str, begun: Timestamp) {
        let mut state = self.0.lock().unwrap();
        let State { links, absences, .. } = &mut *state;
        let Some(links) = links.get_mut(place) else { return };
        if let Some(link) = links.get_mut(server).filter(|link| !link.open) {
            link.told = Some(begun);
        }
        let all = links.values().all(|link| !link.open && link.told.is_some());
        if let Some(absence) = absences.get_mut(place).filter(|absence| all && absence.since <= begun) {
            absence.told = Some(begun);
        }
    }

    /// The store was told that somebody is connected to a server, or the server has taken the word of it.
    pub fn is_known(&self, place: &Place, server: &str) {
        let mut state = self.0.lock().unwrap();
        if let Some(link) = state.links.get_mut(place).and_then(|links| links.get_mut(server)) {
            link.known = link.open;
        }
    }

    /// A server has told the store that it lives until then. Where it was taken for dead, what it had told is
    /// forgotten.
    pub fn lives(&self, server: &str, now: Timestamp, until: Timestamp) {
        let mut state = self.0.lock().unwrap();
        let before = state.lives.insert(server.into(), until);
        if before.is_some_and(|before| before > now) {
            return;
        }
        for link in state.links.values_mut().filter_map(|links| links.get_mut(server)) {
            link.known = false;
        }
    }

    /// Whether the store does not take a server for dead.
    #[must_use]
    pub fn is_alive(&self, server: &str, now: Timestamp) -> bool {
        self.0.lock().unwrap().lives.get(server).is_some_and(|until| *until > now)
    }

    /// Whether the store was told by a server, which it does not take for dead, that somebody is connected to it, who
    /// is.
    #[must_use]
    pub fn is_present(&self, place: &Place, now: Timestamp) -> bool {
        self.present_at(place, now).next().is_some()
    }

    fn present_at(&self, place: &Place, now: Timestamp) -> impl Iterator<Item = String> + use<> {
        let state = self.0.lock().unwrap();
        let links = state.links.get(place).cloned().unwrap_or_default();
        let lives = state.lives.clone();
        let present = links.into_iter().filter(|(_, link)| link.open && link.known).map(|(server, _)| server);
        present.filter(move |server| lives.get(server).is_some_and(|until| *until > now))
    }

    /// A server has claimed what is due to somebody: they are not connected to another one alone.
    pub fn is_asked_by(&self, life: &Arc<Life>, claim: &SendClaim) {
        let (delivery, now) = (&claim.delivery, life.world.now());
        let place = (delivery.channel.clone(), delivery.address.clone());
        let elsewhere: Vec<_> = self.present_at(&place, now).filter(|server| *server != life.name).collect();
        let here = {
            let state = self.0.lock().unwrap();
            let link = state.links.get(&place).and_then(|links| links.get(&life.name)).copied();
            // The store may not know yet that they have left.
            link.is_some_and(|link| link.open || link.told.is_none())
        };
        if !claim.interrupted && !here && !elsewhere.is_empty() {
            let detail = format!("{} is sent by {}, but its person is at {elsewhere:?}", delivery.id, life.name);
            life.world.broken(Invariant::SentWhereTheyAre, detail);
        }
    }

    /// Whether somebody was connected nowhere for so long at any time from `from` until now, as far as the hub can
    /// know: who leaves, and it is not told, counts as away for long.
    #[must_use]
    pub fn was_away_for(&self, place: &Place, span: Duration, (from, now): (Timestamp, Timestamp)) -> bool {
        let state = self.0.lock().unwrap();
        state.absences.get(place).is_some_and(|Absence { since, until, told }| {
            let until = until.unwrap_or(now);
            until >= from && (until.since(*since) >= span || told.is_none())
        })
    }

    /// Since when the hub knows that somebody is connected nowhere, who still is.
    #[must_use]
    pub fn known_away_since(&self, place: &Place) -> Option<Timestamp> {
        let state = self.0.lock().unwrap();
        state.absences.get(place).filter(|absence| absence.until.is_none())?.told
    }
}
