//! `zenekar doctor`: what this machine can offer to instances.

use std::fmt::Write as _;

use serde_json::json;
use zenekar_provider_local::{Isolation, Standing, Survey, survey};

use crate::arguments::Global;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, Paint, SCHEMA_VERSION};
use crate::place::Place;

pub(crate) fn run(global: &Global, output: Output) -> Result<Exit, Failure> {
    let place = Place::find(global)?;
    let found = survey(&place.local_directory());
    if output.is_json() {
        output.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "doctor",
            "isolation": found.isolation.map(Isolation::name),
            "facts": found.facts,
        }))?;
    } else {
        output.data(&text_of(&found, output.data_paint))?;
    }
    match found.isolation {
        Some(_) => Ok(Exit::Success),
        None => Err(
            Failure::new(Exit::Provider, "this machine cannot run instances")
                .hint("`--on sim` tries an infrastructure on a simulated cloud"),
        ),
    }
}

fn text_of(found: &Survey, paint: Paint) -> String {
    let width = found.facts.iter().map(|fact| fact.name.chars().count());
    let width = width.max().unwrap_or(0);
    let mut text = String::new();
    for fact in &found.facts {
        let mark = match fact.standing {
            Standing::Good => paint.good("✓"),
            Standing::Limited => paint.notable("~"),
            Standing::Missing => paint.bad("✗"),
        };
        let _ = writeln!(text, "{mark} {:width$}  {}", fact.name, fact.detail);
        if let Some(remedy) = &fact.remedy {
            let _ = writeln!(
                text,
                "  {:width$}  {}",
                "",
                paint.faint(&format!("→ {remedy}"))
            );
        }
    }
    if let Some(isolation) = found.isolation {
        let meaning = match isolation {
            Isolation::Namespaces => {
                "each instance has its own root, processes and network, as root of this machine can give them"
            }
            Isolation::UserNamespaces => {
                "each instance has its own root, processes and network, within what an ordinary user may"
            }
            Isolation::Plain => {
                "each instance has a directory and an address, and shares the rest of the machine"
            }
        };
        let name = paint.strong(isolation.name());
        let _ = write!(text, "\nisolation: {name}: {meaning}\n");
    }
    text
}
