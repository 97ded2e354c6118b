//! Calling askers back: what they are told of their requests at their `callback_url`, tried again for three days. A
//! receiver that hangs takes a few places at most, so that it delays nobody else's.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{select, sync::OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use url::Url;

use super::{BATCH, Hub, STORE_PAUSE, backoff};
use crate::{
    callback::{CallbackMessage, CallbackState, NotTaken},
    clock::{Clock, Timestamp},
    error::Retry,
    id::TokenId,
    store::{CallbackClaim, FinishedCallback},
};

/// A callback is given up when its next attempt would come later than this after what it tells.
const TRIED_FOR: Duration = Duration::from_hours(3 * 24);
/// How many calls to one host may be under way.
const HOST_MAX: u32 = 8;
/// How many calls on behalf of one token may be: an asker with many hosts that hang delays itself.
const TOKEN_MAX: u32 = 32;
/// How long a call is expected to take, before one of that share has ended.
const EXPECTED: Duration = Duration::from_secs(1);
/// What finds no place comes again after this at the latest.
const AGAIN_MAX: Duration = Duration::from_mins(15);

/// Whose calls are counted together: of each only so many may be under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Share {
    /// The receiver's host and port.
    Host(String),
    /// The token that asked.
    Token(TokenId),
}

impl Share {
    /// How many calls of it may be under way.
    const fn most(&self) -> u32 {
        match self {
            Self::Host(_) => HOST_MAX,
            Self::Token(_) => TOKEN_MAX,
        }
    }
}

/// The calls under way, by the shares that they count to.
#[derive(Debug, Default)]
pub(super) struct Receivers(Mutex<HashMap<Share, Calls>>);

#[derive(Debug)]
struct Calls {
    under_way: u32,
    /// How long the last call took.
    took: Duration,
    /// When a place will probably be free for the last one that found none.
    free: Timestamp,
}

/// A place in each share, given back when it is dropped.
struct Place<'a> {
    receivers: &'a Receivers,
    clock: &'a dyn Clock,
    shares: [Share; 2],
    since: Timestamp,
}

impl Receivers {
    /// Takes a place in both shares, or says when one will probably be free: those that find none line up by that, since to
    /// look again and again for each of many would cost the store more than the calls.
    fn enter<'a>(&'a self, shares: [Share; 2], clock: &'a dyn Clock) -> Result<Place<'a>, Timestamp> {
        let now = clock.now();
        let mut all = self.0.lock();
        let mut free = None;
        for share in &shares {
            let calls = all.entry(share.clone()).or_insert_with(|| Calls { under_way: 0, took: EXPECTED, free: now });
            if calls.under_way >= share.most() {
                let step = (calls.took / share.most()).max(Duration::from_millis(1));
                calls.free = calls.free.max(now).after(step).min(now.after(AGAIN_MAX));
                free = free.max(Some(calls.free));
            }
        }
        if let Some(free) = free {
            all.retain(|_, calls| calls.is_needed(now));
            return Err(free);
        }
        for share in &shares {
            all.entry(share.clone()).and_modify(|calls| calls.under_way += 1);
        }
        Ok(Place { receivers: self, clock, shares, since: now })
    }
}

impl Calls {
    fn is_needed(&self, now: Timestamp) -> bool {
        self.under_way > 0 || self.free > now
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let now = self.clock.now();
        let mut all = self.receivers.0.lock();
        for share in &self.shares {
            if let Some(calls) = all.get_mut(share) {
                calls.under_way -= 1;
                calls.took = now.since(self.since);
            }
        }
        all.retain(|_, calls| calls.is_needed(now));
    }
}

impl Hub {
    pub(super) async fn call_back(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let Ok(place) = self.callbacks.clone().acquire_owned().await else { return };
            let limit = (self.callbacks.available_permits() + 1).min(BATCH);
            drop(place);
            let now = self.clock.now();
            let next_due = match self.store.claim_callbacks(now, now.after(self.lease), limit).await {
                Ok(claims) => {
                    let full = claims.claimed.len() == limit;
                    for claim in claims.claimed {
                        // Only this loop takes places, so as many as were counted are still free.
                        let Ok(place) = self.callbacks.clone().acquire_owned().await else { return };
                        self.attempts.spawn(self.clone().tell_asker(claim, stop.clone(), place));
                    }
                    if full && !stop.is_cancelled() {
                        continue;
                    }
                    claims.next_due
                }
                Err(error) => {
                    error!(%error, "due callbacks could not be claimed");
                    Some(now.after(STORE_PAUSE))
                }
            };
            if self.rest(&self.callbacks_due, next_due, &stop).await {
                return;
            }
        }
    }

    async fn tell_asker(self: Arc<Self>, claim: CallbackClaim, stop: CancellationToken, _place: OwnedSemaphorePermit) {
        let end = select! {
            biased;
            end = self.try_callback(&claim) => end,
            // The lease runs out and it is told again, with the same id.
            () = self.cut_short(&stop) => return,
        };
        let again = matches!(end.state, CallbackState::Queued { .. });
        if let Err(error) = self.store.finish_callback(end).await {
            // The lease runs out and it is told again, with the same id.
            warn!(%error, callback = %claim.callback.id, "a callback's end could not be stored");
        }
        if again {
            self.callbacks_due.notify_one();
        }
    }

    async fn try_callback(&self, claim: &CallbackClaim) -> FinishedCallback {
        let callback = &claim.callback;
        let end = |state, called, error: Option<String>| FinishedCallback {
            id: callback.id,
            lease: claim.lease,
            state,
            called,
            error,
        };
        if claim.disabled {
            let error = "the receiver had answered 410 Gone to an earlier callback";
            return end(CallbackState::Disabled, false, Some(error.into()));
        }
        let host = host(&callback.url);
        let shares = [Share::Host(host.clone()), Share::Token(callback.token)];
        let place = match self.receivers.enter(shares, self.clock.as_ref()) {
            Ok(place) => place,
            Err(due) => return end(CallbackState::Queued { due }, false, None),
        };
        let message = CallbackMessage::new(callback, &claim.request);
        let deadline = self.clock.now().after(self.call_timeout);
        let called = select! {
            biased;
            called = self.caller.call(callback, &message) => called,
            () = self.clock.sleep_until(deadline) => {
                let error = format!("no answer within {} s", self.call_timeout.as_secs());
                Err(NotTaken::Again { error, after: None })
            }
        };
        drop(place);
        let now = self.clock.now();
        let (id, request, attempts) = (callback.id, callback.request_id, callback.attempts + 1);
        match called {
            Ok(()) => end(CallbackState::Delivered { at: now }, true, None),
            Err(NotTaken::Gone) => {
                info!(callback = %id, %request, %host, "a receiver of callbacks asks to be called no more");
                end(CallbackState::Disabled, true, Some("the receiver answered 410 Gone".into()))
            }
            Err(NotTaken::TokenEnded) => {
                let error = "the service token that asked is revoked or has expired";
                end(CallbackState::Failed, false, Some(error.into()))
            }
            Err(NotTaken::Again { error, after }) => {
                let retry = after.map_or(Retry::Backoff, Retry::After);
                let due = now.after(backoff::CALLBACKS.wait(attempts, retry, &self.ids));
                if due.since(callback.created_at) > TRIED_FOR {
                    warn!(callback = %id, %request, %host, attempts, %error, "a callback is given up");
                    return end(CallbackState::Failed, true, Some(error));
                }
                info!(callback = %id, %request, %host, attempts, %error, next = %due, "a callback was not taken");
                end(CallbackState::Queued { due }, true, Some(error))
            }
        }
    }
}

/// The host and port of a URL, which are no secret.
fn host(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return String::new() };
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
