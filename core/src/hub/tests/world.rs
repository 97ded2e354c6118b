//! A hub on the in-memory store and in-memory channels, on a clock that is moved by hand.

use super::{callbacks::Receiver, *};
use crate::id::DeliveryId;

const TWO: [(&str, Capabilities); 2] =
    [("first", MemoryChannel::CAPABILITIES), ("second", MemoryChannel::CAPABILITIES)];

/// How long the hub keeps events.
pub(super) const RETENTION: Duration = Duration::from_hours(30 * 24);

pub(super) fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "memory.send", "as scripted")
}

pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Arc<MemoryStore>,
    /// The first channel, which is the only one unless said otherwise.
    pub(super) channel: Arc<MemoryChannel>,
    pub(super) all: Vec<Arc<MemoryChannel>>,
    pub(super) hub: Arc<Hub>,
    pub(super) people: Vec<UserRef>,
    pub(super) stop: CancellationToken,
    /// Where askers are called back.
    pub(super) receiver: Arc<Receiver>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The id of an agent's token.
pub(super) const TOKEN: &str = "018f0000-0000-7000-8000-000000000001";

pub(super) fn address(username: &str) -> Address {
    format!("at-{username}").parse().unwrap()
}

/// Says where people answer.
#[derive(Debug)]
pub(super) struct Pages;

impl AnswerUrls for Pages {
    fn personal(&self, request: &Request, delivery: DeliveryId) -> String {
        format!("http://localhost:8000/answer/{}/{delivery}", request.id)
    }

    fn signed_in(&self, request: &Request) -> String {
        format!("http://localhost:8000/#/requests/{}", request.id)
    }
}

/// A hub on these channels.
pub(super) fn hub(
    channels: &[Arc<MemoryChannel>],
    store: &Arc<MemoryStore>,
    bus: Arc<Bus>,
    clock: &Arc<ManualClock>,
    ids: Arc<Ids>,
    receiver: &Arc<Receiver>,
) -> Arc<Hub> {
    let clock: Arc<dyn Clock> = clock.clone();
    let built = channels.iter().map(|channel| ("memory", channel.clone() as Arc<dyn Channel>));
    Hub::new(Parts {
        store: store.clone(),
        bus,
        channels: Channels::new(built, &clock, Duration::from_secs(10)),
        clock,
        ids,
        answer_urls: Arc::new(Pages),
        send_timeout: Duration::from_secs(10),
        event_retention: RETENTION,
        caller: receiver.clone(),
        limits: Arc::new(Unlimited),
        addresses: Arc::new(crate::person::MemoryAddresses::default()),
    })
}

impl World {
    pub(super) fn new(capabilities: Capabilities) -> Self {
        Self::with(&[("memory", capabilities)])
    }

    /// People have an address on every one of these channels, and prefer them in this order.
    pub(super) fn with(named: &[(&str, Capabilities)]) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000)));
        let shared: Arc<dyn Clock> = clock.clone();
        let ids = Arc::new(Ids::seeded(shared.clone(), 1));
        let bus = Arc::new(Bus::default());
        let store = Arc::new(MemoryStore::new(bus.clone()));
        let all: Vec<_> = named
            .iter()
            .map(|(name, capabilities)| Arc::new(MemoryChannel::new(name.parse().unwrap(), *capabilities)))
            .collect();
        let people: Vec<_> = ["ana", "ben", "cleo"]
            .map(|username| UserRef { id: ids.next::<UserId>(), username: username.into() })
            .into();
        for user in &people {
            let channels: Vec<_> = all.iter().map(|channel| channel.name().clone()).collect();
            let addresses = channels.iter().map(|name| (name.clone(), address(&user.username))).collect();
            let preferences = Preferences { channels, ..Preferences::default() };
            store.add_person(Person { user: user.clone(), preferences, addresses }, None);
        }
        let receiver = Arc::new(Receiver::default());
        let hub = hub(&all, &store, bus, &clock, ids, &receiver);
        let stop = CancellationToken::new();
        tokio::spawn(hub.clone().run(stop.clone()));
        Self { clock, store, channel: all[0].clone(), all, hub, people, stop, receiver }
    }

    pub(super) fn plain() -> Self {
        Self::new(MemoryChannel::CAPABILITIES)
    }

    pub(super) async fn try_ask(&self, change: Value) -> Result<Created, CreateError> {
        let mut draft = json!({"kind": "approval", "prompt": "Deploy?", "to": ["ana", "ben"]});
        draft.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let draft: Draft = serde_json::from_value(draft).unwrap();
        let asker = Asker { user: self.people[2].clone(), token: None };
        self.hub.create(asker, draft, None).await
    }

    pub(super) async fn ask(&self, change: Value) -> Arc<Request> {
        let Ok(Created::New(request)) = self.try_ask(change).await else { panic!("not created") };
        request
    }

    pub(super) async fn ask_as_agent(&self, change: Value) -> Arc<Request> {
        self.ask_by(TokenRef { id: TOKEN.parse().unwrap(), name: "ci".into() }, change).await
    }

    pub(super) async fn ask_by(&self, token: TokenRef, change: Value) -> Arc<Request> {
        let mut draft = json!({"kind": "approval", "prompt": "Deploy?"});
        draft.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let draft: Draft = serde_json::from_value(draft).unwrap();
        let asker = Asker { user: self.people[2].clone(), token: Some(token) };
        let Ok(Created::New(request)) = self.hub.create(asker, draft, None).await else { panic!("not created") };
        request
    }

    pub(super) async fn answer(&self, request: &Request, who: usize, value: Value) -> Responded {
        let answer = Answer {
            request: request.id,
            by: Some(self.people[who].clone()),
            channel: "api".parse().unwrap(),
            value,
            comment: None,
            event: None,
        };
        self.hub.respond(answer).await.unwrap().unwrap()
    }

    pub(super) async fn statuses(&self, request: &Request) -> Vec<DeliveryStatus> {
        let page = self.store.deliveries(request.id, None, 100).await.unwrap();
        page.items.iter().map(|delivery| delivery.state.status()).collect()
    }

    /// Lets the hub work until the deliveries stand so. Everything is in memory: turns of the scheduler are enough.
    pub(super) async fn until(&self, request: &Request, expected: &[DeliveryStatus]) {
        for _ in 0..1000 {
            if self.statuses(request).await == expected {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("deliveries stand {:?}, expected {expected:?}", self.statuses(request).await);
    }

    pub(super) async fn now(&self, request: &Request) -> Arc<Request> {
        self.store.request(request.id).await.unwrap().unwrap()
    }

    pub(super) fn two() -> Self {
        Self::with(&TWO)
    }

    /// Asks ana alone.
    pub(super) async fn ask_ana(&self, change: Value) -> Arc<Request> {
        let mut terms = json!({"to": ["ana"]});
        terms.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        self.ask(terms).await
    }

    pub(super) async fn delivery_of(&self, request: &Request, channel: usize) -> Delivery {
        let page = self.store.deliveries(request.id, None, 100).await.unwrap();
        page.items.into_iter().find(|one| one.channel == *self.all[channel].name()).expect("has a delivery there")
    }

    /// Lets everything happen that needs no time.
    pub(super) async fn calm(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn pass(&self, span: Duration) {
        self.clock.advance(span);
        self.calm().await;
    }

    /// The hub stops; another one starts on these of its channels after a while.
    pub(super) async fn restart(&mut self, down: Duration, channels: &[Arc<MemoryChannel>]) {
        self.stop.cancel();
        self.pass(down).await;
        let clock: Arc<dyn Clock> = self.clock.clone();
        let ids = Arc::new(Ids::seeded(clock, 2));
        self.hub = hub(channels, &self.store, Arc::new(Bus::default()), &self.clock, ids, &self.receiver);
        self.stop = CancellationToken::new();
        tokio::spawn(self.hub.clone().run(self.stop.clone()));
        self.calm().await;
    }
}
