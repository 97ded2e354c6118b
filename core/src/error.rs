//! Faults: what kind, whether another try may help, during what, and no secret.

use std::{borrow::Cow, fmt, time::Duration};

/// The result of an operation that may fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of fault it is. The orchestrator decides by this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The configuration does not allow it.
    Config,
    /// The channel cannot do this at all; its capabilities say so beforehand.
    Unsupported,
    /// The provider refused what was sent: too long, malformed, blocked.
    Rejected,
    /// The credentials are wrong, expired or revoked.
    Auth,
    /// The address, message or object does not exist.
    NotFound,
    /// The provider asks to slow down.
    RateLimited,
    /// The service does not answer, or answers that it is ill.
    Unavailable,
    /// It may or may not have happened: bytes left, no answer came.
    Ambiguous,
    /// What should not happen: a fault of the program or of its data.
    Unexpected,
}

/// Whether another try may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same call will fail again.
    Never,
    /// After a while of the caller's choosing.
    Backoff,
    /// Not before this long, as the provider asked.
    After(Duration),
}

/// A fault of an operation. Its text is safe to log and to show.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of the fault, and any of them may be said together"
)]
#[derive(Debug, thiserror::Error)]
pub struct Error {
    kind: ErrorKind,
    retry: Retry,
    operation: &'static str,
    detail: Cow<'static, str>,
    of_recipient: bool,
    uncalled: bool,
    in_doubt: bool,
    blocked: bool,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A fault of `kind` during `operation` (`"slack.send"`). `detail` is a sentence for people, without secrets.
    pub fn new(kind: ErrorKind, operation: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry = match kind {
            ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Ambiguous => Retry::Backoff,
            _ => Retry::Never,
        };
        Self {
            kind,
            retry,
            operation,
            detail: detail.into(),
            of_recipient: false,
            uncalled: false,
            in_doubt: kind == ErrorKind::Ambiguous,
            blocked: false,
            source: None,
        }
    }

    /// The channel cannot do `operation`.
    #[must_use]
    pub fn unsupported(operation: &'static str) -> Self {
        Self::new(ErrorKind::Unsupported, operation, "this channel cannot do that")
    }

    /// The same fault with what lies below it, which must hold no secret either.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same fault with another word on retrying.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The same fault, which lies with the one person it was meant for: it says nothing about the service.
    #[must_use]
    pub fn of_recipient(mut self) -> Self {
        self.of_recipient = true;
        self
    }

    /// The same fault, of a layer that stopped the call before it reached the channel: no attempt was made.
    #[must_use]
    pub fn uncalled(mut self) -> Self {
        self.uncalled = true;
        self
    }

    /// The same fault, after which what was sent may have arrived although trying again is harmless. Ambiguous ones always
    /// are so.
    #[must_use]
    pub fn in_doubt(mut self) -> Self {
        self.in_doubt = true;
        self
    }

    /// The same fault, of an address whose person takes nothing from this channel any more: nothing further is sent there until
    /// [`crate::channel::Inbound::Unblocked`].
    #[must_use]
    pub fn blocked(mut self) -> Self {
        self.blocked = true;
        self.of_recipient()
    }

    /// Whether the address takes nothing from the channel any more.
    #[must_use]
    pub const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether what was sent may have arrived.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Whether the call was stopped before it reached the channel.
    #[must_use]
    pub const fn is_uncalled(&self) -> bool {
        self.uncalled
    }

    /// Whether this says that the service itself is ill, which the breaker counts.
    #[must_use]
    pub const fn is_illness(&self) -> bool {
        !self.of_recipient && matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Ambiguous | ErrorKind::Auth)
    }

    /// What kind of fault it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether another try may help.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        self.retry
    }

    /// What was being done.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// The sentence for people.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.detail)
    }
}

/// One field of an input that is at fault.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct FieldError {
    /// The path of the field, as `options[1].value`.
    pub field: String,
    /// What is wrong with it, for people.
    pub detail: String,
    /// The values that would do, where they can be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
}

impl FieldError {
    /// A fault of `field`.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into(), allowed: Vec::new() }
    }

    /// The same fault with the values that would do.
    #[must_use]
    pub fn allowing<S: Into<String>>(mut self, allowed: impl IntoIterator<Item = S>) -> Self {
        self.allowed = allowed.into_iter().map(Into::into).collect();
        self
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.detail)?;
        if !self.allowed.is_empty() {
            write!(f, " (allowed: {})", self.allowed.join(", "))?;
        }
        Ok(())
    }
}
