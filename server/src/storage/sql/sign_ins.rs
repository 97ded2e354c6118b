//! Sign-ins: families of refresh tokens, each good once. A copy that is shown again ends the whole sign-in.

use hearback_core::{Timestamp, id::UserId};
use uuid::Uuid;

use super::{accounts, fault::Fault, queue::Write, rows, unit::Unit};
use crate::account::{NewRefresh, Over, Rotated, SignInBegun};

/// Begins a sign-in, and forgets those that ran out.
pub(super) struct Begin {
    pub(super) user: UserId,
    /// The hash that was verified.
    pub(super) password: Option<String>,
    pub(super) family: Uuid,
    pub(super) first: NewRefresh,
}

impl Write for Begin {
    type Answer = SignInBegun;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<SignInBegun, Fault> {
        unit.session.query(FORGET).bind(self.first.at.micros()).execute().await?;
        let begin = unit.session.query(BEGIN).bind(self.family).bind(self.user.uuid());
        let begin = begin.bind(self.first.expires_at.micros()).bind(self.password.as_deref());
        if begin.execute().await? == 0 {
            return Ok(SignInBegun::Void);
        }
        give(unit, self.family, self.first).await?;
        Ok(SignInBegun::Now)
    }
}

/// Uses up a refresh token, and gives the next.
pub(super) struct Rotate {
    pub(super) shown: [u8; 32],
    pub(super) next: NewRefresh,
}

impl Write for Rotate {
    type Answer = Rotated;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Rotated, Fault> {
        let shown = self.shown.as_slice();
        let Some(found) = unit.session.query(SHOWN).bind(shown).fetch_optional().await? else {
            return Ok(Rotated::Unknown);
        };
        if rows::time(&found, "expires_at")? <= self.next.at {
            return Ok(Rotated::Unknown);
        }
        let family = rows::get(&found, "sign_in_id")?;
        if rows::get(&found, "used")? {
            end(unit, family).await?;
            return Ok(Rotated::Reused);
        }
        unit.session.query(USE).bind(shown).execute().await?;
        unit.session.query(FORGET_TOKENS).bind(family).bind(self.next.at.micros()).execute().await?;
        unit.session.query(EXTEND).bind(family).bind(self.next.expires_at.micros()).execute().await?;
        give(unit, family, self.next).await?;
        let user: Uuid = rows::get(&found, "user_id")?;
        let row = unit.session.query(accounts::BY_ID).bind(user).fetch_one().await?;
        Ok(Rotated::New { account: accounts::account(&row)?, family })
    }
}

/// Ends a sign-in.
pub(super) struct End {
    pub(super) family: Uuid,
}

impl Write for End {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        end(unit, self.family).await
    }
}

async fn end(unit: &mut Unit<'_>, family: Uuid) -> Result<(), Fault> {
    unit.session.query(END).bind(family).execute().await?;
    unit.note_over(Over::SignIn(family));
    Ok(())
}

/// Ends every sign-in of an account but `kept`.
pub(super) async fn end_others(unit: &mut Unit<'_>, user: UserId, kept: Uuid) -> Result<(), Fault> {
    let ended = unit.session.query(END_OTHERS).bind(user.uuid()).bind(kept).fetch_all().await?;
    for row in &ended {
        unit.note_over(Over::SignIn(rows::get(row, "id")?));
    }
    Ok(())
}

async fn give(unit: &mut Unit<'_>, family: Uuid, token: NewRefresh) -> Result<(), Fault> {
    let NewRefresh { hash, at, expires_at } = token;
    unit.session
        .query(GIVE)
        .bind(hash.as_slice())
        .bind(family)
        .bind(at.micros())
        .bind(Timestamp::micros(expires_at))
        .execute()
        .await?;
    Ok(())
}

pub(super) const ENDS: &str = "SELECT expires_at FROM sign_ins WHERE id = $1";
pub(super) const FORGET: &str = "DELETE FROM sign_ins WHERE expires_at <= $1";
// The password may have been changed, or the account deactivated, while it was verified.
pub(super) const BEGIN: &str = "INSERT INTO sign_ins (id, user_id, expires_at) \
    SELECT $1, id, $3 FROM users WHERE id = $2 AND password = $4 AND deactivated_at IS NULL";
pub(super) const GIVE: &str =
    "INSERT INTO refresh_tokens (hash, sign_in_id, created_at, expires_at) VALUES ($1, $2, $3, $4)";
pub(super) const SHOWN: &str = "SELECT t.sign_in_id, t.expires_at, t.used, f.user_id \
    FROM refresh_tokens t CROSS JOIN sign_ins f WHERE f.id = t.sign_in_id AND t.hash = $1";
pub(super) const USE: &str = "UPDATE refresh_tokens SET used = TRUE WHERE hash = $1";
pub(super) const FORGET_TOKENS: &str = "DELETE FROM refresh_tokens WHERE sign_in_id = $1 AND expires_at <= $2";
pub(super) const EXTEND: &str = "UPDATE sign_ins SET expires_at = $2 WHERE id = $1";
pub(super) const END: &str = "DELETE FROM sign_ins WHERE id = $1";
pub(super) const END_OTHERS: &str = "DELETE FROM sign_ins WHERE user_id = $1 AND id <> $2 RETURNING id";
