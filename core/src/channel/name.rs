//! The names of channels, addresses on them, and receipts.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

/// The longest channel name.
const NAME_MAX: usize = 40;
/// The longest address, in bytes: an e-mail address has at most 320.
const ADDRESS_MAX: usize = 512;

/// The name of a channel, as configured: lower-case letters, digits, `-` and `_`, beginning with a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct ChannelName(#[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z][a-z0-9_-]*$"))] String);

impl ChannelName {
    /// Answers from the page have this channel. No channel can be configured under it.
    pub const WEB: &'static str = "web";
    /// Answers over the HTTP API have this channel. No channel can be configured under it.
    pub const API: &'static str = "api";

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for a way in that is not a channel.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        [Self::WEB, Self::API].contains(&self.0.as_str())
    }
}

/// A text that cannot be what it should be; its message says what can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(pub(crate) &'static str);

impl FromStr for ChannelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if text.len() <= NAME_MAX && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(rest) {
            return Ok(Self(text.into()));
        }
        Err(NameError("a channel's name has 1 to 40 characters of a-z, 0-9, - and _ and begins with a letter"))
    }
}

/// Where a person is reached on a channel: `team:user` on Slack, an e-mail address, a chat id, a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Address(
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"))] String,
);

impl Address {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same in lower case: one e-mail address can be written in many ways.
    #[must_use]
    pub fn in_lower_case(self) -> Self {
        self.0.to_lowercase().parse().unwrap_or(self)
    }
}

impl FromStr for Address {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > ADDRESS_MAX || text.chars().any(char::is_control) {
            return Err(NameError("an address has 1 to 512 bytes and no control characters"));
        }
        Ok(Self(text.into()))
    }
}

/// The provider's own id for what was sent, enough to edit or thread it later.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Receipt(String);

impl Receipt {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Receipt {
    fn from(text: String) -> Self {
        Self(text)
    }
}

macro_rules! text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
text!(ChannelName, Address, Receipt);

macro_rules! parsed {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}
parsed!(ChannelName, Address);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_name_is_a_plain_word() {
        for good in ["slack", "slack-2", "a", "my_team"] {
            assert!(good.parse::<ChannelName>().is_ok(), "{good}");
        }
        for bad in ["", "Slack", "2slack", "a b", "a/b", "ä", &"a".repeat(41)] {
            assert!(bad.parse::<ChannelName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_holds_no_control_characters() {
        assert!("ana@example.com".parse::<Address>().is_ok());
        for bad in ["", "ana@example.com\r\nBcc: all", &"a".repeat(513)] {
            assert!(bad.parse::<Address>().is_err());
        }
    }
}
