//! Parking those who wait for an ending.

use std::sync::Arc;

use tokio::select;
use tokio_util::sync::CancellationToken;

use super::Hub;
use crate::{
    clock::Timestamp,
    error::Result,
    event::{Heard, Listening, Topic},
    feedback::Request,
    id::RequestId,
};

impl Hub {
    /// Starts listening to what is committed.
    #[must_use]
    pub fn listen(&self, topic: Topic) -> Listening {
        self.bus.listen(topic)
    }

    /// The request once it has ended, or as it is at `until` or at `stop`. `None` when there is no such request. While it
    /// waits it asks the store nothing: the commit of the ending wakes it.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn wait(
        &self,
        id: RequestId,
        until: Timestamp,
        stop: &CancellationToken,
    ) -> Result<Option<Arc<Request>>> {
        // Listen before reading, or an ending in between would be missed.
        let mut listening = self.listen(Topic::Ending(id));
        let mut request = self.store.request(id).await?;
        while request.as_ref().is_some_and(|request| request.is_pending()) {
            let heard = select! {
                biased;
                heard = listening.next() => heard,
                () = self.clock.sleep_until(until) => break,
                () = stop.cancelled() => break,
            };
            match heard {
                Heard::Event(event) => request = Some(event.request.clone()),
                Heard::Lagged => request = self.store.request(id).await?,
            }
        }
        Ok(request)
    }
}
