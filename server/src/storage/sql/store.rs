//! The port [`Store`].

use std::sync::Arc;

use async_trait::async_trait;
use hearback_core::{
    Result, Timestamp,
    callback::Callback,
    channel::{Address, ChannelName, Receipt, Recorded},
    event::{BadCursor, Event, EventId, EventKind},
    feedback::{Delivery, Request, Response, Status},
    id::{CallbackId, DeliveryId, RequestId, ResponseId, ServerId},
    person::{Person, Reader, UserRef},
    store::{
        CallbackClaim, Candidate, Claims, Company, Counts, Created, DeliveryCounts, Ended, FinishedCallback,
        FinishedSend, Following, Hold, NewRequest, Noted, Page, Presence, Prune, RequestQuery, RouteAdvance,
        RouteClaim, Scope, SendClaim, SettleClaim, SettleResult, Store,
    },
};
use uuid::Uuid;

use super::{
    SqlStorage,
    bring::Bring,
    callbacks::{self, ClaimCallbacks, FinishCallback},
    create::Creation,
    ending::{Cancel, Expire},
    fault::Fault,
    people,
    queue::{Command, Write},
    route::{ClaimRoutes, FinishRoute, HastenRoutes},
    rows,
    send::{Acknowledge, ClaimSends, NoteReceipt},
    servers::{self, Connect, Disconnect, HoldRun, Leave, ReleaseRun, Stay},
    session::{Pool, Row, Sql},
    settle::{ClaimSettlements, FinishSettlement},
    unit::Unit,
};

/// The number of the newest event, or 0.
pub(crate) async fn head(readers: &Pool) -> Result<u64, Fault> {
    Ok(rows::unsigned(readers.query(NEWEST_EVENT).fetch_scalar().await?))
}

/// The first events after `after` and up to `until`, whomever they concern.
pub(crate) async fn log(readers: &Pool, after: u64, until: u64, limit: u32) -> Result<Vec<Arc<Event>>, Fault> {
    let query = readers.query(LOG).bind(rows::signed(after)).bind(rows::signed(until)).bind(i64::from(limit));
    query.fetch_all().await?.iter().map(rows::event).collect()
}

impl SqlStorage {
    /// The events that a statement finds for somebody, after a place or from the first that is left.
    async fn following(&self, sql: &'static str, of: Uuid, after: Option<EventId>, limit: usize) -> Result<Following> {
        let from = after.map_or(0, |after| rows::signed(after.0));
        let found = self.readers.query(sql).bind(of).bind(from).bind(rows::signed(limit as u64)).fetch_all().await?;
        let events = found.iter().map(rows::event).collect::<Result<_, Fault>>()?;
        // Asked after the log was read: whatever was removed by then is missed here at most.
        Ok(match after {
            Some(after) => self.check(after).await?.map(|()| events),
            None => Ok(events),
        })
    }

    /// Whether the log can be read on from a place.
    async fn check(&self, after: EventId) -> Result<Result<(), BadCursor>> {
        // A commit can be read a moment before the writer has noted its head, so only the log itself says no.
        if after > self.queue.head() && after > self.head().await? {
            return Ok(Err(BadCursor::Unknown));
        }
        let oldest = rows::unsigned(self.readers.query(OLDEST_EVENT).fetch_scalar().await?);
        Ok(if after.0 + 1 < oldest { Err(BadCursor::Expired) } else { Ok(()) })
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
impl Store for SqlStorage {
    async fn create(&self, new: NewRequest) -> Result<Created> {
        self.queue.gather(Command::Create, Creation::new(new)?).await
    }

    async fn request(&self, id: RequestId) -> Result<Option<Arc<Request>>> {
        let row = self.readers.query(REQUEST).bind(id.uuid()).fetch_optional().await?;
        Ok(row.as_ref().map(rows::request).transpose()?.map(Arc::new))
    }

    async fn requests(&self, query: RequestQuery) -> Result<Page<Arc<Request>>> {
        let (every, of_status, whose) = match query.scope {
            Scope::AskedByToken(token) => (OF_TOKEN, OF_TOKEN_BY_STATUS, token.uuid()),
            Scope::AskedByUser(user) => (OF_USER, OF_USER_BY_STATUS, user.uuid()),
            Scope::Asked(user) => (ASKED, ASKED_BY_STATUS, user.uuid()),
        };
        let found = self
            .readers
            .query(if query.status.is_none() { every } else { of_status })
            .bind(whose)
            .bind(query.before.map(RequestId::uuid))
            .bind(rows::one_more(query.limit))
            .bind(query.status.map(Status::as_str))
            .fetch_all()
            .await?;
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
        let found = self
            .readers
            .query(RESPONSES)
            .bind(id.uuid())
            .bind(after.map_or(Uuid::nil(), ResponseId::uuid))
            .bind(rows::one_more(limit))
            .fetch_all()
            .await?;
        page(&found, limit, rows::response)
    }

    async fn deliveries(&self, id: RequestId, after: Option<DeliveryId>, limit: usize) -> Result<Page<Delivery>> {
        let found = self
            .readers
            .query(DELIVERIES)
            .bind(id.uuid())
            .bind(after.map_or(Uuid::nil(), DeliveryId::uuid))
            .bind(rows::one_more(limit))
            .fetch_all()
            .await?;
        page(&found, limit, rows::delivery)
    }

    async fn bring(&self, delivery: Delivery, now: Timestamp) -> Result<bool> {
        self.queue.write(Bring { delivery, now }).await
    }

    async fn claim_sends(
        &self,
        server: ServerId,
        now: Timestamp,
        lease: Timestamp,
        limit: usize,
    ) -> Result<Claims<SendClaim>> {
        self.claim(ClaimSends { server, now, lease, limit }).await
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
        self.claim(ClaimRoutes { now, lease, limit }).await
    }

    async fn finish_route(&self, step: RouteAdvance) -> Result<()> {
        self.queue.write(FinishRoute { step }).await
    }

    async fn hasten_routes(&self, channel: &ChannelName, address: &Address, due: Timestamp) -> Result<u64> {
        self.queue.write(HastenRoutes { channel: channel.clone(), address: address.clone(), due }).await
    }

    async fn acknowledge(
        &self,
        channel: &ChannelName,
        address: &Address,
        receipt: &Receipt,
        read: bool,
        now: Timestamp,
    ) -> Result<bool> {
        let (channel, address, receipt) = (channel.clone(), address.clone(), receipt.clone());
        self.queue.write(Acknowledge { channel, address, receipt, read, now }).await
    }

    async fn connected(
        &self,
        channel: &ChannelName,
        address: &Address,
        server: Option<ServerId>,
        now: Timestamp,
    ) -> Result<u64> {
        self.queue.write(Connect { channel: channel.clone(), address: address.clone(), server, now }).await
    }

    async fn disconnected(
        &self,
        channel: &ChannelName,
        address: &Address,
        server: Option<ServerId>,
        now: Timestamp,
        due: Timestamp,
    ) -> Result<u64> {
        self.queue.write(Disconnect { channel: channel.clone(), address: address.clone(), server, now, due }).await
    }

    async fn presence(&self, channel: &ChannelName, address: &Address, now: Timestamp) -> Result<Presence> {
        Ok(servers::presence(&self.readers, channel, address, now).await?)
    }

    async fn stay(&self, server: ServerId, now: Timestamp, until: Timestamp, due: Timestamp) -> Result<Company> {
        self.queue.write(Stay { server, now, until, due }).await
    }

    async fn leave(&self, server: ServerId, now: Timestamp) -> Result<()> {
        self.queue.write(Leave { server, now }).await
    }

    async fn hold_run(
        &self,
        channel: &ChannelName,
        server: ServerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Hold> {
        self.queue.write(HoldRun { channel: channel.clone(), server, now, until }).await
    }

    async fn release_run(&self, channel: &ChannelName, server: ServerId) -> Result<()> {
        self.queue.write(ReleaseRun { channel: channel.clone(), server }).await
    }

    async fn claim_settlements(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<SettleClaim>> {
        self.claim(ClaimSettlements { now, lease, limit }).await
    }

    async fn finish_settlement(
        &self,
        id: DeliveryId,
        lease: Timestamp,
        result: SettleResult,
        now: Timestamp,
    ) -> Result<()> {
        self.queue.write(FinishSettlement { id, lease, result, now }).await
    }

    async fn claim_callbacks(&self, now: Timestamp, lease: Timestamp, limit: usize) -> Result<Claims<CallbackClaim>> {
        self.claim(ClaimCallbacks { now, lease, limit }).await
    }

    async fn finish_callback(&self, end: FinishedCallback) -> Result<()> {
        self.queue.write(FinishCallback(end)).await
    }

    async fn callbacks(&self, id: RequestId, after: Option<CallbackId>, limit: usize) -> Result<Page<Callback>> {
        let found = self
            .readers
            .query(callbacks::OF_REQUEST)
            .bind(id.uuid())
            .bind(after.map_or(Uuid::nil(), CallbackId::uuid))
            .bind(rows::one_more(limit))
            .fetch_all()
            .await?;
        page(&found, limit, callbacks::callback)
    }

    async fn ping(&self) -> Result<()> {
        // A statement that reads no table would not touch the file.
        tokio::try_join!(self.queue.write(Ping), self.head()).map(drop)
    }

    async fn head(&self) -> Result<EventId> {
        Ok(EventId(head(&self.readers).await?))
    }

    async fn events(&self, reader: Reader, after: EventId, limit: usize) -> Result<Following> {
        self.following(EVENTS, reader.uuid(), Some(after), limit).await
    }

    async fn request_events(&self, id: RequestId, after: Option<EventId>, limit: usize) -> Result<Following> {
        self.following(EVENTS_OF_REQUEST, id.uuid(), after, limit).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>> {
        let row = self.readers.query(DELIVERY).bind(id.uuid()).fetch_optional().await?;
        Ok(row.as_ref().map(rows::delivery).transpose()?)
    }

    async fn sent_as(&self, channel: &ChannelName, receipt: &Receipt) -> Result<Option<RequestId>> {
        let row = self.readers.query(SENT_AS).bind(channel.as_str()).bind(receipt.as_str()).fetch_optional().await?;
        Ok(row.map(|row| rows::id(&row, "request_id")).transpose()?)
    }

    async fn response(&self, request: RequestId, id: ResponseId) -> Result<Option<Response>> {
        let row = self.readers.query(RESPONSE).bind(request.uuid()).bind(id.uuid()).fetch_optional().await?;
        Ok(row.as_ref().map(rows::response).transpose()?)
    }

    async fn pending(&self, reader: Reader, after: EventId, limit: usize) -> Result<Vec<Arc<Event>>> {
        let sql = match reader {
            Reader::Person(_) => WAITING_FOR_PERSON,
            Reader::Token(_) => WAITING_OF_TOKEN,
        };
        let found = self
            .readers
            .query(sql)
            .bind(reader.uuid())
            .bind(rows::signed(after.0))
            .bind(rows::signed(limit as u64))
            .fetch_all()
            .await?;
        Ok(found.iter().map(created).collect::<Result<_, Fault>>()?)
    }

    async fn people(&self, names: &[String]) -> Result<Vec<Option<Person>>> {
        self.people.read(names.to_vec()).await
    }

    async fn person_at(&self, channel: &ChannelName, address: &Address) -> Result<Option<UserRef>> {
        Ok(people::at(&self.readers, channel, address).await?)
    }

    async fn delivery_counts(&self, channel: &ChannelName) -> Result<DeliveryCounts> {
        let row = self.readers.query(COUNTS).bind(channel.as_str()).fetch_one().await?;
        let count = |column| Ok::<_, Fault>(rows::unsigned(rows::get(&row, column)?));
        Ok(DeliveryCounts { queued: count("queued")?, sent: count("sent")?, failed: count("failed")? })
    }

    async fn counts(&self) -> Result<Counts> {
        let row = self.readers.query(CENSUS).fetch_one().await?;
        let count = |column| Ok::<_, Fault>(rows::unsigned(rows::get(&row, column)?));
        Ok(Counts { people: count("people")?, pending: count("pending")? })
    }

    async fn prune(&self, what: Prune) -> Result<bool> {
        self.queue.write(what).await
    }
}

/// A page from rows of which one more was asked for.
pub(super) fn page<T>(found: &[Row], limit: usize, item: impl Fn(&Row) -> Result<T, Fault>) -> Result<Page<T>> {
    let items = found.iter().take(limit).map(item).collect::<Result<_, _>>()?;
    Ok(Page { items, more: found.len() > limit })
}

/// The event of a request's creation, from the request alone.
fn created(row: &Row) -> Result<Arc<Event>, Fault> {
    let request = rows::request(row)?;
    let (id, at) = (request.created_event, request.created_at);
    Ok(Arc::new(Event { id, at, kind: EventKind::Created, request: Arc::new(request) }))
}

macro_rules! census {
    ($person:literal) => {
        concat!(
            "SELECT (SELECT count(*) FROM users WHERE deactivated_at IS NULL AND ",
            $person,
            ") AS people, (SELECT count(*) FROM feedback_requests WHERE status = 'pending') AS pending"
        )
    };
}

macro_rules! select_request {
    ($rest:literal) => {
        concat!("SELECT ", rows::request_columns!(), " FROM ", $rest)
    };
}

pub(super) const REQUEST: &str = select_request!("feedback_requests r WHERE r.id = $1");
// Lists: of whom, before which, how many, which status. They are found by number in an index, and read once they are few.
macro_rules! list {
    ($from:literal, $status:literal) => {
        concat!(
            "SELECT created_event FROM ",
            $from,
            " = $1 AND status = ",
            $status,
            " AND created_event < CASE WHEN $2 IS NULL THEN 9223372036854775807 \
              ELSE (SELECT created_event FROM feedback_requests WHERE id = $2) END"
        )
    };
}
macro_rules! read_list {
    ($($list:expr),*) => {
        concat!(
            "SELECT ", rows::request_columns!(), " FROM (", $($list,)* " ORDER BY created_event DESC LIMIT $3) found \
             CROSS JOIN feedback_requests r WHERE r.created_event = found.created_event ORDER BY r.created_event DESC"
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
pub(super) const OF_TOKEN_BY_STATUS: &str = read_list!(list!("feedback_requests WHERE asker_token_id", "$4"));
pub(super) const OF_USER: &str = read_every!("feedback_requests WHERE asker_user_id");
pub(super) const OF_USER_BY_STATUS: &str = read_list!(list!("feedback_requests WHERE asker_user_id", "$4"));
pub(super) const ASKED: &str = read_every!("asked WHERE user_id");
pub(super) const ASKED_BY_STATUS: &str = read_list!(list!("asked WHERE user_id", "$4"));
pub(super) const NEWEST_EVENT: &str = "SELECT head FROM event_log";
// The first event that is left; where none is, the one that comes next.
pub(super) const OLDEST_EVENT: &str = "SELECT coalesce((SELECT min(id) FROM events), head + 1) FROM event_log";
pub(super) const LOG: &str = concat!(
    "SELECT ",
    rows::event_columns!(),
    " FROM events e CROSS JOIN feedback_requests r \
     WHERE r.id = e.request_id AND e.id > $1 AND e.id <= $2 ORDER BY e.id LIMIT $3"
);
// Events: of whom, after which, how many.
pub(super) const EVENTS: &str = concat!(
    "SELECT ",
    rows::event_columns!(),
    " FROM event_readers n CROSS JOIN events e CROSS JOIN feedback_requests r \
     WHERE e.id = n.event_id AND r.id = e.request_id AND n.reader = $1 AND n.event_id > $2 \
     ORDER BY n.event_id LIMIT $3"
);
pub(super) const EVENTS_OF_REQUEST: &str = concat!(
    "SELECT ",
    rows::event_columns!(),
    " FROM events e CROSS JOIN feedback_requests r \
     WHERE r.id = e.request_id AND e.request_id = $1 AND e.id > $2 ORDER BY e.id LIMIT $3"
);
pub(super) const WAITING_FOR_PERSON: &str = select_request!(
    "asked k CROSS JOIN feedback_requests r \
     WHERE r.created_event = k.created_event AND k.user_id = $1 AND k.status = 'pending' AND k.created_event > $2 ORDER BY k.created_event LIMIT $3"
);
pub(super) const WAITING_OF_TOKEN: &str = select_request!(
    "feedback_requests r WHERE r.asker_token_id = $1 AND r.status = 'pending' AND r.created_event > $2 \
     ORDER BY r.created_event LIMIT $3"
);
pub(super) const RESPONSES: &str = concat!(
    "SELECT ",
    rows::response_columns!(),
    " FROM responses s WHERE s.request_id = $1 AND s.id > $2 ORDER BY s.id LIMIT $3"
);
pub(super) const RESPONSE: &str =
    concat!("SELECT ", rows::response_columns!(), " FROM responses s WHERE s.request_id = $1 AND s.id = $2");
pub(super) const DELIVERY: Sql = rows::select_deliveries!("", "FROM deliveries d WHERE d.id = $1", "");
pub(super) const DELIVERIES: Sql =
    rows::select_deliveries!("", "FROM deliveries d WHERE d.request_id = $1 AND d.id > $2 ORDER BY d.id LIMIT $3", "");
pub(super) const SENT_AS: &str =
    "SELECT request_id FROM deliveries WHERE channel = $1 AND receipt = $2 ORDER BY id DESC LIMIT 1";
// At most once a minute. People are few, and the requests that wait have an index of their own.
pub(super) const CENSUS: Sql = Sql { sqlite: census!("service = 0"), postgres: census!("NOT service") };
// Each count walks an index that holds only what it counts, or, for what waits, only what waits.
pub(super) const COUNTS: &str = "SELECT \
    (SELECT count(*) FROM deliveries WHERE channel = $1 AND due_at IS NOT NULL) \
    + (SELECT count(*) FROM deliveries WHERE channel = $1 AND not_before IS NOT NULL) AS queued, \
    (SELECT count(*) FROM deliveries WHERE channel = $1 AND status IN ('sent', 'delivered', 'read')) AS sent, \
    (SELECT count(*) FROM deliveries WHERE channel = $1 AND status = 'failed') AS failed";
