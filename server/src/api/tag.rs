//! The parts of the API, as its documentation shows them.

use poem_openapi::Tags;

/// A part of the API.
#[derive(Clone, Copy, Debug, Tags)]
pub enum Tag {
    /// Accounts and signing in.
    Auth,
    /// Service tokens of agents.
    Tokens,
    /// People: their accounts, and where they are reached.
    Users,
    /// Feedback requests: asking, waiting, answering.
    Feedback,
    /// The channels that carry requests to people.
    Channels,
    /// The hub itself: what it is and how it fares.
    Hub,
}
