//! One run: from the first start of an empty hub to the report.

use std::{
    env,
    fs::{self, File},
    io::Write,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use hearback_core::{Clock, clock::SystemClock};
use hearback_tests::simulation::random::Chance;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    agents,
    call::Caller,
    database::Database,
    hub::Setting,
    killer::{self, Tally, When},
    ledger::Ledger,
    people,
    plug_in::PlugIn,
    promise::Promise,
    quiet,
    readers::{Facts, Reader},
    site::Site,
    world::{self, World},
};

/// How often a hub is killed in a run, unless `CRASH_KILLS` says otherwise.
const KILLS: usize = 50;
/// With several hubs each start takes from those that live, so it is half as often.
const KILLS_OF_SEVERAL: usize = 25;
/// How often it is killed before anything is in its database: while it makes it.
const FIRST_KILLS: usize = 3;
/// Everybody who listens at a hub that lives hears within this, on the slowest machine.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

fn any_seed() -> u64 {
    SystemClock.now().micros().unsigned_abs() % 1_000_000
}

/// Starts `hubs` hubs on one database, kills the first one again and again, and compares.
pub async fn run(name: &str, database: &Database, hubs: usize) {
    let seed = setting("CRASH_SEED").unwrap_or_else(any_seed);
    let usual = if hubs > 1 { KILLS_OF_SEVERAL } else { KILLS };
    let kills = setting("CRASH_KILLS").map_or(usual, |kills| usize::try_from(kills).unwrap());
    say(&format!("{name}: seed {seed}, {kills} kills"));
    // It errs only when another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // It stays where the run fails, however that is.
    let folder = tempfile::Builder::new().prefix("hearback-crash-").tempdir().unwrap().keep();
    let ledger = Arc::new(Ledger::new(File::create(folder.join("calls.log")).unwrap()));
    let site = Arc::new(Site::new(hubs, seed));
    let (tx, errands) = mpsc::unbounded_channel();
    let plug_in = PlugIn::start(seed, tx).await;
    let config = format!("send_timeout = 2\noutbound_allow = \"127.0.0.0/8\"\n{}", plug_in.tables());
    fs::write(folder.join("hearback.toml"), config).unwrap();
    let environment = [database.environment(), vec![("ACCESS_TOKEN_MINUTES", "525600".into())]].concat();
    let settings: Vec<_> = (0..hubs).map(|hub| Setting::new(&folder, hub, environment.clone())).collect();

    let chance = Chance::new(seed);
    for _ in 0..FIRST_KILLS {
        let mut life = settings[0].start();
        sleep(chance.up_to(Duration::from_millis(300))).await;
        life.kill();
        life.gone().await;
    }
    let mut lives = Vec::new();
    for (hub, setting) in settings.iter().enumerate() {
        let mut life = setting.start();
        site.is_up(hub, life.ready().await.expect("a hub that was killed during its first start starts"));
        lives.push(life);
    }
    let nobody = Caller::nobody(site.clone(), ledger.clone());
    let (agents, people) = world::cast(&nobody).await;
    let world = Arc::new(World {
        chance,
        site,
        ledger,
        plug_in,
        agents,
        people,
        load_ends: CancellationToken::new(),
        feeds_end: CancellationToken::new(),
        acts: TaskTracker::new(),
        waits: TaskTracker::new(),
        latest: std::sync::Mutex::default(),
        begun: Instant::now(),
    });
    let reads = connect(&world).await;
    tokio::spawn(people::run_errands(world.clone(), errands));
    for agent in &world.agents {
        world.acts.spawn(agents::ask(world.clone(), agent.clone()));
    }

    killer::end(&world, lives.remove(0), 0).await;
    let over = world.ledger.over.clone();
    let whole = async {
        let (last, tally) = killer::run(&world, &settings[0], 0, kills).await;
        world.load_ends.cancel();
        if !over.is_cancelled() {
            quiet::down(&world, &reads).await;
        }
        (last, tally)
    };
    let (mut last, tally) = whole.await;
    for life in last.as_mut().into_iter().chain(&mut lives) {
        world.ledger.holds(Promise::HubStartsAgain, !life.has_ended(), || "a hub ended by itself".into());
    }
    report(name, &world, &tally);
    if world.ledger.all_broken().is_empty() {
        worth(&world, &tally, kills, hubs);
    } else {
        let broken = world.ledger.all_broken();
        let broken: Vec<_> = broken.iter().map(|(promise, detail)| format!("{}: {detail}", promise.name())).collect();
        panic!(
            "{name}: seed {seed} breaks what is promised\n{}\nwhat the clients and the hub said: {}\n\
             the same moments again: CRASH_SEED={seed} CRASH_KILLS={kills} cargo test -p hearback --test crash {name}",
            broken.join("\n"),
            folder.display()
        );
    }
    drop((last, lives));
    if setting("CRASH_KEEP") == Some(1) {
        say(&format!("{name}: what the clients and the hub said: {}", folder.display()));
    } else {
        fs::remove_dir_all(folder).unwrap();
    }
}

/// The sockets: every agent's, who reads a stream besides, and those of half of the people; the others have none.
async fn connect(world: &Arc<World>) -> Vec<(String, crate::readers::Read)> {
    let facts = Facts::default();
    let people = world.people.iter().map(|person| &person.caller).take(world.people.len() / 2);
    let mut reads = Vec::new();
    for (number, caller) in world.agents.iter().chain(people).enumerate() {
        // Where there are several hubs, every other socket stays at the one that is not killed.
        let stays = world.site.hubs() > 1 && number % 2 == 0;
        let caller = if stays { caller.at(world.site.hubs() - 1) } else { caller.clone() };
        let mut reader = Reader::new(caller.clone(), facts.clone());
        reader.begin(world).await;
        reads.push((caller.name.clone(), reader.read()));
        if number < world.agents.len() {
            let streaming = reader.beside();
            reads.push((caller.name.clone(), streaming.read()));
            tokio::spawn(streaming.run_stream(world.clone()));
        }
        tokio::spawn(reader.run(world.clone()));
    }
    reads
}

/// A line for whoever watches, also of a run that passes.
fn say(line: &str) {
    // Not by println, whose text is only shown of tests that fail.
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn report(name: &str, world: &World, tally: &Tally) {
    let counts = &world.ledger.counts;
    let shown = world.plug_in.all_shown();
    let times = |count: &dyn Fn(&crate::plug_in::Shown) -> usize| shown.values().map(count).sum::<usize>();
    let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    say(&format!(
        "{name}: {} kills in {:.0} s {tally:?}; {} calls answered, {} lost, {} answered again; {} questions put; \
         {} waits, {} sockets and {} streams taken up again; {} comparisons; \
         the plug-in was shown {} deliveries {} times and told {} ends",
        tally.values().sum::<usize>(),
        world.begun.elapsed().as_secs_f64(),
        of(&counts.calls),
        of(&counts.lost),
        of(&counts.replayed),
        world.ledger.all_calls().len(),
        of(&counts.waits_resumed),
        of(&counts.sockets_resumed),
        of(&counts.streams_resumed),
        of(&counts.compared),
        shown.len(),
        times(&|shown| shown.asked.len()),
        times(&|shown| shown.settled.len()),
    ));
}

/// A run in which nothing was at stake proves nothing.
fn worth(world: &World, tally: &Tally, kills: usize, hubs: usize) {
    let counts = &world.ledger.counts;
    let in_between = tally.get(&When::Sending).copied().unwrap_or(0) + tally.get(&When::Sent).copied().unwrap_or(0);
    assert!(in_between * 10 >= kills, "{in_between} of {kills} kills fell between a send and its record");
    for (what, count) in [
        ("answers were lost", counts.lost.load(Ordering::Relaxed)),
        ("calls were answered again", counts.replayed.load(Ordering::Relaxed)),
        ("waits were taken up again", counts.waits_resumed.load(Ordering::Relaxed)),
    ] {
        // A run of fewer kills may miss one of them by chance.
        assert!(count > 0 || kills < KILLS, "no {what}");
    }
    if hubs > 1 {
        let latest = *world.latest.lock().unwrap();
        say(&format!("whoever listened at the hub that lived heard of every ending within {latest:?}"));
        assert!(latest < HEARD_WITHIN, "somebody who listened at a hub that lived heard {latest:?} after the end");
    }
}
