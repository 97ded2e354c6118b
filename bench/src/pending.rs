//! What many pending requests cost: in the time of a create, and in memory.

use std::{fmt, time::Duration};

use crate::{
    Extent,
    addressee::Addressee,
    database::Kind,
    figures::{Target, Verdict, line, median},
    hub::Hub,
    process,
};

const CONCURRENCY: usize = 64;
/// For how long both make round trips first, which leave next to nothing pending: their statements are prepared then.
const WARM: Duration = Duration::from_secs(3);
/// What the hub lets SQLite keep in memory (server/src/storage/sqlite/open.rs): 16 MiB for the writer, and SQLite's own
/// 2,000 KiB for each of four readers. On PostgreSQL that memory is the database server's.
const SQLITE_CACHE: u64 = (16 * 1024 + 4 * 2000) * 1024;

pub(crate) struct Figures {
    name: &'static str,
    pending: u64,
    /// Resident memory in bytes: warm, half full, full.
    resident: [u64; 3],
    cache: u64,
    /// Creates a second with none pending and with many, of each round.
    rates: Vec<(f64, f64)>,
}

pub(crate) async fn measure(kind: &Kind, extent: Extent) -> Figures {
    let Extent { rounds, slice, pending, .. } = extent;
    let (full, _addressee) = start(kind).await;
    let mut resident = [0; 3];
    for (resident, more) in resident.iter_mut().zip([0, pending / 2, pending - pending / 2]) {
        full.fill(more, CONCURRENCY).await;
        process::quiet(full.pid()).await;
        *resident = process::resident(full.pid());
    }
    full.assert_all_sent().await;
    let mut rates = Vec::new();
    for round in 0..rounds {
        // A new one each time, since it does not stay empty.
        let (empty, _addressee) = start(kind).await;
        let (none, many) = if round % 2 == 0 {
            let none = empty.creates(CONCURRENCY, slice).await;
            (none, full.creates(CONCURRENCY, slice).await)
        } else {
            let many = full.creates(CONCURRENCY, slice).await;
            (empty.creates(CONCURRENCY, slice).await, many)
        };
        rates.push((none.a_second, many.a_second));
    }
    let cache = if matches!(kind, Kind::Sqlite) { SQLITE_CACHE } else { 0 };
    Figures { name: kind.name(), pending, resident, cache, rates }
}

async fn start(kind: &Kind) -> (Hub, Addressee) {
    let hub = Hub::start(kind.fresh().await).await;
    let addressee = Addressee::connect(hub.address, &hub.person).await;
    hub.round_trips(CONCURRENCY, WARM).await;
    (hub, addressee)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, pending, resident: [warm, half, full], cache, rates } = self;
        #[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
        let float = |bytes: u64| bytes as f64;
        let mib = |bytes: &u64| float(*bytes) / f64::from(1 << 20);
        writeln!(f, "{pending} pending on {name}, {} interleaved rounds at concurrency {CONCURRENCY}", rates.len())?;
        line(f, "durable creates, none pending", "/s", &[median(rates.iter().map(|(none, _)| *none))])?;
        line(f, "durable creates, all pending", "/s", &[median(rates.iter().map(|(_, many)| *many))])?;
        line(f, "resident memory: none, half, all pending", "MiB", &[mib(warm), mib(half), mib(full)])?;
        let growth = full.saturating_sub(*warm);
        line(f, "growth with the database's cache, each", "bytes", &[float(growth) / float(*pending)])?;
        line(f, "the database's cache may grow to", "MiB", &[mib(cache)])?;
        let slower = Verdict {
            what: format!("{name}: a create with {pending} pending, of one with none"),
            figure: 100.0 * median(rates.iter().map(|(none, many)| none / many)),
            target: Target::AtMost(125.0),
            unit: " %",
        };
        let second_half = float(full.saturating_sub(*half)) / float(pending - pending / 2);
        let memory = Verdict {
            what: format!("{name}: memory each, over the second half, when the database's cache is full"),
            figure: second_half,
            target: Target::AtMost(300.0),
            unit: " bytes",
        };
        writeln!(f, "{slower}\n{memory}")
    }
}
