//! The storage port: one method a use case, each atomic and durable when it returns.
//!
//! Every implementation passes the same suite (`hearback_tests::store`). A store publishes the events of a commit on the
//! [`crate::event::Bus`] it was built with: in commit order, after the commit, before the caller hears.

mod judge;
mod memory;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::Value;

pub use judge::{Judgement, judge};
pub use memory::MemoryStore;

use crate::{
    channel::{Address, ChannelName, Receipt, Recorded},
    clock::Timestamp,
    error::Result,
    event::{Event, EventId},
    feedback::{Delivery, DeliveryState, Request, Response, Status},
    id::{DeliveryId, RequestId, ResponseId, TokenId, UserId},
    person::{Person, Reader, UserRef},
};

/// What makes a repeated creation the same one: both are SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Of the token, the path and the caller's key.
    pub key: [u8; 32],
    /// Of the body.
    pub fingerprint: [u8; 32],
}

/// A request to store, with its first deliveries.
#[derive(Clone, Debug)]
pub struct NewRequest {
    /// The request; its `created_event` is given by the store.
    pub request: Request,
    /// Its first deliveries.
    pub deliveries: Vec<Delivery>,
    /// The caller's idempotency key.
    pub idempotency: Option<Idempotency>,
}

/// What became of a creation.
#[derive(Clone, Debug)]
pub enum Created {
    /// It is stored.
    New(Arc<Request>),
    /// The same creation is stored already: the request as it is now.
    Replayed(Arc<Request>),
    /// The key was used with another body. Nothing is stored.
    Mismatch,
}

/// Where a candidate answer stands before the state of its request is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// From somebody asked, and valid for the question.
    Valid,
    /// From somebody asked, but it does not answer the question: why.
    Invalid(String),
    /// From somebody who is not asked: why it is refused.
    Refused(String),
}

/// A candidate answer to record.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The id of the response it becomes.
    pub id: ResponseId,
    /// Which question.
    pub request_id: RequestId,
    /// Who gave it.
    pub by: Option<UserRef>,
    /// The channel it came by.
    pub channel: ChannelName,
    /// The value.
    pub value: Value,
    /// What was said besides.
    pub comment: Option<String>,
    /// When the hub took it.
    pub at: Timestamp,
    /// The provider's id of the event; unique on the channel.
    pub event: Option<String>,
    /// Where it stands.
    pub standing: Standing,
}

/// What became of ending a request from outside.
#[derive(Clone, Debug)]
pub enum Ended {
    /// It ended by this call.
    Now(Arc<Request>),
    /// It had ended before: the request with that ending.
    Before(Arc<Request>),
}

/// A page of a list: at most `limit` items, and whether more follow.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether more follow the last one.
    pub more: bool,
}

/// Whose requests a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those that this service token put.
    AskedByToken(TokenId),
    /// Those that this account put, in person or with any of its service tokens.
    AskedByUser(UserId),
    /// Those that ask this person.
    Asked(UserId),
}

/// Which requests a list holds: newest first, by the events of their creation.
#[derive(Clone, Copy, Debug)]
pub struct RequestQuery {
    /// Whose.
    pub scope: Scope,
    /// Only these.
    pub status: Option<Status>,
    /// Only those put before this one, with which the page before ended; none when it is not known.
    pub before: Option<RequestId>,
    /// At most this many.
    pub limit: usize,
}

/// A delivery to attempt: its newest attempt has begun and is committed. One that was cut off has no new attempt.
#[derive(Clone, Debug)]
pub struct SendClaim {
    /// The delivery, in state `Sending`.
    pub delivery: Delivery,
    /// What is delivered.
    pub request: Arc<Request>,
    /// Whether its newest attempt was cut off by a crash, so that it may have been sent.
    pub interrupted: bool,
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

/// Durable storage, as use cases.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Stores a request, its first deliveries, its idempotency key and its event, or none of them. The route of a person
    /// without a delivery is looked at at once: they may have got an address since they were looked up.
    async fn create(&self, new: NewRequest) -> Result<Created>;

    /// A request.
    async fn request(&self, id: RequestId) -> Result<Option<Arc<Request>>>;

    /// A list of requests.
    async fn requests(&self, query: RequestQuery) -> Result<Page<Arc<Request>>>;

    /// Records a response by the rules of [`judge`], and with an accepted one the ending, its event, and the work of
    /// settling. `None` when there is no such request.
    async fn respond(&self, candidate: Candidate) -> Result<Option<Recorded>>;

    /// Cancels a pending request. `None` when there is no such request.
    async fn cancel(&self, id: RequestId, at: Timestamp) -> Result<Option<Ended>>;

    /// Ends up to `limit` requests whose deadline has come; says how many, and when the next deadline is.
    async fn expire(&self, now: Timestamp, limit: usize) -> Result<(usize, Option<Timestamp>)>;

    /// Responses to a request, oldest first, after the one with id `after`.
    async fn responses(&self, id: RequestId, after: Option<ResponseId>, limit: usize) -> Result<Page<Response>>;

    /// The deliveries of a request, oldest first, after the one with id `after`.
    async fn deliveries(&self, id: RequestId, after: Option<DeliveryId>, limit: usize) -> Result<Page<Delivery>>;

    /// Claims up to `limit` deliveries that are due, or whose lease ran out: begins their attempts, leased until `lease`.
    async fn claim_sends(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<SendClaim>>;

    /// Ends an attempt: the delivery gets its state, the attempt its error, the route its time. When the lease was lost, only a
    /// receipt counts, and only while the end is open. If the request ended meanwhile, what was sent is to be settled.
    async fn finish_send(&self, end: FinishedSend) -> Result<()>;

    /// Notes a receipt that came by another way than the end of its attempt: the delivery is `Sent`, if it is on `channel`,
    /// has been attempted, has no receipt yet and is not settled, and its route is looked at. If the request has ended, it
    /// is to be settled. `None` when the channel has no such delivery.
    async fn note_receipt(
        &self,
        channel: &ChannelName,
        id: DeliveryId,
        receipt: &Receipt,
        now: Timestamp,
    ) -> Result<Option<Noted>>;

    /// Claims up to `limit` routes of pending requests that are due, leased until `lease`.
    async fn claim_routes(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<RouteClaim>>;

    /// Carries a route on. Does nothing when the lease was lost or the request has ended: then whatever happened meanwhile
    /// has made it due again. What has hastened it meanwhile still holds. When with it everybody's route is exhausted for the
    /// first time, appends the event `Undeliverable`.
    async fn finish_route(&self, step: RouteAdvance) -> Result<()>;

    /// Lets the routes of pending requests that have something out at `address` be looked at by `due` at the latest.
    async fn hasten_routes(&self, channel: &ChannelName, address: &Address, due: Timestamp) -> Result<u64>;

    /// Lets every route of a pending request be looked at by `due` at the latest.
    async fn hasten_all_routes(&self, due: Timestamp) -> Result<u64>;

    /// Notes what the person's device, or the person, did with what was sent. Says whether it was known.
    async fn acknowledge(
        &self,
        channel: &ChannelName,
        address: &Address,
        receipt: &Receipt,
        read: bool,
    ) -> Result<bool>;

    /// Queues again what was skipped for `address`; says how much.
    async fn requeue_skipped(&self, channel: &ChannelName, address: &Address, now: Timestamp) -> Result<u64>;

    /// Claims up to `limit` settlements that are due, leased until `lease`.
    async fn claim_settlements(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<SettleClaim>>;

    /// Ends a claimed settlement. Does nothing when the lease was lost.
    async fn finish_settlement(&self, id: DeliveryId, lease: Timestamp, result: SettleResult) -> Result<()>;

    /// Proves that it can be written to and read from, by asking both without changing anything.
    async fn ping(&self) -> Result<()>;

    /// The newest event, or zero.
    async fn head(&self) -> Result<EventId>;

    /// Up to `limit` events for `reader` after `after`, in order. `None` when `after` is not a place in the log.
    async fn events(&self, reader: Reader, after: EventId, limit: usize) -> Result<Option<Vec<Arc<Event>>>>;

    /// Up to `limit` creation events of requests that concern `reader` and are pending, in order, after `after`.
    async fn pending(&self, reader: Reader, after: EventId, limit: usize) -> Result<Vec<Arc<Event>>>;

    /// The people with these usernames, confirmed e-mails or user ids, in the order asked.
    async fn people(&self, names: &[String]) -> Result<Vec<Option<Person>>>;

    /// The person with this confirmed address on a channel.
    async fn person_at(&self, channel: &ChannelName, address: &Address) -> Result<Option<UserRef>>;

    /// Counts deliveries of a channel by what matters to an operator.
    async fn delivery_counts(&self, channel: &ChannelName) -> Result<DeliveryCounts>;

    /// Forgets idempotency keys given before `before`.
    async fn prune(&self, before: Timestamp) -> Result<()>;
}

/// How many deliveries a channel has waiting, out and given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct DeliveryCounts {
    /// Waiting for an attempt or for the next round, or in an attempt.
    pub queued: u64,
    /// Sent, and not settled yet.
    pub sent: u64,
    /// Given up.
    pub failed: u64,
}
