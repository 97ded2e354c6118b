//! What a plug-in's answers mean.

use std::cmp::Reverse;

use hearback_core::{Error, ErrorKind, Result, Retry, channel::Receipt};
use http::StatusCode;
use percent_encoding::percent_decode_str;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    client::{Answered, NoAnswer},
    settings::Declared,
    signature::Key,
};

/// The longest receipt, in bytes.
pub const RECEIPT_MAX: usize = 512;

/// This much of what a plug-in says about its error is kept.
const DETAIL_MAX: usize = 300;

/// The words in the `error` of an answer that is not a success. The status decides; the word is said besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorWord {
    /// 400: the body is not JSON, or lacks something.
    Malformed,
    /// 401: the signature or its time is wrong.
    BadSignature,
    /// 403: the service behind the plug-in refuses its credentials.
    Forbidden,
    /// 404: the address or the message is unknown. 410 with this word means the same.
    NotFound,
    /// 409: this `webhook-id` was taken before.
    Duplicate,
    /// 410: the plug-in is retired.
    Gone,
    /// 413: longer than `text_max`.
    TooLong,
    /// 422: it can be read, and is refused.
    Rejected,
    /// 429: slow down.
    RateLimited,
    /// 501: this type is not known here.
    Unsupported,
    /// 503: this one person cannot be reached now; the service is well.
    RecipientUnavailable,
    /// 503: the service behind the plug-in is ill.
    Unavailable,
}

/// An answer that is not a success.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Problem {
    /// Which error. A word that is not known here is read as none.
    #[serde(default)]
    error: Value,
    #[serde(default)]
    detail: Option<String>,
}

impl Problem {
    /// Reads one, from a body that may be anything.
    pub(crate) fn read(answered: &Answered) -> Self {
        answered.body.as_deref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default()
    }

    /// Its word, if it is a known one.
    pub(crate) fn word(&self) -> Option<ErrorWord> {
        ErrorWord::deserialize(&self.error).ok()
    }
}

/// The answer to what was sent.
#[derive(Debug, Deserialize)]
struct Taken {
    #[serde(default)]
    receipt: Option<String>,
}

/// The answer to `probe`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct Probed {
    /// What the plug-in can do. A name that is not known here is passed over: a plug-in may be newer than the hub.
    #[serde(deserialize_with = "known")]
    #[schemars(schema_with = "open")]
    pub capabilities: Declared,
}

/// Reads what is known; the configuration, which reads the same type, refuses the rest.
fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Declared, D::Error> {
    let mut given = Map::deserialize(deserializer)?;
    let names = serde_json::to_value(Declared::default()).map_err(D::Error::custom)?;
    given.retain(|name, _| names.get(name).is_some());
    serde_json::from_value(Value::Object(given)).map_err(D::Error::custom)
}

fn open(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Declared::json_schema(generator);
    schema.remove("additionalProperties");
    schema
}

/// What was called, and how a fault of it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The operation in errors.
    pub operation: &'static str,
    /// What was asked for.
    pub what: What,
    /// The key, whose secret stays out of errors.
    pub key: &'a Key,
    /// What was called. Its path and query may hold a key of the operator's, which stays out of errors too.
    pub url: &'a Url,
    /// Another secret in what was sent.
    pub code: Option<&'a str>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A probe.
    Probe,
    /// A sending; doing it twice may show it twice.
    Send,
    /// A sending; doing it twice shows it once.
    SendIdempotent,
    /// A settlement, which can be told twice.
    Settle,
}

impl Asked<'_> {
    pub(crate) fn fault(self, kind: ErrorKind, detail: impl Into<String>) -> Error {
        Error::new(kind, self.operation, detail.into())
    }

    /// Whether it happened is not known.
    pub(crate) fn unknown(self, detail: impl Into<String>) -> Error {
        match self.what {
            What::Send => self.fault(ErrorKind::Ambiguous, detail),
            What::SendIdempotent => self.fault(ErrorKind::Unavailable, detail).in_doubt(),
            What::Probe | What::Settle => self.fault(ErrorKind::Unavailable, detail),
        }
    }

    /// There was no answer.
    pub(crate) fn no_answer(self, no: &NoAnswer) -> Error {
        match no {
            NoAnswer::Forbidden(_) => self.fault(ErrorKind::Config, no.to_string()),
            NoAnswer::Unconnected { .. } => self.fault(ErrorKind::Unavailable, no.to_string()),
            NoAnswer::Cut { .. } => self.unknown(no.to_string()),
        }
    }

    /// The receipt in the answer to a sending; `None` when it comes later.
    pub(crate) fn receipt(self, answered: &Answered) -> Result<Option<Receipt>> {
        let taken = || answered.body.as_deref().and_then(|body| serde_json::from_slice::<Taken>(body).ok());
        let receipt = |taken: Taken| taken.receipt.and_then(parse_receipt);
        match answered.status {
            StatusCode::ACCEPTED => Ok(taken().and_then(receipt)),
            status if status.is_success() => {
                let lacking = || {
                    // It says that it did it, so the person may see it.
                    let detail = format!(
                        "the plug-in answered {} without {{\"receipt\": \"…\"}} of 1 to {RECEIPT_MAX} bytes, so what it sent \
                         cannot be told from what it did not",
                        status.as_u16()
                    );
                    self.fault(ErrorKind::Ambiguous, detail)
                };
                taken().and_then(receipt).map(Some).ok_or_else(lacking)
            }
            // What came before is what was sent.
            StatusCode::CONFLICT => {
                match taken().and_then(receipt) {
                    Some(receipt) => Ok(Some(receipt)),
                    None => Err(self
                        .fault(ErrorKind::Ambiguous, self.words(answered, "took this before, and has no receipt yet"))),
                }
            }
            _ => Err(self.refused(answered)),
        }
    }

    /// The end of a settlement.
    pub(crate) fn settled(self, answered: &Answered) -> Result<()> {
        match answered.status {
            status if status.is_success() => Ok(()),
            StatusCode::CONFLICT => Ok(()),
            _ => Err(self.refused(answered)),
        }
    }

    /// What the plug-in declares.
    pub(crate) fn probed(self, answered: &Answered) -> Result<Declared> {
        if answered.status != StatusCode::OK {
            return Err(self.unprobed(answered));
        }
        let body = answered.body.as_deref().unwrap_or_default();
        let probed: Probed = serde_json::from_slice(body).map_err(|error| {
            // The error repeats what came, which may repeat what was sent.
            let detail = format!(
                "the plug-in answered `probe` with something other than {{\"capabilities\": {{…}}}}: {} (docs/plug-ins.md)",
                self.clean(&error.to_string())
            );
            self.fault(ErrorKind::Config, detail)
        })?;
        Ok(probed.capabilities)
    }

    /// A probe's status that is no success. What answers so need not be a plug-in.
    fn unprobed(self, answered: &Answered) -> Error {
        let lead = match answered.status.as_u16() {
            404 => "nothing is at this path (404): look at `url`",
            405 => "nothing at this path takes a POST (405): look at `url`",
            501 => "what listens there is no plug-in, or an older one (501)",
            _ => return self.refused(answered),
        };
        let said = self.said(answered);
        let said = if said.is_empty() { said } else { format!("; it says: {said}") };
        self.fault(ErrorKind::Config, format!("{lead}{said}"))
    }

    /// A status that is no success.
    fn refused(self, answered: &Answered) -> Error {
        let Answered { status, retry_after, .. } = answered;
        let word = Problem::read(answered).word();
        let fault = |kind, default: &str| self.fault(kind, self.words(answered, default));
        let later = |error: Error| match retry_after {
            Some(after) => error.with_retry(Retry::After(*after)),
            None => error,
        };
        match status.as_u16() {
            300..=399 => {
                let detail = "redirects, which is not followed: write the URL that it redirects to into `url`";
                fault(ErrorKind::Config, detail)
            }
            401 => fault(ErrorKind::Auth, "refuses the signature: both sides need the same `secret`, and right clocks"),
            403 => fault(ErrorKind::Auth, "refuses the call, or its own service refuses it"),
            404 => fault(ErrorKind::NotFound, "knows no such address or message"),
            405 => fault(ErrorKind::Config, "takes no POST at this `url`"),
            410 if word == Some(ErrorWord::NotFound) => {
                fault(ErrorKind::NotFound, "knows this address or message no more")
            }
            410 => fault(ErrorKind::Config, "says that it is gone for good: take its table out of the configuration"),
            408 | 425 => later(fault(ErrorKind::Unavailable, "asks to try again")),
            429 => later(fault(ErrorKind::RateLimited, "asks to slow down")),
            501 => fault(ErrorKind::Unsupported, "cannot do that"),
            // A gateway gave up waiting for it; it may be at work.
            504 => later(self.unknown(self.words(answered, "did not answer its gateway in time"))),
            500..=599 => {
                let error = later(fault(ErrorKind::Unavailable, "is ill"));
                if word == Some(ErrorWord::RecipientUnavailable) { error.of_recipient() } else { error }
            }
            _ => fault(ErrorKind::Rejected, "refuses it"),
        }
    }

    /// A sentence with the status and what the plug-in says itself, without secrets.
    fn words(self, answered: &Answered, default: &str) -> String {
        let said = self.said(answered);
        let said = if said.is_empty() { said } else { format!(": {said}") };
        format!("the plug-in {default} ({}){said}", answered.status.as_u16())
    }

    /// What the plug-in says itself, without secrets; empty when it says nothing.
    fn said(self, answered: &Answered) -> String {
        self.clean(&Problem::read(answered).detail.unwrap_or_default())
    }

    /// What comes from a plug-in as an error may have it: without secrets and control characters, and not long.
    pub(crate) fn clean(self, said: &str) -> String {
        // Control characters first: without them, what they part may be a secret.
        let said: String = said.chars().filter(|c| !c.is_control()).collect();
        let mut said = self.key.redact(&said);
        for part in guarded(self.url) {
            said = said.replace(&part, "…");
        }
        if let Some(code) = self.code.filter(|code| !code.is_empty()) {
            said = said.replace(code, "…");
        }
        said.chars().take(DETAIL_MAX).collect()
    }
}

/// The parts of a URL that may be a key, as they stand in it and as they are meant, longest first: a plug-in or a gateway
/// may repeat what was called. A shorter part is no key, and to take it out would garble what is said.
fn guarded(url: &Url) -> Vec<String> {
    const PART_MIN: usize = 8;
    let query = url.query().unwrap_or_default();
    let values = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value.to_owned());
    let meant = url.query_pairs().map(|(_, value)| value.into_owned());
    let segments = url.path().split('/').flat_map(|segment| {
        let meant = percent_decode_str(segment).decode_utf8_lossy().into_owned();
        [segment.to_owned(), meant]
    });
    let mut parts: Vec<_> = values.chain(meant).chain(segments).filter(|part| part.len() >= PART_MIN).collect();
    match query.len() {
        0 => {}
        // The whole query, however short; that it is one, the mark before it says.
        1..PART_MIN => parts.push(format!("?{query}")),
        _ => parts.push(query.to_owned()),
    }
    parts.sort_by_key(|part| Reverse(part.len()));
    parts
}

/// A receipt has 1 to 512 bytes and no control characters.
#[must_use]
pub fn parse_receipt(text: String) -> Option<Receipt> {
    let good = !text.is_empty() && text.len() <= RECEIPT_MAX && !text.chars().any(char::is_control);
    good.then(|| Receipt::from(text))
}
