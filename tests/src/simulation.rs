//! The simulation: schedules of everything that can happen to two hubs, drawn from a seed, and what holds after each.
//! `docs/simulation.md` tells how to run, replay and lengthen it.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `executor`, `clock`, `random` | one thread, time and chance: the same for the same seed |
//! | `world` | what everybody shares; the record of what happened |
//! | `schedule`, `clients`, `people` | what happens: who asks, answers, comes, goes, dies |
//! | `server`, `gate`, `front`, `row` | a hub, its way to the store, its channels, and how often these were ill in a row |
//! | `durable`, `provider`, `outbox`, `receiver` | what outlives a server: store, services, agent |
//! | `ledger`, `invariant` | what was promised |
//! | `causes` | what happened to each delivery, by which it may fail |
//! | `whereabouts` | who is connected to which server |
//! | `check`, `due`, `routes` | whether it holds: at the end, at every rest, at every step of a route |
//! | `mutation` | faults that are put in on purpose around the hub |

pub mod causes;
pub mod check;
pub mod clients;
pub mod clock;
pub mod due;
pub mod durable;
pub mod executor;
pub mod front;
pub mod gate;
pub mod invariant;
pub mod ledger;
pub mod mutation;
pub mod outbox;
pub mod people;
pub mod provider;
pub mod random;
pub mod receiver;
pub mod routes;
pub mod row;
pub mod schedule;
pub mod server;
pub mod whereabouts;
pub mod world;

use std::{cell::RefCell, panic, sync::Once};

pub use invariant::Invariant;
pub use mutation::Mutation;
pub use world::Violation;
use world::World;

/// What came of one schedule.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Everything that happened, as one number: the same for the same seed.
    pub hash: u64,
    /// How many things happened.
    pub count: usize,
    /// The first broken promise.
    pub violation: Option<Violation>,
    /// The last things that happened, where they were asked for.
    pub lines: Vec<String>,
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A task of the hub that panics is dropped by the runtime without a word, so the word is taken here.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANIC.with_borrow_mut(|panic| panic.get_or_insert(info.to_string()).len());
            before(info);
        }));
    });
}

/// Runs the schedule of one seed, with a fault put in when one is given.
#[must_use]
pub fn run(seed: u64, mutation: Option<Mutation>, keeps_lines: bool) -> Outcome {
    watch_panics();
    PANIC.take();
    let world = World::new(seed, mutation, keeps_lines);
    executor::run(|idle| schedule::run(world.clone(), idle));
    if let Some(detail) = PANIC.take() {
        world.broken(Invariant::NoPanic, detail);
    }
    let violation = world.violation();
    let record = world.record();
    Outcome { seed, hash: record.hash(), count: record.count(), violation, lines: record.lines() }
}
