//! What holds after every schedule, whatever happened in it.

use std::{collections::BTreeMap, sync::Arc};

use hearback_core::{
    callback::{Callback, CallbackKind, CallbackMessage, CallbackState},
    event::{Event, EventId, EventKind},
    feedback::{Delivery, DeliveryState, Request, Response, Verdict},
    id::RequestId,
    person::Reader,
    store::{RequestQuery, Scope, Store},
};

use super::{
    invariant::Invariant,
    people::TOKEN,
    provider::{Shown, told},
    schedule::Simulation,
    world::World,
};

/// A request with everything that is known of it.
#[derive(Debug)]
pub struct Whole {
    /// The request.
    pub request: Arc<Request>,
    /// What was sent of it, or is to be.
    pub deliveries: Vec<Delivery>,
    /// What people answered.
    pub responses: Vec<Response>,
    /// What the agent is told at its URL.
    pub callbacks: Vec<Callback>,
}

/// Every request.
pub async fn all(simulation: &Simulation) -> Vec<Whole> {
    let scope = Scope::AskedByToken(TOKEN.parse().unwrap());
    let query = RequestQuery { scope, status: None, before: None, limit: 10_000 };
    let mut all = Vec::new();
    for request in simulation.store.requests(query).await.unwrap().items {
        let deliveries = simulation.store.deliveries(request.id, None, 10_000).await.unwrap().items;
        let responses = simulation.store.responses(request.id, None, 10_000).await.unwrap().items;
        let callbacks = simulation.store.callbacks(request.id, None, 100).await.unwrap().items;
        all.push(Whole { request, deliveries, responses, callbacks });
    }
    all
}

fn is_done(delivery: &Delivery) -> bool {
    match &delivery.state {
        DeliveryState::Settled => true,
        DeliveryState::Failed { reason } | DeliveryState::Unknown { reason } => !reason.is_empty(),
        _ => false,
    }
}

/// Whether what is given up, or unknown, is so for a cause that lay with the provider or with a server's end.
#[must_use]
pub fn had_cause(world: &World, delivery: &Delivery) -> bool {
    match delivery.state {
        DeliveryState::Failed { .. } => world.causes.was_refused(delivery.id),
        DeliveryState::Unknown { .. } => world.causes.is_doubtful(delivery.id),
        _ => true,
    }
}

/// Whether nothing is left to do.
pub async fn all_is_done(simulation: &Simulation) -> bool {
    let told = |callback: &Callback| !matches!(callback.state, CallbackState::Queued { .. });
    let done = |whole: &Whole| {
        let settled = whole.deliveries.iter().all(is_done);
        !whole.request.is_pending() && settled && whole.callbacks.iter().all(told)
    };
    all(simulation).await.iter().all(done) && simulation.outbox.is_empty()
}

/// Checks everything that holds at the end.
pub async fn everything(simulation: &Simulation) {
    let world = &simulation.world;
    let all = all(simulation).await;
    for whole in &all {
        check_responses(world, whole);
        check_deliveries(simulation, whole);
        check_callbacks(world, whole);
        if whole.request.is_pending() {
            world.broken(Invariant::EveryRequestEnds, format!("{} is pending", whole.request.id));
        }
    }
    check_creations(world, &all);
    check_promises(world, &all);
    check_events(simulation, &all).await;
    for (number, id) in world.ledger.waiting.lock().unwrap().iter() {
        world.broken(Invariant::WaitersHear, format!("waiter {number} heard nothing of the end of {id}"));
    }
}

fn check_responses(world: &World, Whole { request, responses, .. }: &Whole) {
    let accepted: Vec<_> = responses.iter().filter(|response| response.verdict == Verdict::Accepted).collect();
    if accepted.len() > 1 {
        world.broken(Invariant::OneAccepted, format!("{} has {} accepted responses", request.id, accepted.len()));
    }
    let answered = request.ending().and_then(|ending| ending.outcome()).filter(|outcome| outcome.by.is_some());
    let same = match (answered, accepted.first()) {
        (Some(outcome), Some(response)) => {
            (&outcome.value, &outcome.by, outcome.at) == (&response.value, &response.by, response.at)
        }
        (None, None) => true,
        _ => false,
    };
    if !same {
        world.broken(Invariant::OneAccepted, format!("{}: the outcome is not the accepted response", request.id));
    }
    let mut events: BTreeMap<_, u32> = BTreeMap::new();
    for response in responses {
        if let Some(event) = response.comment.as_ref() {
            *events.entry((response.channel.clone(), event)).or_default() += 1;
        }
    }
    for ((channel, event), count) in events {
        if count > 1 {
            world.broken(Invariant::RepeatedIsOnce, format!("{event} on {channel} is {count} responses"));
        }
    }
}

fn check_deliveries(simulation: &Simulation, Whole { request, deliveries, .. }: &Whole) {
    let world = &simulation.world;
    for (index, delivery) in deliveries.iter().enumerate() {
        let Delivery { id, channel, state, attempts, .. } = delivery;
        if !is_done(delivery) || !had_cause(world, delivery) {
            world.broken(Invariant::SettledOrGivenUp, format!("{id} on {channel} is {state:?}"));
        }
        if simulation.store.attempts_at_end(*id).is_some_and(|at_end| attempts.len() > at_end) {
            world.broken(Invariant::NoAttemptAfterTheEnd, format!("{id} has {} attempts", attempts.len()));
        }
        let same = |other: &Delivery| {
            other.user_id == delivery.user_id && other.channel == *channel && other.address == delivery.address
        };
        if deliveries[..index].iter().any(same) {
            world.broken(Invariant::AskedOnce, format!("{id} is a second delivery to {}", delivery.address));
        }
        let provider = simulation.providers.iter().find(|provider| provider.name == *channel);
        let Some((provider, shown)) = provider.and_then(|one| Some((one, one.shown(*id)?))) else { continue };
        if shown.times > 1 && !provider.capabilities.idempotent_send {
            world.broken(Invariant::AskedOnce, format!("{id} was shown {} times on {channel}", shown.times));
        }
        let returned = world.ledger.has_receipt(*id) && !provider.capabilities.idempotent_send;
        let unknown = matches!(state, DeliveryState::Unknown { .. });
        if unknown && (returned || world.causes.was_noted(*id)) {
            world.broken(Invariant::ReceiptsAreKept, format!("{id} on {channel} is {state:?}"));
        }
        if *state == DeliveryState::Settled && !was_told(&shown, request) {
            world.broken(Invariant::PeopleAreTold, format!("{id} on {channel} is settled, but shows {:?}", shown.told));
        }
    }
}

fn was_told(shown: &Shown, request: &Request) -> bool {
    let Some(ending) = request.ending() else { return false };
    shown.deleted || shown.told.as_ref().is_some_and(|text| text.contains(&told(ending)))
}

/// What the agent was told is what happened, once or more, under the id of its callback; nothing else was told.
fn check_callbacks(world: &World, Whole { request, callbacks, .. }: &Whole) {
    let heard = world.ledger.called_back.lock().unwrap();
    let heard: Vec<_> = heard.iter().filter(|(_, message)| message.data.id == request.id).collect();
    let broken = |detail| world.broken(Invariant::AskerIsCalledBack, format!("{}: {detail}", request.id));
    for (id, message) in &heard {
        let callback = callbacks.iter().find(|callback| callback.id == *id);
        if callback.is_none_or(|callback| CallbackMessage::new(callback, request) != *message) {
            broken(format!("the agent heard {message:?}"));
        }
    }
    for Callback { id, state, .. } in callbacks {
        let delivered = matches!(state, CallbackState::Delivered { .. });
        if !delivered || !heard.iter().any(|(told, _)| told == id) {
            broken(format!("callback {id} is {state:?}"));
        }
    }
    let endings = callbacks.iter().filter(|callback| callback.kind != CallbackKind::Undeliverable).count();
    let expected = usize::from(request.terms.callback_url.is_some() && !request.is_pending());
    if endings != expected {
        broken(format!("its ending is told by {endings} callbacks"));
    }
}

fn check_creations(world: &World, all: &[Whole]) {
    let stored = |id: RequestId| all.iter().find(|whole| whole.request.id == id);
    for created in world.ledger.created.lock().unwrap().iter() {
        let kept = stored(created.id).is_some_and(|whole| {
            whole.request.terms == created.terms && whole.request.expires_at == created.expires_at
        });
        if !kept {
            world.broken(Invariant::NothingAcknowledgedLost, format!("{} was created, and is lost", created.id));
        }
    }
    let keys = world.ledger.keys.lock().unwrap();
    for number in keys.keys() {
        let with = |whole: &&Whole| whole.request.terms.metadata.get("number") == Some(&(*number).into());
        if all.iter().filter(with).count() > 1 {
            world.broken(Invariant::RepeatedIsOnce, format!("key {number} made several requests"));
        }
    }
}

fn check_promises(world: &World, all: &[Whole]) {
    let heard = world.ledger.heard.lock().unwrap();
    let mut events = BTreeMap::new();
    for one in heard.iter() {
        let response = &one.response;
        let whole = all.iter().find(|whole| whole.request.id == response.request_id);
        let kept = whole.is_some_and(|whole| whole.responses.contains(response));
        if !kept {
            let detail = format!("response {} was {:?}, and is lost", response.id, response.verdict);
            world.broken(Invariant::NothingAcknowledgedLost, detail);
        }
        if let Some(event) = &one.event
            && *events.entry((response.channel.clone(), event)).or_insert(response.id) != response.id
        {
            world.broken(Invariant::RepeatedIsOnce, format!("{event} became a second response"));
        }
    }
    for (id, ending) in world.ledger.endings.lock().unwrap().iter() {
        let whole = all.iter().find(|whole| whole.request.id == *id);
        if whole.is_none_or(|whole| whole.request.ending() != Some(ending)) {
            world.broken(Invariant::NothingAcknowledgedLost, format!("{id} does not end as was said: {ending:?}"));
        }
    }
}

async fn check_events(simulation: &Simulation, all: &[Whole]) {
    let reader = Reader::Token(TOKEN.parse().unwrap());
    let events: Vec<Arc<Event>> = simulation.store.events(reader, EventId(0), 100_000).await.unwrap().unwrap();
    for Whole { request, .. } in all {
        let count = |kind| events.iter().filter(|event| event.request.id == request.id && event.kind == kind).count();
        let counts = [EventKind::Created, EventKind::Undeliverable, EventKind::Ended].map(count);
        if !matches!(counts, [1, 0 | 1, 1]) {
            let detail = format!("{} was created, undeliverable and ended {counts:?} times", request.id);
            simulation.world.broken(Invariant::EveryRequestEnds, detail);
        }
    }
}
