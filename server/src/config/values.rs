//! How the text of a setting becomes its value. A fault is the end of a sentence that begins with the key.

use std::{fmt::Display, net::SocketAddr, str::FromStr};

use hearback_core::{network::Networks, secret::Secret};
use url::Url;

use crate::storage::{SECRET_MIN, database_file, is_postgres};

/// How the URLs of SQLite files begin.
const SQLITE: &str = "sqlite://";

pub(super) fn database_url(text: &str) -> Result<String, String> {
    if is_postgres(text) {
        let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
        let named = url.path().trim_start_matches('/');
        return if named.is_empty() { Err("names no database".into()) } else { Ok(text.to_owned()) };
    }
    match text.strip_prefix(SQLITE) {
        Some(path) => database_file(path).map(|_| text.to_owned()).map_err(str::to_owned),
        None => match text.split_once(':') {
            Some((scheme, _)) => Err(format!("has the scheme \"{scheme}\", and the hub knows sqlite and postgres")),
            None => Err("is not a database URL".into()),
        },
    }
}

/// A database's URL as it may be shown: without a password.
pub(super) fn shown_database(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) if is_postgres(text) => {
            if url.password().is_some() {
                // A URL with a host takes one.
                let _ = url.set_password(Some("***"));
            }
            // Options may hold a password too.
            url.set_query(None);
            url.into()
        }
        _ => text.to_owned(),
    }
}

pub(super) fn secret_key(text: &str) -> Result<Secret, String> {
    match text.chars().count() {
        length if length < SECRET_MIN => Err(format!("has {length} characters")),
        _ => Ok(Secret::from(text)),
    }
}

pub(super) fn secret_keys(text: &str) -> Result<Vec<Secret>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let key = |(index, part)| secret_key(part).map_err(|fault| format!("at place {} {fault}", index + 1));
    parts.enumerate().map(key).collect()
}

pub(super) fn bind(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "is not an IP address with a port".into())
}

/// The address that people open when they are not told another: one that a browser on the same machine can use.
pub(super) fn public_url_of(bind: SocketAddr, path_prefix: &str) -> Url {
    let host = if bind.ip().is_unspecified() { format!("localhost:{}", bind.port()) } else { bind.to_string() };
    format!("http://{host}{path_prefix}").parse().expect("an address and a checked path make a URL")
}

pub(super) fn public_url(text: &str) -> Result<Url, String> {
    let mut url = web_url(text)?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// An http or https URL that carries nothing besides host, port and path.
fn web_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("has the scheme \"{}\"", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or a password".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or a fragment".into());
    }
    Ok(url)
}

/// Telegram's own.
pub(super) fn telegram_api_url() -> Url {
    "https://api.telegram.org".parse().expect("a URL")
}

pub(super) fn path_prefix(text: &str) -> Result<String, String> {
    let path = text.strip_prefix('/').unwrap_or(text);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(String::new());
    }
    let plain = |segment: &str| {
        let letters = segment.chars().all(|c| c.is_ascii_alphanumeric() || ".-_~".contains(c));
        letters && !matches!(segment, "" | "." | "..")
    };
    if path.split('/').all(plain) { Ok(format!("/{path}")) } else { Err("is not a plain path".into()) }
}

pub(super) fn origins(text: &str) -> Result<Vec<String>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let origin = |(index, part): (usize, &str)| {
        let url = web_url(part).map_err(|fault| format!("has at place {} what {fault}", index + 1))?;
        match url.path() {
            "/" => Ok(url.origin().ascii_serialization()),
            _ => Err(format!("has at place {} what has a path", index + 1)),
        }
    };
    parts.enumerate().map(origin).collect()
}

pub(super) fn networks(text: &str) -> Result<Networks, String> {
    // One by one, to say which: the networks' own words repeat the text, which may be long.
    let parts = text.split(',').map(str::trim).enumerate().filter(|(_, part)| !part.is_empty());
    for (index, part) in parts {
        let fault = |_| format!("has at place {} what is no network in CIDR notation", index + 1);
        part.parse::<Networks>().map_err(fault)?;
    }
    text.parse().map_err(|error| format!("is no list of networks: {error}"))
}

pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
    found.map(|(_, value)| *value).ok_or_else(|| "is none of the allowed words".into())
}

pub(super) fn number<T: FromStr + PartialOrd + Display + Copy>(text: &str, min: T, max: T) -> Result<T, String> {
    match text.parse::<T>() {
        Ok(number) if number >= min && number <= max => Ok(number),
        Ok(_) => Err(format!("is not between {min} and {max}")),
        Err(_) => Err("is not a whole number in range".into()),
    }
}

/// A word alone is a level. The filter itself would take any other word for a target and log everything it says.
pub(super) fn log_level(text: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let bare = |part: &&str| !part.contains(['=', '[']);
    match text.split(',').map(str::trim).filter(bare).find(|part| !LEVELS.iter().any(|l| part.eq_ignore_ascii_case(l)))
    {
        None => Ok(()),
        Some(part) => Err(format!("has \"{part}\", which is no level")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prefix_is_normalised() {
        for (text, expected) in [("", ""), ("/", ""), ("hub", "/hub"), ("/hub/", "/hub"), ("/a/b", "/a/b")] {
            assert_eq!(path_prefix(text).as_deref(), Ok(expected), "{text}");
        }
        for bad in ["///", "/a//b", "/a/../b", "/a b", "/a?b", "/ä"] {
            assert!(path_prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        let text = "https://A.example/, http://b.example:80,https://c.example:8443";
        assert_eq!(origins(text).unwrap(), ["https://a.example", "http://b.example", "https://c.example:8443"]);
        assert_eq!(origins("").unwrap(), [""; 0]);
        for bad in ["*", "null", "a.example", "https://a.example/path", "ftp://a.example"] {
            assert!(origins(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_default_public_url_can_be_opened_on_the_same_machine() {
        let url = |bind: &str, prefix| public_url_of(bind.parse().unwrap(), prefix).to_string();
        assert_eq!(url("127.0.0.1:8000", ""), "http://127.0.0.1:8000/");
        assert_eq!(url("0.0.0.0:80", "/hub"), "http://localhost/hub");
        assert_eq!(url("[::]:8000", ""), "http://localhost:8000/");
        assert_eq!(url("[::1]:8000", ""), "http://[::1]:8000/");
    }

    #[test]
    fn a_word_alone_in_a_log_level_must_be_a_level() {
        for good in ["info", "WARN", "info,hearback=debug", "hearback=debug", "off"] {
            assert!(log_level(good).is_ok(), "{good}");
        }
        for bad in ["verbose", "info,loud", "2"] {
            assert!(log_level(bad).is_err(), "{bad}");
        }
    }
}
