//! What happens to a request between its beginning and its end: its deliveries and responses, as events.

use hearback_core::{
    event::{EventId, EventKind, Heard, Listening, Topic},
    feedback::{DeliveryState, Request, Response, Verdict},
    id::DeliveryId,
    person::Reader,
    store::{Candidate, FinishedSend, RouteAdvance, SettleResult, Standing},
};

use super::{Harness, LEASE, World, address, events::ids, receipt};

/// The log of a request, from which each look takes what is new.
struct Told<'a> {
    world: &'a World,
    request: &'a Request,
    last: EventId,
}

impl<'a> Told<'a> {
    fn of(world: &'a World, request: &'a Request) -> Self {
        Self { world, request, last: request.created_event }
    }

    /// What was told since the last look, each at this moment.
    async fn news(&mut self) -> Vec<EventKind> {
        let store = &self.world.store;
        let events = store.request_events(self.request.id, Some(self.last), 100).await.unwrap().unwrap();
        assert!(events.iter().all(|event| event.request.id == self.request.id && event.at == self.world.now()));
        self.last = events.last().map_or(self.last, |event| event.id);
        self.world.tick();
        events.iter().map(|event| event.kind).collect()
    }

    /// A change of this delivery is told, and nothing else.
    async fn is_told(&mut self, delivery: DeliveryId) {
        assert_eq!(self.news().await, [EventKind::Delivery(delivery)]);
    }

    async fn nothing_is_told(&mut self) {
        assert_eq!(self.news().await, []);
    }
}

fn sent() -> DeliveryState {
    DeliveryState::Sent { receipt: receipt("r1") }
}

/// Every change of a delivery is told once; what changes nothing is not, nor is the begin of an attempt.
pub async fn what_becomes_of_a_delivery_is_told(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask(&people)).await;
    let delivery = world.delivery(&request).await.id;
    let mut told = Told::of(&world, &request);
    let claimed = world.claim_sends().await;
    told.nothing_is_told().await;
    let skipped = DeliveryState::Skipped { reason: "not connected".into() };
    world.finish(world.finished(&claimed[0], skipped.clone())).await;
    told.is_told(delivery).await;
    world.finish(world.finished(&claimed[0], skipped)).await;
    told.nothing_is_told().await;
    let queued = world.store.connected(&world.channel, &address("ana"), Some(world.server), world.now()).await.unwrap();
    assert_eq!(queued, 1);
    told.is_told(delivery).await;
    world.store.connected(&world.channel, &address("ana"), Some(world.server), world.now()).await.unwrap();
    told.nothing_is_told().await;

    let claimed = world.claim_sends().await;
    world.finish(FinishedSend { attempted: false, ..world.finished(&claimed[0], sent()) }).await;
    told.is_told(delivery).await;
    for (read, news) in [(false, 1), (false, 0), (true, 1), (false, 0), (true, 0)] {
        let receipt = receipt("r1");
        let known = world.store.acknowledge(&world.channel, &address("ana"), &receipt, read, world.now()).await;
        assert!(known.unwrap());
        assert_eq!(told.news().await, vec![EventKind::Delivery(delivery); news], "{read}");
    }

    world.store.cancel(request.id, world.now()).await.unwrap();
    assert_eq!(told.news().await, [EventKind::Ended]);
    let settle = async |result| {
        let lease = world.now().after(LEASE);
        let claims = world.store.claim_settlements(world.now(), lease, 10).await.unwrap();
        assert_eq!(claims.claimed.len(), 1);
        world.store.finish_settlement(delivery, lease, result, world.now()).await.unwrap();
    };
    settle(SettleResult::Again(world.now())).await;
    told.nothing_is_told().await;
    settle(SettleResult::Settled).await;
    told.is_told(delivery).await;
    let late = world.now().after(LEASE);
    world.store.finish_settlement(delivery, late, SettleResult::Settled, world.now()).await.unwrap();
    told.nothing_is_told().await;
}

/// A settlement that is given up is told, and so is a receipt that turns up, once, also after the end.
pub async fn late_receipts_and_lost_settlements_are_told(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask(&people)).await;
    let mut told = Told::of(&world, &request);
    let claimed = world.claim_sends().await;
    let delivery = claimed[0].delivery.id;
    let note = async || {
        let noted = world.store.note_receipt(&world.channel, delivery, &receipt("r1"), world.now()).await;
        noted.unwrap().expect("it is on the channel").is_news
    };
    let unknown = DeliveryState::Unknown { reason: "timed out".into() };
    world.finish(world.finished(&claimed[0], unknown)).await;
    told.is_told(delivery).await;
    world.store.cancel(request.id, world.now()).await.unwrap();
    assert_eq!(told.news().await, [EventKind::Ended]);
    assert!(note().await);
    told.is_told(delivery).await;
    assert!(!note().await);
    told.nothing_is_told().await;
    let lease = world.now().after(LEASE);
    world.store.claim_settlements(world.now(), lease, 10).await.unwrap();
    let given_up = SettleResult::GivenUp("blocked".into());
    world.store.finish_settlement(delivery, lease, given_up, world.now()).await.unwrap();
    told.is_told(delivery).await;
}

/// What a route begins and what it queues again is told, before that nobody could be reached.
pub async fn the_steps_of_a_route_are_told(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let mut new = world.ask(&people);
    new.deliveries[0].state = DeliveryState::Held { reason: "busy".into(), until: world.now() };
    let first = new.deliveries[0].id;
    let request = world.create(new).await;
    let mut told = Told::of(&world, &request);
    world.hasten_all_routes(world.now()).await;
    let (claims, _) = world.claim_routes().await;
    let further = world.beside(&claims[0]);
    let stranger: DeliveryId = world.ids.next();
    let (begin, again) = (vec![further.clone()], vec![(first, world.now()), (stranger, world.now())]);
    let step = RouteAdvance { begin, again, exhausted: true, now: world.now(), ..world.step(&claims[0]) };
    world.store.finish_route(step.clone()).await.unwrap();
    let mut news = told.news().await;
    assert_eq!(news.pop(), Some(EventKind::Undeliverable));
    let changed = |news: &[EventKind], id| news.contains(&EventKind::Delivery(id));
    assert!(news.len() == 2 && changed(&news, first) && changed(&news, further.id), "{news:?}");
    world.store.finish_route(step).await.unwrap();
    told.nothing_is_told().await;
}

/// A response is told with its verdict, an accepted one before the ending that it brings; a repeated one is not.
pub async fn every_response_is_told_once(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask(&people)).await;
    let other = world.create(world.ask(&people)).await;
    let mut told = Told::of(&world, &request);
    let respond = async |standing, event: &str| {
        let candidate = Candidate { standing, event: Some(event.into()), ..world.candidate(&request, &people[0]) };
        world.respond(candidate).await.response
    };
    let read = async |response: &Response| world.store.response(request.id, response.id).await.unwrap();
    let invalid = respond(Standing::Invalid("what?".into()), "one").await;
    assert_eq!(told.news().await, [EventKind::Response(invalid.id)]);
    assert_eq!(read(&invalid).await.as_ref(), Some(&invalid));
    assert_eq!(respond(Standing::Valid, "one").await.id, invalid.id);
    told.nothing_is_told().await;
    let accepted = respond(Standing::Valid, "two").await;
    assert_eq!(told.news().await, [EventKind::Response(accepted.id), EventKind::Ended]);
    let late = respond(Standing::Valid, "three").await;
    assert_eq!((late.verdict, told.news().await), (Verdict::Late, vec![EventKind::Response(late.id)]));
    assert_eq!(read(&late).await, Some(late.clone()));
    assert_eq!(world.store.response(other.id, late.id).await.unwrap(), None, "it is of another request");
    assert_eq!(world.store.response(request.id, world.ids.next()).await.unwrap(), None);
    assert_eq!(
        world.store.delivery(world.delivery(&other).await.id).await.unwrap(),
        Some(world.delivery(&other).await)
    );
    assert_eq!(world.store.delivery(world.ids.next()).await.unwrap(), None);
}

/// Of the log of one request any part can be read, page by page; other requests are not in it.
pub async fn the_log_of_a_request_is_read_by_itself(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask(&people)).await;
    let other = world.create(world.ask(&people)).await;
    for claim in world.claim_sends().await {
        world.finish(world.finished(&claim, sent())).await;
    }
    world.respond(world.candidate(&other, &people[0])).await;
    world.respond(world.candidate(&request, &people[0])).await;
    let read = async |request: &Request, after: Option<u64>, limit| {
        ids(&world.store.request_events(request.id, after.map(EventId), limit).await.unwrap().unwrap())
    };
    let (whole, of_other) = (read(&request, None, 100).await, read(&other, None, 100).await);
    assert_eq!((whole[0], of_other[0]), (EventId(1), EventId(2)));
    assert_eq!((whole.len(), of_other.len()), (4, 4), "put, sent, a response, the end");
    let mut both = [whole.clone(), of_other].concat();
    both.sort_unstable();
    assert_eq!(both, (1..=8).map(EventId).collect::<Vec<_>>());
    assert_eq!(read(&request, Some(0), 100).await, whole);
    assert_eq!(read(&request, None, 2).await, whole[..2]);
    assert_eq!(read(&request, Some(whole[1].0), 100).await, whole[2..]);
    assert_eq!(read(&request, Some(8), 100).await, []);
    let nobody_knows = world.store.request_events(world.ids.next(), None, 10).await.unwrap().unwrap();
    assert_eq!(ids(&nobody_knows), []);
}

/// The people asked hear when they are asked and when it is over; who waits for the end hears that alone; who asked, and
/// who listens to the request, hear everything.
pub async fn the_bus_wakes_nobody_for_what_they_do_not_wait_for(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let new = world.ask(&people);
    let id = new.request.id;
    let listen = |topic| world.bus.listen(topic);
    let mut agent = listen(Topic::Reader(Reader::Token(world.token())));
    let (mut ana, mut stream) = (listen(Topic::Reader(Reader::Person(people[0].id))), listen(Topic::Request(id)));
    let mut waiter = listen(Topic::Ending(id));
    let request = world.create(new).await;
    let claimed = world.claim_sends().await;
    world.finish(world.finished(&claimed[0], sent())).await;
    world.store.acknowledge(&world.channel, &address("ana"), &receipt("r1"), true, world.now()).await.unwrap();
    let response = world.respond(world.candidate(&request, &people[0])).await.response.id;
    let delivery = EventKind::Delivery(claimed[0].delivery.id);
    let all = [EventKind::Created, delivery, delivery, EventKind::Response(response), EventKind::Ended];
    for listening in [&mut agent, &mut stream] {
        hears(listening, &all).await;
    }
    hears(&mut ana, &[EventKind::Created, EventKind::Ended]).await;
    hears(&mut waiter, &[EventKind::Ended]).await;
    for reader in [Reader::Person(people[0].id), Reader::Token(world.token())] {
        let events = world.store.events(reader, EventId(0), 10).await.unwrap().unwrap();
        let expected =
            if matches!(reader, Reader::Token(_)) { &all[..] } else { &[EventKind::Created, EventKind::Ended] };
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), expected);
    }
}

/// These come next, one after the other. What comes after the last of them is the end of the request, so nothing more does.
async fn hears(listening: &mut Listening, expected: &[EventKind]) {
    for kind in expected {
        match listening.next().await {
            Heard::Event(event) => assert_eq!(event.kind, *kind),
            Heard::Lagged => panic!("expected {kind:?}"),
        }
    }
}
