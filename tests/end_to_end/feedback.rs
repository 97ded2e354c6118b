//! Feedback over HTTP: asked, answered, waited for, expired, cancelled; and everything that can be wrong with it.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use hearback_core::{Timestamp, clock::ManualClock};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Caller, TestServer, read};

fn path(request: &Value, tail: &str) -> String {
    format!("/api/feedback/{}{tail}", request["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_parked_waiter_hears_the_answer() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let request = agent.ask(&[&ana]).await;
    assert_eq!(request["status"], "pending");
    let (waiter, wait) = (agent.clone(), path(&request, "?wait=60"));
    let waiting = tokio::spawn(async move { waiter.get(&wait).await });
    let accepted = ana.answer(&request, json!("approved")).await;
    assert_eq!(accepted.status, StatusCode::OK, "{accepted:?}");
    let heard = waiting.await.unwrap();
    assert_eq!(heard.body["status"], "answered");
    assert_eq!(heard.body["outcome"]["by"]["username"], "ana");
    assert_eq!(heard.body["outcome"]["channel"], "api");
    assert_eq!(accepted.body["feedback"], heard.body);
}

#[tokio::test]
async fn of_300_people_answering_at_once_one_wins_and_299_are_told_who() {
    let server = TestServer::start().await;
    let mut people = Vec::new();
    // Fewer at once than may find a name taken in a minute, from one address.
    for first in (0..300).step_by(5) {
        let register = |number| {
            let server = &server;
            async move { server.register(&format!("person-{number}")).await }
        };
        people.extend(join_all((first..first + 5).map(register)).await);
    }
    let agent = server.agent(&people[0]).await;
    let request = agent.ask(&people.iter().collect::<Vec<_>>()).await;
    let answers = join_all(people.iter().map(|person| person.answer(&request, json!("approved")))).await;
    let (won, late): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == StatusCode::OK);
    assert_eq!((won.len(), late.len()), (1, 299));
    let winner = won[0].body["feedback"]["outcome"]["by"]["username"].as_str().unwrap();
    for answer in late {
        assert_eq!((answer.status, answer.problem()), (StatusCode::CONFLICT, "late"));
        assert_eq!(answer.body["feedback"]["outcome"]["by"]["username"], winner);
        assert!(answer.body["detail"].as_str().unwrap().contains(winner));
    }
    let mut kept = Vec::new();
    let mut next = path(&request, "/responses?limit=100");
    loop {
        let page = agent.get(&next).await.body;
        kept.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = path(&request, &format!("/responses?limit=100&cursor={cursor}"));
    }
    let count = |verdict: &str| kept.iter().filter(|response| response["verdict"] == verdict).count();
    assert_eq!((kept.len(), count("accepted"), count("late")), (300, 1, 299));
}

#[tokio::test]
async fn each_kind_takes_its_answers_and_names_the_field_of_a_wrong_one() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let cases = [
        (json!({"kind": "approval"}), json!("yes"), "value", json!("rejected")),
        (json!({"kind": "choice", "options": [{"value": "eu"}, {"value": "us"}]}), json!("asia"), "value", json!("eu")),
        (
            json!({"kind": "choice", "multiple": true, "options": [{"value": "eu"}, {"value": "us"}]}),
            json!(["eu", "asia"]),
            "value[1]",
            json!(["us", "eu"]),
        ),
        (json!({"kind": "input", "max_length": 3}), json!("long"), "value", json!("abc")),
        (
            json!({"kind": "form", "schema": {"type": "object", "required": ["n"],
                   "properties": {"n": {"type": "integer"}}}}),
            json!({"n": "one"}),
            "value.n",
            json!({"n": 1}),
        ),
    ];
    for (mut draft, wrong, field, right) in cases {
        draft["prompt"] = json!("?");
        draft["to"] = json!(["ana"]);
        let request = ana.put(draft).await;
        let refused = ana.answer(&request, wrong).await;
        assert_eq!((refused.status, refused.fields()), (StatusCode::UNPROCESSABLE_ENTITY, vec![field]), "{refused:?}");
        assert_eq!(ana.get(&path(&request, "")).await.body["status"], "pending");
        let accepted = ana.answer(&request, right.clone()).await;
        assert_eq!(accepted.body["response"]["value"], right, "{accepted:?}");
    }
}

#[tokio::test]
async fn bystanders_agents_and_latecomers_change_nothing() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let agent = server.agent(&ben).await;
    let request = agent.ask(&[&ana]).await;
    let refused = ben.answer(&request, json!("approved")).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::FORBIDDEN, "forbidden"));
    assert_eq!(agent.answer(&request, json!("approved")).await.status, StatusCode::FORBIDDEN);
    let verdicts = agent.get(&path(&request, "/responses")).await.body;
    assert_eq!(verdicts["items"][0]["verdict"], "refused");

    let cancelled = agent.post(&path(&request, "/cancel"), json!({})).await;
    assert_eq!(cancelled.body["status"], "cancelled");
    let late = ana.answer(&request, json!("approved")).await;
    assert_eq!((late.status, late.problem()), (StatusCode::CONFLICT, "cancelled"));
    let again = agent.post(&path(&request, "/cancel"), json!({})).await;
    assert_eq!((again.status, again.problem()), (StatusCode::CONFLICT, "ended"));
}

#[tokio::test]
async fn only_the_asker_cancels_and_what_is_not_yours_is_not_found() {
    let server = TestServer::start().await;
    let (ana, ben, cleo) = (server.register("ana").await, server.register("ben").await, server.register("cleo").await);
    let (agent, other) = (server.agent(&ben).await, server.agent(&ben).await);
    let request = agent.ask(&[&ana]).await;
    assert_eq!(ana.post(&path(&request, "/cancel"), json!({})).await.status, StatusCode::FORBIDDEN);
    for stranger in [&cleo, &other] {
        for tail in ["", "/responses", "/deliveries"] {
            let missing = stranger.get(&path(&request, tail)).await;
            assert_eq!((missing.status, missing.problem()), (StatusCode::NOT_FOUND, "not_found"), "{tail}");
        }
        assert_eq!(stranger.post(&path(&request, "/cancel"), json!({})).await.status, StatusCode::NOT_FOUND);
    }
    for reader in [&ana, &ben, &agent] {
        assert_eq!(reader.get(&path(&request, "")).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn the_deadline_answers_410_and_silence_is_not_consent() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_000_000_000_000)));
    let server = TestServer::on(clock.clone(), |_| {}).await;
    let ana = server.register("ana").await;
    let draft = json!({"kind": "approval", "prompt": "?", "to": ["ana"], "expires_in": 60, "on_expiry": "rejected"});
    let request = ana.put(draft).await;
    let (waiter, wait) = (ana.clone(), path(&request, "?wait=60"));
    let waiting = tokio::spawn(async move { waiter.get(&wait).await });
    clock.advance(Duration::from_mins(1));
    let late = ana.answer(&request, json!("approved")).await;
    assert_eq!((late.status, late.problem()), (StatusCode::GONE, "expired"));
    let heard = waiting.await.unwrap().body;
    assert_eq!(heard["status"], "expired");
    assert_eq!(heard["outcome"]["source"], "on_expiry");
    assert_eq!(heard["outcome"]["value"], "rejected");
}

#[tokio::test]
async fn the_same_key_asks_once_answers_once_and_refuses_another_body() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let create = |prompt: &str| {
        let call = ana.call(Method::POST, "/api/feedback").header("Idempotency-Key", "key-1");
        call.json(&json!({"kind": "approval", "prompt": prompt, "to": ["ana"]})).send()
    };
    let first = read(create("Deploy?").await.unwrap()).await;
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let answer = |value: &str| {
        let call = ana.call(Method::POST, &path(&first.body, "/responses")).header("Idempotency-Key", "key-2");
        call.json(&json!({"value": value})).send()
    };
    let accepted = read(answer("approved").await.unwrap()).await;
    let again = read(answer("approved").await.unwrap()).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &accepted.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = read(answer("rejected").await.unwrap()).await;
    assert_eq!(other.problem(), "idempotency_mismatch");

    let replayed = read(create("Deploy?").await.unwrap()).await;
    assert_eq!((replayed.status, &replayed.body), (StatusCode::CREATED, &first.body), "the first answer, again");
    assert_eq!(replayed.headers["idempotent-replayed"], "true");
    let mismatch = read(create("Destroy?").await.unwrap()).await;
    assert_eq!((mismatch.status, mismatch.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch"));
    assert_eq!(ana.get("/api/feedback?as=asker").await.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_repeated_answer_is_told_again_what_became_of_the_first_whatever_it_was() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_000_000_000_000)));
    let server = TestServer::on(clock.clone(), |_| {}).await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let answer = async |who: &Caller, request: &Value, value: &str| {
        let call = who.call(Method::POST, &path(request, "/responses")).header("Idempotency-Key", "key-1");
        read(call.json(&json!({"value": value})).send().await.unwrap()).await
    };
    let (open, settled) = (ana.ask(&[&ana]).await, ana.ask(&[&ana]).await);
    let short = ana.put(json!({"kind": "approval", "prompt": "?", "to": ["ana"], "expires_in": 60})).await;
    let cancelled = ana.ask(&[&ana]).await;
    ana.answer(&settled, json!("rejected")).await;
    ana.post(&path(&cancelled, "/cancel"), json!({})).await;
    clock.advance(Duration::from_secs(61));
    for (who, request, value, problem) in [
        (&ana, &open, "maybe", "invalid"),
        (&ben, &open, "approved", "forbidden"),
        (&ana, &settled, "approved", "late"),
        (&ana, &cancelled, "approved", "cancelled"),
        (&ana, &short, "approved", "expired"),
    ] {
        let first = answer(who, request, value).await;
        assert_eq!((first.problem(), first.headers.get("idempotent-replayed")), (problem, None));
        let again = answer(who, request, value).await;
        assert_eq!((again.status, again.problem()), (first.status, problem));
        assert_eq!(again.headers.get("idempotent-replayed").unwrap(), "true", "{problem}");
    }
    let responses = ana.get(&path(&open, "/responses")).await.body;
    assert_eq!(responses["items"].as_array().unwrap().len(), 2, "each is kept once");
    // A refused creation stores nothing, so its key is free for the corrected call.
    let create = async |prompt: &str| {
        let call = ana.call(Method::POST, "/api/feedback").header("Idempotency-Key", "key-2");
        read(call.json(&json!({"kind": "approval", "prompt": prompt, "to": ["ana"]})).send().await.unwrap()).await
    };
    let refused = create("").await;
    assert_eq!((refused.problem(), refused.headers.get("idempotent-replayed")), ("invalid", None));
    assert_eq!(create("Deploy?").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn every_malformed_draft_is_told_its_field_and_stores_nothing() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let good = json!({"kind": "approval", "prompt": "?", "to": ["ana"]});
    let cases = [
        (json!({"kind": "aproval"}), 422, "kind"),
        (json!({"prompt": 5}), 422, "prompt"),
        (json!({"prompt": "x".repeat(4001)}), 422, "prompt"),
        (json!({"to": "ana"}), 422, "to"),
        (json!({"to": ["nobody"]}), 404, "to[0]"),
        (json!({"to": ["ana", "ana@example.com"]}), 404, "to[1]"),
        (json!({"channels": ["pigeon"]}), 422, "channels[0]"),
        (json!({"channels": [{"channel": "websocket", "adress": "x"}]}), 422, "channels[0].adress"),
        (json!({"channels": [{"channel": "websocket", "address": "somebody"}]}), 422, "channels[0].address"),
        (json!({"strategy": "all"}), 422, "strategy"),
        (json!({"expires_in": -1}), 422, "expires_in"),
        (json!({"expires_in": 1.5}), 422, "expires_in"),
        (json!({"expires_in": 99_999_999_999_u64}), 422, "expires_in"),
        (json!({"urgent": "yes"}), 422, "urgent"),
        (json!({"on_expiry": "approved"}), 422, "on_expiry"),
        (json!({"metadata": []}), 422, "metadata"),
        (json!({"promt": "?"}), 422, "promt"),
        (json!({"options": [{"value": "a"}]}), 422, "options"),
        (json!({"kind": "choice", "options": [{"value": "a"}, {"valeu": "b"}]}), 422, "options[1].valeu"),
    ];
    for (change, status, field) in cases {
        let mut draft = good.clone();
        draft.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = ana.post("/api/feedback", draft).await;
        assert_eq!((refused.status.as_u16(), refused.fields()), (status, vec![field]), "{change}: {refused:?}");
        assert_eq!(refused.headers["content-type"], "application/problem+json");
    }
    let kind = ana.post("/api/feedback", json!({"kind": "aproval", "prompt": "?", "to": ["ana"]})).await;
    assert_eq!(kind.body["errors"][0]["allowed"], json!(["approval", "choice", "input", "form"]));
    assert_eq!(ana.get("/api/feedback?as=asker").await.body["items"], json!([]));
}

#[tokio::test]
async fn lists_page_through_everything_once_and_refuse_what_they_do_not_know() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let mut asked = Vec::new();
    for _ in 0..7 {
        asked.push(agent.ask(&[&ana]).await["id"].clone());
    }
    ana.answer(&json!({"id": asked[0]}), json!("approved")).await;
    let mut listed = Vec::new();
    let mut next = String::from("/api/feedback?limit=3");
    loop {
        let page = agent.get(&next).await.body;
        listed.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("/api/feedback?limit=3&cursor={cursor}");
    }
    let mut sorted = (listed.clone(), asked.clone());
    sorted.0.sort_by_key(ToString::to_string);
    sorted.1.sort_by_key(ToString::to_string);
    assert_eq!(sorted.0, sorted.1);
    let ids =
        |answer: Value| answer["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(ana.get("/api/feedback?status=answered").await.body), [asked[0].clone()]);
    assert_eq!(ids(ana.get("/api/feedback?as=asked&status=pending").await.body).len(), 6);

    for (query, field) in [
        ("cursor=nonsense", "cursor"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=done", "status"),
        ("as=me", "as"),
    ] {
        let refused = ana.get(&format!("/api/feedback?{query}")).await;
        assert_eq!((refused.status, refused.fields()), (StatusCode::BAD_REQUEST, vec![field]), "{refused:?}");
    }
    let refused = ana.get(&format!("/api/feedback/{}?wait=61", asked[0].as_str().unwrap())).await;
    assert_eq!((refused.status, refused.fields()), (StatusCode::BAD_REQUEST, vec!["wait"]));
    assert_eq!(ana.get("/api/feedback/not-an-id").await.fields(), ["id"]);
    assert_eq!(agent.get("/api/feedback?as=asked").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart_and_can_still_be_answered() {
    let mut server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let token = ana.token.clone().unwrap();
    server.restart().await;
    let ana = server.caller(&token);
    assert_eq!(ana.get(&path(&request, "")).await.body, request);
    assert_eq!(ana.answer(&request, json!("approved")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_revoked_token_ends_a_parked_wait() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let created = ana.post("/api/tokens", json!({"name": "ci"})).await.body;
    let agent = server.caller(created["token"].as_str().unwrap());
    let request = agent.ask(&[&ana]).await;
    let (waiter, wait) = (agent.clone(), path(&request, "?wait=60"));
    let waiting = tokio::spawn(async move { waiter.get(&wait).await });
    server.parked(1).await;
    let revoked = ana.delete(&format!("/api/tokens/{}", created["id"].as_str().unwrap())).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    let ended = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    assert_eq!(ended.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_stopping_hub_answers_parked_waits() {
    let mut server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let (waiter, wait) = (ana.clone(), path(&request, "?wait=60"));
    let waiting = tokio::spawn(async move { waiter.get(&wait).await });
    server.parked(1).await;
    server.stop().await;
    assert_eq!(waiting.await.unwrap().body["status"], "pending");
}
