//! Accounts, service tokens and sign-ins.

use std::{sync::Arc, time::Duration};

use hearback::{
    account::{
        Account, AccountStore, Changed, Changes, KeptAnswer, NewAccount, NewRefresh, NewToken, Registered, Role,
        Rotated, ServiceToken, SignInBegun, TokenCreated, TokenScope,
    },
    storage::SqlStorage,
};
use hearback_core::{
    Timestamp,
    clock::ManualClock,
    id::{Ids, UserId},
    store::{Idempotency, Prune, Store},
};
use uuid::Uuid;

use super::{NOW, open};

fn after(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

fn ids() -> Ids {
    Ids::seeded(Arc::new(ManualClock::at(NOW)), 3)
}

fn new(ids: &Ids, username: &str, email: &str, open: bool) -> NewAccount {
    NewAccount {
        id: ids.next(),
        username: username.into(),
        email: email.into(),
        password: "$argon2id$".into(),
        at: NOW,
        open,
    }
}

async fn register(storage: &SqlStorage, ids: &Ids, name: &str) -> UserId {
    registered(storage, ids, name).await.user.id
}

async fn registered(storage: &SqlStorage, ids: &Ids, name: &str) -> Account {
    match storage.register(new(ids, name, &format!("{name}@example.com"), true)).await.unwrap() {
        Registered::New(account) => account,
        other => panic!("{other:?}"),
    }
}

/// Of accounts made at the same moment, one is the administrator's, and with a closed door it is the only one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_account_is_the_administrators() {
    for open_door in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(open(folder.path()).await);
        assert!(storage.is_empty().await.unwrap());
        let ids = ids();
        let registrations: Vec<_> = (0..20)
            .map(|number| {
                let storage = storage.clone();
                let new = new(&ids, &format!("u{number}"), &format!("u{number}@example.com"), open_door);
                tokio::spawn(async move { storage.register(new).await.unwrap() })
            })
            .collect();
        let (mut administrators, mut members, mut closed) = (0, 0, 0);
        for registration in registrations {
            match registration.await.unwrap() {
                Registered::New(account) if account.role == Role::Administrator => administrators += 1,
                Registered::New(_) => members += 1,
                Registered::Closed => closed += 1,
                Registered::Taken(field) => panic!("{field}"),
            }
        }
        let expected = if open_door { (1, 19, 0) } else { (1, 0, 19) };
        assert_eq!((administrators, members, closed), expected);
        assert!(!storage.is_empty().await.unwrap());
    }
}

#[tokio::test]
async fn a_taken_name_is_told_apart_from_a_taken_email() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).await;
    let ids = ids();
    let ana = register(&storage, &ids, "ana").await;
    let taken = async |username: &str, email: &str| match storage.register(new(&ids, username, email, true)).await {
        Ok(Registered::Taken(field)) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(taken("ben", "ana@example.com").await, "email");
    assert_eq!(taken("ben", "ANA@example.com").await, "email");
    assert_eq!(taken("ana", "ben@example.com").await, "username");
    assert_eq!(taken("Ana", "ben@example.com").await, "username");

    let account = storage.account(ana).await.unwrap().unwrap();
    assert_eq!((account.user.username.as_str(), account.email.as_str()), ("ana", "ana@example.com"));
    assert_eq!((account.password.as_deref(), account.created_at), (Some("$argon2id$"), NOW));
    for login in ["ana", "ANA", "Ana@Example.com"] {
        assert_eq!(storage.account_by_login(login).await.unwrap().map(|account| account.user.id), Some(ana), "{login}");
    }
    assert!(storage.account_by_login("ben").await.unwrap().is_none());
    assert!(storage.account(ids.next()).await.unwrap().is_none());
    let people = storage.people(&["ana".into(), "ana@example.com".into()]).await.unwrap();
    assert!(people[0].is_some() && people[1].is_none(), "an e-mail that was only claimed names nobody");
}

fn token(ids: &Ids, user_id: UserId, hash: u8, expires_at: Option<Timestamp>) -> NewToken {
    let token = ServiceToken {
        id: ids.next(),
        name: format!("token {hash}"),
        scopes: TokenScope::ALL.to_vec(),
        created_at: NOW,
        expires_at,
        last_used_at: None,
    };
    NewToken { token, user_id, sign_in: None, hash: [hash; 32], sealed_webhook_secret: vec![1, 2, 3], kept: None }
}

#[tokio::test]
async fn a_token_works_until_it_expires_or_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).await;
    let clock = Arc::new(ManualClock::at(NOW));
    let ids = Ids::seeded(clock.clone(), 3);
    let (ana, ben) = (register(&storage, &ids, "ana").await, register(&storage, &ids, "ben").await);
    let mut made = Vec::new();
    for hash in 1..=5 {
        clock.advance(Duration::from_secs(1));
        let new = token(&ids, ana, hash, (hash == 2).then(|| after(60)));
        made.push(new.token.clone());
        assert!(matches!(storage.create_token(new).await.unwrap(), TokenCreated::New));
    }
    let works = async |hash: u8, now| storage.token_by_hash(&[hash; 32], now).await.unwrap();
    let (found, owner) = works(1, after(3600)).await.unwrap();
    assert_eq!((found, owner.user.id), (made[0].clone(), ana));
    assert!(works(9, NOW).await.is_none());
    assert!(works(2, after(59)).await.is_some());
    assert!(works(2, after(60)).await.is_none());

    let page = storage.tokens(ana, None, 3).await.unwrap();
    assert_eq!(
        (page.items.as_slice(), page.more),
        ([made[4].clone(), made[3].clone(), made[2].clone()].as_slice(), true)
    );
    let page = storage.tokens(ana, Some(made[2].id), 3).await.unwrap();
    assert_eq!((page.items.len(), page.more), (2, false));
    assert!(storage.tokens(ben, None, 3).await.unwrap().items.is_empty());

    assert!(!storage.revoke_token(ben, made[0].id, NOW).await.unwrap(), "another's token");
    assert!(storage.revoke_token(ana, made[0].id, NOW).await.unwrap());
    assert!(!storage.revoke_token(ana, made[0].id, NOW).await.unwrap());
    assert!(works(1, NOW).await.is_none());
    assert_eq!(storage.tokens(ana, None, 100).await.unwrap().items.len(), 4);
}

/// The use of a token is noted to the minute, and costs one write a minute.
#[tokio::test]
async fn the_use_of_a_token_is_noted_to_the_minute() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).await;
    let ids = ids();
    let ana = register(&storage, &ids, "ana").await;
    let new = token(&ids, ana, 1, None);
    let id = new.token.id;
    storage.create_token(new).await.unwrap();
    let last_used = async || storage.token_by_hash(&[1; 32], NOW).await.unwrap().unwrap().0.last_used_at;
    let minute = Timestamp::from_micros(NOW.micros() / 60_000_000 * 60_000_000);
    let before = storage.transactions();
    for seconds in [0, 1, 2] {
        storage.touch_token(id, minute.after(Duration::from_secs(seconds))).await.unwrap();
        assert_eq!(last_used().await, Some(minute));
    }
    assert_eq!(storage.transactions() - before, 1);
    storage.touch_token(id, minute.after(Duration::from_secs(61))).await.unwrap();
    assert_eq!(last_used().await, Some(minute.after(Duration::from_mins(1))));
    storage.touch_token(id, minute).await.unwrap();
    assert_eq!(last_used().await, Some(minute.after(Duration::from_mins(1))), "it does not go back");
}

#[tokio::test]
async fn a_repeated_token_creation_is_answered_with_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).await;
    let ids = ids();
    let ana = register(&storage, &ids, "ana").await;
    let create = async |hash: u8, fingerprint: u8| {
        let idempotency = Idempotency { key: [7; 32], fingerprint: [fingerprint; 32] };
        let kept = Some(KeptAnswer { idempotency, sealed: vec![hash] });
        storage.create_token(NewToken { kept, ..token(&ids, ana, hash, None) }).await.unwrap()
    };
    assert!(matches!(create(1, 1).await, TokenCreated::New));
    assert!(matches!(create(2, 1).await, TokenCreated::Replayed(sealed) if sealed == [1]));
    assert!(matches!(create(3, 2).await, TokenCreated::Mismatch));
    assert_eq!(storage.tokens(ana, None, 10).await.unwrap().items.len(), 1);
    let what = Prune { keys_before: after(1), events_before: after(0), limit: 10 };
    storage.prune(what).await.unwrap();
    assert!(matches!(create(4, 2).await, TokenCreated::New));
}

fn refresh(hash: u8, at: u64, expires: u64) -> NewRefresh {
    NewRefresh { hash: [hash; 32], at: after(at), expires_at: after(expires) }
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_a_copy_ends_the_sign_in() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).await;
    let ids = ids();
    let ana = registered(&storage, &ids, "ana").await;
    let (stolen, other): (Uuid, Uuid) = (ids.next(), ids.next());
    storage.begin_sign_in(&ana, stolen, refresh(1, 0, 100)).await.unwrap();
    storage.begin_sign_in(&ana, other, refresh(101, 0, 100)).await.unwrap();
    let rotate = async |shown: u8, next| storage.rotate_refresh(&[shown; 32], next).await.unwrap();

    assert!(matches!(rotate(1, refresh(2, 10, 110)).await, Rotated::New { account, family }
        if account.user.id == ana.user.id && family == stolen));
    assert!(matches!(rotate(2, refresh(3, 20, 120)).await, Rotated::New { .. }));
    assert!(matches!(rotate(9, refresh(4, 20, 120)).await, Rotated::Unknown));
    assert!(storage.sign_in_end(stolen).await.unwrap().is_some());
    assert!(matches!(rotate(1, refresh(5, 30, 130)).await, Rotated::Reused));
    assert!(storage.sign_in_end(stolen).await.unwrap().is_none());
    assert!(matches!(rotate(3, refresh(6, 30, 130)).await, Rotated::Unknown), "the whole sign-in is over");
    assert!(storage.sign_in_end(other).await.unwrap().is_some());

    assert!(matches!(rotate(101, refresh(102, 100, 200)).await, Rotated::Unknown), "it has expired");
    storage.end_sign_in(other).await.unwrap();
    assert!(storage.sign_in_end(other).await.unwrap().is_none());
    assert!(storage.sign_in_end(ids.next()).await.unwrap().is_none());
}

/// Of many that show the same token at once, one gets the next; that there were others ends the sign-in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_shown_twice_at_once_is_good_once() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(open(folder.path()).await);
    let ids = ids();
    let ana = registered(&storage, &ids, "ana").await;
    let family: Uuid = ids.next();
    storage.begin_sign_in(&ana, family, refresh(1, 0, 100)).await.unwrap();
    let rotations: Vec<_> = (10..20)
        .map(|next| {
            let storage = storage.clone();
            tokio::spawn(async move { storage.rotate_refresh(&[1; 32], refresh(next, 1, 101)).await.unwrap() })
        })
        .collect();
    let mut good = 0;
    for rotation in rotations {
        good += usize::from(matches!(rotation.await.unwrap(), Rotated::New { .. }));
    }
    assert_eq!(good, 1);
    assert!(storage.sign_in_end(family).await.unwrap().is_none());
}

/// A sign-in that ran out is forgotten when the next begins, and one that is used lives on.
#[tokio::test]
async fn sign_ins_that_ran_out_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).await;
    let ids = ids();
    let ana = registered(&storage, &ids, "ana").await;
    let (idle, used, last): (Uuid, Uuid, Uuid) = (ids.next(), ids.next(), ids.next());
    storage.begin_sign_in(&ana, idle, refresh(1, 0, 100)).await.unwrap();
    storage.begin_sign_in(&ana, used, refresh(2, 0, 100)).await.unwrap();
    assert!(matches!(storage.rotate_refresh(&[2; 32], refresh(3, 50, 150)).await.unwrap(), Rotated::New { .. }));
    storage.begin_sign_in(&ana, last, refresh(4, 100, 200)).await.unwrap();
    assert!(storage.sign_in_end(idle).await.unwrap().is_none());
    assert!(storage.sign_in_end(used).await.unwrap().is_some());
    // The copy of a used token is still known while it could have been good.
    assert!(matches!(storage.rotate_refresh(&[2; 32], refresh(5, 99, 199)).await.unwrap(), Rotated::Reused));
}

/// Between the verification of a password and the begin of its sign-in, the account may change.
#[tokio::test]
async fn a_sign_in_does_not_begin_by_a_password_that_was_just_changed_or_for_somebody_just_deactivated() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).await;
    let ids = ids();
    let (_, ben) = (registered(&storage, &ids, "ana").await, registered(&storage, &ids, "ben").await);
    let begin = async |account: &Account, hash| {
        storage.begin_sign_in(account, ids.next(), refresh(hash, 0, 100)).await.unwrap()
    };
    assert_eq!(begin(&ben, 1).await, SignInBegun::Now);
    assert!(storage.change_password(ben.user.id, "$argon2id$", "$argon2id$new", Uuid::nil()).await.unwrap());
    assert!(!storage.change_password(ben.user.id, "$argon2id$", "$argon2id$newer", Uuid::nil()).await.unwrap());
    assert_eq!(begin(&ben, 2).await, SignInBegun::Void);
    let ben = storage.account(ben.user.id).await.unwrap().unwrap();
    assert_eq!(begin(&ben, 3).await, SignInBegun::Now);
    let deactivate = Changes { active: Some(false), ..Changes::default() };
    assert!(matches!(storage.change(ben.user.id, deactivate, NOW).await.unwrap(), Changed::Now(_)));
    assert_eq!(begin(&ben, 4).await, SignInBegun::Void);
}

/// Of administrators who deactivate each other at once, one stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_always_manages_the_hub() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(open(folder.path()).await);
    let ids = ids();
    let mut administrators = vec![register(&storage, &ids, "ana").await];
    for number in 0..7 {
        let id = register(&storage, &ids, &format!("u{number}")).await;
        let promote = Changes { role: Some(Role::Administrator), ..Changes::default() };
        assert!(matches!(storage.change(id, promote, NOW).await.unwrap(), Changed::Now(_)));
        administrators.push(id);
    }
    let changes = administrators.into_iter().enumerate().map(|(number, id)| {
        let storage = storage.clone();
        let leave = Changes { active: (number % 2 == 0).then_some(false), ..Changes::default() };
        let demote = Changes { role: (number % 2 == 1).then_some(Role::Member), ..leave };
        tokio::spawn(async move { storage.change(id, demote, NOW).await.unwrap() })
    });
    let (mut done, mut refused) = (0, 0);
    for change in changes.collect::<Vec<_>>() {
        match change.await.unwrap() {
            Changed::Now(_) => done += 1,
            Changed::LastAdministrator => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((done, refused), (7, 1));
}
