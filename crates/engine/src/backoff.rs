//! How long to wait after which failure, and when to stop trying.

use zenekar_base::{ErrorClass, Millis};

use crate::settings::{ATTEMPTS_MAX, ATTEMPTS_SCARCE_MAX};

/// Returns the pause after the `failures`-th failure in a row: it doubles
/// from a base to a cap, both by class.
pub(crate) fn pause(class: ErrorClass, failures: u32) -> Millis {
    let (base_ms, cap_ms) = match class {
        // A passing fault is over in a moment.
        ErrorClass::Retryable | ErrorClass::NotFound => (500, 60_000),
        // Clouds count calls by the second; the unknown needs its effect to show.
        ErrorClass::Throttled | ErrorClass::Unknown | ErrorClass::Conflict => (1_000, 60_000),
        // Machines and quota come free by the minute.
        ErrorClass::Capacity | ErrorClass::Quota => (15_000, 300_000),
        // Only a person can help: look again now and then.
        ErrorClass::Auth | ErrorClass::Invalid => (60_000, 300_000),
    };
    let doublings = failures.saturating_sub(1).min(16);
    Millis((base_ms << doublings).min(cap_ms))
}

/// Says whether the subject is given up after so many failures in a row.
pub(crate) fn exhausted(class: ErrorClass, failures: u32) -> bool {
    match class {
        ErrorClass::Auth | ErrorClass::Invalid => true,
        ErrorClass::Capacity | ErrorClass::Quota => failures >= ATTEMPTS_SCARCE_MAX,
        _ => failures >= ATTEMPTS_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_cap() {
        let pauses: Vec<u64> = (1..=9)
            .map(|failures| pause(ErrorClass::Retryable, failures).0)
            .collect();
        assert_eq!(
            pauses,
            [
                500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000
            ]
        );
        assert_eq!(pause(ErrorClass::Quota, u32::MAX), Millis(300_000));
    }

    #[test]
    fn what_cannot_heal_is_not_repeated() {
        assert!(exhausted(ErrorClass::Invalid, 1));
        assert!(!exhausted(ErrorClass::Unknown, ATTEMPTS_MAX - 1));
        assert!(exhausted(ErrorClass::Quota, ATTEMPTS_SCARCE_MAX));
    }
}
