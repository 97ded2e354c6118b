//! The one list of settings.

use std::fmt;

use tracing_subscriber::EnvFilter;

use super::{AnswerSignIn, Config, LogFormat, Registration, providers::OfChannel, values};
use crate::storage::{Migrate, is_postgres};

/// The key whose default follows other keys.
pub(super) const PUBLIC_URL: &str = "PUBLIC_URL";

/// A setting: its name, what it takes, and how it goes into and comes out of a [`Config`].
pub struct Key {
    /// The name in the environment and in `.env`; in `hearback.toml` the same in lower case.
    pub name: &'static str,
    /// Which values it takes, for people.
    pub allowed: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
    /// Whether `hearback.toml` may give it as a list.
    pub list: bool,
    /// What it is in a channel's table, where it is a provider's.
    pub of_channel: Option<OfChannel>,
    read: fn(&mut Config, &str) -> Result<(), String>,
    show: fn(&Config) -> String,
}

impl Key {
    const fn new(
        name: &'static str,
        allowed: &'static str,
        read: fn(&mut Config, &str) -> Result<(), String>,
        show: fn(&Config) -> String,
    ) -> Self {
        Self { name, allowed, secret: false, list: false, of_channel: None, read, show }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// A setting of a provider's, which its adapter checks.
    const fn of(self, kind: &'static str, field: &'static str, makes: bool) -> Self {
        Self { of_channel: Some(OfChannel { kind, field, makes }), ..self }
    }

    const fn list(self) -> Self {
        Self { list: true, ..self }
    }

    /// Reads `text` into `config`, which stays as it is on a fault.
    pub(super) fn read(&self, config: &mut Config, text: &str) -> Result<(), String> {
        (self.read)(config, text)
    }

    /// The value in effect, fit to be printed.
    #[must_use]
    pub fn shown(&self, config: &Config) -> String {
        (self.show)(config)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const NUMBER_OR_OFF: &str = "a whole number, 0 for no limit";

/// Every setting of the hub, in the order in which people are told of them.
pub const KEYS: &[Key] = &[
    Key::new(
        "DATABASE_URL",
        "sqlite://PATH (sqlite:///PATH is absolute), postgres://USER:PASSWORD@HOST:PORT/DATABASE",
        |config, text| values::database_url(text).map(|url| config.database_url = url),
        |config| values::shown_database(&config.database_url),
    ),
    Key::new(
        "MIGRATE",
        "manual (PostgreSQL's schema is moved by `hearback migrate up` alone), auto (at the start, as SQLite's always is)",
        |config, text| {
            const WORDS: [(&str, Migrate); 2] = [("manual", Migrate::Manual), ("auto", Migrate::Auto)];
            values::word(text, &WORDS).map(|migrate| config.migrate = migrate)
        },
        |config| match config.migrate {
            Migrate::Manual => "manual".into(),
            Migrate::Auto => "auto".into(),
        },
    ),
    Key::new(
        "SECRET_KEY",
        "at least 32 characters, as `openssl rand -hex 32` prints",
        |config, text| values::secret_key(text).map(|key| config.secret_key = Some(key)),
        |config| match config.secret_key {
            Some(_) => "set".into(),
            None if is_postgres(&config.database_url) => "not set".into(),
            None => format!("not set, generated in {}", config.secret_path().display()),
        },
    )
    .secret(),
    Key::new(
        "SECRET_KEY_OLD",
        "empty, or a comma list of earlier secrets, each of at least 32 characters",
        |config, text| values::secret_keys(text).map(|keys| config.secret_key_old = keys),
        |config| match config.secret_key_old.len() {
            0 => "not set".into(),
            number => format!("{number} set"),
        },
    )
    .secret()
    .list(),
    Key::new(
        "EVENT_RETENTION_DAYS",
        "whole days, 1 to 3650",
        |config, text| values::number(text, 1, 3650).map(|days| config.event_retention_days = days),
        |config| config.event_retention_days.to_string(),
    ),
    Key::new(
        "HEARBACK_BIND",
        "IP:PORT, as 127.0.0.1:8000 or [::1]:8000; port 0 takes a free one",
        |config, text| values::bind(text).map(|address| config.bind = address),
        |config| config.bind.to_string(),
    ),
    Key::new(
        PUBLIC_URL,
        "an http or https URL without user, query and fragment, as https://ask.example.org",
        |config, text| values::public_url(text).map(|url| config.public_url = url),
        |config| config.public_url.to_string(),
    ),
    Key::new(
        "PATH_PREFIX",
        "empty, or a path of letters, digits, `.`, `_`, `~` and `-`, as /hearback",
        |config, text| values::path_prefix(text).map(|prefix| config.path_prefix = prefix),
        |config| config.path_prefix.clone(),
    ),
    Key::new(
        "CORS_ORIGINS",
        "empty, or a comma list of origins, as https://a.example,https://b.example:8443",
        |config, text| values::origins(text).map(|origins| config.cors_origins = origins),
        |config| config.cors_origins.join(","),
    )
    .list(),
    Key::new(
        "REGISTRATION",
        "open, closed, auto (open while HEARBACK_BIND and PUBLIC_URL are both on loopback)",
        |config, text| {
            const WORDS: [(&str, Registration); 3] =
                [("open", Registration::Open), ("closed", Registration::Closed), ("auto", Registration::Auto)];
            values::word(text, &WORDS).map(|registration| config.registration = registration)
        },
        |config| {
            let word = if config.registration_is_open() { "open" } else { "closed after the first account" };
            match config.registration {
                Registration::Auto => format!("auto: {word}"),
                Registration::Open | Registration::Closed => word.into(),
            }
        },
    ),
    Key::new(
        "ANSWER_SIGN_IN",
        "off (a link to the answer page is enough to answer), required (the person asked is signed in in that browser too)",
        |config, text| {
            const WORDS: [(&str, AnswerSignIn); 2] = [("off", AnswerSignIn::Off), ("required", AnswerSignIn::Required)];
            values::word(text, &WORDS).map(|answer_sign_in| config.answer_sign_in = answer_sign_in)
        },
        |config| match config.answer_sign_in {
            AnswerSignIn::Off => "off".into(),
            AnswerSignIn::Required => "required".into(),
        },
    ),
    Key::new(
        "ACCESS_TOKEN_MINUTES",
        "whole minutes, 1 to 525600",
        |config, text| values::number(text, 1, 525_600).map(|minutes| config.access_token_minutes = minutes),
        |config| config.access_token_minutes.to_string(),
    ),
    Key::new(
        "REFRESH_TOKEN_DAYS",
        "whole days, 1 to 3650",
        |config, text| values::number(text, 1, 3650).map(|days| config.refresh_token_days = days),
        |config| config.refresh_token_days.to_string(),
    ),
    Key::new(
        "RATE_LIMIT_USER",
        NUMBER_OR_OFF,
        |config, text| values::number(text, 0, u32::MAX).map(|most| config.rate_limit_user = most),
        |config| config.rate_limit_user.to_string(),
    ),
    Key::new(
        "RATE_LIMIT_SESSION",
        NUMBER_OR_OFF,
        |config, text| values::number(text, 0, u32::MAX).map(|most| config.rate_limit_session = most),
        |config| config.rate_limit_session.to_string(),
    ),
    Key::new(
        "RATE_LIMIT_CHANNEL",
        NUMBER_OR_OFF,
        |config, text| values::number(text, 0, u32::MAX).map(|most| config.rate_limit_channel = most),
        |config| config.rate_limit_channel.to_string(),
    ),
    Key::new(
        "RATE_LIMIT_LOGIN",
        NUMBER_OR_OFF,
        |config, text| values::number(text, 0, u32::MAX).map(|most| config.rate_limit_login = most),
        |config| config.rate_limit_login.to_string(),
    ),
    Key::new(
        "TRUSTED_PROXIES",
        "empty, or a comma list of networks in CIDR notation, as 127.0.0.0/8,10.0.0.0/8",
        |config, text| values::networks(text).map(|networks| config.trusted_proxies = networks),
        |config| config.trusted_proxies.to_string(),
    )
    .list(),
    Key::new(
        "SEND_TIMEOUT",
        "whole seconds, 1 to 3600",
        |config, text| values::number(text, 1, 3600).map(|s| config.send_timeout = std::time::Duration::from_secs(s)),
        |config| config.send_timeout.as_secs().to_string(),
    ),
    Key::new(
        "OUTBOUND_ALLOW",
        "empty, or a comma list of networks in CIDR notation, as 127.0.0.0/8,10.0.0.0/8",
        |config, text| values::networks(text).map(|networks| config.outbound_allow = networks),
        |config| config.outbound_allow.to_string(),
    )
    .list(),
    Key::new(
        "MAX_WEBSOCKET_CONNECTIONS_PER_USER",
        NUMBER_OR_OFF,
        |config, text| values::number(text, 0, usize::MAX).map(|most| config.max_websocket_connections_per_user = most),
        |config| config.max_websocket_connections_per_user.to_string(),
    ),
    Key::new(
        "MAX_TOTAL_WEBSOCKET_CONNECTIONS",
        NUMBER_OR_OFF,
        |config, text| values::number(text, 0, usize::MAX).map(|most| config.max_total_websocket_connections = most),
        |config| config.max_total_websocket_connections.to_string(),
    ),
    Key::new(
        "TELEGRAM_BOT_TOKEN",
        "the token that @BotFather gave for the bot, as 123456789:AAE…",
        |config, text| {
            config.telegram_bot_token = Some(text.into());
            Ok(())
        },
        |config| if config.telegram_bot_token.is_some() { "set".into() } else { "not set".into() },
    )
    .secret()
    .of("telegram", "bot_token", true),
    Key::new(
        "TELEGRAM_API_URL",
        "an http or https URL of a server that speaks Telegram's Bot API",
        |config, text| values::public_url(text).map(|url| config.telegram_api_url = url),
        |config| config.telegram_api_url.to_string(),
    )
    .of("telegram", "api_url", false),
    Key::new(
        "LOG_LEVEL",
        "off, error, warn, info, debug, trace, or a comma list with targets, as info,hearback=debug",
        |config, text| {
            values::log_level(text)?;
            EnvFilter::try_new(text).map_err(|error| format!("is not a log filter: {error}"))?;
            text.clone_into(&mut config.log_level);
            Ok(())
        },
        |config| config.log_level.clone(),
    ),
    Key::new(
        "LOG_FORMAT",
        "text, json",
        |config, text| {
            const WORDS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
            values::word(text, &WORDS).map(|format| config.log_format = format)
        },
        |config| match config.log_format {
            LogFormat::Text => "text".into(),
            LogFormat::Json => "json".into(),
        },
    ),
];
