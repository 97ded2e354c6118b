//! The cases that a plug-in must stand, for `hearback check-plugin`.

mod cases;
mod later;
mod listener;
mod report;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hearback_core::{
    Clock,
    channel::{Address, ChannelName},
    error::FieldError,
    id::Ids,
    network::Networks,
    secret::Secret,
};
use http::HeaderMap;
use tokio::select;

pub use listener::EventListener;
pub use report::{Case, Outcome, Report};

use crate::{
    client::{Answered, Client},
    message::{Body, Message, VERSION},
    settings::{parse_secret, parse_url},
    signature::seconds,
};

/// What a check is made with.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// The address that the test messages go to: somebody sees them.
    pub to: Address,
    /// The name of the channel in the messages.
    pub channel: ChannelName,
    /// The `callback_url` in the messages. Whoever checks listens there, and gives what comes to [`Check::listener`].
    pub callback_url: String,
    /// Private networks that may be called.
    pub outbound_allow: Networks,
    /// How long one call may take, and how long a receipt that is called back.
    pub timeout: Duration,
    /// How long somebody has to answer one of the questions, where somebody is to.
    pub answer: Option<Duration>,
}

/// A check of one plug-in.
pub struct Check(Caller);

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Check({:?})", self.0.client)
    }
}

impl Check {
    /// A check of the plug-in at `url`.
    ///
    /// # Errors
    ///
    /// `url` or `secret` is not one.
    pub fn new(url: &str, secret: &Secret, options: CheckOptions, clock: Arc<dyn Clock>) -> Result<Self, FieldError> {
        let (url, key) = (parse_url(url)?, parse_secret(secret)?);
        let client = Client::new(url, key, options.outbound_allow.clone(), clock.clone(), options.timeout)?;
        let listener =
            EventListener::new(parse_secret(secret)?, options.channel.clone(), options.to.clone(), clock.clone());
        let (ids, listener) = (Ids::random(clock.clone()), Arc::new(listener));
        Ok(Self(Caller { client, options, clock, ids, listener, address_unknown: AtomicBool::default() }))
    }

    /// What is to be given every call that comes to the callback URL.
    #[must_use]
    pub fn listener(&self) -> Arc<EventListener> {
        self.0.listener.clone()
    }

    /// Runs every case. It sends about ten messages to the address of the options, and closes the questions among them.
    /// What the plug-in does wrong is in the report.
    pub async fn run(self) -> Report {
        let report = cases::run(&self.0).await;
        Report { address_unknown: self.0.address_unknown.load(Ordering::Relaxed), ..report }
    }
}

/// Calls the plug-in as the hub would, and in ways that it would not.
struct Caller {
    client: Client,
    options: CheckOptions,
    clock: Arc<dyn Clock>,
    ids: Ids,
    listener: Arc<EventListener>,
    /// Whether a sending was refused with 404.
    address_unknown: AtomicBool,
}

impl Caller {
    /// A body as the hub would write it.
    fn write(&self, body: Body<'_>) -> Result<Vec<u8>, String> {
        let Self { options: CheckOptions { channel, callback_url, .. }, .. } = self;
        let message = Message { version: VERSION, channel, callback_url, body };
        serde_json::to_vec(&message).map_err(|error| error.to_string())
    }

    /// Tells it, as the hub would.
    async fn tell(&self, body: Body<'_>) -> Result<Answered, String> {
        let id = body.id(self.clock.now());
        self.sign_and_post(&id, self.write(body)?).await
    }

    /// Posts these bytes with a right signature.
    async fn sign_and_post(&self, id: &str, bytes: Vec<u8>) -> Result<Answered, String> {
        let headers = self.client.key.headers(id, seconds(self.clock.now()), &bytes);
        self.post(headers, bytes).await
    }

    /// Posts these bytes with these headers.
    async fn post(&self, headers: HeaderMap, bytes: Vec<u8>) -> Result<Answered, String> {
        let overdue = self.clock.now().after(self.options.timeout);
        select! {
            biased;
            answered = self.client.post_with(headers, bytes) => answered.map_err(|no| no.to_string()),
            () = self.clock.sleep_until(overdue) => Err(format!("no answer within {} s", self.options.timeout.as_secs())),
        }
    }
}
