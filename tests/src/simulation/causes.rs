//! What happened to each delivery outside the hub. By this alone may it end otherwise than with its person told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use hearback_core::{Error, ErrorKind, Retry, Timestamp, id::DeliveryId, store::SendClaim};

use super::gate::Life;

/// Whoever slept through their moment wakes by then.
const JUST_NOW: Duration = Duration::from_secs(1);

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
    jumped: Mutex<Option<(Timestamp, Timestamp)>>,
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

    /// A settlement, or the notice in its place, could not be made. Credentials may be renewed, and what is gone needs
    /// none; no fault that passes lasts for the week that a settlement is tried, as all end with the schedule.
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

    /// A server claimed a delivery. What another one held is in doubt only if that one died, did not reach the store,
    /// or stood still.
    pub fn claimed(&self, claim: &SendClaim, life: &Arc<Life>) {
        let id = claim.delivery.id;
        let holder = Holder { life: life.clone(), at: life.world.now() };
        let before = self.holders.lock().unwrap().insert(id, holder);
        let jumped = self.jumped.lock().unwrap().map(|(from, _)| from);
        let lost = |Holder { life, at }: Holder| {
            life.died.is_cancelled() || life.troubled_at() >= Some(at) || jumped >= Some(at)
        };
        if claim.interrupted && before.is_some_and(lost) {
            self.doubt(id);
        }
    }

    /// Time goes on past somebody's moment.
    pub fn jumps(&self, from: Timestamp, to: Timestamp) {
        *self.jumped.lock().unwrap() = Some((from, to));
    }

    /// Whether time has just done so, and those whose moments have passed may not have noticed it.
    #[must_use]
    pub fn has_just_jumped(&self, now: Timestamp) -> bool {
        self.jumped.lock().unwrap().is_some_and(|(_, to)| now >= to && now.since(to) < JUST_NOW)
    }
}
