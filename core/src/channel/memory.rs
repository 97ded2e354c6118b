//! A channel that keeps what it is given in memory: for tests, and as the smallest example of an adapter.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    Adapter, Address, Callback, CallbackReply, Capabilities, Channel, ChannelName, Connect, Inbox, Outbound, Parts,
    Reach, Receipt, Settlement, registry::read_settings,
};
use crate::{
    error::{Error, ErrorKind, FieldError, Result},
    feedback::Ending,
    secret::{ExposeSecret, Secret},
};

/// The kind `memory`.
#[derive(Clone, Copy, Debug)]
pub struct MemoryAdapter;

/// Its settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemorySettings {
    /// The longest text it takes.
    #[serde(default)]
    text_max: Option<u32>,
}

impl Adapter for MemoryAdapter {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn schema(&self) -> Schema {
        schema_for!(MemorySettings)
    }

    fn build(&self, name: ChannelName, settings: Value, _: &Parts) -> Result<Arc<dyn Channel>, FieldError> {
        let MemorySettings { text_max } = read_settings(settings)?;
        let capabilities = Capabilities { text_max, ..MemoryChannel::CAPABILITIES };
        Ok(Arc::new(MemoryChannel::new(name, capabilities)))
    }
}

/// Something that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// To whom.
    pub to: Address,
    /// What.
    pub what: Outbound,
    /// Its receipt.
    pub receipt: Receipt,
    /// How its request ended, once that was told.
    pub ending: Option<Ending>,
}

#[derive(Debug, Default)]
struct State {
    sent: Vec<Sent>,
    away: HashSet<Address>,
    faults: VecDeque<Fault>,
    ill: Option<ErrorKind>,
    probes: u32,
    reach_hangs: bool,
}

#[derive(Debug)]
enum Fault {
    Error(Error),
    Hang,
}

/// A channel in memory. Its faults are scripted: the next send fails, or hangs until it is dropped.
#[derive(Debug)]
pub struct MemoryChannel {
    name: ChannelName,
    capabilities: Capabilities,
    state: Mutex<State>,
}

impl MemoryChannel {
    /// What it can do unless told otherwise.
    pub const CAPABILITIES: Capabilities = Capabilities {
        buttons: true,
        forms: true,
        messages: true,
        edit: true,
        threads: true,
        inbound: true,
        receipts: true,
        idempotent_send: false,
        account_addresses: false,
        email_addresses: false,
        links: false,
        text_max: None,
        choices_max: None,
        send_rate: None,
        address_rate: None,
    };

    /// A channel with these capabilities.
    #[must_use]
    pub fn new(name: ChannelName, capabilities: Capabilities) -> Self {
        Self { name, capabilities, state: Mutex::default() }
    }

    /// Everything sent so far, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.state.lock().sent.clone()
    }

    /// Lets the next call of `send` or `settle` fail.
    pub fn fail_next(&self, error: Error) {
        self.state.lock().faults.push_back(Fault::Error(error));
    }

    /// Lets the next call of `send` or `settle` hang until its caller gives up.
    pub fn hang_next(&self) {
        self.state.lock().faults.push_back(Fault::Hang);
    }

    /// Lets every probe fail in this way, or none.
    pub fn fail_probes(&self, kind: Option<ErrorKind>) {
        self.state.lock().ill = kind;
    }

    /// Lets nobody know who can be reached, until it is told otherwise.
    pub fn hang_reach(&self, hangs: bool) {
        self.state.lock().reach_hangs = hangs;
    }

    /// How often it was probed.
    #[must_use]
    pub fn probes(&self) -> u32 {
        self.state.lock().probes
    }

    /// Whether `address` is connected. Everybody is at first.
    pub fn set_connected(&self, address: &Address, connected: bool) {
        let away = &mut self.state.lock().away;
        if connected {
            away.remove(address)
        } else {
            away.insert(address.clone())
        };
    }

    async fn fault(&self) -> Result<()> {
        let fault = self.state.lock().faults.pop_front();
        match fault {
            Some(Fault::Error(error)) => Err(error),
            Some(Fault::Hang) => std::future::pending().await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Channel for MemoryChannel {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn probe(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.probes += 1;
        state.ill.map_or(Ok(()), |kind| Err(Error::new(kind, "memory.probe", "as scripted")))
    }

    async fn reach(&self, to: &Address) -> Reach {
        if self.state.lock().reach_hangs {
            return std::future::pending().await;
        }
        if self.state.lock().away.contains(to) { Reach::Later } else { Reach::Now }
    }

    fn is_personal(&self, _: &Address) -> bool {
        true
    }

    async fn link(&self, code: &Secret) -> Result<String> {
        if !self.capabilities.links {
            return Err(Error::unsupported("memory.link"));
        }
        Ok(format!("https://memory.invalid/{}", code.expose_secret()))
    }

    async fn send(&self, to: &Address, what: &Outbound) -> Result<Receipt> {
        self.fault().await?;
        let mut state = self.state.lock();
        let receipt = Receipt::from(format!("memory-{}", state.sent.len() + 1));
        state.sent.push(Sent { to: to.clone(), what: what.clone(), receipt: receipt.clone(), ending: None });
        Ok(receipt)
    }

    async fn settle(&self, what: &Settlement<'_>) -> Result<()> {
        if !self.capabilities.edit {
            return Err(Error::unsupported("memory.settle"));
        }
        self.fault().await?;
        let mut state = self.state.lock();
        let sent = state.sent.iter_mut().find(|sent| sent.receipt == *what.receipt);
        let sent =
            sent.ok_or_else(|| Error::new(ErrorKind::NotFound, "memory.settle", "nothing was sent with this receipt"))?;
        sent.ending = Some(what.ending.clone());
        Ok(())
    }

    async fn run(&self, _: Arc<dyn Inbox>, _: CancellationToken) -> Result<()> {
        Ok(())
    }

    async fn callback(&self, _: Callback, _: Arc<dyn Inbox>) -> Result<CallbackReply> {
        Err(Error::unsupported("memory.callback"))
    }

    fn connect(&self) -> Option<&dyn Connect> {
        None
    }
}
