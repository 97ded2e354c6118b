//! Sending a request to a person where they are, beside its route.

use hearback_core::{
    Timestamp,
    event::{EventKind, Work},
    feedback::Delivery,
};

use super::{create, fault::Fault, queue::Write, rows, send, unit::Unit};

/// Has a pending request sent to a person at an address now. Says whether it is on its way there.
pub(super) struct Bring {
    pub(super) delivery: Delivery,
    pub(super) now: Timestamp,
}

impl Write for Bring {
    type Answer = bool;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<bool, Fault> {
        let Self { delivery, now } = self;
        let id = delivery.request_id;
        let request = unit.requests([id]).await?.remove(&id);
        let Some(request) = request.filter(|request| request.is_pending()) else { return Ok(false) };
        let found = unit
            .session
            .query(THERE)
            .bind(id.uuid())
            .bind(delivery.user_id.uuid())
            .bind(delivery.channel.as_str())
            .bind(delivery.address.as_str())
            .fetch_optional()
            .await?;
        let Some(row) = found else {
            create::insert_deliveries(unit, &[delivery]).await?;
            unit.record(EventKind::Delivery(delivery.id), &request, *now);
            unit.note_work(Work::Sends);
            return Ok(true);
        };
        let there: uuid::Uuid = rows::get(&row, "id")?;
        let queued = unit.session.query(QUEUE).bind(there).bind(now.micros()).fetch_all().await?;
        unit.record_changes(&send::changes(&queued, *now)?).await?;
        if !queued.is_empty() {
            unit.note_work(Work::Sends);
            return Ok(true);
        }
        let status: String = rows::get(&row, "status")?;
        Ok(matches!(status.as_str(), "queued" | "sending"))
    }
}

pub(super) const THERE: &str = "SELECT id, status FROM deliveries \
    WHERE request_id = $1 AND user_id = $2 AND channel = $3 AND address = $4 ORDER BY id DESC LIMIT 1";
pub(super) const QUEUE: &str = "UPDATE deliveries SET status = 'queued', due_at = $2, not_before = NULL, reason = NULL \
    WHERE id = $1 AND (status IN ('failed', 'skipped', 'unknown') \
    OR (status = 'queued' AND (not_before IS NOT NULL OR due_at > $2))) RETURNING id, request_id";
