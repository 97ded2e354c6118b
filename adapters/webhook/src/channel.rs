//! The channel: probe, send, settle.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use hearback_core::{
    Clock, Error, ErrorKind, Result,
    channel::{
        Adapter, Address, Callback, CallbackReply, Capabilities, Channel, ChannelName, Connect, Content, Inbox,
        Outbound, Parts, Reach, Receipt, Settlement, read_settings,
    },
    error::FieldError,
    secret::{ExposeSecret, Secret},
};
use parking_lot::Mutex;
use schemars::{Schema, schema_for};
use serde_json::Value;
use tokio::{select, sync::oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    answer::{Asked, What},
    client::{Answered, Client},
    message::{Body, Message, VERSION},
    presence::Presence,
    settings::{Declared, Settings, parse_secret, parse_url},
};

/// So much sooner than the hub ends a sending it is ended here, where it is known what it lacks.
const SOONER: Duration = Duration::from_millis(100);

/// The kind `webhook`.
#[derive(Clone, Copy, Debug)]
pub struct WebhookAdapter;

impl Adapter for WebhookAdapter {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn schema(&self) -> Schema {
        schema_for!(Settings)
    }

    fn build(&self, name: ChannelName, settings: Value, parts: &Parts) -> Result<Arc<dyn Channel>, FieldError> {
        Ok(Arc::new(Webhook::new(name, read_settings(settings)?, parts)?))
    }
}

/// A channel that is a program of somebody else's.
pub struct Webhook {
    name: ChannelName,
    callback_url: String,
    declared: Declared,
    capabilities: Capabilities,
    client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    send_timeout: Duration,
    pub(crate) waiting: Waiting,
    pub(crate) presence: Presence,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).field("client", &self.client).finish_non_exhaustive()
    }
}

impl Webhook {
    /// The kind of this adapter.
    pub const KIND: &'static str = "webhook";
    /// The segment after the channel's name that plug-ins call.
    pub const TAIL: &'static str = "events";

    /// A channel to the plug-in of these settings.
    ///
    /// # Errors
    ///
    /// The setting at fault.
    pub fn new(name: ChannelName, settings: Settings, parts: &Parts) -> Result<Self, FieldError> {
        let Settings { url, secret, capabilities: declared } = settings;
        let (url, key) = (parse_url(url.expose_secret())?, parse_secret(&secret)?);
        declared.check()?;
        let client = Client::new(url, key, parts.outbound_allow.clone(), parts.clock.clone(), parts.send_timeout)?;
        Ok(Self {
            callback_url: format!("{}{name}/{}", parts.callbacks_url, Self::TAIL),
            name,
            declared,
            capabilities: declared.capabilities(),
            client,
            clock: parts.clock.clone(),
            send_timeout: parts.send_timeout,
            waiting: Waiting::default(),
            presence: Presence::default(),
        })
    }

    pub(crate) fn key(&self) -> &crate::signature::Key {
        &self.client.key
    }

    pub(crate) const fn declared(&self) -> &Declared {
        &self.declared
    }

    async fn tell(&self, asked: Asked<'_>, body: Body<'_>) -> Result<Answered> {
        let id = body.id(self.clock.now());
        let message = Message { version: VERSION, channel: &self.name, callback_url: &self.callback_url, body };
        let bytes = serde_json::to_vec(&message)
            .map_err(|error| asked.fault(ErrorKind::Unexpected, format!("a message cannot be written: {error}")))?;
        self.client.post(&id, bytes).await.map_err(|no| asked.no_answer(&no))
    }

    fn asked(&self, operation: &'static str, what: What) -> Asked<'_> {
        Asked { operation, what, key: self.key(), url: &self.client.url, code: None }
    }
}

#[async_trait]
impl Channel for Webhook {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn probe(&self) -> Result<()> {
        let asked = self.asked("webhook.probe", What::Probe);
        let there = asked.probed(&self.tell(asked, Body::Probe).await?)?;
        match self.declared.beyond(&there) {
            None => Ok(()),
            Some(difference) => {
                let detail =
                    format!("{difference}; write `{}` into [channels.{}] of hearback.toml", there.toml(), self.name);
                Err(asked.fault(ErrorKind::Config, detail))
            }
        }
    }

    async fn reach(&self, to: &Address) -> Reach {
        self.presence.reach(to)
    }

    fn is_personal(&self, _: &Address) -> bool {
        true
    }

    async fn link(&self, _: &Secret) -> Result<String> {
        Err(Error::unsupported("webhook.link"))
    }

    async fn send(&self, to: &Address, what: &Outbound) -> Result<Receipt> {
        let twice = if self.declared.idempotent_send { What::SendIdempotent } else { What::Send };
        let mut asked = self.asked("webhook.send", twice);
        if let Content::Code { code, .. } = &what.content {
            asked.code = Some(code.expose_secret());
        }
        // The receipt may come as a callback before the call that it is for has been answered.
        let mut late = self.waiting.wait(what.id);
        let overdue = self.clock.now().after(self.send_timeout.saturating_sub(SOONER));
        let answered = self.tell(asked, Body::sending(to, what)).await;
        match answered.and_then(|answered| asked.receipt(&answered)) {
            Ok(Some(receipt)) => Ok(receipt),
            Ok(None) => select! {
                biased;
                receipt = &mut late.receipt => receipt
                    .map_err(|_| asked.fault(ErrorKind::Ambiguous, "the receipt went to a later sending of the same")),
                () = self.clock.sleep_until(overdue) => Err(asked.unknown(format!(
                    "the plug-in answered with 202, and its `receipt` did not come within {} s (SEND_TIMEOUT)",
                    self.send_timeout.as_secs()
                ))),
            },
            // It called back, whatever became of its answer.
            Err(error) => late.receipt.try_recv().map_err(|_| error),
        }
    }

    async fn settle(&self, what: &Settlement<'_>) -> Result<()> {
        let asked = self.asked("webhook.settle", What::Settle);
        if !self.declared.edit {
            return Err(Error::unsupported(asked.operation));
        }
        asked.settled(&self.tell(asked, Body::settling(what, self.declared.text_max)).await?)
    }

    async fn run(&self, _: Arc<dyn Inbox>, _: CancellationToken) -> Result<()> {
        Ok(())
    }

    async fn callback(&self, call: Callback, inbox: Arc<dyn Inbox>) -> Result<CallbackReply> {
        crate::callback::handle(self, call, inbox.as_ref()).await
    }

    fn connect(&self) -> Option<&dyn Connect> {
        None
    }
}

/// The sendings whose receipt has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    by_id: HashMap<Uuid, Place>,
    /// How many there have been: a later sending of the same takes the place of the earlier one, which must not take it
    /// away again.
    count: u64,
}

#[derive(Debug)]
struct Place {
    number: u64,
    tx: oneshot::Sender<Receipt>,
}

/// A place among them, given up when dropped.
#[derive(Debug)]
pub(crate) struct Late {
    waiting: Arc<Mutex<Places>>,
    id: Uuid,
    number: u64,
    receipt: oneshot::Receiver<Receipt>,
}

impl Waiting {
    fn wait(&self, id: Uuid) -> Late {
        let (tx, receipt) = oneshot::channel();
        let mut places = self.0.lock();
        places.count += 1;
        let number = places.count;
        places.by_id.insert(id, Place { number, tx });
        Late { waiting: self.0.clone(), id, number, receipt }
    }

    /// Hands a receipt to whoever waits for it, and says whether somebody did.
    pub(crate) fn arrived(&self, id: Uuid, receipt: &Receipt) -> bool {
        let place = self.0.lock().by_id.remove(&id);
        place.is_some_and(|place| place.tx.send(receipt.clone()).is_ok())
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.lock().by_id.len()
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        let mut places = self.waiting.lock();
        if places.by_id.get(&self.id).is_some_and(|place| place.number == self.number) {
            places.by_id.remove(&self.id);
        }
    }
}
