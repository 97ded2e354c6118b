//! Thousands of seeded schedules against two hubs: see `docs/simulation.md`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and shows what led to it")]

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use hearback_tests::simulation::{Invariant, Mutation, Outcome, run};

/// How many schedules a run makes unless `SIMULATION_RUNS` says otherwise.
const RUNS: u64 = 4000;
/// How many schedules a mutation has to escape to go uncaught.
const MUTATED_RUNS: u64 = 300;

/// How many lines of a failing schedule are shown; replaying it shows them all.
const LINES_SHOWN: usize = 200;

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// Runs `runs` schedules from `first` on, on every core; stops at the first that `ends` it.
fn find(first: u64, runs: u64, mutation: Option<Mutation>) -> Option<Outcome> {
    let (next, found) = (AtomicU64::new(first), AtomicU64::new(u64::MAX));
    let work = || {
        let mut mine: Option<Outcome> = None;
        while mine.is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + runs || found.load(Ordering::Relaxed) != u64::MAX {
                break;
            }
            mine = Some(run(seed, mutation, false)).filter(|outcome| outcome.violation.is_some());
        }
        if let Some(outcome) = &mine {
            found.fetch_min(outcome.seed, Ordering::Relaxed);
        }
        mine
    };
    let cores = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().filter_map(|worker| worker.join().unwrap()).min_by_key(|outcome| outcome.seed)
    })
}

/// Shows the last of what happened by a seed, and fails if it broke a promise.
fn show(seed: u64, last: usize) {
    let outcome = run(seed, None, true);
    for line in &outcome.lines[outcome.lines.len().saturating_sub(last)..] {
        println!("{line}");
    }
    let Some(violation) = outcome.violation else { return };
    panic!(
        "seed {seed} breaks {violation}\nreplay it: SIMULATION_SEED={seed} cargo test -p hearback-tests --test simulation"
    );
}

#[test]
fn every_schedule_keeps_every_promise() {
    if let Some(seed) = setting("SIMULATION_SEED") {
        return show(seed, usize::MAX);
    }
    let first = setting("SIMULATION_FIRST").unwrap_or(1);
    let runs = setting("SIMULATION_RUNS").unwrap_or(RUNS);
    if let Some(outcome) = find(first, runs, None) {
        show(outcome.seed, LINES_SHOWN);
        panic!("seed {} broke {:?}, but not when it was run again", outcome.seed, outcome.violation);
    }
}

#[test]
fn a_seed_is_one_schedule() {
    for seed in 1..20 {
        let (one, other) = (run(seed, None, true), run(seed, None, true));
        assert_eq!((one.count, one.hash), (other.count, other.hash), "seed {seed}");
    }
    assert_ne!(run(1, None, false).hash, run(2, None, false).hash);
}

#[test]
fn the_documentation_names_every_promise_and_every_mutation() {
    let text = include_str!("../../docs/simulation.md");
    let names = Invariant::ALL.map(Invariant::name).into_iter().chain(Mutation::ALL.map(Mutation::name));
    let missing: Vec<_> = names.filter(|name| !text.contains(&format!("\n| `{name}` |"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_mutation_is_caught() {
    for mutation in Mutation::ALL {
        let caught = find(1, MUTATED_RUNS, Some(mutation));
        let caught = caught.unwrap_or_else(|| panic!("{} escapes {MUTATED_RUNS} schedules", mutation.name()));
        let violation = caught.violation.unwrap();
        println!("{}: seed {} breaks {violation}", mutation.name(), caught.seed);
        assert!(mutation.breaks().contains(&violation.invariant), "{} breaks {violation}", mutation.name());
    }
}
