//! What must not be printed.

/// A text that shows nothing in debug output and is wiped from memory when dropped.
pub use secrecy::{ExposeSecret, SecretString as Secret};
