//! Where writes queue up for the one writer, and how their callers hear.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use async_trait::async_trait;
use hearback_core::{
    Error, Result,
    channel::Recorded,
    event::{Bus, EventId},
    store::{Candidate, Created, FinishedSend},
};
#[cfg(any(test, feature = "testing"))]
use tokio::sync::Notify;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
#[cfg(any(test, feature = "testing"))]
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    create::Creation,
    fault::{self, Fault},
    session::{Count, UnderWay},
    unit::Unit,
    writer::{Transactions, Writer},
};

/// How many commands wait before their callers do.
const QUEUE: usize = 1024;

/// What is asked of the writer, with the way back to the caller.
#[derive(Debug)]
pub(super) struct Job<I, A> {
    pub(super) input: I,
    answer: Option<A>,
    tx: oneshot::Sender<Result<A>>,
    _under_way: UnderWay,
}

impl<I, A> Job<I, A> {
    /// Keeps what the caller will hear once the batch is committed.
    pub(super) fn answer(&mut self, answer: A) {
        self.answer = Some(answer);
    }

    /// Says whether the caller was still there to hear.
    fn committed(self) -> bool {
        let answer = self.answer.ok_or_else(|| Fault::unexpected("a write was left out of its batch").0);
        self.tx.send(answer).is_ok()
    }

    fn failed(self, error: Error) {
        let _ = self.tx.send(Err(error));
    }
}

/// A use case that runs by itself within a batch. It runs again when another member made the batch fail.
pub(super) trait Write: Send + Sync + 'static {
    /// What the caller hears.
    type Answer: Send + 'static;

    /// Runs it.
    fn run(&self, unit: &mut Unit<'_>) -> impl Future<Output = Result<Self::Answer, Fault>> + Send;
}

/// A job of any [`Write`].
#[async_trait]
pub(super) trait AnyJob: Send {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), Fault>;
    fn committed(self: Box<Self>) -> bool;
    fn failed(self: Box<Self>, error: Error);
}

#[async_trait]
impl<W: Write> AnyJob for Job<W, W::Answer> {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        self.answer = Some(self.input.run(unit).await?);
        Ok(())
    }

    fn committed(self: Box<Self>) -> bool {
        Job::committed(*self)
    }

    fn failed(self: Box<Self>, error: Error) {
        Job::failed(*self, error);
    }
}

/// What is asked of the writer.
#[expect(clippy::large_enum_variant, reason = "creations are what is written most: a box for each would cost more")]
pub(super) enum Command {
    Create(Job<Creation, Created>),
    Respond(Job<Candidate, Option<Recorded>>),
    FinishSend(Job<FinishedSend, ()>),
    Other(Box<dyn AnyJob>),
    Close(oneshot::Sender<()>),
}

impl Command {
    /// Says whether the caller was still there to hear.
    pub(super) fn committed(self) -> bool {
        match self {
            Self::Create(job) => job.committed(),
            Self::Respond(job) => job.committed(),
            Self::FinishSend(job) => job.committed(),
            Self::Other(job) => job.committed(),
            Self::Close(_) => true,
        }
    }

    pub(super) fn failed(self, error: Error) {
        match self {
            Self::Create(job) => job.failed(error),
            Self::Respond(job) => job.failed(error),
            Self::FinishSend(job) => job.failed(error),
            Self::Other(job) => job.failed(error),
            Self::Close(_) => {}
        }
    }
}

/// Where the writes of this storage queue up.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    tx: mpsc::Sender<Command>,
    progress: Arc<Progress>,
    count: Count,
}

/// How far the writer has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) head: AtomicU64,
    pub(super) transactions: AtomicU64,
}

impl Queue {
    /// Starts the writer, which goes on after the event `head`. It ends when it is closed or every queue is dropped.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the system starts no more threads.
    pub(super) fn start(transactions: Box<dyn Transactions>, head: u64, bus: Arc<Bus>, count: Count) -> Result<Self> {
        let progress = Arc::new(Progress { head: head.into(), transactions: 0.into() });
        let (tx, rx) = mpsc::channel(QUEUE);
        let (own_thread, runtime) = (transactions.has_own_thread(), Handle::current());
        let writing = Writer::new(transactions, bus, progress.clone()).run(rx);
        if own_thread {
            let run = move || runtime.block_on(writing);
            thread::Builder::new().name("writer".into()).spawn(run).map_err(|error| {
                Fault::unavailable(format!("the system starts no thread for the writer: {error}")).0
            })?;
        } else {
            runtime.spawn(writing);
        }
        Ok(Self { tx, progress, count })
    }

    /// Queues a gathered command, and waits until it is committed.
    pub(super) async fn gather<I, A>(&self, wrap: fn(Job<I, A>) -> Command, input: I) -> Result<A> {
        let (tx, rx) = oneshot::channel();
        let command = wrap(Job { input, answer: None, tx, _under_way: UnderWay::begin(&self.count) });
        self.tx.send(command).await.map_err(|_| fault::closed())?;
        rx.await.map_err(|_| fault::closed())?
    }

    /// Queues any other use case, and waits until it is committed.
    pub(super) async fn write<W: Write>(&self, input: W) -> Result<W::Answer> {
        self.gather(|job: Job<W, W::Answer>| Command::Other(Box::new(job)), input).await
    }

    /// Lets the writer finish what is queued, and waits for its end. Later writes fail.
    pub(super) async fn close(&self) {
        let (tx, rx) = oneshot::channel();
        // Both fail only when the writer has ended already.
        if self.tx.send(Command::Close(tx)).await.is_ok() {
            let _ = rx.await;
        }
    }

    /// The newest event that this writer has seen committed.
    pub(super) fn head(&self) -> EventId {
        EventId(self.progress.head.load(Ordering::Acquire))
    }

    /// How many transactions have been committed since the start.
    pub(super) fn transactions(&self) -> u64 {
        self.progress.transactions.load(Ordering::Relaxed)
    }
}

/// Keeps the writer within a transaction, for tests of what queues up meanwhile.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug)]
pub(super) struct Pause {
    entered: Notify,
    released: CancellationToken,
}

#[cfg(any(test, feature = "testing"))]
impl Write for Arc<Pause> {
    type Answer = ();

    async fn run(&self, _: &mut Unit<'_>) -> Result<(), Fault> {
        self.entered.notify_one();
        self.released.cancelled().await;
        Ok(())
    }
}

#[cfg(any(test, feature = "testing"))]
impl Queue {
    /// Pauses the writer until what this returns is dropped.
    pub(super) async fn pause(&self) -> DropGuard {
        let pause = Arc::new(Pause { entered: Notify::new(), released: CancellationToken::new() });
        let (queue, job) = (self.clone(), pause.clone());
        tokio::spawn(async move { queue.write(job).await });
        pause.entered.notified().await;
        pause.released.clone().drop_guard()
    }
}
