//! The end of a run: nothing is killed any more, everything comes to rest, and all of it is compared.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::{
    agents, check,
    ledger::{as_put, id, is_over},
    people,
    plug_in::{CHANNELS, Shown},
    promise::Promise,
    readers::Read,
    world::World,
};

/// How long what a kill cut off may take until somebody takes it up: its lease, and that of its route, and more.
const REST_WITHIN: Duration = Duration::from_mins(2);
/// How long what is under way may take.
const SOON: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A hub notes the answer of a provider within this, if it lives.
const NOTED_WITHIN: Duration = Duration::from_secs(10);

/// Everything that the hub holds, by its ids.
type Requests = BTreeMap<String, Value>;

/// Lets everything come to rest and compares it; `reads` are those of the agents and the people, by name.
pub async fn down(world: &World, reads: &[(String, Read)]) {
    acts_end(world).await;
    // What a kill cut off while its request is open is taken up before the request ends.
    let open = requests(world, "?status=pending").await;
    at_rest(world, &open, &["sending", "queued"]).await;
    end_all(world, &open).await;
    acts_end(world).await;

    let all = requests(world, "").await;
    for request in all.values() {
        world.ledger.holds(Promise::EndedStaysEnded, is_over(request), || format!("it does not end: {request}"));
    }
    at_rest(world, &all, &["sending", "queued", "sent", "delivered", "read", "skipped"]).await;
    agents::all_heard(world, SOON).await;
    all_called(world, &all).await;
    put_once(world, &all);
    read_all(world, &all, reads).await;
    world.feeds_end.cancel();
    check::compare_all(world, world.ledger.all_known(), check::AT_ONCE).await;
    let delivered = stream::iter(all.values()).map(|request| look(world, request)).buffer_unordered(check::AT_ONCE);
    let delivered: HashMap<String, Value> = delivered.flat_map(stream::iter).collect().await;
    shown(world, &all, &delivered);
}

async fn acts_end(world: &World) {
    world.acts.close();
    let ended = timeout(SOON, world.acts.wait()).await.is_ok();
    world.ledger.holds(Promise::AnswersAreDocumented, ended, || {
        format!("{} calls are not answered by a hub that lives", world.acts.len())
    });
    for fault in world.plug_in.take_faults() {
        world.ledger.broken(Promise::AnswersAreDocumented, fault);
    }
}

async fn requests(world: &World, query: &str) -> Requests {
    let mut all = Requests::new();
    for agent in &world.agents {
        let listed = agent.read_all(&format!("/api/feedback{query}")).await;
        all.extend(listed.into_iter().map(|request| (id(&request).to_owned(), request)));
    }
    all
}

/// Returns when no delivery of these requests is in a state that does not last.
async fn at_rest(world: &World, requests: &Requests, passing: &[&str]) {
    let until = Instant::now() + REST_WITHIN;
    for request in requests.values() {
        let Some(agent) = world.agent_of(request) else { continue };
        loop {
            let deliveries = check::deliveries(agent, id(request)).await;
            let moving = deliveries.iter().find(|delivery| passing.iter().any(|status| delivery["status"] == *status));
            let Some(moving) = moving else { break };
            if Instant::now() > until || world.ledger.over.is_cancelled() {
                let detail = format!("after {REST_WITHIN:?} {moving} of {request}");
                world.ledger.broken(Promise::DeliveriesComeToRest, detail);
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Answers what is open, or takes it back.
async fn end_all(world: &World, open: &Requests) {
    let end = |request: &Value| {
        let request = request.clone();
        async move {
            let asked = request["to"][0]["id"].as_str().and_then(|id| world.person_with_id(id));
            match (asked, world.agent_of(&request)) {
                (Some(person), _) if world.chance.happens(500) => people::answer_now(world, person, &request).await,
                (_, Some(agent)) => agents::cancel(world, agent, &request).await,
                _ => {}
            }
        }
    };
    stream::iter(open.values()).for_each_concurrent(check::AT_ONCE, end).await;
}

/// Every call that was acknowledged put one request, and no call put two.
fn put_once(world: &World, all: &Requests) {
    let calls = world.ledger.all_calls();
    let mut put: HashMap<&str, &str> = HashMap::new();
    for (id, request) in all {
        let call = request["metadata"]["call"].as_str().unwrap_or_default();
        let known = calls.get(call);
        world.ledger.holds(Promise::OneKeyAsksOnce, known.is_some(), || format!("nobody put {request}"));
        let other = put.insert(call, id);
        world.ledger.holds(Promise::OneKeyAsksOnce, other.is_none(), || format!("{call} put {other:?} and {id}"));
        if let Some(Some(acknowledged)) = known {
            world.ledger.holds(Promise::OneKeyAsksOnce, acknowledged == id, || {
                format!("{call} was answered {acknowledged}, and put {id}")
            });
        }
    }
    for (call, acknowledged) in calls.iter().filter_map(|(call, id)| Some((call, id.as_ref()?))) {
        world.ledger.holds(Promise::AcknowledgedIsThere, all.contains_key(acknowledged), || {
            format!("{call} was answered {acknowledged}, which is not there")
        });
    }
}

/// Every asker who wants to be called was told how each request ended, always under the same id.
async fn all_called(world: &World, all: &Requests) {
    let until = Instant::now() + REST_WITHIN;
    for request in all.values().filter(|request| !request["callback_url"].is_null()) {
        let kind = format!("feedback.{}", request["status"].as_str().unwrap_or_default());
        let call = (id(request).to_owned(), kind);
        while !world.plug_in.is_called(&call) && Instant::now() < until {
            sleep(LOOK_EVERY).await;
        }
    }
    let called = world.plug_in.all_called();
    let ends = ["feedback.answered", "feedback.expired", "feedback.cancelled"];
    for request in all.values() {
        let of_it = |kind: &&str| called.get(&(id(request).to_owned(), (*kind).to_owned()));
        let told: Vec<_> = ends.iter().filter_map(of_it).collect();
        let right = match told[..] {
            [] => request["callback_url"].is_null(),
            [told] => told.ids.len() == 1 && told.requests.iter().all(|told| told == request),
            _ => false,
        };
        world.ledger.holds(Promise::AskersAreCalled, right, || format!("of {request} the asker was told {told:?}"));
    }
}

/// Every reader has read that each request that concerns them was put, and that it ended; and of no other.
async fn read_all(world: &World, all: &Requests, reads: &[(String, Read)]) {
    let until = Instant::now() + SOON;
    for (name, read) in reads {
        let concerns = |request: &&Value| {
            let asked =
                request["to"].as_array().into_iter().flatten().any(|person| person["username"] == name.as_str());
            asked || request["asker"]["token"] == name.as_str()
        };
        let concerned: BTreeSet<_> = all.values().filter(concerns).map(|request| id(request).to_owned()).collect();
        for kind in ["feedback_request", "feedback_settled"] {
            let of_kind = || -> BTreeSet<String> {
                let read = read.lock().unwrap();
                read.keys().filter(|(what, _)| what == kind).map(|(_, request)| request.clone()).collect()
            };
            while of_kind() != concerned && Instant::now() < until {
                sleep(LOOK_EVERY).await;
            }
            let got = of_kind();
            world.ledger.holds(Promise::FeedsAreWhole, got == concerned, || {
                let (lacks, has): (Vec<_>, Vec<_>) =
                    (concerned.difference(&got).collect(), got.difference(&concerned).collect());
                format!("{name} lacks {kind} of {lacks:?}, and has it of {has:?}")
            });
        }
    }
}

/// Looks at one request at the end; returns its deliveries.
async fn look(world: &World, request: &Value) -> Vec<(String, Value)> {
    let Some(agent) = world.agent_of(request) else { return Vec::new() };
    let responses = agent.read_all(&format!("/api/feedback/{}/responses", id(request))).await;
    check::one_accepted(world, request, &responses);
    let known = world.ledger.known(id(request)).unwrap_or_default();
    if let Some(created) = known.created {
        world.ledger.holds(Promise::AcknowledgedIsThere, as_put(&created) == as_put(request), || {
            format!("it was acknowledged as {created}, and is listed as {request}")
        });
    }
    let deliveries = check::deliveries(agent, id(request)).await;
    for delivery in &deliveries {
        truthful(world, delivery);
    }
    deliveries.into_iter().map(|delivery| (id(&delivery).to_owned(), delivery)).collect()
}

/// What a delivery says of itself at the end is so, as far as the plug-in knows.
fn truthful(world: &World, delivery: &Value) {
    let shown = world.plug_in.shown(id(delivery));
    let untrue = match (delivery["status"].as_str().unwrap_or_default(), &shown) {
        // Its person knows how it ended, or was never asked.
        ("settled", Some(shown)) if shown.settled.is_empty() => Some("it was shown, and nobody was told how it ended"),
        ("settled", _) => None,
        ("unknown", Some(shown)) if shown.brought.is_some() => Some("its receipt was acknowledged"),
        ("unknown", shown) => Some("nothing died then").filter(|_| !is_doubtful(world, delivery, shown.as_ref())),
        _ => Some("no service refused it, and it is over"),
    };
    if let Some(why) = untrue {
        world.ledger.broken(Promise::DeliveriesComeToRest, format!("{why}: {delivery}, {shown:?}"));
    }
}

/// Whether a hub died, or gave up waiting, at one of its attempts.
fn is_doubtful(world: &World, delivery: &Value, shown: Option<&Shown>) -> bool {
    let attempts = delivery["attempts"].as_array().into_iter().flatten();
    let began = attempts.clone().filter_map(|attempt| agents::time(&attempt["at"]));
    let died = began.into_iter().any(|at| world.site.died_after(at, NOTED_WITHIN))
        || shown.is_some_and(|shown| shown.receipted.iter().any(|at| world.site.died_after(*at, NOTED_WITHIN)));
    died || attempts.into_iter().any(|attempt| attempt["error"].to_string().contains("no answer within"))
}

/// What the plug-in was shown is known to the hub, came as often as it may, and was settled.
fn shown(world: &World, all: &Requests, delivered: &HashMap<String, Value>) {
    let ledger = &world.ledger;
    for (delivery, shown) in world.plug_in.all_shown() {
        let document = delivered.get(&delivery).unwrap_or(&Value::Null);
        let begun = document["attempts"].as_array().is_some_and(|attempts| !attempts.is_empty());
        ledger.holds(Promise::BegunIsWrittenDown, begun, || format!("{shown:?} was sent by {document}"));
        let once = CHANNELS.iter().any(|(channel, idempotent)| *channel == shown.channel && *idempotent);
        ledger.holds(Promise::AskedOnce, shown.asked.len() <= 1 || once && shown.ids.len() == 1, || {
            format!("it was sent more than once: {document} {shown:?}")
        });
        let known = shown.brought.into_iter().chain(shown.known_sent);
        let known = known.chain(shown.settled.first().map(|(at, _)| *at)).min();
        ledger.holds(
            Promise::SentIsNotSentAgain,
            shown.asked.iter().all(|at| known.is_none_or(|known| *at < known)),
            || format!("it was sent although it was known to be: {document} {shown:?}"),
        );
        let Some(request) = all.get(&shown.request) else { continue };
        for (_, told) in &shown.settled {
            ledger.holds(Promise::ShownIsSettled, told == request, || format!("{request} was settled as {told}"));
        }
        let given_up = document["status"] == "unknown";
        ledger.holds(Promise::ShownIsSettled, given_up || !shown.settled.is_empty(), || {
            format!("nobody was told how it ended: {document} {shown:?}")
        });
    }
}
