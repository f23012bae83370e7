//! `zenekar render`: what instances of a descriptor would get.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::json;
use zenekar_base::{
    Addresses, GivenAddress, GivenNode, InfrastructureId, InstanceTag, NodeKey, Value,
};
use zenekar_diagnostics::did_you_mean;
use zenekar_model::{
    Contextualisation, Implementation, NodeIndex, RenderInput, Rendered, Renderer as _, Topology,
};
use zenekar_occopus::OccopusRenderer;

use crate::arguments::{Global, RenderArguments};
use crate::descriptor;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::host_commands::ThisMachine;
use crate::output::{Output, SCHEMA_VERSION};
use crate::place::Place;
use crate::secrets::Secrets;

/// What stands for the addresses that instances will have: the documentation's
/// range for public ones (RFC 5737), a private range for private ones.
const PUBLIC_FIRST: u32 = 0xCB00_7100;
const PRIVATE_FIRST: u32 = 0x0A00_0000;

/// One instance that was rendered.
struct Shown<'a> {
    node: &'a str,
    index: u32,
    instance: InstanceTag,
    implementation: &'a Implementation,
    rendered: Rendered,
}

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
    let mut rehearsal = Rehearsal::new(&topology, arguments);
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

/// Which node, and which of its instances.
struct Subject {
    node: String,
    index: Option<u32>,
}

impl Subject {
    fn parse(text: &str) -> Result<Self, Failure> {
        let Some((node, index)) = text.split_once('/') else {
            return Ok(Self {
                node: text.to_owned(),
                index: None,
            });
        };
        let index = index.parse().map_err(|_| {
            Failure::usage(format!("`{text}` names no instance"))
                .hint(format!("the first one is `{node}/0`"))
        })?;
        Ok(Self {
            node: node.to_owned(),
            index: Some(index),
        })
    }

    fn check(&self, topology: &Topology) -> Result<(), Failure> {
        let nodes = || topology.nodes().iter();
        let Some(node) = nodes().find(|node| node.name == self.node) else {
            let failure = Failure::usage(format!("there is no node `{}`", self.node));
            let names = nodes().map(|node| node.name.as_str());
            return Err(match did_you_mean(&self.node, names) {
                Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
                None => failure.hint("`zenekar render FILE` shows all nodes"),
            });
        };
        match self.index {
            Some(index) if index >= node.count.max => Err(Failure::usage(format!(
                "node `{}` has at most {} instances, numbered from 0",
                node.name, node.count.max
            ))),
            _ => Ok(()),
        }
    }

    fn is(&self, node: &str) -> bool {
        self.node == node
    }
}

/// Plays how an infrastructure comes up, one instance after the other, with
/// made-up addresses. The same descriptor always gives the same.
struct Rehearsal {
    renderer: OccopusRenderer,
    infrastructure: InfrastructureId,
    given: Vec<GivenNode>,
    counter: u32,
}

impl Rehearsal {
    fn new(topology: &Topology, arguments: &RenderArguments) -> Self {
        let renderer = OccopusRenderer::new();
        let renderer = if arguments.descriptor.allow_host_commands {
            renderer.with_host_commands(Arc::new(ThisMachine))
        } else {
            renderer
        };
        Self {
            renderer,
            infrastructure: InfrastructureId::new(arguments.infrastructure_id.clone()),
            given: Vec::with_capacity(topology.nodes().len()),
            counter: 0,
        }
    }

    fn run<'a>(
        &mut self,
        topology: &'a Topology,
        wanted: Option<&Subject>,
        all_instances: bool,
    ) -> Result<Vec<Shown<'a>>, Failure> {
        let mut order: Vec<NodeIndex> = topology.indices().collect();
        order.sort_by_key(|node| topology.level(*node));
        let mut shown = Vec::new();
        for node in order {
            let name = topology.node(node).name.as_str();
            let subject = wanted.filter(|subject| subject.is(name));
            let asked = subject.and_then(|subject| subject.index);
            let count = topology.node(node).count.min;
            for index in 0..count.max(asked.map_or(0, |index| index + 1)) {
                self.counter += 1;
                let instance =
                    InstanceTag::new(format!("00000000-0000-0000-0000-{:012}", self.counter));
                let is_asked = match (subject, asked) {
                    (Some(_), Some(asked)) => index == asked,
                    (Some(_), None) => all_instances || index == 0,
                    (None, _) => wanted.is_none() && (all_instances || index == 0),
                };
                if is_asked {
                    shown.push(self.render(topology, node, index, &instance)?);
                }
                if index < count {
                    self.register(node, name, instance);
                }
            }
        }
        Ok(shown)
    }

    fn render<'a>(
        &self,
        topology: &'a Topology,
        node: NodeIndex,
        index: u32,
        instance: &InstanceTag,
    ) -> Result<Shown<'a>, Failure> {
        let input = RenderInput {
            infrastructure: &self.infrastructure,
            node,
            candidate: 0,
            instance,
            given: &self.given,
        };
        let rendered = self
            .renderer
            .render(topology, &input)
            .map_err(|error| Failure::new(Exit::InvalidDescriptor, error.to_string()))?;
        let implementation = topology.candidate(node, 0).ok_or_else(|| {
            Failure::internal("a checked descriptor has a node without implementation")
        })?;
        Ok(Shown {
            node: &topology.node(node).name,
            index,
            instance: instance.clone(),
            implementation,
            rendered,
        })
    }

    fn register(&mut self, node: NodeIndex, name: &str, instance: InstanceTag) {
        let address = |first: u32| std::net::Ipv4Addr::from(first + self.counter).to_string();
        let address = GivenAddress {
            instance,
            addresses: Addresses {
                all: vec![address(PUBLIC_FIRST)],
                private: Some(address(PRIVATE_FIRST)),
            },
        };
        match self.given.last_mut().filter(|last| last.name == name) {
            Some(known) => known.instances.push(address),
            None => self.given.push(GivenNode {
                node: NodeKey(node.0),
                name: name.to_owned(),
                instances: vec![address],
            }),
        }
    }
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
