//! One call of the Bot API, and what its faults mean.
//!
//! The methods and their parameters are teloxide's. The call is not: teloxide's waits 10 s of real time at every 5xx, and
//! tells faults apart by their descriptions alone, which change (docs/decisions/0026-telegram.md).

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use hearback_core::{
    Clock, Error, ErrorKind, Result, Retry,
    error::FieldError,
    secret::{ExposeSecret, Secret},
};
use http::header;
use reqwest::redirect;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use teloxide_core::requests::Payload;
use tokio::select;
use url::Url;

/// This much of an answer is read: a hundred updates, with room.
const ANSWER_MAX: usize = 8 * 1024 * 1024;
/// How long to wait for a connection at most: nothing was sent by then, which is worth knowing.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// This much of what the provider says about its error is kept.
const DETAIL_MAX: usize = 300;
/// Whoever asks to be left alone for longer is called again after this.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// Calls the Bot API as one bot. It keeps no connection: one that dies at the wrong moment would leave a sending with an
/// unknown end.
pub(crate) struct Api {
    http: reqwest::Client,
    /// Where the methods are. It holds the token.
    base: String,
    host: String,
    token: Secret,
    clock: Arc<dyn Clock>,
    send_timeout: Duration,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Api({})", self.host)
    }
}

/// What is called, and how a fault of it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The operation in errors.
    pub(crate) operation: &'static str,
    /// Whether doing it twice shows it twice.
    pub(crate) once: bool,
    /// What else in it is secret.
    pub(crate) secrets: &'a [&'a str],
}

impl Asked<'static> {
    /// A call that can be made twice.
    pub(crate) const fn again(operation: &'static str) -> Self {
        Self { operation, once: false, secrets: &[] }
    }

    /// A call that shows something to people.
    pub(crate) const fn once(operation: &'static str) -> Self {
        Self { operation, once: true, secrets: &[] }
    }
}

/// An answer of the Bot API.
#[derive(Debug, Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error_code: Option<u16>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Parameters>,
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    retry_after: Option<u64>,
    #[serde(default)]
    migrate_to_chat_id: Option<i64>,
}

/// A refusal of the Bot API.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The fault as the hub knows it.
    pub(crate) error: Error,
    /// What it is about, where that matters.
    pub(crate) about: About,
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The message is as it should be already.
    NotModified,
    /// The message is there no more, or cannot be edited any more.
    Fixed,
    /// Somebody else asks for updates, or is called with them.
    Conflict,
    /// The group has another id now.
    Migrated(i64),
    /// Anything else.
    Other,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, about: About::Other }
    }
}

/// Descriptions of 400 by which Telegram says that there is nobody at an address.
const NOBODY: [&str; 6] = [
    "chat not found",
    "user not found",
    "peer_id_invalid",
    "chat_id_invalid",
    "chat_id is empty",
    "have no rights to send a message",
];
/// And those by which it says that a message stays as it is.
const FIXED: [&str; 4] = [
    "message to edit not found",
    "message can't be edited",
    "message_id_invalid",
    "message identifier is not specified",
];

impl Api {
    /// A client for the bot with this token.
    ///
    /// # Errors
    ///
    /// There is nothing to verify the server's certificate with.
    pub(crate) fn new(
        base: &Url,
        token: Secret,
        clock: Arc<dyn Clock>,
        send_timeout: Duration,
    ) -> Result<Self, FieldError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Whoever comes first installs it; the losers of a race find the same one.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let mut http = reqwest::Client::builder();
        if base.scheme() == "http" {
            http = http.tls_certs_only([]);
        }
        let http = http
            .user_agent(concat!("hearback/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_MAX.min(send_timeout / 2))
            .build()
            .map_err(|error| FieldError::new("api_url", format!("no HTTPS client: {}", root_cause(&error))))?;
        let host = base.host_str().unwrap_or_default().to_owned();
        let base = format!("{}/bot{}", base.as_str().trim_end_matches('/'), token.expose_secret());
        Ok(Self { http, base, host, token, clock, send_timeout })
    }

    /// The number of the bot, which its token begins with.
    pub(crate) fn bot(&self) -> &str {
        let token = self.token.expose_secret();
        token.split_once(':').map_or("0", |(bot, _)| bot)
    }

    /// Calls a method, and reads its result. It takes at most `SEND_TIMEOUT` and what the method itself asks for.
    pub(crate) async fn call<P: Payload + Serialize, T: DeserializeOwned>(
        &self,
        asked: Asked<'_>,
        payload: &P,
    ) -> Result<T, Refusal> {
        let span = self.send_timeout + payload.timeout_hint().unwrap_or_default();
        let overdue = self.clock.sleep_until(self.clock.now().after(span));
        let result = select! {
            biased;
            answered = self.answer(asked, payload) => answered?,
            () = overdue => return Err(asked.unknown(format!("no answer within {} s", span.as_secs())).into()),
        };
        serde_json::from_value(result).map_err(|error| {
            // The error may repeat what came.
            let detail = format!("the Bot API answered with something else: {}", self.clean(asked, &error.to_string()));
            let fault = if asked.once { asked.unknown(detail) } else { asked.fault(ErrorKind::Unavailable, detail) };
            fault.into()
        })
    }

    async fn answer<P: Payload + Serialize>(&self, asked: Asked<'_>, payload: &P) -> Result<Value, Refusal> {
        let body = serde_json::to_vec(payload)
            .map_err(|error| asked.fault(ErrorKind::Unexpected, format!("a call cannot be written: {error}")))?;
        let call = self.http.post(format!("{}/{}", self.base, method(P::NAME)));
        let call = call.header(header::CONTENT_TYPE, "application/json").body(body);
        let mut response = call.send().await.map_err(|error| self.no_answer(asked, &error))?;
        let status = response.status();
        let retry_after =
            response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut read = BytesMut::new();
        let body = loop {
            match response.chunk().await {
                Ok(Some(chunk)) if read.len() + chunk.len() <= ANSWER_MAX => read.extend_from_slice(&chunk),
                Ok(Some(_)) | Err(_) => break None,
                Ok(None) => break Some(read.freeze()),
            }
        };
        let answer = body.as_ref().and_then(|body: &Bytes| serde_json::from_slice::<Answer>(body).ok());
        match answer {
            Some(answer) if answer.ok && status.is_success() => Ok(answer.result),
            Some(answer) if !answer.ok => {
                let code = answer.error_code.unwrap_or(status.as_u16());
                let Parameters { retry_after: after, migrate_to_chat_id } = answer.parameters.unwrap_or_default();
                let said = answer.description.unwrap_or_default();
                let error = self.refusal(asked, code, &said, after.or(retry_after));
                let about = migrate_to_chat_id.map_or_else(|| about(code, &said), About::Migrated);
                Err(Refusal { error, about })
            }
            _ if status.is_success() => {
                let detail = "the Bot API's answer cannot be read".to_owned();
                Err(asked.unknown(detail).into())
            }
            // What answers so may be a gateway.
            _ => Err(self.refusal(asked, status.as_u16(), "", retry_after).into()),
        }
    }

    fn no_answer(&self, asked: Asked<'_>, error: &reqwest::Error) -> Error {
        // Only what lies below: the outer ones repeat the URL, which holds the token.
        let cause = self.clean(asked, &root_cause(error));
        if error.is_connect() || error.is_builder() {
            return asked.fault(ErrorKind::Unavailable, format!("cannot connect to {}: {cause}", self.host));
        }
        asked.unknown(format!("the connection to {} was cut: {cause}", self.host))
    }

    fn refusal(&self, asked: Asked<'_>, code: u16, said: &str, retry_after: Option<u64>) -> Error {
        let lower = said.to_lowercase();
        let holds = |descriptions: &[&str]| descriptions.iter().any(|description| lower.contains(description));
        let said = self.clean(asked, said);
        let fault = |kind, words: &str| {
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            asked.fault(kind, format!("Telegram {words} ({code}){said}"))
        };
        match code {
            400 if holds(&NOBODY) => fault(ErrorKind::NotFound, "knows no such chat").of_recipient(),
            401 => fault(ErrorKind::Auth, "refuses the bot's token"),
            403 => fault(ErrorKind::Rejected, "lets the bot write there no more").blocked(),
            404 => fault(ErrorKind::NotFound, "knows nothing of that"),
            409 => fault(ErrorKind::Unavailable, "is asked by another program with the same token, or has a webhook"),
            429 => {
                let error = fault(ErrorKind::RateLimited, "asks to slow down");
                match retry_after.map(Duration::from_secs) {
                    Some(wait) => error.with_retry(Retry::After(wait.min(RETRY_AFTER_MAX))),
                    None => error,
                }
            }
            // A gateway gave up waiting for it; it may be at work.
            504 => asked.unknown(format!("Telegram did not answer its gateway in time ({code})")),
            500..=599 => fault(ErrorKind::Unavailable, "is ill"),
            300..=399 => fault(ErrorKind::Config, "redirects, which is not followed: look at `api_url`"),
            _ => fault(ErrorKind::Rejected, "refuses it"),
        }
    }

    /// What comes from the provider as an error may have it: without secrets and control characters, and not long.
    fn clean(&self, asked: Asked<'_>, said: &str) -> String {
        // Control characters first: without them, what they part may be a secret.
        let mut said: String = said.chars().filter(|c| !c.is_control()).collect();
        let token = self.token.expose_secret();
        let half = token.split_once(':').map_or("", |(_, half)| half);
        for secret in asked.secrets.iter().copied().chain([token, half]).filter(|secret| !secret.is_empty()) {
            said = said.replace(secret, "…");
        }
        said.chars().take(DETAIL_MAX).collect()
    }
}

impl Asked<'_> {
    pub(crate) fn fault(self, kind: ErrorKind, detail: impl Into<String>) -> Error {
        Error::new(kind, self.operation, detail.into())
    }

    /// Whether it happened is not known.
    fn unknown(self, detail: String) -> Error {
        self.fault(if self.once { ErrorKind::Ambiguous } else { ErrorKind::Unavailable }, detail)
    }
}

fn about(code: u16, said: &str) -> About {
    let lower = said.to_lowercase();
    match code {
        400 if lower.contains("message is not modified") => About::NotModified,
        409 => About::Conflict,
        400 if FIXED.iter().any(|description| lower.contains(description)) => About::Fixed,
        _ => About::Other,
    }
}

/// A method as Telegram's own documentation writes it: not every server takes another case.
fn method(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// The innermost error.
fn root_cause(error: &reqwest::Error) -> String {
    let below = std::iter::successors(StdError::source(error), |error| (**error).source());
    below.last().map_or_else(|| "unknown".into(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use hearback_core::clock::{ManualClock, SystemClock};
    use teloxide_core::payloads::GetMe;

    use super::*;

    const TOKEN: &str = "4242:AAF-secret_of-the-bot";

    fn api(base: &str) -> Api {
        Api::new(&base.parse().unwrap(), TOKEN.into(), Arc::new(SystemClock), Duration::from_secs(10)).unwrap()
    }

    #[test]
    fn every_refusal_has_its_kind() {
        let api = api("http://127.0.0.1:9");
        let cases = [
            (400, "Bad Request: chat not found", ErrorKind::NotFound),
            (400, "Bad Request: PEER_ID_INVALID", ErrorKind::NotFound),
            (400, "Bad Request: can't parse entities", ErrorKind::Rejected),
            (401, "Unauthorized", ErrorKind::Auth),
            (403, "Forbidden: bot was kicked from the group chat", ErrorKind::Rejected),
            (404, "Not Found", ErrorKind::NotFound),
            (409, "Conflict: terminated by other getUpdates request", ErrorKind::Unavailable),
            (413, "Request Entity Too Large", ErrorKind::Rejected),
            (429, "Too Many Requests", ErrorKind::RateLimited),
            (301, "", ErrorKind::Config),
            (500, "Internal Server Error", ErrorKind::Unavailable),
            (502, "Bad Gateway", ErrorKind::Unavailable),
        ];
        for (code, said, kind) in cases {
            let error = api.refusal(Asked::once("telegram.test"), code, said, None);
            assert_eq!(error.kind(), kind, "{code} {said}: {error}");
            assert_eq!(error.is_blocked(), code == 403, "{code}");
            assert!(error.detail().contains(said), "what Telegram says is told: {error}");
        }
        let gateway = |asked| api.refusal(asked, 504, "", None).kind();
        assert_eq!(gateway(Asked::once("telegram.test")), ErrorKind::Ambiguous, "it may be at work");
        assert_eq!(gateway(Asked::again("telegram.test")), ErrorKind::Unavailable);
    }

    #[test]
    fn how_long_to_wait_is_kept_up_to_a_day() {
        let api = api("http://127.0.0.1:9");
        let after = |seconds| api.refusal(Asked::once("telegram.test"), 429, "", Some(seconds)).retry();
        assert_eq!(after(35), Retry::After(Duration::from_secs(35)));
        assert_eq!(after(u64::MAX), Retry::After(Duration::from_hours(24)));
    }

    #[test]
    fn what_a_refusal_is_about_is_known_by_its_description() {
        let cases = [
            (400, "Bad Request: message is not modified: specified new message content…", About::NotModified),
            (400, "Bad Request: message to edit not found", About::Fixed),
            (400, "Bad Request: message can't be edited", About::Fixed),
            (400, "Bad Request: MESSAGE_ID_INVALID", About::Fixed),
            (400, "Bad Request: chat not found", About::Other),
            (500, "message is not modified", About::Other),
        ];
        for (code, said, expected) in cases {
            assert_eq!(about(code, said), expected, "{code} {said}");
        }
    }

    #[test]
    fn no_secret_comes_back_in_what_is_said() {
        let api = api("http://127.0.0.1:9");
        let asked = Asked { secrets: &["12345678"], ..Asked::once("telegram.test") };
        let said = format!("{TOKEN} AAF-secret_of-the-bot 1234\u{0}5678 {}", "x".repeat(1000));
        let clean = api.clean(asked, &said);
        assert!(!clean.contains("secret_of") && !clean.contains("12345678"), "{clean}");
        assert_eq!(clean.chars().count(), DETAIL_MAX);
    }

    #[tokio::test]
    async fn where_nobody_listens_nothing_was_sent() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let refusal =
            api(&format!("http://{free}")).call::<_, Value>(Asked::once("telegram.test"), &GetMe::new()).await;
        let error = refusal.unwrap_err().error;
        assert_eq!((error.kind(), error.is_in_doubt()), (ErrorKind::Unavailable, false), "{error}");
        assert!(error.detail().contains("cannot connect to 127.0.0.1") && !error.detail().contains(TOKEN), "{error}");
    }

    #[tokio::test]
    async fn a_hang_ends_by_the_clock() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let clock = Arc::new(ManualClock::at(hearback_core::Timestamp::from_micros(0)));
        let api = Api::new(&base, TOKEN.into(), clock.clone(), Duration::from_secs(10)).unwrap();
        let me = GetMe::new();
        let mut call = std::pin::pin!(api.call::<_, Value>(Asked::again("telegram.test"), &me));
        select! {
            biased;
            answered = &mut call => panic!("nobody answers: {answered:?}"),
            () = std::future::ready(()) => {}
        }
        clock.advance(Duration::from_secs(10));
        assert_eq!(call.await.unwrap_err().error.kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn methods_are_written_as_telegram_writes_them() {
        assert_eq!(
            (method("SendMessage"), method("GetMe"), method("")),
            ("sendMessage".into(), "getMe".into(), String::new())
        );
    }
}
