//! The contract by example (`docs/contract`), held from the side of the hub. The page and the command line load the same
//! files in tests of their own.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`types`] | every file is claimed, and read and written back by the type that the program uses |
//! | [`story`] | what a real hub takes and says in a story that leads past every body and socket message |
//! | [`callbacks`] | the same for what agents are called back with |
//! | [`faults`] | the same for every problem |
//! | [`schema`] | the OpenAPI document describes every body, and every body that it describes has an example |
//! | [`readme`] | the tables of `docs/contract/README.md`, and every link of every Markdown file |

mod callbacks;
mod faults;
mod readme;
mod schema;
mod shown;
mod story;
mod types;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use hearback_core::{Timestamp, clock::ManualClock};
use serde_json::{Value, json};

use crate::server::TestServer;
use shown::Shown;

/// What no call is known to bring about, and why. The types still hold it.
const NOT_PROVOKED: [(&str, &str); 1] = [("problems/internal.json", "a known fault of the hub would be mended")];

/// A path from the repository's root.
fn path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Whether a file is of a kind, by its name.
fn is(file: impl AsRef<Path>, extension: &str) -> bool {
    file.as_ref().extension().is_some_and(|found| found == extension)
}

/// One example, by its path below `docs/contract`.
fn example(file: &str) -> Value {
    let text = fs::read_to_string(path("docs/contract").join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Every file below a folder, by its path from there with `/`, sorted.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_real_hub_says_what_every_example_says() {
    let start: Timestamp = serde_json::from_value(json!("2026-11-20T09:30:00Z")).unwrap();
    let clock = Arc::new(ManualClock::at(start));
    let server = TestServer::on(clock.clone(), |_| {}).await;
    let mut shown = Shown::by(&server);
    story::told(&server, &clock, &mut shown).await;
    callbacks::told(&clock, &mut shown).await;
    faults::told(&mut shown).await;
    let mut told = shown.all_agreed();
    told.extend(NOT_PROVOKED.map(|(file, _)| file.to_owned()));
    let there = files(&path("docs/contract")).into_iter().filter(|file| is(file, "json"));
    assert_eq!(told, there.collect(), "told by a hub, and there");
}
