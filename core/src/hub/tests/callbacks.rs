//! What askers are told at their `callback_url`.

use std::{collections::HashMap, future::pending};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::{
    callback::{Callback, CallbackCaller, CallbackKind, CallbackMessage, CallbackState, NotTaken},
    id::CallbackId,
};

const URL: &str = "https://agent.example/hook";
const OTHER_TOKEN: &str = "018f0000-0000-7000-8000-000000000002";

/// A receiver whose next answers are scripted by the URL; `None` hangs. It takes what nobody scripted.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    script: Mutex<HashMap<String, Vec<Option<NotTaken>>>>,
    called: Mutex<Vec<(CallbackId, CallbackMessage, String)>>,
}

impl Receiver {
    fn script(&self, url: &str, answers: impl IntoIterator<Item = Option<NotTaken>>) {
        self.script.lock().entry(url.into()).or_default().extend(answers);
    }

    fn calls(&self, url: &str) -> usize {
        self.called.lock().iter().filter(|(.., called)| called == url).count()
    }
}

#[async_trait]
impl CallbackCaller for Receiver {
    async fn call(&self, callback: &Callback, message: &CallbackMessage) -> Result<(), NotTaken> {
        self.called.lock().push((callback.id, message.clone(), callback.url.clone()));
        let next = self
            .script
            .lock()
            .get_mut(&callback.url)
            .filter(|script| !script.is_empty())
            .map(|script| script.remove(0));
        match next {
            None => Ok(()),
            Some(Some(why)) => Err(why),
            Some(None) => pending().await,
        }
    }
}

fn again(after: Option<u64>) -> NotTaken {
    NotTaken::Again { error: "status 500".into(), after: after.map(Duration::from_secs) }
}

async fn only(world: &World, request: &Request) -> Callback {
    let mut page = world.store.callbacks(request.id, None, 10).await.unwrap();
    assert_eq!(page.items.len(), 1, "expected one callback: {page:?}");
    page.items.remove(0)
}

async fn answered(world: &World, url: &str) -> Arc<Request> {
    let request = world.ask_as_agent(json!({"to": ["ana"], "callback_url": url})).await;
    world.answer(&request, 0, json!("approved")).await;
    world.calm().await;
    request
}

/// Lets time pass in small steps.
async fn pass(world: &World, span: Duration, step: Duration) {
    let end = world.clock.now().after(span);
    while world.clock.now() < end {
        world.pass(step).await;
    }
}

#[tokio::test]
async fn an_asker_hears_at_once_how_its_request_ended() {
    let world = World::plain();
    let request = answered(&world, URL).await;
    let called = world.receiver.called.lock().clone();
    let [(id, message, url)] = &*called else { panic!("expected one call: {called:?}") };
    assert_eq!((message.kind, message.timestamp, url.as_str()), (CallbackKind::Answered, world.clock.now(), URL));
    assert_eq!(message.data.outcome.as_ref().unwrap().value, json!("approved"));
    let callback = only(&world, &request).await;
    assert_eq!((callback.id, callback.attempts), (*id, 1));
    assert_eq!(callback.state, CallbackState::Delivered { at: world.clock.now() });

    let cancelled = world.ask_as_agent(json!({"to": ["ana"], "callback_url": URL})).await;
    world.hub.cancel(cancelled.id).await.unwrap();
    let expired = world.ask_as_agent(json!({"to": ["ana"], "callback_url": URL, "expires_in": 60})).await;
    world.pass(Duration::from_mins(1)).await;
    for (request, kind) in [(cancelled, CallbackKind::Cancelled), (expired, CallbackKind::Expired)] {
        let callback = only(&world, &request).await;
        assert_eq!((callback.kind, callback.state.status()), (kind, crate::callback::CallbackStatus::Delivered));
    }
}

#[tokio::test]
async fn an_asker_hears_at_once_that_nobody_is_reached() {
    let world = World::plain();
    world.channel.fail_next(error(ErrorKind::Rejected));
    let request = world.ask_as_agent(json!({"to": ["ana"], "callback_url": URL})).await;
    world.calm().await;
    let called = world.receiver.called.lock().clone();
    let [(_, message, _)] = &*called else { panic!("expected one call: {called:?}") };
    assert_eq!((message.kind, message.data.status), (CallbackKind::Undeliverable, Status::Pending));
    assert_eq!(only(&world, &request).await.attempts, 1);
}

#[tokio::test]
async fn only_service_tokens_are_called_back() {
    let world = World::plain();
    let refused = world.try_ask(json!({"callback_url": URL})).await;
    let Err(CreateError::Invalid(faults)) = refused else { panic!("expected a refusal: {refused:?}") };
    assert_eq!(faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), ["callback_url"]);
}

#[tokio::test]
async fn what_is_not_taken_is_told_again_with_the_same_id_ever_more_seldom() {
    let world = World::plain();
    world.receiver.script(URL, (0..6).map(|_| Some(again(None))));
    let request = answered(&world, URL).await;
    let callback = only(&world, &request).await;
    let CallbackState::Queued { due } = callback.state else { panic!("expected it queued: {callback:?}") };
    assert!(due.since(world.clock.now()) <= Duration::from_secs(10));
    assert_eq!((callback.attempts, callback.last_error.as_deref()), (1, Some("status 500")));
    pass(&world, Duration::from_mins(15), Duration::from_secs(5)).await;
    let called = world.receiver.called.lock().clone();
    assert_eq!(called.len(), 7);
    assert!(called.iter().all(|(id, message, _)| *id == callback.id && *message == called[0].1));
    let callback = only(&world, &request).await;
    assert!(matches!(callback.state, CallbackState::Delivered { .. }) && callback.attempts == 7, "{callback:?}");
}

#[tokio::test]
async fn a_receiver_is_left_alone_for_as_long_as_it_asks() {
    let world = World::plain();
    world.receiver.script(URL, [Some(again(Some(600)))]);
    answered(&world, URL).await;
    pass(&world, Duration::from_secs(595), Duration::from_secs(5)).await;
    assert_eq!(world.receiver.calls(URL), 1);
    pass(&world, Duration::from_secs(20), Duration::from_secs(5)).await;
    assert_eq!(world.receiver.calls(URL), 2);
}

#[tokio::test]
async fn what_is_not_taken_for_three_days_is_given_up() {
    let world = World::plain();
    world.receiver.script(URL, (0..1000).map(|_| Some(again(None))));
    let request = answered(&world, URL).await;
    pass(&world, Duration::from_hours(48), Duration::from_mins(1)).await;
    assert!(matches!(only(&world, &request).await.state, CallbackState::Queued { .. }));
    pass(&world, Duration::from_hours(24), Duration::from_mins(1)).await;
    let callback = only(&world, &request).await;
    assert_eq!((callback.state, callback.last_error.as_deref()), (CallbackState::Failed, Some("status 500")));
    let calls = world.receiver.calls(URL);
    assert_eq!(usize::try_from(callback.attempts), Ok(calls));
    assert!((15..80).contains(&calls), "{calls}");
    pass(&world, Duration::from_hours(24), Duration::from_hours(1)).await;
    assert_eq!(world.receiver.calls(URL), calls);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_called_no_more() {
    let world = World::plain();
    world.receiver.script(URL, [Some(NotTaken::Gone)]);
    for attempts in [1, 0] {
        let request = answered(&world, URL).await;
        let callback = only(&world, &request).await;
        assert_eq!((callback.state, callback.attempts), (CallbackState::Disabled, attempts));
    }
    assert_eq!(world.receiver.calls(URL), 1);
    answered(&world, "https://agent.example/new").await;
    assert_eq!(world.receiver.calls("https://agent.example/new"), 1);
}

#[tokio::test]
async fn nothing_is_told_on_behalf_of_a_token_that_has_ended() {
    let world = World::plain();
    world.receiver.script(URL, [Some(NotTaken::TokenEnded)]);
    let request = answered(&world, URL).await;
    let callback = only(&world, &request).await;
    assert_eq!((callback.state, callback.attempts), (CallbackState::Failed, 0));
    assert_eq!(callback.last_error.unwrap(), "the service token that asked is revoked or has expired");
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_other_and_is_given_ten_seconds() {
    let world = World::plain();
    world.receiver.script(URL, (0..1000).map(|_| None));
    for _ in 0..300 {
        let request = world.ask_as_agent(json!({"to": ["ana"], "callback_url": URL})).await;
        world.hub.cancel(request.id).await.unwrap();
    }
    world.calm().await;
    assert_eq!(world.receiver.calls(URL), 8, "it takes eight places");
    let other = answered(&world, "https://other.example/hook").await;
    assert!(matches!(only(&world, &other).await.state, CallbackState::Delivered { .. }));
    world.pass(Duration::from_secs(10)).await;
    let (_, message, _) = world.receiver.called.lock()[0].clone();
    let [callback] = &*world.store.callbacks(message.data.id, None, 10).await.unwrap().items else {
        panic!("expected one callback")
    };
    assert_eq!((callback.attempts, callback.last_error.as_deref()), (1, Some("no answer within 10 s")));

    // Once it is well, everything that waited gets there.
    world.receiver.script.lock().clear();
    pass(&world, Duration::from_mins(20), Duration::from_secs(1)).await;
    let told: std::collections::HashSet<_> =
        world.receiver.called.lock().iter().filter(|(.., url)| url == URL).map(|(id, ..)| *id).collect();
    assert_eq!(told.len(), 300);
    assert_eq!(world.store.claim_callbacks(world.clock.now(), world.clock.now(), 1).await.unwrap().next_due, None);
}

#[tokio::test]
async fn an_asker_whose_receivers_all_hang_delays_no_other_asker() {
    let world = World::plain();
    let hanging: Vec<_> = (0..300).map(|host| format!("https://host-{host}.example/hook")).collect();
    for url in &hanging {
        world.receiver.script(url, [None]);
        answered(&world, url).await;
    }
    world.calm().await;
    let calls = || hanging.iter().map(|url| world.receiver.calls(url)).sum::<usize>();
    assert_eq!(calls(), 32, "it takes 32 places");
    let other = TokenRef { id: OTHER_TOKEN.parse().unwrap(), name: "other".into() };
    let request = world.ask_by(other, json!({"to": ["ana"], "callback_url": URL})).await;
    world.hub.cancel(request.id).await.unwrap();
    world.calm().await;
    assert!(matches!(only(&world, &request).await.state, CallbackState::Delivered { .. }));
    pass(&world, Duration::from_mins(20), Duration::from_secs(1)).await;
    assert!(hanging.iter().all(|url| world.receiver.calls(url) >= 2), "each is called, and once it is well tells so");
}

#[tokio::test]
async fn what_a_dead_hub_was_telling_is_told_again_with_the_same_id() {
    let mut world = World::plain();
    world.receiver.script(URL, [None]);
    let request = answered(&world, URL).await;
    world.stop.cancel();
    world.calm().await;
    world.restart(Duration::from_secs(6), &world.all.clone()).await;
    assert_eq!(world.receiver.calls(URL), 1, "its lease has not run out");
    pass(&world, Duration::from_mins(1), Duration::from_secs(1)).await;
    let called = world.receiver.called.lock().clone();
    let [(first, ..), (second, ..)] = &*called else { panic!("expected two calls: {called:?}") };
    assert_eq!(first, second);
    assert_eq!(only(&world, &request).await.attempts, 1, "nobody knows how the first one ended");
}
