//! A yardstick: the rows of a create, through the same library into the schema that the hub made, with nothing around
//! them. One statement a table, 64 creates a commit, synchronised in full.

use std::{
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sqlx::{
    Arguments, AssertSqlSafe, ColumnIndex, ConnectOptions, Connection, Database, Decode, Encode, Executor,
    IntoArguments, PgConnection, Postgres, Row, Sqlite, SqliteConnection, Type,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use uuid::Uuid;

use crate::{
    client::Connection as Client,
    database::{self, Kind},
    hub::Hub,
};

/// How many creates a commit has.
pub(crate) const BATCH: usize = 64;

/// A table, the columns that a create fills, and in how many rows.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    rows: usize,
}

const REQUESTS: Table = Table {
    name: "feedback_requests",
    columns: &[
        "created_event",
        "id",
        "asker_user_id",
        "asker_username",
        "asker_token_id",
        "asker_token_name",
        "terms",
        "status",
        "created_at",
        "expires_at",
    ],
    rows: BATCH,
};
const ASKED: Table = Table { name: "asked", columns: &["user_id", "status", "created_event"], rows: BATCH };
const DELIVERIES: Table = Table {
    name: "deliveries",
    columns: &["id", "request_id", "user_id", "channel", "address", "status", "due_at"],
    rows: BATCH,
};
const EVENTS: Table = Table { name: "events", columns: &["id", "at", "kind", "request_id"], rows: BATCH };
/// The asking token and the person asked.
const READERS: Table = Table { name: "event_readers", columns: &["reader", "event_id"], rows: 2 * BATCH };

impl Table {
    fn insert(&self) -> Arc<str> {
        let mut sql = format!("INSERT INTO {} ({}) VALUES ", self.name, self.columns.join(", "));
        let width = self.columns.len();
        for row in 0..self.rows {
            let places: Vec<_> = (1..=width).map(|column| format!("${}", row * width + column)).collect();
            let _ = write!(sql, "{}({})", if row == 0 { "" } else { ", " }, places.join(", "));
        }
        sql.into()
    }
}

/// A create as the hub stored it, to be repeated.
struct Example {
    user: Uuid,
    username: String,
    token: Uuid,
    token_name: String,
    terms: String,
    channel: String,
    address: String,
}

/// A database with the hub's schema, an example of a create, and one connection that writes.
pub(crate) struct Bare {
    writer: Either,
    /// Removed with this.
    _database: database::Database,
}

enum Either {
    Sqlite(Writer<Sqlite>),
    Postgres(Writer<Postgres>),
}

impl Bare {
    pub(crate) async fn new(kind: &Kind) -> Self {
        let hub = Hub::start(kind.fresh().await).await;
        Client::open(hub.address).await.call(&hub.create()).await.expect("201");
        let database = hub.stop().await;
        let writer = match kind {
            Kind::Sqlite => {
                // As in server/src/storage/sqlite/open.rs.
                let options = database.url.parse::<SqliteConnectOptions>().unwrap();
                let options = options
                    .foreign_keys(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .pragma("fullfsync", "ON")
                    .pragma("journal_size_limit", "67108864")
                    .pragma("wal_autocheckpoint", "8192")
                    .pragma("cache_size", "-16384")
                    .pragma("temp_store", "MEMORY")
                    .disable_statement_logging();
                let connection: SqliteConnection = options.connect().await.unwrap();
                Either::Sqlite(Writer::new(connection, "BEGIN IMMEDIATE").await)
            }
            Kind::Postgres(_) => {
                let mut connection = PgConnection::connect(&database.url).await.unwrap();
                connection.execute("SET synchronous_commit = on").await.unwrap();
                Either::Postgres(Writer::new(connection, "BEGIN").await)
            }
        };
        Self { writer, _database: database }
    }

    /// Commits for a while. Says how many creates a second that was.
    pub(crate) async fn commits(&mut self, lasts: Duration) -> f64 {
        let begun = Instant::now();
        let mut creates = 0_u32;
        while begun.elapsed() < lasts {
            match &mut self.writer {
                Either::Sqlite(writer) => writer.commit().await,
                Either::Postgres(writer) => writer.commit().await,
            }
            creates += u32::try_from(BATCH).unwrap();
        }
        f64::from(creates) / begun.elapsed().as_secs_f64()
    }
}

struct Writer<DB: Database> {
    connection: DB::Connection,
    begin: &'static str,
    example: Example,
    /// The newest event.
    head: i64,
    statements: [Arc<str>; 5],
}

/// What the library can do with either database.
impl<DB> Writer<DB>
where
    DB: Database,
    DB::Arguments: IntoArguments<DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    for<'c> &'c str: ColumnIndex<DB::Row>,
    for<'q> i64: Type<DB> + Encode<'q, DB> + Decode<'q, DB>,
    for<'q> Uuid: Type<DB> + Encode<'q, DB> + Decode<'q, DB>,
    for<'q> &'q str: Type<DB> + Encode<'q, DB>,
    for<'q> String: Type<DB> + Decode<'q, DB>,
{
    async fn new(mut connection: DB::Connection, begin: &'static str) -> Self {
        let row = sqlx::query(
            "SELECT r.created_event, r.asker_user_id, r.asker_username, r.asker_token_id, r.asker_token_name, r.terms, \
             d.channel, d.address FROM feedback_requests r JOIN deliveries d ON d.request_id = r.id",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        let example = Example {
            user: row.get("asker_user_id"),
            username: row.get("asker_username"),
            token: row.get("asker_token_id"),
            token_name: row.get("asker_token_name"),
            terms: row.get("terms"),
            channel: row.get("channel"),
            address: row.get("address"),
        };
        let statements = [REQUESTS, ASKED, DELIVERIES, EVENTS, READERS].map(|table| table.insert());
        Self { connection, begin, example, head: row.get("created_event"), statements }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "there is no clock to pass in: this stands in for nothing of the hub's"
    )]
    async fn commit(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_micros()).unwrap();
        let Example { user, username, token, token_name, terms, channel, address } = &self.example;
        let [mut requests, mut asked, mut deliveries, mut events, mut readers] =
            std::array::from_fn(|_| Values::<DB>(DB::Arguments::default()));
        for event in self.head + 1..=self.head + i64::try_from(BATCH).unwrap() {
            let id = Uuid::now_v7();
            requests.add(event).add(id).add(*user).add(username.as_str()).add(*token).add(token_name.as_str());
            requests.add(terms.as_str()).add("pending").add(now).add(now + 172_800_000_000);
            asked.add(*user).add("pending").add(event);
            deliveries.add(Uuid::now_v7()).add(id).add(*user).add(channel.as_str()).add(address.as_str());
            deliveries.add("queued").add(now);
            events.add(event).add(now).add("created").add(id);
            readers.add(*token).add(event).add(*user).add(event);
        }
        self.head += i64::try_from(BATCH).unwrap();
        let tables = [requests, asked, deliveries, events, readers];
        self.connection.execute(self.begin).await.unwrap();
        for (sql, Values(values)) in self.statements.iter().zip(tables) {
            self.connection.execute(sqlx::query_with(AssertSqlSafe(sql.clone()), values)).await.unwrap();
        }
        self.connection.execute("COMMIT").await.unwrap();
    }
}

/// The values of a statement.
struct Values<DB: Database>(DB::Arguments);

impl<DB: Database> Values<DB> {
    fn add<'q, T: Type<DB> + Encode<'q, DB>>(&mut self, value: T) -> &mut Self {
        self.0.add(value).unwrap();
        self
    }
}
