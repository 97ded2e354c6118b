//! Ends what hangs.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::select;

use super::{Call, Layer, Operation};
use crate::{
    clock::Clock,
    error::{Error, ErrorKind, Result},
};

#[derive(Debug)]
pub(super) struct Timeout {
    clock: Arc<dyn Clock>,
    span: Duration,
}

impl Timeout {
    pub(super) fn new(clock: Arc<dyn Clock>, span: Duration) -> Self {
        Self { clock, span }
    }
}

impl Layer for Timeout {
    async fn around<T: Send>(&self, call: Call<'_>, next: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let deadline = self.clock.now().after(self.span);
        select! {
            biased;
            result = next => result,
            () = self.clock.sleep_until(deadline) => Err(overdue(call, self.span)),
        }
    }
}

/// A send that hangs may have left: whether it did is unknown, unless sending twice shows once.
fn overdue(call: Call<'_>, span: Duration) -> Error {
    let fault = |kind| Error::new(kind, call.operation.as_str(), format!("no answer within {} s", span.as_secs()));
    match call.operation {
        Operation::Send if call.channel.capabilities().idempotent_send => fault(ErrorKind::Unavailable).in_doubt(),
        Operation::Send => fault(ErrorKind::Ambiguous),
        _ => fault(ErrorKind::Unavailable),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;
    use crate::{
        channel::{Capabilities, MemoryChannel},
        layer::tests::{address, notice, surrounded},
    };

    #[tokio::test]
    async fn a_hang_is_ambiguous_unless_sending_twice_is_harmless() {
        for (idempotent_send, kind) in [(false, ErrorKind::Ambiguous), (true, ErrorKind::Unavailable)] {
            let all = surrounded(Capabilities { idempotent_send, ..MemoryChannel::CAPABILITIES });
            all.below.hang_next();
            let (to, what) = (address(), notice("?"));
            let mut send = all.channel.send(&to, &what);
            assert!(poll!(&mut send).is_pending());
            all.clock.advance(Duration::from_secs(10));
            let error = send.await.unwrap_err();
            assert_eq!((error.kind(), error.is_in_doubt()), (kind, true));
        }
    }
}
