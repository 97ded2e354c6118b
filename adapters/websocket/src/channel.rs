//! The channel over open sockets.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use hearback_core::{
    Clock, Error, ErrorKind, Result,
    channel::{
        Address, Callback, CallbackReply, Capabilities, Channel, ChannelName, Connect, Content, Inbox, Outbound, Reach,
        Receipt, Settlement,
    },
    event::Bus,
    id::UserId,
    limits::Limits as PersonLimits,
    person::Reader,
    secret::Secret,
    store::Store,
};
use tokio::select;
use tokio_util::sync::CancellationToken;

use crate::sockets::{AdmissionError, Limits, Sockets, Ticket};

/// How long a send waits for a socket that does not read.
const STALLED_AFTER: Duration = Duration::from_secs(5);

/// The channel over open sockets, and the place where sockets are served.
///
/// Every socket is fed from the event log, whatever the route of a request, so `send` has nothing to write: it waits
/// until the feed of at least one of the person's sockets has written the request. In the same way `settle` has nothing
/// to do: the commit of the ending feeds every open socket, and whoever is away learns it from the log on return.
pub struct Websocket {
    name: ChannelName,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Arc<dyn PersonLimits>,
    sockets: Arc<Sockets>,
}

impl fmt::Debug for Websocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Websocket").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Websocket {
    /// The kind of this adapter.
    pub const KIND: &'static str = "websocket";

    const CAPABILITIES: Capabilities = Capabilities {
        buttons: true,
        forms: true,
        // The page shows questions; a chat goes over the socket as events.
        messages: false,
        edit: true,
        threads: false,
        inbound: true,
        receipts: true,
        idempotent_send: true,
        account_addresses: true,
        email_addresses: false,
        links: false,
        text_max: None,
        choices_max: None,
        send_rate: None,
        address_rate: None,
    };

    /// A channel without sockets, which admits so many, and tells people how their own limits stand.
    #[must_use]
    pub fn new(
        name: ChannelName,
        store: Arc<dyn Store>,
        bus: Arc<Bus>,
        clock: Arc<dyn Clock>,
        sockets: Limits,
        limits: Arc<dyn PersonLimits>,
    ) -> Self {
        Self { name, store, bus, clock, limits, sockets: Sockets::new(sockets) }
    }

    /// Admits a socket of `reader`, before the upgrade.
    ///
    /// # Errors
    ///
    /// Which limit is reached.
    pub fn admit(&self, reader: Reader) -> Result<Ticket, AdmissionError> {
        self.sockets.admit(reader)
    }
}

impl Websocket {
    /// Whether this reader has a socket open.
    pub(crate) fn is_connected(&self, reader: Reader) -> bool {
        self.sockets.progress(reader).is_some()
    }
}

/// The person whose address this is: people are known here by their account.
fn reader(address: &Address) -> Option<Reader> {
    address.as_str().parse::<UserId>().ok().map(Reader::Person)
}

#[async_trait]
impl Channel for Websocket {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &Self::CAPABILITIES
    }

    async fn probe(&self) -> Result<()> {
        Ok(())
    }

    async fn reach(&self, to: &Address) -> Reach {
        match reader(to) {
            None => Reach::Never,
            Some(reader) if self.sockets.progress(reader).is_some() => Reach::Now,
            Some(_) => Reach::Later,
        }
    }

    fn is_personal(&self, _: &Address) -> bool {
        true
    }

    async fn link(&self, _: &Secret) -> Result<String> {
        Err(Error::unsupported("websocket.link"))
    }

    async fn send(&self, to: &Address, what: &Outbound) -> Result<Receipt> {
        let Content::Request { request, .. } = &what.content else {
            return Err(Error::unsupported("websocket.send"));
        };
        // A person who leaves or does not read is no illness of the hub's sockets.
        let fault = |detail| Error::new(ErrorKind::Unavailable, "websocket.send", detail).of_recipient();
        let gone = || fault("the person's last socket closed");
        let mut progress = reader(to).and_then(|reader| self.sockets.progress(reader)).ok_or_else(gone)?;
        let stalled = self.clock.sleep_until(self.clock.now().after(STALLED_AFTER));
        select! {
            biased;
            written = progress.wait_for(|written| *written >= request.created_event) => written.map_err(|_| gone())?,
            () = stalled => return Err(fault("the person's sockets do not read")),
        };
        Ok(Receipt::from(request.created_event.to_string()))
    }

    async fn settle(&self, _: &Settlement<'_>) -> Result<()> {
        Ok(())
    }

    async fn run(&self, _: Arc<dyn Inbox>, _: CancellationToken) -> Result<()> {
        // Sockets come in over the HTTP server, which hands each to `serve`.
        Ok(())
    }

    async fn callback(&self, _: Callback, _: Arc<dyn Inbox>) -> Result<CallbackReply> {
        Err(Error::unsupported("websocket.callback"))
    }

    fn connect(&self) -> Option<&dyn Connect> {
        None
    }
}
