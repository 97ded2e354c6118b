//! The hub below a path, as behind a reverse proxy.

use serde_json::json;

use super::{browser::Browser, on};
use crate::server::TestServer;

#[tokio::test]
async fn the_page_works_below_a_path_prefix() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::with(|config| {
        config.path_prefix = "/hub".into();
        config.public_url = "http://127.0.0.1:0/hub".parse().unwrap();
    });
    let server = server.await;
    assert!(server.url().ends_with("/hub"));
    browser.open(&server.url()).await;
    browser.register("ana").await;
    let token = browser.make_token("deploy-bot").await;
    let lines = browser.text("#new-token-lines").await;
    assert!(lines.contains(&format!("HEARBACK_URL={}\n", server.url())), "{lines}");
    let docs = browser.run("return document.querySelector('nav a[target]').href").await;
    assert_eq!(docs, format!("{}/docs", server.url()));
    assert!(server.nobody().get("/docs").await.status.is_success());

    browser.open(&format!("{}/", server.url())).await;
    browser.see_inbox().await;
    let draft = json!({"kind": "approval", "prompt": "Deploy 1.4.2?", "to": ["ana"]});
    let request = server.caller(&token).put(draft).await;
    browser.click(&on(&request, "[data-answer=approved]")).await;
    browser.read(&on(&request, "[data-ending=answered]"), "Approved by you").await;
    browser.reload().await;
    browser.read("#ended", "Approved by you on the web").await;
    browser.close(&[]).await;
}
