//! The transaction of one batch: creations, responses and finished sends are gathered into one multi-row statement a
//! table, everything else runs one after another beside them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use hearback_core::{
    Timestamp,
    event::{Event, EventId, EventKind, Work},
    feedback::Request,
    id::{DeliveryId, RequestId},
};

use super::{callbacks, create, fault::Fault, queue::Command, respond, rows, send, session::Session};
use crate::account::Over;

/// The transaction of one batch.
pub(super) struct Unit<'w> {
    pub(super) session: Session<'w>,
    head: u64,
    news: News,
}

/// What is told once a batch is committed.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Its events, in order.
    pub(crate) events: Vec<Arc<Event>>,
    /// Tokens and sign-ins that it ended.
    pub(crate) over: Vec<Over>,
    /// Work that it made due which another server may have to do: each looks after the rest of what it has begun.
    pub(crate) work: BTreeSet<Work>,
}

impl News {
    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.over.is_empty() && self.work.is_empty()
    }
}

impl<'w> Unit<'w> {
    /// A transaction that goes on after the event `head`.
    pub(super) const fn new(session: Session<'w>, head: u64) -> Self {
        Self { session, head, news: News { events: Vec::new(), over: Vec::new(), work: BTreeSet::new() } }
    }

    /// The newest event, and what is to be told of this batch.
    pub(super) fn into_news(self) -> (u64, News) {
        (self.head, self.news)
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
        self.write_events().await?;
        callbacks::queue(&mut self.session, &self.news.events).await
    }

    /// Gives an event its place in the log. It is written, and published, with the others of the batch.
    pub(super) fn record(&mut self, kind: EventKind, request: &Arc<Request>, at: Timestamp) {
        self.head += 1;
        self.news.events.push(Arc::new(Event { id: EventId(self.head), at, kind, request: request.clone() }));
    }

    /// Has the other servers told of work.
    pub(super) fn note_work(&mut self, work: Work) {
        self.news.work.insert(work);
    }

    /// Has it told that a token or sign-in is over.
    pub(super) fn note_over(&mut self, what: Over) {
        self.news.over.push(what);
    }

    /// Records that deliveries changed, each of a request at a moment.
    pub(super) async fn record_changes(&mut self, changed: &[(DeliveryId, RequestId, Timestamp)]) -> Result<(), Fault> {
        let requests = self.requests(changed.iter().map(|(_, request, _)| *request)).await?;
        for (delivery, request, at) in changed {
            let request = requests.get(request).ok_or_else(|| Fault::unexpected("a delivery without its request"))?;
            self.record(EventKind::Delivery(*delivery), request, *at);
        }
        Ok(())
    }

    /// The place that the next event will have.
    pub(super) const fn next_event(&self) -> EventId {
        EventId(self.head + 1)
    }

    async fn write_events(&mut self) -> Result<(), Fault> {
        let head = "INSERT INTO events (id, at, kind, request_id, subject) ";
        rows::write(&mut self.session, head, &self.news.events, "", |values, event| {
            let (kind, subject) = rows::kind_columns(event.kind);
            values.push_bind(rows::signed(event.id.0)).push_bind(event.at.micros());
            values.push_bind(kind).push_bind(event.request.id.uuid()).push_bind(subject);
        })
        .await?;
        let readers: Vec<_> = self
            .news
            .events
            .iter()
            .flat_map(|event| event.readers().map(|reader| (reader.uuid(), rows::signed(event.id.0))))
            .collect();
        let head = "INSERT INTO event_readers (reader, event_id) ";
        rows::write(&mut self.session, head, &readers, " ON CONFLICT DO NOTHING", |values, (reader, event)| {
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
        rows::read(&mut self.session, REQUESTS_BY_ID, &ids, ")", |values, id| {
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
