//! How values of options are read.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How fast simulated time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PaceChoice {
    /// As fast as real time.
    Real,
    /// So many simulated seconds per real second.
    Compressed(f64),
    /// From event to event, without waiting.
    Jump,
}

/// The longest id of an infrastructure or a request; ids become tags at providers,
/// and the shortest limit among clouds is 63 letters.
const ID_BYTES_MAX: usize = 63;

/// The longest time that a duration may name: ten years, far from any overflow.
const DURATION_SECONDS_MAX: i64 = 10 * 366 * 24 * 3600;

/// The fastest compression: a year of simulated time in five minutes.
const PACE_MAX: f64 = 100_000.0;

/// Reads an id: letters, digits, `-`, `_`, `.`.
pub(crate) fn parse_id(text: &str) -> Result<String, String> {
    let is_fine =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if let Some(letter) = text.chars().find(|letter| !is_fine(*letter)) {
        return Err(format!(
            "`{}` is not allowed; use letters, digits, `-`, `_` and `.`",
            letter.escape_debug()
        ));
    }
    if !text.starts_with(|letter: char| letter.is_ascii_alphanumeric()) {
        return Err("it has to begin with a letter or a digit".to_owned());
    }
    if text.len() > ID_BYTES_MAX {
        return Err(format!(
            "it has {} characters, {ID_BYTES_MAX} are allowed",
            text.len()
        ));
    }
    Ok(text.to_owned())
}

/// Reads an amount of memory such as `500MB` or `4GiB`; a bare number is bytes.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("", 1),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ];
    let wrong = || "write an amount such as `500MB` or `4GiB`".to_owned();
    let digits = text.len()
        - text
            .trim_start_matches(|letter: char| letter.is_ascii_digit())
            .len();
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit.trim());
    let (_, factor) = unit.ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number
        .checked_mul(*factor)
        .ok_or_else(|| "it is more than any machine has".to_owned())
}

/// Reads a duration such as `90s`, `5m` or `1h30m`; a bare number is seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a duration such as `90s`, `5m` or `1h30m`".to_owned();
    let span = match text.parse::<i64>() {
        Ok(seconds) if seconds.unsigned_abs() <= DURATION_SECONDS_MAX.unsigned_abs() => {
            jiff::SignedDuration::from_secs(seconds)
        }
        Ok(_) => return Err("it is longer than ten years".to_owned()),
        Err(_) => text.parse::<jiff::SignedDuration>().map_err(|_| wrong())?,
    };
    if span.as_secs() > DURATION_SECONDS_MAX {
        return Err("it is longer than ten years".to_owned());
    }
    Duration::try_from(span).map_err(|_| "it must not be negative".to_owned())
}

/// Reads a pace: `real`, `jump` or a number of simulated seconds per second.
pub(crate) fn parse_pace(text: &str) -> Result<PaceChoice, String> {
    match text {
        "real" => Ok(PaceChoice::Real),
        "jump" => Ok(PaceChoice::Jump),
        _ => match text.strip_suffix('x').unwrap_or(text).parse::<f64>() {
            Ok(factor) if factor.is_finite() && factor > 0.0 && factor <= PACE_MAX => {
                Ok(PaceChoice::Compressed(factor))
            }
            Ok(_) => Err(format!(
                "the factor has to be above 0 and at most {PACE_MAX}"
            )),
            Err(_) => Err("write `real`, `jump` or a number such as `60`".to_owned()),
        },
    }
}

/// Reads a port: a number from 1 to 65535.
pub(crate) fn parse_port(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err("a port is a number from 1 to 65535".to_owned()),
    }
}

/// Reads where to listen: a port of the loopback address, or an address and a port.
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => text
            .parse()
            .map_err(|_| "write a port such as `8080`, or `127.0.0.1:8080`".to_owned()),
    }
}

/// Reads the path of a URL, with its query; a missing slash in front is added.
pub(crate) fn parse_path(text: &str) -> Result<String, String> {
    if let Some(letter) = text
        .chars()
        .find(|letter| !letter.is_ascii_graphic() || matches!(letter, '"' | '<' | '>' | '`' | '\\'))
    {
        return Err(format!(
            "`{}` is not allowed in a URL; write it as `%` and its code",
            letter.escape_default()
        ));
    }
    Ok(if text.starts_with('/') {
        text.to_owned()
    } else {
        format!("/{text}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("5m", 300),
            ("1h30m", 5400),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "soon",
            "-5s",
            "-5",
            "5 parsecs",
            "99999999999h",
            "99999999999999999999",
            "1e9",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_of_memory_are_read() {
        assert_eq!(parse_bytes("1024"), Ok(1024));
        assert_eq!(parse_bytes("4GiB"), Ok(4 << 30));
        assert_eq!(parse_bytes("500 MB"), Ok(500_000_000));
        for text in ["", "GiB", "-1", "1.5GiB", "1 parsec", "99999999999TiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paces_are_read() {
        assert_eq!(parse_pace("real"), Ok(PaceChoice::Real));
        assert_eq!(parse_pace("jump"), Ok(PaceChoice::Jump));
        assert_eq!(parse_pace("2.5"), Ok(PaceChoice::Compressed(2.5)));
        assert_eq!(parse_pace("60x"), Ok(PaceChoice::Compressed(60.0)));
        for text in ["0", "-1", "NaN", "inf", "1e9", "", "fast", "x"] {
            assert!(parse_pace(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_are_short_and_harmless() {
        for good in ["a", "demo-1", "A.b_c", "7"] {
            assert_eq!(parse_id(good).as_deref(), Ok(good));
        }
        for bad in ["", "-a", "../x", "a b", "é", &"x".repeat(64)] {
            assert!(parse_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_and_places_to_listen_are_read() {
        assert_eq!(parse_port("8080"), Ok(8080));
        for text in ["0", "65536", "-1", "http", "", " 80"] {
            assert!(parse_port(text).is_err(), "{text}");
        }
        let address = |text: &str| parse_listen(text).map(|address| address.to_string());
        assert_eq!(address("8080").as_deref(), Ok("127.0.0.1:8080"));
        assert_eq!(address("0.0.0.0:80").as_deref(), Ok("0.0.0.0:80"));
        assert_eq!(address("[::1]:80").as_deref(), Ok("[::1]:80"));
        for text in ["", "localhost", "70000", "127.0.0.1", "1.2.3.4:x"] {
            assert!(parse_listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_those_of_urls() {
        assert_eq!(parse_path("/a?b=c&d#e").as_deref(), Ok("/a?b=c&d#e"));
        assert_eq!(parse_path("a").as_deref(), Ok("/a"));
        assert_eq!(parse_path("").as_deref(), Ok("/"));
        for text in ["/a b", "/\n", "/ä", "/\"", "/\u{1b}[2J"] {
            assert!(parse_path(text).is_err(), "{text}");
        }
    }
}
