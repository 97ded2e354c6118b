//! Back-ups, made while the hub works, and restored into either kind of database.

use std::path::{Path, PathBuf};

use hearback::{
    config::Config,
    storage::{Migrate, postgres::Scratch},
    wiring,
};
use hearback_core::{ErrorKind, secret::Secret};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    server::{Caller, PASSWORD, SECRET, TestServer},
    socket::Socket,
};

/// A place to keep data in, and what has to live as long.
struct Place {
    config: Config,
    folder: TempDir,
    _database: Option<Scratch>,
}

impl Place {
    fn new(database: Option<Scratch>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}/hearback.db", folder.path().display());
        let config = Config {
            database_url: database.as_ref().map_or(file, |database| database.url().to_owned()),
            migrate: Migrate::Auto,
            secret_key: Some(SECRET.into()),
            ..Config::default()
        };
        Self { config, folder, _database: database }
    }

    async fn start(&self) -> TestServer {
        TestServer::with(|config| {
            config.database_url.clone_from(&self.config.database_url);
            config.migrate = Migrate::Auto;
            config.secret_key.clone_from(&self.config.secret_key);
        })
        .await
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("backups/one.db")
    }
}

/// What somebody is asked, as its list shows it.
async fn asked(caller: &Caller) -> Vec<Value> {
    let list = caller.get("/api/feedback?limit=100").await;
    list.body["items"].as_array().unwrap_or_else(|| panic!("{list:?}")).clone()
}

/// A backup is made while an agent goes on asking, and holds one moment: everything acknowledged before it began, and of
/// what came later a beginning without gaps. Restored, the hub goes on from there.
async fn a_backup_holds_one_moment_and_goes_on_from_there(from: Place, to: Place) {
    let mut server = from.start().await;
    let owner = server.register("owner").await;
    let (agent, ana) = (server.agent(&owner).await, server.register("ana").await);
    let answered = agent.ask(&[&ana]).await;
    assert_eq!(ana.answer(&answered, json!("approved")).await.status, StatusCode::OK);
    let mut before = Vec::new();
    for _ in 0..20 {
        before.push(agent.ask(&[&ana]).await["id"].clone());
    }
    let file = from.file();
    let asking = async {
        let mut later = Vec::new();
        for _ in 0..30 {
            later.push(agent.ask(&[&ana]).await["id"].clone());
        }
        later
    };
    let (backed_up, later) = tokio::join!(wiring::backup(&from.config, &file), asking);
    let told = backed_up.unwrap();
    assert!(told.starts_with(&format!("Everything is in {}. ", file.display())), "{told}");
    let mut socket = Socket::open(&server, &ana, None).await;
    let far = loop {
        let message = socket.next().await.expect("a message");
        if message["request"]["id"] == later[29] {
            break message["event_id"].as_str().unwrap().to_owned();
        }
    };
    drop(socket);
    server.stop().await;

    let told = wiring::restore(&to.config, &file).await.unwrap();
    assert!(told.ends_with("holds is in the database. Start the hub."), "{told}");
    let server = to.start().await;
    let form = [("username", "ana"), ("password", PASSWORD)];
    let login = server.nobody().call(reqwest::Method::POST, "/api/auth/login").form(&form);
    let login = crate::server::read(login.send().await.unwrap()).await;
    let mut ana = server.caller(login.body["access_token"].as_str().unwrap_or_else(|| panic!("{login:?}")));
    ana.username = "ana".into();
    let agent = server.caller(agent.token.as_deref().unwrap());
    let restored = asked(&ana).await;
    let ids: Vec<_> = restored.iter().rev().map(|request| request["id"].clone()).collect();
    let whole: Vec<_> = [vec![answered["id"].clone()], before, later].concat();
    assert!(ids.len() >= 21 && ids[..] == whole[..ids.len()], "{ids:?}");
    let first = restored.last().unwrap();
    assert_eq!((&first["status"], &first["outcome"]["value"]), (&json!("answered"), &json!("approved")));

    // Who had read further than the backup is told so, or misses nothing that is new.
    let next = agent.ask(&[&ana]).await;
    let mut socket = Socket::open(&server, &ana, Some(&far)).await;
    socket.expect("connection_established").await;
    let asked = socket.expect("feedback_request").await;
    assert_eq!(asked["request"]["id"], next["id"]);
    assert_eq!(ana.answer(&next, json!("rejected")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn from_sqlite_to_sqlite() {
    a_backup_holds_one_moment_and_goes_on_from_there(Place::new(None), Place::new(None)).await;
}

/// This is also how a hub moves to PostgreSQL.
#[tokio::test]
async fn from_sqlite_to_postgres() {
    let Some(database) = Scratch::for_test().await else { return };
    a_backup_holds_one_moment_and_goes_on_from_there(Place::new(None), Place::new(Some(database))).await;
}

#[tokio::test]
async fn from_postgres_to_postgres() {
    let (Some(from), Some(to)) = (Scratch::for_test().await, Scratch::for_test().await) else { return };
    a_backup_holds_one_moment_and_goes_on_from_there(Place::new(Some(from)), Place::new(Some(to))).await;
}

#[tokio::test]
async fn from_postgres_to_sqlite() {
    let Some(database) = Scratch::for_test().await else { return };
    a_backup_holds_one_moment_and_goes_on_from_there(Place::new(Some(database)), Place::new(None)).await;
}

/// What goes wrong is told, and nothing is changed.
async fn refusals(place: Place) {
    let mut server = place.start().await;
    server.register("owner").await;
    let file = place.file();
    wiring::backup(&place.config, &file).await.unwrap();
    let held = std::fs::read(&file).unwrap();
    let refused = |error: hearback_core::Error, expected: &str| {
        assert!(error.kind() == ErrorKind::Config && error.detail().contains(expected), "{error:?}");
    };
    let again = wiring::backup(&place.config, &file).await;
    refused(again.unwrap_err(), "is there already: give the name of a new file");
    assert_eq!(std::fs::read(&file).unwrap(), held);
    server.stop().await;
    let into_itself = wiring::restore(&place.config, &file).await;
    refused(into_itself.unwrap_err(), "holds accounts already: what is restored goes into an empty one");

    let fresh = Place::new(None);
    let missing = wiring::restore(&fresh.config, Path::new("/nowhere/one.db")).await;
    refused(missing.unwrap_err(), "there is no file /nowhere/one.db");
    let text = fresh.folder.path().join("text.db");
    std::fs::write(&text, "this is no database, however long it may be").unwrap();
    assert!(wiring::restore(&fresh.config, &text).await.is_err());
    let other = Config { secret_key: Some(Secret::from("x".repeat(32))), ..fresh.config.clone() };
    let agent = place.start().await;
    let owner = agent.nobody().call(reqwest::Method::POST, "/api/auth/login");
    let owner = owner.form(&[("username", "owner"), ("password", PASSWORD)]).send().await.unwrap();
    let owner = crate::server::read(owner).await;
    agent.agent(&agent.caller(owner.body["access_token"].as_str().unwrap())).await;
    let sealed = place.folder.path().join("sealed.db");
    wiring::backup(&place.config, &sealed).await.unwrap();
    refused(
        wiring::restore(&other, &sealed).await.unwrap_err(),
        "restore it with the SECRET_KEY that it was made under",
    );
    let left: Vec<_> = std::fs::read_dir(fresh.folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("part")), "{left:?}");
    wiring::restore(&fresh.config, &sealed).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_backed_up_or_restored_on_sqlite_is_told() {
    refusals(Place::new(None)).await;
}

#[tokio::test]
async fn what_cannot_be_backed_up_or_restored_on_postgres_is_told() {
    let Some(database) = Scratch::for_test().await else { return };
    refusals(Place::new(Some(database))).await;
}
