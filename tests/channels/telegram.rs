//! The Telegram channel before a Bot API over real HTTP that does what it is told to.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hearback_adapters::telegram::Telegram;
use hearback_core::{
    ErrorKind,
    channel::{Address, Callback, Capabilities, Channel, Inbox, Parts},
    clock::ManualClock,
    event::EventId,
    feedback::{Request, RequestState},
    layer::Operation,
    person::{Asker, UserRef},
    vault::MemoryVault,
};
use hearback_tests::{
    channel::{
        Applies, Event, Fault, Harness, Heard, Proof,
        bench::{BEGIN, SEND_TIMEOUT, channel_name, person},
        call_back,
        inbox::RecordingInbox,
    },
    store::terms,
    telegram::{BotApi, TOKEN, Wrong, tap},
};
use http::{HeaderMap, Method};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The number of the person who is asked.
const PERSON: i64 = 700_100;

#[derive(Debug)]
struct Bot {
    channel: Arc<dyn Channel>,
    api: Arc<BotApi>,
}

const fn method(operation: Operation) -> &'static str {
    match operation {
        Operation::Probe | Operation::Link | Operation::Callback => "getMe",
        Operation::Send => "sendMessage",
        Operation::Settle => "editMessageText",
    }
}

impl Bot {
    /// One of a hub at this address, which decides how it hears.
    async fn at(public_url: &str, clock: Arc<ManualClock>) -> Self {
        let api = BotApi::start().await;
        let parts = Parts {
            clock,
            vault: Arc::new(MemoryVault::default()),
            callbacks_url: format!("{public_url}api/channels/"),
            public_url: public_url.into(),
            outbound_allow: "127.0.0.0/8".parse().unwrap(),
            send_timeout: SEND_TIMEOUT,
        };
        let settings = json!({"kind": Self::KIND, "bot_token": TOKEN, "api_url": api.url()});
        let channel = hearback_adapters::configurable().build(channel_name().as_str(), settings, &parts).unwrap();
        Self { channel, api }
    }
}

#[async_trait]
impl Harness for Bot {
    const KIND: &'static str = Telegram::KIND;

    fn variants() -> Vec<Capabilities> {
        vec![Telegram::CAPABILITIES]
    }

    fn inbound() -> Applies {
        Applies::Yes(())
    }

    fn event_ids() -> Applies {
        Applies::Yes(())
    }

    fn signatures() -> Applies {
        Applies::Yes(())
    }

    fn doubt() -> Applies {
        Applies::Yes(())
    }

    async fn open(_: Capabilities, clock: Arc<ManualClock>) -> Self {
        Self::at("https://hub.example/", clock).await
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.channel.clone()
    }

    fn address(&self, _: &UserRef) -> Address {
        PERSON.to_string().parse().unwrap()
    }

    fn secrets(&self) -> Applies<Vec<String>> {
        Applies::Yes(vec![TOKEN.into(), TOKEN.split_once(':').unwrap().1.into()])
    }

    async fn put(&self, request: Request) -> Arc<Request> {
        Arc::new(request)
    }

    fn script(&self, operation: Operation, fault: Fault) -> Applies {
        if (operation, fault) == (Operation::Settle, Fault::Echo) {
            return Applies::No("whatever it says with `ok`, it has edited");
        }
        let wrong = match fault {
            Fault::Status { status, retry_after } => Wrong::Repeats(status, retry_after.map(|after| after.as_secs())),
            Fault::Hang => Wrong::Hangs,
            Fault::Cut => Wrong::Cut,
            Fault::Echo => Wrong::Echoes,
        };
        self.api.wrong(method(operation), wrong);
        Applies::Yes(())
    }

    async fn hanging(&self) {
        self.api.hangs().await;
    }

    fn arrived(&self) -> Vec<String> {
        self.api.messages().iter().map(|message| message.text().to_owned()).collect()
    }

    fn calls(&self) -> Applies<usize> {
        Applies::Yes(self.api.calls().len())
    }

    async fn inject(&self, channel: &Arc<dyn Channel>, inbox: Arc<dyn Inbox>, event: &Event, proof: Proof) -> Heard {
        let message = self.api.messages().into_iter().next_back();
        let (shows, at) = match event.value.as_str() {
            Some("approved") => ("Approve", message),
            _ => ("Reject", message),
        };
        // After a restart the button is in another bot's chat of this fake; what it says is the same.
        let data = match at {
            Some(message) => message.button(shows),
            None => button(&event.request),
        };
        let number: i64 = event.id.trim_start_matches("event-").parse().unwrap();
        let mut update = tap(event.from.as_str().parse().unwrap(), PERSON, 1, &data);
        update["update_id"] = number.into();
        let secret = self.api.until("a webhook", |api| api.webhook()["secret_token"].as_str().map(String::from)).await;
        let secret = if proof == Proof::Good { secret } else { "somebody-elses".into() };
        let mut headers = HeaderMap::new();
        headers.insert("x-telegram-bot-api-secret-token", secret.parse().unwrap());
        let (tail, query, body) = (Telegram::TAIL.into(), String::new(), update.to_string().into());
        call_back(channel, Callback { method: Method::POST, tail, query, headers, body }, inbox).await
    }
}

/// What the first button of an approval says.
fn button(request: &Request) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    format!("a{}0", URL_SAFE_NO_PAD.encode(request.id.uuid().as_bytes()))
}

hearback_tests::channel_conformance!(Bot);

/// The suite tells by the webhook. What a poll brings is confirmed by the next one, which asks for what follows.
#[tokio::test]
async fn what_a_poll_brings_is_confirmed_once_it_is_stored() {
    let request = Arc::new(Request {
        id: uuid::Uuid::from_u128(1).into(),
        asker: Asker { user: person(), token: None },
        terms: terms(vec![person()]),
        created_at: BEGIN,
        expires_at: BEGIN.after(Duration::from_hours(1)),
        created_event: EventId(0),
        state: RequestState::Pending,
    });
    let Bot { channel, api } = Bot::at("http://127.0.0.1:8000/", Arc::new(ManualClock::at(BEGIN))).await;
    let inbox = RecordingInbox::of(request.clone(), person());
    inbox.fail(Some(ErrorKind::Unavailable));
    let number = api.tell(tap(PERSON, PERSON, 1, &button(&request)));
    let run = channel.run(inbox.clone(), CancellationToken::new());
    let error = timeout(Duration::from_secs(30), run).await.expect("the run ends").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(api.calls_of("getUpdates").iter().all(|poll| poll["offset"].is_null()), "nothing is confirmed");
    inbox.fail(None);
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (inbox, stop) = (inbox.clone(), stop.clone());
        async move { channel.run(inbox, stop).await }
    });
    api.until("the confirmation", |api| {
        api.calls_of("getUpdates").iter().any(|poll| poll["offset"] == number + 1).then_some(())
    })
    .await;
    assert_eq!(inbox.stored().len(), 1);
    assert_eq!(api.answer(1).await, "Your answer: Approved.");
    stop.cancel();
    running.await.unwrap().unwrap();
}
