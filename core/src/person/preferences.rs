//! How a person likes to be reached.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::quiet::{QuietHours, Timezone};
use crate::{
    channel::{ChannelName, NameError},
    clock::Timestamp,
    feedback::Request,
};

/// The longest language tag, in bytes: what BCP 47 asks everybody to have room for.
const LOCALE_MAX: usize = 35;

/// How a person likes to be reached. What they leave out is as at first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "PreferencesDraft")]
pub struct Preferences {
    /// The names of channels, best first: questions go to these alone, in this order. Empty for the hub's own order.
    pub channels: Vec<ChannelName>,
    /// The language that the hub writes in, as a BCP 47 tag, as `de` or `pt-BR`; `null` for the hub's own.
    pub locale: Option<Locale>,
    /// The IANA name of the time zone of the quiet hours, as `Europe/Berlin`; `null` for UTC.
    pub timezone: Option<Timezone>,
    /// When only what is urgent is brought; `null` for never.
    pub quiet_hours: Option<QuietHours>,
}

impl Preferences {
    /// The end of the quiet hours in which a moment lies, if it does.
    #[must_use]
    pub fn quiet_until(&self, at: Timestamp) -> Option<Timestamp> {
        self.quiet_hours?.end(self.timezone.as_ref(), at)
    }

    /// When a request that could be brought at a moment is: then, or at the end of the quiet hours in which it lies. What
    /// is urgent does not wait for that, nor what would be over by then.
    #[must_use]
    pub fn due(&self, request: &Request, at: Timestamp) -> Timestamp {
        let end = self.quiet_until(at).filter(|end| !request.terms.urgent && *end < request.expires_at);
        end.unwrap_or(at)
    }

    /// When a delivery is due that was to be made at `due`, now that these preferences follow the `former` ones: what
    /// waited for the end of former quiet hours waits for it no more.
    #[must_use]
    pub fn due_instead(&self, former: &Self, request: &Request, due: Timestamp, now: Timestamp) -> Timestamp {
        let waited = former.quiet_until(Timestamp::from_micros(due.micros() - 1)) == Some(due);
        self.due(request, if waited { now } else { due })
    }
}

/// A language, as a BCP 47 tag in its usual letters: `de`, `pt-BR`, `zh-Hant`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Locale(
    #[schemars(length(min = 2, max = 35), regex(pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"))] String,
);

impl Locale {
    /// The tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Locale {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = NameError("expected a language as a BCP 47 tag, as \"de\", \"pt-BR\" or \"zh-Hant\"");
        let found = Some(text).filter(|text| text.len() <= LOCALE_MAX && !text.contains('_'));
        let found = found.and_then(|text| text.parse::<icu_locale_core::Locale>().ok());
        found.filter(|found| !found.id.language.is_unknown()).map(|found| Self(found.to_string())).ok_or(fault)
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Locale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{
        event::EventId,
        feedback::{Draft, RequestState},
        person::{Asker, UserRef},
    };

    const HOUR: Duration = Duration::from_hours(1);

    fn at(text: &str) -> Timestamp {
        serde_json::from_value(json!(text)).unwrap()
    }

    fn quiet(from: &str, to: &str) -> Preferences {
        serde_json::from_value(json!({"timezone": "Europe/Berlin", "quiet_hours": {"from": from, "to": to}})).unwrap()
    }

    fn request(urgent: bool, expires_at: Timestamp) -> Request {
        let draft = json!({"kind": "approval", "prompt": "Deploy?", "to": ["ana"], "urgent": urgent});
        let draft = serde_json::from_value::<Draft>(draft).unwrap().check().unwrap();
        let ana = UserRef { id: uuid::Uuid::from_u128(1).into(), username: "ana".into() };
        Request {
            id: uuid::Uuid::from_u128(2).into(),
            asker: Asker { user: ana.clone(), token: None },
            terms: draft.terms(vec![ana]),
            created_at: at("2026-11-23T20:00:00Z"),
            expires_at,
            created_event: EventId::default(),
            state: RequestState::Pending,
        }
    }

    #[test]
    fn what_is_not_urgent_waits_for_the_end_of_the_quiet_hours_unless_it_would_be_over() {
        let (night, morning) = (at("2026-11-23T23:00:00Z"), at("2026-11-24T06:00:00Z"));
        let quiet = quiet("22:00", "07:00");
        let evening = at("2026-11-23T20:00:00Z");
        for (urgent, expires_at, from, due) in [
            (false, morning.after(HOUR), night, morning),
            (false, morning.after(HOUR), evening, evening),
            (true, morning.after(HOUR), night, night),
            (false, morning, night, night),
            (false, morning.before(HOUR), night, night),
        ] {
            assert_eq!(quiet.due(&request(urgent, expires_at), from), due, "{urgent} {expires_at} {from}");
        }
        assert_eq!(Preferences::default().due(&request(false, morning.after(HOUR)), night), night, "never quiet");
    }

    #[test]
    fn what_waited_for_former_quiet_hours_goes_by_the_new_ones() {
        let (night, morning) = (at("2026-11-23T23:00:00Z"), at("2026-11-24T06:00:00Z"));
        let (former, request) = (quiet("22:00", "07:00"), request(false, morning.after(HOUR * 48)));
        let now = night.after(HOUR);
        let instead = |new: &Preferences, due| new.due_instead(&former, &request, due, now);
        assert_eq!(instead(&Preferences::default(), morning), now, "at once");
        assert_eq!(instead(&quiet("22:00", "08:00"), morning), morning.after(HOUR));
        // A try that waits for something else keeps its time, unless it falls into the new quiet hours.
        let later = now.after(HOUR);
        assert_eq!(instead(&Preferences::default(), later), later);
        assert_eq!(instead(&quiet("23:00", "08:00"), later), morning.after(HOUR));
    }

    #[test]
    fn a_language_is_a_tag_in_its_usual_letters() {
        for (text, tag) in
            [("de", "de"), ("pt-br", "pt-BR"), ("ZH-hant-tw", "zh-Hant-TW"), ("de-u-co-phonebk", "de-u-co-phonebk")]
        {
            assert_eq!(text.parse::<Locale>().unwrap().as_str(), tag);
        }
        for text in [
            "",
            "deutsch-",
            "de_AT",
            "Deutsch, bitte",
            "und",
            "d",
            "de-AT\u{7}",
            &format!("de-x{}", "-abcdefgh".repeat(4)),
        ] {
            let fault = text.parse::<Locale>().unwrap_err();
            assert!(fault.to_string().contains("BCP 47"), "{text:?}: {fault}");
        }
    }
}
