//! The servers: each a hub with its own channels, its own bus and its own way to the store they share.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use hearback_core::{
    Clock,
    channel::{AnswerUrls, Channel},
    event::{Bus, Event, EventId, EventKind, Heard, Topic, Work},
    feedback::Request,
    hub::{Channels, Hub, Parts},
    id::{DeliveryId, Ids},
    limits::Unlimited,
    person::{MemoryAddresses, Reader},
    store::Store,
};
use tokio::{
    select,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tokio_util::sync::CancellationToken;

use super::{
    clock::ServerClock,
    durable::Durable,
    front::Front,
    gate::{Gate, Life},
    mutation::Mutation,
    people::TOKEN,
    provider::Provider,
    receiver::Caller,
    world::World,
};

/// How long a send may take.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long events are kept: at the end the whole log is looked at.
const RETENTION: Duration = Duration::from_hours(3650 * 24);

/// Says where people answer: nobody here has a browser.
#[derive(Debug)]
struct Unlinked;

impl AnswerUrls for Unlinked {
    fn personal(&self, request: &Request, _: DeliveryId) -> String {
        self.signed_in(request)
    }

    fn signed_in(&self, request: &Request) -> String {
        format!("http://localhost:8000/#/requests/{}", request.id)
    }
}

/// One life of a server.
#[derive(Debug)]
pub struct Server {
    /// The hub.
    pub hub: Arc<Hub>,
    /// Whether it lives.
    pub life: Arc<Life>,
    /// Lets it stop in good order.
    pub stop: CancellationToken,
}

impl Server {
    /// Starts one.
    #[must_use]
    pub fn start(
        name: String,
        world: &Arc<World>,
        store: &Arc<Durable>,
        wire: &Wire,
        providers: &[Arc<Provider>],
    ) -> Arc<Self> {
        world.note(format_args!("{name} starts"));
        let life = Life::new(name, world.clone());
        let clock: Arc<dyn Clock> = Arc::new(ServerClock::new(world.clock.clone(), life.died.clone()));
        let fronts: Vec<Front> = providers.iter().map(|provider| Front::new(provider.clone(), life.clone())).collect();
        let built = providers.iter().zip(&fronts);
        let built = built.map(|(provider, front)| (provider.kind, Arc::new(front.clone()) as Arc<dyn Channel>));
        let channels = Channels::new(built, &clock, SEND_TIMEOUT);
        for front in &fronts {
            front.is_run_as(channels.get(front.name()).unwrap());
        }
        let bus = Arc::new(Bus::default());
        tokio::spawn(relay(life.clone(), wire.end(), bus.clone()));
        let hub = Hub::new(Parts {
            store: Arc::new(Gate::new(life.clone(), store.clone())),
            bus,
            channels,
            clock: clock.clone(),
            ids: Arc::new(Ids::seeded(clock, world.chance.bits())),
            answer_urls: Arc::new(Unlinked),
            send_timeout: SEND_TIMEOUT,
            event_retention: RETENTION,
            caller: Arc::new(Caller::new(life.clone())),
            limits: Arc::new(Unlimited),
            addresses: Arc::new(MemoryAddresses::default()),
        });
        let stop = CancellationToken::new();
        let running = hub.clone().run(stop.clone());
        let stopped = life.clone();
        tokio::spawn(async move {
            running.await;
            stopped.end("after it was stopped");
        });
        Arc::new(Self { hub, life, stop })
    }

    /// Whether it takes calls.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.stop.is_cancelled() && !self.life.died.is_cancelled()
    }

    /// What a call to it came to; `None` when it died meanwhile, or the caller hung up.
    pub async fn call<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let world = &self.life.world;
        let hangs_up = world.fault(world.rough.hang_up);
        let patience = async {
            if !hangs_up {
                return std::future::pending().await;
            }
            for _ in 0..world.chance.below(12) {
                tokio::task::yield_now().await;
            }
            world.note(format_args!("a caller of {} hangs up", self.life.name));
        };
        select! {
            biased;
            () = self.life.died.cancelled() => None,
            result = call => Some(result),
            () = patience => None,
        }
    }
}

/// What goes over the wire.
#[derive(Clone, Debug)]
enum Word {
    Event(Arc<Event>),
    Work(Work),
}

/// Hands what is committed to everybody alive, in the order of their start: the bus has no order of its own.
#[derive(Debug, Default)]
pub struct Wire(Mutex<Vec<UnboundedSender<Word>>>);

impl Wire {
    /// Carries what is committed to `store`, which publishes on `committed`, to every end.
    pub async fn carry(self: Arc<Self>, store: Arc<Durable>, committed: Arc<Bus>) {
        let agent = Reader::Token(TOKEN.parse().unwrap());
        let mut listening = committed.listen(Topic::Reader(agent));
        let mut last = EventId::default();
        loop {
            let heard = select! {
                biased;
                heard = listening.next() => heard,
                works = committed.woken() => {
                    // Everything else is done by the server whose commit made it due, which wakes itself.
                    for due in works.into_iter().filter(|work| matches!(work, Work::Sends | Work::Runs)) {
                        self.hand_on(&Word::Work(due));
                    }
                    continue;
                }
            };
            let events = match heard {
                Heard::Event(event) => vec![event],
                Heard::Lagged => store.memory.events(agent, last, usize::MAX).await.unwrap().unwrap_or_default(),
            };
            for event in events {
                if event.id > last {
                    last = event.id;
                    self.hand_on(&Word::Event(event));
                }
            }
        }
    }

    fn hand_on(&self, word: &Word) {
        self.0.lock().unwrap().retain(|end| end.send(word.clone()).is_ok());
    }

    fn end(&self) -> UnboundedReceiver<Word> {
        let (tx, rx) = unbounded_channel();
        self.0.lock().unwrap().push(tx);
        rx
    }
}

/// Carries what is committed to one server, as a database's notifications do: a little later, in order.
async fn relay(life: Arc<Life>, mut committed: UnboundedReceiver<Word>, bus: Arc<Bus>) {
    loop {
        let word = select! {
            biased;
            () = life.died.cancelled() => return,
            word = committed.recv() => word,
        };
        let Some(word) = word else { return };
        life.pause().await;
        let event = match word {
            Word::Event(event) => event,
            Word::Work(due) => {
                bus.wake(due);
                continue;
            }
        };
        if event.kind == EventKind::Ended && life.world.mutated(Mutation::LoseAWakeUp, 300) {
            continue;
        }
        bus.publish(&[event]);
    }
}
