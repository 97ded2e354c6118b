//! Managing accounts: what administrators change, service users, and a person's new password.

use std::fmt;

use hearback_core::{Timestamp, error::FieldError, id::UserId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Auth, CreatedToken, NewServiceToken, Person, password, registration};
use crate::{
    account::{self, Account, Changed, Changes, Role, ServiceUserCreated, TokenScope, UserDocument},
    api::{
        answer::Created,
        idempotency::{self, Claim},
        problem::{Problem, ProblemKind},
    },
};

/// What is to be different of an account; what is absent stays as it is.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UserChanges")]
pub struct AccountChanges {
    /// What it may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Whether it may do anything. Deactivating ends its sign-ins, and everything that goes on with its tokens, at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Whether the e-mail is known to be theirs: only then can they be asked by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_confirmed: Option<bool>,
    /// A new password, for somebody who has forgotten theirs: 8 to 256 characters, one of them a number. It ends all of
    /// their sign-ins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 256))]
    pub password: Option<String>,
}

/// A service user to make: another backend, which cannot sign in and calls with its token.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewServiceUser {
    /// The name that people see as the asker: 2 to 40 of a–z, 0–9, `.`, `_` and `-`, beginning with a letter or number.
    #[schemars(length(min = 2, max = 40), regex(pattern = registration::USERNAME))]
    pub username: String,
    /// Whom to write to about it.
    #[schemars(length(min = 3, max = 254), regex(pattern = registration::EMAIL))]
    pub email: String,
    /// What its token may do; everything but `admin` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "service_scopes")]
    pub scopes: Option<Vec<TokenScope>>,
}

/// The scopes that a token of a service user can have: that of administrators is none of them.
fn service_scopes(_: &mut SchemaGenerator) -> Schema {
    let words = TokenScope::DEFAULT.map(TokenScope::as_str);
    json_schema!({
        "type": ["array", "null"], "minItems": 1, "items": { "type": "string", "enum": words },
    })
}

/// A new service user, and its token, which never expires and is shown this once.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct CreatedServiceUser {
    /// The user.
    pub user: UserDocument,
    /// Its token.
    #[serde(flatten)]
    pub token: CreatedToken,
}

/// A new password, by who knows the present one.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The present password.
    pub current_password: String,
    /// The new one: 8 to 256 characters, one of them a number.
    #[schemars(length(min = 8, max = 256))]
    pub new_password: String,
}

impl fmt::Debug for AccountChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, active, email_confirmed, .. } = self;
        write!(f, "AccountChanges({role:?}, active: {active:?}, email_confirmed: {email_confirmed:?})")
    }
}

impl fmt::Debug for PasswordChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordChange")
    }
}

impl Auth {
    /// Changes an account on an administrator's behalf.
    ///
    /// # Errors
    ///
    /// `invalid`; `not_found`; `unavailable` while too many passwords are being hashed.
    pub async fn change_account(&self, id: UserId, changes: AccountChanges) -> Result<Account, Problem> {
        let AccountChanges { role, active, email_confirmed, password } = changes;
        let password = match password {
            Some(password) => Some(self.new_password("password", password).await?),
            None => None,
        };
        let changes = Changes { role, active, email_confirmed, password };
        match self.accounts.change(id, changes, self.clock.now()).await? {
            Changed::Now(account) => Ok(account),
            Changed::NoSuchPerson => Err(Problem::not_found("There is no account with this id.")),
            Changed::LastAdministrator => {
                let field = if active == Some(false) { "active" } else { "role" };
                let detail = "is the last active administrator: make somebody else one first";
                Err(Problem::invalid(vec![FieldError::new(field, detail)]))
            }
            Changed::OfServiceUser(field) => {
                let detail = "is a service user, which has neither a password nor a role but `member`";
                Err(Problem::invalid(vec![FieldError::new(field, detail)]))
            }
        }
    }

    /// Makes a service user with its token; a repeated call is answered as the first one.
    ///
    /// # Errors
    ///
    /// `invalid`, `taken`, or `idempotency_mismatch`.
    pub async fn create_service_user(
        &self,
        new: NewServiceUser,
        claim: Option<&Claim>,
    ) -> Result<Created<CreatedServiceUser>, Problem> {
        let now = self.clock.now();
        let names = registration::check_names(&new.email, &new.username);
        let token = NewServiceToken { name: new.username.to_lowercase(), scopes: new.scopes, expires_in: None };
        let (email, username, shown) = match (names, token.check(Role::Member, self.ids.next(), now)) {
            (Ok((email, username)), Ok(shown)) => (email, username, shown),
            (names, token) => {
                let mut faults = names.err().unwrap_or_default();
                // Where the username is wrong, the token's name, which is the same, says nothing more.
                faults.extend(token.err().into_iter().flatten().filter(|fault| fault.field != "name"));
                return Err(Problem::invalid(faults));
            }
        };
        let user = service_user(self.ids.next(), &username, &email, now);
        let (token, document) =
            self.issue(shown, user.id, None, claim, |token| CreatedServiceUser { user: user.clone(), token })?;
        match self.accounts.create_service_user(account::NewServiceUser { username, email, token }).await? {
            ServiceUserCreated::New => Ok(document),
            ServiceUserCreated::Replayed(sealed) => self.replayed(&sealed),
            ServiceUserCreated::Mismatch => Err(idempotency::mismatch()),
            ServiceUserCreated::Taken(field) => Err(registration::taken(field)),
        }
    }

    /// Gives a person a new password, and ends all of their other sign-ins.
    ///
    /// # Errors
    ///
    /// `invalid`, also when the present password is wrong; `too_many_requests` after too many that were; `unavailable` while
    /// too many passwords are being hashed.
    pub async fn change_password(&self, person: &Person, change: PasswordChange) -> Result<(), Problem> {
        let PasswordChange { current_password, new_password } = change;
        if let Some(fault) = password::fault("new_password", &new_password) {
            return Err(Problem::invalid(vec![fault]));
        }
        let wrong = || Problem::invalid(vec![FieldError::new("current_password", "is not your password")]);
        let account = self.accounts.account(person.user.id).await?;
        let stored = account.and_then(|account| account.password).ok_or_else(wrong)?;
        let verify = self.passwords.verify(current_password, Some(stored.clone()));
        if !self.attempts.guarded_for(person.user.id, verify).await? {
            return Err(wrong());
        }
        let hash = self.passwords.hash(new_password).await?;
        if self.accounts.change_password(person.user.id, &stored, &hash, person.sign_in).await? {
            return Ok(());
        }
        let detail = "Your password was changed by another call at the same time. Sign in again.";
        Err(Problem::new(ProblemKind::Unauthenticated, detail))
    }

    async fn new_password(&self, field: &'static str, password: String) -> Result<String, Problem> {
        match password::fault(field, &password) {
            Some(fault) => Err(Problem::invalid(vec![fault])),
            None => self.passwords.hash(password).await,
        }
    }
}

/// A service user as it is shown.
fn service_user(id: UserId, username: &str, email: &str, created_at: Timestamp) -> UserDocument {
    let (username, email) = (username.to_owned(), email.to_owned());
    let (email_confirmed, role, service, active) = (false, Role::Member, true, true);
    UserDocument { id, username, email, email_confirmed, role, service, active, created_at }
}
