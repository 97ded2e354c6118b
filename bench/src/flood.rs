//! What a flood of log-ins does to creates. Creates come by a fixed schedule and are timed from the moment they were due, so that
//! a stall counts against everything that fell due meanwhile. The flood calls as fast as it is answered, from a thread of its
//! own, since whoever floods does so from elsewhere.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{runtime, sync::mpsc, task::JoinSet};

use crate::{
    Extent,
    addressee::Addressee,
    client::{self, Connection},
    database::Kind,
    figures::{Target, Verdict, line, median},
    hub::Hub,
    process,
    slice::per_cent,
};

const CREATES_A_SECOND: u32 = 200;
const FLOODING: usize = 64;
/// For how long a flood has lasted when the first create comes.
const BEFORE: Duration = Duration::from_millis(500);
/// Who is tried, from one connection after another: an account that there is, by both of its names, and one that there is not.
const LOGINS: [&str; 4] = ["ana", "nobody", "ana%40example.com", "nobody%40example.com"];

const CASES: [&str; 3] = ["none", "hashed", "limited"];

pub(crate) struct Figures {
    /// The slices of all rounds, by case.
    slices: [Vec<Slice>; CASES.len()],
}

/// Creates of one round, under one flood or none.
struct Slice {
    /// In milliseconds.
    p50: f64,
    p99: f64,
    /// How late the creates were sent: what of their time is this program's.
    late: f64,
    /// Processors that the hub and this program kept busy.
    cpu: f64,
    client_cpu: f64,
    /// Log-ins a second, by the status of their answer.
    logins: BTreeMap<String, f64>,
}

struct Measured {
    hub: Hub,
    _addressee: Addressee,
}

pub(crate) async fn measure(extent: Extent) -> Figures {
    // Without the limit every log-in gets as far as its password; with it, as it is by default, few do.
    let hashing = Measured::start(&[("RATE_LIMIT_LOGIN", "0")]).await;
    let limiting = Measured::start(&[]).await;
    let mut figures = Figures { slices: Default::default() };
    let cases = [(&hashing, false), (&hashing, true), (&limiting, true)];
    // The first round warms everything up, and is not counted.
    for round in 0..=extent.rounds {
        let lasts = if round == 0 { extent.flood / 4 } else { extent.flood };
        for ((measured, flooded), slices) in cases.iter().zip(&mut figures.slices) {
            let slice = measured.slice(*flooded, lasts).await;
            if round > 0 {
                slices.push(slice);
            }
        }
    }
    hashing.hub.assert_all_sent().await;
    limiting.hub.assert_all_sent().await;
    figures
}

impl Measured {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let hub = Hub::with(Kind::Sqlite.fresh().await, settings).await;
        let addressee = Addressee::connect(hub.address, &hub.person).await;
        Self { hub, _addressee: addressee }
    }

    async fn slice(&self, flooded: bool, lasts: Duration) -> Slice {
        process::quiet(self.hub.pid()).await;
        let (address, until) = (self.hub.address, Instant::now() + BEFORE + lasts);
        let flood = flooded.then(|| thread::spawn(move || alone(flood(address, until))));
        tokio::time::sleep(BEFORE).await;
        let cpu = |pid| process::cpu(pid).as_secs_f64();
        let before = (cpu(self.hub.pid()), cpu(std::process::id()));
        let creates = self.creates(until).await;
        let after = (cpu(self.hub.pid()), cpu(std::process::id()));
        let counts = match flood {
            Some(flood) => tokio::task::spawn_blocking(move || flood.join().unwrap()).await.unwrap(),
            None => BTreeMap::new(),
        };
        process::quiet(self.hub.pid()).await;
        let a_second = |count| f64::from(count) / (BEFORE + lasts).as_secs_f64();
        let (mut took, mut late): (Vec<_>, Vec<_>) = creates.into_iter().unzip();
        took.sort_unstable();
        late.sort_unstable();
        Slice {
            p50: per_cent(&took, 50),
            p99: per_cent(&took, 99),
            late: per_cent(&late, 99),
            cpu: (after.0 - before.0) / lasts.as_secs_f64(),
            client_cpu: (after.1 - before.1) / lasts.as_secs_f64(),
            logins: counts.into_iter().map(|(status, count)| (status, a_second(count))).collect(),
        }
    }

    /// What each create took from when it was due, and how late it was sent.
    async fn creates(&self, until: Instant) -> Vec<(Duration, Duration)> {
        let (tx, mut due) = mpsc::unbounded_channel();
        // The timer of the runtime is exact to a millisecond only, which is much of what a create takes.
        let clock = thread::spawn(move || {
            let (begun, every) = (Instant::now(), Duration::from_secs(1) / CREATES_A_SECOND);
            for at in (0..).map(|turn| begun + every * turn).take_while(|at| *at < until) {
                thread::sleep(at.saturating_duration_since(Instant::now()));
                let _ = tx.send(at);
            }
        });
        let create: Arc<[u8]> = self.hub.create().into();
        let free = Arc::new(Mutex::new(Vec::new()));
        let mut creates = JoinSet::new();
        while let Some(at) = due.recv().await {
            let (create, free, address) = (create.clone(), free.clone(), self.hub.address);
            creates.spawn(async move {
                // As many connections as there are creates at once: none waits for another here.
                let kept = free.lock().unwrap().pop();
                let mut connection = match kept {
                    Some(connection) => connection,
                    None => Connection::open(address).await,
                };
                let late = at.elapsed();
                connection.call(&create).await.expect("201");
                let took = at.elapsed();
                free.lock().unwrap().push(connection);
                (took, late)
            });
        }
        clock.join().unwrap();
        creates.join_all().await
    }
}

/// Runs it on this thread.
fn alone<T>(work: impl Future<Output = T>) -> T {
    runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Logs in with wrong passwords, and counts the answers by their status.
async fn flood(address: std::net::SocketAddr, until: Instant) -> BTreeMap<String, u32> {
    let worker = async |login: &str| {
        let call = client::form("/api/auth/login", &format!("username={login}&password=wrong+horse+1"));
        let mut connection = Connection::open(address).await;
        let mut counts = BTreeMap::new();
        while Instant::now() < until {
            let answer = connection.call(&call).await;
            let status = answer.status();
            assert_eq!(answer.contains("\r\nretry-after: "), status != "401", "{status}");
            *counts.entry(status.to_owned()).or_insert(0) += 1;
        }
        counts
    };
    let workers = LOGINS.iter().cycle().take(FLOODING).map(|login| worker(login));
    join_all(workers).await.into_iter().flatten().fold(BTreeMap::new(), |mut all, (status, count)| {
        *all.entry(status).or_insert(0) += count;
        all
    })
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [none, hashed, limited] = &self.slices;
        let [case, cases @ ..] = CASES;
        writeln!(
            f,
            "{CREATES_A_SECOND} creates a second on SQLite under a flood of log-ins from {FLOODING} connections, medians of {} \
             interleaved rounds",
            none.len()
        )?;
        write!(f, "    {:<44} {:>6} {case:>10}", "flood", "")?;
        cases.iter().try_for_each(|case| write!(f, " {case:>10}"))?;
        writeln!(f)?;
        let medians = |of: &dyn Fn(&Slice) -> f64| {
            self.slices.iter().map(|slices| median(slices.iter().map(of))).collect::<Vec<_>>()
        };
        line(f, "a create, p50", "ms", &medians(&|slice| slice.p50))?;
        line(f, "a create, p99", "ms", &medians(&|slice| slice.p99))?;
        line(f, "of it sent late, p99", "ms", &medians(&|slice| slice.late))?;
        line(f, "processors that the server keeps busy", "", &medians(&|slice| slice.cpu))?;
        line(f, "processors that this client keeps busy", "", &medians(&|slice| slice.client_cpu))?;
        for status in ["401", "429", "503"] {
            let logins = medians(&|slice| slice.logins.get(status).copied().unwrap_or(0.0));
            line(f, &format!("log-ins answered with {status}"), "/s", &logins)?;
        }
        for (case, slices) in [("each hashed or refused", hashed), ("with the limit on them", limited)] {
            let ratios = slices.iter().zip(none).map(|(flooded, none)| flooded.p99 / none.p99);
            let (what, figure) = (format!("SQLite: a create's p99 in a flood of log-ins, {case}"), median(ratios));
            writeln!(f, "{}", Verdict { what, figure, target: Target::AtMost(3.0), unit: " x" })?;
        }
        for (case, slices) in CASES.iter().zip(&self.slices) {
            let p99s = slices.iter().map(|slice| format!("{:.1}", slice.p99)).collect::<Vec<_>>();
            writeln!(f, "    p99 of each round, {case}: {} ms", p99s.join(" "))?;
        }
        Ok(())
    }
}
