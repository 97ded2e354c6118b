//! The plug-in's calls: verified, read, stored, answered.

use bytes::Bytes;
use hearback_core::{
    Error, ErrorKind, Result, Retry, Timestamp,
    channel::{Callback, CallbackReply, Channel, ChannelName, Inbox, Reply},
    error::FieldError,
    feedback::{RequestDocument, Verdict},
    hub::Responded,
};
use http::{HeaderValue, Method, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

use crate::{
    channel::Webhook,
    event::Event,
    settings::Declared,
    signature::{Distrust, Key},
};

/// When to come back after the hub could not store something.
const COME_BACK: Duration = Duration::from_secs(5);

/// What became of an answer, for the person who gave it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VerdictDocument {
    /// What became of it.
    pub verdict: Verdict,
    /// Why, where it was not accepted: a sentence for the person.
    pub reason: Option<String>,
    /// Whether this event had come before; the verdict is the earlier one.
    pub duplicate: bool,
    /// With the verdict `invalid`: what is wrong with each field.
    pub errors: Vec<FieldError>,
    /// The request after it; left out for somebody who is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestDocument>,
}

impl From<Responded> for VerdictDocument {
    fn from(responded: Responded) -> Self {
        let Responded { recorded, faults } = responded;
        let response = recorded.response;
        let asked = response.by.as_ref().is_some_and(|user| recorded.request.asks(user.id));
        let shown = asked && response.verdict != Verdict::Refused;
        Self {
            verdict: response.verdict,
            reason: response.reason,
            duplicate: recorded.duplicate,
            errors: if response.verdict == Verdict::Invalid { faults } else { Vec::new() },
            request: shown.then(|| recorded.request.as_ref().into()),
        }
    }
}

/// Why a call is not taken (RFC 9457), as everywhere in the API. The server adds `request_id`, its name in the log.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct ProblemDocument {
    /// `urn:hearback:problem:` and the kind's code.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The status again.
    status: u16,
    /// What is wrong, in a sentence.
    detail: String,
    /// Every field at fault; left out when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// A kind of problem: its status, the last part of its `type`, and its title, the same as everywhere in the API.
pub(crate) type Kind = (StatusCode, &'static str, &'static str);

const MALFORMED: Kind = (StatusCode::BAD_REQUEST, "malformed", "The request cannot be read");
const UNAUTHENTICATED: Kind = (StatusCode::UNAUTHORIZED, "unauthenticated", "Not signed in");
pub(crate) const NOT_FOUND: Kind = (StatusCode::NOT_FOUND, "not_found", "Not found");
const METHOD_NOT_ALLOWED: Kind = (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed");
pub(crate) const UNAVAILABLE: Kind = (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available");
const INVALID: Kind = (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid");

pub(crate) fn problem(kind: Kind, detail: String) -> CallbackReply {
    faulty(kind, detail, Vec::new())
}

fn faulty((status, code, title): Kind, detail: String, errors: Vec<FieldError>) -> CallbackReply {
    let kind = format!("urn:hearback:problem:{code}");
    let document = ProblemDocument { kind, title, status: status.as_u16(), detail, errors };
    reply(status, "application/problem+json", &document)
}

fn reply(status: StatusCode, content_type: &'static str, document: &impl Serialize) -> CallbackReply {
    let body = serde_json::to_vec(document).map(Bytes::from).unwrap_or_default();
    CallbackReply { status, content_type: Some(HeaderValue::from_static(content_type)), body, ..CallbackReply::ok() }
}

/// Handles one call. What is returned as an error was not stored, and the plug-in is to come back.
pub(crate) async fn handle(channel: &Webhook, call: Callback, inbox: &dyn Inbox) -> Result<CallbackReply> {
    if call.tail != Webhook::TAIL {
        let detail = format!("Plug-ins call …/{}/{}.", channel.name(), Webhook::TAIL);
        return Ok(problem(NOT_FOUND, detail));
    }
    match read(channel.key(), channel.declared(), channel.name(), &call, channel.clock.now()) {
        Ok((event, id)) => accept(channel, event, id, inbox).await,
        Err(refusal) => Ok(refusal.reply()),
    }
}

/// Why a call brings no event.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is no POST.
    Method,
    /// It is not believed.
    Distrusted(Distrust),
    /// It is no JSON.
    Malformed(serde_json::Error),
    /// It is not as documented.
    Invalid(Vec<FieldError>),
}

impl Refusal {
    /// What its caller is answered.
    pub(crate) fn reply(self) -> CallbackReply {
        match self {
            Self::Method => {
                let mut refused = problem(METHOD_NOT_ALLOWED, "Events come as POST.".into());
                refused.headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
                refused
            }
            Self::Distrusted(distrust) => problem(UNAUTHENTICATED, distrust.to_string()),
            Self::Malformed(error) => problem(MALFORMED, format!("The body is not JSON: {error}.")),
            Self::Invalid(faults) => {
                let detail = match faults.len() {
                    1 => "1 field is not as it must be.".into(),
                    count => format!("{count} fields are not as they must be."),
                };
                faulty(INVALID, detail, faults)
            }
        }
    }
}

/// Verifies and reads one call: the event, and the id by which a repetition is known.
pub(crate) fn read(
    key: &Key,
    declared: &Declared,
    channel: &ChannelName,
    call: &Callback,
    now: Timestamp,
) -> Result<(Event, String), Refusal> {
    if call.method != Method::POST {
        return Err(Refusal::Method);
    }
    let id = key.verify(&call.headers, &call.body, now).map_err(Refusal::Distrusted)?;
    let value: Value = serde_json::from_slice(&call.body).map_err(Refusal::Malformed)?;
    let event = Event::read(value).map_err(Refusal::Invalid)?;
    event.check(declared, channel).map_err(|fault| Refusal::Invalid(vec![fault]))?;
    Ok((event, id))
}

async fn accept(channel: &Webhook, event: Event, id: String, inbox: &dyn Inbox) -> Result<CallbackReply> {
    let late = match &event {
        Event::Receipt { delivery, receipt } => Some((delivery.uuid(), receipt.clone())),
        _ => None,
    };
    // Known before the hub hears of it, which asks at once.
    match &event {
        Event::Connected { address } => channel.presence.note(&id, address, true),
        Event::Disconnected { address } => channel.presence.note(&id, address, false),
        _ => {}
    }
    let accepted = inbox.accept(event.inbound(channel.name().clone(), id)).await;
    let stored = match &accepted {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    // Once the receipt is stored its sender may go on. A notice's has no delivery to be stored at.
    let awaited = stored && late.is_some_and(|(delivery, receipt)| channel.waiting.arrived(delivery, &receipt));
    match accepted {
        Ok(Reply::Response(responded)) => Ok(verdict(&(*responded).into())),
        Ok(_) => Ok(noted()),
        Err(_) if awaited => Ok(noted()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let detail = format!("Not found: {}.", error.detail());
            Ok(problem(NOT_FOUND, detail))
        }
        Err(error) => Err(come_back(error)),
    }
}

pub(crate) fn verdict(document: &VerdictDocument) -> CallbackReply {
    reply(StatusCode::OK, "application/json", document)
}

pub(crate) fn noted() -> CallbackReply {
    reply(StatusCode::OK, "application/json", &serde_json::json!({}))
}

/// Whatever kept the event from being stored, the plug-in is to send it again: the server answers 503 with Retry-After, or
/// 429 where it is the person who does too much.
fn come_back(error: Error) -> Error {
    if error.kind() == ErrorKind::RateLimited {
        return error;
    }
    let retry = if error.retry() == Retry::Never { Retry::After(COME_BACK) } else { error.retry() };
    Error::new(ErrorKind::Unavailable, "webhook.callback", "the event could not be stored")
        .with_retry(retry)
        .with_source(error)
}
