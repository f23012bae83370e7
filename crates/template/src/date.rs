//! Dates and time stamps, printed as Python's `datetime` module does.

use std::fmt;

/// A calendar date, with a time of day if the text had one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: u32,
    pub(crate) month: u32,
    pub(crate) day: u32,
    time: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Time {
    hour: u32,
    minute: u32,
    second: u32,
    microsecond: u32,
    /// The offset from UTC as the text had it, in the form `+01:00`.
    zone: String,
}

impl Date {
    /// Reads a date in ISO 8601 form as YAML allows it; anything else is `None`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (date, rest) = match text.find(['T', 't', ' ', '\t']) {
            Some(at) => (&text[..at], text[at + 1..].trim_start()),
            None => (text, ""),
        };
        let mut parts = date.splitn(3, '-');
        let (year, month, day) = (
            number(parts.next()?)?,
            number(parts.next()?)?,
            number(parts.next()?)?,
        );
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let time = if rest.is_empty() {
            None
        } else {
            Some(Time::parse(rest)?)
        };
        Some(Self {
            year,
            month,
            day,
            time,
        })
    }

    /// Returns Python's `repr()` of the date.
    pub(crate) fn repr(&self) -> String {
        let Self {
            year,
            month,
            day,
            time,
        } = self;
        match time {
            None => format!("datetime.date({year}, {month}, {day})"),
            Some(Time {
                hour,
                minute,
                second,
                microsecond,
                ..
            }) => {
                // Python leaves out what is zero at the end.
                let tail = match (second, microsecond) {
                    (0, 0) => String::new(),
                    (_, 0) => format!(", {second}"),
                    _ => format!(", {second}, {microsecond}"),
                };
                format!("datetime.datetime({year}, {month}, {day}, {hour}, {minute}{tail})")
            }
        }
    }
}

impl Time {
    fn parse(text: &str) -> Option<Self> {
        let zone_at = text.find(['Z', 'z', '+', '-', ' ']).unwrap_or(text.len());
        let (clock, zone) = (&text[..zone_at], text[zone_at..].trim());
        let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let mut parts = whole.splitn(3, ':');
        let (hour, minute, second) = (
            number(parts.next()?)?,
            number(parts.next()?)?,
            number(parts.next()?)?,
        );
        let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
        let microsecond = number(&digits)?;
        let zone = if zone.eq_ignore_ascii_case("z") {
            "+00:00".to_owned()
        } else {
            zone.to_owned()
        };
        Some(Self {
            hour,
            minute,
            second,
            microsecond,
            zone,
        })
    }
}

fn number(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:04}-{:02}-{:02}",
            self.year, self.month, self.day
        )?;
        if let Some(time) = &self.time {
            write!(
                formatter,
                " {:02}:{:02}:{:02}",
                time.hour, time.minute, time.second
            )?;
            if time.microsecond > 0 {
                write!(formatter, ".{:06}", time.microsecond)?;
            }
            formatter.write_str(&time.zone)?;
        }
        Ok(())
    }
}
