//! The cookies of a sign-in on the page.

use http::{HeaderMap, HeaderValue, header};
use subtle::ConstantTimeEq;

use super::SignIn;
use crate::{
    api::problem::{Problem, ProblemKind},
    config::Config,
    digest,
};

/// Holds the access token.
pub(super) const ACCESS: &str = "hb_access";
/// Holds the refresh token; sent to the operations of `/api/auth` only.
pub(super) const REFRESH: &str = "hb_refresh";
/// Holds a random text that the page repeats in [`CSRF_HEADER`], which pages of other origins cannot read.
pub(super) const CSRF: &str = "hb_csrf";
/// Repeats the cookie [`CSRF`].
pub(super) const CSRF_HEADER: &str = "X-CSRF-Token";

/// How the cookies of this hub are set.
#[derive(Clone, Debug)]
pub struct Cookies {
    path_prefix: String,
    secure: bool,
    refresh_seconds: u64,
}

impl Cookies {
    /// The cookies for a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            path_prefix: config.path_prefix.clone(),
            secure: config.has_secure_cookies(),
            refresh_seconds: u64::from(config.refresh_token_days) * 24 * 60 * 60,
        }
    }

    /// The cookies of a new or renewed sign-in. A renewed one keeps its CSRF text, which other tabs may be sending.
    #[must_use]
    pub fn set(&self, sign_in: &SignIn, request: &HeaderMap) -> Vec<HeaderValue> {
        let kept = cookie(request, CSRF).filter(|text| text.len() == 43 && text.bytes().all(is_base64url));
        let csrf = kept.map_or_else(digest::random_text, str::to_owned);
        self.values([
            (ACCESS, &sign_in.access_token, sign_in.expires_in),
            (REFRESH, &sign_in.refresh_token, self.refresh_seconds),
            (CSRF, &csrf, self.refresh_seconds),
        ])
    }

    /// Takes the cookies away.
    #[must_use]
    pub fn clear(&self) -> Vec<HeaderValue> {
        self.values([(ACCESS, "", 0), (REFRESH, "", 0), (CSRF, "", 0)])
    }

    fn values(&self, cookies: [(&str, &str, u64); 3]) -> Vec<HeaderValue> {
        let value = |(name, value, max_age): (&str, &str, u64)| {
            let path = match name {
                REFRESH => format!("{}/api/auth", self.path_prefix),
                _ if self.path_prefix.is_empty() => "/".into(),
                _ => self.path_prefix.clone(),
            };
            let http_only = if name == CSRF { "" } else { "; HttpOnly" };
            let secure = if self.secure { "; Secure" } else { "" };
            // The page is the same for everybody and fetches what is somebody's, so Strict keeps no link from working.
            let cookie = format!("{name}={value}; Path={path}; Max-Age={max_age}; SameSite=Strict{http_only}{secure}");
            HeaderValue::try_from(cookie).ok()
        };
        cookies.into_iter().filter_map(value).collect()
    }
}

const fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// The value of a cookie that is not empty.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(found, value)| *found == name && !value.is_empty()).map(|(_, value)| value).next()
}

/// Refuses a call whose header does not repeat the CSRF cookie.
pub(super) fn require_csrf(headers: &HeaderMap) -> Result<(), Problem> {
    let header = headers.get(CSRF_HEADER).map(HeaderValue::as_bytes);
    let same = header.zip(cookie(headers, CSRF)).is_some_and(|(header, cookie)| header.ct_eq(cookie.as_bytes()).into());
    if same {
        return Ok(());
    }
    let detail =
        "A call with cookies that changes something needs the header X-CSRF-Token, equal to the cookie hb_csrf.";
    Err(Problem::new(ProblemKind::Origin, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(public: &str, prefix: &str) -> Cookies {
        Cookies::new(&Config { public_url: public.parse().unwrap(), path_prefix: prefix.into(), ..Config::default() })
    }

    #[test]
    fn cookies_are_secure_but_on_plain_loopback_and_stay_below_the_prefix() {
        assert!(!cookies("http://127.0.0.1:8000", "").secure && !cookies("http://localhost:8000", "").secure);
        assert!(!cookies("http://[::1]:8000", "").secure);
        assert!(cookies("https://127.0.0.1:8000", "").secure && cookies("http://hub.example", "").secure);
        let set: Vec<_> = cookies("https://hub.example/x", "/x").clear().into_iter().collect();
        assert_eq!(set[0], "hb_access=; Path=/x; Max-Age=0; SameSite=Strict; HttpOnly; Secure");
        assert_eq!(set[1], "hb_refresh=; Path=/x/api/auth; Max-Age=0; SameSite=Strict; HttpOnly; Secure");
        assert_eq!(set[2], "hb_csrf=; Path=/x; Max-Age=0; SameSite=Strict; Secure");
    }

    #[test]
    fn the_csrf_header_must_equal_the_cookie() {
        let headers = |cookie: &'static str, header: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert("Cookie", HeaderValue::from_static(cookie));
            headers.extend(
                header.map(|text| (http::HeaderName::from_static("x-csrf-token"), HeaderValue::from_static(text))),
            );
            require_csrf(&headers).is_ok()
        };
        assert!(headers("a=b; hb_csrf=t; c=d", Some("t")));
        for (cookie, header) in
            [("hb_csrf=t", None), ("hb_csrf=t", Some("u")), ("hb_csrf=", Some("")), ("a=b", Some(""))]
        {
            assert!(!headers(cookie, header), "{cookie} {header:?}");
        }
    }
}
