//! Writes time stamps as Python does after it read them.

use std::borrow::Cow;

use jiff::ToSpan as _;
use jiff::civil::DateTime;

/// Returns a date as it is, and a time stamp as Python writes it: in UTC, with
/// a space before the time and without the zone.
pub(super) fn iso_format(text: &str) -> Cow<'_, str> {
    match read(text) {
        Some(time) => Cow::Owned(written(time)),
        None => Cow::Borrowed(text),
    }
}

fn written(time: DateTime) -> String {
    let seconds = time.strftime("%Y-%m-%d %H:%M:%S");
    match time.subsec_nanosecond() / 1000 {
        0 => seconds.to_string(),
        micros => format!("{seconds}.{micros:06}"),
    }
}

/// Reads a time stamp; none if it is a date only, or does not exist.
fn read(text: &str) -> Option<DateTime> {
    let (date, time) = text.split_once(['T', 't', ' ', '\t'])?;
    let mut date = date.split('-').map(str::parse::<i16>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let time = time.trim_start();
    let clock_end = time
        .find(|letter: char| !letter.is_ascii_digit() && !matches!(letter, ':' | '.'))
        .unwrap_or(time.len());
    let (clock, zone) = time.split_at(clock_end);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.split(':').map(str::parse::<i8>);
    let (hour, minute, second) = (
        clock.next()?.ok()?,
        clock.next()?.ok()?,
        clock.next()?.ok()?,
    );
    let local = DateTime::new(
        year,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
        hour,
        minute,
        second,
        microseconds(fraction) * 1000,
    );
    local
        .ok()?
        .checked_sub(offset_minutes(zone.trim())?.minutes())
        .ok()
}

/// Reads the digits behind the point, rounded at the sixth.
fn microseconds(fraction: &str) -> i32 {
    let digit = |at: usize| {
        let byte = fraction.as_bytes().get(at);
        byte.map_or(0, |byte| byte.saturating_sub(b'0').min(9))
    };
    let six: i32 = (0..6).fold(0, |sum, at| sum * 10 + i32::from(digit(at)));
    (six + i32::from(digit(6) > 4)).min(999_999)
}

fn offset_minutes(zone: &str) -> Option<i64> {
    let (sign, zone) = match zone.as_bytes().first() {
        None | Some(b'Z') => return Some(0),
        Some(b'-') => (-1, &zone[1..]),
        Some(b'+') => (1, &zone[1..]),
        Some(_) => return None,
    };
    let (hours, minutes) = zone.split_once(':').unwrap_or((zone, "0"));
    Some(sign * (hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_are_those_of_python() {
        for (text, wanted) in [
            ("2001-12-14", "2001-12-14"),
            ("2001-12-14t21:59:43.10-05:00", "2001-12-15 02:59:43.100000"),
            ("2001-12-14 21:59:43", "2001-12-14 21:59:43"),
            ("2001-12-15T02:59:43.1Z", "2001-12-15 02:59:43.100000"),
            ("2001-12-14 21:59:43 +1", "2001-12-14 20:59:43"),
            ("2001-13-14 21:59:43", "2001-13-14 21:59:43"),
        ] {
            assert_eq!(iso_format(text), wanted);
        }
    }
}
