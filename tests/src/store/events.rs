//! The log of events and the bus.

use std::sync::Arc;

use hearback_core::{
    event::{BadCursor, Event, EventId, EventKind, Heard, Topic},
    person::Reader,
};

use super::{Harness, World};

pub(crate) fn ids(events: &[Arc<Event>]) -> Vec<EventId> {
    events.iter().map(|event| event.id).collect()
}

/// A reader gets what concerns it, in order, and goes on after any place it has reached.
pub async fn events_come_in_order_to_those_they_concern(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let both = world.create(world.ask(&people)).await;
    world.tick();
    let mut new = world.ask(&people[..1]);
    new.request.asker.token = None;
    let ana_only = world.create(new).await;
    world.tick();
    world.respond(world.candidate(&both, &people[1])).await;
    let ended = world.now();
    world.store.cancel(ana_only.id, world.now()).await.unwrap();
    assert_eq!(world.store.head().await.unwrap(), EventId(5));

    let read = async |reader, after, limit| {
        world.store.events(reader, EventId(after), limit).await.unwrap().expect("a place in the log")
    };
    let ana = read(Reader::Person(people[0].id), 0, 10).await;
    assert_eq!(ids(&ana), [1, 2, 4, 5].map(EventId), "a response is told to who asked, and to nobody else");
    assert_eq!(
        ana.iter().map(|event| event.at).collect::<Vec<_>>(),
        [both.created_at, ana_only.created_at, ended, ended]
    );
    let kinds = [EventKind::Created, EventKind::Created, EventKind::Ended, EventKind::Ended];
    assert_eq!(ana.iter().map(|event| event.kind).collect::<Vec<_>>(), kinds);
    assert!(ana.iter().all(|event| !event.request.is_pending()), "a creation read late shows the request as it is");
    assert_eq!(ids(&read(Reader::Person(people[1].id), 0, 10).await), [1, 4].map(EventId));
    assert_eq!(ids(&read(Reader::Token(world.token()), 0, 10).await), [1, 3, 4].map(EventId));
    assert!(read(Reader::Person(world.asker.user.id), 0, 10).await.is_empty(), "who asks by a token hears there");
    assert_eq!(ids(&read(Reader::Person(people[0].id), 0, 2).await), [1, 2].map(EventId));
    assert_eq!(ids(&read(Reader::Person(people[0].id), 2, 2).await), [4, 5].map(EventId));
    assert!(read(Reader::Person(people[0].id), 5, 2).await.is_empty());
}

/// A place that the log has not reached is no cursor of this hub.
pub async fn a_place_beyond_the_log_is_no_cursor(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let reader = Reader::Person(people[0].id);
    assert_eq!(world.store.head().await.unwrap(), EventId(0));
    assert_eq!(world.store.events(reader, EventId(0), 10).await.unwrap().map(|events| events.len()), Ok(0));
    assert!(matches!(world.store.events(reader, EventId(1), 10).await.unwrap(), Err(BadCursor::Unknown)));
    world.create(world.ask(&people)).await;
    assert_eq!(world.store.events(reader, EventId(1), 10).await.unwrap().map(|events| events.len()), Ok(0));
    assert!(matches!(world.store.events(reader, EventId(2), 10).await.unwrap(), Err(BadCursor::Unknown)));
    assert!(matches!(world.store.events(reader, EventId(u64::MAX), 10).await.unwrap(), Err(BadCursor::Unknown)));
}

/// Creations of what is still pending, for people and for tokens, in order and page by page.
pub async fn what_is_pending_is_told_again(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let mut requests = Vec::new();
    for _ in 0..5 {
        requests.push(world.create(world.ask(&people)).await);
    }
    world.create(world.ask(&people[1..])).await;
    world.respond(world.candidate(&requests[1], &people[1])).await;
    world.store.cancel(requests[3].id, world.now()).await.unwrap();
    let pending = async |reader, after, limit| {
        let events = world.store.pending(reader, EventId(after), limit).await.unwrap();
        assert!(events.iter().all(|event| {
            event.kind == EventKind::Created && event.id == event.request.created_event && event.request.is_pending()
        }));
        ids(&events)
    };
    let ana = Reader::Person(people[0].id);
    assert_eq!(pending(ana, 0, 10).await, [1, 3, 5].map(EventId));
    assert_eq!(pending(ana, 0, 2).await, [1, 3].map(EventId));
    assert_eq!(pending(ana, 3, 2).await, [EventId(5)]);
    assert_eq!(pending(Reader::Person(people[1].id), 0, 10).await, [1, 3, 5, 6].map(EventId));
    assert_eq!(pending(Reader::Token(world.token()), 1, 2).await, [3, 5].map(EventId));
    assert!(pending(Reader::Person(world.asker.user.id), 0, 10).await.is_empty());
    let at: Vec<_> = world.store.pending(ana, EventId(0), 1).await.unwrap().iter().map(|event| event.at).collect();
    assert_eq!(at, [requests[0].created_at]);
}

/// Under concurrency a listener, which reads the log where the bus left it behind, gets every event once and in order.
/// Whoever was answered can already read the event.
pub async fn the_bus_carries_events_in_the_order_of_their_ids(harness: &dyn Harness) {
    const REQUESTS: u64 = 120;
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let reader = Reader::Token(world.token());
    let mut listening = world.bus.listen(Topic::Reader(reader));
    let store = world.store.clone();
    let listener = tokio::spawn(async move {
        let mut heard: Vec<EventId> = Vec::new();
        loop {
            let last = heard.last().copied().unwrap_or_default();
            if last >= EventId(3 * REQUESTS) {
                break;
            }
            match listening.next().await {
                // What the log gave may come by the bus as well.
                Heard::Event(event) if event.id <= last => {}
                Heard::Event(event) => heard.push(event.id),
                Heard::Lagged => heard.extend(ids(&store.events(reader, last, 1000).await.unwrap().unwrap())),
            }
        }
        heard
    });
    let askers: Vec<_> = (0..REQUESTS)
        .map(|_| {
            let new = world.ask(&people);
            let answer = world.candidate(&new.request, &people[0]);
            let store = world.store.clone();
            tokio::spawn(async move {
                let id = new.request.id;
                store.create(new).await.unwrap();
                let request = store.request(id).await.unwrap().expect("what was answered can be read");
                assert!(store.head().await.unwrap() >= request.created_event);
                let recorded = store.respond(answer).await.unwrap().unwrap();
                assert!(!recorded.request.is_pending());
            })
        })
        .collect();
    for asker in askers {
        asker.await.unwrap();
    }
    let expected: Vec<_> = (1..=3 * REQUESTS).map(EventId).collect();
    assert_eq!(listener.await.unwrap(), expected);
    let log = world.store.events(reader, EventId(0), 1000).await.unwrap().unwrap();
    assert_eq!(ids(&log), expected, "the log holds what the bus carried");
}
