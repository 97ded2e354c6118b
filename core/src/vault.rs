//! The port for the durable state of adapters: tokens, history ids, offsets. Encrypted at rest.

use std::{collections::HashMap, fmt};

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::{error::Result, secret::Secret};

/// A value with the version that a swap compares.
#[derive(Clone, Debug)]
pub struct Versioned {
    /// Counts from 1.
    pub version: u64,
    /// The value.
    pub value: Secret,
}

/// Durable secrets by key. Keys are not secret: `slack/T123/bot-token`.
#[async_trait]
pub trait Vault: fmt::Debug + Send + Sync + 'static {
    /// The value under `key`.
    async fn get(&self, key: &str) -> Result<Option<Versioned>>;

    /// Writes `value` if the version under `key` is still `expected` (`None`: there is no value yet); `None` as a value
    /// removes it. Says whether it did.
    async fn compare_and_swap(&self, key: &str, expected: Option<u64>, value: Option<Secret>) -> Result<bool>;
}

/// A vault in memory, for tests and the simulation.
#[derive(Debug, Default)]
pub struct MemoryVault {
    values: Mutex<HashMap<String, Versioned>>,
}

#[async_trait]
impl Vault for MemoryVault {
    async fn get(&self, key: &str) -> Result<Option<Versioned>> {
        Ok(self.values.lock().get(key).cloned())
    }

    async fn compare_and_swap(&self, key: &str, expected: Option<u64>, value: Option<Secret>) -> Result<bool> {
        let mut values = self.values.lock();
        if values.get(key).map(|found| found.version) != expected {
            return Ok(false);
        }
        match value {
            Some(value) => values.insert(key.into(), Versioned { version: expected.unwrap_or(0) + 1, value }),
            None => values.remove(key),
        };
        Ok(true)
    }
}
