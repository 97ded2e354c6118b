//! The only file that names concrete types.

use hearback_core::{Error, ErrorKind, Result, error::FieldError};
use serde_json::Value;

use crate::{commands::Migration, config::Config};

/// Runs the hub until it is told to stop.
///
/// # Errors
///
/// It cannot start: the database, the secret or the address cannot be had.
pub async fn serve(_config: Config) -> Result<()> {
    Err(Error::new(ErrorKind::Unsupported, "serve", "the hub is not wired yet"))
}

/// Moves the database's schema, or says where it stands; the answer is for people.
///
/// # Errors
///
/// The database cannot be opened, or a migration fails.
pub async fn migrate(_config: &Config, _migration: Migration) -> Result<String> {
    Err(Error::new(ErrorKind::Unsupported, "migrate", "the storage is not wired yet"))
}

/// Checks one `[channels.NAME]` table without any I/O.
///
/// # Errors
///
/// The setting at fault.
pub fn check_channel(name: &str, _table: &Value) -> Result<(), FieldError> {
    Err(FieldError::new(format!("channels.{name}"), "no kind of channel is wired yet"))
}
