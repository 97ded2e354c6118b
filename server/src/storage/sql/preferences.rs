//! How people like to be reached, and what that changes for what is on its way to them.

use hearback_core::{
    Timestamp,
    event::Work,
    id::{DeliveryId, UserId},
    person::Preferences,
};

use super::{
    fault::{Fault, Result},
    queue::Write,
    rows, send,
    session::{Pool, Row},
    unit::Unit,
};

/// The columns that [`of_row`] reads.
macro_rules! preference_columns {
    () => {
        "u.preference, u.locale, u.timezone, u.quiet_hours"
    };
}
pub(super) use preference_columns;

pub(super) fn of_row(row: &Row) -> Result<Preferences> {
    let quiet_hours: Option<&str> = rows::get(row, "quiet_hours")?;
    Ok(Preferences {
        channels: rows::json(row, "preference")?,
        locale: rows::optionally_parsed(row, "locale")?,
        timezone: rows::optionally_parsed(row, "timezone")?,
        quiet_hours: quiet_hours.map(serde_json::from_str).transpose()?,
    })
}

/// A person's preferences as columns, in the order of [`preference_columns`].
pub(super) fn columns(preferences: &Preferences) -> Result<(String, [Option<String>; 3])> {
    let Preferences { channels, locale, timezone, quiet_hours } = preferences;
    let quiet_hours = quiet_hours.as_ref().map(serde_json::to_string).transpose()?;
    let optional = [locale.as_ref().map(ToString::to_string), timezone.as_ref().map(ToString::to_string), quiet_hours];
    Ok((serde_json::to_string(channels)?, optional))
}

/// The preferences of a person.
pub(super) async fn of(readers: &Pool, user: UserId) -> Result<Option<Preferences>> {
    readers.query(OF).bind(user.uuid()).fetch_optional().await?.as_ref().map(of_row).transpose()
}

/// Gives a person other preferences. What waited for the end of their quiet hours waits for that of the new ones.
pub(super) struct Prefer {
    pub(super) user: UserId,
    pub(super) preferences: Preferences,
    pub(super) at: Timestamp,
}

impl Write for Prefer {
    type Answer = bool;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<bool, Fault> {
        let Self { user, preferences, at } = self;
        let former = unit.session.query(OF).bind(user.uuid()).fetch_optional().await?;
        let Some(former) = former.as_ref().map(of_row).transpose()? else { return Ok(false) };
        let (channels, [locale, timezone, quiet_hours]) = columns(preferences)?;
        let query = unit.session.query(PREFER).bind(user.uuid()).bind(channels).bind(locale);
        query.bind(timezone).bind(quiet_hours).execute().await?;
        replan(unit, *user, &former, preferences, *at).await?;
        Ok(true)
    }
}

/// Moves what waits for a person to when these preferences bring it, which follow the former ones.
pub(super) async fn replan(
    unit: &mut Unit<'_>,
    user: UserId,
    former: &Preferences,
    preferences: &Preferences,
    at: Timestamp,
) -> Result<(), Fault> {
    let mut moved: Vec<(DeliveryId, Timestamp, Timestamp)> = Vec::new();
    for row in unit.session.query(WAITING).bind(user.uuid()).bind(at.micros()).fetch_all().await? {
        let was = rows::time(&row, "due_at")?;
        let due = preferences.due_instead(former, &rows::request(&row)?, was, at);
        if due != was {
            moved.push((rows::id(&row, "delivery_id")?, was, due));
        }
    }
    let moved = rows::read(&mut unit.session, MOVE_HEAD, &moved, MOVE_TAIL, |values, (delivery, was, due)| {
        values.push_bind(delivery.uuid()).push_bind(was.micros()).push_bind(due.micros());
    })
    .await?;
    if !moved.is_empty() {
        unit.note_work(Work::Sends);
    }
    unit.record_changes(&send::changes(&moved, at)?).await?;
    Ok(())
}

pub(super) const OF: &str = concat!("SELECT ", preference_columns!(), " FROM users u WHERE u.id = $1");
pub(super) const PREFER: &str =
    "UPDATE users SET preference = $2, locale = $3, timezone = $4, quiet_hours = $5 WHERE id = $1";
pub(super) const WAITING: &str = concat!(
    "SELECT d.id AS delivery_id, d.due_at, ",
    rows::request_columns!(),
    " FROM asked k CROSS JOIN feedback_requests r CROSS JOIN deliveries d \
     WHERE k.user_id = $1 AND k.status = 'pending' AND r.created_event = k.created_event \
     AND d.request_id = r.id AND d.user_id = $1 AND d.status = 'queued' AND d.due_at >= $2"
);
// Claims run beside the writer on PostgreSQL: what was claimed meanwhile keeps its time.
pub(super) const MOVE_HEAD: &str = "WITH given (id, was, due) AS (";
pub(super) const MOVE_TAIL: &str = ") UPDATE deliveries SET due_at = given.due FROM given \
    WHERE deliveries.id = given.id AND deliveries.status = 'queued' AND deliveries.due_at = given.was \
    RETURNING deliveries.id, deliveries.request_id";
