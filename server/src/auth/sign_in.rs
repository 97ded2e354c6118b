//! Signing in, renewing and signing out.

use std::{fmt, net::IpAddr, time::Duration};

use tokio::time::sleep;
use uuid::Uuid;

use super::{Auth, access_token::Access};
use crate::{
    account::{Account, NewRefresh, Rotated, SignInBegun},
    api::problem::Problem,
    digest,
};

/// How long a log-in that is refused before its password is looked at has to wait for the answer. Whoever floods the hub waits
/// for an answer before they send more over the same connection, and the hub waits for free. It is a pace, and no rule: so it
/// is of real time, not of the hub's clock.
const REFUSED_AFTER: Duration = Duration::from_secs(1);
const WRONG: &str = "The username or the password is wrong.";

/// A sign-in, new or renewed.
pub struct SignIn {
    /// Whose it is.
    pub account: Account,
    /// What calls are made with.
    pub access_token: String,
    /// What the next access token is fetched with, once.
    pub refresh_token: String,
    /// How many seconds the access token lives.
    pub expires_in: u64,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("user", &self.account.user).finish_non_exhaustive()
    }
}

impl Auth {
    /// Signs in by username or e-mail, from an address.
    ///
    /// # Errors
    ///
    /// `unauthenticated`, without telling what was wrong; `too_many_requests` after too many that failed, for names that nobody
    /// has too; `unavailable` while too many sign in at once; `forbidden` to who knows the password of a deactivated account.
    pub async fn log_in(&self, login: &str, password: String, from: Option<IpAddr>) -> Result<SignIn, Problem> {
        let login = login.trim().to_lowercase();
        let mut account = None;
        let verify = async {
            account = self.accounts.account_by_login(&login).await?;
            let stored = account.as_ref().and_then(|account| account.password.clone());
            self.passwords.verify(password, stored).await
        };
        let right = match self.attempts.guarded(&login, from, verify).await {
            Ok(right) => right,
            Err(refused) => {
                sleep(REFUSED_AFTER).await;
                return Err(refused);
            }
        };
        match account.filter(|_| right) {
            Some(account) if account.is_active() => self.begin(account).await,
            Some(_) => Err(Problem::forbidden("This account is deactivated. Ask an administrator of this hub.")),
            None => Err(Problem::unauthenticated(WRONG)),
        }
    }

    /// Uses up a refresh token for new tokens.
    ///
    /// # Errors
    ///
    /// `unauthenticated`. One that was used before has ended its sign-in.
    pub async fn refresh(&self, token: &str) -> Result<SignIn, Problem> {
        let (text, next) = self.new_refresh();
        match self.accounts.rotate_refresh(&digest::sha256(token.as_bytes()), next).await? {
            Rotated::New { account, family } => self.signed_in(account, family, text),
            Rotated::Unknown => {
                Err(Problem::unauthenticated("The refresh token is unknown or has expired. Sign in again."))
            }
            Rotated::Reused => {
                tracing::warn!("a refresh token was used twice: its sign-in is revoked");
                Err(Problem::unauthenticated(
                    "The refresh token was used before, so its sign-in has ended. Sign in again.",
                ))
            }
        }
    }

    /// Ends a sign-in.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn sign_out(&self, sign_in: Uuid) -> Result<(), Problem> {
        Ok(self.accounts.end_sign_in(sign_in).await?)
    }

    /// Begins a sign-in of an account whose password was verified.
    pub(super) async fn begin(&self, account: Account) -> Result<SignIn, Problem> {
        let family = self.ids.next();
        let (text, first) = self.new_refresh();
        match self.accounts.begin_sign_in(&account, family, first).await? {
            SignInBegun::Now => self.signed_in(account, family, text),
            SignInBegun::Void => Err(Problem::unauthenticated(WRONG)),
        }
    }

    fn new_refresh(&self) -> (String, NewRefresh) {
        let text = digest::random_text();
        let at = self.clock.now();
        let hash = digest::sha256(text.as_bytes());
        (text, NewRefresh { hash, at, expires_at: at.after(self.refresh_life) })
    }

    fn signed_in(&self, account: Account, sign_in: Uuid, refresh_token: String) -> Result<SignIn, Problem> {
        let access = Access { user: account.user.id, sign_in };
        let access_token = self.access_tokens.issue(access, self.clock.now())?;
        Ok(SignIn { account, access_token, refresh_token, expires_in: self.access_tokens.life().as_secs() })
    }
}
