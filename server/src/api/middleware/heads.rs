//! How large the head of a call may be. What is larger than the HTTP library takes, it refuses itself, without a body.

use poem::Request;

use crate::api::problem::{Problem, ProblemKind};

/// The longest target, a path with its query, in bytes.
const TARGET_MAX: usize = 8 * 1024;
/// The most that all headers may have together, in bytes, as lines.
const HEADERS_MAX: usize = 32 * 1024;
/// What a line has besides name and value: a colon, a space, its end.
const LINE: usize = 4;

/// Refuses a call whose head is too large.
///
/// # Errors
///
/// `uri_too_long` or `headers_too_large`.
pub(super) fn refuse_oversized(request: &Request) -> Result<(), Problem> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_MAX {
        return Err(Problem::new(ProblemKind::UriTooLong, "The path with its query is longer than 8 KiB."));
    }
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + LINE).sum();
    if headers > HEADERS_MAX {
        return Err(Problem::new(ProblemKind::HeadersTooLarge, "The headers are larger than 32 KiB together."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_at_the_limit_passes_and_one_byte_more_is_refused() {
        let kind = |target: usize, header: usize| {
            let request = Request::builder().uri(format!("/{}", "a".repeat(target - 1)).parse().unwrap());
            let request = request.header("x-long", "b".repeat(header)).finish();
            refuse_oversized(&request).err().map(|problem| problem.kind())
        };
        let fits = HEADERS_MAX - LINE - "x-long".len();
        assert_eq!(kind(TARGET_MAX, fits), None);
        assert_eq!(kind(TARGET_MAX + 1, 1), Some(ProblemKind::UriTooLong));
        assert_eq!(kind(1, fits + 1), Some(ProblemKind::HeadersTooLarge));
    }
}
