//! The one writer. Whatever queues up during one commit shares the next; there is no timer.
//!
//! A batch is one transaction. Creations, responses and finished sends are gathered into one multi-row statement a table;
//! everything else runs one after another beside them. When a member makes the batch fail, the batch is rolled back and
//! halved until that member fails alone. Callers hear after the commit, and after the bus.

use std::{
    collections::HashMap,
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use hearback_core::{
    Error, Result,
    channel::Recorded,
    event::{Bus, Event, EventId, EventKind},
    feedback::Request,
    id::RequestId,
    store::{Candidate, Created},
    Timestamp,
};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::{
    create::{self, Creation},
    fault::{self, Fault},
    respond, rows,
    send::{self, FinishedSend},
};

/// The most commands of one transaction: it bounds how long the first of them waits.
const BATCH: usize = 256;
/// How many commands wait before their callers do.
const QUEUE: usize = 1024;

/// What is asked of the writer, with the way back to the caller.
#[derive(Debug)]
pub(super) struct Job<I, A> {
    pub(super) input: I,
    answer: Option<A>,
    tx: oneshot::Sender<Result<A>>,
}

impl<I, A> Job<I, A> {
    /// Keeps what the caller will hear once the batch is committed.
    pub(super) fn answer(&mut self, answer: A) {
        self.answer = Some(answer);
    }

    // A caller that has gone away wants no answer, so a failing send is none of the writer's business.
    fn committed(self) {
        let answer = self.answer.ok_or_else(|| Fault::unexpected("a write was left out of its batch").0);
        let _ = self.tx.send(answer);
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
    fn committed(self: Box<Self>);
    fn failed(self: Box<Self>, error: Error);
}

#[async_trait]
impl<W: Write> AnyJob for Job<W, W::Answer> {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        self.answer = Some(self.input.run(unit).await?);
        Ok(())
    }

    fn committed(self: Box<Self>) {
        Job::committed(*self);
    }

    fn failed(self: Box<Self>, error: Error) {
        Job::failed(*self, error);
    }
}

/// What is asked of the writer.
pub(super) enum Command {
    Create(Job<Creation, Created>),
    Respond(Job<Candidate, Option<Recorded>>),
    FinishSend(Job<FinishedSend, ()>),
    Other(Box<dyn AnyJob>),
    Close(oneshot::Sender<()>),
}

impl Command {
    fn committed(self) {
        match self {
            Self::Create(job) => job.committed(),
            Self::Respond(job) => job.committed(),
            Self::FinishSend(job) => job.committed(),
            Self::Other(job) => job.committed(),
            Self::Close(_) => {}
        }
    }

    fn failed(self, error: Error) {
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
}

/// How far the writer has come.
#[derive(Debug, Default)]
struct Progress {
    head: AtomicU64,
    transactions: AtomicU64,
}

impl Queue {
    /// Starts the writer on this connection. It ends, and gives up `lock`, when it is closed or every queue is dropped.
    pub(super) async fn start(mut writer: SqliteConnection, lock: File, bus: Arc<Bus>) -> Result<Self, Fault> {
        let newest: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM events").fetch_one(&mut writer).await?;
        let head = rows::unsigned(newest.unwrap_or(0));
        let progress = Arc::new(Progress { head: head.into(), transactions: 0.into() });
        let (tx, rx) = mpsc::channel(QUEUE);
        tokio::spawn(Writer { writer, bus, progress: progress.clone(), head }.run(rx, lock));
        Ok(Self { tx, progress })
    }

    /// Queues a gathered command, and waits until it is committed.
    pub(super) async fn gather<I, A>(&self, wrap: fn(Job<I, A>) -> Command, input: I) -> Result<A> {
        let (tx, rx) = oneshot::channel();
        let command = wrap(Job { input, answer: None, tx });
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

    /// The newest committed event.
    pub(super) fn head(&self) -> EventId {
        EventId(self.progress.head.load(Ordering::Acquire))
    }

    /// How many transactions have been committed since the start.
    pub(super) fn transactions(&self) -> u64 {
        self.progress.transactions.load(Ordering::Relaxed)
    }
}

struct Writer {
    writer: SqliteConnection,
    bus: Arc<Bus>,
    progress: Arc<Progress>,
    /// The newest committed event.
    head: u64,
}

impl Writer {
    async fn run(mut self, mut rx: mpsc::Receiver<Command>, lock: File) {
        let mut closing = Vec::new();
        let mut batch = Vec::with_capacity(BATCH);
        while rx.recv_many(&mut batch, BATCH).await > 0 {
            for command in batch.extract_if(.., |command| matches!(command, Command::Close(_))) {
                // What is queued already is still received.
                rx.close();
                if let Command::Close(tx) = command {
                    closing.push(tx);
                }
            }
            self.commit(std::mem::take(&mut batch)).await;
        }
        self.end().await;
        drop(lock);
        for tx in closing {
            let _ = tx.send(());
        }
    }

    /// Leaves one file behind where it can: the log is written into the database.
    async fn end(mut self) {
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut self.writer).await {
            tracing::warn!(%error, "the database was closed without a checkpoint; the next start does it");
        }
        if let Err(error) = self.writer.close().await {
            tracing::warn!(%error, "the database was not closed cleanly");
        }
    }

    /// Commits a batch and tells every caller. Members that cannot be committed fail alone.
    async fn commit(&mut self, batch: Vec<Command>) {
        // Halves wait here while the one before them runs: a stack instead of recursion.
        let mut waiting = vec![batch];
        while let Some(mut batch) = waiting.pop() {
            if batch.is_empty() {
                continue;
            }
            match self.transact(&mut batch).await {
                Ok(()) => batch.into_iter().for_each(Command::committed),
                Err(fault) if fault.is_of_the_disk() => {
                    tracing::error!(error = %fault.0, writes = batch.len(), "a batch of writes failed");
                    for command in batch {
                        command.failed(Error::new(fault.0.kind(), fault.0.operation(), fault.0.detail().to_owned()));
                    }
                }
                Err(fault) if batch.len() == 1 => batch.into_iter().for_each(|command| {
                    // There is one, so the error is moved once.
                    command.failed(Error::new(fault.0.kind(), fault.0.operation(), fault.0.detail().to_owned()));
                }),
                Err(_) => {
                    let second = batch.split_off(batch.len() / 2);
                    waiting.push(second);
                    waiting.push(batch);
                }
            }
        }
    }

    /// Runs a batch as one transaction, and publishes its events.
    ///
    /// BEGIN and COMMIT are plain statements, since SQLite takes a transaction back by itself when the disk fails, which
    /// sqlx's own transactions do not notice.
    async fn transact(&mut self, batch: &mut [Command]) -> Result<(), Fault> {
        let mut unit = Unit { writer: &mut self.writer, head: self.head, events: Vec::new() };
        let done = async {
            sqlx::query("BEGIN IMMEDIATE").execute(&mut *unit.writer).await?;
            unit.run(batch).await?;
            unit.write_events().await?;
            sqlx::query("COMMIT").execute(&mut *unit.writer).await?;
            Ok(())
        };
        let done: Result<(), Fault> = done.await;
        let Unit { head, events, .. } = unit;
        match done {
            Ok(()) => {
                self.head = head;
                self.progress.head.store(head, Ordering::Release);
                self.progress.transactions.fetch_add(1, Ordering::Relaxed);
                self.bus.publish(&events);
                Ok(())
            }
            Err(fault) => {
                // Fails when SQLite has taken it back already.
                let _ = sqlx::query("ROLLBACK").execute(&mut self.writer).await;
                Err(fault)
            }
        }
    }
}

/// The transaction of one batch.
pub(super) struct Unit<'w> {
    pub(super) writer: &'w mut SqliteConnection,
    head: u64,
    events: Vec<Arc<Event>>,
}

impl Unit<'_> {
    async fn run(&mut self, batch: &mut [Command]) -> Result<(), Fault> {
        let (mut creations, mut responses, mut sends, mut others) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for command in batch {
            match command {
                Command::Create(job) => creations.push(job),
                Command::Respond(job) => responses.push(job),
                Command::FinishSend(job) => sends.push(job),
                Command::Other(job) => others.push(job),
                Command::Close(_) => {}
            }
        }
        // Nobody has heard of any of these yet, so this order is as good as that of the queue.
        create::run(self, &mut creations).await?;
        respond::run(self, &mut responses).await?;
        send::finish(self, &mut sends).await?;
        for job in others {
            job.run(self).await?;
        }
        Ok(())
    }

    /// Gives an event its place in the log. It is written, and published, with the others of the batch.
    pub(super) fn record(&mut self, kind: EventKind, request: &Arc<Request>, at: Timestamp) {
        self.head += 1;
        self.events.push(Arc::new(Event { id: EventId(self.head), at, kind, request: request.clone() }));
    }

    /// The place that the next event will have.
    pub(super) const fn next_event(&self) -> EventId {
        EventId(self.head + 1)
    }

    async fn write_events(&mut self) -> Result<(), Fault> {
        let head = "INSERT INTO events (id, at, kind, request_id) ";
        rows::write(self.writer, head, &self.events, "", |values, event| {
            let kind = match event.kind {
                EventKind::Created => "created",
                EventKind::Ended => "ended",
            };
            values.push_bind(rows::signed(event.id.0)).push_bind(event.at.micros());
            values.push_bind(kind).push_bind(event.request.id.uuid());
        })
        .await?;
        let readers: Vec<_> = self
            .events
            .iter()
            .flat_map(|event| event.readers().map(|reader| (reader.uuid(), rows::signed(event.id.0))))
            .collect();
        let head = "INSERT INTO event_readers (reader, event_id) ";
        rows::write(self.writer, head, &readers, " ON CONFLICT DO NOTHING", |values, (reader, event)| {
            values.push_bind(*reader).push_bind(*event);
        })
        .await?;
        Ok(())
    }

    /// The requests with these ids, those of them that exist.
    pub(super) async fn requests(
        &mut self,
        ids: impl IntoIterator<Item = RequestId>,
    ) -> Result<HashMap<RequestId, Arc<Request>>, Fault> {
        let mut ids: Vec<_> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        rows::read(self.writer, REQUESTS_BY_ID, &ids, ")", |values, id| {
            values.push_bind(id.uuid());
        })
        .await?
        .iter()
        .map(|row| rows::request(row).map(|request| (request.id, Arc::new(request))))
        .collect()
    }
}

const REQUESTS_BY_ID: &str =
    concat!("SELECT ", rows::request_columns!(), " FROM feedback_requests r WHERE r.id IN (");
