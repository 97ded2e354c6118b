//! Addresses of people, as they are given, confirmed and taken away. The codes that confirm them are next door.

use hearback_core::id::{AddressId, UserId};

use super::{
    accounts, codes,
    fault::{Fault, Result},
    people,
    queue::Write,
    rows,
    session::{Pool, Row, Sql},
    unit::Unit,
};
use crate::account::{AddressAdded, AddressDocument, NewAddress};

/// The addresses of a person, by channel and address.
pub(super) async fn of(readers: &Pool, user: UserId) -> Result<Vec<AddressDocument>> {
    let found = readers.query(OF).bind(user.uuid()).fetch_all().await?;
    found.iter().map(document).collect()
}

/// An address, from the columns of [`OF`].
pub(super) fn document(row: &Row) -> Result<AddressDocument> {
    Ok(AddressDocument {
        id: rows::id(row, "id")?,
        channel: rows::parsed(row, "channel")?,
        address: rows::parsed(row, "address")?,
        confirmed: rows::get(row, "confirmed")?,
        expires_at: rows::optional_time(row, "expires_at")?,
        blocked_at: rows::optional_time(row, "blocked_at")?,
    })
}

/// Gives a person an address, and lets their routes be looked at.
pub(super) struct AddAddress(pub(super) NewAddress);

impl Write for AddAddress {
    type Answer = AddressAdded;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<AddressAdded, Fault> {
        if unit.session.query(accounts::BY_ID).bind(self.0.user.uuid()).fetch_optional().await?.is_none() {
            return Ok(AddressAdded::NoSuchPerson);
        }
        give(unit, &self.0).await
    }
}

/// Gives an address to somebody who is there.
pub(super) async fn give(unit: &mut Unit<'_>, new: &NewAddress) -> Result<AddressAdded, Fault> {
    let NewAddress { id, user, channel, address, is_email: _, at } = new;
    let (user, channel, address) = (user.uuid(), channel.as_str(), address.as_str());
    let theirs = unit.session.query(THEIRS).bind(user).bind(channel).bind(address).fetch_optional().await?;
    if let Some(row) = theirs {
        confirm_email(unit, new).await?;
        return Ok(AddressAdded::Theirs(rows::id(&row, "id")?));
    }
    let owner = unit.session.query(OWNER).bind(channel).bind(address).fetch_optional().await?;
    if let Some(row) = owner {
        return Ok(AddressAdded::Taken(people::user(&row)?));
    }
    unit.session.query(REPLACED).bind(user).bind(channel).bind(address).execute().await?;
    unit.session.query(codes::USED_UP).bind(user).bind(channel).bind(address).execute().await?;
    let added = unit.session.query(ADD).bind(user).bind(channel).bind(address).bind(id.uuid()).fetch_one().await?;
    unit.session.query(HASTEN).bind(user).bind(at.micros()).execute().await?;
    confirm_email(unit, new).await?;
    Ok(AddressAdded::Theirs(rows::id(&added, "id")?))
}

/// Who has an e-mail address that is their account's has that, too.
async fn confirm_email(unit: &mut Unit<'_>, new: &NewAddress) -> Result<(), Fault> {
    if new.is_email {
        unit.session.query(CONFIRM_EMAIL).bind(new.user.uuid()).bind(new.address.as_str()).execute().await?;
    }
    Ok(())
}

/// Takes an address away from a person. Says whether they had it.
pub(super) struct RemoveAddress {
    pub(super) user: UserId,
    pub(super) id: AddressId,
}

impl Write for RemoveAddress {
    type Answer = bool;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<bool, Fault> {
        let removed = unit.session.query(REMOVE).bind(self.id.uuid()).bind(self.user.uuid()).execute().await?;
        Ok(removed > 0)
    }
}

pub(super) const OF: &str = "SELECT a.id, a.channel, a.address, a.confirmed, a.blocked_at, c.expires_at FROM addresses a \
    LEFT JOIN address_codes c ON c.user_id = a.user_id AND c.channel = a.channel AND c.address = a.address \
    AND a.confirmed = FALSE WHERE a.user_id = $1 ORDER BY a.channel, a.address";
pub(super) const THEIRS: &str =
    "SELECT id FROM addresses WHERE user_id = $1 AND channel = $2 AND address = $3 AND confirmed = TRUE";
// Also of somebody who is deactivated: what is theirs is not given away.
macro_rules! owner {
    ($confirmed:literal) => {
        concat!(
            "SELECT u.id, u.username FROM addresses a CROSS JOIN users u \
             WHERE u.id = a.user_id AND a.channel = $1 AND a.address = $2 AND ",
            $confirmed
        )
    };
}
pub(super) const OWNER: Sql = Sql { sqlite: owner!("a.confirmed = 1"), postgres: owner!("a.confirmed") };
// A route has one stop for a channel, so the newest address takes the place of the one before.
pub(super) const REPLACED: &str =
    "DELETE FROM addresses WHERE user_id = $1 AND channel = $2 AND address <> $3 AND confirmed = TRUE";
// One that waits for its confirmation is confirmed by it.
pub(super) const ADD: &str = "INSERT INTO addresses (user_id, channel, address, confirmed, id) VALUES ($1, $2, $3, TRUE, $4) \
    ON CONFLICT (user_id, channel, address) DO UPDATE SET confirmed = TRUE RETURNING id";
pub(super) const CONFIRM_EMAIL: &str =
    "UPDATE users SET email_confirmed = TRUE WHERE id = $1 AND email = $2 AND email_confirmed = FALSE";
pub(super) const HASTEN: &str = "UPDATE asked SET route_due_at = \
    CASE WHEN route_lease <= $2 AND route_due_at >= route_lease THEN route_lease - 1 \
    WHEN route_due_at < $2 THEN route_due_at ELSE $2 END \
    WHERE user_id = $1 AND status = 'pending'";
pub(super) const REMOVE: &str = "DELETE FROM addresses WHERE id = $1 AND user_id = $2";
