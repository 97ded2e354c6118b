//! Measures the real program, run as a process of its own, and prints each figure beside a yardstick of the same run:
//! machines differ, ratios less so. `docs/measurements.md` says what was found.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure has nothing else to say")]

mod addressee;
mod bare;
mod calls;
mod client;
mod database;
mod figures;
mod flood;
mod hello;
mod hub;
mod load;
mod pending;
mod process;
mod slice;
mod sockets;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use tokio::{runtime, select, signal};

use database::Kind;

/// Measures the hub, and prints each figure beside a yardstick of the same run. Leave the machine alone meanwhile.
#[derive(Parser)]
#[command(name = "bench")]
struct Options {
    /// Measure PostgreSQL, too: in databases of its own on the server that this URL names, removed at the end.
    #[arg(long, env = "TEST_DATABASE_URL", value_name = "URL")]
    postgres: Option<String>,
    /// Measure one part.
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    /// Show in less than a minute that everything runs; the figures mean little.
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Creates and round trips, beside hello-world and bare.
    Load,
    /// What 100,000 pending requests cost.
    Pending,
    /// The memory of an idle socket.
    Sockets,
    /// Creates during a flood of log-ins.
    Flood,
}

/// How much is measured.
#[derive(Clone, Copy)]
struct Extent {
    rounds: usize,
    /// How long each figure of a round is measured.
    slice: Duration,
    pending: u64,
    sockets: u64,
    /// How long creates are measured during a flood, in a round.
    flood: Duration,
}

const WHOLE: Extent =
    Extent { rounds: 5, slice: Duration::from_secs(2), pending: 100_000, sockets: 1000, flood: Duration::from_secs(6) };
const QUICK: Extent =
    Extent { rounds: 1, slice: Duration::from_millis(500), pending: 5000, sockets: 200, flood: Duration::from_secs(1) };

fn main() -> ExitCode {
    // It errs only when a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The benchmark is also the programs that it measures, so that one command builds them all, in the same way.
    let measured = runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match std::env::args().nth(1).as_deref() {
        Some("serve") => {
            return measured.block_on(hearback::commands::run(vec!["hearback".into(), "serve".into()]));
        }
        Some(hello::COMMAND) => {
            measured.block_on(hello::serve());
            return ExitCode::SUCCESS;
        }
        _ => drop(measured),
    }
    // One thread makes all the calls: the machine's other cores are the program's.
    runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        // Interrupted, it takes its programs and databases along.
        select! {
            () = measure(Options::parse()) => ExitCode::SUCCESS,
            _ = signal::ctrl_c() => ExitCode::FAILURE,
        }
    })
}

async fn measure(options: Options) {
    let extent = if options.quick { QUICK } else { WHOLE };
    let mut kinds = vec![Kind::Sqlite];
    match options.postgres {
        Some(url) => kinds.push(Kind::Postgres(url)),
        None => println!("PostgreSQL was not measured: name a server with --postgres URL or TEST_DATABASE_URL.\n"),
    }
    let wanted = |part| options.only.is_none_or(|only| only == part);
    if wanted(Part::Load) {
        println!("{}", load::measure(&kinds, extent).await);
    }
    if wanted(Part::Pending) {
        for kind in &kinds {
            println!("{}", pending::measure(kind, extent).await);
        }
    }
    if wanted(Part::Sockets) {
        println!("{}", sockets::measure(extent.sockets).await);
    }
    if wanted(Part::Flood) {
        println!("{}", flood::measure(extent).await);
    }
}
