//! What the asker is to be told.

use super::state::State;
use crate::{
    callback::{Callback, CallbackState},
    clock::Timestamp,
    id::{CallbackId, RequestId},
    store::{CallbackClaim, Claims, FinishedCallback},
};

impl State {
    /// Queues what is to be told of a request as it stands now.
    pub(super) fn queue_callback(&mut self, id: RequestId, now: Timestamp) {
        let callback = self.requests.get(&id).and_then(|request| Callback::of(request, now));
        self.callbacks.extend(callback.map(|callback| (callback.id, callback)));
    }

    pub(super) fn claim_callbacks(&mut self, now: Timestamp, lease: Timestamp, limit: usize) -> Claims<CallbackClaim> {
        let due = |callback: &Callback| match callback.state {
            CallbackState::Queued { due } => Some((due, callback.id)),
            _ => None,
        };
        let mut due: Vec<_> = self.callbacks.values().filter_map(due).collect();
        due.sort_unstable();
        let ready = due.iter().take_while(|(at, _)| *at <= now).take(limit).count();
        let next_due = due.get(ready).map(|(at, _)| *at);
        let claim = |(_, id): &(Timestamp, CallbackId)| {
            let callback = self.callbacks.get_mut(id)?;
            callback.state = CallbackState::Queued { due: lease };
            let request = self.requests.get(&callback.request_id)?.clone();
            let disabled = self.disabled.contains(&(callback.token, callback.url.clone()));
            Some(CallbackClaim { callback: callback.clone(), request, disabled, lease })
        };
        let claimed = due[..ready].iter().filter_map(claim).collect();
        Claims { claimed, next_due }
    }

    pub(super) fn finish_callback(&mut self, end: FinishedCallback) {
        let claimed = CallbackState::Queued { due: end.lease };
        let Some(callback) = self.callbacks.get_mut(&end.id).filter(|one| one.state == claimed) else { return };
        if end.state == CallbackState::Disabled {
            self.disabled.insert((callback.token, callback.url.clone()));
        }
        callback.state = end.state;
        callback.attempts += u32::from(end.called);
        callback.last_error = end.error.or_else(|| callback.last_error.take());
    }

    /// Up to `limit` callbacks of a request.
    pub(super) fn callbacks_of(&self, id: RequestId, after: Option<CallbackId>, limit: usize) -> Vec<Callback> {
        let found = self.callbacks.values();
        let found = found.filter(|one| one.request_id == id && after.is_none_or(|after| one.id > after));
        found.take(limit).cloned().collect()
    }
}
