//! Where the data of a run are.

use hearback::storage::postgres::Scratch;

/// A database.
#[derive(Debug)]
pub enum Database {
    /// A file in the run's folder.
    Sqlite,
    /// A new one on a PostgreSQL server, removed with this.
    Postgres(Scratch),
}

impl Database {
    /// What tells every hub so.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        match self {
            // The hub makes its file and its secret, as for whoever sets nothing.
            Self::Sqlite => Vec::new(),
            Self::Postgres(scratch) => vec![
                ("DATABASE_URL", scratch.url().into()),
                ("MIGRATE", "auto".into()),
                ("SECRET_KEY", "the same for every hub on this database".into()),
            ],
        }
    }
}
