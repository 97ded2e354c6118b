//! The webhook: Telegram calls the hub, and proves by a secret that it is Telegram.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hearback_core::{
    Error, ErrorKind, Result,
    channel::{Callback, CallbackReply, Inbox},
    secret::{ExposeSecret, Secret},
};
use http::{HeaderValue, Method, StatusCode, header};
use rand::RngCore;
use serde::Deserialize;
use serde_json::Value;
use subtle::ConstantTimeEq;
use teloxide_core::{
    payloads::{GetWebhookInfo, SetWebhook},
    types::AllowedUpdate,
};
use tracing::{info, warn};
use url::Url;

use crate::{
    api::{Asked, Refusal},
    channel::{Bot, Telegram},
    listen::{UPDATES, read, unreadable},
};

/// The header with the secret.
const SECRET: &str = "x-telegram-bot-api-secret-token";
/// How often it is looked whether the webhook is still there.
const WATCH: Duration = Duration::from_mins(5);
/// Where the secret is kept.
const KEPT: &str = "webhook-secret";
/// Where it is noted which webhook was set with that secret: Telegram does not tell a webhook's secret.
const SET: &str = "webhook-set";

/// The webhook as Telegram knows it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    url: String,
    allowed_updates: Option<Vec<String>>,
    pending_update_count: u64,
    last_error_message: Option<String>,
}

impl Info {
    fn is(&self, url: &Url) -> bool {
        let mut allowed = self.allowed_updates.clone().unwrap_or_default();
        allowed.sort_unstable();
        let mut wanted = UPDATES;
        wanted.sort_unstable();
        self.url == url.as_str() && allowed == wanted
    }
}

impl Bot {
    /// Sets the webhook where it is not as it should be, and looks again and again. Never ends by itself but by a fault.
    pub(crate) async fn keep_webhook(&self, url: &Url) -> Result<()> {
        let mut told = None;
        loop {
            let found = self.webhook().await?;
            // What cannot be known is set: that is harmless.
            let is_right = match &found {
                Some(info) => info.is(url) && self.memory.text(SET).await?.as_deref() == Some(url.as_str()),
                None => false,
            };
            let fault = found.as_ref().and_then(|info| info.last_error_message.clone());
            // Somebody has set the same URL with another secret.
            let refused = fault.as_ref().is_some_and(|fault| fault.contains("401")) && Some(&fault) != told.as_ref();
            let is_right = is_right && !refused;
            if !is_right && (found.is_some() || told.is_none()) {
                let was = found.as_ref().map_or("", |info| info.url.as_str());
                self.set_webhook(url).await?;
                info!(channel = %self.name, %url, was = host(was), "the webhook was set");
            }
            if fault.is_some() && fault != told.clone().flatten() {
                let waiting = found.map_or(0, |info| info.pending_update_count);
                warn!(channel = %self.name, %url, fault, waiting, "Telegram could not call the hub");
            }
            told = Some(fault);
            self.clock.sleep_until(self.clock.now().after(WATCH)).await;
        }
    }

    /// The webhook as it stands; `None` where the server does not tell.
    async fn webhook(&self) -> Result<Option<Info>> {
        match self.api.call(Asked::again("telegram.webhook"), &GetWebhookInfo::new()).await {
            Ok(info) => Ok(Some(info)),
            Err(Refusal { error, .. }) => match error.kind() {
                ErrorKind::Auth | ErrorKind::RateLimited => Err(error),
                _ => {
                    warn!(channel = %self.name, %error, "it is not known whether the webhook is set");
                    Ok(None)
                }
            },
        }
    }

    async fn set_webhook(&self, url: &Url) -> Result<()> {
        let secret = self.secret().await?;
        let mut set = SetWebhook::new(url.clone());
        // One after another: what somebody ticks has to count before they are done.
        set.max_connections = Some(1);
        set.secret_token = Some(secret.expose_secret().to_owned());
        set.allowed_updates =
            Some(vec![AllowedUpdate::Message, AllowedUpdate::CallbackQuery, AllowedUpdate::MyChatMember]);
        let secrets = [secret.expose_secret()];
        let asked = Asked { secrets: &secrets, ..Asked::again("telegram.webhook") };
        self.api.call::<_, Value>(asked, &set).await?;
        self.memory.put(SET, url.as_str()).await
    }

    /// The secret, which every server of the hub knows.
    async fn secret(&self) -> Result<&Secret> {
        let make = || {
            let mut bytes = [0; 32];
            rand::rng().fill_bytes(&mut bytes);
            URL_SAFE_NO_PAD.encode(bytes).into()
        };
        self.webhook_secret.get_or_try_init(|| self.memory.or_make(KEPT, make)).await
    }

    /// Takes a call of Telegram's: stored before it is answered, and the person answered after that.
    pub(crate) async fn called(self: Arc<Self>, call: Callback, inbox: Arc<dyn Inbox>) -> Result<CallbackReply> {
        // Where the hub polls, nobody has the secret.
        if call.tail != Telegram::TAIL || self.webhook_url.is_none() {
            return Err(Error::new(ErrorKind::NotFound, "telegram.callback", "Telegram does not call this path"));
        }
        if call.method != Method::POST {
            let mut reply = CallbackReply { status: StatusCode::METHOD_NOT_ALLOWED, ..CallbackReply::ok() };
            reply.headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            return Ok(reply);
        }
        let secret = self.secret().await?.expose_secret().as_bytes();
        let shown = call.headers.get(SECRET).map(HeaderValue::as_bytes).unwrap_or_default();
        if !bool::from(shown.ct_eq(secret)) {
            let detail = "the header X-Telegram-Bot-Api-Secret-Token is missing or wrong";
            return Err(Error::new(ErrorKind::Auth, "telegram.callback", detail));
        }
        let update: Value = serde_json::from_slice(&call.body).map_err(|_| unreadable())?;
        let id = update["update_id"].as_i64().ok_or_else(unreadable)?;
        let heard = self.hear(read(id, update), inbox.as_ref()).await?;
        let speak = self.clone().speak(heard.user, heard.actions, inbox);
        Ok(CallbackReply { after: Some(Box::pin(speak)), ..CallbackReply::ok() })
    }
}

/// The host of a URL, which is no secret; its path may be one.
fn host(url: &str) -> String {
    Url::parse(url).ok().and_then(|url| url.host_str().map(Into::into)).unwrap_or_default()
}
