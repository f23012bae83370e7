//! Secrets that are put onto instances of nodes that do not name them.
//!
//! A variable that a node's templates name is its own business. A template that
//! writes down all variables, whatever they are called, takes those along that
//! only others use: that is what is sought here. What a filter has changed is
//! not recognised, and nothing is said then.

use zenekar_base::{Value, is_secret_name};
use zenekar_model::{
    Contextualisation, ForeignSecret, Implementation, NodeIndex, Rendered, Topology, TopologyParts,
};

use crate::stage::Stage;

/// Secrets that are looked for; each is sought in what every node is given.
const SECRETS_MAX: usize = 100;

/// Secrets have as many characters at least: what is shorter is a switch.
const CHARS_MIN: usize = 3;

/// A secret among the variables that all nodes inherit.
struct Secret {
    /// The names that lead to it.
    path: Vec<String>,
    /// What is put into its place.
    mark: String,
}

/// What a node has to do with a secret.
#[derive(Clone, Copy)]
struct Use {
    is_named: bool,
    is_given: bool,
}

/// Returns for each node the secrets of others that its instances are given.
pub(crate) fn foreign(topology: &Topology) -> Vec<(String, Vec<ForeignSecret>)> {
    let mut secrets = Vec::new();
    let variables = marked(topology.variables(), &mut Vec::new(), false, &mut secrets);
    if secrets.is_empty() {
        return Vec::new();
    }
    let marked = Topology::new(TopologyParts {
        variables,
        ..topology.to_parts()
    });
    let Ok(marked) = marked else {
        return Vec::new();
    };
    let stage = Stage::new(&marked);
    let uses: Vec<Vec<Use>> = marked
        .indices()
        .map(|node| uses_of(&marked, &stage, node, &secrets))
        .collect();
    let owners: Vec<Option<usize>> = (0..secrets.len())
        .map(|secret| {
            let is_owner = |uses: &Vec<Use>| uses[secret].is_named && uses[secret].is_given;
            uses.iter().position(is_owner)
        })
        .collect();
    let names: Vec<&str> = marked.nodes().iter().map(|node| &*node.name).collect();
    let all = names.iter().zip(&uses).map(|(name, uses)| {
        let foreign = uses.iter().zip(&secrets).zip(&owners);
        let foreign = foreign.filter_map(|((one, secret), owner)| {
            let is_foreign = one.is_given && !one.is_named;
            is_foreign.then_some(ForeignSecret {
                variable: secret.path.join("."),
                // What nobody names is meant for those that are given it.
                owner: names[(*owner)?].to_owned(),
            })
        });
        ((*name).to_owned(), foreign.collect::<Vec<_>>())
    });
    all.filter(|(_, foreign)| !foreign.is_empty()).collect()
}

/// Puts marks into the places of secrets.
fn marked(
    value: &Value,
    path: &mut Vec<String>,
    is_secret: bool,
    secrets: &mut Vec<Secret>,
) -> Value {
    match value {
        Value::Map(entries) => {
            let entries = entries.iter().map(|(name, member)| {
                path.push(name.clone());
                let member = marked(member, path, is_secret || is_secret_name(name), secrets);
                path.pop();
                (name.clone(), member)
            });
            Value::Map(entries.collect())
        }
        Value::String(text) if is_secret && is_worth_it(text) && secrets.len() < SECRETS_MAX => {
            // Letters only: no filter for texts, and no shell, changes them.
            let letter = |digit: usize| char::from(b'k' + u8::try_from(digit % 10).unwrap_or(0));
            let number = secrets.len();
            let mark = format!("qzx{}{}zqx", letter(number / 10), letter(number));
            secrets.push(Secret {
                path: path.clone(),
                mark: mark.clone(),
            });
            Value::String(mark)
        }
        other => other.clone(),
    }
}

/// Says whether a text can be a secret: it is not left open, and no switch.
fn is_worth_it(text: &str) -> bool {
    let is_switch = matches!(text, "true" | "false" | "True" | "False" | "null" | "None");
    text.trim().chars().count() >= CHARS_MIN && !is_switch && !text.contains("{{")
}

fn uses_of(
    topology: &Topology,
    stage: &Stage<'_>,
    node: NodeIndex,
    secrets: &[Secret],
) -> Vec<Use> {
    let given = stage.render(node).map(|(rendered, _)| texts_of(&rendered));
    let given = given.unwrap_or_default();
    let mut written = Vec::new();
    if let Some(implementation) = topology.candidate(node, 0) {
        texts_in(implementation, &mut written);
    }
    let own = &topology.node(node).variables;
    let uses = secrets.iter().map(|secret| Use {
        is_named: names(&written, &secret.path) || has(own, &secret.path),
        is_given: given.iter().any(|text| text.contains(&secret.mark)),
    });
    uses.collect()
}

/// Says whether a value has something at a path.
fn has(value: &Value, path: &[String]) -> bool {
    let mut at = Some(value);
    for name in path {
        at = at.and_then(|value| value.get(name));
    }
    at.is_some()
}

/// Returns what an instance gets, texts only.
fn texts_of(rendered: &Rendered) -> Vec<String> {
    let mut texts: Vec<String> = rendered.user_data.iter().cloned().collect();
    texts.extend(rendered.environment.iter().map(|(_, value)| value.clone()));
    texts.extend(rendered.command.iter().flatten().cloned());
    leaves(&rendered.attributes, &mut texts);
    texts
}

/// Gathers what is written of an implementation, templates included.
fn texts_in(implementation: &Implementation, texts: &mut Vec<String>) {
    leaves(&implementation.resource, texts);
    leaves(&implementation.config_management, texts);
    let health = &implementation.health;
    texts.extend(health.urls.iter().cloned());
    for check in &health.mysql_databases {
        texts.extend([&check.name, &check.user, &check.password].map(Clone::clone));
    }
    match &implementation.contextualisation {
        Contextualisation::None => {}
        Contextualisation::Basic { attributes } => leaves(attributes, texts),
        Contextualisation::CloudInit {
            template,
            attributes,
            ..
        } => {
            leaves(template, texts);
            leaves(attributes, texts);
        }
        Contextualisation::Docker {
            environment,
            command,
            context_variables,
        } => {
            for part in [environment, command, context_variables] {
                leaves(part, texts);
            }
        }
    }
}

/// Gathers the names and texts of a value.
fn leaves(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::List(items) => items.iter().for_each(|item| leaves(item, texts)),
        Value::Map(entries) => {
            for (name, member) in entries {
                texts.push(name.clone());
                leaves(member, texts);
            }
        }
        _ => {}
    }
}

/// Says whether texts name a variable: by its own name anywhere, as in what a
/// program reads from its environment, or by that of a group within a tag.
fn names(texts: &[String], path: &[String]) -> bool {
    let Some((own, groups)) = path.split_last() else {
        return false;
    };
    texts.iter().any(|text| {
        words(text).any(|word| is_same(word, own))
            || tags(text)
                .any(|tag| words(tag).any(|word| groups.iter().any(|group| is_same(word, group))))
    })
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != '-')
}

/// Says whether two names are one, written in different manners.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    one.len() == other.len() && plain(one) == plain(other)
}

/// Returns what stands in the tags of a template.
fn tags(text: &str) -> impl Iterator<Item = &str> {
    ["{{", "{%"].into_iter().flat_map(|open| {
        let close = if open == "{{" { "}}" } else { "%}" };
        text.split(open)
            .skip(1)
            .map(move |rest| rest.split(close).next().unwrap_or(rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> Vec<String> {
        path.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn a_variable_is_named_by_its_own_name_or_its_groups() {
        let named = |text: &str, variable| names(&[text.to_owned()], &path(variable));
        assert!(named("mysql -p{{variables.db_password}}", "db_password"));
        assert!(named("mysql -p$DB_PASSWORD", "db_password"));
        assert!(named("{# db-password is meant #}", "db_password"));
        assert!(named("{{ variables.db | tojson }}", "db.password"));
        assert!(!named("mysql --host db", "db.password"));
        assert!(!named("{{ variables | tojson }}", "db_password"));
        assert!(!named("old_db_password_2", "db_password"));
    }

    #[test]
    fn switches_and_what_is_left_open_are_no_secrets() {
        let variables = Value::Map(vec![
            ("db_password".to_owned(), "s3cret".into()),
            ("use_token".to_owned(), "true".into()),
            ("api_key".to_owned(), "{{ other }}".into()),
            ("port".to_owned(), "3306".into()),
        ]);
        let mut secrets = Vec::new();
        let marked = marked(&variables, &mut Vec::new(), false, &mut secrets);
        assert_eq!(secrets.len(), 1);
        assert_eq!(secrets[0].path, path("db_password"));
        assert_eq!(
            marked.get("db_password"),
            Some(&Value::from(secrets[0].mark.as_str()))
        );
        assert_eq!(marked.get("port"), variables.get("port"));
    }
}
