//! The rules of Hearback. This crate talks to no network and no database: those are ports, implemented elsewhere.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`feedback`] | requests, their questions, responses, deliveries and endings |
//! | [`reading`] | the one reader of plain-language answers |
//! | [`channel`] | the contract of a channel, what goes out over it and what comes in |
//! | [`layer`] | what surrounds every channel: trace, metrics, guard, breaker, limit, timeout |
//! | [`hub`] | the orchestrator: create, dispatch, respond, settle, expire, supervise |
//! | [`callback`] | what the asker is told at its `callback_url`, and the port that calls it |
//! | [`store`] | the storage port, as atomic use cases, with an in-memory store |
//! | [`vault`] | the port for secrets and durable adapter state |
//! | [`event`] | the ordered log that sockets and streams are fed from |
//! | [`person`] | who asks, who is asked |
//! | [`limits`] | how much a person may do in a minute, and the port that counts it |
//! | [`network`] | which addresses may be called on somebody's word |
//! | [`clock`], [`id`], [`error`], [`secret`] | time, identity, faults and what must not be printed |

pub mod callback;
pub mod channel;
pub mod clock;
pub mod error;
pub mod event;
pub mod feedback;
pub mod hub;
pub mod id;
pub mod layer;
pub mod limits;
pub mod network;
pub mod person;
pub mod reading;
pub mod secret;
pub mod store;
pub mod vault;

pub use clock::{Clock, Timestamp};
pub use error::{Error, ErrorKind, Result, Retry};
