//! The configuration: one typed struct, read from `hearback.toml`, a `.env` file and the environment, in rising order.
//!
//! [`KEYS`] is the one list of settings: reading, `check-config` and the test of `.env.example` all follow it.

mod keys;
mod providers;
mod report;
mod sources;
mod values;

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use hearback_core::{error::FieldError, network::Networks, secret::Secret};
use serde_json::Value;
use url::{Host, Url};

use crate::storage::{Migrate, database_file, is_postgres};

pub use keys::{KEYS, Key};
pub use report::{Origin, Problem};
pub use sources::Sources;

/// Who may make an account. The first one, the administrator's, may always be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Registration {
    /// Everybody.
    Open,
    /// Nobody after the first.
    Closed,
    /// Everybody while the hub both listens on a loopback address and is opened at one, else nobody after the first: a
    /// loopback address with another public URL is a hub behind a reverse proxy.
    #[default]
    Auto,
}

/// To whom the answer page shows a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerSignIn {
    /// To whoever follows the link.
    #[default]
    Off,
    /// To whoever follows it in a browser in which the person asked is signed in.
    Required,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything that can be set.
#[derive(Clone)]
pub struct Config {
    /// Where the data lies, as `sqlite://PATH` or `postgres://…`.
    pub database_url: String,
    /// When the schema of a PostgreSQL database is brought to the newest.
    pub migrate: Migrate,
    /// Signs tokens and encrypts stored secrets; without it one is generated and kept in [`Config::secret_path`].
    pub secret_key: Option<Secret>,
    /// Earlier ones, under which what was sealed and signed is still read.
    pub secret_key_old: Vec<Secret>,
    /// The address to listen on.
    pub bind: SocketAddr,
    /// The address that people open, with its path.
    pub public_url: Url,
    /// The path below which everything is served: empty, or `/x/y`.
    pub path_prefix: String,
    /// Who may make an account.
    pub registration: Registration,
    /// Whether a link to the answer page needs a sign-in besides.
    pub answer_sign_in: AnswerSignIn,
    /// Other origins whose pages may call the API, as browsers write them.
    pub cors_origins: Vec<String>,
    /// What is logged, in the syntax of `tracing_subscriber::EnvFilter`.
    pub log_level: String,
    /// How it is logged.
    pub log_format: LogFormat,
    /// The life of an access token, in minutes.
    pub access_token_minutes: u32,
    /// The life of a refresh token, in days.
    pub refresh_token_days: u32,
    /// What a person may do in a minute, of what counts; 0 is no limit.
    pub rate_limit_user: u32,
    /// What may be done in one session in a minute; 0 is no limit.
    pub rate_limit_session: u32,
    /// What a person may do over one channel in a minute; 0 is no limit.
    pub rate_limit_channel: u32,
    /// Failed log-ins in a minute, by the name that is tried and by the address it is tried from; 0 is no limit.
    pub rate_limit_login: u32,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Networks,
    /// How long events stay in the log, in days.
    pub event_retention_days: u32,
    /// How long one send over a channel may take.
    pub send_timeout: Duration,
    /// Private networks that plug-ins and other addresses which the hub is given may lie in.
    pub outbound_allow: Networks,
    /// Open sockets of one account or service token; 0 is no limit.
    pub max_websocket_connections_per_user: usize,
    /// Open sockets in all; 0 is no limit.
    pub max_total_websocket_connections: usize,
    /// The Telegram bot's token. It makes the channel `telegram`, as a table of that name does.
    pub telegram_bot_token: Option<Secret>,
    /// Where the Bot API is, for every Telegram channel whose table does not say.
    pub telegram_api_url: Url,
    /// The `[channels.NAME]` tables, by name, with what the settings of providers say.
    pub channels: BTreeMap<String, Value>,
}

impl Default for Config {
    fn default() -> Self {
        let bind = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);
        Self {
            database_url: "sqlite://data/hearback.db".into(),
            migrate: Migrate::default(),
            secret_key: None,
            secret_key_old: Vec::new(),
            bind,
            public_url: values::public_url_of(bind, ""),
            path_prefix: String::new(),
            registration: Registration::default(),
            answer_sign_in: AnswerSignIn::default(),
            cors_origins: Vec::new(),
            log_level: "info".into(),
            log_format: LogFormat::default(),
            access_token_minutes: 25,
            refresh_token_days: 7,
            rate_limit_user: 30,
            rate_limit_session: 10,
            rate_limit_channel: 20,
            rate_limit_login: 10,
            trusted_proxies: Networks::default(),
            event_retention_days: 30,
            send_timeout: Duration::from_secs(10),
            outbound_allow: Networks::default(),
            max_websocket_connections_per_user: 5,
            max_total_websocket_connections: 1000,
            telegram_bot_token: None,
            telegram_api_url: values::telegram_api_url(),
            channels: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for Config {
    // By hand, since the channels' tables hold secrets of their adapters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut settings = f.debug_map();
        for key in KEYS {
            settings.entry(&format_args!("{}", key.name), &format_args!("{}", key.shown(self)));
        }
        settings.entry(&format_args!("channels"), &self.channels.keys()).finish()
    }
}

/// Checks one `[channels.NAME]` table against the other settings: the fault names the setting below `channels.NAME`.
pub type CheckChannel<'a> = &'a dyn Fn(&Config, &str, &Value) -> Result<(), FieldError>;

/// A configuration, and where each setting came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings in effect.
    pub config: Config,
    /// Where a setting that is not a default came from, by the key's name or `channels.NAME`.
    pub origins: BTreeMap<String, Origin>,
}

impl Config {
    /// Reads the settings from `sources`. It writes nothing and leaves the process's environment alone.
    ///
    /// # Errors
    ///
    /// Every problem there is, not only the first.
    pub fn load(sources: &Sources, check_channel: CheckChannel<'_>) -> Result<Loaded, Vec<Problem>> {
        let mut config = Self::default();
        let sources::Found { settings, mut channels, mut problems } = sources.read();
        let mut origins = BTreeMap::new();
        for key in KEYS {
            let Some(found) = settings.get(key.name) else { continue };
            origins.insert(key.name.to_owned(), found.origin.clone());
            if let Err(fault) = key.read(&mut config, &found.text) {
                problems.push(Problem::of_value(key, found, fault));
            }
        }
        if !settings.contains_key(keys::PUBLIC_URL) {
            config.public_url = values::public_url_of(config.bind, &config.path_prefix);
        } else if config.public_url.path() == "/" {
            config.public_url.set_path(&config.path_prefix);
        }
        problems.extend(providers::put(&settings, &mut channels));
        for (name, (table, origin)) in channels {
            if let Err(fault) = check_channel(&config, &name, &table) {
                problems.push(match providers::key_of(&fault.field, &settings) {
                    Some(key) => Problem::of_value(key, &settings[key.name], fault.detail),
                    None => Problem::of_channel(fault, origin.clone()),
                });
            }
            origins.insert(format!("channels.{name}"), origin);
            config.channels.insert(name, table);
        }
        if is_postgres(&config.database_url) && !settings.contains_key("SECRET_KEY") {
            let origin = origins.get("DATABASE_URL").cloned().unwrap_or(Origin::Environment);
            problems.push(Problem::of_missing_secret(origin));
        }
        if problems.is_empty() { Ok(Loaded { config, origins }) } else { Err(problems) }
    }

    /// The file that holds the database, where that is SQLite.
    #[must_use]
    pub fn database_path(&self) -> &Path {
        database_file(&self.database_url).unwrap_or_else(|_| Path::new(&self.database_url))
    }

    /// The folder that the hub keeps its data in: the database's.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.database_path().parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
    }

    /// Where the generated secret is kept when none is set.
    #[must_use]
    pub fn secret_path(&self) -> PathBuf {
        self.data_dir().join("secret.key")
    }

    /// Whether everybody may make an account, and not only the first one.
    #[must_use]
    pub fn registration_is_open(&self) -> bool {
        match self.registration {
            Registration::Open => true,
            Registration::Closed => false,
            Registration::Auto => self.bind.ip().is_loopback() && self.is_opened_on_loopback(),
        }
    }

    /// Whether people open the hub at an address of the machine that their browser runs on.
    #[must_use]
    pub fn is_opened_on_loopback(&self) -> bool {
        match self.public_url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
    }

    /// Whether browsers may send the cookies of a sign-in over this hub's connections to it alone when they are encrypted.
    #[must_use]
    pub fn has_secure_cookies(&self) -> bool {
        self.public_url.scheme() == "https" || !self.is_opened_on_loopback()
    }

    /// What is allowed but will not work as one may expect: a sentence each, with what to do.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let lost = self.has_secure_cookies() && self.public_url.scheme() == "http";
        let insecure = format!(
            "PUBLIC_URL is {}, which is neither https nor on this machine: nobody can sign in on the page there, since \
             browsers keep the sign-in's cookies over https only. Put a reverse proxy with a certificate in front of the \
             hub and set PUBLIC_URL to its https:// address. Service tokens work, but go over the network in the clear.",
            self.public_url
        );
        // Nobody but a proxy reaches a loopback address from elsewhere.
        let behind = self.bind.ip().is_loopback() && !self.is_opened_on_loopback();
        let untold = behind && self.trusted_proxies == Networks::default() && self.rate_limit_login > 0;
        let proxied = "The hub is behind a reverse proxy, and TRUSTED_PROXIES is not set: every log-in comes from the proxy's \
                       address, so that some wrong passwords of anybody slow the log-ins and registrations of all. Set TRUSTED_PROXIES to \
                       127.0.0.0/8, or to the network that the proxy is in.";
        let told = [(lost, insecure), (untold, proxied.into())];
        told.into_iter().filter(|(applies, _)| *applies).map(|(_, text)| text).collect()
    }

    /// The same configuration once the hub listens on `address`: port 0 has become a real one, in the public URL too.
    #[must_use]
    pub fn listening_on(mut self, address: SocketAddr) -> Self {
        self.bind = address;
        if self.public_url.port() == Some(0) {
            // It fails only for URLs without a host, and this one is http with a host.
            let _ = self.public_url.set_port(Some(address.port()));
        }
        self
    }

    /// The URL of `path` on this hub, as people open it.
    #[must_use]
    pub fn link(&self, path: &str) -> String {
        format!("{}/{path}", self.public_url.as_str().trim_end_matches('/'))
    }
}
