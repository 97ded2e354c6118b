//! The port [`AccountStore`]: accounts and service tokens. Addresses and sign-ins are next door.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use hearback_core::{
    Result, Timestamp,
    id::{AddressId, TokenId, UserId},
    person::{Preferences, UserRef},
    store::{Idempotency, Page},
};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use uuid::Uuid;

use super::{
    SqlStorage,
    addresses::{self, AddAddress, RemoveAddress},
    codes::{ClaimAddress, ShowCode},
    fault::Fault,
    people,
    preferences::{self, Prefer},
    queue::Write,
    rows,
    session::{Pool, Row, Sql},
    sign_ins::{Begin, ENDS, End, Rotate},
    store::page,
    unit::Unit,
};
use crate::account::{
    Account, AccountStore, AddressAdded, AddressClaim, AddressClaimed, AddressDocument, CodeShown, KeptAnswer,
    NewAccount, NewAddress, NewRefresh, NewToken, Over, Registered, Role, Rotated, ServiceToken, ShownCode,
    TokenCreated,
};
use crate::storage::cipher::hex;

/// When tokens were last noted as used, so that a busy one costs a write a minute and not one a call.
pub(super) type TokenUse = Mutex<HashMap<TokenId, Timestamp>>;

/// The precision of `last_used_at`, in microseconds.
const MINUTE: i64 = 60_000_000;
/// How many tokens are remembered as used; beyond it all are forgotten, which costs each of them one more write.
const TOKEN_USE_MAX: usize = 10_000;

#[async_trait]
impl AccountStore for SqlStorage {
    async fn is_empty(&self) -> Result<bool> {
        Ok(self.readers.query(IS_EMPTY).fetch_scalar().await?)
    }

    async fn register(&self, new: NewAccount) -> Result<Registered> {
        self.queue.write(Register(new)).await
    }

    async fn account(&self, id: UserId) -> Result<Option<Account>> {
        let row = self.readers.query(BY_ID).bind(id.uuid()).fetch_optional().await?;
        Ok(row.as_ref().map(account).transpose()?)
    }

    async fn account_by_login(&self, login: &str) -> Result<Option<Account>> {
        let login = login.to_lowercase();
        // A username that looks like another's e-mail must not hide it, so the e-mail comes first.
        for sql in [BY_EMAIL, BY_USERNAME] {
            let row = self.readers.query(sql).bind(&login).fetch_optional().await?;
            if let Some(row) = row {
                return Ok(Some(account(&row)?));
            }
        }
        Ok(None)
    }

    async fn accounts(&self, before: Option<UserId>, limit: usize) -> Result<Page<Account>> {
        let found = self
            .readers
            .query(NEWEST)
            .bind(before.map_or(Uuid::max(), UserId::uuid))
            .bind(rows::one_more(limit))
            .fetch_all()
            .await?;
        page(&found, limit, account)
    }

    async fn add_address(&self, new: NewAddress) -> Result<AddressAdded> {
        self.queue.write(AddAddress(new)).await
    }

    async fn addresses(&self, user: UserId) -> Result<Vec<AddressDocument>> {
        Ok(addresses::of(&self.readers, user).await?)
    }

    async fn claim_address(&self, claim: AddressClaim) -> Result<AddressClaimed> {
        self.queue.write(ClaimAddress::new(claim, &self.cipher)?).await
    }

    async fn confirm_address(&self, shown: ShownCode) -> Result<CodeShown> {
        self.queue.write(ShowCode { shown, cipher: self.cipher.clone() }).await
    }

    async fn remove_address(&self, user: UserId, id: AddressId) -> Result<bool> {
        self.queue.write(RemoveAddress { user, id }).await
    }

    async fn preferences(&self, user: UserId) -> Result<Option<Preferences>> {
        Ok(preferences::of(&self.readers, user).await?)
    }

    async fn prefer(&self, user: UserId, preferences: Preferences, at: Timestamp) -> Result<bool> {
        self.queue.write(Prefer { user, preferences, at }).await
    }

    async fn create_token(&self, new: NewToken) -> Result<TokenCreated> {
        self.queue.write(CreateToken(new)).await
    }

    async fn tokens(&self, user: UserId, before: Option<TokenId>, limit: usize) -> Result<Page<ServiceToken>> {
        let found = self
            .readers
            .query(TOKENS)
            .bind(user.uuid())
            .bind(before.map_or(Uuid::max(), TokenId::uuid))
            .bind(rows::one_more(limit))
            .fetch_all()
            .await?;
        page(&found, limit, token)
    }

    async fn revoke_token(&self, user: UserId, id: TokenId, at: Timestamp) -> Result<bool> {
        self.queue.write(RevokeToken { user, id, at }).await
    }

    async fn token_by_hash(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<(ServiceToken, Account)>> {
        let found = self.tokens.read(*hash).await?;
        Ok(found.filter(|(token, _)| token.expires_at.is_none_or(|expires_at| expires_at > now)))
    }

    async fn token_lives(&self, id: TokenId, now: Timestamp) -> Result<bool> {
        let query = self.readers.query(TOKEN_LIVES).bind(id.uuid()).bind(now.micros());
        Ok(query.fetch_scalar().await?)
    }

    async fn webhook_secret(&self, id: TokenId, now: Timestamp) -> Result<Option<Vec<u8>>> {
        let query = self.readers.query(WEBHOOK_SECRET).bind(id.uuid()).bind(now.micros());
        Ok(query.fetch_optional().await?.map(|row| rows::get(&row, "webhook_secret")).transpose()?)
    }

    async fn touch_token(&self, id: TokenId, at: Timestamp) -> Result<()> {
        let at = Timestamp::from_micros(at.micros() - at.micros().rem_euclid(MINUTE));
        let noted = {
            let mut noted = self.token_use.lock();
            if noted.len() >= TOKEN_USE_MAX {
                noted.clear();
            }
            noted.insert(id, at).is_some_and(|noted| noted >= at)
        };
        if noted { Ok(()) } else { self.queue.write(TouchToken { id, at }).await }
    }

    async fn begin_sign_in(&self, user: UserId, family: Uuid, first: NewRefresh) -> Result<()> {
        self.queue.write(Begin { user, family, first }).await
    }

    async fn sign_in_end(&self, family: Uuid) -> Result<Option<Timestamp>> {
        let end = self.readers.query(ENDS).bind(family).fetch_optional().await?;
        Ok(end.map(|row| rows::time(&row, "expires_at")).transpose()?)
    }

    async fn rotate_refresh(&self, shown: &[u8; 32], next: NewRefresh) -> Result<Rotated> {
        self.queue.write(Rotate { shown: *shown, next }).await
    }

    async fn end_sign_in(&self, family: Uuid) -> Result<()> {
        self.queue.write(End { family }).await
    }

    fn over(&self) -> broadcast::Receiver<Over> {
        self.audience.over.subscribe()
    }
}

struct Register(NewAccount);

impl Write for Register {
    type Answer = Registered;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Registered, Fault> {
        let new = &self.0;
        let first: bool = unit.session.query(IS_EMPTY).fetch_scalar().await?;
        if !first && !new.open {
            return Ok(Registered::Closed);
        }
        for (field, sql, value) in [("email", BY_EMAIL, &new.email), ("username", BY_USERNAME, &new.username)] {
            if unit.session.query(sql).bind(value.to_lowercase()).fetch_optional().await?.is_some() {
                return Ok(Registered::Taken(field));
            }
        }
        let role = if first { "administrator" } else { "member" };
        unit.session
            .query(INSERT_ACCOUNT)
            .bind(new.id.uuid())
            .bind(new.username.to_lowercase())
            .bind(new.email.to_lowercase())
            .bind(&new.password)
            .bind(role)
            .bind(new.at.micros())
            .execute()
            .await?;
        let row = unit.session.query(BY_ID).bind(new.id.uuid()).fetch_one().await?;
        Ok(Registered::New(account(&row)?))
    }
}

struct CreateToken(NewToken);

impl Write for CreateToken {
    type Answer = TokenCreated;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<TokenCreated, Fault> {
        let NewToken { token, user_id, hash, sealed_webhook_secret, kept } = &self.0;
        if let Some(KeptAnswer { idempotency: Idempotency { key, fingerprint }, sealed }) = kept {
            let earlier = unit.session.query(KEPT).bind(key.as_slice()).fetch_optional().await?;
            if let Some(row) = earlier {
                let same = rows::get::<&[u8]>(&row, "fingerprint")? == fingerprint;
                let answer = rows::get::<Option<Vec<u8>>>(&row, "sealed")?.filter(|_| same);
                return Ok(answer.map_or(TokenCreated::Mismatch, TokenCreated::Replayed));
            }
            unit.session
                .query(KEEP)
                .bind(key.as_slice())
                .bind(fingerprint.as_slice())
                .bind(sealed.as_slice())
                .bind(token.created_at.micros())
                .execute()
                .await?;
        }
        unit.session
            .query(INSERT_TOKEN)
            .bind(token.id.uuid())
            .bind(user_id.uuid())
            .bind(&token.name)
            .bind(serde_json::to_string(&token.scopes)?)
            .bind(hash.as_slice())
            .bind(sealed_webhook_secret.as_slice())
            .bind(token.created_at.micros())
            .bind(token.expires_at.map(Timestamp::micros))
            .execute()
            .await?;
        Ok(TokenCreated::New)
    }
}

struct RevokeToken {
    user: UserId,
    id: TokenId,
    at: Timestamp,
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

struct TouchToken {
    id: TokenId,
    at: Timestamp,
}

impl Write for TouchToken {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        unit.session.query(TOUCH).bind(self.id.uuid()).bind(self.at.micros()).execute().await?;
        Ok(())
    }
}

/// An account, from the columns of [`BY_ID`].
pub(super) fn account(row: &Row) -> Result<Account, Fault> {
    account_of(row, people::user(row)?, "created_at")
}

fn account_of(row: &Row, user: UserRef, created_at: &str) -> Result<Account, Fault> {
    let role = match rows::get(row, "role")? {
        "administrator" => Role::Administrator,
        _ => Role::Member,
    };
    Ok(Account {
        user,
        email: rows::get(row, "email")?,
        email_confirmed: rows::get(row, "email_confirmed")?,
        password: rows::get(row, "password")?,
        role,
        created_at: rows::time(row, created_at)?,
    })
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
        let owner = account_of(&row, user, "user_created_at")?;
        tokens.insert(rows::get::<Vec<u8>>(&row, "hash")?, (token(&row)?, owner));
    }
    Ok(hashes.iter().map(|hash| tokens.get(hash.as_slice()).cloned()).collect())
}

fn token(row: &Row) -> Result<ServiceToken, Fault> {
    Ok(ServiceToken {
        id: rows::id(row, "id")?,
        name: rows::get(row, "name")?,
        scopes: rows::json(row, "scopes")?,
        created_at: rows::time(row, "created_at")?,
        expires_at: rows::optional_time(row, "expires_at")?,
        last_used_at: rows::optional_time(row, "last_used_at")?,
    })
}

macro_rules! select_account {
    ($where:literal) => {
        concat!("SELECT id, username, email, email_confirmed, password, role, created_at FROM users WHERE ", $where)
    };
}

macro_rules! select_token {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, name, scopes, created_at, expires_at, last_used_at FROM service_tokens WHERE ",
            $rest
        )
    };
}

pub(super) const IS_EMPTY: &str = "SELECT NOT EXISTS (SELECT 1 FROM users)";
pub(super) const BY_ID: &str = select_account!("id = $1");
pub(super) const BY_EMAIL: &str = select_account!("email = $1");
pub(super) const BY_USERNAME: &str = select_account!("username = $1");
pub(super) const NEWEST: &str = select_account!("id < $1 ORDER BY id DESC LIMIT $2");
pub(super) const INSERT_ACCOUNT: &str = "INSERT INTO users (id, username, email, email_confirmed, password, role, created_at) \
    VALUES ($1, $2, $3, FALSE, $4, $5, $6)";
pub(super) const TOKENS: &str =
    select_token!("user_id = $1 AND id < $2 AND revoked_at IS NULL ORDER BY id DESC LIMIT $3");
// With whose it is: every call of an agent asks this.
macro_rules! by_hash {
    ($hashes:literal) => {
        concat!(
            "SELECT t.hash, t.id, t.user_id, t.name, t.scopes, t.created_at, t.expires_at, t.last_used_at, \
             u.username, u.email, u.email_confirmed, u.password, u.role, u.created_at AS user_created_at \
             FROM service_tokens t CROSS JOIN users u WHERE t.hash ",
            $hashes,
            " AND t.revoked_at IS NULL AND u.id = t.user_id"
        )
    };
}
pub(super) const BY_HASH: Sql = Sql {
    sqlite: by_hash!("IN (SELECT unhex(value) FROM json_each($1))"),
    postgres: by_hash!("= ANY (ARRAY(SELECT decode(jsonb_array_elements_text($1::jsonb), 'hex')))"),
};
pub(super) const TOKEN_LIVES: &str = "SELECT EXISTS (SELECT 1 FROM service_tokens \
    WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2))";
pub(super) const WEBHOOK_SECRET: &str = "SELECT webhook_secret FROM service_tokens \
    WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)";
pub(super) const INSERT_TOKEN: &str = "INSERT INTO service_tokens (id, user_id, name, scopes, hash, webhook_secret, created_at, \
    expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
pub(super) const REVOKE: &str =
    "UPDATE service_tokens SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL";
pub(super) const TOUCH: &str =
    "UPDATE service_tokens SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
pub(super) const KEPT: &str = "SELECT fingerprint, sealed FROM idempotency WHERE key = $1";
pub(super) const KEEP: &str = "INSERT INTO idempotency (key, fingerprint, sealed, at) VALUES ($1, $2, $3, $4)";
