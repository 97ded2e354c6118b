//! The port to where people are reached, as far as channels change it.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::UserRef;
use crate::{
    channel::{Address, ChannelName},
    clock::Timestamp,
    error::Result,
    id::AddressId,
    secret::{ExposeSecret, Secret},
};

/// What becomes of a delivery whose address is blocked. A store knows by it what to send when the person is back.
pub const BLOCKED: &str = "the person has blocked this channel";

/// What became of a link that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linked {
    /// The address is this person's, from now on or already.
    To(UserRef),
    /// No such code is good: it was used, replaced by a newer one, or its time is over.
    Stale,
    /// The code is good, but another person has the address. It is used up.
    Taken,
}

/// Where people are reached. The hub asks only of channels that link accounts.
#[async_trait]
pub trait Addresses: fmt::Debug + Send + Sync + 'static {
    /// Gives an address to whoever the code was given to, and uses the code up. Once it was used, the same address hears the
    /// same again: a provider may tell it twice. `id` is the address's if it is new.
    ///
    /// Makes due: `Work::Routes`.
    async fn link(
        &self,
        channel: &ChannelName,
        address: &Address,
        code: &Secret,
        id: AddressId,
        at: Timestamp,
    ) -> Result<Linked>;

    /// Takes an address away from whoever has it; says who had. What waits to be sent there goes elsewhere.
    ///
    /// Makes due: `Work::Routes`.
    async fn unlink(&self, channel: &ChannelName, address: &Address, at: Timestamp) -> Result<Option<UserRef>>;

    /// Notes that a person's address takes nothing from the channel any more.
    async fn block(&self, channel: &ChannelName, address: &Address, at: Timestamp) -> Result<()>;

    /// Notes that it does again, and queues again what was not sent because of that.
    ///
    /// Makes due: `Work::Sends`.
    async fn unblock(&self, channel: &ChannelName, address: &Address, at: Timestamp) -> Result<()>;

    /// Whether it takes nothing from the channel.
    async fn is_blocked(&self, channel: &ChannelName, address: &Address) -> Result<bool>;
}

/// Addresses in memory, for tests and the simulation: whoever a code was offered to has what it was used from.
#[derive(Debug, Default)]
pub struct MemoryAddresses(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    offered: HashMap<String, UserRef>,
    linked: HashMap<(ChannelName, Address), UserRef>,
    blocked: HashSet<(ChannelName, Address)>,
}

impl MemoryAddresses {
    /// Gives a person a code.
    pub fn offer(&self, code: &str, user: UserRef) {
        self.0.lock().offered.insert(code.into(), user);
    }
}

#[async_trait]
impl Addresses for MemoryAddresses {
    async fn link(
        &self,
        channel: &ChannelName,
        address: &Address,
        code: &Secret,
        _: AddressId,
        _: Timestamp,
    ) -> Result<Linked> {
        let mut known = self.0.lock();
        let Some(user) = known.offered.get(code.expose_secret()).cloned() else { return Ok(Linked::Stale) };
        let owner = known.linked.entry((channel.clone(), address.clone())).or_insert_with(|| user.clone());
        Ok(if *owner == user { Linked::To(user) } else { Linked::Taken })
    }

    async fn unlink(&self, channel: &ChannelName, address: &Address, _: Timestamp) -> Result<Option<UserRef>> {
        Ok(self.0.lock().linked.remove(&(channel.clone(), address.clone())))
    }

    async fn block(&self, channel: &ChannelName, address: &Address, _: Timestamp) -> Result<()> {
        self.0.lock().blocked.insert((channel.clone(), address.clone()));
        Ok(())
    }

    async fn unblock(&self, channel: &ChannelName, address: &Address, _: Timestamp) -> Result<()> {
        self.0.lock().blocked.remove(&(channel.clone(), address.clone()));
        Ok(())
    }

    async fn is_blocked(&self, channel: &ChannelName, address: &Address) -> Result<bool> {
        Ok(self.0.lock().blocked.contains(&(channel.clone(), address.clone())))
    }
}
