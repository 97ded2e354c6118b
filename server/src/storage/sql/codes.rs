//! The codes by which people confirm their addresses. They are sealed: a hash of eight digits would be guessed at once.

use std::sync::Arc;

use std::fmt;

use hearback_core::{
    Result, Timestamp,
    secret::{ExposeSecret, Secret},
};
use subtle::ConstantTimeEq;

use super::{addresses, fault::Fault, queue::Write, rows, unit::Unit};
use crate::{
    account::{
        AddressAdded, AddressClaim, AddressClaimed, AddressDocument, CODE_LIFE, CODE_PAUSE, CODE_TRIES, CodeShown,
        NewAddress, ShownCode, WAITING_MAX,
    },
    storage::Cipher,
};

/// Binds a code to its person and address, so that no other one opens in its place.
pub(super) fn context(user: impl fmt::Display, channel: impl fmt::Display, address: impl fmt::Display) -> String {
    format!("address code:{user}:{channel}:{address}")
}

/// Notes that a person says that an address is theirs, and the code that is sent there.
pub(super) struct ClaimAddress {
    claim: AddressClaim,
    sealed: Vec<u8>,
}

impl ClaimAddress {
    pub(super) fn new(claim: AddressClaim, cipher: &Cipher) -> Result<Self> {
        let context = context(claim.user, &claim.channel, &claim.address);
        let sealed = cipher.seal(&context, claim.code.expose_secret())?;
        Ok(Self { claim, sealed })
    }
}

impl Write for ClaimAddress {
    type Answer = AddressClaimed;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<AddressClaimed, Fault> {
        let AddressClaim { id, user, channel, address, at, .. } = &self.claim;
        let document = |id, confirmed, expires_at| {
            let (channel, address) = (channel.clone(), address.clone());
            AddressDocument { id, channel, address, confirmed, expires_at, blocked_at: None }
        };
        let (user, channel, address) = (user.uuid(), channel.as_str(), address.as_str());
        let theirs = unit.session.query(addresses::THEIRS).bind(user).bind(channel).bind(address);
        if let Some(row) = theirs.fetch_optional().await? {
            return Ok(AddressClaimed::Confirmed(document(rows::id(&row, "id")?, true, None)));
        }
        // A code says so also when its address was taken away in between.
        let sent = unit.session.query(SENT).bind(user).bind(channel).bind(address).fetch_optional().await?;
        let next = sent.map(|row| rows::time(&row, "sent_at")).transpose()?.map(|sent_at| sent_at.after(CODE_PAUSE));
        if let Some(next) = next.filter(|next| next > at) {
            return Ok(AddressClaimed::TooSoon(next));
        }
        unit.session.query(LAPSE).bind(user).bind(channel).bind(address).bind(at.micros()).execute().await?;
        let waiting = unit.session.query(WAITING).bind(user).bind(channel).bind(address).bind(at.micros());
        if rows::unsigned(waiting.fetch_scalar().await?) >= WAITING_MAX as u64 {
            return Ok(AddressClaimed::TooMany);
        }
        unit.session.query(FORGET).bind(user).bind(at.micros()).execute().await?;
        let waits = unit.session.query(WAIT).bind(user).bind(channel).bind(address).bind(id.uuid()).fetch_one().await?;
        let expires_at = at.after(CODE_LIFE);
        unit.session
            .query(PUT)
            .bind(user)
            .bind(channel)
            .bind(address)
            .bind(self.sealed.as_slice())
            .bind(at.micros())
            .bind(expires_at.micros())
            .execute()
            .await?;
        Ok(AddressClaimed::Waiting(document(rows::id(&waits, "id")?, false, Some(expires_at))))
    }
}

/// Confirms an address, if the code is the one that was sent there.
pub(super) struct ShowCode {
    pub(super) shown: ShownCode,
    pub(super) cipher: Arc<Cipher>,
}

impl Write for ShowCode {
    type Answer = CodeShown;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<CodeShown, Fault> {
        let ShownCode { user, id, code, email_channels, at } = &self.shown;
        let found = unit.session.query(CODE).bind(id.uuid()).bind(user.uuid()).fetch_optional().await?;
        let Some(row) = found else { return Ok(CodeShown::NotFound) };
        let address = addresses::document(&row)?;
        if address.confirmed {
            return Ok(CodeShown::Confirmed(address));
        }
        let sealed: Option<Vec<u8>> = rows::get(&row, "sealed")?;
        let tries = rows::get::<Option<i64>>(&row, "tries")?
            .map_or(CODE_TRIES, |tries| u32::try_from(tries).unwrap_or(CODE_TRIES));
        // What was sealed under a former key cannot be told from a wrong code.
        let context = context(*user, &address.channel, &address.address);
        let kept = sealed.and_then(|sealed| self.cipher.open(&context, &sealed).ok());
        let is_good = tries < CODE_TRIES && address.expires_at.is_some_and(|until: Timestamp| until > *at);
        let Some(kept) = kept.filter(|_| is_good) else { return Ok(CodeShown::Stale) };
        let (channel, at_channel) = (address.channel.as_str(), address.address.as_str());
        if !is_same(code, &kept) {
            unit.session.query(MISS).bind(user.uuid()).bind(channel).bind(at_channel).execute().await?;
            return Ok(CodeShown::Wrong(CODE_TRIES - tries - 1));
        }
        let new = NewAddress {
            id: *id,
            user: *user,
            channel: address.channel.clone(),
            address: address.address.clone(),
            is_email: email_channels.contains(&address.channel),
            at: *at,
        };
        unit.session.query(USED_UP).bind(user.uuid()).bind(channel).bind(at_channel).execute().await?;
        if !matches!(addresses::give(unit, &new).await?, AddressAdded::Theirs(_)) {
            return Ok(CodeShown::Taken);
        }
        Ok(CodeShown::Confirmed(AddressDocument { confirmed: true, expires_at: None, ..address }))
    }
}

fn is_same(shown: &Secret, kept: &Secret) -> bool {
    shown.expose_secret().as_bytes().ct_eq(kept.expose_secret().as_bytes()).into()
}

pub(super) const SENT: &str = "SELECT sent_at FROM address_codes WHERE user_id = $1 AND channel = $2 AND address = $3";
// Other addresses than this one, for which no code is good any more.
pub(super) const LAPSE: &str = "DELETE FROM addresses WHERE user_id = $1 AND confirmed = FALSE \
    AND NOT (channel = $2 AND address = $3) AND NOT EXISTS (SELECT 1 FROM address_codes c WHERE c.user_id = $1 \
    AND c.channel = addresses.channel AND c.address = addresses.address AND c.expires_at > $4)";
// Other addresses than this one: those that wait, and those to which a code was sent lately, be they there or not.
pub(super) const WAITING: &str = "SELECT (SELECT count(*) FROM addresses \
    WHERE user_id = $1 AND confirmed = FALSE AND NOT (channel = $2 AND address = $3)) \
    + (SELECT count(*) FROM address_codes c \
    WHERE c.user_id = $1 AND c.expires_at > $4 AND NOT (c.channel = $2 AND c.address = $3) AND NOT EXISTS \
    (SELECT 1 FROM addresses a WHERE a.user_id = $1 AND a.channel = c.channel AND a.address = c.address))";
pub(super) const FORGET: &str = "DELETE FROM address_codes WHERE user_id = $1 AND expires_at <= $2";
pub(super) const FORGET_OLD: &str = "DELETE FROM address_codes WHERE expires_at < $1";
pub(super) const WAIT: &str = "INSERT INTO addresses (user_id, channel, address, confirmed, id) \
    VALUES ($1, $2, $3, FALSE, $4) ON CONFLICT (user_id, channel, address) DO UPDATE SET confirmed = FALSE RETURNING id";
pub(super) const PUT: &str = "INSERT INTO address_codes (user_id, channel, address, sealed, sent_at, expires_at, tries) \
    VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT (user_id, channel, address) DO UPDATE SET sealed = excluded.sealed, \
    sent_at = excluded.sent_at, expires_at = excluded.expires_at, tries = 0";
pub(super) const CODE: &str = "SELECT a.id, a.channel, a.address, a.confirmed, a.blocked_at, c.expires_at, c.sealed, c.tries \
    FROM addresses a LEFT JOIN address_codes c \
    ON c.user_id = a.user_id AND c.channel = a.channel AND c.address = a.address AND a.confirmed = FALSE \
    WHERE a.id = $1 AND a.user_id = $2";
pub(super) const MISS: &str =
    "UPDATE address_codes SET tries = tries + 1 WHERE user_id = $1 AND channel = $2 AND address = $3";
pub(super) const USED_UP: &str =
    "UPDATE address_codes SET expires_at = sent_at WHERE user_id = $1 AND channel = $2 AND address = $3";
