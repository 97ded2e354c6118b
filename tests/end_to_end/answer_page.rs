//! The answer page, as browsers and mail scanners meet it: over HTTP, without a script.

mod browser;
mod endings;
mod guards;
mod kinds;
mod limits;
mod links;
mod sign_in;

use hearback_core::{channel::AnswerUrls, id::UserId};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header::HeaderMap, redirect::Policy};
use serde_json::Value;

use crate::server::{Caller, TestServer};

/// A page as it was answered.
#[derive(Debug)]
pub(crate) struct Page {
    status: StatusCode,
    headers: HeaderMap,
    html: String,
}

impl Page {
    async fn read(answer: Response) -> Self {
        let (status, headers) = (answer.status(), answer.headers().clone());
        Self { status, headers, html: answer.text().await.unwrap() }
    }

    /// The random text of its form; `None` where it has no form.
    fn form(&self) -> Option<&str> {
        let (_, rest) = self.html.split_once("<input type=\"hidden\" name=\"form\" value=\"")?;
        rest.split('"').next()
    }

    /// Checks its status and that it has these parts.
    #[track_caller]
    pub(crate) fn shows(&self, status: u16, parts: &[&str]) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.html);
        for part in parts {
            assert!(self.html.contains(part), "{part} in {}", self.html);
        }
        self
    }

    #[track_caller]
    pub(crate) fn lacks(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(!self.html.contains(part), "no {part} in {}", self.html);
        }
        self
    }
}

/// The URL that a request's link has for a person.
pub(crate) async fn link(server: &TestServer, request: &Value, person: &Caller) -> String {
    let account = server.running().app().accounts.account_by_login(&person.username).await.unwrap().unwrap();
    link_of(server, request, account.user.id).await
}

/// The URL in what was sent to the person with this id.
pub(crate) async fn link_of(server: &TestServer, request: &Value, person: UserId) -> String {
    let app = server.running().app();
    let request = app.store.request(text(&request["id"]).parse().unwrap()).await.unwrap().unwrap();
    let deliveries = app.store.deliveries(request.id, None, 500).await.unwrap().items;
    let delivery = deliveries.iter().find(|delivery| delivery.user_id == person).expect("something is sent to them");
    app.answer_tokens.personal(&request, delivery.id)
}

fn call(method: Method, url: &str) -> RequestBuilder {
    // It errs only when another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(Policy::none()).build().unwrap().request(method, url)
}

pub(crate) async fn open(url: &str) -> Page {
    Page::read(call(Method::GET, url).send().await.unwrap()).await
}

/// Sends what a browser would of the form that stands on `page`.
pub(crate) async fn send(url: &str, page: &Page, fields: &[(&str, &str)]) -> Page {
    post(url, &[&[("form", page.form().expect("a form"))], fields].concat()).await
}

async fn post(url: &str, fields: &[(&str, &str)]) -> Page {
    Page::read(call(Method::POST, url).form(fields).send().await.unwrap()).await
}

/// How the API reads a request now.
async fn now(caller: &Caller, request: &Value) -> Value {
    caller.get(&format!("/api/feedback/{}", request["id"].as_str().unwrap())).await.body
}

/// The responses to a request, as `VERDICT CHANNEL VALUE`.
async fn responses(caller: &Caller, request: &Value) -> Vec<String> {
    let body = caller.get(&format!("/api/feedback/{}/responses", request["id"].as_str().unwrap())).await.body;
    let items = body["items"].as_array().unwrap().iter();
    items.map(|one| format!("{} {} {}", text(&one["verdict"]), text(&one["channel"]), one["value"])).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
