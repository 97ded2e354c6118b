//! Where people are reached, as an administrator says: given once, seen by both, and used for what was asked before.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    auth::text,
    plug_ins::fake::{PlugIn, SECRET},
    server::{Caller, TestServer},
};

/// Sooner than the hub looks for due work without being told.
const SOON: Duration = Duration::from_secs(15);

/// A hub whose channels `desk` and `pager` are plug-ins, `desk` at this URL.
async fn hub_at(url: &str) -> TestServer {
    TestServer::with(|config| {
        let capabilities = json!({"buttons": true, "edit": true, "inbound": true});
        for (name, url) in [("desk", url), ("pager", "http://192.0.2.1/")] {
            let settings = json!({"kind": "webhook", "url": url, "secret": SECRET, "capabilities": capabilities});
            config.channels.insert(name.into(), settings);
        }
        config.outbound_allow = "127.0.0.0/8".parse().unwrap();
    })
    .await
}

async fn hub() -> TestServer {
    hub_at("http://192.0.2.1/").await
}

/// The path of a person's addresses, for administrators.
async fn path(person: &Caller) -> String {
    let user = person.get("/api/auth/me").await.body;
    format!("/api/users/{}/addresses", text(&user, "id"))
}

fn at(channel: &str, address: &str) -> Value {
    json!({"channel": channel, "address": address})
}

#[tokio::test]
async fn an_address_is_given_once_confirmed_and_seen_by_both() {
    let server = hub().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let path = path(&ben).await;
    let mut given = Vec::new();
    for (channel, address) in [("desk", "desk-7"), ("pager", "+43 1"), ("desk", "desk-7")] {
        let added = ana.post(&path, at(channel, address)).await;
        let id = &added.body["id"];
        let expected = json!({"id": id, "channel": channel, "address": address, "confirmed": true, "expires_at": null, "blocked_at": null});
        assert_eq!((added.status, &added.body), (StatusCode::CREATED, &expected));
        given.push(added.body);
    }
    assert_eq!(given[0], given[2], "the same one again");
    let both = json!({"items": given[..2], "next_cursor": null});
    for listed in [ana.get(&path).await, ben.get("/api/me/addresses").await] {
        assert_eq!((listed.status, &listed.body), (StatusCode::OK, &both));
    }
    assert_eq!(ana.get("/api/me/addresses").await.body["items"], json!([]), "they are not the administrator's");
}

#[tokio::test]
async fn a_new_address_on_a_channel_takes_the_place_of_the_one_before() {
    let server = hub().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    for address in ["a-slip", "desk-7"] {
        assert_eq!(ana.post(&path(&ben).await, at("desk", address)).await.status, StatusCode::CREATED);
    }
    let listed = ben.get("/api/me/addresses").await.body;
    let listed: Vec<_> = listed["items"].as_array().unwrap().iter().map(|one| text(one, "address")).collect();
    assert_eq!(listed, ["desk-7"]);
    let freed = ana.post(&path(&ana).await, at("desk", "a-slip")).await;
    assert_eq!(freed.status, StatusCode::CREATED, "it is nobody's any more");
}

#[tokio::test]
async fn nobody_is_asked_to_sign_in() {
    let server = hub().await;
    let ana = server.register("ana").await;
    let (nobody, path) = (server.nobody(), path(&ana).await);
    for answer in [
        nobody.get("/api/users").await,
        nobody.get(&path).await,
        nobody.post(&path, at("desk", "desk-7")).await,
        nobody.get("/api/me/addresses").await,
    ] {
        assert_eq!((answer.status.as_u16(), answer.problem()), (401, "unauthenticated"), "{answer:?}");
    }
}

#[tokio::test]
async fn members_and_service_tokens_are_refused_whatever_they_send() {
    let server = hub().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let (own, agent) = (path(&ben).await, server.agent(&ana).await);
    for caller in [&ben, &agent] {
        for answer in [
            caller.get("/api/users").await,
            caller.get(&own).await,
            caller.post(&own, at("desk", "desk-7")).await,
            caller.post(&own, at("nowhere", "")).await,
            caller.post(&format!("/api/users/{}/addresses", Uuid::nil()), at("desk", "desk-7")).await,
        ] {
            assert_eq!((answer.status.as_u16(), answer.problem()), (403, "forbidden"), "{answer:?}");
        }
    }
    assert_eq!(agent.get("/api/me/addresses").await.problem(), "forbidden", "agents have none");
    assert_eq!(ana.get(&own).await.body["items"], json!([]));
}

#[tokio::test]
async fn a_person_who_is_not_there_is_not_found() {
    let server = hub().await;
    let ana = server.register("ana").await;
    let path = format!("/api/users/{}/addresses", Uuid::nil());
    for answer in [ana.get(&path).await, ana.post(&path, at("desk", "desk-7")).await] {
        assert_eq!((answer.status.as_u16(), answer.problem()), (404, "not_found"), "{answer:?}");
    }
    let by_name = ana.post("/api/users/ana/addresses", at("desk", "desk-7")).await;
    assert_eq!((by_name.problem(), by_name.fields()), ("malformed", vec!["id"]), "a person is known by their id here");
}

#[tokio::test]
async fn a_channel_that_takes_no_address_is_refused_with_those_that_do() {
    let server = hub().await;
    let ana = server.register("ana").await;
    let path = path(&ana).await;
    for (channel, detail) in
        [("slack", "there is no channel named `slack`"), ("websocket", "this channel knows people by their account")]
    {
        let answer = ana.post(&path, at(channel, "desk-7")).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (422, "invalid"), "{answer:?}");
        assert_eq!(answer.fields(), ["channel"]);
        let fault = &answer.body["errors"][0];
        assert!(text(fault, "detail").starts_with(detail), "{answer:?}");
        assert_eq!(fault["allowed"], json!(["desk", "pager"]));
    }
}

#[tokio::test]
async fn what_is_no_address_is_refused_with_its_field() {
    let server = hub().await;
    let ana = server.register("ana").await;
    let path = path(&ana).await;
    for (body, field) in [
        (at("desk", ""), "address"),
        (at("desk", "desk-7\r\nBcc: all"), "address"),
        (at("desk", "desk\0"), "address"),
        (at("desk", &"a".repeat(513)), "address"),
        (json!({"channel": "desk", "address": 7}), "address"),
        (json!({"channel": "desk"}), "address"),
        (at("The Desk", "desk-7"), "channel"),
        (json!({"address": "desk-7"}), "channel"),
        (json!({"channel": "desk", "address": "desk-7", "confirmed": false}), "confirmed"),
    ] {
        let answer = ana.post(&path, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (422, "invalid"), "{body}");
        assert_eq!(answer.fields(), [field], "{body}");
    }
    assert_eq!(ana.get(&path).await.body["items"], json!([]));
}

#[tokio::test]
async fn an_address_of_another_person_is_taken() {
    let server = hub().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    ana.post(&path(&ben).await, at("desk", "desk-7")).await;
    let own = path(&ana).await;
    let taken = ana.post(&own, at("desk", "desk-7")).await;
    assert_eq!((taken.status.as_u16(), taken.problem()), (409, "taken"), "{taken:?}");
    assert_eq!((taken.fields(), &taken.body["detail"]), (vec!["address"], &json!("This address is ben's.")));
    let elsewhere = ana.post(&own, at("pager", "desk-7")).await;
    assert_eq!(elsewhere.status, StatusCode::CREATED, "another channel, another address");
}

#[tokio::test]
async fn accounts_come_in_pages_newest_first() {
    let server = hub().await;
    let ana = server.register("ana").await;
    for name in ["ben", "carl"] {
        server.register(name).await;
    }
    let first = ana.get("/api/users?limit=2").await.body;
    let rest = ana.get(&format!("/api/users?limit=2&cursor={}", text(&first, "next_cursor"))).await.body;
    let names = |page: &Value| -> Vec<_> {
        page["items"].as_array().unwrap().iter().map(|user| text(user, "username").to_owned()).collect()
    };
    assert_eq!((names(&first), names(&rest)), (vec!["carl".into(), "ben".into()], vec!["ana".into()]));
    assert_eq!((&rest["next_cursor"], &rest["items"][0]), (&Value::Null, &ana.get("/api/auth/me").await.body));
    assert!(rest["items"][0].get("password").is_none());
    assert_eq!(ana.get("/api/users?cursor=x").await.fields(), ["cursor"]);
}

#[tokio::test]
async fn a_question_that_could_go_nowhere_goes_to_the_address_when_there_is_one() {
    let mut plug_in = PlugIn::start().await;
    let server = hub_at(&plug_in.url()).await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let agent = server.agent(&ana).await;
    let asked = json!({"kind": "approval", "prompt": "Deploy 1.4.2?", "to": ["ben"], "channels": ["desk"]});
    let request = agent.put(asked).await;
    let deliveries = format!("/api/feedback/{}/deliveries", text(&request, "id"));
    assert_eq!(agent.get(&deliveries).await.body["items"], json!([]), "Ben is nowhere");

    assert_eq!(ana.post(&path(&ben).await, at("desk", "desk-7")).await.status, StatusCode::CREATED);
    let shown = timeout(SOON, plug_in.told("request")).await.expect("it goes out at once");
    assert_eq!((&shown["request"]["id"], &shown["to"]), (&request["id"], &json!("desk-7")));
    assert_eq!(agent.get(&deliveries).await.body["items"].as_array().unwrap().len(), 1);

    let yes = json!({"type": "response", "request_id": request["id"], "from": "desk-7", "value": "approved"});
    let answer = PlugIn::tell(&shown["callback_url"], "e-1", &yes).await;
    assert_eq!(answer.body["verdict"], "accepted", "{answer:?}");
    assert_eq!(answer.body["request"]["outcome"]["by"]["username"], "ben");
}
