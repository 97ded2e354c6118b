//! `/metrics`: counters and timings, for Prometheus.

use std::sync::Arc;

use poem::{Endpoint, Request, Response, Result};

use super::problem::Problem;
use crate::app::App;

/// Renders the metrics, where they are collected.
pub(super) struct Metrics(pub(super) Arc<App>);

impl Endpoint for Metrics {
    type Output = Response;

    async fn call(&self, _: Request) -> Result<Response> {
        let metrics = self.0.metrics.as_ref().ok_or_else(|| Problem::not_found("No metrics are collected here."))?;
        Ok(Response::builder().content_type("text/plain; version=0.0.4").body(metrics.render()))
    }
}
