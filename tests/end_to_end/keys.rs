//! The hub's secret, rotated: what was sealed and signed before stays good, is sealed anew, and then the old one may go.

mod people;

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use hearback::{
    config::Config,
    storage::{Migrate, Reencrypted, postgres::Scratch},
    wiring,
};
use hearback_core::{ErrorKind, secret::Secret};
use reqwest::{Method, StatusCode};
use ring::hmac;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    auth::text,
    called_back::receiver::{Call, Receiver},
    program::{BOUND, Ended, Served, ended, hearback},
    server::{Answered, Caller, PASSWORD, TestServer, read},
};

fn secret(letter: char) -> Secret {
    letter.to_string().repeat(40).into()
}

/// The configuration with this secret, after these.
fn with(config: &mut Config, present: char, old: &[char]) {
    config.secret_key = Some(secret(present));
    config.secret_key_old = old.iter().copied().map(secret).collect();
}

/// The same call each time, with an idempotency key: it makes a service token once.
async fn token(ana: &Caller) -> Answered {
    let call = ana.call(Method::POST, "/api/tokens").header("Idempotency-Key", "one").json(&json!({"name": "bot"}));
    read(call.send().await.unwrap()).await
}

/// Has an agent told how its request ended, and checks whose signature that has.
async fn is_told(server: &TestServer, created: &Value, receiver: &mut Receiver) {
    let agent = server.caller(text(created, "token"));
    let draft = json!({"kind": "approval", "prompt": "?", "to": ["ana"], "callback_url": receiver.url()});
    let request = agent.put(draft).await;
    agent.post(&format!("/api/feedback/{}/cancel", text(&request, "id")), json!({})).await;
    assert!(is_signed(&receiver.call().await, text(created, "webhook_secret")));
}

fn is_signed(call: &Call, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let signed = format!("{}.{}.{}", call.header("webhook-id"), call.header("webhook-timestamp"), call.raw);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
    call.header("webhook-signature") == format!("v1,{}", STANDARD.encode(tag))
}

/// What was sealed anew, what needed it not, what does not open, where there was anything.
fn counts(done: &[Reencrypted]) -> Vec<(&str, u64, u64, usize)> {
    let all = done.iter().map(|place| (place.what, place.renewed, place.present, place.lost.len()));
    all.filter(|(_, renewed, present, lost)| renewed + present + *lost as u64 > 0).collect()
}

const TOKENS: &str = "webhook secrets of service tokens";
const ANSWERS: &str = "answers kept for repeated calls";

async fn what_an_old_secret_sealed_and_signed_stays_good_and_is_sealed_anew(database: Option<Scratch>) {
    let file = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}/hearback.db", file.path().display());
    let url = database.as_ref().map_or(file, |database| database.url().to_owned());
    let mut receiver = Receiver::start([]).await;
    let mut server = TestServer::with(|config| {
        config.database_url.clone_from(&url);
        config.outbound_allow = "127.0.0.0/8".parse().unwrap();
        with(config, 'a', &[]);
    })
    .await;
    let signed = server.register("ana").await.token.unwrap();
    let created = token(&server.caller(&signed)).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");

    // The secret is another one now, and the one before is accepted.
    server.restart_with(|config| with(config, 'b', &['a'])).await;
    assert_eq!(server.caller(&signed).get("/api/auth/me").await.status, StatusCode::OK);
    let repeated = token(&server.caller(&signed)).await;
    assert_eq!((&repeated.headers["idempotent-replayed"], &repeated.body), (&"true".parse().unwrap(), &created.body));
    is_told(&server, &created.body, &mut receiver).await;
    assert_eq!(server.running().storage().unreadable().await.unwrap(), []);

    // Everything is sealed anew while the hub runs, and a second time nothing is left to do.
    let config = Config { database_url: url, migrate: Migrate::Auto, ..server.running().app().config.clone() };
    let done = wiring::reencrypt(&config).await.unwrap();
    assert_eq!(counts(&done), [(TOKENS, 1, 0, 0), (ANSWERS, 1, 0, 0)]);
    let done = wiring::reencrypt(&config).await.unwrap();
    assert_eq!(counts(&done), [(TOKENS, 0, 1, 0), (ANSWERS, 0, 1, 0)]);
    is_told(&server, &created.body, &mut receiver).await;

    // Without the old secret only what it signed is not good any more.
    server.restart_with(|config| with(config, 'b', &[])).await;
    assert_eq!(server.running().storage().unreadable().await.unwrap(), []);
    let refused = server.caller(&signed).get("/api/auth/me").await;
    assert_eq!(
        (refused.problem(), text(&refused.body, "detail")),
        ("unauthenticated", "The access token is not one of this hub's.")
    );
    let form = [("username", "ana"), ("password", PASSWORD)];
    let login = server.nobody().call(Method::POST, "/api/auth/login").form(&form);
    let ana = server.caller(text(&read(login.send().await.unwrap()).await.body, "access_token"));
    assert_eq!(token(&ana).await.body, created.body);
    is_told(&server, &created.body, &mut receiver).await;

    // Somebody else's secret opens nothing, which is told, and nothing is changed.
    server.restart_with(|config| with(config, 'c', &[])).await;
    let told: Vec<_> = server.running().storage().unreadable().await.unwrap();
    assert_eq!(told.iter().map(|lost| (lost.what, lost.number)).collect::<Vec<_>>(), [(TOKENS, 1), (ANSWERS, 1)]);
    // What it would have signed waits until it can.
    let agent = server.caller(text(&created.body, "token"));
    let draft = json!({"kind": "approval", "prompt": "?", "to": ["ana"], "callback_url": receiver.url()});
    let waiting = format!("/api/feedback/{}", text(&agent.put(draft).await, "id"));
    agent.post(&format!("{waiting}/cancel"), json!({})).await;
    let tried = async {
        loop {
            let callback = agent.get(&format!("{waiting}/callbacks")).await.body["items"][0].take();
            if callback["attempts"] == 1 {
                return callback;
            }
        }
    };
    assert_eq!(timeout(BOUND, tried).await.expect("it is tried")["status"], "queued");
    let mut wrong = config.clone();
    with(&mut wrong, 'c', &['a']);
    let done = wiring::reencrypt(&wrong).await.unwrap();
    assert_eq!(counts(&done), [(TOKENS, 0, 0, 1), (ANSWERS, 0, 0, 1)]);
    let error = &done[0].lost[0];
    assert_eq!(error.kind(), ErrorKind::Config);
    let place = format!("{TOKENS} (row {}): token:", text(&created.body, "id"));
    assert!(error.detail().starts_with(&place) && error.detail().contains("is sealed under key "), "{error}");
    server.restart_with(|config| with(config, 'b', &[])).await;
    is_told(&server, &created.body, &mut receiver).await;
}

#[tokio::test]
async fn a_rotation_on_sqlite() {
    what_an_old_secret_sealed_and_signed_stays_good_and_is_sealed_anew(None).await;
}

#[tokio::test]
async fn a_rotation_on_postgres() {
    let Some(database) = Scratch::for_test().await else { return };
    what_an_old_secret_sealed_and_signed_stays_good_and_is_sealed_anew(Some(database)).await;
}

/// A backup made under an old secret is restored into a hub that has it among its old ones.
#[tokio::test]
async fn a_backup_from_before_a_rotation_is_restored_with_the_old_secret() {
    let folder = tempfile::tempdir().unwrap();
    let config = |name: &str, present, old: &[char]| {
        let database_url = format!("sqlite://{}/{name}.db", folder.path().display());
        let mut config = Config { database_url, ..Config::default() };
        with(&mut config, present, old);
        config
    };
    let before = config("before", 'a', &[]);
    let mut server = TestServer::with(|config| {
        config.database_url.clone_from(&before.database_url);
        with(config, 'a', &[]);
    })
    .await;
    token(&server.register("ana").await).await;
    server.stop().await;
    let file = folder.path().join("one.backup");
    wiring::backup(&before, &file).await.unwrap();
    let refused = wiring::restore(&config("after", 'b', &[]), &file).await.unwrap_err();
    assert!(refused.detail().contains("webhook secrets of service tokens: 1 under key "), "{refused}");
    assert!(refused.detail().contains("among SECRET_KEY_OLD if there is a newer one"), "{refused}");
    let after = config("after", 'b', &['a']);
    wiring::restore(&after, &file).await.unwrap();
    assert_eq!(counts(&wiring::reencrypt(&after).await.unwrap())[0], (TOKENS, 1, 0, 0));
}

/// The program with these arguments, on the database in `folder`.
async fn run(folder: &Path, args: &[&str]) -> Ended {
    ended(hearback(folder, args)).await
}

#[tokio::test]
async fn the_generated_secret_is_rotated_by_commands() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data/secret.key");
    let refused = run(folder.path(), &["rotate-key"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("there is no data/secret.key to rotate"), "{}", refused.err);
    let refused = run(folder.path(), &["reencrypt"]).await;
    assert!(refused.code == Some(1) && refused.err.contains("there is no secret"), "{}", refused.err);

    let hub = Served::start(folder.path(), "127.0.0.1:0").await;
    // It errs only when another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let account = json!({"email": "ana@example.com", "password": PASSWORD, "username": "ana"});
    let made = client.post(format!("{}/api/auth/register", hub.url)).json(&account).send().await.unwrap();
    let signed = text(&made.json().await.unwrap(), "access_token").to_owned();
    let token = async |hub: &Served| {
        let call = client.post(format!("{}/api/tokens", hub.url)).bearer_auth(&signed).header("Idempotency-Key", "one");
        read(call.json(&json!({"name": "bot"})).send().await.unwrap()).await
    };
    let created = token(&hub).await;
    assert_eq!(created.status, StatusCode::CREATED);

    let first = fs::read_to_string(&file).unwrap();
    let rotated = run(folder.path(), &["rotate-key"]).await;
    assert_eq!(rotated.code, Some(0), "{}", rotated.err);
    assert!(
        rotated.out.contains("Next: restart the hub, and when it runs again: hearback reencrypt"),
        "{}",
        rotated.out
    );
    let kept = fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = kept.lines().collect();
    assert!(lines.len() == 2 && lines[0] != lines[1] && lines[1] == first.trim(), "{} lines", lines.len());
    assert!(lines.iter().all(|line| !rotated.out.contains(line)), "no secret is shown");
    let files: Vec<_> =
        fs::read_dir(folder.path().join("data")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!files.iter().any(|name| name.to_string_lossy().contains("new")), "{files:?}");
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions()) & 0o777, 0o600);

    hub.stop().await;
    let hub = Served::start(folder.path(), "127.0.0.1:0").await;
    assert_eq!(token(&hub).await.body, created.body);
    let done = run(folder.path(), &["reencrypt"]).await;
    assert_eq!(done.code, Some(0), "{}", done.err);
    for line in [
        "webhook secrets of service tokens: 1 sealed anew, 0 already were\n",
        "secrets of channels: 0 sealed anew, 0 already were\n",
        "answers kept for repeated calls: 1 sealed anew, 0 already were\n",
        "Old secrets may go 25 minutes after the last hub was restarted with it",
    ] {
        assert!(done.out.contains(line), "{}", done.out);
    }
    hub.stop().await;

    // The old secret may go. Had it gone before, that would be told at the start, and by the command.
    fs::write(&file, lines[0]).unwrap();
    let again = run(folder.path(), &["reencrypt"]).await;
    assert!(again.out.contains("0 sealed anew, 1 already were"), "{}", again.out);
    fs::write(&file, first).unwrap();
    let lost = run(folder.path(), &["reencrypt"]).await;
    assert_eq!(lost.code, Some(1));
    assert!(lost.out.contains("secrets of channels: 0 sealed anew"), "the rest is done: {}", lost.out);
    assert!(
        lost.err.contains("2 sealed values do not open, and were left as they are:\n  webhook secrets"),
        "{}",
        lost.err
    );
    let mut command = hearback(folder.path(), &[]);
    command.env("HEARBACK_BIND", "127.0.0.1:0").env("SECRET_KEY", "n".repeat(40));
    let log = started_log(command).await;
    assert!(log.contains("sealed values cannot be opened: webhook secrets of service tokens: 1 under key "), "{log}");
    assert!(log.contains("SECRET_KEY gives key ") && log.contains("into SECRET_KEY_OLD"), "{log}");
}

/// What a hub logs until it listens.
async fn started_log(mut command: tokio::process::Command) -> String {
    let mut hub = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(hub.stderr.take().unwrap()));
    let mut log = String::new();
    loop {
        let line = crate::program::next(&mut lines).await;
        log.push_str(&line);
        if line.contains("listening") {
            hub.kill().await.unwrap();
            return log;
        }
    }
}

#[tokio::test]
async fn a_secret_that_is_set_is_not_rotated_but_how_to_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = hearback(folder.path(), &["rotate-key"]);
    let present = "p".repeat(40);
    command.env("SECRET_KEY", &present);
    let refused = ended(command).await;
    assert_eq!(refused.code, Some(1));
    for part in ["openssl rand -hex 32", "SECRET_KEY_OLD", "hearback reencrypt", "Nothing was changed"] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    assert!(!refused.err.contains(&present) && fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[tokio::test]
async fn a_rotation_that_was_cut_off_is_told_and_a_wrong_line_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let good = "g".repeat(44);
    fs::write(data.join("secret.key"), &good).unwrap();
    fs::write(data.join("secret.key.new"), "left").unwrap();
    let refused = run(folder.path(), &["rotate-key"]).await;
    assert!(refused.code == Some(1) && refused.err.contains("data/secret.key.new is there"), "{}", refused.err);
    assert_eq!(fs::read_to_string(data.join("secret.key")).unwrap(), good);
    fs::remove_file(data.join("secret.key.new")).unwrap();
    fs::write(data.join("secret.key"), format!("{good}\n\nshort\n")).unwrap();
    for args in [&["rotate-key"][..], &["reencrypt"], &[]] {
        let refused = run(folder.path(), args).await;
        assert_eq!(refused.code, Some(1));
        assert!(refused.err.contains("line 3 of data/secret.key has 5 characters"), "{}", refused.err);
        assert!(!refused.err.contains("short"));
    }
}

#[tokio::test]
async fn old_secrets_are_checked_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = ("1".repeat(40), "2".repeat(40));
    fs::write(folder.path().join("hearback.toml"), format!("secret_key_old = [\"{one}\", \"{two}\"]\n")).unwrap();
    let shown = run(folder.path(), &["check-config"]).await;
    let line = shown.out.lines().find(|line| line.starts_with("SECRET_KEY_OLD")).unwrap_or_default();
    assert!(line.contains("2 set") && line.ends_with("hearback.toml, line 1"), "{}", shown.out);
    let mut command = hearback(folder.path(), &["check-config"]);
    command.env("SECRET_KEY_OLD", format!("{one},too-short"));
    let refused = ended(command).await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains("SECRET_KEY_OLD (environment): at place 2 has 9 characters. Allowed: "),
        "{}",
        refused.err
    );
    for text in [&shown.out, &refused.err] {
        assert!(!text.contains(&one) && !text.contains(&two) && !text.contains("too-short"));
    }
}
