//! Natural numbers without an upper bound, as far as counting needs them.
//!
//! A few nodes have more runs than 128 bits can count. Only sums, products
//! with a factor and quotients by one are needed, and decimal digits; a library
//! for all of arithmetic would be four crates.

use std::fmt::{self, Write};

/// Digits are grouped by nine, so that printing needs no division.
const GROUP: u64 = 1_000_000_000;

/// A natural number. It is printed in decimal digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Natural {
    /// Groups of nine digits, the lowest first, the highest not zero.
    groups: Vec<u32>,
}

impl Natural {
    /// Adds another number.
    pub fn add(&mut self, other: &Self) {
        if self.groups.len() < other.groups.len() {
            self.groups.resize(other.groups.len(), 0);
        }
        let mut carry = 0;
        for (place, group) in self.groups.iter_mut().enumerate() {
            let more = other.groups.get(place).copied().unwrap_or(0);
            let sum = u64::from(*group) + u64::from(more) + carry;
            *group = low(sum % GROUP);
            carry = sum / GROUP;
        }
        self.push(carry);
    }

    /// Multiplies the number.
    #[must_use]
    pub fn times(mut self, factor: u32) -> Self {
        let mut carry = 0;
        for group in &mut self.groups {
            let product = u64::from(*group) * u64::from(factor) + carry;
            *group = low(product % GROUP);
            carry = product / GROUP;
        }
        self.push(carry);
        self.trimmed()
    }

    /// Divides the number, and rounds down; zero if the divisor is.
    #[must_use]
    pub fn over(mut self, divisor: u32) -> Self {
        if divisor == 0 {
            return Self::default();
        }
        let mut rest = 0;
        for group in self.groups.iter_mut().rev() {
            let part = rest * GROUP + u64::from(*group);
            *group = low(part / u64::from(divisor));
            rest = part % u64::from(divisor);
        }
        self.trimmed()
    }

    /// Says whether the number is zero.
    pub fn is_zero(&self) -> bool {
        self.groups.is_empty()
    }

    /// Returns the exponent k of the power of ten that is the highest not above
    /// the number, so that it is "about 10^k"; zero for zero.
    pub fn magnitude(&self) -> usize {
        self.to_string().len() - 1
    }

    /// Returns the number if it fits.
    pub fn to_u128(&self) -> Option<u128> {
        self.groups.iter().rev().try_fold(0u128, |sum, group| {
            sum.checked_mul(u128::from(GROUP))?
                .checked_add(u128::from(*group))
        })
    }

    /// Appends what did not fit, which is below 2^33.
    fn push(&mut self, mut carry: u64) {
        while carry > 0 {
            self.groups.push(low(carry % GROUP));
            carry /= GROUP;
        }
    }

    fn trimmed(mut self) -> Self {
        while self.groups.last() == Some(&0) {
            self.groups.pop();
        }
        self
    }
}

/// Narrows a group, which is below 2^30.
fn low(group: u64) -> u32 {
    u32::try_from(group).unwrap_or(u32::MAX)
}

impl From<u64> for Natural {
    fn from(number: u64) -> Self {
        let mut natural = Self::default();
        natural.push(number);
        natural
    }
}

impl fmt::Display for Natural {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (place, group) in self.groups.iter().rev().enumerate() {
            let width = if place == 0 { 1 } else { 9 };
            write!(text, "{group:0width$}")?;
        }
        formatter.pad_integral(true, "", if text.is_empty() { "0" } else { &text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factorials_are_exact() {
        let mut factorial = Natural::from(1);
        for factor in 1..=30 {
            factorial = factorial.times(factor);
        }
        // 30! from tables.
        assert_eq!(factorial.to_string(), "265252859812191058636308480000000");
        assert_eq!(factorial.magnitude(), 32);
        assert_eq!(
            factorial.to_u128(),
            Some(265_252_859_812_191_058_636_308_480_000_000)
        );
        for divisor in (1..=30).rev() {
            factorial = factorial.over(divisor);
        }
        assert_eq!(factorial, Natural::from(1));
    }

    #[test]
    fn sums_carry() {
        let mut sum = Natural::from(u64::MAX);
        sum.add(&Natural::from(u64::MAX));
        assert_eq!(sum.to_u128(), Some(2 * u128::from(u64::MAX)));
        assert_eq!(sum.times(0), Natural::default());
        assert_eq!(Natural::default().to_string(), "0");
        assert!(Natural::from(0).is_zero());
    }

    #[test]
    fn what_does_not_fit_is_not_cut() {
        let mut large = Natural::from(1);
        for _ in 0..40 {
            large = large.times(10);
        }
        assert_eq!((large.to_u128(), large.magnitude()), (None, 40));
        assert_eq!(large.over(0), Natural::default());
    }
}
