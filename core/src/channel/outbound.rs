//! What goes out over a channel.

use std::{fmt, sync::Arc};

use uuid::Uuid;

use crate::{channel::Receipt, clock::Timestamp, feedback::Request, id::DeliveryId, person::UserRef, secret::Secret};

/// What is said.
#[derive(Clone, Debug)]
pub enum Content {
    /// A question to answer.
    Request {
        /// The question.
        request: Arc<Request>,
        /// Who is asked by this delivery.
        person: UserRef,
    },
    /// A chat message, in Markdown.
    Message {
        /// What it says.
        text: String,
    },
    /// Something to know, in Markdown.
    Notice {
        /// What it says.
        text: String,
    },
    /// A code that confirms an address.
    Code {
        /// The code.
        code: Secret,
        /// Until when it is good.
        expires_at: Timestamp,
    },
}

/// Something to send.
#[derive(Clone)]
pub struct Outbound {
    /// The same for every try of the same thing, so that a provider can tell a repetition. A question's is that of its
    /// [delivery](crate::feedback::Delivery).
    pub id: Uuid,
    /// What is said.
    pub content: Content,
    /// Where it can be answered in a browser, where it can be. At an address of the person's own, whoever has it answers in
    /// their name; at one that the asker named, it leads to the sign-in.
    pub answer_url: Option<String>,
    /// The earlier message that it belongs below.
    pub thread: Option<Receipt>,
    /// The person's language as a BCP 47 tag; the hub's default when absent.
    pub locale: Option<String>,
}

impl fmt::Debug for Outbound {
    // By hand, since the URL is enough to answer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, content, answer_url, thread, locale } = self;
        let answer_url = answer_url.as_ref().map(|_| "…");
        let mut shown = f.debug_struct("Outbound");
        shown.field("id", id).field("content", content).field("answer_url", &answer_url);
        shown.field("thread", thread).field("locale", locale).finish()
    }
}

impl Outbound {
    /// The text that people read first: what a channel's `text_max` is compared with.
    #[must_use]
    pub fn text(&self) -> &str {
        match &self.content {
            Content::Request { request, .. } => &request.terms.prompt,
            Content::Message { text } | Content::Notice { text } => text,
            Content::Code { .. } => "",
        }
    }
}

/// Where a request is answered in a browser. It is a port, since one of the links proves who follows it, and so is signed
/// outside of core.
pub trait AnswerUrls: fmt::Debug + Send + Sync + 'static {
    /// Where whom this delivery of the request goes to answers without signing in: for an address that is theirs. The same
    /// for the same delivery.
    fn personal(&self, request: &Request, delivery: DeliveryId) -> String;

    /// Where whoever is asked answers once they have signed in. It proves nothing, and so fits an address that may be
    /// anybody's.
    fn signed_in(&self, request: &Request) -> String;
}
