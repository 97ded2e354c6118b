//! Signing out and in again.

use super::{browser::Browser, card, on, status};
use crate::server::{PASSWORD, TestServer};

#[tokio::test]
async fn signing_out_leaves_nothing_behind_and_signing_in_brings_it_back() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let request = ben.ask(&[&ana]).await;
    browser.sign_in(&server.url(), &ana).await;
    browser.fill(&on(&request, "[data-comment]"), "Private").await;

    browser.click("#account summary").await;
    browser.click("#sign-out").await;
    browser.read("[data-view=signin]", "You are signed out.").await;
    assert_eq!(browser.count("article").await, 0);
    let left = "return document.cookie + Object.keys(localStorage).filter((key) => key.includes('draft'))";
    assert_eq!(browser.run(left).await, "");
    browser.reload().await;

    browser.fill_sign_in("ana", "a wrong password 1").await;
    browser.see("#signin-form .form-error").await;
    browser.fill_sign_in("ben", PASSWORD).await;
    browser.read("[data-view=inbox]", "Nothing waits for you").await;
    assert_eq!(browser.count("[data-request-id]").await, 0);
    browser.click("#account summary").await;
    browser.click("#sign-out").await;

    browser.fill_sign_in("ana@example.com", PASSWORD).await;
    browser.see(&card(&request)).await;
    assert_eq!(browser.value(&on(&request, "[data-comment]")).await, "");
    browser.reload().await;
    browser.click(&on(&request, "[data-answer=rejected]")).await;
    browser.see(&on(&request, "[data-ending=answered]")).await;
    browser.close(&[status!(401)]).await;
}

#[tokio::test]
async fn a_new_account_is_told_at_the_field_what_is_wrong() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::start().await;
    server.register("ana").await;
    browser.open(&server.url()).await;
    browser.click("[data-go=register]").await;
    browser.fill("input[name=email]", "nowhere").await;
    browser.fill("input[name=password]", "short").await;
    browser.click("#register-form button[type=submit]").await;
    browser.read("[data-error-for=email]", "Write an e-mail address.").await;
    browser.read("[data-error-for=password]", "Too short").await;
    browser.fill("input[name=email]", "other@example.com").await;
    browser.fill("input[name=username]", "ana").await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.click("#register-form button[type=submit]").await;
    browser.see("[data-error-for=username]").await;
    browser.register("ben").await;
    browser.close(&[status!(409), status!(422)]).await;
}
