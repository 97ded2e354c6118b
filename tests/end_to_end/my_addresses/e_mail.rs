//! Channels whose addresses are e-mail addresses: whoever reads what comes to their account's e-mail can be asked by it.

use super::*;

async fn is_known(world: &World, agent: &Caller) -> bool {
    let draft = json!({"kind": "approval", "prompt": "?", "to": ["Ben@example.com"], "channels": ["mail"]});
    let asked = agent.post("/api/feedback", draft).await;
    let known = asked.status == StatusCode::CREATED;
    assert!(known || (asked.problem(), asked.fields()) == ("not_found", vec!["to[0]"]), "{asked:?}");
    assert_eq!(world.ben.get("/api/auth/me").await.body["email_confirmed"], json!(known));
    known
}

#[tokio::test]
async fn whoever_confirms_their_own_e_mail_can_be_asked_by_it() {
    let mut world = World::start().await;
    let (ben, agent) = (world.ben.clone(), world.server.agent(&world.ana).await);
    world.confirmed(&ben, "mail", "another@example.com").await;
    world.confirmed(&ben, "desk", "ben@example.com").await;
    assert!(!is_known(&world, &agent).await, "neither is their e-mail");
    let confirmed = world.confirmed(&ben, "mail", "BEN@Example.com").await;
    assert_eq!(confirmed["address"], "ben@example.com");
    assert!(is_known(&world, &agent).await);
    let again = ben.post(MINE, at("mail", "Ben@EXAMPLE.com")).await;
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &confirmed), "the same one in other letters");
    let shown = world.plug_in.told("request").await;
    assert_eq!(shown["to"], "ben@example.com");
    let yes = json!({"type": "response", "request_id": shown["request"]["id"], "from": "BEN@example.com", "value": "approved"});
    let answer = PlugIn::tell(&shown["callback_url"], "e-1", &yes).await;
    assert_eq!(answer.body["verdict"], "accepted", "{answer:?}");
}

#[tokio::test]
async fn an_administrator_confirms_it_too() {
    let mut world = World::start().await;
    let (agent, carl) = (world.server.agent(&world.ana).await, world.server.register("carl").await);
    let path = format!("/api/users/{}/addresses", text(&world.ben.get("/api/auth/me").await.body, "id"));
    let carls = world.confirmed(&carl, "mail", "ben@example.com").await;
    assert_eq!(world.ana.post(&path, at("mail", "ben@example.com")).await.problem(), "taken");
    assert!(!is_known(&world, &agent).await, "somebody else reads what comes there");
    assert_eq!(carl.delete(&format!("{MINE}/{}", text(&carls, "id"))).await.status, StatusCode::NO_CONTENT);
    let given = world.ana.post(&path, at("mail", "Ben@Example.COM")).await;
    assert_eq!((given.status, &given.body["address"]), (StatusCode::CREATED, &json!("ben@example.com")));
    assert!(is_known(&world, &agent).await);
}
