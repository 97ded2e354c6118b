//! What can only be seen from inside: the schema, the plans of the queries, a disk that fails, claims that no call makes yet.

mod addresses;
mod disk;
mod plans;
mod pool;
mod postgres;
mod schema;
mod together;

use std::sync::Arc;

use hearback_core::{
    Timestamp,
    clock::ManualClock,
    id::Ids,
    person::{Person, Preferences, UserRef},
    secret::Secret,
};
use tempfile::TempDir;

use super::SqlStorage;
use crate::storage::{Cipher, Migrate, SecretKey};

const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

async fn open(folder: &TempDir) -> SqlStorage {
    let database = folder.path().join("hearback.db");
    let secret = SecretKey::new(Secret::from("x".repeat(32))).unwrap();
    let cipher = Arc::new(Cipher::new(&secret.into()));
    SqlStorage::open(database.to_str().unwrap(), Migrate::Auto, Arc::default(), cipher).await.unwrap()
}

fn person(ids: &Ids, username: &str) -> Person {
    let user = UserRef { id: ids.next(), username: username.into() };
    Person { user, preferences: Preferences::default(), addresses: Vec::new() }
}

fn ids() -> Ids {
    Ids::seeded(Arc::new(ManualClock::at(NOW)), 1)
}
