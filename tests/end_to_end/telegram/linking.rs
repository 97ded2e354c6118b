//! Linking an account by a link, and what ends that.

use hearback_tests::telegram::{USERNAME, text};

use super::*;

const ADDRESSES: &str = "/api/me/addresses";

async fn link(who: &Caller) -> Value {
    let made = who.post(ADDRESSES, json!({"channel": "telegram"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    made.body
}

async fn addresses(who: &Caller) -> Vec<Value> {
    who.get(ADDRESSES).await.body["items"].as_array().unwrap().clone()
}

fn code(link: &Value) -> &str {
    link["code"].as_str().unwrap()
}

#[tokio::test]
async fn whoever_opens_their_link_is_linked_and_gets_what_waited_for_them() {
    let world = World::unlinked().await;
    let draft = json!({"kind": "approval", "prompt": "Deploy?", "to": ["ana"], "channels": ["telegram"]});
    let waiting = world.agent.put(draft).await;
    assert!(world.deliveries(&waiting).await.is_empty(), "there is no way to her yet");
    let link = link(&world.ana).await;
    let expected = format!("https://t.me/{USERNAME}?start={}", code(&link));
    assert_eq!(link["link"], json!(expected));
    assert!(code(&link).len() <= 64 && code(&link).bytes().all(|c| c.is_ascii_alphanumeric() || b"_-".contains(&c)));
    let said = world.write(ANA, &format!("/start {}", code(&link)), None).await;
    assert!(said.text().contains("linked to ana"), "{}", said.text());
    let address = &addresses(&world.ana).await[0];
    assert_eq!((&address["address"], &address["confirmed"]), (&json!(ANA.to_string()), &json!(true)));
    let question = world.api.message(&ANA.to_string(), 2).await;
    assert!(question.text().contains("Deploy?"), "{}", question.text());
    assert_eq!(world.tap(ANA, &question, "Approve").await, "Your answer: Approved.");
}

#[tokio::test]
async fn a_code_is_good_once_and_the_newest_alone() {
    let world = World::unlinked().await;
    let ben = world.server.register("ben").await;
    let (old, new) = (link(&world.ana).await, link(&world.ana).await);
    let said = world.write(ANA, &format!("/start {}", code(&old)), None).await;
    assert!(said.text().contains("good no more"), "{}", said.text());
    assert!(addresses(&world.ana).await.is_empty());
    world.write(ANA, &format!("/start {}", code(&new)), None).await;
    // Telegram may tell it again.
    let again = world.write(ANA, &format!("/start {}", code(&new)), None).await;
    assert!(again.text().contains("linked to ana"), "{}", again.text());
    let theirs = world.write(BEN, &format!("/start {}", code(&new)), None).await;
    assert!(theirs.text().contains("good no more"), "{}", theirs.text());
    assert!(addresses(&ben).await.is_empty());
    let guessed = world.write(BEN, "/start AAAAAAAAAAAAAAAAAAAAAA", None).await;
    assert!(guessed.text().contains("good no more"), "{}", guessed.text());
}

#[tokio::test]
async fn a_code_is_good_for_ten_minutes() {
    let clock = Arc::new(ManualClock::at(at("2026-11-22T10:00:00Z")));
    let world = World::on(clock.clone(), None).await;
    let link = link(&world.ana).await;
    assert_eq!(link["expires_at"], "2026-11-22T10:10:00.000000Z");
    clock.advance(Duration::from_mins(10));
    world.api.tell(text(ANA, ANA, &format!("/start {}", code(&link)), None));
    // The poll under way is over time, too.
    advance_until(&clock, Duration::from_secs(1), || !world.api.messages().is_empty()).await;
    let said = world.api.message(&ANA.to_string(), 1).await;
    assert!(said.text().contains("its 10 minutes are over"), "{}", said.text());
}

#[tokio::test]
async fn one_telegram_account_is_one_persons_and_stop_ends_that() {
    let world = World::start().await;
    let ben = world.server.register("ben").await;
    let taken = world.write(ANA, &format!("/start {}", code(&link(&ben).await)), None).await;
    assert!(taken.text().contains("linked to another account"), "{}", taken.text());
    let (request, question) = world.ask(2, json!({"kind": "approval"})).await;
    let stopped = world.write(ANA, "/stop", None).await;
    assert!(stopped.text().contains("linked to ana no more"), "{}", stopped.text());
    assert!(addresses(&world.ana).await.is_empty());
    assert!(world.tap(ANA, &question, "Approve").await.contains("link this account"), "she is nobody there now");
    assert_eq!(world.responses(&request).await[0]["verdict"], "refused");
    assert!(world.write(ANA, "/stop", None).await.text().contains("linked to nobody"));
    world.write(ANA, &format!("/start {}", code(&link(&ben).await)), None).await;
    assert_eq!(addresses(&ben).await[0]["address"], json!(ANA.to_string()));
}

#[tokio::test]
async fn somebody_who_is_deactivated_is_not_linked() {
    let world = World::unlinked().await;
    let ben = world.server.register("ben").await;
    let link = link(&ben).await;
    let id = ben.get("/api/auth/me").await.body["id"].as_str().unwrap().to_owned();
    let change = world.ana.call(reqwest::Method::PATCH, &format!("/api/users/{id}")).json(&json!({"active": false}));
    assert_eq!(change.send().await.unwrap().status(), StatusCode::OK);
    let said = world.write(BEN, &format!("/start {}", code(&link)), None).await;
    assert!(said.text().contains("good no more"), "{}", said.text());
}

#[tokio::test]
async fn a_link_belongs_into_a_private_chat() {
    let world = World::unlinked().await;
    let link = link(&world.ana).await;
    let group = -100_500;
    world.api.tell(text(ANA, group, &format!("/start {}", code(&link)), None));
    let said = world.api.message(&group.to_string(), 1).await;
    assert!(said.text().contains("private chat"), "{}", said.text());
    assert!(addresses(&world.ana).await.is_empty());
}

#[tokio::test]
async fn a_channel_that_links_nobody_says_what_it_needs() {
    let mut world = World::unlinked().await;
    for (channel, field) in [("websocket", "channel"), ("nowhere", "channel")] {
        let refused = world.ana.post(ADDRESSES, json!({"channel": channel})).await;
        assert_eq!((refused.status, refused.fields()), (StatusCode::UNPROCESSABLE_ENTITY, vec![field]), "{refused:?}");
        assert_eq!(refused.body["errors"][0]["allowed"], json!(["telegram"]));
    }
    world.server.restart_with(|config| drop(config.channels.insert("desk".into(), json!({"kind": "memory"})))).await;
    world.call_again();
    let refused = world.ana.post(ADDRESSES, json!({"channel": "desk"})).await;
    assert_eq!((refused.status, refused.fields()), (StatusCode::UNPROCESSABLE_ENTITY, vec!["address"]), "{refused:?}");
}

#[tokio::test]
async fn a_code_can_be_sent_there_too() {
    let world = World::unlinked().await;
    let claimed = world.ana.post(ADDRESSES, json!({"channel": "telegram", "address": ANA.to_string()})).await;
    assert_eq!(claimed.status, StatusCode::CREATED, "{claimed:?}");
    let sent = world.api.message(&ANA.to_string(), 1).await;
    let code = sent.text().split("<code>").nth(1).and_then(|rest| rest.split("</code>").next()).unwrap();
    let id = claimed.body["id"].as_str().unwrap();
    let confirmed = world.ana.post(&format!("{ADDRESSES}/{id}/confirm"), json!({"code": code})).await;
    assert_eq!((confirmed.status, &confirmed.body["confirmed"]), (StatusCode::OK, &json!(true)), "{confirmed:?}");
}

#[tokio::test]
async fn why_there_is_no_link_is_told() {
    let api = BotApi::start().await;
    let server = TestServer::with(|config| {
        // What calls nobody until somebody asks: the bot's name is not known yet.
        for method in ["getMe"; 60] {
            api.wrong(method, hearback_tests::telegram::Wrong::Page(503));
        }
        let settings = json!({"kind": "telegram", "bot_token": TOKEN, "api_url": api.url()});
        config.channels.insert("telegram".into(), settings);
    })
    .await;
    let ana = server.register("ana").await;
    let refused = ana.post(ADDRESSES, json!({"channel": "telegram"})).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"), "{refused:?}");
    assert!(refused.headers.contains_key("retry-after"));
    assert!(!refused.body.to_string().contains(TOKEN));
}

#[tokio::test]
async fn a_bot_without_a_name_or_a_token_has_no_link() {
    use hearback_tests::telegram::Wrong;
    for wrong in [Wrong::Nameless, Wrong::Refused(401, "Unauthorized".into(), None), Wrong::Page(404)] {
        let api = BotApi::start().await;
        let server = TestServer::with(|config| {
            for _ in 0..60 {
                api.wrong("getMe", wrong.clone());
            }
            let settings = json!({"kind": "telegram", "bot_token": TOKEN, "api_url": api.url()});
            config.channels.insert("telegram".into(), settings);
        })
        .await;
        let ana = server.register("ana").await;
        let refused = ana.post(ADDRESSES, json!({"channel": "telegram"})).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::BAD_GATEWAY, "undeliverable"), "{refused:?}");
    }
}

#[tokio::test]
async fn what_waits_for_a_chat_that_is_linked_no_more_goes_elsewhere() {
    let clock = Arc::new(ManualClock::at(at("2026-11-22T10:00:00Z")));
    let world = World::on(clock.clone(), None).await;
    world.give(&world.ana, ANA).await;
    // The hub has no other way to her: this one waits for its round.
    world.api.wrong("sendMessage", hearback_tests::telegram::Wrong::Page(503));
    let draft = json!({"kind": "approval", "prompt": "Deploy?", "to": ["ana"], "channels": ["telegram"]});
    let request = world.agent.put(draft).await;
    crate::socket::delivery_status(&world.agent, &request, "queued").await;
    world.api.until("the refused call", |api| Some(()).filter(|()| api.calls_of("sendMessage").len() == 1)).await;
    let stopped = world.write(ANA, "/stop", None).await;
    assert!(stopped.text().contains("linked to ana no more"), "{}", stopped.text());
    crate::socket::delivery_status(&world.agent, &request, "failed").await;
    assert_eq!(world.deliveries(&request).await[0]["reason"], "the person has ended the link");
}
