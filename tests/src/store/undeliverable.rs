//! The event that nobody asked can be reached.

use std::sync::Arc;

use hearback_core::{
    event::{Event, EventId, EventKind, Heard, Topic},
    feedback::{DeliveryState, Request},
    person::{Reader, UserRef},
    store::{FinishedSend, NewRequest, RouteAdvance},
};

use super::{Harness, World, receipt};

/// Looks at the routes of a request, and says of these people whether their route is exhausted.
async fn look(world: &World, request: &Request, people: &[(&UserRef, bool)]) {
    world.hasten_all_routes(world.now()).await;
    for claim in world.claim_routes().await.0 {
        let said =
            people.iter().find(|(person, _)| person.id == claim.person.user.id && claim.request.id == request.id);
        if let Some((_, exhausted)) = said {
            world.store.finish_route(RouteAdvance { exhausted: *exhausted, ..world.step(&claim) }).await.unwrap();
        }
    }
    world.clock.advance(super::LEASE);
}

async fn told(world: &World, reader: Reader) -> Vec<Arc<Event>> {
    let mut events = world.store.events(reader, EventId(0), 100).await.unwrap().unwrap();
    events.retain(|event| event.kind == EventKind::Undeliverable);
    events
}

/// A route that was given up is not any more once something is out by it, whichever way its receipt comes.
pub async fn what_is_out_after_all_is_not_given_up(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let token = Reader::Token(world.token());
    for by_its_attempt in [true, false] {
        let request = world.create(world.ask(&people)).await;
        let claims = world.claim_sends().await;
        let of = |person: &UserRef| claims.iter().find(|claim| claim.delivery.user_id == person.id).unwrap();
        look(&world, &request, &[(&people[0], true)]).await;
        let sent = DeliveryState::Sent { receipt: receipt(if by_its_attempt { "r1" } else { "r2" }) };
        let due = |end| FinishedSend { route_due: Some(world.now()), ..end };
        if by_its_attempt {
            world.finish(due(world.finished(of(&people[0]), sent))).await;
        } else {
            let noted =
                world.store.note_receipt(&world.channel, of(&people[0]).delivery.id, &receipt("r2"), world.now()).await;
            assert!(noted.unwrap().unwrap().is_news);
        }
        let failed = DeliveryState::Failed { reason: "gone".into() };
        world.finish(due(world.finished(of(&people[1]), failed))).await;
        look(&world, &request, &[(&people[1], true)]).await;
        assert!(told(&world, token).await.is_empty(), "Ana has the question");
    }
}

/// It is told when the last of those asked is given up for now, to the token that asked, and never again.
pub async fn that_nobody_is_reached_is_told_once(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let request = world.create(world.ask(&people)).await;
    let other = world.create(world.ask(&people[..1])).await;
    let token = Reader::Token(world.token());
    let mut of_request = world.bus.listen(Topic::Request(request.id));
    let mut of_token = world.bus.listen(Topic::Reader(token));
    let mut of_ana = world.bus.listen(Topic::Reader(Reader::Person(people[0].id)));
    let (ana, ben) = (&people[0], &people[1]);
    look(&world, &request, &[(ana, true)]).await;
    look(&world, &request, &[(ana, false)]).await;
    look(&world, &request, &[(ben, true)]).await;
    assert!(told(&world, token).await.is_empty(), "there is hope for Ana");
    look(&world, &request, &[(ana, false), (ben, true)]).await;
    let last = world.now();
    look(&world, &request, &[(ana, true)]).await;

    let [event] = &*told(&world, token).await else { panic!("expected it told once") };
    assert_eq!((event.id, event.at, event.request.id), (EventId(3), last, request.id));
    assert!(event.request.is_pending(), "it stays answerable");
    for reader in people.iter().map(|person| Reader::Person(person.id)) {
        assert!(told(&world, reader).await.is_empty(), "that is none of theirs");
    }
    for listening in [&mut of_request, &mut of_token] {
        match listening.next().await {
            Heard::Event(heard) => assert_eq!((heard.id, heard.kind), (event.id, EventKind::Undeliverable)),
            Heard::Lagged => panic!("expected the event"),
        }
    }
    look(&world, &request, &[(ana, false), (ben, false)]).await;
    look(&world, &request, &[(ana, true), (ben, true)]).await;
    assert_eq!(told(&world, token).await.len(), 1);
    assert_eq!(world.store.head().await.unwrap(), event.id);
    look(&world, &other, &[(ana, true)]).await;
    assert_eq!(told(&world, token).await.len(), 2, "another request is told of by itself");

    let pending = world.store.pending(token, EventId(0), 10).await.unwrap();
    assert!(pending.iter().all(|event| event.kind == EventKind::Created));
    let recorded = world.respond(world.candidate(&request, ben)).await;
    assert!(!recorded.request.is_pending());
    match of_ana.next().await {
        Heard::Event(heard) => assert_eq!(heard.kind, EventKind::Ended, "the people asked heard nothing before"),
        Heard::Lagged => panic!("expected the event"),
    }
}

/// Who has no channel at all holds nothing up; where nobody has one, that was known from the start.
pub async fn an_empty_route_counts_as_exhausted(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let token = Reader::Token(world.token());
    let mut new = world.ask(&people);
    new.deliveries.truncate(1);
    let request = world.create(new).await;
    let nobody = world.create(NewRequest { deliveries: Vec::new(), ..world.ask(&people) }).await;
    look(&world, &nobody, &[(&people[0], true), (&people[1], true)]).await;
    assert!(told(&world, token).await.is_empty());
    look(&world, &request, &[(&people[0], true)]).await;
    let events = told(&world, token).await;
    assert_eq!(events.iter().map(|event| event.request.id).collect::<Vec<_>>(), [request.id]);
    // A channel that appears and fails is something new.
    look(&world, &nobody, &[(&people[0], false)]).await;
    look(&world, &nobody, &[(&people[0], true)]).await;
    assert_eq!(told(&world, token).await.len(), 2);
}

/// Who puts a request in person is told nothing, and neither is anybody of a request that has ended.
pub async fn nothing_is_told_of_what_has_ended(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let token = Reader::Token(world.token());
    let request = world.create(world.ask(&people)).await;
    world.hasten_all_routes(world.now()).await;
    let (claims, _) = world.claim_routes().await;
    world.store.cancel(request.id, world.now()).await.unwrap();
    let head = world.store.head().await.unwrap();
    world.store.finish_route(RouteAdvance { exhausted: true, ..world.step(&claims[0]) }).await.unwrap();
    assert!(told(&world, token).await.is_empty());
    assert_eq!(world.store.head().await.unwrap(), head);

    let mut new = world.ask(&people);
    new.request.asker.token = None;
    let request = world.create(new).await;
    look(&world, &request, &[(&people[0], true)]).await;
    for reader in [token, Reader::Person(world.asker.user.id), Reader::Person(people[0].id)] {
        assert!(told(&world, reader).await.is_empty());
    }
}
