//! What is said of the configuration: where a setting came from, and what is wrong with it.

use std::{fmt, path::PathBuf};

use hearback_core::error::FieldError;

use super::{Key, sources::Setting};

/// Where a setting was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a file, on a line where it could be found.
    File(PathBuf, Option<usize>),
    /// In the process's environment.
    Environment,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, Some(line)) => write!(f, "{}, line {line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Environment => f.write_str("environment"),
        }
    }
}

/// Something wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key at fault; none when a file as a whole cannot be read.
    pub key: Option<String>,
    /// Where it was found.
    pub origin: Origin,
    /// The value that was found; never a secret.
    pub found: Option<String>,
    /// What is wrong, for people.
    pub detail: String,
    /// Which values would do.
    pub allowed: Option<String>,
}

impl Problem {
    pub(super) fn of_file(origin: Origin, detail: impl Into<String>) -> Self {
        Self { key: None, origin, found: None, detail: detail.into(), allowed: None }
    }

    pub(super) fn of_value(key: &Key, setting: &Setting, detail: String) -> Self {
        // A URL may hold a password before its host or in its query.
        let secret = key.secret || setting.text.contains(['@', '?']);
        Self {
            key: Some(key.name.into()),
            origin: setting.origin.clone(),
            found: (!secret).then(|| setting.text.clone()),
            detail,
            allowed: Some(key.allowed.into()),
        }
    }

    /// A PostgreSQL database may have several servers, each of which has to read what the others sealed and signed.
    pub(super) fn of_missing_secret(origin: Origin) -> Self {
        Self {
            key: Some("SECRET_KEY".into()),
            origin,
            found: None,
            detail: "is missing: with a PostgreSQL database it has to be set, to the same on every server".into(),
            allowed: Some("at least 32 characters, as `openssl rand -hex 32` prints".into()),
        }
    }

    pub(super) fn of_channel(fault: FieldError, origin: Origin) -> Self {
        let allowed = (!fault.allowed.is_empty()).then(|| fault.allowed.join(", "));
        Self { key: Some(fault.field), origin, found: None, detail: fault.detail, allowed }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key} ({})", self.origin)?,
            None => write!(f, "{}", self.origin)?,
        }
        f.write_str(": ")?;
        if let Some(found) = &self.found {
            write!(f, "{found:?} ")?;
        }
        f.write_str(&self.detail)?;
        match &self.allowed {
            Some(allowed) => write!(f, ". Allowed: {allowed}"),
            None => Ok(()),
        }
    }
}
