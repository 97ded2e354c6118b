//! A disk that is full, and has room again.

use std::sync::Arc;

use hearback_core::{ErrorKind, store::Store};
use tempfile::TempDir;

use super::{NOW, ids, open, person};
use crate::storage::sql::{
    fault::{Fault, Result},
    queue::Write,
    session::{Assembled, Dialect},
    unit::Unit,
};

/// Lets the database grow to so many pages: SQLite answers beyond them as it does on a full disk.
struct Room(u32);

impl Write for Room {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        // A pragma takes no variables.
        let pragma = Assembled::new(Dialect::Sqlite, &format!("PRAGMA max_page_count = {}", self.0));
        unit.session.assembled(pragma).execute().await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_full_disk_fails_what_was_written_to_it_and_nothing_later() {
    let folder = TempDir::new().unwrap();
    let storage = Arc::new(open(&folder).await);
    let ids = ids();
    // SQLite raises this to the pages that the file has, so nothing more fits.
    storage.queue.write(Room(1)).await.unwrap();
    let before = storage.transactions();
    let mut full = 0;
    for number in 0..2_000 {
        let person = person(&ids, &format!("person-{number}"));
        if let Err(error) = storage.add_person(person, None, NOW).await {
            assert_eq!((error.kind(), error.detail()), (ErrorKind::Unavailable, "the disk is full"));
            full += 1;
        }
    }
    let stored = storage.transactions() - before;
    assert!(full > 0);
    assert_eq!(stored + full, 2_000);

    storage.queue.write(Room(1 << 30)).await.unwrap();
    let late = person(&ids, "late");
    storage.add_person(late.clone(), None, NOW).await.unwrap();
    assert_eq!(storage.people(&["late".into()]).await.unwrap(), [Some(late)]);
}

#[tokio::test]
async fn a_full_disk_fails_every_member_of_its_batch() {
    let folder = TempDir::new().unwrap();
    let storage = Arc::new(open(&folder).await);
    let ids = ids();
    storage.queue.write(Room(1)).await.unwrap();
    // All of them queue up: one batch, too large for what room is left.
    let paused = storage.pause_writer().await;
    let writes: Vec<_> = (0..200)
        .map(|number| {
            let (storage, mut person) = (storage.clone(), person(&ids, &format!("person-{number}")));
            let address = |at| ("slack".parse().unwrap(), format!("{at}-{number}").parse().unwrap());
            person.addresses = (0..20).map(address).collect();
            tokio::spawn(async move { storage.add_person(person, None, NOW).await.map_err(|error| error.kind()) })
        })
        .collect();
    while storage.under_way() <= 200 {
        tokio::task::yield_now().await;
    }
    drop(paused);
    for write in writes {
        assert_eq!(write.await.unwrap(), Err(ErrorKind::Unavailable));
    }
    storage.queue.write(Room(1 << 30)).await.unwrap();
    assert_eq!(storage.people(&["person-0".into()]).await.unwrap(), [None], "nothing of it was kept");
}
