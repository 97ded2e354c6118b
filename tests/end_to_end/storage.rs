//! The storage on SQLite: the suite of every store, and what only a file, a batch or a cipher can get wrong.

mod accounts;
mod batches;
mod files;
mod sealing;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use hearback::storage::{Cipher, Migrate, SecretKey, SqlStorage};
use hearback_core::{
    Timestamp,
    channel::Receipt,
    clock::ManualClock,
    event::{Bus, EventId},
    feedback::{Delivery, DeliveryState, Request, RequestState},
    id::Ids,
    person::{Asker, Person, Preferences, TokenRef, UserRef},
    secret::Secret,
    store::{Candidate, NewRequest, Standing, Store},
};
use hearback_tests::store::Harness;
use serde_json::json;
use tempfile::TempDir;

/// When everything in these tests happens.
const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

/// A new file for every store; the last one stays until the harness goes.
#[derive(Default)]
struct Sqlite(Mutex<Option<(Arc<SqlStorage>, TempDir)>>);

#[async_trait]
impl Harness for Sqlite {
    async fn fresh(&self) -> (Arc<dyn Store>, Arc<Bus>) {
        let folder = tempfile::tempdir().unwrap();
        let bus = Arc::new(Bus::default());
        let database = folder.path().join("hearback.db");
        let storage =
            SqlStorage::open(database.to_str().unwrap(), Migrate::Auto, bus.clone(), cipher('x')).await.unwrap();
        let storage = Arc::new(storage);
        *self.0.lock().unwrap() = Some((storage.clone(), folder));
        (storage, bus)
    }

    async fn add_person(&self, person: Person, email: Option<String>) {
        let storage = self.0.lock().unwrap().as_ref().expect("a store was made").0.clone();
        storage.add_person(person, email, NOW).await.unwrap();
    }
}

hearback_tests::store_conformance!(Sqlite::default());

/// The same suite on PostgreSQL.
mod postgres {
    use super::{NOW, async_trait, cipher};
    use std::sync::{Arc, Mutex};

    use hearback::storage::{Migrate, SqlStorage, postgres::Scratch};
    use hearback_core::{event::Bus, person::Person, store::Store};
    use hearback_tests::store::Harness;

    /// A new database for every store; the last one stays until the harness goes.
    struct Postgres {
        first: Mutex<Option<Scratch>>,
        made: Mutex<Option<(Arc<SqlStorage>, Scratch)>>,
    }

    #[async_trait]
    impl Harness for Postgres {
        async fn fresh(&self) -> (Arc<dyn Store>, Arc<Bus>) {
            let first = self.first.lock().unwrap().take();
            let database = match first {
                Some(database) => database,
                None => Scratch::for_test().await.expect("there was a server a moment ago"),
            };
            let bus = Arc::new(Bus::default());
            let storage = SqlStorage::open(database.url(), Migrate::Auto, bus.clone(), cipher('x')).await.unwrap();
            let storage = Arc::new(storage);
            *self.made.lock().unwrap() = Some((storage.clone(), database));
            (storage, bus)
        }

        async fn add_person(&self, person: Person, email: Option<String>) {
            let storage = self.made.lock().unwrap().as_ref().expect("a store was made").0.clone();
            storage.add_person(person, email, NOW).await.unwrap();
        }
    }

    hearback_tests::store_conformance!({
        let Some(database) = Scratch::for_test().await else { return };
        Postgres { first: Mutex::new(Some(database)), made: Mutex::default() }
    });
}

/// A cipher whose secret is one letter, often.
fn cipher(letter: char) -> Arc<Cipher> {
    let secret = Secret::from(letter.to_string().repeat(32));
    Arc::new(Cipher::new(&SecretKey::new(secret).unwrap().into()))
}

async fn open(folder: &Path) -> SqlStorage {
    let database = format!("sqlite://{}", folder.join("hearback.db").display());
    SqlStorage::open(&database, Migrate::Auto, Arc::default(), cipher('x')).await.unwrap()
}

/// What requests are made of, and the people in them.
struct Cast {
    ids: Ids,
    owner: UserRef,
    ana: UserRef,
}

impl Cast {
    /// People who are in this storage.
    async fn join(storage: &SqlStorage) -> Self {
        let cast = Self::new(1);
        for user in [&cast.owner, &cast.ana] {
            let person = Person { user: user.clone(), preferences: Preferences::default(), addresses: Vec::new() };
            storage.add_person(person, None, NOW).await.unwrap();
        }
        cast
    }

    /// People who are in no storage yet; their ids follow from `seed`.
    fn new(seed: u64) -> Self {
        let ids = Ids::seeded(Arc::new(ManualClock::at(NOW)), seed);
        let user = |username: &str| UserRef { id: ids.next(), username: username.into() };
        let (owner, ana) = (user("owner"), user("ana"));
        Self { ids, owner, ana }
    }

    /// An approval asked of Ana, which was sent to her already.
    fn ask(&self) -> NewRequest {
        let request = Request {
            id: self.ids.next(),
            asker: Asker {
                user: self.owner.clone(),
                token: Some(TokenRef { id: self.ids.next(), name: "deployer".into() }),
            },
            terms: hearback_tests::store::terms(vec![self.ana.clone()]),
            created_at: NOW,
            expires_at: NOW.after(Duration::from_hours(1)),
            created_event: EventId(0),
            state: RequestState::Pending,
        };
        let delivery = Delivery {
            id: self.ids.next(),
            request_id: request.id,
            user_id: self.ana.id,
            channel: "websocket".parse().unwrap(),
            address: "ana".parse().unwrap(),
            state: DeliveryState::Sent { receipt: Receipt::from("r1".to_owned()) },
            in_doubt: false,
            attempts: Vec::new(),
        };
        NewRequest { request, deliveries: vec![delivery], idempotency: None }
    }

    /// Ana's approval.
    fn answer(&self, request: &Request) -> Candidate {
        Candidate {
            id: self.ids.next(),
            request_id: request.id,
            by: Some(self.ana.clone()),
            channel: "web".parse().unwrap(),
            value: json!("approved"),
            comment: None,
            at: NOW,
            event: None,
            standing: Standing::Valid,
        }
    }
}
