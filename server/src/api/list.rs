//! Lists: pages with opaque cursors.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hearback_core::error::FieldError;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::problem::Problem;

const LIMIT_MAX: usize = 100;
const LIMIT_DEFAULT: usize = 50;

/// The query parameter `limit`: how many items a page has at most, 1 to 100.
#[derive(Clone, Copy, Debug)]
pub struct Limit(usize);

impl Limit {
    /// The number that is asked for, or 50.
    #[must_use]
    pub fn or_default(limit: Option<Self>) -> usize {
        limit.map_or(LIMIT_DEFAULT, |limit| limit.0)
    }
}

impl Type for Limit {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "limit".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            minimum: Some(1.0),
            maximum: Some(100.0),
            default: Some(LIMIT_DEFAULT.into()),
            ..MetaSchema::new("integer")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromParameter for Limit {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        let number = value.parse().ok().filter(|number| (1..=LIMIT_MAX).contains(number));
        number.map(Self).ok_or_else(|| ParseError::custom("expected a whole number from 1 to 100"))
    }
}

/// The cursor of a list: the id of the last item of the page before. Each list takes its own cursors only.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    list: &'static str,
}

impl Cursor {
    /// The cursors of the list that is called `list`.
    #[must_use]
    pub const fn of(list: &'static str) -> Self {
        Self { list }
    }

    /// The id in the query parameter `cursor`.
    ///
    /// # Errors
    ///
    /// `malformed`, naming `cursor`, when this list never gave it.
    pub fn read<I: From<Uuid>>(self, cursor: Option<&str>) -> Result<Option<I>, Problem> {
        let Some(cursor) = cursor else { return Ok(None) };
        let id = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| {
            let id = bytes.strip_prefix(self.list.as_bytes())?.strip_prefix(b":")?;
            Uuid::from_slice(id).ok()
        });
        let id = id.ok_or_else(|| {
            let fault = FieldError::new("cursor", "expected the `next_cursor` of a page of this list, or none");
            Problem::malformed("`cursor` is not one that this list gave.").with_errors(vec![fault])
        })?;
        Ok(Some(id.into()))
    }

    /// The cursor after the item with this id.
    #[must_use]
    pub fn after(self, id: Uuid) -> String {
        let mut bytes = self.list.as_bytes().to_vec();
        bytes.push(b':');
        bytes.extend_from_slice(id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The page with `items`, of which the last has the id that `id` tells, followed by more items or not.
    pub fn page<T>(self, items: Vec<T>, more: bool, id: impl FnOnce(&T) -> Uuid) -> Page<T> {
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|last| self.after(id(last)));
        Page { items, next_cursor }
    }
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The `cursor` of the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use hearback_core::id::TokenId;

    use super::*;

    #[test]
    fn a_cursor_leads_on_in_its_own_list_only() {
        let id = Uuid::from_u128(7);
        let cursor = Cursor::of("tokens").page(vec![id], true, |id| *id).next_cursor.unwrap();
        assert_eq!(Cursor::of("tokens").read::<TokenId>(Some(&cursor)).unwrap(), Some(id.into()));
        for wrong in [cursor.as_str(), "", "zzz", "=", "%00"] {
            let problem = Cursor::of("feedback").read::<TokenId>(Some(wrong)).unwrap_err();
            assert_eq!(problem.errors()[0].field, "cursor");
        }
        assert_eq!(Cursor::of("tokens").page(vec![id], false, |id| *id).next_cursor, None);
    }

    #[test]
    fn a_limit_is_one_to_a_hundred() {
        assert_eq!(Limit::or_default(Limit::parse_from_parameter("100").ok()), 100);
        assert_eq!(Limit::or_default(None), 50);
        for wrong in ["0", "101", "-1", "", "a", "1.5", "99999999999999999999"] {
            assert!(Limit::parse_from_parameter(wrong).is_err(), "{wrong}");
        }
    }
}
