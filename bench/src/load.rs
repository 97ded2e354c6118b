//! Creates and round trips at some concurrencies, beside hello-world and bare: everything once a round, in turn, so that
//! whatever else the machine does meanwhile falls on all of them.

use std::fmt;

use crate::{
    Extent,
    addressee::Addressee,
    bare::{BATCH, Bare},
    database::Kind,
    figures::{Target, Verdict, line, median},
    hello::Hello,
    hub::Hub,
    slice::Slice,
};

const CONCURRENCY: [usize; 3] = [1, 16, 64];

/// The slices of all rounds, by concurrency.
type Series = [Vec<Slice>; CONCURRENCY.len()];

pub(crate) struct Figures {
    rounds: usize,
    hello: Series,
    databases: Vec<OnDatabase>,
}

struct OnDatabase {
    name: &'static str,
    creates: Series,
    trips: Series,
    /// Creates a second.
    bare: Vec<f64>,
}

struct Measured {
    hub: Hub,
    _addressee: Addressee,
    bare: Bare,
}

pub(crate) async fn measure(kinds: &[Kind], extent: Extent) -> Figures {
    let hello = Hello::start().await;
    let mut measured = Vec::new();
    let mut figures = Figures { rounds: extent.rounds, hello: Series::default(), databases: Vec::new() };
    for kind in kinds {
        let hub = Hub::start(kind.fresh().await).await;
        let addressee = Addressee::connect(hub.address, &hub.person).await;
        measured.push(Measured { hub, _addressee: addressee, bare: Bare::new(kind).await });
        let (creates, trips) = (Series::default(), Series::default());
        figures.databases.push(OnDatabase { name: kind.name(), creates, trips, bare: Vec::new() });
    }
    // The first round warms everything up, and is not counted.
    for round in 0..=extent.rounds {
        let lasts = if round == 0 { extent.slice / 4 } else { extent.slice };
        for (at, concurrency) in CONCURRENCY.into_iter().enumerate() {
            let slice = hello.calls(concurrency, lasts).await;
            keep(round, &mut figures.hello[at], slice);
            for (Measured { hub, .. }, on) in measured.iter().zip(&mut figures.databases) {
                keep(round, &mut on.creates[at], hub.creates(concurrency, lasts).await);
                keep(round, &mut on.trips[at], hub.round_trips(concurrency, lasts).await);
            }
        }
        for (Measured { bare, .. }, on) in measured.iter_mut().zip(&mut figures.databases) {
            keep(round, &mut on.bare, bare.commits(lasts).await);
        }
    }
    for Measured { hub, .. } in &measured {
        hub.assert_all_sent().await;
    }
    figures
}

fn keep<T>(round: usize, figures: &mut Vec<T>, figure: T) {
    if round > 0 {
        figures.push(figure);
    }
}

fn medians(series: &Series, of: impl Fn(&Slice) -> f64) -> Vec<f64> {
    series.iter().map(|slices| median(slices.iter().map(&of))).collect()
}

/// The median of the ratios of each round.
fn ratio(of: impl IntoIterator<Item = f64>, to: impl IntoIterator<Item = f64>) -> f64 {
    median(of.into_iter().zip(to).map(|(of, to)| of / to))
}

fn rates(slices: &[Slice]) -> impl Iterator<Item = f64> {
    slices.iter().map(|slice| slice.a_second)
}

impl OnDatabase {
    fn verdicts(&self, hello: &Series) -> Vec<Verdict> {
        let Self { name, creates, trips, bare } = self;
        let most = CONCURRENCY.len() - 1;
        let creates_at = CONCURRENCY[most];
        let of = |yardstick: &str, ratio: f64, target| Verdict {
            what: format!("{name}: creates at concurrency {creates_at}, of {yardstick}"),
            figure: ratio * 100.0,
            target: Target::AtLeast(target),
            unit: " %",
        };
        let rates_of = || rates(&creates[most]);
        let mut verdicts = vec![
            of("bare", ratio(rates_of(), bare.iter().copied()), 25.0),
            of("hello-world", ratio(rates_of(), rates(&hello[most])), 8.0),
        ];
        for ((concurrency, trips), creates) in CONCURRENCY.iter().zip(trips).zip(creates) {
            let p99 = |slices: &[Slice]| slices.iter().map(|slice| slice.p99).collect::<Vec<_>>();
            verdicts.push(Verdict {
                what: format!("{name}: answer to waiter p99 at concurrency {concurrency}, of a create's p99"),
                figure: ratio(p99(trips), p99(creates)),
                target: Target::AtMost(3.0),
                unit: " x",
            });
        }
        verdicts
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, hello, databases } = self;
        writeln!(f, "creates and round trips, medians of {rounds} interleaved rounds")?;
        let [one, few, many] = CONCURRENCY;
        writeln!(f, "    {:<44} {:>6} {one:>10} {few:>10} {many:>10}", "concurrency", "")?;
        writeln!(f, "  hello-world, the yardstick of the HTTP library")?;
        line(f, "calls", "/s", &medians(hello, |slice| slice.a_second))?;
        line(f, "a call, p50", "ms", &medians(hello, |slice| slice.p50))?;
        line(f, "a call, p99", "ms", &medians(hello, |slice| slice.p99))?;
        line(f, "CPU of the server, a call", "µs", &medians(hello, |slice| slice.cpu))?;
        line(f, "CPU of this client, a call", "µs", &medians(hello, |slice| slice.client_cpu))?;
        for OnDatabase { name, creates, trips, bare } in databases {
            writeln!(f, "  {name}")?;
            line(f, "durable creates", "/s", &medians(creates, |slice| slice.a_second))?;
            line(f, "a create, p50", "ms", &medians(creates, |slice| slice.p50))?;
            line(f, "a create, p99", "ms", &medians(creates, |slice| slice.p99))?;
            line(f, "CPU of the server, a create and its sending", "µs", &medians(creates, |slice| slice.cpu))?;
            line(f, "CPU of this client, a create", "µs", &medians(creates, |slice| slice.client_cpu))?;
            line(f, "round trips", "/s", &medians(trips, |slice| slice.a_second))?;
            line(f, "answer to waiter, p50", "ms", &medians(trips, |slice| slice.p50))?;
            line(f, "answer to waiter, p99", "ms", &medians(trips, |slice| slice.p99))?;
            line(f, "CPU of the server, a round trip", "µs", &medians(trips, |slice| slice.cpu))?;
            line(f, &format!("bare creates, {BATCH} a commit"), "/s", &[median(bare.iter().copied())])?;
        }
        for verdict in databases.iter().flat_map(|on| on.verdicts(hello)) {
            writeln!(f, "{verdict}")?;
        }
        Ok(())
    }
}
