//! Everything that a database holds, as bytes, for tests that look for what must not be there.

use sqlx::{Connection, PgConnection, SqliteConnection};

use super::{
    is_postgres,
    sql::{
        Session,
        session::{Assembled, Count, Sql},
    },
    sqlite,
};

/// Every column's name, with the statement that gives its values.
const COLUMNS: Sql = Sql {
    sqlite: "SELECT t.name || '.' || c.name AS name, \
        format('SELECT CAST(\"%w\" AS BLOB) FROM \"%w\" WHERE \"%w\" IS NOT NULL', c.name, t.name, c.name) AS statement \
        FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'",
    postgres: "SELECT table_name || '.' || column_name AS name, \
        format(CASE data_type WHEN 'bytea' THEN 'SELECT %1$I FROM %2$I WHERE %1$I IS NOT NULL' \
        ELSE 'SELECT convert_to(%1$I::text, ''UTF8'') FROM %2$I WHERE %1$I IS NOT NULL' END, column_name, table_name) \
        AS statement FROM information_schema.columns WHERE table_schema = current_schema()",
};

/// Every value of every column of every table of `database`, by the column's name. Numbers come as their texts.
///
/// # Panics
///
/// When the database cannot be read.
pub async fn dump(database: &str) -> Vec<(String, Vec<Vec<u8>>)> {
    if is_postgres(database) {
        let mut connection = PgConnection::connect(database).await.expect("the database is there");
        return of(Session::postgres(&mut connection, Count::default())).await;
    }
    let path = sqlite::database_path(database).expect("a database's name").display().to_string();
    let mut connection = SqliteConnection::connect(&path).await.expect("the database is there");
    of(Session::sqlite(&mut connection, Count::default())).await
}

async fn of(mut session: Session<'_>) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut found = Vec::new();
    for column in session.query(COLUMNS).fetch_all().await.expect("the schema is read") {
        let text = |name| column.get::<String>(name).expect("a text");
        let statement = Assembled::new(session.dialect(), &text("statement"));
        let rows = session.assembled(statement).fetch_all().await.expect("a column is read");
        found.push((text("name"), rows.iter().map(|row| row.first().expect("bytes")).collect()));
    }
    found
}
