//! The commands of the program.

mod banner;
mod check_config;
mod check_plugin;
mod keys;

use std::{
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    ask,
    config::{Config, Loaded, Problem, Sources},
    logging, wiring,
};

pub use banner::welcome;
pub use check_plugin::SECRET as PLUGIN_SECRET;

const EXAMPLES: &str = "\
Examples:
  hearback                                start the hub on http://127.0.0.1:8000
  hearback --config /etc/hub.toml serve   start it with this configuration
  hearback backup 2026-11-21.db           write everything that is stored into a file
  hearback check-config                   show the settings, or what is wrong with them
  hearback ask \"Deploy 1.4.2?\" --to ana --timeout 10m && ./deploy.sh
  hearback check-plugin http://127.0.0.1:9000/  see whether a plug-in keeps the protocol

Settings come from hearback.toml, a .env file and the environment, each over the one
before.";

/// Hearback: a self-hosted hub through which programs and AI agents ask people, and hear back.
#[derive(Debug, Parser)]
#[command(name = "hearback", version, after_long_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    /// The configuration file [default: ./hearback.toml, when it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the hub; what happens without a command
    Serve,
    /// Ask people something and wait for the answer
    Ask(Box<ask::Options>),
    /// Move the database's schema up or down, or see where it stands
    #[command(subcommand)]
    Migrate(Migration),
    /// Write everything that is stored into a new file; the hub may go on working
    Backup {
        /// The file to write, which must not be there yet
        file: PathBuf,
    },
    /// Put what a backup holds into an empty database, SQLite or PostgreSQL
    Restore {
        /// The file that `hearback backup` wrote
        file: PathBuf,
    },
    /// Put a new secret into the file of the generated one; the old ones stay accepted
    RotateKey,
    /// Seal everything sealed anew under the present secret; the hub may go on working
    Reencrypt,
    /// Show the settings in effect and where each comes from; exit 1 and name every problem when there is one
    CheckConfig,
    CheckPlugin(check_plugin::Options),
}

/// What to do with the database's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Migration {
    /// Apply every migration that is missing
    Up,
    /// Take back the newest migrations
    Down {
        /// How many
        #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
    },
    /// List the migrations and which of them are applied
    Status,
}

/// Runs the command that `args` name, the program's name first.
pub async fn run(args: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to be done when the terminal is gone.
            let _ = error.print();
            return match command(&args) {
                _ if !error.use_stderr() => ExitCode::SUCCESS,
                Some("ask") => ask::ERROR.into(),
                Some("check-plugin") => check_plugin::USAGE.into(),
                _ => ExitCode::FAILURE,
            };
        }
    };
    let sources = Sources::of_process(cli.config);
    match cli.command.unwrap_or(Command::Serve) {
        Command::Ask(options) => ask::run(*options, &sources).await,
        Command::CheckConfig => check_config::run(&sources),
        Command::CheckPlugin(options) => check_plugin::run(options, &sources).await,
        Command::Serve => match load(&sources) {
            Ok(config) => {
                logging::start(&config);
                finish(wiring::serve(config).await)
            }
            Err(problems) => refuse(&problems),
        },
        Command::Migrate(migration) => {
            on_database(&sources, async |config| wiring::migrate(&config, migration).await).await
        }
        Command::Backup { file } => on_database(&sources, async |config| wiring::backup(&config, &file).await).await,
        Command::RotateKey => on_database(&sources, async |config| keys::rotate(&config)).await,
        Command::Reencrypt => on_database(&sources, async |config| keys::reencrypt(&config).await).await,
        Command::Restore { file } => on_database(&sources, async |config| wiring::restore(&config, &file).await).await,
    }
}

/// Runs a command of a few words on the database, which says what it has done.
async fn on_database(sources: &Sources, run: impl AsyncFnOnce(Config) -> hearback_core::Result<String>) -> ExitCode {
    match load(sources) {
        Ok(config) => {
            logging::start(&config);
            finish(run(config).await.map(|told| {
                let _ = writeln!(io::stdout(), "{told}");
            }))
        }
        Err(problems) => refuse(&problems),
    }
}

/// The command that a command line which cannot be read was meant for: some have exit codes of their own.
fn command(args: &[OsString]) -> Option<&str> {
    let mut words = args.iter().skip(1);
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--config") => drop(words.next()),
            Some(option) if option.starts_with('-') => {}
            command => return command,
        }
    }
    None
}

fn load(sources: &Sources) -> Result<Config, Vec<Problem>> {
    Config::load(sources, &wiring::check_channel).map(|Loaded { config, .. }| config)
}

fn refuse(problems: &[Problem]) -> ExitCode {
    let mut out = io::stderr().lock();
    for problem in problems {
        let _ = writeln!(out, "hearback: {problem}");
    }
    ExitCode::FAILURE
}

fn finish(result: hearback_core::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "hearback: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_command_line_is_told_apart_by_its_command() {
        for (line, expected) in [
            ("hearback ask --wrong", Some("ask")),
            ("hearback --config x.toml ask --wrong", Some("ask")),
            ("hearback --config ask serve --wrong", Some("serve")),
            ("hearback check-plugin", Some("check-plugin")),
            ("hearback --wrong", None),
        ] {
            assert_eq!(command(&line.split(' ').map(Into::into).collect::<Vec<_>>()), expected, "{line}");
        }
    }
}
