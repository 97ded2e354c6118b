//! What a channel can do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How fast a provider lets a channel send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SendRate {
    /// Sends a second in the long run; at least 1.
    #[schemars(range(min = 1))]
    pub per_second: u32,
    /// Sends at once after a pause; at least 1.
    #[schemars(range(min = 1))]
    pub burst: u32,
}

#[expect(clippy::struct_excessive_bools, reason = "each is an ability of its own, and a field of the API")]
/// What a channel can do. The guard layer refuses what is not declared here, before any I/O.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capabilities {
    /// Approvals and choices are answered by a tap.
    pub buttons: bool,
    /// Forms are filled in where they arrive.
    pub forms: bool,
    /// It carries what asks nothing, too: messages, notices and codes.
    pub messages: bool,
    /// What was sent can be changed, so settling edits it.
    pub edit: bool,
    /// Messages can be put into a thread.
    pub threads: bool,
    /// People can answer on it.
    pub inbound: bool,
    /// The provider tells when a message arrived or was seen.
    pub receipts: bool,
    /// Sending the same request twice shows it once.
    pub idempotent_send: bool,
    /// Everybody with an account can be reached on it, at an address that is their user id.
    pub account_addresses: bool,
    /// Its addresses are e-mail addresses: they are compared and kept in lower case, and whoever confirms one that is
    /// their account's e-mail has confirmed that.
    pub email_addresses: bool,
    /// People link their accounts by opening a link with a one-time code ([`super::Channel::link`]).
    pub links: bool,
    /// The longest text, in Unicode scalar values.
    pub text_max: Option<u32>,
    /// The most options of a choice.
    pub choices_max: Option<u32>,
    /// How fast the provider lets it send.
    pub send_rate: Option<SendRate>,
    /// How fast it may send to one address.
    pub address_rate: Option<SendRate>,
}
