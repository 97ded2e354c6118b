//! The file: what survives, who may open it, how its schema goes up and down.

use std::{fs, path::Path, sync::Arc};

use hearback::storage::{Migrate, SqlStorage, migrate};
use hearback_core::{
    Error, ErrorKind,
    event::EventId,
    feedback::{DeliveryStatus, Status},
    id::RequestId,
    person::Reader,
    store::Store,
};
use tempfile::TempDir;

use super::{Cast, NOW, batches::queued, cipher, open};

/// Two requests, of which one was answered and waits for its settlement.
async fn write_something(storage: &SqlStorage) -> (Cast, RequestId, RequestId) {
    let cast = Cast::join(storage).await;
    let (answered, pending) = (cast.ask(), cast.ask());
    let ids = (answered.request.id, pending.request.id);
    let answer = cast.answer(&answered.request);
    storage.create(answered).await.unwrap();
    storage.create(pending).await.unwrap();
    storage.respond(answer).await.unwrap().unwrap();
    (cast, ids.0, ids.1)
}

async fn everything_is_there(storage: &SqlStorage, (cast, answered, pending): &(Cast, RequestId, RequestId)) {
    assert_eq!(storage.head().await.unwrap(), EventId(4), "two creations, a response, an ending");
    let status = async |id| storage.request(id).await.unwrap().unwrap().state.status();
    assert_eq!((status(*answered).await, status(*pending).await), (Status::Answered, Status::Pending));
    assert_eq!(storage.responses(*answered, None, 10).await.unwrap().items.len(), 1);
    assert_eq!(storage.deliveries(*pending, None, 10).await.unwrap().items[0].state.status(), DeliveryStatus::Sent);
    let events = storage.events(Reader::Person(cast.ana.id), EventId(0), 10).await.unwrap().unwrap();
    assert_eq!(events.len(), 3);
    let claims = storage.claim_settlements(NOW, NOW, 10).await.unwrap().claimed;
    assert_eq!(claims.iter().map(|claim| claim.request.id).collect::<Vec<_>>(), [*answered]);
    // The log goes on where it was.
    storage.create(cast.ask()).await.unwrap();
    assert_eq!(storage.head().await.unwrap(), EventId(5));
}

/// Opens the file as soon as the storage that was dropped has let go of it.
async fn open_when_free(folder: &Path) -> SqlStorage {
    loop {
        let database = folder.join("hearback.db");
        match SqlStorage::open(database.to_str().unwrap(), Migrate::Auto, Arc::default(), cipher('x')).await {
            Ok(storage) => return storage,
            Err(error) if error.detail().contains("another hub") => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_close() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).await;
    let written = write_something(&storage).await;
    storage.close().await;
    assert!(!folder.path().join("hearback.db-wal").exists(), "closing leaves one file");
    everything_is_there(&open(folder.path()).await, &written).await;
    let error = storage.create(written.0.ask()).await.unwrap_err();
    assert_eq!((error.kind(), error.detail()), (ErrorKind::Unavailable, "the storage is closed"));
    assert_eq!(storage.request(written.1).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn what_was_written_is_there_after_a_drop() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).await;
    let written = write_something(&storage).await;
    drop(storage);
    everything_is_there(&open_when_free(folder.path()).await, &written).await;
}

/// The files as they are at the moment of the answer, as a power cut would leave them.
#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).await;
    let written = write_something(&storage).await;
    let after = tempfile::tempdir().unwrap();
    for file in ["hearback.db", "hearback.db-wal"] {
        fs::copy(folder.path().join(file), after.path().join(file)).unwrap();
    }
    everything_is_there(&open(after.path()).await, &written).await;
}

/// What was queued when the storage closes is still committed.
#[tokio::test]
async fn closing_finishes_what_is_queued() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(open(folder.path()).await);
    let cast = Cast::join(&storage).await;
    let spawn = |new| {
        let storage = storage.clone();
        tokio::spawn(async move { storage.create(new).await.map(drop) })
    };
    let paused = storage.pause_writer().await;
    let creations: Vec<_> = (0..400).map(|_| spawn(cast.ask())).collect();
    queued(&storage, 400).await;
    let closing = storage.clone();
    let closing = tokio::spawn(async move { closing.close().await });
    tokio::task::yield_now().await;
    drop(paused);
    closing.await.unwrap();
    for creation in creations {
        creation.await.unwrap().unwrap();
    }
    assert_eq!(open(folder.path()).await.head().await.unwrap(), EventId(400));
}

async fn refused(database: &str) -> Error {
    let error = SqlStorage::open(database, Migrate::Auto, Arc::default(), cipher('x')).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error
}

fn text(folder: &TempDir, file: &str) -> String {
    folder.path().join(file).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_second_hub_on_the_same_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).await;
    let database = text(&folder, "hearback.db");
    let error = refused(&database).await;
    assert!(error.detail().contains(&database) && error.detail().contains("in use by another hub"), "{error}");
    assert!(migrate::up(&database).await.unwrap_err().detail().contains("another hub"));
    assert!(migrate::down(&database, 1).await.unwrap_err().detail().contains("another hub"));
    first.close().await;
    open(folder.path()).await;
}

#[tokio::test]
async fn what_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let noise = text(&folder, "noise.db");
    fs::write(&noise, "not a database, but long enough to have a header of a hundred bytes".repeat(20)).unwrap();
    let error = refused(&noise).await;
    assert!(error.detail().contains(&noise) && error.detail().contains("no sound SQLite database"), "{error}");

    let below_a_file = text(&folder, "noise.db/data/hearback.db");
    assert!(refused(&below_a_file).await.detail().contains("cannot create the folder"));
    assert!(refused(folder.path().to_str().unwrap()).await.detail().contains("is a folder"));
    for nothing in ["", "sqlite://", "sqlite::memory:", "sqlite://data.db?mode=ro"] {
        assert!(refused(nothing).await.detail().contains("names no file"), "{nothing}");
    }
}

/// The folder and the files are made, and the files are for this user alone.
#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b");
    let storage = open(&deep).await;
    write_something(&storage).await;
    for file in ["hearback.db", "hearback.db-wal", "hearback.db-shm", "hearback.db.lock"] {
        let mode = fs::metadata(deep.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
}

#[tokio::test]
async fn migrations_go_up_and_down() {
    let folder = tempfile::tempdir().unwrap();
    let database = text(&folder, "hearback.db");
    let known = migrate::status(&database).await.unwrap();
    assert!(known.iter().all(|step| !step.applied));
    assert_eq!((known[0].version, known[0].name), (1, "initial"));
    assert!(!Path::new(&database).exists(), "asking creates nothing");

    assert_eq!(migrate::up(&database).await.unwrap().len(), known.len());
    assert_eq!(migrate::up(&database).await.unwrap(), []);
    assert!(migrate::status(&database).await.unwrap().iter().all(|step| step.applied));
    let undone = migrate::down(&database, 1).await.unwrap();
    let newest = known.last().map(|step| step.version);
    assert_eq!(undone.iter().map(|step| (Some(step.version), step.applied)).collect::<Vec<_>>(), [(newest, false)]);
    assert_eq!(migrate::down(&database, 100).await.unwrap().len(), known.len() - 1);
    assert_eq!(migrate::down(&database, 1).await.unwrap(), []);
    assert_eq!(migrate::status(&database).await.unwrap(), known);
    // The start migrates by itself.
    let storage = open(folder.path()).await;
    storage.close().await;
    assert!(migrate::status(&database).await.unwrap().iter().all(|step| step.applied));
}
