//! The port [`Counts`] on a database that servers share: what is counted on one counts on all.
//!
//! The rows of what is counted are locked for as long as the arithmetic takes. They lie in an unlogged table, so that no commit
//! waits for the disk. What is refused is remembered here until it is allowed again, so that trying on costs nothing.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use hearback_core::{Result, Timestamp};
use parking_lot::Mutex;

use super::{
    SqlStorage,
    fault::Fault,
    queue::Write,
    rows,
    session::{Assembled, Row, Sql},
    unit::Unit,
};
use crate::{
    limits::{Cell, Counts, Standing, Step, Taken},
    storage::cipher::hex,
};

/// How many refusals are remembered; beyond it all are forgotten, which costs each of them one more look.
const REFUSED_MAX: usize = 10_000;

/// Until when what is refused is.
pub(super) type Refused = Mutex<HashMap<[u8; 32], Timestamp>>;

#[async_trait]
impl Counts for SqlStorage {
    async fn take(&self, cells: &[Cell], now: Timestamp) -> Result<Taken> {
        if let Some(refused) = self.remembered(cells, now) {
            return Ok(refused);
        }
        let once = |step: &Step<'_>| step.take();
        let counted = self.claim(Count { cells: cells.to_vec(), now, by: once }).await?;
        if let Taken::Refused { index, wait } = counted {
            let mut refused = self.refused.lock();
            if refused.len() >= REFUSED_MAX {
                refused.clear();
            }
            refused.insert(cells[index].key, now.after(wait));
        }
        Ok(counted)
    }

    async fn give_back(&self, cells: &[Cell], now: Timestamp) -> Result<()> {
        let back = |step: &Step<'_>| (Taken::Allowed(Vec::new()), step.give_back());
        self.claim(Count { cells: cells.to_vec(), now, by: back }).await?;
        let mut refused = self.refused.lock();
        for cell in cells {
            refused.remove(&cell.key);
        }
        Ok(())
    }

    async fn look(&self, cells: &[Cell], now: Timestamp) -> Result<Vec<Standing>> {
        let keys: Vec<_> = cells.iter().map(|cell| hex(&cell.key)).collect();
        let keys = serde_json::to_string(&keys).map_err(Fault::from)?;
        let found = self.readers.query(LOOK).bind(keys).fetch_all().await?;
        let until = states(&found, cells)?;
        Ok(Step::new(cells, until, now).look())
    }
}

impl SqlStorage {
    /// The refusal that holds for longest, if one of these is known to be refused.
    fn remembered(&self, cells: &[Cell], now: Timestamp) -> Option<Taken> {
        let refused = self.refused.lock();
        let waits = cells.iter().enumerate().filter_map(|(index, cell)| {
            let wait = refused.get(&cell.key)?.since(now);
            (wait > Duration::ZERO).then_some((index, wait))
        });
        waits.max_by_key(|(_, wait)| *wait).map(|(index, wait)| Taken::Refused { index, wait })
    }
}

/// Does with the states of limits what `by` says, and keeps what it makes of them.
struct Count {
    cells: Vec<Cell>,
    now: Timestamp,
    by: fn(&Step<'_>) -> (Taken, Vec<Timestamp>),
}

impl Write for Count {
    type Answer = Taken;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Taken, Fault> {
        let Self { cells, now, by } = self;
        // In one order, so that no two of these wait for each other.
        let mut ordered: Vec<_> = cells.iter().map(|cell| (cell.key, *now)).collect();
        ordered.sort_unstable();
        let bind = |values: &mut Assembled, (key, until): &([u8; 32], Timestamp)| {
            values.push_bind(key.to_vec()).push_bind(until.micros());
        };
        let found = rows::read(&mut unit.session, PUT, &ordered, LOCKED, bind).await?;
        let until = states(&found, cells)?;
        let (counted, next) = by(&Step::new(cells, until, *now));
        let next: Vec<_> = cells.iter().map(|cell| cell.key).zip(next).collect();
        rows::write(&mut unit.session, PUT, &next, KEPT, bind).await?;
        Ok(counted)
    }
}

/// The states that were found, in the order of these limits.
fn states(found: &[Row], cells: &[Cell]) -> Result<Vec<Option<Timestamp>>, Fault> {
    let mut until = HashMap::with_capacity(found.len());
    for row in found {
        until.insert(rows::get::<Vec<u8>>(row, "key")?, rows::time(row, "until")?);
    }
    Ok(cells.iter().map(|cell| until.get(cell.key.as_slice()).copied()).collect())
}

pub(super) const PUT: &str = "INSERT INTO limits (key, until) ";
// Nothing is changed: that locks what is there.
pub(super) const LOCKED: &str = " ON CONFLICT (key) DO UPDATE SET until = limits.until RETURNING key, until";
pub(super) const KEPT: &str = " ON CONFLICT (key) DO UPDATE SET until = excluded.until";
macro_rules! look {
    ($keys:literal) => {
        concat!("SELECT key, until FROM limits WHERE key ", $keys)
    };
}
pub(super) const LOOK: Sql = Sql {
    sqlite: look!("IN (SELECT unhex(value) FROM json_each($1))"),
    postgres: look!("= ANY (ARRAY(SELECT decode(jsonb_array_elements_text($1::jsonb), 'hex')))"),
};
// What is being counted is passed over, so that this waits for nobody. Whatever is forgotten is in this one table, which is small.
pub(super) const FORGET: Sql = Sql {
    sqlite: "DELETE FROM limits WHERE until < $1",
    postgres: "DELETE FROM limits WHERE key IN (SELECT key FROM limits WHERE until < $1 FOR UPDATE SKIP LOCKED)",
};
