//! Settlements: deliveries whose person is to be told how the request ended.

use hearback_core::{
    Timestamp,
    feedback::DeliveryState,
    id::DeliveryId,
    person::Locale,
    store::{Claims, SettleClaim, SettleResult},
};

use uuid::Uuid;

use super::{fault::Fault, queue::Write, rows, send, session::Sql, unit::Unit};

/// Claims settlements that are due. While one is claimed, its time is the end of its lease.
pub(super) struct ClaimSettlements {
    pub(super) now: Timestamp,
    pub(super) lease: Timestamp,
    pub(super) limit: usize,
}

impl Write for ClaimSettlements {
    type Answer = Claims<SettleClaim>;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Self::Answer, Fault> {
        let limit = rows::signed(self.limit as u64);
        let due = unit.session.query(DUE).bind(self.now.micros()).bind(limit).fetch_all().await?;
        let last = due.last().filter(|_| due.len() == self.limit);
        let last = last.map(|row| Ok::<_, Fault>((rows::get(row, "settle_due_at")?, rows::get(row, "id")?)));
        let (due_at, id) = last.transpose()?.unwrap_or((self.now.micros(), Uuid::max()));
        let next = unit.session.query(NEXT_DUE).bind(due_at).bind(id).fetch_optional().await?;
        let next_due = next.map(|row| rows::time(&row, "settle_due_at")).transpose()?;
        let mut claimed = Vec::with_capacity(due.len());
        for row in &due {
            let locale: Option<Locale> = rows::optionally_parsed(row, "locale")?;
            claimed.push((rows::delivery(row)?, (rows::number(row, "settle_tries")?, locale)));
        }
        rows::write(&mut unit.session, LEASE_HEAD, &claimed, LEASE_TAIL, |values, (delivery, _)| {
            values.push_bind(delivery.id.uuid()).push_bind(self.lease.micros());
        })
        .await?;
        let requests = unit.requests(claimed.iter().map(|(delivery, _)| delivery.request_id)).await?;
        let claimed = claimed
            .into_iter()
            .map(|(delivery, (tries, locale))| {
                let request = send::request_of(&requests, &delivery)?;
                Ok(SettleClaim { delivery, request, lease: self.lease, tries, locale })
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
    pub(super) now: Timestamp,
}

impl Write for FinishSettlement {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        let (id, lease) = (self.id.uuid(), self.lease.micros());
        let state = match &self.result {
            SettleResult::Again(due) => {
                unit.session.query(AGAIN).bind(id).bind(lease).bind(due.micros()).execute().await?;
                return Ok(());
            }
            SettleResult::Settled => DeliveryState::Settled,
            SettleResult::GivenUp(reason) => DeliveryState::Failed { reason: reason.clone() },
        };
        let to = rows::state_columns(&state);
        let over = unit.session.query(OVER).bind(id).bind(lease).bind(to.status).bind(to.reason).fetch_all().await?;
        unit.record_changes(&send::changes(&over, self.now)?).await
    }
}

pub(super) const DUE: Sql = rows::select_deliveries!(
    "",
    ", (SELECT u.locale FROM users u WHERE u.id = d.user_id) AS locale \
    FROM deliveries d WHERE d.settle_due_at <= $1 ORDER BY d.settle_due_at, d.id LIMIT $2",
    " FOR UPDATE OF d SKIP LOCKED"
);
pub(super) const NEXT_DUE: &str = "SELECT settle_due_at FROM deliveries \
    WHERE settle_due_at IS NOT NULL AND (settle_due_at, id) > ($1, $2) ORDER BY settle_due_at, id LIMIT 1";
pub(super) const LEASE_HEAD: &str = "WITH given (id, lease) AS (";
pub(super) const LEASE_TAIL: &str = ") UPDATE deliveries SET settle_due_at = given.lease, settle_tries = settle_tries + 1 \
    FROM given WHERE deliveries.id = given.id";
pub(super) const AGAIN: &str = "UPDATE deliveries SET settle_due_at = $3 WHERE id = $1 AND settle_due_at = $2";
pub(super) const OVER: &str = "UPDATE deliveries SET settle_due_at = NULL, status = $3, reason = $4 \
    WHERE id = $1 AND settle_due_at = $2 RETURNING id, request_id";
