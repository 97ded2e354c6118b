//! Responses, and the ways in which a request ends.

use std::{collections::HashSet, time::Duration};

use hearback_core::{
    event::EventKind,
    feedback::{Ending, Outcome, Response, Source, Status, Verdict},
    person::Reader,
    store::{Candidate, Ended, Standing},
};
use serde_json::json;

use super::{Harness, OPEN, World};

/// 300 people answer at once: one is accepted, 299 are late and hear the winner's name, 300 are kept.
pub async fn the_first_valid_response_of_300_wins(harness: &dyn Harness) {
    let names: Vec<_> = (0..300).map(|number| format!("person-{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (world, people) = World::with_people(harness, &names).await;
    let request = world.create(world.ask(&people)).await;
    let answers: Vec<_> = people
        .iter()
        .map(|by| {
            let (store, mut candidate) = (world.store.clone(), world.candidate(&request, by));
            candidate.value = json!(if by.id.uuid().as_u128() % 2 == 0 { "approved" } else { "rejected" });
            tokio::spawn(async move { store.respond(candidate).await.unwrap().unwrap() })
        })
        .collect();
    let (mut accepted, mut late) = (Vec::new(), Vec::new());
    for answer in answers {
        let recorded = answer.await.unwrap();
        assert!(!recorded.duplicate && !recorded.request.is_pending());
        match recorded.response.verdict {
            Verdict::Accepted => accepted.push(recorded),
            Verdict::Late => late.push(recorded),
            other => panic!("a valid answer was {other:?}"),
        }
    }
    assert_eq!((accepted.len(), late.len()), (1, 299));
    let winner = accepted[0].response.by.clone().unwrap();
    let outcome = accepted[0].request.ending().and_then(Ending::outcome).unwrap();
    assert_eq!(outcome.by.as_ref(), Some(&winner));
    assert_eq!(outcome.value, accepted[0].response.value);
    for recorded in &late {
        let reason = recorded.response.reason.as_deref().unwrap();
        assert!(reason.starts_with(&format!("{} already answered", winner.username)), "{reason}");
        assert_eq!(recorded.request.state, accepted[0].request.state);
    }

    let mut kept = Vec::new();
    loop {
        let after = kept.last().map(|response: &Response| response.id);
        let page = world.store.responses(request.id, after, 128).await.unwrap();
        kept.extend(page.items);
        if !page.more {
            break;
        }
    }
    assert_eq!(kept.len(), 300);
    assert!(kept.is_sorted_by_key(|response| response.id));
    let by: HashSet<_> = kept.iter().filter_map(|response| response.by.as_ref()).map(|by| by.id).collect();
    assert_eq!(by.len(), 300);
    let accepted = kept.iter().filter(|response| response.verdict == Verdict::Accepted);
    assert_eq!(accepted.map(|response| response.by.clone().unwrap()).collect::<Vec<_>>(), [winner]);
    let events = world.store.events(Reader::Token(world.token()), request.created_event, 1000).await.unwrap().unwrap();
    let ended: Vec<_> = events.iter().filter(|event| event.kind == EventKind::Ended).map(|event| event.id).collect();
    let [ended] = ended[..] else { panic!("it ends once, not at {ended:?}") };
    let of = |response: &Response| events.iter().find(|event| event.kind == EventKind::Response(response.id)).unwrap();
    assert_eq!(events.len(), 301, "every response is told");
    for response in &kept {
        assert_eq!(
            of(response).id < ended,
            response.verdict == Verdict::Accepted,
            "only the accepted one comes before"
        );
    }
}

/// Invalid, refused, accepted and late: each is kept as it was told, and only the accepted one ends the request.
pub async fn every_response_is_kept_with_its_verdict(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "eve"]).await;
    let request = world.create(world.ask(&people[..1])).await;
    let standing = |standing, by: usize| Candidate { standing, ..world.candidate(&request, &people[by]) };
    let given = [
        (standing(Standing::Invalid("expected approved or rejected".into()), 0), Verdict::Invalid, Status::Pending),
        (standing(Standing::Refused("not asked".into()), 1), Verdict::Refused, Status::Pending),
        (
            Candidate { by: None, ..standing(Standing::Refused("nobody we know".into()), 1) },
            Verdict::Refused,
            Status::Pending,
        ),
        (Candidate { comment: None, ..standing(Standing::Valid, 0) }, Verdict::Accepted, Status::Answered),
        (standing(Standing::Valid, 0), Verdict::Late, Status::Answered),
        (standing(Standing::Invalid("?".into()), 0), Verdict::Late, Status::Answered),
        (standing(Standing::Refused("not asked".into()), 1), Verdict::Refused, Status::Answered),
    ];
    let mut told = Vec::new();
    for (mut candidate, verdict, status) in given {
        world.tick();
        candidate.id = world.ids.next();
        candidate.at = world.now();
        let recorded = world.respond(candidate.clone()).await;
        assert_eq!((recorded.response.verdict, recorded.request.state.status()), (verdict, status));
        assert_eq!(recorded.response.reason.is_none(), verdict == Verdict::Accepted);
        assert_eq!(recorded.response.comment, candidate.comment);
        told.push(recorded.response);
    }
    assert_eq!(told[0].reason.as_deref(), Some("expected approved or rejected"));
    let page = world.store.responses(request.id, None, 100).await.unwrap();
    assert_eq!(page.items, told);
    assert!(!page.more);
    let page = world.store.responses(request.id, Some(told[1].id), 2).await.unwrap();
    assert_eq!((page.items.as_slice(), page.more), (&told[2..4], true));
    let expected = Outcome {
        value: json!("approved"),
        comment: None,
        by: Some(people[0].clone()),
        channel: Some(world.channel.clone()),
        at: told[3].at,
        source: Source::Person,
    };
    let read = world.store.request(request.id).await.unwrap().unwrap();
    assert_eq!(read.ending(), Some(&Ending::Answered(expected)));

    let unknown = Candidate { request_id: world.ids.next(), ..world.candidate(&request, &people[0]) };
    assert!(world.store.respond(unknown).await.unwrap().is_none());
}

/// The provider's own id of an event makes a repetition known, also one that comes at the same time. Each channel has its
/// own ids.
pub async fn a_repeated_event_is_stored_once(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask(&people)).await;
    let event = |channel: &str| Candidate {
        event: Some("update-42".into()),
        channel: super::name(channel),
        ..world.candidate(&request, &people[0])
    };
    let together: Vec<_> = (0..10)
        .map(|_| {
            let (store, candidate) = (world.store.clone(), event("slack"));
            tokio::spawn(async move { store.respond(candidate).await.unwrap().unwrap() })
        })
        .collect();
    let mut first = Vec::new();
    let mut repeated = Vec::new();
    for answer in together {
        let recorded = answer.await.unwrap();
        if recorded.duplicate { &mut repeated } else { &mut first }.push(recorded.response);
    }
    assert_eq!((first.len(), repeated.len()), (1, 9));
    assert_eq!(first[0].verdict, Verdict::Accepted);
    assert!(repeated.iter().all(|response| *response == first[0]), "a repetition is answered with the first");
    let later = world.respond(event("slack")).await;
    assert!(later.duplicate && later.response == first[0] && !later.request.is_pending());
    let elsewhere = world.respond(event("telegram")).await;
    assert_eq!((elsewhere.duplicate, elsewhere.response.verdict), (false, Verdict::Late));
    assert_eq!(world.store.responses(request.id, None, 100).await.unwrap().items.len(), 2);
}

/// A deadline that nobody noticed yet comes before an answer given after it.
pub async fn a_response_after_an_unnoticed_deadline_finds_the_request_expired(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let mut new = world.ask(&people);
    new.request.terms.on_expiry = Some(json!("rejected"));
    let request = world.create(new).await;
    world.clock.advance(OPEN);
    let recorded = world.respond(world.candidate(&request, &people[0])).await;
    assert_eq!(recorded.response.verdict, Verdict::Late);
    assert!(recorded.response.reason.as_deref().unwrap().starts_with("the deadline passed"));
    assert_eq!(recorded.request.ending(), Some(&request.expiry()));
    let read = world.store.request(request.id).await.unwrap().unwrap();
    assert_eq!(read.ending(), Some(&request.expiry()));
    assert_eq!(read.ending().and_then(Ending::outcome).map(|outcome| outcome.source), Some(Source::OnExpiry));
    assert_eq!(world.store.expire(world.now(), 10).await.unwrap(), (0, None), "it ends once");
    assert_eq!(world.store.head().await.unwrap().0, 3, "a creation, a response and an ending");
}

/// The earliest deadlines come first, as many as are asked for, and the next one is told.
pub async fn requests_expire_in_the_order_of_their_deadlines(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let mut requests = Vec::new();
    for minutes in [3, 1, 2, 4] {
        let mut new = world.ask(&people);
        new.request.expires_at = world.now().after(Duration::from_secs(60 * minutes));
        new.request.terms.on_expiry = (minutes == 2).then(|| json!("rejected"));
        requests.push(world.create(new).await);
    }
    let deadline = |index: usize| Some(requests[index].expires_at);
    let status = async |index: usize| world.store.request(requests[index].id).await.unwrap().unwrap().state.status();
    assert_eq!(world.store.expire(world.now(), 10).await.unwrap(), (0, deadline(1)));
    world.clock.advance(Duration::from_mins(3));
    assert_eq!(world.store.expire(world.now(), 1).await.unwrap(), (1, deadline(2)));
    assert_eq!(status(1).await, Status::Expired);
    assert_eq!(status(2).await, Status::Pending);
    assert_eq!(world.store.expire(world.now(), 10).await.unwrap(), (2, deadline(3)));
    assert_eq!(world.store.expire(world.now(), 10).await.unwrap(), (0, deadline(3)));
    let read = world.store.request(requests[2].id).await.unwrap().unwrap();
    assert_eq!(read.ending(), Some(&requests[2].expiry()));
    let silent = world.store.request(requests[0].id).await.unwrap().unwrap();
    assert_eq!(silent.ending(), Some(&Ending::Expired { at: requests[0].expires_at, outcome: None }));

    let head = requests[3].created_event;
    let events = world.store.events(Reader::Person(people[0].id), head, 10).await.unwrap().unwrap();
    let ended: Vec<_> = events.iter().map(|event| (event.kind, event.request.id, event.at)).collect();
    let expected = [1, 2, 0].map(|index: usize| (EventKind::Ended, requests[index].id, world.now()));
    assert_eq!(ended, expected);
}

/// A cancellation ends what is pending; what has ended keeps its ending, also by a deadline that nobody noticed.
pub async fn the_asker_cancels_what_is_pending(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask(&people)).await;
    world.tick();
    let ended = world.store.cancel(request.id, world.now()).await.unwrap().unwrap();
    let cancelled = Ending::Cancelled { at: world.now() };
    assert!(matches!(&ended, Ended::Now(request) if request.ending() == Some(&cancelled)), "{ended:?}");
    world.tick();
    let again = world.store.cancel(request.id, world.now()).await.unwrap().unwrap();
    assert!(matches!(&again, Ended::Before(request) if request.ending() == Some(&cancelled)), "{again:?}");
    let recorded = world.respond(world.candidate(&request, &people[0])).await;
    assert_eq!(recorded.response.verdict, Verdict::Late);

    let overdue = world.create(world.ask(&people)).await;
    world.clock.advance(OPEN);
    let expired = world.store.cancel(overdue.id, world.now()).await.unwrap().unwrap();
    assert!(matches!(&expired, Ended::Before(request) if request.ending() == Some(&overdue.expiry())), "{expired:?}");
    assert!(world.store.cancel(world.ids.next(), world.now()).await.unwrap().is_none());
    assert_eq!(world.store.head().await.unwrap().0, 5, "two creations, two endings, a late response");
}
