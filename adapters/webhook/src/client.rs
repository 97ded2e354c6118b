//! One signed call, to an address that may be called.

use std::{
    error::Error as StdError,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use chrono::DateTime;
use hearback_core::{Clock, Timestamp, error::FieldError, network::Networks};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use url::{Host, Url};

use crate::signature::{ID, Key, SIGNATURE, TIMESTAMP, seconds};

/// This much of an answer is read. A documented one is far smaller.
const ANSWER_MAX: usize = 64 * 1024;

/// How long to wait for a connection at most: nothing was sent by then, which is worth knowing.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A plug-in that asks to be left alone for longer is asked again after this.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// Calls one URL.
pub struct Client {
    http: reqwest::Client,
    pub(crate) url: Url,
    allow: Networks,
    clock: Arc<dyn Clock>,
    /// What both sides sign with.
    pub(crate) key: Key,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.host())
    }
}

/// What a plug-in answered.
#[derive(Debug)]
pub struct Answered {
    /// The status.
    pub status: StatusCode,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The body; `None` when it was cut off or has more than 64 KiB.
    pub body: Option<Bytes>,
}

/// Why there is no answer. Its message holds no secret and no URL.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The address may not be called.
    #[error("{0}")]
    Forbidden(Forbidden),
    /// There was no connection: nothing was sent.
    #[error("cannot connect to the plug-in at {host}: {cause}")]
    Unconnected {
        /// The host.
        host: String,
        /// What lies below.
        cause: String,
    },
    /// The connection was cut after it was there: something may have been sent.
    #[error("the connection to the plug-in at {host} was cut: {cause}")]
    Cut {
        /// The host.
        host: String,
        /// What lies below.
        cause: String,
    },
}

/// A host leads only to addresses that may not be called. Whoever asked and whoever is asked read this; the address that a
/// name stands for inside the operator's network is for the log alone.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "the plug-in's host {host} has a private address, which is not called; to allow it, set OUTBOUND_ALLOW to a network \
     that it is in, which the hub's log names"
)]
pub struct Forbidden {
    host: String,
    address: IpAddr,
    network: String,
}

impl Forbidden {
    fn new(host: &str, address: IpAddr) -> Self {
        let address = address.to_canonical();
        let network = match address {
            IpAddr::V4(v4) if v4.is_loopback() => "127.0.0.0/8".into(),
            IpAddr::V4(_) => format!("{address}/32"),
            IpAddr::V6(_) => format!("{address}/128"),
        };
        Self { host: host.into(), address, network }
    }

    /// Tells the operator what nobody else is told.
    fn logged(self) -> NoAnswer {
        let Self { host, address, network } = &self;
        tracing::warn!(
            %host,
            %address,
            "a plug-in is at a private address, which is not called; to allow it, set OUTBOUND_ALLOW to a network that it \
             is in, as {network}"
        );
        NoAnswer::Forbidden(self)
    }
}

impl Client {
    /// A client of the plug-in at `url`.
    ///
    /// # Errors
    ///
    /// There is nothing to verify the server's certificate with.
    pub fn new(
        url: Url,
        key: Key,
        allow: Networks,
        clock: Arc<dyn Clock>,
        send_timeout: Duration,
    ) -> Result<Self, FieldError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Whoever comes first installs it; the losers of a race find the same one.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let mut http = reqwest::Client::builder();
        if url.scheme() == "http" {
            // A plug-in beside the hub can be called from a machine without certificate authorities.
            http = http.tls_certs_only([]);
        }
        let http = http
            .user_agent(concat!("hearback/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Filter { allow: allow.clone() }))
            .no_proxy()
            // A redirect would carry the question to somewhere that nobody configured.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A kept connection that dies at the wrong moment would leave a sending with an unknown end.
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_MAX.min(send_timeout / 2))
            .build()
            .map_err(|error| FieldError::new("url", format!("no HTTPS client: {}", root_cause(&error))))?;
        Ok(Self { http, url, allow, clock, key })
    }

    /// The host and port of the URL, which are no secret.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Makes one signed call.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn post(&self, id: &str, body: Vec<u8>) -> Result<Answered, NoAnswer> {
        self.post_with(self.headers(id, seconds(self.clock.now()), &body), body).await
    }

    /// The headers that sign a body.
    pub(crate) fn headers(&self, id: &str, timestamp: i64, body: &[u8]) -> HeaderMap {
        let signature = self.key.sign(id, timestamp, body);
        let pairs = [(ID, id.to_owned()), (TIMESTAMP, timestamp.to_string()), (SIGNATURE, signature)];
        pairs.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?))).collect()
    }

    /// Makes one call with these headers for a signature.
    pub(crate) async fn post_with(&self, headers: HeaderMap, body: Vec<u8>) -> Result<Answered, NoAnswer> {
        // The connector asks no resolver for a literal address. The url crate has read every spelling of one.
        let literal = match self.url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if let Some(address) = literal.filter(|address| !self.allow.permit(*address)) {
            return Err(Forbidden::new(&self.host(), address).logged());
        }
        let request = self.http.post(self.url.clone()).headers(headers);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        let mut response = request.send().await.map_err(|error| self.no_answer(&error))?;
        let (status, headers) = (response.status(), response.headers());
        let retry_after = headers.get(header::RETRY_AFTER).and_then(|value| retry_after(value, self.clock.now()));
        let mut read = BytesMut::new();
        let body = loop {
            match response.chunk().await {
                Ok(Some(chunk)) if read.len() + chunk.len() <= ANSWER_MAX => read.extend_from_slice(&chunk),
                Ok(Some(_)) | Err(_) => break None,
                Ok(None) => break Some(read.freeze()),
            }
        };
        Ok(Answered { status, retry_after, body })
    }

    fn no_answer(&self, error: &reqwest::Error) -> NoAnswer {
        if let Some(forbidden) = below(error).find_map(|error| error.downcast_ref::<Forbidden>()) {
            return forbidden.clone().logged();
        }
        let (host, cause) = (self.host(), root_cause(error));
        if error.is_connect() || error.is_builder() {
            NoAnswer::Unconnected { host, cause }
        } else {
            NoAnswer::Cut { host, cause }
        }
    }
}

/// Seconds, or a date as HTTP writes it; at most a day.
fn retry_after(value: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let span = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Timestamp::from(DateTime::parse_from_rfc2822(text).ok()?.to_utc()).since(now),
    };
    Some(span.min(RETRY_AFTER_MAX))
}

fn below<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (**error).source())
}

/// The innermost error: what the outer ones say of the URL is left out.
fn root_cause(error: &reqwest::Error) -> String {
    below(error).skip(1).last().map_or_else(|| "unknown".into(), ToString::to_string)
}

/// Looks names up, and keeps only the addresses that may be called. The connection goes to one of these.
#[derive(Debug)]
struct Filter {
    allow: Networks,
}

impl Resolve for Filter {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = self.allow.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let permitted: Vec<SocketAddr> = found.iter().copied().filter(|to| allow.permit(to.ip())).collect();
            match found.first() {
                Some(first) if permitted.is_empty() => Err(Forbidden::new(name.as_str(), first.ip()).into()),
                _ => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}
