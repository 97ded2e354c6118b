//! What a browser posts, or what stands in a form before anybody touched it: texts by the names of the form's fields.

use std::collections::BTreeMap;

use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, Registry},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::api::{body, schema};

/// The field that every rendered form has a random one of, by which a form that is sent twice is known.
pub(super) const FORM: &str = "form";
/// The field of the answer; those of a form's properties begin with it.
pub(super) const VALUE: &str = "value";
/// The field of what is said besides.
pub(super) const COMMENT: &str = "comment";

/// Texts by name, each name's in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Posted(BTreeMap<String, Vec<String>>);

/// The form of the answer page.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AnswerForm")]
#[expect(dead_code, reason = "it describes the body; the fields of a question's form are read by their names")]
struct Described {
    /// The hidden field of the form that was shown.
    #[schemars(length(min = 1))]
    form: String,
    /// An approval's `approved` or `rejected`; the positions of chosen options, from 0; an input's text. The fields of a
    /// form's properties are called `value.NAME`.
    #[serde(default)]
    value: String,
    /// What is said besides, at most 4,000 characters.
    #[serde(default)]
    #[schemars(length(max = 4000))]
    comment: String,
}

impl Posted {
    /// Reads a URL-encoded body. Browsers write every end of a line as CR LF; people and askers count it as one character.
    pub(super) fn read(body: &[u8]) -> Self {
        let mut posted = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            posted.add(&name, value.replace("\r\n", "\n"));
        }
        posted
    }

    pub(super) fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.entry(name.to_owned()).or_default().push(value.into());
    }

    /// The first text of a name; empty when there is none.
    pub(super) fn one(&self, name: &str) -> &str {
        self.all(name).first().map_or("", String::as_str)
    }

    /// Every text of a name.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every name with every text of it, in an order that is always the same.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(name, texts)| texts.iter().map(move |text| (name.as_str(), text.as_str())))
    }

    /// Whether nothing is said under a name.
    pub(super) fn is_blank(&self, name: &str) -> bool {
        self.all(name).iter().all(String::is_empty)
    }

    /// What is said besides the value, if anything is.
    pub(super) fn comment(&self) -> Option<String> {
        Some(self.one(COMMENT).trim()).filter(|comment| !comment.is_empty()).map(str::to_owned)
    }

    /// The texts under the value's names as they came, to be kept of an answer that is too late to be understood.
    pub(super) fn raw_value(&self) -> Value {
        let own = self.0.iter().filter(|(name, _)| !matches!(name.as_str(), FORM | COMMENT));
        let texts = own.map(|(name, texts)| (name.clone(), texts.iter().map(String::as_str).collect()));
        Value::Object(texts.collect::<Map<_, _>>())
    }
}

impl<'a> ApiExtractor<'a> for Posted {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        schema::register_body::<Described>(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: body::FORM, schema: schema::reference::<Described>() }];
        Some(MetaRequest { description: Some("The form that the page shows."), content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self::read(&body::read(request, body, body::FORM).await?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_may_stand_several_times_and_lines_end_as_people_count_them() {
        let posted = Posted::read(b"form=f1&value=0&value=2&comment=+two%0D%0Alines+&value.na%C3%AFve=%F0%9F%A6%85&x");
        assert_eq!((posted.one(FORM), posted.one("x"), posted.one("y")), ("f1", "", ""));
        assert_eq!(posted.all(VALUE), ["0", "2"]);
        assert_eq!(posted.comment().as_deref(), Some("two\nlines"));
        assert_eq!(posted.one("value.naïve"), "🦅");
        assert!(posted.is_blank("x") && posted.is_blank("y") && !posted.is_blank(VALUE));
        assert_eq!(Posted::read(b"comment=%0D%0A+").comment(), None);
    }

    #[test]
    fn what_cannot_be_understood_can_be_kept() {
        let posted = Posted::read(b"form=f1&comment=c&value.n=twelve&value.t=0&value.t=1&value.x=%FF");
        let kept = json!({"value.n": ["twelve"], "value.t": ["0", "1"], "value.x": ["\u{fffd}"]});
        assert_eq!(posted.raw_value(), kept);
    }
}
