//! The one writer of this server. Whatever queues up during one commit shares the next; there is no timer.
//!
//! A batch is one transaction. When a member makes it fail, it is rolled back and halved until that member fails alone.
//! Callers hear after the commit, and after the bus.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use hearback_core::{
    Error,
    event::{Bus, Work},
};
use tokio::{sync::mpsc, time::timeout};

use super::{
    fault::Fault,
    queue::{Command, Progress},
    session::Session,
    unit::{News, Unit},
};

/// The most commands of one transaction: it bounds how long the first of them waits.
const BATCH: usize = 256;

/// How the transaction of one batch begins and ends.
#[async_trait]
pub(crate) trait Transactions: Send + 'static {
    /// Begins one that no other writer's overlaps, and says which event is the newest.
    async fn begin(&mut self) -> Result<u64, Fault>;

    /// Whether the writer has a thread of its own, so that what the database has answered does not wait for its turn among all
    /// that is to be served. That pays where answers come from a thread beside; where they come over a network, whoever waits a
    /// little gathers more.
    fn has_own_thread(&self) -> bool;

    /// How long a batch may take before it is given up.
    fn patience(&self) -> Option<Duration>;

    /// Where its statements run.
    fn session(&mut self) -> Result<Session<'_>, Fault>;

    /// Commits it, then tells the news. The newest event is `head` now.
    async fn commit(&mut self, head: u64, news: News) -> Result<(), Fault>;

    /// Takes it back, as far as the database has not done that itself.
    async fn rollback(&mut self);

    /// Ends the connection.
    async fn end(self: Box<Self>);
}

pub(super) struct Writer {
    transactions: Box<dyn Transactions>,
    bus: Arc<Bus>,
    progress: Arc<Progress>,
}

impl Writer {
    pub(super) fn new(transactions: Box<dyn Transactions>, bus: Arc<Bus>, progress: Arc<Progress>) -> Self {
        Self { transactions, bus, progress }
    }

    /// Writes until it is closed or every queue is dropped.
    pub(super) async fn run(mut self, mut rx: mpsc::Receiver<Command>) {
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
            // Whoever has just heard may have more to write: it comes into this next batch instead of the one after.
            if self.transactions.has_own_thread() {
                std::thread::yield_now();
            } else {
                tokio::task::yield_now().await;
            }
        }
        self.transactions.end().await;
        for tx in closing {
            let _ = tx.send(());
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
                Ok(()) => self.tell(batch),
                // The disk is nobody's fault, and trying each half would only ask it again.
                Err(fault) if batch.len() == 1 || fault.is_of_the_disk() => {
                    if fault.is_of_the_disk() {
                        tracing::error!(error = %fault.0, writes = batch.len(), "a batch of writes failed");
                    }
                    for command in batch {
                        command.failed(Error::new(fault.0.kind(), fault.0.operation(), fault.0.detail().to_owned()));
                    }
                }
                Err(_) => {
                    let second = batch.split_off(batch.len() / 2);
                    waiting.push(second);
                    waiting.push(batch);
                }
            }
        }
    }

    /// Tells the callers. Whoever has hung up meanwhile told the hub of due work before there was any: on PostgreSQL the
    /// hub's claims do not queue up behind what was to be written.
    fn tell(&self, batch: Vec<Command>) {
        let all = batch.len();
        let heard = batch.into_iter().map(Command::committed).filter(|heard| *heard).count();
        if heard < all {
            for work in Work::ALL {
                self.bus.wake(work);
            }
        }
    }

    /// Runs a batch as one transaction, and publishes its events.
    async fn transact(&mut self, batch: &mut [Command]) -> Result<(), Fault> {
        let done = match self.transactions.patience() {
            None => self.try_to_transact(batch).await,
            Some(patience) => match timeout(patience, self.try_to_transact(batch)).await {
                Ok(done) => done,
                Err(_) => Err(Fault::unavailable("the database does not answer")),
            },
        };
        match &done {
            Ok(head) => {
                self.progress.head.store(*head, Ordering::Release);
                self.progress.transactions.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => self.transactions.rollback().await,
        }
        done.map(drop)
    }

    async fn try_to_transact(&mut self, batch: &mut [Command]) -> Result<u64, Fault> {
        let head = self.transactions.begin().await?;
        let mut unit = Unit::new(self.transactions.session()?, head);
        unit.run(batch).await?;
        let (head, news) = unit.into_news();
        self.transactions.commit(head, news).await?;
        Ok(head)
    }
}
