//! The port [`Vault`]: values are sealed before they reach the queue, each for its own key.

use async_trait::async_trait;
use hearback_core::{
    Result,
    secret::{ExposeSecret, Secret},
    vault::{Vault, Versioned},
};

use super::{SqlStorage, fault::Fault, queue::Write, rows, unit::Unit};

#[async_trait]
impl Vault for SqlStorage {
    async fn get(&self, key: &str) -> Result<Option<Versioned>> {
        let row = self.readers.query(GET).bind(key).fetch_optional().await?;
        let Some(row) = row else { return Ok(None) };
        let version = rows::unsigned(rows::get(&row, "version")?);
        let value = self.cipher.open(&context(key), rows::get(&row, "sealed")?)?;
        Ok(Some(Versioned { version, value }))
    }

    async fn compare_and_swap(&self, key: &str, expected: Option<u64>, value: Option<Secret>) -> Result<bool> {
        let seal = |value: Secret| self.cipher.seal(&context(key), value.expose_secret());
        let sealed = value.map(seal).transpose()?;
        self.queue.write(Swap { key: key.into(), expected: expected.map(rows::signed), sealed }).await
    }
}

/// Binds a sealed value to its key, so that no other key's value opens in its place.
pub(super) fn context(key: &str) -> String {
    format!("vault:{key}")
}

struct Swap {
    key: String,
    expected: Option<i64>,
    sealed: Option<Vec<u8>>,
}

impl Write for Swap {
    type Answer = bool;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<bool, Fault> {
        let key = self.key.as_str();
        let version = unit.session.query(VERSION).bind(key).fetch_optional().await?;
        let version: Option<i64> = version.map(|row| rows::get(&row, "version")).transpose()?;
        if version != self.expected {
            return Ok(false);
        }
        let query = match &self.sealed {
            Some(sealed) => {
                unit.session.query(PUT).bind(key).bind(version.unwrap_or(0).saturating_add(1)).bind(sealed.as_slice())
            }
            None => unit.session.query(REMOVE).bind(key),
        };
        query.execute().await?;
        Ok(true)
    }
}

pub(super) const GET: &str = "SELECT version, sealed FROM vault WHERE key = $1";
pub(super) const VERSION: &str = "SELECT version FROM vault WHERE key = $1";
pub(super) const PUT: &str = "INSERT INTO vault (key, version, sealed) VALUES ($1, $2, $3) \
    ON CONFLICT (key) DO UPDATE SET version = excluded.version, sealed = excluded.sealed";
pub(super) const REMOVE: &str = "DELETE FROM vault WHERE key = $1";
