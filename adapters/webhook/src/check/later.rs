//! The cases on what a plug-in posts.

use hearback_core::Timestamp;
use uuid::Uuid;

use super::{Caller, Report, cases::asked};
use crate::{answer::What, settings::Declared};

/// A sending that was answered with 202, and the case that waits for its receipt.
#[derive(Debug)]
pub(super) struct Late {
    pub case: usize,
    pub delivery: Uuid,
    pub due: Timestamp,
}

/// Waits for the receipts of what was answered with 202: of all of it at the same time.
pub(super) async fn receipts(caller: &Caller, report: &mut Report, late: Vec<Late>) {
    for Late { case, delivery, due } in late {
        let outcome = if caller.listener.receives(delivery, due).await {
            Ok("202, and its receipt came".into())
        } else {
            Err(format!(
                "it was answered with 202, and no signed `receipt` came to {} within {} s",
                caller.options.callback_url,
                caller.options.timeout.as_secs()
            ))
        };
        report.end(case, outcome);
    }
}

/// Waits for a person to answer, where somebody is to.
pub(super) async fn answers(caller: &Caller, report: &mut Report, declared: &Declared) {
    let (answer, seen) = ("a person's answer comes", "`delivered` or `read` comes");
    let Some(patience) = caller.options.answer else {
        if declared.inbound {
            report.leave_out("inbound", "nobody was to answer; --answer SECONDS waits for somebody who does");
        }
        if declared.receipts {
            report.leave_out("receipts", "nobody was to look; --answer SECONDS waits for somebody who does");
        }
        return;
    };
    let due = caller.clock.now().after(patience);
    let (inbound, receipts) = (declared.inbound, declared.receipts);
    let all = move |heard: &super::listener::Heard| {
        (heard.answered.is_some() || !inbound) && (heard.is_acknowledged() || !receipts)
    };
    caller.listener.until(due, all).await;
    let none = |what: &str| format!("no {what} of what was sent came within {} s", patience.as_secs());
    if inbound {
        let kind = caller.listener.look(|heard| heard.answered);
        report.note(answer, kind.map(|kind| format!("as `{kind}`")).ok_or_else(|| none("`response` or `text`")));
    } else {
        report.skip(answer, "it does not declare inbound");
    }
    if receipts {
        let is_acknowledged = caller.listener.look(super::listener::Heard::is_acknowledged);
        report.note(seen, if is_acknowledged { Ok(String::new()) } else { Err(none("`delivered` or `read`")) });
    } else {
        report.skip(seen, "it does not declare receipts");
    }
}

/// What can be said of all that came: whether it was as it must be, and whether it comes again when it was not taken.
pub(super) async fn events(caller: &Caller, report: &mut Report) {
    let (good, again) = ("every event is signed, and as documented", "an event that is answered with 503 comes again");
    if caller.listener.look(|heard| heard.first.is_none() && heard.faults.is_empty()) {
        report.skip(good, "it posted nothing");
        return report.skip(again, "it posted nothing");
    }
    if caller.listener.look(|heard| heard.first.is_some()) {
        let due = caller.clock.now().after(caller.options.timeout);
        let came = caller.listener.until(due, |heard| heard.first.as_ref().is_some_and(|first| first.again)).await;
        let lacking = "it did not come again with its webhook-id and a right signature";
        report.note(again, if came { Ok(String::new()) } else { Err(lacking.into()) });
    } else {
        report.skip(again, "nothing that it posted was taken");
    }
    let faults = caller.listener.look(|heard| heard.faults.join("; "));
    // It repeats what came.
    let faults = asked(caller, What::Send).clean(&faults);
    report.note(good, if faults.is_empty() { Ok(String::new()) } else { Err(faults) });
}
