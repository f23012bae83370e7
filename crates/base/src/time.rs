//! Points in time and spans of time, both in whole milliseconds.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// A span of time in milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span; used as "never".
    pub const MAX: Self = Self(u64::MAX);

    /// Returns a span of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Returns the span as fractional seconds.
    #[expect(
        clippy::cast_precision_loss,
        reason = "spans of more than 2^52 ms do not occur"
    )]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Returns the span multiplied by `factor`, saturating.
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Add for Millis {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// Prints a span as people write it: `850ms`, `4.2s`, `3m05s`, `2h03m`.
impl fmt::Display for Millis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        match self.0 {
            0..1_000 => write!(formatter, "{}ms", self.0),
            1_000..60_000 => write!(formatter, "{}.{}s", seconds, self.0 % 1000 / 100),
            60_000..3_600_000 => write!(formatter, "{}m{:02}s", seconds / 60, seconds % 60),
            _ => write!(formatter, "{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        }
    }
}

/// A point in time: milliseconds since the Unix epoch, or since the start of
/// a simulation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The Unix epoch.
    pub const ZERO: Self = Self(0);
    /// Later than every other point in time; used as "never".
    pub const MAX: Self = Self(i64::MAX);

    /// Returns the time that passed since `earlier`, zero if `earlier` lies ahead.
    pub fn since(self, earlier: Self) -> Millis {
        Millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Millis> for Timestamp {
    type Output = Self;
    fn add(self, span: Millis) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)),
        )
    }
}

impl AddAssign<Millis> for Timestamp {
    fn add_assign(&mut self, span: Millis) {
        *self = *self + span;
    }
}

impl Sub<Millis> for Timestamp {
    type Output = Self;
    fn sub(self, span: Millis) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print_as_people_write_them() {
        for (span, text) in [
            (0, "0ms"),
            (850, "850ms"),
            (4_250, "4.2s"),
            (185_000, "3m05s"),
            (7_380_000, "2h03m"),
        ] {
            assert_eq!(Millis(span).to_string(), text);
        }
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Timestamp::MAX + Millis(1), Timestamp::MAX);
        assert_eq!(Timestamp(5).since(Timestamp(9)), Millis::ZERO);
        assert_eq!(Timestamp(0) + Millis::MAX, Timestamp::MAX);
    }
}
