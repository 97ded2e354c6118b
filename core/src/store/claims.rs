//! Claimed work of deliveries and routes, and how it ends.

use std::sync::Arc;

use super::Presences;
use crate::{
    channel::Address,
    clock::Timestamp,
    feedback::{Delivery, DeliveryState, Request},
    id::{DeliveryId, RequestId, UserId},
    person::{Locale, Person, Preferences},
};

/// A delivery to attempt: its newest attempt has begun and is committed. One that was cut off has no new attempt.
#[derive(Clone, Debug)]
pub struct SendClaim {
    /// The delivery, in state `Sending`.
    pub delivery: Delivery,
    /// What is delivered.
    pub request: Arc<Request>,
    /// When it was due; of one that was cut off, when its lease was over.
    pub due: Timestamp,
    /// Whether its newest attempt was cut off by a crash, so that it may have been sent.
    pub interrupted: bool,
    /// Whether the person's account was deactivated meanwhile: nothing is sent to them then.
    pub deactivated: bool,
    /// How the person likes to be reached, now.
    pub preferences: Preferences,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct FinishedSend {
    /// The delivery.
    pub id: DeliveryId,
    /// The lease under which it was attempted.
    pub lease: Timestamp,
    /// What becomes of the delivery.
    pub state: DeliveryState,
    /// Whether the channel was called at all; if not, the attempt is taken back.
    pub attempted: bool,
    /// What went wrong, if anything did.
    pub error: Option<String>,
    /// Whether it may have arrived although no receipt is there. A delivery stays in doubt whatever its later attempts
    /// come to.
    pub in_doubt: bool,
    /// When the person's route is looked at next because of it; `None` leaves that as it was.
    pub route_due: Option<Timestamp>,
    /// The present moment.
    pub now: Timestamp,
}

/// A receipt that came by another way than the end of its attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Where what it is for was sent.
    pub address: Address,
    /// Whether the delivery had none before.
    pub is_news: bool,
}

/// The route of one person asked, due to be looked at.
#[derive(Clone, Debug)]
pub struct RouteClaim {
    /// The request, pending.
    pub request: Arc<Request>,
    /// Who is asked, as they are known now.
    pub person: Person,
    /// Their deliveries of it, oldest first.
    pub deliveries: Vec<Delivery>,
    /// What is known of whether they are connected, at the addresses of these deliveries.
    pub presences: Presences,
    /// How many rounds have begun after the whole route had failed.
    pub rounds: u32,
    /// When the lease runs out.
    pub lease: Timestamp,
}

/// How a person's route goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteAdvance {
    /// Which request.
    pub request: RequestId,
    /// Which person.
    pub user: UserId,
    /// The lease under which it was looked at.
    pub lease: Timestamp,
    /// Deliveries over further channels, which begin.
    pub begin: Vec<Delivery>,
    /// Held and skipped deliveries that are queued again, with when they are due.
    pub again: Vec<(DeliveryId, Timestamp)>,
    /// How many rounds have begun.
    pub rounds: u32,
    /// Whether the hub has nothing left by which it expects to reach the person.
    pub exhausted: bool,
    /// When it is looked at next; `None` until an attempt ends or somebody comes or goes.
    pub due: Option<Timestamp>,
    /// The present moment.
    pub now: Timestamp,
}

/// A delivery whose person is to be told how the request ended.
#[derive(Clone, Debug)]
pub struct SettleClaim {
    /// The delivery.
    pub delivery: Delivery,
    /// What was delivered, now ended.
    pub request: Arc<Request>,
    /// When the lease runs out.
    pub lease: Timestamp,
    /// How often it was tried before.
    pub tries: u32,
    /// The language of the person.
    pub locale: Option<Locale>,
}

/// Claimed work, and when more is due.
#[derive(Clone, Debug)]
pub struct Claims<T> {
    /// What was claimed.
    pub claimed: Vec<T>,
    /// When the next unclaimed piece is due, if there is one.
    pub next_due: Option<Timestamp>,
}

/// What became of a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleResult {
    /// The person was told.
    Settled,
    /// Again at this time.
    Again(Timestamp),
    /// Given up: why.
    GivenUp(String),
}
