//! What holds whenever everybody waits, where nothing slows a server down; and what holds once all has been well for hours.

use std::time::Duration;

use hearback_core::{
    channel::ChannelName,
    feedback::{Delivery, DeliveryState, Request, Strategy},
    id::UserId,
    store::Store,
};

use super::{
    check::{Whole, all, had_cause},
    invariant::Invariant,
    routes::{AWAY_AFTER, has_failed, patience},
    schedule::Simulation,
    world::World,
};

/// Calls of the store take next to no time, but some.
const MARGIN: Duration = Duration::from_secs(2);

/// Where calls of the store neither fail nor take their time, nothing that is due lies about once everybody waits: whatever
/// made it due has woken whoever does it.
pub async fn work_has_begun(simulation: &Simulation) {
    let (world, memory) = (&simulation.world, &simulation.store.memory);
    let now = world.now();
    // A limit of none claims nothing.
    let routes = memory.claim_routes(now, now, 0).await.unwrap().next_due;
    let settlements = memory.claim_settlements(now, now, 0).await.unwrap().next_due;
    let callbacks = memory.claim_callbacks(now, now, 0).await.unwrap().next_due;
    let mut all_due = vec![("route", routes), ("settlement", settlements), ("callback", callbacks)];
    for server in simulation.living() {
        // Each looks after what is not left for others.
        all_due.push(("send", memory.claim_sends(server, now, now, 0).await.unwrap().next_due));
    }
    for (what, due) in all_due {
        if due.is_some_and(|due| due <= now) {
            world.broken(Invariant::DueWorkBegins, format!("a {what} is due since {due:?}, and nobody takes it up"));
        }
    }
    for Whole { request, deliveries, .. } in all(simulation).await {
        if request.is_pending() {
            if request.expires_at <= now {
                world.broken(Invariant::DueWorkBegins, format!("the deadline of {} has passed", request.id));
            }
            for person in &request.terms.to {
                stops_have_begun(simulation, &request, person.id, &deliveries);
            }
            undeliverable_is_told(simulation, &request, &deliveries);
        } else {
            let unsettled = |one: &&Delivery| one.state.receipt().is_some() && !simulation.store.was_settling(one.id);
            if let Some(Delivery { id, channel, .. }) = deliveries.iter().find(unsettled) {
                world.broken(Invariant::DueWorkBegins, format!("nobody settles {id} on {channel}"));
            }
        }
    }
}

/// Nobody's route stands still while it leads further: not after a failure, after silence, or after somebody has left.
fn stops_have_begun(simulation: &Simulation, request: &Request, person: UserId, deliveries: &[Delivery]) {
    let world = &simulation.world;
    let theirs: Vec<_> = deliveries.iter().filter(|one| one.user_id == person).collect();
    if request.terms.strategy == Strategy::Fallback && theirs.iter().any(|one| is_waited_for(world, request, one)) {
        return;
    }
    if let Some(channel) = left_of_route(simulation, request, person, deliveries).first() {
        let states: Vec<_> = theirs.iter().map(|one| (one.channel.as_str(), &one.state)).collect();
        let detail = format!("{} does not go on to {channel} for {person}: {states:?}", request.id);
        world.broken(Invariant::DueWorkBegins, detail);
    }
}

/// Whether a delivery keeps its route from going on.
fn is_waited_for(world: &World, request: &Request, delivery: &Delivery) -> bool {
    let place = (delivery.channel.clone(), delivery.address.clone());
    let away_since = world.people.known_away_since(&place);
    match &delivery.state {
        DeliveryState::Sending { .. } => true,
        DeliveryState::Queued { due, .. } => *due <= world.now(),
        // Who is back may not have been heard of yet.
        DeliveryState::Skipped { .. } => away_since.is_none(),
        state if state.receipt().is_some() => {
            let Some(out_since) = world.causes.out_since(delivery.id) else { return true };
            let silent_at = out_since.after(patience(request));
            let unseen_at = away_since.map(|since| since.max(out_since).after(AWAY_AFTER));
            unseen_at.map_or(silent_at, |unseen_at| unseen_at.min(silent_at)).after(MARGIN) > world.now()
        }
        _ => false,
    }
}

/// Where everything that was ever tried was refused, the asker has been told.
fn undeliverable_is_told(simulation: &Simulation, request: &Request, deliveries: &[Delivery]) {
    let ended = !deliveries.is_empty() && deliveries.iter().all(has_failed);
    let whole = |person: UserId| left_of_route(simulation, request, person, deliveries).is_empty();
    if ended && request.terms.to.iter().all(|person| whole(person.id)) && !simulation.store.routes.was_told(request.id)
    {
        let detail = format!("all that was sent of {} has failed, and the asker is not told", request.id);
        simulation.world.broken(Invariant::UndeliverableIsTold, detail);
    }
}

/// Once everything has been well for hours, every open request has got as far as its route leads.
pub async fn routes_went_on(simulation: &Simulation) {
    let world = &simulation.world;
    for Whole { request, deliveries, .. } in all(simulation).await {
        if !request.is_pending() {
            continue;
        }
        for delivery in &deliveries {
            let out = delivery.state.receipt().is_some();
            let given_up = matches!(delivery.state, DeliveryState::Failed { .. } | DeliveryState::Unknown { .. });
            let excused = given_up && had_cause(world, delivery);
            if !out && !excused {
                let how = request.terms.strategy;
                let detail = format!("{} on {} ({how:?}) is still {:?}", delivery.id, delivery.channel, delivery.state);
                world.broken(Invariant::RoutesGoOn, detail);
            }
        }
        for person in &request.terms.to {
            for channel in left_of_route(simulation, &request, person.id, &deliveries) {
                let detail = format!("{} never went on to {channel} for {}", request.id, person.username);
                world.broken(Invariant::RoutesGoOn, detail);
            }
        }
        undeliverable_is_told(simulation, &request, &deliveries);
    }
}

/// The channels that a request has yet to try for somebody: reckoned here once more, by the contract.
fn left_of_route(
    simulation: &Simulation,
    request: &Request,
    person: UserId,
    deliveries: &[Delivery],
) -> Vec<ChannelName> {
    let Some(known) = simulation.people.iter().find(|known| known.user.id == person) else { return Vec::new() };
    let named: Vec<_> = request.terms.channels.iter().map(|step| step.channel.clone()).collect();
    let all = if named.is_empty() { simulation.providers.iter().map(|one| one.name.clone()).collect() } else { named };
    let has = |name: &ChannelName| known.addresses.iter().any(|(on, _)| on == name);
    let begun = |name: &ChannelName| deliveries.iter().any(|one| one.user_id == person && one.channel == *name);
    all.into_iter().filter(|name| has(name) && !begun(name)).collect()
}
