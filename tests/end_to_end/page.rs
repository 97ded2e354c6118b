//! The page, as a person meets it: a real browser at a real hub.
//!
//! They need Chromium and its driver, whose paths stand in `TEST_CHROMIUM` and `TEST_CHROMEDRIVER`. Where one is not
//! set, each says that it was skipped; with `TEST_REQUIRE_SERVICES=1` it fails instead.

mod account;
pub(crate) mod browser;
mod cut;
mod documentation;
mod drafts;
mod first_visit;
mod kinds;
mod line;
mod prefix;
mod reading;
mod timeline;

use std::time::Duration;

use serde_json::Value;

use crate::server::{Caller, PASSWORD};
use browser::Browser;

/// What should come at once comes within this, on the slowest machine.
const SOON: Duration = Duration::from_secs(20);

/// The selector of a request's card.
fn card(request: &Value) -> String {
    format!("article[data-request-id={:?}]", request["id"].as_str().unwrap())
}

/// The selector of something on a request's card.
fn on(request: &Value, what: &str) -> String {
    format!("{} {what}", card(request))
}

/// How the API reads a request now.
async fn now(caller: &Caller, request: &Value) -> Value {
    caller.get(&format!("/api/feedback/{}", request["id"].as_str().unwrap())).await.body
}

/// The console's words for an answer with this status.
macro_rules! status {
    ($status:literal) => {
        concat!("responded with a status of ", $status)
    };
}
use status;

impl Browser {
    /// Creates an account by the form that stands there.
    async fn register(&self, username: &str) {
        self.see("[data-view=signin] #register-form").await;
        self.fill("input[name=email]", &format!("{username}@example.com")).await;
        self.fill("input[name=username]", username).await;
        self.fill("input[name=password]", PASSWORD).await;
        self.click("#register-form button[type=submit]").await;
        self.see_inbox().await;
    }

    /// Opens the hub at `url` and signs in by the form.
    async fn sign_in(&self, url: &str, person: &Caller) {
        self.open(url).await;
        self.fill_sign_in(&person.username, PASSWORD).await;
        self.see_inbox().await;
    }

    pub(crate) async fn fill_sign_in(&self, name: &str, password: &str) {
        self.see("[data-view=signin] #signin-form").await;
        self.fill("input[name=username]", name).await;
        self.fill("input[name=password]", password).await;
        self.click("#signin-form button[type=submit]").await;
    }

    pub(crate) async fn see_inbox(&self) {
        self.see("[data-view=inbox]").await;
        self.see("#connection[data-state=online]").await;
    }

    /// Makes a service token on its page, and reads it from there.
    async fn make_token(&self, name: &str) -> String {
        self.click("a[href='#/tokens']").await;
        self.fill("#token-form input[name=name]", name).await;
        self.click("#token-form button[type=submit]").await;
        self.text("#new-token-value").await
    }
}
