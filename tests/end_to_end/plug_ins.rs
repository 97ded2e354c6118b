//! Programs that are channels: the whole path over real HTTP, and `hearback check-plugin`.

mod examples;
pub mod fake;

use hearback::api::problem::ProblemKind;
use hearback_core::{
    Clock,
    clock::SystemClock,
    person::{Person, Preferences, UserRef},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{task::yield_now, time::timeout};

use crate::{
    program::{BOUND, Ended, ended, hearback},
    server::{Caller, TestServer, read},
};
use fake::{PlugIn, SECRET};

/// A hub with the plug-in as its channel `desk`, where Ben is reached; and an agent.
async fn hub(plug_in: &PlugIn, allow: &str) -> (TestServer, Caller) {
    let server = TestServer::with(|config| {
        let capabilities = json!({"buttons": true, "edit": true, "inbound": true});
        let desk = json!({"kind": "webhook", "url": plug_in.url(), "secret": SECRET, "capabilities": capabilities});
        config.channels.insert("desk".into(), desk);
        config.outbound_allow = allow.parse().unwrap();
    })
    .await;
    let ana = server.register("ana").await;
    let user = UserRef { id: server.running().app().ids.next(), username: "ben".into() };
    let addresses = vec![("desk".parse().unwrap(), "desk-7".parse().unwrap())];
    let ben = Person { user, preferences: Preferences::default(), addresses };
    server.running().storage().add_person(ben, None, SystemClock.now()).await.unwrap();
    let agent = server.agent(&ana).await;
    (server, agent)
}

async fn ask(agent: &Caller) -> Value {
    agent.put(json!({"kind": "approval", "prompt": "Deploy 1.4.2?", "to": ["ben"], "channels": ["desk"]})).await
}

fn path(request: &Value) -> String {
    format!("/api/feedback/{}", request["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_question_goes_out_signed_and_a_signed_answer_wakes_the_agent() {
    let mut plug_in = PlugIn::start().await;
    let (server, agent) = hub(&plug_in, "127.0.0.0/8").await;
    let request = ask(&agent).await;
    let message = plug_in.told("request").await;
    let callback_url = &message["callback_url"];
    assert_eq!(*callback_url, format!("{}/api/channels/desk/events", server.url()));
    assert_eq!((&message["to"], &message["channel"]), (&json!("desk-7"), &json!("desk")));
    assert_eq!((&message["request"]["id"], &message["person"]["username"]), (&request["id"], &json!("ben")));
    assert!(message["answer_url"].as_str().unwrap().starts_with(&server.url()), "{message}");

    let waiter = agent.clone();
    let wait = format!("{}?wait=60", path(&request));
    let waiting = tokio::spawn(async move { waiter.get(&wait).await });
    server.parked(1).await;

    let yes = json!({"type": "response", "request_id": request["id"], "from": "desk-7", "value": "approved"});
    // Nobody believes what is not signed, signed wrongly, or signed for another time.
    let body = yes.to_string();
    let (time, right) = PlugIn::signed_at("e-1", 0, &body);
    let (old, long_ago) = PlugIn::signed_at("e-1", -600, &body);
    for (id, time, signature) in
        [("e-1", &time, "v1,AAAA"), ("e-2", &time, &right), ("e-1", &old, &long_ago), ("e-1", &old, &right)]
    {
        let headers = [("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signature)];
        let answer = PlugIn::post(callback_url, headers, body.clone()).await;
        assert_eq!((answer.status, answer.problem()), (StatusCode::UNAUTHORIZED, "unauthenticated"), "{id} {time}");
    }
    // Somebody else who taps is refused, and so is an answer to something else.
    let stranger = json!({"type": "response", "request_id": request["id"], "from": "desk-8", "value": "approved"});
    let answer = PlugIn::tell(callback_url, "e-3", &stranger).await;
    assert_eq!((answer.status, &answer.body["verdict"]), (StatusCode::OK, &json!("refused")), "{answer:?}");
    let nothing = json!({"type": "response", "request_id": uuid::Uuid::nil(), "from": "desk-7", "value": "approved"});
    assert_eq!(PlugIn::tell(callback_url, "e-4", &nothing).await.problem(), "not_found");
    assert_eq!(agent.get(&path(&request)).await.body["status"], "pending");

    let answer = PlugIn::tell(callback_url, "e-5", &yes).await;
    assert_eq!((answer.status, &answer.body["verdict"]), (StatusCode::OK, &json!("accepted")), "{answer:?}");
    let heard = timeout(BOUND, waiting).await.expect("the agent hears back").unwrap().body;
    assert_eq!((&heard["status"], &heard["outcome"]["value"]), (&json!("answered"), &json!("approved")));
    assert_eq!((&heard["outcome"]["by"]["username"], &heard["outcome"]["channel"]), (&json!("ben"), &json!("desk")));
    let again = PlugIn::tell(callback_url, "e-5", &yes).await;
    assert_eq!((&again.body["verdict"], &again.body["duplicate"]), (&json!("accepted"), &json!(true)), "{again:?}");
    let responses = agent.get(&format!("{}/responses", path(&request))).await.body;
    let verdicts: Vec<_> = responses["items"].as_array().unwrap().iter().map(|kept| &kept["verdict"]).collect();
    assert_eq!(verdicts, ["refused", "accepted"], "only what was believed is kept, and once");
}

/// What a person does over a channel counts too; the plug-in hears when it may send the answer again.
#[tokio::test]
async fn who_answers_too_often_over_a_channel_is_told_when_to_go_on() {
    let mut plug_in = PlugIn::start().await;
    let (_server, agent) = hub(&plug_in, "127.0.0.0/8").await;
    let request = ask(&agent).await;
    let callback_url = plug_in.told("request").await["callback_url"].clone();
    let unclear = json!({"type": "response", "request_id": request["id"], "from": "desk-7", "value": "perhaps"});
    let mut refused = None;
    for number in 0..1000 {
        let answer = PlugIn::tell(&callback_url, &format!("e-{number}"), &unclear).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some((number, answer));
            break;
        }
        assert_eq!(answer.body["verdict"], "invalid", "{answer:?}");
    }
    let (taken, refused) = refused.expect("a limit");
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(taken >= 20 && (1..=3).contains(&wait), "{taken} {refused:?}");
    let kept = agent.get(&format!("{}/responses?limit=100", path(&request))).await.body;
    assert_eq!(kept["items"].as_array().unwrap().len(), taken.min(100), "what is refused is not kept");
}

#[tokio::test]
async fn a_question_that_is_taken_back_is_settled_where_it_was_shown() {
    let mut plug_in = PlugIn::start().await;
    let (_server, agent) = hub(&plug_in, "127.0.0.0/8").await;
    let request = ask(&agent).await;
    let shown = plug_in.told("request").await;
    // Only what was sent is settled, and the hub knows that it was when the delivery says so.
    let deliveries = format!("{}/deliveries", path(&request));
    let sent = async {
        while agent.get(&deliveries).await.body["items"][0]["status"] != "sent" {
            yield_now().await;
        }
    };
    timeout(BOUND, sent).await.expect("it is sent");
    assert_eq!(agent.post(&format!("{}/cancel", path(&request)), Value::Null).await.status, StatusCode::OK);
    let settled = plug_in.told("settle").await;
    assert_eq!(settled["delivery"], shown["delivery"]);
    assert_eq!(settled["receipt"], format!("shown-{}", shown["delivery"].as_str().unwrap()));
    assert_eq!((&settled["to"], &settled["request"]["status"]), (&json!("desk-7"), &json!("cancelled")));
}

#[tokio::test]
async fn a_plug_in_on_a_private_network_is_not_called_unless_it_is_allowed() {
    let mut plug_in = PlugIn::start().await;
    let (_server, agent) = hub(&plug_in, "10.0.0.0/8").await;
    let request = ask(&agent).await;
    let deliveries = format!("{}/deliveries", path(&request));
    let failed = async {
        loop {
            let delivery = agent.get(&deliveries).await.body["items"][0].take();
            if delivery["status"] == "failed" {
                return delivery;
            }
            yield_now().await;
        }
    };
    let failed = timeout(BOUND, failed).await.expect("it fails for good");
    assert!(failed.to_string().contains("OUTBOUND_ALLOW"), "it says what to set: {failed}");
    assert!(!plug_in.was_told(), "it is not even probed");
}

#[tokio::test]
async fn what_the_adapter_refuses_has_the_title_that_its_kind_has_everywhere() {
    let plug_in = PlugIn::start().await;
    let (server, _agent) = hub(&plug_in, "127.0.0.0/8").await;
    let url = json!(format!("{}/api/channels/desk/events", server.url()));
    let signed = async |id: &str, body: &str| {
        let (time, signature) = PlugIn::signed_at(id, 0, body);
        let headers = [("webhook-id", id), ("webhook-timestamp", &time), ("webhook-signature", &signature)];
        PlugIn::post(&url, headers, body.to_owned()).await
    };
    let nothing = json!({"type": "response", "request_id": uuid::Uuid::nil(), "from": "desk-7", "value": "approved"});
    let unsigned = [("webhook-id", "e-1"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,AAAA")];
    let answers = [
        (signed("e-1", "{not json").await, "malformed"),
        (PlugIn::post(&url, unsigned, "{}".into()).await, "unauthenticated"),
        (signed("e-2", &nothing.to_string()).await, "not_found"),
        (read(reqwest::get(url.as_str().unwrap()).await.unwrap()).await, "method_not_allowed"),
        (signed("e-3", "{}").await, "invalid"),
    ];
    for (answer, code) in answers {
        let kind = ProblemKind::ALL.iter().find(|kind| kind.code() == code).unwrap();
        assert_eq!((answer.problem(), answer.status.as_u16()), (code, kind.status()), "{answer:?}");
        assert_eq!(answer.body["title"], kind.title(), "{code}");
    }
}

async fn check(plug_in: &PlugIn, args: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let url = plug_in.url();
    ended(hearback(folder.path(), &[&["check-plugin", &url][..], args].concat())).await
}

#[tokio::test]
async fn a_plug_in_that_keeps_the_protocol_passes_its_check() {
    let plug_in = PlugIn::start().await;
    let Ended { code, out, err } = check(&plug_in, &["--secret", SECRET]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.lines().count() > 20 && out.contains("ok       a wrong signature is refused with 401\n"), "{out}");
    assert!(out.contains(" 0 FAILED") && out.contains("For hearback.toml: capabilities = { buttons = true"), "{out}");
}

#[tokio::test]
async fn the_check_names_what_a_plug_in_does_wrong_and_never_the_secret() {
    let plug_in = PlugIn::credulous().await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = hearback(folder.path(), &["check-plugin", &plug_in.url(), "--to", "desk-7"]);
    command.env("HEARBACK_PLUGIN_SECRET", SECRET);
    let Ended { code, out, err } = ended(command).await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("FAILED   a wrong signature is refused with 401: expected 401, got 200\n"), "{out}");
    assert!(out.contains("ok       an approval is taken\n"), "{out}");
    assert!(!out.contains("For hearback.toml"), "{out}");
    assert!(!out.contains(SECRET) && !err.contains(SECRET));
}

#[tokio::test]
async fn a_plug_in_that_calls_back_passes_its_check_and_what_nobody_answered_is_named() {
    let plug_in = PlugIn::calling_back().await;
    let Ended { code, out, err } = check(&plug_in, &["--secret", SECRET]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    for line in [
        "ok       an approval is taken: 202, and its receipt came\n",
        "ok       a question is settled, twice without harm\n",
        "ok       an event that is answered with 503 comes again\n",
        "ok       every event is signed, and as documented\n",
        "\nNot checked: inbound: nobody was to answer; --answer SECONDS",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    // Where it is told to listen, and by the URL that it is told; and somebody answers.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (listen, url) = (format!("127.0.0.1:{port}"), format!("http://localhost:{port}/by/another/way?x=1"));
    let args = ["--secret", SECRET, "--listen", &listen, "--callback-url", &url, "--answer", "20"];
    let Ended { code, out, err } = check(&plug_in, &args).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("ok       a person's answer comes: as `response`\n") && !out.contains("Not checked"), "{out}");
    assert!(err.contains("Answer one of the questions"), "{err}");
}

#[tokio::test]
async fn a_plug_in_that_never_calls_back_or_forges_what_it_says_fails_its_check() {
    let silent = (PlugIn::mute().await, "skipped  every event is signed, and as documented: it posted nothing\n");
    let forged =
        (PlugIn::forging().await, "FAILED   every event is signed, and as documented: what it posts is not believed.");
    for (plug_in, said) in [silent, forged] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = hearback(folder.path(), &["check-plugin", &plug_in.url()]);
        command.env("HEARBACK_PLUGIN_SECRET", SECRET).env("SEND_TIMEOUT", "1");
        let Ended { code, out, err } = ended(command).await;
        assert_eq!(code, Some(1), "{out}{err}");
        let lacking = "FAILED   an approval is taken: it was answered with 202, and no signed `receipt` came to http://127.0.0.1:";
        assert!(out.contains(lacking) && out.contains(said), "{out}{err}");
        assert!(!out.contains("For hearback.toml"), "{out}");
    }
}

#[tokio::test]
async fn a_check_that_cannot_begin_ends_with_a_code_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 10] = [
        (&[], "<URL>"),
        (&["http://127.0.0.1:1/", "--wrong"], "--wrong"),
        (&["http://127.0.0.1:1/"], "HEARBACK_PLUGIN_SECRET"),
        (&["http://127.0.0.1:1/", "--secret", "hunter2"], "secret: "),
        (&["ftp://127.0.0.1/", "--secret", SECRET], "url: "),
        (&["http://127.0.0.1:1/", "--secret", SECRET, "--to", ""], "--to"),
        (&["http://127.0.0.1:1/", "--secret", SECRET, "--listen", "0.0.0.0:0"], "pass --callback-url"),
        (&["http://127.0.0.1:1/", "--secret", SECRET, "--listen", "192.0.2.1:1"], "cannot listen at 192.0.2.1:1"),
        (&["http://127.0.0.1:1/", "--secret", SECRET, "--callback-url", "ftp://x.example/"], "--callback-url"),
        (&["http://127.0.0.1:1/", "--secret", SECRET, "--answer", "0"], "--answer"),
    ];
    for (args, told) in cases {
        let Ended { code, out, err } = ended(hearback(folder.path(), &[&["check-plugin"], args].concat())).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {err}");
        assert!(err.contains(told) && !err.contains("hunter2") && !err.contains(SECRET), "{args:?}: {err}");
    }
    // A plug-in that is not there fails its first case.
    let ended = ended(hearback(folder.path(), &["check-plugin", "http://127.0.0.1:1/", "--secret", SECRET])).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.starts_with("FAILED   `probe` is answered"), "{}", ended.out);
}
