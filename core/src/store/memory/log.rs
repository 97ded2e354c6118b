//! The log of the store in memory.

use std::{ops::Bound, sync::Arc};

use super::state::State;
use crate::{
    clock::Timestamp,
    event::{BadCursor, Event, EventId, EventKind},
    feedback::Status,
    id::{DeliveryId, RequestId},
    person::Reader,
    store::{Following, Prune},
};

impl State {
    /// The newest event, or zero.
    pub(super) fn head(&self) -> EventId {
        self.events.last_key_value().map_or(EventId(0), |(id, _)| *id)
    }

    fn event(&self, id: EventId) -> Option<Event> {
        let (kind, request, at) = self.events.get(&id)?;
        let request = self.requests.get(request)?.clone();
        Some(Event { id, at: *at, kind: *kind, request })
    }

    pub(super) fn append(&mut self, kind: EventKind, request: RequestId, at: Timestamp) -> Option<Arc<Event>> {
        let id = EventId(self.head().0 + 1);
        self.events.insert(id, (kind, request, at));
        self.event(id).map(Arc::new)
    }

    /// Says of deliveries, each with its request, that they changed.
    pub(super) fn append_changes(
        &mut self,
        deliveries: impl IntoIterator<Item = (DeliveryId, RequestId)>,
        at: Timestamp,
    ) -> Vec<Arc<Event>> {
        deliveries.into_iter().filter_map(|(id, request)| self.append(EventKind::Delivery(id), request, at)).collect()
    }

    /// Whether the log can be read on from a place.
    fn check(&self, after: EventId) -> Result<(), BadCursor> {
        let oldest = self.events.first_key_value().map_or(EventId(1), |(id, _)| *id);
        match after {
            after if after > self.head() => Err(BadCursor::Unknown),
            EventId(after) if after + 1 < oldest.0 => Err(BadCursor::Expired),
            _ => Ok(()),
        }
    }

    /// The events after a place, in order.
    fn events_after(&self, after: EventId) -> impl Iterator<Item = Event> + '_ {
        let after = (Bound::Excluded(after), Bound::Unbounded);
        self.events.range(after).filter_map(|(id, _)| self.event(*id))
    }

    /// Up to `limit` events after a place, those of them that are `wanted`.
    pub(super) fn following(&self, after: EventId, limit: usize, wanted: impl Fn(&Event) -> bool) -> Following {
        self.check(after)?;
        Ok(self.events_after(after).filter(wanted).take(limit).map(Arc::new).collect())
    }

    /// Up to `limit` events of a request after a place, or from the first that is left.
    pub(super) fn following_of(&self, id: RequestId, after: Option<EventId>, limit: usize) -> Following {
        let first = self.events.first_key_value().map_or(EventId(0), |(id, _)| EventId(id.0 - 1));
        self.following(after.unwrap_or(first), limit, |event| event.request.id == id)
    }

    /// The creation events of pending requests, told by the requests alone.
    pub(super) fn pending(&self, reader: Reader, after: EventId, limit: usize) -> Vec<Arc<Event>> {
        let mut found: Vec<_> = self
            .requests
            .values()
            .filter(|request| request.created_event > after && request.state.status() == Status::Pending)
            .filter(|request| request.readers().any(|one| one == reader))
            .map(|request| Event {
                id: request.created_event,
                at: request.created_at,
                kind: EventKind::Created,
                request: request.clone(),
            })
            .collect();
        found.sort_by_key(|event| event.id);
        found.into_iter().take(limit).map(Arc::new).collect()
    }

    /// Removes events from the beginning of the log; says whether there may be more to remove.
    pub(super) fn prune_events(&mut self, what: Prune) -> bool {
        let head = self.head();
        for _ in 0..what.limit {
            let Some(oldest) = self.events.first_entry() else { return false };
            let (_, _, at) = *oldest.get();
            if *oldest.key() == head || at >= what.events_before {
                return false;
            }
            oldest.remove();
        }
        true
    }
}
