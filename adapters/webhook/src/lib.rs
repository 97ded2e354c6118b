//! The webhook adapter: channels that are programs in any language, over signed HTTP. docs/plug-ins.md is their page.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`settings`] | the table in the configuration, and what a plug-in can do |
//! | [`signature`] | Standard Webhooks: signing what goes out, verifying what comes in |
//! | [`message`] | what goes out, as flat JSON objects with `type` |
//! | [`event`] | what comes in, as flat JSON objects with `type` |
//! | [`client`] | one signed call, to an address that may be called |
//! | [`answer`] | what a plug-in's answers mean |
//! | [`channel`] | the channel: probe, send, settle |
//! | `presence` | who cannot be reached, as far as the plug-in has said so |
//! | [`callback`] | the plug-in's calls, verified, read and answered |
//! | [`check`] | the cases that a plug-in must stand, for `hearback check-plugin` |

pub mod answer;
pub mod callback;
pub mod channel;
pub mod check;
pub mod client;
pub mod event;
pub mod message;
mod presence;
pub mod settings;
pub mod signature;

#[cfg(test)]
mod tests;

pub use channel::{Webhook, WebhookAdapter};
pub use check::{Check, CheckOptions, EventListener, Outcome, Report};
