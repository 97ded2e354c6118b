//! Keeps which sends have got as far as the channel: what a layer above still holds back has not left.

use std::{collections::HashMap, future::Future, sync::Arc};

use parking_lot::Mutex;
use uuid::Uuid;

use super::{Call, Layer, Operation};
use crate::error::Result;

/// The sends that somebody watches, by the id of what is sent: whether the channel itself has been called.
#[derive(Debug, Default)]
pub struct Begun(Mutex<HashMap<Uuid, bool>>);

impl Begun {
    /// From now on a send of this is watched, until it is taken.
    pub fn watch(&self, id: Uuid) {
        self.0.lock().insert(id, false);
    }

    /// Whether a send of this has called the channel since it is watched; of what is not, that is to be assumed. It is watched
    /// no more.
    #[must_use]
    pub fn take(&self, id: Uuid) -> bool {
        self.0.lock().remove(&id).unwrap_or(true)
    }
}

/// Lies innermost.
#[derive(Debug)]
pub(super) struct BegunLayer(pub(super) Arc<Begun>);

impl Layer for BegunLayer {
    async fn around<T: Send>(&self, call: Call<'_>, next: impl Future<Output = Result<T>> + Send) -> Result<T> {
        if let (Operation::Send, Some((_, what))) = (call.operation, call.sending)
            && let Some(begun) = self.0.0.lock().get_mut(&what.id)
        {
            *begun = true;
        }
        next.await
    }
}
