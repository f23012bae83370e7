//! Comments that accept findings.

use zenekar_diagnostics::{Diagnostic, SourceMap};

/// What a comment begins with.
const MARK: &str = "zenekar: allow ";

/// Says whether a comment on the line of a finding, or on the line before it, accepts it.
pub(crate) fn is_accepted(finding: &Diagnostic, sources: &SourceMap) -> bool {
    let Some(label) = &finding.primary else {
        return false;
    };
    let text = sources.text(label.span.file);
    let start = text.floor_char_boundary(label.span.start as usize);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    let before = text[..line_start].lines().next_back().unwrap_or("");
    // The comment of the line before has that line for itself.
    let own = [line]
        .into_iter()
        .chain(before.trim_start().starts_with('#').then_some(before));
    own.filter_map(codes_of)
        .flatten()
        .any(|code| code.eq_ignore_ascii_case(finding.code.id))
}

/// Returns the codes that a line accepts.
fn codes_of(line: &str) -> Option<impl Iterator<Item = &str>> {
    let at = line.find(MARK)?;
    let is_comment = line[..at].trim_end().ends_with('#');
    let words = line[at + MARK.len()..]
        .split([' ', ','])
        .filter(|word| !word.is_empty());
    is_comment.then(|| {
        words.take_while(|word| {
            word.len() == 6
                && word
                    .get(..2)
                    .is_some_and(|start| start.eq_ignore_ascii_case("ZK"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_names_codes_and_then_a_reason() {
        let codes = |line| codes_of(line).map(Iterator::collect::<Vec<_>>);
        assert_eq!(
            codes("- wget x # zenekar: allow ZK0713"),
            Some(vec!["ZK0713"])
        );
        assert_eq!(
            codes("# zenekar: allow ZK0713, zk0714 as we say"),
            Some(vec!["ZK0713", "zk0714"])
        );
        assert_eq!(codes("# zenekar: allow é€"), Some(vec![]));
        assert_eq!(codes("echo zenekar: allow ZK0713"), None);
        assert_eq!(codes("nothing"), None);
    }
}
