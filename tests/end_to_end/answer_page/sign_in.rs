//! With `ANSWER_SIGN_IN=required` a link needs a sign-in besides.

use hearback::config::AnswerSignIn;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::{Page, call, link, now, open, responses, send};
use crate::server::{Caller, PASSWORD, TestServer};

/// The cookies of a sign-in on the page, as a browser sends them.
pub(super) async fn cookies(server: &TestServer, person: &Caller) -> String {
    let call = server.nobody().call(Method::POST, "/api/auth/session").header("Origin", server.url());
    let answer = call.form(&[("username", person.username.as_str()), ("password", PASSWORD)]).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let set = answer.headers().get_all("set-cookie").iter();
    set.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

async fn page(call: RequestBuilder) -> Page {
    Page::read(call.send().await.unwrap()).await
}

#[tokio::test]
async fn only_the_person_asked_sees_the_question_where_a_sign_in_is_required() {
    let server = TestServer::with(|config| config.answer_sign_in = AnswerSignIn::Required).await;
    let ana = server.register("ana").await;
    let ben = server.register("ben").await;
    let request = ana.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    let (own, other) = (cookies(&server, &ana).await, cookies(&server, &ben).await);
    let form = page(call(Method::GET, &url).header("Cookie", &own)).await;
    form.shows(200, &["Deploy 1.4.2?"]).lacks(&["do not pass it on"]);
    let fields = [("form", form.form().unwrap()), ("value", "approved")];
    let origin = server.url();

    let locked =
        ["Sign in to see this question", "<a href=\"../\">Sign in</a>", "<a href=\"\">Continue to the question</a>"];
    let again = ["not signed in as that person", "name=\"value\" value=\"approved\"", "Send it again"];
    let get = || call(Method::GET, &url);
    let post = || call(Method::POST, &url).form(&fields);
    for (what, call) in [
        ("nobody reads", get()),
        ("somebody else reads", get().header("Cookie", &other)),
        ("an agent reads", get().bearer_auth(ana.token.as_ref().unwrap())),
        ("nobody answers", post()),
        ("somebody else answers", post().header("Cookie", &other).header("Origin", &origin)),
        ("a sign-in that is none", get().header("Cookie", "hb_access=none")),
    ] {
        let page = page(call).await;
        assert_eq!(page.status.as_u16(), 403, "{what}: {}", page.html);
        page.shows(403, &["Sign in to see this question"]).lacks(&["Deploy"]);
        // Who has written an answer keeps it.
        let sent = what.contains("answers");
        page.shows(403, if sent { &again } else { &locked }).lacks(if sent { &locked[1..] } else { &["<form"] });
    }
    let unsaid = page(post().header("Cookie", &own)).await;
    unsaid.shows(403, &["does not say from which page this comes", again[1], again[2]]).lacks(&["Deploy", "Sign in"]);
    // Nor is anybody told how it ended, or whether a token is one.
    open(&format!("{}/answer/x", server.url())).await.shows(404, &["leads to no question"]);
    assert_eq!(responses(&ana, &request).await, [""; 0]);

    let done = page(post().header("Cookie", &own).header("Origin", &origin)).await;
    done.shows(200, &["Approved by you on the web"]);
    assert_eq!(now(&ana, &request).await["outcome"]["by"]["username"], json!("ana"));
    page(get()).await.shows(403, &locked).lacks(&["Approved"]);
}

#[tokio::test]
async fn without_it_nobody_needs_to_sign_in_and_another_sign_in_changes_nothing() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let ben = server.register("ben").await;
    let request = ana.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    let other = cookies(&server, &ben).await;
    page(call(Method::GET, &url).header("Cookie", other))
        .await
        .shows(200, &["You answer as <strong dir=\"auto\">ana</strong>", "do not pass it on"]);
    send(&url, &open(&url).await, &[("value", "approved")]).await.shows(200, &["Thank you"]);
    assert_eq!(now(&ana, &request).await["outcome"]["by"]["username"], json!("ana"));
}
