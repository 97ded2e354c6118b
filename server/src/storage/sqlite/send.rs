//! Attempts of deliveries: claimed, ended, acknowledged, queued again.

use std::{collections::HashMap, sync::Arc};

use hearback_core::{
    Timestamp,
    channel::{Address, ChannelName, Receipt},
    feedback::{Attempt, Delivery, DeliveryState, Request},
    id::{DeliveryId, RequestId},
    store::{Claims, SendClaim},
};

use super::{
    fault::Fault,
    queue::{Job, Write},
    rows,
    unit::Unit,
};

/// Claims deliveries that are due, or whose lease ran out.
pub(super) struct ClaimSends {
    pub(super) now: Timestamp,
    pub(super) lease: Timestamp,
    pub(super) limit: usize,
}

impl Write for ClaimSends {
    type Answer = Claims<SendClaim>;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Self::Answer, Fault> {
        let due = sqlx::query(DUE).bind(rows::one_more(self.limit)).fetch_all(&mut *unit.writer).await?;
        let mut claimed = Vec::new();
        let mut next_due = None;
        for row in &due {
            let at = rows::time(row, "due_at")?;
            if at > self.now || claimed.len() == self.limit {
                next_due = Some(at);
                break;
            }
            let mut delivery = rows::delivery(row)?;
            let interrupted = matches!(delivery.state, DeliveryState::Sending { .. });
            let last = delivery.attempts.last().map_or(0, |attempt| attempt.number);
            delivery.attempts.push(Attempt { number: last + 1, at: self.now, error: None });
            delivery.state = DeliveryState::Sending { lease: self.lease };
            claimed.push((delivery, interrupted));
        }
        rows::write(unit.writer, LEASE_HEAD, &claimed, LEASE_TAIL, |values, (delivery, _)| {
            values.push_bind(delivery.id.uuid()).push_bind(self.lease.micros());
        })
        .await?;
        let head = "INSERT INTO attempts (delivery_id, number, at) ";
        rows::write(unit.writer, head, &claimed, "", |values, (delivery, _)| {
            let number = delivery.attempts.last().map_or(1, |attempt| attempt.number);
            values.push_bind(delivery.id.uuid()).push_bind(number).push_bind(self.now.micros());
        })
        .await?;
        let requests = unit.requests(claimed.iter().map(|(delivery, _)| delivery.request_id)).await?;
        let claimed = claimed
            .into_iter()
            .map(|(delivery, interrupted)| {
                let request = request_of(&requests, &delivery)?;
                Ok(SendClaim { delivery, request, interrupted })
            })
            .collect::<Result<_, Fault>>()?;
        Ok(Claims { claimed, next_due })
    }
}

/// The request of a delivery, among those read for it.
pub(super) fn request_of(
    requests: &HashMap<RequestId, Arc<Request>>,
    delivery: &Delivery,
) -> Result<Arc<Request>, Fault> {
    requests.get(&delivery.request_id).cloned().ok_or_else(|| Fault::unexpected("a delivery without its request"))
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct FinishedSend {
    pub(super) id: DeliveryId,
    pub(super) lease: Timestamp,
    pub(super) state: DeliveryState,
    pub(super) error: Option<String>,
    pub(super) now: Timestamp,
}

/// A delivery as this batch leaves it.
struct Finished {
    state: DeliveryState,
    request_ended: bool,
    /// The attempt's error and the time of settling, once a member of the batch has changed the delivery.
    change: Option<(Option<String>, Option<Timestamp>)>,
}

/// Ends attempts, all those of a batch together.
pub(super) async fn finish(unit: &mut Unit<'_>, jobs: &mut [&mut Job<FinishedSend, ()>]) -> Result<(), Fault> {
    if jobs.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = jobs.iter().map(|job| job.input.id).collect();
    let found = rows::read(unit.writer, STATES, &ids, ")", |values, id| {
        values.push_bind(id.uuid());
    })
    .await?;
    let mut deliveries = HashMap::new();
    for row in &found {
        let request_ended = rows::get::<&str>(row, "request_status")? != "pending";
        let finished = Finished { state: rows::delivery_state(row)?, request_ended, change: None };
        deliveries.insert(rows::id::<DeliveryId>(row, "id")?, finished);
    }
    for job in jobs {
        job.answer(());
        if let Some(delivery) = deliveries.get_mut(&job.input.id) {
            delivery.finish(&job.input);
        }
    }
    let changed: Vec<_> = deliveries
        .iter()
        .filter_map(|(id, Finished { state, change, .. })| change.as_ref().map(|change| (id, state, change)))
        .collect();
    rows::write(unit.writer, FINISH_HEAD, &changed, FINISH_TAIL, |values, (id, state, (_, settle_due))| {
        let (status, due, receipt, reason) = rows::state_columns(state);
        values.push_bind(id.uuid()).push_bind(status).push_bind(due).push_bind(receipt).push_bind(reason);
        values.push_bind(settle_due.map(Timestamp::micros));
    })
    .await?;
    rows::write(unit.writer, ERROR_HEAD, &changed, ERROR_TAIL, |values, (id, _, (error, _))| {
        values.push_bind(id.uuid()).push_bind(error.as_deref());
    })
    .await?;
    Ok(())
}

impl Finished {
    fn finish(&mut self, end: &FinishedSend) {
        let ours = match self.state {
            DeliveryState::Sending { lease } => lease == end.lease,
            // A receipt that turns up late is welcome.
            DeliveryState::Unknown { .. } => end.state.receipt().is_some(),
            _ => false,
        };
        if !ours {
            return;
        }
        self.state = if self.request_ended { end.state.clone().ended() } else { end.state.clone() };
        let settle = self.request_ended && self.state.receipt().is_some();
        self.change = Some((end.error.clone(), settle.then_some(end.now)));
    }
}

/// Notes that what was sent arrived, or was seen.
pub(super) struct Acknowledge {
    pub(super) channel: ChannelName,
    pub(super) address: Address,
    pub(super) receipt: Receipt,
    pub(super) read: bool,
}

impl Write for Acknowledge {
    type Answer = bool;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<bool, Fault> {
        let known = sqlx::query(ACKNOWLEDGE)
            .bind(self.channel.as_str())
            .bind(self.address.as_str())
            .bind(self.receipt.as_str())
            .bind(self.read)
            .execute(&mut *unit.writer)
            .await?;
        Ok(known.rows_affected() > 0)
    }
}

/// Queues again what was skipped.
pub(super) struct RequeueSkipped {
    pub(super) channel: ChannelName,
    pub(super) address: Address,
    pub(super) now: Timestamp,
}

impl Write for RequeueSkipped {
    type Answer = u64;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<u64, Fault> {
        let queued = sqlx::query(REQUEUE)
            .bind(self.channel.as_str())
            .bind(self.address.as_str())
            .bind(self.now.micros())
            .execute(&mut *unit.writer)
            .await?;
        Ok(queued.rows_affected())
    }
}

pub(super) const DUE: &str = concat!(
    "SELECT ",
    rows::delivery_columns!(),
    " FROM deliveries d WHERE d.status IN ('queued', 'sending') ORDER BY d.due_at, d.id LIMIT ?1"
);
pub(super) const LEASE_HEAD: &str = "WITH given (id, lease) AS (";
pub(super) const LEASE_TAIL: &str =
    ") UPDATE deliveries SET status = 'sending', due_at = given.lease FROM given WHERE deliveries.id = given.id";
pub(super) const STATES: &str = "SELECT d.id, d.status, d.due_at, d.receipt, d.reason, r.status AS request_status \
    FROM deliveries d CROSS JOIN feedback_requests r ON r.id = d.request_id WHERE d.id IN (";
pub(super) const FINISH_HEAD: &str = "WITH given (id, status, due_at, receipt, reason, settle_due_at) AS (";
pub(super) const FINISH_TAIL: &str = ") UPDATE deliveries SET status = given.status, due_at = given.due_at, \
    receipt = given.receipt, reason = given.reason, settle_due_at = given.settle_due_at, settle_tries = 0 \
    FROM given WHERE deliveries.id = given.id";
pub(super) const ERROR_HEAD: &str = "WITH given (id, error) AS (";
pub(super) const ERROR_TAIL: &str = ") UPDATE attempts SET error = given.error FROM given \
    WHERE attempts.delivery_id = given.id AND attempts.error IS NOT given.error \
    AND attempts.number = (SELECT max(number) FROM attempts WHERE delivery_id = given.id)";
pub(super) const ACKNOWLEDGE: &str = "UPDATE deliveries SET \
    status = CASE WHEN ?4 THEN 'read' WHEN status = 'sent' THEN 'delivered' ELSE status END \
    WHERE channel = ?1 AND address = ?2 AND receipt = ?3 AND status IN ('sent', 'delivered', 'read')";
pub(super) const REQUEUE: &str = "UPDATE deliveries SET status = 'queued', due_at = ?3, reason = NULL \
    WHERE channel = ?1 AND address = ?2 AND status = 'skipped'";
