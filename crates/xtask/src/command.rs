//! The command line of `cargo xtask`.

/// What `cargo xtask help` prints.
pub const USAGE: &str = "\
Everything that CI does, as one command

Usage: cargo xtask COMMAND

Commands:
  test [--quick | --deep]
                   check formatting, lints and the rules of the house, and run all tests,
                   also on a Docker engine, a simulated EC2 and an OpenStack of its own
                   (--quick: without these clouds and without the long searches over seeds,
                   kill points and odd inputs; --deep: with more of both, for the night)
  ci               print the tools' versions, then do the same as `test`
  fmt [--check]    format all code, or only say whether it is formatted
  lint             run clippy on everything; warnings are errors
  tidy             check only the rules of the house: floors, manifests, texts
  fuzz [SECONDS]   run every fuzz target for that time (20 s)
  bench [FILTER]   run the benchmarks whose name contains FILTER
  help             print this text

Environment:
  CARGO_TARGET_DIR       where cargo builds (default: target)
  ZENEKAR_TEST_BUDGET    set for the tests: `quick`, `full` or `deep`

Exit codes:
  0  everything passed
  1  a check failed
  2  the command line was not understood
  3  a system package is missing and could not be installed";

/// One parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Print the help text.
    Help,
    /// All checks and tests.
    Test(Options),
    /// What CI runs.
    Ci,
    /// Format the code.
    Format {
        /// Only look.
        check: bool,
    },
    /// Run clippy.
    Lint,
    /// Check the rules of the house.
    Tidy,
    /// Run the fuzz targets.
    Fuzz {
        /// How long each one runs.
        seconds: u32,
    },
    /// Run the benchmarks.
    Bench {
        /// What a benchmark's name must contain.
        filter: Option<String>,
    },
}

/// What `test` was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How much is tried.
    pub budget: Budget,
}

/// How much tests try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Budget {
    /// No clouds, and no long searches.
    Quick,
    /// What every change has to pass.
    #[default]
    Full,
    /// More seeds and more kills, for a night.
    Deep,
}

impl Budget {
    /// Returns what tests read in `ZENEKAR_TEST_BUDGET`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
            Self::Deep => "deep",
        }
    }
}

impl Command {
    /// Reads a command line, without the name of the program.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] => Err("a command is missing".to_owned()),
            ["help" | "--help" | "-h", ..] | [_, "--help" | "-h"] => Ok(Self::Help),
            ["test"] => Ok(Self::Test(Options::default())),
            ["test", "--quick"] => Ok(Self::Test(Options {
                budget: Budget::Quick,
            })),
            ["test", "--deep"] => Ok(Self::Test(Options {
                budget: Budget::Deep,
            })),
            ["ci"] => Ok(Self::Ci),
            ["fmt"] => Ok(Self::Format { check: false }),
            ["fmt", "--check"] => Ok(Self::Format { check: true }),
            ["lint"] => Ok(Self::Lint),
            ["tidy"] => Ok(Self::Tidy),
            ["fuzz"] => Ok(Self::Fuzz {
                seconds: crate::fuzz::SECONDS_DEFAULT,
            }),
            ["fuzz", seconds] => match seconds.parse() {
                Ok(seconds) if seconds > 0 => Ok(Self::Fuzz { seconds }),
                _ => Err(format!("`{seconds}` is no number of seconds")),
            },
            ["bench"] => Ok(Self::Bench { filter: None }),
            ["bench", filter] if !filter.starts_with('-') => Ok(Self::Bench {
                filter: Some((*filter).to_owned()),
            }),
            [
                "test" | "ci" | "fmt" | "lint" | "tidy" | "fuzz" | "bench",
                extra,
                ..,
            ] => Err(match words.as_slice() {
                ["test", "--quick", "--deep"] | ["test", "--deep", "--quick"] => {
                    "`--quick` and `--deep` do not go together".to_owned()
                }
                _ => format!(
                    "`{}` does not take `{}`",
                    words[0],
                    words.get(2).unwrap_or(extra)
                ),
            }),
            [other, ..] => Err(format!("there is no command `{other}`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn every_command_of_the_help_text_is_known() {
        let commands = USAGE
            .lines()
            .filter_map(|line| line.strip_prefix("  "))
            .filter(|line| line.starts_with(char::is_lowercase));
        let mut seen = 0;
        for line in commands.filter(|line| !line.starts_with("from")) {
            let name = line.split_whitespace().next().unwrap();
            assert!(parse(name).is_ok(), "{name}");
            seen += 1;
        }
        assert_eq!(seen, 8);
    }

    #[test]
    fn a_test_run_has_three_sizes() {
        for (line, budget) in [
            ("test", Budget::Full),
            ("test --quick", Budget::Quick),
            ("test --deep", Budget::Deep),
        ] {
            assert_eq!(parse(line), Ok(Command::Test(Options { budget })));
        }
        assert_eq!(Budget::Deep.text(), "deep");
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parse(""), Err("a command is missing".to_owned()));
        assert_eq!(parse("tset"), Err("there is no command `tset`".to_owned()));
        assert_eq!(
            parse("test --fast"),
            Err("`test` does not take `--fast`".to_owned())
        );
        assert_eq!(
            parse("test --deep --quick"),
            Err("`--quick` and `--deep` do not go together".to_owned())
        );
        assert_eq!(
            parse("test --deep twice"),
            Err("`test` does not take `twice`".to_owned())
        );
        assert_eq!(parse("fuzz 5"), Ok(Command::Fuzz { seconds: 5 }));
        assert_eq!(
            parse("fuzz long"),
            Err("`long` is no number of seconds".to_owned())
        );
        assert_eq!(parse("test --help"), Ok(Command::Help));
    }
}
