//! A confirmed address is one person's, whoever waits for it.

use hearback_core::{id::UserId, store::Store};
use tempfile::TempDir;

use super::{NOW, ids, open, person};
use crate::{
    account::{AccountStore, AddressAdded, NewAddress},
    storage::sql::{
        fault::{Fault, Result},
        queue::Write,
        unit::Unit,
    },
};

/// A person has said that the address is theirs, and has not shown it yet.
struct Claim(UserId);

impl Write for Claim {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        let sql = "INSERT INTO addresses (user_id, channel, address, confirmed) VALUES ($1, 'desk', 'desk-7', FALSE)";
        unit.session.query(sql).bind(self.0.uuid()).execute().await?;
        Ok(())
    }
}

#[tokio::test]
async fn an_address_that_several_wait_for_is_the_ones_to_whom_it_is_given() {
    let folder = TempDir::new().unwrap();
    let storage = open(&folder).await;
    let ids = ids();
    let (ana, ben) = (person(&ids, "ana"), person(&ids, "ben"));
    for person in [&ana, &ben] {
        storage.add_person(person.clone(), None, NOW).await.unwrap();
        storage.queue.write(Claim(person.user.id)).await.unwrap();
    }
    let (desk, at) = ("desk".parse().unwrap(), "desk-7".parse().unwrap());
    assert_eq!(storage.person_at(&desk, &at).await.unwrap(), None, "nobody has shown it");

    let give = |user| {
        let (channel, address) = ("desk".parse().unwrap(), "desk-7".parse().unwrap());
        let new = NewAddress { id: ids.next(), user, channel, address, is_email: false, at: NOW };
        storage.add_address(new)
    };
    assert_eq!(give(ids.next()).await.unwrap(), AddressAdded::NoSuchPerson);
    // At the same moment: the writer takes one after the other.
    let both = tokio::join!(give(ana.user.id), give(ben.user.id));
    let waiting = storage.addresses(ana.user.id).await.unwrap()[0].id;
    let theirs = AddressAdded::Theirs(waiting);
    assert_eq!((both.0.unwrap(), both.1.unwrap()), (theirs.clone(), AddressAdded::Taken(ana.user.clone())));
    assert_eq!(give(ana.user.id).await.unwrap(), theirs, "again");
    assert_eq!(storage.person_at(&desk, &at).await.unwrap(), Some(ana.user.clone()));
    for (user, confirmed) in [(ana.user.id, true), (ben.user.id, false)] {
        let addresses = storage.addresses(user).await.unwrap();
        assert_eq!((addresses.len(), addresses[0].confirmed), (1, confirmed));
    }
}
