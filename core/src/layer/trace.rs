//! Writes every call and its fault to the log.

use std::future::Future;

use tracing::{Instrument, debug, debug_span, warn};

use super::{Call, Layer};
use crate::error::Result;

#[derive(Debug)]
pub(super) struct Trace;

impl Layer for Trace {
    async fn around<T: Send>(&self, call: Call<'_>, next: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let span = debug_span!("channel", name = %call.channel.name(), operation = call.operation.as_str());
        async {
            let result = next.await;
            match &result {
                Ok(_) => debug!("done"),
                Err(error) => warn!(kind = ?error.kind(), %error, "failed"),
            }
            result
        }
        .instrument(span)
        .await
    }
}
