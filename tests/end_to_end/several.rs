//! Several servers on one PostgreSQL database: what one commits, those who wait at another hear.

use hearback::storage::postgres::Scratch;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    server::{Caller, TestServer, read},
    socket::{SOON, Socket},
    streams::client::Stream,
};

/// Two servers on one database, an agent and a person at both.
struct Pair {
    here: TestServer,
    there: TestServer,
    /// The owner of the agent.
    owner: Caller,
    agent: Caller,
    ana: Caller,
    _database: Scratch,
}

impl Pair {
    async fn start() -> Option<Self> {
        let database = Scratch::for_test().await?;
        let (here, there) = (TestServer::beside(&database).await, TestServer::beside(&database).await);
        let owner = here.register("owner").await;
        let (agent, ana) = (here.agent(&owner).await, here.register("ana").await);
        Some(Self { here, there, owner, agent, ana, _database: database })
    }

    /// Somebody, calling the other server.
    fn there(&self, caller: &Caller) -> Caller {
        let mut there = self.there.caller(caller.token.as_deref().unwrap());
        there.username.clone_from(&caller.username);
        there
    }
}

#[tokio::test]
async fn a_wait_at_one_server_hears_the_answer_given_at_another() {
    let Some(pair) = Pair::start().await else { return };
    let request = pair.agent.ask(&[&pair.ana]).await;
    let path = format!("/api/feedback/{}?wait=60", request["id"].as_str().unwrap());
    let wait = tokio::spawn(pair.agent.call(Method::GET, &path).send());
    pair.here.parked(1).await;

    let answered = pair.there(&pair.ana).answer(&request, json!("approved")).await;
    assert_eq!(answered.status, StatusCode::OK, "{answered:?}");
    let heard = read(timeout(SOON, wait).await.expect("heard in time").unwrap().unwrap()).await;
    assert_eq!((&heard.body["status"], &heard.body["outcome"]["value"]), (&json!("answered"), &json!("approved")));

    let late = pair.ana.answer(&request, json!("rejected")).await;
    assert_eq!((late.status, late.problem()), (StatusCode::CONFLICT, "late"));
}

#[tokio::test]
async fn a_socket_at_one_server_is_fed_by_the_commits_of_another() {
    let Some(pair) = Pair::start().await else { return };
    let mut socket = Socket::open(&pair.there, &pair.ana, None).await;
    socket.expect("connection_established").await;
    let request = pair.agent.ask(&[&pair.ana]).await;
    let asked = socket.expect("feedback_request").await;
    assert_eq!(asked["request"]["id"], request["id"]);
    let answered = pair.ana.answer(&request, json!("approved")).await;
    assert_eq!(answered.status, StatusCode::OK, "{answered:?}");
    let settled = socket.expect("feedback_settled").await;
    assert_eq!(settled["request"]["outcome"]["value"], "approved");
}

#[tokio::test]
async fn a_token_revoked_at_one_server_ends_waits_and_sockets_at_another() {
    let Some(pair) = Pair::start().await else { return };
    let request = pair.agent.ask(&[&pair.ana]).await;
    let path = format!("/api/feedback/{}?wait=60", request["id"].as_str().unwrap());
    let wait = tokio::spawn(pair.there(&pair.agent).call(Method::GET, &path).send());
    let mut socket = Socket::open(&pair.there, &pair.agent, None).await;
    socket.expect("connection_established").await;
    pair.there.parked(1).await;

    let tokens = pair.owner.get("/api/tokens").await;
    let id = tokens.body["items"][0]["id"].as_str().unwrap();
    let revoked = pair.owner.delete(&format!("/api/tokens/{id}")).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT, "{revoked:?}");
    let ended = read(timeout(SOON, wait).await.expect("ended in time").unwrap().unwrap()).await;
    assert_eq!((ended.status, ended.problem()), (StatusCode::UNAUTHORIZED, "unauthenticated"));
    assert_eq!(socket.close_code().await, Some(1008));
}

/// The same key at two servers at once asks once.
#[tokio::test]
async fn an_idempotency_key_holds_at_every_server() {
    let Some(pair) = Pair::start().await else { return };
    let ask = |agent: &Caller| {
        let draft = json!({"kind": "approval", "prompt": "Deploy 1.4.2?", "to": ["ana"]});
        agent.call(Method::POST, "/api/feedback").header("Idempotency-Key", "deploy-1").json(&draft).send()
    };
    let (here, there) = tokio::join!(ask(&pair.agent), ask(&pair.there(&pair.agent)));
    let (here, there) = (read(here.unwrap()).await, read(there.unwrap()).await);
    assert_eq!((here.status, there.status), (StatusCode::CREATED, StatusCode::CREATED), "{here:?} {there:?}");
    assert_eq!(here.body["id"], there.body["id"]);
    let replays = [&here, &there].map(|answer| answer.headers.contains_key("idempotent-replayed"));
    assert_eq!(replays.iter().filter(|replayed| **replayed).count(), 1);
}

#[tokio::test]
async fn a_stream_hears_what_another_server_commits_and_goes_on_at_any() {
    let Some(pair) = Pair::start().await else { return };
    let path = "/api/feedback/events";
    let mut stream = Stream::open(&pair.there(&pair.agent), path).await;
    let request = pair.agent.ask(&[&pair.ana]).await;
    let created = stream.expect("feedback.created").await;
    assert_eq!(created.json["data"]["id"], request["id"]);
    let answered = pair.ana.answer(&request, json!("approved")).await.body;
    assert_eq!(stream.tells("feedback.response").await.json["data"], answered["response"]);
    let last = stream.tells("feedback.answered").await;
    drop(stream);

    let next = pair.there(&pair.agent).ask(&[&pair.ana]).await;
    let mut stream = Stream::resume(&pair.agent, path, last.id()).await;
    assert_eq!(stream.tells("feedback.created").await.json["data"]["id"], next["id"]);
    let tokens = pair.owner.get("/api/tokens").await;
    let id = tokens.body["items"][0]["id"].as_str().unwrap();
    pair.there(&pair.owner).delete(&format!("/api/tokens/{id}")).await;
    assert_eq!(stream.end().await.as_deref(), Some("the token or sign-in is no longer valid"));
}
