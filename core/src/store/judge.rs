//! The rule of the first valid answer, in one place for every store.

use super::{Candidate, Standing};
use crate::feedback::{Ending, Outcome, Request, Response, Source, Verdict};

/// What becomes of a candidate, and of its request.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, where it is not accepted.
    pub reason: Option<String>,
    /// The ending that this gives the request, if it gives one.
    pub ending: Option<Ending>,
}

impl Judgement {
    /// The response that a candidate becomes by it.
    #[must_use]
    pub fn response(&self, candidate: &Candidate) -> Response {
        let Candidate { id, request_id, by, channel, value, comment, at, .. } = candidate.clone();
        Response { id, request_id, by, channel, value, comment, verdict: self.verdict, reason: self.reason.clone(), at }
    }
}

/// Judges a candidate against the request as it is under the write lock.
///
/// Who is not asked is refused, whatever the request's state. After the end everything is late, also when the deadline
/// has passed and nobody has noted it yet: then the request expires here. Of what is left, the first valid one wins.
#[must_use]
pub fn judge(request: &Request, candidate: &Candidate) -> Judgement {
    let not = |verdict, reason| Judgement { verdict, reason: Some(reason), ending: None };
    if let Standing::Refused(reason) = &candidate.standing {
        return not(Verdict::Refused, reason.clone());
    }
    if let Some(ending) = request.ending() {
        return not(Verdict::Late, ending.sentence());
    }
    if candidate.at >= request.expires_at {
        let ending = request.expiry();
        return Judgement { ending: Some(ending.clone()), ..not(Verdict::Late, ending.sentence()) };
    }
    match &candidate.standing {
        Standing::Invalid(reason) => not(Verdict::Invalid, reason.clone()),
        _ => Judgement {
            verdict: Verdict::Accepted,
            reason: None,
            ending: Some(Ending::Answered(Outcome {
                value: candidate.value.clone(),
                comment: candidate.comment.clone(),
                by: candidate.by.clone(),
                channel: Some(candidate.channel.clone()),
                at: candidate.at,
                source: Source::Person,
            })),
        },
    }
}
