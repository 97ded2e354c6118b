//! One schedule: what the seed lets happen, then the healing, then the end of everything.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use hearback_core::{
    Clock, ErrorKind, Timestamp,
    channel::{About, Address, Inbound},
    event::Bus,
    feedback::Request,
    id::ServerId,
    store::Store,
};
use serde_json::json;

use super::{
    check,
    clients::{address_on, possible_answer},
    due,
    durable::Durable,
    executor::Idle,
    invariant::Invariant,
    ledger::Expected,
    outbox::{Letter, Outbox},
    people::{self, Known},
    provider::{self, Illness, Provider},
    receiver,
    server::{Server, Wire},
    world::World,
};

/// How many sleepers are woken one after another before time jumps over the rest.
const WAKES_MAX: usize = 30;
/// Time does not jump over a shorter step: a server that stands still between its claim and its call asks too late.
const STEP_MAX: Duration = Duration::from_secs(6);
/// How long a server counts as alive after it has said so.
const LIFE: Duration = Duration::from_secs(90);
/// How often the last requests are looked at: hourly, for longer than a settlement is tried.
const LAST_LOOKS: usize = 9 * 24;

/// Everything there is in one simulation.
#[derive(Debug)]
pub struct Simulation {
    /// What everybody shares.
    pub world: Arc<World>,
    /// What survives.
    pub store: Arc<Durable>,
    /// The services.
    pub providers: Vec<Arc<Provider>>,
    /// What they have to tell.
    pub outbox: Arc<Outbox>,
    /// The people.
    pub people: Vec<Known>,
    wire: Arc<Wire>,
    servers: Mutex<Vec<Arc<Server>>>,
    count: Mutex<u64>,
}

#[derive(Clone, Copy)]
enum Act {
    Create,
    Answer,
    Cancel,
    Wait,
    ComeOrGo,
    IllOrWell,
    Delete,
    Crash,
    Stop,
    CutOff,
}

impl Simulation {
    fn new(world: Arc<World>) -> Arc<Self> {
        let committed = Arc::new(Bus::default());
        let store = Arc::new(Durable::new(world.clone(), committed.clone()));
        let outbox = Arc::new(Outbox::default());
        let providers = provider::all(&world, &outbox);
        let people = people::add(&store.memory, &providers);
        let wire = Arc::new(Wire::default());
        tokio::spawn(wire.clone().carry(store.clone(), committed));
        let (servers, count) = (Mutex::default(), Mutex::default());
        let simulation = Self { world, store, providers, outbox, people, wire, servers, count };
        let started = vec![simulation.started(0), simulation.started(1)];
        *simulation.servers.lock().unwrap() = started;
        for known in &simulation.people[..3] {
            simulation.somebody_connects(&address_on(known, &simulation.providers[0].name));
        }
        Arc::new(simulation)
    }

    fn next_number(&self) -> u64 {
        let mut count = self.count.lock().unwrap();
        *count += 1;
        *count
    }

    fn started(&self, slot: usize) -> Arc<Server> {
        let name = format!("server-{slot}-{}", self.next_number());
        Server::start(name, &self.world, &self.store, &self.wire, &self.providers)
    }

    /// Some server that takes calls.
    #[must_use]
    pub fn any_server(&self) -> Option<Arc<Server>> {
        let up: Vec<_> = self.servers.lock().unwrap().iter().filter(|server| server.is_up()).cloned().collect();
        (!up.is_empty()).then(|| self.world.chance.of(&up).clone())
    }

    /// The one with this name, unless it is dead.
    #[must_use]
    pub fn server_named(&self, name: &str) -> Option<Arc<Server>> {
        let servers = self.servers.lock().unwrap();
        servers.iter().find(|server| server.life.name == name && !server.life.died.is_cancelled()).cloned()
    }

    /// Those that live, as the store knows them.
    #[must_use]
    pub fn living(&self) -> Vec<ServerId> {
        let servers = self.servers.lock().unwrap();
        let living = servers.iter().filter(|server| server.is_up());
        living.filter_map(|server| server.life.server.get().copied()).collect()
    }

    /// Once everything has been well for a while, somebody runs every channel that has anything to receive.
    fn channels_are_run(&self) {
        let servers = self.servers.lock().unwrap();
        let to_be_run = |provider: &Provider| {
            servers.iter().any(|server| server.is_up() && provider.is_to_be_run_by(&server.life.name))
        };
        for provider in self.providers.iter().filter(|provider| to_be_run(provider) && provider.runs() == 0) {
            self.world.broken(Invariant::OneRun, format!("nobody runs {}", provider.name));
        }
    }

    /// Somebody connects to a server that takes calls, if there is one.
    fn somebody_connects(&self, who: &Address) {
        if let Some(server) = self.any_server() {
            self.providers[0].connect(who, &server.life.name);
        }
    }

    /// Somebody leaves every server.
    fn somebody_leaves(&self, who: &Address) {
        for server in self.providers[0].servers_of(who) {
            self.providers[0].disconnect(who, &server);
        }
    }

    /// Whose server went away tries another one, sooner or later.
    fn come_back(&self) {
        let people = &self.world.people;
        for place in people.take_lost() {
            if self.any_server().is_none() || self.world.chance.happens(600) {
                people.are_lost([place]);
            } else if people.servers_of(&place).is_empty() {
                self.somebody_connects(&place.1);
            }
        }
    }

    fn restart(&self, always: bool) {
        for slot in 0..2 {
            let dead = self.servers.lock().unwrap()[slot].life.died.is_cancelled();
            if dead && (always || self.world.chance.happens(250)) {
                let started = self.started(slot);
                self.servers.lock().unwrap()[slot] = started;
            }
        }
    }

    fn some_request(&self) -> Option<Arc<Request>> {
        let created = self.world.ledger.created.lock().unwrap();
        (!created.is_empty()).then(|| self.world.chance.of(&created).clone())
    }

    async fn act(self: &Arc<Self>, idle: &Idle) {
        let acts = [
            (20, Act::Create),
            (30, Act::Answer),
            (3, Act::Cancel),
            (8, Act::Wait),
            (12, Act::ComeOrGo),
            (8, Act::IllOrWell),
            (2, Act::Delete),
            (4, Act::Crash),
            (2, Act::Stop),
            (4, Act::CutOff),
        ];
        let chance = &self.world.chance;
        match chance.weighted(&acts) {
            Act::Create => self.act_create(),
            Act::Answer => self.act_answer(),
            Act::Cancel => {
                if let Some(request) = self.some_request() {
                    tokio::spawn(self.clone().cancel(request.id));
                }
            }
            Act::Wait => self.act_wait(),
            Act::ComeOrGo => {
                let known = chance.of(&self.people[..3]);
                self.act_come_or_go(address_on(known, &self.providers[0].name));
            }
            Act::IllOrWell => self.act_ill_or_well(),
            Act::Delete => {
                let provider = chance.of(&self.providers);
                provider.deletes(&format!("{}-{}", provider.name, 1 + chance.below(10)).into());
            }
            // A start looks at everything anew, and so hides what the hub has forgotten: some schedules have none.
            Act::Crash | Act::Stop if self.world.rough.crash == 0 => {}
            Act::CutOff if self.world.rough.swift => {}
            Act::Crash => {
                let server = chance.of(&self.servers.lock().unwrap()).clone();
                if !server.life.died.is_cancelled() {
                    server.life.end("by the schedule");
                }
            }
            Act::Stop => {
                // Not while the hub has something else to do: it waits for the stop and for that in no fixed order.
                idle.reached().await;
                let server = chance.of(&self.servers.lock().unwrap()).clone();
                self.world.note(format_args!("{} is stopped", server.life.name));
                let places = self.world.people.places_at(&server.life.name);
                for (_, who) in &places {
                    self.providers[0].disconnect(who, &server.life.name);
                }
                self.world.people.are_lost(places);
                server.stop.cancel();
            }
            Act::CutOff => {
                let server = chance.of(&self.servers.lock().unwrap()).clone();
                server.life.cut_off(chance.up_to(Duration::from_mins(3)));
            }
        }
    }

    fn act_come_or_go(self: &Arc<Self>, who: Address) {
        let chance = &self.world.chance;
        let servers = self.providers[0].servers_of(&who);
        if servers.is_empty() || chance.happens(250) {
            return self.somebody_connects(&who);
        }
        if servers.len() > 1 && chance.happens(300) {
            return self.providers[0].disconnect(&who, &servers[0]);
        }
        self.somebody_leaves(&who);
        if chance.happens(500) {
            // A page that is loaded again, perhaps while it is being sent something.
            self.act_create();
            let back = self.world.now().after(chance.up_to(Duration::from_millis(400)));
            let simulation = self.clone();
            tokio::spawn(async move {
                simulation.world.clock.sleep_until(back).await;
                simulation.somebody_connects(&who);
            });
        }
    }

    fn act_create(self: &Arc<Self>) {
        let chance = &self.world.chance;
        let number = self.next_number();
        let kind = *chance.of(&["approval", "approval", "choice", "input"]);
        let mut draft = json!({
            "kind": kind,
            "prompt": "Deploy?",
            "to": *chance.of(&[&["ana"][..], &["ana"], &["ben"], &["dora"], &["ana", "ben"], &["ben", "ana", "dora"]]),
            "strategy": *chance.of(&["fallback", "fallback", "broadcast"]),
            "fallback_after": *chance.of(&[1, 5, 60, 300]),
            "expires_in": *chance.of(&[1, 20, 300, 3600, 172_800, 172_800, 172_800]),
            "metadata": {"number": number},
        });
        if kind == "choice" {
            draft["options"] = json!([{"value": "red"}, {"value": "blue"}]);
        }
        if chance.happens(400) {
            draft["callback_url"] = json!(receiver::URL);
        }
        if chance.happens(300) {
            let routes = [
                json!(["chat", "mail"]),
                json!(["mail"]),
                json!(["hook", "desk"]),
                json!(["mail", "mail"]),
                json!(["desk", "hook", "desk"]),
            ];
            draft["channels"] = chance.of(&routes).clone();
        }
        if kind == "approval" && chance.happens(300) {
            draft["on_expiry"] = json!("rejected");
        }
        let key = chance.happens(500).then_some(number);
        if key.is_some() && chance.happens(300) {
            // An agent that sends it twice at the same time.
            tokio::spawn(self.clone().create(draft.clone(), key));
        }
        tokio::spawn(self.clone().create(draft, key));
    }

    fn act_answer(self: &Arc<Self>) {
        let chance = &self.world.chance;
        let Some(request) = self.some_request() else { return };
        let (value, words, valid) = possible_answer(self, &request.terms.question);
        let asked: Vec<_> = self.people.iter().filter(|known| request.asks(known.user.id)).collect();
        let stranger = chance.happens(120);
        let known = if stranger { &self.people[3] } else { *chance.of(&asked) };
        let expected = match (stranger, valid) {
            (true, _) => Expected::Stranger,
            (false, true) => Expected::Valid,
            (false, false) => Expected::Invalid,
        };
        if chance.happens(300) {
            tokio::spawn(self.clone().answer(request.id, known.user.clone(), value, expected));
            return;
        }
        let provider = chance.of(&self.providers);
        let (channel, from) = (provider.name.clone(), address_on(known, &provider.name));
        let named = known.addresses.iter().any(|(name, _)| *name == channel);
        let expected = if named { expected } else { Expected::Stranger };
        let event = Some(format!("event-{}", self.next_number()));
        let (id, comment) = (request.id, event.clone());
        let what = if chance.happens(300) {
            Inbound::Text { channel, from, about: About::Request(id), text: words.into(), event }
        } else {
            Inbound::Response { channel, from, request: id, value, comment, event }
        };
        self.outbox.put_letter(self.world.now(), Letter { what, expected, server: None });
    }

    fn act_wait(self: &Arc<Self>) {
        let Some(request) = self.some_request() else { return };
        let number = self.next_number();
        self.world.ledger.waiting.lock().unwrap().insert(number, request.id);
        let patience = *self.world.chance.of(&[Duration::from_mins(1), Duration::from_hours(24 * 30)]);
        tokio::spawn(self.clone().wait(number, request.id, patience));
    }

    fn act_ill_or_well(&self) {
        let chance = &self.world.chance;
        let provider = chance.of(&self.providers);
        let well = provider.illness().is_some() || chance.happens(200);
        let illness = *chance.of(&[
            Illness::Fails(ErrorKind::Unavailable),
            Illness::Fails(ErrorKind::Auth),
            Illness::Fails(ErrorKind::RateLimited),
            Illness::Hangs,
        ]);
        provider.set_illness((!well).then_some(illness));
    }

    /// Lets others do something.
    async fn rest(self: &Arc<Self>, idle: &Idle) {
        let chance = &self.world.chance;
        let span = match chance.below(10) {
            0..3 => {
                for _ in 0..chance.below(30) {
                    tokio::task::yield_now().await;
                }
                return;
            }
            3..5 => Duration::ZERO,
            5..7 => Duration::from_secs(1),
            7 => Duration::from_secs(20),
            8 => Duration::from_mins(2),
            _ => Duration::from_mins(30),
        };
        self.pass(chance.up_to(span), idle).await;
    }

    /// Lets time pass, from one sleeper to the next.
    async fn pass(self: &Arc<Self>, span: Duration, idle: &Idle) {
        let until = self.world.now().after(span);
        let mut wakes = 0;
        loop {
            self.tell_what_is_due();
            idle.reached().await;
            // Until then none of these servers has died.
            if self.world.rough.swift && self.world.rough_time() {
                due::work_has_begun(self).await;
            }
            let Some(next) = self.world.clock.next().filter(|next| *next <= until) else { break };
            if wakes >= WAKES_MAX && next.since(self.world.now()) > STEP_MAX {
                break;
            }
            wakes += 1;
            self.world.clock.go_to(next);
        }
        if self.world.clock.next().is_some_and(|next| next < until) {
            self.world.causes.jumps(self.world.now(), until);
            self.live_on(until).await;
        }
        self.world.clock.go_to(until);
        self.tell_what_is_due();
        idle.reached().await;
        for provider in self.providers.iter().filter(|provider| provider.runs() > 1) {
            self.world.broken(Invariant::OneRun, format!("{} servers run {}", provider.runs(), provider.name));
        }
    }

    /// Whoever lives as time jumps would have said so again and again meanwhile. Else every jump would look at everything anew.
    async fn live_on(&self, until: Timestamp) {
        let servers = self.servers.lock().unwrap().clone();
        let now = self.world.now();
        for life in servers.iter().filter(|server| server.is_up()).map(|server| &server.life) {
            let lives = self.world.people.is_alive(&life.name, now) && !life.is_cut_off();
            if let Some(server) = life.server.get().filter(|_| lives) {
                let ends = until.after(LIFE);
                self.store.memory.stay(*server, now, ends, now).await.unwrap();
                self.world.people.lives(&life.name, now, ends);
            }
        }
    }

    fn tell_what_is_due(self: &Arc<Self>) {
        for letter in self.outbox.take_due(self.world.now()) {
            tokio::spawn(self.clone().tell(letter));
        }
    }

    /// From now on nothing goes wrong any more, and everybody is there.
    fn heal(&self) {
        self.world.heal();
        self.world.note(format_args!("everything heals"));
        for server in self.servers.lock().unwrap().iter() {
            if server.stop.is_cancelled() && !server.life.died.is_cancelled() {
                server.life.end("while it was stopping");
            }
        }
        self.restart(true);
        if self.world.chance.happens(600) {
            // One that is left alone does the work of both.
            self.servers.lock().unwrap()[1].life.end("for good");
        }
        for provider in &self.providers {
            provider.set_illness(None);
        }
        for known in &self.people[..3] {
            let who = address_on(known, &self.providers[0].name);
            if self.providers[0].servers_of(&who).is_empty() {
                self.somebody_connects(&who);
            }
        }
    }

    async fn recover(self: &Arc<Self>, idle: &Idle) {
        for (times, span) in [(6, 2), (6, 30), (6, 300), (10, 1200)] {
            for _ in 0..times {
                self.pass(Duration::from_secs(span), idle).await;
            }
        }
    }

    async fn end_everything(self: &Arc<Self>, idle: &Idle) {
        self.pass(Duration::from_hours(48), idle).await;
        for _ in 0..LAST_LOOKS {
            for _ in 0..2 {
                self.pass(Duration::from_secs(10), idle).await;
            }
            if check::all_is_done(self).await {
                return;
            }
            self.pass(Duration::from_hours(1), idle).await;
        }
    }
}

/// Runs one schedule in `world`, and checks it.
pub async fn run(world: Arc<World>, idle: Idle) {
    let simulation = Simulation::new(world.clone());
    simulation.act_create();
    let acts = 10 + world.chance.below(60);
    for _ in 0..acts {
        simulation.act(&idle).await;
        simulation.rest(&idle).await;
        simulation.restart(false);
        simulation.come_back();
        if world.violation().is_some() {
            return;
        }
    }
    simulation.heal();
    simulation.recover(&idle).await;
    due::routes_went_on(&simulation).await;
    simulation.channels_are_run();
    simulation.end_everything(&idle).await;
    check::everything(&simulation).await;
}
