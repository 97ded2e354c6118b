//! Two servers on one store: who is connected to which, and which one runs a channel.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::{
    Result,
    channel::{Callback, CallbackReply, ChannelName, Connect, Outbound, Reach, Receipt, Settlement},
    secret::Secret,
};

/// Another server on the store of `world`, with channels of its own.
struct Second {
    all: Vec<Arc<MemoryChannel>>,
    hub: Arc<Hub>,
    stop: CancellationToken,
}

impl Drop for Second {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn second(world: &World) -> Second {
    let shared: Arc<dyn Clock> = world.clock.clone();
    let of = |channel: &Arc<MemoryChannel>| {
        Arc::new(MemoryChannel::new(channel.name().clone(), *channel.as_ref().capabilities()))
    };
    let all: Vec<_> = world.all.iter().map(of).collect();
    let ids = Arc::new(Ids::seeded(shared, 7));
    let hub = world::hub(&all, &world.store, Arc::default(), &world.clock, ids, &world.receiver);
    let stop = CancellationToken::new();
    tokio::spawn(hub.clone().run(stop.clone()));
    Second { all, hub, stop }
}

fn comes(channel: &Arc<MemoryChannel>, connected: bool, connection: Connection) -> Inbound {
    channel.set_connected(&address("ana"), connected);
    let (channel, address) = (channel.name().clone(), address("ana"));
    if connected {
        Inbound::Connected { channel, address, connection }
    } else {
        Inbound::Disconnected { channel, address, connection }
    }
}

#[tokio::test]
async fn what_is_asked_of_somebody_at_another_server_is_sent_there() {
    let world = World::plain();
    world.channel.set_connected(&address("ana"), false);
    let second = second(&world);
    world.calm().await;
    second.hub.accept(comes(&second.all[0], true, Connection::Here)).await.unwrap();
    world.calm().await;
    let request = world.ask_ana(json!({})).await;
    world.calm().await;
    assert_eq!(world.statuses(&request).await, [Queued], "this server leaves it");
    // No word goes between these two, so the other looks when it looks.
    world.pass(Duration::from_secs(30)).await;
    world.until(&request, &[Sent]).await;
    assert_eq!((world.channel.sent().len(), second.all[0].sent().len()), (0, 1));
    assert_eq!(world.delivery_of(&request, 0).await.attempts.len(), 1);
}

#[tokio::test]
async fn whoever_is_connected_to_another_server_is_not_gone_until_they_leave_it() {
    let world = World::two();
    let second = second(&world);
    world.calm().await;
    second.hub.accept(comes(&second.all[0], true, Connection::Here)).await.unwrap();
    world.hub.accept(comes(&world.channel, true, Connection::Here)).await.unwrap();
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Sent]).await;
    world.hub.accept(comes(&world.channel, false, Connection::Here)).await.unwrap();
    // In steps, as a server that slept for two minutes counts as dead.
    for _ in 0..12 {
        world.pass(Duration::from_secs(10)).await;
    }
    assert_eq!(world.statuses(&request).await, [Sent]);
    second.hub.accept(comes(&second.all[0], false, Connection::Here)).await.unwrap();
    world.pass(Duration::from_secs(9)).await;
    assert_eq!(world.statuses(&request).await, [Sent]);
    world.pass(Duration::from_secs(1)).await;
    world.until(&request, &[Sent, Sent]).await;
}

#[tokio::test]
async fn what_waits_for_somebody_at_a_server_that_stops_goes_to_others_at_once() {
    let world = World::two();
    world.channel.set_connected(&address("ana"), false);
    let second = second(&world);
    world.calm().await;
    second.hub.accept(comes(&second.all[0], true, Connection::Here)).await.unwrap();
    // It takes no work any more, and its socket has not been closed.
    second.stop.cancel();
    let request = world.ask_ana(json!({})).await;
    world.calm().await;
    world.until(&request, &[Skipped, Sent]).await;
}

#[tokio::test]
async fn what_the_service_told_one_server_holds_for_the_others() {
    let world = World::two();
    let second = second(&world);
    world.calm().await;
    // This server was told that they left, and another one that they are back.
    world.hub.accept(comes(&world.channel, false, Connection::Service)).await.unwrap();
    second.hub.accept(comes(&second.all[0], true, Connection::Service)).await.unwrap();
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Sent]).await;
    assert_eq!(world.channel.sent().len(), 1, "this one sends it all the same");
    // The other one alone hears that they leave.
    world.channel.set_connected(&address("ana"), true);
    second.hub.accept(comes(&second.all[0], false, Connection::Service)).await.unwrap();
    world.pass(Duration::from_secs(9)).await;
    assert_eq!(world.statuses(&request).await, [Sent]);
    world.pass(Duration::from_secs(30)).await;
    world.until(&request, &[Sent, Sent]).await;
}

/// A channel that receives until it is told to stop; what it does besides is another one's.
#[derive(Debug)]
struct Receiving {
    inner: MemoryChannel,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    ends: Arc<Mutex<Vec<Error>>>,
}

struct Under(Arc<AtomicUsize>);

impl Drop for Under {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Channel for Receiving {
    fn name(&self) -> &ChannelName {
        self.inner.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn probe(&self) -> Result<()> {
        self.inner.probe().await
    }

    async fn reach(&self, to: &Address) -> Reach {
        self.inner.reach(to).await
    }

    fn is_personal(&self, to: &Address) -> bool {
        self.inner.is_personal(to)
    }

    async fn link(&self, _: &Secret) -> Result<String> {
        Err(Error::unsupported("receiving.link"))
    }

    async fn send(&self, to: &Address, what: &Outbound) -> Result<Receipt> {
        self.inner.send(to, what).await
    }

    async fn settle(&self, what: &Settlement<'_>) -> Result<()> {
        self.inner.settle(what).await
    }

    async fn run(&self, _: Arc<dyn Inbox>, stop: CancellationToken) -> Result<()> {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let _under = Under(self.running.clone());
        let fault = self.ends.lock().pop();
        if let Some(fault) = fault {
            return Err(fault);
        }
        stop.cancelled().await;
        Ok(())
    }

    async fn callback(&self, call: Callback, inbox: Arc<dyn Inbox>) -> Result<CallbackReply> {
        self.inner.callback(call, inbox).await
    }

    fn connect(&self) -> Option<&dyn Connect> {
        None
    }
}

#[tokio::test]
async fn of_two_servers_one_runs_a_channel_and_the_other_goes_on() {
    let world = World::plain();
    let (running, most, ends) = (Arc::default(), Arc::default(), Arc::<Mutex<Vec<Error>>>::default());
    let start = |seed| {
        let clock: Arc<dyn Clock> = world.clock.clone();
        let inner = MemoryChannel::new("poll".parse().unwrap(), MemoryChannel::CAPABILITIES);
        let channel = Receiving { inner, running: Arc::clone(&running), most: Arc::clone(&most), ends: ends.clone() };
        let built = [("memory", Arc::new(channel) as Arc<dyn Channel>)];
        let hub = Hub::new(Parts {
            store: world.store.clone(),
            bus: Arc::default(),
            channels: Channels::new(built, &clock, Duration::from_secs(10)),
            ids: Arc::new(Ids::seeded(clock.clone(), seed)),
            clock,
            answer_urls: Arc::new(Pages),
            send_timeout: Duration::from_secs(10),
            event_retention: Duration::from_hours(24),
            caller: world.receiver.clone(),
            limits: Arc::new(Unlimited),
            addresses: Arc::new(crate::person::MemoryAddresses::default()),
        });
        let stop = CancellationToken::new();
        tokio::spawn(hub.run(stop.clone()));
        stop
    };
    let count = || running.load(Ordering::SeqCst);
    let one = start(3);
    world.calm().await;
    let other = start(4);
    for _ in 0..60 {
        world.pass(Duration::from_secs(5)).await;
        assert_eq!(count(), 1, "its lease is renewed");
    }
    one.cancel();
    world.calm().await;
    assert_eq!(count(), 0);
    for _ in 0..9 {
        world.pass(Duration::from_secs(5)).await;
    }
    assert_eq!(count(), 1, "the other one has looked again");
    other.cancel();
    world.calm().await;

    // A run that fails is run again, and the lease is no hindrance.
    let cut = || Error::new(ErrorKind::Unavailable, "poll.run", "cut off");
    ends.lock().push(cut());
    let last = start(5);
    world.calm().await;
    assert_eq!(count(), 0, "it waits a little");
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(count(), 1);
    assert_eq!(most.load(Ordering::SeqCst), 1);
    last.cancel();
    world.calm().await;

    // However often it fails, it is run again within a minute.
    ends.lock().extend((0..12).map(|_| cut()));
    let last = start(6);
    for left in (0..12).rev() {
        world.pass(Duration::from_mins(1)).await;
        assert!(ends.lock().len() <= left, "{left}");
    }
    world.pass(Duration::from_mins(1)).await;
    assert_eq!(count(), 1);
    last.cancel();
}
