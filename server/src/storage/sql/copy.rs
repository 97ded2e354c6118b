//! All that is stored, from one kind of database into the other.

use std::pin::pin;

use futures_util::TryStreamExt;
use hearback_core::{Error, ErrorKind, Result, Timestamp};
use uuid::Uuid;

use super::{
    fault::Fault,
    rows::CHUNK,
    session::{Assembled, Row, Session},
};

/// Every table with what is worth keeping, in an order in which nothing refers to what is not there yet. What servers know
/// of each other while they run is left out.
pub(super) const TABLES: &[&str] = &[
    "users",
    "addresses",
    "service_tokens",
    "sign_ins",
    "refresh_tokens",
    "feedback_requests",
    "asked",
    "deliveries",
    "attempts",
    "responses",
    "events",
    "event_readers",
    "callbacks",
    "disabled_receivers",
    "idempotency",
    "vault",
];

/// Tables that are left out: the newest event's number is noted anew, servers find each other anew, limits begin anew, and codes
/// last minutes.
#[cfg(test)]
pub(super) const LEFT_OUT: &[&str] =
    &["address_codes", "event_log", "limits", "link_codes", "presence", "runs", "servers"];

/// How a column's values are read and bound, by PostgreSQL's name of its type.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Uuid,
    Text,
    Number,
    Truth,
    Bytes,
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: Kind,
}

/// Copies every table, and says how many rows it were. The schemas are the same, and the target is empty; `postgres` tells
/// the types of columns, of which SQLite has fewer.
///
/// # Errors
///
/// Those of the databases. The caller takes the transaction back.
pub(crate) async fn copy(from: &mut Session<'_>, to: &mut Session<'_>, postgres: Side) -> Result<u64, Fault> {
    let mut copied = 0;
    for table in TABLES {
        let columns = match postgres {
            Side::From => columns(from, table).await?,
            Side::To => columns(to, table).await?,
        };
        copied += copy_table(from, to, table, &columns).await?;
    }
    Ok(copied)
}

/// On which side PostgreSQL is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    From,
    To,
}

async fn columns(postgres: &mut Session<'_>, table: &str) -> Result<Vec<Column>, Fault> {
    let found = postgres.query(COLUMNS).bind(table).fetch_all().await?;
    let column = |row: &Row| {
        let (name, kind): (String, String) = (row.get("name")?, row.get("type")?);
        let kind = match kind.as_str() {
            "uuid" => Kind::Uuid,
            "text" => Kind::Text,
            "bigint" => Kind::Number,
            "boolean" => Kind::Truth,
            "bytea" => Kind::Bytes,
            other => return Err(Fault::unexpected(format!("{table}.{name} is of the type {other}"))),
        };
        Ok(Column { name, kind })
    };
    found.iter().map(column).collect()
}

async fn copy_table(
    from: &mut Session<'_>,
    to: &mut Session<'_>,
    table: &str,
    columns: &[Column],
) -> Result<u64, Fault> {
    let names = columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
    let (dialect, mut copied) = (from.dialect(), 0);
    let source = from.assembled(Assembled::new(dialect, &format!("SELECT {names} FROM {table}")));
    let mut source = pin!(source.fetch().try_chunks(CHUNK));
    while let Some(rows) = source.try_next().await.map_err(|error| error.1)? {
        let mut statement = Assembled::new(to.dialect(), &format!("INSERT INTO {table} ({names}) "));
        for row in &rows {
            let mut read = Ok(());
            statement.row(|values| read = columns.iter().try_for_each(|column| bind(values, row, column)));
            read?;
        }
        copied += to.assembled(statement).execute().await?;
    }
    Ok(copied)
}

fn bind(values: &mut Assembled, row: &Row, Column { name, kind }: &Column) -> Result<(), Fault> {
    match kind {
        Kind::Uuid => values.push_bind(row.get::<Option<Uuid>>(name)?),
        // PostgreSQL's texts hold no NUL.
        Kind::Text => values.push_bind(row.get::<Option<String>>(name)?.map(|text| text.replace('\0', "\u{fffd}"))),
        Kind::Number => values.push_bind(row.get::<Option<i64>>(name)?),
        Kind::Truth => values.push_bind(row.get::<Option<bool>>(name)?),
        Kind::Bytes => values.push_bind(row.get::<Option<Vec<u8>>>(name)?),
    };
    Ok(())
}

/// Refuses a database that holds anything.
///
/// # Errors
///
/// `Config` when it does.
pub(crate) async fn require_empty(session: &mut Session<'_>) -> Result<()> {
    if session.query(super::accounts::IS_EMPTY).fetch_scalar().await? {
        return Ok(());
    }
    let detail = "the database holds accounts already: what is restored goes into an empty one";
    Err(Error::new(ErrorKind::Config, "storage.restore", detail))
}

/// How far the numbers of events are moved on by a restore, at least. Whoever had read events that the backup does not hold
/// has read to a number below the next one: they miss nothing that is new, and nobody takes a new event for an old one.
const GAP: i64 = 1_000_000;

/// Leaves a gap in the numbers of events. They go on from the present millisecond, so that another restore of the same
/// backup does not give out again what was given since the first.
///
/// # Errors
///
/// Those of the database.
pub(crate) async fn leave_gap(session: &mut Session<'_>, now: Timestamp) -> Result<(), Fault> {
    session.query(MOVE_HEAD).bind(GAP).bind(now.micros() / 1000).execute().await.map(drop)
}

/// Notes the number of the newest event that was copied.
///
/// # Errors
///
/// Those of the database.
pub(crate) async fn note_head(session: &mut Session<'_>) -> Result<(), Fault> {
    session.query(MOVE_HEAD).bind(0_i64).bind(0_i64).execute().await.map(drop)
}

const COLUMNS: &str = "SELECT column_name::text AS name, data_type::text AS type FROM information_schema.columns \
    WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position";
pub(super) const MOVE_HEAD: &str = "UPDATE event_log SET head = \
    (SELECT CASE WHEN coalesce(max(id), 0) + $1 > $2 THEN coalesce(max(id), 0) + $1 ELSE $2 END FROM events)";
