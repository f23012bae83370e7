//! One implementation with its templates compiled, and what comes out of it.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;

use zenekar_base::resource::MysqlProbe;
use zenekar_base::{Addresses, InstanceTag, ProbeSpec, Value};
use zenekar_diagnostics::SourceMap;
use zenekar_document::{Limits, load_text};
use zenekar_model::{Contextualisation, Implementation, Node, topology};
use zenekar_template::{ErrorKind, Namespace, SharedValue, python_str};

use super::emit::emit;
use super::functions::{CallSite, NAMES};
use super::performance::Performance;
use super::piece::{Compiler, Failure, Findings, Piece, Reading, Step, check_error};

/// The first line by which cloud-init knows its own format.
pub(super) const CLOUD_CONFIG: &str = "#cloud-config";

/// Names whose values differ between the instances or nodes of one definition.
const VARYING_NAMES: &[&str] = &[
    "node_id", "infra_id", "name", "scaling", "filter", "mappings",
];

const TEMPLATE_PATH: &[&str] = &["contextualisation", "context_template"];

/// An implementation with its templates compiled.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    resource: Piece,
    context: Context,
    attributes: Piece,
    environment: Piece,
    command: Piece,
    context_variables: Piece,
    config_management: Piece,
    is_puppet: bool,
    urls: Piece,
    mysql_databases: Piece,
    /// All names that templates but those of health checks read.
    names: BTreeSet<String>,
    health_names: BTreeSet<String>,
    /// Templates that do not parse.
    pub(crate) failures: Vec<Failure>,
}

#[derive(Clone, Debug)]
enum Context {
    None,
    /// A text that is a template as a whole.
    Text(Piece),
    /// A mapping.
    Mapping {
        /// The mapping written as YAML, a template as a whole, as in the original;
        /// none where writing it breaks a template.
        whole: Option<Piece>,
        /// The mapping whose texts are templates each for itself.
        parts: Piece,
    },
}

/// What a rendering is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An instance.
    Production,
    /// To find mistakes with their places, and fingerprints.
    Rehearsal {
        /// Whether to try, too, what the original would make of it.
        compares: bool,
    },
}

impl Compiled {
    /// Compiles all templates of an implementation.
    pub(crate) fn new(implementation: &Implementation) -> Self {
        let mut compiler = Compiler::default();
        let empty = Value::Null;
        let (mut attributes, mut environment, mut command, mut variables) =
            (&empty, &empty, &empty, &empty);
        let mut resource = Piece::Fixed(implementation.resource.clone());
        let mut context = Context::None;
        match &implementation.contextualisation {
            Contextualisation::None => {}
            Contextualisation::Basic { attributes: own } => attributes = own,
            Contextualisation::CloudInit {
                template,
                written,
                attributes: own,
            } => {
                attributes = own;
                resource =
                    compiler.compile_at(&["resource"], &implementation.resource, Reading::Emitted);
                context = compile_context(&mut compiler, template, written.as_deref());
            }
            Contextualisation::Docker {
                environment: own,
                command: own_command,
                context_variables,
            } => {
                (environment, command, variables) = (own, own_command, context_variables);
            }
        }
        let mut text_at =
            |path: &[&str], value: &Value| compiler.compile_at(path, value, Reading::Text);
        let attributes = text_at(&["contextualisation", "attributes"], attributes);
        let environment = text_at(&["contextualisation", "env"], environment);
        let command = text_at(&["contextualisation", "command"], command);
        let context_variables = text_at(&["contextualisation", "context_variables"], variables);
        let config_management = compiler.compile_at(
            &["config_management"],
            &implementation.config_management,
            Reading::Emitted,
        );
        let mut health = Compiler::default();
        let urls = implementation
            .health
            .urls
            .iter()
            .map(|url| url.as_str().into())
            .collect();
        let urls = health.compile_at(&["health_check", "urls"], &Value::List(urls), Reading::Text);
        let databases = implementation
            .health
            .mysql_databases
            .iter()
            .map(|database| {
                Value::Map(vec![
                    ("name".to_owned(), database.name.as_str().into()),
                    ("user".to_owned(), database.user.as_str().into()),
                    ("pass".to_owned(), database.password.as_str().into()),
                ])
            });
        let databases = Value::List(databases.collect());
        let mysql_databases =
            health.compile_at(&["health_check", "mysqldbs"], &databases, Reading::Text);
        let mut failures = compiler.failures;
        failures.append(&mut health.failures);
        Self {
            resource,
            context,
            attributes,
            environment,
            command,
            context_variables,
            is_puppet: implementation
                .config_management
                .get("type")
                .and_then(Value::as_str)
                == Some("puppet_solo"),
            config_management,
            urls,
            mysql_databases,
            names: compiler.names,
            health_names: health.names,
            failures,
        }
    }

    /// Names what the templates read.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Says whether a template can ask for other nodes.
    pub(crate) fn calls_functions(&self) -> bool {
        NAMES.iter().any(|name| self.names.contains(*name))
    }

    /// Says whether the node's own name, variables or settings take part in what is rendered.
    pub(crate) fn varies_with(&self, node: &Node) -> bool {
        let varies = |name: &&str| self.names.contains(*name);
        VARYING_NAMES[2..].iter().any(varies)
            || node.variables != Value::Null
                && (self.names.contains("variables") || self.health_names.contains("variables"))
    }

    /// Says whether all instances of a node get the same.
    pub(crate) fn is_constant_for(&self, node: &Node) -> bool {
        let varies = |name: &&str| self.names.contains(*name);
        let has_own_variables = node.variables != Value::Null && self.names.contains("variables");
        let is_connected = node
            .dependencies
            .iter()
            .any(|dependency| !dependency.mappings.is_empty());
        !(VARYING_NAMES.iter().chain(NAMES).any(varies) || has_own_variables || is_connected)
    }

    /// Renders what is the same for all nodes without variables of their own,
    /// which mostly is nearly everything.
    pub(crate) fn settled(
        &self,
        implementation: &Implementation,
        calls: &CallSite<'_>,
        instance: &InstanceTag,
        inherited: &SharedValue,
    ) -> Self {
        let namespace = Namespace {
            values: self.values(implementation, calls, instance, inherited),
            functions: calls,
        };
        let open: Vec<&str> = VARYING_NAMES
            .iter()
            .chain(NAMES)
            .chain(&["puppet", "context_variables"])
            .copied()
            .collect();
        let mut names = BTreeSet::new();
        let mut settle = |piece: &Piece| piece.settle(&namespace, &open, &mut names);
        let mut settled = self.clone();
        for piece in [
            &mut settled.resource,
            &mut settled.attributes,
            &mut settled.environment,
            &mut settled.command,
            &mut settled.context_variables,
            &mut settled.config_management,
        ] {
            *piece = settle(piece);
        }
        settled.context = match &self.context {
            // Its own rendering also checks what comes out.
            Context::Mapping { whole, parts } => {
                let parts = settle(parts);
                names.extend(whole.iter().flat_map(Piece::names));
                Context::Mapping {
                    whole: whole.clone(),
                    parts,
                }
            }
            Context::Text(piece) => {
                names.extend(piece.names());
                self.context.clone()
            }
            Context::None => Context::None,
        };
        settled.names = names;
        settled
    }

    /// Renders everything but the health checks.
    pub(crate) fn perform(
        &self,
        implementation: &Implementation,
        calls: &CallSite<'_>,
        instance: &InstanceTag,
        inherited: &SharedValue,
        purpose: Purpose,
        findings: &mut Findings<'_>,
    ) -> Performance {
        let mut namespace = Namespace {
            values: self.values(implementation, calls, instance, inherited),
            functions: calls,
        };
        let config_management =
            self.config_management
                .render(&namespace, &["config_management"], findings);
        if self.is_puppet {
            namespace
                .values
                .push(("puppet", puppet_value(&config_management)));
        }
        let path = |key: &'static str| ["contextualisation", key];
        let variables =
            self.context_variables
                .render(&namespace, &path("context_variables"), findings);
        if variables != Value::Null {
            namespace
                .values
                .push(("context_variables", SharedValue::from(&variables)));
        }
        let mut performance = Performance {
            resource: self.resource.render(&namespace, &["resource"], findings),
            environment: self.environment.render(&namespace, &path("env"), findings),
            command: self.command.render(&namespace, &path("command"), findings),
            attributes: self
                .attributes
                .render(&namespace, &path("attributes"), findings),
            config_management,
            ..Performance::default()
        };
        match &self.context {
            Context::None => {}
            Context::Mapping { whole, parts } => {
                if purpose != (Purpose::Rehearsal { compares: false }) {
                    match as_the_original(whole.as_ref(), &namespace) {
                        Ok(text) if purpose == Purpose::Production => performance.text = Some(text),
                        Ok(_) => {}
                        Err(message) => performance.deviation = Some(message),
                    }
                }
                if performance.text.is_none() {
                    performance.mapping = Some(parts.render(&namespace, TEMPLATE_PATH, findings));
                }
                return performance;
            }
            Context::Text(piece) => {
                performance.text = render_whole(piece, &namespace, findings);
            }
        }
        if let Some(text) = &performance.text
            && let Some(message) = fault_of_cloud_config(text)
        {
            let error = check_error(ErrorKind::Type, message, 0);
            let path = TEMPLATE_PATH
                .iter()
                .map(|key| Step::Key((*key).to_owned()))
                .collect();
            findings.failures.push(Failure { path, error });
        }
        performance
    }

    /// Gathers the values that the templates read.
    fn values(
        &self,
        implementation: &Implementation,
        calls: &CallSite<'_>,
        instance: &InstanceTag,
        inherited: &SharedValue,
    ) -> Vec<(&'static str, SharedValue)> {
        let scene = calls.scene;
        let node = scene.node(calls.node);
        let mut values: Vec<(&'static str, SharedValue)> = Vec::new();
        for name in &self.names {
            let (name, value) = match name.as_str() {
                "variables" => ("variables", variables_of(calls, inherited)),
                "node_id" => ("node_id", instance.as_str().into()),
                "infra_id" => ("infra_id", calls.infrastructure.as_str().into()),
                "infra_name" => ("infra_name", scene.name.into()),
                "user_id" => ("user_id", scene.user_id.into()),
                "name" => ("name", node.name.as_str().into()),
                "type" => (
                    "type",
                    scene.definitions[node.definition as usize]
                        .name
                        .as_str()
                        .into(),
                ),
                "mappings" => ("mappings", (&scene.mappings_of(calls.node)).into()),
                "resource" => ("resource", (&implementation.resource).into()),
                "contextualisation" => (
                    "contextualisation",
                    (&raw_context(&implementation.contextualisation)).into(),
                ),
                // What the descriptor does not have is undefined.
                "scaling" if node.scaling != Value::Null => ("scaling", (&node.scaling).into()),
                "filter" if node.filter != Value::Null => ("filter", (&node.filter).into()),
                "config_management" if implementation.config_management != Value::Null => (
                    "config_management",
                    (&implementation.config_management).into(),
                ),
                "health_check" => ("health_check", (&raw_health(implementation)).into()),
                _ => continue,
            };
            values.push((name, value));
        }
        values
    }

    /// Renders the health checks.
    pub(crate) fn probes(
        &self,
        implementation: &Implementation,
        calls: &CallSite<'_>,
        instance: &InstanceTag,
        addresses: &Addresses,
        inherited: &SharedValue,
        findings: &mut Findings<'_>,
    ) -> ProbeSpec {
        let mut values: Vec<(&'static str, SharedValue)> = Vec::new();
        for name in &self.health_names {
            let (name, value) = match name.as_str() {
                "ip" => ("ip", addresses.primary().unwrap_or_default().into()),
                "variables" => ("variables", variables_of(calls, inherited)),
                "node_id" => ("node_id", instance.as_str().into()),
                "instance_data" => (
                    "instance_data",
                    (&own_data(calls, instance, addresses)).into(),
                ),
                _ => continue,
            };
            values.push((name, value));
        }
        let namespace = Namespace {
            values,
            functions: calls,
        };
        let urls = self
            .urls
            .render(&namespace, &["health_check", "urls"], findings);
        let databases =
            self.mysql_databases
                .render(&namespace, &["health_check", "mysqldbs"], findings);
        let health = &implementation.health;
        ProbeSpec {
            ping: health.ping,
            ports: health.ports.clone(),
            urls: items_of(&urls).iter().map(python_str).collect(),
            mysql_databases: items_of(&databases)
                .iter()
                .map(|database| {
                    let part = |key: &str| database.get(key).map(python_str).unwrap_or_default();
                    MysqlProbe {
                        name: part("name"),
                        user: part("user"),
                        password: part("pass"),
                    }
                })
                .collect(),
        }
    }
}

fn compile_context(compiler: &mut Compiler, template: &Value, written: Option<&str>) -> Context {
    if matches!(template, Value::String(_)) {
        return Context::Text(compiler.compile_at(TEMPLATE_PATH, template, Reading::Text));
    }
    let mut parts = Compiler::default();
    let piece = parts.compile_at(TEMPLATE_PATH, template, Reading::Emitted);
    let mapping = written.map_or_else(|| Cow::Owned(emit(template)), Cow::Borrowed);
    let text = Value::String(format!("{CLOUD_CONFIG}\n{mapping}"));
    let mut whole = Compiler::default();
    let whole_piece = whole.compile_at(TEMPLATE_PATH, &text, Reading::Text);
    let is_sound = whole.failures.is_empty();
    // Tags that only make sense over several texts (a loop around items, `set`)
    // mean nothing in the single ones.
    if is_sound && (!parts.failures.is_empty() || parts.sets_names) {
        compiler.absorb(whole);
        return Context::Text(whole_piece);
    }
    compiler.absorb(parts);
    Context::Mapping {
        whole: is_sound.then_some(whole_piece),
        parts: piece,
    }
}

/// Renders a mapping as the original does: written as YAML, rendered, and
/// looked at whether that is still YAML.
fn as_the_original(whole: Option<&Piece>, namespace: &Namespace<'_>) -> Result<String, String> {
    let piece =
        whole.ok_or("a template is torn apart by the end of a line, or broken by a `\\`")?;
    let watch = Cell::new(false);
    let mut findings = Findings::new(&watch);
    let text = render_whole(piece, namespace, &mut findings);
    if let Some(failure) = findings.failures.first() {
        return Err(failure.error.message.clone());
    }
    let text = text.unwrap_or_default();
    match fault_of_cloud_config(&text) {
        Some(fault) => Err(fault),
        None => Ok(text),
    }
}

fn render_whole(
    piece: &Piece,
    namespace: &Namespace<'_>,
    findings: &mut Findings<'_>,
) -> Option<String> {
    let text = piece.render(namespace, TEMPLATE_PATH, findings);
    let text = text.as_str()?;
    // A template without tags loses its last line end like any other.
    let is_fixed = piece.is_fixed();
    let stripped = text.strip_suffix('\n').filter(|_| is_fixed);
    Some(stripped.unwrap_or(text).to_owned())
}

fn variables_of(calls: &CallSite<'_>, inherited: &SharedValue) -> SharedValue {
    match &calls.scene.node(calls.node).variables {
        Value::Null => inherited.clone(),
        own => SharedValue::from(&topology::merge(calls.scene.variables, own)),
    }
}

fn own_data(calls: &CallSite<'_>, instance: &InstanceTag, addresses: &Addresses) -> Value {
    let all = addresses
        .all
        .iter()
        .map(|text| text.as_str().into())
        .collect();
    Value::Map(vec![
        ("node_id".to_owned(), instance.as_str().into()),
        ("infra_id".to_owned(), calls.infrastructure.as_str().into()),
        ("resource_address".to_owned(), Value::List(all)),
        (
            "ip_address".to_owned(),
            addresses.private().map_or(Value::Null, Value::from),
        ),
    ])
}

/// Returns the items of a list.
pub(super) fn items_of(value: &Value) -> &[Value] {
    match value {
        Value::List(items) => items,
        _ => &[],
    }
}

/// Returns `puppet` as templates see it: the items of each list, joined.
fn puppet_value(config_management: &Value) -> SharedValue {
    let joined = |key: &str| {
        let items = config_management.get(key).map(items_of).unwrap_or_default();
        items.iter().map(python_str).collect::<Vec<_>>().join(" ")
    };
    let member = |key: &str| (key.to_owned(), SharedValue::from(joined(key).as_str()));
    SharedValue::from_pairs([member("modules"), member("manifests"), member("attributes")])
}

fn raw_context(context: &Contextualisation) -> Value {
    let (name, members) = match context {
        Contextualisation::None => return Value::Map(vec![("type".to_owned(), "basic".into())]),
        Contextualisation::Basic { attributes } => ("basic", vec![("attributes", attributes)]),
        Contextualisation::CloudInit {
            template,
            attributes,
            ..
        } => (
            "cloudinit",
            vec![("context_template", template), ("attributes", attributes)],
        ),
        Contextualisation::Docker {
            environment,
            command,
            context_variables,
        } => (
            "docker",
            vec![
                ("env", environment),
                ("command", command),
                ("context_variables", context_variables),
            ],
        ),
    };
    let present = members
        .into_iter()
        .filter(|(_, value)| **value != Value::Null);
    let members = present.map(|(key, value)| (key.to_owned(), value.clone()));
    Value::Map(
        [("type".to_owned(), name.into())]
            .into_iter()
            .chain(members)
            .collect(),
    )
}

fn raw_health(implementation: &Implementation) -> Value {
    let health = &implementation.health;
    let ports = health
        .ports
        .iter()
        .map(|port| Value::from(i64::from(*port)))
        .collect();
    let urls = health.urls.iter().map(|url| url.as_str().into()).collect();
    Value::Map(vec![
        ("type".to_owned(), "basic".into()),
        ("ping".to_owned(), Value::Bool(health.ping)),
        ("ports".to_owned(), Value::List(ports)),
        ("urls".to_owned(), Value::List(urls)),
        (
            "timeout".to_owned(),
            Value::Int(i128::from(health.timeout.0 / 1000)),
        ),
    ])
}

/// Returns what keeps cloud-init from reading its user-data, if something does.
fn fault_of_cloud_config(text: &str) -> Option<String> {
    if !text.starts_with(CLOUD_CONFIG) {
        return None;
    }
    let mut sources = SourceMap::new();
    let loaded = load_text("user-data", text, &Limits::default(), &mut sources);
    let error = loaded
        .diagnostics
        .iter()
        .find(|diagnostic| diagnostic.is_error())?;
    let line = error
        .primary
        .as_ref()
        .map_or(1, |label| sources.position(label.span).line);
    let shown: String = text
        .lines()
        .nth(line - 1)
        .unwrap_or_default()
        .trim()
        .chars()
        .take(60)
        .collect();
    Some(format!(
        "the rendered user-data is not valid YAML: {} (its line {line}: `{shown}`)",
        error.message
    ))
}
