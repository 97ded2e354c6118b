//! Lists and counts of what the store in memory holds.

use std::sync::Arc;

use super::state::State;
use crate::{
    channel::ChannelName,
    feedback::{Delivery, DeliveryState, Request, Response},
    id::{DeliveryId, RequestId, ResponseId},
    store::{DeliveryCounts, Page, RequestQuery, Scope},
};

pub(super) fn page<T>(mut items: Vec<T>, limit: usize) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    Page { items, more }
}

impl State {
    pub(super) fn list(&self, query: &RequestQuery) -> Page<Arc<Request>> {
        let in_scope = |request: &Request| match query.scope {
            Scope::AskedByToken(id) => request.asker.token.as_ref().is_some_and(|token| token.id == id),
            Scope::AskedByUser(id) => request.asker.user.id == id,
            Scope::Asked(id) => request.asks(id),
        };
        let before = query.before.map(|id| self.requests.get(&id).map(|request| request.created_event));
        let mut found: Vec<_> = self
            .requests
            .values()
            .filter(|request| {
                in_scope(request)
                    && query.status.is_none_or(|status| request.state.status() == status)
                    && before.is_none_or(|before| before.is_some_and(|before| request.created_event < before))
            })
            .cloned()
            .collect();
        found.sort_by_key(|request| std::cmp::Reverse(request.created_event));
        page(found, query.limit)
    }

    pub(super) fn responses_to(&self, id: RequestId, after: Option<ResponseId>, limit: usize) -> Page<Response> {
        let mut found: Vec<_> = self.responses.iter().filter(|response| response.request_id == id).cloned().collect();
        found.sort_by_key(|response| response.id);
        found.retain(|response| after.is_none_or(|after| response.id > after));
        page(found, limit)
    }

    pub(super) fn deliveries_of(&self, id: RequestId, after: Option<DeliveryId>, limit: usize) -> Page<Delivery> {
        let found = self
            .deliveries
            .values()
            .map(|stored| &stored.delivery)
            .filter(|delivery| delivery.request_id == id && after.is_none_or(|after| delivery.id > after));
        page(found.take(limit + 1).cloned().collect(), limit)
    }

    pub(super) fn counts(&self, channel: &ChannelName) -> DeliveryCounts {
        let mut counts = DeliveryCounts::default();
        for stored in self.deliveries.values().filter(|stored| stored.delivery.channel == *channel) {
            match stored.delivery.state {
                DeliveryState::Queued { .. } | DeliveryState::Held { .. } | DeliveryState::Sending { .. } => {
                    counts.queued += 1;
                }
                DeliveryState::Sent { .. } | DeliveryState::Delivered { .. } | DeliveryState::Read { .. } => {
                    counts.sent += 1;
                }
                DeliveryState::Failed { .. } => counts.failed += 1,
                _ => {}
            }
        }
        counts
    }
}
