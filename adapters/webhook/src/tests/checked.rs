//! The check finds a good plug-in good, and names what is wrong with a bad one.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hearback_core::{Timestamp, clock::ManualClock};
use http::HeaderMap;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{
    NOW, SECRET, ana,
    fake::{Call, Plugin, Script, answer},
    key,
};
use crate::{CheckOptions, Outcome, Report, check_plugin};

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
    let plugin = Plugin::handled(handler).await;
    let options = CheckOptions {
        to: ana(),
        channel: "check".parse().unwrap(),
        callback_url: "http://127.0.0.1:9/".into(),
        outbound_allow: "127.0.0.0/8".parse().unwrap(),
        timeout: Duration::from_secs(10),
    };
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(NOW * 1_000_000)));
    check_plugin(&plugin.url(), &SECRET.into(), options, clock).await.unwrap()
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
    assert!(!report.cases.iter().any(|case| matches!(case.outcome, Outcome::Skipped(_))), "{report}");
}

#[tokio::test]
async fn one_that_declares_nothing_passes_with_cases_skipped() {
    let report = report(good(json!({}))).await;
    assert!(report.passed(), "{report}");
    assert_eq!(report.cases.iter().filter(|case| matches!(case.outcome, Outcome::Skipped(_))).count(), 3, "{report}");
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
