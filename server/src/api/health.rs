//! How the hub fares, for those who run it.

use std::{sync::Arc, time::Duration};

use hearback_core::hub::ChannelState;
use poem_openapi::OpenApi;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Tag, answer::Json, problem::Problem};
use crate::app::App;

/// How long the database has to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It works.
    Up,
    /// It does not.
    Down,
}

/// Whether the hub works.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Alive {
    /// `up`.
    pub status: Condition,
}

/// How the parts of the hub fare.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `down` when the database is.
    pub status: Condition,
    /// The version of the program.
    pub version: String,
    /// Whether the database answers.
    pub database: Condition,
    /// How many channels are in each state.
    pub channels: ChannelCounts,
}

/// How many channels are in each state.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ChannelCounts {
    /// They work.
    pub up: u32,
    /// Their last call failed.
    pub degraded: u32,
    /// Their breaker is open.
    pub down: u32,
    /// An administrator has to connect them again.
    pub needs_auth: u32,
}

/// The operations.
pub struct HealthApi(pub Arc<App>);

#[expect(clippy::unused_async, reason = "every operation is asynchronous, also one that waits for nothing")]
#[OpenApi(tag = "Tag::Hub")]
impl HealthApi {
    /// How the parts fare
    ///
    /// Answers also when a part is down; `status` tells.
    #[oai(path = "/health", method = "get", operation_id = "get_health")]
    async fn health(&self) -> Json<Health> {
        let mut channels = ChannelCounts::default();
        for channel in self.0.hub.channels().iter() {
            *match channel.state() {
                ChannelState::Up => &mut channels.up,
                ChannelState::Degraded => &mut channels.degraded,
                ChannelState::Down => &mut channels.down,
                ChannelState::NeedsAuth => &mut channels.needs_auth,
            } += 1;
        }
        let database = self.database().await;
        Json(Health { status: database, version: env!("CARGO_PKG_VERSION").into(), database, channels })
    }

    /// Whether the program runs
    ///
    /// Answers as long as it can answer at all: where it does not, restart it.
    #[oai(path = "/livez", method = "get", operation_id = "get_livez")]
    async fn livez(&self) -> Json<Alive> {
        Json(Alive { status: Condition::Up })
    }

    /// Whether to send calls here
    ///
    /// 503 as soon as the hub begins to stop, and while its database does not answer.
    #[oai(path = "/readyz", method = "get", operation_id = "get_readyz")]
    async fn readyz(&self) -> Result<Json<Alive>, Problem> {
        if self.0.stopping.is_cancelled() {
            return Err(Problem::stopping());
        }
        match self.database().await {
            Condition::Up => Ok(Json(Alive { status: Condition::Up })),
            Condition::Down => Err(Problem::unavailable("The database does not answer. Try again shortly.")),
        }
    }
}

impl HealthApi {
    async fn database(&self) -> Condition {
        match tokio::time::timeout(PATIENCE, self.0.store.ping()).await {
            Ok(Ok(())) => Condition::Up,
            Ok(Err(error)) => {
                tracing::error!(%error, "the database fails");
                Condition::Down
            }
            Err(_) => {
                tracing::error!("the database does not answer");
                Condition::Down
            }
        }
    }
}
