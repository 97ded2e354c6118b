//! The cases, one function each or one row of a table.

use std::sync::atomic::Ordering;

use hearback_core::{
    ErrorKind,
    channel::Receipt,
    feedback::{PROMPT_MAX, RequestDocument},
    person::UserRef,
};
use http::HeaderMap;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Caller, Report,
    later::{self, Late},
};
use crate::{
    answer::{Asked, Problem, What},
    client::Answered,
    message::{Body, Sending},
    settings::Declared,
    signature::{ID, SIGNATURE, TIMESTAMP, seconds},
};

const MINUTES: i64 = 60;

/// A question that was sent, to be closed again.
struct Shown {
    delivery: Uuid,
    request: RequestDocument,
}

pub(super) async fn run(caller: &Caller) -> Report {
    let mut report = Report::default();
    let probed = probe(caller).await;
    report.declared = probed.as_ref().ok().copied();
    report.note("`probe` is answered with what the plug-in can do", probed.map(|_| String::new()));
    let Some(declared) = report.declared else {
        report.skip("everything else", "without an answer to `probe` nothing can be said");
        return report;
    };
    caller.listener.declare(declared);
    signatures(caller, &mut report).await;
    bodies(caller, &mut report).await;
    let (mut shown, mut late) = (Vec::new(), Vec::new());
    questions(caller, &mut report, &mut shown, &mut late).await;
    others(caller, &mut report, &mut late).await;
    twice(caller, &mut report, &declared, &mut late).await;
    lengths(caller, &mut report, &declared, &mut shown, &mut late).await;
    later::receipts(caller, &mut report, late).await;
    later::answers(caller, &mut report, &declared).await;
    settle(caller, &mut report, &declared, &shown).await;
    later::events(caller, &mut report).await;
    report
}

pub(super) fn asked(caller: &Caller, what: What) -> Asked<'_> {
    Asked { operation: "check", what, key: &caller.client.key, url: &caller.client.url, code: None }
}

async fn probe(caller: &Caller) -> Result<Declared, String> {
    let answered = caller.tell(Body::Probe).await?;
    let declared = asked(caller, What::Probe).probed(&answered).map_err(|error| error.detail().to_owned())?;
    declared.check().map_err(|fault| fault.to_string())?;
    Ok(declared)
}

fn expect(answered: &Answered, allowed: &[u16]) -> Result<String, String> {
    let status = answered.status.as_u16();
    if !allowed.contains(&status) {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        return Err(format!("expected {}, got {status}", allowed.join(" or ")));
    }
    if Problem::read(answered).word().is_none() && !answered.status.is_success() {
        return Ok("its body lacks {\"error\": …} with one of the documented words".into());
    }
    Ok(String::new())
}

/// A probe is what it costs nothing to get wrong.
async fn signatures(caller: &Caller, report: &mut Report) {
    let now = seconds(caller.clock.now());
    let Ok(bytes) = caller.write(Body::Probe) else { return };
    let good = |time| caller.client.key.headers("probe_check", time, &bytes);
    let without = |name| {
        let mut headers = good(now);
        headers.remove(name);
        headers
    };
    let mut other_id = good(now);
    other_id.insert(ID, http::HeaderValue::from_static("probe_other"));
    let mut wrong = good(now);
    wrong.insert(SIGNATURE, http::HeaderValue::from_static("v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    let mut several = good(now);
    let right = several.get(&SIGNATURE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Ok(value) = format!("v1,AAAA v2,other {right}").parse() {
        several.insert(SIGNATURE, value);
    }
    let cases: [(&'static str, HeaderMap, &[u16]); 9] = [
        ("a wrong signature is refused with 401", wrong, &[401]),
        ("a right signature of another webhook-id is refused with 401", other_id, &[401]),
        ("a right signature ten minutes old is refused with 401", good(now - 10 * MINUTES), &[401]),
        ("a right signature ten minutes ahead is refused with 401", good(now + 10 * MINUTES), &[401]),
        ("a call without webhook-signature is refused with 401", without(SIGNATURE), &[401]),
        ("a call without webhook-timestamp is refused with 401", without(TIMESTAMP), &[401]),
        ("a call without webhook-id is refused with 401", without(ID), &[401]),
        ("a call without any signature header is refused with 401", HeaderMap::new(), &[401]),
        ("a right signature among several is believed", several, &[200]),
    ];
    for (name, headers, allowed) in cases {
        let answered = caller.post(headers, bytes.clone()).await;
        report.note(name, answered.and_then(|answered| expect(&answered, allowed)));
    }
    let mut changed = bytes.clone();
    changed.push(b' ');
    let answered = caller.post(good(now), changed).await;
    report.note("a body changed after it was signed is refused with 401", answered.and_then(|a| expect(&a, &[401])));
}

async fn bodies(caller: &Caller, report: &mut Report) {
    let unknown = json!({"version": 1, "type": "a_type_of_the_future", "channel": caller.options.channel});
    let cases: [(&'static str, Vec<u8>, &[u16]); 3] = [
        ("a signed body that is no JSON is refused with 400", b"{not json".to_vec(), &[400]),
        ("a signed body that is no object is refused with 400", b"[]".to_vec(), &[400]),
        ("a type that it does not know is refused with 501 or 422", unknown.to_string().into_bytes(), &[501, 422]),
    ];
    for (name, bytes, allowed) in cases {
        let answered = caller.sign_and_post("check_body", bytes).await;
        report.note(name, answered.and_then(|answered| expect(&answered, allowed)));
    }
}

/// A question of one kind, as the hub writes it.
fn question(caller: &Caller, parts: Value) -> Result<RequestDocument, String> {
    let (now, person) = (caller.clock.now(), user());
    let mut request = json!({
        "id": caller.ids.next::<Uuid>(), "prompt": "A test of the plug-in. It closes by itself.", "context": null,
        "to": [person], "channels": [], "strategy": "fallback", "fallback_after": 300, "expires_in": 600,
        "urgent": false, "on_expiry": null, "callback_url": null, "session_id": null, "metadata": {},
        "asker": {"id": person.id, "username": person.username, "token": "check-plugin"}, "status": "pending",
        "created_at": now, "expires_at": now.after(std::time::Duration::from_mins(10)), "ended_at": null, "outcome": null,
    });
    if let (Value::Object(request), Value::Object(parts)) = (&mut request, parts) {
        request.extend(parts);
    }
    serde_json::from_value(request).map_err(|error| error.to_string())
}

fn user() -> UserRef {
    UserRef { id: Uuid::nil().into(), username: "check-plugin".into() }
}

fn sending(caller: &Caller, delivery: Uuid) -> Sending<'_> {
    caller.listener.sending(delivery);
    Sending { delivery, to: &caller.options.to, thread: None, locale: Some("en"), answer_url: None }
}

/// The receipt at once, or `None` when it comes later.
fn taken(caller: &Caller, delivery: Uuid, answered: &Answered) -> Result<Option<Receipt>, String> {
    let receipt = asked(caller, What::Send).receipt(answered).map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            caller.address_unknown.store(true, Ordering::Relaxed);
        }
        error.detail().to_owned()
    })?;
    if let Some(receipt) = &receipt {
        caller.listener.given(delivery, receipt.clone());
    }
    Ok(receipt)
}

/// Makes a sending, and notes how it went: a receipt that comes later is waited for when everything has been sent.
async fn note(
    caller: &Caller,
    report: &mut Report,
    late: &mut Vec<Late>,
    (name, delivery): (&'static str, Uuid),
    send: impl Future<Output = Result<Option<Receipt>, String>>,
) {
    let due = caller.clock.now().after(caller.options.timeout);
    match send.await {
        Ok(None) => late.push(Late { case: report.begin(name), delivery, due }),
        outcome => report.note(name, outcome.map(|_| String::new())),
    }
}

/// Sends a question, with more in the message than is documented where there is more.
async fn ask(caller: &Caller, request: &RequestDocument, delivery: Uuid, more: Value) -> Result<Answered, String> {
    caller.listener.asking(request);
    let body =
        Body::Request { sending: sending(caller, delivery), person: &user(), request: Box::new(request.clone()) };
    let id = body.id(caller.clock.now());
    let mut message: Value = serde_json::from_slice(&caller.write(body)?).map_err(|error| error.to_string())?;
    if let (Value::Object(message), Value::Object(more)) = (&mut message, more) {
        message.extend(more);
    }
    caller.sign_and_post(&id, message.to_string().into_bytes()).await
}

/// The same, and its receipt.
async fn put(
    caller: &Caller,
    shown: &mut Vec<Shown>,
    delivery: Uuid,
    parts: Value,
    more: Value,
) -> Result<Option<Receipt>, String> {
    let request = question(caller, parts)?;
    let receipt = taken(caller, delivery, &ask(caller, &request, delivery, more).await?)?;
    shown.push(Shown { delivery, request });
    Ok(receipt)
}

async fn questions(caller: &Caller, report: &mut Report, shown: &mut Vec<Shown>, late: &mut Vec<Late>) {
    let options = json!([{"value": "blue", "label": "Blue"}, {"value": "red"}]);
    let schema = json!({"type": "object", "properties": {"reason": {"type": "string"}}, "required": ["reason"]});
    let input = json!({"kind": "input", "min_length": 1, "max_length": 20, "pattern": null});
    let cases = [
        ("an approval is taken", json!({"kind": "approval"}), json!({})),
        ("a choice is taken", json!({"kind": "choice", "options": options, "multiple": false}), json!({})),
        ("an input is taken", input, json!({})),
        ("a form is taken", json!({"kind": "form", "schema": schema}), json!({})),
        (
            "a field that it does not know is passed over",
            json!({"kind": "approval"}),
            json!({"of_the_future": [1, {}]}),
        ),
    ];
    for (name, parts, more) in cases {
        let delivery: Uuid = caller.ids.next();
        note(caller, report, late, (name, delivery), put(caller, shown, delivery, parts, more)).await;
    }
}

async fn others(caller: &Caller, report: &mut Report, late: &mut Vec<Late>) {
    let text = "A test of the plug-in.";
    let send = async |delivery, body: Body<'_>| taken(caller, delivery, &caller.tell(body).await?);
    let delivery: Uuid = caller.ids.next();
    let notice = Body::Notice { sending: sending(caller, delivery), text };
    note(caller, report, late, ("a notice is taken", delivery), send(delivery, notice)).await;
    let (delivery, expires_at): (Uuid, _) = (caller.ids.next(), caller.clock.now());
    let code = Body::Code { sending: sending(caller, delivery), code: "000000", expires_at };
    note(caller, report, late, ("a code is taken", delivery), send(delivery, code)).await;
    let delivery: Uuid = caller.ids.next();
    let message = Body::Message { sending: sending(caller, delivery), text };
    let name = "a chat message is taken, or refused with 501";
    match caller.tell(message).await {
        Ok(answered) if answered.status == http::StatusCode::NOT_IMPLEMENTED => {
            report.note(name, Ok("501: it takes no chat".into()));
        }
        told => {
            let receipt = async { taken(caller, delivery, &told?) };
            note(caller, report, late, (name, delivery), receipt).await;
        }
    }
}

async fn twice(caller: &Caller, report: &mut Report, declared: &Declared, late: &mut Vec<Late>) {
    let name = "the same webhook-id twice has the same receipt";
    if !declared.idempotent_send {
        return report.skip(name, "it does not declare idempotent_send");
    }
    let delivery: Uuid = caller.ids.next();
    let once = async || {
        let text = "A test of the plug-in: this must be seen once.";
        taken(caller, delivery, &caller.tell(Body::Notice { sending: sending(caller, delivery), text }).await?)
    };
    let both = async {
        let receipts = [once().await?, once().await?];
        // One that was called back counts like one that was answered.
        let known = caller.listener.receipt(delivery);
        if receipts.iter().flatten().any(|receipt| Some(receipt) != known.as_ref()) {
            return Err("the receipts differ".into());
        }
        let [first, second] = receipts;
        Ok(first.or(second))
    };
    note(caller, report, late, (name, delivery), both).await;
}

async fn lengths(
    caller: &Caller,
    report: &mut Report,
    declared: &Declared,
    shown: &mut Vec<Shown>,
    late: &mut Vec<Late>,
) {
    let (fits, over) = ("a text of text_max characters is taken", "one character more is refused with 413 or 422");
    let Some(max) = declared.text_max else {
        report.skip(fits, "it declares no text_max");
        return report.skip(over, "it declares no text_max");
    };
    // Characters of more than one byte: the limit counts scalar values. What the plug-in declares may be any number, and
    // the hub sends no longer prompt than its own limit.
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let text = "ä".repeat(max.min(PROMPT_MAX));
    let delivery: Uuid = caller.ids.next();
    let parts = json!({"kind": "approval", "prompt": &text});
    note(caller, report, late, (fits, delivery), put(caller, shown, delivery, parts, json!({}))).await;
    if max > PROMPT_MAX {
        let why = format!("its text_max is above {PROMPT_MAX} characters, and the hub has no longer prompts");
        return report.skip(over, &why);
    }
    let outcome = async {
        let request = question(caller, json!({"kind": "approval", "prompt": format!("{text}ä")}))?;
        expect(&ask(caller, &request, caller.ids.next(), json!({})).await?, &[413, 422])
    };
    report.note(over, outcome.await);
}

async fn settle(caller: &Caller, report: &mut Report, declared: &Declared, shown: &[Shown]) {
    let name =
        if declared.edit { "a question is settled, twice without harm" } else { "settle is done, or refused with 501" };
    let Some(first) = shown.iter().find(|shown| caller.listener.receipt(shown.delivery).is_some()) else {
        return report.skip(name, "no question has a receipt");
    };
    let allowed: &[u16] = if declared.edit { &[200, 201, 202, 204] } else { &[200, 201, 202, 204, 501] };
    let mut outcome = close(caller, first, allowed).await;
    if declared.edit && outcome.is_ok() {
        outcome = close(caller, first, &[200, 201, 202, 204, 404, 409, 410]).await;
    }
    report.note(name, outcome);
    // What the check has shown, it closes, and whether that works was asked above.
    for other in shown.iter().filter(|shown| shown.delivery != first.delivery) {
        let _ = close(caller, other, allowed).await;
    }
}

async fn close(caller: &Caller, shown: &Shown, allowed: &[u16]) -> Result<String, String> {
    let Shown { delivery, request } = shown;
    let Some(receipt) = caller.listener.receipt(*delivery) else { return Ok(String::new()) };
    let mut request = request.clone();
    request.status = hearback_core::feedback::Status::Cancelled;
    request.ended_at = Some(caller.clock.now());
    let body = Body::Settle {
        delivery: (*delivery).into(),
        to: &caller.options.to,
        receipt: receipt.as_str(),
        request: Box::new(request),
        text: "This question is closed: it was a test.".into(),
    };
    expect(&caller.tell(body).await?, allowed)
}
