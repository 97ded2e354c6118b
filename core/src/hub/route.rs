//! Where a person is reached: the ordered channels that a request tries, and what the route does next.

use std::{collections::HashSet, time::Duration};

use super::Channels;
use crate::{
    channel::{Address, ChannelName},
    clock::Timestamp,
    feedback::{Delivery, DeliveryState, Strategy, Terms},
    id::DeliveryId,
    person::Person,
};

/// The hub's own order of kinds, for people who have set none. Plug-ins come last: what they reach is not known.
const DEFAULT_ORDER: [&str; 6] = ["websocket", "slack", "gmail", "telegram", "mqtt", "webhook"];
/// After this many rounds the asker is told that nobody was reached.
const ROUNDS_UNTIL_TOLD: u32 = 10;

/// A channel, and where a person is reached on it.
pub(super) type Stop = (ChannelName, Address);

/// The route for `person`: what the asker named, else the person's preference, else the hub's order; of that, the stops
/// at which the person has an address, each once. May be empty: the request is still answerable on the page and over the API.
pub(super) fn plan(terms: &Terms, person: &Person, channels: &Channels) -> Vec<Stop> {
    let mut stops = named(terms, person, channels);
    let mut seen = HashSet::new();
    stops.retain(|stop| seen.insert(stop.clone()));
    stops
}

fn named(terms: &Terms, person: &Person, channels: &Channels) -> Vec<Stop> {
    if !terms.channels.is_empty() {
        let steps = terms.channels.iter();
        let at = |address: &Option<Address>, name| match address {
            Some(address) => Some(channels.get(name).map_or(address.clone(), |running| running.usual(address.clone()))),
            None => address_of(person, name, channels),
        };
        return steps.filter_map(|step| Some((step.channel.clone(), at(&step.address, &step.channel)?))).collect();
    }
    let order: Vec<ChannelName> = if person.preferences.channels.is_empty() {
        let of_kind = |kind: &'static str| channels.iter().filter(move |running| running.kind() == kind);
        DEFAULT_ORDER.into_iter().flat_map(of_kind).map(|running| running.channel().name().clone()).collect()
    } else {
        person.preferences.channels.clone()
    };
    order.into_iter().filter_map(|name| address_of(person, &name, channels).map(|address| (name, address))).collect()
}

/// The stops that begin at once.
pub(super) fn first(route: Vec<Stop>, strategy: Strategy) -> Vec<Stop> {
    let count = match strategy {
        Strategy::Fallback => 1,
        Strategy::Broadcast => route.len(),
    };
    route.into_iter().take(count).collect()
}

fn address_of(person: &Person, name: &ChannelName, channels: &Channels) -> Option<Address> {
    let running = channels.get(name)?;
    if running.channel().capabilities().account_addresses {
        return person.user.id.to_string().parse().ok();
    }
    person.addresses.iter().find(|(channel, _)| channel == name).map(|(_, address)| address.clone())
}

/// What is known of a person's route when it is looked at.
#[derive(Debug)]
pub(super) struct Situation<'a> {
    /// How the route is gone.
    pub strategy: Strategy,
    /// How long what was sent may stay without an answer.
    pub patience: Duration,
    /// The stops, as planned now.
    pub plan: &'a [Stop],
    /// The deliveries so far, oldest first.
    pub deliveries: &'a [Delivery],
    /// Of what is out, which nobody sees any more, as its person has been disconnected for long enough.
    pub unseen: &'a [DeliveryId],
    /// Of what was skipped, whose person is connected again. They may have come while that was written down, or on a
    /// server that died before it could say so.
    pub back: &'a [DeliveryId],
    /// How many rounds have begun.
    pub rounds: u32,
    /// The present moment.
    pub now: Timestamp,
}

/// What a route does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Begins at these stops.
    Begin(Vec<Stop>),
    /// Queues these again, which were skipped.
    Again(Vec<DeliveryId>),
    /// Waits for an answer until then.
    Wait(Timestamp),
    /// Queues what is held again, as one round; the wait grows with the rounds, and lasts until `not_before` at least.
    /// What is held for longer stays so.
    Round {
        /// Not before this.
        not_before: Timestamp,
        /// Whether the asker is told.
        exhausted: bool,
    },
    /// Does nothing until an attempt ends or somebody connects.
    Rest {
        /// Whether nothing is left by which the person might be reached.
        exhausted: bool,
    },
}

impl Situation<'_> {
    /// The orchestrator's table (DESIGN.md, section 4) for one person: the next stop once the one before has failed, was
    /// skipped, is of unknown end or has stayed silent; rounds once the whole route has failed.
    pub(super) fn next(&self) -> Next {
        if !self.back.is_empty() {
            return Next::Again(self.back.to_vec());
        }
        let fallback = self.strategy == Strategy::Fallback;
        let silent_from = self.deliveries.iter().filter_map(|one| self.silent_from(one)).max();
        let out = silent_from.is_some();
        // A look in the middle of a later round takes nothing back.
        let in_vain = !out && self.rounds > ROUNDS_UNTIL_TOLD;
        if fallback && self.deliveries.iter().any(|one| self.is_under_way(one)) {
            return Next::Rest { exhausted: in_vain };
        }
        if let Some(silent_from) = silent_from.filter(|from| fallback && *from > self.now) {
            return Next::Wait(silent_from);
        }
        let begun =
            |(name, address): &&Stop| self.deliveries.iter().any(|one| one.channel == *name && one.address == *address);
        let count = if fallback { 1 } else { self.plan.len() };
        let further: Vec<Stop> = self.plan.iter().filter(|stop| !begun(stop)).take(count).cloned().collect();
        if !further.is_empty() {
            return Next::Begin(further);
        }
        let has = |wanted: fn(&DeliveryState) -> bool| self.deliveries.iter().any(|one| wanted(&one.state));
        if has(|state| matches!(state, DeliveryState::Queued { .. } | DeliveryState::Sending { .. })) {
            return Next::Rest { exhausted: in_vain };
        }
        let held = self.deliveries.iter().filter_map(|one| match one.state {
            DeliveryState::Held { until, .. } => Some(until),
            _ => None,
        });
        if let Some(not_before) = held.min() {
            return Next::Round { not_before, exhausted: !out && self.rounds >= ROUNDS_UNTIL_TOLD };
        }
        // Whoever is away gets it when they connect, and what is of unknown end may have arrived.
        let open = has(|state| matches!(state, DeliveryState::Skipped { .. } | DeliveryState::Unknown { .. }));
        Next::Rest { exhausted: !out && !open }
    }

    /// Whether an attempt goes on, is due, or waits for the end of quiet hours: its end looks at the route again.
    fn is_under_way(&self, delivery: &Delivery) -> bool {
        match &delivery.state {
            DeliveryState::Sending { .. } => true,
            // What waits for its round has a reason.
            DeliveryState::Queued { due, reason } => *due <= self.now || reason.is_none(),
            _ => false,
        }
    }

    /// From when on something that is out counts as silent; `None` when it is not out.
    fn silent_from(&self, delivery: &Delivery) -> Option<Timestamp> {
        delivery.state.receipt()?;
        if self.unseen.contains(&delivery.id) {
            return Some(self.now);
        }
        let sent_at = delivery.attempts.last().map_or(self.now, |attempt| attempt.at);
        Some(sent_at.after(self.patience))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{channel::Receipt, feedback::Attempt};

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);

    fn delivery(state: DeliveryState) -> Delivery {
        Delivery {
            id: Uuid::from_u128(1).into(),
            request_id: Uuid::from_u128(2).into(),
            user_id: Uuid::from_u128(3).into(),
            channel: "memory".parse().unwrap(),
            address: "ana".parse().unwrap(),
            state,
            in_doubt: false,
            attempts: Vec::new(),
        }
    }

    #[test]
    fn what_waits_for_the_end_of_quiet_hours_is_waited_for_and_what_waits_for_its_round_is_not() {
        let due = NOW.after(Duration::from_hours(8));
        let plan: Vec<Stop> = ["memory", "second"].map(|name| (name.parse().unwrap(), "ana".parse().unwrap())).into();
        let next = |strategy, one: &Delivery| {
            let (deliveries, patience) = (std::slice::from_ref(one), Duration::from_mins(5));
            Situation { strategy, patience, plan: &plan, deliveries, unseen: &[], back: &[], rounds: 0, now: NOW }
                .next()
        };
        let deferred = delivery(DeliveryState::Queued { due, reason: None });
        let held = delivery(DeliveryState::Queued { due, reason: Some("the channel's breaker is open".into()) });
        let second = Next::Begin(plan[1..].to_vec());
        assert_eq!(next(Strategy::Fallback, &deferred), Next::Rest { exhausted: false });
        let cut_off = vec![Attempt { number: 1, at: NOW, error: Some("the hub stopped during the send".into()) }];
        let deferred_again = Delivery { attempts: cut_off, ..deferred.clone() };
        assert_eq!(next(Strategy::Fallback, &deferred_again), Next::Rest { exhausted: false });
        assert_eq!(next(Strategy::Fallback, &held), second);
        assert_eq!(next(Strategy::Broadcast, &deferred), second);
    }

    #[test]
    fn a_look_in_the_middle_of_a_round_after_the_tenth_takes_back_nothing_that_was_told() {
        let under_way = delivery(DeliveryState::Sending { lease: NOW.after(Duration::from_secs(30)) });
        let out = delivery(DeliveryState::Sent { receipt: Receipt::from("r1".to_owned()) });
        for strategy in [Strategy::Fallback, Strategy::Broadcast] {
            let next = |deliveries: &[Delivery], rounds| {
                let (patience, now) = (Duration::from_mins(5), NOW);
                Situation { strategy, patience, plan: &[], deliveries, unseen: &[], back: &[], rounds, now }.next()
            };
            assert_eq!(next(std::slice::from_ref(&under_way), 10), Next::Rest { exhausted: false });
            assert_eq!(next(std::slice::from_ref(&under_way), 11), Next::Rest { exhausted: true });
            assert_eq!(next(&[under_way.clone(), out.clone()], 11), Next::Rest { exhausted: false });
        }
    }
}
