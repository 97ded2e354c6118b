//! One signed call, to an address that may be called: a plug-in's, or the URL at which an asker is called back.

use std::{
    collections::HashSet,
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
use parking_lot::Mutex;
use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use url::{Host, Url};

use crate::signature::{Key, seconds};

/// This much of an answer is read. A documented one is far smaller.
const ANSWER_MAX: usize = 64 * 1024;

/// How long to wait for a connection at most: nothing was sent by then, which is worth knowing.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Whoever asks to be left alone for longer is called again after this.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// How many hosts are remembered as warned of.
const WARNED_MAX: usize = 1_000;

/// Calls over HTTP, at addresses that may be called. It keeps no connection and follows no redirect.
pub struct Transport {
    http: reqwest::Client,
    allow: Networks,
    clock: Arc<dyn Clock>,
    called: &'static str,
    /// The hosts whose private address the operator was told of.
    warned: Mutex<HashSet<String>>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transport({})", self.called)
    }
}

/// Calls one URL.
pub struct Client {
    transport: Transport,
    pub(crate) url: Url,
    /// What both sides sign with.
    pub(crate) key: Key,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", host(&self.url))
    }
}

/// The beginning of an answer.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// How long it asks to be left alone; at most a day.
    pub retry_after: Option<Duration>,
    rest: reqwest::Response,
}

/// What was answered.
#[derive(Debug)]
pub struct Answered {
    /// The status.
    pub status: StatusCode,
    /// How long it asks to be left alone; at most a day.
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
    #[error("cannot connect to the {called} at {host}: {cause}")]
    Unconnected {
        /// What is called.
        called: &'static str,
        /// The host.
        host: String,
        /// What lies below.
        cause: String,
    },
    /// The connection was cut after it was there: something may have been sent.
    #[error("the connection to the {called} at {host} was cut: {cause}")]
    Cut {
        /// What is called.
        called: &'static str,
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
    "the {called}'s host {host} has a private address, which is not called; to allow it, set OUTBOUND_ALLOW to a \
     network that it is in, which the hub's log names"
)]
pub struct Forbidden {
    called: &'static str,
    host: String,
    address: IpAddr,
    network: String,
}

impl Forbidden {
    fn new(called: &'static str, host: &str, address: IpAddr) -> Self {
        let address = address.to_canonical();
        let network = match address {
            IpAddr::V4(v4) if v4.is_loopback() => "127.0.0.0/8".into(),
            IpAddr::V4(_) => format!("{address}/32"),
            IpAddr::V6(_) => format!("{address}/128"),
        };
        Self { called, host: host.into(), address, network }
    }

    /// Tells the operator what nobody else is told.
    fn warn(&self) {
        let Self { called, host, address, network } = self;
        tracing::warn!(
            %host,
            %address,
            "a {called} is at a private address, which is not called; to allow it, set OUTBOUND_ALLOW to a network \
             that it is in, as {network}"
        );
    }
}

impl Transport {
    /// Calls what readers of its errors know as `called`. With `https` it can verify certificates; without, it can be
    /// made on a machine that has no certificate authorities.
    ///
    /// # Errors
    ///
    /// There is nothing to verify certificates with.
    pub fn new(
        called: &'static str,
        https: bool,
        allow: Networks,
        clock: Arc<dyn Clock>,
        send_timeout: Duration,
    ) -> Result<Self, FieldError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Whoever comes first installs it; the losers of a race find the same one.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let mut http = reqwest::Client::builder();
        if !https {
            http = http.tls_certs_only([]);
        }
        let http = http
            .user_agent(concat!("hearback/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Filter { called, allow: allow.clone() }))
            .no_proxy()
            // A redirect would carry the question to somewhere that nobody named.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A kept connection that dies at the wrong moment would leave a sending with an unknown end.
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_MAX.min(send_timeout / 2))
            .build()
            .map_err(|error| FieldError::new("url", format!("no HTTPS client: {}", root_cause(&error))))?;
        Ok(Self { http, allow, clock, called, warned: Mutex::default() })
    }

    /// Posts JSON, and returns when the answer begins. The operator is told once of a host that has a private address.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: Vec<u8>) -> Result<Head, NoAnswer> {
        // The connector asks no resolver for a literal address. The url crate has read every spelling of one.
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if let Some(address) = literal.filter(|address| !self.allow.permit(*address)) {
            return Err(self.forbidden(Forbidden::new(self.called, &host(url), address)));
        }
        let request = self.http.post(url.clone()).headers(headers);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        let rest = request.send().await.map_err(|error| self.no_answer(url, &error))?;
        let (status, headers) = (rest.status(), rest.headers());
        let retry_after = headers.get(header::RETRY_AFTER).and_then(|value| retry_after(value, self.clock.now()));
        Ok(Head { status, retry_after, rest })
    }

    fn no_answer(&self, url: &Url, error: &reqwest::Error) -> NoAnswer {
        if let Some(forbidden) = below(error).find_map(|error| error.downcast_ref::<Forbidden>()) {
            return self.forbidden(forbidden.clone());
        }
        let (called, host, cause) = (self.called, host(url), root_cause(error));
        if error.is_connect() || error.is_builder() {
            NoAnswer::Unconnected { called, host, cause }
        } else {
            NoAnswer::Cut { called, host, cause }
        }
    }

    fn forbidden(&self, forbidden: Forbidden) -> NoAnswer {
        let mut warned = self.warned.lock();
        if warned.len() == WARNED_MAX {
            warned.clear();
        }
        if warned.insert(forbidden.host.clone()) {
            forbidden.warn();
        }
        NoAnswer::Forbidden(forbidden)
    }
}

impl Head {
    /// Reads the rest of the answer.
    pub async fn read(self) -> Answered {
        let Self { status, retry_after, mut rest } = self;
        let mut read = BytesMut::new();
        let body = loop {
            match rest.chunk().await {
                Ok(Some(chunk)) if read.len() + chunk.len() <= ANSWER_MAX => read.extend_from_slice(&chunk),
                Ok(Some(_)) | Err(_) => break None,
                Ok(None) => break Some(read.freeze()),
            }
        };
        Answered { status, retry_after, body }
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
        let transport = Transport::new("plug-in", url.scheme() != "http", allow, clock, send_timeout)?;
        Ok(Self { transport, url, key })
    }

    /// Makes one signed call.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn post(&self, id: &str, body: Vec<u8>) -> Result<Answered, NoAnswer> {
        self.post_with(self.key.headers(id, seconds(self.transport.clock.now()), &body), body).await
    }

    /// Makes one call with these headers for a signature.
    pub(crate) async fn post_with(&self, headers: HeaderMap, body: Vec<u8>) -> Result<Answered, NoAnswer> {
        Ok(self.transport.post(&self.url, headers, body).await?.read().await)
    }
}

/// The host and port of a URL, which are no secret.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
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
    called: &'static str,
    allow: Networks,
}

impl Resolve for Filter {
    fn resolve(&self, name: Name) -> Resolving {
        let (called, allow) = (self.called, self.allow.clone());
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let permitted: Vec<SocketAddr> = found.iter().copied().filter(|to| allow.permit(to.ip())).collect();
            match found.first() {
                Some(first) if permitted.is_empty() => Err(Forbidden::new(called, name.as_str(), first.ip()).into()),
                _ => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}
