//! Codes for addresses and links to answer pages: what people get outside, and bring back.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::carried::{Day, send, told};
use crate::{auth::text, plug_ins::fake::PlugIn};

impl Day<'_> {
    /// An address on the channel of the program, which is hers when the code comes back.
    pub(super) async fn addresses(&self, access: &str, plug_in: &mut PlugIn) {
        let at_desk = json!({"channel": "desk", "address": "ana"});
        let claimed = self.post("/api/me/addresses", access, at_desk).await;
        told(&claimed, 201);
        let sent = plug_in.told("code").await;
        let code = text(&sent, "code");
        self.planted.known("a code for an address", code);
        let confirm = format!("/api/me/addresses/{}/confirm", text(&claimed.body, "id"));
        let first = if code.starts_with('7') { '8' } else { '7' };
        let wrong = format!("{first}{}", code.get(1..).unwrap());
        self.planted.known("a code for an address: a wrong one", &*wrong);
        told(&self.post(&confirm, access, json!({"code": wrong})).await, 422);
        let none = self.planted.text("a code for an address: none");
        for body in [json!({"code": none}), json!({"code": [none]}), json!({"kode": none}), json!(none)] {
            told(&self.post(&confirm, access, body).await, 422);
        }
        let cut = self.call(Method::POST, &confirm).bearer_auth(access).header("Content-Type", "application/json");
        told(&send(cut.body(format!("{{\"code\": \"{none}"))).await, 400);
        send(self.call(Method::POST, &format!("{confirm}?code={none}")).bearer_auth(access)).await;
        for _ in 0..2 {
            told(&self.post(&confirm, access, json!({"code": code})).await, 200);
        }
    }

    /// A question that she answers by the link that went to her address, which others try as well.
    pub(super) async fn answer_page(&self, agent: &str, plug_in: &mut PlugIn) {
        let draft = json!({"kind": "approval", "prompt": "?", "to": ["ana"], "channels": ["desk"]});
        told(&self.post("/api/feedback", agent, draft).await, 201);
        let shown = plug_in.told("request").await;
        let (_, token) = text(&shown, "answer_url").rsplit_once("/answer/").expect("a link to the answer page");
        let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
        let (signed, tag) = bytes.split_at(bytes.len() - 32);
        // The rest is who is asked what until when, and worth nothing without the signature.
        self.planted.known("a link to an answer page: its token", token);
        self.planted.known("a link to an answer page: its token", tag);
        let other: [u8; 32] = rand::random();
        self.planted.known("a link to an answer page: a changed token", other);
        let none = self.planted.text("a link to an answer page: no token");
        let changed = URL_SAFE_NO_PAD.encode([signed, &other].concat());
        let cut = changed.get(..changed.len() - 1).unwrap();
        for token in [token, &*changed, cut, &*none] {
            self.around(token).await;
        }

        let page = self.call(Method::GET, &format!("/answer/{token}")).send().await.unwrap().text().await.unwrap();
        let (_, rest) = page.split_once("name=\"form\" value=\"").expect("a form");
        let form = rest.split('"').next().unwrap();
        for expected in [200, 200, 409] {
            let value = if expected == 409 { "rejected" } else { "approved" };
            let answer = self.from(self.call(Method::POST, &format!("/answer/{token}")), token);
            let answer = answer.header("Origin", &self.hub.origin).form(&[("form", form), ("value", value)]);
            told(&send(answer).await, expected);
        }
        plug_in.told("settle").await;
    }

    /// Everything that does not answer.
    async fn around(&self, token: &str) {
        let path = format!("/answer/{token}");
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS] {
            for path in [&path, &format!("{path}/"), &format!("/{path}"), &format!("{path}?token={token}")] {
                send(self.from(self.call(method.clone(), path), token)).await;
            }
        }
        // As a form of another site, as no form of the page, and as no form.
        let post = || self.from(self.call(Method::POST, &path), token);
        told(&send(post().header("Origin", "https://evil.example").form(&[("value", "approved")])).await, 403);
        send(post().form(&[("value", "approved")])).await;
        told(&send(post().json(&json!({"value": "approved", "token": token}))).await, 415);
        for path in ["/assets/", "/api/feedback/", "/"] {
            send(self.from(self.call(Method::GET, path), token)).await;
        }
    }

    /// A call as browsers make it from the page.
    fn from(&self, call: RequestBuilder, token: &str) -> RequestBuilder {
        call.header("Referer", format!("{}/answer/{token}", self.hub.url))
    }
}
