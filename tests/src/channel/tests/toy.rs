//! A channel to a provider in the same process, with one flaw or none.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use hearback_core::{
    Error, ErrorKind, Result, Retry,
    channel::{
        Address, Callback, CallbackReply, Capabilities, Channel, ChannelName, Connect, Content, Inbound, Inbox,
        Outbound, Reach, Receipt, SendRate, Settlement,
    },
    clock::ManualClock,
    feedback::Request,
    layer::Operation,
    person::UserRef,
    secret::{ExposeSecret, Secret},
};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::channel::{Applies, Event, Fault, Harness, Heard, Proof, bench::channel_name, call_back};

const SECRET: &str = "the-secret-of-the-toy";

/// What a toy does wrong.
pub struct Flaw;

macro_rules! flaws {
    ($($name:ident)*) => { flaws!(@ 0u8; $($name)*); };
    (@ $number:expr; $name:ident $($rest:ident)*) => {
        impl Flaw { pub const $name: u8 = $number; }
        flaws!(@ $number + 1; $($rest)*);
    };
    (@ $number:expr;) => {};
}
flaws! {
    NONE CUTS WRONG_KIND FORGETS_RETRY_AFTER TRIES_AGAIN SURE_OF_A_CUT LEAKS TELLS_THE_CODE SHOWS_ITSELF DROPS_EVENT_IDS
    BELIEVES ACKNOWLEDGES_ANYWAY ACKNOWLEDGES_EARLY NEVER_STOPS PROBES_ALOUD CALLS_AT_BUILDING SETTLES_ALOUD
    REJECTS_CODES HEARS_ANYBODY SETTLES_ANYWAY
}

#[derive(Debug, Default)]
struct Provider {
    faults: Mutex<HashMap<Operation, Fault>>,
    calls: Mutex<usize>,
    arrived: Mutex<Vec<String>>,
    hanging: Notify,
}

impl Provider {
    async fn call(&self, operation: Operation) -> Result<(), Fault> {
        *self.calls.lock().unwrap() += 1;
        let fault = self.faults.lock().unwrap().remove(&operation);
        match fault {
            Some(Fault::Hang) => {
                self.hanging.notify_one();
                std::future::pending().await
            }
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    fn show(&self, text: &str) -> usize {
        let mut arrived = self.arrived.lock().unwrap();
        arrived.push(text.into());
        arrived.len()
    }
}

struct ToyChannel<const FLAW: u8> {
    name: ChannelName,
    capabilities: Capabilities,
    provider: Arc<Provider>,
}

impl<const FLAW: u8> fmt::Debug for ToyChannel<FLAW> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToyChannel({})", if FLAW == Flaw::SHOWS_ITSELF { SECRET } else { self.name.as_str() })
    }
}

impl<const FLAW: u8> ToyChannel<FLAW> {
    async fn call(&self, operation: Operation, code: Option<&str>) -> Result<()> {
        let mut result = self.provider.call(operation).await;
        if FLAW == Flaw::TRIES_AGAIN && matches!(result, Err(Fault::Status { status: 500, .. })) {
            *self.provider.calls.lock().unwrap() += 1;
            result = Err(Fault::Status { status: 500, retry_after: None });
        }
        let Err(fault) = result else { return Ok(()) };
        let sure = operation != Operation::Send || self.capabilities.idempotent_send || FLAW == Flaw::SURE_OF_A_CUT;
        let (kind, retry) = match fault {
            Fault::Status { status: 401, .. } if FLAW == Flaw::WRONG_KIND => (ErrorKind::Rejected, None),
            Fault::Status { status: 401, .. } => (ErrorKind::Auth, None),
            Fault::Status { status: 404, .. } => (ErrorKind::NotFound, None),
            Fault::Status { status: 429, retry_after } => (ErrorKind::RateLimited, retry_after),
            Fault::Cut if !sure => (ErrorKind::Ambiguous, None),
            _ => (ErrorKind::Unavailable, None),
        };
        let said = code.filter(|_| FLAW == Flaw::TELLS_THE_CODE).unwrap_or("what was ordered");
        let mut error = Error::new(kind, "toy.call", format!("the provider says {said}"));
        if matches!(fault, Fault::Cut) && operation == Operation::Send {
            error = error.in_doubt();
        }
        if let Some(after) = retry.filter(|_| FLAW != Flaw::FORGETS_RETRY_AFTER) {
            error = error.with_retry(Retry::After(after));
        }
        if FLAW == Flaw::LEAKS {
            error = error.with_source(format!("Authorization: Basic {}", STANDARD.encode(format!("hub:{SECRET}"))));
        }
        Err(error)
    }
}

#[async_trait]
impl<const FLAW: u8> Channel for ToyChannel<FLAW> {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn probe(&self) -> Result<()> {
        if FLAW == Flaw::PROBES_ALOUD {
            self.provider.show("hello?");
        }
        self.call(Operation::Probe, None).await
    }

    async fn reach(&self, _: &Address) -> Reach {
        Reach::Now
    }

    fn is_personal(&self, _: &Address) -> bool {
        true
    }

    async fn link(&self, _: &Secret) -> Result<String> {
        Err(Error::unsupported("toy.link"))
    }

    async fn send(&self, _: &Address, what: &Outbound) -> Result<Receipt> {
        let code = match &what.content {
            Content::Code { .. } if FLAW == Flaw::REJECTS_CODES => {
                return Err(Error::new(ErrorKind::Rejected, "toy.send", "no codes here"));
            }
            Content::Code { code, .. } => Some(code.expose_secret()),
            _ => None,
        };
        self.call(Operation::Send, code).await?;
        let text = code.unwrap_or(what.text());
        let text: String = if FLAW == Flaw::CUTS { text.chars().take(19).collect() } else { text.into() };
        Ok(Receipt::from(format!("toy-{}", self.provider.show(&text))))
    }

    async fn settle(&self, _: &Settlement<'_>) -> Result<()> {
        if !self.capabilities.edit && FLAW != Flaw::SETTLES_ANYWAY {
            return Err(Error::unsupported("toy.settle"));
        }
        if FLAW == Flaw::SETTLES_ALOUD {
            self.provider.show("this question is closed");
        }
        self.call(Operation::Settle, None).await
    }

    async fn run(&self, _: Arc<dyn Inbox>, stop: CancellationToken) -> Result<()> {
        if FLAW == Flaw::NEVER_STOPS {
            return std::future::pending().await;
        }
        stop.cancelled().await;
        Ok(())
    }

    async fn callback(&self, call: Callback, inbox: Arc<dyn Inbox>) -> Result<CallbackReply> {
        let proven = call.headers.get("toy-secret").is_some_and(|secret| secret == SECRET);
        if !proven && FLAW != Flaw::BELIEVES {
            return Err(Error::new(ErrorKind::Auth, "toy.callback", "the secret is wrong"));
        }
        if !self.capabilities.inbound && FLAW != Flaw::HEARS_ANYBODY {
            return Err(Error::new(ErrorKind::Rejected, "toy.callback", "nobody is to answer here"));
        }
        let malformed = |_| Error::new(ErrorKind::Rejected, "toy.callback", "not as documented");
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let event = Inbound::Response {
            channel: self.name.clone(),
            from: serde_json::from_value(body["from"].clone()).map_err(malformed)?,
            request: serde_json::from_value(body["request_id"].clone()).map_err(malformed)?,
            value: body["value"].clone(),
            comment: None,
            event: body["id"].as_str().filter(|_| FLAW != Flaw::DROPS_EVENT_IDS).map(str::to_owned),
        };
        let mut reply = CallbackReply { status: StatusCode::NO_CONTENT, ..CallbackReply::ok() };
        if FLAW == Flaw::ACKNOWLEDGES_EARLY {
            reply.after = Some(Box::pin(async move { drop(inbox.accept(event).await) }));
            return Ok(reply);
        }
        let accepted = inbox.accept(event).await;
        if FLAW != Flaw::ACKNOWLEDGES_ANYWAY {
            accepted
                .map_err(|error| Error::new(ErrorKind::Unavailable, "toy.callback", "not stored").with_source(error))?;
        }
        Ok(reply)
    }

    fn connect(&self) -> Option<&dyn Connect> {
        None
    }
}

/// The toy's harness.
pub struct Toy<const FLAW: u8> {
    channel: Arc<ToyChannel<FLAW>>,
    provider: Arc<Provider>,
}

#[async_trait]
impl<const FLAW: u8> Harness for Toy<FLAW> {
    const KIND: &'static str = "toy";

    fn variants() -> Vec<Capabilities> {
        let narrow = Capabilities {
            inbound: true,
            text_max: Some(40),
            choices_max: Some(2),
            send_rate: Some(SendRate { per_second: 1, burst: 1 }),
            ..Capabilities::default()
        };
        let wide = Capabilities { messages: true, edit: true, threads: true, inbound: true, ..Capabilities::default() };
        let deaf = Capabilities { inbound: false, ..wide };
        vec![narrow, wide, deaf, Capabilities { idempotent_send: true, ..wide }]
    }

    fn inbound() -> Applies {
        Applies::Yes(())
    }

    fn event_ids() -> Applies {
        Applies::Yes(())
    }

    fn signatures() -> Applies {
        Applies::Yes(())
    }

    fn doubt() -> Applies {
        Applies::Yes(())
    }

    async fn open(capabilities: Capabilities, _: Arc<ManualClock>) -> Self {
        let provider = Arc::new(Provider::default());
        if FLAW == Flaw::CALLS_AT_BUILDING {
            *provider.calls.lock().unwrap() += 1;
        }
        let channel = Arc::new(ToyChannel { name: channel_name(), capabilities, provider: provider.clone() });
        Self { channel, provider }
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.channel.clone()
    }

    fn address(&self, user: &UserRef) -> Address {
        user.username.parse().unwrap()
    }

    fn secrets(&self) -> Applies<Vec<String>> {
        Applies::Yes(vec![SECRET.into()])
    }

    async fn put(&self, request: Request) -> Arc<Request> {
        Arc::new(request)
    }

    fn script(&self, operation: Operation, fault: Fault) -> Applies {
        self.provider.faults.lock().unwrap().insert(operation, fault);
        Applies::Yes(())
    }

    async fn hanging(&self) {
        self.provider.hanging.notified().await;
    }

    fn arrived(&self) -> Vec<String> {
        self.provider.arrived.lock().unwrap().clone()
    }

    fn calls(&self) -> Applies<usize> {
        Applies::Yes(*self.provider.calls.lock().unwrap())
    }

    async fn inject(&self, channel: &Arc<dyn Channel>, inbox: Arc<dyn Inbox>, event: &Event, proof: Proof) -> Heard {
        let body = json!({"id": event.id, "request_id": event.request.id, "from": event.from, "value": event.value});
        let secret = if proof == Proof::Good { SECRET } else { "somebody-elses" };
        let headers: HeaderMap = [("toy-secret".parse().unwrap(), secret.parse().unwrap())].into_iter().collect();
        let (tail, query, body) = ("events".into(), String::new(), body.to_string().into());
        call_back(channel, Callback { method: Method::POST, tail, query, headers, body }, inbox).await
    }
}
