//! Creations: the request, whom it asks, its first deliveries, its idempotency key.

use std::{collections::HashMap, sync::Arc};

use hearback_core::{
    Result,
    event::{EventKind, Work},
    feedback::{Delivery, Request},
    id::RequestId,
    store::{Created, Idempotency, NewRequest},
};
use uuid::Uuid;

use super::{fault::Fault, queue::Job, rows, unit::Unit};

/// A request to store. Its terms are written as JSON by the caller's task, which leaves that much less to the writer.
#[derive(Debug)]
pub(super) struct Creation {
    request: Arc<Request>,
    terms: Arc<str>,
    deliveries: Vec<Delivery>,
    idempotency: Option<Idempotency>,
}

impl Creation {
    pub(super) fn new(new: NewRequest) -> Result<Self> {
        let terms = serde_json::to_string(&new.request.terms).map_err(Fault::from)?.into();
        Ok(Self { request: Arc::new(new.request), terms, deliveries: new.deliveries, idempotency: new.idempotency })
    }
}

/// What is kept under an idempotency key: of which body, and which request it made.
struct Kept {
    fingerprint: [u8; 32],
    request: Option<Arc<Request>>,
}

pub(super) async fn run(unit: &mut Unit<'_>, jobs: &mut [&mut Job<Creation, Created>]) -> Result<(), Fault> {
    if jobs.is_empty() {
        return Ok(());
    }
    // Ids that come in order lie together in their index. Nobody waits for another's place in the log.
    jobs.sort_by_key(|job| job.input.request.id);
    let mut kept = kept(unit, jobs).await?;
    let mut new = Vec::with_capacity(jobs.len());
    for job in jobs {
        if let Some(idempotency) = job.input.idempotency
            && let Some(Kept { fingerprint, request }) = kept.get(&idempotency.key)
        {
            let same = request.clone().filter(|_| *fingerprint == idempotency.fingerprint);
            job.answer(same.map_or(Created::Mismatch, Created::Replayed));
            continue;
        }
        // Alone in its hands unless this batch ran before, so this seldom copies.
        let request = Arc::make_mut(&mut job.input.request);
        request.created_event = unit.next_event();
        let request = job.input.request.clone();
        unit.record(EventKind::Created, &request, request.created_at);
        if let Some(Idempotency { key, fingerprint }) = job.input.idempotency {
            kept.insert(key, Kept { fingerprint, request: Some(request.clone()) });
        }
        job.answer(Created::New(request));
        new.push(&job.input);
    }
    if new.iter().any(|creation| !creation.deliveries.is_empty()) {
        unit.note_work(Work::Sends);
    }
    insert(unit, &new).await
}

/// What the keys of this batch stand for already.
async fn kept(unit: &mut Unit<'_>, jobs: &[&mut Job<Creation, Created>]) -> Result<HashMap<[u8; 32], Kept>, Fault> {
    let keys: Vec<_> = jobs.iter().filter_map(|job| job.input.idempotency.map(|idempotency| idempotency.key)).collect();
    let found = rows::read(&mut unit.session, KEPT, &keys, ")", |values, key| {
        values.push_bind(key.to_vec());
    })
    .await?;
    let mut kept = HashMap::new();
    for row in &found {
        let array = |column| -> Result<[u8; 32], Fault> {
            rows::get::<&[u8]>(row, column)?.try_into().map_err(|_| Fault::unexpected("a hash of another length"))
        };
        let request: Option<Uuid> = rows::get(row, "request_id")?;
        kept.insert(array("key")?, (array("fingerprint")?, request.map(RequestId::from)));
    }
    let requests = unit.requests(kept.values().filter_map(|(_, request)| *request)).await?;
    let kept = kept.into_iter().map(|(key, (fingerprint, request))| {
        (key, Kept { fingerprint, request: request.and_then(|id| requests.get(&id).cloned()) })
    });
    Ok(kept.collect())
}

async fn insert(unit: &mut Unit<'_>, new: &[&Creation]) -> Result<(), Fault> {
    rows::write(&mut unit.session, INSERT_REQUESTS, new, "", |values, creation| {
        let request = &creation.request;
        let token = request.asker.token.as_ref();
        values.push_bind(rows::signed(request.created_event.0)).push_bind(request.id.uuid());
        values.push_bind(request.asker.user.id.uuid()).push_bind(request.asker.user.username.as_str());
        values.push_bind(token.map(|token| token.id.uuid())).push_bind(token.map(|token| token.name.as_str()));
        values.push_bind(creation.terms.clone()).push_bind(request.state.status().as_str());
        values.push_bind(request.created_at.micros()).push_bind(request.expires_at.micros());
    })
    .await?;
    let asked: Vec<_> = new
        .iter()
        .flat_map(|creation| {
            let Request { created_event, created_at, state, terms, .. } = &*creation.request;
            terms.to.iter().map(|person| {
                let empty = !creation.deliveries.iter().any(|delivery| delivery.user_id == person.id);
                let due = (empty && creation.request.is_pending()).then_some(created_at.micros());
                (person.id.uuid(), state.status().as_str(), rows::signed(created_event.0), due, empty)
            })
        })
        .collect();
    let head = "INSERT INTO asked (user_id, status, created_event, route_due_at, route_exhausted) ";
    rows::write(
        &mut unit.session,
        head,
        &asked,
        " ON CONFLICT DO NOTHING",
        |values, (user, status, event, due, empty)| {
            values.push_bind(*user).push_bind(*status).push_bind(*event).push_bind(*due).push_bind(*empty);
        },
    )
    .await?;
    let deliveries: Vec<_> = new.iter().flat_map(|creation| &creation.deliveries).collect();
    insert_deliveries(unit, &deliveries).await?;
    let kept: Vec<_> = new.iter().filter_map(|creation| Some((creation, creation.idempotency?))).collect();
    rows::write(&mut unit.session, INSERT_KEYS, &kept, "", |values, (creation, idempotency)| {
        values.push_bind(idempotency.key.to_vec()).push_bind(idempotency.fingerprint.to_vec());
        values.push_bind(creation.request.id.uuid()).push_bind(creation.request.created_at.micros());
    })
    .await?;
    Ok(())
}

/// Stores deliveries that begin.
pub(super) async fn insert_deliveries(unit: &mut Unit<'_>, deliveries: &[&Delivery]) -> Result<(), Fault> {
    rows::write(&mut unit.session, INSERT_DELIVERIES, deliveries, "", |values, delivery| {
        let state = rows::state_columns(&delivery.state);
        values.push_bind(delivery.id.uuid()).push_bind(delivery.request_id.uuid()).push_bind(delivery.user_id.uuid());
        values.push_bind(delivery.channel.as_str()).push_bind(delivery.address.as_str());
        values.push_bind(state.status).push_bind(state.due_at).push_bind(state.not_before);
        values.push_bind(state.receipt).push_bind(state.reason);
    })
    .await?;
    Ok(())
}

pub(super) const KEPT: &str = "SELECT key, fingerprint, request_id FROM idempotency WHERE key IN (";
pub(super) const INSERT_REQUESTS: &str = "INSERT INTO feedback_requests (created_event, id, asker_user_id, asker_username, \
    asker_token_id, asker_token_name, terms, status, created_at, expires_at) ";
pub(super) const INSERT_DELIVERIES: &str = "INSERT INTO deliveries (id, request_id, user_id, channel, address, status, due_at, \
    not_before, receipt, reason) ";
pub(super) const INSERT_KEYS: &str = "INSERT INTO idempotency (key, fingerprint, request_id, at) ";
