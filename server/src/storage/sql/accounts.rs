//! The port [`AccountStore`], and accounts. Service tokens, addresses and sign-ins are next door.

use async_trait::async_trait;
use hearback_core::{
    Result, Timestamp,
    event::Work,
    id::{AddressId, TokenId, UserId},
    person::{Preferences, UserRef},
    store::Page,
};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::{
    SqlStorage,
    addresses::{self, AddAddress, RemoveAddress},
    codes::{ClaimAddress, ShowCode},
    fault::Fault,
    links, people,
    preferences::{self, Prefer},
    queue::Write,
    rows,
    session::Row,
    sign_ins::{Begin, ENDS, End, Rotate, end_others},
    store::page,
    tokens::{self, CreateToken, RevokeToken, TOKEN_LIVES, TOKENS, TouchToken, WEBHOOK_SECRET},
    unit::Unit,
};
use crate::account::{
    Account, AccountStore, AddressAdded, AddressClaim, AddressClaimed, AddressDocument, Changed, Changes, CodeShown,
    LinkOffer, NewAccount, NewAddress, NewRefresh, NewServiceUser, NewToken, Over, Registered, Role, Rotated,
    ServiceToken, ServiceUserCreated, ShownCode, SignInBegun, TokenCreated,
};

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
        let found = self.readers.query(BY_LOGIN).bind(&login).fetch_all().await?;
        let accounts = found.iter().map(account).collect::<Result<Vec<_>, Fault>>()?;
        // A username that looks like another's e-mail must not hide it, so the e-mail comes first.
        Ok(accounts.into_iter().max_by_key(|account| account.email == login))
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

    async fn change(&self, id: UserId, changes: Changes, at: Timestamp) -> Result<Changed> {
        self.queue.write(Change { id, changes, at }).await
    }

    async fn change_password(&self, id: UserId, before: &str, password: &str, kept: Uuid) -> Result<bool> {
        let (before, password) = (before.to_owned(), password.to_owned());
        self.queue.write(ChangePassword { id, before, password, kept }).await
    }

    async fn create_service_user(&self, new: NewServiceUser) -> Result<ServiceUserCreated> {
        self.queue.write(CreateServiceUser(new)).await
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

    async fn offer_link(&self, offer: LinkOffer) -> Result<()> {
        self.queue.write(links::Offer(offer)).await
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
        page(&found, limit, tokens::token)
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
        match tokens::unnoted(&self.token_use, id, at) {
            Some(at) => self.queue.write(TouchToken { id, at }).await,
            None => Ok(()),
        }
    }

    async fn begin_sign_in(&self, account: &Account, family: Uuid, first: NewRefresh) -> Result<SignInBegun> {
        let (user, password) = (account.user.id, account.password.clone());
        self.queue.write(Begin { user, password, family, first }).await
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
        if let Some(field) = taken(unit, &new.email, &new.username).await? {
            return Ok(Registered::Taken(field));
        }
        let role = role_word(if first { Role::Administrator } else { Role::Member });
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

/// The field whose value belongs to another account, if one does.
async fn taken(unit: &mut Unit<'_>, email: &str, username: &str) -> Result<Option<&'static str>, Fault> {
    for (field, sql, value) in [("email", BY_EMAIL, email), ("username", BY_USERNAME, username)] {
        if unit.session.query(sql).bind(value.to_lowercase()).fetch_optional().await?.is_some() {
            return Ok(Some(field));
        }
    }
    Ok(None)
}

struct CreateServiceUser(NewServiceUser);

impl Write for CreateServiceUser {
    type Answer = ServiceUserCreated;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<ServiceUserCreated, Fault> {
        let NewServiceUser { username, email, token } = &self.0;
        // Before the answer is kept: a call that is refused leaves its key free.
        let replayed = tokens::kept(unit, token).await?;
        if let Some(earlier) = replayed {
            return Ok(match earlier {
                TokenCreated::Replayed(sealed) => ServiceUserCreated::Replayed(sealed),
                _ => ServiceUserCreated::Mismatch,
            });
        }
        if let Some(field) = taken(unit, email, username).await? {
            return Ok(ServiceUserCreated::Taken(field));
        }
        unit.session
            .query(INSERT_SERVICE_USER)
            .bind(token.user_id.uuid())
            .bind(username.to_lowercase())
            .bind(email.to_lowercase())
            .bind(token.token.created_at.micros())
            .execute()
            .await?;
        tokens::keep(unit, token).await?;
        tokens::insert(unit, token).await?;
        Ok(ServiceUserCreated::New)
    }
}

struct Change {
    id: UserId,
    changes: Changes,
    at: Timestamp,
}

impl Write for Change {
    type Answer = Changed;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Changed, Fault> {
        let Changes { role, active, email_confirmed, password } = &self.changes;
        let row = unit.session.query(BY_ID).bind(self.id.uuid()).fetch_optional().await?;
        let Some(mut found) = row.as_ref().map(account).transpose()? else { return Ok(Changed::NoSuchPerson) };
        let was_managing = found.role == Role::Administrator && found.is_active();
        let was_active = found.is_active();
        found.role = role.unwrap_or(found.role);
        found.email_confirmed = email_confirmed.unwrap_or(found.email_confirmed);
        match active {
            Some(true) => found.deactivated_at = None,
            Some(false) => found.deactivated_at = found.deactivated_at.or(Some(self.at)),
            None => {}
        }
        found.password = password.clone().or(found.password);
        if found.service && (found.role == Role::Administrator || found.password.is_some()) {
            let field = if found.password.is_some() { "password" } else { "role" };
            return Ok(Changed::OfServiceUser(field));
        }
        let manages = found.role == Role::Administrator && found.is_active();
        if was_managing && !manages {
            let others =
                unit.session.query(HAS_OTHER_ADMINISTRATOR).bind(self.id.uuid()).fetch_scalar::<bool>().await?;
            if !others {
                return Ok(Changed::LastAdministrator);
            }
        }
        unit.session
            .query(CHANGE)
            .bind(self.id.uuid())
            .bind(role_word(found.role))
            .bind(found.email_confirmed)
            .bind(found.password.as_deref())
            .bind(found.deactivated_at.map(Timestamp::micros))
            .execute()
            .await?;
        if password.is_some() || !found.is_active() {
            end_others(unit, self.id, Uuid::nil()).await?;
        }
        if was_active && !found.is_active() {
            unit.session.query(addresses::HASTEN).bind(self.id.uuid()).bind(self.at.micros()).execute().await?;
            unit.note_work(Work::Routes);
            unit.note_over(Over::Account(self.id));
        }
        if !was_active && found.is_active() {
            let back = unit.session.query(TAKE_UP).bind(self.id.uuid()).bind(self.at.micros()).fetch_all().await?;
            let changed = |row| Ok((rows::id(row, "id")?, rows::id(row, "request_id")?, self.at));
            let changed = back.iter().map(changed).collect::<Result<Vec<_>, Fault>>()?;
            unit.record_changes(&changed).await?;
            unit.note_work(Work::Sends);
            let row = unit.session.query(preferences::OF).bind(self.id.uuid()).fetch_one().await?;
            let preferences = preferences::of_row(&row)?;
            preferences::replan(unit, self.id, &preferences, &preferences, self.at).await?;
        }
        Ok(Changed::Now(found))
    }
}

struct ChangePassword {
    id: UserId,
    before: String,
    password: String,
    kept: Uuid,
}

impl Write for ChangePassword {
    type Answer = bool;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<bool, Fault> {
        let query = unit.session.query(CHANGE_PASSWORD).bind(self.id.uuid()).bind(&self.before).bind(&self.password);
        let changed = query.execute().await? > 0;
        if changed {
            end_others(unit, self.id, self.kept).await?;
        }
        Ok(changed)
    }
}

const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Administrator => "administrator",
        Role::Member => "member",
    }
}

/// An account, from the columns of [`BY_ID`].
pub(super) fn account(row: &Row) -> Result<Account, Fault> {
    account_of(row, people::user(row)?, "created_at")
}

pub(super) fn account_of(row: &Row, user: UserRef, created_at: &str) -> Result<Account, Fault> {
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
        service: rows::get(row, "service")?,
        deactivated_at: rows::optional_time(row, "deactivated_at")?,
        created_at: rows::time(row, created_at)?,
    })
}

macro_rules! select_account {
    ($where:literal) => {
        concat!(
            "SELECT id, username, email, email_confirmed, password, role, service, deactivated_at, created_at \
             FROM users WHERE ",
            $where
        )
    };
}

pub(super) const IS_EMPTY: &str = "SELECT NOT EXISTS (SELECT 1 FROM users)";
pub(super) const BY_ID: &str = select_account!("id = $1");
pub(super) const BY_EMAIL: &str = select_account!("email = $1");
pub(super) const BY_USERNAME: &str = select_account!("username = $1");
// One query, whatever is there: two would tell by their time which it is.
pub(super) const BY_LOGIN: &str = select_account!("email = $1 OR username = $1");
pub(super) const NEWEST: &str = select_account!("id < $1 ORDER BY id DESC LIMIT $2");
pub(super) const INSERT_ACCOUNT: &str = "INSERT INTO users (id, username, email, email_confirmed, password, role, created_at) \
    VALUES ($1, $2, $3, FALSE, $4, $5, $6)";
pub(super) const INSERT_SERVICE_USER: &str = "INSERT INTO users (id, username, email, email_confirmed, service, role, created_at) \
    VALUES ($1, $2, $3, FALSE, TRUE, 'member', $4)";
// There are few administrators, and many who are none.
pub(super) const HAS_OTHER_ADMINISTRATOR: &str = "SELECT EXISTS (SELECT 1 FROM users \
    WHERE role = 'administrator' AND deactivated_at IS NULL AND id <> $1)";
pub(super) const CHANGE: &str =
    "UPDATE users SET role = $2, email_confirmed = $3, password = $4, deactivated_at = $5 WHERE id = $1";
pub(super) const CHANGE_PASSWORD: &str =
    "UPDATE users SET password = $3 WHERE id = $1 AND password = $2 AND deactivated_at IS NULL";
// What was not sent because of it is sent to who is back.
pub(super) const TAKE_UP: &str = "UPDATE deliveries SET status = 'queued', reason = NULL, due_at = $2 \
    WHERE user_id = $1 AND status = 'failed' AND reason = 'the account was deactivated' \
    AND request_id IN (SELECT r.id FROM asked a CROSS JOIN feedback_requests r \
    WHERE a.user_id = $1 AND a.status = 'pending' AND r.created_event = a.created_event) RETURNING id, request_id";
