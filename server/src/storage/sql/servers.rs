//! The servers that share a database: who lives, who is connected to which, who runs a channel.

use std::collections::{HashMap, HashSet};

use hearback_core::{
    Timestamp,
    channel::{Address, ChannelName},
    event::Work,
    feedback::Delivery,
    id::ServerId,
    store::{Company, Connected, Hold, LEFT_KEPT, Presence, Presences},
};
use uuid::Uuid;

use super::{
    fault::Fault,
    queue::Write,
    route, rows, send,
    session::{Dialect, Pool, Row, Session},
    unit::Unit,
};

/// The service itself stands among the servers as this one.
fn column(server: Option<ServerId>) -> Uuid {
    server.map_or(Uuid::nil(), ServerId::uuid)
}

fn connected(row: &Row) -> Result<Connected, Fault> {
    let server: Uuid = rows::get(row, "server")?;
    let server = (!server.is_nil()).then(|| server.into());
    let (left_at, alive_until) = (rows::optional_time(row, "left_at")?, rows::optional_time(row, "alive_until")?);
    Ok(Connected { server, left_at, alive_until })
}

/// What is known of one address.
pub(super) async fn presence(
    readers: &Pool,
    channel: &ChannelName,
    address: &Address,
    now: Timestamp,
) -> Result<Presence, Fault> {
    let found = readers.query(OF).bind(channel.as_str()).bind(address.as_str()).fetch_all().await?;
    let stored: Vec<_> = found.iter().map(connected).collect::<Result<_, _>>()?;
    Ok(Presence::of(stored, now))
}

/// What is known at the addresses of these deliveries.
pub(super) async fn presences<'d>(
    session: &mut Session<'_>,
    deliveries: impl Iterator<Item = &'d Delivery>,
    now: Timestamp,
) -> Result<Presences, Fault> {
    let places: HashSet<_> = deliveries.map(|one| (&one.channel, &one.address)).collect();
    let places: Vec<_> = places.into_iter().collect();
    let found = rows::read(session, AT_HEAD, &places, AT_TAIL, |values, (channel, address)| {
        values.push_bind(channel.as_str()).push_bind(address.as_str());
    })
    .await?;
    let mut stored: HashMap<_, Vec<_>> = HashMap::new();
    for row in &found {
        let place = (rows::parsed(row, "channel")?, rows::parsed(row, "address")?);
        stored.entry(place).or_default().push(connected(row)?);
    }
    let known = stored.into_iter().map(|(place, stored)| (place, Presence::of(stored, now)));
    Ok(known.filter(|(_, presence)| *presence != Presence::Unknown).collect())
}

/// Notes that somebody is connected, and queues again what was skipped for them.
pub(super) struct Connect {
    pub(super) channel: ChannelName,
    pub(super) address: Address,
    pub(super) server: Option<ServerId>,
    pub(super) now: Timestamp,
}

impl Write for Connect {
    type Answer = u64;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<u64, Fault> {
        let Self { channel, address, server, now } = self;
        note(unit, channel, address, *server, None).await?;
        let requeue = unit.session.query(send::REQUEUE).bind(channel.as_str()).bind(address.as_str());
        let queued = requeue.bind(now.micros()).fetch_all().await?;
        unit.record_changes(&send::changes(&queued, *now)?).await?;
        unit.note_work(Work::Sends);
        Ok(queued.len() as u64)
    }
}

/// Notes that somebody has left, and hastens what is out to them.
pub(super) struct Disconnect {
    pub(super) channel: ChannelName,
    pub(super) address: Address,
    pub(super) server: Option<ServerId>,
    pub(super) now: Timestamp,
    pub(super) due: Timestamp,
}

impl Write for Disconnect {
    type Answer = u64;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<u64, Fault> {
        let Self { channel, address, server, now, due } = self;
        let kept = i64::try_from(LEFT_KEPT.as_micros()).unwrap_or(i64::MAX);
        unit.session.query(FORGET).bind(now.micros().saturating_sub(kept)).bind(Uuid::nil()).execute().await?;
        note(unit, channel, address, *server, Some(*now)).await?;
        // Others may have what was left for this server.
        unit.note_work(Work::Sends);
        let hasten = unit.session.query(route::HASTEN).bind(channel.as_str()).bind(address.as_str());
        hasten.bind(due.micros()).execute().await
    }
}

async fn note(
    unit: &mut Unit<'_>,
    channel: &ChannelName,
    address: &Address,
    server: Option<ServerId>,
    left_at: Option<Timestamp>,
) -> Result<(), Fault> {
    if server.is_none() {
        unit.session.query(CLEAR).bind(channel.as_str()).bind(address.as_str()).execute().await?;
    }
    let note = unit.session.query(NOTE).bind(channel.as_str()).bind(address.as_str()).bind(column(server));
    note.bind(left_at.map(Timestamp::micros)).execute().await?;
    Ok(())
}

/// Says that a server lives. A SQLite file serves one at a time, so there all others are dead.
pub(super) struct Stay {
    pub(super) server: ServerId,
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
    pub(super) due: Timestamp,
}

impl Write for Stay {
    type Answer = Company;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Company, Fault> {
        let (server, now) = (self.server.uuid(), self.now.micros());
        let alone = unit.session.dialect() == Dialect::Sqlite;
        let lived = unit.session.query(LIFE).bind(server).fetch_optional().await?;
        let lived = lived.map(|row| rows::get::<i64>(&row, "alive_until")).transpose()?;
        let anew = lived.is_none_or(|until| until <= now);
        if alone && anew {
            unit.session.query(END_OTHERS).bind(server).bind(now).execute().await?;
            unit.session.query(FORGET_SERVER).bind(Uuid::nil()).execute().await?;
        }
        let until = if alone { i64::MAX } else { self.until.micros() };
        unit.session.query(LIVE).bind(server).bind(until).execute().await?;
        unit.session.query(LEAVE_THE_DEAD).bind(now).execute().await?;
        let bereft = unit.session.query(BURY).bind(now).execute().await? > 0;
        if anew || bereft {
            unit.note_work(Work::Sends);
            unit.session.query(route::HASTEN_ALL).bind(self.due.micros()).execute().await?;
        }
        Ok(if alone { Company::Alone } else { Company::Shared { anew, bereft } })
    }
}

/// Ends a server's life.
pub(super) struct Leave {
    pub(super) server: ServerId,
    pub(super) now: Timestamp,
}

impl Write for Leave {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        unit.session.query(END).bind(self.server.uuid()).bind(self.now.micros()).execute().await?;
        unit.session.query(RELEASE_ALL).bind(self.server.uuid()).execute().await?;
        unit.note_work(Work::Sends);
        unit.note_work(Work::Runs);
        Ok(())
    }
}

/// Lets a server run a channel.
pub(super) struct HoldRun {
    pub(super) channel: ChannelName,
    pub(super) server: ServerId,
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
}

impl Write for HoldRun {
    type Answer = Hold;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Hold, Fault> {
        let query = unit.session.query(HOLD).bind(self.channel.as_str()).bind(self.server.uuid());
        let held = query.bind(self.until.micros()).bind(self.now.micros()).execute().await?;
        if held > 0 {
            return Ok(Hold::Held);
        }
        let holder = unit.session.query(HELD_UNTIL).bind(self.channel.as_str()).fetch_one().await?;
        Ok(Hold::HeldUntil(rows::time(&holder, "held_until")?))
    }
}

/// Lets others run a channel.
pub(super) struct ReleaseRun {
    pub(super) channel: ChannelName,
    pub(super) server: ServerId,
}

impl Write for ReleaseRun {
    type Answer = ();

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Fault> {
        unit.session.query(RELEASE).bind(self.channel.as_str()).bind(self.server.uuid()).execute().await?;
        unit.note_work(Work::Runs);
        Ok(())
    }
}

pub(super) const OF: &str = "SELECT p.server, p.left_at, s.alive_until FROM presence p \
    LEFT JOIN servers s ON s.id = p.server WHERE p.channel = $1 AND p.address = $2";
pub(super) const AT_HEAD: &str = "WITH given (channel, address) AS (";
pub(super) const AT_TAIL: &str = ") SELECT p.channel, p.address, p.server, p.left_at, \
    (SELECT s.alive_until FROM servers s WHERE s.id = p.server) AS alive_until \
    FROM given CROSS JOIN presence p WHERE p.channel = given.channel AND p.address = given.address";
pub(super) const CLEAR: &str = "DELETE FROM presence WHERE channel = $1 AND address = $2";
pub(super) const NOTE: &str = "INSERT INTO presence (channel, address, server, left_at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (channel, address, server) DO UPDATE SET left_at = excluded.left_at";
pub(super) const FORGET: &str = "DELETE FROM presence WHERE left_at < $1 AND server <> $2";
pub(super) const FORGET_SERVER: &str = "DELETE FROM presence WHERE server = $1";
pub(super) const LIFE: &str = "SELECT alive_until FROM servers WHERE id = $1";
pub(super) const LIVE: &str = "INSERT INTO servers (id, alive_until) VALUES ($1, $2) \
    ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until";
// There are as many servers as run, so these look at each.
pub(super) const END_OTHERS: &str = "UPDATE servers SET alive_until = $2 WHERE id <> $1 AND alive_until > $2";
pub(super) const LEAVE_THE_DEAD: &str = "UPDATE presence \
    SET left_at = (SELECT s.alive_until FROM servers s WHERE s.id = presence.server) \
    WHERE left_at IS NULL AND server IN (SELECT s.id FROM servers s WHERE s.alive_until <= $1)";
pub(super) const BURY: &str = "DELETE FROM servers WHERE alive_until <= $1";
pub(super) const END: &str = "UPDATE servers SET alive_until = $2 WHERE id = $1 AND alive_until > $2";
pub(super) const HOLD: &str = "INSERT INTO runs (channel, server, held_until) VALUES ($1, $2, $3) \
    ON CONFLICT (channel) DO UPDATE SET server = excluded.server, held_until = excluded.held_until \
    WHERE runs.server = excluded.server OR runs.held_until <= $4";
pub(super) const HELD_UNTIL: &str = "SELECT held_until FROM runs WHERE channel = $1";
pub(super) const RELEASE: &str = "DELETE FROM runs WHERE channel = $1 AND server = $2";
// As many as there are channels.
pub(super) const RELEASE_ALL: &str = "DELETE FROM runs WHERE server = $1";
