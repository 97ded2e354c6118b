//! One server's end of a simulated service: the [`Channel`] that its hub calls.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use async_trait::async_trait;
use hearback_core::{
    Clock, Error, ErrorKind, Result, Timestamp,
    channel::{
        Address, Callback, CallbackReply, Capabilities, Channel, ChannelName, Connect, Content, Inbox, Outbound, Reach,
        Receipt, Settlement,
    },
    hub::Running,
    id::DeliveryId,
    layer::BreakerState,
    secret::Secret,
};
use tokio_util::sync::CancellationToken;

use super::{
    durable::LEASE,
    gate::Life,
    invariant::Invariant,
    mutation::Mutation,
    provider::{Fate, Illness, Provider},
    row::Row,
    server::SEND_TIMEOUT,
};

/// A channel to a simulated service, on one server.
#[derive(Clone, Debug)]
pub struct Front {
    provider: Arc<Provider>,
    life: Arc<Life>,
    /// The channel as the hub knows it; set once its layers are around it.
    running: Arc<Mutex<Weak<Running>>>,
    row: Arc<Row>,
}

/// A call under way. The hub lets go of one that hangs: then it is in doubt, and says that the service is ill.
struct Call<'a> {
    front: &'a Front,
    /// What is asked by it.
    question: Option<DeliveryId>,
    openings: u32,
    begun: Timestamp,
    answered: bool,
}

impl Call<'_> {
    fn answered<T>(mut self, result: Result<T>) -> Result<T> {
        self.answered = true;
        self.front.row.ended(self.openings, result.as_ref().is_err_and(Error::is_illness));
        result
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        // A server that stops lets go of its probes as well.
        if self.front.life.world.now().since(self.begun) >= SEND_TIMEOUT {
            self.front.row.ended(self.openings, true);
        }
        if let Some(delivery) = self.question {
            self.front.life.world.causes.doubt(delivery);
        }
    }
}

impl Front {
    /// The end of `provider` on the server with this life.
    #[must_use]
    pub fn new(provider: Arc<Provider>, life: Arc<Life>) -> Self {
        Self { provider, life, running: Arc::default(), row: Arc::default() }
    }

    /// Says what is around it.
    pub fn is_run_as(&self, running: &Arc<Running>) {
        *self.running.lock().unwrap() = Arc::downgrade(running);
    }

    /// A call comes in: no person's question and no settlement may, unless the breaker is closed.
    async fn called(&self, what: &str) {
        self.life.lives().await;
        let (world, name) = (&self.life.world, &self.provider.name);
        world.note(format_args!("{} calls {name} {what}", self.life.name));
        let running = self.running.lock().unwrap().upgrade();
        if let Some(running) = running {
            let state = running.breaker().state;
            if state != BreakerState::Closed {
                world.broken(Invariant::NoCallWhileOpen, format!("{name} {what} on {}: {state:?}", self.life.name));
            }
        }
        if self.row.is_open() {
            world.broken(Invariant::NoCallWhileOpen, format!("{name} {what} on {}: it is ill", self.life.name));
        }
        self.takes_its_time().await;
    }

    fn call(&self, question: Option<DeliveryId>) -> Call<'_> {
        let (openings, begun) = (self.row.openings(), self.life.world.now());
        Call { front: self, question, openings, begun, answered: false }
    }

    async fn takes_its_time(&self) {
        let world = &self.life.world;
        if world.fault(400) {
            let longest = *world.chance.of(&[Duration::from_millis(300), Duration::from_secs(9)]);
            let span = world.chance.up_to(longest);
            world.clock.sleep_until(world.now().after(span)).await;
        }
        self.life.lives().await;
    }

    /// From here on the server knows the receipt.
    fn got(&self, what: &Outbound, receipt: Receipt) -> Receipt {
        let ledger = &self.life.world.ledger;
        ledger.receipts.lock().unwrap().push((what.id.into(), self.life.died.clone()));
        receipt
    }

    fn check_question(&self, what: &Outbound) {
        let Content::Request { request, .. } = &what.content else { return };
        let world = &self.life.world;
        let over = world.ended.lock().unwrap().get(&request.id).is_some_and(|at| world.now().since(*at) > LEASE);
        if over || !request.is_pending() {
            world.broken(Invariant::NoAttemptAfterTheEnd, format!("{} is sent on {}", request.id, self.provider.name));
        }
    }

    async fn try_probe(&self) -> Result<()> {
        self.life.lives().await;
        self.life.world.note(format_args!("{} probes {}", self.life.name, self.provider.name));
        self.takes_its_time().await;
        match self.provider.illness() {
            Some(Illness::Fails(kind)) => Err(self.provider.fault(kind)),
            Some(Illness::Hangs) => std::future::pending().await,
            None => Ok(()),
        }
    }

    async fn try_send(&self, to: &Address, what: &Outbound) -> Result<Receipt> {
        self.called("send").await;
        let world = &self.life.world;
        if self.provider.is_away(to, &self.life.name) {
            return Err(self.provider.fault(ErrorKind::Unavailable));
        }
        let fate = self.provider.fate();
        world.note(format_args!("{} {fate:?}", self.provider.name));
        let told = world.fault(500).then(|| world.now().after(world.chance.up_to(Duration::from_mins(3))));
        match fate {
            Fate::Done => {
                let receipt = self.provider.arrives(to, what, None);
                self.takes_its_time().await;
                Ok(self.got(what, receipt))
            }
            Fate::DoneAndToldBefore => {
                let receipt = self.provider.arrives(to, what, Some(world.now()));
                world.clock.sleep_until(world.now().after(world.chance.up_to(Duration::from_secs(5)))).await;
                self.life.lives().await;
                Ok(self.got(what, receipt))
            }
            Fate::Fails(kind) => {
                // What a notice belongs to is gone.
                if let (ErrorKind::NotFound, Some(thread)) = (kind, &what.thread) {
                    self.provider.deletes(thread);
                }
                let error = self.provider.fault(kind);
                if error.is_illness() && world.mutation == Some(Mutation::IgnoreTheBreaker) {
                    self.tries_again_by_itself();
                }
                Err(error)
            }
            Fate::FailsForThem => Err(self.provider.fault(ErrorKind::Unavailable).of_recipient()),
            Fate::Doubtful(arrives) => {
                if arrives {
                    self.provider.arrives(to, what, told);
                }
                Err(self.provider.fault(ErrorKind::Ambiguous))
            }
            Fate::Hangs(arrives) => {
                if arrives {
                    self.provider.arrives(to, what, told);
                }
                std::future::pending().await
            }
        }
    }

    async fn try_settle(&self, what: &Settlement<'_>) -> Result<()> {
        self.called("settle").await;
        let fate = self.provider.fate();
        self.life.world.note(format_args!("{} {fate:?}", self.provider.name));
        let gone = || Err(Error::new(ErrorKind::NotFound, "simulated", "what was sent is gone"));
        match fate {
            Fate::Done | Fate::DoneAndToldBefore if self.provider.tells(what) => Ok(()),
            Fate::Done | Fate::DoneAndToldBefore => gone(),
            Fate::Fails(ErrorKind::NotFound) => {
                self.provider.deletes(what.receipt);
                gone()
            }
            Fate::Fails(kind) => Err(self.provider.fault(kind)),
            Fate::FailsForThem => Err(self.provider.fault(ErrorKind::Unavailable).of_recipient()),
            Fate::Doubtful(done) => {
                if done {
                    self.provider.tells(what);
                }
                Err(self.provider.fault(ErrorKind::Ambiguous))
            }
            Fate::Hangs(done) => {
                if done {
                    self.provider.tells(what);
                }
                std::future::pending().await
            }
        }
    }

    /// An adapter that tries again by itself, past its layers.
    fn tries_again_by_itself(&self) {
        let (front, world) = (self.clone(), self.life.world.clone());
        tokio::spawn(async move {
            world.clock.sleep_until(world.now().after(Duration::from_secs(5))).await;
            front.called("by itself").await;
        });
    }
}

#[async_trait]
impl Channel for Front {
    fn name(&self) -> &ChannelName {
        &self.provider.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.provider.capabilities
    }

    async fn probe(&self) -> Result<()> {
        let call = self.call(None);
        call.answered(self.try_probe().await)
    }

    async fn reach(&self, to: &Address) -> Reach {
        self.life.pause().await;
        if self.provider.is_away(to, &self.life.name) { Reach::Later } else { Reach::Now }
    }

    fn is_personal(&self, _: &Address) -> bool {
        true
    }

    async fn link(&self, _: &Secret) -> Result<String> {
        Err(Error::unsupported("simulated.link"))
    }

    async fn send(&self, to: &Address, what: &Outbound) -> Result<Receipt> {
        self.check_question(what);
        let (delivery, causes) = (DeliveryId::from(what.id), &self.life.world.causes);
        let asks = matches!(what.content, Content::Request { .. });
        let call = self.call(asks.then_some(delivery));
        let sent = self.try_send(to, what).await;
        match &sent {
            Err(error) if asks => causes.question_failed(delivery, error),
            Err(error) => causes.settlement_failed(delivery, error),
            Ok(_) => {}
        }
        call.answered(sent)
    }

    async fn settle(&self, what: &Settlement<'_>) -> Result<()> {
        let call = self.call(None);
        let settled = self.try_settle(what).await;
        if let Err(error) = &settled {
            self.life.world.causes.settlement_failed(what.delivery, error);
        }
        call.answered(settled)
    }

    async fn run(&self, _: Arc<dyn Inbox>, stop: CancellationToken) -> Result<()> {
        let world = &self.life.world;
        let _run = self.provider.is_run_by(&self.life);
        world.note(format_args!("{} runs {}", self.life.name, self.provider.name));
        if self.provider.is_called_back() || world.fault(50) {
            self.provider.is_done(&self.life.name);
            return Ok(());
        }
        if world.fault(300) {
            world.clock.sleep_until(world.now().after(world.chance.up_to(Duration::from_mins(20)))).await;
            self.life.lives().await;
            return Err(self.provider.fault(ErrorKind::Unavailable));
        }
        stop.cancelled().await;
        Ok(())
    }

    async fn callback(&self, _: Callback, _: Arc<dyn Inbox>) -> Result<CallbackReply> {
        Err(Error::unsupported("simulated.callback"))
    }

    fn connect(&self) -> Option<&dyn Connect> {
        None
    }
}
