//! Where sealed values are, and under which keys: the one list that re-encryption, restoring and the start go by.

use std::fmt;

use hearback_core::Result;
use uuid::Uuid;

use super::{
    SqlStorage, codes,
    fault::Fault,
    rows,
    session::{Row, Session},
    vault,
};
use crate::{
    auth::{ANSWER_CONTEXT, webhook_context},
    storage::{Cipher, KeyId},
};

/// A column of sealed values.
#[derive(Debug)]
pub(super) struct Place {
    /// What is in it, for people.
    pub(super) what: &'static str,
    /// The columns that a row is known by, each with a value below all others.
    pub(super) key: &'static [(&'static str, Key)],
    /// What the value of the row with this key is sealed for.
    pub(super) context: fn(&[Key]) -> String,
    /// How many values there are under each key.
    pub(super) census: &'static str,
    /// The values of the next rows after a key.
    pub(super) page: &'static str,
    /// Puts a value in the place of one that is still there: both, then the row's key.
    pub(super) put: &'static str,
}

/// A part of what a row is known by.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Uuid(Uuid),
    Text(String),
    Bytes(Vec<u8>),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(id) => id.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl Place {
    /// A key before that of every row.
    pub(super) fn first(&self) -> Vec<Key> {
        self.key.iter().map(|(_, first)| first.clone()).collect()
    }

    /// The key of a row.
    pub(super) fn key_of(&self, row: &Row) -> Result<Vec<Key>, Fault> {
        let part = |(column, kind): &(&str, Key)| {
            Ok(match kind {
                Key::Uuid(_) => Key::Uuid(row.get(column)?),
                Key::Text(_) => Key::Text(row.get(column)?),
                Key::Bytes(_) => Key::Bytes(row.get(column)?),
            })
        };
        self.key.iter().map(part).collect()
    }
}

/// A column of a table, the columns that its rows are known by with their first values, and what a value is sealed for.
macro_rules! place {
    ($what:literal, $table:literal, $sealed:literal, [$key:literal: $first:expr], $context:expr) => {
        place!(@ $what, $table, $sealed, [$key: $first], $key, "$1", "$3", $context)
    };
    ($what:literal, $table:literal, $sealed:literal, [$a:literal: $x:expr, $b:literal: $y:expr, $c:literal: $z:expr],
        $context:expr) => {
        place!(
            @ $what, $table, $sealed, [$a: $x, $b: $y, $c: $z], concat!($a, ", ", $b, ", ", $c), "$1, $2, $3", "$3, $4, $5",
            $context
        )
    };
    (@ $what:literal, $table:literal, $sealed:literal, [$($key:literal: $first:expr),*], $keys:expr, $after:literal,
        $of:literal, $context:expr) => {
        $crate::storage::sql::sealed::Place {
            what: $what,
            key: &[$(($key, $first)),*],
            context: $context,
            census: concat!(
                "SELECT substr(", $sealed, ", 1, 5) AS header, count(*) AS number FROM ", $table, " WHERE ", $sealed,
                " IS NOT NULL GROUP BY 1"
            ),
            page: concat!(
                "SELECT ", $keys, ", ", $sealed, " AS value FROM ", $table, " WHERE (", $keys, ") > (", $after, ") AND ",
                $sealed, " IS NOT NULL ORDER BY ", $keys, " LIMIT 64"
            ),
            put: concat!(
                "UPDATE ", $table, " SET ", $sealed, " = $1 WHERE ", $sealed, " = $2 AND (", $keys, ") = (", $of, ")"
            ),
        }
    };
}
#[cfg(test)]
pub(super) use place;

/// Every column with sealed values.
#[rustfmt::skip]
pub(super) static PLACES: &[Place] = &[
    place!("webhook secrets of service tokens", "service_tokens", "webhook_secret", ["id": Key::Uuid(Uuid::nil())], |key| webhook_context(&key[0])),
    place!("secrets of channels", "vault", "sealed", ["key": Key::Text(String::new())], |key| vault::context(&key[0].to_string())),
    place!("codes for addresses", "address_codes", "sealed", ["user_id": Key::Uuid(Uuid::nil()), "channel": Key::Text(String::new()), "address": Key::Text(String::new())], |key| codes::context(&key[0], &key[1], &key[2])),
    place!("answers kept for repeated calls", "idempotency", "sealed", ["key": Key::Bytes(Vec::new())], |_| ANSWER_CONTEXT.into()),
];

/// Sealed values that open with none of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// What they are, for people.
    pub what: &'static str,
    /// How many they are.
    pub number: u64,
    /// The key that they are sealed under, as far as they say.
    pub key: Option<KeyId>,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} under ", self.what, self.number)?;
        match self.key {
            Some(key) => write!(f, "key {key}"),
            None => f.write_str("no key"),
        }
    }
}

impl SqlStorage {
    /// What is sealed under keys that this hub does not have. It reads every sealed value's first bytes.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn unreadable(&self) -> Result<Vec<Unreadable>> {
        let mut found = Vec::new();
        for place in PLACES {
            note(&mut found, place, &self.readers.query(place.census).fetch_all().await?, &self.cipher)?;
        }
        Ok(found)
    }
}

/// What is sealed under keys that `cipher` does not have.
///
/// # Errors
///
/// Those of the database.
pub(crate) async fn unreadable(session: &mut Session<'_>, cipher: &Cipher) -> Result<Vec<Unreadable>> {
    let mut found = Vec::new();
    for place in PLACES {
        note(&mut found, place, &session.query(place.census).fetch_all().await?, cipher)?;
    }
    Ok(found)
}

fn note(found: &mut Vec<Unreadable>, place: &Place, census: &[Row], cipher: &Cipher) -> Result<(), Fault> {
    for row in census {
        let key = KeyId::of(&rows::get::<Vec<u8>>(row, "header")?);
        if key.is_none_or(|key| !cipher.knows(key)) {
            let number = rows::unsigned(rows::get(row, "number")?);
            found.push(Unreadable { what: place.what, number, key });
        }
    }
    Ok(())
}
