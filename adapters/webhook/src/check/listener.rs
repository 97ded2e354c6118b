//! What a plug-in posts while it is checked: believed, read and answered as the hub does it, but for the first event.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use hearback_core::{
    Clock, Timestamp,
    channel::{Address, Callback, CallbackReply, ChannelName, Receipt},
    error::FieldError,
    feedback::{RequestDocument, Verdict},
    id::RequestId,
};
use http::{HeaderValue, header};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{select, sync::watch};
use uuid::Uuid;

use crate::{
    callback::{NOT_FOUND, Refusal, UNAVAILABLE, VerdictDocument, noted, problem, read, verdict},
    event::Event,
    settings::Declared,
    signature::Key,
};

/// So many faults are told. What is wrong once is most often wrong every time.
const FAULTS_MAX: usize = 3;

/// Takes what the plug-in posts to the `callback_url` of a check.
pub struct EventListener {
    key: Key,
    channel: ChannelName,
    to: Address,
    clock: Arc<dyn Clock>,
    heard: Mutex<Heard>,
    changed: watch::Sender<()>,
}

impl std::fmt::Debug for EventListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventListener")
    }
}

/// What has been sent, and what came.
#[derive(Debug, Default)]
pub(super) struct Heard {
    declared: Declared,
    sent: HashSet<Uuid>,
    asked: HashMap<RequestId, RequestDocument>,
    receipts: HashMap<Uuid, (Receipt, Timestamp)>,
    /// The event that was answered as if it could not be stored.
    pub first: Option<First>,
    /// The ids of the events that were taken.
    known: HashSet<String>,
    /// What was said to have arrived or to have been seen.
    acknowledged: Vec<Receipt>,
    /// The type of the first answer that is as it must be.
    pub answered: Option<&'static str>,
    /// What was not as it must be, in words.
    pub faults: Vec<String>,
}

/// The first event.
#[derive(Debug)]
pub(super) struct First {
    id: String,
    /// Whether it has come again.
    pub again: bool,
}

impl Heard {
    fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Whether one of the receipts that were given was said to have arrived or to have been seen.
    pub fn is_acknowledged(&self) -> bool {
        self.acknowledged.iter().any(|told| self.receipts.values().any(|(given, _)| given == told))
    }
}

impl EventListener {
    pub(super) fn new(key: Key, channel: ChannelName, to: Address, clock: Arc<dyn Clock>) -> Self {
        Self { key, channel, to, clock, heard: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Says what the plug-in declares; before, nothing is declared.
    pub(super) fn declare(&self, declared: Declared) {
        self.heard.lock().declared = declared;
    }

    /// Says what is about to be sent: its receipt may come before its answer.
    pub(super) fn sending(&self, delivery: Uuid) {
        self.heard.lock().sent.insert(delivery);
    }

    /// Says what is about to be asked.
    pub(super) fn asking(&self, request: &RequestDocument) {
        self.heard.lock().asked.insert(request.id, request.clone());
    }

    /// Keeps a receipt. The first one of a delivery counts.
    pub(super) fn given(&self, delivery: Uuid, receipt: Receipt) {
        let now = self.clock.now();
        self.heard.lock().receipts.entry(delivery).or_insert((receipt, now));
    }

    /// The receipt of what was sent, where there is one by now.
    pub(super) fn receipt(&self, delivery: Uuid) -> Option<Receipt> {
        self.heard.lock().receipts.get(&delivery).map(|(receipt, _)| receipt.clone())
    }

    /// Whether the receipt of a delivery came by a moment, once that can be said.
    pub(super) async fn receives(&self, delivery: Uuid, due: Timestamp) -> bool {
        self.until(due, |heard| heard.receipts.get(&delivery).is_some_and(|(_, at)| *at <= due)).await
    }

    /// Waits until something is so, at most until a moment; returns whether it is.
    pub(super) async fn until(&self, due: Timestamp, is_so: impl Fn(&Heard) -> bool) -> bool {
        let mut changed = self.changed.subscribe();
        loop {
            if is_so(&self.heard.lock()) {
                return true;
            }
            select! {
                biased;
                // It ends only with `self`.
                _ = changed.changed() => {}
                () = self.clock.sleep_until(due) => return is_so(&self.heard.lock()),
            }
        }
    }

    /// Whether the check waits for something.
    #[cfg(test)]
    pub(crate) fn is_waited_on(&self) -> bool {
        self.changed.receiver_count() > 0
    }

    /// Looks at what came.
    pub(super) fn look<T>(&self, at: impl FnOnce(&Heard) -> T) -> T {
        at(&self.heard.lock())
    }

    /// Takes a call, as it came, and says what to answer.
    #[must_use]
    pub fn take(&self, call: &Callback) -> CallbackReply {
        // What needs a capability is told apart below: here it is the plug-in that did not declare it.
        let everything = Declared { inbound: true, receipts: true, ..Declared::default() };
        let read = read(&self.key, &everything, &self.channel, call, self.clock.now());
        let mut heard = self.heard.lock();
        let reply = match read {
            Ok((event, id)) => self.event(&mut heard, event, id),
            Err(refusal) => {
                let told = match &refusal {
                    // Whoever looks with a browser is not the plug-in.
                    Refusal::Method => None,
                    Refusal::Distrusted(distrust) => Some(format!("what it posts is not believed. {distrust}")),
                    Refusal::Malformed(error) => Some(format!("what it posts is no JSON: {error}")),
                    Refusal::Invalid(faults) => faults.first().map(|fault| format!("an event is refused: {fault}")),
                };
                if let Some(told) = told {
                    heard.fault(told);
                }
                refusal.reply()
            }
        };
        drop(heard);
        self.changed.send_replace(());
        reply
    }

    fn event(&self, heard: &mut Heard, event: Event, id: String) -> CallbackReply {
        let kind = event.kind();
        if let Err(fault) = event.check(&heard.declared, &self.channel) {
            heard.fault(format!("`{kind}` comes, and the answer to `probe` does not declare what it needs"));
            return Refusal::Invalid(vec![fault]).reply();
        }
        let reply = self.told(heard, event, heard.known.contains(&id));
        match &mut heard.first {
            None if reply.status.is_success() => {
                heard.first = Some(First { id, again: false });
                return come_back();
            }
            Some(first) => first.again |= first.id == id,
            None => {}
        }
        if reply.status.is_success() {
            heard.known.insert(id);
        }
        reply
    }

    /// What the hub would answer, and what is not as it must be.
    fn told(&self, heard: &mut Heard, event: Event, duplicate: bool) -> CallbackReply {
        let kind = event.kind();
        let told = match event {
            Event::Response { request_id, from, value, .. } => (request_id, from, Some(value)),
            Event::Text { request_id, from, text } if text.trim().is_empty() => {
                heard.fault("a `text` is empty".into());
                (request_id, from, None)
            }
            Event::Text { request_id, from, .. } => (request_id, from, None),
            Event::Receipt { delivery, receipt } => {
                if !heard.sent.contains(&delivery.uuid()) {
                    heard.fault("a `receipt` names a delivery that was not sent".into());
                    return problem(NOT_FOUND, "There is no such delivery.".into());
                }
                let now = self.clock.now();
                heard.receipts.entry(delivery.uuid()).or_insert((receipt, now));
                return noted();
            }
            Event::Delivered { from, receipt } | Event::Read { from, receipt } => {
                if from != self.to {
                    heard.fault(format!("a `{kind}` is from an address that nothing was sent to"));
                }
                heard.acknowledged.push(receipt);
                return noted();
            }
            Event::Connected { .. } | Event::Disconnected { .. } => return noted(),
        };
        self.answer(heard, kind, told, duplicate)
    }

    fn answer(
        &self,
        heard: &mut Heard,
        kind: &'static str,
        (request_id, from, value): (RequestId, Address, Option<Value>),
        duplicate: bool,
    ) -> CallbackReply {
        let Some(request) = heard.asked.get(&request_id).cloned() else {
            heard.fault(format!("a `{kind}` names a request that was not sent"));
            return problem(NOT_FOUND, "There is no such request.".into());
        };
        let mut document =
            VerdictDocument { verdict: Verdict::Accepted, reason: None, duplicate, errors: Vec::new(), request: None };
        if from != self.to {
            heard.fault(format!("a `{kind}` is from an address that nothing was sent to"));
            document.verdict = Verdict::Refused;
            document.reason = Some("This check asked somebody else.".into());
            return verdict(&document);
        }
        let faults: Vec<FieldError> =
            value.and_then(|value| request.terms.question.validate(&value).err()).unwrap_or_default();
        document.request = Some(request);
        if let Some(fault) = faults.first() {
            heard.fault(format!("a `{kind}` does not answer its question: {fault}"));
            document.verdict = Verdict::Invalid;
            document.reason = Some(fault.to_string());
            document.errors = faults;
        } else if heard.answered.is_none() {
            heard.answered = Some(kind);
        }
        verdict(&document)
    }
}

/// What the hub answers when it cannot store something.
fn come_back() -> CallbackReply {
    let detail = "The check takes no first event, to see it come again. Send it again shortly.";
    let mut reply = problem(UNAVAILABLE, detail.into());
    reply.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}
