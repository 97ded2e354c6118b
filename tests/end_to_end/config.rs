//! The configuration: which source wins, and that every wrong value is named.

use std::{collections::BTreeMap, fs, path::Path};

use hearback::{
    ask,
    commands::PLUGIN_SECRET,
    config::{AnswerSignIn, Config, KEYS, Loaded, LogFormat, Origin, Problem, Registration, Sources},
};
use hearback_core::error::FieldError;
use serde_json::{Value, json};
use tempfile::TempDir;

struct Setup {
    folder: TempDir,
    environment: BTreeMap<String, String>,
}

impl Setup {
    fn new(toml: &str, dotenv: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("hearback.toml", toml), (".env", dotenv)] {
            if !text.is_empty() {
                fs::write(folder.path().join(name), text).unwrap();
            }
        }
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { folder, environment: environment.iter().map(pair).collect() }
    }

    fn sources(&self) -> Sources {
        Sources {
            file: self.folder.path().join("hearback.toml"),
            file_required: false,
            dotenv: self.folder.path().join(".env"),
            environment: self.environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }

    fn load(&self) -> Result<Loaded, Vec<Problem>> {
        Config::load(&self.sources(), &known_kinds)
    }

    fn origin(&self, file: &str, line: usize) -> Origin {
        Origin::File(self.folder.path().join(file), Some(line))
    }
}

/// Knows one kind, as the registry of adapters would.
fn known_kinds(_: &Config, name: &str, table: &Value) -> Result<(), FieldError> {
    match table["kind"].as_str() {
        Some("telegram") if table["bot_token"] == "wrong" => {
            Err(FieldError::new(format!("channels.{name}.bot_token"), "is no token"))
        }
        Some("websocket" | "telegram") => Ok(()),
        _ => Err(FieldError::new(format!("channels.{name}.kind"), "is not a known kind").allowing(["websocket"])),
    }
}

fn problems(toml: &str, dotenv: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let problems = Setup::new(toml, dotenv, environment).load().unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn without_any_source_everything_has_its_default() {
    let Loaded { config, origins } = Setup::new("", "", &[]).load().unwrap();
    assert!(origins.is_empty());
    assert_eq!(config.database_url, "sqlite://data/hearback.db");
    assert_eq!(config.secret_path(), Path::new("data/secret.key"));
    assert_eq!(config.public_url.as_str(), "http://127.0.0.1:8000/");
    assert!(config.registration_is_open());
    assert_eq!(config.max_total_websocket_connections, 1000);
}

#[test]
fn the_environment_wins_over_dotenv_which_wins_over_the_file() {
    let toml = "log_level = \"error\"\naccess_token_minutes = 1\nrefresh_token_days = \"1\"\n";
    let dotenv = "ACCESS_TOKEN_MINUTES=1\nexport ACCESS_TOKEN_MINUTES=2\nREFRESH_TOKEN_DAYS=2\n";
    let setup = Setup::new(toml, dotenv, &[("REFRESH_TOKEN_DAYS", "3")]);
    let Loaded { config, origins } = setup.load().unwrap();
    assert_eq!(config.log_level, "error");
    assert_eq!(config.access_token_minutes, 2);
    assert_eq!(config.refresh_token_days, 3);
    assert_eq!(origins["LOG_LEVEL"], setup.origin("hearback.toml", 1));
    assert_eq!(origins["ACCESS_TOKEN_MINUTES"], setup.origin(".env", 2));
    assert_eq!(origins["REFRESH_TOKEN_DAYS"], Origin::Environment);
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let environment = [("LOG_FORMAT", ""), ("SECRET_KEY", ""), ("DATABASE_URL", "")];
    let Loaded { config, .. } = Setup::new("log_format = \"json\"", "LOG_FORMAT=\n", &environment).load().unwrap();
    assert_eq!(config.log_format, LogFormat::Json);
    assert!(config.secret_key.is_none());
}

#[test]
fn every_setting_can_come_from_the_file() {
    let toml = r#"
        database_url = "sqlite:///var/lib/hearback/hub.db"
        migrate = "auto"
        secret_key = "0123456789abcdef0123456789abcdef"
        secret_key_old = ["fedcba9876543210fedcba9876543210"]
        hearback_bind = "0.0.0.0:80"
        public_url = "https://ask.example.org/"
        path_prefix = "hub/"
        cors_origins = ["https://a.example", "https://b.example:8443"]
        registration = "closed"
        answer_sign_in = "required"
        access_token_minutes = 5
        refresh_token_days = 30
        event_retention_days = 90
        rate_limit_user = 60
        rate_limit_session = 20
        rate_limit_channel = 0
        rate_limit_login = 5
        trusted_proxies = ["10.0.0.0/8"]
        send_timeout = 3
        outbound_allow = ["127.0.0.0/8", "fd00::/8"]
        max_websocket_connections_per_user = 0
        max_total_websocket_connections = 50
        log_level = "info,hearback=debug"
        log_format = "json"
        telegram_bot_token = "42:a-token"
        telegram_api_url = "http://127.0.0.1:8081"
        [channels.page]
        kind = "websocket"
    "#;
    let Loaded { config, origins } = Setup::new(toml, "", &[]).load().unwrap();
    assert_eq!(origins.len(), KEYS.len() + 2);
    let telegram = json!({"kind": "telegram", "bot_token": "42:a-token", "api_url": "http://127.0.0.1:8081"});
    assert_eq!(config.channels["telegram"], telegram);
    assert_eq!(config.database_path(), Path::new("/var/lib/hearback/hub.db"));
    assert_eq!(config.public_url.as_str(), "https://ask.example.org/hub");
    assert_eq!(config.link("docs"), "https://ask.example.org/hub/docs");
    assert_eq!(config.cors_origins, ["https://a.example", "https://b.example:8443"]);
    assert_eq!(config.registration, Registration::Closed);
    assert_eq!(config.answer_sign_in, AnswerSignIn::Required);
    assert_eq!(config.outbound_allow.to_string(), "127.0.0.0/8,fd00::/8");
    assert_eq!((config.rate_limit_user, config.rate_limit_session), (60, 20));
    assert_eq!((config.rate_limit_channel, config.rate_limit_login), (0, 5));
    assert!(config.trusted_proxies.include("10.9.9.9".parse().unwrap()));
    assert_eq!(config.channels["page"], json!({"kind": "websocket"}));
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
}

#[test]
fn a_public_url_with_a_path_is_taken_as_it_is_and_registration_follows_the_address() {
    let environment =
        [("PUBLIC_URL", "https://example.org/ask/"), ("PATH_PREFIX", "/hub"), ("HEARBACK_BIND", "0.0.0.0:80")];
    let Loaded { config, .. } = Setup::new("", "", &environment).load().unwrap();
    assert_eq!(config.public_url.as_str(), "https://example.org/ask");
    assert!(!config.registration_is_open());
}

#[test]
fn registration_is_open_by_itself_only_where_the_hub_is_bound_and_opened_on_loopback() {
    for (bind, public, open) in [
        ("127.0.0.1:8000", "", true),
        ("[::1]:8000", "http://localhost:8000", true),
        ("127.0.0.1:8000", "https://hub.localhost", true),
        ("127.0.0.1:8000", "https://ask.example.org", false),
        ("127.0.0.1:8000", "http://192.168.0.7:8000", false),
        ("0.0.0.0:8000", "", false),
        ("0.0.0.0:8000", "http://localhost:8000", false),
    ] {
        let Loaded { config, .. } =
            Setup::new("", "", &[("HEARBACK_BIND", bind), ("PUBLIC_URL", public)]).load().unwrap();
        assert_eq!(config.registration_is_open(), open, "{bind} {public}");
        let config = Config { registration: Registration::Open, ..config };
        assert!(config.registration_is_open(), "{bind} {public}");
    }
}

#[test]
fn a_public_url_where_nobody_could_sign_in_is_warned_of() {
    for (public, warned) in [
        ("", false),
        ("http://localhost:8000", false),
        ("https://ask.example.org", false),
        ("http://ask.example.org", true),
        ("http://192.168.0.7:8000", true),
    ] {
        let environment = [("PUBLIC_URL", public), ("HEARBACK_BIND", "0.0.0.0:8000")];
        let warnings = Setup::new("", "", &environment).load().unwrap().config.warnings();
        assert_eq!(warnings.iter().any(|text| text.contains(public) && text.contains("https://")), warned, "{public}");
        assert_eq!(warnings.len(), usize::from(warned));
    }
}

#[test]
fn a_proxy_that_nobody_has_told_of_is_warned_of() {
    let behind = ("PUBLIC_URL", "https://ask.example.org");
    for (settings, warned) in [
        (vec![behind], true),
        (vec![behind, ("TRUSTED_PROXIES", "127.0.0.0/8")], false),
        (vec![behind, ("RATE_LIMIT_LOGIN", "0")], false),
        (vec![behind, ("HEARBACK_BIND", "0.0.0.0:8000")], false),
        (vec![], false),
    ] {
        let warnings = Setup::new("", "", &settings).load().unwrap().config.warnings();
        assert_eq!(warnings.iter().any(|text| text.contains("TRUSTED_PROXIES")), warned, "{settings:?}");
    }
}

#[test]
fn a_database_url_with_options_is_refused_before_the_start() {
    let found = problems("", "", &[("DATABASE_URL", "sqlite://data/hub.db?mode=rwc")]);
    let [problem] = found.as_slice() else { panic!("{found:?}") };
    assert!(problem.starts_with("DATABASE_URL (environment): names no file: options after a `?`"), "{problem}");
}

#[test]
fn every_wrong_value_is_named_with_what_is_allowed() {
    let wrong = [
        ("DATABASE_URL", "mysql://localhost/hub", "has the scheme \"mysql\", and the hub knows sqlite and postgres"),
        ("DATABASE_URL", "postgres://localhost/", "names no database"),
        ("MIGRATE", "yes", "is none of the allowed words"),
        ("DATABASE_URL", "sqlite://", "names no file"),
        ("DATABASE_URL", "sqlite://data/", "names no file"),
        ("DATABASE_URL", "sqlite://:memory:", "names no file"),
        ("HEARBACK_BIND", "localhost:8000", "is not an IP address with a port"),
        ("PUBLIC_URL", "ask.example.org", "is not a URL"),
        ("PUBLIC_URL", "ftp://ask.example.org", "has the scheme \"ftp\""),
        ("PATH_PREFIX", "/a/../b", "is not a plain path"),
        ("CORS_ORIGINS", "https://a.example,*", "has at place 2 what is not a URL"),
        ("REGISTRATION", "sometimes", "is none of the allowed words"),
        ("ACCESS_TOKEN_MINUTES", "0", "is not between 1 and 525600"),
        ("REFRESH_TOKEN_DAYS", "a week", "is not a whole number"),
        ("EVENT_RETENTION_DAYS", "0", "is not between 1 and 3650"),
        ("SEND_TIMEOUT", "10s", "is not a whole number"),
        ("OUTBOUND_ALLOW", "127.0.0.1", "has at place 1 what is no network in CIDR notation"),
        ("OUTBOUND_ALLOW", "10.0.0.0/8, localhost/8", "has at place 2 what is no network"),
        ("OUTBOUND_ALLOW", "10.0.0.0/33", "has at place 1 what is no network"),
        ("MAX_WEBSOCKET_CONNECTIONS_PER_USER", "-1", "is not a whole number"),
        ("MAX_TOTAL_WEBSOCKET_CONNECTIONS", "many", "is not a whole number"),
        ("LOG_LEVEL", "verbose", "has \"verbose\", which is no level"),
        ("LOG_FORMAT", "xml", "is none of the allowed words"),
    ];
    for (name, value, detail) in wrong {
        let found = problems("", "", &[(name, value)]);
        let [problem] = found.as_slice() else { panic!("{name}={value}: {found:?}") };
        assert!(problem.starts_with(&format!("{name} (environment): {value:?} {detail}")), "{problem}");
        assert!(problem.contains(". Allowed: "), "{problem}");
    }
}

#[test]
fn a_shared_database_needs_a_secret_that_is_set() {
    let url = ("DATABASE_URL", "postgres://ana:a-secret@db.example/hub?sslmode=require");
    let missing = "SECRET_KEY (environment): is missing: with a PostgreSQL database it has to be set";
    assert!(problems("", "", &[url])[0].starts_with(missing));
    let secret = ("SECRET_KEY", "0123456789abcdef0123456789abcdef");
    let Loaded { config, .. } = Setup::new("", "", &[url, secret]).load().unwrap();
    let shown: Vec<_> = KEYS.iter().filter(|key| key.name == "DATABASE_URL").map(|key| key.shown(&config)).collect();
    assert_eq!(shown, ["postgres://ana:***@db.example/hub"]);
}

#[test]
fn a_secret_is_never_repeated() {
    for (name, url) in [
        ("DATABASE_URL", "postgres://ana:a-secret@localhost/hub"),
        ("DATABASE_URL", "postgres://localhost/hub?password=a-secret"),
        ("PUBLIC_URL", "https://ana:a-secret@ask.example.org"),
        ("CORS_ORIGINS", "https://ana:a-secret@ask.example.org"),
    ] {
        let found = problems("", "", &[(name, url)]);
        assert!(found.len() == 1 && !found[0].contains("a-secret"), "{found:?}");
    }
    let found = problems("", "SECRET_KEY=too-short-secret\nthis line holds a-secret\n", &[]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|problem| problem.contains(".env, line 2: is not a line")), "{found:?}");
    assert!(found.iter().any(|problem| problem.contains("has 16 characters")), "{found:?}");
    let broken = problems("log_level = \"info\"\nsecret_key = \"a-secret\n", "", &[]);
    assert!(broken.len() == 1 && broken[0].contains("hearback.toml, line 2: is not TOML"), "{broken:?}");
    for problem in found.iter().chain(&broken) {
        assert!(!problem.contains("a-secret") && !problem.contains("too-short"), "{problem}");
    }
}

#[test]
fn an_unknown_setting_of_the_file_is_refused_with_the_nearest_known_one() {
    let found = problems("databse_url = \"x\"\nLOG_LEVEL = \"info\"\nzzz = 1\n[channel.team]\nkind = \"x\"\n", "", &[]);
    assert_eq!(found.len(), 4, "{found:?}");
    let one = |start: &str| found.iter().find(|problem| problem.starts_with(start)).unwrap();
    assert!(one("databse_url").ends_with("line 1): is not a known setting; did you mean database_url?"));
    assert!(one("LOG_LEVEL").ends_with("line 2): is not a known setting; did you mean log_level?"));
    assert!(one("zzz").contains("Allowed: database_url, migrate, secret_key"));
    assert!(one("channel").ends_with("did you mean channels?"));
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    let found = problems("log_level = true\nlog_format = [\"text\"]\ncors_origins = [1]\nchannels = 5\n", "", &[]);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found.iter().all(|problem| problem.contains("has the wrong type")), "{found:?}");
}

#[test]
fn a_channel_is_checked_by_its_adapter_and_named_with_its_line() {
    let toml = "log_level = \"info\"\n\n[channels.page]\nkind = \"websocket\"\n\n[channels.team]\nkind = \"slak\"\n";
    let found = problems(toml, "", &[("LOG_FORMAT", "xml")]);
    assert_eq!(found.len(), 2, "{found:?}");
    let channel = found.iter().find(|problem| problem.starts_with("channels.team.kind")).unwrap();
    assert!(channel.ends_with("line 6): is not a known kind. Allowed: websocket"), "{channel}");
}

#[test]
fn the_settings_of_a_provider_make_its_channel_or_go_into_its_table() {
    let token = ("TELEGRAM_BOT_TOKEN", "42:stronger");
    let channels =
        |toml: &str, environment: &[(&str, &str)]| Setup::new(toml, "", environment).load().unwrap().config.channels;
    let made = channels("", &[token]);
    assert_eq!(made["telegram"], json!({"kind": "telegram", "bot_token": "42:stronger"}));
    let table = "[channels.telegram]\nkind = \"telegram\"\nbot_token = \"42:weaker\"\n";
    assert_eq!(channels(table, &[token])["telegram"]["bot_token"], "42:stronger");
    let api = ("TELEGRAM_API_URL", "http://127.0.0.1:8081");
    assert!(channels("", &[api]).is_empty(), "an address alone makes no channel");
    let second = "[channels.second]\nkind = \"telegram\"\nbot_token = \"43:x\"\n";
    assert_eq!(channels(second, &[api])["second"]["api_url"], api.1);
    let own = format!("{second}api_url = \"https://bots.example.org\"\n");
    assert_eq!(channels(&own, &[api, token])["second"]["api_url"], "https://bots.example.org");
}

#[test]
fn a_wrong_setting_of_a_provider_is_named_as_it_was_given() {
    let found = problems("", "", &[("TELEGRAM_BOT_TOKEN", "wrong")]);
    assert!(found.len() == 1 && found[0].starts_with("TELEGRAM_BOT_TOKEN (environment): is no token"), "{found:?}");
    let page = "[channels.telegram]\nkind = \"websocket\"\n";
    let found = problems(page, "", &[("TELEGRAM_BOT_TOKEN", "42:x")]);
    assert!(found.len() == 1 && found[0].contains("give the table another name"), "{found:?}");
    let found = problems("", "", &[("TELEGRAM_API_URL", "ftp://bots.example.org")]);
    assert!(found.len() == 1 && found[0].starts_with("TELEGRAM_API_URL"), "{found:?}");
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let setup = Setup::new("", "", &[]);
    let mut sources = setup.sources();
    sources.file_required = true;
    let problems = Config::load(&sources, &known_kinds).unwrap_err();
    assert!(problems[0].to_string().contains("hearback.toml: cannot be read"), "{problems:?}");
}

#[test]
fn the_example_lists_exactly_the_names_that_are_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.env.example");
    let text = fs::read_to_string(path).unwrap();
    let is_name = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let mut listed: Vec<_> = text
        .lines()
        .filter_map(|line| line.trim_start_matches('#').split_once('=').map(|(name, _)| name))
        .filter(is_name)
        .collect();
    let mut read: Vec<_> = KEYS.iter().map(|key| key.name).chain([ask::URL, ask::TOKEN, PLUGIN_SECRET]).collect();
    listed.sort_unstable();
    read.sort_unstable();
    assert_eq!(listed, read);
}

#[test]
fn the_example_without_its_comments_is_a_valid_configuration() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.env.example");
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')));
    let dotenv = lines.collect::<Vec<_>>().join("\n");
    let Loaded { config, .. } = Setup::new("", &dotenv, &[]).load().unwrap();
    let expected = Config { registration: config.registration, ..Config::default() };
    assert_eq!(format!("{config:?}"), format!("{expected:?}"));
}
