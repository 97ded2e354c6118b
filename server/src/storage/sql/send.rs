//! Attempts of deliveries: claimed, ended, acknowledged.

use std::{collections::HashMap, sync::Arc};

use hearback_core::{
    Timestamp,
    channel::{Address, ChannelName, Receipt},
    feedback::{Attempt, Delivery, DeliveryState, Request},
    id::{DeliveryId, RequestId, ServerId, UserId},
    store::{Claims, FinishedSend, Noted, SendClaim},
};

use uuid::Uuid;

use super::{
    fault::Fault,
    preferences,
    queue::{Job, Write},
    rows,
    session::{Dialect, Row, Sql},
    unit::Unit,
};

/// Claims deliveries that are due, or whose lease ran out.
pub(super) struct ClaimSends {
    pub(super) server: ServerId,
    pub(super) now: Timestamp,
    pub(super) lease: Timestamp,
    pub(super) limit: usize,
}

impl Write for ClaimSends {
    type Answer = Claims<SendClaim>;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Self::Answer, Fault> {
        let limit = rows::signed(self.limit as u64);
        let due = unit.session.query(DUE).bind(self.now.micros()).bind(limit).bind(self.server.uuid());
        let due = due.fetch_all().await?;
        // What follows what is claimed: the rest of what is due, or what is due later.
        let last = due.last().filter(|_| due.len() == self.limit);
        let last = last.map(|row| Ok::<_, Fault>((rows::get(row, "due_at")?, rows::get(row, "id")?))).transpose()?;
        let (due_at, id) = last.unwrap_or((self.now.micros(), Uuid::max()));
        let next = unit.session.query(NEXT_DUE).bind(due_at).bind(id).fetch_optional().await?;
        let mut next_due = next.map(|row| rows::time(&row, "due_at")).transpose()?;
        let mut claimed = Vec::with_capacity(due.len());
        for row in &due {
            let mut delivery = rows::delivery(row)?;
            let interrupted = matches!(delivery.state, DeliveryState::Sending { .. });
            if !interrupted {
                let last = delivery.attempts.last().map_or(0, |attempt| attempt.number);
                delivery.attempts.push(Attempt { number: last + 1, at: self.now, error: None });
            }
            delivery.state = DeliveryState::Sending { lease: self.lease };
            let due = rows::time(row, "due_at")?;
            let person = (rows::get(row, "deactivated")?, preferences::of_row(row)?);
            claimed.push((delivery, (interrupted, due, person)));
        }
        rows::write(&mut unit.session, LEASE_HEAD, &claimed, LEASE_TAIL, |values, (delivery, _)| {
            values.push_bind(delivery.id.uuid()).push_bind(self.lease.micros());
        })
        .await?;
        if unit.session.dialect() == Dialect::Postgres && due.len() < self.limit {
            let left = unit.session.query(LEFT_UNTIL).bind(self.now.micros()).bind(self.server.uuid());
            let until = rows::optional_time(&left.fetch_one().await?, "left_until")?;
            next_due = [next_due, until].into_iter().flatten().min();
        }
        // What was cut off is still in the attempt that had begun.
        let begun: Vec<_> = claimed.iter().filter(|(_, (interrupted, ..))| !interrupted).collect();
        let head = "INSERT INTO attempts (delivery_id, number, at) ";
        rows::write(&mut unit.session, head, &begun, "", |values, (delivery, _)| {
            let number = delivery.attempts.last().map_or(1, |attempt| attempt.number);
            values.push_bind(delivery.id.uuid()).push_bind(i64::from(number)).push_bind(self.now.micros());
        })
        .await?;
        let requests = unit.requests(claimed.iter().map(|(delivery, _)| delivery.request_id)).await?;
        let claimed = claimed
            .into_iter()
            .map(|(delivery, (interrupted, due, (deactivated, preferences)))| {
                let request = request_of(&requests, &delivery)?;
                Ok(SendClaim { delivery, request, due, interrupted, deactivated, preferences })
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

/// A delivery as this batch leaves it.
struct Finished {
    state: DeliveryState,
    in_doubt: bool,
    request: RequestId,
    route: Route,
    request_ended: bool,
    /// What is to be written besides, once a member of the batch has changed it.
    change: Option<Change>,
}

/// Whose route it is: the person's id, and the number of the request.
type Route = (UserId, i64);

#[derive(Default)]
struct Change {
    settle_due: Option<Timestamp>,
    /// Whether the newest attempt goes.
    taken_back: bool,
    /// Whether the newest attempt that stays gets `error`, be there one or none.
    writes_error: bool,
    error: Option<String>,
}

/// Ends attempts, all those of a batch together.
pub(super) async fn finish(unit: &mut Unit<'_>, jobs: &mut [&mut Job<FinishedSend, ()>]) -> Result<(), Fault> {
    if jobs.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = jobs.iter().map(|job| job.input.id).collect();
    let found = rows::read(&mut unit.session, STATES, &ids, STATES_TAIL, |values, id| {
        values.push_bind(id.uuid());
    })
    .await?;
    let mut deliveries = HashMap::new();
    for row in &found {
        let finished = Finished {
            state: rows::delivery_state(row)?,
            in_doubt: rows::get(row, "in_doubt")?,
            request: rows::id(row, "request_id")?,
            route: (rows::id(row, "user_id")?, rows::get(row, "created_event")?),
            request_ended: rows::get::<&str>(row, "request_status")? != "pending",
            change: None,
        };
        deliveries.insert(rows::id::<DeliveryId>(row, "id")?, finished);
    }
    let (mut routes, mut changed) = (HashMap::new(), Vec::new());
    for job in jobs {
        job.answer(());
        let Some(delivery) = deliveries.get_mut(&job.input.id).filter(|delivery| delivery.takes(&job.input)) else {
            continue;
        };
        if let Some((route, due, is_out)) = delivery.finish(&job.input) {
            let entry = routes.entry(route).or_insert((due, false));
            *entry = (due, entry.1 || is_out);
        }
        changed.push((job.input.id, delivery.request, job.input.now));
    }
    write_finished(unit, &deliveries).await?;
    unit.record_changes(&changed).await?;
    let routes: Vec<_> = routes.into_iter().collect();
    rows::write(&mut unit.session, ROUTE_HEAD, &routes, ROUTE_TAIL, |values, ((user, event), (due, out))| {
        values.push_bind(user.uuid()).push_bind(*event).push_bind(due.micros()).push_bind(*out);
    })
    .await?;
    Ok(())
}

async fn write_finished(unit: &mut Unit<'_>, deliveries: &HashMap<DeliveryId, Finished>) -> Result<(), Fault> {
    let changed: Vec<_> = deliveries
        .iter()
        .filter_map(|(id, finished)| finished.change.as_ref().map(|change| (id, finished, change)))
        .collect();
    rows::write(&mut unit.session, FINISH_HEAD, &changed, FINISH_TAIL, |values, (id, finished, change)| {
        let state = rows::state_columns(&finished.state);
        values.push_bind(id.uuid()).push_bind(state.status).push_bind(state.due_at).push_bind(state.not_before);
        values.push_bind(state.receipt).push_bind(state.reason).push_bind(change.settle_due.map(Timestamp::micros));
        values.push_bind(finished.in_doubt);
    })
    .await?;
    // Most attempts end well, and leave nothing to do here.
    let taken_back: Vec<_> = changed.iter().filter(|(.., change)| change.taken_back).collect();
    rows::write(&mut unit.session, TAKE_BACK_HEAD, &taken_back, TAKE_BACK_TAIL, |values, (id, ..)| {
        values.push_bind(id.uuid());
    })
    .await?;
    let errors: Vec<_> = changed.iter().filter(|(.., change)| change.writes_error).collect();
    rows::write(&mut unit.session, ERROR_HEAD, &errors, ERROR_TAIL, |values, (id, _, change)| {
        values.push_bind(id.uuid()).push_bind(change.error.as_deref());
    })
    .await?;
    Ok(())
}

impl Finished {
    fn is_leased_to(&self, end: &FinishedSend) -> bool {
        self.state == DeliveryState::Sending { lease: end.lease }
    }

    /// Whether this end counts. A receipt that turns up late is welcome.
    fn takes(&self, end: &FinishedSend) -> bool {
        self.is_leased_to(end) || (end.state.receipt().is_some() && self.state.is_open())
    }

    /// Says when its route is looked at next, if that changes, and whether something is out by it.
    fn finish(&mut self, end: &FinishedSend) -> Option<(Route, Timestamp, bool)> {
        let has_error = !self.is_leased_to(end);
        let change = self.change.get_or_insert_default();
        if !end.attempted {
            (change.taken_back, change.writes_error) = (true, false);
        } else if has_error || end.error.is_some() {
            (change.writes_error, change.error) = (true, end.error.clone());
        }
        self.in_doubt |= end.in_doubt;
        self.state = if self.request_ended { end.state.clone().ended(self.in_doubt) } else { end.state.clone() };
        change.settle_due = (self.request_ended && self.state.receipt().is_some()).then_some(end.now);
        if self.request_ended {
            None
        } else {
            end.route_due.map(|due| (self.route, due, self.state.receipt().is_some()))
        }
    }
}

/// Notes a receipt that came by another way than the end of its attempt.
pub(super) struct NoteReceipt {
    pub(super) channel: ChannelName,
    pub(super) id: DeliveryId,
    pub(super) receipt: Receipt,
    pub(super) now: Timestamp,
}

impl Write for NoteReceipt {
    type Answer = Option<Noted>;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Option<Noted>, Fault> {
        let noted = unit
            .session
            .query(NOTE)
            .bind(self.id.uuid())
            .bind(self.channel.as_str())
            .bind(self.receipt.as_str())
            .bind(self.now.micros())
            .fetch_optional()
            .await?;
        let Some(row) = noted else {
            let known = unit.session.query(IS_ON).bind(self.id.uuid()).bind(self.channel.as_str());
            let known = known.fetch_optional().await?;
            return known.map(|row| Ok(Noted { address: rows::parsed(&row, "address")?, is_news: false })).transpose();
        };
        let address = rows::parsed(&row, "address")?;
        unit.record_changes(&[(self.id, rows::id(&row, "request_id")?, self.now)]).await?;
        let hasten = unit.session.query(HASTEN_FOR).bind(self.id.uuid()).bind(self.now.micros());
        hasten.execute().await?;
        Ok(Some(Noted { address, is_news: true }))
    }
}

/// Notes that what was sent arrived, or was seen.
pub(super) struct Acknowledge {
    pub(super) channel: ChannelName,
    pub(super) address: Address,
    pub(super) receipt: Receipt,
    pub(super) read: bool,
    pub(super) now: Timestamp,
}

impl Write for Acknowledge {
    type Answer = bool;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<bool, Fault> {
        let (channel, address, receipt) = (self.channel.as_str(), self.address.as_str(), self.receipt.as_str());
        let acknowledge = unit.session.query(ACKNOWLEDGE).bind(channel).bind(address).bind(receipt).bind(self.read);
        let changed = changes(&acknowledge.fetch_all().await?, self.now)?;
        unit.record_changes(&changed).await?;
        if !changed.is_empty() {
            return Ok(true);
        }
        let known = unit.session.query(IS_OUT).bind(channel).bind(address).bind(receipt);
        Ok(known.fetch_optional().await?.is_some())
    }
}

/// Deliveries that changed at a moment, from rows of their `id` and `request_id`.
pub(super) fn changes(rows: &[Row], at: Timestamp) -> Result<Vec<(DeliveryId, RequestId, Timestamp)>, Fault> {
    let mut changed = Vec::with_capacity(rows.len());
    for row in rows {
        changed.push((rows::id(row, "id")?, rows::id(row, "request_id")?, at));
    }
    changed.sort_unstable();
    Ok(changed)
}

// What is due at an address goes to a server that its person is connected to, if one lives. What was cut off is not sent
// again, so anybody may have it. A SQLite file has one server.
pub(super) const DUE: Sql = rows::select_deliveries!(
    "",
    sqlite: concat!(
        ", ",
        preferences::preference_columns!(),
        ", u.deactivated_at IS NOT NULL AS deactivated FROM deliveries d CROSS JOIN users u \
        WHERE d.due_at <= $1 AND $3 IS NOT NULL AND u.id = d.user_id ORDER BY d.due_at, d.id LIMIT $2"
    ),
    postgres: concat!(
        ", ",
        preferences::preference_columns!(),
        ", u.deactivated_at IS NOT NULL AS deactivated FROM deliveries d CROSS JOIN users u \
        WHERE d.due_at <= $1 AND u.id = d.user_id AND (d.status = 'sending' \
        OR NOT EXISTS (SELECT 1 FROM presence p JOIN servers s ON s.id = p.server \
        WHERE p.channel = d.channel AND p.address = d.address AND p.left_at IS NULL \
        AND p.server <> $3 AND s.alive_until > $1) \
        OR EXISTS (SELECT 1 FROM presence p \
        WHERE p.channel = d.channel AND p.address = d.address AND p.server = $3 AND p.left_at IS NULL)) \
        ORDER BY d.due_at, d.id LIMIT $2 FOR UPDATE OF d SKIP LOCKED"
    )
);
// Once all that can be claimed is, what is due is left for others.
pub(super) const LEFT_UNTIL: &str = "SELECT min(s.alive_until) AS left_until \
    FROM deliveries d CROSS JOIN presence p CROSS JOIN servers s \
    WHERE d.due_at <= $1 AND p.channel = d.channel AND p.address = d.address AND p.left_at IS NULL \
    AND p.server <> $2 AND s.id = p.server AND s.alive_until > $1";
pub(super) const NEXT_DUE: &str = "SELECT due_at FROM deliveries WHERE due_at IS NOT NULL AND (due_at, id) > ($1, $2) \
    ORDER BY due_at, id LIMIT 1";
pub(super) const LEASE_HEAD: &str = "WITH given (id, lease) AS (";
pub(super) const LEASE_TAIL: &str = ") UPDATE deliveries SET status = 'sending', due_at = given.lease, reason = NULL \
    FROM given WHERE deliveries.id = given.id";
pub(super) const STATES: &str = "SELECT d.id, d.request_id, d.user_id, d.status, d.due_at, d.not_before, d.receipt, d.reason, d.in_doubt, \
    r.created_event, r.status AS request_status \
    FROM deliveries d CROSS JOIN feedback_requests r WHERE r.id = d.request_id AND d.id IN (";
// Claims run beside the writer on PostgreSQL: until the end is written, nobody claims what it is for.
pub(super) const STATES_TAIL: Sql = Sql { sqlite: ")", postgres: ") FOR UPDATE OF d" };
pub(super) const FINISH_HEAD: &str =
    "WITH given (id, status, due_at, not_before, receipt, reason, settle_due_at, in_doubt) AS (";
pub(super) const FINISH_TAIL: &str = ") UPDATE deliveries SET status = given.status, due_at = given.due_at, \
    not_before = given.not_before, receipt = given.receipt, reason = given.reason, \
    settle_due_at = given.settle_due_at, settle_tries = 0, in_doubt = given.in_doubt FROM given WHERE deliveries.id = given.id";
pub(super) const TAKE_BACK_HEAD: &str = "WITH given (id) AS (";
pub(super) const TAKE_BACK_TAIL: &str = ") DELETE FROM attempts WHERE (delivery_id, number) IN \
    (SELECT given.id, (SELECT max(number) FROM attempts WHERE delivery_id = given.id) FROM given)";
pub(super) const ERROR_HEAD: &str = "WITH given (id, error) AS (";
pub(super) const ERROR_TAIL: &str = ") UPDATE attempts SET error = given.error FROM given \
    WHERE attempts.delivery_id = given.id AND attempts.error IS DISTINCT FROM given.error \
    AND attempts.number = (SELECT max(number) FROM attempts WHERE delivery_id = given.id)";
// This takes the time from a route that is claimed, too: whoever claimed it has lost it.
pub(super) const ROUTE_HEAD: &str = "WITH given (user_id, created_event, due, is_out) AS (";
pub(super) const ROUTE_TAIL: &str = ") UPDATE asked SET route_due_at = given.due, route_lease = NULL, \
    route_exhausted = (asked.route_exhausted AND NOT given.is_out) FROM given \
    WHERE asked.user_id = given.user_id AND asked.status = 'pending' AND asked.created_event = given.created_event";
pub(super) const NOTE: &str = "UPDATE deliveries SET status = 'sent', receipt = $3, due_at = NULL, not_before = NULL, reason = NULL, \
    settle_due_at = (SELECT $4 FROM feedback_requests r WHERE r.id = deliveries.request_id AND r.status <> 'pending'), \
    settle_tries = 0 WHERE id = $1 AND channel = $2 \
    AND status IN ('queued', 'sending', 'failed', 'skipped', 'unknown') \
    AND EXISTS (SELECT 1 FROM attempts WHERE delivery_id = $1) RETURNING address, request_id";
pub(super) const IS_ON: &str = "SELECT address FROM deliveries WHERE id = $1 AND channel = $2";
// The end of the attempt will find the delivery changed, so the route does not hear of it from there. Whoever has claimed
// it took what is out for failed.
pub(super) const HASTEN_FOR: &str = "UPDATE asked SET route_lease = NULL, route_exhausted = FALSE, route_due_at = \
    CASE WHEN route_due_at < $2 THEN route_due_at ELSE $2 END \
    WHERE (user_id, status, created_event) IN (SELECT d.user_id, r.status, r.created_event \
    FROM deliveries d CROSS JOIN feedback_requests r WHERE r.id = d.request_id AND d.id = $1 AND r.status = 'pending')";
pub(super) const ACKNOWLEDGE: &str = "UPDATE deliveries SET \
    status = CASE WHEN $4 THEN 'read' ELSE 'delivered' END \
    WHERE channel = $1 AND address = $2 AND receipt = $3 AND status IN ('sent', 'delivered', 'read') \
    AND (status = 'sent' OR ($4 AND status = 'delivered')) RETURNING id, request_id";
pub(super) const IS_OUT: &str = "SELECT 1 FROM deliveries \
    WHERE channel = $1 AND address = $2 AND receipt = $3 AND status IN ('sent', 'delivered', 'read') LIMIT 1";
pub(super) const REQUEUE: &str = "UPDATE deliveries SET status = 'queued', due_at = $3, reason = NULL \
    WHERE channel = $1 AND address = $2 AND status = 'skipped' RETURNING id, request_id";
