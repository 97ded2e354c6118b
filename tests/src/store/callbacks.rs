//! What the asker is told at its `callback_url`.

use std::{collections::HashSet, sync::Arc, time::Duration};

use hearback_core::{
    Timestamp,
    callback::{Callback, CallbackKind, CallbackMessage, CallbackState},
    feedback::{Request, Status},
    person::{TokenRef, UserRef},
    store::{CallbackClaim, FinishedCallback, NewRequest},
};

use super::{Harness, LEASE, OPEN, World};

const URL: &str = "https://agent.example/hook?of=deployer";

impl World {
    /// An approval asked of these people, of whose end somebody wants to be told there.
    fn ask_with_callback(&self, to: &[UserRef], url: &str) -> NewRequest {
        let mut new = self.ask(to);
        new.request.terms.callback_url = Some(url.into());
        new
    }

    /// Stores a request with a callback, and cancels it.
    async fn cancelled(&self, to: &[UserRef], url: &str) -> Arc<Request> {
        let request = self.create(self.ask_with_callback(to, url)).await;
        self.store.cancel(request.id, self.now()).await.unwrap();
        request
    }

    async fn claim_callbacks(&self, limit: usize) -> (Vec<CallbackClaim>, Option<Timestamp>) {
        let claims = self.store.claim_callbacks(self.now(), self.now().after(LEASE), limit).await.unwrap();
        (claims.claimed, claims.next_due)
    }

    /// The only callback that is due.
    async fn claim_callback(&self) -> CallbackClaim {
        let (mut claims, _) = self.claim_callbacks(10).await;
        assert_eq!(claims.len(), 1, "expected one callback");
        claims.remove(0)
    }

    async fn end_callback(&self, claim: &CallbackClaim, state: CallbackState, called: bool, error: Option<&str>) {
        let error = error.map(Into::into);
        let end = FinishedCallback { id: claim.callback.id, lease: claim.lease, state, called, error };
        self.store.finish_callback(end).await.unwrap();
    }

    async fn callbacks(&self, request: &Request) -> Vec<Callback> {
        self.store.callbacks(request.id, None, 10).await.unwrap().items
    }
}

/// However a request ends, its asker is to be told so, once and from that moment on; only where they said where.
pub async fn an_ending_is_told_to_who_asked_for_it(harness: &dyn Harness) {
    for (end, kind) in [
        (Status::Answered, CallbackKind::Answered),
        (Status::Expired, CallbackKind::Expired),
        (Status::Cancelled, CallbackKind::Cancelled),
    ] {
        let (world, people) = World::with_people(harness, &["ana"]).await;
        let request = world.create(world.ask_with_callback(&people, URL)).await;
        let silent = world.create(world.ask(&people)).await;
        let mut in_person = world.ask_with_callback(&people, URL);
        in_person.request.asker.token = None;
        let in_person = world.create(in_person).await;
        world.create(world.ask_with_callback(&people, URL)).await;
        assert_eq!(world.claim_callbacks(10).await.0.len(), 0, "nothing has happened");
        world.tick();
        match end {
            Status::Answered => {
                for request in [&request, &silent, &in_person] {
                    world.respond(world.candidate(request, &people[0])).await;
                    world.respond(world.candidate(request, &people[0])).await;
                }
            }
            Status::Cancelled => {
                for id in [request.id, silent.id, in_person.id, request.id] {
                    world.store.cancel(id, world.now()).await.unwrap();
                }
            }
            _ => {
                world.clock.advance(OPEN);
                assert_eq!(world.store.expire(world.now(), 3).await.unwrap().0, 3);
            }
        }
        let claim = world.claim_callback().await;
        let Callback { id, request_id, token, url, created_at, attempts, last_error, .. } = &claim.callback;
        assert_eq!((*request_id, *token, url.as_str()), (request.id, world.token(), URL));
        assert_eq!((claim.callback.kind, *created_at, *attempts), (kind, world.now(), 0), "{end}");
        assert_eq!((last_error, claim.disabled, claim.lease), (&None, false, world.now().after(LEASE)));
        assert_eq!(claim.request.state.status(), end);
        assert_eq!(CallbackMessage::new(&claim.callback, &claim.request).data.status, end);
        assert_eq!(world.callbacks(&request).await, std::slice::from_ref(&claim.callback));
        assert_eq!(id.uuid().get_version_num(), 7);
        assert!(world.callbacks(&silent).await.is_empty() && world.callbacks(&in_person).await.is_empty());
    }
}

/// What comes too late for a deadline that nobody has noted ends the request as expired, and so it is told.
pub async fn an_unnoticed_deadline_is_told_as_such(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let answered = world.create(world.ask_with_callback(&people, URL)).await;
    let cancelled = world.create(world.ask_with_callback(&people, URL)).await;
    world.clock.advance(OPEN);
    world.respond(world.candidate(&answered, &people[0])).await;
    world.store.cancel(cancelled.id, world.now()).await.unwrap();
    for request in [&answered, &cancelled] {
        let [callback] = &*world.callbacks(request).await else { panic!("expected one callback") };
        assert_eq!(callback.kind, CallbackKind::Expired);
    }
}

/// That nobody is reached is told by itself, with the request as it stood: also when that has ended meanwhile.
pub async fn that_nobody_is_reached_is_told_back(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask_with_callback(&people, URL)).await;
    let silent = world.create(world.ask(&people)).await;
    for _ in 0..2 {
        world.hasten_all_routes(world.now()).await;
        for claim in world.claim_routes().await.0 {
            let step = hearback_core::store::RouteAdvance { exhausted: true, ..world.step(&claim) };
            world.store.finish_route(step).await.unwrap();
        }
    }
    let [told] = &*world.callbacks(&request).await else { panic!("expected one callback") };
    assert_eq!((told.kind, told.created_at), (CallbackKind::Undeliverable, world.now()));
    assert!(world.callbacks(&silent).await.is_empty());
    world.respond(world.candidate(&request, &people[0])).await;
    let (claims, _) = world.claim_callbacks(10).await;
    let kinds: HashSet<_> = claims.iter().map(|claim| claim.callback.kind).collect();
    assert_eq!(kinds, HashSet::from([CallbackKind::Undeliverable, CallbackKind::Answered]));
    for claim in &claims {
        let message = CallbackMessage::new(&claim.callback, &claim.request);
        let undeliverable = message.kind == CallbackKind::Undeliverable;
        assert_eq!(message.data.status, if undeliverable { Status::Pending } else { Status::Answered });
        assert_eq!(message.data.outcome.is_none(), undeliverable);
    }
    let page = world.store.callbacks(request.id, None, 1).await.unwrap();
    assert_eq!((page.items[0].kind, page.more), (CallbackKind::Undeliverable, true), "oldest first");
    let page = world.store.callbacks(request.id, Some(page.items[0].id), 1).await.unwrap();
    assert_eq!((page.items[0].kind, page.more), (CallbackKind::Answered, false));
}

/// The longest overdue comes first, to one claimer; what a dead one left comes again, with the same id.
pub async fn two_claimers_share_the_callbacks(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let mut ended = Vec::new();
    for _ in 0..5 {
        ended.push(world.cancelled(&people, URL).await.id);
        world.tick();
    }
    let (first, next_due) = world.claim_callbacks(2).await;
    let order = |claims: &[CallbackClaim]| claims.iter().map(|claim| claim.request.id).collect::<Vec<_>>();
    assert_eq!((order(&first), next_due.is_some()), (ended[..2].to_vec(), true));
    let now = world.now();
    let lease = now.after(LEASE);
    let (one, other) =
        tokio::join!(world.store.claim_callbacks(now, lease, 10), world.store.claim_callbacks(now, lease, 10));
    let (one, other) = (one.unwrap(), other.unwrap());
    let both: Vec<_> = one.claimed.iter().chain(&other.claimed).map(|claim| claim.callback.id).collect();
    assert_eq!((both.len(), both.iter().collect::<HashSet<_>>().len()), (3, 3));

    world.end_callback(&first[0], CallbackState::Delivered { at: now }, true, None).await;
    world.clock.advance(LEASE);
    let (again, next_due) = world.claim_callbacks(10).await;
    assert_eq!((again.len(), next_due), (4, None));
    assert!(again.iter().any(|claim| claim.callback.id == first[1].callback.id));
}

/// An attempt ends with what became of it, for as long as its lease is held.
pub async fn a_callback_stands_as_its_attempt_ended(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.cancelled(&people, URL).await;
    let lost = world.claim_callback().await;
    world.clock.advance(LEASE);
    let claim = world.claim_callback().await;
    world.end_callback(&lost, CallbackState::Delivered { at: world.now() }, true, Some("lost")).await;
    assert_eq!(world.callbacks(&request).await, std::slice::from_ref(&claim.callback), "another one makes it");

    let due = world.now().after(Duration::from_secs(5));
    let claim_at = |due: Timestamp| {
        world.clock.advance(due.since(world.now()));
        world.claim_callback()
    };
    world.end_callback(&claim, CallbackState::Queued { due }, false, None).await;
    assert_eq!(world.claim_callbacks(10).await.1, Some(due));
    let claim = claim_at(due).await;
    assert_eq!((claim.callback.attempts, &claim.callback.last_error), (0, &None), "it was not called");

    let due = world.now().after(Duration::from_secs(7));
    world.end_callback(&claim, CallbackState::Queued { due }, true, Some("status 500")).await;
    let claim = claim_at(due).await;
    assert_eq!((claim.callback.attempts, claim.callback.last_error.as_deref()), (1, Some("status 500")));
    assert_eq!(claim.callback.id, lost.callback.id);

    let at = world.now();
    world.end_callback(&claim, CallbackState::Delivered { at }, true, None).await;
    world.end_callback(&claim, CallbackState::Failed, true, Some("twice")).await;
    let [callback] = &*world.callbacks(&request).await else { panic!("expected one callback") };
    assert_eq!((&callback.state, callback.attempts), (&CallbackState::Delivered { at }, 2));
    assert_eq!(callback.last_error.as_deref(), Some("status 500"), "what went wrong before stays");
    world.clock.advance(LEASE);
    let (claims, next_due) = world.claim_callbacks(10).await;
    assert_eq!((claims.len(), next_due), (0, None));

    world.cancelled(&people, URL).await;
    let claim = world.claim_callback().await;
    world.end_callback(&claim, CallbackState::Failed, true, Some("given up")).await;
    let [callback] = &*world.callbacks(&claim.request).await else { panic!("expected one callback") };
    assert_eq!((&callback.state, callback.last_error.as_deref()), (&CallbackState::Failed, Some("given up")));
    world.clock.advance(LEASE);
    let (claims, next_due) = world.claim_callbacks(10).await;
    assert_eq!((claims.len(), next_due), (0, None));
}

/// A receiver that is gone is not called again for the same token, and every claim says so: of what waits already, and
/// of what comes later. Another URL, or another token, is another receiver.
pub async fn a_receiver_that_is_gone_stays_gone_for_its_token(harness: &dyn Harness) {
    let (mut world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.cancelled(&people, URL).await;
    let claim = world.claim_callback().await;
    let waits = world.cancelled(&people, URL).await;
    world.end_callback(&claim, CallbackState::Disabled, true, Some("gone")).await;
    let [callback] = &*world.callbacks(&request).await else { panic!("expected one callback") };
    assert_eq!((&callback.state, callback.attempts), (&CallbackState::Disabled, 1));
    let claim = world.claim_callback().await;
    assert_eq!((claim.request.id, claim.disabled), (waits.id, true));
    world.end_callback(&claim, CallbackState::Disabled, false, Some("gone before")).await;
    let [callback] = &*world.callbacks(&waits).await else { panic!("expected one callback") };
    assert_eq!((&callback.state, callback.attempts), (&CallbackState::Disabled, 0));

    world.cancelled(&people, URL).await;
    world.cancelled(&people, "https://agent.example/other").await;
    world.asker.token = Some(TokenRef { id: world.ids.next(), name: "second".into() });
    world.cancelled(&people, URL).await;
    let (claims, _) = world.claim_callbacks(10).await;
    let disabled = |claim: &CallbackClaim| (claim.callback.url.clone(), claim.callback.token, claim.disabled);
    let expected = [(URL.into(), claim.callback.token, true), (URL.into(), world.token(), false)];
    assert_eq!(claims.len(), 3);
    for one in expected {
        assert!(claims.iter().map(disabled).any(|found| found == one), "{one:?}");
    }
    assert_eq!(claims.iter().filter(|claim| claim.disabled).count(), 1);
}
