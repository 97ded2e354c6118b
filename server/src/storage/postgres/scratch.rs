//! Databases that last as long as a test or a measurement.

use std::{
    io::Write as _,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

/// How long the database may take to come to say something.
const SOON: Duration = Duration::from_secs(20);
/// How the names of such databases begin.
const PREFIX: &str = "hearback_scratch_";

/// A new database on a server. It is removed when this is dropped, with everybody's connections to it.
#[derive(Debug)]
pub struct Scratch {
    server: String,
    url: String,
    name: String,
}

impl Scratch {
    /// One on the server that `TEST_DATABASE_URL` names. `None`, said plainly, where nothing is named.
    ///
    /// # Panics
    ///
    /// As [`Scratch::create`], and with `TEST_REQUIRE_SERVICES=1` where nothing is named.
    pub async fn for_test() -> Option<Self> {
        if let Some(server) = std::env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty()) {
            return Some(Self::create(&server).await);
        }
        let test = thread::current().name().unwrap_or_default().to_owned();
        let line = format!("{test}: needs the URL of a PostgreSQL server in TEST_DATABASE_URL");
        let required = std::env::var_os("TEST_REQUIRE_SERVICES").is_some_and(|value| value == "1");
        assert!(!required, "{line}");
        // Not by eprintln, whose text is only shown of tests that fail.
        std::io::stderr().write_all(format!("SKIPPED {line}\n").as_bytes()).expect("stderr is open");
        None
    }

    /// Makes one on the server of this URL, whose user may make databases.
    ///
    /// # Panics
    ///
    /// When there is no such server, or the user may not.
    pub async fn create(server: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{number}_{:016x}", rand::random::<u64>());
        run(server, format!("CREATE DATABASE {name}")).await.expect("TEST_DATABASE_URL's user may make databases");
        let mut url = url::Url::parse(server).expect("TEST_DATABASE_URL is a URL");
        url.set_path(&name);
        Self { server: server.into(), url: url.into(), name }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs a statement in it.
    ///
    /// # Panics
    ///
    /// When the statement fails.
    pub async fn execute(&self, sql: &str) {
        run(&self.url, sql.into()).await.expect("the statement is run");
    }

    /// Asks again and again until a statement gives this text.
    ///
    /// # Panics
    ///
    /// When the statement fails, or does not give it within 20 seconds.
    pub async fn wait_for(&self, sql: &str, expected: &str) {
        let given = async {
            while self.text(sql).await != expected {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, given).await.expect("the database comes to say so");
    }

    /// What a statement gives as the first column of its first row, a text.
    ///
    /// # Panics
    ///
    /// When the statement fails, or finds nothing.
    pub async fn text(&self, sql: &str) -> String {
        let mut connection = connect(&self.url).await.expect("the database is there");
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.expect("a text is found")
    }
}

async fn connect(url: &str) -> sqlx::Result<PgConnection> {
    PgConnectOptions::from_str(url)?.disable_statement_logging().connect().await
}

async fn run(url: &str, sql: String) -> sqlx::Result<()> {
    let mut connection = connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // The test's own runtime cannot be waited on from here.
        let removed = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.is_ok_and(|runtime| runtime.block_on(run(&server, sql)).is_ok())
        });
        if !removed.join().unwrap_or(false) {
            tracing::warn!(database = self.name, "a scratch database was left behind");
        }
    }
}
