//! The check finds a good plug-in good, and names what is wrong with a bad one.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::poll;
use hearback_core::{Timestamp, channel::Callback, clock::ManualClock, secret::Secret};
use http::{HeaderMap, Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::yield_now;

use super::{
    NOW, SECRET, ana,
    fake::{Call, Plugin, Script, answer},
    key,
};
use crate::{
    Check, CheckOptions, EventListener, Outcome, Report,
    signature::{ID, Key, SIGNATURE, TIMESTAMP},
};

/// How long the check waits for what does not come.
const PATIENCE: Duration = Duration::from_secs(10);

fn fault(status: u16, word: &str) -> Script {
    answer(status, &json!({"error": word}))
}

/// A plug-in that does all that is documented.
fn good(declared: Value) -> impl Fn(&Call) -> Script + Send + Sync + 'static {
    let known: Mutex<HashMap<String, String>> = Mutex::default();
    let now = Timestamp::from_micros(NOW * 1_000_000);
    move |call| {
        let headers: HeaderMap = call
            .headers
            .iter()
            .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        let Ok(id) = key().verify(&headers, &call.body, now) else { return fault(401, "bad_signature") };
        let Ok(Value::Object(body)) = serde_json::from_slice(&call.body) else { return fault(400, "malformed") };
        match body["type"].as_str().unwrap_or_default() {
            "probe" => answer(200, &json!({"capabilities": declared})),
            "settle" if declared["edit"] == true => answer(200, &json!({})),
            "request" if body["request"]["prompt"].as_str().unwrap().chars().count() > 100 => fault(413, "too_long"),
            "request" | "notice" | "code" => {
                let mut known = known.lock();
                let next = format!("m-{}", known.len());
                answer(200, &json!({"receipt": known.entry(id).or_insert(next)}))
            }
            _ => fault(501, "unsupported"),
        }
    }
}

async fn report(handler: impl Fn(&Call) -> Script + Send + Sync + 'static) -> Report {
    calling_back(None, move |call, _| handler(call)).await
}

/// The same of a plug-in that can post events: it is called with the message, and with what takes them.
async fn calling_back(
    answer: Option<Duration>,
    handler: impl Fn(&Call, &EventListener) -> Script + Send + Sync + 'static,
) -> Report {
    let listener: Arc<OnceLock<Arc<EventListener>>> = Arc::default();
    let heard = listener.clone();
    let plugin = Plugin::handled(move |call| handler(call, heard.get().unwrap())).await;
    let options = CheckOptions {
        to: ana(),
        channel: "check".parse().unwrap(),
        callback_url: "http://127.0.0.1:9/".into(),
        outbound_allow: "127.0.0.0/8".parse().unwrap(),
        timeout: PATIENCE,
        answer,
    };
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(NOW * 1_000_000)));
    let check = Check::new(&plugin.url(), &SECRET.into(), options, clock.clone()).unwrap();
    let heard = check.listener();
    listener.set(heard.clone()).unwrap();
    let mut run = pin!(check.run());
    loop {
        if let Poll::Ready(report) = poll!(&mut run) {
            return report;
        }
        // Everything that a plug-in posts here comes before its answer: what is waited for does not come any more.
        if heard.is_waited_on() {
            clock.advance(PATIENCE);
        }
        yield_now().await;
    }
}

fn failed(report: &Report) -> Vec<&'static str> {
    let failed = report.cases.iter().filter(|case| matches!(case.outcome, Outcome::Failed(_)));
    failed.map(|case| case.name).collect()
}

#[tokio::test]
async fn a_good_plugin_passes() {
    let declared = json!({"buttons": true, "edit": true, "idempotent_send": true, "text_max": 100});
    let report = report(good(declared)).await;
    assert!(report.passed(), "{report}");
    let line =
        "For hearback.toml: capabilities = { buttons = true, edit = true, idempotent_send = true, text_max = 100 }";
    assert!(report.to_string().ends_with(line), "{report}");
    let skipped = report.cases.iter().filter(|case| matches!(case.outcome, Outcome::Skipped(_)));
    assert!(
        skipped.map(|case| &case.outcome).all(|why| *why == Outcome::Skipped("it posted nothing".into())),
        "{report}"
    );
}

#[tokio::test]
async fn one_that_declares_nothing_passes_with_cases_skipped() {
    let report = report(good(json!({}))).await;
    assert!(report.passed(), "{report}");
    assert_eq!(report.cases.iter().filter(|case| matches!(case.outcome, Outcome::Skipped(_))).count(), 5, "{report}");
}

#[tokio::test]
async fn a_boundless_text_max_is_checked_up_to_the_longest_prompt() {
    let lengths: Arc<Mutex<Vec<usize>>> = Arc::default();
    let (plugin, kept) = (good(json!({"text_max": u32::MAX})), lengths.clone());
    let report = report(move |call| {
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        kept.lock().extend(body["request"]["prompt"].as_str().map(|prompt| prompt.chars().count()));
        plugin(call)
    })
    .await;
    assert_eq!(lengths.lock().iter().max(), Some(&4_000), "{report}");
    let over = report.cases.iter().find(|case| case.name == "one character more is refused with 413 or 422").unwrap();
    let Outcome::Skipped(why) = &over.outcome else { panic!("{report}") };
    assert!(why.contains("above 4000 characters"), "{why}");
}

#[tokio::test]
async fn one_that_believes_everybody_fails_by_name() {
    let report = report(|call| {
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        match body["type"].as_str() {
            Some("probe") => answer(200, &json!({"capabilities": {"idempotent_send": true, "text_max": 100}})),
            _ => answer(200, &json!({"receipt": format!("{:?}", std::time::Instant::now())})),
        }
    })
    .await;
    let failed = failed(&report);
    for name in [
        "a wrong signature is refused with 401",
        "a call without any signature header is refused with 401",
        "a right signature ten minutes old is refused with 401",
        "a body changed after it was signed is refused with 401",
        "a type that it does not know is refused with 501 or 422",
        "the same webhook-id twice has the same receipt",
        "one character more is refused with 413 or 422",
    ] {
        assert!(failed.contains(&name), "{name}\n{report}");
    }
}

#[tokio::test]
async fn what_is_no_json_is_malformed_and_nothing_else() {
    let plugin = good(json!({}));
    let report = report(move |call| match plugin(call) {
        Script::Answer(400, ..) => fault(422, "rejected"),
        other => other,
    })
    .await;
    let names =
        ["a signed body that is no JSON is refused with 400", "a signed body that is no object is refused with 400"];
    assert_eq!(failed(&report), names, "{report}");
}

#[tokio::test]
async fn nothing_is_said_of_one_that_does_not_answer() {
    for script in [Script::Cut, fault(500, "unavailable")] {
        let report = report(move |_| script.clone()).await;
        assert_eq!((report.cases.len(), report.passed()), (2, false), "{report}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_known_is_told_from_other_refusals() {
    for (status, word, unknown) in [(404, "not_found", true), (410, "not_found", true), (422, "rejected", false)] {
        let plugin = good(json!({}));
        let report = report(move |call| match plugin(call) {
            Script::Answer(200, _, body) if body.contains(r#""receipt""#) => fault(status, word),
            script => script,
        })
        .await;
        assert_eq!((report.address_unknown, report.passed()), (unknown, false), "{status}: {report}");
    }
    assert!(!report(|_| fault(404, "not_found")).await.address_unknown);
}

/// Tells the check something, as often as it is not taken and `tries` allow.
fn tell(listener: &EventListener, key: &Key, id: &str, event: &Value, tries: usize) {
    let body = event.to_string();
    let (signature, time) = (key.sign(id, NOW, body.as_bytes()), NOW.to_string());
    let pairs = [(ID, id), (TIMESTAMP, &time), (SIGNATURE, &signature)];
    let headers: HeaderMap = pairs.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
    let (tail, query, body) = ("events".into(), String::new(), body.into());
    let call = Callback { method: Method::POST, tail, query, headers, body };
    for _ in 0..tries {
        let reply = listener.take(&call);
        if reply.status != StatusCode::SERVICE_UNAVAILABLE {
            return;
        }
        assert_eq!(reply.headers["retry-after"], "1");
    }
}

/// A plug-in that answers what it is sent with 202, and tells what it has to tell besides.
fn late(
    declared: Value,
    tries: usize,
    events: impl Fn(&Value) -> Vec<Value> + Send + Sync + 'static,
) -> impl Fn(&Call, &EventListener) -> Script + Send + Sync + 'static {
    let (plugin, count) = (good(declared), AtomicUsize::default());
    move |call, listener| match plugin(call) {
        Script::Answer(200, _, body) if body.contains(r#""receipt""#) => {
            for event in events(&call.json()) {
                tell(listener, &key(), &format!("evt_{}", count.fetch_add(1, Ordering::Relaxed)), &event, tries);
            }
            answer(202, &json!({}))
        }
        script => script,
    }
}

fn receipt(message: &Value) -> Value {
    json!({"type": "receipt", "delivery": message["delivery"], "receipt": format!("late-{}", message["delivery"])})
}

/// An answer to an approval; to other questions there is none.
fn response(message: &Value) -> Option<Value> {
    let id = &message["request"]["id"];
    let approval = message["request"]["kind"] == "approval";
    approval.then(|| json!({"type": "response", "request_id": id, "from": "ana", "value": "approved"}))
}

#[tokio::test]
async fn one_that_calls_back_passes_and_is_settled_by_what_it_called_back() {
    let declared = json!({"edit": true, "inbound": true, "receipts": true, "idempotent_send": true});
    let report = calling_back(None, late(declared.clone(), 2, |message| vec![receipt(message)])).await;
    assert!(report.passed(), "{report}");
    let text = report.to_string();
    for line in [
        "ok       an approval is taken: 202, and its receipt came\n",
        "ok       a question is settled, twice without harm\n",
        "ok       an event that is answered with 503 comes again\n",
        "ok       every event is signed, and as documented\n",
        "\nNot checked: inbound: nobody was to answer; --answer SECONDS waits for somebody who does",
        "\nNot checked: receipts: nobody was to look; --answer SECONDS waits for somebody who does",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }

    let everything = |message: &Value| {
        let receipt = receipt(message);
        let read = json!({"type": "read", "from": "ana", "receipt": receipt["receipt"]});
        [Some(receipt), response(message), Some(read)].into_iter().flatten().collect()
    };
    let report = calling_back(Some(PATIENCE), late(declared, 2, everything)).await;
    assert!(report.passed() && report.unchecked.is_empty(), "{report}");
    assert!(report.to_string().contains("ok       a person's answer comes: as `response`\n"), "{report}");
}

#[tokio::test]
async fn one_that_never_calls_back_fails() {
    let report = calling_back(None, late(json!({"edit": true, "inbound": true}), 2, |_| Vec::new())).await;
    let failed = failed(&report);
    assert!(["an approval is taken", "a form is taken", "a notice is taken"].iter().all(|name| failed.contains(name)));
    assert!(report.to_string().contains("no signed `receipt` came to http://127.0.0.1:9/ within 10 s"), "{report}");

    let declared = json!({"inbound": true, "receipts": true});
    let report = calling_back(Some(PATIENCE), late(declared, 2, |message| vec![receipt(message)])).await;
    assert_eq!(self::failed(&report), ["a person's answer comes", "`delivered` or `read` comes"], "{report}");
}

#[tokio::test]
async fn one_that_tells_an_event_once_fails() {
    let report = calling_back(None, late(json!({}), 1, |message| vec![receipt(message)])).await;
    assert_eq!(failed(&report), ["an event that is answered with 503 comes again"], "{report}");
}

#[tokio::test]
async fn one_that_forges_a_signature_fails() {
    let plugin = good(json!({}));
    let other = Key::parse(&Secret::from("whsec_bm90IHRoZSBzZWNyZXQgb2YgdGhlIGh1Yg==")).unwrap();
    let report = calling_back(None, move |call, listener| match plugin(call) {
        Script::Answer(200, _, body) if body.contains(r#""receipt""#) => {
            tell(listener, &other, "evt_1", &receipt(&call.json()), 2);
            answer(202, &json!({}))
        }
        script => script,
    })
    .await;
    let failed = failed(&report);
    assert!(failed.contains(&"an approval is taken"), "{report}");
    assert!(failed.contains(&"every event is signed, and as documented"), "{report}");
}

/// What a plug-in tells of a message besides its receipt.
type Wrong = Box<dyn Fn(&Value) -> Option<Value> + Send + Sync>;

#[tokio::test]
async fn an_event_that_is_not_as_it_must_be_fails_and_is_named() {
    let with = |name: &'static str, value: Value| {
        move |message: &Value| {
            response(message).map(|mut response| {
                response[name] = value.clone();
                response
            })
        }
    };
    let nothing = json!(uuid::Uuid::nil());
    let (unknown, unread) = (nothing.clone(), json!({"type": "read", "from": "ana", "receipt": "m-1"}));
    let cases: [(Wrong, &str); 8] = [
        (Box::new(with("from", json!("ben"))), "a `response` is from an address that nothing was sent to"),
        (Box::new(with("value", json!("maybe"))), "a `response` does not answer its question: value: "),
        (Box::new(with("request_id", nothing)), "a `response` names a request that was not sent"),
        (Box::new(with("colour", json!(1))), "an event is refused: colour: is not a field of `response`"),
        (Box::new(with("type", json!("answer"))), "an event is refused: type: is not one of the types"),
        (
            Box::new(move |_| Some(json!({"type": "receipt", "delivery": unknown, "receipt": "m"}))),
            "a delivery that was not sent",
        ),
        (
            Box::new(move |_| Some(unread.clone())),
            "`read` comes, and the answer to `probe` does not declare what it needs",
        ),
        (
            Box::new(|message| {
                let id = &message["request"]["id"];
                id.is_string().then(|| json!({"type": "text", "request_id": id, "from": "ana", "text": " "}))
            }),
            "a `text` is empty",
        ),
    ];
    for (wrong, words) in cases {
        let events = move |message: &Value| [Some(receipt(message)), wrong(message)].into_iter().flatten().collect();
        let report = calling_back(None, late(json!({"inbound": true}), 2, events)).await;
        assert_eq!(failed(&report), ["every event is signed, and as documented"], "{words}\n{report}");
        assert!(report.to_string().contains(words), "{words}\n{report}");
    }
}
