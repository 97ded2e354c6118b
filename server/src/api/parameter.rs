//! Query parameters whose values are a small set, so that a wrong one is told the right ones.

use std::borrow::Cow;

use hearback_core::feedback::Status;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};

macro_rules! parameter {
    ($name:ident, $parse:expr, $expected:literal, $schema:expr) => {
        impl Type for $name {
            const IS_REQUIRED: bool = true;

            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromParameter for $name {
            fn parse_from_parameter(value: &str) -> ParseResult<Self> {
                let parse: fn(&str) -> Option<Self> = $parse;
                parse(value).ok_or_else(|| ParseError::custom($expected))
            }
        }
    };
}

/// `as`: in which part the caller sees its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// What the caller asked.
    Asker,
    /// What the caller is asked.
    Asked,
}

parameter!(
    As,
    |text| match text {
        "asker" => Some(As::Asker),
        "asked" => Some(As::Asked),
        _ => None,
    },
    "expected asker or asked",
    MetaSchema { enum_items: vec!["asker".into(), "asked".into()], ..MetaSchema::new("string") }
);

/// `status`: only requests that stand so.
#[derive(Clone, Copy, Debug)]
pub struct OfStatus(pub Status);

parameter!(
    OfStatus,
    |text| Status::ALL.into_iter().find(|status| status.as_str() == text).map(OfStatus),
    "expected pending, answered, expired or cancelled",
    MetaSchema {
        enum_items: Status::ALL.into_iter().map(|status| status.as_str().into()).collect(),
        ..MetaSchema::new("string")
    }
);

/// `wait`: for how many seconds to wait for the ending, 0 to 60.
#[derive(Clone, Copy, Debug)]
pub struct Wait(pub u64);

/// The longest wait, in seconds.
const WAIT_MAX: u64 = 60;

parameter!(
    Wait,
    |text| text.parse().ok().filter(|seconds| *seconds <= WAIT_MAX).map(Wait),
    "expected a whole number of seconds from 0 to 60",
    MetaSchema { minimum: Some(0.0), maximum: Some(60.0), default: Some(0.into()), ..MetaSchema::new("integer") }
);
