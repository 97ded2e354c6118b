//! The storage on SQLite: the suite of every store, and what only a file can get wrong.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hearback::storage::{Cipher, SecretKey, SqliteStorage};
use hearback_core::{Timestamp, event::Bus, person::Person, secret::Secret, store::Store};
use hearback_tests::store::Harness;
use tempfile::TempDir;

#[derive(Default)]
struct Sqlite(Mutex<Option<(Arc<SqliteStorage>, TempDir)>>);

#[async_trait]
impl Harness for Sqlite {
    async fn fresh(&self) -> (Arc<dyn Store>, Arc<Bus>) {
        let folder = tempfile::tempdir().unwrap();
        let bus = Arc::new(Bus::default());
        let path = folder.path().join("hearback.db");
        let cipher = Arc::new(Cipher::new(&SecretKey::new(Secret::from("x".repeat(32))).unwrap()));
        let storage = SqliteStorage::open(path.to_str().unwrap(), bus.clone(), cipher).await.unwrap();
        let storage = Arc::new(storage);
        *self.0.lock().unwrap() = Some((storage.clone(), folder));
        (storage, bus)
    }

    async fn add_person(&self, person: Person, email: Option<String>) {
        let storage = self.0.lock().unwrap().as_ref().expect("a store").0.clone();
        storage.add_person(person, email, Timestamp::from_micros(0)).await.unwrap();
    }
}

hearback_tests::store_conformance!(Sqlite::default());
