//! Who may do what: every operation of the OpenAPI document, called by everybody of the table in `docs/access.md`.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::{
    accounts::{change, id},
    answer_page::{link, link_of},
    auth::{log_in, send, text},
    server::{Caller, PASSWORD, TestServer, unlimited},
};

/// Who calls, in the order of the table's columns.
const COLUMNS: [&str; 10] = [
    "nobody",
    "stranger",
    "owner",
    "asked",
    "agent",
    "another agent",
    "no scope",
    "administrator's agent",
    "administrator",
    "deactivated",
];
const NO_SCOPE: &str = "no scope";
/// Who is answered as the last column says, but where one signs in or renews.
const OF_DEACTIVATED: &str = "the agent of the deactivated";
const SIGNING_IN: [&str; 3] = ["login", "open_session", "refresh"];

/// The table: for each operation what it answers to each column.
fn table() -> BTreeMap<String, Vec<u16>> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/access.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let head = rows.clone().map(cells).find(|cells| cells[0] == "operation").expect("the table");
    assert_eq!(head[1..], COLUMNS);
    let of_operations = rows.map(cells).filter(|cells| cells[0].starts_with('`'));
    of_operations
        .map(|cells| {
            let status =
                |cell: &String| cell.split(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{cells:?}"));
            (cells[0].trim_matches('`').to_owned(), cells[1..].iter().map(status).collect())
        })
        .collect()
}

/// A hub with everybody of the table.
struct Cast {
    server: TestServer,
    administrator: Caller,
    stranger: Caller,
    owner: Caller,
    asked: Caller,
    agent: Caller,
    another_agent: Caller,
    no_scope: Caller,
    of_administrator: Caller,
    deactivated: Caller,
    agent_of_deactivated: Caller,
    refresh: BTreeMap<&'static str, String>,
    made: u32,
}

impl Cast {
    async fn gathered() -> Self {
        let server = TestServer::with(|config| {
            unlimited(config);
            config.rate_limit_login = 0;
            config.channels.insert("desk".into(), json!({"kind": "memory"}));
            let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
            config
                .channels
                .insert("signed".into(), json!({"kind": "webhook", "url": "http://127.0.0.1:9/", "secret": secret}));
        })
        .await;
        let administrator = server.register("admin").await;
        let (stranger, owner) = (server.register("stranger").await, server.register("owner").await);
        let (asked, deactivated) = (server.register("asked").await, server.register("deactivated").await);
        let token = async |of: &Caller, scopes: Value| {
            let made = of.post("/api/tokens", json!({"name": "agent", "scopes": scopes})).await;
            server.caller(text(&made.body, "token"))
        };
        let agent = token(&owner, json!(["feedback:write", "feedback:read", "sessions:write"])).await;
        let another_agent = token(&owner, json!(["feedback:write", "feedback:read", "sessions:write"])).await;
        let agent_of_deactivated = token(&deactivated, json!(["feedback:write", "feedback:read"])).await;
        let no_scope = token(&owner, json!(["sessions:write"])).await;
        let all = json!(["feedback:write", "feedback:read", "sessions:write", "admin"]);
        let of_administrator = token(&administrator, all).await;
        let refresh = log_in(&server, "deactivated", PASSWORD).await.body;
        let refresh = BTreeMap::from([("deactivated", text(&refresh, "refresh_token").to_owned())]);
        let gone = change(&administrator, &id(&deactivated).await, json!({"active": false})).await;
        assert_eq!(gone.status, StatusCode::OK);
        Self {
            server,
            administrator,
            stranger,
            owner,
            asked,
            agent,
            another_agent,
            no_scope,
            of_administrator,
            deactivated,
            agent_of_deactivated,
            refresh,
            made: 0,
        }
    }

    /// The caller of a column. People sign in anew, since what they do may end their sign-in.
    async fn caller(&self, column: &str) -> Caller {
        let again = async |person: &Caller| {
            let signed_in = log_in(&self.server, &person.username, PASSWORD).await;
            let mut caller = self.server.caller(text(&signed_in.body, "access_token"));
            caller.username.clone_from(&person.username);
            caller
        };
        match column {
            "nobody" => self.server.nobody(),
            "stranger" => again(&self.stranger).await,
            "owner" => again(&self.owner).await,
            "asked" => again(&self.asked).await,
            "agent" => self.agent.clone(),
            "another agent" => self.another_agent.clone(),
            NO_SCOPE => self.no_scope.clone(),
            OF_DEACTIVATED => self.agent_of_deactivated.clone(),
            "administrator's agent" => self.of_administrator.clone(),
            "administrator" => again(&self.administrator).await,
            "deactivated" => self.deactivated.clone(),
            other => panic!("{other}"),
        }
    }

    /// Something new each time.
    fn number(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    /// An address of the owner's, which waits for its code.
    async fn waiting_address(&mut self) -> String {
        let owner = self.caller("owner").await;
        let listed = owner.get("/api/me/addresses").await.body;
        for address in listed["items"].as_array().unwrap() {
            if address["confirmed"] == false {
                return text(address, "id").into();
            }
        }
        let address = json!({"channel": "desk", "address": format!("owner-{}", self.number())});
        text(&owner.post("/api/me/addresses", address).await.body, "id").into()
    }

    /// An address that the administrator has given the owner.
    async fn given_address(&mut self, owner: &str) -> String {
        let address = json!({"channel": "desk", "address": format!("owner-{}", self.number())});
        let administrator = self.caller("administrator").await;
        let given = administrator.post(&format!("/api/users/{owner}/addresses"), address).await;
        text(&given.body, "id").into()
    }

    /// The call of an operation on something new that is the owner's: what stands in the braces of its path, and its body.
    async fn call(
        &mut self,
        operation: &str,
        path: &str,
        method: Method,
        column: &str,
        request: &Value,
    ) -> RequestBuilder {
        let owner = id(&self.caller("owner").await).await;
        let caller = self.caller(column).await;
        let number = self.number();
        let id = match operation {
            "revoke_token" => {
                let made = self.caller("owner").await.post("/api/tokens", json!({"name": "another"})).await;
                text(&made.body, "id").to_owned()
            }
            "get_user" | "list_addresses" | "add_address" | "remove_address" => owner.clone(),
            "change_user" => id(&self.caller("stranger").await).await,
            "confirm_address" => self.waiting_address().await,
            "remove_my_address" => self.given_address(&owner).await,
            _ => text(request, "id").to_owned(),
        };
        let address = if operation == "remove_address" { self.given_address(&owner).await } else { String::new() };
        let asked = request["to"][0]["id"].as_str().unwrap().parse().unwrap();
        let link = link_of(&self.server, request, asked).await;
        let path = path
            .replace("{id}", &id)
            .replace("{address_id}", &address)
            .replace("{token}", link.rsplit('/').next().unwrap())
            .replace("{name}/{tail}", "signed/events");
        let call = caller.call(method, &path);
        let username = if caller.username.is_empty() { "no-such-name".into() } else { caller.username.clone() };
        match operation {
            "get_root" => call.header("Accept", "application/json"),
            "register" => call.json(&json!({
                "email": format!("new-{number}@example.com"), "username": format!("new-{number}"), "password": PASSWORD
            })),
            "login" | "open_session" => call.form(&[("username", username.as_str()), ("password", PASSWORD)]),
            "refresh" => {
                let token = match (self.refresh.get(column), column) {
                    (Some(kept), _) => kept.clone(),
                    (None, "stranger" | "owner" | "asked" | "administrator") => {
                        text(&log_in(&self.server, &username, PASSWORD).await.body, "refresh_token").to_owned()
                    }
                    _ => caller.token.clone().unwrap_or_default(),
                };
                call.json(&json!({ "refresh_token": token }))
            }
            "change_password" => call.json(&json!({"current_password": PASSWORD, "new_password": PASSWORD})),
            "set_preferences" => call.json(&json!({"locale": "de"})),
            "claim_address" | "add_address" => {
                call.json(&json!({"channel": "desk", "address": format!("{operation}-{number}")}))
            }
            "confirm_address" => call.json(&json!({"code": "00000000"})),
            "create_token" => call.json(&json!({"name": "agent"})),
            "change_user" => call.json(&json!({"email_confirmed": true})),
            "create_service_user" => {
                let (username, email) = (format!("service-{number}"), format!("service-{number}@example.com"));
                call.json(&json!({"username": username, "email": email}))
            }
            "create_feedback" => call.json(&json!({"kind": "approval", "prompt": "Deploy?", "to": ["asked"]})),
            "answer_feedback" => call.json(&json!({"value": "approved"})),
            "answer_by_link" => {
                let form = [("form", "once"), ("value", "approved")];
                call.header("Origin", self.server.url()).form(&form)
            }
            "call_channel" | "call_channel_put" => call.json(&json!({"type": "response"})),
            _ => call,
        }
    }
}

#[tokio::test]
async fn every_operation_answers_everybody_as_the_table_says() {
    let mut cast = Cast::gathered().await;
    let document = cast.server.nobody().get("/openapi.json").await.body;
    let (mut table, mut faults) = (table(), Vec::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = text(operation, "operationId");
            let Some(expected) = table.remove(name) else {
                faults.push(format!("{name} is not in docs/access.md"));
                continue;
            };
            let method: Method = method.to_uppercase().parse().unwrap();
            let more = expected.last().copied().filter(|_| !SIGNING_IN.contains(&name));
            let more = more.map(|expected| (OF_DEACTIVATED, expected));
            for (column, expected) in COLUMNS.into_iter().zip(expected).chain(more) {
                let request = cast.agent.ask(&[&cast.asked]).await;
                let call = cast.call(name, path, method.clone(), column, &request).await;
                let status = call.send().await.unwrap().status();
                if status.as_u16() != expected {
                    faults.push(format!("{name}: {column} is answered {status}, and the table says {expected}"));
                }
                let now = cast.agent.get(&format!("/api/feedback/{}", text(&request, "id"))).await;
                if !status.is_success() && now.body["status"] != "pending" {
                    faults.push(format!("{name}: {column} is refused, and has changed the request"));
                }
            }
        }
    }
    faults.extend(table.keys().map(|name| format!("{name} is in docs/access.md and is no operation")));
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What the table says below itself of the socket.
#[tokio::test]
async fn the_socket_takes_whoever_may_call() {
    let cast = Cast::gathered().await;
    for (column, expected) in
        [("nobody", 401), ("deactivated", 401), ("stranger", 101), (NO_SCOPE, 101), ("agent", 101)]
    {
        let caller = cast.caller(column).await;
        let call = caller.call(Method::GET, "/ws").header("Connection", "Upgrade").header("Upgrade", "websocket");
        let call = call.header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(call.send().await.unwrap().status().as_u16(), expected, "{column}");
    }
    // And a link of somebody who is deactivated leads nowhere.
    let request = cast.agent.ask(&[&cast.asked]).await;
    let asked = id(&cast.asked).await;
    let link = link(&cast.server, &request, &cast.asked).await;
    let path = link.strip_prefix(&cast.server.url()).unwrap().to_owned();
    assert_eq!(send(cast.server.nobody().call(Method::GET, &path)).await.status, StatusCode::OK);
    change(&cast.administrator, &asked, json!({"active": false})).await;
    assert_eq!(send(cast.server.nobody().call(Method::GET, &path)).await.status, StatusCode::NOT_FOUND);
}
