//! The settings of a Telegram channel.

use hearback_core::{
    error::FieldError,
    secret::{ExposeSecret, Secret},
};
use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};

/// The Bot API.
const API_URL: &str = "https://api.telegram.org";
/// The ports that Telegram calls a webhook at.
const PORTS: [u16; 4] = [443, 80, 88, 8443];
/// Names that only a private network knows (RFC 6761, 6762, 8375, and ICANN's `.internal`).
const PRIVATE_NAMES: [&str; 5] = ["localhost", "local", "internal", "home.arpa", "lan"];

/// The table of a channel in the configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The token that `@BotFather` gave for the bot, as `123456789:AAE…`.
    #[schemars(with = "String")]
    pub bot_token: Secret,
    /// Another server that speaks the Bot API: one of your own, say. Telegram's when absent.
    #[serde(default)]
    #[schemars(url)]
    pub api_url: Option<String>,
}

impl Settings {
    /// The token, if it can stand in a URL.
    pub(crate) fn token(&self) -> Result<Secret, FieldError> {
        let token = self.bot_token.expose_secret().trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_:-".contains(c);
        if token.is_empty() || !token.chars().all(plain) {
            let detail = "is no token: it has letters, digits, `_`, `-` and one `:`, as @BotFather gave it for the bot";
            return Err(FieldError::new("bot_token", detail));
        }
        Ok(token.into())
    }

    /// The Bot API's URL, without a slash at its end.
    pub(crate) fn api(&self) -> Result<Url, FieldError> {
        let fault = |detail: String| FieldError::new("api_url", detail);
        let text = self.api_url.as_deref().unwrap_or(API_URL);
        let mut url = Url::parse(text).map_err(|error| fault(format!("is not a URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(fault("must begin with http:// or https://".into()));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(fault("must hold no user, no password, no query and no fragment".into()));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(url)
    }
}

/// Whether Telegram can call a URL: https, at a domain that the world knows, on one of its ports.
pub(crate) fn is_callable(url: &Url) -> bool {
    let Some(Host::Domain(name)) = url.host() else { return false };
    let name = name.trim_end_matches('.');
    let private = PRIVATE_NAMES.iter().any(|end| name.ends_with(&format!(".{end}")));
    let port = url.port_or_known_default().is_some_and(|port| PORTS.contains(&port));
    url.scheme() == "https" && name.contains('.') && !private && port
}

/// Whether Telegram shows a link to a URL: it takes no host without a dot.
pub(crate) fn is_linkable(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.').contains('.'),
        Some(_) => true,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(bot_token: &str, api_url: Option<&str>) -> Settings {
        Settings { bot_token: bot_token.into(), api_url: api_url.map(Into::into) }
    }

    #[test]
    fn a_public_https_domain_on_a_port_of_telegrams_is_called_and_nothing_else() {
        for good in ["https://ask.example.org/x", "https://ask.example.org:8443/", "https://a.example.org:88"] {
            assert!(is_callable(&good.parse().unwrap()), "{good}");
        }
        for bad in [
            "http://ask.example.org/",
            "https://localhost/",
            "https://hub.localhost/",
            "https://hub/",
            "https://hub.local/",
            "https://hub.internal/",
            "https://198.51.100.7/",
            "https://[2001:db8::1]/",
            "https://ask.example.org:9443/",
        ] {
            assert!(!is_callable(&bad.parse().unwrap()), "{bad}");
        }
    }

    #[test]
    fn telegram_links_to_no_host_without_a_dot() {
        for (url, expected) in
            [("http://localhost:8000/a", false), ("http://127.0.0.1:8000/a", true), ("https://ask.example.org/", true)]
        {
            assert_eq!(is_linkable(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_repeated() {
        assert!(settings(" 123456:AAE_x-9 ", None).token().is_ok());
        for bad in ["", "12 34", "12/34:x", "12:x?y"] {
            let fault = settings(bad, None).token().unwrap_err();
            assert_eq!(fault.field, "bot_token");
            assert!(bad.is_empty() || !fault.detail.contains(bad), "{fault}");
        }
    }

    #[test]
    fn the_api_url_is_a_plain_one() {
        assert_eq!(settings("1:a", None).api().unwrap().as_str(), "https://api.telegram.org/");
        let own = settings("1:a", Some("http://127.0.0.1:9000/bots/")).api().unwrap();
        assert_eq!(own.as_str(), "http://127.0.0.1:9000/bots");
        for bad in ["x", "ftp://a.example", "https://me@a.example", "https://a.example/?x=1", "https://a.example/#x"] {
            assert_eq!(settings("1:a", Some(bad)).api().unwrap_err().field, "api_url", "{bad}");
        }
    }
}
