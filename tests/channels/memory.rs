//! The channel in memory. It has no provider: its faults are scripted by their kinds, so that the suite checks what the
//! layers make of them.

use std::sync::Arc;

use async_trait::async_trait;
use hearback_core::{
    Error, ErrorKind, Retry,
    channel::{Address, Capabilities, Channel, Inbox, MemoryChannel, SendRate},
    clock::ManualClock,
    feedback::Request,
    layer::Operation,
    person::UserRef,
};
use hearback_tests::channel::{Applies, Event, Fault, Harness, Heard, Proof, bench::channel_name};

const NO_INBOUND: &str = "who tests with this channel gives answers to the hub themselves";

#[derive(Debug)]
struct Memory(Arc<MemoryChannel>);

#[async_trait]
impl Harness for Memory {
    const KIND: &'static str = "memory";

    fn variants() -> Vec<Capabilities> {
        let all = MemoryChannel::CAPABILITIES;
        let rate = SendRate { per_second: 1, burst: 1 };
        let narrow = Capabilities {
            text_max: Some(40),
            choices_max: Some(3),
            send_rate: Some(rate),
            edit: false,
            threads: false,
            messages: false,
            ..all
        };
        vec![all, narrow, Capabilities { idempotent_send: true, links: true, ..all }]
    }

    fn inbound() -> Applies {
        Applies::No(NO_INBOUND)
    }

    fn event_ids() -> Applies {
        Applies::No(NO_INBOUND)
    }

    fn signatures() -> Applies {
        Applies::No(NO_INBOUND)
    }

    fn doubt() -> Applies {
        Applies::Yes(())
    }

    async fn open(capabilities: Capabilities, _: Arc<ManualClock>) -> Self {
        Self(Arc::new(MemoryChannel::new(channel_name(), capabilities)))
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.0.clone()
    }

    fn address(&self, user: &UserRef) -> Address {
        user.username.parse().unwrap()
    }

    fn secrets(&self) -> Applies<Vec<String>> {
        Applies::No("there is nobody to prove itself to")
    }

    async fn put(&self, request: Request) -> Arc<Request> {
        Arc::new(request)
    }

    fn script(&self, operation: Operation, fault: Fault) -> Applies {
        if operation == Operation::Probe {
            return Applies::No("a probe fails until it is told not to, in whatever way the test names");
        }
        if fault == Fault::Echo {
            return Applies::No("there is nobody who could repeat anything");
        }
        let idempotent = self.0.capabilities().idempotent_send || operation == Operation::Settle;
        let (kind, retry) = match fault {
            Fault::Hang => {
                self.0.hang_next();
                return Applies::Yes(());
            }
            Fault::Cut if idempotent => (ErrorKind::Unavailable, None),
            Fault::Cut => (ErrorKind::Ambiguous, None),
            Fault::Status { status: 401, .. } => (ErrorKind::Auth, None),
            Fault::Status { status: 404, .. } => (ErrorKind::NotFound, None),
            Fault::Status { status: 429, retry_after } => (ErrorKind::RateLimited, retry_after),
            Fault::Status { .. } | Fault::Echo => (ErrorKind::Unavailable, None),
        };
        let mut error = Error::new(kind, "memory.send", "as scripted");
        if fault == Fault::Cut && operation == Operation::Send {
            error = error.in_doubt();
        }
        self.0.fail_next(match retry {
            Some(after) => error.with_retry(Retry::After(after)),
            None => error,
        });
        Applies::Yes(())
    }

    async fn hanging(&self) {
        // A call hangs as soon as it is polled.
    }

    fn arrived(&self) -> Vec<String> {
        self.0.sent().iter().map(|sent| sent.what.text().to_owned()).collect()
    }

    fn calls(&self) -> Applies<usize> {
        Applies::No("there is nobody to call")
    }

    async fn inject(&self, _: &Arc<dyn Channel>, _: Arc<dyn Inbox>, _: &Event, _: Proof) -> Heard {
        unreachable!("{NO_INBOUND}")
    }
}

hearback_tests::channel_conformance!(Memory);
