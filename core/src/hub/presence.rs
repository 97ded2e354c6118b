//! Who is connected, and who has left. The store knows it of all servers; what a channel says of its own server is
//! newer.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use futures_util::{StreamExt, future, stream};
use parking_lot::Mutex;
use tokio::sync;
use tracing::warn;

use super::{Hub, OnDrop};
use crate::{
    channel::{Address, ChannelName, Connection, Reach},
    clock::Timestamp,
    error::Result,
    feedback::{Delivery, DeliveryState},
    id::DeliveryId,
    store::{Presence, RouteClaim},
};

/// How long a person may be disconnected before what is out to them counts as unseen. A page that is loaded again takes
/// less.
pub(super) const AWAY_AFTER: Duration = Duration::from_secs(10);

/// How many people the store is told of at the same time.
const TOLD_AT_ONCE: usize = 64;

/// So many people may come and go at the same time without waiting for each other.
const TURNS: usize = 64;

/// What this server knows of who is connected.
#[derive(Debug)]
pub(super) struct Presences {
    /// Who is connected to this server, as far as the store was told.
    here: Mutex<BTreeSet<(ChannelName, Address)>>,
    /// Who comes and goes is written down one after another for each address, so that the last word is the last.
    turns: [sync::Mutex<()>; TURNS],
    /// When this server started: nobody can have been connected to it before.
    started: Timestamp,
}

impl Presences {
    pub(super) fn new(started: Timestamp) -> Self {
        Self { here: Mutex::default(), turns: std::array::from_fn(|_| sync::Mutex::default()), started }
    }

    async fn turn(&self, channel: &ChannelName, address: &Address) -> sync::MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        (channel, address).hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or_default();
        self.turns[place].lock().await
    }
}

/// Whether the person of a route is connected where they are asked.
#[derive(Default)]
pub(super) struct Whereabouts {
    /// What is out where they have been away for so long that it counts as unseen.
    pub(super) unseen: Vec<DeliveryId>,
    /// What was skipped where they are connected again.
    pub(super) back: Vec<DeliveryId>,
    /// When they will have been away for so long, where they have just left.
    pub(super) next: Option<Timestamp>,
}

impl Hub {
    pub(super) async fn whereabouts(&self, claim: &RouteClaim) -> Whereabouts {
        let mut whereabouts = Whereabouts::default();
        for delivery in &claim.deliveries {
            let skipped = matches!(delivery.state, DeliveryState::Skipped { .. });
            if !skipped && delivery.state.receipt().is_none() {
                continue;
            }
            let Delivery { channel, address, .. } = delivery;
            let Some(running) = self.channels.get(channel) else { continue };
            if !skipped && self.is_blocked(running, address).await {
                whereabouts.unseen.push(delivery.id);
                continue;
            }
            let reach = running.channel().reach(address).await;
            let known = claim.presences.get(&(channel.clone(), address.clone())).unwrap_or(&Presence::Unknown);
            let is_there = match known {
                Presence::Left { service: true, .. } => false,
                known => reach == Reach::Now || known.is_elsewhere(self.server),
            };
            if skipped && is_there {
                whereabouts.back.push(delivery.id);
                if reach == Reach::Now && !known.is_at(self.server) && *known != Presence::Service {
                    // They get it here, and no server that knows less of them tries in between.
                    self.say_somebody_is_here(channel, address).await;
                }
            } else if !skipped && !is_there && reach != Reach::Never {
                match self.grace(channel, address, known).await {
                    Some(end) => whereabouts.next = Some(whereabouts.next.map_or(end, |next| next.min(end))),
                    None => whereabouts.unseen.push(delivery.id),
                }
            }
        }
        whereabouts
    }

    /// Until when a person who is not connected may yet come back in time; `None` when that has passed.
    async fn grace(&self, channel: &ChannelName, address: &Address, known: &Presence) -> Option<Timestamp> {
        let now = self.clock.now();
        let since = match known {
            Presence::Left { at, .. } => *at,
            // They have left this server, and the store was not told yet, or could not be.
            known if known.is_at(self.server) => {
                self.say_somebody_left(channel, address).await;
                now
            }
            _ => self.presences.started,
        };
        Some(since.max(self.presences.started).after(AWAY_AFTER)).filter(|end| *end > now)
    }

    /// Somebody can be reached again: what was skipped for them is sent.
    pub(super) async fn connected(
        &self,
        channel: &ChannelName,
        address: &Address,
        connection: Connection,
    ) -> Result<()> {
        let _turn = self.presences.turn(channel, address).await;
        // Word of it may come late: they may have left again.
        if self.is_away(channel, address).await {
            return Ok(());
        }
        let _wake = OnDrop(|| self.sends_due.notify_one());
        let server = self.end_of(connection);
        self.store.connected(channel, address, server, self.clock.now()).await?;
        if server.is_some() {
            self.presences.here.lock().insert((channel.clone(), address.clone()));
        }
        Ok(())
    }

    /// Somebody cannot be reached any more: if they stay away, their routes go on.
    pub(super) async fn disconnected(
        &self,
        channel: &ChannelName,
        address: &Address,
        connection: Connection,
    ) -> Result<()> {
        let _turn = self.presences.turn(channel, address).await;
        // Word of it may come late: they may be back.
        if !self.is_away(channel, address).await {
            return Ok(());
        }
        let _wake = OnDrop(|| {
            self.routes_due.notify_one();
            self.sends_due.notify_one();
        });
        let (now, server) = (self.clock.now(), self.end_of(connection));
        self.store.disconnected(channel, address, server, now, now.after(AWAY_AFTER)).await?;
        self.presences.here.lock().remove(&(channel.clone(), address.clone()));
        Ok(())
    }

    fn end_of(&self, connection: Connection) -> Option<crate::id::ServerId> {
        match connection {
            Connection::Here => Some(self.server),
            Connection::Service => None,
        }
    }

    async fn is_away(&self, channel: &ChannelName, address: &Address) -> bool {
        let Some(running) = self.channels.get(channel) else { return false };
        running.channel().reach(address).await == Reach::Later
    }

    /// The channel said it, if to nobody but who asked.
    async fn say_somebody_is_here(&self, channel: &ChannelName, address: &Address) -> bool {
        let said = self.connected(channel, address, Connection::Here).await;
        if let Err(error) = &said {
            warn!(%error, %channel, "it could not be noted that somebody is connected");
        }
        said.is_ok()
    }

    async fn say_somebody_left(&self, channel: &ChannelName, address: &Address) {
        if let Err(error) = self.disconnected(channel, address, Connection::Here).await {
            warn!(%error, %channel, "it could not be noted that somebody left");
        }
    }

    /// The store has taken this server for dead, and everybody who is connected to it for gone.
    ///
    /// Says whether the store knows better now.
    pub(super) async fn say_who_is_here(&self) -> bool {
        let here = self.presences.here.lock().clone();
        let say = |(channel, address)| async move { self.say_somebody_is_here(&channel, &address).await };
        // Together, so that they share commits; and not all, so that others are served too.
        stream::iter(here).map(say).buffer_unordered(TOLD_AT_ONCE).all(future::ready).await
    }

    /// Whether somebody whom the channel does not know to be connected is: the service told another server.
    pub(super) async fn is_at_service(&self, delivery: &Delivery) -> bool {
        let Delivery { channel, address, .. } = delivery;
        match self.store.presence(channel, address, self.clock.now()).await {
            Ok(Presence::Service) => true,
            Ok(known) => {
                if known.is_at(self.server) {
                    self.say_somebody_left(channel, address).await;
                }
                false
            }
            Err(error) => {
                warn!(%error, %channel, "it is not known whether somebody is connected");
                false
            }
        }
    }

    /// Whoever left while they were being sent something had nothing out that would have been looked at.
    pub(super) async fn note_departure(&self, delivery: &Delivery) {
        let Delivery { channel, address, .. } = delivery;
        if !self.is_away(channel, address).await {
            return;
        }
        let _wake = OnDrop(|| self.routes_due.notify_one());
        if let Err(error) = self.store.hasten_routes(channel, address, self.clock.now().after(AWAY_AFTER)).await {
            warn!(%error, delivery = %delivery.id, "it could not be noted that somebody left");
        }
    }
}
