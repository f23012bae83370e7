//! How Occopus' YAML emitter writes a scalar, and what that does to the text
//! that a template inserts into it.
//!
//! Occopus writes a cloud-init mapping as YAML text *before* it renders it as a
//! template, so that inserted text becomes part of a quoted scalar: its line
//! ends are folded and its backslashes are escapes. Descriptors depend on that
//! (keys with doubled line ends that the folding halves again). Here every
//! scalar is rendered by itself and then goes through the same transformation.

use std::borrow::Cow;

/// The form in which a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes.
    Plain,
    /// Between `'`.
    Single,
    /// Between `"`.
    Double,
}

/// Returns the form that the emitter chooses for a text that has to stay a string.
pub(crate) fn style_of(text: &str, reads_as_text: bool) -> Style {
    let analysis = analyse(text);
    if reads_as_text && analysis.plain {
        Style::Plain
    } else if text.contains(['\'', '\n']) || !analysis.single {
        Style::Double
    } else {
        Style::Single
    }
}

struct Analysis {
    plain: bool,
    single: bool,
}

fn analyse(text: &str) -> Analysis {
    let mut plain = !(text.is_empty() || text.starts_with("---") || text.starts_with("..."));
    let mut special = false;
    let mut space_before_break = false;
    let mut break_before_space = false;
    let mut previous = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next_is_space = letters.peek().is_none_or(char::is_ascii_whitespace);
        let after_space = previous.is_none_or(|before: char| before.is_ascii_whitespace());
        let indicator = match letter {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
            | '@' | '`'
                if previous.is_none() =>
            {
                true
            }
            '?' | '-' if previous.is_none() => next_is_space,
            ':' => next_is_space,
            '#' => after_space,
            _ => false,
        };
        plain &= !indicator && letter != '\n';
        special |= !(letter == '\n' || ('\u{20}'..='\u{7e}').contains(&letter));
        space_before_break |= letter == '\n' && previous == Some(' ');
        break_before_space |= letter == ' ' && previous == Some('\n');
        previous = Some(letter);
    }
    let edges = text.starts_with([' ', '\n']) || text.ends_with([' ', '\n']);
    Analysis {
        plain: plain && !edges && !special,
        single: !special && !space_before_break && !break_before_space,
    }
}

/// Escapes the literal parts of a template for a double-quoted scalar, so that
/// they come out of [`unfold`] as they are. Tags are left alone. None if the
/// tags do not close, which compiling the template will explain.
pub(crate) fn escape_literals(source: &str) -> Option<String> {
    let mut out = String::with_capacity(source.len() + source.len() / 8);
    let mut rest = source;
    while let Some(start) = next_tag(rest) {
        push_escaped(&mut out, &rest[..start]);
        let tag = tag_length(&rest[start..])?;
        let (head, tail) = rest[start..].split_at(tag);
        out.push_str(head);
        rest = tail;
        if is_block(head, "raw") {
            let end = end_of_raw(rest)?;
            push_escaped(&mut out, &rest[..end]);
            rest = &rest[end..];
        }
    }
    push_escaped(&mut out, rest);
    Some(out)
}

fn next_tag(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (1..bytes.len())
        .find(|&at| bytes[at - 1] == b'{' && matches!(bytes[at], b'{' | b'%' | b'#'))
        .map(|at| at - 1)
}

/// Returns the length of the tag that the text starts with.
fn tag_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let close: &[u8] = match bytes[1] {
        b'#' => return text.find("#}").map(|at| at + 2),
        b'%' => b"%}",
        _ => b"}}",
    };
    let (mut at, mut depth, mut quote) = (2, 0usize, None);
    while at < bytes.len() {
        let byte = bytes[at];
        match quote {
            Some(_) if byte == b'\\' => at += 1,
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if depth == 0 && bytes[at..].starts_with(close) => return Some(at + 2),
            None => match byte {
                b'\'' | b'"' => quote = Some(byte),
                b'{' | b'[' | b'(' => depth += 1,
                b'}' | b']' | b')' => depth = depth.saturating_sub(1),
                _ => {}
            },
        }
        at += 1;
    }
    None
}

fn is_block(tag: &str, name: &str) -> bool {
    let inner = tag
        .strip_prefix("{%")
        .and_then(|tag| tag.strip_suffix("%}"));
    inner.is_some_and(|inner| inner.trim_matches(['-', '+']).trim() == name)
}

/// Returns where the tag `endraw` starts.
fn end_of_raw(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(start) = text[from..].find("{%").map(|at| at + from) {
        let end = text[start..].find("%}").map(|at| at + start + 2)?;
        if is_block(&text[start..end], "endraw") {
            return Some(start);
        }
        from = start + 2;
    }
    None
}

fn push_escaped(out: &mut String, literal: &str) {
    for letter in literal.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            other => out.push(other),
        }
    }
}

/// Reads a rendered scalar the way a YAML reader would read it between its
/// quotes. None if it is not valid there.
pub(crate) fn unfold(rendered: &str, style: Style) -> Option<Cow<'_, str>> {
    let special: &[char] = match style {
        Style::Plain => return Some(Cow::Borrowed(rendered)),
        Style::Single => &['\'', '\n', '\r'],
        Style::Double => &['\\', '"', '\n', '\r'],
    };
    if !rendered.contains(special) {
        return Some(Cow::Borrowed(rendered));
    }
    let mut out = String::with_capacity(rendered.len());
    let mut letters = rendered.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            ' ' | '\t' | '\n' | '\r' => {
                let end = at
                    + rendered[at..]
                        .find(|next| !matches!(next, ' ' | '\t' | '\n' | '\r'))
                        .unwrap_or(rendered.len() - at);
                push_folded(&mut out, &rendered[at..end], &rendered[end..])?;
                while letters.next_if(|(next, _)| *next < end).is_some() {}
            }
            '\'' if style == Style::Single => {
                letters.next_if(|(_, next)| *next == '\'')?;
                out.push('\'');
            }
            '"' if style == Style::Double => return None,
            '\\' if style == Style::Double => {
                let (_, kind) = letters.next()?;
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    '\n' => {
                        while letters
                            .next_if(|(_, next)| matches!(next, ' ' | '\t'))
                            .is_some()
                        {}
                        continue;
                    }
                    _ => 0,
                };
                out.push(if digits == 0 {
                    simple_escape(kind)?
                } else {
                    code_escape(&mut letters, digits)?
                });
            }
            other => out.push(other),
        }
    }
    Some(Cow::Owned(out))
}

/// Adds white space between words: kept within a line, folded at line ends.
fn push_folded(out: &mut String, space: &str, after: &str) -> Option<()> {
    let breaks =
        space.matches('\n').count() + space.matches('\r').count() - space.matches("\r\n").count();
    if breaks == 0 {
        out.push_str(space);
        return Some(());
    }
    // A document marker at the start of a line ends the document.
    let at_line_start = space.ends_with(['\n', '\r']);
    let is_marker = |marker: &str| {
        after
            .strip_prefix(marker)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    };
    if at_line_start && (is_marker("---") || is_marker("...")) {
        return None;
    }
    if breaks == 1 {
        out.push(' ');
    } else {
        out.extend(std::iter::repeat_n('\n', breaks - 1));
    }
    Some(())
}

fn simple_escape(kind: char) -> Option<char> {
    Some(match kind {
        '0' => '\0',
        'a' => '\u{7}',
        'b' => '\u{8}',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\u{b}',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        ' ' | '"' | '\\' | '/' => kind,
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        _ => return None,
    })
}

fn code_escape(letters: &mut impl Iterator<Item = (usize, char)>, digits: usize) -> Option<char> {
    let mut code = 0;
    for _ in 0..digits {
        code = code * 16 + letters.next()?.1.to_digit(16)?;
    }
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_those_of_the_emitter() {
        for (text, style) in [
            ("echo hello", Style::Plain),
            ("a: b", Style::Single),
            ("a:b", Style::Plain),
            ("{{x}}", Style::Single),
            ("{{x['a']}}", Style::Double),
            ("it's", Style::Plain),
            ("it's: so", Style::Double),
            ("two\nlines", Style::Double),
            ("a #b", Style::Single),
            ("a#b", Style::Plain),
            ("- a", Style::Single),
            ("-a", Style::Plain),
            (" a", Style::Single),
            ("é", Style::Double),
            ("", Style::Single),
        ] {
            assert_eq!(style_of(text, true), style, "{text:?}");
        }
        assert_eq!(style_of("0644", false), Style::Single);
    }

    #[test]
    fn literal_text_survives_the_quotes() {
        for text in [
            "a\nb \\n \"c\"\n",
            "{# it's #}x\n",
            "{% raw %}\n{{a \"b\"}}\n{% endraw %}\n",
            "{{ {'a': '}}'}['a'] }}\n",
        ] {
            let escaped = escape_literals(text).expect("closed tags");
            assert_eq!(unfold(&escaped, Style::Double).as_deref(), Some(text));
        }
        assert_eq!(escape_literals("{{ a"), None);
        assert_eq!(escape_literals("{% raw %} {{ a"), None);
    }

    #[test]
    fn inserted_line_ends_are_folded() {
        assert_eq!(unfold("a\nb", Style::Double).as_deref(), Some("a b"));
        assert_eq!(unfold("a \n  b", Style::Double).as_deref(), Some("a b"));
        assert_eq!(
            unfold("a\n\nb\n\n\nc", Style::Double).as_deref(),
            Some("a\nb\n\nc")
        );
        assert_eq!(
            unfold("a\\nb\\x41", Style::Double).as_deref(),
            Some("a\nbA")
        );
        assert_eq!(unfold("it''s\n", Style::Single).as_deref(), Some("it's "));
        for bad in ["a\"b", "\\q", "\\x4", "a\n--- b"] {
            assert_eq!(unfold(bad, Style::Double), None, "{bad}");
        }
        assert_eq!(unfold("it's", Style::Single), None);
    }
}
