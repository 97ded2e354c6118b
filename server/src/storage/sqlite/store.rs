//! The port [`Store`].

use std::sync::Arc;

use async_trait::async_trait;
use hearback_core::{
    Result, Timestamp,
    channel::{Address, ChannelName, Receipt, Recorded},
    event::{Event, EventId, EventKind},
    feedback::{Delivery, Request, Response, Status},
    id::{DeliveryId, RequestId, ResponseId},
    person::{Person, Reader, UserRef},
    store::{
        Candidate, Claims, Created, DeliveryCounts, Ended, FinishedSend, NewRequest, Noted, Page, RequestQuery,
        RouteAdvance, RouteClaim, Scope, SendClaim, SettleClaim, SettleResult, Store,
    },
};
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{
    SqliteStorage,
    create::Creation,
    ending::{Cancel, Expire},
    fault::Fault,
    people,
    queue::{Command, Write},
    route::{ClaimRoutes, FinishRoute, HastenAllRoutes, HastenRoutes},
    rows,
    send::{Acknowledge, ClaimSends, NoteReceipt, RequeueSkipped},
    settle::{ClaimSettlements, FinishSettlement},
    unit::Unit,
};

impl SqliteStorage {
    async fn newest_event(&self) -> Result<EventId> {
        let newest: Option<i64> =
            sqlx::query_scalar(NEWEST_EVENT).fetch_one(&self.readers).await.map_err(Fault::from)?;
        Ok(EventId(rows::unsigned(newest.unwrap_or(0))))
    }
}

/// A transaction that writes nothing.
struct Ping;

impl Write for Ping {
    type Answer = ();

    async fn run(&self, _: &mut Unit<'_>) -> Result<(), Fault> {
        Ok(())
    }
}

#[async_trait]
impl Store for SqliteStorage {
    async fn create(&self, new: NewRequest) -> Result<Created> {
        self.queue.gather(Command::Create, Creation::new(new)?).await
    }

    async fn request(&self, id: RequestId) -> Result<Option<Arc<Request>>> {
        let row = sqlx::query(REQUEST).bind(id.uuid()).fetch_optional(&self.readers).await.map_err(Fault::from)?;
        Ok(row.as_ref().map(rows::request).transpose()?.map(Arc::new))
    }

    async fn requests(&self, query: RequestQuery) -> Result<Page<Arc<Request>>> {
        let (every, of_status, whose) = match query.scope {
            Scope::AskedByToken(token) => (OF_TOKEN, OF_TOKEN_BY_STATUS, token.uuid()),
            Scope::AskedByUser(user) => (OF_USER, OF_USER_BY_STATUS, user.uuid()),
            Scope::Asked(user) => (ASKED, ASKED_BY_STATUS, user.uuid()),
        };
        let found = sqlx::query(if query.status.is_none() { every } else { of_status })
            .bind(whose)
            .bind(query.before.map(RequestId::uuid))
            .bind(rows::one_more(query.limit))
            .bind(query.status.map(Status::as_str))
            .fetch_all(&self.readers)
            .await
            .map_err(Fault::from)?;
        page(&found, query.limit, |row| rows::request(row).map(Arc::new))
    }

    async fn respond(&self, candidate: Candidate) -> Result<Option<Recorded>> {
        self.queue.gather(Command::Respond, candidate).await
    }

    async fn cancel(&self, id: RequestId, at: Timestamp) -> Result<Option<Ended>> {
        self.queue.write(Cancel { id, at }).await
    }

    async fn expire(&self, now: Timestamp, limit: usize) -> Result<(usize, Option<Timestamp>)> {
        self.queue.write(Expire { now, limit }).await
    }

    async fn responses(&self, id: RequestId, after: Option<ResponseId>, limit: usize) -> Result<Page<Response>> {
        let found = sqlx::query(RESPONSES)
            .bind(id.uuid())
            .bind(after.map_or(Uuid::nil(), ResponseId::uuid))
            .bind(rows::one_more(limit))
            .fetch_all(&self.readers)
            .await
            .map_err(Fault::from)?;
        page(&found, limit, rows::response)
    }

    async fn deliveries(&self, id: RequestId, after: Option<DeliveryId>, limit: usize) -> Result<Page<Delivery>> {
        let found = sqlx::query(DELIVERIES)
            .bind(id.uuid())
            .bind(after.map_or(Uuid::nil(), DeliveryId::uuid))
            .bind(rows::one_more(limit))
            .fetch_all(&self.readers)
            .await
            .map_err(Fault::from)?;
        page(&found, limit, rows::delivery)
    }

    async fn claim_sends(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<SendClaim>> {
        self.queue.write(ClaimSends { now, lease, limit }).await
    }

    async fn finish_send(&self, end: FinishedSend) -> Result<()> {
        self.queue.gather(Command::FinishSend, end).await
    }

    async fn note_receipt(
        &self,
        channel: &ChannelName,
        id: DeliveryId,
        receipt: &Receipt,
        now: Timestamp,
    ) -> Result<Option<Noted>> {
        self.queue.write(NoteReceipt { channel: channel.clone(), id, receipt: receipt.clone(), now }).await
    }

    async fn claim_routes(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<RouteClaim>> {
        self.queue.write(ClaimRoutes { now, lease, limit }).await
    }

    async fn finish_route(&self, step: RouteAdvance) -> Result<()> {
        self.queue.write(FinishRoute { step }).await
    }

    async fn hasten_routes(&self, channel: &ChannelName, address: &Address, due: Timestamp) -> Result<u64> {
        self.queue.write(HastenRoutes { channel: channel.clone(), address: address.clone(), due }).await
    }

    async fn hasten_all_routes(&self, due: Timestamp) -> Result<u64> {
        self.queue.write(HastenAllRoutes { due }).await
    }

    async fn acknowledge(
        &self,
        channel: &ChannelName,
        address: &Address,
        receipt: &Receipt,
        read: bool,
    ) -> Result<bool> {
        let (channel, address, receipt) = (channel.clone(), address.clone(), receipt.clone());
        self.queue.write(Acknowledge { channel, address, receipt, read }).await
    }

    async fn requeue_skipped(&self, channel: &ChannelName, address: &Address, now: Timestamp) -> Result<u64> {
        self.queue.write(RequeueSkipped { channel: channel.clone(), address: address.clone(), now }).await
    }

    async fn claim_settlements(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<SettleClaim>> {
        self.queue.write(ClaimSettlements { now, lease, limit }).await
    }

    async fn finish_settlement(&self, id: DeliveryId, lease: Timestamp, result: SettleResult) -> Result<()> {
        self.queue.write(FinishSettlement { id, lease, result }).await
    }

    async fn ping(&self) -> Result<()> {
        // A statement that reads no table would not touch the file.
        tokio::try_join!(self.queue.write(Ping), self.newest_event()).map(drop)
    }

    async fn head(&self) -> Result<EventId> {
        Ok(self.queue.head())
    }

    async fn events(&self, reader: Reader, after: EventId, limit: usize) -> Result<Option<Vec<Arc<Event>>>> {
        // A commit can be read a moment before the writer has noted its head, so only the log itself says no.
        if after > self.queue.head() && after > self.newest_event().await? {
            return Ok(None);
        }
        let found = sqlx::query(EVENTS)
            .bind(reader.uuid())
            .bind(rows::signed(after.0))
            .bind(rows::signed(limit as u64))
            .fetch_all(&self.readers)
            .await
            .map_err(Fault::from)?;
        Ok(Some(found.iter().map(event).collect::<Result<_, Fault>>()?))
    }

    async fn pending(&self, reader: Reader, after: EventId, limit: usize) -> Result<Vec<Arc<Event>>> {
        let sql = match reader {
            Reader::Person(_) => WAITING_FOR_PERSON,
            Reader::Token(_) => WAITING_OF_TOKEN,
        };
        let found = sqlx::query(sql)
            .bind(reader.uuid())
            .bind(rows::signed(after.0))
            .bind(rows::signed(limit as u64))
            .fetch_all(&self.readers)
            .await
            .map_err(Fault::from)?;
        Ok(found.iter().map(created).collect::<Result<_, Fault>>()?)
    }

    async fn people(&self, names: &[String]) -> Result<Vec<Option<Person>>> {
        Ok(people::find(&self.readers, names).await?)
    }

    async fn person_at(&self, channel: &ChannelName, address: &Address) -> Result<Option<UserRef>> {
        Ok(people::at(&self.readers, channel, address).await?)
    }

    async fn delivery_counts(&self, channel: &ChannelName) -> Result<DeliveryCounts> {
        let row = sqlx::query(COUNTS).bind(channel.as_str()).fetch_one(&self.readers).await.map_err(Fault::from)?;
        let count = |column| Ok::<_, Fault>(rows::unsigned(rows::get(&row, column)?));
        Ok(DeliveryCounts { queued: count("queued")?, sent: count("sent")?, failed: count("failed")? })
    }

    async fn prune(&self, before: Timestamp) -> Result<()> {
        self.queue.write(Prune { before }).await
    }
}

/// Forgets idempotency keys.
struct Prune {
    before: Timestamp,
}

impl Write for Prune {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        sqlx::query(PRUNE).bind(self.before.micros()).execute(&mut *unit.writer).await?;
        Ok(())
    }
}

/// A page from rows of which one more was asked for.
pub(super) fn page<T>(
    found: &[SqliteRow],
    limit: usize,
    item: impl Fn(&SqliteRow) -> Result<T, Fault>,
) -> Result<Page<T>> {
    let items = found.iter().take(limit).map(item).collect::<Result<_, _>>()?;
    Ok(Page { items, more: found.len() > limit })
}

fn event(row: &SqliteRow) -> Result<Arc<Event>, Fault> {
    let kind = rows::kind(rows::get(row, "event_kind")?)?;
    let id = EventId(rows::unsigned(rows::get(row, "event_id")?));
    Ok(Arc::new(Event { id, at: rows::time(row, "event_at")?, kind, request: Arc::new(rows::request(row)?) }))
}

/// The event of a request's creation, from the request alone.
fn created(row: &SqliteRow) -> Result<Arc<Event>, Fault> {
    let request = rows::request(row)?;
    let (id, at) = (request.created_event, request.created_at);
    Ok(Arc::new(Event { id, at, kind: EventKind::Created, request: Arc::new(request) }))
}

macro_rules! select_request {
    ($rest:literal) => {
        concat!("SELECT ", rows::request_columns!(), " FROM ", $rest)
    };
}

pub(super) const REQUEST: &str = select_request!("feedback_requests r WHERE r.id = ?1");
// Lists: of whom, before which, how many, which status. They are found by number in an index, and read once they are few.
macro_rules! list {
    ($from:literal, $status:literal) => {
        concat!(
            "SELECT created_event FROM ",
            $from,
            " = ?1 AND status = ",
            $status,
            " AND created_event < CASE WHEN ?2 IS NULL THEN 9223372036854775807 \
              ELSE (SELECT created_event FROM feedback_requests WHERE id = ?2) END"
        )
    };
}
macro_rules! read_list {
    ($($list:expr),*) => {
        concat!(
            "SELECT ", rows::request_columns!(), " FROM (", $($list,)* " ORDER BY created_event DESC LIMIT ?3) found \
             CROSS JOIN feedback_requests r ON r.created_event = found.created_event ORDER BY r.created_event DESC"
        )
    };
}
macro_rules! read_every {
    ($from:literal) => {
        read_list!(
            list!($from, "'pending'"),
            " UNION ALL ",
            list!($from, "'answered'"),
            " UNION ALL ",
            list!($from, "'expired'"),
            " UNION ALL ",
            list!($from, "'cancelled'")
        )
    };
}
pub(super) const OF_TOKEN: &str = read_every!("feedback_requests WHERE asker_token_id");
pub(super) const OF_TOKEN_BY_STATUS: &str = read_list!(list!("feedback_requests WHERE asker_token_id", "?4"));
pub(super) const OF_USER: &str = read_every!("feedback_requests WHERE asker_user_id");
pub(super) const OF_USER_BY_STATUS: &str = read_list!(list!("feedback_requests WHERE asker_user_id", "?4"));
pub(super) const ASKED: &str = read_every!("asked WHERE user_id");
pub(super) const ASKED_BY_STATUS: &str = read_list!(list!("asked WHERE user_id", "?4"));
pub(super) const NEWEST_EVENT: &str = "SELECT max(id) FROM events";
// Events: of whom, after which, how many.
pub(super) const EVENTS: &str = concat!(
    "SELECT e.id AS event_id, e.at AS event_at, e.kind AS event_kind, ",
    rows::request_columns!(),
    " FROM event_readers n CROSS JOIN events e ON e.id = n.event_id \
     CROSS JOIN feedback_requests r ON r.id = e.request_id \
     WHERE n.reader = ?1 AND n.event_id > ?2 ORDER BY n.event_id LIMIT ?3"
);
pub(super) const WAITING_FOR_PERSON: &str = select_request!(
    "asked k CROSS JOIN feedback_requests r ON r.created_event = k.created_event \
     WHERE k.user_id = ?1 AND k.status = 'pending' AND k.created_event > ?2 ORDER BY k.created_event LIMIT ?3"
);
pub(super) const WAITING_OF_TOKEN: &str = select_request!(
    "feedback_requests r WHERE r.asker_token_id = ?1 AND r.status = 'pending' AND r.created_event > ?2 \
     ORDER BY r.created_event LIMIT ?3"
);
pub(super) const RESPONSES: &str = concat!(
    "SELECT ",
    rows::response_columns!(),
    " FROM responses s WHERE s.request_id = ?1 AND s.id > ?2 ORDER BY s.id LIMIT ?3"
);
pub(super) const DELIVERIES: &str = concat!(
    "SELECT ",
    rows::delivery_columns!(),
    " FROM deliveries d WHERE d.request_id = ?1 AND d.id > ?2 ORDER BY d.id LIMIT ?3"
);
// Each count walks an index that holds only what it counts, or, for what waits, only what waits.
pub(super) const COUNTS: &str = "SELECT \
    (SELECT count(*) FROM deliveries WHERE channel = ?1 AND due_at IS NOT NULL) \
    + (SELECT count(*) FROM deliveries WHERE channel = ?1 AND not_before IS NOT NULL) AS queued, \
    (SELECT count(*) FROM deliveries WHERE channel = ?1 AND status IN ('sent', 'delivered', 'read')) AS sent, \
    (SELECT count(*) FROM deliveries WHERE channel = ?1 AND status = 'failed') AS failed";
pub(super) const PRUNE: &str = "DELETE FROM idempotency WHERE at < ?1";
