//! What everybody in a simulation shares: time, chance, the record of what happened, and the first broken promise.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hearback_core::{Clock, Timestamp, id::RequestId};

use super::{
    causes::Causes,
    clock::SimClock,
    invariant::Invariant,
    ledger::Ledger,
    mutation::Mutation,
    random::{Chance, Roughness},
    whereabouts::Whereabouts,
};

/// The moment at which every simulation begins.
const BEGIN: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
/// How many lines of the record are kept for the report of a failure.
const LINES_KEPT: usize = 20_000;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// How.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant.name(), self.detail)
    }
}

/// Everything that happened, as one number, and its last lines.
#[derive(Debug)]
pub struct Record {
    hash: u64,
    lines: VecDeque<String>,
    count: usize,
}

impl Default for Record {
    fn default() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: VecDeque::new(), count: 0 }
    }
}

impl Write for Record {
    // FNV-1a: whichever byte differs, the rest differs.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}

impl Record {
    /// The number.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many lines there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The last lines, where they are kept.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}

/// What everybody in a simulation shares.
#[derive(Debug)]
pub struct World {
    /// Time.
    pub clock: Arc<SimClock>,
    /// Chance.
    pub chance: Chance,
    /// How rough it is.
    pub rough: Roughness,
    /// What is wrong with the hub, on purpose.
    pub mutation: Option<Mutation>,
    /// What was acknowledged to clients.
    pub ledger: Ledger,
    /// What happened to each delivery outside the hub.
    pub causes: Causes,
    /// Who is connected to which server.
    pub people: Whereabouts,
    /// When requests ended, by the commit.
    pub ended: Mutex<BTreeMap<RequestId, Timestamp>>,
    record: Mutex<Record>,
    keeps_lines: bool,
    violation: Mutex<Option<Violation>>,
    faults: AtomicBool,
}

impl World {
    /// The world of one seed.
    #[must_use]
    pub fn new(seed: u64, mutation: Option<Mutation>, keeps_lines: bool) -> Arc<Self> {
        let chance = Chance::new(seed);
        let rough = Roughness::draw(&chance);
        Arc::new(Self {
            clock: Arc::new(SimClock::at(BEGIN)),
            chance,
            rough,
            mutation,
            ledger: Ledger::default(),
            causes: Causes::default(),
            people: Whereabouts::default(),
            ended: Mutex::default(),
            record: Mutex::default(),
            keeps_lines,
            violation: Mutex::default(),
            faults: AtomicBool::new(true),
        })
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether this happens, while things go wrong at all.
    #[must_use]
    pub fn fault(&self, in_a_thousand: usize) -> bool {
        self.rough_time() && self.chance.happens(in_a_thousand)
    }

    /// Whether things go wrong at all.
    #[must_use]
    pub fn rough_time(&self) -> bool {
        self.faults.load(Ordering::Acquire)
    }

    /// From now on nothing goes wrong any more.
    pub fn heal(&self) {
        self.faults.store(false, Ordering::Release);
    }

    /// Whether the hub has this fault, and this is a time that it shows.
    #[must_use]
    pub fn mutated(&self, mutation: Mutation, in_a_thousand: usize) -> bool {
        self.mutation == Some(mutation) && self.chance.happens(in_a_thousand)
    }

    /// Writes down what happens.
    pub fn note(&self, what: fmt::Arguments<'_>) {
        let since = self.now().since(BEGIN).as_micros();
        let mut record = self.record.lock().unwrap();
        record.count += 1;
        writeln!(record, "{since} {what}").unwrap();
        if self.keeps_lines {
            if record.lines.len() == LINES_KEPT {
                record.lines.pop_front();
            }
            record.lines.push_back(format!(
                "{:>14.6} {what}",
                Duration::from_micros(u64::try_from(since).unwrap()).as_secs_f64()
            ));
        }
    }

    /// Notes a broken promise; only the first one counts.
    pub fn broken(&self, invariant: Invariant, detail: impl Into<String>) {
        let violation = Violation { invariant, detail: detail.into() };
        self.note(format_args!("BROKEN {violation}"));
        self.violation.lock().unwrap().get_or_insert(violation);
    }

    /// The first broken promise.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.violation.lock().unwrap().clone()
    }

    /// What happened so far.
    #[must_use]
    pub fn record(&self) -> Record {
        std::mem::take(&mut *self.record.lock().unwrap())
    }
}
