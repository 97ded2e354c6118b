//! Counting on one server, in its memory: what is forgotten by a restart is a minute old.

use std::collections::HashMap;

use async_trait::async_trait;
use hearback_core::{Result, Timestamp};
use parking_lot::Mutex;

use super::{Cell, Counts, Standing, Taken, gcra::Step};

/// From how many limits on those are looked for of which nothing counts any more.
const SWEEP_AT: usize = 1024;

/// What was counted lately on this server.
#[derive(Debug)]
pub struct MemoryCounts(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    until: HashMap<[u8; 32], Timestamp>,
    sweep_at: usize,
}

impl Default for MemoryCounts {
    fn default() -> Self {
        Self(Mutex::new(Kept { until: HashMap::new(), sweep_at: SWEEP_AT }))
    }
}

impl Kept {
    fn step<'a>(&self, cells: &'a [Cell], now: Timestamp) -> Step<'a> {
        Step::new(cells, cells.iter().map(|cell| self.until.get(&cell.key).copied()).collect(), now)
    }

    fn put(&mut self, cells: &[Cell], until: &[Timestamp], now: Timestamp) {
        self.until.extend(cells.iter().map(|cell| cell.key).zip(until.iter().copied()));
        // Each sweep is paid for by as many limits as it looks at.
        if self.until.len() >= self.sweep_at {
            self.until.retain(|_, until| *until > now);
            self.sweep_at = SWEEP_AT.max(2 * self.until.len());
        }
    }
}

#[async_trait]
impl Counts for MemoryCounts {
    async fn take(&self, cells: &[Cell], now: Timestamp) -> Result<Taken> {
        let mut kept = self.0.lock();
        let (counted, until) = kept.step(cells, now).take();
        kept.put(cells, &until, now);
        Ok(counted)
    }

    async fn give_back(&self, cells: &[Cell], now: Timestamp) -> Result<()> {
        let mut kept = self.0.lock();
        let until = kept.step(cells, now).give_back();
        kept.put(cells, &until, now);
        Ok(())
    }

    async fn look(&self, cells: &[Cell], now: Timestamp) -> Result<Vec<Standing>> {
        Ok(self.0.lock().step(cells, now).look())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_counts_no_more_is_forgotten() {
        let (counts, start) = (MemoryCounts::default(), Timestamp::from_micros(0));
        for second in 0..4_u32 {
            let now = start.after(Duration::from_secs(u64::from(second) * 100));
            for whose in 0..SWEEP_AT {
                let cell = Cell::new("address", format_args!("{second} {whose}"), 1).unwrap();
                assert!(matches!(counts.take(&[cell], now).await.unwrap(), Taken::Allowed(_)));
            }
        }
        assert!(counts.0.lock().until.len() <= 2 * SWEEP_AT, "{}", counts.0.lock().until.len());
    }
}
