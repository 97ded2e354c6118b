//! `hearback check-config`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use super::refuse;
use crate::{
    config::{Config, KEYS, Loaded, Sources},
    wiring,
};

pub(super) fn run(sources: &Sources) -> ExitCode {
    match Config::load(sources, &wiring::check_channel) {
        Ok(loaded) => {
            // A reader that has seen enough closes the pipe, which is no problem of the configuration.
            let _ = io::stdout().write_all(listing(&loaded).as_bytes());
            for warning in loaded.config.warnings() {
                let _ = writeln!(io::stderr(), "hearback: warning: {warning}");
            }
            ExitCode::SUCCESS
        }
        Err(problems) => refuse(&problems),
    }
}

/// One line a setting: its name, its value as far as it may be shown, and where it comes from.
fn listing(Loaded { config, origins }: &Loaded) -> String {
    let settings = KEYS.iter().map(|key| (key.name.to_owned(), key.shown(config)));
    let channels = config.channels.iter().map(|(name, table)| {
        let kind = table.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default();
        (format!("channels.{name}"), kind.to_owned())
    });
    let rows: Vec<_> = settings.chain(channels).collect();
    let width = |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.chars().count()).max().unwrap_or(0);
    let names = width(&mut rows.iter().map(|(name, _)| name));
    let values = width(&mut rows.iter().map(|(_, value)| value));
    let lines = rows.iter().map(|(name, value)| {
        let origin = origins.get(name).map_or_else(|| "default".to_owned(), ToString::to_string);
        format!("{name:names$}  {value:values$}  {origin}\n")
    });
    lines.collect()
}
