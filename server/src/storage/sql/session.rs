//! Where statements run: a connection or a pool of either database, behind one small surface.
//!
//! A statement's text is the same for both wherever it can be; [`Sql`] holds two where it cannot. Values are bound and
//! read as the types that both databases have: `i64`, `bool`, text, bytes, [`uuid::Uuid`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{
    StreamExt, future,
    stream::{self, BoxStream},
};
use sqlx::{
    Arguments as _, AssertSqlSafe, Decode, Encode, PgConnection, Postgres, Row as _, SqlSafeStr, SqlStr, Sqlite,
    SqliteConnection, Type,
    postgres::{PgArguments, PgRow},
    sqlite::{SqliteArguments, SqliteRow},
};

use tokio::time::timeout;

use super::{
    fault::{Fault, Result},
    pool::{Connections, repeated},
};

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// A statement where the two databases do not understand the same text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sql {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl Sql {
    /// The text for this database.
    pub(crate) const fn of(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

impl From<&'static str> for Sql {
    fn from(both: &'static str) -> Self {
        Self { sqlite: both, postgres: both }
    }
}

/// A value that both databases take.
pub(crate) trait Bind<'q>: Encode<'q, Sqlite> + Type<Sqlite> + Encode<'q, Postgres> + Type<Postgres> {}

impl<'q, T: Encode<'q, Sqlite> + Type<Sqlite> + Encode<'q, Postgres> + Type<Postgres>> Bind<'q> for T {}

/// A value that both databases give.
pub(crate) trait Read<'r>: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres> {}

impl<'r, T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>> Read<'r> for T {}

/// How long PostgreSQL may take over a read, a wait for a connection among it: longer than it lets a statement take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
/// How long a connection that was used before may be silent before a read is repeated on another. A database that is gone
/// without a word is noticed by nothing else.
pub(crate) const SILENT: Duration = Duration::from_secs(5);

/// How busy a storage was, and is.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    statements: AtomicU64,
    under_way: AtomicU64,
}

/// The counters of one storage.
pub(crate) type Count = Arc<Counters>;

impl Counters {
    /// How many statements have been run.
    pub(crate) fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// How many reads, claims and writes have begun and not ended.
    pub(crate) fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Acquire)
    }
}

/// A read, a claim or a write that is under way for as long as this lives.
#[derive(Debug)]
pub(crate) struct UnderWay(Count);

impl UnderWay {
    pub(crate) fn begin(count: &Count) -> Self {
        count.under_way.fetch_add(1, Ordering::AcqRel);
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Connections for reading, and on PostgreSQL for claims.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) connections: AnyConnections,
    pub(crate) count: Count,
}

/// The connections to one database or the other.
#[derive(Clone, Debug)]
pub(crate) enum AnyConnections {
    Sqlite(Connections<SqliteConnection>),
    Postgres(Connections<PgConnection>),
}

impl Pool {
    /// A statement to run on any connection.
    pub(crate) fn query(&self, sql: impl Into<Sql>) -> Query<'_> {
        let target = match &self.connections {
            AnyConnections::Sqlite(connections) => Target::AnySqlite(connections),
            AnyConnections::Postgres(connections) => Target::AnyPostgres(connections),
        };
        Query::new(target, sql.into(), self.count.clone())
    }

    /// Lets every connection go.
    pub(crate) async fn close(&self) {
        match &self.connections {
            AnyConnections::Sqlite(connections) => connections.close().await,
            AnyConnections::Postgres(connections) => connections.close().await,
        }
    }
}

/// One connection, mostly within a transaction.
pub(crate) struct Session<'c> {
    connection: Connection<'c>,
    count: Count,
}

enum Connection<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl<'c> Session<'c> {
    pub(crate) const fn sqlite(connection: &'c mut SqliteConnection, count: Count) -> Self {
        Self { connection: Connection::Sqlite(connection), count }
    }

    pub(crate) const fn postgres(connection: &'c mut PgConnection, count: Count) -> Self {
        Self { connection: Connection::Postgres(connection), count }
    }

    /// Which database it is.
    pub(crate) const fn dialect(&self) -> Dialect {
        match self.connection {
            Connection::Sqlite(_) => Dialect::Sqlite,
            Connection::Postgres(_) => Dialect::Postgres,
        }
    }

    /// A statement to run here.
    pub(crate) fn query(&mut self, sql: impl Into<Sql>) -> Query<'_> {
        let count = self.count.clone();
        Query::new(self.target(), sql.into(), count)
    }

    /// A statement put together of parts, which are all literals.
    pub(crate) fn assembled(&mut self, assembled: Assembled) -> Query<'_> {
        let (Assembled { sql, arguments, .. }, count) = (assembled, self.count.clone());
        Query { target: self.target(), sql: AssertSqlSafe(sql).into_sql_str(), arguments, count }
    }

    fn target(&mut self) -> Target<'_> {
        match &mut self.connection {
            Connection::Sqlite(connection) => Target::Sqlite(connection),
            Connection::Postgres(connection) => Target::Postgres(connection),
        }
    }
}

enum Target<'c> {
    Sqlite(&'c mut SqliteConnection),
    AnySqlite(&'c Connections<SqliteConnection>),
    Postgres(&'c mut PgConnection),
    AnyPostgres(&'c Connections<PgConnection>),
}

/// Values for the parameters of a statement. The first that cannot be encoded makes the statement fail.
struct Arguments {
    values: Values,
    fault: Option<Fault>,
}

enum Values {
    Sqlite(SqliteArguments),
    Postgres(PgArguments),
}

impl Arguments {
    fn new(dialect: Dialect) -> Self {
        let values = match dialect {
            Dialect::Sqlite => Values::Sqlite(SqliteArguments::default()),
            Dialect::Postgres => Values::Postgres(PgArguments::default()),
        };
        Self { values, fault: None }
    }

    fn add<'q>(&mut self, value: impl Bind<'q>) {
        let added = match &mut self.values {
            Values::Sqlite(values) => values.add(value),
            Values::Postgres(values) => values.add(value),
        };
        if let Err(error) = added {
            self.fault.get_or_insert_with(|| Fault::unexpected(format!("a value cannot be stored: {error}")));
        }
    }
}

/// A statement with its values, to be run once.
pub(crate) struct Query<'c> {
    target: Target<'c>,
    sql: SqlStr,
    arguments: Arguments,
    count: Count,
}

/// Runs a statement on whatever it is for.
macro_rules! run {
    ($query:expr, $method:ident, $row:expr, $row_pg:expr) => {{
        let Query { target, sql, arguments: Arguments { values, fault }, count } = $query;
        if let Some(fault) = fault {
            return Err(fault);
        }
        let done = match (target, values) {
            (Target::Sqlite(to), Values::Sqlite(values)) => {
                sqlx::query_with::<Sqlite, _>(sql, values).$method(to).await.map($row)
            }
            (Target::AnySqlite(connections), Values::Sqlite(values)) => {
                let _under_way = UnderWay::begin(&count);
                let mut lent = connections.take().await?;
                let done = sqlx::query_with::<Sqlite, _>(sql, values).$method(lent.connection()).await;
                if done.is_ok() {
                    lent.keep();
                }
                done.map($row)
            }
            (Target::Postgres(to), Values::Postgres(values)) => {
                sqlx::query_with::<Postgres, _>(sql, values).$method(to).await.map($row_pg)
            }
            (Target::AnyPostgres(connections), Values::Postgres(values)) => {
                let _under_way = UnderWay::begin(&count);
                // Boxed, as it is the largest of these by far.
                let reading = Box::pin(async {
                    repeated!(connections, SILENT, |lent| {
                        sqlx::query_with::<Postgres, _>(sql.clone(), values.clone()).$method(lent.connection())
                    })
                });
                let Ok(answered) = timeout(PATIENCE, reading).await else {
                    return Err(Fault::unavailable("the database does not answer"));
                };
                let (done, lent) = answered?;
                lent.keep();
                Ok(done).map($row_pg)
            }
            (Target::Sqlite(_) | Target::AnySqlite(_), Values::Postgres(_))
            | (Target::Postgres(_) | Target::AnyPostgres(_), Values::Sqlite(_)) => {
                return Err(Fault::unexpected("values for another database"));
            }
        };
        count.statements.fetch_add(1, Ordering::Relaxed);
        done.map_err(Fault::from)
    }};
}

impl<'c> Query<'c> {
    fn new(target: Target<'c>, sql: Sql, count: Count) -> Self {
        let dialect = match target {
            Target::Sqlite(_) | Target::AnySqlite(_) => Dialect::Sqlite,
            Target::Postgres(_) | Target::AnyPostgres(_) => Dialect::Postgres,
        };
        Self { target, sql: sql.of(dialect).into_sql_str(), arguments: Arguments::new(dialect), count }
    }

    /// The value of the next parameter.
    pub(crate) fn bind<'q>(mut self, value: impl Bind<'q>) -> Self {
        self.arguments.add(value);
        self
    }

    /// Runs it; says how many rows it changed. Only in a transaction: what any connection runs may be repeated.
    pub(crate) async fn execute(self) -> Result<u64> {
        if matches!(self.target, Target::AnySqlite(_) | Target::AnyPostgres(_)) {
            return Err(Fault::unexpected("only a transaction writes"));
        }
        run!(self, execute, |done| done.rows_affected(), |done| done.rows_affected())
    }

    /// Every row.
    pub(crate) async fn fetch_all(self) -> Result<Vec<Row>> {
        run!(self, fetch_all, |rows| rows.into_iter().map(Row::Sqlite).collect(), |rows| {
            rows.into_iter().map(Row::Postgres).collect()
        })
    }

    /// Every row, one after another, for more rows than memory should hold.
    pub(crate) fn fetch(self) -> BoxStream<'c, Result<Row>> {
        let Query { target, sql, arguments: Arguments { values, fault }, .. } = self;
        if let Some(fault) = fault {
            return stream::once(future::ready(Err(fault))).boxed();
        }
        match (target, values) {
            (Target::Sqlite(to), Values::Sqlite(values)) => {
                let rows = sqlx::query_with::<Sqlite, _>(sql, values).fetch(to);
                rows.map(|row| Ok(Row::Sqlite(row?))).boxed()
            }
            (Target::Postgres(to), Values::Postgres(values)) => {
                let rows = sqlx::query_with::<Postgres, _>(sql, values).fetch(to);
                rows.map(|row| Ok(Row::Postgres(row?))).boxed()
            }
            _ => stream::once(future::ready(Err(Fault::unexpected("only a connection's rows are streamed")))).boxed(),
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional(self) -> Result<Option<Row>> {
        run!(self, fetch_optional, |row| row.map(Row::Sqlite), |row| row.map(Row::Postgres))
    }

    /// The first row, which is there.
    pub(crate) async fn fetch_one(self) -> Result<Row> {
        run!(self, fetch_one, Row::Sqlite, Row::Postgres)
    }

    /// The first column of the first row, which is there.
    pub(crate) async fn fetch_scalar<T: for<'r> Read<'r>>(self) -> Result<T> {
        self.fetch_one().await?.first()
    }
}

/// A row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// A column's value.
    pub(crate) fn get<'r, T: Read<'r>>(&'r self, column: &str) -> Result<T> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    /// The first column's value.
    pub(crate) fn first<'r, T: Read<'r>>(&'r self) -> Result<T> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(0)?,
            Self::Postgres(row) => row.try_get(0)?,
        })
    }
}

/// A statement over many rows while it is put together: `head VALUES (…), (…) tail`.
pub(crate) struct Assembled {
    sql: String,
    arguments: Arguments,
    dialect: Dialect,
    bound: usize,
    starts_row: bool,
}

impl Assembled {
    /// Begins with `head`.
    pub(crate) fn new(dialect: Dialect, head: &str) -> Self {
        Self { sql: head.to_owned(), arguments: Arguments::new(dialect), dialect, bound: 0, starts_row: false }
    }

    /// Goes on with a literal.
    pub(crate) fn push(&mut self, literal: &str) {
        self.sql.push_str(literal);
    }

    /// A row of values, bound by `bind`.
    pub(crate) fn row(&mut self, bind: impl FnOnce(&mut Self)) {
        self.sql.push_str(if self.bound == 0 { "VALUES (" } else { ", (" });
        self.starts_row = true;
        bind(self);
        self.sql.push(')');
    }

    /// The next value of the row.
    pub(crate) fn push_bind<'q>(&mut self, value: impl Bind<'q>) -> &mut Self {
        if !std::mem::take(&mut self.starts_row) {
            self.sql.push_str(", ");
        }
        self.bound += 1;
        match self.dialect {
            // Without a number they need not be looked up by name.
            Dialect::Sqlite => self.sql.push('?'),
            Dialect::Postgres => {
                self.sql.push('$');
                self.sql.push_str(&self.bound.to_string());
            }
        }
        self.arguments.add(value);
        self
    }
}
