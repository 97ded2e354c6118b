//! Where people are reached: as it is shown, given, claimed and confirmed.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hearback_core::{
    Timestamp,
    channel::{Address, ChannelName},
    id::{AddressId, UserId},
    person::UserRef,
    secret::Secret,
};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many digits a code has.
pub const CODE_DIGITS: usize = 8;
/// How long a code is good.
pub const CODE_LIFE: Duration = Duration::from_mins(10);
/// How long after a code was sent to an address the next one may be.
pub const CODE_PAUSE: Duration = Duration::from_mins(1);
/// How many wrong codes may be shown before it takes a new one.
pub const CODE_TRIES: u32 = 5;
/// How many addresses of a person may wait for their confirmation.
pub const WAITING_MAX: usize = 5;

/// Where a person is reached on a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Address")]
pub struct AddressDocument {
    /// Its id.
    pub id: AddressId,
    /// The channel.
    pub channel: ChannelName,
    /// The address, in the channel's own manner; on channels of e-mail in lower case.
    pub address: Address,
    /// Whether it is known to be this person's: only then is anything sent there, and believed from there.
    pub confirmed: bool,
    /// Until when the code is good that was sent there; `null` when it is confirmed, or no code is kept any more.
    pub expires_at: Option<Timestamp>,
    /// Since when it takes nothing from the channel: the person has blocked the bot there, say. Nothing is sent there until they
    /// are back. `null` as long as all is well.
    pub blocked_at: Option<Timestamp>,
}

/// A link by which a person links their account on a channel.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AddressLink")]
pub struct LinkDocument {
    /// What to open in the app of the channel.
    pub link: String,
    /// The one-time code in it, for those who type it.
    pub code: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// A one-time code that links an account of a channel to a person.
#[derive(Clone, Debug)]
pub struct LinkOffer {
    /// Who gets it.
    pub user: UserId,
    /// The channel.
    pub channel: ChannelName,
    /// The SHA-256 of the code.
    pub hash: [u8; 32],
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// An address to give a person, confirmed.
#[derive(Clone, Debug)]
pub struct NewAddress {
    /// Its id, if they do not have it yet.
    pub id: AddressId,
    /// Whose it is.
    pub user: UserId,
    /// The channel.
    pub channel: ChannelName,
    /// Where the person is reached on it.
    pub address: Address,
    /// Whether it is an e-mail address: when it is the account's own, that is confirmed too.
    pub is_email: bool,
    /// When it is given.
    pub at: Timestamp,
}

/// What became of giving a person an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressAdded {
    /// It is theirs by this id, from now on or already.
    Theirs(AddressId),
    /// There is no such person.
    NoSuchPerson,
    /// It is this person's.
    Taken(UserRef),
}

/// An address that a person says is theirs, with the code that is to be sent there.
#[derive(Clone, Debug)]
pub struct AddressClaim {
    /// Its id, if it does not wait for its confirmation yet.
    pub id: AddressId,
    /// Who says so.
    pub user: UserId,
    /// The channel.
    pub channel: ChannelName,
    /// The address.
    pub address: Address,
    /// The code.
    pub code: Secret,
    /// When it is said, and the code sent.
    pub at: Timestamp,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressClaimed {
    /// It waits for its confirmation, by the new code alone.
    Waiting(AddressDocument),
    /// It is theirs and confirmed: there is nothing to send.
    Confirmed(AddressDocument),
    /// A code was sent there lately: the next one may be sent then. Nothing is changed.
    TooSoon(Timestamp),
    /// As many other addresses as may wait do. Nothing is changed.
    TooMany,
}

/// A code that a person shows for one of their addresses.
#[derive(Clone, Debug)]
pub struct ShownCode {
    /// Who shows it.
    pub user: UserId,
    /// For which address.
    pub id: AddressId,
    /// What they show.
    pub code: Secret,
    /// The channels whose addresses are e-mail addresses.
    pub email_channels: Vec<ChannelName>,
    /// When they show it.
    pub at: Timestamp,
}

/// What became of a code that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeShown {
    /// The address is confirmed, by this code or before.
    Confirmed(AddressDocument),
    /// It is not the code; so many more may be shown.
    Wrong(u32),
    /// There is no code that is good any more.
    Stale,
    /// It is the code, but another person has the address. The code is used up.
    Taken,
    /// They have no such address.
    NotFound,
}

/// A new code, that nobody can guess.
#[must_use]
pub fn new_code() -> Secret {
    let number = rand::rng().random_range(0..100_000_000_u32);
    format!("{number:0CODE_DIGITS$}").into()
}

/// A new code for a link, that nobody can guess: 22 letters, digits, `-` and `_`, as every provider takes them in a link.
#[must_use]
pub fn new_link_code() -> Secret {
    let number: u128 = rand::rng().random();
    URL_SAFE_NO_PAD.encode(number.to_be_bytes()).into()
}

#[cfg(test)]
mod tests {
    use hearback_core::secret::ExposeSecret;

    use super::*;

    #[test]
    fn codes_are_eight_digits_and_differ() {
        let codes: std::collections::BTreeSet<_> = (0..100).map(|_| new_code().expose_secret().to_owned()).collect();
        assert!(codes.len() > 95, "{codes:?}");
        assert!(
            codes.iter().all(|code| code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_digit())),
            "{codes:?}"
        );
    }
}
