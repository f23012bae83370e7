//! `zenekar explain`: the documentation of a diagnostic code.

use serde_json::json;
use zenekar_diagnostics::{codes, did_you_mean, documentation_page};

use crate::arguments::ExplainArguments;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION};

pub(crate) fn run(arguments: &ExplainArguments, output: Output) -> Result<Exit, Failure> {
    let wanted = arguments.code.to_ascii_uppercase();
    let Some(code) = codes::find(&wanted) else {
        let failure = Failure::usage(format!("there is no diagnostic code `{}`", arguments.code));
        return Err(
            match did_you_mean(&wanted, codes::all().map(|code| code.id)) {
                Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
                None => failure.hint("`zenekar validate` prints the code of each finding"),
            },
        );
    };
    if output.is_json() {
        output.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "explanation",
            "code": code.id,
            "title": code.title,
            "explanation": code.explanation.trim(),
        }))?;
    } else {
        output.data(&documentation_page(code))?;
    }
    Ok(Exit::Success)
}
