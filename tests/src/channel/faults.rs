//! What a provider's faults become.

use std::time::Duration;

use hearback_core::{
    Clock, Error, ErrorKind, Result, Retry,
    channel::{Content, Outbound},
    layer::Operation,
};

use super::{Applies, Bench, Fault, Harness, Suite};

/// What the fake says in `Retry-After`.
const RETRY_AFTER: Duration = Duration::from_secs(17);

const FAULTS: [Fault; 7] = [status(401), status(404), TOO_MANY, status(500), Fault::Hang, Fault::Cut, Fault::Echo];
const TOO_MANY: Fault = Fault::Status { status: 429, retry_after: Some(RETRY_AFTER) };

const fn status(status: u16) -> Fault {
    Fault::Status { status, retry_after: None }
}

/// The credentials are wrong: there is no use in trying again, and the breaker counts it.
pub async fn a_401_is_auth<H: Harness>(suite: &Suite<H>) {
    for operation in [Operation::Send, Operation::Settle, Operation::Probe] {
        if let Some(error) = noted(suite, operation, status(401)).await {
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Auth, Retry::Never), "{error}");
            assert!(error.is_illness(), "{error}");
        }
    }
}

/// The address or the message is gone, which says nothing about the service. What a probe looks at always exists, so a
/// 404 for it is a matter of the adapter's.
pub async fn a_404_is_not_found<H: Harness>(suite: &Suite<H>) {
    for operation in [Operation::Send, Operation::Settle] {
        if let Some(error) = noted(suite, operation, status(404)).await {
            assert_eq!((error.kind(), error.retry()), (ErrorKind::NotFound, Retry::Never), "{error}");
            assert!(!error.is_illness(), "{error}");
        }
    }
}

/// The provider's word on when to come back is kept.
pub async fn a_429_is_rate_limited_until_the_provider_says<H: Harness>(suite: &Suite<H>) {
    for operation in [Operation::Send, Operation::Settle, Operation::Probe] {
        if let Some(error) = noted(suite, operation, TOO_MANY).await {
            assert_eq!((error.kind(), error.retry()), (ErrorKind::RateLimited, Retry::After(RETRY_AFTER)), "{error}");
            assert!(!error.is_illness(), "{error}");
        }
    }
}

/// The service is ill and said so: it did not take what was sent.
pub async fn a_500_is_unavailable<H: Harness>(suite: &Suite<H>) {
    for operation in [Operation::Send, Operation::Settle, Operation::Probe] {
        if let Some(error) = noted(suite, operation, status(500)).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert_ne!(error.retry(), Retry::Never, "{error}");
        }
    }
}

/// A call without an answer ends by the clock. Whether it was sent is unknown: it is ambiguous, unless sending twice shows
/// it once, and in doubt in any case.
pub async fn a_hang_ends_and_is_ambiguous_unless_sending_twice_is_harmless<H: Harness>(suite: &Suite<H>) {
    unknown_end(suite, Fault::Hang).await;
}

/// The same of a connection that is cut after the provider took the call.
pub async fn a_cut_connection_is_ambiguous_unless_sending_twice_is_harmless<H: Harness>(suite: &Suite<H>) {
    unknown_end(suite, Fault::Cut).await;
}

async fn unknown_end<H: Harness>(suite: &Suite<H>, cause: Fault) {
    for operation in [Operation::Send, Operation::Settle, Operation::Probe] {
        let twice_is_harmless = operation != Operation::Send || suite.variant.idempotent_send;
        let kind = if twice_is_harmless { ErrorKind::Unavailable } else { ErrorKind::Ambiguous };
        if let Some(error) = noted(suite, operation, cause).await {
            assert_eq!(error.kind(), kind, "{operation:?}: {error}");
            assert_ne!(error.retry(), Retry::Never, "{operation:?}: {error}");
            if operation == Operation::Send && suite.applies("doubt", H::doubt()).is_some() {
                assert!(error.is_in_doubt(), "{operation:?}: {error}");
            }
        }
    }
}

/// No error of a bench's holds a secret, in any case: every one is searched. This case makes all of them, also with a
/// code that confirms an address, and prints why where there are no credentials to look for.
pub async fn no_error_text_holds_a_secret<H: Harness>(suite: &Suite<H>) {
    let secrets = suite.open().await.harness.secrets();
    suite.applies("credentials", secrets);
    for cause in FAULTS {
        for operation in [Operation::Send, Operation::Settle, Operation::Probe] {
            // What does not apply is said by the case of this fault.
            let _ = fault(suite, operation, cause).await;
        }
        let bench = suite.open().await;
        let Applies::Yes(()) = bench.script(Operation::Send, cause) else { continue };
        let expires_at = bench.clock.now().after(Duration::from_mins(10));
        let code = bench.other(Content::Code { code: super::bench::CODE.into(), expires_at });
        let error = bench.through(cause, bench.send(&code)).await.expect_err("a fault fails the call");
        let taken =
            if error.kind() == ErrorKind::Unsupported { Applies::No("it takes no codes") } else { Applies::Yes(()) };
        suite.applies("a code", taken);
    }
}

/// The same as [`fault`], which is noted where it cannot happen.
async fn noted<H: Harness>(suite: &Suite<H>, operation: Operation, cause: Fault) -> Option<Error> {
    suite.applies(operation.as_str(), fault(suite, operation, cause).await)
}

/// What one call that comes to a fault fails with. It is made once, and the next one after it goes well.
async fn fault<H: Harness>(suite: &Suite<H>, operation: Operation, cause: Fault) -> Applies<Error> {
    if operation == Operation::Settle && !suite.variant.edit {
        return Applies::No("no variant declares `edit`");
    }
    let bench = suite.open().await;
    let settled = if operation == Operation::Settle {
        let sent = bench.approval().await;
        let receipt = bench.send(&sent).await.expect("sent while all is well");
        Some((sent, receipt))
    } else {
        None
    };
    if let Applies::No(reason) = bench.script(operation, cause) {
        return Applies::No(reason);
    }
    let sending = if operation == Operation::Send { Some(bench.approval().await) } else { None };
    let before = bench.harness.calls();
    let call = async {
        match (&settled, &sending) {
            (Some((sent, receipt)), _) => bench.settle(sent, receipt).await,
            (_, Some(sending)) => bench.send(sending).await.map(drop),
            _ => bench.probe().await,
        }
    };
    let error = bench.through(cause, call).await.expect_err("a fault fails the call");
    if let (Applies::Yes(before), Applies::Yes(after)) = (before, bench.harness.calls()) {
        assert_eq!(after - before, 1, "{operation:?}: a channel calls once and never tries again by itself");
    }
    well_again(&bench, settled.as_ref().map(|(sent, _)| sent)).await.expect("the call after a fault goes well");
    Applies::Yes(error)
}

async fn well_again<H: Harness>(bench: &Bench<H>, settled: Option<&Outbound>) -> Result<()> {
    bench.probe().await?;
    let next = bench.approval().await;
    let receipt = bench.send(&next).await?;
    if settled.is_some() { bench.settle(&next, &receipt).await } else { Ok(()) }
}
