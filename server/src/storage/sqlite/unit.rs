//! The transaction of one batch: creations, responses and finished sends are gathered into one multi-row statement a
//! table, everything else runs one after another beside them.

use std::{collections::HashMap, sync::Arc};

use hearback_core::{
    Timestamp,
    event::{Event, EventId, EventKind},
    feedback::Request,
    id::RequestId,
};
use sqlx::SqliteConnection;

use super::{create, fault::Fault, queue::Command, respond, rows, send};

/// The transaction of one batch.
pub(super) struct Unit<'w> {
    pub(super) writer: &'w mut SqliteConnection,
    head: u64,
    events: Vec<Arc<Event>>,
}

impl<'w> Unit<'w> {
    /// A transaction that goes on after the event `head`.
    pub(super) const fn new(writer: &'w mut SqliteConnection, head: u64) -> Self {
        Self { writer, head, events: Vec::new() }
    }

    /// The newest event, and those of this batch, in order.
    pub(super) fn into_events(self) -> (u64, Vec<Arc<Event>>) {
        (self.head, self.events)
    }

    /// Runs the commands of a batch. Events are written last, all together.
    pub(super) async fn run(&mut self, batch: &mut [Command]) -> Result<(), Fault> {
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
        self.write_events().await
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
            values.push_bind(rows::signed(event.id.0)).push_bind(event.at.micros());
            values.push_bind(rows::kind_word(event.kind)).push_bind(event.request.id.uuid());
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

pub(super) const REQUESTS_BY_ID: &str =
    concat!("SELECT ", rows::request_columns!(), " FROM feedback_requests r WHERE r.id IN (");
