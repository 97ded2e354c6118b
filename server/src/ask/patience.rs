//! How long a call that fails is tried again.

use std::{future::Future, time::Duration};

use hearback_core::{
    Clock,
    clock::SystemClock,
    feedback::{Draft, RequestDocument, Status},
    id::RequestId,
};
use tokio::time::{Instant, sleep};

use super::{
    client::{Answer, Client, Fault, HOLD},
    progress::Progress,
};

/// How long a hub that cannot be asked is tried again.
const ASKING: Duration = Duration::from_mins(1);
/// How long past the deadline, and past the first failure, a hub that cannot be heard is tried again.
const HEARING: Duration = Duration::from_secs(30);
/// The shortest pause, which doubles.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How long a call may have been held open before it is cut.
const HELD_AT_MOST: Duration = Duration::from_secs(HOLD);
/// A hub that holds a call open takes longer than this; one that does not must not be asked without end.
const HELD: Duration = Duration::from_secs(1);

/// Puts the question; the key makes sure that it is put once, however often it is sent.
pub(super) async fn create(client: &Client, draft: &Draft, key: &str, progress: &Progress) -> Result<Answer, String> {
    let give_up = Instant::now() + ASKING;
    again(|| client.create(draft, key), progress, |pause| Instant::now() + pause <= give_up).await
}

/// Reads a request that was put before.
pub(super) async fn find(client: &Client, id: RequestId, progress: &Progress) -> Result<Answer, String> {
    let give_up = Instant::now() + ASKING;
    again(|| client.read(id), progress, |pause| Instant::now() + pause <= give_up).await
}

/// Waits until the request is over, through cuts and restarts of the hub.
pub(super) async fn ending(client: &Client, request: &RequestDocument, progress: &Progress) -> Result<Answer, String> {
    loop {
        let began = Instant::now();
        let left = || request.expires_at.after(HEARING).since(SystemClock.now());
        let answer =
            again(|| client.wait(request.id), progress, |pause| patient(left(), began.elapsed() + pause)).await?;
        if answer.request.status != Status::Pending {
            return Ok(answer);
        }
        sleep(HELD.saturating_sub(began.elapsed())).await;
    }
}

/// Whether a hub that cannot be heard is tried again, with `left` of the deadline and its grace, `silent` after it was
/// last heard. The clocks of hub and caller may differ, so that the caller's alone never ends the patience.
fn patient(left: Duration, silent: Duration) -> bool {
    !left.is_zero() || silent <= HELD_AT_MOST + HEARING
}

/// Repeats `call` while its faults may pass and `patient` allows the pause.
async fn again<F: Future<Output = Result<Answer, Fault>>>(
    call: impl Fn() -> F,
    progress: &Progress,
    patient: impl Fn(Duration) -> bool,
) -> Result<Answer, String> {
    let mut pause = PAUSE_MIN;
    let mut told = None;
    loop {
        let (detail, after) = match call().await {
            Ok(answer) => return Ok(answer),
            Err(Fault::Lasting(detail)) => return Err(detail),
            Err(Fault::Passing { detail, after }) => (detail, after),
        };
        // Half of it is random, so that callers cut off together do not come back together.
        let next = after.unwrap_or_else(|| pause.mul_f64(0.5 + rand::random::<f64>() / 2.0));
        if !patient(next) {
            return Err(detail);
        }
        if told.as_ref() != Some(&detail) {
            progress.note(format_args!("{detail}\ntrying again…"));
            told = Some(detail);
        }
        sleep(next).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_hub_is_tried_until_the_deadline_has_passed_and_the_silence_is_long() {
        let seconds = Duration::from_secs;
        assert!(patient(seconds(1), seconds(9_000)));
        assert!(patient(seconds(0), seconds(60)));
        assert!(!patient(seconds(0), seconds(61)));
    }
}
