//! People who are not connected: who leaves, who comes back, and what their routes make of it.

use super::*;
use crate::channel::SendRate;

#[tokio::test]
async fn who_is_away_everywhere_is_tried_everywhere_and_gets_it_where_they_come_back() {
    let world = World::two();
    for channel in &world.all {
        channel.set_connected(&address("ana"), false);
    }
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Skipped, Skipped]).await;
    assert_eq!(world.delivery_of(&request, 0).await.state.reason(), Some("not connected"));
    world.pass(Duration::from_hours(2)).await;
    assert_eq!(world.statuses(&request).await, [Skipped, Skipped]);
    world.all[1].set_connected(&address("ana"), true);
    let connected = Inbound::Connected {
        channel: world.all[1].name().clone(),
        address: address("ana"),
        connection: Connection::Here,
    };
    world.hub.accept(connected).await.unwrap();
    world.until(&request, &[Skipped, Sent]).await;
}

#[tokio::test]
async fn who_disconnects_for_ten_seconds_without_an_answer_is_asked_on_the_next_channel() {
    let world = World::two();
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Sent]).await;
    let name = world.channel.name().clone();
    let left =
        || Inbound::Disconnected { channel: name.clone(), address: address("ana"), connection: Connection::Here };
    // A page that is loaded again.
    world.channel.set_connected(&address("ana"), false);
    world.hub.accept(left()).await.unwrap();
    world.pass(Duration::from_secs(5)).await;
    world.channel.set_connected(&address("ana"), true);
    world
        .hub
        .accept(Inbound::Connected { channel: name.clone(), address: address("ana"), connection: Connection::Here })
        .await
        .unwrap();
    world.pass(Duration::from_mins(1)).await;
    assert_eq!(world.statuses(&request).await, [Sent]);
    // And one that is closed.
    world.channel.set_connected(&address("ana"), false);
    world.hub.accept(left()).await.unwrap();
    world.pass(Duration::from_secs(9)).await;
    assert_eq!(world.statuses(&request).await, [Sent]);
    world.pass(Duration::from_secs(1)).await;
    world.until(&request, &[Sent, Sent]).await;
}

#[tokio::test]
async fn a_short_absence_after_a_long_one_counts_from_its_own_begin() {
    let world = World::two();
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Sent]).await;
    let name = world.channel.name().clone();
    for _ in 0..3 {
        world.channel.set_connected(&address("ana"), false);
        world
            .hub
            .accept(Inbound::Disconnected {
                channel: name.clone(),
                address: address("ana"),
                connection: Connection::Here,
            })
            .await
            .unwrap();
        world.pass(Duration::from_secs(9)).await;
        assert_eq!(world.statuses(&request).await, [Sent]);
        world.channel.set_connected(&address("ana"), true);
        world
            .hub
            .accept(Inbound::Connected { channel: name.clone(), address: address("ana"), connection: Connection::Here })
            .await
            .unwrap();
        world.calm().await;
    }
}

#[tokio::test]
async fn who_is_back_without_a_word_of_it_is_asked_after_the_next_start() {
    let mut world = World::plain();
    world.channel.set_connected(&address("ana"), false);
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Skipped]).await;
    world.channel.set_connected(&address("ana"), true);
    let all = world.all.clone();
    world.restart(Duration::from_secs(1), &all).await;
    world.pass(Duration::from_secs(10)).await;
    world.until(&request, &[Sent]).await;
}

#[tokio::test]
async fn who_leaves_while_they_are_being_sent_something_is_asked_on_the_next_channel_too() {
    let slow = Capabilities { send_rate: Some(SendRate { per_second: 1, burst: 1 }), ..MemoryChannel::CAPABILITIES };
    let world = World::with(&[("first", slow), ("second", MemoryChannel::CAPABILITIES)]);
    let before = world.ask_ana(json!({})).await;
    world.until(&before, &[Sent]).await;
    let request = world.ask_ana(json!({})).await;
    world.calm().await;
    world.until(&request, &[Sending]).await;
    world.channel.set_connected(&address("ana"), false);
    let gone = Inbound::Disconnected {
        channel: world.channel.name().clone(),
        address: address("ana"),
        connection: Connection::Here,
    };
    world.hub.accept(gone).await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    world.until(&request, &[Sent]).await;
    world.pass(Duration::from_secs(10)).await;
    world.until(&request, &[Sent, Sent]).await;
}

#[tokio::test]
async fn a_restart_gives_everybody_the_time_to_connect_again() {
    let mut world = World::two();
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Sent]).await;
    // The hub closes every socket as it stops.
    world.channel.set_connected(&address("ana"), false);
    let gone = Inbound::Disconnected {
        channel: world.channel.name().clone(),
        address: address("ana"),
        connection: Connection::Here,
    };
    world.hub.accept(gone).await.unwrap();
    let all = world.all.clone();
    world.restart(Duration::from_secs(12), &all).await;
    world.pass(Duration::from_secs(9)).await;
    assert_eq!(world.statuses(&request).await, [Sent]);
    world.pass(Duration::from_secs(1)).await;
    world.until(&request, &[Sent, Sent]).await;
}
