//! How requests end: by an answer (see [`super::respond`]), by their deadline, by the asker.

use std::sync::Arc;

use hearback_core::{
    Timestamp,
    event::EventKind,
    feedback::{Ending, IN_DOUBT, Request, RequestState},
    id::RequestId,
    store::Ended,
};

use super::{fault::Fault, queue::Write, rows, unit::Unit};

/// A request that has ended in this batch, and when the hub noted it.
pub(super) struct Over {
    request: Arc<Request>,
    noted: Timestamp,
}

/// Gives a pending request its ending, in memory; [`write()`] stores it.
pub(super) fn end(request: &mut Arc<Request>, ending: Ending, noted: Timestamp) -> Over {
    Arc::make_mut(request).state = RequestState::Ended(ending);
    Over { request: request.clone(), noted }
}

/// Stores endings: the requests', and what becomes of their deliveries. Their events are the caller's.
pub(super) async fn write(unit: &mut Unit<'_>, over: &[Over]) -> Result<(), Fault> {
    let ended = rows::write(&mut unit.session, END_HEAD, over, END_TAIL, |values, Over { request, .. }| {
        let ending = request.ending();
        // An outcome is made of JSON, text and times: it cannot fail to be written.
        let outcome = ending.and_then(Ending::outcome).and_then(|outcome| serde_json::to_string(outcome).ok());
        values.push_bind(request.id.uuid()).push_bind(request.state.status().as_str());
        values.push_bind(ending.map(|ending| ending.at().micros())).push_bind(outcome);
    })
    .await?;
    if ended != over.len() as u64 {
        return Err(Fault::unexpected("a request had ended before"));
    }
    rows::write(&mut unit.session, SETTLE_HEAD, over, SETTLE_TAIL, |values, Over { request, noted }| {
        values.push_bind(request.id.uuid()).push_bind(noted.micros()).push_bind(IN_DOUBT);
    })
    .await?;
    let asked: Vec<_> = over
        .iter()
        .flat_map(|Over { request, .. }| request.terms.to.iter().map(move |person| (person.id, request)))
        .collect();
    rows::write(&mut unit.session, ASKED_HEAD, &asked, ASKED_TAIL, |values, (user, request)| {
        values.push_bind(user.uuid()).push_bind(rows::signed(request.created_event.0));
        values.push_bind(request.state.status().as_str());
    })
    .await?;
    Ok(())
}

/// Stores endings, and records their events.
async fn write_and_record(unit: &mut Unit<'_>, over: &[Over]) -> Result<(), Fault> {
    write(unit, over).await?;
    for Over { request, noted } in over {
        unit.record(EventKind::Ended, request, *noted);
    }
    Ok(())
}

/// Ends the pending requests whose deadline has come.
pub(super) struct Expire {
    pub(super) now: Timestamp,
    pub(super) limit: usize,
}

impl Write for Expire {
    type Answer = (usize, Option<Timestamp>);

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Self::Answer, Fault> {
        let limit = rows::signed(self.limit as u64);
        let due = unit.session.query(DUE).bind(self.now.micros()).bind(limit).fetch_all().await?;
        let mut over = Vec::with_capacity(due.len());
        for row in &due {
            let mut request = Arc::new(rows::request(row)?);
            let ending = request.expiry();
            over.push(end(&mut request, ending, self.now));
        }
        write_and_record(unit, &over).await?;
        let next: Option<i64> = unit.session.query(NEXT_DEADLINE).fetch_scalar().await?;
        Ok((over.len(), next.map(Timestamp::from_micros)))
    }
}

/// Cancels a pending request.
pub(super) struct Cancel {
    pub(super) id: RequestId,
    pub(super) at: Timestamp,
}

impl Write for Cancel {
    type Answer = Option<Ended>;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Self::Answer, Fault> {
        let Some(mut request) = unit.requests([self.id]).await?.remove(&self.id) else { return Ok(None) };
        if !request.is_pending() {
            return Ok(Some(Ended::Before(request)));
        }
        // A deadline that passed unnoticed comes before the cancellation.
        let expired = self.at >= request.expires_at;
        let ending = if expired { request.expiry() } else { Ending::Cancelled { at: self.at } };
        let over = end(&mut request, ending, self.at);
        write_and_record(unit, &[over]).await?;
        Ok(Some(if expired { Ended::Before(request) } else { Ended::Now(request) }))
    }
}

pub(super) const END_HEAD: &str = "WITH given (id, status, ended_at, outcome) AS (";
pub(super) const END_TAIL: &str = ") UPDATE feedback_requests \
    SET status = given.status, ended_at = given.ended_at, outcome = given.outcome \
    FROM given WHERE feedback_requests.id = given.id AND feedback_requests.status = 'pending'";
// What nobody saw has nothing to settle; what was sent is to be settled.
pub(super) const SETTLE_HEAD: &str = "WITH given (request_id, noted, doubt) AS (";
pub(super) const SETTLE_TAIL: &str = ") UPDATE deliveries SET \
    status = CASE WHEN status NOT IN ('queued', 'skipped') THEN status WHEN in_doubt THEN 'unknown' ELSE 'settled' END, \
    settle_due_at = CASE WHEN status IN ('queued', 'skipped') THEN NULL ELSE given.noted END, \
    settle_tries = 0, due_at = NULL, not_before = NULL, \
    reason = CASE WHEN in_doubt AND status IN ('queued', 'skipped') THEN given.doubt END \
    FROM given WHERE deliveries.request_id = given.request_id \
    AND deliveries.status IN ('queued', 'skipped', 'sent', 'delivered', 'read')";
pub(super) const ASKED_HEAD: &str = "WITH given (user_id, created_event, status) AS (";
pub(super) const ASKED_TAIL: &str = ") UPDATE asked SET status = given.status, route_due_at = NULL, route_lease = NULL \
    FROM given \
    WHERE asked.user_id = given.user_id AND asked.status = 'pending' AND asked.created_event = given.created_event";
pub(super) const DUE: &str = concat!(
    "SELECT ",
    rows::request_columns!(),
    " FROM feedback_requests r WHERE r.status = 'pending' AND r.expires_at <= $1 ORDER BY r.expires_at LIMIT $2"
);
pub(super) const NEXT_DEADLINE: &str = "SELECT min(expires_at) FROM feedback_requests WHERE status = 'pending'";
