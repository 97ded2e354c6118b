//! Calls of a provider's to the hub.

use std::{fmt, future::Future, pin::Pin};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header::HeaderValue};

/// A call to `/api/channels/{name}/{tail}`, untouched: signatures are over the raw body.
#[derive(Clone, Debug)]
pub struct Callback {
    /// The method.
    pub method: Method,
    /// The segment after the channel's name.
    pub tail: String,
    /// The query string without its question mark.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The raw body.
    pub body: Bytes,
}

/// The answer to a callback, and work for after it.
pub struct CallbackReply {
    /// The status.
    pub status: StatusCode,
    /// The body's type, where there is a body.
    pub content_type: Option<HeaderValue>,
    /// Further headers: the methods that are taken, say, where one is not.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What to do once the answer has gone out: Slack, say, wants its answer within 3 s, and a dialog after it.
    pub after: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl CallbackReply {
    /// `200` and nothing else.
    #[must_use]
    pub fn ok() -> Self {
        Self { status: StatusCode::OK, content_type: None, headers: HeaderMap::new(), body: Bytes::new(), after: None }
    }
}

impl fmt::Debug for CallbackReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, content_type, headers: _, body, after } = self;
        let work = if after.is_some() { ", and work after it" } else { "" };
        write!(f, "CallbackReply({status}, {content_type:?}, {} bytes{work})", body.len())
    }
}
