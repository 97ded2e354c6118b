//! Taking answers.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::{Hub, OnDrop};
use crate::{
    channel::{About, Address, ChannelName, Inbound, Inbox, Pending, Recorded, Reply},
    error::{Error, ErrorKind, FieldError, Result, Retry},
    feedback::{COMMENT_MAX, Request},
    id::RequestId,
    limits::Act,
    person::UserRef,
    reading::{self, Reading},
    store::{Candidate, Counts, Standing},
};

/// The largest value kept of a response that is not accepted, in bytes of JSON: as large as the largest form.
const VALUE_KEPT_MAX: usize = 64 * 1024;

/// What not every database keeps in a text.
const NUL: char = '\0';

/// An answer from a person whose identity is proven.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Which question.
    pub request: RequestId,
    /// Who answers; `None` when the sender has no account here.
    pub by: Option<UserRef>,
    /// The channel it came by.
    pub channel: ChannelName,
    /// The value.
    pub value: Value,
    /// What was said besides.
    pub comment: Option<String>,
    /// The provider's id of the event, by which a repetition is known.
    pub event: Option<String>,
}

/// What became of an answer.
#[derive(Clone, Debug)]
pub struct Responded {
    /// The response as it is kept, with its verdict.
    pub recorded: Recorded,
    /// With the verdict `invalid`: what is wrong with each field.
    pub faults: Vec<FieldError>,
}

impl Hub {
    /// Records an answer and says what became of it. `None` when there is no such request.
    ///
    /// # Errors
    ///
    /// Those of the store; the answer is not recorded then.
    pub async fn respond(&self, answer: Answer) -> Result<Option<Responded>> {
        let Some(request) = self.store.request(answer.request).await? else { return Ok(None) };
        let faults = faults(&request, &answer);
        self.record(&request, answer, faults).await
    }

    /// Counts an answer against the limits of who gives it; strangers have none, since theirs never counts as an answer.
    async fn count(&self, by: Option<&UserRef>, channel: &ChannelName) -> Result<()> {
        let Some(user) = by else { return Ok(()) };
        let act = Act { user: user.id, channel: channel.clone(), session: None };
        let Err(exceeded) = self.limits.count(&act).await? else { return Ok(()) };
        let error = Error::new(ErrorKind::RateLimited, "inbox.response", exceeded.sentence());
        Err(error.with_retry(Retry::After(exceeded.retry_after)))
    }

    /// Records an answer in a person's own words. What does not read unambiguously is invalid, and its fault says which
    /// words to use.
    async fn respond_in_words(
        &self,
        id: RequestId,
        by: Option<UserRef>,
        channel: ChannelName,
        text: String,
        event: Option<String>,
    ) -> Result<Option<Responded>> {
        let Some(request) = self.store.request(id).await? else { return Ok(None) };
        let question = &request.terms.question;
        let answer = |value| Answer { request: id, by, channel, value, comment: None, event };
        let (answer, faults) = match reading::read(question, &text) {
            Reading::Value(value) => {
                let answer = answer(value);
                let faults = faults(&request, &answer);
                (answer, faults)
            }
            Reading::Unsure => (answer(Value::String(text)), vec![FieldError::new("text", reading::hint(question))]),
        };
        self.record(&request, answer, faults).await
    }

    async fn record(&self, request: &Request, answer: Answer, faults: Vec<FieldError>) -> Result<Option<Responded>> {
        let asked = answer.by.as_ref().is_some_and(|user| request.asks(user.id));
        let faults = if asked { faults } else { Vec::new() };
        let mut standing = if !asked {
            Standing::Refused("you are not asked".into())
        } else if faults.is_empty() {
            Standing::Valid
        } else {
            Standing::Invalid(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        };
        let answer = keep(answer, &mut standing);
        let candidate = Candidate {
            id: self.ids.next(),
            request_id: request.id,
            by: answer.by,
            channel: answer.channel,
            value: answer.value,
            comment: answer.comment,
            at: self.clock.now(),
            event: answer.event,
            standing,
        };
        let _wake = OnDrop(|| self.note_ending(request.terms.callback_url.is_some()));
        let Some(recorded) = self.store.respond(candidate).await? else { return Ok(None) };
        Ok(Some(Responded { recorded, faults }))
    }
}

/// Every response is kept, but not more of one that cannot be accepted than a valid one could have: whoever may call
/// could otherwise fill the disk.
fn keep(mut answer: Answer, standing: &mut Standing) -> Answer {
    let (Standing::Invalid(reason) | Standing::Refused(reason)) = standing else { return answer };
    let size = answer.value.to_string().len();
    if size > VALUE_KEPT_MAX {
        answer.value = Value::Null;
        *reason = format!("{reason} (its value of {size} bytes is not kept)");
    }
    *reason = reason.replace(NUL, "\u{fffd}");
    if let Some(comment) = &mut answer.comment {
        let cut = comment.char_indices().nth(COMMENT_MAX).map_or(comment.len(), |(at, _)| at);
        comment.truncate(cut);
        *comment = comment.replace(NUL, "\u{fffd}");
    }
    answer
}

/// What is wrong with an answer. Nothing is computed for somebody who is not asked.
fn faults(request: &Request, answer: &Answer) -> Vec<FieldError> {
    if !answer.by.as_ref().is_some_and(|user| request.asks(user.id)) {
        return Vec::new();
    }
    let mut faults = request.terms.question.validate(&answer.value).err().unwrap_or_default();
    let length = answer.comment.as_ref().map_or(0, |comment| comment.chars().count());
    if length > COMMENT_MAX {
        faults.push(FieldError::new("comment", format!("has {length} characters, at most {COMMENT_MAX} are taken")));
    }
    if answer.comment.as_ref().is_some_and(|comment| comment.contains(NUL)) {
        faults.push(FieldError::new("comment", "holds a NUL character"));
    }
    faults
}

fn unknown(request: RequestId) -> Error {
    Error::new(ErrorKind::NotFound, "inbox.response", format!("there is no request {request}"))
}

#[async_trait]
impl Inbox for Hub {
    async fn accept(&self, mut event: Inbound) -> Result<Reply> {
        if let Some((channel, address)) = event.place_mut()
            && let Some(running) = self.channels.get(channel)
        {
            *address = running.usual(address.clone());
        }
        match event {
            Inbound::Response { channel, from, request, value, comment, event } => {
                let by = self.person_at(&channel, &from).await?;
                self.count(by.as_ref(), &channel).await?;
                let answer = Answer { request, by, channel, value, comment, event };
                let responded = self.respond(answer).await?;
                Ok(Reply::Response(Box::new(responded.ok_or_else(|| unknown(request))?)))
            }
            Inbound::Text { channel, from, about, text, event } => {
                let by = self.person_at(&channel, &from).await?;
                self.count(by.as_ref(), &channel).await?;
                let request = match about {
                    About::Request(request) => request,
                    // Nobody waits for what a stranger may mean.
                    About::Sent(receipt) => {
                        let found = self.sent_as(&channel, &receipt, by.is_some()).await?;
                        found.ok_or_else(|| {
                            Error::new(ErrorKind::NotFound, "inbox.text", "this is no reply to a question")
                        })?
                    }
                };
                let responded = self.respond_in_words(request, by, channel, text, event).await?;
                Ok(Reply::Response(Box::new(responded.ok_or_else(|| unknown(request))?)))
            }
            Inbound::Linked { channel, from, code } => {
                let _wake = self.routes_change();
                let (id, now) = (self.ids.next(), self.clock.now());
                let linked = self.addresses.link(&channel, &from, &code, id, now).await?;
                self.unblocked(&channel, &from).await?;
                Ok(Reply::Linked(linked))
            }
            Inbound::Unlinked { channel, from } => {
                let _wake = self.routes_change();
                Ok(Reply::Unlinked(self.addresses.unlink(&channel, &from, self.clock.now()).await?))
            }
            Inbound::Blocked { channel, address } => {
                self.blocked(&channel, &address).await?;
                Ok(Reply::Noted)
            }
            Inbound::Unblocked { channel, address } => {
                self.unblocked(&channel, &address).await?;
                Ok(Reply::Noted)
            }
            Inbound::Sent { channel, delivery, receipt } => {
                self.note_receipt(&channel, delivery, &receipt).await?;
                Ok(Reply::Noted)
            }
            Inbound::Acknowledged { channel, from, receipt, read } => {
                self.acknowledge(channel, from, receipt, read).await?;
                Ok(Reply::Noted)
            }
            Inbound::Connected { channel, address, connection } => {
                self.connected(&channel, &address, connection).await?;
                Ok(Reply::Noted)
            }
            Inbound::Disconnected { channel, address, connection } => {
                self.disconnected(&channel, &address, connection).await?;
                Ok(Reply::Noted)
            }
        }
    }

    async fn person_at(&self, channel: &ChannelName, from: &Address) -> Result<Option<UserRef>> {
        Self::person_at(self, channel, from).await
    }

    async fn request(&self, id: RequestId) -> Result<Option<Arc<Request>>> {
        self.store.request(id).await
    }

    async fn pending(&self, channel: &ChannelName, from: &Address, limit: usize) -> Result<Option<Pending>> {
        self.awaiting(channel, from, limit).await
    }

    async fn counts(&self) -> Result<Counts> {
        self.counted().await
    }
}
