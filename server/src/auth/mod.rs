//! Who calls: passwords, access and refresh tokens, service tokens, the page's cookies, and the origins of its pages.

mod access_token;
mod answer_token;
mod attempts;
mod cookies;
mod extract;
mod hashing;
mod manage;
mod origin;
mod password;
mod principal;
mod registration;
mod service_token;
mod sign_in;

use std::{fmt, sync::Arc, time::Duration};

use hearback_core::{Clock, Result, id::Ids};
use tokio::sync::broadcast;

use crate::{
    account::{AccountStore, Over},
    config::Config,
    limits::Counts,
    storage::{Cipher, Secrets},
};

pub use answer_token::{AnswerClaims, AnswerTokens};
pub use attempts::Attempts;
pub use cookies::Cookies;
pub use extract::{Administrator, Authenticated, SignedIn};
pub use manage::{AccountChanges, CreatedServiceUser, NewServiceUser, PasswordChange};
pub use origin::Origins;
pub(crate) use origin::origin;
pub use principal::{Agent, Person, Principal, Via};
pub(crate) use principal::{bearer, is_safe};
pub use registration::Registration;
pub(crate) use service_token::{ANSWER_CONTEXT, webhook_context};
pub use service_token::{CreatedToken, NewServiceToken};
pub use sign_in::SignIn;

use access_token::AccessTokens;
use hashing::Hashing;

/// Finds out who calls, and signs people in and out.
pub struct Auth {
    accounts: Arc<dyn AccountStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    cipher: Arc<Cipher>,
    passwords: Hashing,
    access_tokens: AccessTokens,
    refresh_life: Duration,
    registration_open: bool,
    /// Log-ins that fail.
    pub attempts: Attempts,
    /// Whose pages may call.
    pub origins: Origins,
    /// How the page's cookies are set.
    pub cookies: Cookies,
}

impl Auth {
    /// Authentication by a configuration whose `bind` is the address that the hub listens on.
    ///
    /// # Errors
    ///
    /// When passwords cannot be hashed on this machine.
    pub fn new(
        config: &Config,
        secrets: &Secrets,
        cipher: Arc<Cipher>,
        accounts: Arc<dyn AccountStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<Ids>,
        counts: Arc<dyn Counts>,
    ) -> Result<Self> {
        let access_life = Duration::from_mins(config.access_token_minutes.into());
        Ok(Self {
            accounts,
            ids,
            cipher,
            passwords: Hashing::start()?,
            access_tokens: AccessTokens::new(secrets, access_life),
            refresh_life: Duration::from_hours(u64::from(config.refresh_token_days) * 24),
            registration_open: config.registration_is_open(),
            attempts: Attempts::new(config, counts, clock.clone()),
            origins: Origins::new(config),
            cookies: Cookies::new(config),
            clock,
        })
    }

    /// Hears of every token and sign-in that is ended from now on, on any server, for [`Auth::until_over`]. Subscribe before
    /// authenticating, or an ending in between is missed.
    #[must_use]
    pub fn over(&self) -> broadcast::Receiver<Over> {
        self.accounts.over()
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("origins", &self.origins).field("cookies", &self.cookies).finish_non_exhaustive()
    }
}
