//! One call of the hub's API at a time, and what a failed one means.

use std::{error::Error, fmt::Write, time::Duration};

use hearback_core::{
    error::FieldError,
    feedback::{Draft, RequestDocument},
    id::RequestId,
    secret::{ExposeSecret, Secret},
};
use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{self, HeaderMap, HeaderValue},
    redirect,
};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::progress::printable;

/// How long a call may take that the hub does not hold open.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the hub is asked to hold a call open while nothing happens, in seconds.
pub(super) const HOLD: u64 = 30;
/// The header that makes a repeated POST safe.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// Another try may help, not before `after` when the hub says so.
    Passing {
        /// A sentence for people.
        detail: String,
        /// The hub's Retry-After.
        after: Option<Duration>,
    },
    /// The same call fails again; a text for people, with a line for each field at fault.
    Lasting(String),
}

/// A request as the hub answered it: read, and as it came, with what a newer hub adds.
#[derive(Debug)]
pub(super) struct Answer {
    /// What this program understands of it.
    pub(super) request: RequestDocument,
    /// All of it.
    pub(super) raw: Value,
}

/// The hub's API, with the caller's token.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// A client of the hub at `base`, a checked URL. A fault is a sentence for people, without the token.
    pub(super) fn new(base: String, token: &Secret) -> Result<Self, String> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| "the token holds characters that no token has")?;
        authorization.set_sensitive(true);
        let mut http = reqwest::Client::builder();
        if base.starts_with("http:") {
            // A hub without TLS can be asked from a machine without certificate authorities, as slim containers are.
            http = http.tls_certs_only([]);
        }
        let http = http
            .user_agent(concat!("hearback-ask/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter([(header::AUTHORIZATION, authorization)]))
            .connect_timeout(Duration::from_secs(10))
            // A redirect would carry question and token to somewhere the caller has not named.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| format!("cannot make an HTTPS client: {} (Debian has them in ca-certificates)", root_cause(&error)))?;
        Ok(Self { http, base })
    }

    /// The hub's URL, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Puts the question. The same `key` never puts it twice.
    pub(super) async fn create(&self, draft: &Draft, key: &str) -> Result<Answer, Fault> {
        self.call(self.request(Method::POST, "").header(IDEMPOTENCY_KEY, key).json(draft)).await
    }

    /// Reads a request as it is now.
    pub(super) async fn read(&self, id: RequestId) -> Result<Answer, Fault> {
        self.call(self.request(Method::GET, &format!("/{id}"))).await
    }

    /// Reads a request. The hub answers when it is over, at the latest after [`HOLD`].
    pub(super) async fn wait(&self, id: RequestId) -> Result<Answer, Fault> {
        let request = self.request(Method::GET, &format!("/{id}")).query(&[("wait", HOLD)]);
        self.call(request.timeout(CALL_TIMEOUT + Duration::from_secs(HOLD))).await
    }

    /// Takes the question back.
    pub(super) async fn cancel(&self, id: RequestId) -> Result<Answer, Fault> {
        self.call(self.request(Method::POST, &format!("/{id}/cancel"))).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/api/feedback{path}", self.base)).timeout(CALL_TIMEOUT)
    }

    async fn call(&self, request: RequestBuilder) -> Result<Answer, Fault> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if status.is_success() {
            let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
            return self.parse(&body);
        }
        Err(self.refusal(status, answer).await)
    }

    fn parse(&self, body: &[u8]) -> Result<Answer, Fault> {
        let foreign = |detail: String| Fault::Lasting(format!("{} does not answer as a hub does: {detail}", self.base));
        let raw: Value = serde_json::from_slice(body).map_err(|error| foreign(format!("no JSON, {error}")))?;
        let request = serde_path_to_error::deserialize(&raw).map_err(|error| foreign(error.to_string()))?;
        Ok(Answer { request, raw })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Fault {
        if error.is_builder() {
            return Fault::Lasting(root_cause(error));
        }
        let base = &self.base;
        let detail = if error.is_connect() {
            format!("cannot reach {base}: {}. Is the hub running at {base}?", root_cause(error))
        } else if error.is_timeout() {
            format!("{base} did not answer in time")
        } else {
            format!("the connection to {base} was cut: {}", root_cause(error))
        };
        Fault::Passing { detail, after: None }
    }

    async fn refusal(&self, status: StatusCode, answer: Response) -> Fault {
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let after = header(header::RETRY_AFTER).and_then(|text| text.parse().ok()).map(Duration::from_secs);
        if status.is_redirection() {
            let to = header(header::LOCATION).unwrap_or("somewhere else");
            return Fault::Lasting(format!(
                "{} redirects to {}: set HEARBACK_URL to the hub itself",
                self.base,
                printable(to)
            ));
        }
        // A body that is cut or not a problem leaves the status to tell.
        let body = answer.bytes().await.unwrap_or_default();
        let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
        let detail = problem.text(status);
        let running = problem.kind.ends_with(":idempotency_running");
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || running {
            return Fault::Passing { detail: format!("the hub answered {}: {detail}", status.as_u16()), after };
        }
        let hint = match status {
            StatusCode::UNAUTHORIZED => {
                "\nMake a service token on the hub's page and set HEARBACK_TOKEN to it (or pass --token).".into()
            }
            StatusCode::NOT_FOUND if problem.kind.is_empty() => {
                format!("\nIs {} a hub, with its path prefix?", self.base)
            }
            _ => String::new(),
        };
        Fault::Lasting(detail + &hint)
    }
}

/// The hub's error, as far as this program shows it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    detail: String,
    errors: Vec<FieldError>,
    request_id: String,
}

impl Problem {
    fn text(&self, status: StatusCode) -> String {
        let told = [&self.detail, &self.title].into_iter().find(|text| !text.is_empty());
        let mut text = told.cloned().unwrap_or_else(|| status.to_string());
        if status.is_server_error() && !self.request_id.is_empty() {
            let _ = write!(text, " (request {})", self.request_id);
        }
        for error in &self.errors {
            let _ = write!(text, "\n  {error}");
        }
        printable(&text)
    }
}

/// The URL up to the API, without a slash at its end, if it is one that is safe to print.
pub(super) fn check_url(text: &str) -> Result<String, String> {
    let url: Url = text.trim().parse().map_err(|error| format!("the hub's URL cannot be read: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the hub's URL begins with {}:, expected http: or https:", url.scheme()));
    }
    let secret = !url.username().is_empty() || url.password().is_some();
    if secret || url.query().is_some() || url.fragment().is_some() {
        return Err("the hub's URL holds more than host, port and path; a token belongs into HEARBACK_TOKEN".into());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The innermost error, which says what happened; those around it only say during what.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_could_hold_a_secret_is_refused_without_being_repeated() {
        for url in
            ["http://hub/?token=hb_secret", "http://hb_secret@hub", "http://a:hb_secret@hub", "http://hub/#hb_secret"]
        {
            let told = check_url(url).unwrap_err();
            assert!(!told.contains("hb_secret"), "{told}");
        }
        assert_eq!(check_url("https://hub.example/ask/").unwrap(), "https://hub.example/ask");
        assert!(check_url("hub.example").is_err());
        assert!(check_url("ftp://hub.example").is_err());
    }
}
