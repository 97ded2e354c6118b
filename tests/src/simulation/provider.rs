//! Simulated messaging services: what reached people, what they were told, and how ill the service is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use hearback_core::{
    Error, ErrorKind, Retry, Timestamp,
    channel::{
        Address, Capabilities, ChannelName, Connection, Content, Inbound, MemoryChannel, Outbound, Receipt, Settlement,
    },
    feedback::Ending,
    id::DeliveryId,
};

use super::{gate::Life, invariant::Invariant, outbox::Outbox, world::World};

/// What is wrong with a whole service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Illness {
    /// Every call fails like this.
    Fails(ErrorKind),
    /// No call returns.
    Hangs,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Done,
    /// It is done, and the hub hears of it by another way before the call returns.
    DoneAndToldBefore,
    /// It is not done.
    Fails(ErrorKind),
    /// It is not done, and that lies with the person.
    FailsForThem,
    /// Whether it is done is not known to the caller; this says it.
    Doubtful(bool),
    /// It never returns; whether it is done.
    Hangs(bool),
}

/// A question that somebody sees.
#[derive(Clone, Debug)]
pub struct Shown {
    /// By what it is known here.
    pub receipt: Receipt,
    /// How often it was shown.
    pub times: u32,
    /// What the person was told about its end.
    pub told: Option<String>,
    /// Whether the person has deleted it.
    pub deleted: bool,
}

#[derive(Debug, Default)]
struct State {
    illness: Option<Illness>,
    shown: BTreeMap<DeliveryId, Shown>,
    once: BTreeSet<(uuid::Uuid, bool)>,
    sent: usize,
}

/// One simulated service, the same for every server.
#[derive(Debug)]
pub struct Provider {
    /// The name of its channel.
    pub name: ChannelName,
    /// The kind of its adapter.
    pub kind: &'static str,
    /// What it can do.
    pub capabilities: Capabilities,
    world: Arc<World>,
    outbox: Arc<Outbox>,
    state: Mutex<State>,
    runs: Mutex<Vec<Arc<Life>>>,
    /// The servers on which nothing is left to receive.
    done: Mutex<BTreeSet<String>>,
}

/// A run under way.
struct Run(Arc<Provider>, Arc<Life>);

impl Drop for Run {
    fn drop(&mut self) {
        self.0.runs.lock().unwrap().retain(|life| !Arc::ptr_eq(life, &self.1));
    }
}

/// The services there are: one to which people connect, one that edits, one that cannot, and one that is a program.
#[must_use]
pub fn all(world: &Arc<World>, outbox: &Arc<Outbox>) -> Vec<Arc<Provider>> {
    let plain = MemoryChannel::CAPABILITIES;
    let slow = hearback_core::channel::SendRate { per_second: 1, burst: *world.chance.of(&[1, 3]) };
    let kinds = [
        ("desk", "websocket", Capabilities { account_addresses: true, idempotent_send: true, ..plain }),
        ("chat", "slack", Capabilities { send_rate: world.chance.happens(500).then_some(slow), ..plain }),
        ("mail", "gmail", Capabilities { edit: false, receipts: false, ..plain }),
        ("hook", "webhook", Capabilities { idempotent_send: true, threads: false, ..plain }),
    ];
    let provider = |(name, kind, capabilities): (&str, &'static str, Capabilities)| {
        let (world, outbox) = (world.clone(), outbox.clone());
        let (name, state) = (name.parse().unwrap(), Mutex::default());
        let (runs, done) = (Mutex::default(), Mutex::default());
        Arc::new(Provider { name, kind, capabilities, world, outbox, state, runs, done })
    };
    kinds.into_iter().map(provider).collect()
}

impl Provider {
    /// From now on the service is so.
    pub fn set_illness(&self, illness: Option<Illness>) {
        self.world.note(format_args!("{} is {illness:?}", self.name));
        self.state.lock().unwrap().illness = illness;
    }

    /// How it is.
    #[must_use]
    pub fn illness(&self) -> Option<Illness> {
        self.state.lock().unwrap().illness
    }

    /// Whether people connect to it: then each server reaches those who are connected to it.
    #[must_use]
    pub fn is_connected_to(&self) -> bool {
        self.kind == "websocket"
    }

    /// Whether nothing is left to receive by running it.
    #[must_use]
    pub fn is_called_back(&self) -> bool {
        matches!(self.kind, "websocket" | "webhook")
    }

    /// Whether somebody cannot be reached from this server.
    #[must_use]
    pub fn is_away(&self, who: &Address, server: &str) -> bool {
        self.is_connected_to() && !self.world.people.is_at(&(self.name.clone(), who.clone()), server)
    }

    /// Somebody connects to a server, which is told.
    pub fn connect(&self, who: &Address, server: &str) {
        let (channel, address, connection) = (self.name.clone(), who.clone(), Connection::Here);
        self.world.note(format_args!("{who} connects to {} at {server}", self.name));
        self.world.people.connects(&(channel.clone(), address.clone()), server, self.world.now());
        self.outbox.put_at(self.world.now(), server, Inbound::Connected { channel, address, connection });
    }

    /// Somebody leaves a server, which is told.
    pub fn disconnect(&self, who: &Address, server: &str) {
        let (channel, address, connection) = (self.name.clone(), who.clone(), Connection::Here);
        self.world.note(format_args!("{who} leaves {} at {server}", self.name));
        self.world.people.leaves(&(channel.clone(), address.clone()), server, self.world.now());
        self.outbox.put_at(self.world.now(), server, Inbound::Disconnected { channel, address, connection });
    }

    /// The servers that somebody is connected to.
    #[must_use]
    pub fn servers_of(&self, who: &Address) -> Vec<String> {
        self.world.people.servers_of(&(self.name.clone(), who.clone()))
    }

    /// A server begins to run the channel, until what this returns is dropped: nobody else does.
    pub fn is_run_by(self: &Arc<Self>, life: &Arc<Life>) -> impl Drop + use<> {
        let mut runs = self.runs.lock().unwrap();
        runs.retain(|other| !other.died.is_cancelled());
        if let Some(other) = runs.first()
            && !self.world.causes.has_just_jumped(self.world.now())
        {
            let detail = format!("{} runs {} while {} does", life.name, self.name, other.name);
            self.world.broken(Invariant::OneRun, detail);
        }
        runs.push(life.clone());
        Run(self.clone(), life.clone())
    }

    /// On this server nothing is left to receive: it need not run the channel any more.
    pub fn is_done(&self, server: &str) {
        self.done.lock().unwrap().insert(server.into());
    }

    /// Whether this server has to run the channel if no other one does.
    #[must_use]
    pub fn is_to_be_run_by(&self, server: &str) -> bool {
        !self.done.lock().unwrap().contains(server)
    }

    /// How many servers run the channel.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs.lock().unwrap().iter().filter(|life| !life.died.is_cancelled()).count()
    }

    /// What a delivery shows to its person, if it arrived.
    #[must_use]
    pub fn shown(&self, delivery: DeliveryId) -> Option<Shown> {
        self.state.lock().unwrap().shown.get(&delivery).cloned()
    }

    /// What becomes of the next call.
    #[must_use]
    pub fn fate(&self) -> Fate {
        let chance = &self.world.chance;
        match self.state.lock().unwrap().illness {
            Some(Illness::Fails(kind)) => return Fate::Fails(kind),
            Some(Illness::Hangs) => return Fate::Hangs(chance.happens(500)),
            None => {}
        }
        if !self.world.fault(self.world.rough.channel_fault) {
            return Fate::Done;
        }
        let arrived = chance.happens(500);
        chance.weighted(&[
            (3, Fate::DoneAndToldBefore),
            (1, Fate::Fails(ErrorKind::Config)),
            (1, Fate::Fails(ErrorKind::Rejected)),
            (1, Fate::Fails(ErrorKind::NotFound)),
            (1, Fate::Fails(ErrorKind::Unexpected)),
            (2, Fate::Fails(ErrorKind::Auth)),
            (3, Fate::Fails(ErrorKind::RateLimited)),
            (4, Fate::Fails(ErrorKind::Unavailable)),
            (1, Fate::FailsForThem),
            (3, Fate::Doubtful(arrived)),
            (2, Fate::Hangs(arrived)),
        ])
    }

    /// The fault of a call that was not done.
    #[must_use]
    pub fn fault(&self, kind: ErrorKind) -> Error {
        let error = Error::new(kind, "simulated", format!("as the seed wants it: {kind:?}"));
        if kind == ErrorKind::RateLimited && self.world.chance.happens(600) {
            let wait = self.world.chance.up_to(Duration::from_mins(10));
            return error.with_retry(Retry::After(wait));
        }
        error
    }

    /// Shows what was sent, and says by what it is known. With `told` the hub hears of it by another way as well.
    pub fn arrives(&self, to: &Address, what: &Outbound, told: Option<Timestamp>) -> Receipt {
        let mut state = self.state.lock().unwrap();
        let delivery = DeliveryId::from(what.id);
        let notice = matches!(what.content, Content::Notice { .. });
        let known = !state.once.insert((what.id, notice)) && self.capabilities.idempotent_send;
        state.sent += 1;
        let receipt = Receipt::from(format!("{}-{}", self.name, state.sent));
        self.world.note(format_args!("{} shows {delivery} notice={notice} known={known}", self.name));
        if let Content::Notice { text } = &what.content {
            if let Some(shown) = state.shown.get_mut(&delivery) {
                shown.told = Some(text.clone());
            }
            return receipt;
        }
        let shown = state.shown.entry(delivery);
        let shown = shown.or_insert(Shown { receipt, times: 0, told: None, deleted: false });
        shown.times += u32::from(!known);
        let receipt = shown.receipt.clone();
        let channel = self.name.clone();
        if let Some(at) = told {
            self.outbox.put(at, Inbound::Sent { channel: channel.clone(), delivery, receipt: receipt.clone() });
        }
        if self.capabilities.receipts && self.world.fault(300) {
            let read = self.world.chance.happens(400);
            let at = self.world.now().after(self.world.chance.up_to(Duration::from_secs(2)));
            let (from, receipt) = (to.clone(), receipt.clone());
            self.outbox.put(at, Inbound::Acknowledged { channel, from, receipt, read });
        }
        receipt
    }

    /// Shows at a question how it ended; says whether it is still there.
    pub fn tells(&self, what: &Settlement<'_>) -> bool {
        let mut state = self.state.lock().unwrap();
        let Some(shown) = state.shown.values_mut().find(|shown| shown.receipt == *what.receipt) else { return false };
        shown.told = Some(told(what.ending));
        self.world.note(format_args!("{} settles {}", self.name, what.delivery));
        !shown.deleted
    }

    /// The person deletes a question.
    pub fn deletes(&self, receipt: &Receipt) {
        let mut state = self.state.lock().unwrap();
        if let Some(shown) = state.shown.values_mut().find(|shown| shown.receipt == *receipt) {
            self.world.note(format_args!("{receipt} is deleted"));
            shown.deleted = true;
        }
    }
}

/// What a person reads of an ending.
#[must_use]
pub fn told(ending: &Ending) -> String {
    ending.sentence()
}
