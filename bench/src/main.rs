//! Measures the real program, run as a process of its own, and prints each figure beside a yardstick of the same run:
//! machines differ, ratios less so. `docs/measurements.md` says what was found.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure has nothing else to say")]

mod answer;
mod hub;
mod sockets;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // It errs only when a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The benchmark is also the program that it measures, so that one command builds both.
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return hearback::commands::run(vec!["hearback".into(), "serve".into()]).await;
    }
    let hub = hub::Hub::start().await;
    println!("answer to a parked waiter, idle machine");
    println!("{}", answer::measure(&hub).await);
    println!("memory of an idle socket");
    println!("{}", sockets::measure(&hub).await);
    ExitCode::SUCCESS
}
