//! The cases that a plug-in must stand, for `hearback check-plugin`.

mod cases;
mod report;

use std::{sync::Arc, time::Duration};

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
    /// The `callback_url` in the messages. The check does not listen there.
    pub callback_url: String,
    /// Private networks that may be called.
    pub outbound_allow: Networks,
    /// How long one call may take.
    pub timeout: Duration,
}

/// Runs every case against the plug-in at `url`. It sends about ten messages to the address of the options, and closes
/// the questions among them.
///
/// # Errors
///
/// `url` or `secret` is not one. What the plug-in does wrong is in the report.
pub async fn check_plugin(
    url: &str,
    secret: &Secret,
    options: CheckOptions,
    clock: Arc<dyn Clock>,
) -> Result<Report, FieldError> {
    let (url, key) = (parse_url(url)?, parse_secret(secret)?);
    let client = Client::new(url, key, options.outbound_allow.clone(), clock.clone(), options.timeout)?;
    let caller = Caller { client, options, ids: Ids::random(clock.clone()), clock };
    Ok(cases::run(&caller).await)
}

/// Calls the plug-in as the hub would, and in ways that it would not.
struct Caller {
    client: Client,
    options: CheckOptions,
    clock: Arc<dyn Clock>,
    ids: Ids,
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
        let headers = self.client.headers(id, seconds(self.clock.now()), &bytes);
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
