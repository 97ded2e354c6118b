//! Putting, reading and listing requests; idempotency; people.

use std::{collections::HashSet, time::Duration};

use hearback_core::{
    feedback::{ChoiceOption, Question, RouteStep, Status, Strategy},
    id::RequestId,
    person::{Person, Preferences, UserRef},
    store::{Created, Idempotency, Prune, RequestQuery, Scope},
};
use serde_json::json;

use super::{BEGIN, Harness, World, address, name};

/// Every part of a request comes back as it went in.
pub async fn a_request_reads_back_as_it_was_put(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let options = ["blue", "green"].map(|value| ChoiceOption { value: value.into(), label: Some(format!("{value}!")) });
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let questions = [
        Question::Approval,
        Question::Choice { options: options.to_vec(), multiple: true },
        Question::Input { min_length: Some(1), max_length: None, pattern: Some("^[A-Z]+$".into()) },
        Question::Form { schema: schema.as_object().cloned().unwrap_or_default() },
    ];
    for (index, question) in questions.into_iter().enumerate() {
        let mut new = world.ask(&people);
        new.request.terms.question = question;
        if index == 0 {
            new.request.asker.token = None;
            new.request.terms.context = None;
            new.request.terms.strategy = Strategy::Broadcast;
            new.request.terms.urgent = true;
            new.request.terms.on_expiry = Some(json!("rejected"));
            let step = |channel, address| RouteStep { channel: name(channel), address };
            new.request.terms.channels = vec![step("slack", None), step("gmail", Some(address("a@example.com")))];
        }
        let put = new.request.clone();
        let created = world.create(new).await;
        let mut expected = put.clone();
        expected.created_event = created.created_event;
        assert!(created.created_event.0 > 0, "the store numbers the event of the creation");
        assert_eq!(*created, expected);
        assert_eq!(world.store.request(put.id).await.unwrap().as_deref(), Some(&expected));
    }
    assert!(world.store.request(world.ids.next()).await.unwrap().is_none());
}

/// Lists go from the newest to the oldest, page by page, and hold what their scope says and nothing else.
pub async fn lists_are_paged_newest_first_and_hold_their_scope(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let mut all = Vec::new();
    for index in 0..7 {
        world.tick();
        let mut new = world.ask(&people[..=index % 2]);
        if index == 3 {
            new.request.asker.token = None;
        }
        all.push(world.create(new).await.id);
    }
    all.reverse();
    let query = |scope, before, limit| RequestQuery { scope, status: None, before, limit };

    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = world.store.requests(query(Scope::Asked(people[0].id), before, 3)).await.unwrap();
        assert!(page.items.len() <= 3);
        seen.extend(page.items.iter().map(|request| request.id));
        before = page.items.last().map(|request| request.id);
        if !page.more {
            break;
        }
        assert_eq!(page.items.len(), 3, "a page that is not the last is full");
    }
    assert_eq!(seen, all);

    let ids = async |scope| -> Vec<RequestId> {
        let page = world.store.requests(query(scope, None, 100)).await.unwrap();
        assert!(!page.more);
        page.items.iter().map(|request| request.id).collect()
    };
    assert_eq!(ids(Scope::AskedByUser(world.asker.user.id)).await, all);
    let by_token: Vec<_> = all.iter().copied().filter(|id| *id != all[3]).collect();
    assert_eq!(ids(Scope::AskedByToken(world.token())).await, by_token);
    let of_ben: Vec<_> = all.iter().copied().skip(1).step_by(2).collect();
    assert_eq!(ids(Scope::Asked(people[1].id)).await, of_ben);
    assert!(ids(Scope::Asked(world.asker.user.id)).await.is_empty());
    assert!(ids(Scope::AskedByUser(people[0].id)).await.is_empty());
    assert!(ids(Scope::AskedByToken(world.ids.next())).await.is_empty());
    let exact = world.store.requests(query(Scope::Asked(people[0].id), None, 7)).await.unwrap();
    assert!(!exact.more, "nothing follows a page that holds them all");
}

/// A list by status holds each request under the status it has now.
pub async fn lists_hold_one_status(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let mut requests = Vec::new();
    for index in 0..4 {
        world.tick();
        let mut new = world.ask(&people);
        if index == 2 {
            new.request.expires_at = world.now().after(Duration::from_mins(1));
        }
        requests.push(world.create(new).await);
    }
    world.respond(world.candidate(&requests[1], &people[0])).await;
    world.store.expire(requests[2].expires_at, 10).await.unwrap();
    world.store.cancel(requests[3].id, world.now()).await.unwrap();
    let expected = [Status::Pending, Status::Answered, Status::Expired, Status::Cancelled];
    let scopes =
        [Scope::Asked(people[0].id), Scope::AskedByUser(world.asker.user.id), Scope::AskedByToken(world.token())];
    for scope in scopes {
        for (request, status) in requests.iter().zip(expected) {
            let query = RequestQuery { scope, status: Some(status), before: None, limit: 10 };
            let page = world.store.requests(query).await.unwrap();
            let ids: Vec<_> = page.items.iter().map(|found| found.id).collect();
            assert_eq!(ids, [request.id], "{scope:?} {status}");
            assert_eq!(page.items[0].state.status(), status);
            let before = RequestQuery { before: Some(request.id), ..query };
            assert!(world.store.requests(before).await.unwrap().items.is_empty());
        }
    }
}

/// The same key and body give the first request as it is now; another body gives a mismatch and stores nothing.
pub async fn a_repeated_creation_is_answered_with_the_first(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let key = Idempotency { key: [1; 32], fingerprint: [2; 32] };
    let keyed = |key| {
        let mut new = world.ask(&people);
        new.idempotency = Some(key);
        new
    };
    let first = world.create(keyed(key)).await;
    let again = world.store.create(keyed(key)).await.unwrap();
    assert!(matches!(&again, Created::Replayed(request) if **request == *first), "{again:?}");

    world.respond(world.candidate(&first, &people[0])).await;
    let again = world.store.create(keyed(key)).await.unwrap();
    assert!(
        matches!(&again, Created::Replayed(request) if request.id == first.id && !request.is_pending()),
        "the request as it is now: {again:?}"
    );
    let other = world.store.create(keyed(Idempotency { fingerprint: [3; 32], ..key })).await.unwrap();
    assert!(matches!(other, Created::Mismatch), "{other:?}");
    world.create(keyed(Idempotency { key: [4; 32], ..key })).await;
    let query = RequestQuery { scope: Scope::Asked(people[0].id), status: None, before: None, limit: 10 };
    assert_eq!(world.store.requests(query).await.unwrap().items.len(), 2);
    assert_eq!(world.store.head().await.unwrap().0, 4, "two creations, one response and one ending");
}

/// Of creations under one key that arrive together, one is stored and the others are answered with it.
pub async fn one_of_many_creations_under_one_key_is_stored(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let creations = (0..20_u8).map(|number| {
        let mut new = world.ask(&people);
        let fingerprint = if number < 10 { [2; 32] } else { [3; 32] };
        new.idempotency = Some(Idempotency { key: [1; 32], fingerprint });
        let store = world.store.clone();
        tokio::spawn(async move { store.create(new).await.unwrap() })
    });
    let (mut new, mut replayed, mut mismatched) = (HashSet::new(), HashSet::new(), 0);
    for creation in creations.collect::<Vec<_>>() {
        match creation.await.unwrap() {
            Created::New(request) => assert!(new.insert(request.id)),
            Created::Replayed(request) => {
                replayed.insert(request.id);
            }
            Created::Mismatch => mismatched += 1,
        }
    }
    assert_eq!((new.len(), mismatched), (1, 10));
    assert_eq!(replayed, new);
}

/// A key given before the moment of pruning is free again; a younger one is not.
pub async fn keys_are_forgotten_by_age(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let keyed = |number| {
        let mut new = world.ask(&people);
        new.idempotency = Some(Idempotency { key: [number; 32], fingerprint: [0; 32] });
        new
    };
    world.create(keyed(1)).await;
    world.tick();
    let young = world.create(keyed(2)).await;
    let what = Prune { keys_before: world.now(), events_before: BEGIN, limit: 10 };
    world.store.prune(what).await.unwrap();
    world.create(keyed(1)).await;
    let again = world.store.create(keyed(2)).await.unwrap();
    assert!(matches!(&again, Created::Replayed(request) if request.id == young.id), "{again:?}");
}

/// People are found by user id, username and confirmed e-mail, in any case of letters, in the order asked.
pub async fn people_are_found_by_what_is_theirs(harness: &dyn Harness) {
    let world = World::new(harness).await;
    let user = |name: &str| UserRef { id: world.ids.next(), username: name.into() };
    let addresses = vec![(name("gmail"), address("ana@example.com")), (name("telegram"), address("4711"))];
    let preferences = json!({
        "channels": ["telegram", "gmail"],
        "locale": "de-AT",
        "timezone": "Europe/Vienna",
        "quiet_hours": {"from": "22:00", "to": "06:30"},
    });
    let preferences = serde_json::from_value(preferences).unwrap();
    let ana = Person { user: user("ana"), preferences, addresses };
    let ben = Person { user: user("ben"), preferences: Preferences::default(), addresses: Vec::new() };
    harness.add_person(ana.clone(), Some("ana@example.com".into())).await;
    harness.add_person(ben.clone(), None).await;

    let names = ["Ben", "ANA@example.com", "carl", &ana.user.id.to_string(), "ana", "ben@example.com"];
    let found = world.store.people(&names.map(String::from)).await.unwrap();
    let expected = [Some(&ben), Some(&ana), None, Some(&ana), Some(&ana), None];
    assert_eq!(found.iter().map(Option::as_ref).collect::<Vec<_>>(), expected);
    assert!(world.store.people(&[]).await.unwrap().is_empty());

    let at = async |channel, at| world.store.person_at(&name(channel), &address(at)).await.unwrap();
    assert_eq!(at("telegram", "4711").await, Some(ana.user));
    assert_eq!(at("gmail", "4711").await, None);
    assert_eq!(at("telegram", "4712").await, None);
}
