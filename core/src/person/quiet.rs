//! Quiet hours: from one time of day to another in a person's time zone, day after day.

use std::{fmt, str::FromStr};

use jiff::{
    civil::Date,
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{channel::NameError, clock::Timestamp};

/// A time zone, by its IANA name.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct Timezone(#[schemars(with = "String", regex(pattern = "^[A-Za-z][A-Za-z0-9_+/-]*$"))] TimeZone);

/// A time of day on somebody's clock, to the minute: `HH:MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(inline)]
pub struct TimeOfDay(#[schemars(with = "String", regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))] u16);

/// When only what is urgent is brought: from one time of day to another, over midnight where the end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct QuietHours {
    /// When they begin, on the person's clock.
    pub from: TimeOfDay,
    /// When they end: another time than `from`.
    pub to: TimeOfDay,
}

/// Quiet hours as they are given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    from: TimeOfDay,
    to: TimeOfDay,
}

impl<'de> Deserialize<'de> for QuietHours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Given { from, to } = Given::deserialize(deserializer)?;
        if from == to {
            return Err(de::Error::custom("`from` and `to` must differ; null means that no hours are quiet"));
        }
        Ok(Self { from, to })
    }
}

impl QuietHours {
    /// The end of those in which a moment lies, if it does; without a time zone by UTC.
    #[must_use]
    pub(super) fn end(self, zone: Option<&Timezone>, at: Timestamp) -> Option<Timestamp> {
        let zone = zone.map_or(TimeZone::UTC, |zone| zone.0.clone());
        let today = zone.to_datetime(jiff::Timestamp::from_microsecond(at.micros()).ok()?).date();
        [today.yesterday().ok(), Some(today)].into_iter().flatten().find_map(|day| {
            let last = if self.from < self.to { day } else { day.tomorrow().ok()? };
            let (from, to) = (self.from.on(day, &zone)?, self.to.on(last, &zone)?);
            (from <= at && at < to).then_some(to)
        })
    }
}

impl TimeOfDay {
    /// When the clocks show it on a day: for the first time, where they show it twice; and where they skip it, when they do.
    fn on(self, day: Date, zone: &TimeZone) -> Option<Timestamp> {
        let [hour, minute] = [self.0 / 60, self.0 % 60].map(i8::try_from);
        let moment = zone.to_ambiguous_timestamp(day.at(hour.ok()?, minute.ok()?, 0, 0));
        let earlier = moment.earlier().ok()?;
        let shown = match moment.offset() {
            AmbiguousOffset::Gap { .. } => zone.following(earlier).next()?.timestamp(),
            _ => earlier,
        };
        Some(Timestamp::from_micros(shown.as_microsecond()))
    }
}

impl FromStr for TimeOfDay {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = |text: &str| {
            let digits = Some(text).filter(|text| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|text| text.parse::<u16>().ok())
        };
        let time = text.split_once(':').and_then(|(hour, minute)| Some((read(hour)?, read(minute)?)));
        let time = time.filter(|(hour, minute)| *hour < 24 && *minute < 60);
        let fault = NameError("expected a time of day as HH:MM, from 00:00 to 23:59");
        time.map(|(hour, minute)| Self(hour * 60 + minute)).ok_or(fault)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl FromStr for Timezone {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The bundled tables, so that every server reads the same clock.
        let found = TimeZoneDatabase::bundled().get(text).ok().filter(|zone| !zone.is_unknown());
        let fault = NameError("expected the name of an IANA time zone, as \"Europe/Berlin\" or \"UTC\"");
        found.filter(|zone| zone.iana_name().is_some()).map(Self).ok_or(fault)
    }
}

impl fmt::Display for Timezone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}
as_text!(TimeOfDay, Timezone);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hours(from: &str, to: &str) -> QuietHours {
        serde_json::from_value(json!({"from": from, "to": to})).unwrap()
    }

    /// When those end in which a moment lies in Berlin.
    fn end(hours: QuietHours, at: &str) -> Option<String> {
        let zone = "Europe/Berlin".parse().unwrap();
        let at = serde_json::from_value(json!(at)).unwrap();
        hours.end(Some(&zone), at).map(|end| end.to_string().replace(".000000", ""))
    }

    #[track_caller]
    fn assert_end(hours: QuietHours, at: &str, expected: &str) {
        assert_eq!(end(hours, at).as_deref(), (!expected.is_empty()).then_some(expected), "{at}");
    }

    #[test]
    fn they_go_over_midnight_where_the_end_comes_first() {
        let night = hours("22:00", "07:00");
        assert_end(night, "2026-11-23T20:59:59.999999Z", "");
        for at in ["2026-11-23T21:00:00Z", "2026-11-23T23:30:00Z", "2026-11-24T05:59:59.999999Z"] {
            assert_end(night, at, "2026-11-24T06:00:00Z");
        }
        assert_end(night, "2026-11-24T06:00:00Z", "");
        let noon = hours("12:00", "13:30");
        assert_end(noon, "2026-11-23T10:59:00Z", "");
        assert_end(noon, "2026-11-23T11:00:00Z", "2026-11-23T12:30:00Z");
        assert_end(noon, "2026-11-23T12:30:00Z", "");
        let utc = night.end(None, serde_json::from_value(json!("2026-11-23T21:30:00Z")).unwrap());
        assert_eq!(utc, None, "without a time zone they are hours of UTC");
    }

    #[test]
    fn a_night_that_the_clocks_make_shorter_or_longer_ends_on_the_clock() {
        let night = hours("22:00", "07:00");
        // On 29 March 2026 two o'clock is three; on 25 October three o'clock is two again.
        assert_end(night, "2026-03-28T21:30:00Z", "2026-03-29T05:00:00Z");
        assert_end(night, "2026-10-24T20:30:00Z", "2026-10-25T06:00:00Z");
    }

    #[test]
    fn an_end_that_the_clocks_skip_is_when_they_do() {
        let night = hours("22:00", "02:30");
        for at in ["2026-03-28T21:00:00Z", "2026-03-29T00:59:59Z"] {
            assert_end(night, at, "2026-03-29T01:00:00Z");
        }
        assert_end(night, "2026-03-29T01:00:00Z", "");
        let begins = hours("02:30", "06:00");
        assert_end(begins, "2026-03-29T00:59:59Z", "");
        assert_end(begins, "2026-03-29T01:00:00Z", "2026-03-29T04:00:00Z");
        assert_end(hours("02:10", "02:50"), "2026-03-29T01:00:00Z", "");
    }

    #[test]
    fn a_time_that_the_clocks_show_twice_is_the_first() {
        let night = hours("22:00", "02:30");
        assert_end(night, "2026-10-25T00:29:00Z", "2026-10-25T00:30:00Z");
        for at in ["2026-10-25T00:30:00Z", "2026-10-25T01:10:00Z"] {
            assert_end(night, at, "");
        }
        assert_end(hours("02:30", "06:00"), "2026-10-25T01:10:00Z", "2026-10-25T05:00:00Z");
    }

    #[test]
    fn the_ends_of_time_are_not_quiet() {
        for micros in [i64::MIN, i64::MAX] {
            assert_eq!(hours("22:00", "07:00").end(None, Timestamp::from_micros(micros)), None);
        }
    }

    #[test]
    fn what_is_no_time_and_no_zone_is_refused_with_what_would_do() {
        for text in ["7:00", "24:00", "23:60", "2200", "22:00:00", "", "+1:00", "１２:00"] {
            assert!(text.parse::<TimeOfDay>().unwrap_err().to_string().contains("HH:MM"), "{text}");
        }
        for text in ["", "Berlin", "CEST", "+02:00", "Etc/Unknown", "EST5EDT,M3.2.0,M11.1.0", "../Europe/Berlin"] {
            assert!(text.parse::<Timezone>().unwrap_err().to_string().contains("Europe/Berlin"), "{text}");
        }
        for (text, name) in [("europe/berlin", "Europe/Berlin"), ("UTC", "UTC"), ("Asia/Kathmandu", "Asia/Kathmandu")] {
            assert_eq!(text.parse::<Timezone>().unwrap().to_string(), name);
        }
        let same = serde_json::from_value::<QuietHours>(json!({"from": "22:00", "to": "22:00"})).unwrap_err();
        assert!(same.to_string().contains("must differ"), "{same}");
        let night = hours("22:00", "07:05");
        assert_eq!(serde_json::to_value(night).unwrap(), json!({"from": "22:00", "to": "07:05"}));
    }
}
