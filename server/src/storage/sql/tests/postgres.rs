//! What only PostgreSQL can get wrong: several writers, the order of their events, connections that are lost.

use std::{sync::Arc, time::Duration};

use hearback_core::{
    Timestamp,
    event::{Bus, EventId, Heard, Topic, Work},
    feedback::{Delivery, DeliveryState, Request, RequestState},
    id::{Ids, TokenId},
    person::{Asker, Reader, TokenRef, UserRef},
    secret::Secret,
    store::{Created, NewRequest, Store},
};
use sqlx::{Connection, Executor, PgConnection};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    select,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{NOW, ids, person};
use crate::storage::{Cipher, Migrate, SecretKey, SqlStorage, migrate, postgres::Scratch};

/// How long anything here may take on a busy machine.
const SOON: Duration = Duration::from_secs(20);

async fn open(database: &Scratch, bus: Arc<Bus>) -> SqlStorage {
    let cipher = Arc::new(Cipher::new(&SecretKey::new(Secret::from("x".repeat(32))).unwrap().into()));
    SqlStorage::open(database.url(), Migrate::Auto, bus, cipher).await.unwrap()
}

/// Who asks and who is asked.
struct Cast {
    ids: Ids,
    owner: UserRef,
    token: TokenId,
}

impl Cast {
    async fn join(storage: &SqlStorage) -> Self {
        let ids = ids();
        let owner = person(&ids, "owner");
        storage.add_person(owner.clone(), None, NOW).await.unwrap();
        let token = ids.next();
        Self { ids, owner: owner.user, token }
    }

    fn ask(&self) -> NewRequest {
        let token = Some(TokenRef { id: self.token, name: "deployer".into() });
        let request = Request {
            id: self.ids.next(),
            asker: Asker { user: self.owner.clone(), token },
            terms: hearback_tests::store::terms(vec![self.owner.clone()]),
            created_at: NOW,
            expires_at: NOW.after(Duration::from_hours(1)),
            created_event: EventId(0),
            state: RequestState::Pending,
        };
        let delivery = Delivery {
            id: self.ids.next(),
            request_id: request.id,
            user_id: self.owner.id,
            channel: "slack".parse().unwrap(),
            address: "owner".parse().unwrap(),
            state: DeliveryState::Queued { due: NOW, reason: None },
            in_doubt: false,
            attempts: Vec::new(),
        };
        NewRequest { request, deliveries: vec![delivery], idempotency: None }
    }

    async fn create(&self, storage: &SqlStorage) -> Arc<Request> {
        match storage.create(self.ask()).await.unwrap() {
            Created::New(request) => request,
            other => panic!("expected a new request, found {other:?}"),
        }
    }

    fn reader(&self) -> Reader {
        Reader::Token(self.token)
    }

    async fn log(&self, storage: &SqlStorage, after: u64) -> Vec<u64> {
        let events = storage.events(self.reader(), EventId(after), 100).await.unwrap().expect("a place in the log");
        events.iter().map(|event| event.id.0).collect()
    }
}

/// A transaction that commits late holds the others back, so that a reader who has read on has missed nothing.
#[tokio::test]
async fn a_reader_who_resumes_while_a_transaction_commits_late_misses_nothing() {
    let Some(database) = Scratch::for_test().await else { return };
    let storage = Arc::new(open(&database, Arc::default()).await);
    let cast = Arc::new(Cast::join(&storage).await);
    let first = cast.create(&storage).await;

    // Another server has got the next number, written its event, and takes its time.
    let mut slow = PgConnection::connect(database.url()).await.unwrap();
    slow.execute("BEGIN; UPDATE event_log SET head = 2").await.unwrap();
    let copy = "INSERT INTO events SELECT 2, at, kind, request_id FROM events WHERE id = 1; \
        INSERT INTO event_readers SELECT reader, 2 FROM event_readers WHERE event_id = 1";
    slow.execute(copy).await.unwrap();
    let third = tokio::spawn({
        let (storage, cast) = (storage.clone(), cast.clone());
        async move { cast.create(&storage).await }
    });
    database.wait_for("SELECT count(*)::text FROM pg_locks WHERE NOT granted", "1").await;

    assert_eq!(cast.log(&storage, 0).await, [1], "nothing that could be overtaken is shown");
    slow.execute("COMMIT").await.unwrap();
    let third = timeout(SOON, third).await.unwrap().unwrap();
    assert_eq!((first.created_event, third.created_event), (EventId(1), EventId(3)));
    assert_eq!(cast.log(&storage, 1).await, [2, 3]);
}

/// What one server commits, the listeners of another hear, in the order of the log, and their own server's in between.
#[tokio::test]
async fn listeners_on_every_server_hear_all_commits_in_the_order_of_the_log() {
    let Some(database) = Scratch::for_test().await else { return };
    let buses = [Arc::new(Bus::default()), Arc::new(Bus::default())];
    let servers = [open(&database, buses[0].clone()).await, open(&database, buses[1].clone()).await];
    let cast = Cast::join(&servers[0]).await;
    let mut listening = buses.each_ref().map(|bus| bus.listen(Topic::Reader(cast.reader())));
    for number in 0..20 {
        cast.create(&servers[number % 2]).await;
        if number % 5 == 0 {
            cast.create(&servers[number % 2]).await;
        }
    }
    for listening in &mut listening {
        let mut heard = Vec::new();
        while heard.len() < 24 {
            match timeout(SOON, listening.next()).await.expect("heard in time") {
                Heard::Event(event) => heard.push(event.id.0),
                Heard::Lagged => panic!("the backlog holds them"),
            }
        }
        assert_eq!(heard, (1..=24).collect::<Vec<_>>());
    }
}

/// Two servers claim from one heap, and nothing is claimed twice.
#[tokio::test]
async fn claims_of_two_servers_never_meet() {
    let Some(database) = Scratch::for_test().await else { return };
    let servers = [open(&database, Arc::default()).await, open(&database, Arc::default()).await];
    let cast = Cast::join(&servers[0]).await;
    for _ in 0..60 {
        cast.create(&servers[0]).await;
    }
    let lease: Timestamp = NOW.after(Duration::from_secs(30));
    let claim = |server: usize| servers[server].claim_sends(Uuid::nil().into(), NOW, lease, 7);
    let mut claimed = Vec::new();
    loop {
        let (one, other) = tokio::join!(claim(0), claim(1));
        let both: Vec<_> = one.unwrap().claimed.into_iter().chain(other.unwrap().claimed).collect();
        if both.is_empty() {
            break;
        }
        claimed.extend(both.into_iter().map(|claim| claim.delivery.id));
    }
    assert_eq!(claimed.len(), 60);
    claimed.sort_unstable();
    claimed.dedup();
    assert_eq!(claimed.len(), 60);
}

/// Whoever hangs up half-way has asked all the same, and the hub hears that there is work once it is committed.
#[tokio::test]
async fn what_a_caller_who_hung_up_has_written_wakes_the_hub() {
    let Some(database) = Scratch::for_test().await else { return };
    let bus = Arc::new(Bus::default());
    let storage = open(&database, bus.clone()).await;
    let cast = Cast::join(&storage).await;
    let mut other = PgConnection::connect(database.url()).await.unwrap();
    other.execute("BEGIN; SELECT head FROM event_log FOR UPDATE").await.unwrap();
    let create = storage.create(cast.ask());
    assert!(timeout(Duration::from_millis(1), create).await.is_err(), "another server has the log");
    other.execute("COMMIT").await.unwrap();
    let work = timeout(SOON, bus.woken()).await.expect("told in time");
    assert!(work.contains(&Work::Sends), "{work:?}");
    assert_eq!(storage.claim_sends(cast.ids.next(), NOW, NOW.after(SOON), 7).await.unwrap().claimed.len(), 1);
}

/// The database ends every connection, as it does when it is restarted: what is under way may fail, what follows works, and
/// what was said to other servers meanwhile is heard.
#[tokio::test]
async fn lost_connections_are_made_anew() {
    let Some(database) = Scratch::for_test().await else { return };
    let bus = Arc::new(Bus::default());
    let (storage, other) = (open(&database, bus.clone()).await, open(&database, Arc::default()).await);
    let cast = Cast::join(&storage).await;
    let mut listening = bus.listen(Topic::Reader(cast.reader()));
    cast.create(&storage).await;
    let end = "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.text(end).await;
    let created = async {
        // The first tries may find the lost connections.
        while other.create(cast.ask()).await.is_err() {}
        while storage.create(cast.ask()).await.is_err() {}
    };
    timeout(SOON, created).await.expect("written in time");
    let mut heard = Vec::new();
    while heard.len() < 3 {
        if let Heard::Event(event) = timeout(SOON, listening.next()).await.expect("heard in time") {
            heard.push(event.id.0);
        }
    }
    assert_eq!(heard, [1, 2, 3]);
}

/// The database was started anew, and nobody has noticed: neither the first read fails nor the first claim.
#[tokio::test]
async fn a_read_and_a_claim_find_another_connection_for_a_lost_one() {
    let Some(database) = Scratch::for_test().await else { return };
    let storage = open(&database, Arc::default()).await;
    let cast = Cast::join(&storage).await;
    cast.create(&storage).await;
    let server = cast.ids.next();
    let claim = || storage.claim_sends(server, NOW, NOW.after(Duration::from_secs(30)), 10);
    assert_eq!(claim().await.unwrap().claimed.len(), 1);
    let end = "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.text(end).await;
    assert!(storage.people(&["owner".into()]).await.unwrap()[0].is_some());
    database.text(end).await;
    assert!(claim().await.unwrap().claimed.is_empty());
}

/// Between the hub and the database: lets everything through until it falls silent, and new connections ever after.
async fn wire(database: &Scratch) -> (String, CancellationToken) {
    let mut url = url::Url::parse(database.url()).unwrap();
    let to = (url.host_str().unwrap().to_owned(), url.port().unwrap_or(5432));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    let silent = CancellationToken::new();
    let falls_silent = silent.clone();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let (to, silent) = (to.clone(), falls_silent.clone());
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                let is_old = !silent.is_cancelled();
                select! {
                    _ = copy_bidirectional(&mut near, &mut far) => return,
                    () = silent.cancelled(), if is_old => {}
                }
                std::future::pending::<()>().await;
            });
        }
    });
    (url.into(), silent)
}

/// No word that the connections are gone ever comes: what was asked is asked again over a new one.
#[tokio::test]
async fn a_read_does_not_wait_for_a_connection_that_has_fallen_silent() {
    let Some(database) = Scratch::for_test().await else { return };
    let (url, silent) = wire(&database).await;
    let cipher = Arc::new(Cipher::new(&SecretKey::new(Secret::from("x".repeat(32))).unwrap().into()));
    let storage = SqlStorage::open(&url, Migrate::Auto, Arc::default(), cipher).await.unwrap();
    let cast = Cast::join(&storage).await;
    let claim = || storage.claim_sends(cast.ids.next(), NOW, NOW, 10);
    let read = async || storage.people(&["owner".into()]).await.unwrap()[0].is_some();
    assert!(timeout(SOON, read()).await.expect("read in time"));
    claim().await.unwrap();
    silent.cancel();
    assert!(timeout(SOON, read()).await.expect("read again in time"));
    timeout(SOON, claim()).await.expect("claimed in time").unwrap();
}

#[tokio::test]
async fn the_schema_goes_up_and_down_and_an_older_one_is_refused() {
    let Some(database) = Scratch::for_test().await else { return };
    let schema = "SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') FROM ( \
        SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) AS line \
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%' \
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE '\\_sqlx%' \
        UNION ALL SELECT concat_ws(' ', conname, pg_get_constraintdef(oid)) FROM pg_constraint \
        WHERE connamespace = 'public'::regnamespace AND conrelid <> '_sqlx_migrations'::regclass) AS lines";
    let steps = migrate::status(database.url()).await.unwrap();
    assert!(steps.len() > 1 && steps.iter().all(|step| !step.applied), "{steps:?}");
    assert_eq!(database.text("SELECT coalesce(to_regclass('_sqlx_migrations')::text, 'none')").await, "none");
    migrate::up(database.url()).await.unwrap();
    let first = database.text(schema).await;
    assert!(first.lines().count() > 100, "{first}");

    migrate::down(database.url(), 1).await.unwrap();
    let cipher = Arc::new(Cipher::new(&SecretKey::new(Secret::from("x".repeat(32))).unwrap().into()));
    let refused = SqlStorage::open(database.url(), Migrate::Manual, Arc::default(), cipher).await.unwrap_err();
    let detail = refused.detail();
    assert!(detail.starts_with("the database lacks 1 of this program's migrations, from 0"), "{detail}");
    assert!(detail.ends_with("run `hearback migrate up`, or set MIGRATE=auto"), "{detail}");

    migrate::down(database.url(), usize::MAX).await.unwrap();
    assert_eq!(database.text(schema).await, "");
    migrate::up(database.url()).await.unwrap();
    assert_eq!(database.text(schema).await, first);
}

/// Nothing of the URL is told but the host.
#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_without_its_password() {
    let cipher = || Arc::new(Cipher::new(&SecretKey::new(Secret::from("x".repeat(32))).unwrap().into()));
    let open = |url: &'static str| SqlStorage::open(url, Migrate::Auto, Arc::default(), cipher());
    let error = open("postgres://ana:a-secret@127.0.0.1:1/hub").await.unwrap_err();
    assert!(error.detail().starts_with("cannot connect to PostgreSQL at 127.0.0.1: "), "{error}");
    assert!(!format!("{error:?}").contains("a-secret"), "{error:?}");
    let error = open("postgres://ana:a-secret@:nowhere/hub").await.unwrap_err();
    assert!(!format!("{error:?}").contains("a-secret") && error.detail().contains("expected postgres://"), "{error:?}");
}
