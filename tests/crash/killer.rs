//! When the hub dies: at moments drawn from the seed, among them those at which it is most inconvenient.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use crate::{
    check,
    hub::{Life, Setting},
    plug_in::Moment,
    promise::Promise,
    world::World,
};

/// How long the killer waits for the moment that it has chosen, before it takes the next best.
const PATIENCE: Duration = Duration::from_secs(3);

/// When in its life a hub is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// While it starts.
    Starting,
    /// At any moment.
    Anytime,
    /// Right after a client has begun a call.
    Called,
    /// After the plug-in has got a question, before it answers.
    Sending,
    /// When the plug-in has just answered.
    Sent,
    /// After the plug-in has got a settlement, before it answers.
    Settling,
}

/// How often each happened.
pub type Tally = BTreeMap<When, usize>;

/// How many of a hundred kills fall at a chosen moment; the others fall at any.
const SHARES: [(usize, When); 5] =
    [(5, When::Starting), (15, When::Called), (25, When::Sending), (10, When::Sent), (10, When::Settling)];

/// The moments of a run, in the order of chance: every run has its share of each.
fn moments(world: &World, kills: usize) -> Vec<When> {
    let mut moments: Vec<_> =
        SHARES.iter().flat_map(|(share, when)| vec![*when; (kills * share).div_ceil(100)]).take(kills).collect();
    moments.resize(kills, When::Anytime);
    for last in (1..moments.len()).rev() {
        moments.swap(last, world.chance.below(last + 1));
    }
    moments
}

/// Kills the hub with this number so many times; returns its last life, which goes on.
pub async fn run(world: &Arc<World>, setting: &Setting, hub: usize, kills: usize) -> (Option<Life>, Tally) {
    let mut tally = Tally::new();
    for when in moments(world, kills) {
        world.ledger.log(&format!("hub {hub} starts, and dies: {when:?}"));
        let mut life = setting.start();
        if when == When::Starting {
            sleep(world.chance.up_to(Duration::from_millis(700))).await;
        } else if !comes_up(world, &mut life, hub).await {
            return (None, tally);
        }
        let at = if when == When::Starting { when } else { moment(world, when).await };
        if world.ledger.over.is_cancelled() {
            return (Some(life), tally);
        }
        world.ledger.holds(Promise::HubStartsAgain, !life.has_ended(), || "the hub ended by itself".into());
        end(world, life, hub).await;
        world.ledger.log(&format!("hub {hub} is dead: {at:?}"));
        *tally.entry(at).or_default() += 1;
    }
    let mut life = setting.start();
    let lives = comes_up(world, &mut life, hub).await;
    (lives.then_some(life), tally)
}

/// Kills it, and keeps the clients away until it is up again.
pub async fn end(world: &World, mut life: Life, hub: usize) {
    life.kill();
    world.site.is_down(hub);
    life.gone().await;
}

/// Waits until it is ready, and lets the clients at it.
async fn comes_up(world: &Arc<World>, life: &mut Life, hub: usize) -> bool {
    match life.ready().await {
        Ok(url) => {
            world.site.is_up(hub, url);
            world.acts.spawn(check::after_restart(world.clone()));
            true
        }
        Err(fault) => {
            world.ledger.broken(Promise::HubStartsAgain, fault);
            false
        }
    }
}

/// Waits for the moment; says which it became.
async fn moment(world: &World, when: When) -> When {
    let soon = |millis| sleep(world.chance.up_to(Duration::from_millis(millis)));
    soon(600).await;
    let reached = match when {
        When::Starting | When::Anytime => {
            soon(900).await;
            return When::Anytime;
        }
        When::Called => timeout(PATIENCE, world.site.next_call()).await.is_ok(),
        When::Sending => reached(world, Moment::Asked).await,
        When::Sent => reached(world, Moment::Answers).await,
        When::Settling => reached(world, Moment::Told).await,
    };
    match when {
        When::Called => soon(12).await,
        When::Sent => soon(4).await,
        _ => {}
    }
    if reached { when } else { When::Anytime }
}

async fn reached(world: &World, moment: Moment) -> bool {
    timeout(PATIENCE, world.plug_in.next(moment)).await.is_ok_and(|reached| reached.is_ok())
}
