//! Attempting what is due.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{BATCH, Hub, Running, STORE_PAUSE, backoff};
use crate::{
    channel::{Content, Outbound, Reach},
    clock::Timestamp,
    error::{Error, ErrorKind},
    feedback::{Delivery, DeliveryState, Request},
    person::UserRef,
    store::SendClaim,
};

/// A delivery is given up after this many attempts.
const ATTEMPTS_MAX: usize = 10;
/// How often storing an attempt's end is tried.
const FINISH_TRIES_MAX: u32 = 100;
/// The longest wait between two of these tries.
const FINISH_WAIT_MAX: Duration = Duration::from_secs(10);
/// What a skipped delivery shows.
const NOT_CONNECTED: &str = "not connected";

impl Hub {
    pub(super) async fn dispatch(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let now = self.clock.now();
            let lease = now.after(self.lease);
            let next_due = match self.store.claim_sends(now, lease, BATCH).await {
                Ok(claims) => {
                    let full = claims.claimed.len() == BATCH;
                    for claim in claims.claimed {
                        self.attempts.spawn(self.clone().attempt(claim, lease));
                    }
                    if full && !stop.is_cancelled() {
                        continue;
                    }
                    claims.next_due
                }
                Err(error) => {
                    error!(%error, "due deliveries could not be claimed");
                    Some(now.after(STORE_PAUSE))
                }
            };
            if self.rest(&self.sends_due, next_due, &stop).await {
                return;
            }
        }
    }

    /// Makes one attempt, whose begin is committed, and commits how it went.
    async fn attempt(self: Arc<Self>, claim: SendClaim, lease: Timestamp) {
        let SendClaim { delivery, request, interrupted } = claim;
        let Some(running) = self.channels.get(&delivery.channel) else {
            let reason = format!("no channel named `{}` is configured", delivery.channel);
            return self.finish(&delivery, lease, DeliveryState::Failed { reason: reason.clone() }, Some(reason)).await;
        };
        let (state, error) = self.make_attempt(running, &delivery, &request, interrupted).await;
        let skipped = matches!(state, DeliveryState::Skipped { .. });
        self.finish(&delivery, lease, state, error).await;
        // Whoever connected while this was being written down has asked for skipped deliveries too early.
        if skipped && running.channel().reach(&delivery.address).await == Reach::Now {
            self.requeue(&delivery).await;
        }
    }

    async fn make_attempt(
        &self,
        running: &Running,
        delivery: &Delivery,
        request: &Arc<Request>,
        interrupted: bool,
    ) -> (DeliveryState, Option<String>) {
        let channel = running.channel();
        // Once the request is over nobody is asked again; otherwise only where asking twice shows once.
        if interrupted && !(channel.capabilities().idempotent_send && request.is_pending()) {
            let reason = String::from("the hub stopped during the send");
            return (DeliveryState::Unknown { reason: reason.clone() }, Some(reason));
        }
        match channel.reach(&delivery.address).await {
            Reach::Now => {}
            Reach::Later => {
                return (DeliveryState::Skipped { reason: NOT_CONNECTED.into() }, Some(NOT_CONNECTED.into()));
            }
            Reach::Never => {
                let reason = String::from("there is nobody at this address");
                return (DeliveryState::Failed { reason: reason.clone() }, Some(reason));
            }
        }
        let sent = channel.send(&delivery.address, &self.question(delivery, request)).await;
        running.note(sent.as_ref().map(|_| ()));
        match sent {
            Ok(receipt) => (DeliveryState::Sent { receipt }, None),
            // They left during the send, and nothing was sent: that is no fault of anybody's.
            Err(error)
                if error.kind() == ErrorKind::Unavailable && channel.reach(&delivery.address).await == Reach::Later =>
            {
                (DeliveryState::Skipped { reason: NOT_CONNECTED.into() }, Some(error.to_string()))
            }
            Err(error) => {
                let state = self.after_fault(&error, delivery.attempts.len());
                (state, Some(error.to_string()))
            }
        }
    }

    fn after_fault(&self, error: &Error, attempts: usize) -> DeliveryState {
        let reason = error.to_string();
        match error.kind() {
            ErrorKind::Ambiguous => DeliveryState::Unknown { reason },
            ErrorKind::Unavailable | ErrorKind::RateLimited if attempts < ATTEMPTS_MAX => {
                let tries = u32::try_from(attempts).unwrap_or(u32::MAX);
                let wait = backoff::wait(tries, error.retry(), &self.ids);
                DeliveryState::Queued { due: self.clock.now().after(wait) }
            }
            _ => DeliveryState::Failed { reason },
        }
    }

    fn question(&self, delivery: &Delivery, request: &Arc<Request>) -> Outbound {
        let asked = request.terms.to.iter().find(|person| person.id == delivery.user_id);
        let person = asked.cloned().unwrap_or_else(|| UserRef { id: delivery.user_id, username: String::new() });
        Outbound {
            content: Content::Request { request: request.clone(), person },
            answer_url: Some(self.request_url(request.id)),
            thread: None,
            locale: None,
        }
    }

    async fn finish(&self, delivery: &Delivery, lease: Timestamp, state: DeliveryState, error: Option<String>) {
        let due = matches!(state, DeliveryState::Queued { .. });
        let receipt = state.receipt().cloned();
        // A receipt that is lost here could never be settled, so this is tried for longer than a passing fault lasts.
        for tries in 1..=FINISH_TRIES_MAX {
            let (state, error) = (state.clone(), error.clone());
            let Err(error) = self.store.finish_send(delivery.id, lease, state, error, self.clock.now()).await else {
                break;
            };
            warn!(%error, delivery = %delivery.id, tries, "an attempt's end could not be stored");
            if self.attempts.is_closed() {
                return;
            }
            let wait = backoff::wait(tries, error.retry(), &self.ids).min(FINISH_WAIT_MAX);
            self.clock.sleep_until(self.clock.now().after(wait)).await;
        }
        if let Some(receipt) = receipt {
            self.acknowledge_early(&delivery.channel, &delivery.address, &receipt).await;
        }
        if due {
            self.sends_due.notify_one();
        }
        // The request may have ended during the send.
        self.settlements_due.notify_one();
    }

    async fn requeue(&self, delivery: &Delivery) {
        match self.store.requeue_skipped(&delivery.channel, &delivery.address, self.clock.now()).await {
            Ok(0) => {}
            Ok(_) => self.sends_due.notify_one(),
            Err(error) => warn!(%error, "skipped deliveries could not be queued again"),
        }
    }
}
