//! Settlements: deliveries whose person is to be told how the request ended.

use hearback_core::{
    Timestamp,
    feedback::DeliveryState,
    id::DeliveryId,
    store::{Claims, SettleClaim, SettleResult},
};

use super::{fault::Fault, queue::Write, rows, send, unit::Unit};

/// Claims settlements that are due. While one is claimed, its time is the end of its lease.
pub(super) struct ClaimSettlements {
    pub(super) now: Timestamp,
    pub(super) lease: Timestamp,
    pub(super) limit: usize,
}

impl Write for ClaimSettlements {
    type Answer = Claims<SettleClaim>;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Self::Answer, Fault> {
        let due = sqlx::query(DUE).bind(rows::one_more(self.limit)).fetch_all(&mut *unit.writer).await?;
        let mut claimed = Vec::new();
        let mut next_due = None;
        for row in &due {
            let at = rows::time(row, "settle_due_at")?;
            if at > self.now || claimed.len() == self.limit {
                next_due = Some(at);
                break;
            }
            claimed.push((rows::delivery(row)?, rows::get::<u32>(row, "settle_tries")?));
        }
        rows::write(unit.writer, LEASE_HEAD, &claimed, LEASE_TAIL, |values, (delivery, _)| {
            values.push_bind(delivery.id.uuid()).push_bind(self.lease.micros());
        })
        .await?;
        let requests = unit.requests(claimed.iter().map(|(delivery, _)| delivery.request_id)).await?;
        let claimed = claimed
            .into_iter()
            .map(|(delivery, tries)| {
                let request = send::request_of(&requests, &delivery)?;
                Ok(SettleClaim { delivery, request, lease: self.lease, tries })
            })
            .collect::<Result<_, Fault>>()?;
        Ok(Claims { claimed, next_due })
    }
}

/// Ends a claimed settlement.
pub(super) struct FinishSettlement {
    pub(super) id: DeliveryId,
    pub(super) lease: Timestamp,
    pub(super) result: SettleResult,
}

impl Write for FinishSettlement {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        let (id, lease) = (self.id.uuid(), self.lease.micros());
        let state = match &self.result {
            SettleResult::Again(due) => {
                sqlx::query(AGAIN).bind(id).bind(lease).bind(due.micros()).execute(&mut *unit.writer).await?;
                return Ok(());
            }
            SettleResult::Settled => DeliveryState::Settled,
            SettleResult::GivenUp(reason) => DeliveryState::Failed { reason: reason.clone() },
        };
        let to = rows::state_columns(&state);
        sqlx::query(OVER).bind(id).bind(lease).bind(to.status).bind(to.reason).execute(&mut *unit.writer).await?;
        Ok(())
    }
}

pub(super) const DUE: &str = concat!(
    "SELECT ",
    rows::delivery_columns!(),
    " FROM deliveries d WHERE d.settle_due_at IS NOT NULL ORDER BY d.settle_due_at, d.id LIMIT ?1"
);
pub(super) const LEASE_HEAD: &str = "WITH given (id, lease) AS (";
pub(super) const LEASE_TAIL: &str = ") UPDATE deliveries SET settle_due_at = given.lease, settle_tries = settle_tries + 1 \
    FROM given WHERE deliveries.id = given.id";
pub(super) const AGAIN: &str = "UPDATE deliveries SET settle_due_at = ?3 WHERE id = ?1 AND settle_due_at = ?2";
pub(super) const OVER: &str = "UPDATE deliveries SET settle_due_at = NULL, status = ?3, reason = ?4, receipt = NULL \
    WHERE id = ?1 AND settle_due_at = ?2";
