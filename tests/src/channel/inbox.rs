//! An inbox that keeps what it is given, fails and waits as it is told.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hearback_core::{
    Error, ErrorKind, Result,
    channel::{About, Address, ChannelName, Inbound, Inbox, Pending, Recorded, Reply},
    feedback::{Request, Response, Verdict},
    hub::Responded,
    id::RequestId,
    person::UserRef,
    store::Counts,
};
use serde_json::Value;
use tokio::sync::watch;

/// An answer that was stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The provider's id of the event.
    pub event: Option<String>,
    /// Who answered.
    pub from: Address,
    /// Which question.
    pub request: RequestId,
    /// The value given, or the words.
    pub value: Value,
    response: Response,
}

#[derive(Debug, Default)]
struct State {
    stored: Vec<Stored>,
    fails: Option<ErrorKind>,
}

/// Keeps the answers to one question, one of each event id, as the hub does. Comings and goings it notes without a
/// word, also while it fails: they are told at moments of their own.
#[derive(Debug)]
pub struct RecordingInbox {
    request: Arc<Request>,
    by: UserRef,
    state: Mutex<State>,
    held: watch::Sender<bool>,
    asked: watch::Sender<usize>,
}

impl RecordingInbox {
    /// An inbox that knows this question, and nobody but `by` who answers it.
    #[must_use]
    pub fn of(request: Arc<Request>, by: UserRef) -> Arc<Self> {
        let (held, asked) = (watch::Sender::new(false), watch::Sender::new(0));
        Arc::new(Self { request, by, state: Mutex::default(), held, asked })
    }

    /// What is stored.
    #[must_use]
    pub fn stored(&self) -> Vec<Stored> {
        self.state.lock().unwrap().stored.clone()
    }

    /// How many answers it was given, those that it did not store among them.
    #[must_use]
    pub fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    /// Lets every answer fail in this way, or none.
    pub fn fail(&self, kind: Option<ErrorKind>) {
        self.state.lock().unwrap().fails = kind;
    }

    /// Whether answers have to wait before they are stored.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Returns when the next answer has been given to it.
    pub async fn entered(&self) {
        let mut asked = self.asked.subscribe();
        // It fails only when the sender is gone, which `self` holds.
        let _ = asked.changed().await;
    }

    async fn store(&self, event: Option<String>, from: Address, request: RequestId, value: Value) -> Result<Reply> {
        self.asked.send_modify(|asked| *asked += 1);
        let _ = self.held.subscribe().wait_for(|held| !held).await;
        let mut state = self.state.lock().unwrap();
        if let Some(kind) = state.fails {
            return Err(Error::new(kind, "inbox.accept", "the store fails, as scripted"));
        }
        if request != self.request.id {
            return Err(Error::new(ErrorKind::NotFound, "inbox.accept", "there is no such request"));
        }
        let known = state.stored.iter().find(|stored| event.is_some() && stored.event == event);
        let duplicate = known.is_some();
        let response = known.map_or_else(|| self.response(&value), |known| known.response.clone());
        if !duplicate {
            state.stored.push(Stored { event, from, request, value, response: response.clone() });
        }
        let recorded = Recorded { response, request: self.request.clone(), duplicate };
        Ok(Reply::Response(Box::new(Responded { recorded, faults: Vec::new() })))
    }

    fn response(&self, value: &Value) -> Response {
        Response {
            id: uuid::Uuid::from_u128(11).into(),
            request_id: self.request.id,
            by: Some(self.by.clone()),
            channel: super::bench::channel_name(),
            value: value.clone(),
            comment: None,
            verdict: Verdict::Accepted,
            reason: None,
            at: self.request.created_at,
        }
    }
}

#[async_trait]
impl Inbox for RecordingInbox {
    async fn accept(&self, event: Inbound) -> Result<Reply> {
        match event {
            Inbound::Response { from, request, value, event, .. } => self.store(event, from, request, value).await,
            Inbound::Text { from, about: About::Request(request), text, event, .. } => {
                self.store(event, from, request, text.into()).await
            }
            Inbound::Text { from, about: About::Sent(_), text, event, .. } => {
                self.store(event, from, self.request.id, text.into()).await
            }
            _ => Ok(Reply::Noted),
        }
    }

    async fn person_at(&self, _: &ChannelName, _: &Address) -> Result<Option<UserRef>> {
        Ok(Some(self.by.clone()))
    }

    async fn request(&self, id: RequestId) -> Result<Option<Arc<Request>>> {
        Ok(Some(self.request.clone()).filter(|request| request.id == id))
    }

    async fn pending(&self, _: &ChannelName, _: &Address, _: usize) -> Result<Option<Pending>> {
        Ok(Some(Pending { person: self.by.clone(), out: Vec::new(), sending: 0, more: false }))
    }

    async fn counts(&self) -> Result<Counts> {
        Ok(Counts::default())
    }
}
