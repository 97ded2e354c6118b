//! Where a person is reached: the ordered channels that a request tries.

use super::Channels;
use crate::{
    channel::{Address, ChannelName},
    feedback::{Strategy, Terms},
    person::Person,
};

/// The hub's own order of kinds, for people who have set none.
const DEFAULT_ORDER: [&str; 5] = ["websocket", "slack", "gmail", "telegram", "mqtt"];

/// The route for `person`: what the asker named, else the person's preference, else the hub's order; of that, the steps
/// at which the person has an address. May be empty: the request is still answerable on the page and over the API.
pub(super) fn plan(terms: &Terms, person: &Person, channels: &Channels) -> Vec<(ChannelName, Address)> {
    if !terms.channels.is_empty() {
        let steps = terms.channels.iter();
        let at = |address: &Option<Address>, name| address.clone().or_else(|| address_of(person, name, channels));
        return steps.filter_map(|step| Some((step.channel.clone(), at(&step.address, &step.channel)?))).collect();
    }
    let order: Vec<ChannelName> = if person.preference.is_empty() {
        let of_kind = |kind: &'static str| channels.iter().filter(move |running| running.kind() == kind);
        DEFAULT_ORDER.into_iter().flat_map(of_kind).map(|running| running.channel().name().clone()).collect()
    } else {
        person.preference.clone()
    };
    order.into_iter().filter_map(|name| address_of(person, &name, channels).map(|address| (name, address))).collect()
}

/// The steps that begin at once.
pub(super) fn first(route: Vec<(ChannelName, Address)>, strategy: Strategy) -> Vec<(ChannelName, Address)> {
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
