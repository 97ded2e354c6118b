//! Routes of the people asked: claimed, carried on, hastened.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use hearback_core::{
    Timestamp,
    channel::{Address, ChannelName},
    event::EventKind,
    feedback::Request,
    id::{RequestId, UserId},
    store::{Claims, RouteAdvance, RouteClaim},
};

use super::{create, fault::Fault, people, queue::Write, rows, unit::Unit};

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
        let found = sqlx::query(DUE).bind(rows::one_more(self.limit)).fetch_all(&mut *unit.writer).await?;
        let mut due = Vec::new();
        let mut requests = HashMap::new();
        let mut next_due = None;
        for row in &found {
            let at = rows::time(row, "route_due_at")?;
            if at > self.now || due.len() == self.limit {
                next_due = Some(at);
                break;
            }
            let number = rows::get(row, "created_event")?;
            // Those who are asked the same are often due together.
            if let Entry::Vacant(request) = requests.entry(number) {
                request.insert(Arc::new(rows::request(row)?));
            }
            due.push(Due { user: rows::id(row, "user_id")?, number, rounds: rows::get(row, "route_rounds")? });
        }
        rows::write(unit.writer, LEASE_HEAD, &due, LEASE_TAIL, |values, due| {
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
        let people = people::by_ids(unit.writer, &ids).await?;
        let of: Vec<(RequestId, UserId)> =
            due.iter().filter_map(|due| requests.get(&due.number).map(|request| (request.id, due.user))).collect();
        let found = rows::read(unit.writer, DELIVERIES_HEAD, &of, DELIVERIES_TAIL, |values, (request, user)| {
            values.push_bind(request.uuid()).push_bind(user.uuid());
        })
        .await?;
        let mut deliveries: HashMap<_, BTreeMap<_, _>> = HashMap::new();
        for row in &found {
            let delivery = rows::delivery(row)?;
            deliveries.entry((delivery.request_id, delivery.user_id)).or_default().insert(delivery.id, delivery);
        }
        let claim = |Due { user, number, rounds }: Due| {
            let missing = || Fault::unexpected("a route without its request or its person");
            let request = requests.get(&number).ok_or_else(missing)?.clone();
            let person = people.get(&user).ok_or_else(missing)?.clone();
            let deliveries = deliveries.remove(&(request.id, user)).unwrap_or_default().into_values().collect();
            Ok(RouteClaim { request, person, deliveries, rounds, lease: self.lease })
        };
        due.into_iter().map(claim).collect()
    }
}

/// Carries a claimed route on.
pub(super) struct FinishRoute {
    pub(super) step: RouteAdvance,
}

impl Write for FinishRoute {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        let RouteAdvance { request: id, user, lease, begin, again, rounds, exhausted, due, now } = &self.step;
        let claimed = sqlx::query(CLAIMED)
            .bind(id.uuid())
            .bind(user.uuid())
            .bind(lease.micros())
            .fetch_optional(&mut *unit.writer)
            .await?;
        let Some(row) = claimed else { return Ok(()) };
        let number: i64 = rows::get(&row, "created_event")?;
        create::insert_deliveries(unit, &begin.iter().collect::<Vec<_>>()).await?;
        rows::write(unit.writer, AGAIN_HEAD, again, AGAIN_TAIL, |values, (delivery, due)| {
            values.push_bind(delivery.uuid()).push_bind(id.uuid()).push_bind(due.micros());
        })
        .await?;
        sqlx::query(STEP)
            .bind(user.uuid())
            .bind(number)
            .bind(due.map(Timestamp::micros))
            .bind(*rounds)
            .bind(*exhausted)
            .execute(&mut *unit.writer)
            .await?;
        if *exhausted && !rows::get::<bool>(&row, "route_exhausted")? {
            tell_undeliverable(unit, &Arc::new(rows::request(&row)?), *now).await?;
        }
        Ok(())
    }
}

/// Says once a request that nobody asked can be reached, when that is so.
async fn tell_undeliverable(unit: &mut Unit<'_>, request: &Arc<Request>, now: Timestamp) -> Result<(), Fault> {
    let number = rows::signed(request.created_event.0);
    let going_on = rows::read(unit.writer, GOING_ON_HEAD, &request.terms.to, GOING_ON_TAIL, |values, person| {
        values.push_bind(person.id.uuid()).push_bind(number);
    })
    .await?;
    if !going_on.is_empty() {
        return Ok(());
    }
    let told = sqlx::query(TELL).bind(number).bind(now.micros()).execute(&mut *unit.writer).await?;
    if told.rows_affected() > 0 {
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
        let hastened = sqlx::query(HASTEN)
            .bind(self.channel.as_str())
            .bind(self.address.as_str())
            .bind(self.due.micros())
            .execute(&mut *unit.writer)
            .await?;
        Ok(hastened.rows_affected())
    }
}

/// Lets every route be looked at soon.
pub(super) struct HastenAllRoutes {
    pub(super) due: Timestamp,
}

impl Write for HastenAllRoutes {
    type Answer = u64;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<u64, Fault> {
        let hastened = sqlx::query(HASTEN_ALL).bind(self.due.micros()).execute(&mut *unit.writer).await?;
        Ok(hastened.rows_affected())
    }
}

pub(super) const DUE: &str = concat!(
    "SELECT k.user_id, k.route_due_at, k.route_rounds, ",
    rows::request_columns!(),
    " FROM asked k CROSS JOIN feedback_requests r ON r.created_event = k.created_event \
     WHERE k.route_due_at IS NOT NULL ORDER BY k.route_due_at, k.created_event, k.user_id LIMIT ?1"
);
pub(super) const LEASE_HEAD: &str = "WITH given (user_id, created_event, lease) AS (";
pub(super) const LEASE_TAIL: &str = ") UPDATE asked SET route_due_at = given.lease, route_lease = given.lease FROM given \
    WHERE asked.user_id = given.user_id AND asked.status = 'pending' AND asked.created_event = given.created_event";
pub(super) const DELIVERIES_HEAD: &str = "WITH given (request_id, user_id) AS (";
pub(super) const DELIVERIES_TAIL: &str = concat!(
    ") SELECT ",
    rows::delivery_columns!(),
    " FROM given CROSS JOIN deliveries d ON d.request_id = given.request_id AND d.user_id = given.user_id"
);
pub(super) const CLAIMED: &str = concat!(
    "SELECT k.route_exhausted, ",
    rows::request_columns!(),
    " FROM feedback_requests r CROSS JOIN asked k \
     ON k.user_id = ?2 AND k.status = 'pending' AND k.created_event = r.created_event AND k.route_lease = ?3 \
     WHERE r.id = ?1"
);
pub(super) const AGAIN_HEAD: &str = "WITH given (id, request_id, due) AS (";
pub(super) const AGAIN_TAIL: &str = ") UPDATE deliveries SET status = 'queued', due_at = given.due, not_before = NULL, \
    reason = CASE WHEN deliveries.status = 'queued' THEN deliveries.reason END FROM given WHERE deliveries.id = given.id AND deliveries.request_id = given.request_id \
    AND (deliveries.not_before IS NOT NULL OR deliveries.status = 'skipped')";
pub(super) const STEP: &str = "UPDATE asked SET route_due_at = CASE \
    WHEN route_due_at < route_lease THEN min(route_due_at, coalesce(?3, route_due_at)) ELSE ?3 END, \
    route_lease = NULL, route_rounds = ?4, route_exhausted = ?5 \
    WHERE user_id = ?1 AND status = 'pending' AND created_event = ?2";
pub(super) const GOING_ON_HEAD: &str = "WITH given (user_id, created_event) AS (";
pub(super) const GOING_ON_TAIL: &str = ") SELECT 1 FROM given CROSS JOIN asked k ON k.user_id = given.user_id \
    AND k.status = 'pending' AND k.created_event = given.created_event AND k.route_exhausted = 0";
pub(super) const TELL: &str =
    "UPDATE feedback_requests SET undeliverable_at = ?2 WHERE created_event = ?1 AND undeliverable_at IS NULL";
pub(super) const HASTEN: &str = "UPDATE asked SET route_due_at = min(coalesce(route_due_at, ?3), ?3) \
    WHERE (user_id, status, created_event) IN (SELECT d.user_id, r.status, r.created_event \
    FROM deliveries d CROSS JOIN feedback_requests r ON r.id = d.request_id \
    WHERE d.channel = ?1 AND d.address = ?2 AND d.status IN ('sent', 'delivered', 'read') AND r.status = 'pending')";
// People are far fewer than what they were ever asked, and of that an index finds what is pending.
pub(super) const HASTEN_ALL: &str = "UPDATE asked SET route_due_at = min(coalesce(route_due_at, ?1), ?1) \
    WHERE user_id IN (SELECT id FROM users) AND status = 'pending'";
