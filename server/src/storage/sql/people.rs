//! People as they are asked: by a name, by an address.

use std::collections::{BTreeSet, HashMap};

use hearback_core::{
    Result as PortResult, Timestamp,
    channel::{Address, ChannelName},
    id::UserId,
    person::{Person, UserRef},
};

use super::{
    SqlStorage,
    fault::Result,
    preferences::{self, preference_columns},
    queue::Write,
    rows,
    session::{Pool, Row, Session, Sql},
    unit::Unit,
};

/// For each list the people who can be asked with these user ids, usernames or confirmed e-mails, in the order asked. An id goes before a
/// username, and a username before an e-mail, so that nobody can register into being asked in another's place.
pub(super) async fn find(readers: Pool, lists: Vec<Vec<String>>) -> Result<Vec<Vec<Option<Person>>>> {
    let names = || lists.iter().flatten();
    let lower: BTreeSet<_> = names().map(|name| name.to_lowercase()).collect();
    let ids: BTreeSet<_> =
        names().filter_map(|name| Some(name.parse::<UserId>().ok()?.uuid().simple().to_string())).collect();
    let found =
        readers.query(FIND).bind(serde_json::to_string(&lower)?).bind(serde_json::to_string(&ids)?).fetch_all().await?;
    let (mut by_id, mut by_username, mut by_email) = (HashMap::new(), HashMap::new(), HashMap::new());
    for row in &found {
        let person = person(row)?;
        if rows::get(row, "email_confirmed")? {
            by_email.insert(rows::get::<String>(row, "email")?, person.clone());
        }
        by_username.insert(person.user.username.clone(), person.clone());
        by_id.insert(person.user.id, person);
    }
    let find = |name: &String| {
        let (id, lower) = (name.parse().ok().and_then(|id: UserId| by_id.get(&id)), name.to_lowercase());
        id.or_else(|| by_username.get(&lower)).or_else(|| by_email.get(&lower)).cloned()
    };
    Ok(lists.iter().map(|names| names.iter().map(find).collect()).collect())
}

/// The people with these ids, those of them who exist.
pub(super) async fn by_ids(session: &mut Session<'_>, ids: &[UserId]) -> Result<HashMap<UserId, Person>> {
    let found = rows::read(session, BY_IDS, ids, ")", |values, id| {
        values.push_bind(id.uuid());
    })
    .await?;
    found.iter().map(|row| person(row).map(|person| (person.user.id, person))).collect()
}

/// The person with this confirmed address, unless they are deactivated.
pub(super) async fn at(readers: &Pool, channel: &ChannelName, address: &Address) -> Result<Option<UserRef>> {
    let row = readers.query(AT).bind(channel.as_str()).bind(address.as_str()).fetch_optional().await?;
    row.as_ref().map(user).transpose()
}

/// Who it is, from the columns `id` and `username`.
pub(super) fn user(row: &Row) -> Result<UserRef> {
    Ok(UserRef { id: rows::id(row, "id")?, username: rows::get(row, "username")? })
}

fn person(row: &Row) -> Result<Person> {
    Ok(Person { user: user(row)?, preferences: preferences::of_row(row)?, addresses: rows::json(row, "addresses")? })
}

impl SqlStorage {
    /// Adds a person who cannot sign in: their preferences, their confirmed addresses, and their e-mail, which is confirmed
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
        let Person { user, preferences, addresses } = &self.person;
        let (channels, [locale, timezone, quiet_hours]) = preferences::columns(preferences)?;
        let confirmed = self.email.is_some();
        let email = self.email.clone().unwrap_or_else(|| format!("{}@hearback.invalid", user.id)).to_lowercase();
        unit.session
            .query(INSERT)
            .bind(user.id.uuid())
            .bind(user.username.to_lowercase())
            .bind(email)
            .bind(confirmed)
            .bind(channels)
            .bind(self.at.micros())
            .bind(locale)
            .bind(timezone)
            .bind(quiet_hours)
            .execute()
            .await?;
        let head = "INSERT INTO addresses (user_id, channel, address, confirmed) ";
        rows::write(&mut unit.session, head, addresses, "", |values, (channel, address)| {
            values.push_bind(user.id.uuid()).push_bind(channel.as_str()).push_bind(address.as_str()).push_bind(true);
        })
        .await?;
        Ok(())
    }
}

macro_rules! select_person {
    (sqlite $where:literal) => {
        concat!(
            "SELECT u.id, u.username, u.email, u.email_confirmed, ",
            preference_columns!(),
            ", (SELECT json_group_array(json_array(a.channel, a.address)) FROM addresses a \
              WHERE a.user_id = u.id AND a.confirmed = 1 AND u.deactivated_at IS NULL) AS addresses \
             FROM users u WHERE ",
            $where
        )
    };
    (postgres $where:literal) => {
        concat!(
            "SELECT u.id, u.username, u.email, u.email_confirmed, ",
            preference_columns!(),
            ", (SELECT coalesce(json_agg(json_build_array(a.channel, a.address)), '[]')::text FROM addresses a \
              WHERE a.user_id = u.id AND a.confirmed AND u.deactivated_at IS NULL) AS addresses \
             FROM users u WHERE ",
            $where
        )
    };
}

macro_rules! askable {
    (sqlite $where:literal) => {
        concat!(select_person!(sqlite $where), " AND u.deactivated_at IS NULL AND u.service = 0")
    };
    (postgres $where:literal) => {
        concat!(select_person!(postgres $where), " AND u.deactivated_at IS NULL AND NOT u.service")
    };
}

pub(super) const FIND: Sql = Sql {
    sqlite: concat!(
        askable!(sqlite "u.username IN (SELECT value FROM json_each($1))"),
        " UNION ALL ",
        askable!(sqlite "u.email IN (SELECT value FROM json_each($1)) AND u.email_confirmed = 1"),
        " UNION ALL ",
        askable!(sqlite "u.id IN (SELECT unhex(value) FROM json_each($2))"),
    ),
    postgres: concat!(
        askable!(postgres "u.username = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb)))"),
        " UNION ALL ",
        askable!(postgres "u.email = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb))) AND u.email_confirmed"),
        " UNION ALL ",
        askable!(postgres "u.id = ANY (ARRAY(SELECT jsonb_array_elements_text($2::jsonb)::uuid))"),
    ),
};
pub(super) const BY_IDS: Sql =
    Sql { sqlite: select_person!(sqlite "u.id IN ("), postgres: select_person!(postgres "u.id IN (") };
// The index is of confirmed addresses alone, which each database sees only in its own words.
macro_rules! at {
    ($confirmed:literal) => {
        concat!(
            "SELECT u.id, u.username FROM addresses a CROSS JOIN users u \
             WHERE u.id = a.user_id AND a.channel = $1 AND a.address = $2 AND u.deactivated_at IS NULL AND ",
            $confirmed
        )
    };
}
pub(super) const AT: Sql = Sql { sqlite: at!("a.confirmed = 1"), postgres: at!("a.confirmed") };
pub(super) const INSERT: &str = "INSERT INTO users (id, username, email, email_confirmed, preference, role, created_at, \
    locale, timezone, quiet_hours) VALUES ($1, $2, $3, $4, $5, 'member', $6, $7, $8, $9)";
