//! The port [`Addresses`]: accounts that are linked by opening a link, and addresses that block the hub.

use async_trait::async_trait;
use hearback_core::{
    Result, Timestamp,
    channel::{Address, ChannelName},
    event::Work,
    id::{AddressId, UserId},
    person::{Addresses, Linked, UserRef},
    secret::{ExposeSecret, Secret},
};

use super::{SqlStorage, addresses, fault::Fault, people, queue::Write, rows, send, session::Sql, unit::Unit};
use crate::{
    account::{AddressAdded, LinkOffer, NewAddress},
    digest::sha256,
};

#[async_trait]
impl Addresses for SqlStorage {
    async fn link(
        &self,
        channel: &ChannelName,
        address: &Address,
        code: &Secret,
        id: AddressId,
        at: Timestamp,
    ) -> Result<Linked> {
        let (channel, address) = (channel.clone(), address.clone());
        let hash = sha256(code.expose_secret().as_bytes());
        self.queue.write(Link { channel, address, hash, id, at }).await
    }

    async fn unlink(&self, channel: &ChannelName, address: &Address, at: Timestamp) -> Result<Option<UserRef>> {
        self.queue.write(Unlink { channel: channel.clone(), address: address.clone(), at }).await
    }

    async fn block(&self, channel: &ChannelName, address: &Address, at: Timestamp) -> Result<()> {
        let (channel, address) = (channel.clone(), address.clone());
        self.queue.write(Mark { channel, address, blocked: true, at }).await
    }

    async fn unblock(&self, channel: &ChannelName, address: &Address, at: Timestamp) -> Result<()> {
        // Most people who come by have blocked nobody: that costs no write.
        if !self.is_blocked(channel, address).await? {
            return Ok(());
        }
        let (channel, address) = (channel.clone(), address.clone());
        self.queue.write(Mark { channel, address, blocked: false, at }).await
    }

    async fn is_blocked(&self, channel: &ChannelName, address: &Address) -> Result<bool> {
        let found = self.readers.query(BLOCKED).bind(channel.as_str()).bind(address.as_str());
        Ok(found.fetch_optional().await?.is_some())
    }
}

/// Keeps the newest code of a person for a channel.
pub(super) struct Offer(pub(super) LinkOffer);

impl Write for Offer {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        let LinkOffer { user, channel, hash, expires_at } = &self.0;
        let put = unit.session.query(OFFER).bind(user.uuid()).bind(channel.as_str()).bind(hash.as_slice());
        put.bind(expires_at.micros()).execute().await?;
        Ok(())
    }
}

struct Link {
    channel: ChannelName,
    address: Address,
    hash: [u8; 32],
    id: AddressId,
    at: Timestamp,
}

impl Write for Link {
    type Answer = Linked;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Linked, Fault> {
        let Self { channel, address, hash, id, at } = self;
        let code = unit.session.query(CODE).bind(hash.as_slice()).bind(channel.as_str()).fetch_optional().await?;
        let Some(row) = code else { return Ok(Linked::Stale) };
        let user = people::user(&row)?;
        match rows::get::<Option<String>>(&row, "used_at")? {
            // The same again, to whoever used it.
            Some(place) if place == address.as_str() => {
                let owner =
                    unit.session.query(addresses::OWNER).bind(channel.as_str()).bind(place).fetch_optional().await?;
                let owner = owner.as_ref().map(people::user).transpose()?;
                return Ok(match owner {
                    Some(owner) if owner == user => Linked::To(user),
                    Some(_) => Linked::Taken,
                    None => Linked::Stale,
                });
            }
            Some(_) => return Ok(Linked::Stale),
            None if rows::time(&row, "expires_at")? <= *at => return Ok(Linked::Stale),
            None => {}
        }
        // Of two who open it at once, on two servers, one is linked.
        if unit.session.query(USE).bind(hash.as_slice()).bind(address.as_str()).execute().await? == 0 {
            return Ok(Linked::Stale);
        }
        let new = NewAddress {
            id: *id,
            user: user.id,
            channel: channel.clone(),
            address: address.clone(),
            is_email: false,
            at: *at,
        };
        match addresses::give(unit, &new).await? {
            AddressAdded::Theirs(_) => {
                unit.note_work(Work::Routes);
                Ok(Linked::To(user))
            }
            AddressAdded::Taken(_) | AddressAdded::NoSuchPerson => Ok(Linked::Taken),
        }
    }
}

/// Takes an address away, and with it what waits to be sent there.
struct Unlink {
    channel: ChannelName,
    address: Address,
    at: Timestamp,
}

impl Write for Unlink {
    type Answer = Option<UserRef>;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Option<UserRef>, Fault> {
        let (channel, address) = (self.channel.as_str(), self.address.as_str());
        let owner = unit.session.query(addresses::OWNER).bind(channel).bind(address).fetch_optional().await?;
        let Some(owner) = owner.as_ref().map(people::user).transpose()? else { return Ok(None) };
        let (user, at) = (owner.id.uuid(), self.at.micros());
        unit.session.query(UNLINK).bind(user).bind(channel).bind(address).execute().await?;
        let given_up = unit.session.query(GIVE_UP).bind(user).bind(channel).bind(address).fetch_all().await?;
        unit.record_changes(&send::changes(&given_up, self.at)?).await?;
        unit.session.query(addresses::HASTEN).bind(user).bind(at).execute().await?;
        unit.note_work(Work::Routes);
        Ok(Some(owner))
    }
}

/// Marks an address as blocked, or takes the mark away and queues what was not sent because of it.
struct Mark {
    channel: ChannelName,
    address: Address,
    blocked: bool,
    at: Timestamp,
}

impl Write for Mark {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        let (channel, address, at) = (self.channel.as_str(), self.address.as_str(), self.at.micros());
        let since = self.blocked.then_some(at);
        unit.session.query(MARK).bind(channel).bind(address).bind(since).execute().await?;
        if self.blocked {
            return Ok(());
        }
        let owner = unit.session.query(addresses::OWNER).bind(channel).bind(address).fetch_optional().await?;
        let Some(row) = owner else { return Ok(()) };
        let user: UserId = people::user(&row)?.id;
        let back =
            unit.session.query(TAKE_UP).bind(user.uuid()).bind(at).bind(channel).bind(address).fetch_all().await?;
        unit.record_changes(&send::changes(&back, self.at)?).await?;
        unit.note_work(Work::Sends);
        Ok(())
    }
}

pub(super) const OFFER: &str = "INSERT INTO link_codes (user_id, channel, hash, expires_at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (user_id, channel) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at, used_at = NULL";
pub(super) const CODE: &str = "SELECT u.id, u.username, l.expires_at, l.used_at FROM link_codes l CROSS JOIN users u \
    WHERE l.hash = $1 AND l.channel = $2 AND u.id = l.user_id AND u.deactivated_at IS NULL";
pub(super) const USE: &str = "UPDATE link_codes SET used_at = $2 WHERE hash = $1 AND used_at IS NULL";
pub(super) const FORGET_OLD: &str = "DELETE FROM link_codes WHERE expires_at < $1";
pub(super) const GIVE_UP: &str = "UPDATE deliveries SET status = 'failed', due_at = NULL, not_before = NULL, \
    reason = 'the person has ended the link' WHERE user_id = $1 AND channel = $2 AND address = $3 AND status = 'queued' \
    AND request_id IN (SELECT r.id FROM asked a CROSS JOIN feedback_requests r \
    WHERE a.user_id = $1 AND a.status = 'pending' AND r.created_event = a.created_event) RETURNING id, request_id";
pub(super) const UNLINK: &str = "DELETE FROM addresses WHERE user_id = $1 AND channel = $2 AND address = $3";
macro_rules! blocked {
    ($confirmed:literal) => {
        concat!(
            "SELECT 1 FROM addresses a WHERE a.channel = $1 AND a.address = $2 AND a.blocked_at IS NOT NULL AND ",
            $confirmed
        )
    };
}
pub(super) const BLOCKED: Sql = Sql { sqlite: blocked!("a.confirmed = 1"), postgres: blocked!("a.confirmed") };
macro_rules! mark {
    ($confirmed:literal) => {
        concat!(
            "UPDATE addresses SET blocked_at = CASE WHEN $3 IS NULL THEN NULL ELSE coalesce(blocked_at, $3) END \
             WHERE channel = $1 AND address = $2 AND ",
            $confirmed
        )
    };
}
pub(super) const MARK: Sql = Sql { sqlite: mark!("confirmed = 1"), postgres: mark!("confirmed") };
// The words are those of `hearback_core::person::BLOCKED`.
pub(super) const TAKE_UP: &str = "UPDATE deliveries SET status = 'queued', reason = NULL, due_at = $2 \
    WHERE user_id = $1 AND status = 'failed' AND reason = 'the person has blocked this channel' \
    AND channel = $3 AND address = $4 \
    AND request_id IN (SELECT r.id FROM asked a CROSS JOIN feedback_requests r \
    WHERE a.user_id = $1 AND a.status = 'pending' AND r.created_event = a.created_event) RETURNING id, request_id";
