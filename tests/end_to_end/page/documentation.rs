//! The readers of the API's document, as a browser runs them.

use super::browser::Browser;
use crate::server::TestServer;

/// They render without the network, and the page's policy forbids nothing that they do.
#[tokio::test]
async fn both_readers_of_the_document_show_it() {
    let Some(browser) = Browser::start().await else { return };
    for prefix in ["", "/hub"] {
        let server = TestServer::with(|config| {
            config.path_prefix = prefix.into();
            config.public_url = format!("http://127.0.0.1:0{prefix}").parse().unwrap();
        });
        let server = server.await;
        browser.open(&format!("{}/docs", server.url())).await;
        browser.read("#ui .info", "Hearback").await;
        browser.click("#operations-Feedback-create_feedback button").await;
        browser.read("#operations-Feedback-create_feedback", "Request body").await;
        browser.open(&format!("{}/redoc", server.url())).await;
        browser.read("#redoc-container h1", "Hearback").await;
        browser.fill("#redoc-container input[type=text]", "revoke").await;
        browser.read("#redoc-container [role=search]", "Revoke").await;
    }
    browser.close(&["favicon.ico"]).await;
}
