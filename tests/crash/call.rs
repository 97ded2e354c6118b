//! Calls of the hub's API, by clients that expect it to die.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    ledger::{Counts, Ledger},
    promise::Promise,
    site::Site,
};

/// Longer than any call takes of a hub that lives, waiting ones included.
const CALL_MAX: Duration = Duration::from_secs(100);
/// How long a client waits before it calls again.
const PAUSE: Duration = Duration::from_millis(10);

/// Somebody who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    client: Client,
    site: Arc<Site>,
    ledger: Arc<Ledger>,
    token: String,
    /// Who it is, for the log.
    pub name: String,
    /// The only hub that it calls, if it does not call any.
    pub home: Option<usize>,
}

/// An answer that was read to its end.
#[derive(Clone, Debug)]
pub struct Answered {
    pub status: u16,
    pub replayed: bool,
    pub body: Value,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    key: Option<String>,
    body: Option<Value>,
}

impl Call {
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), key: None, body: None }
    }

    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, path: path.into(), key: None, body: Some(body) }
    }

    /// Whoever repeats it with the same key asks once.
    pub fn with_key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }
}

impl Answered {
    /// The last part of a problem's type.
    pub fn problem(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap_or_default();
        kind.strip_prefix("urn:hearback:problem:").unwrap_or_default()
    }
}

impl Caller {
    /// Somebody without a token.
    pub fn nobody(site: Arc<Site>, ledger: Arc<Ledger>) -> Self {
        let client = Client::builder().retry(reqwest::retry::never()).timeout(CALL_MAX).build().unwrap();
        Self { client, site, ledger, token: String::new(), name: "nobody".into(), home: None }
    }

    pub fn with_token(&self, name: impl Into<String>, token: &str) -> Self {
        Self { token: token.into(), name: name.into(), ..self.clone() }
    }

    /// The same, who calls one hub alone.
    pub fn at(&self, hub: usize) -> Self {
        Self { home: Some(hub), ..self.clone() }
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// Calls once. `None` when the answer was lost: whether the call took effect is not known then.
    pub async fn once(&self, call: &Call) -> Option<Answered> {
        let url = self.site.up(self.home).await;
        let mut request = self.client.request(call.method.clone(), format!("{url}{}", call.path));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(key) = &call.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
            self.site.called();
        }
        let answered = async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
            Ok(Answered { status, replayed: headers.contains_key("idempotent-replayed"), body })
        };
        let answered = answered.await;
        self.note(call, &answered);
        answered.ok().filter(|answered| answered.status < 500)
    }

    /// Calls until there is an answer, of this life of the hub or of a later one.
    pub async fn until(&self, call: &Call) -> Answered {
        loop {
            match self.once(call).await {
                // The same call is under way: its caller may have been cut off, or not yet.
                Some(answered) if answered.problem() == "idempotency_running" => {}
                Some(answered) => return answered,
                None => {}
            }
            sleep(PAUSE).await;
        }
    }

    /// Reads what has to be there.
    pub async fn read(&self, path: &str) -> Value {
        let answered = self.until(&Call::get(path)).await;
        self.ledger.holds(Promise::AcknowledgedIsThere, answered.status == 200, || {
            format!("{} gets {path}: {} {}", self.name, answered.status, answered.body)
        });
        answered.body
    }

    /// Reads a list to its end.
    pub async fn read_all(&self, path: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let page = self.read(&format!("{path}{separator}limit=100{cursor}")).await;
            all.extend(page["items"].as_array().into_iter().flatten().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    fn note(&self, call: &Call, answered: &reqwest::Result<Answered>) {
        let key = call.key.as_deref().unwrap_or("-");
        let said = match answered {
            Ok(answered) => {
                Counts::add(&self.ledger.counts.calls);
                if answered.replayed {
                    Counts::add(&self.ledger.counts.replayed);
                }
                let id = answered.body.get("id").unwrap_or(&Value::Null);
                let replayed = if answered.replayed { " again" } else { "" };
                format!("{}{replayed} {} {id}", answered.status, answered.problem())
            }
            Err(error) => {
                Counts::add(&self.ledger.counts.lost);
                format!("lost: {error:?}")
            }
        };
        self.ledger.log(&format!("{} {} {} key {key}: {said}", self.name, call.method, call.path));
        match answered {
            // A hub whose database does not answer just then says 503; no other fault of its own is to be seen.
            Ok(Answered { status, body, .. }) if *status >= 500 && *status != 503 => {
                let detail = format!("{} {} {}: {status} {body}", self.name, call.method, call.path);
                self.ledger.broken(Promise::AnswersAreDocumented, detail);
            }
            Err(error) if error.is_timeout() => {
                let detail = format!("{} {} {}: no answer for {CALL_MAX:?}", self.name, call.method, call.path);
                self.ledger.broken(Promise::AnswersAreDocumented, detail);
            }
            _ => {}
        }
    }

    /// An answer that no document of the hub's tells of.
    pub fn undocumented(&self, call: &Call, answered: &Answered) {
        let call = json!({"path": call.path, "key": call.key, "body": call.body});
        let detail = format!("{} calls {call}: {} {}", self.name, answered.status, answered.body);
        // What is called here was acknowledged.
        let promise = if answered.status == 404 { Promise::AcknowledgedIsThere } else { Promise::AnswersAreDocumented };
        self.ledger.broken(promise, detail);
    }
}
