//! How people like to be reached: said, checked, and kept to.

use std::sync::Arc;

use hearback_core::{Clock, Timestamp, clock::ManualClock};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{task::yield_now, time::timeout};

use crate::{
    accounts::{change, id},
    auth::{log_in, text},
    plug_ins::fake::{PlugIn, SECRET},
    program::BOUND,
    server::{Answered, Caller, PASSWORD, TestServer, read},
};

const PREFERENCES: &str = "/api/me/preferences";

async fn put(who: &Caller, body: &Value) -> Answered {
    read(who.call(Method::PUT, PREFERENCES).json(body).send().await.unwrap()).await
}

async fn prefer(who: &Caller, body: Value) -> Value {
    let answer = put(who, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body
}

/// A hub at half past eleven at night in Berlin, where Ben is reached over the plug-ins `desk` and `pager`; and an agent.
struct World {
    server: TestServer,
    clock: Arc<ManualClock>,
    plug_in: PlugIn,
    /// The administrator.
    ana: Caller,
    ben: Caller,
    agent: Caller,
}

impl World {
    async fn start() -> Self {
        let plug_in = PlugIn::credulous().await;
        let clock = Arc::new(ManualClock::at(at("2026-11-23T22:30:00Z")));
        let server = TestServer::on(clock.clone(), |config| {
            for name in ["desk", "pager"] {
                let settings = json!({"kind": "webhook", "url": plug_in.url(), "secret": SECRET,
                    "capabilities": {"buttons": true, "inbound": true}});
                config.channels.insert(name.into(), settings);
            }
            config.outbound_allow = "127.0.0.0/8".parse().unwrap();
        })
        .await;
        let (ana, ben) = (server.register("ana").await, server.register("ben").await);
        let id = text(&ben.get("/api/auth/me").await.body, "id").to_owned();
        for name in ["desk", "pager"] {
            let address = json!({"channel": name, "address": "ben"});
            let added = ana.post(&format!("/api/users/{id}/addresses"), address).await;
            assert_eq!(added.status, StatusCode::CREATED, "{added:?}");
        }
        let agent = server.agent(&ana).await;
        Self { server, clock, plug_in, ana, ben, agent }
    }

    async fn ask(&self, change: Value) -> Value {
        let mut draft = json!({"kind": "approval", "prompt": "Deploy 1.4.2?", "to": ["ben"], "channels": ["desk"]});
        draft.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        self.agent.put(draft).await
    }

    async fn delivery(&self, request: &Value) -> Value {
        let deliveries = self.agent.get(&format!("/api/feedback/{}/deliveries", text(request, "id"))).await.body;
        deliveries["items"][0].clone()
    }

    /// The request goes out, and says so.
    async fn goes_out(&mut self, request: &Value) -> Value {
        let shown = self.plug_in.told("request").await;
        assert_eq!(shown["request"]["id"], request["id"]);
        let sent = async {
            while self.delivery(request).await["status"] != "sent" {
                yield_now().await;
            }
        };
        timeout(BOUND, sent).await.expect("it is sent");
        shown
    }
}

fn at(text: &str) -> Timestamp {
    serde_json::from_value(json!(text)).unwrap()
}

fn night(to: &str) -> Value {
    json!({"timezone": "Europe/Berlin", "quiet_hours": {"from": "22:00", "to": to}})
}

#[tokio::test]
async fn they_are_replaced_whole_and_kept_in_their_usual_letters() {
    let mut world = World::start().await;
    let ben = world.ben.clone();
    let at_first = json!({"channels": [], "locale": null, "timezone": null, "quiet_hours": null});
    assert_eq!(ben.get(PREFERENCES).await.body, at_first);
    let all = json!({
        "channels": ["pager", "websocket"], "locale": "pt-br", "timezone": "america/sao_paulo",
        "quiet_hours": {"from": "22:00", "to": "06:30"},
    });
    let kept = json!({
        "channels": ["pager", "websocket"], "locale": "pt-BR", "timezone": "America/Sao_Paulo",
        "quiet_hours": {"from": "22:00", "to": "06:30"},
    });
    assert_eq!((prefer(&ben, all).await, ben.get(PREFERENCES).await.body), (kept.clone(), kept.clone()));
    world.server.restart().await;
    let ben = world.server.caller(ben.token.as_deref().unwrap());
    assert_eq!(ben.get(PREFERENCES).await.body, kept);
    assert_eq!(
        prefer(&ben, json!({"locale": "de"})).await,
        json!({
            "channels": [], "locale": "de", "timezone": null, "quiet_hours": null,
        })
    );
    assert_eq!(prefer(&ben, json!({})).await, at_first);
    for caller in [world.server.nobody(), world.server.caller(world.agent.token.as_deref().unwrap())] {
        let problem = if caller.token.is_some() { "forbidden" } else { "unauthenticated" };
        assert_eq!(
            (caller.get(PREFERENCES).await.problem(), put(&caller, &json!({})).await.problem()),
            (problem, problem)
        );
    }
}

#[tokio::test]
async fn what_would_not_do_is_refused_with_its_field_and_what_would() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    for (body, field, told) in [
        (json!({"channels": ["websocket", "slack"]}), "channels[1]", "there is no channel named `slack`"),
        (json!({"channels": ["websocket", "websocket"]}), "channels[1]", "stands there twice"),
        (json!({"channels": ["The Desk"]}), "channels[0]", "a channel's name has"),
        (json!({"channels": "websocket"}), "channels", "expected a list"),
        (json!({"locale": "the language of my country"}), "locale", "BCP 47"),
        (json!({"locale": "de_DE"}), "locale", "BCP 47"),
        (json!({"timezone": "Berlin"}), "timezone", "IANA"),
        (json!({"timezone": "+02:00"}), "timezone", "IANA"),
        (json!({"quiet_hours": {"from": "10pm", "to": "07:00"}}), "quiet_hours.from", "HH:MM"),
        (json!({"quiet_hours": {"from": "22:00", "to": "24:00"}}), "quiet_hours.to", "HH:MM"),
        (json!({"quiet_hours": {"from": "22:00"}}), "quiet_hours.to", "is required"),
        (json!({"quiet_hours": {"from": "22:00", "to": "22:00"}}), "quiet_hours", "must differ"),
        (json!({"quiet_hours": {"from": "22:00", "to": "07:00", "days": []}}), "quiet_hours.days", "not known"),
        (json!({"language": "de"}), "language", "not known"),
    ] {
        let answer = put(&ana, &body).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (422, "invalid"), "{body}: {answer:?}");
        assert_eq!(answer.fields(), [field], "{body}");
        assert!(text(&answer.body["errors"][0], "detail").contains(told), "{body}: {answer:?}");
    }
    let fault = put(&ana, &json!({"channels": ["slack"]})).await.body;
    assert_eq!(fault["errors"][0]["allowed"], json!(["websocket"]));
}

#[tokio::test]
async fn questions_wait_for_the_end_of_the_quiet_hours_and_urgent_ones_do_not() {
    let mut world = World::start().await;
    prefer(&world.ben, night("07:00")).await;
    let request = world.ask(json!({})).await;
    let waiting = world.delivery(&request).await;
    assert_eq!(
        (&waiting["status"], &waiting["next_attempt_at"]),
        (&json!("queued"), &json!("2026-11-24T06:00:00.000000Z"))
    );
    assert_eq!(waiting["attempts"], json!([]));
    let urgent = world.ask(json!({"urgent": true})).await;
    world.goes_out(&urgent).await;
    let soon_over = world.ask(json!({"expires_in": 7 * 3600})).await;
    world.goes_out(&soon_over).await;
    assert_eq!(world.delivery(&request).await, waiting);
    world.clock.advance(at("2026-11-24T06:00:00Z").since(world.clock.now()));
    world.goes_out(&request).await;
}

#[tokio::test]
async fn who_is_active_again_in_quiet_hours_is_not_woken_by_what_they_missed() {
    let mut world = World::start().await;
    prefer(&world.ben, night("07:00")).await;
    let ben_id = id(&world.ben).await;
    let request = world.ask(json!({"expires_in": 3 * 24 * 3600})).await;
    change(&world.ana, &ben_id, json!({"active": false})).await;
    let until = |moment| at(moment).since(world.clock.now());
    world.clock.advance(until("2026-11-24T06:00:00Z"));
    let given_up = async {
        while world.delivery(&request).await["status"] != "failed" {
            yield_now().await;
        }
    };
    timeout(BOUND, given_up).await.expect("nothing is sent to who is deactivated");
    world.clock.advance(until("2026-11-24T22:30:00Z"));
    let signed_in = log_in(&world.server, "ana", PASSWORD).await.body;
    let ana = world.server.caller(text(&signed_in, "access_token"));
    assert_eq!(change(&ana, &ben_id, json!({"active": true})).await.status, StatusCode::OK);
    let delivery = world.delivery(&request).await;
    assert_eq!(
        (text(&delivery, "status"), &delivery["next_attempt_at"]),
        ("queued", &json!("2026-11-25T06:00:00.000000Z"))
    );
    world.clock.advance(until("2026-11-25T06:00:00Z"));
    world.goes_out(&request).await;
}

#[tokio::test]
async fn what_waits_goes_by_new_quiet_hours_at_once() {
    let mut world = World::start().await;
    prefer(&world.ben, night("07:00")).await;
    let (over_two, other) = (world.ask(json!({})).await, world.ask(json!({"expires_in": 9 * 3600})).await);
    prefer(&world.ben, night("08:00")).await;
    assert_eq!(world.delivery(&over_two).await["next_attempt_at"], "2026-11-24T07:00:00.000000Z");
    // It is over at half past eight in the morning, Berlin's time.
    prefer(&world.ben, night("09:00")).await;
    world.goes_out(&other).await;
    assert_eq!(world.delivery(&over_two).await["next_attempt_at"], "2026-11-24T08:00:00.000000Z");
    prefer(&world.ben, json!({})).await;
    world.goes_out(&over_two).await;
}

#[tokio::test]
async fn the_channels_are_tried_in_the_order_of_the_person_and_in_their_language() {
    let mut world = World::start().await;
    for (channels, locale) in [(json!(["pager", "desk"]), "de"), (json!(["desk"]), "fr-CA")] {
        prefer(&world.ben, json!({"channels": channels, "locale": locale})).await;
        let request = world.ask(json!({"channels": []})).await;
        let shown = world.goes_out(&request).await;
        assert_eq!((&shown["channel"], &shown["locale"]), (&channels[0], &json!(locale)));
    }
}
