//! Re-encryption of a database that hubs may be working on.

use hearback_core::{Error, ErrorKind, Result};
use sqlx::Connection;

use super::{
    Cipher, Reencrypted, backup, is_postgres, postgres,
    sql::{
        Fault, Session,
        migrate::{self, Database},
        reencrypt,
        session::Count,
    },
    sqlite,
};

/// Seals everything sealed in `database` anew under the present key of `cipher`, while hubs go on working on it. Says what
/// became of it, also of what does not open.
///
/// # Errors
///
/// `Config` when there is no such database, or it is of another version's schema; `Unavailable` when it does not answer.
/// What was sealed anew by then stays so, and a repetition goes on from there.
pub async fn reencrypt(database: &str, cipher: &Cipher) -> Result<Vec<Reencrypted>> {
    if is_postgres(database) {
        let mut connection = postgres::connect(database).await?;
        postgres::require_newest(&mut Database::Postgres(&mut connection)).await?;
        let done = reencrypt::run(&mut Session::postgres(&mut connection, Count::default()), cipher).await?;
        connection.close().await.map_err(Fault::from)?;
        return Ok(done);
    }
    let file = sqlite::database_path(database)?;
    let refuse = |detail| Error::new(ErrorKind::Config, "storage.reencrypt", detail);
    if !file.is_file() {
        return Err(refuse(format!("there is no database {}", file.display())));
    }
    let mut connection = backup::open(&file).await?;
    if migrate::read(&mut Database::Sqlite(&mut connection)).await?.iter().any(|step| !step.applied) {
        return Err(refuse(format!("{} lacks migrations of this program: start the hub once", file.display())));
    }
    let done = reencrypt::run(&mut Session::sqlite(&mut connection, Count::default()), cipher).await?;
    connection.close().await.map_err(Fault::from)?;
    Ok(done)
}
