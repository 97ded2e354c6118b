//! Compares what the hub holds with what the clients heard, after every restart and at the end.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt, stream};
use serde_json::Value;

use crate::{
    call::Caller,
    ledger::{Counts, Known, as_put, id},
    promise::Promise,
    world::World,
};

/// How many comparisons run at once when all has come to rest.
pub const AT_ONCE: usize = 8;
/// The same while there is a load, which they are not to crowd out.
const BESIDE_THE_LOAD: usize = 3;
/// How many of the older requests are compared after a restart, besides those that were heard of in the last life.
const SAMPLE: usize = 10;

/// Compares what was heard of since the last restart, and some of what was heard before.
pub async fn after_restart(world: Arc<World>) {
    let mut chosen = world.ledger.take_touched();
    let all: Vec<_> = world.ledger.all_known().into_iter().collect();
    for _ in 0..SAMPLE.min(all.len()) {
        let (id, known) = world.chance.of(&all);
        chosen.insert(id.clone(), known.clone());
    }
    compare_all(&world, chosen, BESIDE_THE_LOAD).await;
}

/// Compares all of these.
pub async fn compare_all(world: &World, chosen: BTreeMap<String, Known>, at_once: usize) {
    let compare = |(id, known): (String, Known)| async move { compare(world, &id, &known).await };
    stream::iter(chosen).for_each_concurrent(at_once, compare).await;
}

/// The agent that put what is known, by what anybody was shown of it.
fn asker<'a>(world: &'a World, known: &Known) -> Option<&'a Caller> {
    known.created.as_ref().or(known.ended.as_ref()).and_then(|request| world.agent_of(request))
}

async fn compare(world: &World, id: &str, known: &Known) {
    let ledger = &world.ledger;
    let Some(agent) = asker(world, known) else {
        ledger.broken(Promise::AcknowledgedIsThere, format!("nobody put {id}: {known:?}"));
        return;
    };
    let now = agent.read(&format!("/api/feedback/{id}")).await;
    if let Some(created) = &known.created {
        ledger.holds(Promise::AcknowledgedIsThere, as_put(created) == as_put(&now), || {
            format!("it was acknowledged as {created}, and is {now}")
        });
    }
    for ended in [&known.ended, &known.cancelled].into_iter().flatten() {
        ledger.holds(Promise::EndedStaysEnded, *ended == now, || format!("it had ended as {ended}, and is {now}"));
    }
    ledger.saw(&now);
    if let Some(accepted) = &known.accepted {
        let responses = agent.read_all(&format!("/api/feedback/{id}/responses")).await;
        ledger.holds(Promise::AcknowledgedIsThere, responses.contains(accepted), || {
            format!("{accepted} was acknowledged, and there are {responses:?}")
        });
        one_accepted(world, &now, &responses);
    }
    for delivery in deliveries(agent, id).await {
        if ["sent", "delivered", "read"].iter().any(|status| delivery["status"] == *status) {
            world.plug_in.is_known_sent(self::id(&delivery));
        }
    }
    Counts::add(&ledger.counts.compared);
}

/// The deliveries of a request.
pub async fn deliveries(agent: &Caller, id: &str) -> Vec<Value> {
    agent.read_all(&format!("/api/feedback/{id}/deliveries")).await
}

/// Whoever's answer is accepted is who the outcome names, and there is one of them.
pub fn one_accepted(world: &World, request: &Value, responses: &[Value]) {
    let accepted: Vec<_> = responses.iter().filter(|response| response["verdict"] == "accepted").collect();
    let outcome = &request["outcome"];
    let right = match accepted[..] {
        [] => outcome["source"] != "person" && request["status"] != "answered",
        [one] => {
            request["status"] == "answered"
                && outcome["source"] == "person"
                && ["value", "comment", "by", "channel", "at"].iter().all(|field| outcome[field] == one[field])
        }
        _ => false,
    };
    world.ledger.holds(Promise::OneAccepted, right, || format!("{request} has the responses {responses:?}"));
}
