//! What people got before a rotation, and bring back after it: links to answer pages, and codes for their addresses.

use super::*;
use crate::{
    answer_page::{link, open, send},
    plug_ins::fake::{PlugIn, SECRET},
};

#[tokio::test]
async fn a_link_that_an_old_secret_signed_answers_until_that_secret_is_gone() {
    let mut server = TestServer::with(|config| with(config, 'a', &[])).await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let (first, second) = (agent.ask(&[&ana]).await, agent.ask(&[&ana]).await);
    let token = async |server: &TestServer, request: &Value| {
        link(server, request, &ana).await.rsplit_once('/').unwrap().1.to_owned()
    };
    let (one, other) = (token(&server, &first).await, token(&server, &second).await);
    let yes = [("value", "approved")];

    server.restart_with(|config| with(config, 'b', &['a'])).await;
    let url = format!("{}/answer/{one}", server.url());
    send(&url, &open(&url).await, &yes).await.shows(200, &["Approved by you on the web"]);
    let url = format!("{}/answer/{other}", server.url());
    let page = open(&url).await;
    page.shows(200, &["Deploy"]);
    let anew = token(&server, &second).await;
    assert_ne!(anew, other, "new ones are signed by the new secret");

    server.restart_with(|config| with(config, 'b', &[])).await;
    let url = format!("{}/answer/{other}", server.url());
    for page in [open(&url).await, send(&url, &page, &yes).await] {
        page.shows(404, &["This link leads to no question"]).lacks(&["Deploy", "<form"]);
    }
    let agent = server.caller(agent.token.as_deref().unwrap());
    let second = format!("/api/feedback/{}", text(&second, "id"));
    assert_eq!(agent.get(&second).await.body["status"], "pending");
    let url = format!("{}/answer/{anew}", server.url());
    send(&url, &open(&url).await, &yes).await.shows(200, &["Approved by you on the web"]);
}

const CODES: &str = "codes for addresses";

async fn a_code_that_was_sent_before_a_rotation_confirms_after_it(database: Option<Scratch>) {
    let mut plug_in = PlugIn::credulous().await;
    let mut server = TestServer::with(|config| {
        if let Some(database) = &database {
            database.url().clone_into(&mut config.database_url);
        }
        let capabilities = json!({"buttons": true, "inbound": true});
        let desk = json!({"kind": "webhook", "url": plug_in.url(), "secret": SECRET, "capabilities": capabilities});
        config.channels.insert("desk".into(), desk);
        config.outbound_allow = "127.0.0.0/8".parse().unwrap();
        with(config, 'a', &[]);
    })
    .await;
    let mut codes = Vec::new();
    server.register("ana").await;
    let signed_in = async |server: &TestServer| {
        let form = [("username", "ana"), ("password", PASSWORD)];
        let login = server.nobody().call(Method::POST, "/api/auth/login").form(&form);
        server.caller(text(&read(login.send().await.unwrap()).await.body, "access_token"))
    };
    let ana = signed_in(&server).await;
    for address in ["desk-1", "desk-2", "desk-3"] {
        let claimed = ana.post("/api/me/addresses", json!({"channel": "desk", "address": address})).await;
        assert_eq!(claimed.status, StatusCode::CREATED, "{claimed:?}");
        let code = text(&plug_in.told("code").await, "code").to_owned();
        codes.push((format!("/api/me/addresses/{}/confirm", text(&claimed.body, "id")), json!({ "code": code })));
    }

    server.restart_with(|config| with(config, 'b', &['a'])).await;
    let confirm = async |server: &TestServer, (path, code): &(String, Value)| {
        signed_in(server).await.post(path, code.clone()).await
    };
    assert_eq!(confirm(&server, &codes[0]).await.status, StatusCode::OK, "the old secret opens it");
    let config = Config { migrate: Migrate::Auto, ..server.running().app().config.clone() };
    assert_eq!(counts(&wiring::reencrypt(&config).await.unwrap()), [(CODES, 3, 0, 0)]);
    assert_eq!(counts(&wiring::reencrypt(&config).await.unwrap()), [(CODES, 0, 3, 0)]);
    assert_eq!(confirm(&server, &codes[1]).await.status, StatusCode::OK, "sealed anew while the hub runs");

    // Under a foreign secret no code is good, and none is used up.
    server.restart_with(|config| with(config, 'c', &[])).await;
    let lost = server.running().storage().unreadable().await.unwrap();
    assert_eq!(lost.iter().map(|lost| (lost.what, lost.number)).collect::<Vec<_>>(), [(CODES, 3)]);
    assert_eq!(confirm(&server, &codes[2]).await.problem(), "expired");
    server.restart_with(|config| with(config, 'b', &[])).await;
    assert_eq!(server.running().storage().unreadable().await.unwrap(), []);
    let confirmed = confirm(&server, &codes[2]).await;
    assert_eq!((confirmed.status, &confirmed.body["address"]), (StatusCode::OK, &json!("desk-3")), "{confirmed:?}");
}

#[tokio::test]
async fn codes_are_sealed_anew_on_sqlite() {
    a_code_that_was_sent_before_a_rotation_confirms_after_it(None).await;
}

#[tokio::test]
async fn codes_are_sealed_anew_on_postgres() {
    let Some(database) = Scratch::for_test().await else { return };
    a_code_that_was_sent_before_a_rotation_confirms_after_it(Some(database)).await;
}
