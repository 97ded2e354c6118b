//! Responses: judged in the order of the queue against their requests, which are read once a batch.

use std::collections::HashMap;

use hearback_core::{
    channel::{ChannelName, Recorded},
    event::EventKind,
    feedback::Response,
    store::{Candidate, judge},
};

use super::{ending, fault::Fault, queue::Job, rows, unit::Unit};

/// The provider's own id of an event, which is unique on its channel.
type ProviderEvent = (ChannelName, String);

pub(super) async fn run(unit: &mut Unit<'_>, jobs: &mut [&mut Job<Candidate, Option<Recorded>>]) -> Result<(), Fault> {
    if jobs.is_empty() {
        return Ok(());
    }
    let mut requests = unit.requests(jobs.iter().map(|job| job.input.request_id)).await?;
    let mut earlier = earlier(unit, jobs).await?;
    let mut over = Vec::new();
    let mut new = Vec::with_capacity(jobs.len());
    for job in jobs {
        let candidate = &job.input;
        let Some(request) = requests.get_mut(&candidate.request_id) else {
            job.answer(None);
            continue;
        };
        let event = candidate.event.clone().map(|event| (candidate.channel.clone(), event));
        if let Some(response) = event.as_ref().and_then(|event| earlier.get(event)) {
            let recorded = Recorded { response: response.clone(), request: request.clone(), duplicate: true };
            job.answer(Some(recorded));
            continue;
        }
        let judgement = judge(request, candidate);
        let response = judgement.response(candidate);
        let ended = judgement.ending.map(|ending| ending::end(request, ending, candidate.at));
        unit.record(EventKind::Response(response.id), request, candidate.at);
        if let Some(ended) = ended {
            unit.record(EventKind::Ended, request, candidate.at);
            over.push(ended);
        }
        let recorded = Recorded { response: response.clone(), request: request.clone(), duplicate: false };
        new.push((response.clone(), candidate.event.clone()));
        if let Some(event) = event {
            earlier.insert(event, response);
        }
        job.answer(Some(recorded));
    }
    ending::write(unit, &over).await?;
    insert(unit, &new).await
}

/// The responses that the provider events of this batch made before.
async fn earlier(
    unit: &mut Unit<'_>,
    jobs: &[&mut Job<Candidate, Option<Recorded>>],
) -> Result<HashMap<ProviderEvent, Response>, Fault> {
    let events: Vec<_> = jobs.iter().filter_map(|job| Some((&job.input.channel, job.input.event.as_ref()?))).collect();
    let found = rows::read(&mut unit.session, EARLIER_HEAD, &events, EARLIER_TAIL, |values, (channel, event)| {
        values.push_bind(channel.as_str()).push_bind(event.as_str());
    })
    .await?;
    found
        .iter()
        .map(|row| {
            let response = rows::response(row)?;
            Ok(((response.channel.clone(), rows::get(row, "event")?), response))
        })
        .collect()
}

async fn insert(unit: &mut Unit<'_>, new: &[(Response, Option<String>)]) -> Result<(), Fault> {
    rows::write(&mut unit.session, INSERT, new, "", |values, (response, event)| {
        values.push_bind(response.id.uuid()).push_bind(response.request_id.uuid());
        let by = response.by.as_ref();
        values.push_bind(by.map(|by| by.id.uuid())).push_bind(by.map(|by| by.username.as_str()));
        values.push_bind(response.channel.as_str()).push_bind(event.as_deref());
        values.push_bind(response.value.to_string()).push_bind(response.comment.as_deref());
        values.push_bind(rows::verdict_word(response.verdict)).push_bind(response.reason.as_deref());
        values.push_bind(response.at.micros());
    })
    .await?;
    Ok(())
}

pub(super) const EARLIER_HEAD: &str = "WITH given (channel, event) AS (";
pub(super) const EARLIER_TAIL: &str = concat!(
    ") SELECT ",
    rows::response_columns!(),
    " FROM given CROSS JOIN responses s WHERE s.channel = given.channel AND s.event = given.event AND s.event IS NOT NULL"
);
pub(super) const INSERT: &str = "INSERT INTO responses (id, request_id, by_user_id, by_username, channel, event, value, comment, \
    verdict, reason, at) ";
