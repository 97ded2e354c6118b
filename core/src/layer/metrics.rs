//! Counts and times every call.

use std::{future::Future, sync::Arc};

use metrics::{counter, histogram};

use super::{Call, Layer};
use crate::{clock::Clock, error::Result};

#[derive(Debug)]
pub(super) struct Metrics {
    clock: Arc<dyn Clock>,
}

impl Metrics {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

impl Layer for Metrics {
    async fn around<T: Send>(&self, call: Call<'_>, next: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let begun = self.clock.now();
        let result = next.await;
        let channel = call.channel.name().to_string();
        let operation = call.operation.as_str();
        let outcome = result.as_ref().map_or_else(|error| format!("{:?}", error.kind()), |_| "ok".into());
        let seconds = self.clock.now().since(begun).as_secs_f64();
        counter!("hearback_channel_calls_total", "channel" => channel.clone(), "operation" => operation, "outcome" => outcome)
            .increment(1);
        histogram!("hearback_channel_call_seconds", "channel" => channel, "operation" => operation).record(seconds);
        result
    }
}
