//! Channels: the contract between the hub and every messaging service.
//!
//! An adapter implements [`Channel`]; the hub calls it through the layers of [`crate::layer`]. What comes in goes to the
//! hub's [`Inbox`], which has stored it by the time it answers; only then does the adapter acknowledge its provider.

mod callback;
mod capabilities;
mod connect;
mod inbox;
mod memory;
mod name;
mod outbound;
mod registry;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use callback::{Callback, CallbackReply};
pub use capabilities::{Capabilities, SendRate};
pub use connect::Connect;
pub use inbox::{About, Awaiting, Connection, Inbound, Inbox, Pending, Recorded, Reply};
pub use memory::{MemoryAdapter, MemoryChannel, Sent};
pub use name::{Address, ChannelName, NameError, Receipt};
pub use outbound::{AnswerUrls, Content, Outbound};
pub use registry::{Adapter, Adapters, Parts, read_settings};

use crate::{
    error::Result,
    feedback::{Ending, Request},
    id::DeliveryId,
    secret::Secret,
};

/// Whether a person can be reached at an address right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Send.
    Now,
    /// Not connected; the channel tells the inbox when they are.
    Later,
    /// There is nobody at this address.
    Never,
}

/// What is to be shown at something that was sent: its request is over.
#[derive(Clone, Copy, Debug)]
pub struct Settlement<'a> {
    /// The delivery whose message it is.
    pub delivery: DeliveryId,
    /// To whom it was sent.
    pub to: &'a Address,
    /// What the provider knows it by.
    pub receipt: &'a Receipt,
    /// What was asked. A provider that edits a message rewrites it whole.
    pub request: &'a Request,
    /// How it ended.
    pub ending: &'a Ending,
}

/// One configured, running instance of an adapter.
///
/// There are no default methods: a new ability must break every wrapper at compile time. What an adapter cannot do it
/// answers with [`crate::ErrorKind::Unsupported`], and its capabilities say so beforehand. Building a channel does no
/// I/O. No error may hold a secret.
#[async_trait]
pub trait Channel: fmt::Debug + Send + Sync + 'static {
    /// The name it was configured under.
    fn name(&self) -> &ChannelName;

    /// What it can do. Never changes while the channel lives.
    fn capabilities(&self) -> &Capabilities;

    /// Checks credentials and reachability. Leaves nothing behind at the provider.
    async fn probe(&self) -> Result<()>;

    /// Whether `to` can be reached right now.
    async fn reach(&self, to: &Address) -> Reach;

    /// Whether an address is one person's own, and nobody else reads what comes there. One that is not cannot be confirmed as
    /// anybody's, and gets no link that answers in somebody's name.
    fn is_personal(&self, to: &Address) -> bool;

    /// What a person opens to link their account there: it brings `code` back as [`Inbound::Linked`].
    async fn link(&self, code: &Secret) -> Result<String>;

    /// Sends once: never tries again by itself, never cuts silently. The receipt is enough to settle or thread it later.
    async fn send(&self, to: &Address, what: &Outbound) -> Result<Receipt>;

    /// Shows at what was sent that its request ended, and how. Where the provider cannot edit, or not this message any more,
    /// `Unsupported`: the hub then sends a notice in the same thread. What is gone already, with nobody left to tell, is
    /// `NotFound`, and counts as settled.
    async fn settle(&self, what: &Settlement<'_>) -> Result<()>;

    /// Receives what does not come as a callback, until `stop`. Returns `Ok` when stopped or when there is nothing to
    /// receive this way; an error makes the hub's supervisor start it again.
    async fn run(&self, inbox: Arc<dyn Inbox>, stop: CancellationToken) -> Result<()>;

    /// Handles a call of the provider's to `/api/channels/{name}/{tail}`. Verifies its signature before it reads it.
    async fn callback(&self, call: Callback, inbox: Arc<dyn Inbox>) -> Result<CallbackReply>;

    /// How an administrator connects it by OAuth, where that is how.
    fn connect(&self) -> Option<&dyn Connect>;
}
