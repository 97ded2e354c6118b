//! Where the agent is called back.

use std::sync::Arc;

use async_trait::async_trait;
use hearback_core::callback::{Callback, CallbackCaller, CallbackMessage, NotTaken};

use super::{gate::Life, world::World};

/// The URL at which the agent wants to hear.
pub const URL: &str = "https://agent.example/hook";

/// One server's way to the agent.
#[derive(Debug)]
pub struct Caller(Arc<Life>);

impl Caller {
    /// The way of the server with this life.
    #[must_use]
    pub fn new(life: Arc<Life>) -> Self {
        Self(life)
    }
}

fn takes(world: &World, callback: &Callback, message: &CallbackMessage) {
    world.note(format_args!("the agent takes {} {}: {}", callback.id, callback.kind.as_str(), callback.request_id));
    world.ledger.called_back.lock().unwrap().push((callback.id, message.clone()));
}

#[async_trait]
impl CallbackCaller for Caller {
    async fn call(&self, callback: &Callback, message: &CallbackMessage) -> Result<(), NotTaken> {
        self.0.lives().await;
        let world = &self.0.world;
        self.0.pause().await;
        let again = |error: &str| Err(NotTaken::Again { error: error.into(), after: None });
        if world.fault(world.rough.channel_fault) {
            match world.chance.below(4) {
                0 => return again("the receiver is ill"),
                1 => std::future::pending::<()>().await,
                2 => {
                    takes(world, callback, message);
                    return again("the connection was cut");
                }
                _ => {
                    takes(world, callback, message);
                    std::future::pending::<()>().await;
                }
            }
        }
        takes(world, callback, message);
        self.0.pause().await;
        Ok(())
    }
}
