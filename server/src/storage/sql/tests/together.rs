//! Reads that share a trip.

use std::sync::Arc;

use hearback_core::{ErrorKind, store::Store};
use tempfile::TempDir;

use super::{NOW, ids, open, person};
use crate::storage::sql::{fault::Fault, queue::Write, unit::Unit};

/// Spoils what is stored of one person.
struct Spoil;

impl Write for Spoil {
    type Answer = u64;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<u64, Fault> {
        unit.session.query("UPDATE users SET preference = '{}' WHERE username = 'person-3'").execute().await
    }
}

#[tokio::test]
async fn callers_at_the_same_time_share_a_read_and_one_s_fault_is_nobody_else_s() {
    let folder = TempDir::new().unwrap();
    let (storage, ids) = (Arc::new(open(&folder).await), ids());
    let people: Vec<_> = (0..10).map(|number| person(&ids, &format!("person-{number}"))).collect();
    for person in &people {
        storage.add_person(person.clone(), None, NOW).await.unwrap();
    }
    let ask = async || {
        // On one thread all of them have asked before the first is answered.
        let read = |names: Vec<String>| {
            let storage = storage.clone();
            tokio::spawn(async move { storage.people(&names).await })
        };
        let mut asked: Vec<_> = people.iter().map(|person| read(vec![person.user.username.to_uppercase()])).collect();
        asked.push(read(vec!["nobody".into(), people[0].user.id.to_string()]));
        asked.push(read(vec![people[0].user.username.clone()]));
        // One hangs up.
        read(vec!["person-1".into()]).abort();
        let mut answers = Vec::new();
        for answer in asked {
            answers.push(answer.await.unwrap());
        }
        answers
    };
    let before = storage.statements();
    let answers: Vec<_> = ask().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(storage.statements() - before, 1, "one read for all");
    for (person, answer) in people.iter().zip(&answers) {
        assert_eq!(*answer, [Some(person.clone())]);
    }
    assert_eq!(answers[10], [None, Some(people[0].clone())]);
    assert_eq!(answers[11], [Some(people[0].clone())]);

    assert_eq!(storage.queue.write(Spoil).await.unwrap(), 1);
    let answers = ask().await;
    let failed: Vec<_> = (0..answers.len()).filter(|index| answers[*index].is_err()).collect();
    assert_eq!(failed, [3]);
    assert_eq!(answers[4].as_ref().unwrap(), &[Some(people[4].clone())]);

    storage.close().await;
    let closed = storage.people(&["person-1".into()]).await.unwrap_err();
    assert_eq!((closed.kind(), closed.detail()), (ErrorKind::Unavailable, "the storage is closed"));
}
