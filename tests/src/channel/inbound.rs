//! What comes in: believed, stored once, and only then acknowledged.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use futures_util::poll;
use hearback_core::{
    ErrorKind,
    channel::{Callback, Content, Outbound},
    feedback::Request,
};
use http::{HeaderMap, Method};
use serde_json::json;
use tokio::{select, task::yield_now};

use super::{Bench, Event, Harness, Outcome, Proof, Suite, bench::person, harness::call_back, inbox::RecordingInbox};

/// How often a future is polled that must not be ready yet.
const POLLS: usize = 32;

fn request(what: &Outbound) -> Arc<Request> {
    let Content::Request { request, .. } = &what.content else { panic!("a question was made") };
    request.clone()
}

/// A question that was sent, an inbox that knows it, and an answer to it; `None` where nobody answers on this channel.
async fn asked<H: Harness>(suite: &Suite<H>) -> Option<(Bench<H>, Arc<RecordingInbox>, Event)> {
    suite.applies("inbound", H::inbound())?;
    if !suite.declares("`inbound`", suite.variant.inbound) {
        return None;
    }
    Some(answered(suite).await)
}

/// The same, wherever somebody answers.
pub(super) async fn answered<H: Harness>(suite: &Suite<H>) -> (Bench<H>, Arc<RecordingInbox>, Event) {
    let bench = suite.open().await;
    let what = bench.approval().await;
    bench.send(&what).await.expect("sent");
    let request = request(&what);
    let event =
        Event { id: "event-1".into(), request: request.clone(), from: bench.to.clone(), value: json!("approved") };
    (bench, RecordingInbox::of(request, person()), event)
}

/// A provider that tells an event again has its id again: one is stored, and every telling is acknowledged. So it is
/// after a restart of the hub, which the channel remembers nothing of. Another event is another answer.
pub async fn a_repeated_event_is_stored_once<H: Harness>(suite: &Suite<H>) {
    if suite.applies("the id of an event", H::event_ids()).is_none() {
        return;
    }
    let Some((bench, inbox, event)) = asked(suite).await else { return };
    let listening = bench.listen(inbox.clone());
    for telling in 1..=2 {
        let heard = bench.inject(inbox.clone(), &event, Proof::Good).await;
        assert_eq!(heard.outcome, Outcome::Acknowledged, "telling {telling}: {heard:?}");
    }
    drop(listening);
    let restarted = suite.open().await;
    let _listening = restarted.listen(inbox.clone());
    let heard = restarted.inject(inbox.clone(), &event, Proof::Good).await;
    assert_eq!(heard.outcome, Outcome::Acknowledged, "after a restart: {heard:?}");
    let stored = inbox.stored();
    assert_eq!(stored.len(), 1, "a repeated event is stored once: {stored:?}");
    assert!(stored[0].event.is_some(), "an event carries its provider's id: {stored:?}");
    assert_eq!((&stored[0].from, stored[0].request), (&event.from, event.request.id));
    assert_eq!(stored[0].value, event.value);

    let next = Event { id: "event-2".into(), ..event };
    restarted.inject(inbox.clone(), &next, Proof::Good).await;
    assert_eq!(inbox.stored().len(), 2, "another event is stored besides");
}

/// What is not proven is not stored, and not acknowledged; the same with its proof is.
pub async fn a_bad_signature_is_refused<H: Harness>(suite: &Suite<H>) {
    if suite.applies("a signature", H::signatures()).is_none() {
        return;
    }
    let Some((bench, inbox, event)) = asked(suite).await else { return };
    let _listening = bench.listen(inbox.clone());
    let heard = bench.inject(inbox.clone(), &event, Proof::Bad).await;
    assert_eq!(heard.outcome, Outcome::Refused, "a bad signature is refused: {heard:?}");
    assert_eq!(inbox.asked(), 0, "a bad signature is refused before the inbox is asked");
    let heard = bench.inject(inbox.clone(), &event, Proof::Good).await;
    assert_eq!((heard.outcome, inbox.stored().len()), (Outcome::Acknowledged, 1), "{heard:?}");
}

/// What could not be stored is not acknowledged, whatever the store's fault; told again, it is stored.
pub async fn a_failing_inbox_prevents_the_acknowledgement<H: Harness>(suite: &Suite<H>) {
    for kind in [ErrorKind::Unavailable, ErrorKind::Unexpected] {
        let Some((bench, inbox, event)) = asked(suite).await else { return };
        let _listening = bench.listen(inbox.clone());
        inbox.fail(Some(kind));
        let heard = bench.inject(inbox.clone(), &event, Proof::Good).await;
        assert_eq!(heard.outcome, Outcome::Again, "a failing inbox prevents the acknowledgement: {kind:?}, {heard:?}");
        assert!(inbox.asked() > 0 && inbox.stored().is_empty(), "the inbox was asked, and failed");
        inbox.fail(None);
        let heard = bench.inject(inbox.clone(), &event, Proof::Good).await;
        assert_eq!((heard.outcome, inbox.stored().len()), (Outcome::Acknowledged, 1), "{heard:?}");
    }
}

/// While the inbox is at work there is no acknowledgement yet.
pub async fn nothing_is_acknowledged_before_it_is_stored<H: Harness>(suite: &Suite<H>) {
    let Some((bench, inbox, event)) = asked(suite).await else { return };
    let _listening = bench.listen(inbox.clone());
    inbox.hold(true);
    let mut entered = pin!(inbox.entered());
    assert!(poll!(&mut entered).is_pending(), "nothing was told yet");
    let mut telling = pin!(bench.inject(inbox.clone(), &event, Proof::Good));
    select! {
        biased;
        heard = &mut telling => panic!("acknowledged before it was stored: {heard:?}"),
        () = entered => {}
    }
    for _ in 0..POLLS {
        assert!(poll!(&mut telling).is_pending(), "acknowledged before it was stored");
        yield_now().await;
    }
    inbox.hold(false);
    let heard = telling.await;
    assert_eq!((heard.outcome, inbox.stored().len()), (Outcome::Acknowledged, 1), "{heard:?}");
}

/// Anybody can call a channel's URL. Without a proof nothing is stored and nothing acknowledged; a channel that takes
/// no calls says [`ErrorKind::Unsupported`].
pub async fn a_call_that_nobody_signed_is_not_stored<H: Harness>(suite: &Suite<H>) {
    let bench = suite.open().await;
    let what = bench.approval().await;
    let inbox = RecordingInbox::of(request(&what), person());
    let told = json!({"type": "response", "request_id": request(&what).id, "from": bench.to, "value": "approved"});
    suite.checks("a call");
    for (tail, body) in [("events", told.to_string()), ("conformance", "{".into()), ("", String::new())] {
        for method in [Method::POST, Method::GET] {
            let (query, headers, body) = (String::new(), HeaderMap::new(), Bytes::from(body.clone()));
            let call = Callback { method, tail: tail.into(), query, headers, body };
            let heard = call_back(&bench.channel, call, inbox.clone()).await;
            bench.search("what a caller was answered", &heard.said);
            if let Some(error) = &heard.error {
                bench.search("an error", super::secrets::all_texts(error).as_bytes());
            }
            assert_eq!(heard.outcome, Outcome::Refused, "{heard:?}");
        }
    }
    assert_eq!(inbox.asked(), 0, "the inbox is not asked");
}
