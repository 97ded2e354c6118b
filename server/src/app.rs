//! What the parts of the server share.

use std::{fmt, sync::Arc};

use hearback_adapters::websocket::Websocket;
use hearback_core::{Clock, Result, hub::Hub, id::Ids, limits::Limits, store::Store};
use metrics_exporter_prometheus::PrometheusHandle;
use poem::Request;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    account::AccountStore,
    api::{idempotency::Running, problem::Problem},
    auth::{AnswerTokens, Auth},
    config::Config,
    limits::Counts,
    storage::{Cipher, Secrets},
};

/// What an [`App`] is made of.
pub struct Parts {
    /// The configuration, with the address that the hub listens on ([`Config::listening_on`]).
    pub config: Config,
    /// The hub's secrets.
    pub secrets: Secrets,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<Ids>,
    /// Accounts.
    pub accounts: Arc<dyn AccountStore>,
    /// Everything else that is stored.
    pub store: Arc<dyn Store>,
    /// What was counted against limits.
    pub counts: Arc<dyn Counts>,
    /// The limits of people.
    pub limits: Arc<dyn Limits>,
    /// The orchestrator.
    pub hub: Arc<Hub>,
    /// The channel over open sockets.
    pub websocket: Arc<Websocket>,
    /// The links to the answer page.
    pub answer_tokens: Arc<AnswerTokens>,
    /// Cancelled when the hub begins to stop.
    pub stopping: CancellationToken,
    /// The metrics, where they are collected.
    pub metrics: Option<PrometheusHandle>,
}

/// What every operation may use.
pub struct App {
    /// The configuration.
    pub config: Config,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<Ids>,
    /// Accounts and people's addresses; signing in belongs to `auth`.
    pub accounts: Arc<dyn AccountStore>,
    /// Everything else that is stored.
    pub store: Arc<dyn Store>,
    /// The limits of people.
    pub limits: Arc<dyn Limits>,
    /// The orchestrator.
    pub hub: Arc<Hub>,
    /// The channel over open sockets.
    pub websocket: Arc<Websocket>,
    /// The open sockets, which the HTTP server does not count among its connections.
    pub sockets: TaskTracker,
    /// The calls that wait for the ending of a request.
    pub parked: TaskTracker,
    /// The streams of events.
    pub streams: TaskTracker,
    /// The calls to channels, each until the work after its answer is done.
    pub callbacks: TaskTracker,
    /// Who calls.
    pub auth: Auth,
    /// The links to the answer page.
    pub answer_tokens: Arc<AnswerTokens>,
    /// The idempotency keys whose first call is still running.
    pub running: Running,
    /// Cancelled when the hub begins to stop.
    pub stopping: CancellationToken,
    /// The metrics, where they are collected.
    pub metrics: Option<PrometheusHandle>,
}

impl App {
    /// Puts the parts together.
    ///
    /// # Errors
    ///
    /// When passwords cannot be hashed on this machine.
    pub fn new(parts: Parts) -> Result<Arc<Self>> {
        let Parts {
            config,
            secrets,
            clock,
            ids,
            accounts,
            store,
            counts,
            limits,
            hub,
            websocket,
            answer_tokens,
            stopping,
            metrics,
        } = parts;
        let cipher = Arc::new(Cipher::new(&secrets));
        let auth = Auth::new(&config, &secrets, cipher, accounts.clone(), clock.clone(), ids.clone(), counts)?;
        Ok(Arc::new(Self {
            config,
            clock,
            ids,
            accounts,
            store,
            limits,
            hub,
            websocket,
            sockets: TaskTracker::new(),
            parked: TaskTracker::new(),
            streams: TaskTracker::new(),
            callbacks: TaskTracker::new(),
            auth,
            answer_tokens,
            running: Running::default(),
            stopping,
            metrics,
        }))
    }

    /// The path of `path` as callers see it, below the prefix.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.config.path_prefix)
    }

    /// The app that answers this call.
    ///
    /// # Errors
    ///
    /// `internal` outside of the routes.
    pub fn of(request: &Request) -> Result<&Arc<Self>, Problem> {
        request.data().ok_or_else(Problem::internal)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("config", &self.config).finish_non_exhaustive()
    }
}
