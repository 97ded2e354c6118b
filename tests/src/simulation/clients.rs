//! What agents and people do. Each is a task that may outlive the server it calls, and notes what it was told.

use std::{sync::Arc, time::Duration};

use hearback_core::{
    Clock,
    channel::{Address, ChannelName, Inbound, Inbox, Reply},
    feedback::{Draft, Question, Request},
    hub::{Answer, CreateError, Responded},
    id::RequestId,
    person::UserRef,
    store::{Created, Ended, Idempotency},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    invariant::Invariant,
    ledger::{Expected, Heard},
    outbox::Letter,
    people,
    schedule::Simulation,
    server::Server,
};

/// After this long somebody who heard nothing tries again.
const AGAIN_AFTER: Duration = Duration::from_secs(3);

impl Simulation {
    /// An agent puts a question. With an idempotency key it tries until it hears that the question is stored.
    pub async fn create(self: Arc<Self>, draft: Value, key: Option<u64>) {
        let world = &self.world;
        let draft: Draft = serde_json::from_value(draft).unwrap();
        let idempotency = key.map(|key| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&key.to_be_bytes());
            Idempotency { key: bytes, fingerprint: bytes }
        });
        loop {
            if let Some(server) = self.any_server() {
                let call = server.hub.create(people::asker(&self.people), draft.clone(), idempotency);
                match server.call(call).await {
                    Some(Ok(Created::New(request) | Created::Replayed(request))) => {
                        world.note(format_args!(
                            "created {} {:?} {:?} {:?}",
                            request.id, request.terms.strategy, request.terms.fallback_after, request.terms.channels
                        ));
                        world.ledger.seen(&request);
                        let first = key.map(|key| *world.ledger.keys.lock().unwrap().entry(key).or_insert(request.id));
                        if first.is_some_and(|first| first != request.id) {
                            world.broken(Invariant::RepeatedIsOnce, format!("{} was created again", request.id));
                        }
                        return world.ledger.created.lock().unwrap().push(request);
                    }
                    Some(Ok(Created::Mismatch)) => {
                        return world.broken(Invariant::RepeatedIsOnce, "the same body did not match itself");
                    }
                    Some(Err(CreateError::Store(_))) | None => {}
                    Some(Err(error)) => panic!("the simulation put a wrong question: {error:?}"),
                }
            }
            if key.is_none() {
                return;
            }
            world.clock.sleep_until(world.now().after(AGAIN_AFTER)).await;
        }
    }

    /// Somebody answers over the API. Without an event's id they do not try again.
    pub async fn answer(self: Arc<Self>, request: RequestId, by: UserRef, value: Value, expected: Expected) {
        let Some(server) = self.any_server() else { return };
        let channel = ChannelName::API.parse().unwrap();
        let answer = Answer { request, by: Some(by), channel, value, comment: None, event: None };
        if let Some(Ok(Some(responded))) = server.call(server.hub.respond(answer)).await {
            self.heard(&responded, None, expected);
        }
    }

    /// A provider tells the hub something, until the hub has taken it; sometimes once more.
    pub async fn tell(self: Arc<Self>, letter: Letter) {
        let world = &self.world;
        loop {
            let begun = world.now();
            let server = match &letter.server {
                Some(name) => match self.server_named(name) {
                    Some(server) => Some(server),
                    // Whatever came by a connection to a dead server goes with it.
                    None => return,
                },
                None => self.any_server(),
            };
            if let Some(server) = server
                && let Some(Ok(reply)) = server.call(server.hub.accept(letter.what.clone())).await
            {
                match &letter.what {
                    Inbound::Sent { delivery, .. } => world.causes.note(*delivery),
                    Inbound::Connected { channel, address, .. } => {
                        world.people.is_known(&(channel.clone(), address.clone()), &server.life.name);
                    }
                    Inbound::Disconnected { channel, address, .. } => {
                        world.people.departure_is_told(&(channel.clone(), address.clone()), &server.life.name, begun);
                    }
                    _ => {}
                }
                if let (Reply::Response(responded), Inbound::Response { event, .. } | Inbound::Text { event, .. }) =
                    (reply, &letter.what)
                {
                    self.heard(&responded, event.clone(), letter.expected);
                }
                if world.fault(world.rough.repeated) {
                    let at = world.now().after(world.chance.up_to(Duration::from_mins(1)));
                    self.outbox.put_letter(at, letter);
                }
                return;
            }
            world.clock.sleep_until(world.now().after(AGAIN_AFTER)).await;
        }
    }

    fn heard(&self, responded: &Responded, event: Option<String>, expected: Expected) {
        let (world, recorded) = (&self.world, &responded.recorded);
        let response = recorded.response.clone();
        world.note(format_args!("response {} to {} is {:?}", response.id, response.request_id, response.verdict));
        world.ledger.seen(&recorded.request);
        if !expected.allows(response.verdict) {
            world.broken(Invariant::FairVerdicts, format!("{expected:?} became {response:?}"));
        }
        world.ledger.heard.lock().unwrap().push(Heard { response, event, expected });
    }

    /// The agent takes a question back.
    pub async fn cancel(self: Arc<Self>, request: RequestId) {
        let Some(server) = self.any_server() else { return };
        if let Some(Ok(Some(Ended::Now(request) | Ended::Before(request)))) =
            server.call(server.hub.cancel(request)).await
        {
            self.world.note(format_args!("cancelled {}", request.id));
            self.world.ledger.seen(&request);
            if request.is_pending() {
                self.world.broken(Invariant::EveryRequestEnds, format!("{} is cancelled and pending", request.id));
            }
        }
    }

    /// An agent waits for the end of a question, on another server when one dies, and again when it heard of none.
    pub async fn wait(self: Arc<Self>, number: u64, id: RequestId, patience: Duration) {
        let world = &self.world;
        loop {
            let until = world.now().after(patience);
            let stop = CancellationToken::new();
            let heard = match self.any_server() {
                Some(server) => wait_at(&server, id, until, &stop).await,
                None => None,
            };
            if let Some(request) = heard.filter(|request| !request.is_pending()) {
                world.ledger.seen(&request);
                world.ledger.waiting.lock().unwrap().remove(&number);
                return;
            }
            world.clock.sleep_until(world.now().after(AGAIN_AFTER)).await;
        }
    }
}

async fn wait_at(
    server: &Server,
    id: RequestId,
    until: hearback_core::Timestamp,
    stop: &CancellationToken,
) -> Option<Arc<Request>> {
    // A server that stops sends its waiters away.
    let stopped = async {
        server.stop.cancelled().await;
        stop.cancel();
        std::future::pending::<()>().await;
    };
    let waited = async {
        tokio::select! {
            biased;
            waited = server.hub.wait(id, until, stop) => waited,
            () = stopped => Ok(None),
        }
    };
    server.call(waited).await?.ok().flatten()
}

/// An answer to a question: its value, the same in words, and whether it is valid.
#[must_use]
pub fn possible_answer(simulation: &Simulation, question: &Question) -> (Value, &'static str, bool) {
    let several = match question {
        Question::Approval => {
            [(json!("approved"), "yes", true), (json!("rejected"), "no", true), (json!("perhaps"), "yes, but", false)]
        }
        Question::Choice { .. } => {
            [(json!("red"), "red", true), (json!("blue"), "blue", true), (json!("plaid"), "plaid", false)]
        }
        _ => [(json!("as it is"), "as it is", true), (json!("so"), "so", true), (json!(7), " ", false)],
    };
    simulation.world.chance.of(&several).clone()
}

/// Where somebody is on a channel, as a provider would say it.
#[must_use]
pub fn address_on(known: &people::Known, channel: &ChannelName) -> Address {
    let own = known.addresses.iter().find(|(name, _)| name == channel).map(|(_, address)| address.clone());
    own.unwrap_or_else(|| "nobody-known".parse().unwrap())
}
