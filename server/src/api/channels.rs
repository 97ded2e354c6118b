//! The channels and how they fare.

use std::sync::Arc;

use hearback_core::{
    Timestamp,
    channel::{Capabilities, ChannelName},
    hub::ChannelState,
    layer::BreakerState,
    store::DeliveryCounts,
};
use poem_openapi::OpenApi;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Tag, answer::Json, list::Page, problem::Problem};
use crate::{app::App, auth::Authenticated};

/// A channel and how it fares.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Channel")]
pub struct ChannelDocument {
    /// The name it was configured under.
    pub name: ChannelName,
    /// The kind of its adapter.
    pub kind: String,
    /// How it fares.
    pub state: ChannelState,
    /// Its breaker's state.
    pub breaker: BreakerState,
    /// Since when the breaker is in this state.
    pub breaker_since: Timestamp,
    /// The last fault since the hub started.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How many deliveries wait, are out, and were given up.
    pub deliveries: DeliveryCounts,
}

/// The operations on channels.
pub struct ChannelsApi(pub Arc<App>);

#[OpenApi(prefix_path = "/api/channels", tag = "Tag::Channels")]
impl ChannelsApi {
    /// List the channels
    ///
    /// Every configured channel with what it can do and how it fares.
    #[oai(path = "/", method = "get", operation_id = "list_channels")]
    async fn list(&self, Authenticated(_principal): Authenticated) -> Result<Json<Page<ChannelDocument>>, Problem> {
        let mut items = Vec::new();
        for running in self.0.hub.channels().iter() {
            let channel = running.channel();
            let breaker = running.breaker();
            let (last_error, last_error_at) = running.last_error().unzip();
            items.push(ChannelDocument {
                name: channel.name().clone(),
                kind: running.kind().into(),
                state: running.state(),
                breaker: breaker.state,
                breaker_since: breaker.since,
                last_error,
                last_error_at,
                capabilities: *channel.capabilities(),
                deliveries: self.0.store.delivery_counts(channel.name()).await?,
            });
        }
        Ok(Json(Page { items, next_cursor: None }))
    }
}
