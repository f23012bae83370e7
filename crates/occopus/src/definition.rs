//! Node definitions: the alternatives to realise a node type.

use zenekar_base::Value;
use zenekar_diagnostics::codes::definition as codes;
use zenekar_diagnostics::{Diagnostic, Span};
use zenekar_document::{Entry, Kind, View};
use zenekar_model::{Contextualisation, Health, Implementation};

use crate::annotation::{self, Annotation};
use crate::checker::{Checker, list_of, value_of, with_article};
use crate::description::DEFINITION_PREFIX;
use crate::equality::equal;
use crate::health;
use crate::oddities;
use crate::render::{has_form, yaml_text};
use crate::schema::{
    self, CONFIG_MANAGERS, CONTEXTUALISATIONS, RESOURCES, SECTIONS, Schema, Shape,
};

/// An implementation with the place where it is written.
#[derive(Debug)]
pub(crate) struct PlacedImplementation<'d> {
    pub(crate) view: View<'d>,
    pub(crate) implementation: Implementation,
    pub(crate) annotation: Option<Annotation>,
}

/// A node definition with the place where it is written.
#[derive(Debug)]
pub(crate) struct PlacedDefinition<'d> {
    pub(crate) name: &'d str,
    pub(crate) name_span: Span,
    pub(crate) implementations: Vec<PlacedImplementation<'d>>,
}

/// Reads all definitions of a file of its own.
pub(crate) fn read_file<'d>(root: View<'d>, checker: &mut Checker) -> Vec<PlacedDefinition<'d>> {
    if !checker.mapping(
        &codes::INVALID_DEFINITION,
        "a file with node definitions",
        root,
    ) {
        return Vec::new();
    }
    let mut definitions = Vec::new();
    for entry in root.entries() {
        if entry.key.text().starts_with(DEFINITION_PREFIX) {
            definitions.push(read(entry, checker));
        } else {
            let key = entry.key.text();
            checker.report(
                Diagnostic::error(&codes::INVALID_DEFINITION_NAME, format!("`{key}` is not a node definition"))
                    .at(entry.key.span())
                    .help(format!("the key of a node definition is `{DEFINITION_PREFIX}` and its name: `'{DEFINITION_PREFIX}{key}':`")),
            );
        }
    }
    definitions
}

/// Reads one definition.
pub(crate) fn read<'d>(entry: Entry<'d>, checker: &mut Checker) -> PlacedDefinition<'d> {
    let key = entry.key.text();
    let name = key.strip_prefix(DEFINITION_PREFIX).unwrap_or(key);
    if name.is_empty() {
        checker.report(
            Diagnostic::error(
                &codes::INVALID_DEFINITION_NAME,
                "the node definition has no name",
            )
            .at(entry.key.span())
            .help(format!(
                "write the name of the node type behind `{DEFINITION_PREFIX}`"
            )),
        );
    }
    let mut implementations = Vec::new();
    match entry.value.kind() {
        Kind::List if entry.value.items().len() == 0 => checker.report(
            Diagnostic::error(
                &codes::INVALID_DEFINITION,
                format!("node type `{name}` has no implementation"),
            )
            .at(entry.value.span()),
        ),
        Kind::List => {
            implementations.extend(
                entry
                    .value
                    .items()
                    .filter_map(|item| read_implementation(item, checker)),
            );
        }
        Kind::Invalid => {}
        _ => {
            let found = with_article(entry.value.type_name());
            let mut diagnostic = Diagnostic::error(
                &codes::INVALID_DEFINITION,
                format!("node type `{name}` must be a list of implementations, but is {found}"),
            )
            .at(entry.key.span());
            if entry.value.kind() == Kind::Map {
                diagnostic = diagnostic.help("put `-` before its first section");
            }
            checker.report(diagnostic);
        }
    }
    PlacedDefinition {
        name,
        name_span: entry.key.span(),
        implementations,
    }
}

fn read_implementation<'d>(
    view: View<'d>,
    checker: &mut Checker,
) -> Option<PlacedImplementation<'d>> {
    if view.kind() != Kind::Map {
        checker.wrong_type(
            &codes::INVALID_DEFINITION,
            "an implementation",
            "a mapping",
            view,
        );
        return None;
    }
    let errors_before = checker.errors();
    for entry in view.entries() {
        let key = entry.key.text();
        if !SECTIONS.contains(&key) {
            let owner = "an implementation";
            checker.unknown_key(
                &codes::UNKNOWN_SECTION,
                owner,
                (key, entry.key.span()),
                SECTIONS.iter().copied(),
            );
        }
    }
    let resource = view
        .get_entry("resource")
        .and_then(|entry| read_resource(entry, checker));
    if view.get("resource").is_none() {
        let place = view
            .entries()
            .next()
            .map_or(view.span(), |entry| entry.key.span());
        checker.report(
            Diagnostic::error(
                &codes::MISSING_RESOURCE,
                "the implementation has no section `resource`",
            )
            .at(place),
        );
    }
    let context = view
        .get_entry("contextualisation")
        .and_then(|entry| read_contextualisation(entry, checker));
    if let (Some(resource), Some((context, place))) = (resource, &context) {
        check_combination(resource, context, *place, checker);
    }
    if let Some(entry) = view.get_entry("config_management") {
        let manager = read_section("config_management", entry, CONFIG_MANAGERS, checker);
        if manager.is_some_and(|manager| manager.name == "chef") {
            checker.report(
                Diagnostic::warning(
                    &codes::NOT_CARRIED_OUT,
                    "nodes are not registered at the Chef server yet",
                )
                .at(entry.key.span())
                .help("the section is checked and rendered, and nothing else is done with it"),
            );
        }
    }
    let health = view
        .get("health_check")
        .map_or_else(Health::default, |section| health::read(section, checker));
    let annotation = view
        .get(annotation::KEY)
        .and_then(|section| annotation::read(section, checker));
    if checker.errors() > errors_before {
        return None;
    }
    let implementation = Implementation {
        provider: resource
            .map(|schema| schema.name.to_owned())
            .unwrap_or_default(),
        resource: value_of(view.get("resource")),
        contextualisation: context.map(|(context, _)| context).unwrap_or_default(),
        config_management: value_of(view.get("config_management")),
        health,
    };
    Some(PlacedImplementation {
        view,
        implementation,
        annotation,
    })
}

fn read_resource(entry: Entry<'_>, checker: &mut Checker) -> Option<&'static Schema> {
    if let Some(kind) = entry.value.get("type")
        && kind.as_str() == Some("occi")
    {
        checker.report(
            Diagnostic::error(
                &codes::REMOVED_PROVIDER,
                "resource type `occi` was removed in Occopus 1.8",
            )
            .at(kind.span())
            .help("use type `nova` if the site offers OpenStack"),
        );
        return None;
    }
    read_section("resource", entry, RESOURCES, checker)
}

/// Checks the keys of a section that has a `type`.
fn read_section(
    section: &str,
    entry: Entry<'_>,
    schemas: &'static [Schema],
    checker: &mut Checker,
) -> Option<&'static Schema> {
    let view = entry.value;
    if view.kind() != Kind::Map {
        checker.wrong_type(
            &codes::INVALID_VALUE,
            &format!("section `{section}`"),
            "a mapping",
            view,
        );
        return None;
    }
    let Some(kind) = view.get("type") else {
        checker.report(
            Diagnostic::error(
                &codes::MISSING_SECTION_KEY,
                format!("section `{section}` has no `type`"),
            )
            .at(entry.key.span())
            .help(format!(
                "the types are {}",
                list_of(schemas.iter().map(|schema| schema.name))
            )),
        );
        return None;
    };
    let name = checker.text(
        &codes::INVALID_VALUE,
        &format!("`type` of `{section}`"),
        kind,
    )?;
    let Some(schema) = schema::find(schemas, name) else {
        unknown_type(section, name, kind.span(), schemas, checker);
        return None;
    };
    let missing: Vec<_> = schema
        .required
        .iter()
        .map(|key| key.0)
        .filter(|key| view.get(key).is_none())
        .collect();
    if !missing.is_empty() {
        let message = format!(
            "section `{section}` of type `{name}` lacks {}",
            list_of(missing)
        );
        checker.report(Diagnostic::error(&codes::MISSING_SECTION_KEY, message).at(kind.span()));
    }
    if let Some((one, other)) = schema.one_of
        && view.get(one).is_none()
        && view.get(other).is_none()
    {
        let message = format!("section `{section}` of type `{name}` needs `{one}` or `{other}`");
        checker.report(Diagnostic::error(&codes::MISSING_SECTION_KEY, message).at(kind.span()));
    }
    let owner = format!("`{section}` of type `{name}`");
    for member in view.entries() {
        let key = member.key.text();
        match schema.shape_of(key) {
            Some(shape) => check_shape(key, shape, member.value, checker),
            None => unknown_key(schema, &owner, member, checker),
        }
        report_without_effect(schema.ignored, member, checker);
    }
    check_description(schema, view, checker);
    oddities::report(schema.name, view, checker);
    Some(schema)
}

fn unknown_key(schema: &'static Schema, owner: &str, member: Entry<'_>, checker: &mut Checker) {
    let (key, span) = (member.key.text(), member.key.span());
    match schema.refused.iter().find(|(refused, _)| *refused == key) {
        Some((_, advice)) => checker.report(
            Diagnostic::error(
                &codes::UNKNOWN_SECTION_KEY,
                format!("unknown key `{key}` in {owner}"),
            )
            .at(span)
            .help(*advice),
        ),
        None => checker.unknown_key(
            &codes::UNKNOWN_SECTION_KEY,
            owner,
            (key, span),
            schema.keys(),
        ),
    }
}

/// Warns of a key that Occopus accepts and ignores.
fn report_without_effect(
    ignored: &[(&'static str, &'static str)],
    member: Entry<'_>,
    checker: &mut Checker,
) {
    let key = member.key.text();
    if let Some((_, reason)) = ignored.iter().find(|(ignored, _)| *ignored == key) {
        checker.report(
            Diagnostic::warning(
                &codes::NO_EFFECT,
                format!("`{key}` has no effect: {reason}"),
            )
            .at(member.key.span()),
        );
    }
}

/// Checks the part of a resource that is handed to the provider as it is.
fn check_description(schema: &Schema, section: View<'_>, checker: &mut Checker) {
    let Some(description) = section.get_entry("description") else {
        return;
    };
    if description.value.kind() != Kind::Map {
        return;
    }
    let missing: Vec<&str> = schema
        .described
        .iter()
        .copied()
        .filter(|key| description.value.get(key).is_none())
        .collect();
    if !missing.is_empty() {
        let message = format!(
            "`description` of type `{}` lacks {}",
            schema.name,
            list_of(missing)
        );
        checker.report(
            Diagnostic::error(&codes::MISSING_SECTION_KEY, message).at(description.key.span()),
        );
    }
    for member in description.value.entries() {
        report_without_effect(schema.overwritten, member, checker);
    }
}

fn unknown_type(
    section: &str,
    name: &str,
    span: Span,
    schemas: &'static [Schema],
    checker: &mut Checker,
) {
    let code = if section == "resource" {
        &codes::UNKNOWN_PROVIDER
    } else {
        &codes::UNKNOWN_PLUGIN
    };
    let names = schemas.iter().map(|schema| schema.name);
    let diagnostic =
        Diagnostic::error(code, format!("unknown type `{name}` of `{section}`")).at(span);
    let diagnostic = match checker.suggest(name, names.clone()) {
        Some(meant) => diagnostic
            .help(format!("did you mean `{meant}`?"))
            .fix(span, meant),
        None => diagnostic.help(format!("the types are {}", list_of(names))),
    };
    checker.report(diagnostic);
}

/// Checks the type of a value; null and templates pass, the provider will judge them.
fn check_shape(key: &str, shape: Shape, view: View<'_>, checker: &mut Checker) {
    let is_template = view
        .as_str()
        .is_some_and(|text| text.contains("{{") || text.contains("{%"));
    if view.kind() == Kind::Null || is_template {
        return;
    }
    let subject = format!("`{key}`");
    let (fits, wanted) = match shape {
        Shape::Any => return,
        Shape::Scalar => (
            !matches!(view.kind(), Kind::List | Kind::Map),
            "a single value".to_owned(),
        ),
        Shape::Map => (view.kind() == Kind::Map, "a mapping".to_owned()),
        Shape::List => (view.kind() == Kind::List, "a list".to_owned()),
        Shape::ListOrItem => (view.kind() != Kind::Map, "a list".to_owned()),
        Shape::Count => {
            let number = view
                .as_int()
                .or_else(|| view.as_str().and_then(|text| text.trim().parse().ok()));
            (
                number.is_some_and(|number| number >= 0),
                "a number that is not negative".to_owned(),
            )
        }
        Shape::AtLeast(lowest) => {
            let fits = view
                .as_int()
                .is_some_and(|number| number >= lowest && u32::try_from(number).is_ok());
            (fits, format!("a whole number from {lowest} on"))
        }
        Shape::Percent => (
            view.as_int()
                .is_some_and(|number| (0..=100).contains(&number)),
            "a whole number from 0 to 100".to_owned(),
        ),
        Shape::OneOf(words) => (
            view.as_str().is_some_and(|text| words.contains(&text)),
            format!("one of the words {}", list_of(words.iter().copied())),
        ),
        Shape::Interval => (
            is_interval(view),
            "a number of milliseconds, or a list of the lowest and the highest in this order"
                .to_owned(),
        ),
    };
    if fits || view.is_invalid() {
        return;
    }
    let found = match view.kind() {
        Kind::Int(number) => number.to_string(),
        Kind::String(text) if matches!(shape, Shape::OneOf(_)) => format!("`{text}`"),
        // That it is a list says nothing where a list may stand.
        Kind::List if matches!(shape, Shape::Interval) => "another list".to_owned(),
        _ => with_article(view.type_name()),
    };
    checker.report(
        Diagnostic::error(
            &codes::INVALID_VALUE,
            format!("{subject} must be {wanted}, but is {found}"),
        )
        .at(view.span()),
    );
}

fn is_interval(view: View<'_>) -> bool {
    let is_time = |view: View<'_>| {
        view.as_int()
            .filter(|number| u32::try_from(*number).is_ok())
    };
    if view.kind() != Kind::List {
        return is_time(view).is_some();
    }
    let mut items = view.items();
    let (low, high) = (
        items.next().and_then(is_time),
        items.next().and_then(is_time),
    );
    items.next().is_none() && low.zip(high).is_some_and(|(low, high)| low <= high)
}

/// Reads the section `contextualisation`, with the place of its type.
fn read_contextualisation(
    entry: Entry<'_>,
    checker: &mut Checker,
) -> Option<(Contextualisation, Span)> {
    let view = entry.value;
    if view.kind() == Kind::Null {
        return Some((Contextualisation::None, entry.key.span()));
    }
    let schema = read_section("contextualisation", entry, CONTEXTUALISATIONS, checker)?;
    let attributes = value_of(view.get("attributes"));
    let context = match schema.name {
        "cloudinit" => {
            let template = view.get("context_template")?;
            if !matches!(template.kind(), Kind::String(_) | Kind::Map) {
                checker.wrong_type(
                    &codes::INVALID_VALUE,
                    "`context_template`",
                    "text or a mapping",
                    template,
                );
                return None;
            }
            Contextualisation::CloudInit {
                template: template.to_value(),
                written: has_form(template).then(|| yaml_text(template)),
                attributes,
            }
        }
        "docker" => {
            if let Some(environment) = view.get("env") {
                check_environment(environment, checker);
            }
            if let Some(command) = view.get("command")
                && !matches!(command.kind(), Kind::Null | Kind::String(_) | Kind::List)
            {
                checker.wrong_type(
                    &codes::INVALID_VALUE,
                    "`command`",
                    "text or a list",
                    command,
                );
            }
            if let Some(variables) = view.get("context_variables") {
                checker.mapping(&codes::INVALID_VALUE, "`context_variables`", variables);
            }
            Contextualisation::Docker {
                environment: value_of(view.get("env")),
                command: value_of(view.get("command")),
                context_variables: value_of(view.get("context_variables")),
            }
        }
        _ => Contextualisation::Basic { attributes },
    };
    Some((
        context,
        view.get("type").map_or(entry.key.span(), View::span),
    ))
}

/// Checks that `env` is a list of `NAME=value`; a mapping is taken too.
fn check_environment(view: View<'_>, checker: &mut Checker) {
    match view.kind() {
        Kind::Null | Kind::Invalid | Kind::Map => {}
        Kind::List => {
            for item in view.items() {
                let Some(text) = checker.text(&codes::INVALID_VALUE, "an item of `env`", item)
                else {
                    continue;
                };
                if !text.contains('=') && !text.contains("{{") {
                    checker.report(
                        Diagnostic::warning(
                            &codes::NO_EFFECT,
                            format!("`{text}` sets no variable"),
                        )
                        .at(item.span())
                        .help("write `NAME=value`"),
                    );
                }
            }
        }
        _ => checker.wrong_type(&codes::INVALID_VALUE, "`env`", "a list", view),
    }
}

fn check_combination(
    resource: &Schema,
    context: &Contextualisation,
    place: Span,
    checker: &mut Checker,
) {
    // These take every kind; a container carries user-data out by our agent.
    if matches!(resource.name, "sim" | "local" | "docker") {
        return;
    }
    let (found, wanted) = match (resource.is_container, context) {
        (true, Contextualisation::CloudInit { .. }) => ("cloudinit", "docker"),
        (false, Contextualisation::Docker { .. }) => ("docker", "cloudinit"),
        _ => return,
    };
    let message = format!(
        "contextualisation of type `{found}` has no effect on a resource of type `{}`",
        resource.name
    );
    checker.report(
        Diagnostic::warning(&codes::UNUSUAL_COMBINATION, message)
            .at(place)
            .help(format!("use type `{wanted}`")),
    );
}

/// Says whether a raw resource section fits a filter: every key equal, without rendering it.
pub(crate) fn fits_filter(resource: &Value, filter: &Value) -> bool {
    let wanted = filter.as_map().map(Vec::as_slice).unwrap_or_default();
    wanted
        .iter()
        .all(|(key, value)| resource.get(key).is_some_and(|found| equal(found, value)))
}
