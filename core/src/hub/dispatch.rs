//! Attempting what is due.

use std::{sync::Arc, time::Duration};

use tokio::{select, sync::OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{BATCH, Hub, Running, STORE_PAUSE, backoff};
use crate::{
    channel::{Address, Content, Outbound, Reach},
    clock::Timestamp,
    error::{Error, ErrorKind, Retry},
    feedback::{Delivery, DeliveryState, Request, Strategy},
    person::{BLOCKED, Locale, Preferences, UserRef},
    store::{FinishedSend, SendClaim},
};

/// Why nothing is sent to somebody who is deactivated. A store knows by it what to send when they are back.
const DEACTIVATED: &str = "the account was deactivated";
/// How often storing an attempt's end is tried.
const FINISH_TRIES_MAX: u32 = 100;
/// The longest wait between two of these tries.
const FINISH_WAIT_MAX: Duration = Duration::from_secs(10);
/// What a skipped delivery shows.
const NOT_CONNECTED: &str = "not connected";

/// What an attempt came to.
struct Attempted {
    state: DeliveryState,
    /// Whether the channel was called at all, or would have been.
    called: bool,
    error: Option<String>,
    /// Whether it may have arrived although no receipt is there.
    in_doubt: bool,
}

impl Attempted {
    /// It was made, and ended so.
    fn so(state: DeliveryState) -> Self {
        let error = state.reason().map(Into::into);
        let in_doubt = matches!(state, DeliveryState::Unknown { .. });
        Self { state, called: true, error, in_doubt }
    }

    /// Nothing was called: it is as if it had not been claimed.
    fn queued(due: Timestamp) -> Self {
        Self { state: DeliveryState::Queued { due, reason: None }, called: false, error: None, in_doubt: false }
    }

    /// Nothing was called.
    fn held(reason: String, until: Timestamp) -> Self {
        Self { state: DeliveryState::Held { reason, until }, called: false, error: None, in_doubt: false }
    }
}

impl Hub {
    pub(super) async fn dispatch(self: Arc<Self>, stop: CancellationToken) {
        loop {
            // What is claimed is attempted at once, so that it does not wait under its lease.
            let Ok(place) = self.sends.clone().acquire_owned().await else { return };
            let limit = (self.sends.available_permits() + 1).min(BATCH);
            drop(place);
            let now = self.clock.now();
            let lease = now.after(self.lease);
            let next_due = match self.store.claim_sends(self.server, now, lease, limit).await {
                Ok(claims) => {
                    let full = claims.claimed.len() == limit;
                    for claim in claims.claimed {
                        // Only this loop takes places, so as many as were counted are still free.
                        let Ok(place) = self.sends.clone().acquire_owned().await else { return };
                        self.attempts.spawn(self.clone().attempt(claim, lease, stop.clone(), place));
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
    async fn attempt(
        self: Arc<Self>,
        claim: SendClaim,
        lease: Timestamp,
        stop: CancellationToken,
        _place: OwnedSemaphorePermit,
    ) {
        let postponed = self.postponed(&claim);
        let SendClaim { delivery, request, due, interrupted, deactivated, preferences } = claim;
        let running = self.channels.get(&delivery.channel);
        let storing = running.map(|running| running.storing());
        let ended = match running {
            _ if deactivated => {
                let reason = String::from(DEACTIVATED);
                Attempted { called: false, ..Attempted::so(DeliveryState::Failed { reason }) }
            }
            running if interrupted => self.after_stop(running, &request, &preferences),
            Some(_) if let Some(later) = postponed => Attempted::queued(later),
            Some(running) => {
                running.begun().watch(delivery.id.uuid());
                let made = select! {
                    biased;
                    ended = self.make_attempt(running, &delivery, &request, preferences.locale.clone()) => Some(ended),
                    () = self.cut_short(&stop) => None,
                };
                match (made, running.begun().take(delivery.id.uuid())) {
                    (Some(ended), _) => ended,
                    (None, true) => self.after_stop(Some(running), &request, &preferences),
                    // The hub stops while something still held the send back.
                    (None, false) => Attempted::queued(due),
                }
            }
            None => {
                let reason = format!("no channel named `{}` is configured", delivery.channel);
                Attempted { called: false, ..Attempted::so(DeliveryState::Failed { reason }) }
            }
        };
        self.finish(&delivery, &request, lease, ended).await;
        drop(storing);
        self.stored.notify_waiters();
    }

    /// When an attempt is due instead of now that comes so late that its person's hours have become quiet meanwhile. What was
    /// planned into quiet hours is for somebody who has connected in them.
    fn postponed(&self, claim: &SendClaim) -> Option<Timestamp> {
        let now = self.clock.now();
        let due = |at| claim.preferences.due(&claim.request, at);
        Some(due(now)).filter(|later| *later > now && due(claim.due) == claim.due)
    }

    /// Once the request is over nobody is asked again; otherwise only where asking twice shows once, and not in quiet hours.
    fn after_stop(&self, running: Option<&Arc<Running>>, request: &Request, preferences: &Preferences) -> Attempted {
        let reason = String::from("the hub stopped during the send");
        let harmless = running.is_some_and(|running| running.channel().capabilities().idempotent_send);
        if harmless && request.is_pending() {
            let now = self.clock.now();
            let due = preferences.due(request, now);
            // What waits for the end of quiet hours has no reason.
            let state = DeliveryState::Queued { due, reason: Some(reason.clone()).filter(|_| due == now) };
            return Attempted { state, called: true, error: Some(reason), in_doubt: true };
        }
        Attempted::so(DeliveryState::Unknown { reason })
    }

    async fn make_attempt(
        &self,
        running: &Running,
        delivery: &Delivery,
        request: &Arc<Request>,
        locale: Option<Locale>,
    ) -> Attempted {
        if let Some((reason, wait)) = running.refuses() {
            return Attempted::held(reason, self.clock.now().after(wait));
        }
        let channel = running.channel();
        match channel.reach(&delivery.address).await {
            Reach::Now => {}
            Reach::Later if self.is_at_service(delivery).await => {}
            Reach::Later => return Attempted::so(DeliveryState::Skipped { reason: NOT_CONNECTED.into() }),
            Reach::Never => {
                return Attempted::so(DeliveryState::Failed { reason: "there is nobody at this address".into() });
            }
        }
        if self.is_blocked(running, &delivery.address).await {
            return Attempted { called: false, ..Attempted::so(DeliveryState::Failed { reason: BLOCKED.into() }) };
        }
        let sent = channel.send(&delivery.address, &self.question(delivery, request, locale)).await;
        running.note(sent.as_ref().map(|_| ()));
        let error = match sent {
            Ok(receipt) => return Attempted::so(DeliveryState::Sent { receipt }),
            Err(error) => error,
        };
        if error.is_blocked() {
            let marked = self.addresses.block(channel.name(), &delivery.address, self.clock.now()).await;
            if let Err(error) = marked {
                // The next send is refused too, and marks it.
                warn!(%error, channel = %channel.name(), "a blocked address could not be marked");
            }
            let failed = Attempted::so(DeliveryState::Failed { reason: BLOCKED.into() });
            return Attempted { error: Some(error.to_string()), ..failed };
        }
        // They left during the send, and nothing was sent: that is no fault of anybody's.
        if error.kind() == ErrorKind::Unavailable && channel.reach(&delivery.address).await == Reach::Later {
            let skipped = Attempted::so(DeliveryState::Skipped { reason: NOT_CONNECTED.into() });
            return Attempted { error: Some(error.to_string()), in_doubt: error.is_in_doubt(), ..skipped };
        }
        self.after_fault(running, &error)
    }

    fn after_fault(&self, running: &Running, error: &Error) -> Attempted {
        let reason = error.to_string();
        let harmless = running.channel().capabilities().idempotent_send;
        let wait = match error.retry() {
            Retry::After(wait) => wait,
            Retry::Never | Retry::Backoff => Duration::ZERO,
        };
        let until = self.clock.now().after(wait);
        match error.kind() {
            _ if error.is_uncalled() => Attempted::held(reason, until),
            ErrorKind::Ambiguous if !harmless => Attempted::so(DeliveryState::Unknown { reason }),
            ErrorKind::Ambiguous | ErrorKind::Unavailable | ErrorKind::RateLimited => {
                let held = Attempted::so(DeliveryState::Held { reason, until });
                Attempted { in_doubt: error.is_in_doubt(), ..held }
            }
            _ if error.retry() != Retry::Never => Attempted::so(DeliveryState::Held { reason, until }),
            _ => Attempted::so(DeliveryState::Failed { reason }),
        }
    }

    pub(super) fn question(&self, delivery: &Delivery, request: &Arc<Request>, locale: Option<Locale>) -> Outbound {
        let asked = request.terms.to.iter().find(|person| person.id == delivery.user_id);
        let person = asked.cloned().unwrap_or_else(|| UserRef { id: delivery.user_id, username: String::new() });
        // An address that the asker named may be a group's, or the asker's own: a link that answers in the person's name would
        // let anybody there do so.
        // The route keeps addresses in their usual form, whatever the asker wrote.
        let usual = |address: &Address| {
            self.channels.get(&delivery.channel).map_or(address.clone(), |running| running.usual(address.clone()))
        };
        let named = request.terms.channels.iter().any(|step| {
            step.channel == delivery.channel
                && step.address.as_ref().is_some_and(|address| usual(address) == usual(&delivery.address))
        });
        let channel = self.channels.get(&delivery.channel).map(|running| running.channel());
        let own = !named && channel.is_some_and(|channel| channel.is_personal(&delivery.address));
        let answer_url =
            if own { self.answer_urls.personal(request, delivery.id) } else { self.answer_urls.signed_in(request) };
        Outbound {
            id: delivery.id.uuid(),
            content: Content::Request { request: request.clone(), person },
            answer_url: Some(answer_url),
            thread: None,
            locale: locale.map(|locale| locale.to_string()),
        }
    }

    /// When the person's route is looked at after an attempt that left the delivery so.
    fn route_due(&self, request: &Request, state: &DeliveryState) -> Option<Timestamp> {
        let now = self.clock.now();
        match state {
            DeliveryState::Sent { .. } if request.terms.strategy == Strategy::Fallback => {
                Some(now.after(Duration::from_secs(request.terms.fallback_after.into())))
            }
            // With a broadcast, what is held has waited for the last attempt to end.
            DeliveryState::Sent { .. }
            | DeliveryState::Held { .. }
            | DeliveryState::Failed { .. }
            | DeliveryState::Skipped { .. }
            | DeliveryState::Unknown { .. } => Some(now),
            _ => None,
        }
    }

    async fn finish(&self, delivery: &Delivery, request: &Request, lease: Timestamp, ended: Attempted) {
        let Attempted { state, called, error, in_doubt } = ended;
        let receipt = state.receipt().cloned();
        let route_due = self.route_due(request, &state);
        // A receipt that is lost here could never be settled, so this is tried for longer than a passing fault lasts.
        for tries in 1..=FINISH_TRIES_MAX {
            let now = self.clock.now();
            let (state, error) = (state.clone(), error.clone());
            let end =
                FinishedSend { id: delivery.id, lease, state, attempted: called, error, in_doubt, route_due, now };
            let Err(error) = self.store.finish_send(end).await else { break };
            warn!(%error, delivery = %delivery.id, tries, "an attempt's end could not be stored");
            if self.attempts.is_closed() {
                return;
            }
            let wait = backoff::wait(tries, error.retry(), &self.ids).min(FINISH_WAIT_MAX);
            self.clock.sleep_until(self.clock.now().after(wait)).await;
        }
        if let Some(receipt) = receipt {
            self.acknowledge_early(&delivery.channel, &delivery.address, &receipt).await;
            self.note_departure(delivery).await;
        }
        if matches!(state, DeliveryState::Queued { .. }) {
            self.sends_due.notify_one();
        }
        if route_due.is_some() {
            self.routes_due.notify_one();
        }
        // The request may have ended during the send.
        self.settlements_due.notify_one();
    }
}
