//! Where people are reached, as they say themselves: a code goes there, and the address is theirs when it comes back.

mod e_mail;
mod limits;

use std::{sync::Arc, time::Duration};

use hearback_core::{
    Clock,
    clock::{ManualClock, SystemClock},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    auth::text,
    plug_ins::fake::{PlugIn, SECRET},
    program::BOUND,
    server::{Answered, Caller, TestServer, read},
};

const MINE: &str = "/api/me/addresses";

/// A hub with a plug-in as its channels `desk` and `mail`, whose addresses are e-mail addresses; on a clock of the test's.
struct World {
    server: TestServer,
    clock: Arc<ManualClock>,
    plug_in: PlugIn,
    /// The administrator.
    ana: Caller,
    ben: Caller,
}

impl World {
    async fn start() -> Self {
        let plug_in = PlugIn::credulous().await;
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let server = TestServer::on(clock.clone(), |config| {
            for (name, email) in [("desk", false), ("mail", true)] {
                let capabilities = json!({"buttons": true, "inbound": true, "email_addresses": email});
                let settings =
                    json!({"kind": "webhook", "url": plug_in.url(), "secret": SECRET, "capabilities": capabilities});
                config.channels.insert(name.into(), settings);
            }
            config.outbound_allow = "127.0.0.0/8".parse().unwrap();
        })
        .await;
        let (ana, ben) = (server.register("ana").await, server.register("ben").await);
        Self { server, clock, plug_in, ana, ben }
    }

    /// Says that an address is one's, and reads the code that comes there.
    async fn claim(&mut self, who: &Caller, channel: &str, address: &str) -> (Value, String) {
        let claimed = who.post(MINE, at(channel, address)).await;
        assert_eq!(claimed.status, StatusCode::CREATED, "{claimed:?}");
        let code = self.plug_in.told("code").await;
        assert_eq!((&code["to"], &code["channel"]), (&claimed.body["address"], &json!(channel)));
        assert_eq!(code["expires_at"], claimed.body["expires_at"]);
        (claimed.body, text(&code, "code").to_owned())
    }

    /// Says so, and shows the code.
    async fn confirmed(&mut self, who: &Caller, channel: &str, address: &str) -> Value {
        let (claimed, code) = self.claim(who, channel, address).await;
        let confirmed = show(who, &claimed, &code).await;
        assert_eq!(confirmed.status, StatusCode::OK, "{confirmed:?}");
        confirmed.body
    }

    fn minute(&self) {
        self.clock.advance(Duration::from_mins(1));
    }
}

fn at(channel: &str, address: &str) -> Value {
    json!({"channel": channel, "address": address})
}

async fn show(who: &Caller, address: &Value, code: &str) -> Answered {
    who.post(&format!("{MINE}/{}/confirm", text(address, "id")), json!({"code": code})).await
}

/// Another code than this one.
fn other_than(code: &str) -> String {
    let first = if code.starts_with('7') { '8' } else { '7' };
    format!("{first}{}", code.get(1..).unwrap())
}

async fn listed(who: &Caller) -> Vec<Value> {
    who.get(MINE).await.body["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_code_that_comes_back_makes_an_address_theirs_and_what_waits_for_them_goes_there() {
    let mut world = World::start().await;
    let (ana, ben) = (world.ana.clone(), world.ben.clone());
    let agent = world.server.agent(&ana).await;
    let preferences = json!({"locale": "de-AT", "channels": ["desk"]});
    let preferred = read(ben.call(Method::PUT, "/api/me/preferences").json(&preferences).send().await.unwrap()).await;
    assert_eq!(preferred.status, StatusCode::OK, "{preferred:?}");
    let request = agent.ask(&[&ben]).await;
    let deliveries = format!("/api/feedback/{}/deliveries", text(&request, "id"));

    let claimed = ben.post(MINE, at("desk", "desk-7")).await;
    assert_eq!(claimed.status, StatusCode::CREATED, "{claimed:?}");
    let expires_at = world.clock.now().after(Duration::from_mins(10)).to_string();
    let expected = json!({
        "id": claimed.body["id"], "channel": "desk", "address": "desk-7", "confirmed": false, "expires_at": expires_at, "blocked_at": null,
    });
    assert_eq!((&claimed.body, &listed(&ben).await), (&expected, &vec![expected.clone()]));
    let sent = world.plug_in.told("code").await;
    assert_eq!((&sent["to"], &sent["locale"]), (&json!("desk-7"), &json!("de-AT")));
    assert_eq!(agent.get(&deliveries).await.body["items"], json!([]), "nothing goes to what is not confirmed");

    // As a person may have copied it.
    let code = text(&sent, "code");
    let (first, rest) = code.split_at(4);
    let confirmed = show(&ben, &claimed.body, &format!(" {first} {rest}\n")).await;
    let expected = json!({
        "id": claimed.body["id"], "channel": "desk", "address": "desk-7", "confirmed": true, "expires_at": null, "blocked_at": null,
    });
    assert_eq!((confirmed.status, &confirmed.body), (StatusCode::OK, &expected));
    let shown = world.plug_in.told("request").await;
    assert_eq!((&shown["to"], &shown["request"]["id"]), (&json!("desk-7"), &request["id"]));
    assert_eq!(shown["locale"], "de-AT");
    let yes = json!({"type": "response", "request_id": request["id"], "from": "desk-7", "value": "approved"});
    let answer = PlugIn::tell(&shown["callback_url"], "e-1", &yes).await;
    assert_eq!(answer.body["request"]["outcome"]["by"]["username"], "ben", "{answer:?}");

    // Once it is theirs there is nothing to show and nothing to send.
    assert_eq!(show(&ben, &claimed.body, &other_than(code)).await.body, expected);
    let again = ben.post(MINE, at("desk", "desk-7")).await;
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &expected));
}

#[tokio::test]
async fn a_confirmed_address_takes_the_place_of_the_one_before_and_one_that_waits_does_not() {
    let mut world = World::start().await;
    let ben = world.ben.clone();
    let first = world.confirmed(&ben, "desk", "desk-7").await;
    let (second, code) = world.claim(&ben, "desk", "desk-8").await;
    assert_eq!(listed(&ben).await, [first, second.clone()]);
    let confirmed = show(&ben, &second, &code).await.body;
    assert_eq!(listed(&ben).await, [confirmed]);
}

#[tokio::test]
async fn of_two_who_confirm_the_same_address_one_gets_it_and_the_other_is_not_told_who() {
    let mut world = World::start().await;
    let (ana, ben) = (world.ana.clone(), world.ben.clone());
    let (of_ana, for_ana) = world.claim(&ana, "desk", "desk-7").await;
    let (of_ben, for_ben) = world.claim(&ben, "desk", "desk-7").await;
    assert_eq!(show(&ben, &of_ben, &for_ana).await.problem(), "invalid", "a code is its person's");
    assert_eq!(show(&ben, &of_ana, &for_ana).await.problem(), "not_found", "and so is an address");
    let both = tokio::join!(show(&ana, &of_ana, &for_ana), show(&ben, &of_ben, &for_ben));
    let (won, lost) = if both.0.status == StatusCode::OK { both } else { (both.1, both.0) };
    assert_eq!((won.status, &won.body["confirmed"]), (StatusCode::OK, &json!(true)));
    assert_eq!((lost.status.as_u16(), lost.problem(), lost.fields()), (409, "taken", vec!["address"]), "{lost:?}");
    assert!(!lost.body.to_string().contains("ana") && !lost.body.to_string().contains("ben"), "{lost:?}");

    // Before the code comes back, nothing tells that an address is somebody's.
    world.minute();
    let carl = world.server.register("carl").await;
    let (claimed, code) = world.claim(&carl, "desk", "desk-7").await;
    assert_eq!((&claimed["confirmed"], &claimed["address"]), (&json!(false), &json!("desk-7")));
    assert_eq!(show(&carl, &claimed, &code).await.problem(), "taken");
    assert_eq!(show(&carl, &claimed, &code).await.problem(), "expired", "the code is used up");
}

#[tokio::test]
async fn what_is_taken_away_is_a_strangers() {
    let mut world = World::start().await;
    let (ana, ben) = (world.ana.clone(), world.ben.clone());
    let agent = world.server.agent(&ana).await;
    let desk = world.confirmed(&ben, "desk", "desk-7").await;
    let mail = world.confirmed(&ben, "mail", "b@example.org").await;
    let request = agent.put(json!({"kind": "approval", "prompt": "?", "to": ["ben"], "channels": ["desk"]})).await;
    let shown = world.plug_in.told("request").await;

    let (own, of_ben) =
        (format!("{MINE}/{}", text(&desk, "id")), text(&ben.get("/api/auth/me").await.body, "id").to_owned());
    let as_administrator = |id: &str| format!("/api/users/{of_ben}/addresses/{id}");
    assert_eq!(ana.delete(&own).await.problem(), "not_found", "it is Ben's");
    assert_eq!(ben.delete(&as_administrator(text(&mail, "id"))).await.problem(), "forbidden");
    assert_eq!(ben.delete(&own).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ben.delete(&own).await.problem(), "not_found", "it is gone");
    let path = as_administrator(text(&mail, "id"));
    assert_eq!(ana.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ana.delete(&path).await.problem(), "not_found");
    assert_eq!(ana.delete("/api/users/ben/addresses/7").await.problem(), "malformed");
    assert!(listed(&ben).await.is_empty());

    let yes = json!({"type": "response", "request_id": request["id"], "from": "desk-7", "value": "approved"});
    let answer = PlugIn::tell(&shown["callback_url"], "e-1", &yes).await;
    assert_eq!(answer.body["verdict"], "refused", "{answer:?}");
    let next = agent.put(json!({"kind": "approval", "prompt": "?", "to": ["ben"], "channels": ["desk"]})).await;
    let deliveries = agent.get(&format!("/api/feedback/{}/deliveries", text(&next, "id"))).await.body;
    assert_eq!(deliveries["items"], json!([]), "nothing goes there");
}

#[tokio::test]
async fn it_is_for_people() {
    let world = World::start().await;
    let agent = world.server.agent(&world.ana).await;
    let one = format!("{MINE}/{}", uuid::Uuid::nil());
    for (caller, problem) in [(world.server.nobody(), "unauthenticated"), (agent, "forbidden")] {
        for answer in [
            caller.get(MINE).await,
            caller.post(MINE, at("desk", "desk-7")).await,
            caller.post(&format!("{one}/confirm"), json!({"code": "12345678"})).await,
            caller.delete(&one).await,
        ] {
            assert_eq!(answer.problem(), problem, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_channel_that_carries_no_code_there_is_refused_with_those_that_do() {
    let world = World::start().await;
    for (channel, detail) in
        [("slack", "there is no channel named `slack`"), ("websocket", "this channel knows people by their account")]
    {
        let answer = world.ben.post(MINE, at(channel, "desk-7")).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (422, "invalid"), "{answer:?}");
        assert_eq!(answer.fields(), ["channel"]);
        let fault = &answer.body["errors"][0];
        assert!(text(fault, "detail").starts_with(detail), "{answer:?}");
        assert_eq!(fault["allowed"], json!(["desk", "mail"]));
    }
    for (body, field) in [(at("desk", ""), "address"), (json!({"channel": "desk"}), "address")] {
        assert_eq!(world.ben.post(MINE, body).await.fields(), [field]);
    }
    assert!(listed(&world.ben).await.is_empty());
}

#[tokio::test]
async fn a_code_that_is_not_sent_is_said_so_and_another_may_be_a_minute_later() {
    let mut world = World::start().await;
    let ben = world.ben.clone();
    for (address, status, problem) in
        [("gone", 502, "undeliverable"), ("busy", 429, "too_many_requests"), ("ill", 503, "unavailable")]
    {
        let answer = ben.post(MINE, at("desk", address)).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (status, problem), "{answer:?}");
        assert!(text(&answer.body, "detail").contains("desk"), "{answer:?}");
        assert_eq!(answer.headers.get("retry-after").is_some(), status != 502, "{answer:?}");
        world.plug_in.told("code").await;
        let waiting = listed(&ben).await;
        assert_eq!((waiting.len(), &waiting[0]["confirmed"]), (1, &json!(false)), "{waiting:?}");
        assert_eq!(ben.post(MINE, at("desk", address)).await.problem(), "too_many_requests");
        world.minute();
        assert_eq!(ben.post(MINE, at("desk", address)).await.problem(), problem, "it is tried again");
        world.plug_in.told("code").await;
        assert_eq!(ben.delete(&format!("{MINE}/{}", text(&waiting[0], "id"))).await.status, StatusCode::NO_CONTENT);
    }
    timeout(BOUND, world.confirmed(&ben, "desk", "desk-7")).await.expect("the channel works");
}
