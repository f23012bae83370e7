//! Reads the XML of answers.

use roxmltree::{Document, Node, ParsingOptions};

use crate::limits::{ANSWER_DEPTH_MAX, ANSWER_NODES_MAX};

/// Reads a document. Document types and their entities are refused.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, String> {
    if depth(text) > ANSWER_DEPTH_MAX {
        return Err("it is nested too deeply".to_owned());
    }
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: ANSWER_NODES_MAX,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| error.to_string())
}

/// Returns how deep elements are nested at most, or more: a guard for the
/// parser, which calls itself.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0usize, 0usize);
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('<') {
        match bytes.get(at + 1) {
            Some(b'/') => now = now.saturating_sub(1),
            Some(b'?' | b'!') | None => {}
            Some(_) => {
                let end = text[at..].find('>').map_or(text.len(), |end| at + end);
                if bytes.get(end.wrapping_sub(1)) != Some(&b'/') {
                    now += 1;
                    most = most.max(now);
                    if most > ANSWER_DEPTH_MAX {
                        return most;
                    }
                }
            }
        }
    }
    most
}

/// Returns the child element with a name.
pub(crate) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children()
        .find(|child| child.is_element() && child.tag_name().name() == name)
}

/// Returns the text of a child element, if it has any.
pub(crate) fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?
        .text()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

/// Returns the text at the end of a path of child elements.
pub(crate) fn text_at<'a>(node: Node<'a, '_>, path: &[&str]) -> Option<&'a str> {
    let (last, parents) = path.split_last()?;
    let mut node = node;
    for name in parents {
        node = child(node, name)?;
    }
    text(node, last)
}

/// Returns the items of a list, which is a child element.
pub(crate) fn items<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    name: &str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    child(node, name)
        .into_iter()
        .flat_map(|list| list.children())
        .filter(Node::is_element)
}

/// Returns the value of a tag.
pub(crate) fn tag<'a>(node: Node<'a, '_>, key: &str) -> Option<&'a str> {
    items(node, "tagSet")
        .find(|item| text(*item, "key") == Some(key))
        .map(|item| text(item, "value").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_documents_are_refused() {
        let deep = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
        assert!(parse(&deep).is_err());
        let bomb = "<!DOCTYPE a [<!ENTITY x \"xx\">]><a>&x;</a>";
        assert!(parse(bomb).is_err());
        assert!(parse("<html><body>login").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn lists_tags_and_paths_are_found() {
        let text_of = "<r xmlns=\"http://x/\"><s><item><tagSet><item><key>k</key>\
                       <value>v</value></item><item><key>e</key><value/></item></tagSet>\
                       <p><q> z </q></p></item></s></r>";
        let document = parse(text_of).unwrap();
        let item = items(document.root_element(), "s").next().unwrap();
        assert_eq!(tag(item, "k"), Some("v"));
        assert_eq!(tag(item, "e"), Some(""));
        assert_eq!(tag(item, "n"), None);
        assert_eq!(text_at(item, &["p", "q"]), Some("z"));
    }
}
