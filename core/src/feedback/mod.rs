//! Feedback: the question put to people, and what becomes of it.
//!
//! [`Draft`] is what an asker sends; checked, it becomes the [`Terms`] of a [`Request`], which never change. A
//! [`Response`] is a candidate answer with its verdict; the accepted one makes the [`Outcome`]. A [`Delivery`] carries
//! the request to one person over one channel.

mod delivery;
mod draft;
mod ending;
mod form;
mod question;
mod request;
mod response;

pub use delivery::{Attempt, Delivery, DeliveryDocument, DeliveryState, DeliveryStatus, IN_DOUBT};
pub use draft::{Draft, DraftStep, PROMPT_MAX};
pub use ending::{Ending, Outcome, Source};
pub use question::{ChoiceOption, INPUT_MAX, Kind, Question};
pub use request::{AskerDocument, Request, RequestDocument, RequestState, RouteStep, Status, Strategy, Terms};
pub use response::{COMMENT_MAX, Response, Verdict};
