//! Databases that are made for one measurement, and removed with it.

use hearback::storage::postgres::Scratch;
use tempfile::TempDir;

/// What is measured on.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Sqlite,
    /// A server, by the URL of any of its databases.
    Postgres(String),
}

/// An empty database, and a folder for what the hub keeps besides.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) dir: TempDir,
    _scratch: Option<Scratch>,
}

impl Kind {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    pub(crate) async fn fresh(&self) -> Database {
        let dir = tempfile::tempdir().unwrap();
        match self {
            Self::Sqlite => {
                let url = format!("sqlite://{}", dir.path().join("hearback.db").display());
                Database { url, dir, _scratch: None }
            }
            Self::Postgres(server) => {
                let scratch = Scratch::create(server).await;
                Database { url: scratch.url().into(), dir, _scratch: Some(scratch) }
            }
        }
    }
}
