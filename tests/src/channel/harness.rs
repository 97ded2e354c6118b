//! What an adapter brings to the suite.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hearback_core::{
    ErrorKind,
    channel::{Address, Callback, Capabilities, Channel, Inbox},
    clock::ManualClock,
    error::Error,
    feedback::Request,
    layer::Operation,
    person::UserRef,
};
use serde_json::Value;

/// Something that a harness can do, or why its kind has no such thing. The reason is printed by the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies<T = ()> {
    /// It applies.
    Yes(T),
    /// It cannot exist for this kind, and why, in a few words.
    No(&'static str),
}

/// What goes wrong with the next call to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The provider answers 401, 404, 429 or 500, or what means the same in its protocol.
    Status {
        /// Which.
        status: u16,
        /// What it says in `Retry-After`; always there with 429.
        retry_after: Option<Duration>,
    },
    /// It takes the call and never answers.
    Hang,
    /// It takes the call and cuts the connection.
    Cut,
    /// It answers as if all were well, and with what it was sent where something else is to stand.
    Echo,
}

/// A person's answer, as a provider tells it.
#[derive(Clone, Debug)]
pub struct Event {
    /// The provider's own id of this event.
    pub id: String,
    /// The question.
    pub request: Arc<Request>,
    /// Who answers.
    pub from: Address,
    /// The value.
    pub value: Value,
}

/// How an event is proven to be the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// As the provider does it.
    Good,
    /// Complete and well-formed, but not made with the right secret.
    Bad,
}

/// What the provider is left with after it told an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It may forget the event.
    Acknowledged,
    /// It was not believed.
    Refused,
    /// It has no acknowledgement and is to tell the event again.
    Again,
}

/// What came back to the provider.
#[derive(Debug)]
pub struct Heard {
    /// What it means.
    pub outcome: Outcome,
    /// The channel's error, where there was one. The suite looks for secrets in it.
    pub error: Option<Error>,
    /// What was said. The suite looks for secrets in it.
    pub said: Vec<u8>,
}

/// A kind of channel to put through the suite: its adapter, unchanged, before a fake of its provider.
///
/// There are no default methods: a harness says of everything how it goes, or why it cannot exist.
#[async_trait]
pub trait Harness: Send + Sync + Sized + 'static {
    /// The word for the kind in the configuration.
    const KIND: &'static str;

    /// The capabilities that a channel of this kind can be built with: the only ones, or a choice that has every limit
    /// and every ability both declared and undeclared where its settings allow both.
    fn variants() -> Vec<Capabilities>;

    /// Whether people can answer by this channel itself.
    fn inbound() -> Applies;

    /// Whether its provider gives events an id of their own.
    fn event_ids() -> Applies;

    /// Whether its provider proves events by a signature or a secret.
    fn signatures() -> Applies;

    /// Whether a sending of unknown end leaves its person without word of the request's end, unless a receipt turns up.
    fn doubt() -> Applies;

    /// Builds a channel with these capabilities on a new fake of its provider. Building does no I/O. What the fake
    /// answers to a fault should repeat what it was sent, secrets among it: real ones do.
    async fn open(capabilities: Capabilities, clock: Arc<ManualClock>) -> Self;

    /// The channel, without layers: the suite puts the hub's around it.
    fn channel(&self) -> Arc<dyn Channel>;

    /// Where this person is reached on it.
    fn address(&self, user: &UserRef) -> Address;

    /// The texts that must stay secret: credentials, and URLs that hold some.
    fn secrets(&self) -> Applies<Vec<String>>;

    /// Puts a request where the channel expects it before it is sent, and returns it as it is then; most kinds expect
    /// it nowhere.
    async fn put(&self, request: Request) -> Arc<Request>;

    /// Orders what goes wrong with the next call of an operation, which is a probe, a sending or a settlement. After it
    /// the provider is well again.
    fn script(&self, operation: Operation, fault: Fault) -> Applies;

    /// Returns when a call has come to the [`Fault::Hang`] that was ordered.
    async fn hanging(&self);

    /// The text of every message that people have before them, oldest first.
    fn arrived(&self) -> Vec<String>;

    /// How many calls reached the provider, those that went wrong among them.
    fn calls(&self) -> Applies<usize>;

    /// Lets the provider tell an event, and returns when it has been acknowledged or not. `channel` is the one with its
    /// layers. Its `run` is under way with the same inbox: a provider that is polled holds its poll open until then.
    /// Called only where [`Harness::inbound`] applies.
    async fn inject(&self, channel: &Arc<dyn Channel>, inbox: Arc<dyn Inbox>, event: &Event, proof: Proof) -> Heard;
}

/// Makes a call of the provider's, and reads the answer as the provider would, to whom the server passes it on.
pub async fn call_back(channel: &Arc<dyn Channel>, call: Callback, inbox: Arc<dyn Inbox>) -> Heard {
    match channel.callback(call, inbox).await {
        Ok(reply) => {
            let outcome = match reply.status.as_u16() {
                200..=299 => Outcome::Acknowledged,
                429 => Outcome::Again,
                400..=499 => Outcome::Refused,
                _ => Outcome::Again,
            };
            // The acknowledgement has gone out by now: what is stored in this work comes too late.
            reply.after.map(tokio::spawn);
            Heard { outcome, error: None, said: reply.body.to_vec() }
        }
        Err(error) => {
            let outcome = match error.kind() {
                ErrorKind::Unsupported | ErrorKind::NotFound | ErrorKind::Auth | ErrorKind::Rejected => {
                    Outcome::Refused
                }
                _ => Outcome::Again,
            };
            Heard { outcome, error: Some(error), said: Vec::new() }
        }
    }
}
