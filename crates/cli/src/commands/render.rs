//! `zenekar render`: what instances of a descriptor would get.

use std::fmt::Write as _;

use serde_json::json;
use zenekar_base::{InfrastructureId, Value};
use zenekar_model::{Contextualisation, Topology};

use crate::arguments::{Global, RenderArguments};
use crate::descriptor;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION};
use crate::place::Place;
use crate::rehearsal::{Rehearsal, Shown, Subject};
use crate::secrets::Secrets;

pub(crate) fn run(
    arguments: &RenderArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let place = Place::find(global)?;
    let topology = descriptor::prepare(&arguments.descriptor, &place, output)?;
    let wanted = arguments.node.as_deref().map(Subject::parse).transpose()?;
    if let Some(subject) = &wanted {
        subject.check(&topology)?;
    }
    let mut rehearsal = Rehearsal::new(
        &topology,
        InfrastructureId::new(arguments.infrastructure_id.clone()),
        arguments.descriptor.allow_host_commands,
    );
    let shown = rehearsal.run(&topology, wanted.as_ref(), arguments.all_instances)?;
    let secrets = secrets_of(&topology, &shown);
    let mask = (!arguments.show_secrets).then_some(&secrets);
    if output.is_json() {
        output.json(&to_json(&topology, &rehearsal.infrastructure, &shown, mask))?;
        return Ok(Exit::Success);
    }
    let text = match shown.as_slice() {
        [only] if wanted.is_some() => context_text(only),
        _ => with_headings(&shown, output),
    };
    let masked = mask.map_or_else(|| text.clone(), |secrets| secrets.mask(&text));
    output.data(&masked)?;
    if masked != text {
        output.line("secrets are masked; `--show-secrets` shows them");
    }
    Ok(Exit::Success)
}

/// Gathers the secrets that a descriptor names as such.
fn secrets_of(topology: &Topology, shown: &[Shown<'_>]) -> Secrets {
    let mut secrets = Secrets::default();
    secrets.add_named(topology.variables());
    for node in topology.nodes() {
        secrets.add_named(&node.variables);
    }
    for one in shown {
        secrets.add_named(&one.rendered.resource);
        secrets.add_named(&one.rendered.attributes);
        if let Contextualisation::Docker {
            context_variables, ..
        } = &one.implementation.contextualisation
        {
            secrets.add_named(context_variables);
        }
        for database in &one.implementation.health.mysql_databases {
            secrets.add(&database.password);
        }
        for (name, value) in &one.rendered.environment {
            if crate::secrets::is_secret_name(name) {
                secrets.add(value);
            }
        }
    }
    secrets
}

/// Returns what makes an instance play its role.
fn context_text(shown: &Shown<'_>) -> String {
    let mut out = String::new();
    let rendered = &shown.rendered;
    if let Some(user_data) = &rendered.user_data {
        out.push_str(user_data);
        if !user_data.ends_with('\n') {
            out.push('\n');
        }
    }
    for (name, value) in &rendered.environment {
        let _infallible = writeln!(out, "env: {name}={value}");
    }
    if let Some(command) = &rendered.command {
        let quoted = shlex::try_join(command.iter().map(String::as_str));
        let _infallible = writeln!(
            out,
            "command: {}",
            quoted.unwrap_or_else(|_| command.join(" "))
        );
    }
    out
}

fn with_headings(shown: &[Shown<'_>], output: Output) -> String {
    let mut out = String::new();
    for one in shown {
        if !out.is_empty() {
            out.push('\n');
        }
        let heading = format!("==> {}/{} <==", one.node, one.index);
        let _infallible = writeln!(
            out,
            "{} on `{}`",
            output.data_paint.strong(&heading),
            one.implementation.provider
        );
        let context = context_text(one);
        out.push_str(if context.is_empty() {
            "(no contextualisation)\n"
        } else {
            &context
        });
    }
    out
}

fn to_json(
    topology: &Topology,
    infrastructure: &InfrastructureId,
    shown: &[Shown<'_>],
    mask: Option<&Secrets>,
) -> serde_json::Value {
    let text = |text: &str| mask.map_or_else(|| text.to_owned(), |secrets| secrets.mask(text));
    let value = |value: &Value| {
        let masked = mask.map(|secrets| secrets.mask_value(value));
        plain_json(masked.as_ref().unwrap_or(value))
    };
    let instances: Vec<_> = shown
        .iter()
        .map(|one| {
            let environment: Vec<String> = one
                .rendered
                .environment
                .iter()
                .map(|(name, value)| text(&format!("{name}={value}")))
                .collect();
            let command = one.rendered.command.as_ref();
            json!({
                "node": one.node,
                "index": one.index,
                "instance": one.instance.as_str(),
                "provider": one.implementation.provider,
                "resource": value(&one.rendered.resource),
                "user_data": one.rendered.user_data.as_deref().map(text),
                "environment": environment,
                "command": command.map(|words| words.iter().map(|word| text(word)).collect::<Vec<_>>()),
                "attributes": value(&one.rendered.attributes),
            })
        })
        .collect();
    json!({
        "schema_version": SCHEMA_VERSION,
        "kind": "rendering",
        "name": topology.name(),
        "infrastructure": infrastructure.as_str(),
        "secrets_masked": mask.is_some(),
        "instances": instances,
    })
}

/// Returns data as JSON; what JSON does not have becomes text.
fn plain_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => i64::try_from(*number)
            .map_or_else(|_| number.to_string().into(), serde_json::Value::from),
        Value::Float(number) => number.0.into(),
        Value::String(text) | Value::Date(text) => text.as_str().into(),
        Value::Bytes(_) => zenekar_template::python_str(value).into(),
        Value::List(items) => items.iter().map(plain_json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|(name, member)| (name.clone(), plain_json(member)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}
