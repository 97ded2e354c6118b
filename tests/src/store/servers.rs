//! Servers: who lives, who is connected to whom, who runs a channel. A store that serves one server at a time is put
//! through the same cases as far as one server gets, and through its own.

use std::time::Duration;

use hearback_core::{
    Timestamp,
    feedback::DeliveryState,
    id::ServerId,
    person::UserRef,
    store::{Company, Hold, Presence, SendClaim},
};

use super::{Harness, LEASE, World, address, name, receipt};

/// How long a server says that it lives.
const LIFE: Duration = Duration::from_secs(90);

impl World {
    async fn stay(&self, server: ServerId) -> Company {
        let now = self.now();
        self.store.stay(server, now, now.after(LIFE), now.after(Duration::from_secs(10))).await.unwrap()
    }

    async fn connected(&self, username: &str, server: Option<ServerId>) -> u64 {
        self.store.connected(&self.channel, &address(username), server, self.now()).await.unwrap()
    }

    async fn disconnected(&self, username: &str, server: Option<ServerId>, due: Timestamp) -> u64 {
        self.store.disconnected(&self.channel, &address(username), server, self.now(), due).await.unwrap()
    }

    async fn presence(&self, username: &str) -> Presence {
        self.store.presence(&self.channel, &address(username), self.now()).await.unwrap()
    }

    async fn hold(&self, channel: &str, server: ServerId) -> Hold {
        self.store.hold_run(&name(channel), server, self.now(), self.now().after(LEASE)).await.unwrap()
    }

    /// What this server claims, by the names of those it goes to, and when it has to look again.
    async fn claimed_by(&self, server: ServerId, limit: usize) -> (Vec<String>, Option<Timestamp>) {
        let claims = self.store.claim_sends(server, self.now(), self.now().after(LEASE), limit).await.unwrap();
        let to = |claim: SendClaim| claim.delivery.address.to_string();
        (claims.claimed.into_iter().map(to).collect(), claims.next_due)
    }

    async fn next_route(&self) -> Option<Timestamp> {
        // A limit of none claims nothing.
        self.store.claim_routes(self.now(), self.now(), 0).await.unwrap().next_due
    }
}

/// Two servers that live, if the store serves two.
async fn two(harness: &dyn Harness, names: &[&str]) -> Option<(World, Vec<UserRef>, [ServerId; 2])> {
    let (world, people) = World::with_people(harness, names).await;
    let servers = [world.ids.next(), world.ids.next()];
    for server in servers {
        if world.stay(server).await == Company::Alone {
            return None;
        }
    }
    Some((world, people, servers))
}

fn left(at: Timestamp) -> Presence {
    Presence::Left { at, service: false }
}

/// The start of a server looks at every route; that it goes on living looks at none.
pub async fn a_start_looks_at_every_route(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    world.create(world.ask(&people)).await;
    let (server, soon) = (world.ids.next(), world.now().after(Duration::from_secs(10)));
    let company = world.stay(server).await;
    assert!(matches!(company, Company::Alone | Company::Shared { anew: true, bereft: false }), "{company:?}");
    assert_eq!(world.next_route().await, Some(soon));
    world.tick();
    let company = world.stay(server).await;
    assert!(matches!(company, Company::Alone | Company::Shared { anew: false, bereft: false }), "{company:?}");
    assert_eq!(world.next_route().await, Some(soon), "what is due before stays so");
    let (claims, _) = {
        world.clock.advance(Duration::from_secs(10));
        world.claim_routes().await
    };
    world.store.finish_route(world.step(&claims[0])).await.unwrap();
    world.stay(server).await;
    assert_eq!(world.next_route().await, None, "nothing has changed");
    if let Company::Shared { anew, bereft } = world.stay(world.ids.next()).await {
        assert_eq!((anew, bereft), (true, false));
        assert_eq!(world.next_route().await, Some(world.now().after(Duration::from_secs(10))));
    }
}

/// Who is connected to the store's only server has left when the next one opens the store.
pub async fn the_next_server_finds_the_one_before_dead(harness: &dyn Harness) {
    let (world, _) = World::with_people(harness, &["ana", "ben"]).await;
    let servers: [ServerId; 2] = [world.ids.next(), world.ids.next()];
    if world.stay(servers[0]).await != Company::Alone {
        return;
    }
    world.connected("ana", Some(servers[0])).await;
    world.connected("ben", None).await;
    world.clock.advance(LIFE * 10);
    assert_eq!(world.presence("ana").await, Presence::At(vec![servers[0]]), "it need not say again that it lives");
    world.tick();
    assert_eq!(world.stay(servers[1]).await, Company::Alone);
    let died = world.now();
    world.tick();
    assert_eq!(world.presence("ana").await, left(died));
    assert_eq!(world.presence("ben").await, Presence::Unknown, "nobody said it to this one");
}

/// Who comes and goes is known at every server, until they have been away for a while.
pub async fn who_is_connected_is_known(harness: &dyn Harness) {
    let Some((world, _, [one, other])) = two(harness, &["ana", "ben"]).await else { return };
    let now = world.now();
    assert_eq!(world.presence("ana").await, Presence::Unknown);
    world.connected("ana", Some(one)).await;
    assert_eq!(world.presence("ana").await, Presence::At(vec![one]));
    assert_eq!(world.presence("ben").await, Presence::Unknown, "another address");
    let gmail = world.store.presence(&name("gmail"), &address("ana"), now).await.unwrap();
    assert_eq!(gmail, Presence::Unknown, "another channel");
    world.connected("ana", Some(other)).await;
    world.connected("ana", Some(other)).await;
    assert_eq!(world.presence("ana").await, Presence::At(vec![one, other]));
    world.disconnected("ana", Some(one), now).await;
    assert_eq!(world.presence("ana").await, Presence::At(vec![other]));
    world.tick();
    let gone = world.now();
    world.disconnected("ana", Some(other), gone).await;
    assert_eq!(world.presence("ana").await, left(gone));
    world.tick();
    world.disconnected("ana", Some(one), world.now()).await;
    assert_eq!(world.presence("ana").await, left(world.now()), "the last word counts");
    world.connected("ana", Some(one)).await;
    assert_eq!(world.presence("ana").await, Presence::At(vec![one]));
    world.disconnected("ana", Some(one), world.now()).await;
    world.clock.advance(Duration::from_secs(61));
    world.disconnected("ben", Some(one), world.now()).await;
    assert_eq!(world.presence("ana").await, Presence::Unknown, "long ago");
    assert_eq!(world.presence("ben").await, left(world.now()));
}

/// What is said of the service holds for every server.
pub async fn who_is_connected_to_the_service_is_so_for_every_server(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let server = world.ids.next();
    world.stay(server).await;
    world.connected("ana", Some(server)).await;
    world.connected("ana", None).await;
    assert_eq!(world.presence("ana").await, Presence::Service);
    world.create(world.ask(&people)).await;
    let (claimed, _) = world.claimed_by(world.ids.next(), 10).await;
    assert_eq!(claimed, ["ana"], "whichever server is first");
    let at = world.now();
    world.disconnected("ana", None, at).await;
    world.clock.advance(Duration::from_mins(5));
    world.disconnected("ben", Some(server), world.now()).await;
    assert_eq!(world.presence("ana").await, Presence::Left { at, service: true }, "it is not forgotten");
    world.connected("ana", None).await;
    assert_eq!(world.presence("ana").await, Presence::Service);
}

/// A server's life ends when it has not said for long enough that it goes on, or at once when it says so: then
/// everybody who was connected to it has left, and every route is looked at.
pub async fn who_is_connected_to_a_dead_server_has_left(harness: &dyn Harness) {
    let Some((world, people, [one, other])) = two(harness, &["ana", "ben"]).await else { return };
    let begun = world.now();
    world.connected("ana", Some(one)).await;
    world.connected("ben", Some(one)).await;
    world.connected("ben", Some(other)).await;
    world.create(world.ask(&people)).await;
    world.clock.advance(LIFE.checked_sub(Duration::from_secs(1)).unwrap());
    world.stay(other).await;
    assert_eq!(world.presence("ana").await, Presence::At(vec![one]));
    world.tick();
    let died = begun.after(LIFE);
    assert_eq!(world.presence("ana").await, left(died));
    assert_eq!(world.presence("ben").await, Presence::At(vec![other]));
    world.tick();
    assert_eq!(world.next_route().await, None);
    assert_eq!(world.stay(other).await, Company::Shared { anew: false, bereft: true });
    assert_eq!(world.next_route().await, Some(world.now().after(Duration::from_secs(10))));
    assert_eq!(world.presence("ana").await, left(died), "not when that was noted");
    assert_eq!(world.stay(other).await, Company::Shared { anew: false, bereft: false }, "it is noted once");
    assert_eq!(world.stay(one).await, Company::Shared { anew: true, bereft: false });
    assert_eq!(world.presence("ana").await, left(died), "it has to say who is connected");

    world.connected("ana", Some(one)).await;
    assert_eq!(world.hold("slack", one).await, Hold::Held);
    world.store.leave(one, world.now()).await.unwrap();
    assert_eq!(world.presence("ana").await, left(world.now()));
    assert_eq!(world.hold("slack", other).await, Hold::Held);
    assert_eq!(world.stay(other).await, Company::Shared { anew: false, bereft: true });
    world.store.leave(world.ids.next(), world.now()).await.unwrap();
}

/// What is due at an address goes to the server that its person is connected to, if that one lives. It keeps nobody
/// from what is due besides.
pub async fn what_is_due_goes_where_its_person_is(harness: &dyn Harness) {
    let Some((world, people, [one, other])) = two(harness, &["ana", "ben"]).await else { return };
    let life = world.now().after(LIFE);
    world.connected("ana", Some(other)).await;
    for _ in 0..5 {
        world.create(world.ask(&people[..1])).await;
    }
    world.tick();
    let later = world.now().after(Duration::from_secs(5));
    let mut new = world.ask(&people[1..]);
    new.deliveries[0].state = DeliveryState::Queued { due: later, reason: None };
    world.create(new).await;
    world.create(world.ask(&people[1..])).await;
    assert_eq!(world.claimed_by(one, 2).await, (vec!["ben".into()], Some(later)));
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(world.claimed_by(one, 2).await.0, ["ben"]);
    let lease = world.now().after(LEASE);
    let (claimed, next_due) = world.claimed_by(one, 2).await;
    assert!(claimed.is_empty());
    assert!(next_due <= Some(lease), "{next_due:?}");
    let (claimed, next_due) = world.claimed_by(other, 2).await;
    assert_eq!(claimed, ["ana", "ana"]);
    assert!(next_due < Some(world.now()), "what did not fit");

    // A lease that ran out is anybody's, since whoever has it does not ask again.
    world.clock.advance(LEASE);
    let (mut claimed, _) = world.claimed_by(one, 10).await;
    claimed.sort();
    assert_eq!(claimed, ["ana", "ana", "ben", "ben"]);
    // Whoever is connected to both is asked by the first that comes.
    world.connected("ana", Some(one)).await;
    assert_eq!(world.claimed_by(one, 1).await.0, ["ana"]);
    world.disconnected("ana", Some(one), later).await;
    assert_eq!(world.claimed_by(one, 10).await.0, [""; 0]);
    // And nobody is left for the dead.
    world.clock.advance(life.since(world.now()));
    let claims = world.store.claim_sends(one, world.now(), world.now().after(LEASE), 1).await.unwrap();
    assert_eq!(claims.claimed.len(), 1);
    world.disconnected("ana", Some(other), later).await;
    assert!(!world.claimed_by(one, 10).await.0.is_empty());
}

/// What is left for another server is looked at again when that one's life ends.
pub async fn what_is_left_for_a_server_is_due_when_its_life_ends(harness: &dyn Harness) {
    let Some((world, people, [one, other])) = two(harness, &["ana"]).await else { return };
    let life = world.now().after(LIFE);
    world.connected("ana", Some(other)).await;
    world.create(world.ask(&people)).await;
    assert_eq!(world.claimed_by(one, 10).await, (vec![], Some(life)));
    world.tick();
    world.stay(other).await;
    assert_eq!(world.claimed_by(one, 10).await, (vec![], Some(world.now().after(LIFE))));
    world.disconnected("ana", Some(other), world.now()).await;
    assert_eq!(world.claimed_by(one, 10).await, (vec!["ana".into()], None));
}

/// Whoever claims a route learns what is known at the addresses of its deliveries.
pub async fn a_route_comes_with_the_presence_of_its_person(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben", "carl"]).await;
    let server = world.ids.next();
    world.stay(server).await;
    world.create(world.ask(&people)).await;
    world.connected("ana", Some(server)).await;
    world.disconnected("ben", None, world.now()).await;
    world.hasten_all_routes(world.now()).await;
    world.stay(server).await;
    world.connected("ana", Some(server)).await;
    world.disconnected("ben", None, world.now()).await;
    let (claims, _) = world.claim_routes().await;
    assert_eq!(claims.len(), 3);
    for claim in claims {
        let known = match claim.person.user.username.as_str() {
            "ana" => Some(Presence::At(vec![server])),
            "ben" => Some(Presence::Left { at: world.now(), service: true }),
            _ => None,
        };
        let place = (world.channel.clone(), address(&claim.person.user.username));
        assert_eq!(claim.presences.get(&place), known.as_ref());
        assert_eq!(claim.presences.len(), usize::from(known.is_some()));
    }
}

/// A departure hastens what is out, and nothing else.
pub async fn a_departure_hastens_what_is_out(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let server = world.ids.next();
    world.create(world.ask(&people)).await;
    for claim in world.claim_sends().await {
        world.finish(world.finished(&claim, DeliveryState::Sent { receipt: receipt("r") })).await;
    }
    let due = world.now().after(Duration::from_secs(10));
    assert_eq!(world.disconnected("carl", Some(server), due).await, 0);
    assert_eq!(world.next_route().await, None);
    assert_eq!(world.disconnected("ana", Some(server), due).await, 1);
    assert_eq!(world.next_route().await, Some(due));
    assert_eq!(world.disconnected("ben", None, due).await, 1);
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(world.claim_routes().await.0.len(), 2);
}

/// Of several servers one runs a channel, for as long as it says so and lives.
pub async fn one_server_runs_a_channel(harness: &dyn Harness) {
    let Some((world, _, [one, other])) = two(harness, &[]).await else { return };
    let until = world.now().after(LEASE);
    assert_eq!(world.hold("slack", one).await, Hold::Held);
    assert_eq!(world.hold("slack", other).await, Hold::HeldUntil(until));
    assert_eq!(world.hold("gmail", other).await, Hold::Held, "another channel");
    world.tick();
    assert_eq!(world.hold("slack", one).await, Hold::Held, "once more");
    assert_eq!(world.hold("slack", other).await, Hold::HeldUntil(world.now().after(LEASE)));
    world.store.release_run(&name("slack"), other).await.unwrap();
    assert_eq!(world.hold("slack", other).await, Hold::HeldUntil(world.now().after(LEASE)), "it is not its to let go");
    world.store.release_run(&name("slack"), one).await.unwrap();
    assert_eq!(world.hold("slack", other).await, Hold::Held);
    assert_eq!(world.hold("slack", one).await, Hold::HeldUntil(world.now().after(LEASE)));
    world.clock.advance(LEASE);
    assert_eq!(world.hold("slack", one).await, Hold::Held, "it ran out");
}

/// Many servers that ask at the same time find one that runs a channel.
pub async fn of_many_servers_one_runs_a_channel(harness: &dyn Harness) {
    let Some((world, ..)) = two(harness, &[]).await else { return };
    let (now, until) = (world.now(), world.now().after(LEASE));
    let asked: Vec<_> = (0..12)
        .map(|_| {
            let (store, server, channel) = (world.store.clone(), world.ids.next(), name("slack"));
            tokio::spawn(async move { store.hold_run(&channel, server, now, until).await.unwrap() })
        })
        .collect();
    let mut held = 0;
    for hold in asked {
        held += usize::from(hold.await.unwrap() == Hold::Held);
    }
    assert_eq!(held, 1);
}
