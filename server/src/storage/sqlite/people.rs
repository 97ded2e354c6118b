//! People as they are asked: by a name, by an address.

use std::collections::HashMap;

use hearback_core::{
    Result as PortResult, Timestamp,
    channel::{Address, ChannelName},
    id::UserId,
    person::{Person, UserRef},
};
use sqlx::{SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::{SqliteStorage, fault::Result, queue::Write, rows, unit::Unit};

/// The people with these user ids, usernames or confirmed e-mails, in the order asked. An id goes before a username, and a
/// username before an e-mail, so that nobody can register into being asked in another's place.
pub(super) async fn find(readers: &SqlitePool, names: &[String]) -> Result<Vec<Option<Person>>> {
    let lower: Vec<_> = names.iter().map(|name| name.to_lowercase()).collect();
    let ids: Vec<_> =
        names.iter().filter_map(|name| Some(name.parse::<UserId>().ok()?.uuid().simple().to_string())).collect();
    let found = sqlx::query(FIND)
        .bind(serde_json::to_string(&lower)?)
        .bind(serde_json::to_string(&ids)?)
        .fetch_all(readers)
        .await?;
    let (mut by_id, mut by_username, mut by_email) = (HashMap::new(), HashMap::new(), HashMap::new());
    for row in &found {
        let person = person(row)?;
        if rows::get(row, "email_confirmed")? {
            by_email.insert(rows::get::<String>(row, "email")?, person.clone());
        }
        by_username.insert(person.user.username.clone(), person.clone());
        by_id.insert(person.user.id, person);
    }
    let find = |(name, lower): (&String, &String)| {
        let id = name.parse().ok().and_then(|id: UserId| by_id.get(&id));
        id.or_else(|| by_username.get(lower)).or_else(|| by_email.get(lower)).cloned()
    };
    Ok(names.iter().zip(&lower).map(find).collect())
}

/// The people with these ids, those of them who exist.
pub(super) async fn by_ids(reader: &mut SqliteConnection, ids: &[UserId]) -> Result<HashMap<UserId, Person>> {
    let found = rows::read(reader, BY_IDS, ids, ")", |values, id| {
        values.push_bind(id.uuid());
    })
    .await?;
    found.iter().map(|row| person(row).map(|person| (person.user.id, person))).collect()
}

/// The person with this confirmed address.
pub(super) async fn at(readers: &SqlitePool, channel: &ChannelName, address: &Address) -> Result<Option<UserRef>> {
    let row = sqlx::query(AT).bind(channel.as_str()).bind(address.as_str()).fetch_optional(readers).await?;
    row.as_ref().map(user).transpose()
}

/// Who it is, from the columns `id` and `username`.
pub(super) fn user(row: &SqliteRow) -> Result<UserRef> {
    Ok(UserRef { id: rows::id(row, "id")?, username: rows::get(row, "username")? })
}

fn person(row: &SqliteRow) -> Result<Person> {
    Ok(Person {
        user: user(row)?,
        preference: rows::json(row, "preference")?,
        addresses: rows::json(row, "addresses")?,
    })
}

impl SqliteStorage {
    /// Adds a person who cannot sign in: their preference, their confirmed addresses, and their e-mail, which is confirmed
    /// too. Without an e-mail they get one below `.invalid` that nobody can be asked by.
    ///
    /// # Errors
    ///
    /// `Unexpected` when the id, the username, the e-mail or an address is another's.
    pub async fn add_person(&self, person: Person, email: Option<String>, at: Timestamp) -> PortResult<()> {
        self.queue.write(AddPerson { person, email, at }).await
    }
}

struct AddPerson {
    person: Person,
    email: Option<String>,
    at: Timestamp,
}

impl Write for AddPerson {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<()> {
        let Person { user, preference, addresses } = &self.person;
        let confirmed = self.email.is_some();
        let email = self.email.clone().unwrap_or_else(|| format!("{}@hearback.invalid", user.id)).to_lowercase();
        sqlx::query(INSERT)
            .bind(user.id.uuid())
            .bind(user.username.to_lowercase())
            .bind(email)
            .bind(confirmed)
            .bind(serde_json::to_string(preference)?)
            .bind(self.at.micros())
            .execute(&mut *unit.writer)
            .await?;
        let head = "INSERT INTO addresses (user_id, channel, address, confirmed) ";
        rows::write(unit.writer, head, addresses, "", |values, (channel, address)| {
            values.push_bind(user.id.uuid()).push_bind(channel.as_str()).push_bind(address.as_str()).push_bind(true);
        })
        .await?;
        Ok(())
    }
}

macro_rules! select_person {
    ($where:literal) => {
        concat!(
            "SELECT u.id, u.username, u.email, u.email_confirmed, u.preference, \
             (SELECT json_group_array(json_array(a.channel, a.address)) FROM addresses a \
              WHERE a.user_id = u.id AND a.confirmed = 1) AS addresses \
             FROM users u WHERE ",
            $where
        )
    };
}

pub(super) const FIND: &str = concat!(
    select_person!("u.username IN (SELECT value FROM json_each(?1))"),
    " UNION ALL ",
    select_person!("u.email IN (SELECT value FROM json_each(?1)) AND u.email_confirmed = 1"),
    " UNION ALL ",
    select_person!("u.id IN (SELECT unhex(value) FROM json_each(?2))"),
);
pub(super) const BY_IDS: &str = select_person!("u.id IN (");
pub(super) const AT: &str = "SELECT u.id, u.username FROM addresses a CROSS JOIN users u ON u.id = a.user_id \
    WHERE a.channel = ?1 AND a.address = ?2 AND a.confirmed = 1";
pub(super) const INSERT: &str = "INSERT INTO users (id, username, email, email_confirmed, preference, role, created_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, 'member', ?6)";
