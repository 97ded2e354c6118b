//! Everything that is sealed, sealed anew under the present key, while hubs may go on working.

use hearback_core::{Error, Result, secret::ExposeSecret};

use super::{
    fault::Fault,
    rows,
    sealed::{Key, PLACES, Place},
    session::{Dialect, Query, Row, Session},
};
use crate::storage::Cipher;

/// What became of the values of one place.
#[derive(Debug, Default)]
pub struct Reencrypted {
    /// What they are, for people.
    pub what: &'static str,
    /// How many were under the present key already.
    pub present: u64,
    /// How many were sealed anew.
    pub renewed: u64,
    /// How many somebody else changed meanwhile: those were left as they are.
    pub changed: u64,
    /// Which do not open, and why.
    pub lost: Vec<Error>,
}

/// Seals anew what is not under the present key, in every place there is.
///
/// A value that has been changed since it was read is left alone, so that nothing newer is lost.
///
/// # Errors
///
/// Those of the database. What was sealed anew by then stays so.
pub(crate) async fn run(session: &mut Session<'_>, cipher: &Cipher) -> Result<Vec<Reencrypted>> {
    let mut all = Vec::new();
    for place in PLACES {
        all.push(renew(session, place, cipher).await?);
    }
    Ok(all)
}

async fn renew(session: &mut Session<'_>, place: &Place, cipher: &Cipher) -> Result<Reencrypted> {
    let (mut done, mut after) = (Reencrypted { what: place.what, ..Reencrypted::default() }, place.first());
    loop {
        let page = bound(session.query(place.page), &after).fetch_all().await?;
        let Some(last) = page.last() else { return Ok(done) };
        after = place.key_of(last)?;
        let anew = open(place, &page, cipher, &mut done)?;
        put(session, place, &anew, &mut done).await?;
    }
}

/// A value to be replaced: its row's key, what is there, what is to be there.
struct Anew {
    key: Vec<Key>,
    old: Vec<u8>,
    new: Vec<u8>,
}

fn open(place: &Place, page: &[Row], cipher: &Cipher, done: &mut Reencrypted) -> Result<Vec<Anew>> {
    let mut anew = Vec::new();
    for row in page {
        let (key, old): (_, Vec<u8>) = (place.key_of(row)?, rows::get(row, "value")?);
        let context = (place.context)(&key);
        match cipher.open(&context, &old) {
            Ok(_) if cipher.is_present(&old) => done.present += 1,
            Ok(plain) => anew.push(Anew { key, old, new: cipher.seal(&context, plain.expose_secret())? }),
            Err(error) => {
                let row = key.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let detail = format!("{} (row {row}): {}", place.what, error.detail());
                done.lost.push(Error::new(error.kind(), "reencrypt", detail));
            }
        }
    }
    Ok(anew)
}

async fn put(session: &mut Session<'_>, place: &Place, anew: &[Anew], done: &mut Reencrypted) -> Result<(), Fault> {
    // On SQLite a commit costs a write to the disk, and nobody else writes meanwhile. On PostgreSQL each row is a transaction of
    // its own: several could wait for each other with a hub that takes them in another order.
    let together = session.dialect() == Dialect::Sqlite && !anew.is_empty();
    if together {
        session.query("BEGIN IMMEDIATE").execute().await?;
    }
    for Anew { key, old, new } in anew {
        let update = session.query(place.put).bind(new.as_slice()).bind(old.as_slice());
        match bound(update, key).execute().await? {
            0 => done.changed += 1,
            _ => done.renewed += 1,
        }
    }
    if together {
        session.query("COMMIT").execute().await?;
    }
    Ok(())
}

fn bound<'c>(query: Query<'c>, key: &[Key]) -> Query<'c> {
    key.iter().fold(query, |query, part| match part {
        Key::Uuid(id) => query.bind(*id),
        Key::Text(text) => query.bind(text.as_str()),
        Key::Bytes(bytes) => query.bind(bytes.as_slice()),
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::storage::{
        SecretKey, Secrets,
        sql::{migrate, session::Count},
        sqlite,
    };

    fn vault() -> &'static Place {
        PLACES.iter().find(|place| place.census.contains("FROM vault")).unwrap()
    }

    fn secret(letter: &str) -> SecretKey {
        SecretKey::new(letter.repeat(32).into()).unwrap()
    }

    #[tokio::test]
    async fn what_somebody_changed_meanwhile_is_left_alone() {
        let folder = TempDir::new().unwrap();
        let database = folder.path().join("hearback.db").display().to_string();
        migrate::up(&database).await.unwrap();
        let mut writer = sqlite::Place::take(&database).unwrap().writer().await.unwrap();
        let mut session = Session::sqlite(&mut writer, Count::default());
        let old = Cipher::new(&secret("a").into());
        for key in ["read", "changed"] {
            let sealed = old.seal(&super::super::vault::context(key), key).unwrap();
            let insert = session.query("INSERT INTO vault (key, version, sealed) VALUES ($1, 1, $2)");
            insert.bind(key).bind(sealed.as_slice()).execute().await.unwrap();
        }
        let vault = vault();
        let cipher = Cipher::new(&Secrets::new(secret("b"), [secret("a")]));
        let mut done = Reencrypted::default();
        let page = bound(session.query(vault.page), &vault.first()).fetch_all().await.unwrap();
        let anew = open(vault, &page, &cipher, &mut done).unwrap();
        let newer = old.seal(&super::super::vault::context("changed"), "newer").unwrap();
        let update = session.query("UPDATE vault SET sealed = $1 WHERE key = 'changed'").bind(newer.as_slice());
        update.execute().await.unwrap();
        put(&mut session, vault, &anew, &mut done).await.unwrap();
        assert_eq!((done.renewed, done.changed), (1, 1));

        let page = bound(session.query(vault.page), &vault.first()).fetch_all().await.unwrap();
        let values = page.iter().map(|row| row.get::<Vec<u8>>("value").unwrap()).collect::<Vec<_>>();
        assert_eq!(values[0], newer);
        assert!(cipher.is_present(&values[1]));
        assert_eq!(cipher.open("vault:read", &values[1]).unwrap().expose_secret(), "read");
    }

    /// Rows that are known by several columns, more than a page of them.
    #[tokio::test]
    async fn a_row_may_be_known_by_several_columns() {
        use crate::storage::sql::sealed::place;

        static CODES: Place = place!(
            "codes",
            "codes",
            "sealed",
            ["a": Key::Uuid(uuid::Uuid::nil()), "b": Key::Text(String::new()), "c": Key::Text(String::new())],
            |key| format!("{}:{}:{}", key[0], key[1], key[2])
        );
        let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect("sqlite::memory:").await.unwrap();
        let mut session = Session::sqlite(&mut connection, Count::default());
        let table = "CREATE TABLE codes (a blob, b text, c text, sealed blob, PRIMARY KEY (a, b, c)) STRICT";
        session.query(table).execute().await.unwrap();
        let old = Cipher::new(&secret("a").into());
        for number in 0..200_u128 {
            let (a, b, c) = (uuid::Uuid::from_u128(number / 50), (number % 5).to_string(), number.to_string());
            let sealed = old.seal(&format!("{a}:{b}:{c}"), "x").unwrap();
            let insert = session.query("INSERT INTO codes (a, b, c, sealed) VALUES ($1, $2, $3, $4)");
            insert.bind(a).bind(b.as_str()).bind(c.as_str()).bind(sealed.as_slice()).execute().await.unwrap();
        }
        let cipher = Cipher::new(&Secrets::new(secret("b"), [secret("a")]));
        for (renewed, present) in [(200, 0), (0, 200)] {
            let done = renew(&mut session, &CODES, &cipher).await.unwrap();
            assert_eq!((done.renewed, done.present, done.lost.len()), (renewed, present, 0));
        }
    }

    /// More than a page of them.
    #[tokio::test]
    async fn every_page_is_read() {
        let folder = TempDir::new().unwrap();
        let database = folder.path().join("hearback.db").display().to_string();
        migrate::up(&database).await.unwrap();
        let mut writer = sqlite::Place::take(&database).unwrap().writer().await.unwrap();
        let mut session = Session::sqlite(&mut writer, Count::default());
        let old = Cipher::new(&secret("a").into());
        for number in 0..150 {
            let key = number.to_string();
            let sealed = old.seal(&super::super::vault::context(&key), "x").unwrap();
            let insert = session.query("INSERT INTO vault (key, version, sealed) VALUES ($1, 1, $2)");
            insert.bind(key.as_str()).bind(sealed.as_slice()).execute().await.unwrap();
        }
        let cipher = Cipher::new(&Secrets::new(secret("b"), [secret("a")]));
        for (renewed, present) in [(150, 0), (0, 150)] {
            let done = run(&mut session, &cipher).await.unwrap();
            let done = done.iter().find(|done| done.what == vault().what).unwrap();
            assert_eq!((done.renewed, done.present), (renewed, present));
        }
    }
}
