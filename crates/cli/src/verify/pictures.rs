//! Draws what was explored.

use zenekar_verify::{Setting, World};

use super::findings::Finding;
use crate::arguments::VerifyArguments;
use crate::errors::Failure;
use crate::output::Output;
use crate::pictures;

/// States of a picture at most: more cannot be looked at.
const STATES_MAX: u64 = 3_000;

/// Draws the states near what was found, and the run that shows it. Where
/// nothing was found, the states without faults and delays.
pub(crate) fn write(
    arguments: &VerifyArguments,
    setting: &Setting,
    findings: &[Finding],
    output: Output,
) -> Result<(), Failure> {
    let first = findings.first();
    if let Some(file) = &arguments.graph {
        let mut shown = first.map_or(setting, |finding| &finding.setting).clone();
        if first.is_none() {
            (shown.allowance.faults, shown.allowance.delays) = (0, 0);
        }
        let graph = World::new(shown).execution_graph(STATES_MAX);
        pictures::save_graph(&graph, file)?;
    }
    if let Some(file) = &arguments.diagram {
        match first {
            Some(finding) => {
                let world = World::new(finding.setting.clone());
                pictures::save_diagram(&world.space_time(&finding.run), file)?;
            }
            None => output.warn("there is no run to draw: nothing was found"),
        }
    }
    Ok(())
}
