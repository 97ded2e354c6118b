//! Events are removed by their age, from the beginning of the log.

use std::time::Duration;

use hearback_core::{
    Timestamp,
    event::{BadCursor, EventId, EventKind},
    feedback::Status,
    person::Reader,
    store::{Prune, RequestQuery, RouteAdvance, Scope},
};

use super::{BEGIN, Harness, World, events::ids};

impl World {
    /// Removes at most so many events of before this; says whether there may be more.
    async fn prune(&self, events_before: Timestamp, limit: usize) -> bool {
        self.store.prune(Prune { keys_before: BEGIN, events_before, limit }).await.unwrap()
    }

    /// What the log still has for the agent.
    async fn left(&self, after: u64) -> Result<Vec<EventId>, BadCursor> {
        let events = self.store.events(Reader::Token(self.token()), EventId(after), 100).await.unwrap();
        events.map(|events| ids(&events))
    }
}

fn places(numbers: impl IntoIterator<Item = u64>) -> Vec<EventId> {
    numbers.into_iter().map(EventId).collect()
}

/// What is old goes, oldest first and no more of it at once than is asked for; the newest event stays whatever its age.
pub async fn old_events_are_removed_from_the_beginning(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    assert!(!world.prune(world.now().after(Duration::from_hours(1)), 10).await, "there is nothing to remove");
    for _ in 0..6 {
        world.create(world.ask(&people)).await;
        world.tick();
    }
    assert!(!world.prune(BEGIN, 10).await, "nothing is older than the oldest");
    assert_eq!(world.left(0).await, Ok(places(1..=6)));
    assert!(world.prune(BEGIN.after(Duration::from_secs(3)), 2).await, "one more is old");
    assert_eq!(world.left(2).await, Ok(places(3..=6)));
    assert!(!world.prune(BEGIN.after(Duration::from_secs(3)), 2).await);
    assert_eq!(world.left(3).await, Ok(places(4..=6)));
    let ana = Reader::Person(people[0].id);
    assert_eq!(ids(&world.store.events(ana, EventId(3), 100).await.unwrap().unwrap()), [4, 5, 6].map(EventId));
    let long_after = world.now().after(Duration::from_hours(1));
    assert!(!world.prune(long_after, 100).await);
    assert_eq!(world.left(5).await, Ok(places([6])));
    assert_eq!(world.store.head().await.unwrap(), EventId(6));
    let next = world.create(world.ask(&people)).await;
    assert_eq!(next.created_event, EventId(7), "places are not given twice");
    assert_eq!(world.left(5).await, Ok(places([6, 7])));
}

/// A clock that was wrong when an event was written leaves no hole in the log.
pub async fn no_event_is_removed_from_between(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    world.create(world.ask(&people)).await;
    world.clock.advance(Duration::from_hours(2));
    world.create(world.ask(&people)).await;
    for _ in 0..2 {
        let mut new = world.ask(&people);
        new.request.created_at = BEGIN;
        world.create(new).await;
    }
    assert!(!world.prune(BEGIN.after(Duration::from_hours(1)), 10).await);
    assert_eq!(world.left(1).await, Ok(places([2, 3, 4])));
}

/// A place before what is left is told apart from one that the log has not reached. From the last one removed the log can
/// be read on: nothing is missing after it.
pub async fn a_cursor_older_than_the_log_has_expired(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let first = world.create(world.ask(&people)).await;
    for _ in 0..3 {
        world.create(world.ask(&people)).await;
    }
    world.store.cancel(first.id, world.now()).await.unwrap();
    world.tick();
    world.prune(world.now(), 2).await;
    for (after, expected) in [
        (0, Err(BadCursor::Expired)),
        (1, Err(BadCursor::Expired)),
        (2, Ok(places([3, 4, 5]))),
        (5, Ok(places([]))),
        (6, Err(BadCursor::Unknown)),
        (u64::MAX, Err(BadCursor::Unknown)),
    ] {
        assert_eq!(world.left(after).await, expected, "{after}");
        let of_request = world.store.request_events(first.id, Some(EventId(after)), 10).await.unwrap();
        let expected = expected.map(|left| left.into_iter().filter(|id| *id == EventId(5)).collect::<Vec<_>>());
        assert_eq!(of_request.map(|events| ids(&events)), expected, "{after}");
    }
    let left = world.store.request_events(first.id, None, 10).await.unwrap().unwrap();
    assert_eq!(left.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Ended]);
}

/// A pending request is told of, listed and answered when the log knows nothing of its beginning any more; and that nobody
/// could be reached is not told again.
pub async fn what_is_pending_outlives_its_events(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask(&people)).await;
    let exhausted = async || {
        world.hasten_all_routes(world.now()).await;
        for claim in world.claim_routes().await.0 {
            let step = RouteAdvance { exhausted: claim.request.id == request.id, ..world.step(&claim) };
            world.store.finish_route(step).await.unwrap();
        }
        world.store.head().await.unwrap()
    };
    assert_eq!(exhausted().await, EventId(2));
    let other = world.create(world.ask(&people)).await;
    world.tick();
    world.prune(world.now(), 10).await;
    assert_eq!(ids(&world.store.request_events(request.id, None, 10).await.unwrap().unwrap()), []);
    for reader in [Reader::Person(people[0].id), Reader::Token(world.token())] {
        let pending = world.store.pending(reader, EventId(0), 10).await.unwrap();
        assert_eq!(pending.iter().map(|event| event.request.id).collect::<Vec<_>>(), [request.id, other.id]);
        assert_eq!((pending[0].id, pending[0].at), (EventId(1), request.created_at));
    }
    let asked = Scope::Asked(people[0].id);
    let query = RequestQuery { scope: asked, status: Some(Status::Pending), before: Some(other.id), limit: 10 };
    assert_eq!(world.store.requests(query).await.unwrap().items, std::slice::from_ref(&request));
    assert_eq!(exhausted().await, EventId(3), "nothing more is told");
    assert!(!world.respond(world.candidate(&request, &people[0])).await.request.is_pending());
    let events = world.store.request_events(request.id, None, 10).await.unwrap().unwrap();
    assert_eq!(events.last().map(|event| event.kind), Some(EventKind::Ended));
}
