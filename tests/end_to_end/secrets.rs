//! No secret is where it must not be: canaries are planted in every secret field and carried through everything the hub
//! does; then all logs and all that is stored are searched for them, in every way they may be written.
//!
//! [The list of fields](secrets/README.md) is held to [`FIELDS`].
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`canary`] | what is looked for, and the search |
//! | [`hub`] | the program, everything that it says kept |
//! | [`carried`] | a day on which every secret travels |
//! | [`links`] | of it, codes for addresses and links to answer pages |
//! | [`managed`] | of it, changed passwords and service users |

mod canary;
mod carried;
mod hub;
mod links;
mod managed;

use std::{cell::RefCell, collections::BTreeSet, fs, sync::Arc};

use hearback::storage::{Cipher, Migrate, SecretKey, SqlStorage, dump, postgres::Scratch};
use hearback_core::{secret::Secret, vault::Vault};

use canary::{Canary, Finding, Search};
use hub::Hub;

/// Every secret field: what it is, as the README names it. A new one is a line here, a line there, and a call that carries it.
const FIELDS: &[&str] = &[
    "SECRET_KEY",
    "SECRET_KEY_OLD",
    "DATABASE_URL: the password",
    "[channels.NAME] secret",
    "[channels.NAME] url: its query",
    "a password: of an account",
    "a password: a wrong one",
    "a password: refused when registering",
    "a password: in an unknown field",
    "a password: in a body that is cut off",
    "a password: in a body of another content type",
    "a password: in the query",
    "a password: as HTTP basic credentials",
    "an access token: its signature",
    "an access token: foreign",
    "a refresh token",
    "a refresh token: unknown",
    "a cookie: hb_access, its signature",
    "a cookie: hb_refresh",
    "a cookie: hb_csrf",
    "X-CSRF-Token: a wrong one",
    "a service token",
    "a service token: unknown",
    "a webhook secret",
    "a token: in the query",
    "a token: in the socket's query",
    "a token: in a known path",
    "a token: in an unknown path",
    "a token: with another scheme",
    "a token: in a header of another name",
    "a token: in Sec-WebSocket-Protocol",
    "a token: in a message on the socket",
    "a value of the vault",
    "a code for an address",
    "a code for an address: a wrong one",
    "a code for an address: none",
    "a link to an answer page: its token",
    "a link to an answer page: a changed token",
    "a link to an answer page: no token",
    "a password: changed to",
    "a password: not the present one",
    "a password: refused when changing it",
    "a password: given by an administrator",
    "a password: refused when given",
    "a service user's token",
    "a service user's webhook secret",
];

/// The canaries that have been planted so far.
#[derive(Default)]
pub struct Planted(RefCell<Vec<Canary>>);

impl Planted {
    /// A text for a field, at least 32 characters with a number, which is looked for from now on.
    pub fn text(&self, field: &'static str) -> String {
        let text = format!("c4nary{:032x}", rand::random::<u128>());
        self.known(field, text.clone());
        text
    }

    /// What the hub made is looked for too.
    pub fn known(&self, field: &'static str, bytes: impl Into<Vec<u8>>) {
        assert!(FIELDS.contains(&field), "{field} is not in the list");
        self.0.borrow_mut().push(Canary::new(field, bytes));
    }

    fn into_search(self) -> Search {
        let planted: BTreeSet<_> = self.0.borrow().iter().map(|canary| canary.field).collect();
        let missing: Vec<_> = FIELDS.iter().filter(|field| !planted.contains(*field)).collect();
        assert!(missing.is_empty(), "nobody planted {missing:?}");
        Search::new(&self.0.into_inner())
    }
}

/// Says what was found, if anything was.
fn nothing_in(found: &[Finding]) {
    let mut told: Vec<_> = found
        .iter()
        .map(|finding| format!("{} ({}) in {}: …{}…", finding.field, finding.written, finding.place, finding.around))
        .collect();
    told.dedup();
    told.truncate(20);
    assert!(found.is_empty(), "{} secrets were found:\n{}", found.len(), told.join("\n"));
}

async fn no_secret_is_logged_or_stored(database: Option<&Scratch>, format: &str) {
    let planted = Planted::default();
    let (secret, old) = (planted.text("SECRET_KEY"), planted.text("SECRET_KEY_OLD"));
    let receiver = crate::called_back::receiver::Receiver::start([]).await;
    let (plug_in, toml) = carried::channels(&planted).await;
    let mut url = url::Url::parse(database.map_or("postgres://ana@127.0.0.1/none", Scratch::url)).unwrap();
    if url.password().is_none() {
        // A server that asks for none takes any.
        url.set_password(Some(&planted.text("DATABASE_URL: the password"))).unwrap();
    } else {
        planted.known("DATABASE_URL: the password", "a server with a password of its own: none is planted");
    }
    let mut environment = vec![
        ("SECRET_KEY", secret.clone()),
        ("SECRET_KEY_OLD", old),
        ("OUTBOUND_ALLOW", "127.0.0.0/8".into()),
        ("LOG_FORMAT", format.to_owned()),
    ];
    if database.is_some() {
        environment.extend([
            ("DATABASE_URL", url.to_string()),
            ("MIGRATE", "auto".into()),
            ("PATH_PREFIX", "/hub".into()),
        ]);
    }
    let mut hub = Hub::new(&toml, environment);
    hub.start().await;
    // What may be stored is found: the search works, and what it searches holds what the hub was told.
    let harmless = format!("harmless-{:032x}", rand::random::<u128>());
    carried::all(&hub, &planted, &harmless, receiver, plug_in).await;
    let mut files = read(&hub);
    hub.stop().await;

    let file = hub.folder.path().join("data/hearback.db").display().to_string();
    let stored = database.map_or(&*file, Scratch::url);
    let cipher = Cipher::new(&SecretKey::new(Secret::from(secret)).unwrap().into());
    let vault = SqlStorage::open(stored, Migrate::Manual, Arc::default(), Arc::new(cipher)).await.unwrap();
    let value = planted.text("a value of the vault");
    assert!(vault.compare_and_swap("desk/token", None, Some(value.into())).await.unwrap());
    vault.close().await;
    hub.run(&["reencrypt"]).await;
    hub.run(&["check-config"]).await;
    hub.run(&["migrate", "status"]).await;
    hub.run(&["backup", "data/one.backup"]).await;
    files.extend(read(&hub));
    let backup = hub.folder.path().join("data/one.backup").display().to_string();
    let dumps = [("stored", dump(stored).await), ("backed up", dump(&backup).await)];

    let search = planted.into_search();
    let mut found = search.look("the log", &hub.log());
    for (name, bytes) in &files {
        found.extend(search.look(name, bytes));
    }
    for (what, columns) in &dumps {
        for (column, values) in columns {
            found.extend(values.iter().flat_map(|value| search.look(&format!("{what} {column}"), value)));
        }
    }
    nothing_in(&found);

    let search = Search::new(&[Canary::new("harmless", harmless)]);
    for (what, columns) in &dumps {
        let prompts =
            columns.iter().filter(|(_, values)| values.iter().any(|value| !search.look("", value).is_empty()));
        let prompts: Vec<_> = prompts.map(|(column, _)| column.as_str()).collect();
        assert!(prompts.iter().any(|column| column.starts_with("feedback_requests.")), "{what}: {prompts:?}");
    }
    assert!(!search.look("", &hub.log()).is_empty(), "the log is searched");
    assert!(files.iter().any(|(_, bytes)| !search.look("", bytes).is_empty()), "a file holds it too");
}

/// The files that the hub keeps, but for the secret itself.
fn read(hub: &Hub) -> Vec<(String, Vec<u8>)> {
    let files = hub.files().into_iter().filter(|path| !path.ends_with("secret.key"));
    files.map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect()
}

#[tokio::test]
async fn no_secret_is_logged_or_stored_on_sqlite() {
    no_secret_is_logged_or_stored(None, "text").await;
}

#[tokio::test]
async fn no_secret_is_logged_or_stored_on_postgres() {
    let Some(database) = Scratch::for_test().await else { return };
    no_secret_is_logged_or_stored(Some(&database), "json").await;
}

#[test]
fn the_readme_lists_every_field() {
    let text =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/end_to_end/secrets/README.md")).unwrap();
    let told: Vec<_> = text.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0)).collect();
    assert_eq!(told, FIELDS);
}
