//! Routes of the people asked: claimed, carried on, hastened.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use hearback_core::{
    Timestamp,
    channel::{Address, ChannelName},
    event::{EventKind, Work},
    feedback::{Delivery, Request},
    id::{RequestId, UserId},
    store::{Claims, Presences, RouteAdvance, RouteClaim},
};

use uuid::Uuid;

use super::{create, fault::Fault, people, queue::Write, rows, send, servers, session::Sql, unit::Unit};

/// Claims routes that are due. While one is claimed, its time is the end of its lease.
pub(super) struct ClaimRoutes {
    pub(super) now: Timestamp,
    pub(super) lease: Timestamp,
    pub(super) limit: usize,
}

/// A route that is due.
struct Due {
    user: UserId,
    number: i64,
    rounds: u32,
}

impl Write for ClaimRoutes {
    type Answer = Claims<RouteClaim>;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Self::Answer, Fault> {
        let limit = rows::signed(self.limit as u64);
        let found = unit.session.query(DUE).bind(self.now.micros()).bind(limit).fetch_all().await?;
        let last = found.last().filter(|_| found.len() == self.limit);
        let last = last.map(|row| {
            let at = rows::get(row, "route_due_at")?;
            Ok::<_, Fault>((at, rows::get(row, "created_event")?, rows::get(row, "user_id")?))
        });
        let (due_at, event, user) = last.transpose()?.unwrap_or((self.now.micros(), i64::MAX, Uuid::max()));
        let next = unit.session.query(NEXT_DUE).bind(due_at).bind(event).bind(user).fetch_optional().await?;
        let next_due = next.map(|row| rows::time(&row, "route_due_at")).transpose()?;
        let mut due = Vec::with_capacity(found.len());
        let mut requests = HashMap::new();
        for row in &found {
            let number = rows::get(row, "created_event")?;
            // Those who are asked the same are often due together.
            if let Entry::Vacant(request) = requests.entry(number) {
                request.insert(Arc::new(rows::request(row)?));
            }
            due.push(Due { user: rows::id(row, "user_id")?, number, rounds: rows::number(row, "route_rounds")? });
        }
        rows::write(&mut unit.session, LEASE_HEAD, &due, LEASE_TAIL, |values, due| {
            values.push_bind(due.user.uuid()).push_bind(due.number).push_bind(self.lease.micros());
        })
        .await?;
        let claimed = self.claims(unit, due, &requests).await?;
        Ok(Claims { claimed, next_due })
    }
}

impl ClaimRoutes {
    /// With each route whose it is, and what has become of it so far.
    async fn claims(
        &self,
        unit: &mut Unit<'_>,
        due: Vec<Due>,
        requests: &HashMap<i64, Arc<Request>>,
    ) -> Result<Vec<RouteClaim>, Fault> {
        let ids: Vec<_> = due.iter().map(|due| due.user).collect();
        let people = people::by_ids(&mut unit.session, &ids).await?;
        let of: Vec<(RequestId, UserId)> =
            due.iter().filter_map(|due| requests.get(&due.number).map(|request| (request.id, due.user))).collect();
        let found = rows::read(&mut unit.session, DELIVERIES_HEAD, &of, DELIVERIES_TAIL, |values, (request, user)| {
            values.push_bind(request.uuid()).push_bind(user.uuid());
        })
        .await?;
        let mut deliveries: HashMap<_, BTreeMap<_, _>> = HashMap::new();
        for row in &found {
            let delivery = rows::delivery(row)?;
            deliveries.entry((delivery.request_id, delivery.user_id)).or_default().insert(delivery.id, delivery);
        }
        let every = deliveries.values().flat_map(BTreeMap::values);
        let known = servers::presences(&mut unit.session, every, self.now).await?;
        let claim = |Due { user, number, rounds }: Due| {
            let missing = || Fault::unexpected("a route without its request or its person");
            let request = requests.get(&number).ok_or_else(missing)?.clone();
            let person = people.get(&user).ok_or_else(missing)?.clone();
            let deliveries: Vec<Delivery> =
                deliveries.remove(&(request.id, user)).unwrap_or_default().into_values().collect();
            let presences = presences_of(&deliveries, &known);
            Ok(RouteClaim { request, person, deliveries, presences, rounds, lease: self.lease })
        };
        due.into_iter().map(claim).collect()
    }
}

fn presences_of(deliveries: &[Delivery], known: &Presences) -> Presences {
    let places = deliveries.iter().map(|one| (one.channel.clone(), one.address.clone()));
    places.filter_map(|place| known.get(&place).cloned().map(|presence| (place, presence))).collect()
}

/// Carries a claimed route on.
pub(super) struct FinishRoute {
    pub(super) step: RouteAdvance,
}

impl Write for FinishRoute {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        let RouteAdvance { request: id, user, lease, begin, again, rounds, exhausted, due, now } = &self.step;
        let claimed =
            unit.session.query(CLAIMED).bind(id.uuid()).bind(user.uuid()).bind(lease.micros()).fetch_optional().await?;
        let Some(row) = claimed else { return Ok(()) };
        let number: i64 = rows::get(&row, "created_event")?;
        if !begin.is_empty() || !again.is_empty() {
            unit.note_work(Work::Sends);
        }
        create::insert_deliveries(unit, &begin.iter().collect::<Vec<_>>()).await?;
        let queued = rows::read(&mut unit.session, AGAIN_HEAD, again, AGAIN_TAIL, |values, (delivery, due)| {
            values.push_bind(delivery.uuid()).push_bind(id.uuid()).push_bind(due.micros());
        })
        .await?;
        let request = Arc::new(rows::request(&row)?);
        let queued = send::changes(&queued, *now)?;
        for delivery in begin.iter().map(|delivery| delivery.id).chain(queued.iter().map(|(delivery, ..)| *delivery)) {
            unit.record(EventKind::Delivery(delivery), &request, *now);
        }
        unit.session
            .query(STEP)
            .bind(user.uuid())
            .bind(number)
            .bind(due.map(Timestamp::micros))
            .bind(i64::from(*rounds))
            .bind(*exhausted)
            .execute()
            .await?;
        if *exhausted && !rows::get::<bool>(&row, "route_exhausted")? {
            tell_undeliverable(unit, &request, *now).await?;
        }
        Ok(())
    }
}

/// Says once a request that nobody asked can be reached, when that is so.
async fn tell_undeliverable(unit: &mut Unit<'_>, request: &Arc<Request>, now: Timestamp) -> Result<(), Fault> {
    let number = rows::signed(request.created_event.0);
    let going_on = rows::read(&mut unit.session, GOING_ON_HEAD, &request.terms.to, GOING_ON_TAIL, |values, person| {
        values.push_bind(person.id.uuid()).push_bind(number);
    })
    .await?;
    if !going_on.is_empty() {
        return Ok(());
    }
    let told = unit.session.query(TELL).bind(number).bind(now.micros()).execute().await?;
    if told > 0 {
        unit.record(EventKind::Undeliverable, request, now);
    }
    Ok(())
}

/// Lets routes that have something out at an address be looked at soon.
pub(super) struct HastenRoutes {
    pub(super) channel: ChannelName,
    pub(super) address: Address,
    pub(super) due: Timestamp,
}

impl Write for HastenRoutes {
    type Answer = u64;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<u64, Fault> {
        let hastened = unit
            .session
            .query(HASTEN)
            .bind(self.channel.as_str())
            .bind(self.address.as_str())
            .bind(self.due.micros())
            .execute()
            .await?;
        Ok(hastened)
    }
}

macro_rules! due {
    ($postgres:literal) => {
        concat!(
            "SELECT k.user_id, k.route_due_at, k.route_rounds, ",
            rows::request_columns!(),
            " FROM asked k CROSS JOIN feedback_requests r \
             WHERE r.created_event = k.created_event AND k.route_due_at <= $1 \
             ORDER BY k.route_due_at, k.created_event, k.user_id LIMIT $2",
            $postgres
        )
    };
}
pub(super) const DUE: Sql = Sql { sqlite: due!(""), postgres: due!(" FOR UPDATE OF k SKIP LOCKED") };
pub(super) const NEXT_DUE: &str = "SELECT route_due_at FROM asked \
    WHERE route_due_at IS NOT NULL AND (route_due_at, created_event, user_id) > ($1, $2, $3) \
    ORDER BY route_due_at, created_event, user_id LIMIT 1";
pub(super) const LEASE_HEAD: &str = "WITH given (user_id, created_event, lease) AS (";
pub(super) const LEASE_TAIL: &str = ") UPDATE asked SET route_due_at = given.lease, route_lease = given.lease FROM given \
    WHERE asked.user_id = given.user_id AND asked.status = 'pending' AND asked.created_event = given.created_event";
pub(super) const DELIVERIES_HEAD: &str = "WITH given (request_id, user_id) AS (";
pub(super) const DELIVERIES_TAIL: Sql = rows::select_deliveries!(
    ") ",
    "FROM given CROSS JOIN deliveries d WHERE d.request_id = given.request_id AND d.user_id = given.user_id",
    ""
);
macro_rules! claimed {
    ($postgres:literal) => {
        concat!(
            "SELECT k.route_exhausted, ",
            rows::request_columns!(),
            " FROM feedback_requests r CROSS JOIN asked k \
             WHERE r.id = $1 AND k.user_id = $2 AND k.status = 'pending' AND k.created_event = r.created_event \
             AND k.route_lease = $3",
            $postgres
        )
    };
}
// Claims run beside the writer on PostgreSQL: until the step is written, nobody claims the route.
pub(super) const CLAIMED: Sql = Sql { sqlite: claimed!(""), postgres: claimed!(" FOR UPDATE OF k") };
pub(super) const AGAIN_HEAD: &str = "WITH given (id, request_id, due) AS (";
pub(super) const AGAIN_TAIL: &str = ") UPDATE deliveries SET status = 'queued', due_at = given.due, not_before = NULL, \
    reason = CASE WHEN deliveries.status = 'queued' THEN deliveries.reason END FROM given WHERE deliveries.id = given.id AND deliveries.request_id = given.request_id \
    AND (deliveries.not_before IS NOT NULL OR deliveries.status = 'skipped') \
    RETURNING deliveries.id, deliveries.request_id";
pub(super) const STEP: &str = "UPDATE asked SET route_due_at = CASE \
    WHEN route_due_at < route_lease THEN (CASE WHEN $3 < route_due_at THEN $3 ELSE route_due_at END) ELSE $3 END, \
    route_lease = NULL, route_rounds = $4, route_exhausted = $5 \
    WHERE user_id = $1 AND status = 'pending' AND created_event = $2";
pub(super) const GOING_ON_HEAD: &str = "WITH given (user_id, created_event) AS (";
pub(super) const GOING_ON_TAIL: &str = ") SELECT 1 FROM given CROSS JOIN asked k WHERE k.user_id = given.user_id \
    AND k.status = 'pending' AND k.created_event = given.created_event AND NOT k.route_exhausted";
pub(super) const TELL: &str =
    "UPDATE feedback_requests SET undeliverable_at = $2 WHERE created_event = $1 AND undeliverable_at IS NULL";
// Haste that comes behind the lease would be forgotten by a step that comes later still.
pub(super) const HASTEN: &str = "UPDATE asked SET route_due_at = \
    CASE WHEN route_lease <= $3 AND route_due_at >= route_lease THEN route_lease - 1 \
    WHEN route_due_at < $3 THEN route_due_at ELSE $3 END \
    WHERE (user_id, status, created_event) IN (SELECT d.user_id, r.status, r.created_event \
    FROM deliveries d CROSS JOIN feedback_requests r \
    WHERE r.id = d.request_id AND d.channel = $1 AND d.address = $2 AND d.status IN ('sent', 'delivered', 'read') \
    AND r.status = 'pending')";
// People are far fewer than what they were ever asked, and of that an index finds what is pending.
pub(super) const HASTEN_ALL: &str = "UPDATE asked \
    SET route_due_at = CASE WHEN route_lease <= $1 AND route_due_at >= route_lease THEN route_lease - 1 \
    WHEN route_due_at < $1 THEN route_due_at ELSE $1 END \
    WHERE user_id IN (SELECT id FROM users) AND status = 'pending'";
