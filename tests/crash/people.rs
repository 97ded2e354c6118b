//! People who answer: over the API, and where the plug-in shows them what is asked.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{sync::mpsc, time::sleep};

use crate::{
    call::Call,
    ledger::id,
    plug_in::{Errand, receipt_of, signed},
    promise::Promise,
    world::{Person, World},
};

/// The longest that anybody thinks.
const THINKS_FOR: Duration = Duration::from_millis(1500);
/// How long the plug-in waits before it tells again what was not taken.
const PAUSE: Duration = Duration::from_millis(20);

/// An answer that the question takes.
fn value(world: &World, request: &Value) -> Value {
    match request["kind"].as_str() {
        Some("choice") => json!(world.chance.of(&["eu", "us"])),
        Some("input") => json!(format!("answer {}", world.chance.below(1000))),
        _ => json!(world.chance.of(&["approved", "rejected"])),
    }
}

/// Answers after a while.
pub async fn answer(world: &World, person: &Person, request: &Value) {
    sleep(world.chance.up_to(THINKS_FOR)).await;
    answer_now(world, person, request).await;
}

/// Answers, again and again until it is known what became of it.
pub async fn answer_now(world: &World, person: &Person, request: &Value) {
    let value = value(world, request);
    let path = format!("/api/feedback/{}/responses", id(request));
    let call = Call::post(path, json!({"value": value})).with_key(format!("{}/{}", person.caller.name, id(request)));
    let answered = person.caller.until(&call).await;
    match (answered.status, answered.problem()) {
        (200, _) => {
            let (response, feedback) = (&answered.body["response"], &answered.body["feedback"]);
            world.ledger.holds(Promise::OneAccepted, feedback["outcome"]["value"] == response["value"], || {
                format!("{response} was accepted, of {feedback}")
            });
            world.ledger.accepted(response, feedback);
        }
        (409, "late" | "cancelled") | (410, "expired") => world.ledger.saw(&answered.body["feedback"]),
        _ => person.caller.undocumented(&call, &answered),
    }
}

/// Does what the plug-in does of its own accord.
pub async fn run_errands(world: Arc<World>, mut errands: mpsc::UnboundedReceiver<Errand>) {
    while let Some(errand) = errands.recv().await {
        world.acts.spawn(run_errand(world.clone(), errand));
    }
}

async fn run_errand(world: Arc<World>, errand: Errand) {
    match errand {
        Errand::Receipt { channel, delivery } => {
            let event = json!({"type": "receipt", "delivery": delivery, "receipt": receipt_of(&delivery)});
            let (status, said) = tell(&world, &channel, &format!("receipt_{delivery}"), &event).await;
            world.ledger.holds(Promise::BegunIsWrittenDown, status == 200, || {
                format!("the receipt of a delivery that was sent is answered {status} {said}")
            });
            world.plug_in.is_brought(&delivery);
        }
        Errand::Answer { channel, delivery, to, request } => {
            if request["metadata"]["slow"] == true || world.load_ends.is_cancelled() || !world.chance.happens(400) {
                return;
            }
            sleep(world.chance.up_to(THINKS_FOR)).await;
            let value = value(&world, &request);
            let event = json!({"type": "response", "request_id": id(&request), "from": to, "value": value});
            answer_there(&world, &channel, &format!("answer_{delivery}"), &event).await;
        }
    }
}

/// Answers where the plug-in showed it; some of them twice.
async fn answer_there(world: &World, channel: &str, name: &str, event: &Value) {
    let mut before: Option<Value> = None;
    for _ in 0..=world.chance.below(2) {
        let (status, said) = tell(world, channel, name, event).await;
        world.ledger.holds(Promise::AnswersAreDocumented, status == 200, || {
            format!("an answer over {channel} is answered {status} {said}")
        });
        let verdict = said["verdict"].clone();
        if let Some(before) = before.replace(verdict.clone()) {
            let same = before == verdict && said["duplicate"] == true;
            world.ledger.holds(Promise::AcknowledgedIsThere, same, || {
                format!("{event} over {channel} was told {before}, and when it was repeated {said}")
            });
        }
        world.ledger.holds(Promise::AnswersAreDocumented, verdict == "accepted" || verdict == "late", || {
            format!("{event} over {channel} is {said}")
        });
        world.ledger.saw(&said["request"]);
        let outcome = &said["request"]["outcome"];
        let person = event["from"].as_str().and_then(|address| world.person_with_address(address));
        if verdict == "accepted" {
            let theirs = outcome["value"] == event["value"]
                && outcome["channel"] == channel
                && person.is_some_and(|person| outcome["by"]["id"] == person.id.as_str());
            world.ledger.holds(Promise::OneAccepted, theirs, || format!("{event} over {channel} is accepted: {said}"));
        }
    }
}

/// Tells the hub something, rightly signed, until it is taken or refused.
async fn tell(world: &World, channel: &str, name: &str, event: &Value) -> (u16, Value) {
    let (client, body) = (reqwest::Client::new(), event.to_string());
    loop {
        let url = world.site.up(None).await;
        let call = client.post(format!("{url}/api/channels/{channel}/events")).body(body.clone());
        world.site.called();
        let call = signed(name, &body).into_iter().fold(call, |call, (name, value)| call.header(name, value));
        if let Ok(answer) = call.send().await {
            let status = answer.status().as_u16();
            if let Ok(said) = answer.bytes().await
                && status < 500
                && status != 429
            {
                let said = serde_json::from_slice(&said).unwrap_or_default();
                world.ledger.log(&format!("plug-in {name}: {status} {said:.200}"));
                return (status, said);
            }
        }
        sleep(PAUSE).await;
    }
}
