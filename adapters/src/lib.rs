//! The adapters, one feature and one line for each kind.

use hearback_core::channel::{Adapters, MemoryAdapter};

#[cfg(feature = "telegram")]
pub use hearback_telegram as telegram;
#[cfg(feature = "webhook")]
pub use hearback_webhook as webhook;
#[cfg(feature = "websocket")]
pub use hearback_websocket as websocket;

/// The kinds that a `[channels.NAME]` table can name. The websocket channel is not among them: it is always there, once.
#[must_use]
pub fn configurable() -> Adapters {
    Adapters::new(vec![
        Box::new(MemoryAdapter),
        #[cfg(feature = "telegram")]
        Box::new(telegram::TelegramAdapter),
        #[cfg(feature = "webhook")]
        Box::new(webhook::WebhookAdapter),
    ])
}
