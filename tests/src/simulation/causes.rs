//! What happened to each delivery outside the hub. By this alone may it end otherwise than with its person told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use hearback_core::{
    Error, ErrorKind, Retry, Timestamp,
    channel::{Address, ChannelName},
    id::{DeliveryId, RequestId, UserId},
    store::SendClaim,
};

use super::gate::Life;

/// Where somebody is reached.
pub type Place = (ChannelName, Address);

/// One time that somebody is not connected.
#[derive(Clone, Debug)]
struct Absence {
    since: Timestamp,
    until: Option<Timestamp>,
    /// When the hub was last told of it.
    told: Option<Timestamp>,
    /// Which servers were told.
    told_to: BTreeSet<String>,
}

/// Who claimed a delivery last, and when.
#[derive(Debug)]
struct Holder {
    life: Arc<Life>,
    at: Timestamp,
}

/// What happened to each delivery.
#[derive(Debug, Default)]
pub struct Causes {
    refused: Mutex<BTreeSet<DeliveryId>>,
    doubtful: Mutex<BTreeSet<DeliveryId>>,
    noted: Mutex<BTreeSet<DeliveryId>>,
    out: Mutex<BTreeMap<DeliveryId, Timestamp>>,
    holders: Mutex<BTreeMap<DeliveryId, Holder>>,
    absences: Mutex<BTreeMap<Place, Absence>>,
    lookers: Mutex<BTreeMap<(RequestId, UserId), String>>,
    jumped: Mutex<Option<Timestamp>>,
}

impl Causes {
    /// Whether a provider gave the delivery, or its settlement, a fault that lasts.
    #[must_use]
    pub fn was_refused(&self, delivery: DeliveryId) -> bool {
        self.refused.lock().unwrap().contains(&delivery)
    }

    /// Whether nobody could know how an attempt ended.
    #[must_use]
    pub fn is_doubtful(&self, delivery: DeliveryId) -> bool {
        self.doubtful.lock().unwrap().contains(&delivery)
    }

    /// Whether a server took a receipt that came by another way than the attempt's end.
    #[must_use]
    pub fn was_noted(&self, delivery: DeliveryId) -> bool {
        self.noted.lock().unwrap().contains(&delivery)
    }

    /// Since when a receipt is stored.
    #[must_use]
    pub fn out_since(&self, delivery: DeliveryId) -> Option<Timestamp> {
        self.out.lock().unwrap().get(&delivery).copied()
    }

    /// A question could not be sent.
    pub fn question_failed(&self, delivery: DeliveryId, error: &Error) {
        if error.kind() == ErrorKind::Ambiguous {
            self.doubt(delivery);
        } else if error.retry() == Retry::Never {
            self.refused.lock().unwrap().insert(delivery);
        }
    }

    /// A settlement, or the notice in its place, could not be made. Credentials may be renewed, and what is gone needs none;
    /// no fault that passes lasts for the week that a settlement is tried, as all end with the schedule.
    pub fn settlement_failed(&self, delivery: DeliveryId, error: &Error) {
        if error.retry() == Retry::Never && !matches!(error.kind(), ErrorKind::Auth | ErrorKind::NotFound) {
            self.refused.lock().unwrap().insert(delivery);
        }
    }

    /// How an attempt ended is not known.
    pub fn doubt(&self, delivery: DeliveryId) {
        self.doubtful.lock().unwrap().insert(delivery);
    }

    /// A server took a receipt by another way.
    pub fn note(&self, delivery: DeliveryId) {
        self.noted.lock().unwrap().insert(delivery);
    }

    /// A receipt is stored.
    pub fn is_out(&self, delivery: DeliveryId, now: Timestamp) {
        self.out.lock().unwrap().entry(delivery).or_insert(now);
    }

    /// A server claimed a delivery. What another one held is in doubt only if that one died, did not reach the store, or
    /// stood still.
    pub fn claimed(&self, claim: &SendClaim, life: &Arc<Life>) {
        let id = claim.delivery.id;
        let holder = Holder { life: life.clone(), at: life.world.now() };
        let before = self.holders.lock().unwrap().insert(id, holder);
        let jumped = *self.jumped.lock().unwrap();
        let lost = |Holder { life, at }: Holder| {
            life.died.is_cancelled() || life.troubled_at() >= Some(at) || jumped >= Some(at)
        };
        if claim.interrupted && before.is_some_and(lost) {
            self.doubt(id);
        }
    }

    /// Time went on past somebody's moment.
    pub fn jumps(&self, from: Timestamp) {
        *self.jumped.lock().unwrap() = Some(from);
    }

    /// Somebody leaves.
    pub fn leaves(&self, place: Place, now: Timestamp) {
        self.absences
            .lock()
            .unwrap()
            .insert(place, Absence { since: now, until: None, told: None, told_to: BTreeSet::new() });
    }

    /// Somebody is back.
    pub fn returns(&self, place: &Place, now: Timestamp) {
        if let Some(absence) = self.absences.lock().unwrap().get_mut(place) {
            absence.until = Some(now);
        }
    }

    /// A server took the word that somebody has left, which it was told at `begun`.
    pub fn absence_is_told(&self, place: &Place, begun: Timestamp, server: &str) {
        if let Some(absence) = self.absences.lock().unwrap().get_mut(place)
            && absence.until.is_none()
            && absence.since <= begun
        {
            absence.told = Some(begun);
            absence.told_to.insert(server.into());
        }
    }

    /// Whether somebody was away for so long at any time from `from` until now, as the server has to think that looked at
    /// this route last: who leaves as another server is told counts here as away for long.
    #[must_use]
    pub fn was_away_for(
        &self,
        place: &Place,
        span: Duration,
        (from, now): (Timestamp, Timestamp),
        route: (RequestId, UserId),
    ) -> bool {
        let (absences, lookers) = (self.absences.lock().unwrap(), self.lookers.lock().unwrap());
        absences.get(place).is_some_and(|Absence { since, until, told_to, .. }| {
            let until = until.unwrap_or(now);
            let told = lookers.get(&route).is_some_and(|server| told_to.contains(server));
            until >= from && (until.since(*since) >= span || !told)
        })
    }

    /// A server begins to look at a route.
    pub fn looks(&self, route: (RequestId, UserId), server: &str) {
        self.lookers.lock().unwrap().insert(route, server.into());
    }

    /// Since when the hub knows that somebody is away, who still is.
    #[must_use]
    pub fn known_away_since(&self, place: &Place) -> Option<Timestamp> {
        let absences = self.absences.lock().unwrap();
        absences.get(place).filter(|absence| absence.until.is_none())?.told
    }
}
