//! What people write to the bot.

use super::*;
use crate::socket::Socket;

#[tokio::test]
async fn who_is_not_linked_gets_help_and_how_much_there_is() {
    let world = World::unlinked().await;
    world.agent.ask(&[&world.ana]).await;
    let start = world.write(MAX, "/start", None).await;
    assert!(start.text().contains("get a link from the hub"), "{}", start.text());
    let help = world.write(MAX, "/help", None).await;
    assert!(help.text().contains("/pending") && help.text().contains("/stop"), "{}", help.text());
    let info = world.write(MAX, "/info@hearback_test_bot", None).await;
    let url = world.server.url();
    for part in ["People: 1", "wait for an answer: 1", &format!("{url}/docs"), &format!("Page: {url}/")] {
        assert!(info.text().contains(part), "{part}: {}", info.text());
    }
    assert!(world.write(MAX, "/pending", None).await.text().contains("link this account"));
    assert!(world.write(MAX, "/what", None).await.text().contains("do not know this command"));
}

#[tokio::test]
async fn the_commands_are_in_the_menu_in_several_languages() {
    let world = World::unlinked().await;
    let menus =
        world.api.until("the menus", |api| Some(api.calls_of("setMyCommands")).filter(|menus| menus.len() >= 8)).await;
    let mut languages: Vec<_> = menus.iter().map(|menu| menu["language_code"].as_str().unwrap_or("")).collect();
    languages.sort_unstable();
    assert_eq!(languages, ["", "de", "es", "fr", "it", "nl", "pl", "pt"]);
    for menu in &menus {
        let commands: Vec<_> = menu["commands"].as_array().unwrap().iter().map(|one| one["command"].clone()).collect();
        assert_eq!(commands, ["pending", "info", "help", "stop", "start"]);
    }
    let named = |language: &str| {
        let menu = menus.iter().find(|menu| menu["language_code"].as_str().unwrap_or("") == language).unwrap();
        menu["commands"][0]["description"].as_str().unwrap().to_owned()
    };
    assert_ne!(named(""), named("de"));
}

#[tokio::test]
async fn pending_brings_what_went_elsewhere_and_shows_again_what_is_here() {
    let world = World::start().await;
    let mut socket = Socket::open(&world.server, &world.ana, None).await;
    socket.expect("connection_established").await;
    let (here, question) = world.ask(1, json!({"kind": "approval"})).await;
    let elsewhere = json!({"kind": "approval", "prompt": "Delete it?", "to": ["ana"], "channels": ["websocket"]});
    let elsewhere = world.agent.put(elsewhere).await;
    for request in [&here, &elsewhere] {
        crate::socket::delivery_status(&world.agent, request, "sent").await;
    }
    let said = world.write(ANA, "/pending", None).await;
    assert!(said.text().contains("2 questions await you"), "{}", said.text());
    let (one, two) = (world.api.message(&ANA.to_string(), 3).await, world.api.message(&ANA.to_string(), 4).await);
    let (again, brought) = if one.text().contains("Deploy") { (one, two) } else { (two, one) };
    assert_eq!(again.fields["reply_parameters"]["message_id"], question.id);
    assert_eq!(shown(&again), shown(&question));
    assert!(brought.text().contains("Delete it?"), "{}", brought.text());
    assert_eq!(world.tap(ANA, &brought, "Reject").await, "Your answer: Rejected.");
    assert_eq!(world.outcome(&elsewhere).await["channel"], "telegram");
    assert_eq!(world.tap(ANA, &again, "Approve").await, "Your answer: Approved.");
    assert_eq!(world.outcome(&here).await["value"], "approved");
    for message in [&question, &again, &brought] {
        let closed = world.api.shows(message.id, "answered").await;
        assert!(closed.buttons().is_empty(), "{closed:?}");
    }
    assert!(world.write(ANA, "/pending", None).await.text().contains("Nothing awaits you"));
}

#[tokio::test]
async fn a_reply_to_what_was_shown_again_answers_it() {
    let world = World::start().await;
    let (request, _) = world.ask(1, json!({"kind": "input", "prompt": "Which?"})).await;
    crate::socket::delivery_status(&world.agent, &request, "sent").await;
    world.write(ANA, "/pending", None).await;
    let again = world.api.message(&ANA.to_string(), 3).await;
    assert_eq!(again.fields["reply_markup"]["force_reply"], true);
    world.write(ANA, "this one", Some(again.id)).await;
    assert_eq!(world.outcome(&request).await["value"], "this one");
}

/// What Telegram puts off is shown once more, and what it has taken is not.
#[tokio::test]
async fn pending_that_comes_too_fast_shows_everything_once() {
    use hearback_tests::telegram::Wrong;
    let world = World::start().await;
    for count in [1, 2] {
        let (request, _) = world.ask(count, json!({"kind": "approval"})).await;
        crate::socket::delivery_status(&world.agent, &request, "sent").await;
    }
    let limited = Wrong::Refused(429, "Too Many Requests: retry after 1".into(), Some(1));
    for wrong in [Wrong::Nothing, Wrong::Nothing, limited] {
        world.api.wrong("sendMessage", wrong);
    }
    assert!(world.write(ANA, "/pending", None).await.text().contains("2 questions await you"));
    world.api.message(&ANA.to_string(), 5).await;
    // Said after all of that, to the same person.
    assert!(world.write(ANA, "/info", None).await.text().contains("Hearback"));
    let all = world.api.messages();
    assert_eq!(all.iter().filter(|message| message.text().contains("Deploy 1.4.2?")).count(), 4, "{all:#?}");
}
