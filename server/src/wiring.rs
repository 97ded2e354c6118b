//! The only file that names concrete types: it puts the parts of the hub together, and takes them apart again.

use std::{path::Path, sync::Arc, time::Duration};

use hearback_adapters::websocket::{Limits as SocketLimits, Websocket};
use hearback_core::{
    Clock, Error, ErrorKind, Result,
    channel::{Channel, Parts as ChannelParts},
    clock::SystemClock,
    error::FieldError,
    event::Bus,
    hub::{Channels, Hub, Parts as HubParts},
    id::Ids,
    vault::{MemoryVault, Vault},
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use poem::{
    Server,
    listener::{Acceptor, Listener, TcpListener},
};
use serde_json::Value;
use tokio::{
    select, signal,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    account::AccountStore,
    api,
    app::{App, Parts as AppParts},
    auth::AnswerTokens,
    callbacks::SignedCaller,
    commands::{Migration, welcome},
    config::Config,
    limits::{Counts, MemoryCounts, PersonLimits},
    storage::{self, Cipher, Reencrypted, SecretKey, Secrets, SqlStorage, is_postgres, migrate},
};

/// How long the hub may take to stop: calls under way, sockets, attempts.
const STOP_MAX: Duration = Duration::from_secs(8);
/// For how long after SIGTERM the hub takes new connections at least, so that a load balancer can see `/readyz` say 503
/// before calls are refused.
const DRAIN: Duration = Duration::from_secs(1);
/// How often timings are gathered. Each is kept by itself until then, whether anybody reads the metrics or not.
const UPKEEP: Duration = Duration::from_secs(5);
/// The name of the channel over open sockets.
const WEBSOCKET: &str = "websocket";

/// What the key is derived for that signs links to the answer page.
const ANSWER_LINK: &str = "answer link";

/// A hub that is running.
pub struct Running {
    app: Arc<App>,
    storage: Arc<SqlStorage>,
    hub: JoinHandle<()>,
    server: JoinHandle<()>,
    /// Cancelled when the HTTP server is to take no more connections.
    closing: CancellationToken,
}

/// Starts a hub on `clock`. It listens when this returns.
///
/// # Errors
///
/// `Config` when the database, the secret or the address cannot be had: what to do about it.
pub async fn start(config: Config, clock: Arc<dyn Clock>, metrics: Option<PrometheusHandle>) -> Result<Running> {
    let secrets = secrets(&config)?;
    let bus = Arc::new(Bus::default());
    let cipher = Arc::new(Cipher::new(&secrets));
    let storage = Arc::new(SqlStorage::open(&config.database_url, config.migrate, bus.clone(), cipher.clone()).await?);
    tell_unreadable(&storage, &cipher).await?;
    let bound = TcpListener::bind(config.bind).into_acceptor().await;
    let acceptor = bound.map_err(|error| cannot_listen(&config, &error))?;
    let address = acceptor.local_addr().first().and_then(|local| local.as_socket_addr().copied());
    let listening_on = address.unwrap_or(config.bind);
    let config = config.listening_on(listening_on);

    let ids = Arc::new(Ids::random(clock.clone()));
    let sockets = SocketLimits {
        per_reader: config.max_websocket_connections_per_user,
        total: config.max_total_websocket_connections,
    };
    let name = WEBSOCKET.parse().map_err(|_| Error::new(ErrorKind::Unexpected, "serve", "not a channel's name"))?;
    // Servers that share a database share what they count; on a file of its own a server counts in its memory.
    let shared = is_postgres(&config.database_url);
    let counts: Arc<dyn Counts> = if shared { storage.clone() } else { Arc::new(MemoryCounts::default()) };
    let limits = Arc::new(PersonLimits::new(&config, counts.clone(), clock.clone()));
    let websocket = Websocket::new(name, storage.clone(), bus.clone(), clock.clone(), sockets, limits.clone());
    let websocket = Arc::new(websocket);
    let channels = channels(&config, websocket.clone(), &clock, &storage)?;
    let allow = config.outbound_allow.clone();
    let caller = SignedCaller::new(storage.clone(), cipher, clock.clone(), allow, config.send_timeout);
    let answer_tokens = Arc::new(AnswerTokens::new(&secrets.derive(ANSWER_LINK), config.link("")));
    let hub = Hub::new(HubParts {
        store: storage.clone(),
        bus,
        channels,
        clock: clock.clone(),
        ids: ids.clone(),
        answer_urls: answer_tokens.clone(),
        send_timeout: config.send_timeout,
        event_retention: Duration::from_hours(24 * u64::from(config.event_retention_days)),
        caller: Arc::new(caller),
        limits: limits.clone(),
        addresses: storage.clone(),
    });
    let stopping = CancellationToken::new();
    let app = App::new(AppParts {
        config,
        secrets,
        clock,
        ids,
        accounts: storage.clone(),
        store: storage.clone(),
        counts,
        limits,
        hub: hub.clone(),
        websocket,
        answer_tokens,
        stopping: stopping.clone(),
        metrics,
    })?;
    if let Some(metrics) = app.metrics.clone() {
        tokio::spawn(upkeep(metrics, stopping.clone()));
    }
    let routes = api::routes(app.clone());
    let (stop, closing) = (stopping.clone(), CancellationToken::new());
    let told = closing.clone().cancelled_owned();
    let server = Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(routes, told, Some(STOP_MAX));
    let server = tokio::spawn(async move {
        if let Err(error) = server.await {
            error!(%error, "the HTTP server failed");
        }
        stop.cancel();
    });
    Ok(Running { app, storage, hub: tokio::spawn(hub.run(stopping)), server, closing })
}

async fn upkeep(metrics: PrometheusHandle, stopping: CancellationToken) {
    while stopping.run_until_cancelled(sleep(UPKEEP)).await.is_some() {
        metrics.run_upkeep();
    }
}

impl Running {
    /// What the parts of the server share.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// What is stored.
    #[must_use]
    pub const fn storage(&self) -> &Arc<SqlStorage> {
        &self.storage
    }

    /// Stops: `/readyz` turns 503, parked calls answer, sockets and streams close with a reason, attempts under way end.
    /// Connections are taken until the calls are answered and the others closed, and for `drain` at least.
    pub async fn stop(self, drain: Duration) {
        let Self { app, storage, hub, server, closing } = self;
        app.stopping.cancel();
        app.sockets.close();
        app.parked.close();
        app.streams.close();
        let ended = timeout(STOP_MAX, async {
            let close = async {
                tokio::join!(sleep(drain), app.sockets.wait(), app.parked.wait(), app.streams.wait());
                closing.cancel();
                let ended = server.await;
                // No call comes any more. What is left is the work after answers.
                app.callbacks.close();
                app.callbacks.wait().await;
                ended
            };
            // Only a panic makes one of these an error, and that is in the log.
            let (_, _) = tokio::join!(hub, close);
        });
        if ended.await.is_err() {
            closing.cancel();
            error!("not everything ended in time; what is durable goes on at the next start");
        }
        storage.close().await;
    }
}

fn channels(
    config: &Config,
    websocket: Arc<Websocket>,
    clock: &Arc<dyn Clock>,
    storage: &Arc<SqlStorage>,
) -> Result<Channels> {
    let adapters = hearback_adapters::configurable();
    let parts = channel_parts(config, clock.clone(), storage.clone());
    let mut channels: Vec<(&'static str, Arc<dyn Channel>)> = vec![(Websocket::KIND, websocket)];
    for (name, table) in &config.channels {
        let channel = adapters.build(name, table.clone(), &parts)?;
        let kind = table["kind"].as_str().and_then(|kind| adapters.get(kind)).map_or("", |adapter| adapter.kind());
        channels.push((kind, channel));
    }
    Ok(Channels::new(channels, clock, config.send_timeout))
}

fn channel_parts(config: &Config, clock: Arc<dyn Clock>, vault: Arc<dyn Vault>) -> ChannelParts {
    ChannelParts {
        clock,
        vault,
        callbacks_url: config.link("api/channels/"),
        public_url: config.link(""),
        outbound_allow: config.outbound_allow.clone(),
        send_timeout: config.send_timeout,
    }
}

fn cannot_listen(config: &Config, error: &std::io::Error) -> Error {
    let detail = format!("cannot listen on HEARBACK_BIND = {}: {error}", config.bind);
    Error::new(ErrorKind::Config, "serve", detail)
}

/// Runs the hub until it is told to stop by SIGTERM or Ctrl-C.
///
/// # Errors
///
/// It cannot start: the database, the secret or the address cannot be had.
pub async fn serve(config: Config) -> Result<()> {
    let told = told_to_stop()?;
    let metrics = PrometheusBuilder::new().install_recorder().ok();
    let running = start(config, Arc::new(SystemClock), metrics).await?;
    let app = running.app();
    let first_account = running.storage.is_empty().await?;
    info!(bind = %app.config.bind, url = %app.config.public_url, "listening");
    for warning in app.config.warnings() {
        warn!("{warning}");
    }
    welcome(&app.config, first_account);
    select! {
        () = told => info!("stopping"),
        () = app.stopping.cancelled() => error!("the HTTP server ended by itself"),
    }
    running.stop(DRAIN).await;
    info!("stopped");
    Ok(())
}

/// Completes at the first SIGTERM or Ctrl-C; listens from now on.
fn told_to_stop() -> Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())
        .map_err(|error| Error::new(ErrorKind::Unexpected, "serve", "signals cannot be heard").with_source(error))?;
    Ok(async move {
        #[cfg(unix)]
        select! {
            _ = terminate.recv() => {}
            _ = signal::ctrl_c() => {}
        }
        #[cfg(not(unix))]
        let _ = signal::ctrl_c().await;
    })
}

/// Moves the database's schema, or says where it stands; the answer is for people.
///
/// # Errors
///
/// The database cannot be opened, or a migration fails.
pub async fn migrate(config: &Config, migration: Migration) -> Result<String> {
    let (done, steps) = match migration {
        Migration::Up => ("applied", migrate::up(&config.database_url).await?),
        Migration::Down { steps } => ("taken back", migrate::down(&config.database_url, steps as usize).await?),
        Migration::Status => ("", migrate::status(&config.database_url).await?),
    };
    if steps.is_empty() {
        return Ok("Nothing to do: the schema stands where it should.".into());
    }
    let lines = steps.iter().map(|step| {
        let state = match (done, step.applied) {
            ("", true) => "applied",
            ("", false) => "not applied",
            (done, _) => done,
        };
        format!("{:04} {}: {state}", step.version, step.name)
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// Writes what the database holds into a new file; the answer is for people.
///
/// # Errors
///
/// The file or the database: what to do about it.
pub async fn backup(config: &Config, file: &Path) -> Result<String> {
    storage::backup(&config.database_url, file).await?;
    let secret = match config.secret_key {
        Some(_) => "SECRET_KEY, which is set".to_owned(),
        None => config.secret_path().display().to_string(),
    };
    Ok(format!("Everything is in {}. What is sealed in it opens with {secret}: keep that too.", file.display()))
}

/// Puts what a backup holds into an empty database; the answer is for people.
///
/// # Errors
///
/// The file or the database: what to do about it.
pub async fn restore(config: &Config, file: &Path) -> Result<String> {
    // A new secret would open nothing of the backup.
    let secrets = kept_secrets(config)?.ok_or_else(|| {
        let detail = format!(
            "what is sealed in a backup opens only with the secret of the hub that made it: put its secret.key at {}, or set \
             SECRET_KEY",
            config.secret_path().display()
        );
        Error::new(ErrorKind::Config, "restore", detail)
    })?;
    storage::restore(file, &config.database_url, &Cipher::new(&secrets), SystemClock.now()).await?;
    Ok(format!("What {} holds is in the database. Start the hub.", file.display()))
}

/// Seals everything sealed anew under the present secret, while hubs may go on working on the database.
///
/// # Errors
///
/// The secret or the database: what to do about it.
pub async fn reencrypt(config: &Config) -> Result<Vec<Reencrypted>> {
    let secrets = kept_secrets(config)?.ok_or_else(|| {
        let detail = format!("there is no secret: neither {} nor SECRET_KEY", config.secret_path().display());
        Error::new(ErrorKind::Config, "reencrypt", detail)
    })?;
    storage::reencrypt(&config.database_url, &Cipher::new(&secrets)).await
}

/// The hub's secrets: what is configured, or what is kept beside the database.
fn secrets(config: &Config) -> Result<Secrets> {
    match kept_secrets(config)? {
        Some(secrets) => Ok(secrets),
        None => Ok(Secrets::load_or_generate(config.data_dir())?.and_old(old_secrets(config)?)),
    }
}

/// The same, without making one where there is none.
fn kept_secrets(config: &Config) -> Result<Option<Secrets>> {
    let present = match &config.secret_key {
        Some(text) => Some(SecretKey::new(text.clone())?.into()),
        None => Secrets::load(config.data_dir())?,
    };
    let old = old_secrets(config)?;
    Ok(present.map(|present: Secrets| present.and_old(old)))
}

fn old_secrets(config: &Config) -> Result<Vec<SecretKey>> {
    config.secret_key_old.iter().cloned().map(SecretKey::new).collect()
}

/// Tells the log of what is sealed under secrets that this hub lacks. It starts all the same: what is lost must not keep
/// everything else from working.
async fn tell_unreadable(storage: &SqlStorage, cipher: &Cipher) -> Result<()> {
    for lost in storage.unreadable().await? {
        error!(
            "sealed values cannot be opened: {lost}, but {}. Put the secret that they were sealed under into SECRET_KEY_OLD and \
             restart the hub",
            cipher.shown()
        );
    }
    Ok(())
}

/// Checks one `[channels.NAME]` table of `config` without any I/O.
///
/// # Errors
///
/// The setting at fault.
pub fn check_channel(config: &Config, name: &str, table: &Value) -> Result<(), FieldError> {
    let parts = channel_parts(config, Arc::new(SystemClock), Arc::new(MemoryVault::default()));
    if name == WEBSOCKET {
        let detail = "this channel is always there: choose another name";
        return Err(FieldError::new(format!("channels.{name}"), detail));
    }
    hearback_adapters::configurable().build(name, table.clone(), &parts).map(|_| ())
}
