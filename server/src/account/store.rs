//! The port that stores accounts, as atomic use cases.

use std::fmt;

use async_trait::async_trait;
use hearback_core::{
    Result, Timestamp,
    id::{AddressId, TokenId, UserId},
    person::Preferences,
    store::{Idempotency, Page},
};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::{
    Account, AddressAdded, AddressClaim, AddressClaimed, AddressDocument, CodeShown, LinkOffer, NewAddress, Role,
    ServiceToken, ShownCode,
};

/// An account to make.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its id.
    pub id: UserId,
    /// Its username, in lower case.
    pub username: String,
    /// Its e-mail, in lower case.
    pub email: String,
    /// The argon2id hash of its password in PHC form.
    pub password: String,
    /// When it is made.
    pub at: Timestamp,
    /// Whether it may be made although there are accounts already.
    pub open: bool,
}

/// What became of a registration.
#[derive(Clone, Debug)]
pub enum Registered {
    /// The account; the first one is the administrator's.
    New(Account),
    /// Registration is closed.
    Closed,
    /// This field's value belongs to another account: `email` or `username`.
    Taken(&'static str),
}

/// A service token to make.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What is shown of it.
    pub token: ServiceToken,
    /// Whose it is.
    pub user_id: UserId,
    /// The sign-in that asks for it; `None` for a service user's.
    pub sign_in: Option<Uuid>,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The webhook secret, sealed by the hub's cipher.
    pub sealed_webhook_secret: Vec<u8>,
    /// The caller's idempotency key with the sealed answer to keep for it.
    pub kept: Option<KeptAnswer>,
}

/// A service user to make, with its first token.
#[derive(Clone, Debug)]
pub struct NewServiceUser {
    /// Its username, in lower case.
    pub username: String,
    /// Its e-mail, in lower case.
    pub email: String,
    /// Its token, whose `user_id` becomes the user's id.
    pub token: NewToken,
}

/// What became of making a service user.
#[derive(Clone, Debug)]
pub enum ServiceUserCreated {
    /// It is made, with its token.
    New,
    /// The same call made one before: its sealed answer.
    Replayed(Vec<u8>),
    /// The idempotency key was used with another body.
    Mismatch,
    /// This field's value belongs to another account: `email` or `username`.
    Taken(&'static str),
}

/// What is to be different of an account; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// What it may do.
    pub role: Option<Role>,
    /// Whether it may do anything. To deactivate it ends everything that began with its tokens and sign-ins.
    pub active: Option<bool>,
    /// Whether its e-mail is known to be theirs.
    pub email_confirmed: Option<bool>,
    /// The argon2id hash of a new password, in PHC form. It ends every sign-in.
    pub password: Option<String>,
}

/// What became of changing an account.
#[derive(Clone, Debug)]
pub enum Changed {
    /// The account as it is now.
    Now(Account),
    /// There is no such account.
    NoSuchPerson,
    /// It is the last active administrator's, and somebody has to manage the hub.
    LastAdministrator,
    /// A service user cannot have this: `role` or `password`.
    OfServiceUser(&'static str),
}

/// What became of beginning a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInBegun {
    /// It is begun.
    Now,
    /// Meanwhile the account was deactivated, or its password changed.
    Void,
}

/// An answer kept for a repeated call, sealed since it shows a secret.
#[derive(Clone, Debug)]
pub struct KeptAnswer {
    /// The key.
    pub idempotency: Idempotency,
    /// The answer, sealed by the hub's cipher.
    pub sealed: Vec<u8>,
}

/// What became of making a service token.
#[derive(Clone, Debug)]
pub enum TokenCreated {
    /// It is made.
    New,
    /// The same call made one before: its sealed answer.
    Replayed(Vec<u8>),
    /// The key was used with another body.
    Mismatch,
    /// Meanwhile the sign-in was ended, or the account deactivated.
    Void,
}

/// A refresh token that begins a sign-in, or follows another.
#[derive(Clone, Copy, Debug)]
pub struct NewRefresh {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// When it is given.
    pub at: Timestamp,
    /// When it ceases to work.
    pub expires_at: Timestamp,
}

/// What became of a refresh token that was shown.
#[derive(Clone, Debug)]
pub enum Rotated {
    /// It was good and is used up; the new one takes its place in this sign-in.
    New {
        /// Whose it is.
        account: Account,
        /// The sign-in that both belong to.
        family: Uuid,
    },
    /// Nobody knows it, it has expired, or its sign-in is over.
    Unknown,
    /// It had been used: somebody holds a copy. The whole sign-in is revoked.
    Reused,
}

/// What ceased to be good for calling: open sockets, streams and waits that began with it end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// A service token was revoked.
    Token(TokenId),
    /// A person signed out, or their sign-in was revoked.
    SignIn(Uuid),
    /// An account was deactivated: all of its tokens and sign-ins.
    Account(UserId),
    /// Word from other servers was lost: whoever has to know asks.
    Unknown,
}

/// Durable accounts.
#[async_trait]
pub trait AccountStore: fmt::Debug + Send + Sync + 'static {
    /// Whether there is no account yet.
    async fn is_empty(&self) -> Result<bool>;

    /// Makes an account; the first one becomes [`super::Role::Administrator`], decided under the write lock.
    async fn register(&self, new: NewAccount) -> Result<Registered>;

    /// An account.
    async fn account(&self, id: UserId) -> Result<Option<Account>>;

    /// The account with this username or e-mail, in any case of letters.
    async fn account_by_login(&self, login: &str) -> Result<Option<Account>>;

    /// The accounts, newest first, with ids below `before`.
    async fn accounts(&self, before: Option<UserId>, limit: usize) -> Result<Page<Account>>;

    /// Changes an account; all of it, or nothing.
    async fn change(&self, id: UserId, changes: Changes, at: Timestamp) -> Result<Changed>;

    /// Puts a new password's hash in the place of `before`, and ends every sign-in of the account but `kept`. Says whether
    /// `before` was still there.
    async fn change_password(&self, id: UserId, before: &str, password: &str, kept: Uuid) -> Result<bool>;

    /// Makes a service user with its token.
    async fn create_service_user(&self, new: NewServiceUser) -> Result<ServiceUserCreated>;

    /// Gives a person an address. What is asked of them is to be delivered there: each of their pending requests is due to be
    /// looked at, with the same commit.
    async fn add_address(&self, new: NewAddress) -> Result<AddressAdded>;

    /// The addresses of an account, by channel and address.
    async fn addresses(&self, user: UserId) -> Result<Vec<AddressDocument>>;

    /// Notes that a person says that an address is theirs, and the code that is to be sent there, sealed. It waits for its
    /// confirmation, with anybody else who says the same; a confirmed one stays as it is, whosever it is.
    async fn claim_address(&self, claim: AddressClaim) -> Result<AddressClaimed>;

    /// Confirms an address if the code is the one that was sent there, as [`AccountStore::add_address`] gives one; a wrong
    /// one is counted. Of several who confirm the same address the first gets it.
    async fn confirm_address(&self, shown: ShownCode) -> Result<CodeShown>;

    /// Keeps the code of a link, in the place of the one that the person had for the channel.
    async fn offer_link(&self, offer: LinkOffer) -> Result<()>;

    /// Takes an address away from a person: what is out there stays, what comes from there is nobody's. Says whether they
    /// had it.
    async fn remove_address(&self, user: UserId, id: AddressId) -> Result<bool>;

    /// How a person likes to be reached; `None` when there is no such person.
    async fn preferences(&self, user: UserId) -> Result<Option<Preferences>>;

    /// Gives a person other preferences, and, with the same commit, what waits for the end of their quiet hours the time that
    /// these give it. Says whether there is such a person.
    async fn prefer(&self, user: UserId, preferences: Preferences, at: Timestamp) -> Result<bool>;

    /// Makes a service token.
    async fn create_token(&self, new: NewToken) -> Result<TokenCreated>;

    /// The service tokens of an account that are not revoked, newest first, with ids below `before`.
    async fn tokens(&self, user: UserId, before: Option<TokenId>, limit: usize) -> Result<Page<ServiceToken>>;

    /// Revokes a service token of this account. Says whether there was one.
    async fn revoke_token(&self, user: UserId, id: TokenId, at: Timestamp) -> Result<bool>;

    /// The working service token with this hash, with its account, which is active.
    async fn token_by_hash(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<(ServiceToken, Account)>>;

    /// Whether a service token works: neither revoked nor expired, and its account is active.
    async fn token_lives(&self, id: TokenId, now: Timestamp) -> Result<bool>;

    /// The sealed webhook secret of a service token; `None` when the token does not work.
    async fn webhook_secret(&self, id: TokenId, now: Timestamp) -> Result<Option<Vec<u8>>>;

    /// Notes that a service token was used, to the minute: it costs at most one write a minute.
    async fn touch_token(&self, id: TokenId, at: Timestamp) -> Result<()>;

    /// Begins a sign-in of an active account whose password still has the hash that was verified.
    async fn begin_sign_in(&self, account: &Account, family: Uuid, first: NewRefresh) -> Result<SignInBegun>;

    /// When a sign-in ends by itself, which renewing it puts off: with its newest refresh token. `None` when it was signed
    /// out or revoked.
    async fn sign_in_end(&self, family: Uuid) -> Result<Option<Timestamp>>;

    /// Uses up the refresh token with hash `shown` and puts `next` in its place; a used one revokes its sign-in.
    async fn rotate_refresh(&self, shown: &[u8; 32], next: NewRefresh) -> Result<Rotated>;

    /// Ends a sign-in.
    async fn end_sign_in(&self, family: Uuid) -> Result<()>;

    /// Hears of every token and sign-in whose ending is committed from now on, by any server.
    fn over(&self) -> broadcast::Receiver<Over>;
}
