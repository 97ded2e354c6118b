//! Calls askers back: signed by the secret of the token that asked, at addresses that may be called.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use hearback_adapters::webhook::{
    client::Transport,
    signature::{Key, seconds},
};
use hearback_core::{
    Clock, Error, ErrorKind, Result,
    callback::{Callback, CallbackCaller, CallbackMessage, NotTaken},
    id::TokenId,
    network::Networks,
};
use http::StatusCode;
use tracing::error;
use url::Url;

use crate::{account::AccountStore, auth::webhook_context, storage::Cipher};

/// What those who read of a failure know the called one as.
const CALLED: &str = "receiver of callbacks";

/// Makes signed callbacks over HTTP.
pub struct SignedCaller {
    accounts: Arc<dyn AccountStore>,
    cipher: Arc<Cipher>,
    clock: Arc<dyn Clock>,
    allow: Networks,
    timeout: Duration,
    http: OnceLock<Transport>,
    /// Made by the first callback that needs it: it reads the machine's certificate authorities, where there are any.
    https: OnceLock<Transport>,
}

impl fmt::Debug for SignedCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedCaller")
    }
}

impl SignedCaller {
    /// A caller that may reach public addresses and those in `allow`; it waits up to `timeout` for a connection.
    #[must_use]
    pub fn new(
        accounts: Arc<dyn AccountStore>,
        cipher: Arc<Cipher>,
        clock: Arc<dyn Clock>,
        allow: Networks,
        timeout: Duration,
    ) -> Self {
        Self { accounts, cipher, clock, allow, timeout, http: OnceLock::new(), https: OnceLock::new() }
    }

    /// What a token signs with; `None` when it is revoked or has expired.
    async fn key(&self, token: TokenId) -> Result<Option<Key>> {
        let Some(sealed) = self.accounts.webhook_secret(token, self.clock.now()).await? else { return Ok(None) };
        let secret = self.cipher.open(&webhook_context(token), &sealed)?;
        let key = Key::parse(&secret);
        Ok(Some(key.ok_or_else(|| Error::new(ErrorKind::Unexpected, "callback", "a token's secret is none"))?))
    }

    fn transport(&self, url: &Url) -> Result<&Transport, NotTaken> {
        let https = url.scheme() == "https";
        let slot = if https { &self.https } else { &self.http };
        if let Some(made) = slot.get() {
            return Ok(made);
        }
        // What is missing now, as the authorities that certificates are checked by, may be there later.
        let (allow, clock) = (self.allow.clone(), self.clock.clone());
        let made = Transport::new(CALLED, https, allow, clock, self.timeout).map_err(|fault| again(fault.detail))?;
        Ok(slot.get_or_init(|| made))
    }
}

fn again(error: impl Into<String>) -> NotTaken {
    NotTaken::Again { error: error.into(), after: None }
}

#[async_trait]
impl CallbackCaller for SignedCaller {
    async fn call(&self, callback: &Callback, message: &CallbackMessage) -> Result<(), NotTaken> {
        let key = self.key(callback.token).await.map_err(|error| {
            error!(%error, callback = %callback.id, "a callback cannot be signed");
            again("the hub could not read the secret that signs")
        })?;
        let key = key.ok_or(NotTaken::TokenEnded)?;
        let url = Url::parse(&callback.url).map_err(|error| again(error.to_string()))?;
        let body = serde_json::to_vec(message).map_err(|error| again(error.to_string()))?;
        let headers = key.headers(&callback.id.to_string(), seconds(self.clock.now()), &body);
        // What else the receiver says is for nobody: it is not read.
        let head = self.transport(&url)?.post(&url, headers, body).await.map_err(|no| again(no.to_string()))?;
        match head.status {
            status if status.is_success() => Ok(()),
            StatusCode::GONE => Err(NotTaken::Gone),
            status if status.is_redirection() => {
                Err(again(format!("the receiver answered {}, which is not followed", status.as_u16())))
            }
            status => {
                let error = format!("the receiver answered {}", status.as_u16());
                Err(NotTaken::Again { error, after: head.retry_after })
            }
        }
    }
}
