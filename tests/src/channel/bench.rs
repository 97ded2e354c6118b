//! One channel with its layers, called as the hub calls it.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use hearback_core::{
    Clock, Error, Result, Timestamp,
    channel::{Address, Capabilities, Channel, ChannelName, Content, Inbox, Outbound, Receipt, Settlement},
    clock::ManualClock,
    event::EventId,
    feedback::{Ending, Question, Request, RequestState},
    layer::{Breaker, Operation, Surrounded, surround},
    person::{Asker, UserRef},
};
use tokio::select;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::{
    harness::{Applies, Event, Fault, Harness, Heard, Proof},
    secrets,
};

/// The moment at which every bench begins.
pub const BEGIN: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

/// How long a call may take by the bench's clock.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// A code that confirms an address: a secret of every channel's that takes one.
pub const CODE: &str = "code-8k2Q91-of-the-suite";

/// The name that a harness builds its channel under.
///
/// # Panics
///
/// Never: it is one.
#[must_use]
pub fn channel_name() -> ChannelName {
    "conformance".parse().expect("a channel's name")
}

/// The person who is asked.
#[must_use]
pub fn person() -> UserRef {
    UserRef { id: Uuid::from_u128(7).into(), username: "ana".into() }
}

/// A channel on a fake of its provider.
#[derive(Debug)]
pub struct Bench<H> {
    /// The fake of the provider.
    pub harness: H,
    /// Time.
    pub clock: Arc<ManualClock>,
    /// The channel with every layer around it.
    pub channel: Arc<dyn Channel>,
    /// Where the person is reached.
    pub to: Address,
    secrets: Vec<String>,
    _breaker: Arc<Breaker>,
}

impl<H: Harness> Bench<H> {
    pub(super) async fn open(variant: Capabilities) -> Self {
        let clock = Arc::new(ManualClock::at(BEGIN));
        let harness = H::open(variant, clock.clone()).await;
        let below = harness.channel();
        assert_eq!(*below.capabilities(), variant, "a channel declares what it was built with");
        assert_eq!(*below.name(), channel_name(), "a harness builds its channel under the name of the suite's");
        let shared: Arc<dyn Clock> = clock.clone();
        let Surrounded { channel, breaker, .. } = surround(below, &shared, SEND_TIMEOUT);
        let mut secrets = vec![CODE.to_owned()];
        if let Applies::Yes(more) = harness.secrets() {
            assert!(!more.is_empty() && more.iter().all(|secret| secret.len() >= 8), "secrets worth looking for");
            secrets.extend(more);
        }
        let to = harness.address(&person());
        let bench = Self { harness, clock, channel, to, secrets, _breaker: breaker };
        bench.search("the channel's own debug output", format!("{:?} {:#?}", bench.channel, bench.channel).as_bytes());
        bench
    }

    /// An approval, put to the person.
    pub async fn approval(&self) -> Outbound {
        self.question(Question::Approval, "Deploy 1.4.2 to production?").await
    }

    /// A question, put to the person.
    pub async fn question(&self, question: Question, prompt: &str) -> Outbound {
        // A second between one sending and the next keeps within every send rate; and ids differ by their moments.
        self.clock.advance(Duration::from_secs(1));
        let now = self.clock.now();
        let mut terms = crate::store::terms(vec![person()]);
        (terms.question, terms.prompt) = (question, prompt.into());
        let number = u128::from(now.micros().unsigned_abs());
        let asker = UserRef { id: Uuid::from_u128(8).into(), username: "deployer".into() };
        let request = Request {
            id: Uuid::from_u128(number).into(),
            asker: Asker { user: asker, token: None },
            terms,
            created_at: now,
            expires_at: now.after(Duration::from_hours(1)),
            created_event: EventId(0),
            state: RequestState::Pending,
        };
        let request = self.harness.put(request).await;
        Self::outbound(number + (1 << 100), Content::Request { request, person: person() })
    }

    /// Something else to send.
    #[must_use]
    pub fn other(&self, content: Content) -> Outbound {
        self.clock.advance(Duration::from_secs(1));
        Self::outbound(u128::from(self.clock.now().micros().unsigned_abs()) + (2 << 100), content)
    }

    fn outbound(id: u128, content: Content) -> Outbound {
        let answer_url = Some("https://hub.example/answer/1".into());
        Outbound { id: Uuid::from_u128(id), content, answer_url, thread: None, locale: None }
    }

    /// Sends.
    pub async fn send(&self, what: &Outbound) -> Result<Receipt> {
        self.searched(self.channel.send(&self.to, what).await)
    }

    /// Tells that the question that was sent has ended.
    pub async fn settle(&self, what: &Outbound, receipt: &Receipt) -> Result<()> {
        self.settle_on(self.channel.as_ref(), what, receipt).await
    }

    /// The same without the layers.
    pub async fn settle_below(&self, what: &Outbound, receipt: &Receipt) -> Result<()> {
        self.settle_on(self.harness.channel().as_ref(), what, receipt).await
    }

    async fn settle_on(&self, channel: &dyn Channel, what: &Outbound, receipt: &Receipt) -> Result<()> {
        let Content::Request { request, .. } = &what.content else { panic!("only questions are settled") };
        let (delivery, to, ending) = (what.id.into(), &self.to, Ending::Cancelled { at: self.clock.now() });
        let settlement = Settlement { delivery, to, receipt, request, ending: &ending };
        self.searched(channel.settle(&settlement).await)
    }

    /// Probes.
    pub async fn probe(&self) -> Result<()> {
        self.searched(self.channel.probe().await)
    }

    /// Makes a call that comes to this fault, and lets the time pass that a hang takes.
    pub async fn through<T>(&self, fault: Fault, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        if fault == Fault::Hang {
            // The call first, so that its timers run before the clock moves.
            select! {
                biased;
                ended = &mut call => return ended,
                () = self.harness.hanging() => {}
            }
            self.clock.advance(SEND_TIMEOUT);
        }
        call.await
    }

    /// Orders a fault, if it applies.
    pub fn script(&self, operation: Operation, fault: Fault) -> Applies {
        self.harness.script(operation, fault)
    }

    /// Receives what does not come as a callback, until what is returned is dropped.
    #[must_use]
    pub fn listen(&self, inbox: Arc<dyn Inbox>) -> DropGuard {
        let stop = CancellationToken::new();
        let (channel, stopped) = (self.channel.clone(), stop.clone());
        tokio::spawn(async move { channel.run(inbox, stopped).await });
        stop.drop_guard()
    }

    /// Lets the provider tell an event.
    pub async fn inject(&self, inbox: Arc<dyn Inbox>, event: &Event, proof: Proof) -> Heard {
        let heard = self.harness.inject(&self.channel, inbox, event, proof).await;
        self.search("what the provider was answered", &heard.said);
        if let Some(error) = &heard.error {
            self.search_error(error);
        }
        heard
    }

    /// How many calls and messages have reached the provider; calls are 0 where they cannot be counted.
    #[must_use]
    pub fn reached(&self) -> (usize, usize) {
        let calls = match self.harness.calls() {
            Applies::Yes(calls) => calls,
            Applies::No(_) => 0,
        };
        (calls, self.harness.arrived().len())
    }

    fn searched<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.search_error(error);
        }
        result
    }

    fn search_error(&self, error: &Error) {
        self.search("an error", secrets::all_texts(error).as_bytes());
    }

    pub(super) fn search(&self, place: &str, text: &[u8]) {
        if let Some((secret, form)) = secrets::find(&self.secrets, text) {
            panic!("{place} holds the secret {secret} {form}: {}", String::from_utf8_lossy(text));
        }
    }
}
