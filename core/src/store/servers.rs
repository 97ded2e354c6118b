//! The servers that share a store: who lives, who is connected to whom, who runs a channel.

use std::{collections::HashMap, time::Duration};

use crate::{
    channel::{Address, ChannelName},
    clock::Timestamp,
    id::ServerId,
};

/// For so long it is remembered that somebody has left a server.
pub const LEFT_KEPT: Duration = Duration::from_mins(1);

/// Who a server shares the store with, once it has said that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// The store serves one server at a time: this one, until another one opens it. It need not say again that it
    /// lives.
    Alone,
    /// Others may share the store.
    Shared {
        /// Whether the store did not know it, or took it for dead: what it knew of its connections is forgotten.
        anew: bool,
        /// Whether another server's life has run out, and this is the first time that anybody notes it.
        bereft: bool,
    },
}

/// Whether a server may run a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It may, for as long as it asked for.
    Held,
    /// Another server may, until then at least unless it lets go.
    HeldUntil(Timestamp),
}

/// What is known of whether somebody is connected at an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// Nothing, or nothing any more: who left long ago is not remembered.
    #[default]
    Unknown,
    /// They are connected to these living servers, in the order of their ids.
    At(Vec<ServerId>),
    /// They are connected to the service, which every server calls.
    Service,
    /// They are not connected.
    Left {
        /// Since when: a server that died was left when its life ran out.
        at: Timestamp,
        /// Whether they were connected to the service.
        service: bool,
    },
}

/// What is known at each address; what is not in it is [`Presence::Unknown`].
pub type Presences = HashMap<(ChannelName, Address), Presence>;

/// One thing that is stored of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    /// To which server; `None` to the service itself.
    pub server: Option<ServerId>,
    /// Since when not any more.
    pub left_at: Option<Timestamp>,
    /// When that server's life ends, if the store knows the server.
    pub alive_until: Option<Timestamp>,
}

impl Presence {
    /// What follows from all that is stored of one address.
    #[must_use]
    pub fn of(stored: impl IntoIterator<Item = Connected>, now: Timestamp) -> Self {
        let (mut at, mut at_service, mut left) = (Vec::new(), false, None);
        for Connected { server, left_at, alive_until } in stored {
            match (server, left_at) {
                (None, None) => at_service = true,
                (Some(server), None) if alive_until.is_some_and(|until| until > now) => at.push(server),
                (_, ended) => left = left.max(ended.or(alive_until).map(|ended| (ended, server.is_none()))),
            }
        }
        at.sort_unstable();
        match left {
            _ if !at.is_empty() => Self::At(at),
            _ if at_service => Self::Service,
            Some((at, service)) => Self::Left { at, service },
            None => Self::Unknown,
        }
    }

    /// Whether they are connected to this server, as far as the store knows.
    #[must_use]
    pub fn is_at(&self, server: ServerId) -> bool {
        matches!(self, Self::At(servers) if servers.contains(&server))
    }

    /// Whether they are connected to another server than this one, or to the service.
    #[must_use]
    pub fn is_elsewhere(&self, server: ServerId) -> bool {
        match self {
            Self::At(servers) => servers.iter().any(|other| *other != server),
            Self::Service => true,
            Self::Unknown | Self::Left { .. } => false,
        }
    }
}
