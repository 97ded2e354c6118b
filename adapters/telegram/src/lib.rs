//! The Telegram adapter: a bot that asks people, and hears what they tap and reply.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `channel` | the channel: probe, link, send, settle |
//! | `settings` | its settings, and whether Telegram can call the hub |
//! | `api` | one call of the Bot API, and what its faults mean |
//! | `question`, `markdown`, `html`, `keyboard` | a question as a message: its text, and its buttons |
//! | `update` | what Telegram tells, as far as it is read |
//! | `hear` | taps and replies: stored first, then answered |
//! | `command` | `/start`, `/help`, `/info`, `/pending`, `/stop` |
//! | `speak` | what is said once an update is stored |
//! | `words` | the sentences |
//! | `memory` | what is remembered between updates: ticks, and what a reply answers |
//! | `listen`, `webhook` | long polling, and the webhook with its secret |
//!
//! The Bot API's methods and their parameters are teloxide's; why calls and updates are not is in
//! `docs/decisions/0026-telegram.md`.

mod api;
mod channel;
mod command;
mod hear;
mod html;
mod keyboard;
mod listen;
mod markdown;
mod memory;
mod question;
mod settings;
mod speak;
mod update;
mod webhook;
mod words;

pub use channel::{Telegram, TelegramAdapter};
pub use settings::Settings;
