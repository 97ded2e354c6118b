//! What clients were told: the promises that the checks hold the hub to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use hearback_core::{
    callback::CallbackMessage,
    feedback::{Ending, Request, Response, Verdict},
    id::{CallbackId, DeliveryId, RequestId},
};
use tokio_util::sync::CancellationToken;

/// What the verdict of an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Accepted, or late.
    Valid,
    /// Invalid, or late.
    Invalid,
    /// Refused.
    Stranger,
}

impl Expected {
    /// Whether this verdict is a fair one.
    #[must_use]
    pub const fn allows(self, verdict: Verdict) -> bool {
        matches!(
            (self, verdict),
            (Self::Valid, Verdict::Accepted | Verdict::Late)
                | (Self::Invalid, Verdict::Invalid | Verdict::Late)
                | (Self::Stranger, Verdict::Refused)
        )
    }
}

/// A response as its sender heard of it.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The response.
    pub response: Response,
    /// The provider's id of the event.
    pub event: Option<String>,
    /// What its verdict may be.
    pub expected: Expected,
}

/// What clients were told.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Requests that were acknowledged.
    pub created: Mutex<Vec<Arc<Request>>>,
    /// The request of each idempotency key.
    pub keys: Mutex<BTreeMap<u64, RequestId>>,
    /// Responses that were acknowledged.
    pub heard: Mutex<Vec<Heard>>,
    /// Endings that anybody was shown.
    pub endings: Mutex<Vec<(RequestId, Ending)>>,
    /// Who still waits, and for what.
    pub waiting: Mutex<BTreeMap<u64, RequestId>>,
    /// What the agent was told at its URL.
    pub called_back: Mutex<Vec<(CallbackId, CallbackMessage)>>,
    /// Receipts that a server got, with what tells whether it has died since.
    pub receipts: Mutex<Vec<(DeliveryId, CancellationToken)>>,
}

impl Ledger {
    /// Whether a server that still lives, or stopped in good order, got a receipt for a delivery.
    #[must_use]
    pub fn has_receipt(&self, delivery: DeliveryId) -> bool {
        self.receipts.lock().unwrap().iter().any(|(id, died)| *id == delivery && !died.is_cancelled())
    }

    /// Notes how somebody saw a request.
    pub fn seen(&self, request: &Request) {
        if let Some(ending) = request.ending() {
            self.endings.lock().unwrap().push((request.id, ending.clone()));
        }
    }
}
