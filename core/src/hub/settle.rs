//! Telling every delivery how its request ended. It has its own loop and its own retries, so that a slow send delays
//! no settlement, and one that fails is tried again for a week.

use std::{sync::Arc, time::Duration};

use tokio::{select, sync::OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{BATCH, Hub, STORE_PAUSE, backoff};
use crate::{
    channel::{Channel, Content, Outbound, Settlement},
    error::{Error, ErrorKind, Result, Retry},
    feedback::{Delivery, Ending, Request},
    person::Locale,
    store::{SettleClaim, SettleResult},
};

/// A settlement is tried for this long after the end, however often: refusals of an open breaker cost it nothing.
const TRIED_FOR: Duration = Duration::from_hours(7 * 24);

impl Hub {
    pub(super) async fn settle_ended(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let Ok(place) = self.settlements.clone().acquire_owned().await else { return };
            let limit = (self.settlements.available_permits() + 1).min(BATCH);
            drop(place);
            let now = self.clock.now();
            let next_due = match self.store.claim_settlements(now, now.after(self.lease), limit).await {
                Ok(claims) => {
                    let full = claims.claimed.len() == limit;
                    for claim in claims.claimed {
                        // Only this loop takes places, so as many as were counted are still free.
                        let Ok(place) = self.settlements.clone().acquire_owned().await else { return };
                        self.attempts.spawn(self.clone().settle(claim, stop.clone(), place));
                    }
                    if full && !stop.is_cancelled() {
                        continue;
                    }
                    claims.next_due
                }
                Err(error) => {
                    error!(%error, "due settlements could not be claimed");
                    Some(now.after(STORE_PAUSE))
                }
            };
            if self.rest(&self.settlements_due, next_due, &stop).await {
                return;
            }
        }
    }

    async fn settle(self: Arc<Self>, claim: SettleClaim, stop: CancellationToken, _place: OwnedSemaphorePermit) {
        let result = select! {
            biased;
            result = self.try_settle(&claim) => result,
            // The lease runs out and the settlement is tried again, which is harmless.
            () = self.cut_short(&stop) => return,
        };
        let again = matches!(result, SettleResult::Again(_));
        let now = self.clock.now();
        if let Err(error) = self.store.finish_settlement(claim.delivery.id, claim.lease, result, now).await {
            // The lease runs out and the settlement is tried again, which is harmless.
            warn!(%error, delivery = %claim.delivery.id, "a settlement's end could not be stored");
        }
        if again {
            self.settlements_due.notify_one();
        }
    }

    async fn try_settle(&self, claim: &SettleClaim) -> SettleResult {
        let SettleClaim { delivery, request, tries, locale, .. } = claim;
        let Some(running) = self.channels.get(&delivery.channel) else {
            return SettleResult::GivenUp(format!("no channel named `{}` is configured", delivery.channel));
        };
        let Some(ending) = request.ending() else {
            return SettleResult::GivenUp("the request has not ended".into());
        };
        let told = tell(running.channel().as_ref(), delivery, request, ending, locale.as_ref()).await;
        match &told {
            // A channel that says that something is gone works.
            Err(error) if error.kind() == ErrorKind::NotFound => running.note(Ok(())),
            told => running.note(told.as_ref().copied()),
        }
        let overdue = self.clock.now().since(ending.at()) > TRIED_FOR;
        match told {
            Ok(()) => SettleResult::Settled,
            // What is gone shows nothing that could mislead.
            Err(error) if error.kind() == ErrorKind::NotFound => SettleResult::Settled,
            // Credentials that are wrong now may be renewed.
            Err(error) if (error.retry() != Retry::Never || error.kind() == ErrorKind::Auth) && !overdue => {
                let wait = backoff::wait(tries + 1, error.retry(), &self.ids);
                SettleResult::Again(self.clock.now().after(wait))
            }
            Err(error) => SettleResult::GivenUp(error.to_string()),
        }
    }
}

/// Edits what was sent; where the provider cannot, says it in the same thread.
async fn tell(
    channel: &dyn Channel,
    delivery: &Delivery,
    request: &Arc<Request>,
    ending: &Ending,
    locale: Option<&Locale>,
) -> Result<(), Error> {
    let Some(receipt) = delivery.state.receipt() else { return Ok(()) };
    let settlement = Settlement { delivery: delivery.id, to: &delivery.address, receipt, request, ending };
    match channel.settle(&settlement).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            let notice = Outbound {
                id: delivery.id.uuid(),
                content: Content::Notice { text: ending.closing(channel.capabilities().text_max) },
                answer_url: None,
                thread: channel.capabilities().threads.then(|| receipt.clone()),
                locale: locale.map(ToString::to_string),
            };
            channel.send(&delivery.address, &notice).await.map(|_| ())
        }
        result => result,
    }
}
