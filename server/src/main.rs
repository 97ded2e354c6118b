//! The `hearback` program.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // Before anything makes a TLS client. It errs only when a provider is there already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    hearback::commands::run(std::env::args_os().collect()).await
}
