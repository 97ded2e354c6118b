//! Origins: whose pages may call.

use std::net::SocketAddr;

use http::{HeaderMap, header};
use url::{Origin, Url};

use crate::{
    api::problem::{Problem, ProblemKind},
    config::Config,
};

/// The origins that the hub knows: its own, and those of other pages that may call.
#[derive(Clone, Debug)]
pub struct Origins {
    public: String,
    own: Vec<String>,
    others: Vec<String>,
}

impl Origins {
    /// The origins of a configuration whose `bind` is the address that the hub listens on.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let public = config.public_url.origin().ascii_serialization();
        let mut own = vec![public.clone()];
        if config.bind.ip().is_loopback() {
            own.extend(loopback(config.bind));
        }
        Self { public, own, others: config.cors_origins.clone() }
    }

    /// Whether pages of this origin may call.
    #[must_use]
    pub fn knows(&self, origin: &str) -> bool {
        self.own.iter().chain(&self.others).any(|known| known == origin)
    }

    /// Whether it is an origin of other pages that may call, and so needs the headers of CORS.
    #[must_use]
    pub fn shares_with(&self, origin: &str) -> bool {
        self.others.iter().any(|known| known == origin)
    }

    /// Whether any other origin's pages may call.
    #[must_use]
    pub const fn shares(&self) -> bool {
        !self.others.is_empty()
    }

    /// Refuses a call from a page of an unknown origin. Programs send no `Origin`.
    ///
    /// # Errors
    ///
    /// `origin`.
    pub fn refuse_unknown(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match origin(headers) {
            Some(origin) if !self.knows(&origin) => Err(self.unknown(&origin)),
            _ => Ok(()),
        }
    }

    /// Refuses a call that does not show that it came from a page of a known origin: one that a browser signs with its
    /// cookies. Without an `Origin` its `Referer` counts.
    ///
    /// # Errors
    ///
    /// `origin`.
    pub fn require_known(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match origin(headers).or_else(|| referer(headers)) {
            Some(origin) if self.knows(&origin) => Ok(()),
            Some(origin) => Err(self.unknown(&origin)),
            None => Err(Problem::new(
                ProblemKind::Origin,
                "A call with cookies must say where it comes from: it has neither an Origin nor a Referer header.",
            )),
        }
    }

    fn unknown(&self, origin: &str) -> Problem {
        Problem::new(
            ProblemKind::Origin,
            format!(
                "This call came from {origin}, which is not one of the hub's origins. If people open the hub there, set \
                 PUBLIC_URL to it (it is {}).",
                self.public
            ),
        )
    }
}

fn loopback(bind: SocketAddr) -> impl Iterator<Item = String> {
    let port = bind.port();
    // Browsers leave the default port out, and so does the URL.
    let urls = ["127.0.0.1", "localhost", "[::1]"].map(|host| Url::parse(&format!("http://{host}:{port}")));
    urls.into_iter().flatten().map(|url| url.origin().ascii_serialization())
}

/// The `Origin` of a call, as a text; what cannot be read is an origin too, only an unknown one.
pub(crate) fn origin(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::ORIGIN).iter();
    let first = values.next()?;
    let readable = first.to_str().ok().filter(|text| text.len() <= 300).filter(|_| values.next().is_none());
    Some(readable.unwrap_or("an unreadable origin").to_owned())
}

fn referer(headers: &HeaderMap) -> Option<String> {
    let url = Url::parse(headers.get(header::REFERER)?.to_str().ok()?).ok()?;
    match url.origin() {
        Origin::Opaque(_) => Some("an opaque origin".into()),
        origin @ Origin::Tuple(..) => Some(origin.ascii_serialization()),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn origins(public: &str, bind: &str) -> Origins {
        Origins::new(&Config {
            public_url: public.parse().unwrap(),
            bind: bind.parse().unwrap(),
            cors_origins: vec!["https://other.example".into()],
            ..Config::default()
        })
    }

    #[test]
    fn the_hub_knows_its_public_url_its_loopback_names_and_the_others_it_is_told_of() {
        let local = origins("http://127.0.0.1:8123/hub", "127.0.0.1:8123");
        for known in ["http://127.0.0.1:8123", "http://localhost:8123", "http://[::1]:8123", "https://other.example"] {
            assert!(local.knows(known), "{known}");
        }
        for unknown in
            ["http://localhost", "https://localhost:8123", "http://127.0.0.1:8124", "null", "", "http://evil.example"]
        {
            assert!(!local.knows(unknown), "{unknown}");
        }
        let public = origins("https://hub.example/", "0.0.0.0:8000");
        assert!(public.knows("https://hub.example") && !public.knows("http://localhost:8000"));
        assert!(origins("http://localhost/", "127.0.0.1:80").knows("http://localhost"));
    }

    #[test]
    fn a_call_with_cookies_must_show_a_known_origin_and_others_must_not_show_an_unknown_one() {
        let origins = origins("https://hub.example", "0.0.0.0:8000");
        let headers = |name: http::HeaderName, value: &'static str| {
            HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
        };
        let known = headers(header::ORIGIN, "https://hub.example");
        assert!(origins.require_known(&known).is_ok() && origins.refuse_unknown(&known).is_ok());
        let unknown = headers(header::ORIGIN, "https://evil.example");
        assert!(origins.require_known(&unknown).is_err());
        assert!(origins.refuse_unknown(&unknown).unwrap_err().detail().contains("PUBLIC_URL"));
        let referred = headers(header::REFERER, "https://hub.example/some/page?x=1");
        assert!(origins.require_known(&referred).is_ok());
        let lured = headers(header::REFERER, "https://evil.example/https://hub.example");
        assert!(origins.require_known(&lured).is_err());
        assert!(origins.require_known(&HeaderMap::new()).is_err() && origins.refuse_unknown(&HeaderMap::new()).is_ok());
        let mut twice = known;
        twice.append(header::ORIGIN, HeaderValue::from_static("https://evil.example"));
        assert!(origins.require_known(&twice).is_err() && origins.refuse_unknown(&twice).is_err());
    }
}
