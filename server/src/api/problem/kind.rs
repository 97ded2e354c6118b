//! The kinds of problems: the table of `docs/contract/README.md`.

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $code:literal, $status:literal, $title:literal;)*) => {
        /// What kind of problem it is: one for each row of the table in `docs/contract/README.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ProblemKind {
            $($(#[$doc])* $name,)*
        }

        impl ProblemKind {
            /// Every kind, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The last part of its `type`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// A few words for people; the same for every problem of the kind.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

kinds! {
    /// The body is not JSON, or a path, query or header cannot be read.
    Malformed, "malformed", 400, "The request cannot be read";
    /// No, a malformed, an expired or a foreign token; a wrong password.
    Unauthenticated, "unauthenticated", 401, "Not signed in";
    /// The caller may not do this.
    Forbidden, "forbidden", 403, "Not allowed";
    /// The call came from a page of an unknown origin, or without its CSRF token.
    Origin, "origin", 403, "Unknown origin";
    /// Nobody may register.
    RegistrationClosed, "registration_closed", 403, "Registration is closed";
    /// No such path or object, or it is not the caller's.
    NotFound, "not_found", 404, "Not found";
    /// The path does not take this method.
    MethodNotAllowed, "method_not_allowed", 405, "Method not allowed";
    /// Somebody else answered first.
    Late, "late", 409, "Already answered";
    /// The asker took the question back.
    Cancelled, "cancelled", 409, "Cancelled";
    /// A request that is no longer pending cannot be cancelled.
    Ended, "ended", 409, "Already over";
    /// The e-mail, username or address belongs to another account.
    Taken, "taken", 409, "Already taken";
    /// The first call with this idempotency key has not answered yet.
    IdempotencyRunning, "idempotency_running", 409, "Still running";
    /// The deadline has passed, or the code is good no more.
    Expired, "expired", 410, "Expired";
    /// The log does not reach back to where a stream is to go on.
    CursorExpired, "cursor_expired", 410, "The cursor is too old";
    /// The body is above the limit.
    TooLarge, "too_large", 413, "Too large";
    /// The path with its query is above the limit.
    UriTooLong, "uri_too_long", 414, "Address too long";
    /// The body is of a content type that is not read here.
    UnsupportedMediaType, "unsupported_media_type", 415, "Content type not read";
    /// A field is unknown, missing, of the wrong type or out of range.
    Invalid, "invalid", 422, "Invalid";
    /// The idempotency key was used with another body.
    IdempotencyMismatch, "idempotency_mismatch", 422, "Key used before";
    /// A limit is reached.
    TooManyRequests, "too_many_requests", 429, "Too many requests";
    /// The headers are above the limit.
    HeadersTooLarge, "headers_too_large", 431, "Headers too large";
    /// A fault of the hub.
    Internal, "internal", 500, "Fault of the hub";
    /// The channel did not take what was to be sent.
    Undeliverable, "undeliverable", 502, "Not sent";
    /// The hub is stopping, or its database does not answer.
    Unavailable, "unavailable", 503, "Not available";
}
