//! Accounts: who may sign in, the service tokens of their agents, and the port that stores them.

mod addresses;
mod store;

use hearback_core::{
    Timestamp,
    id::{TokenId, UserId},
    person::UserRef,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use addresses::{
    AddressAdded, AddressClaim, AddressClaimed, AddressDocument, CODE_DIGITS, CODE_LIFE, CODE_PAUSE, CODE_TRIES,
    CodeShown, LinkDocument, LinkOffer, NewAddress, ShownCode, WAITING_MAX, new_code, new_link_code,
};
pub use store::{
    AccountStore, Changed, Changes, KeptAnswer, NewAccount, NewRefresh, NewServiceUser, NewToken, Over, Registered,
    Rotated, ServiceUserCreated, SignInBegun, TokenCreated,
};

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Manages the hub.
    Administrator,
    /// Asks and answers.
    Member,
}

/// A person's account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id and username.
    pub user: UserRef,
    /// The e-mail, in lower case.
    pub email: String,
    /// Whether the e-mail is known to be this person's: only then can they be asked by it.
    pub email_confirmed: bool,
    /// The argon2id hash of the password in PHC form; `None` for an account that cannot sign in.
    pub password: Option<String>,
    /// What it may do.
    pub role: Role,
    /// Whether it is a service user: another backend, which calls with its token and is never asked.
    pub service: bool,
    /// Since when it can do nothing, and nobody can ask it; `None` while it is active.
    pub deactivated_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Account {
    /// Whether it may do anything.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.deactivated_at.is_none()
    }
}

/// What a service token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TokenScope {
    /// Ask, and cancel what it asked.
    #[serde(rename = "feedback:write")]
    FeedbackWrite,
    /// Read what it asked.
    #[serde(rename = "feedback:read")]
    FeedbackRead,
    /// Talk with people in sessions.
    #[serde(rename = "sessions:write")]
    SessionsWrite,
    /// Do what administrators do. Only an administrator can give it, and it is good for as long as they are one.
    #[serde(rename = "admin")]
    Admin,
}

impl TokenScope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::FeedbackWrite, Self::FeedbackRead, Self::SessionsWrite, Self::Admin];
    /// What a token has that was made without naming any: what managing the hub takes is given on purpose only.
    pub const DEFAULT: [Self; 3] = [Self::FeedbackWrite, Self::FeedbackRead, Self::SessionsWrite];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FeedbackWrite => "feedback:write",
            Self::FeedbackRead => "feedback:read",
            Self::SessionsWrite => "sessions:write",
            Self::Admin => "admin",
        }
    }
}

/// An agent's service token, without the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceToken {
    /// Its id.
    pub id: TokenId,
    /// The name its owner gave it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<TokenScope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ceases to work; `null` for never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute; `null` before the first use.
    pub last_used_at: Option<Timestamp>,
}

/// An account as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "User")]
pub struct UserDocument {
    /// Its id.
    pub id: UserId,
    /// Its username.
    pub username: String,
    /// Its e-mail.
    pub email: String,
    /// Whether the e-mail is known to be theirs: only then can they be asked by it.
    pub email_confirmed: bool,
    /// What it may do.
    pub role: Role,
    /// Whether it is a service user: another backend, which calls with its token, cannot sign in and is never asked.
    pub service: bool,
    /// Whether it may do anything; one that is deactivated cannot be asked either.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<Account> for UserDocument {
    fn from(account: Account) -> Self {
        let active = account.is_active();
        let Account { user, email, email_confirmed, role, service, created_at, .. } = account;
        Self { id: user.id, username: user.username, email, email_confirmed, role, service, active, created_at }
    }
}
