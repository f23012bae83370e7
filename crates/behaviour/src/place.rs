//! The way back from a rendered line to the line that a person wrote.

use std::collections::BTreeMap;

use zenekar_diagnostics::SourceMap;
use zenekar_model::Place;

/// Lines with tags that are kept; each is compared with every line that is looked for.
const PATTERNS_MAX: usize = 20_000;

/// Finds lines in the files of a descriptor.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Lines without tags.
    exact: BTreeMap<String, Place>,
    /// What stands between the tags of lines that have some.
    patterns: Vec<(Vec<String>, Place)>,
}

impl Lines {
    pub(crate) fn new(sources: &SourceMap) -> Self {
        let mut lines = Self::default();
        for file in sources.ids() {
            for (number, line) in (1..).zip(sources.text(file).lines()) {
                let bare = bare(line);
                if bare.is_empty() {
                    continue;
                }
                let place = Place {
                    file: sources.name(file).to_owned(),
                    line: number,
                };
                if !bare.contains("{{") {
                    lines.exact.entry(bare.to_owned()).or_insert(place);
                } else if lines.patterns.len() < PATTERNS_MAX {
                    lines.patterns.push((fragments(bare), place));
                }
            }
        }
        lines
    }

    /// Returns the first line from which a rendered one may come.
    pub(crate) fn find(&self, rendered: &str) -> Option<Place> {
        let rendered = bare(rendered);
        let exact = self.exact.get(rendered);
        let found = exact.or_else(|| {
            let mut all = self.patterns.iter();
            all.find(|(fragments, _)| fits(rendered, fragments))
                .map(|(_, place)| place)
        });
        found.cloned()
    }
}

/// Returns a line without what YAML puts around it.
fn bare(line: &str) -> &str {
    let mut line = line.trim();
    while let Some(rest) = line.strip_prefix("- ") {
        line = rest.trim_start();
    }
    for quote in ['"', '\''] {
        if let Some(inner) = line
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    line
}

/// Returns what stands outside of the tags of a line, the first and the last
/// part of it included.
fn fragments(line: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some(open) = rest.find("{{") {
        parts.push(rest[..open].to_owned());
        rest = rest[open..]
            .find("}}")
            .map_or("", |close| &rest[open + close + 2..]);
    }
    parts.push(rest.to_owned());
    parts
}

/// Says whether a line has these parts in this order, with anything between them.
fn fits(line: &str, fragments: &[String]) -> bool {
    let [first, middle @ .., last] = fragments else {
        return false;
    };
    // A line that is a single tag would fit everything.
    if fragments.iter().all(|part| part.trim().is_empty()) {
        return false;
    }
    let Some(mut rest) = line.strip_prefix(first.as_str()) else {
        return false;
    };
    for part in middle {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rendered_lines_are_found_where_they_were_written() {
        let mut sources = SourceMap::new();
        sources.add("infra.yaml", "nodes:\n- name: a\n");
        sources.add(
            "nodes.yaml",
            "runcmd:\n  - apt-get update\n  - \"curl http://{{ getip('b') }}:{{ variables.port }}/x\"\n  - {{ all }}\n",
        );
        let lines = Lines::new(&sources);
        let place = |line: &str| lines.find(line).map(|place| place.to_string());
        assert_eq!(place("apt-get update").as_deref(), Some("nodes.yaml:2"));
        assert_eq!(
            place("curl http://198.18.0.2:80/x").as_deref(),
            Some("nodes.yaml:3")
        );
        assert_eq!(place("curl http://198.18.0.2:80/y"), None);
    }
}
