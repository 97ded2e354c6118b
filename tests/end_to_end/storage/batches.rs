//! Writes that queue up share a transaction, and a bad one fails alone. The writer is paused until the queue is full, so that the
//! batches are known.

use std::sync::Arc;

use hearback::storage::SqlStorage;
use hearback_core::{
    ErrorKind,
    event::EventId,
    feedback::{Status, Verdict},
    person::Reader,
    store::{NewRequest, RequestQuery, Scope, Store},
};

use super::{Cast, open};

/// Waits until so many writes have queued up behind the one that pauses the writer.
pub(super) async fn queued(storage: &SqlStorage, writes: u64) {
    while storage.under_way() <= writes {
        tokio::task::yield_now().await;
    }
}

/// 64 creations, of which this makes the one in the middle a bad one.
async fn with_one_bad(spoil: impl Fn(&Cast, &mut NewRequest, &NewRequest), kind: ErrorKind, detail: &str) {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(open(folder.path()).await);
    let cast = Cast::join(&storage).await;
    let existing = cast.ask();
    storage.create(existing.clone()).await.unwrap();
    let before = storage.transactions();
    let paused = storage.pause_writer().await;
    let mut creations = Vec::new();
    for number in 0..64 {
        let mut new = cast.ask();
        if number == 31 {
            spoil(&cast, &mut new, &existing);
        }
        let storage = storage.clone();
        creations.push(tokio::spawn(async move { storage.create(new).await.map(drop) }));
    }
    queued(&storage, 64).await;
    drop(paused);
    let mut failed = Vec::new();
    for (number, creation) in creations.into_iter().enumerate() {
        if let Err(error) = creation.await.unwrap() {
            failed.push((number, error));
        }
    }
    assert_eq!(failed.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [31]);
    let error = &failed[0].1;
    assert_eq!(error.kind(), kind);
    assert!(error.detail().contains(detail), "{error}");

    let transactions = storage.transactions() - before - 1;
    assert!((1..=12).contains(&transactions), "63 creations took {transactions} transactions");
    let query = RequestQuery { scope: Scope::Asked(cast.ana.id), status: None, before: None, limit: 100 };
    assert_eq!(storage.requests(query).await.unwrap().items.len(), 64);
    let events = storage.events(Reader::Person(cast.ana.id), EventId(0), 100).await.unwrap().unwrap();
    let expected: Vec<_> = (1..=64).map(EventId).collect();
    assert_eq!(events.iter().map(|event| event.id).collect::<Vec<_>>(), expected, "what failed left no gap");
    assert_eq!(storage.head().await.unwrap(), EventId(64));
}

#[tokio::test]
async fn a_creation_under_a_taken_id_fails_alone() {
    let spoil = |_: &Cast, new: &mut NewRequest, existing: &NewRequest| {
        new.request.id = existing.request.id;
        new.deliveries.clear();
    };
    with_one_bad(spoil, ErrorKind::Unexpected, "exists already").await;
}

#[tokio::test]
async fn a_creation_that_asks_an_unknown_person_fails_alone() {
    let spoil = |_: &Cast, new: &mut NewRequest, _: &NewRequest| new.request.terms.to = vec![Cast::new(99).ana];
    with_one_bad(spoil, ErrorKind::NotFound, "a person or a request that does not exist").await;
}

#[tokio::test]
async fn writes_that_queue_up_share_one_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(open(folder.path()).await);
    let cast = Cast::join(&storage).await;
    let first = storage.create(cast.ask()).await.unwrap();
    assert!(matches!(first, hearback_core::store::Created::New(_)));
    let before = storage.transactions();
    let spawn = |new| {
        let storage: Arc<SqlStorage> = storage.clone();
        tokio::spawn(async move { storage.create(new).await.map(drop) })
    };
    let paused = storage.pause_writer().await;
    let creations: Vec<_> = (0..64).map(|_| spawn(cast.ask())).collect();
    queued(&storage, 64).await;
    drop(paused);
    for creation in creations {
        creation.await.unwrap().unwrap();
    }
    assert_eq!(storage.transactions() - before, 2, "that of the pause, and theirs");
}

/// The first in the queue would have won, but cannot be stored: the next one wins.
#[tokio::test]
async fn a_winner_that_cannot_be_stored_leaves_the_request_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(open(folder.path()).await);
    let cast = Cast::join(&storage).await;
    let new = cast.ask();
    let request = new.request.clone();
    storage.create(new).await.unwrap();
    let paused = storage.pause_writer().await;
    let mut answers = Vec::new();
    for number in 0..10 {
        let mut answer = cast.answer(&request);
        if number == 0 {
            answer.by = Some(Cast::new(99).ana);
        }
        let storage = storage.clone();
        answers.push(tokio::spawn(async move { storage.respond(answer).await }));
    }
    queued(&storage, 10).await;
    drop(paused);
    let mut verdicts = Vec::new();
    for answer in answers {
        verdicts.push(answer.await.unwrap().ok().flatten().map(|recorded| recorded.response.verdict));
    }
    assert_eq!(verdicts[..2], [None, Some(Verdict::Accepted)]);
    assert!(verdicts[2..].iter().all(|verdict| *verdict == Some(Verdict::Late)));
    assert_eq!(storage.responses(request.id, None, 100).await.unwrap().items.len(), 9);
    let read = storage.request(request.id).await.unwrap().unwrap();
    assert_eq!(read.state.status(), Status::Answered);
    assert_eq!(storage.head().await.unwrap(), EventId(11), "a creation, nine responses, an ending");
}
