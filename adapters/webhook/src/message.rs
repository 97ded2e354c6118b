//! What goes out, as flat JSON objects with `type`.

use hearback_core::{
    Timestamp,
    channel::{Address, ChannelName, Content, Outbound, Receipt, Settlement},
    feedback::RequestDocument,
    id::DeliveryId,
    person::UserRef,
    secret::ExposeSecret,
};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

/// The version of the protocol. It rises when what was said before means something else; fields are added without.
pub const VERSION: u32 = 1;

/// A message of the hub's.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Message<'a> {
    /// The version of the protocol: 1.
    pub version: u32,
    /// The name of the channel in the hub's configuration.
    pub channel: &'a ChannelName,
    /// Where to call back.
    pub callback_url: &'a str,
    /// What is told.
    #[serde(flatten)]
    pub body: Body<'a>,
}

/// What is told.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body<'a> {
    /// Are you there, and what can you do? Leaves nothing behind.
    Probe,
    /// A question to answer.
    Request {
        /// To whom, and how.
        #[serde(flatten)]
        sending: Sending<'a>,
        /// The person asked.
        person: &'a UserRef,
        /// The question.
        request: Box<RequestDocument>,
    },
    /// A chat message.
    Message {
        /// To whom, and how.
        #[serde(flatten)]
        sending: Sending<'a>,
        /// What it says, in Markdown.
        text: &'a str,
    },
    /// Something to know.
    Notice {
        /// To whom, and how.
        #[serde(flatten)]
        sending: Sending<'a>,
        /// What it says, in Markdown.
        text: &'a str,
    },
    /// A code that confirms an address.
    Code {
        /// To whom, and how.
        #[serde(flatten)]
        sending: Sending<'a>,
        /// The code.
        code: &'a str,
        /// Until when it is good.
        expires_at: Timestamp,
    },
    /// A question is over: show it where it was sent.
    Settle {
        /// The delivery whose message it is.
        delivery: DeliveryId,
        /// To whom it was sent.
        to: &'a Address,
        /// What you answered when it was sent.
        receipt: &'a str,
        /// The question with its ending.
        request: Box<RequestDocument>,
        /// One sentence for people on how it ended.
        text: String,
    },
}

/// What every sending has.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Sending<'a> {
    /// The id of this sending, the same at every try.
    pub delivery: Uuid,
    /// To whom.
    pub to: &'a Address,
    /// The receipt of the earlier message that it belongs below.
    pub thread: Option<&'a str>,
    /// The person's language as a BCP 47 tag; `null` for yours.
    pub locale: Option<&'a str>,
    /// Where it can be answered in a browser, where it can be.
    pub answer_url: Option<&'a str>,
}

impl<'a> Body<'a> {
    /// What sends `what` to `to`.
    #[must_use]
    pub fn sending(to: &'a Address, what: &'a Outbound) -> Self {
        let sending = Sending {
            delivery: what.id,
            to,
            thread: what.thread.as_ref().map(Receipt::as_str),
            locale: what.locale.as_deref(),
            answer_url: what.answer_url.as_deref(),
        };
        match &what.content {
            Content::Request { request, person } => {
                Self::Request { sending, person, request: Box::new(request.as_ref().into()) }
            }
            Content::Message { text } => Self::Message { sending, text },
            Content::Notice { text } => Self::Notice { sending, text },
            Content::Code { code, expires_at } => {
                Self::Code { sending, code: code.expose_secret(), expires_at: *expires_at }
            }
        }
    }

    /// What settles `what`, by a plug-in with this `text_max`: a sentence that is longer stays out, and the rest is said.
    #[must_use]
    pub fn settling(what: &Settlement<'a>, text_max: Option<u32>) -> Self {
        // The request may have been read before it ended; what is told is the ending that is to be shown.
        let request = what.request.clone().ended(what.ending.clone());
        Self::Settle {
            delivery: what.delivery,
            to: what.to,
            receipt: what.receipt.as_str(),
            request: Box::new((&request).into()),
            text: what.ending.closing(text_max),
        }
    }

    /// The word in `type`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Request { .. } => "request",
            Self::Message { .. } => "message",
            Self::Notice { .. } => "notice",
            Self::Code { .. } => "code",
            Self::Settle { .. } => "settle",
        }
    }

    /// The `webhook-id`: the same for every try of the same thing. A probe is a new one each time.
    #[must_use]
    pub fn id(&self, now: Timestamp) -> String {
        let kind = self.kind();
        match self {
            Self::Probe => format!("{kind}_{}", now.micros()),
            Self::Settle { delivery, .. } => format!("{kind}_{delivery}"),
            Self::Request { sending, .. }
            | Self::Message { sending, .. }
            | Self::Notice { sending, .. }
            | Self::Code { sending, .. } => format!("{kind}_{}", sending.delivery),
        }
    }
}
