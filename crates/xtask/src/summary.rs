//! Counts tests in the output of `cargo test`.

use std::fmt;

/// The tests of all test binaries together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed, and test binaries that ended without a result.
    pub failed: u64,
    /// Tests that were not run.
    pub skipped: u64,
}

impl Summary {
    /// Adds what one line of output says, which is nothing unless it is the
    /// closing line of a test binary.
    pub fn read(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        let counts = rest.split_once(". ").map_or(rest, |(_, counts)| counts);
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (
                words.next().and_then(|number| number.parse::<u64>().ok()),
                words.next(),
            ) else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }

    /// Takes the runner's exit into account: one that failed without naming a
    /// test (it did not build, or a test binary was killed) counts as one failure.
    pub fn finish(&mut self, runner_succeeded: bool) {
        if !runner_succeeded && self.failed == 0 {
            self.failed = 1;
        }
    }

    /// Adds the tests of another run.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(formatter, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_summed_and_others_ignored() {
        let mut summary = Summary::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 5 filtered out; finished in 1.00s",
            "7 passed",
        ] {
            summary.read(line);
        }
        assert_eq!(
            summary,
            Summary {
                passed: 7,
                failed: 2,
                skipped: 1
            }
        );
        assert_eq!(summary.to_string(), "7 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_runner_that_fails_without_a_failed_test_is_a_failure() {
        let mut summary = Summary {
            passed: 3,
            ..Summary::default()
        };
        summary.finish(true);
        assert_eq!(summary.failed, 0);
        summary.finish(false);
        assert_eq!(summary.to_string(), "3 passed, 1 failed");
    }
}
