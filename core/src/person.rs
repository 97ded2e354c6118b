//! Who asks and who is asked; how the latter like to be reached is in `preferences.rs` and `quiet.rs`.

mod addresses;
mod preferences;
mod quiet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use addresses::{Addresses, BLOCKED, Linked, MemoryAddresses};
pub use preferences::{Locale, Preferences};
pub use quiet::{QuietHours, TimeOfDay, Timezone};

use crate::{
    channel::{Address, ChannelName},
    id::{TokenId, UserId},
};

/// A person, as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct UserRef {
    /// Their account.
    pub id: UserId,
    /// The name they chose.
    pub username: String,
}

/// Who put a request: a person, or an agent with one of that account's service tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The account that asks.
    pub user: UserRef,
    /// The service token it asked with; `None` when the person asked.
    pub token: Option<TokenRef>,
}

/// A service token, as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRef {
    /// The token's id, which is not the token.
    pub id: TokenId,
    /// The name its owner gave it.
    pub name: String,
}

/// A person with what a route needs: where they can be reached, and how they like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who it is.
    pub user: UserRef,
    /// How they like to be reached.
    pub preferences: Preferences,
    /// Their confirmed addresses. Channels that know people by their account need none.
    pub addresses: Vec<(ChannelName, Address)>,
}

/// Who reads the event log: a person what is asked of them, a service token what it asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    /// A person.
    Person(UserId),
    /// An agent.
    Token(TokenId),
}

impl Reader {
    /// The reader's key in storage. Ids are unique across kinds, so the bare UUID will do.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        match self {
            Self::Person(id) => id.uuid(),
            Self::Token(id) => id.uuid(),
        }
    }
}
