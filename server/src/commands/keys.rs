//! `hearback rotate-key` and `hearback reencrypt`.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use hearback_core::{Error, ErrorKind, Result};

use crate::{config::Config, storage::Secrets, wiring};

/// How many values that do not open are named.
const NAMED: usize = 20;

/// Puts a new secret into the file of the generated one, and says what to do next.
///
/// # Errors
///
/// `Config` when the secret is not in that file, with how to rotate it then.
pub(super) fn rotate(config: &Config) -> Result<String> {
    if config.secret_key.is_some() {
        let detail = "the secret is not in a file of the hub's but in SECRET_KEY, which only you can change. Nothing was \
            changed. Make a new one by `openssl rand -hex 32`; set SECRET_KEY to it and put the one until now into \
            SECRET_KEY_OLD; restart the hub; run `hearback reencrypt`, which says when SECRET_KEY_OLD may go. With several \
            servers see docs/keys.md";
        return Err(Error::new(ErrorKind::Config, "rotate-key", detail));
    }
    let file = Secrets::rotate_file(config.data_dir())?;
    Ok(format!(
        "There is a new secret on the first line of {}; the old ones are below it and are still accepted.\n\
         Next: restart the hub, and when it runs again: hearback reencrypt",
        file.display()
    ))
}

/// Seals everything anew under the present secret, and says what became of it and when the old secrets may go.
///
/// # Errors
///
/// Those of the database; `Config` when something does not open, after all else is done.
pub(super) async fn reencrypt(config: &Config) -> Result<String> {
    let done = wiring::reencrypt(config).await?;
    let mut told = String::new();
    for place in &done {
        // Writing into a string does not fail.
        let _ = write!(told, "{}: {} sealed anew, {} already were", place.what, place.renewed, place.present);
        let _ = match place.changed {
            0 => writeln!(told),
            changed => writeln!(told, ", {changed} changed meanwhile"),
        };
    }
    let lost: Vec<_> = done.iter().flat_map(|place| &place.lost).collect();
    if let [_, ..] = lost[..] {
        // Nothing is left to be done when the terminal is gone.
        let _ = io::stdout().write_all(told.as_bytes());
        let mut detail = format!("{} sealed values do not open, and were left as they are:", lost.len());
        for error in lost.iter().take(NAMED) {
            let _ = write!(detail, "\n  {}", error.detail());
        }
        if lost.len() > NAMED {
            let _ = write!(detail, "\n  and {} more", lost.len() - NAMED);
        }
        detail.push_str("\nAdd the secrets that they were sealed under to SECRET_KEY_OLD, and run this again.");
        return Err(Error::new(ErrorKind::Config, "reencrypt", detail));
    }
    if done.iter().any(|place| place.changed > 0) {
        told.push_str("Run this again for what changed meanwhile.");
        return Ok(told);
    }
    let _ = write!(
        told,
        "Everything sealed is under the present secret. Old secrets may go {} minutes after the last hub was restarted with \
         it, when access tokens signed before have expired; links to answer pages sent before open with the old secrets \
         until their deadlines. Backups made until now open with the old secrets alone.",
        config.access_token_minutes
    );
    Ok(told)
}
