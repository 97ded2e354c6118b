//! What comes in over a channel.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::Value;

use super::{Address, ChannelName, Outbound, Receipt};
use crate::{
    error::Result,
    feedback::{Request, Response},
    hub::Responded,
    id::{DeliveryId, RequestId},
    person::{Linked, UserRef},
    secret::Secret,
    store::Counts,
};

/// Something that a provider told a channel.
#[derive(Clone, Debug)]
pub enum Inbound {
    /// A person answered.
    Response {
        /// The channel it came by.
        channel: ChannelName,
        /// Who, by the provider's signature or the log-in; never by the text.
        from: Address,
        /// Which question.
        request: RequestId,
        /// The value given.
        value: Value,
        /// What was said besides.
        comment: Option<String>,
        /// The provider's own id of this event, by which a repetition is known; `None` where it gives none.
        event: Option<String>,
    },
    /// A person answered in their own words, unmistakably to one question. The hub reads them
    /// ([`crate::reading`]); what it is not sure of is kept as invalid, with the words to use instead.
    Text {
        /// The channel it came by.
        channel: ChannelName,
        /// Who, by the provider's signature.
        from: Address,
        /// Which question, by an explicit reply to it.
        about: About,
        /// The whole message.
        text: String,
        /// The provider's own id of this event, by which a repetition is known; `None` where it gives none.
        event: Option<String>,
    },
    /// Somebody opened the link that [`super::Channel::link`] made.
    Linked {
        /// The channel.
        channel: ChannelName,
        /// Who, by the provider's signature.
        from: Address,
        /// The code in the link.
        code: Secret,
    },
    /// Somebody wants to be reached there no more.
    Unlinked {
        /// The channel.
        channel: ChannelName,
        /// Who, by the provider's signature.
        from: Address,
    },
    /// Somebody takes nothing from this channel any more: what is out to them goes on to their next channel, and nothing more
    /// is sent there until they do again.
    Blocked {
        /// The channel.
        channel: ChannelName,
        /// Where.
        address: Address,
    },
    /// They do again.
    Unblocked {
        /// The channel.
        channel: ChannelName,
        /// Where.
        address: Address,
    },
    /// A receipt for something whose sending had an unknown end, or has not been recorded yet.
    Sent {
        /// The channel it was sent over.
        channel: ChannelName,
        /// What was sent.
        delivery: DeliveryId,
        /// The provider's id for it.
        receipt: Receipt,
    },
    /// What was sent arrived, or was seen.
    Acknowledged {
        /// The channel it was sent over.
        channel: ChannelName,
        /// To whom.
        from: Address,
        /// Which sending.
        receipt: Receipt,
        /// Whether the person saw it.
        read: bool,
    },
    /// Somebody who could not be reached can be now.
    Connected {
        /// The channel.
        channel: ChannelName,
        /// Who.
        address: Address,
        /// To what.
        connection: Connection,
    },
    /// Somebody cannot be reached any more. When they stay away, their questions go on to the next channel.
    Disconnected {
        /// The channel.
        channel: ChannelName,
        /// Who.
        address: Address,
        /// From what: with `Here`, from the last place that they had on this server.
        connection: Connection,
    },
}

impl Inbound {
    /// The channel, and where on it somebody is whom this is about.
    pub(crate) const fn place_mut(&mut self) -> Option<(&ChannelName, &mut Address)> {
        match self {
            Self::Response { channel, from: address, .. }
            | Self::Text { channel, from: address, .. }
            | Self::Linked { channel, from: address, .. }
            | Self::Unlinked { channel, from: address }
            | Self::Blocked { channel, address }
            | Self::Unblocked { channel, address }
            | Self::Acknowledged { channel, from: address, .. }
            | Self::Connected { channel, address, .. }
            | Self::Disconnected { channel, address, .. } => Some((channel, address)),
            Self::Sent { .. } => None,
        }
    }
}

/// Which question somebody's words are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// This one.
    Request(RequestId),
    /// The one that the channel sent with this receipt.
    Sent(Receipt),
}

/// To what somebody is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// To this server itself, as by a socket: no other server reaches them by it.
    Here,
    /// To the service, which every server calls.
    Service,
}

/// A response with what became of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The response as it is kept, with its verdict.
    pub response: Response,
    /// The request after it.
    pub request: Arc<Request>,
    /// Whether this event had come before; the response is then the earlier one.
    pub duplicate: bool,
}

/// The hub's answer to an inbound event, to be spoken in the provider's manner.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The response and its verdict.
    Response(Box<Responded>),
    /// What became of a link that was opened.
    Linked(Linked),
    /// Whose address it was until now; nobody's, it may be.
    Unlinked(Option<UserRef>),
    /// It was noted; there is nothing to say.
    Noted,
}

/// Where inbound events go. Implemented by the hub.
#[async_trait]
pub trait Inbox: fmt::Debug + Send + Sync + 'static {
    /// Stores the event and says what became of it. When it returns `Ok` the event is durable: the provider may be
    /// acknowledged. After an error it must not be, so that the provider sends it again.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such request, or no such delivery on the channel; `Unavailable` when it could not be stored.
    /// `RateLimited` when the person does more than their limits allow: nothing is stored. The adapter says so to the person
    /// where it can, and acknowledges; otherwise the provider sends it again later.
    async fn accept(&self, event: Inbound) -> Result<Reply>;

    /// Who is at an address.
    async fn person_at(&self, channel: &ChannelName, from: &Address) -> Result<Option<UserRef>>;

    /// A request.
    async fn request(&self, id: RequestId) -> Result<Option<Arc<Request>>>;

    /// Up to `limit` questions that await somebody, newest first, and lets those that are not out there yet be sent there now.
    /// `None` when nobody is at this address.
    async fn pending(&self, channel: &ChannelName, from: &Address, limit: usize) -> Result<Option<Pending>>;

    /// How many there are of what; at most a minute old.
    async fn counts(&self) -> Result<Counts>;
}

/// What awaits somebody.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Who.
    pub person: UserRef,
    /// The questions that are out at this address, newest first.
    pub out: Vec<Awaiting>,
    /// How many others are being sent there.
    pub sending: usize,
    /// Whether there are more than were asked for.
    pub more: bool,
}

/// A question that awaits somebody, where they see it.
#[derive(Clone, Debug)]
pub struct Awaiting {
    /// As it was sent.
    pub outbound: Outbound,
    /// The provider's id for that.
    pub receipt: Receipt,
}
