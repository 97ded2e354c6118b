//! What a channel declares, it does; what it does not declare is refused.

use std::time::Duration;

use hearback_core::{
    Clock, ErrorKind, Result, Retry,
    channel::{Capabilities, Content},
};

use super::{Applies, Harness, Outcome, Proof, Suite, bench::CODE, inbound::answered};

/// The abilities that the hub calls for. The list takes the capabilities apart, so that a new one must be placed here.
const fn called_for(capabilities: Capabilities) -> [(&'static str, bool); 2] {
    let Capabilities {
        edit,
        threads,
        // What asks nothing has a case of its own, and so have answers, which come in.
        messages: _,
        inbound: _,
        // So do these, and no fake tells them: the adapters' own tests say what becomes of one.
        receipts: _,
        // These say how people use what arrives: nothing is called and nothing comes, so there is nothing to refuse.
        buttons: _,
        forms: _,
        account_addresses: _,
        // The hub alone compares addresses.
        email_addresses: _,
        // A link has a case of its own.
        links: _,
        // This says what an unknown end means, which the faults are about.
        idempotent_send: _,
        // These are limits, with cases of their own; the layers keep the rate.
        text_max: _,
        choices_max: _,
        send_rate: _,
        address_rate: _,
    } = capabilities;
    [("edit", edit), ("threads", threads)]
}

/// Nobody is called for what the capabilities do not name.
pub async fn every_undeclared_ability_is_unsupported<H: Harness>(suite: &Suite<H>) {
    let bench = suite.open().await;
    let first = bench.approval().await;
    let receipt = bench.send(&first).await.expect("sent");
    for (ability, declared) in called_for(suite.variant) {
        if declared {
            suite.applies::<()>(ability, Applies::No("every variant declares it"));
            continue;
        }
        suite.checks(ability);
        let mut below = bench.approval().await;
        below.thread = Some(receipt.clone());
        let reached = bench.reached();
        let result =
            if ability == "edit" { bench.settle(&first, &receipt).await } else { bench.send(&below).await.map(drop) };
        let refused = |result: Result<()>, whose: &str| {
            let error = result.expect_err("an undeclared ability is refused");
            let expected = (ErrorKind::Unsupported, Retry::Never);
            assert_eq!((error.kind(), error.retry()), expected, "{ability}, undeclared, by {whose}: {error}");
            assert_eq!(bench.reached(), reached, "{ability}, undeclared, by {whose}: nobody is called");
        };
        refused(result, "the layers");
        if ability == "edit" {
            // The guard's answer hides the channel's own, which says what the channel takes itself to be able to do.
            refused(bench.settle_below(&first, &receipt).await, "the channel itself");
        }
    }
}

/// Nobody answers where `inbound` is not declared: what comes all the same, however well it is proven, is refused and not
/// stored. Otherwise what the configuration declares would be no limit.
pub async fn an_undeclared_answer_is_not_taken<H: Harness>(suite: &Suite<H>) {
    if suite.applies("inbound", H::inbound()).is_none() {
        return;
    }
    let declared = if suite.variant.inbound { Applies::No("every variant declares it") } else { Applies::Yes(()) };
    if suite.applies("an undeclared `inbound`", declared).is_none() {
        return;
    }
    let (bench, inbox, event) = answered(suite).await;
    let _listening = bench.listen(inbox.clone());
    let heard = bench.inject(inbox.clone(), &event, Proof::Good).await;
    assert_eq!(heard.outcome, Outcome::Refused, "an undeclared answer is refused: {heard:?}");
    assert_eq!(inbox.asked(), 0, "an undeclared answer is refused before the inbox is asked");
}

/// What is declared goes well, and settling what is settled already does no harm: the hub may tell it twice.
pub async fn every_declared_ability_works<H: Harness>(suite: &Suite<H>) {
    let bench = suite.open().await;
    suite.checks("sending");
    let first = bench.approval().await;
    let receipt = bench.send(&first).await.expect("a question is sent");
    assert!(!receipt.as_str().is_empty(), "a receipt names what was sent");
    assert_eq!(bench.harness.arrived().len(), 1, "one sending is one message");
    if suite.declares("threads", suite.variant.threads) {
        let mut below = bench.approval().await;
        below.thread = Some(receipt.clone());
        let second = bench.send(&below).await.expect("a message is sent below another");
        assert_ne!(second, receipt, "every message has a receipt of its own");
    }
    if suite.declares("edit", suite.variant.edit) {
        let messages = bench.harness.arrived().len();
        bench.settle(&first, &receipt).await.expect("what was sent is settled");
        let again = bench.settle(&first, &receipt).await;
        let gone = again.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        assert!(again.is_ok() || gone, "settling twice does no harm: {again:?}");
        assert_eq!(bench.harness.arrived().len(), messages, "settling edits: it sends no message");
    }
    assert_eq!(*bench.channel.capabilities(), suite.variant, "capabilities never change");
}

/// A message, a notice and a code are sent like a question, or are [`ErrorKind::Unsupported`] altogether.
pub async fn other_contents_are_sent_or_unsupported<H: Harness>(suite: &Suite<H>) {
    let bench = suite.open().await;
    // So that somebody is there where presence counts.
    bench.send(&bench.approval().await).await.expect("sent");
    let expires_at = bench.clock.now().after(Duration::from_mins(10));
    for (name, content) in [
        ("a message", Content::Message { text: "The build is green.".into() }),
        ("a notice", Content::Notice { text: "This question is closed.".into() }),
        ("a code", Content::Code { code: CODE.into(), expires_at }),
    ] {
        let messages = bench.harness.arrived().len();
        let reached = bench.reached();
        let sent = bench.send(&bench.other(content)).await;
        suite.checks(name);
        if suite.variant.messages {
            sent.unwrap_or_else(|error| panic!("{name} is declared: {error}"));
            assert_eq!(bench.harness.arrived().len(), messages + 1, "{name} arrives once");
        } else {
            let error = sent.expect_err("what is not declared is refused");
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error}");
            assert_eq!(bench.reached(), reached, "{name}, undeclared: nobody is called");
        }
    }
}

/// What people open to link their account brings the code back that it was made with.
pub async fn a_link_carries_its_code_or_is_unsupported<H: Harness>(suite: &Suite<H>) {
    let bench = suite.open().await;
    let reached = bench.reached();
    let linked = bench.channel.link(&CODE.into()).await;
    suite.checks("a link");
    if suite.variant.links {
        let link = linked.unwrap_or_else(|error| panic!("links are declared: {error}"));
        assert!(link.starts_with("https://") && link.contains(CODE), "a link carries its code: {link}");
    } else {
        let error = linked.expect_err("what is not declared is refused");
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unsupported, Retry::Never), "{error}");
        assert_eq!(bench.reached(), reached, "a link, undeclared: nobody is called");
    }
}
