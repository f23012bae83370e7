//! `occopus-scale`: changes how many instances a node has.

use zenekar_base::InfrastructureId;

use super::arguments::ScaleArguments;
use super::operations::{self, Audience, Change};
use super::{Tool, bench, log};
use crate::arguments::Global;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::world;

pub(crate) fn run(
    arguments: &ScaleArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let bench = bench(&arguments.files, true, global, output)?;
    let Some(change) = read_change(arguments, output)? else {
        return Ok(Exit::Success);
    };
    let id = InfrastructureId::new(arguments.id.as_str());
    let node = arguments.node.as_str();
    let row = operations::existing(&bench, &id)?.ok_or_else(|| {
        Failure::new(Exit::Refused, format!("there is no infrastructure `{id}`"))
            .hint("`occopus-maintain -l` lists them")
    })?;
    log::line(output, &words(node, &change))?;
    let audience = Audience::Terminal(output);
    let work = operations::scale(&bench, &row, node, &change, Tool::Scale.name(), audience);
    world::block_on(work)?;
    Ok(Exit::Success)
}

/// Says in Occopus's words what is done.
fn words(node: &str, change: &Change) -> String {
    match change {
        Change::By(difference) => {
            let direction = if *difference > 0 { "up" } else { "down" };
            let count = difference.unsigned_abs();
            format!("Scaling {direction} node '{node}' with {count} instances...")
        }
        Change::To(count) => format!("Scaling node '{node}' to {count} instances..."),
        Change::Remove(text) => {
            format!("Scaling down instance(s) of node '{node}' filtered by '{text}'...")
        }
    }
}

/// Reads which change is wanted; none where Occopus complains and yet succeeds.
fn read_change(arguments: &ScaleArguments, output: Output) -> Result<Option<Change>, Failure> {
    // An empty value counts as none, as in Occopus.
    let given = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
    let (by, to, filter) = (
        given(&arguments.change),
        given(&arguments.count),
        given(&arguments.filter),
    );
    let wrong = |text: &str| {
        log::line(output, text)?;
        Err(Failure::new(Exit::Refused, text.to_owned())
            .hint("give exactly one of `-c CHANGE`, `-s COUNT` and `-f INSTANCE`"))
    };
    match (by, to, filter) {
        (Some(_), Some(_), _) => {
            wrong("Too many arguments: -c and -s must not be used at the same time!")
        }
        (Some(_), None, Some(_)) => {
            wrong("Too many arguments: -c and -f must not be used at the same time!")
        }
        (None, Some(_), Some(_)) => {
            wrong("Too many arguments: -s and -f must not be used at the same time!")
        }
        (None, None, None) => wrong("Too few arguments: at least -c, -s or -f must be specified!"),
        (Some(text), None, None) => match python_int(&text) {
            None => wrong("Positive/negative number must be specified for argument -c!"),
            Some(0) => {
                let text = "Incorrect argument: value for -c must be different from zero!";
                log::line(output, text)?;
                output.warn("nothing was changed: the change is zero");
                Ok(None)
            }
            Some(number) => Ok(Some(Change::By(number))),
        },
        (None, Some(text), None) => match python_int(&text) {
            None => wrong("Positive number must be specified for argument -s!"),
            Some(number) if number <= 0 => {
                let text = "Incorrect argument: value for -s must be greater than zero!";
                log::line(output, text)?;
                output.warn("nothing was changed: the count is not positive");
                Ok(None)
            }
            Some(number) => Ok(Some(Change::To(u32::try_from(number).unwrap_or(u32::MAX)))),
        },
        (None, None, Some(text)) => Ok(Some(Change::Remove(text))),
    }
}

/// Reads a number as Python's `int` does: with spaces around it and a sign.
fn python_int(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_in_occopus() {
        for (text, number) in [
            ("2", Some(2)),
            ("+2", Some(2)),
            (" -3 ", Some(-3)),
            ("0", Some(0)),
            ("two", None),
            ("1.5", None),
            ("", None),
        ] {
            assert_eq!(python_int(text), number, "{text}");
        }
    }
}
