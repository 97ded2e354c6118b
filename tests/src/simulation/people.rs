//! Who is asked, and who only looks on.

use hearback_core::{
    channel::{Address, ChannelName},
    person::{Asker, Person, Preferences, TokenRef, UserRef},
    store::MemoryStore,
};

use super::provider::Provider;

/// The id of the agent's token.
pub const TOKEN: &str = "018f0000-0000-7000-8000-000000000001";

/// The people, of whom the last is never asked.
const NAMES: [&str; 4] = ["ana", "ben", "dora", "cleo"];

/// Somebody with their addresses.
#[derive(Clone, Debug)]
pub struct Known {
    /// Who.
    pub user: UserRef,
    /// Where, by channel.
    pub addresses: Vec<(ChannelName, Address)>,
}

/// Everybody, added to the store. Ana is on every channel, ben on all but the first that needs an address, dora only
/// where an account is enough.
pub fn add(store: &MemoryStore, providers: &[std::sync::Arc<Provider>]) -> Vec<Known> {
    let user = |(index, name): (usize, &&str)| {
        let id = format!("018f0000-0000-7000-8000-0000000000a{index}").parse().unwrap();
        UserRef { id, username: (*name).into() }
    };
    let known = |user: UserRef| {
        let at = |provider: &std::sync::Arc<Provider>| {
            let name = provider.name.clone();
            if provider.capabilities.account_addresses {
                return Some((name, user.id.to_string().parse().unwrap()));
            }
            let has = match user.username.as_str() {
                "ben" => name.as_str() != "chat",
                "dora" => false,
                _ => true,
            };
            let address = format!("{}@{name}", user.username).parse().unwrap();
            has.then_some((name, address))
        };
        let addresses: Vec<_> = providers.iter().filter_map(at).collect();
        let person = Person { user: user.clone(), preferences: Preferences::default(), addresses: addresses.clone() };
        store.add_person(person, None);
        Known { user, addresses }
    };
    NAMES.iter().enumerate().map(user).map(known).collect()
}

/// Who asks: an agent of the bystander's.
#[must_use]
pub fn asker(people: &[Known]) -> Asker {
    let token = TokenRef { id: TOKEN.parse().unwrap(), name: "ci".into() };
    Asker { user: people[3].user.clone(), token: Some(token) }
}
