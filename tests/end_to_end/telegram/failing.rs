//! What Telegram refuses, and what becomes of the question then.

use hearback_core::person::BLOCKED;
use hearback_tests::telegram::{Wrong, member};

use super::*;
use crate::socket::Socket;

fn refused(status: u16, description: &str) -> Wrong {
    Wrong::Refused(status, description.into(), None)
}

/// Asks Ana on Telegram and then on her page, and returns the deliveries once the second has begun.
async fn fallen_back(world: &World) -> (Value, Vec<Value>) {
    let mut socket = Socket::open(&world.server, &world.ana, None).await;
    socket.expect("connection_established").await;
    let draft = json!({"kind": "approval", "prompt": "Deploy?", "to": ["ana"], "channels": ["telegram", "websocket"]});
    let request = world.agent.put(draft).await;
    let deliveries = world.second_delivery(&request).await;
    (request, deliveries)
}

#[tokio::test]
async fn whoever_blocks_the_bot_is_asked_elsewhere_and_here_again_when_they_are_back() {
    let world = World::start().await;
    world.api.block(&ANA.to_string(), true);
    let (first, deliveries) = fallen_back(&world).await;
    assert_eq!((&deliveries[0]["status"], &deliveries[0]["reason"]), (&json!("failed"), &json!(BLOCKED)));
    let error = deliveries[0]["attempts"][0]["error"].to_string();
    assert!(error.contains("blocked by the user"), "{error}");
    let address = world.ana.get("/api/me/addresses").await.body["items"][0].clone();
    assert!(address["blocked_at"].is_string(), "the address is marked: {address}");
    let sends = world.api.calls_of("sendMessage").len();
    let (second, deliveries) = fallen_back(&world).await;
    assert_eq!(deliveries[0]["reason"], BLOCKED);
    assert_eq!(world.api.calls_of("sendMessage").len(), sends, "nobody is called in vain");
    world.api.block(&ANA.to_string(), false);
    world.api.tell(member(ANA, "member"));
    // Both come: the one that was refused, and the one that was never sent.
    for count in [1, 2] {
        let question = world.api.message(&ANA.to_string(), count).await;
        world.tap(ANA, &question, "Approve").await;
    }
    for request in [&first, &second] {
        assert_eq!(world.outcome(request).await["channel"], "telegram");
    }
    let address = world.ana.get("/api/me/addresses").await.body["items"][0].clone();
    assert!(address["blocked_at"].is_null(), "{address}");
}

#[tokio::test]
async fn whoever_blocks_the_bot_with_a_question_before_them_is_asked_elsewhere_at_once() {
    let world = World::start().await;
    let mut socket = Socket::open(&world.server, &world.ana, None).await;
    socket.expect("connection_established").await;
    let draft = json!({"kind": "approval", "prompt": "Deploy?", "to": ["ana"], "channels": ["telegram", "websocket"]});
    let request = world.agent.put(draft).await;
    world.api.message(&ANA.to_string(), 1).await;
    crate::socket::delivery_status(&world.agent, &request, "sent").await;
    world.api.tell(member(ANA, "kicked"));
    world.second_delivery(&request).await;
}

#[tokio::test]
async fn a_chat_that_is_not_known_fails_and_the_next_channel_begins() {
    let world = World::start().await;
    world.api.wrong("sendMessage", refused(400, "Bad Request: chat not found"));
    let (_, deliveries) = fallen_back(&world).await;
    assert_eq!((&deliveries[0]["status"], deliveries.len()), (&json!("failed"), 2));
    let channel = world.channel("up", |one| one["state"] == "up").await;
    assert_eq!(channel["breaker"], "closed", "that is no fault of the service");
}

#[tokio::test]
async fn an_address_that_is_no_chat_calls_nobody() {
    let world = World::start().await;
    let channels = json!([{"channel": "telegram", "address": "not a chat"}]);
    let draft = json!({"kind": "approval", "prompt": "Deploy?", "to": ["ana"], "channels": channels});
    let request = world.agent.put(draft).await;
    crate::socket::delivery_status(&world.agent, &request, "failed").await;
    assert!(world.api.calls_of("sendMessage").is_empty());
}

#[tokio::test]
async fn a_token_that_is_revoked_needs_an_administrator() {
    let world = World::start().await;
    world.channel("up", |one| one["state"] == "up").await;
    for _ in 0..20 {
        world.api.wrong("sendMessage", refused(401, "Unauthorized"));
    }
    let (_, deliveries) = fallen_back(&world).await;
    assert_eq!(deliveries[0]["status"], "failed");
    let channel = world.channel("in need of a token", |one| one["state"] == "needs_auth").await;
    let error = channel["last_error"].to_string();
    assert!(error.contains("refuses the bot's token") && !error.contains(TOKEN), "{error}");
}

#[tokio::test]
async fn telegram_is_left_alone_for_as_long_as_it_asks() {
    let clock = Arc::new(ManualClock::at(at("2026-11-22T10:00:00Z")));
    let world = World::on(clock.clone(), None).await;
    world.give(&world.ana, ANA).await;
    world.api.wrong("sendMessage", Wrong::Refused(429, "Too Many Requests: retry after 35".into(), Some(35)));
    let draft =
        json!({"kind": "approval", "prompt": "Deploy?", "to": ["ana"], "channels": ["telegram"], "expires_in": 86_400});
    let request = world.agent.put(draft).await;
    world.api.until("the refused call", |api| Some(()).filter(|()| api.calls_of("sendMessage").len() == 1)).await;
    crate::socket::delivery_status(&world.agent, &request, "queued").await;
    let held = world.deliveries(&request).await.remove(0);
    assert!(held["reason"].as_str().unwrap().contains("asks to slow down"), "{held}");
    let begun = clock.now();
    advance_until(&clock, Duration::from_secs(1), || world.api.messages().len() == 1).await;
    let waited = clock.now().since(begun);
    assert!(waited >= Duration::from_secs(34), "{waited:?}");
}

#[tokio::test]
async fn one_chat_gets_one_message_a_second_and_others_do_not_wait_for_it() {
    let clock = Arc::new(ManualClock::at(at("2026-11-22T10:00:00Z")));
    let world = World::on(clock.clone(), None).await;
    let ben = world.server.register("ben").await;
    world.give(&world.ana, ANA).await;
    world.give(&ben, BEN).await;
    for to in ["ana", "ana", "ben"] {
        let draft = json!({"kind": "approval", "prompt": "Deploy?", "to": [to], "channels": ["telegram"]});
        world.agent.put(draft).await;
    }
    world.api.message(&ANA.to_string(), 1).await;
    world.api.message(&BEN.to_string(), 1).await;
    assert_eq!(world.api.messages().len(), 2, "a second has not passed");
    clock.advance(Duration::from_secs(1));
    world.api.message(&ANA.to_string(), 2).await;
}

#[tokio::test]
async fn what_hangs_or_is_cut_is_of_unknown_end_and_not_sent_again() {
    for wrong in [Wrong::Cut, Wrong::Echoes] {
        let world = World::start().await;
        world.api.wrong("sendMessage", wrong);
        let (_, deliveries) = fallen_back(&world).await;
        assert_eq!(deliveries[0]["status"], "unknown", "{}", deliveries[0]);
        assert_eq!(world.api.calls_of("sendMessage").len(), 1);
    }
}

#[tokio::test]
async fn an_illness_passes_to_the_next_channel_and_is_tried_again() {
    let world = World::start().await;
    world.api.wrong("sendMessage", Wrong::Page(502));
    let (request, deliveries) = fallen_back(&world).await;
    assert_eq!(deliveries[0]["status"], "queued", "{}", deliveries[0]);
    assert_eq!(deliveries[1]["channel"], "websocket");
    drop(request);
}

/// Another program polls with the same token: the channel says so, and goes on when that one is gone.
#[tokio::test]
async fn a_conflict_is_told_and_outlived() {
    let world = World::start().await;
    let conflict = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
    world.api.wrong("getUpdates", refused(409, conflict));
    // The poll under way ends with this update; the next one comes to the conflict.
    world.write(ANA, "/help", None).await;
    let channel = world.channel("degraded", |one| one["last_error"].to_string().contains("another program")).await;
    assert_eq!(channel["kind"], "telegram");
    world.write(ANA, "/help", None).await;
}

#[tokio::test]
async fn a_settlement_that_fails_is_tried_again() {
    let world = World::start().await;
    let (request, question) = world.ask(1, json!({"kind": "approval"})).await;
    world.api.wrong("editMessageText", refused(500, "Internal Server Error"));
    world.ana.answer(&request, json!("approved")).await;
    world.api.shows(question.id, "answered").await;
    assert_eq!(world.api.calls_of("editMessageText").len(), 2);
}

#[tokio::test]
async fn commands_that_cannot_be_registered_keep_nothing_from_working() {
    let api = BotApi::start().await;
    api.wrong("setMyCommands", Wrong::Page(500));
    let server = TestServer::with(|config| {
        let settings = json!({"kind": "telegram", "bot_token": TOKEN, "api_url": api.url()});
        config.channels.insert("telegram".into(), settings);
    })
    .await;
    api.tell(text(ANA, ANA, "/help", None));
    api.message(&ANA.to_string(), 1).await;
    drop(server);
}

/// Whoever taps is back, even where no word of that came.
#[tokio::test]
async fn whoever_is_heard_again_is_asked_here_again() {
    let world = World::start().await;
    let (_, question) = world.ask(1, json!({"kind": "approval"})).await;
    world.api.block(&ANA.to_string(), true);
    fallen_back(&world).await;
    world.api.block(&ANA.to_string(), false);
    world.tap(ANA, &question, "Approve").await;
    world.api.message(&ANA.to_string(), 2).await;
    let address = world.ana.get("/api/me/addresses").await.body["items"][0].clone();
    assert!(address["blocked_at"].is_null(), "{address}");
}

#[tokio::test]
async fn an_answer_to_a_tap_that_comes_too_fast_is_given_when_telegram_takes_it() {
    let world = World::start().await;
    let (_, question) = world.ask(1, json!({"kind": "approval"})).await;
    world.api.wrong("answerCallbackQuery", Wrong::Refused(429, "Too Many Requests: retry after 1".into(), Some(1)));
    assert_eq!(world.tap(ANA, &question, "Approve").await, "Your answer: Approved.");
}
