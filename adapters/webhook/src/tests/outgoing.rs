//! What goes out, and what each answer means.

use std::time::Duration;

use futures_util::poll;
use hearback_core::{
    ErrorKind, Retry,
    channel::{Channel, Content, Reach},
    clock::Clock,
};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{
    NOW, SECRET, TIMEOUT, ana, build, delivery,
    fake::{Plugin, Script, answer},
    key, outbound, question, settle, world,
};
use crate::signature::ID;

const TAKEN: &str = "m-1";

fn taken() -> Script {
    answer(200, &json!({"receipt": TAKEN}))
}

#[tokio::test]
async fn a_question_is_signed_flat_json_and_its_repetition_has_the_same_id() {
    let plugin = Plugin::scripted([taken()]).await;
    let world = world(&plugin.url(), &json!({"buttons": true, "inbound": true}));
    assert_eq!(world.channel.reach(&ana()).await, Reach::Now);
    for _ in 0..2 {
        assert_eq!(world.channel.send(&ana(), &question()).await.unwrap().as_str(), TAKEN);
        world.clock.advance(Duration::from_mins(1));
    }
    let calls = plugin.calls();
    let ids: Vec<&String> = calls.iter().map(|call| &call.headers[ID.as_str()]).collect();
    assert_eq!(ids, [&format!("request_{}", delivery()); 2]);
    let headers: HeaderMap = calls[1]
        .headers
        .iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    let now = world.clock.now();
    assert!(key().verify(&headers, &calls[1].body, now).is_ok());
    assert_eq!(calls[1].headers["webhook-timestamp"], (NOW + 60).to_string());
    assert_eq!(calls[1].path, "/hook?key=of-the-query");
    let body = calls[0].json();
    for (field, value) in [
        ("version", json!(1)),
        ("type", json!("request")),
        ("channel", json!("hook")),
        ("callback_url", json!("https://hub.example/api/channels/hook/events")),
        ("delivery", json!(delivery())),
        ("to", json!("ana")),
        ("locale", json!("de")),
        ("thread", Value::Null),
        ("answer_url", json!("https://hub.example/answer/1")),
    ] {
        assert_eq!(body[field], value, "{field}");
    }
    assert_eq!(body["person"]["username"], "ana");
    assert_eq!(body["request"]["prompt"], "Deploy 1.4.2 to production?");
    assert_eq!(body["request"]["status"], "pending");
}

#[tokio::test]
async fn messages_notices_codes_and_settlements_have_their_types() {
    let plugin = Plugin::scripted([taken()]).await;
    let world = world(&plugin.url(), &json!({"edit": true}));
    let code = Content::Code { code: "123456".into(), expires_at: world.clock.now() };
    for content in [Content::Message { text: "hi".into() }, Content::Notice { text: "so".into() }, code] {
        world.channel.send(&ana(), &outbound(content)).await.unwrap();
    }
    settle(world.channel.as_ref()).await.unwrap();
    let bodies: Vec<Value> = plugin.calls().iter().map(super::fake::Call::json).collect();
    let types: Vec<&Value> = bodies.iter().map(|body| &body["type"]).collect();
    assert_eq!(types, ["message", "notice", "code", "settle"]);
    assert_eq!((&bodies[0]["text"], &bodies[2]["code"]), (&json!("hi"), &json!("123456")));
    assert_eq!((&bodies[3]["receipt"], &bodies[3]["request"]["status"]), (&json!(TAKEN), &json!("cancelled")));
    assert!(bodies[3]["text"].as_str().unwrap().starts_with("This question is closed: "));
    assert_eq!(plugin.calls()[3].headers["webhook-id"], format!("settle_{}", delivery()));
}

#[tokio::test]
async fn a_settlement_says_how_it_ended_where_that_fits() {
    for (text_max, said) in [
        (json!(null), "This question is closed: "),
        (json!(200), "This question is closed: "),
        (json!(30), "This question is closed."),
        (json!(1), "This question is closed."),
    ] {
        let plugin = Plugin::scripted([answer(200, &json!({}))]).await;
        settle(world(&plugin.url(), &json!({"edit": true, "text_max": text_max})).channel.as_ref()).await.unwrap();
        let body = plugin.calls()[0].json();
        assert!(body["text"].as_str().unwrap().starts_with(said), "{text_max}: {body}");
    }
}

#[tokio::test]
async fn every_status_is_an_error_of_its_kind_that_holds_no_secret() {
    use ErrorKind::{Ambiguous, Auth, Config, NotFound, RateLimited, Rejected, Unavailable, Unsupported};
    let leak = format!("{SECRET} {} key=of-the-query", SECRET.trim_start_matches("whsec_"));
    for (status, error, send, on_settle) in [
        (301, "", Config, Some(Config)),
        (307, "", Config, Some(Config)),
        (400, "malformed", Rejected, Some(Rejected)),
        (401, "bad_signature", Auth, Some(Auth)),
        (403, "forbidden", Auth, Some(Auth)),
        (404, "not_found", NotFound, Some(NotFound)),
        (405, "", Config, Some(Config)),
        (408, "", Unavailable, Some(Unavailable)),
        (409, "duplicate", Ambiguous, None),
        (410, "gone", Config, Some(Config)),
        (410, "not_found", NotFound, Some(NotFound)),
        (413, "too_long", Rejected, Some(Rejected)),
        (418, "", Rejected, Some(Rejected)),
        (422, "rejected", Rejected, Some(Rejected)),
        (429, "rate_limited", RateLimited, Some(RateLimited)),
        (500, "", Unavailable, Some(Unavailable)),
        (501, "unsupported", Unsupported, Some(Unsupported)),
        (502, "", Unavailable, Some(Unavailable)),
        (503, "unavailable", Unavailable, Some(Unavailable)),
        (504, "", Ambiguous, Some(Unavailable)),
    ] {
        let plugin = Plugin::scripted([answer(status, &json!({"error": error, "detail": leak}))]).await;
        let world = world(&plugin.url(), &json!({"edit": true}));
        let fault = world.webhook.send(&ana(), &question()).await.unwrap_err();
        assert_eq!(fault.kind(), send, "{status} {error}");
        let text = format!("{fault} {fault:?} {:?}", world.webhook);
        assert!(text.contains(&status.to_string()), "{text}");
        assert!(!text.contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "{text}");
        assert_eq!(settle(world.webhook.as_ref()).await.err().map(|error| error.kind()), on_settle, "{status} {error}");
    }
}

#[tokio::test]
async fn a_code_stays_out_of_errors_and_one_unreachable_person_is_no_illness() {
    let said = json!({"error": "recipient_unavailable", "detail": "no phone for 123456"});
    let plugin = Plugin::scripted([answer(503, &said)]).await;
    let world = world(&plugin.url(), &json!({}));
    let code = outbound(Content::Code { code: "123456".into(), expires_at: world.clock.now() });
    let error = world.webhook.send(&ana(), &code).await.unwrap_err();
    assert!(error.detail().ends_with("no phone for …"), "{error}");
    assert!(error.kind() == ErrorKind::Unavailable && !error.is_illness());
}

#[tokio::test]
async fn retry_after_is_seconds_or_a_date() {
    // 1795000000 is 2026-11-18T11:06:40Z.
    for (value, after) in [
        ("7", 7),
        ("18446744073709551615", 86_400),
        ("Wed, 18 Nov 2026 11:07:10 GMT", 30),
        ("Wed, 18 Nov 2020 10:27:10 GMT", 0),
    ] {
        for status in [429, 503] {
            let script = Script::Answer(status, vec![("Retry-After", value.into())], String::new());
            let plugin = Plugin::scripted([script]).await;
            let error = world(&plugin.url(), &json!({})).webhook.send(&ana(), &question()).await.unwrap_err();
            assert_eq!(error.retry(), Retry::After(Duration::from_secs(after)), "{value}");
        }
    }
}

#[tokio::test]
async fn what_may_have_left_is_ambiguous_unless_sending_twice_is_harmless() {
    for (idempotent, kind) in [(false, ErrorKind::Ambiguous), (true, ErrorKind::Unavailable)] {
        let plugin = Plugin::scripted([Script::Cut]).await;
        let world = world(&plugin.url(), &json!({"idempotent_send": idempotent, "edit": true}));
        assert_eq!(world.webhook.send(&ana(), &question()).await.unwrap_err().kind(), kind);
        assert_eq!(settle(world.webhook.as_ref()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    // It says that it was sent, and not as what.
    let large = Script::Answer(200, Vec::new(), format!("{{\"receipt\": \"m-1\", \"x\": \"{}\"}}", "x".repeat(70_000)));
    let nothing = Script::Answer(204, Vec::new(), String::new());
    let html = Script::Answer(200, Vec::new(), "<html>".into());
    for script in [Script::Half, large, nothing, html, answer(200, &json!({"receipt": ""}))] {
        let plugin = Plugin::scripted([script.clone()]).await;
        let error = world(&plugin.url(), &json!({})).webhook.send(&ana(), &question()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ambiguous, "{script:?}");
    }
}

#[tokio::test]
async fn a_repetition_that_the_plugin_knows_has_the_first_ones_receipt() {
    let plugin = Plugin::scripted([answer(409, &json!({"error": "duplicate", "receipt": TAKEN}))]).await;
    let world = world(&plugin.url(), &json!({"edit": true}));
    assert_eq!(world.webhook.send(&ana(), &question()).await.unwrap().as_str(), TAKEN);
    settle(world.webhook.as_ref()).await.unwrap();
}

#[tokio::test]
async fn nobody_at_the_port_is_unavailable_and_a_hang_ends_on_the_clock() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let closed = world(&format!("http://127.0.0.1:{free}/?key=of-the-query"), &json!({}));
    let error = closed.webhook.send(&ana(), &question()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!format!("{error} {error:?}").contains("of-the-query"));

    for script in [Script::Hang, answer(202, &json!({}))] {
        let plugin = Plugin::scripted([script]).await;
        let world = world(&plugin.url(), &json!({}));
        let (to, what) = (ana(), question());
        let mut send = world.channel.send(&to, &what);
        while plugin.calls().is_empty() {
            assert!(poll!(&mut send).is_pending());
            tokio::task::yield_now().await;
        }
        assert_eq!(world.webhook.waiting.count(), 1);
        world.clock.advance(TIMEOUT);
        assert_eq!(send.await.unwrap_err().kind(), ErrorKind::Ambiguous);
        assert_eq!(world.webhook.waiting.count(), 0);
    }
}

#[tokio::test]
async fn a_receipt_that_does_not_come_is_named_a_little_before_the_hub_ends_the_send() {
    for (idempotent, kind) in [(false, ErrorKind::Ambiguous), (true, ErrorKind::Unavailable)] {
        let plugin = Plugin::scripted([answer(202, &json!({}))]).await;
        let world = world(&plugin.url(), &json!({"idempotent_send": idempotent}));
        let (to, what) = (ana(), question());
        let mut send = world.channel.send(&to, &what);
        while plugin.calls().is_empty() {
            assert!(poll!(&mut send).is_pending());
            tokio::task::yield_now().await;
        }
        world.clock.advance(TIMEOUT.saturating_sub(Duration::from_millis(100)));
        let error = send.await.unwrap_err();
        assert_eq!((error.kind(), error.is_in_doubt()), (kind, true));
        let words = "the plug-in answered with 202, and its `receipt` did not come within 10 s (SEND_TIMEOUT)";
        assert_eq!(error.detail(), words);
        assert_eq!(world.webhook.waiting.count(), 0);
    }
}

#[tokio::test]
async fn a_probe_of_what_need_not_be_a_plug_in_says_where_to_look() {
    let nothing = "nothing is at this path (404): look at `url`";
    for (status, said, words) in [
        (404, json!({}), nothing.to_owned()),
        (404, json!({"detail": format!("no page, {SECRET}")}), format!("{nothing}; it says: no page, …")),
        (405, json!({}), "nothing at this path takes a POST (405): look at `url`".into()),
        (501, json!({}), "what listens there is no plug-in, or an older one (501)".into()),
    ] {
        let plugin = Plugin::scripted([answer(status, &said)]).await;
        let error = world(&plugin.url(), &json!({})).channel.probe().await.unwrap_err();
        assert_eq!((error.kind(), error.detail()), (ErrorKind::Config, &*words));
    }
}

#[tokio::test]
async fn a_probe_names_the_first_difference_and_what_to_write() {
    let declared =
        json!({"buttons": true, "inbound": true, "text_max": 1000, "send_rate": {"per_second": 2, "burst": 5}});
    let plugin = Plugin::scripted([answer(200, &json!({"capabilities": declared}))]).await;
    let rate = json!({"per_second": 1, "burst": 5});
    let good = json!({"inbound": true, "text_max": 900, "send_rate": rate});
    world(&plugin.url(), &good).channel.probe().await.unwrap();
    assert_eq!(plugin.calls()[0].json()["type"], "probe");
    for (claimed, difference) in [
        (json!({"edit": true}), "counts on `edit`, which the plug-in does not declare"),
        (json!({}), "counts on `text_max` of no limit, and the plug-in declares 1000"),
        (json!({"text_max": 1001}), "counts on `text_max` of 1001"),
        (json!({"text_max": 1}), "counts on `send_rate.per_second` of no limit"),
    ] {
        let error = world(&plugin.url(), &claimed).channel.probe().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.detail().contains(difference), "{error}");
        let line = "`capabilities = { buttons = true, inbound = true, text_max = 1000, send_rate = { per_second = 2, burst = 5 } }` \
                    into [channels.hook] of hearback.toml";
        assert!(error.detail().contains(line), "{error}");
    }
    // A plug-in of a later protocol says more than this hub knows.
    let newer = json!({"inbound": true, "telepathy": {"range": 3}, "text_max": 1000});
    let plugin = Plugin::scripted([answer(200, &json!({"capabilities": newer, "since": 2}))]).await;
    world(&plugin.url(), &json!({"inbound": true, "text_max": 1000})).channel.probe().await.unwrap();
    for script in [answer(200, &json!({})), Script::Answer(200, Vec::new(), "hello".into())] {
        let plugin = Plugin::scripted([script]).await;
        assert_eq!(world(&plugin.url(), &json!({})).channel.probe().await.unwrap_err().kind(), ErrorKind::Config);
    }
}

#[tokio::test]
async fn what_a_probe_is_answered_with_is_repeated_without_secrets_and_not_at_length() {
    let echo = format!("/hook?key=of-the-query {SECRET} \u{7} {}", "x".repeat(5_000));
    for body in [
        json!({"capabilities": echo}),
        json!({"capabilities": {"edit": echo}}),
        json!({"capabilities": {"text_max": echo}}),
    ] {
        let plugin = Plugin::scripted([answer(200, &body)]).await;
        let error = world(&plugin.url(), &json!({})).channel.probe().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("of-the-query") && !text.contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "{text}");
        assert!(error.detail().chars().count() < 500 && !error.detail().contains('\u{7}'), "{text}");
    }
}

#[tokio::test]
async fn the_keys_of_a_url_are_taken_out_in_every_spelling_and_other_words_stay() {
    let plugin = |said: &str| Plugin::scripted([answer(422, &json!({"detail": said}))]);
    for (path, said, heard) in [
        ("hook?v=1", "at most 1000 characters, not 2100", "at most 1000 characters, not 2100"),
        ("hook?1", "at most 1000 characters", "at most 1000 characters"),
        ("hook?v=1", "POST /hook?v=1 fails", "POST /hook… fails"),
        ("hook?a=b&c=d", "POST /hook?a=b&c=d: b, d", "POST /hook…: b, d"),
        ("hook?v=1&key=of%20the-query", "key of the-query, 1", "key …, 1"),
        ("hook?v=1&key=of%20the-query", "key of%20the-query, 1", "key …, 1"),
        ("services/T%C3%A4-secret-1", "no /services/Tä-secret-1", "no /…/…"),
        ("services/T%C3%A4-secret-1", "no T%C3%A4-secret-1", "no …"),
        ("hook?key=of-the-query", "key of-the\u{0}-query\n", "key …"),
        ("v1/hook", "v1 knows no hook", "v1 knows no hook"),
    ] {
        let plugin = plugin(said).await;
        let world = world(&format!("http://127.0.0.1:{}/{path}", plugin.port), &json!({}));
        let error = world.webhook.send(&ana(), &question()).await.unwrap_err();
        assert_eq!(error.detail(), format!("the plug-in refuses it (422): {heard}"), "{path}: {said}");
    }
}

#[tokio::test]
async fn what_is_not_declared_is_not_asked_for() {
    let plugin = Plugin::scripted([taken()]).await;
    let world = world(&plugin.url(), &json!({"text_max": 3}));
    assert_eq!(settle(world.webhook.as_ref()).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let long = outbound(Content::Notice { text: "äöüß".into() });
    assert_eq!(world.channel.send(&ana(), &long).await.unwrap_err().kind(), ErrorKind::Rejected);
    assert!(plugin.calls().is_empty() && world.channel.connect().is_none());
    world.channel.send(&ana(), &outbound(Content::Notice { text: "äöü".into() })).await.unwrap();
}

#[test]
fn a_setting_at_fault_is_named_and_no_secret_is_shown() {
    let fault = |settings: Value| {
        let read = hearback_core::channel::read_settings(settings);
        let (_, parts) = super::parts("");
        read.and_then(|settings| crate::Webhook::new("hook".parse().unwrap(), settings, &parts)).unwrap_err()
    };
    for (url, secret, field) in [
        ("nowhere", SECRET, "url"),
        ("ftp://x.example/", SECRET, "url"),
        ("https://ana:pa55@x.example/", SECRET, "url"),
        ("https://x.example/#top", SECRET, "url"),
        ("https://x.example/", "whsec_c2hvcnQ=", "secret"),
        ("https://x.example/", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret"),
    ] {
        let fault = fault(json!({"url": url, "secret": secret}));
        assert_eq!(fault.field, field, "{fault}");
        assert!(!fault.to_string().contains("pa55") && !fault.to_string().contains(secret), "{fault}");
    }
    let unknown = fault(json!({"url": "http://x.example/", "secret": SECRET, "colour": 1}));
    assert!(unknown.to_string().contains("colour"), "{unknown}");
    let zero = fault(json!({"url": "http://x.example/", "secret": SECRET, "capabilities": {"text_max": 0}}));
    assert_eq!(zero.field, "capabilities.text_max");
    assert!(build("http://x.example/", &json!({"fly": true}), "").err().unwrap().to_string().contains("fly"));
}
