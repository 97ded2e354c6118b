//! Passwords that are changed, and programs that administrators connect.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

use super::carried::{Day, send, signature, told};
use crate::{auth::text, called_back::receiver::Receiver, server::Answered};

impl Day<'_> {
    /// Another backend, connected twice with one key: its answer is kept. A callback is signed for it.
    pub(super) async fn service_user(&self, access: &str, receiver: &mut Receiver) {
        let call = || {
            let draft = json!({"username": "billing", "email": "billing@example.com"});
            let call = self.call(Method::POST, "/api/users/service").bearer_auth(access);
            send(call.header("Idempotency-Key", "one").json(&draft))
        };
        let made = call().await;
        told(&made, 201);
        assert_eq!(call().await.body, made.body);
        let (token, webhook) = (text(&made.body, "token"), text(&made.body, "webhook_secret"));
        let webhook = webhook.trim_start_matches("whsec_");
        self.planted.known("a service user's token", token.trim_start_matches("hb_"));
        self.planted.known("a service user's webhook secret", webhook);
        self.planted.known("a service user's webhook secret", STANDARD.decode(webhook).unwrap());

        let draft = json!({
            "kind": "approval", "prompt": "?", "to": ["ana"], "channels": ["websocket"], "callback_url": receiver.url(),
        });
        let asked = self.post("/api/feedback", token, draft).await;
        told(&asked, 201);
        let cancel = format!("/api/feedback/{}/cancel", text(&asked.body, "id"));
        told(&self.post(&cancel, token, json!({})).await, 200);
        receiver.call().await;
        let user = text(&made.body["user"], "id");
        let refused = self.planted.text("a password: refused when given");
        told(&self.change(access, user, json!({"password": refused})).await, 422);
        told(&self.change(access, user, json!({"active": false})).await, 200);
        told(&self.post("/api/feedback", token, json!({})).await, 401);
    }

    async fn change(&self, access: &str, user: &str, changes: Value) -> Answered {
        send(self.call(Method::PATCH, &format!("/api/users/{user}")).bearer_auth(access).json(&changes)).await
    }

    async fn log_in(&self, name: &str, password: &str) -> String {
        let form = [("username", name), ("password", password)];
        let tokens = send(self.call(Method::POST, "/api/auth/login").form(&form)).await;
        told(&tokens, 200);
        self.planted.known("an access token: its signature", signature(text(&tokens.body, "access_token")));
        self.planted.known("a refresh token", text(&tokens.body, "refresh_token"));
        text(&tokens.body, "access_token").to_owned()
    }

    /// One that she changes, and one that she gives to another.
    pub(super) async fn passwords(&self, access: &str, agent: &str, present: &str) {
        let planted = self.planted;
        let (new, wrong) = (planted.text("a password: changed to"), planted.text("a password: not the present one"));
        let refused = planted.text("a password: refused when changing it");
        let long = refused.repeat(10);
        for (token, body, status) in [
            (access, json!({"current_password": wrong, "new_password": new}), 422),
            (access, json!({"current_password": present, "new_password": long}), 422),
            (access, json!({"current_password": present, "new_password": [refused]}), 422),
            (access, json!({"current_password": present, "new_pasword": refused}), 422),
            (access, json!([present, refused]), 422),
            (agent, json!({"current_password": present, "new_password": refused}), 403),
            (access, json!({"current_password": present, "new_password": new}), 204),
        ] {
            told(&self.post("/api/auth/password", token, body).await, status);
        }
        self.log_in("ana", &new).await;

        let at_first = planted.text("a password: of an account");
        let account = json!({"email": "ben@example.com", "password": at_first, "username": "ben"});
        let made = send(self.call(Method::POST, "/api/auth/register").json(&account)).await;
        told(&made, 201);
        let of_ben = text(&made.body, "access_token");
        planted.known("an access token: its signature", signature(of_ben));
        planted.known("a refresh token", text(&made.body, "refresh_token"));
        let me = send(self.call(Method::GET, "/api/auth/me").bearer_auth(of_ben)).await;
        let ben = text(&me.body, "id");
        let (given, refused) =
            (planted.text("a password: given by an administrator"), planted.text("a password: refused when given"));
        let nobody = "01a1f84a-95c0-7f2b-9cf4-bb99f4bea973";
        for (token, user, changes, status) in [
            (access, ben, json!({"password": refused.repeat(10)}), 422),
            (access, ben, json!({"password": {"is": refused}}), 422),
            (access, ben, json!({"pasword": refused}), 422),
            (access, ben, json!({"role": refused}), 422),
            (access, nobody, json!({"password": refused}), 404),
            (of_ben, ben, json!({"password": refused}), 403),
            (access, ben, json!({"password": given}), 200),
        ] {
            told(&self.change(token, user, changes).await, status);
        }
        self.log_in("ben", &given).await;
    }
}
