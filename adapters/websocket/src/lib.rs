//! The websocket adapter: people and agents at an open socket.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`protocol`] | the messages, as flat JSON objects with `type` |
//! | [`sockets`] | who is connected, how far each has been written to, and the limits |
//! | [`connection`] | one socket: its feed from the event log, and what its client says |
//! | [`channel`] | the channel over open sockets |
//!
//! Nothing here knows an HTTP server: frames come and go over a stream and a sink.

pub mod channel;
pub mod connection;
pub mod protocol;
pub mod sockets;

pub use channel::Websocket;
pub use connection::{Client, Incoming, Outgoing};
pub use sockets::{AdmissionError, Limits, Ticket};
