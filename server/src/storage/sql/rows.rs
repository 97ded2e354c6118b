//! How the core's values stand in columns, and statements over many rows.

use std::sync::Arc;

use hearback_core::{
    Timestamp,
    channel::Receipt,
    event::{Event, EventId, EventKind},
    feedback::{
        Attempt, Delivery, DeliveryState, DeliveryStatus, Ending, Outcome, Request, RequestState, Response, Verdict,
    },
    person::{Asker, TokenRef, UserRef},
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{
    fault::{Fault, Result},
    session::{Assembled, Read, Row, Session, Sql},
};

/// The most rows of one statement: few enough that every number of them stays prepared, and that no table comes near
/// SQLite's 32,766 variables.
pub(super) const CHUNK: usize = 64;

/// Writes by statements of up to [`CHUNK`] rows: `head`, `VALUES (…), (…)`, `tail`. Says how many rows changed.
pub(super) async fn write<T>(
    session: &mut Session<'_>,
    head: impl Into<Sql>,
    rows: &[T],
    tail: impl Into<Sql>,
    bind: impl Fn(&mut Assembled, &T),
) -> Result<u64> {
    let (head, tail, mut changed) = (head.into(), tail.into(), 0);
    for chunk in rows.chunks(CHUNK) {
        let statement = assemble(session, head, chunk, tail, &bind);
        changed += session.assembled(statement).execute().await?;
    }
    Ok(changed)
}

/// Reads by statements of up to [`CHUNK`] rows: `head`, `VALUES (…), (…)`, `tail`.
pub(super) async fn read<T>(
    session: &mut Session<'_>,
    head: impl Into<Sql>,
    rows: &[T],
    tail: impl Into<Sql>,
    bind: impl Fn(&mut Assembled, &T),
) -> Result<Vec<Row>> {
    let (head, tail, mut found) = (head.into(), tail.into(), Vec::new());
    for chunk in rows.chunks(CHUNK) {
        let statement = assemble(session, head, chunk, tail, &bind);
        found.append(&mut session.assembled(statement).fetch_all().await?);
    }
    Ok(found)
}

fn assemble<T>(
    session: &Session<'_>,
    head: Sql,
    rows: &[T],
    tail: Sql,
    bind: impl Fn(&mut Assembled, &T),
) -> Assembled {
    let dialect = session.dialect();
    let mut statement = Assembled::new(dialect, head.of(dialect));
    for row in rows {
        statement.row(|values| bind(values, row));
    }
    statement.push(tail.of(dialect));
    statement
}

/// A column's value.
pub(super) fn get<'r, T: Read<'r>>(row: &'r Row, column: &str) -> Result<T> {
    row.get(column)
}

/// A number that never is below zero, nor large.
pub(super) fn number(row: &Row, column: &str) -> Result<u32> {
    Ok(u32::try_from(get::<i64>(row, column)?).unwrap_or(u32::MAX))
}

/// An id.
pub(super) fn id<I: From<Uuid>>(row: &Row, column: &str) -> Result<I> {
    get::<Uuid>(row, column).map(I::from)
}

/// A time.
pub(super) fn time(row: &Row, column: &str) -> Result<Timestamp> {
    get(row, column).map(Timestamp::from_micros)
}

/// A time that need not be there.
pub(super) fn optional_time(row: &Row, column: &str) -> Result<Option<Timestamp>> {
    Ok(get::<Option<i64>>(row, column)?.map(Timestamp::from_micros))
}

/// A JSON text.
pub(super) fn json<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
    Ok(serde_json::from_str(get(row, column)?)?)
}

/// A text that is checked as it is read, like the name of a channel.
pub(super) fn parsed<T: std::str::FromStr>(row: &Row, column: &str) -> Result<T> {
    get::<&str>(row, column)?.parse().map_err(|_| Fault::unexpected(format!("a stored {column} cannot be read")))
}

/// A text that is checked as it is read, and need not be there.
pub(super) fn optionally_parsed<T: std::str::FromStr>(row: &Row, column: &str) -> Result<Option<T>> {
    if get::<Option<&str>>(row, column)?.is_some() { parsed(row, column).map(Some) } else { Ok(None) }
}

/// The databases' integers are signed; what is counted here never comes near their end.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A number that the database counted.
pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// One more than asked for, which tells whether more follow.
pub(super) fn one_more(limit: usize) -> i64 {
    signed(limit as u64).saturating_add(1)
}

/// The columns that [`request`] reads.
macro_rules! request_columns {
    () => {
        "r.id, r.asker_user_id, r.asker_username, r.asker_token_id, r.asker_token_name, r.terms, r.status, \
         r.created_at, r.expires_at, r.ended_at, r.outcome, r.created_event"
    };
}
pub(super) use request_columns;

pub(super) fn request(row: &Row) -> Result<Request> {
    let token = match (get::<Option<Uuid>>(row, "asker_token_id")?, get::<Option<String>>(row, "asker_token_name")?) {
        (Some(id), Some(name)) => Some(TokenRef { id: id.into(), name }),
        _ => None,
    };
    let user = UserRef { id: id(row, "asker_user_id")?, username: get(row, "asker_username")? };
    Ok(Request {
        id: id(row, "id")?,
        asker: Asker { user, token },
        terms: json(row, "terms")?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
        created_event: EventId(unsigned(get(row, "created_event")?)),
        state: state(row)?,
    })
}

fn state(row: &Row) -> Result<RequestState> {
    let outcome = || -> Result<Option<Outcome>> {
        let outcome = get::<Option<&str>>(row, "outcome")?;
        Ok(outcome.map(serde_json::from_str).transpose()?)
    };
    let at = || Ok::<_, Fault>(optional_time(row, "ended_at")?.unwrap_or(Timestamp::from_micros(0)));
    Ok(RequestState::Ended(match get(row, "status")? {
        "pending" => return Ok(RequestState::Pending),
        "answered" => Ending::Answered(outcome()?.ok_or_else(|| Fault::unexpected("an answer without its outcome"))?),
        "expired" => Ending::Expired { at: at()?, outcome: outcome()? },
        "cancelled" => Ending::Cancelled { at: at()? },
        other => return Err(Fault::unexpected(format!("a request with the status {other:?}"))),
    }))
}

/// An event's kind in a word, and which delivery or response it is about.
pub(super) fn kind_columns(kind: EventKind) -> (&'static str, Option<Uuid>) {
    match kind {
        EventKind::Created => ("created", None),
        EventKind::Undeliverable => ("undeliverable", None),
        EventKind::Ended => ("ended", None),
        EventKind::Delivery(id) => ("delivery", Some(id.uuid())),
        EventKind::Response(id) => ("response", Some(id.uuid())),
    }
}

fn kind(row: &Row) -> Result<EventKind> {
    Ok(match (get(row, "event_kind")?, get::<Option<Uuid>>(row, "subject")?) {
        ("created", _) => EventKind::Created,
        ("undeliverable", _) => EventKind::Undeliverable,
        ("ended", _) => EventKind::Ended,
        ("delivery", Some(id)) => EventKind::Delivery(id.into()),
        ("response", Some(id)) => EventKind::Response(id.into()),
        (other, _) => return Err(Fault::unexpected(format!("an event of the kind {other:?}"))),
    })
}

/// The columns that [`event`] reads.
macro_rules! event_columns {
    () => {
        concat!("e.id AS event_id, e.at AS event_at, e.kind AS event_kind, e.subject, ", rows::request_columns!())
    };
}
pub(super) use event_columns;

pub(super) fn event(row: &Row) -> Result<Arc<Event>> {
    let id = EventId(unsigned(get(row, "event_id")?));
    Ok(Arc::new(Event { id, at: time(row, "event_at")?, kind: kind(row)?, request: Arc::new(request(row)?) }))
}

/// A statement that reads what [`delivery`] does: what comes before SELECT, what comes after the columns, and what
/// PostgreSQL gets besides.
macro_rules! select_deliveries {
    ($before:literal, $after:literal, $postgres:literal) => {
        $crate::storage::sql::rows::select_deliveries!($before, sqlite: $after, postgres: concat!($after, $postgres))
    };
    ($before:literal, sqlite: $sqlite:expr, postgres: $postgres:expr) => {
        $crate::storage::sql::session::Sql {
            sqlite: concat!(
                $before,
                "SELECT d.id, d.request_id, d.user_id, d.channel, d.address, d.status, d.due_at, d.not_before, d.receipt, \
                 d.reason, d.in_doubt, d.settle_due_at, d.settle_tries, \
                 (SELECT json_group_array(json_array(a.number, a.at, a.error)) FROM attempts a \
                 WHERE a.delivery_id = d.id) AS attempts ",
                $sqlite
            ),
            postgres: concat!(
                $before,
                "SELECT d.id, d.request_id, d.user_id, d.channel, d.address, d.status, d.due_at, d.not_before, d.receipt, \
                 d.reason, d.in_doubt, d.settle_due_at, d.settle_tries, \
                 (SELECT coalesce(json_agg(json_build_array(a.number, a.at, a.error)), '[]')::text FROM attempts a \
                 WHERE a.delivery_id = d.id) AS attempts ",
                $postgres
            ),
        }
    };
}
pub(super) use select_deliveries;

pub(super) fn delivery(row: &Row) -> Result<Delivery> {
    let mut attempts: Vec<_> = json::<Vec<(u32, i64, Option<String>)>>(row, "attempts")?
        .into_iter()
        .map(|(number, at, error)| Attempt { number, at: Timestamp::from_micros(at), error })
        .collect();
    attempts.sort_by_key(|attempt| attempt.number);
    Ok(Delivery {
        id: id(row, "id")?,
        request_id: id(row, "request_id")?,
        user_id: id(row, "user_id")?,
        channel: parsed(row, "channel")?,
        address: parsed(row, "address")?,
        state: delivery_state(row)?,
        in_doubt: get(row, "in_doubt")?,
        attempts,
    })
}

/// The state of a delivery, from the columns of a [`StateColumns`].
pub(super) fn delivery_state(row: &Row) -> Result<DeliveryState> {
    let due = || Ok::<_, Fault>(optional_time(row, "due_at")?.unwrap_or(Timestamp::from_micros(0)));
    let text = |column| Ok::<_, Fault>(get::<Option<String>>(row, column)?.unwrap_or_default());
    let receipt = || text("receipt").map(Into::into);
    let reason = || text("reason");
    Ok(match get(row, "status")? {
        "queued" => match optional_time(row, "not_before")? {
            Some(until) => DeliveryState::Held { reason: reason()?, until },
            None => DeliveryState::Queued { due: due()?, reason: get(row, "reason")? },
        },
        "sending" => DeliveryState::Sending { lease: due()? },
        "sent" => DeliveryState::Sent { receipt: receipt()? },
        "delivered" => DeliveryState::Delivered { receipt: receipt()? },
        "read" => DeliveryState::Read { receipt: receipt()? },
        "failed" => DeliveryState::Failed { reason: reason()? },
        "skipped" => DeliveryState::Skipped { reason: reason()? },
        "unknown" => DeliveryState::Unknown { reason: reason()? },
        "settled" => DeliveryState::Settled,
        other => return Err(Fault::unexpected(format!("a delivery with the status {other:?}"))),
    })
}

/// The columns of a delivery's state, by their names.
pub(super) struct StateColumns<'s> {
    pub(super) status: &'static str,
    pub(super) due_at: Option<i64>,
    pub(super) not_before: Option<i64>,
    pub(super) receipt: Option<&'s str>,
    pub(super) reason: Option<&'s str>,
}

pub(super) fn state_columns(state: &DeliveryState) -> StateColumns<'_> {
    let status = match state.status() {
        DeliveryStatus::Queued => "queued",
        DeliveryStatus::Sending => "sending",
        DeliveryStatus::Sent => "sent",
        DeliveryStatus::Delivered => "delivered",
        DeliveryStatus::Read => "read",
        DeliveryStatus::Failed => "failed",
        DeliveryStatus::Skipped => "skipped",
        DeliveryStatus::Unknown => "unknown",
        DeliveryStatus::Settled => "settled",
    };
    let due_at = match state {
        DeliveryState::Queued { due: at, .. } | DeliveryState::Sending { lease: at } => Some(at.micros()),
        _ => None,
    };
    let not_before = match state {
        DeliveryState::Held { until, .. } => Some(until.micros()),
        _ => None,
    };
    let receipt = state.receipt().map(Receipt::as_str);
    StateColumns { status, due_at, not_before, receipt, reason: state.reason() }
}

/// The columns that [`response`] reads.
macro_rules! response_columns {
    () => {
        "s.id, s.request_id, s.by_user_id, s.by_username, s.channel, s.event, s.value, s.comment, s.verdict, s.reason, s.at"
    };
}
pub(super) use response_columns;

pub(super) fn response(row: &Row) -> Result<Response> {
    let by = match (get::<Option<Uuid>>(row, "by_user_id")?, get::<Option<String>>(row, "by_username")?) {
        (Some(id), Some(username)) => Some(UserRef { id: id.into(), username }),
        _ => None,
    };
    Ok(Response {
        id: id(row, "id")?,
        request_id: id(row, "request_id")?,
        by,
        channel: parsed(row, "channel")?,
        value: json(row, "value")?,
        comment: get(row, "comment")?,
        verdict: verdict(get(row, "verdict")?)?,
        reason: get(row, "reason")?,
        at: time(row, "at")?,
    })
}

pub(super) const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::Invalid => "invalid",
        Verdict::Late => "late",
        Verdict::Refused => "refused",
    }
}

fn verdict(word: &str) -> Result<Verdict> {
    [Verdict::Accepted, Verdict::Invalid, Verdict::Late, Verdict::Refused]
        .into_iter()
        .find(|verdict| verdict_word(*verdict) == word)
        .ok_or_else(|| Fault::unexpected(format!("a response with the verdict {word:?}")))
}
