//! The log grows old.

use super::*;
use crate::event::{BadCursor, EventId, EventKind};

#[tokio::test]
async fn old_events_are_removed_within_an_hour_of_their_time() {
    let world = World::plain();
    let request = world.ask(json!({"to": ["ana"], "expires_in": 60})).await;
    world.pass(Duration::from_mins(1)).await;
    // More than are removed at once.
    for _ in 0..2500 {
        world.answer(&request, 0, json!("approved")).await;
    }
    let read = async |after| world.store.request_events(request.id, after, 1).await.unwrap();
    let oldest = async || read(None).await.unwrap()[0].kind;
    world.pass(RETENTION.checked_sub(Duration::from_mins(2)).unwrap()).await;
    assert_eq!(oldest().await, EventKind::Created);
    let newest = world.answer(&request, 0, json!("approved")).await.recorded.response.id;
    world.pass(Duration::from_hours(1) + Duration::from_mins(2)).await;
    assert_eq!(oldest().await, EventKind::Response(newest));
    assert!(matches!(read(Some(EventId(1))).await, Err(BadCursor::Expired)));
}
