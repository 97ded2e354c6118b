//! Programs that ask, wait and take back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hearback_core::{Clock, Timestamp, clock::SystemClock};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    call::{Answered, Call, Caller},
    ledger::{Counts, id, is_over},
    people,
    promise::Promise,
    world::World,
};

/// The longest pause between two questions of one agent.
const PAUSE_MAX: Duration = Duration::from_millis(200);
/// How long after its question an agent takes it back, at most.
const CHANGES_ITS_MIND_WITHIN: Duration = Duration::from_millis(1500);

/// Puts questions until the load ends.
pub async fn ask(world: Arc<World>, agent: Caller) {
    for number in 0.. {
        if world.load_ends.run_until_cancelled(sleep(world.chance.up_to(PAUSE_MAX))).await.is_none() {
            return;
        }
        let name = format!("{}/{number}", agent.name);
        let Some(request) = put(&world, &agent, &name).await else { continue };
        world.ledger.put(&name, &request);
        go_on(&world, &agent, &request);
    }
}

/// Puts one question. `None` when its answer was lost, and nobody knows whether it is put.
async fn put(world: &World, agent: &Caller, name: &str) -> Option<Value> {
    let call = Call::post("/api/feedback", draft(world, name));
    world.ledger.puts(name);
    let answered = match *world.chance.of(&[0, 0, 0, 1, 2, 2, 2, 2, 2, 2]) {
        0 => agent.once(&call).await?,
        1 => twice(world, agent, &call.with_key(name)).await,
        _ => agent.until(&call.with_key(name)).await,
    };
    if answered.status != 201 {
        agent.undocumented(&Call::post("/api/feedback", json!(name)), &answered);
        return None;
    }
    Some(answered.body)
}

/// Puts a question by two calls at once with one key.
async fn twice(world: &World, agent: &Caller, call: &Call) -> Answered {
    let (one, other) = tokio::join!(agent.until(call), agent.until(call));
    world.ledger.holds(Promise::OneKeyAsksOnce, one.body == other.body, || {
        format!("one key was answered {} and {}", one.body, other.body)
    });
    one
}

fn draft(world: &World, name: &str) -> Value {
    let chance = &world.chance;
    let mut to = vec![chance.below(world.people.len())];
    if chance.happens(300) {
        to.push((to[0] + 1) % world.people.len());
    }
    let to: Vec<_> = to.into_iter().map(|number| world.people[number].caller.name.clone()).collect();
    let mut draft = match chance.below(4) {
        0 => json!({"kind": "choice", "options": [{"value": "eu"}, {"value": "us"}]}),
        1 => json!({"kind": "input", "max_length": 20}),
        _ => json!({"kind": "approval"}),
    };
    draft["prompt"] = json!("Deploy 1.4.2 to production?");
    draft["to"] = json!(to);
    // Some are left alone until the end, so that what a kill cut off is taken up while they are still open.
    draft["metadata"] = json!({"call": name, "slow": chance.happens(250)});
    // What is held on one channel waits for so long where another has shown it: no longer than the run waits for its rest.
    draft["fallback_after"] = json!(chance.of(&[1, 2, 5, 60]));
    match chance.below(8) {
        0 => {}
        1 | 2 => draft["channels"] = json!(["desk"]),
        3 => draft["channels"] = json!(["board"]),
        4 => draft["channels"] = json!(["desk", "board"]),
        5 => draft["channels"] = json!(["board", "desk"]),
        6 => draft["channels"] = json!(["websocket", "board"]),
        _ => {
            draft["channels"] = json!(["desk", "board", "websocket"]);
            draft["strategy"] = json!("broadcast");
        }
    }
    if chance.happens(400) {
        draft["callback_url"] = json!(world.plug_in.callback_url());
    }
    if chance.happens(150) {
        draft["expires_in"] = json!(chance.of(&[1, 2, 4]));
        if draft["kind"] == "approval" && chance.happens(500) {
            draft["on_expiry"] = json!("rejected");
        }
    }
    draft
}

/// What becomes of a question that is put.
fn go_on(world: &Arc<World>, agent: &Caller, request: &Value) {
    if world.chance.happens(400) {
        world.waits.spawn(wait(world.clone(), agent.clone(), request.clone()));
    }
    if request["metadata"]["slow"] == true {
        return;
    }
    if world.chance.happens(120) {
        let (world, agent, request) = (world.clone(), agent.clone(), request.clone());
        world.clone().acts.spawn(async move {
            sleep(world.chance.up_to(CHANGES_ITS_MIND_WITHIN)).await;
            cancel(&world, &agent, &request).await;
        });
    }
    for person in &world.people {
        let is_asked = request["to"].as_array().into_iter().flatten().any(|asked| asked["id"] == person.id.as_str());
        if is_asked && world.chance.happens(500) {
            let (world, person, request) = (world.clone(), person.clone(), request.clone());
            world.clone().acts.spawn(async move { people::answer(&world, &person, &request).await });
        }
    }
}

/// Takes a question back, if it is still open.
pub async fn cancel(world: &World, agent: &Caller, request: &Value) {
    let call = Call::post(format!("/api/feedback/{}/cancel", id(request)), json!({}));
    let answered = agent.until(&call).await;
    match (answered.status, answered.problem()) {
        (200, _) => world.ledger.cancelled(&answered.body),
        (409, "ended") => world.ledger.saw(&answered.body["feedback"]),
        _ => agent.undocumented(&call, &answered),
    }
}

/// Waits until it is over, through every death of the hub.
async fn wait(world: Arc<World>, agent: Caller, request: Value) {
    // Where there are several hubs, half of those who wait do so at the last one, which is not killed.
    let stays = world.site.hubs() > 1 && world.chance.happens(500);
    let agent = if stays { agent.at(world.site.hubs() - 1) } else { agent };
    let call = Call::get(format!("/api/feedback/{}?wait=60", id(&request)));
    loop {
        let begun = SystemClock.now();
        let Some(answered) = agent.once(&call).await else {
            Counts::add(&world.ledger.counts.waits_resumed);
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        if answered.status != 200 {
            agent.undocumented(&call, &answered);
            return;
        }
        if is_over(&answered.body) {
            world.ledger.saw(&answered.body);
            if stays {
                note_lateness(&world, &answered.body, begun);
            }
            return;
        }
    }
}

/// How late somebody hears of an ending who listened at a hub that lived all the while.
pub fn note_lateness(world: &World, request: &Value, listened_since: Timestamp) {
    // When a deadline is noted is another matter.
    if request["status"] == "expired" {
        return;
    }
    let Some(ended) = time(&request["ended_at"]) else { return };
    // Who began to listen afterwards hears at once, however long ago it was.
    let late = SystemClock.now().since(ended.max(listened_since));
    let mut latest = world.latest.lock().unwrap();
    *latest = late.max(*latest);
}

pub fn time(value: &Value) -> Option<Timestamp> {
    serde_json::from_value(value.clone()).ok()
}

/// How long everybody who waits may yet take once all is over.
pub async fn all_heard(world: &World, within: Duration) {
    let since = Instant::now();
    world.waits.close();
    let heard = tokio::time::timeout(within, world.waits.wait()).await.is_ok();
    world.ledger.holds(Promise::WaitersHear, heard, || {
        format!("{} still wait {:?} after everything is over", world.waits.len(), since.elapsed())
    });
}
