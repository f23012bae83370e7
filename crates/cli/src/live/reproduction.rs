//! Whether what was found in a model happens on real nodes too.

use std::fmt;

use serde_json::{Value, json};
use zenekar_live::ProcessName;
use zenekar_verify::Breach;

use super::account::Story;
use super::recorded::Course;

/// How a real run compares with the explored one whose order it followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reproduction {
    /// The property that does not hold in the explored run.
    property: Option<String>,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The same is wrong, as this shows.
    Shown(String),
    /// It is not.
    NotShown(String),
    /// Real nodes cannot be made to do what the run needs.
    NotPossible,
    /// Nothing that nodes report tells.
    NotSeen,
    /// Nothing is wrong in the explored run.
    Nothing,
}

impl Reproduction {
    /// Looks at a real run. `is_stated` says that properties were looked at.
    pub(crate) fn of(
        property: Option<&str>,
        course: &Course,
        story: Option<&Story>,
        is_stated: bool,
    ) -> Self {
        let outcome = match (property, story) {
            (None, _) => Outcome::Nothing,
            (Some(_), None) => Outcome::NotShown("no state was reached".to_owned()),
            (Some(property), Some(story)) => outcome(property, course, story, is_stated),
        };
        Self {
            property: property.map(str::to_owned),
            outcome,
        }
    }

    /// Says whether the same is wrong.
    pub(crate) const fn is_shown(&self) -> bool {
        matches!(self.outcome, Outcome::Shown(_))
    }

    pub(crate) fn to_json(&self) -> Value {
        let (word, reason) = match &self.outcome {
            Outcome::Shown(reason) => ("reproduced", Some(reason)),
            Outcome::NotShown(reason) => ("not reproduced", Some(reason)),
            Outcome::NotPossible => ("not possible", None),
            Outcome::NotSeen => ("not seen", None),
            Outcome::Nothing => ("nothing", None),
        };
        json!({ "property": self.property, "outcome": word, "reason": reason })
    }
}

impl fmt::Display for Reproduction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let property = self.property.as_deref().unwrap_or("nothing");
        match &self.outcome {
            Outcome::Shown(reason) => write!(formatter, "reproduced: `{property}`: {reason}"),
            Outcome::NotShown(reason) => {
                write!(formatter, "not reproduced: `{property}`: {reason}")
            }
            Outcome::NotPossible => write!(
                formatter,
                "not reproduced: `{property}` needs what real nodes cannot be made to do"
            ),
            Outcome::NotSeen => write!(
                formatter,
                "not known: nothing that nodes report tells of `{property}`; `--property` can state it"
            ),
            Outcome::Nothing => write!(formatter, "nothing is wrong in the explored run"),
        }
    }
}

fn outcome(property: &str, course: &Course, story: &Story, is_stated: bool) -> Outcome {
    let violated = story.violated.first();
    let stuck: Vec<&ProcessName> = story.stuck.iter().map(|(_, process)| process).collect();
    let shown = match Breach::named(property) {
        Some(Breach::Contact) => course.failure.as_ref().and_then(|(process, number)| {
            if stuck.contains(&process) {
                return Some(format!("`{process}` did not come"));
            }
            let arrivals = story.arrivals.iter();
            let mut arrivals = arrivals.filter(|one| one.process == *process);
            let arrival = arrivals.find(|one| one.number == *number)?;
            let status = arrival.status.as_deref().filter(|status| *status != "0")?;
            let tag = &arrival.tag;
            Some(format!("`{process}` ends with {status} before `{tag}`"))
        }),
        Some(Breach::NeverReady) => stuck
            .first()
            .map(|process| format!("`{process}` did not come")),
        Some(_) => violated.map(|name| format!("`{name}` is violated")),
        None => {
            let mut violated = story.violated.iter();
            let same = violated.find(|name| *name == property);
            same.map(|_| "it is violated".to_owned())
        }
    };
    if let Some(reason) = shown {
        return Outcome::Shown(reason);
    }
    if !course.obstacles.is_empty() {
        return Outcome::NotPossible;
    }
    if !is_stated && Breach::named(property).is_some_and(|breach| !is_seen(breach)) {
        return Outcome::NotSeen;
    }
    Outcome::NotShown(match &story.outcome {
        Some(zenekar_live::Outcome::Diverged(process)) => {
            format!("`{process}` could not be let go where the run has it")
        }
        _ => "the order was run, and all was well".to_owned(),
    })
}

/// Says whether exit statuses and who comes tell of it.
const fn is_seen(breach: Breach) -> bool {
    matches!(breach, Breach::Contact | Breach::NeverReady)
}
