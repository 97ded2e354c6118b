//! What askers are told at their URL.

use std::sync::Arc;

use hearback_core::{
    Timestamp,
    callback::{Callback, CallbackKind, CallbackState, CallbackStatus},
    event::{Event, EventKind},
    store::{CallbackClaim, Claims, FinishedCallback},
};
use uuid::Uuid;

use super::{
    fault::Fault,
    queue::Write,
    rows,
    session::{Row, Session, Sql},
    unit::Unit,
};

/// Queues what the events of a batch have to tell.
pub(super) async fn queue(session: &mut Session<'_>, events: &[Arc<Event>]) -> Result<(), Fault> {
    let told = events.iter().filter(|event| matches!(event.kind, EventKind::Ended | EventKind::Undeliverable));
    let callbacks: Vec<_> = told.filter_map(|event| Callback::of(&event.request, event.at)).collect();
    rows::write(session, INSERT, &callbacks, "", |values, callback| {
        values.push_bind(callback.id.uuid()).push_bind(callback.request_id.uuid());
        values.push_bind(callback.token.uuid()).push_bind(callback.url.as_str()).push_bind(callback.kind.as_str());
        values.push_bind(callback.created_at.micros()).push_bind(callback.created_at.micros());
    })
    .await?;
    Ok(())
}

/// Claims callbacks that are due. While one is claimed, its time is the end of its lease.
pub(super) struct ClaimCallbacks {
    pub(super) now: Timestamp,
    pub(super) lease: Timestamp,
    pub(super) limit: usize,
}

impl Write for ClaimCallbacks {
    type Answer = Claims<CallbackClaim>;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Self::Answer, Fault> {
        let limit = rows::signed(self.limit as u64);
        let due = unit.session.query(DUE).bind(self.now.micros()).bind(limit).fetch_all().await?;
        let last = due.last().filter(|_| due.len() == self.limit);
        let last = last.map(|row| Ok::<_, Fault>((rows::get(row, "due_at")?, rows::get(row, "id")?)));
        let (due_at, id) = last.transpose()?.unwrap_or((self.now.micros(), Uuid::max()));
        let next = unit.session.query(NEXT_DUE).bind(due_at).bind(id).fetch_optional().await?;
        let next_due = next.map(|row| rows::time(&row, "due_at")).transpose()?;
        let mut claimed = Vec::with_capacity(due.len());
        for row in &due {
            claimed.push((callback(row)?, rows::get::<bool>(row, "disabled")?));
        }
        rows::write(&mut unit.session, LEASE_HEAD, &claimed, LEASE_TAIL, |values, (callback, _)| {
            values.push_bind(callback.id.uuid()).push_bind(self.lease.micros());
        })
        .await?;
        let requests = unit.requests(claimed.iter().map(|(callback, _)| callback.request_id)).await?;
        let claimed = claimed
            .into_iter()
            .map(|(mut callback, disabled)| {
                let request = requests.get(&callback.request_id).cloned();
                let request = request.ok_or_else(|| Fault::unexpected("a callback without its request"))?;
                callback.state = CallbackState::Queued { due: self.lease };
                Ok(CallbackClaim { callback, request, disabled, lease: self.lease })
            })
            .collect::<Result<_, Fault>>()?;
        Ok(Claims { claimed, next_due })
    }
}

/// Ends a claimed callback.
pub(super) struct FinishCallback(pub(super) FinishedCallback);

impl Write for FinishCallback {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        let FinishedCallback { id, lease, state, called, error } = &self.0;
        let (due_at, delivered_at) = match state {
            CallbackState::Queued { due } => (Some(due.micros()), None),
            CallbackState::Delivered { at } => (None, Some(at.micros())),
            CallbackState::Failed | CallbackState::Disabled => (None, None),
        };
        let ended = unit
            .session
            .query(FINISH)
            .bind(id.uuid())
            .bind(lease.micros())
            .bind(state.status().as_str())
            .bind(due_at)
            .bind(delivered_at)
            .bind(i64::from(*called))
            .bind(error.as_deref())
            .execute()
            .await?;
        if ended > 0 && *state == CallbackState::Disabled {
            unit.session.query(DISABLE).bind(id.uuid()).execute().await?;
        }
        Ok(())
    }
}

/// A callback, from the columns of [`OF_REQUEST`].
pub(super) fn callback(row: &Row) -> Result<Callback, Fault> {
    let unknown = |what| Fault::unexpected(format!("a callback with an unknown {what}"));
    let (kind, status): (&str, &str) = (rows::get(row, "kind")?, rows::get(row, "status")?);
    let kind = CallbackKind::ALL.into_iter().find(|one| one.as_str() == kind).ok_or_else(|| unknown("kind"))?;
    let status = CallbackStatus::ALL.into_iter().find(|one| one.as_str() == status).ok_or_else(|| unknown("status"))?;
    let state = match status {
        CallbackStatus::Queued => CallbackState::Queued { due: rows::time(row, "due_at")? },
        CallbackStatus::Delivered => CallbackState::Delivered { at: rows::time(row, "delivered_at")? },
        CallbackStatus::Failed => CallbackState::Failed,
        CallbackStatus::Disabled => CallbackState::Disabled,
    };
    Ok(Callback {
        id: rows::id(row, "id")?,
        request_id: rows::id(row, "request_id")?,
        token: rows::id(row, "token_id")?,
        url: rows::get(row, "url")?,
        kind,
        created_at: rows::time(row, "created_at")?,
        state,
        attempts: rows::number(row, "attempts")?,
        last_error: rows::get(row, "last_error")?,
    })
}

macro_rules! columns {
    () => {
        "c.id, c.request_id, c.token_id, c.url, c.kind, c.created_at, c.status, c.due_at, c.attempts, c.last_error, \
         c.delivered_at"
    };
}

macro_rules! due {
    ($postgres:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", EXISTS (SELECT 1 FROM disabled_receivers x WHERE x.token_id = c.token_id AND x.url = c.url) AS disabled \
             FROM callbacks c WHERE c.due_at <= $1 ORDER BY c.due_at, c.id LIMIT $2",
            $postgres
        )
    };
}

pub(super) const INSERT: &str = "INSERT INTO callbacks (id, request_id, token_id, url, kind, created_at, due_at) ";
pub(super) const DUE: Sql = Sql { sqlite: due!(""), postgres: due!(" FOR UPDATE OF c SKIP LOCKED") };
pub(super) const NEXT_DUE: &str = "SELECT due_at FROM callbacks \
    WHERE due_at IS NOT NULL AND (due_at, id) > ($1, $2) ORDER BY due_at, id LIMIT 1";
pub(super) const LEASE_HEAD: &str = "WITH given (id, lease) AS (";
pub(super) const LEASE_TAIL: &str =
    ") UPDATE callbacks SET due_at = given.lease FROM given WHERE callbacks.id = given.id";
pub(super) const FINISH: &str = "UPDATE callbacks \
    SET status = $3, due_at = $4, delivered_at = $5, attempts = attempts + $6, last_error = coalesce($7, last_error) \
    WHERE id = $1 AND due_at = $2";
pub(super) const DISABLE: &str = "INSERT INTO disabled_receivers (token_id, url) \
    SELECT token_id, url FROM callbacks WHERE id = $1 ON CONFLICT DO NOTHING";
pub(super) const OF_REQUEST: &str =
    concat!("SELECT ", columns!(), " FROM callbacks c WHERE c.request_id = $1 AND c.id > $2 ORDER BY c.id LIMIT $3");
