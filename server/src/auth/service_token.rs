//! Service tokens: what agents call with.

use std::{fmt, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hearback_core::{
    Timestamp,
    error::FieldError,
    id::{TokenId, UserId},
    secret::ExposeSecret,
    store::Page,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Auth;
use crate::{
    account::{self, KeptAnswer, Role, ServiceToken, TokenCreated, TokenScope},
    api::{
        answer::Created,
        idempotency::{self, Claim},
        problem::Problem,
    },
    auth::Person,
    digest,
};

/// What every service token begins with.
pub(super) const PREFIX: &str = "hb_";
const NAME_MAX: usize = 100;
/// A hundred years, in seconds: enough, and far from the end of time.
const EXPIRES_IN_MAX: u64 = 3_155_760_000;
/// What the kept answer is sealed for.
pub(crate) const ANSWER_CONTEXT: &str = "token answer";

/// A service token to make.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewServiceToken {
    /// What people see as the asker: 1 to 100 characters.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// What it may do; everything but `admin` when absent. Only administrators can give `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub scopes: Option<Vec<TokenScope>>,
    /// Seconds until it ceases to work, at most a hundred years; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_155_760_000_u64))]
    pub expires_in: Option<u64>,
}

/// A new service token, with what is shown this once.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CreatedServiceToken")]
pub struct CreatedToken {
    /// What is shown of it later, too.
    #[serde(flatten)]
    pub shown: ServiceToken,
    /// The token, `hb_…`. The hub keeps only a hash.
    pub token: String,
    /// What callbacks are signed with, `whsec_…`.
    pub webhook_secret: String,
}

impl NewServiceToken {
    /// The token, for an owner of this role; or every fault.
    pub(super) fn check(self, owner: Role, id: TokenId, now: Timestamp) -> Result<ServiceToken, Vec<FieldError>> {
        let mut faults = Vec::new();
        let name = self.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
            faults.push(FieldError::new("name", "expected 1 to 100 characters, none of them a control character"));
        }
        if self.expires_in.is_some_and(|seconds| seconds == 0 || seconds > EXPIRES_IN_MAX) {
            faults.push(FieldError::new("expires_in", format!("expected 1 to {EXPIRES_IN_MAX} seconds")));
        }
        let may_have = |scope: &TokenScope| *scope != TokenScope::Admin || owner == Role::Administrator;
        let (scopes, fault) = match &self.scopes {
            None => (TokenScope::DEFAULT.to_vec(), None),
            Some(asked) if asked.is_empty() => (Vec::new(), Some("expected at least one")),
            Some(asked) if !asked.iter().all(may_have) => (Vec::new(), Some("`admin` is for tokens of administrators")),
            Some(asked) => (TokenScope::ALL.into_iter().filter(|scope| asked.contains(scope)).collect(), None),
        };
        if let Some(fault) = fault {
            let allowed = TokenScope::ALL.into_iter().filter(may_have).map(TokenScope::as_str);
            faults.push(FieldError::new("scopes", fault).allowing(allowed));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let expires_at = self.expires_in.map(|seconds| now.after(Duration::from_secs(seconds)));
        Ok(ServiceToken { id, name, scopes, created_at: now, expires_at, last_used_at: None })
    }
}

impl Auth {
    /// Makes a service token for a person; a repeated call is answered as the first one.
    ///
    /// # Errors
    ///
    /// `invalid`, or `idempotency_mismatch`.
    pub async fn create_token(
        &self,
        owner: &Person,
        new: NewServiceToken,
        claim: Option<&Claim>,
    ) -> Result<Created<CreatedToken>, Problem> {
        let shown = new.check(owner.user.role, self.ids.next(), self.clock.now()).map_err(Problem::invalid)?;
        let (new, document) = self.issue(shown, owner.user.id, Some(owner.sign_in), claim, |token| token)?;
        match self.accounts.create_token(new).await? {
            TokenCreated::New => Ok(document),
            TokenCreated::Replayed(sealed) => self.replayed(&sealed),
            TokenCreated::Mismatch => Err(idempotency::mismatch()),
            TokenCreated::Void => Err(Problem::unauthenticated("You have signed out, or your sign-in was revoked.")),
        }
    }

    /// A new token of this kind to store, and the answer that shows it.
    pub(super) fn issue<T: Serialize>(
        &self,
        shown: ServiceToken,
        user_id: UserId,
        sign_in: Option<Uuid>,
        claim: Option<&Claim>,
        document: impl FnOnce(CreatedToken) -> T,
    ) -> Result<(account::NewToken, Created<T>), Problem> {
        let token = format!("{PREFIX}{}", digest::random_text());
        let webhook_secret = format!("whsec_{}", STANDARD.encode(digest::random_bytes()));
        let sealed_webhook_secret = self.cipher.seal(&webhook_context(shown.id), &webhook_secret)?;
        let hash = digest::sha256(token.as_bytes());
        let answer = Created::new(&document(CreatedToken { shown: shown.clone(), token, webhook_secret }))?;
        let kept = match claim {
            Some(claim) => {
                let text = String::from_utf8_lossy(answer.document());
                Some(KeptAnswer { idempotency: claim.idempotency(), sealed: self.cipher.seal(ANSWER_CONTEXT, &text)? })
            }
            None => None,
        };
        Ok((account::NewToken { token: shown, user_id, sign_in, hash, sealed_webhook_secret, kept }, answer))
    }

    /// The answer that was kept of an earlier call.
    pub(super) fn replayed<T: Serialize>(&self, sealed: &[u8]) -> Result<Created<T>, Problem> {
        let document = self.cipher.open(ANSWER_CONTEXT, sealed)?;
        Ok(Created::kept(document.expose_secret().as_bytes().to_vec()))
    }

    /// The service tokens of a person, newest first, with ids below `before`.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn tokens(
        &self,
        owner: &Person,
        before: Option<TokenId>,
        limit: usize,
    ) -> Result<Page<ServiceToken>, Problem> {
        Ok(self.accounts.tokens(owner.user.id, before, limit).await?)
    }

    /// Revokes a service token of a person.
    ///
    /// # Errors
    ///
    /// `not_found` when there is none.
    pub async fn revoke_token(&self, owner: &Person, id: TokenId) -> Result<(), Problem> {
        if !self.accounts.revoke_token(owner.user.id, id, self.clock.now()).await? {
            return Err(Problem::not_found("You have no service token with this id."));
        }
        Ok(())
    }

    /// Notes in the background that a token is used.
    pub(super) fn touch(&self, id: TokenId) {
        let (accounts, now) = (self.accounts.clone(), self.clock.now());
        tokio::spawn(async move {
            if let Err(error) = accounts.touch_token(id, now).await {
                tracing::warn!(%error, token = %id, "the use of a token was not noted");
            }
        });
    }
}

/// What the webhook secret of a token is sealed for.
pub(crate) fn webhook_context(id: impl fmt::Display) -> String {
    format!("token:{id}/webhook_secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(new: serde_json::Value) -> Result<ServiceToken, Vec<String>> {
        let new: NewServiceToken = serde_json::from_value(new).unwrap();
        let checked = new.check(Role::Member, Uuid::from_u128(1).into(), Timestamp::from_micros(0));
        checked.map_err(|faults| faults.into_iter().map(|fault| fault.field).collect())
    }

    #[test]
    fn a_token_has_every_scope_but_admin_and_no_end_unless_asked_for() {
        let token = check(serde_json::json!({"name": " deploy-bot "})).unwrap();
        assert_eq!((token.name.as_str(), token.scopes.as_slice()), ("deploy-bot", TokenScope::DEFAULT.as_slice()));
        assert_eq!(token.expires_at, None);
        let token = check(serde_json::json!({
            "name": "n", "scopes": ["feedback:read", "feedback:read"], "expires_in": 60
        }))
        .unwrap();
        assert_eq!(token.scopes, [TokenScope::FeedbackRead]);
        assert_eq!(token.expires_at, Some(Timestamp::from_micros(60_000_000)));
    }

    #[test]
    fn every_fault_is_named() {
        let wrong = serde_json::json!({"name": " ", "scopes": [], "expires_in": 0});
        assert_eq!(check(wrong), Err(vec!["name".into(), "expires_in".into(), "scopes".into()]));
        for name in ["a\nb".to_owned(), "n".repeat(101)] {
            assert_eq!(check(serde_json::json!({ "name": name })), Err(vec!["name".into()]));
        }
        let admin = serde_json::json!({"name": "n", "scopes": ["feedback:read", "admin"]});
        assert_eq!(check(admin), Err(vec!["scopes".into()]), "a member gives no more than they may");
        let long = serde_json::json!({"name": "n", "expires_in": u64::MAX});
        assert_eq!(check(long), Err(vec!["expires_in".into()]));
    }
}
