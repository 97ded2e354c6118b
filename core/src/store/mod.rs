//! The storage port: one method a use case, each atomic and durable when it returns.
//!
//! Every implementation passes the same suite (`hearback_tests::store`). A store publishes the events of a commit on
//! the [`crate::event::Bus`] it was built with: in commit order, after the commit, before the caller hears.
//!
//! Where several servers share a store, each has a bus of its own, and a commit on one also reaches the buses of the
//! others: its events by [`Bus::publish`](crate::event::Bus::publish), and by [`Bus::wake`](crate::event::Bus::wake)
//! word of the [`Work`](crate::event::Work) that it made due, which every method names. Word of work that is none costs
//! a look, and nothing else.

mod claims;
mod judge;
mod memory;
mod servers;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::Value;

pub use claims::{Claims, FinishedSend, Noted, RouteAdvance, RouteClaim, SendClaim, SettleClaim, SettleResult};
pub use judge::{Judgement, judge};
pub use memory::MemoryStore;
pub use servers::{Company, Connected, Hold, LEFT_KEPT, Presence, Presences};

use crate::{
    callback::{Callback, CallbackState},
    channel::{Address, ChannelName, Receipt, Recorded},
    clock::Timestamp,
    error::Result,
    event::{BadCursor, Event, EventId},
    feedback::{Delivery, Request, Response, Status},
    id::{CallbackId, DeliveryId, RequestId, ResponseId, ServerId, TokenId, UserId},
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

/// What is forgotten by its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prune {
    /// Idempotency keys given before this.
    pub keys_before: Timestamp,
    /// Events of before this, as far as no younger one comes before them in the log.
    pub events_before: Timestamp,
    /// At most this many events.
    pub limit: usize,
}

/// What follows a place in the log, in order; or why nothing can be said to follow it.
pub type Following = std::result::Result<Vec<Arc<Event>>, BadCursor>;

/// A callback to make.
#[derive(Clone, Debug)]
pub struct CallbackClaim {
    /// The callback, queued, and due again when the lease runs out.
    pub callback: Callback,
    /// The request it is about, as it is now.
    pub request: Arc<Request>,
    /// Whether its URL has asked to be called no more on behalf of its token.
    pub disabled: bool,
    /// When the lease runs out.
    pub lease: Timestamp,
}

/// What became of a claimed callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedCallback {
    /// The callback.
    pub id: CallbackId,
    /// The lease under which it was made.
    pub lease: Timestamp,
    /// Where it stands now. `Disabled` says for good that its URL is not to be called on behalf of its token.
    pub state: CallbackState,
    /// Whether it was called at all: only then is an attempt counted.
    pub called: bool,
    /// What went wrong, if anything did; the last error stays where nothing did.
    pub error: Option<String>,
}

/// Durable storage, as use cases.
///
/// Whatever changes a delivery, but for the begin of an attempt and the ending of its request, and every response that
/// is kept appends an event that says so, in the same transaction.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Stores a request, its first deliveries, its idempotency key and its event, or none of them. The route of a
    /// person without a delivery is looked at at once: they may have got an address since they were looked up.
    ///
    /// Makes due: `Work::Sends`, `Work::Routes`, `Work::Deadlines`.
    async fn create(&self, new: NewRequest) -> Result<Created>;

    /// A request.
    async fn request(&self, id: RequestId) -> Result<Option<Arc<Request>>>;

    /// A list of requests.
    async fn requests(&self, query: RequestQuery) -> Result<Page<Arc<Request>>>;

    /// Records a response by the rules of [`judge`], and with an accepted one the ending, its event, and the work of
    /// settling. `None` when there is no such request.
    ///
    /// Makes due, with an ending: `Work::Settlements`, `Work::Callbacks`.
    async fn respond(&self, candidate: Candidate) -> Result<Option<Recorded>>;

    /// Cancels a pending request. `None` when there is no such request.
    ///
    /// Makes due, with an ending: `Work::Settlements`, `Work::Callbacks`.
    async fn cancel(&self, id: RequestId, at: Timestamp) -> Result<Option<Ended>>;

    /// Ends up to `limit` requests whose deadline has come; says how many, and when the next deadline is.
    ///
    /// Makes due, with an ending: `Work::Settlements`, `Work::Callbacks`.
    async fn expire(&self, now: Timestamp, limit: usize) -> Result<(usize, Option<Timestamp>)>;

    /// Responses to a request, oldest first, after the one with id `after`.
    async fn responses(&self, id: RequestId, after: Option<ResponseId>, limit: usize) -> Result<Page<Response>>;

    /// The deliveries of a request, oldest first, after the one with id `after`.
    async fn deliveries(&self, id: RequestId, after: Option<DeliveryId>, limit: usize) -> Result<Page<Delivery>>;

    /// Lets a pending request be sent to this person at this address now, as `delivery` unless there is one: that is queued
    /// if it waits, was skipped or given up, or is of unknown end. Says whether it is on its way; what is out already is not.
    ///
    /// Makes due: `Work::Sends`.
    async fn bring(&self, delivery: Delivery, now: Timestamp) -> Result<bool>;

    /// Claims up to `limit` deliveries that are due, or whose lease ran out: begins their attempts, leased until
    /// `lease`.
    ///
    /// What is due at an address that is connected to another living server, and not to `server`, is left for that one.
    /// For `server` it is next due when the life of such a server ends.
    async fn claim_sends(
        &self,
        server: ServerId,
        now: Timestamp,
        lease: Timestamp,
        limit: usize,
    ) -> Result<Claims<SendClaim>>;

    /// Ends an attempt: the delivery gets its state, the attempt its error, the route its time. When the lease was
    /// lost, only a receipt counts, and only while the end is open. With a receipt the route is not exhausted any more.
    /// If the request ended meanwhile, what was sent is to be settled.
    ///
    /// Makes due: `Work::Sends` when it is queued, `Work::Routes` with a time for the route, `Work::Settlements` when
    /// the request has ended.
    async fn finish_send(&self, end: FinishedSend) -> Result<()>;

    /// Notes a receipt that came by another way than the end of its attempt: the delivery is `Sent`, if it is on
    /// `channel`, has been attempted, has no receipt yet and is not settled, and its route is looked at and not exhausted
    /// any more; a look that has begun is void. If the request has ended, it is to be settled. `None` when the channel has no
    /// such delivery.
    ///
    /// Makes due, when it is news: `Work::Routes`, or `Work::Settlements` when the request has ended.
    async fn note_receipt(
        &self,
        channel: &ChannelName,
        id: DeliveryId,
        receipt: &Receipt,
        now: Timestamp,
    ) -> Result<Option<Noted>>;

    /// Claims up to `limit` routes of pending requests that are due, leased until `lease`.
    async fn claim_routes(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<RouteClaim>>;

    /// Carries a route on. Does nothing when the lease was lost or the request has ended: then whatever happened
    /// meanwhile has made it due again. What has hastened it meanwhile still holds. When with it everybody's route is
    /// exhausted for the first time, appends the event `Undeliverable`.
    ///
    /// Makes due: `Work::Sends` for what begins and what is queued again, `Work::Routes` with a time, `Work::Callbacks`
    /// with the event.
    async fn finish_route(&self, step: RouteAdvance) -> Result<()>;

    /// Lets the routes of pending requests that have something out at `address` be looked at by `due` at the latest.
    /// One that is claimed stays so, and is looked at again by the end of its lease at the latest.
    ///
    /// Makes due: `Work::Routes`.
    async fn hasten_routes(&self, channel: &ChannelName, address: &Address, due: Timestamp) -> Result<u64>;

    /// Notes what the person's device, or the person, did with what was sent. Says whether it was known.
    async fn acknowledge(
        &self,
        channel: &ChannelName,
        address: &Address,
        receipt: &Receipt,
        read: bool,
        now: Timestamp,
    ) -> Result<bool>;

    /// Notes that somebody is connected at `address`, to this server or, with `None`, to the service, and queues again
    /// what was skipped for them; says how much.
    ///
    /// Makes due: `Work::Sends`.
    async fn connected(
        &self,
        channel: &ChannelName,
        address: &Address,
        server: Option<ServerId>,
        now: Timestamp,
    ) -> Result<u64>;

    /// Notes that they are not connected there any more since `now`, and hastens what is out to them as
    /// [`Store::hasten_routes`] does; says how much. With `None` they are connected nowhere. Forgets who left a minute
    /// ago.
    ///
    /// Makes due: `Work::Routes`, and `Work::Sends`, since others may have what was left for this server.
    async fn disconnected(
        &self,
        channel: &ChannelName,
        address: &Address,
        server: Option<ServerId>,
        now: Timestamp,
        due: Timestamp,
    ) -> Result<u64>;

    /// What is known of whether somebody is connected at `address`.
    async fn presence(&self, channel: &ChannelName, address: &Address, now: Timestamp) -> Result<Presence>;

    /// Says that `server` lives until `until` unless it says so again. Where the store serves one server at a time, all
    /// others are dead from now on, and `server` lives for good.
    ///
    /// Whoever is connected to a server whose life has run out has left when it did. When there is such a server, or
    /// `server` lives anew, every route of a pending request is looked at by `due` at the latest.
    ///
    /// Makes due then: `Work::Sends`, `Work::Routes`.
    async fn stay(&self, server: ServerId, now: Timestamp, until: Timestamp, due: Timestamp) -> Result<Company>;

    /// Ends a server's life, and lets others run what it ran: they need not wait until either runs out.
    ///
    /// Makes due: `Work::Sends`, `Work::Runs`.
    async fn leave(&self, server: ServerId, now: Timestamp) -> Result<()>;

    /// Lets `server` run a channel until `until`, if it does already, or nobody else may.
    async fn hold_run(&self, channel: &ChannelName, server: ServerId, now: Timestamp, until: Timestamp)
    -> Result<Hold>;

    /// Lets others run a channel that `server` holds; if another one does, nothing changes.
    ///
    /// Makes due: `Work::Runs`.
    async fn release_run(&self, channel: &ChannelName, server: ServerId) -> Result<()>;

    /// Claims up to `limit` settlements that are due, leased until `lease`.
    async fn claim_settlements(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<SettleClaim>>;

    /// Ends a claimed settlement. Does nothing when the lease was lost.
    ///
    /// Makes due, when it is tried again: `Work::Settlements`.
    async fn finish_settlement(
        &self,
        id: DeliveryId,
        lease: Timestamp,
        result: SettleResult,
        now: Timestamp,
    ) -> Result<()>;

    /// Claims up to `limit` callbacks that are due, or whose lease ran out, leased until `lease`. A callback is stored
    /// by the commit of what it tells: the request's ending, or the event `Undeliverable`.
    async fn claim_callbacks(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<CallbackClaim>>;

    /// Ends a claimed callback. Does nothing when the lease was lost.
    ///
    /// Makes due, when it is tried again: `Work::Callbacks`.
    async fn finish_callback(&self, end: FinishedCallback) -> Result<()>;

    /// The callbacks of a request, oldest first, after the one with id `after`.
    async fn callbacks(&self, id: RequestId, after: Option<CallbackId>, limit: usize) -> Result<Page<Callback>>;

    /// Proves that it can be written to and read from, by asking both without changing anything.
    async fn ping(&self) -> Result<()>;

    /// The newest event, or zero.
    async fn head(&self) -> Result<EventId>;

    /// Up to `limit` events for `reader` after `after`.
    async fn events(&self, reader: Reader, after: EventId, limit: usize) -> Result<Following>;

    /// Up to `limit` events of a request after `after`; without it, from the first that the log still has.
    async fn request_events(&self, id: RequestId, after: Option<EventId>, limit: usize) -> Result<Following>;

    /// A delivery.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>>;

    /// Which request a channel sent with this receipt, also once it has been settled.
    async fn sent_as(&self, channel: &ChannelName, receipt: &Receipt) -> Result<Option<RequestId>>;

    /// A response to a request.
    async fn response(&self, request: RequestId, id: ResponseId) -> Result<Option<Response>>;

    /// Up to `limit` creation events of requests that concern `reader` and are pending, in order, after `after`; also
    /// those that the log has no more.
    async fn pending(&self, reader: Reader, after: EventId, limit: usize) -> Result<Vec<Arc<Event>>>;

    /// The people with these usernames, confirmed e-mails or user ids, in the order asked.
    async fn people(&self, names: &[String]) -> Result<Vec<Option<Person>>>;

    /// The person with this confirmed address on a channel.
    async fn person_at(&self, channel: &ChannelName, address: &Address) -> Result<Option<UserRef>>;

    /// Counts deliveries of a channel by what matters to an operator.
    async fn delivery_counts(&self, channel: &ChannelName) -> Result<DeliveryCounts>;

    /// Counts what there is.
    async fn counts(&self) -> Result<Counts>;

    /// Forgets idempotency keys, and removes events from the beginning of the log; never the newest one, by which the
    /// log knows how far it has come. Says whether there may be more events to remove.
    async fn prune(&self, what: Prune) -> Result<bool>;
}

/// How many there are of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// People who can be asked.
    pub people: u64,
    /// Requests that wait for an answer.
    pub pending: u64,
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
