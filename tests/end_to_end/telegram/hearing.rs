//! How the hub hears Telegram: by polls, or by calls with a secret.

use hearback_tests::telegram::Wrong;

use super::*;

const PUBLIC: &str = "https://hub.example.org/";
const SECRET: &str = "x-telegram-bot-api-secret-token";

async fn secret(world: &World) -> String {
    world.api.until("a webhook", |api| api.webhook()["secret_token"].as_str().map(Into::into)).await
}

async fn call(world: &World, secret: Option<&str>, body: impl Into<reqwest::Body>) -> StatusCode {
    let mut call =
        reqwest::Client::new().post(format!("{}/api/channels/telegram/webhook", world.server.url())).body(body);
    if let Some(secret) = secret {
        call = call.header(SECRET, secret);
    }
    call.send().await.unwrap().status()
}

fn numbered(mut update: Value, number: i64) -> String {
    update["update_id"] = number.into();
    update.to_string()
}

#[tokio::test]
async fn a_public_https_domain_is_called_with_a_secret() {
    let world = World::public(PUBLIC).await;
    let secret = secret(&world).await;
    assert!(secret.len() >= 32 && secret.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-".contains(&c)), "{secret}");
    let webhook = world.api.webhook();
    assert_eq!(webhook["url"], "https://hub.example.org/api/channels/telegram/webhook");
    assert_eq!(webhook["allowed_updates"], json!(["message", "callback_query", "my_chat_member"]));
    assert_eq!(webhook["max_connections"], 1, "one after another");
    assert!(world.api.calls_of("getUpdates").is_empty(), "what calls is not polled");
    let (request, question) = world.ask(1, json!({"kind": "approval"})).await;
    let approved = numbered(tap(ANA, ANA, question.id, &question.button("Approve")), 77);
    assert_eq!(call(&world, None, approved.clone()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(call(&world, Some("wrong"), approved.clone()).await, StatusCode::UNAUTHORIZED);
    assert!(world.responses(&request).await.is_empty());
    assert_eq!(call(&world, Some(&secret), approved.clone()).await, StatusCode::OK);
    assert_eq!(world.api.answer(1).await, "Your answer: Approved.");
    // Told again, it is stored once.
    assert_eq!(call(&world, Some(&secret), approved).await, StatusCode::OK);
    assert_eq!(world.responses(&request).await.len(), 1);
    for nonsense in ["", "{", "[]", "{\"message\": {}}"] {
        assert_eq!(call(&world, Some(&secret), nonsense).await, StatusCode::UNPROCESSABLE_ENTITY, "{nonsense}");
    }
    assert_eq!(call(&world, Some(&secret), "{\"update_id\": 78, \"poll\": {}}").await, StatusCode::OK);
    let got = reqwest::get(format!("{}/api/channels/telegram/webhook", world.server.url())).await.unwrap();
    assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);
    let elsewhere = reqwest::get(format!("{}/api/channels/telegram/elsewhere", world.server.url())).await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_webhook_that_is_right_is_left_alone_and_another_is_rewritten() {
    let mut world = World::public(PUBLIC).await;
    let first = secret(&world).await;
    let set = || world.api.calls_of("setWebhook").len();
    assert_eq!(set(), 1);
    world.restart().await;
    world.api.until("a look at it", |api| (api.calls_of("getWebhookInfo").len() >= 2).then_some(())).await;
    world.server.stop().await;
    assert_eq!(world.api.calls_of("setWebhook").len(), 1, "it is as it should be");
    let mut other = world.api.webhook();
    other["url"] = json!("https://old.example.org/hook");
    world.api.replace_webhook(other);
    world.server.start_again().await;
    world.call_again();
    let again = world
        .api
        .until("another", |api| Some(api.webhook()).filter(|one| one["url"] != "https://old.example.org/hook"))
        .await;
    assert_eq!(again["secret_token"], json!(first), "the hub keeps its secret");
}

#[tokio::test]
async fn a_webhook_that_vanishes_is_set_again() {
    let clock = Arc::new(ManualClock::at(at("2026-11-22T10:00:00Z")));
    let world = World::on(clock.clone(), Some(PUBLIC)).await;
    secret(&world).await;
    world.api.replace_webhook(Value::Null);
    let looked = world.api.calls_of("getWebhookInfo").len();
    advance_until(&clock, Duration::from_mins(5), || {
        world.api.calls_of("getWebhookInfo").len() > looked && !world.api.webhook().is_null()
    })
    .await;
    assert_eq!(world.api.webhook()["url"], "https://hub.example.org/api/channels/telegram/webhook");
}

#[tokio::test]
async fn a_server_that_tells_nothing_of_webhooks_is_given_one() {
    let api = BotApi::start().await;
    for _ in 0..2 {
        api.wrong("getWebhookInfo", Wrong::Page(500));
    }
    let server = TestServer::with(|config| {
        let settings = json!({"kind": "telegram", "bot_token": TOKEN, "api_url": api.url()});
        config.channels.insert("telegram".into(), settings);
        config.public_url = PUBLIC.parse().unwrap();
    })
    .await;
    api.until("a webhook", |api| Some(()).filter(|()| !api.webhook().is_null())).await;
    drop(server);
}

#[tokio::test]
async fn where_telegram_cannot_call_it_is_asked_and_an_old_webhook_goes_first() {
    let api = BotApi::start().await;
    api.replace_webhook(json!({"url": "https://old.example.org/hook"}));
    let server = TestServer::with(|config| {
        let settings = json!({"kind": "telegram", "bot_token": TOKEN, "api_url": api.url()});
        config.channels.insert("telegram".into(), settings);
        config.public_url = "https://198.51.100.7/".parse().unwrap();
    })
    .await;
    let poll = api.until("a poll", |api| api.calls_of("getUpdates").first().cloned()).await;
    assert!(api.webhook().is_null());
    assert_eq!(poll["allowed_updates"], json!(["message", "callback_query", "my_chat_member"]));
    assert!(poll["timeout"].as_u64().unwrap() >= 30, "a long poll: {poll}");
    let url = format!("{}/api/channels/telegram/webhook", server.url());
    let called = reqwest::Client::new().post(url).body("{}").send().await.unwrap();
    assert_eq!(called.status(), StatusCode::NOT_FOUND, "nobody has a secret");
}

/// What was stored and not confirmed is told again after a restart; what was confirmed is not asked for again.
#[tokio::test]
async fn an_update_that_is_told_again_after_a_restart_counts_once() {
    let mut world = World::start().await;
    let (request, question) = world.ask(1, json!({"kind": "input"})).await;
    let number = world.api.tell(text(ANA, ANA, "1.4.2", Some(question.id)));
    world.api.message(&ANA.to_string(), 2).await;
    world.server.stop().await;
    world.api.tell_again(number, text(ANA, ANA, "1.4.2", Some(question.id)));
    world.server.start_again().await;
    world.call_again();
    let again = world.api.message(&ANA.to_string(), 4).await;
    assert!(again.text().contains("1.4.2"), "{}", again.text());
    assert_eq!(world.responses(&request).await.len(), 1);
}

#[tokio::test]
async fn two_servers_poll_as_one() {
    let Some(database) = hearback::storage::postgres::Scratch::for_test().await else { return };
    let api = BotApi::start().await;
    let with_bot = |config: &mut hearback::config::Config| {
        let settings = json!({"kind": "telegram", "bot_token": TOKEN, "api_url": api.url()});
        config.channels.insert("telegram".into(), settings);
        config.database_url = database.url().into();
        config.secret_key = Some(crate::server::SECRET.into());
    };
    let first = TestServer::with(with_bot).await;
    api.until("a poll", |api| api.calls_of("getUpdates").first().cloned()).await;
    let second = TestServer::with(with_bot).await;
    let ana = second.register("ana").await;
    let agent = second.agent(&ana).await;
    let link = ana.post("/api/me/addresses", json!({"channel": "telegram"})).await.body;
    api.tell(text(ANA, ANA, &format!("/start {}", link["code"].as_str().unwrap()), None));
    api.message(&ANA.to_string(), 1).await;
    let draft = json!({"kind": "approval", "prompt": "Deploy?", "to": ["ana"], "channels": ["telegram"]});
    let request = agent.put(draft).await;
    let question = api.message(&ANA.to_string(), 2).await;
    api.tell(tap(ANA, ANA, question.id, &question.button("Approve")));
    let id = request["id"].as_str().unwrap();
    let read = agent.get(&format!("/api/feedback/{id}?wait=20")).await;
    assert_eq!(read.body["outcome"]["value"], "approved");
    assert_eq!(api.calls_of("deleteWebhook").len(), 1, "one of them hears Telegram");
    drop(first);
}
