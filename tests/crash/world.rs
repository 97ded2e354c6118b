//! What everybody in a run shares, and who they are.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hearback_tests::simulation::random::Chance;
use serde_json::{Value, json};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    call::{Call, Caller},
    ledger::Ledger,
    plug_in::{CHANNELS, PlugIn},
    site::Site,
};

/// How many people are asked. The first is the administrator.
const PEOPLE: usize = 4;
/// How many agents ask.
const AGENTS: usize = 4;
const PASSWORD: &str = "correct horse 1";

/// A person.
#[derive(Clone, Debug)]
pub struct Person {
    pub caller: Caller,
    pub id: String,
}

/// A run.
#[derive(Debug)]
pub struct World {
    pub chance: Chance,
    pub site: Arc<Site>,
    pub ledger: Arc<Ledger>,
    pub plug_in: Arc<PlugIn>,
    pub agents: Vec<Caller>,
    pub people: Vec<Person>,
    /// Cancelled when no new question is put any more.
    pub load_ends: CancellationToken,
    /// Cancelled when the sockets have heard all there is.
    pub feeds_end: CancellationToken,
    /// Answers, cancellations and errands under way, which end by themselves.
    pub acts: TaskTracker,
    /// Those who wait for an ending.
    pub waits: TaskTracker,
    /// How late a waiter or socket of a hub that lived heard of an ending, at worst.
    pub latest: std::sync::Mutex<Duration>,
    pub begun: Instant,
}

impl World {
    pub fn person_with_address(&self, address: &str) -> Option<&Person> {
        let number: usize = address.rsplit('-').next()?.parse().ok()?;
        self.people.get(number)
    }

    pub fn person_with_id(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    /// The agent that put a request.
    pub fn agent_of(&self, request: &Value) -> Option<&Caller> {
        self.agents.iter().find(|agent| request["asker"]["token"] == agent.name.as_str())
    }
}

/// Makes the accounts, addresses and tokens, before anything is killed.
pub async fn cast(nobody: &Caller) -> (Vec<Caller>, Vec<Person>) {
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let name = format!("person-{number}");
        let account = json!({"email": format!("{name}@example.com"), "password": PASSWORD, "username": name});
        let registered = nobody.until(&Call::post("/api/auth/register", account)).await;
        let token = registered.body["access_token"].as_str().unwrap_or_else(|| panic!("{registered:?}")).to_owned();
        let caller = nobody.with_token(name, &token);
        let id = caller.read("/api/auth/me").await["id"].as_str().unwrap().to_owned();
        people.push(Person { caller, id });
    }
    for (number, person) in people.iter().enumerate() {
        for (channel, _) in CHANNELS {
            let address = json!({"channel": channel, "address": format!("{channel}-{number}")});
            let path = format!("/api/users/{}/addresses", person.id);
            let added = people[0].caller.until(&Call::post(path, address)).await;
            assert_eq!(added.status, 201, "{added:?}");
        }
    }
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let name = format!("agent-{number}");
        let created = people[0].caller.until(&Call::post("/api/tokens", json!({"name": name}))).await;
        let token = created.body["token"].as_str().unwrap_or_else(|| panic!("{created:?}"));
        agents.push(nobody.with_token(name, token));
    }
    (agents, people)
}
