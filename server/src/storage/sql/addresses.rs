//! Addresses of people, as an administrator gives them.

use hearback_core::id::UserId;

use super::{
    accounts,
    fault::{Fault, Result},
    people,
    queue::Write,
    rows,
    session::Pool,
    unit::Unit,
};
use crate::account::{AddressAdded, AddressDocument, NewAddress};

/// The addresses of a person, by channel and address.
pub(super) async fn of(readers: &Pool, user: UserId) -> Result<Vec<AddressDocument>> {
    let found = readers.query(OF).bind(user.uuid()).fetch_all().await?;
    let address = |row| {
        Ok(AddressDocument {
            channel: rows::parsed(row, "channel")?,
            address: rows::parsed(row, "address")?,
            confirmed: rows::get(row, "confirmed")?,
        })
    };
    found.iter().map(address).collect()
}

/// Gives a person an address, and lets their routes be looked at.
pub(super) struct AddAddress(pub(super) NewAddress);

impl Write for AddAddress {
    type Answer = AddressAdded;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<AddressAdded, Fault> {
        let NewAddress { user, channel, address, at } = &self.0;
        if unit.session.query(accounts::BY_ID).bind(user.uuid()).fetch_optional().await?.is_none() {
            return Ok(AddressAdded::NoSuchPerson);
        }
        let owner = unit.session.query(people::AT).bind(channel.as_str()).bind(address.as_str());
        if let Some(row) = owner.fetch_optional().await? {
            let owner = people::user(&row)?;
            return Ok(if owner.id == *user { AddressAdded::Theirs } else { AddressAdded::Taken(owner) });
        }
        let others = unit.session.query(REPLACED).bind(user.uuid()).bind(channel.as_str()).bind(address.as_str());
        others.execute().await?;
        unit.session.query(ADD).bind(user.uuid()).bind(channel.as_str()).bind(address.as_str()).execute().await?;
        unit.session.query(HASTEN).bind(user.uuid()).bind(at.micros()).execute().await?;
        Ok(AddressAdded::Theirs)
    }
}

pub(super) const OF: &str =
    "SELECT channel, address, confirmed FROM addresses WHERE user_id = $1 ORDER BY channel, address";
// A route has one stop for a channel, so the newest address takes the place of the one before.
pub(super) const REPLACED: &str =
    "DELETE FROM addresses WHERE user_id = $1 AND channel = $2 AND address <> $3 AND confirmed = TRUE";
// One that waits for its confirmation is confirmed by it.
pub(super) const ADD: &str = "INSERT INTO addresses (user_id, channel, address, confirmed) VALUES ($1, $2, $3, TRUE) \
    ON CONFLICT (user_id, channel, address) DO UPDATE SET confirmed = TRUE";
pub(super) const HASTEN: &str = "UPDATE asked SET route_due_at = \
    CASE WHEN route_lease <= $2 AND route_due_at >= route_lease THEN route_lease - 1 \
    WHEN route_due_at < $2 THEN route_due_at ELSE $2 END \
    WHERE user_id = $1 AND status = 'pending'";
