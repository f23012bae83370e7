//! How several cloud-configs become one.
//!
//! A part may say how it is merged (`merge_how`, or a header). Otherwise its
//! keys replace those of earlier parts.

use zenekar_base::Value;

use crate::values::{as_list, as_map, get, text_of};

type Map = Vec<(String, Value)>;

/// A way to merge, and its options.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    kind: Kind,
    options: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Mappings,
    Lists,
    Texts,
}

impl Rule {
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|given| given == option)
    }

    /// The first of the given methods that is among the options.
    fn method(&self, methods: &[&'static str], default: &'static str) -> &'static str {
        methods
            .iter()
            .copied()
            .find(|method| self.has(method))
            .unwrap_or(default)
    }
}

/// How values are merged, by their types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    /// How parts of user-data are merged if they say nothing: later keys win.
    fn of_parts() -> Self {
        Self(vec![
            Rule {
                kind: Kind::Mappings,
                options: vec!["replace".to_owned()],
            },
            Rule {
                kind: Kind::Lists,
                options: Vec::new(),
            },
            Rule {
                kind: Kind::Texts,
                options: Vec::new(),
            },
        ])
    }

    /// How settings are completed by defaults: what is there stays.
    pub(crate) fn of_defaults() -> Self {
        Self(
            [Kind::Lists, Kind::Mappings, Kind::Texts]
                .into_iter()
                .map(|kind| Rule {
                    kind,
                    options: Vec::new(),
                })
                .collect(),
        )
    }

    /// Takes what a part says about merging out of it, and adds what its header says.
    pub(crate) fn of_part(config: &mut Map, header: Option<&str>) -> Result<Self, String> {
        let mut rules = match take(config, "merge_how").or_else(|| take(config, "merge_type")) {
            None => Vec::new(),
            Some(Value::String(text)) => parse(&text)?,
            Some(Value::List(items)) => from_list(&items)?,
            Some(_) => return Err("`merge_how` is neither text nor a list".to_owned()),
        };
        rules.extend(parse(header.unwrap_or(""))?);
        Ok(if rules.is_empty() {
            Self::of_parts()
        } else {
            Self(rules)
        })
    }

    fn rule(&self, kind: Kind) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.kind == kind)
    }

    /// Merges a value with a later one. The recursion is bounded by the depth of both.
    pub(crate) fn merge(&self, value: Value, with: Value) -> Value {
        match value {
            Value::Map(entries) => match self.rule(Kind::Mappings) {
                Some(rule) => self.merge_maps(rule, entries, with),
                None => Value::Map(entries),
            },
            Value::List(items) => match self.rule(Kind::Lists) {
                Some(rule) => self.merge_lists(rule, items, with),
                None => Value::List(items),
            },
            Value::String(text) => match (self.rule(Kind::Texts), with) {
                (None, _) => Value::String(text),
                (Some(rule), Value::String(more)) if rule.has("append") => {
                    Value::String(text + &more)
                }
                (Some(_), with) => with,
            },
            other => other,
        }
    }

    fn merge_maps(&self, rule: &Rule, mut entries: Map, with: Value) -> Value {
        let Value::Map(with) = with else {
            return Value::Map(entries);
        };
        let replace = rule.method(&["replace", "no_replace"], "no_replace") == "replace";
        for (key, new) in with {
            let Some(at) = entries.iter().position(|(name, _)| *name == key) else {
                entries.push((key, new));
                continue;
            };
            if new == Value::Null && rule.has("allow_delete") {
                entries.remove(at);
                continue;
            }
            let recurse = match &new {
                Value::List(_) => rule.has("recurse_array") || rule.has("recurse_list"),
                Value::String(_) => rule.has("recurse_str"),
                Value::Map(_) => true,
                _ => false,
            };
            let old = &mut entries[at].1;
            if replace {
                *old = new;
            } else if recurse {
                *old = self.merge(std::mem::take(old), new);
            }
        }
        Value::Map(entries)
    }

    fn merge_lists(&self, rule: &Rule, mut items: Vec<Value>, with: Value) -> Value {
        let method = rule.method(&["append", "prepend", "replace", "no_replace"], "replace");
        let with = match with {
            Value::List(with) => with,
            other if method == "replace" => return other,
            // Python would fail here, or take a text apart into letters.
            _ => return Value::List(items),
        };
        match method {
            "append" => items.extend(with),
            "prepend" => items.splice(0..0, with).for_each(drop),
            "no_replace" => {}
            _ => {
                for (old, new) in items.iter_mut().zip(with) {
                    let recurse = match &new {
                        Value::List(_) => rule.has("recurse_array") || rule.has("recurse_list"),
                        Value::String(_) => rule.has("recurse_str"),
                        Value::Map(_) => rule.has("recurse_dict"),
                        _ => false,
                    };
                    *old = if recurse {
                        self.merge(std::mem::take(old), new)
                    } else {
                        new
                    };
                }
            }
        }
        Value::List(items)
    }
}

fn take(config: &mut Map, key: &str) -> Option<Value> {
    let at = config.iter().position(|(name, _)| name == key)?;
    Some(config.remove(at).1).filter(|value| *value != Value::Null)
}

fn kind_of(name: &str) -> Result<Kind, String> {
    let name = name.trim().to_lowercase().replace('-', "_");
    match name.strip_prefix("m_").unwrap_or(&name) {
        "dict" => Ok(Kind::Mappings),
        "list" => Ok(Kind::Lists),
        "str" => Ok(Kind::Texts),
        _ => Err(format!(
            "`{name}` is no way to merge; there are dict, list and str"
        )),
    }
}

/// Reads `list(append)+dict(recurse_array)+str()`.
fn parse(text: &str) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for rule in text
        .split('+')
        .map(str::trim)
        .filter(|rule| !rule.is_empty())
    {
        let parts = rule
            .strip_suffix(')')
            .and_then(|rule| rule.split_once('('))
            .ok_or_else(|| format!("`{rule}` does not say how to merge as `list(append)` does"))?;
        rules.push(Rule {
            kind: kind_of(parts.0)?,
            options: parts
                .1
                .split(',')
                .map(|option| option.trim().to_lowercase().replace('-', "_"))
                .filter(|option| !option.is_empty())
                .collect(),
        });
    }
    Ok(rules)
}

fn from_list(items: &[Value]) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for item in items {
        let (name, options) = if let Some(entries) = as_map(item) {
            let name = get(entries, "name").map(text_of).unwrap_or_default();
            let settings = get(entries, "settings").and_then(as_list);
            (name, settings.unwrap_or_default())
        } else if let Some([name, options @ ..]) = as_list(item) {
            (text_of(name), options)
        } else {
            return Err("an entry of `merge_how` is neither a mapping nor a list".to_owned());
        };
        rules.push(Rule {
            kind: kind_of(&name)?,
            options: options.iter().map(text_of).collect(),
        });
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        crate::config::read("test", text.as_bytes()).unwrap().value
    }

    fn merged(one: &str, two: &str) -> Value {
        let Value::Map(mut second) = value(two) else {
            panic!("not a mapping")
        };
        let rules = Rules::of_part(&mut second, None).unwrap();
        rules.merge(value(one), Value::Map(second))
    }

    #[test]
    fn later_keys_replace_earlier_ones() {
        assert_eq!(
            merged("a: [1, 2]\nb: {x: 1}\nc: t\n", "a: [3]\nb: {y: 2}\nd: 1\n"),
            value("a: [3]\nb: {y: 2}\nc: t\nd: 1\n")
        );
    }

    // The expected values were measured with the mergers of cloud-init 22.4.2.
    #[test]
    fn a_part_may_say_how_it_is_merged() {
        assert_eq!(
            merged(
                "runcmd: [one]\nusers: {a: 1}\n",
                "merge_how: 'list(append)+dict(recurse_array)+str()'\nruncmd: [two]\nusers: {a: 2, b: 3}\n"
            ),
            value("runcmd: [one, two]\nusers: {a: 1, b: 3}\n")
        );
        assert_eq!(
            merged(
                "runcmd: [one, old]\ntext: x\n",
                "merge_how:\n- {name: list, settings: [prepend]}\n- {name: dict, settings: [no_replace, recurse_list, recurse_str]}\n- [str, append]\nruncmd: [two]\ntext: y\n"
            ),
            value("runcmd: [two, one, old]\ntext: xy\n")
        );
        assert_eq!(
            merged(
                "a: 1\nb: 2\n",
                "merge_type: dict(allow_delete)\na: \nb: 3\n"
            ),
            value("b: 2\n")
        );
    }

    #[test]
    fn nonsense_about_merging_is_told() {
        let mut config = vec![("merge_how".to_owned(), Value::String("sets()".to_owned()))];
        let problem = Rules::of_part(&mut config, None).unwrap_err();
        assert!(problem.contains("`sets`"), "{problem}");
        assert!(Rules::of_part(&mut Vec::new(), Some("list")).is_err());
    }
}
