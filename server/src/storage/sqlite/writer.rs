//! The one writer. Whatever queues up during one commit shares the next; there is no timer.
//!
//! A batch is one transaction. When a member makes it fail, it is rolled back and halved until that member fails alone.
//! Callers hear after the commit, and after the bus.

use std::{
    fs::File,
    sync::{Arc, atomic::Ordering},
};

use hearback_core::{Error, event::Bus};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::mpsc;

use super::{
    fault::Fault,
    queue::{Command, Progress},
    unit::Unit,
};

/// The most commands of one transaction: it bounds how long the first of them waits.
const BATCH: usize = 256;

pub(super) struct Writer {
    connection: SqliteConnection,
    bus: Arc<Bus>,
    progress: Arc<Progress>,
    /// The newest committed event.
    head: u64,
}

impl Writer {
    pub(super) fn new(connection: SqliteConnection, bus: Arc<Bus>, progress: Arc<Progress>) -> Self {
        let head = progress.head.load(Ordering::Acquire);
        Self { connection, bus, progress, head }
    }

    /// Writes until it is closed or every queue is dropped, and gives up `lock` then.
    pub(super) async fn run(mut self, mut rx: mpsc::Receiver<Command>, lock: File) {
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
            tokio::task::yield_now().await;
        }
        self.end().await;
        drop(lock);
        for tx in closing {
            let _ = tx.send(());
        }
    }

    /// Leaves one file behind where it can: the log is written into the database.
    async fn end(mut self) {
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut self.connection).await {
            tracing::warn!(%error, "the database was closed without a checkpoint; the next start does it");
        }
        if let Err(error) = self.connection.close().await {
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

    /// Runs a batch as one transaction, and publishes its events.
    ///
    /// BEGIN and COMMIT are plain statements, since SQLite takes a transaction back by itself when the disk fails, which
    /// sqlx's own transactions do not notice.
    async fn transact(&mut self, batch: &mut [Command]) -> Result<(), Fault> {
        let mut unit = Unit::new(&mut self.connection, self.head);
        let done = async {
            sqlx::query("BEGIN IMMEDIATE").execute(&mut *unit.writer).await?;
            unit.run(batch).await?;
            sqlx::query("COMMIT").execute(&mut *unit.writer).await?;
            Ok(())
        };
        let done: Result<(), Fault> = done.await;
        let (head, events) = unit.into_events();
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
                let _ = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
                Err(fault)
            }
        }
    }
}
