//! Forgetting what is old: idempotency keys, limits, codes, and events from the beginning of the log.

use hearback_core::{event::Event, store::Prune};
use std::sync::Arc;

use super::{codes, fault::Fault, limits, links, queue::Write, rows, unit::Unit};

impl Write for Prune {
    type Answer = bool;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<bool, Fault> {
        unit.session.query(FORGET_KEYS).bind(self.keys_before.micros()).execute().await?;
        // Long after nothing counts any more.
        unit.session.query(limits::FORGET).bind(self.keys_before.micros()).execute().await?;
        unit.session.query(links::FORGET_OLD).bind(self.keys_before.micros()).execute().await?;
        unit.session.query(codes::FORGET_OLD).bind(self.keys_before.micros()).execute().await?;
        let oldest = unit.session.query(OLDEST).bind(rows::one_more(self.limit)).fetch_all().await?;
        let mut events: Vec<Arc<Event>> = oldest.iter().map(rows::event).collect::<Result<_, Fault>>()?;
        let full = events.len() > self.limit;
        // The last of them is the newest event, or one more than is asked for.
        events.pop();
        let old = events.iter().take_while(|event| event.at < self.events_before).count();
        let more = full && old == events.len();
        events.truncate(old);
        let Some(last) = events.last() else { return Ok(more) };
        // Whom an event concerns is told by its request, so that no index has to lead from it to them.
        let readers: Vec<_> =
            events.iter().flat_map(|event| event.readers().map(|reader| (reader.uuid(), event.id))).collect();
        rows::write(
            &mut unit.session,
            FORGET_READERS_HEAD,
            &readers,
            FORGET_READERS_TAIL,
            |values, (reader, event)| {
                values.push_bind(*reader).push_bind(rows::signed(event.0));
            },
        )
        .await?;
        unit.session.query(FORGET_EVENTS).bind(rows::signed(last.id.0)).execute().await?;
        Ok(more)
    }
}

pub(super) const FORGET_KEYS: &str = "DELETE FROM idempotency WHERE at < $1";
pub(super) const OLDEST: &str = concat!(
    "SELECT ",
    rows::event_columns!(),
    " FROM events e CROSS JOIN feedback_requests r WHERE r.id = e.request_id ORDER BY e.id LIMIT $1"
);
pub(super) const FORGET_EVENTS: &str = "DELETE FROM events WHERE id <= $1";
pub(super) const FORGET_READERS_HEAD: &str = "WITH given (reader, event_id) AS (";
pub(super) const FORGET_READERS_TAIL: &str =
    ") DELETE FROM event_readers WHERE (reader, event_id) IN (SELECT given.reader, given.event_id FROM given)";
