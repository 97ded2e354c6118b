//! Service tokens: made, found by their hashes, revoked.

use std::collections::{BTreeSet, HashMap};

use hearback_core::{
    Timestamp,
    id::{TokenId, UserId},
    person::UserRef,
    store::Idempotency,
};
use parking_lot::Mutex;

use super::{
    accounts,
    fault::Fault,
    queue::Write,
    rows,
    session::{Pool, Row, Sql},
    unit::Unit,
};
use crate::{
    account::{Account, KeptAnswer, NewToken, Over, ServiceToken, TokenCreated},
    storage::cipher::hex,
};

/// When tokens were last noted as used, so that a busy one costs a write a minute and not one a call.
pub(super) type TokenUse = Mutex<HashMap<TokenId, Timestamp>>;

/// The precision of `last_used_at`, in microseconds.
const MINUTE: i64 = 60_000_000;
/// How many tokens are remembered as used; beyond it all are forgotten, which costs each of them one more write.
const TOKEN_USE_MAX: usize = 10_000;

/// The minute of a use, unless it is noted already.
pub(super) fn unnoted(noted: &TokenUse, id: TokenId, at: Timestamp) -> Option<Timestamp> {
    let at = Timestamp::from_micros(at.micros() - at.micros().rem_euclid(MINUTE));
    let mut noted = noted.lock();
    if noted.len() >= TOKEN_USE_MAX {
        noted.clear();
    }
    let known = noted.insert(id, at).is_some_and(|noted| noted >= at);
    (!known).then_some(at)
}

pub(super) struct CreateToken(pub(super) NewToken);

impl Write for CreateToken {
    type Answer = TokenCreated;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<TokenCreated, Fault> {
        if let Some(earlier) = kept(unit, &self.0).await? {
            return Ok(earlier);
        }
        if !insert(unit, &self.0).await? {
            return Ok(TokenCreated::Void);
        }
        keep(unit, &self.0).await?;
        Ok(TokenCreated::New)
    }
}

/// Of a repeated call, what became of the first.
pub(super) async fn kept(unit: &mut Unit<'_>, new: &NewToken) -> Result<Option<TokenCreated>, Fault> {
    let Some(KeptAnswer { idempotency: Idempotency { key, fingerprint }, .. }) = &new.kept else { return Ok(None) };
    let Some(row) = unit.session.query(KEPT).bind(key.as_slice()).fetch_optional().await? else { return Ok(None) };
    let same = rows::get::<&[u8]>(&row, "fingerprint")? == fingerprint;
    let answer = rows::get::<Option<Vec<u8>>>(&row, "sealed")?.filter(|_| same);
    Ok(Some(answer.map_or(TokenCreated::Mismatch, TokenCreated::Replayed)))
}

/// Keeps the answer for a repeated call.
pub(super) async fn keep(unit: &mut Unit<'_>, new: &NewToken) -> Result<(), Fault> {
    let Some(KeptAnswer { idempotency: Idempotency { key, fingerprint }, sealed }) = &new.kept else { return Ok(()) };
    unit.session
        .query(KEEP)
        .bind(key.as_slice())
        .bind(fingerprint.as_slice())
        .bind(sealed.as_slice())
        .bind(new.token.created_at.micros())
        .execute()
        .await?;
    Ok(())
}

/// Stores a token, if its account and the sign-in that asks for it are still good.
pub(super) async fn insert(unit: &mut Unit<'_>, new: &NewToken) -> Result<bool, Fault> {
    let NewToken { token, user_id, sign_in, hash, sealed_webhook_secret, .. } = new;
    let inserted = unit
        .session
        .query(INSERT_TOKEN)
        .bind(token.id.uuid())
        .bind(user_id.uuid())
        .bind(&token.name)
        .bind(serde_json::to_string(&token.scopes)?)
        .bind(hash.as_slice())
        .bind(sealed_webhook_secret.as_slice())
        .bind(token.created_at.micros())
        .bind(token.expires_at.map(Timestamp::micros))
        .bind(*sign_in)
        .execute()
        .await?;
    Ok(inserted > 0)
}

pub(super) struct RevokeToken {
    pub(super) user: UserId,
    pub(super) id: TokenId,
    pub(super) at: Timestamp,
}

impl Write for RevokeToken {
    type Answer = bool;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<bool, Fault> {
        let query = unit.session.query(REVOKE).bind(self.id.uuid()).bind(self.user.uuid()).bind(self.at.micros());
        let revoked = query.execute().await? > 0;
        if revoked {
            unit.note_over(Over::Token(self.id));
        }
        Ok(revoked)
    }
}

pub(super) struct TouchToken {
    pub(super) id: TokenId,
    pub(super) at: Timestamp,
}

impl Write for TouchToken {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        unit.session.query(TOUCH).bind(self.id.uuid()).bind(self.at.micros()).execute().await?;
        Ok(())
    }
}

/// The token of each hash that is one's and not revoked, with whose it is.
pub(super) async fn by_hashes(
    readers: Pool,
    hashes: Vec<[u8; 32]>,
) -> Result<Vec<Option<(ServiceToken, Account)>>, Fault> {
    let wanted: BTreeSet<_> = hashes.iter().map(|hash| hex(hash)).collect();
    let mut tokens = HashMap::with_capacity(wanted.len());
    for row in readers.query(BY_HASH).bind(serde_json::to_string(&wanted)?).fetch_all().await? {
        let user = UserRef { id: rows::id(&row, "user_id")?, username: rows::get(&row, "username")? };
        let owner = accounts::account_of(&row, user, "user_created_at")?;
        tokens.insert(rows::get::<Vec<u8>>(&row, "hash")?, (token(&row)?, owner));
    }
    Ok(hashes.iter().map(|hash| tokens.get(hash.as_slice()).cloned()).collect())
}

pub(super) fn token(row: &Row) -> Result<ServiceToken, Fault> {
    Ok(ServiceToken {
        id: rows::id(row, "id")?,
        name: rows::get(row, "name")?,
        scopes: rows::json(row, "scopes")?,
        created_at: rows::time(row, "created_at")?,
        expires_at: rows::optional_time(row, "expires_at")?,
        last_used_at: rows::optional_time(row, "last_used_at")?,
    })
}

macro_rules! select_token {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, name, scopes, created_at, expires_at, last_used_at FROM service_tokens WHERE ",
            $rest
        )
    };
}

pub(super) const TOKENS: &str =
    select_token!("user_id = $1 AND id < $2 AND revoked_at IS NULL ORDER BY id DESC LIMIT $3");
// With whose it is: every call of an agent asks this.
macro_rules! by_hash {
    ($hashes:literal) => {
        concat!(
            "SELECT t.hash, t.id, t.user_id, t.name, t.scopes, t.created_at, t.expires_at, t.last_used_at, \
             u.username, u.email, u.email_confirmed, u.password, u.role, u.service, u.deactivated_at, \
             u.created_at AS user_created_at \
             FROM service_tokens t CROSS JOIN users u WHERE t.hash ",
            $hashes,
            " AND t.revoked_at IS NULL AND u.id = t.user_id AND u.deactivated_at IS NULL"
        )
    };
}
pub(super) const BY_HASH: Sql = Sql {
    sqlite: by_hash!("IN (SELECT unhex(value) FROM json_each($1))"),
    postgres: by_hash!("= ANY (ARRAY(SELECT decode(jsonb_array_elements_text($1::jsonb), 'hex')))"),
};
pub(super) const TOKEN_LIVES: &str = "SELECT EXISTS (SELECT 1 FROM service_tokens t CROSS JOIN users u \
    WHERE t.id = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2) \
    AND u.id = t.user_id AND u.deactivated_at IS NULL)";
pub(super) const WEBHOOK_SECRET: &str = "SELECT t.webhook_secret FROM service_tokens t CROSS JOIN users u \
    WHERE t.id = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2) \
    AND u.id = t.user_id AND u.deactivated_at IS NULL";
// A sign-in that was ended while its call was under way leaves no token behind.
pub(super) const INSERT_TOKEN: &str = "INSERT INTO service_tokens (id, user_id, name, scopes, hash, webhook_secret, created_at, \
    expires_at) SELECT $1, id, $3, $4, $5, $6, $7, $8 FROM users WHERE id = $2 AND deactivated_at IS NULL \
    AND ($9 IS NULL OR EXISTS (SELECT 1 FROM sign_ins f WHERE f.id = $9))";
pub(super) const REVOKE: &str =
    "UPDATE service_tokens SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL";
pub(super) const TOUCH: &str =
    "UPDATE service_tokens SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
pub(super) const KEPT: &str = "SELECT fingerprint, sealed FROM idempotency WHERE key = $1";
pub(super) const KEEP: &str = "INSERT INTO idempotency (key, fingerprint, sealed, at) VALUES ($1, $2, $3, $4)";
