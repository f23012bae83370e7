//! Mappings: keys, repeated keys and merges.

use std::collections::HashSet;

use zenekar_diagnostics::{Diagnostic, codes::document as codes};

use super::{Composer, Frame, entry, plain_map};
use crate::offsets::to_u32;
use crate::tree::{Data, EntryData, Style, TextRef};

/// Mappings with more entries get an index, so that neither the search for
/// repeated keys nor that for one key is quadratic.
const ENTRIES_WITHOUT_INDEX_MAX: usize = 16;

impl Composer<'_, '_, '_> {
    /// Makes the entries of a mapping from its keys and values.
    pub(super) fn close_map(&mut self, frame: &Frame) -> Data {
        let first = self.loader.document.entries.len();
        let mut merges: Vec<EntryData> = Vec::new();
        let mut at = frame.children;
        while at + 1 < self.children.len() {
            let (key, value) = (self.children[at], self.children[at + 1]);
            at += 2;
            match self.key_text(key) {
                Some(text) if self.is_merge(key) => merges.push(entry(text, key, value)),
                Some(text) => self.loader.document.entries.push(entry(text, key, value)),
                None if self.report_complex_key(frame, key) => {
                    self.loader.document.entries.truncate(first);
                    return Data::Invalid;
                }
                None => {}
            }
        }
        self.drop_repeated(first);
        self.merge(first, &merges);
        let count = self.loader.document.entries.len() - first;
        if count <= ENTRIES_WITHOUT_INDEX_MAX {
            return plain_map(to_u32(first), to_u32(count));
        }
        let sorted = self.sorted(first);
        let index = to_u32(self.loader.document.sorted.len());
        self.loader.document.sorted.extend(sorted);
        Data::Map {
            first: to_u32(first),
            count: to_u32(count),
            index,
        }
    }

    /// Returns the text of a key; none if it cannot be a key.
    fn key_text(&mut self, key: u32) -> Option<TextRef> {
        let document = &self.loader.document;
        let printed = match document.nodes[document.resolve(key) as usize].data {
            Data::Text(text) | Data::Date(text) => return Some(text),
            Data::Null => "null".to_owned(),
            Data::Bool(truth) => truth.to_string(),
            Data::Int(number) => number.to_string(),
            Data::WideInt(at) => document.wide[at as usize].to_string(),
            Data::Float(number) => format!("{number:?}"),
            _ => return None,
        };
        Some(self.keep_own(&printed))
    }

    /// Says whether a key is the plain `<<`.
    fn is_merge(&self, key: u32) -> bool {
        let document = &self.loader.document;
        let node = &document.nodes[key as usize];
        node.style == Style::Plain
            && matches!(node.data, Data::Text(text) if document.text_of(text) == "<<")
    }

    /// Reports a key that is no scalar; says whether the whole mapping is lost by it.
    fn report_complex_key(&mut self, frame: &Frame, key: u32) -> bool {
        let document = &self.loader.document;
        let span = document.span_of(key);
        if !matches!(
            document.nodes[document.resolve(key) as usize].data,
            Data::List { .. } | Data::Map { .. }
        ) {
            // The key could not be read, which was reported.
            return false;
        }
        let whole = document.span_of(frame.node);
        let text = self
            .pass
            .original
            .get(whole.start as usize..whole.end as usize)
            .unwrap_or("");
        if text.starts_with("{{") {
            let quoted = crate::syntax::quoted(text);
            let diagnostic = Diagnostic::error(
                &codes::UNQUOTED_TEMPLATE,
                "a template at the start of a value must be quoted",
            )
            .labelled(whole, "read as a mapping inside a mapping")
            .fix(whole, quoted);
            self.loader.report(diagnostic);
            return true;
        }
        let what = if matches!(document.nodes[key as usize].data, Data::Alias(_)) {
            "the alias of a list or mapping cannot be a key"
        } else {
            "a list or mapping cannot be a key"
        };
        self.loader
            .report(Diagnostic::error(&codes::COMPLEX_KEY, what).at(span));
        false
    }

    /// Reports keys that are given twice and keeps one of each: the first, or
    /// in its place the value of the last.
    fn drop_repeated(&mut self, first: usize) {
        let count = self.loader.document.entries.len() - first;
        // Pairs of an earlier entry and the one that repeats its key.
        let mut repeated: Vec<(usize, usize)> = Vec::new();
        if count <= ENTRIES_WITHOUT_INDEX_MAX {
            let document = &self.loader.document;
            let entries = &document.entries[first..];
            for (at, later) in entries.iter().enumerate().skip(1) {
                let same = |entry: &EntryData| {
                    entry.text.length == later.text.length
                        && document.text_of(entry.text) == document.text_of(later.text)
                };
                if let Some(earlier) = entries[..at].iter().position(same) {
                    repeated.push((earlier, at));
                }
            }
        } else {
            let sorted = self.sorted(first);
            let document = &self.loader.document;
            let text =
                |offset: u32| document.text_of(document.entries[first + offset as usize].text);
            for group in sorted
                .chunk_by(|one, two| text(*one) == text(*two))
                .filter(|group| group.len() > 1)
            {
                repeated.extend(
                    group[1..]
                        .iter()
                        .map(|later| (group[0] as usize, *later as usize)),
                );
            }
            repeated.sort_unstable_by_key(|(_, later)| *later);
        }
        for (earlier, later) in &repeated {
            self.report_repeated(first + earlier, first + later);
            if self.loader.last_counts {
                let value = self.loader.document.entries[first + later].value;
                self.loader.document.entries[first + earlier].value = value;
            }
        }
        if let Some((_, lowest)) = repeated.first() {
            let entries = self.loader.document.entries.split_off(first + lowest);
            let mut dropped = repeated.iter().map(|(_, later)| *later).peekable();
            let kept = entries
                .into_iter()
                .zip(*lowest..)
                .filter(|(_, at)| dropped.next_if_eq(at).is_none())
                .map(|(entry, _)| entry);
            self.loader.document.entries.extend(kept);
        }
    }

    fn report_repeated(&mut self, earlier: usize, later: usize) {
        let document = &self.loader.document;
        let (earlier, later) = (document.entries[earlier], document.entries[later]);
        let message = format!(
            "the key `{}` is given twice",
            document.text_of(later.text).escape_debug()
        );
        let diagnostic = Diagnostic::error(&codes::DUPLICATE_KEY, message)
            .labelled(document.span_of(later.key), "given again here")
            .also(document.span_of(earlier.key), "first given here");
        self.loader.report(diagnostic);
    }

    /// Returns the offsets of the entries from `first` on in the order of their keys, equal ones in the order of the text.
    fn sorted(&self, first: usize) -> Vec<u32> {
        let document = &self.loader.document;
        let mut offsets: Vec<u32> = (0..to_u32(document.entries.len() - first)).collect();
        let text = |offset: u32| document.text_of(document.entries[first + offset as usize].text);
        offsets.sort_by(|one, two| text(*one).cmp(text(*two)));
        offsets
    }

    /// Takes over the entries of merged mappings; own entries win, then earlier merges.
    fn merge(&mut self, first: usize, merges: &[EntryData]) {
        if let [one, two, ..] = merges {
            let document = &self.loader.document;
            let diagnostic =
                Diagnostic::error(&codes::DUPLICATE_KEY, "the key `<<` is given twice")
                    .labelled(document.span_of(two.key), "given again here")
                    .also(document.span_of(one.key), "first given here")
                    .help("merge several mappings as `<<: [*one, *two]`");
            self.loader.report(diagnostic);
        }
        let Some(merge) = merges.first() else { return };
        let sites = self.merge_sites(merge.value);
        let added = self.merged_entries(first, &sites);
        self.loader.document.entries.extend(added);
    }

    /// Returns the mappings that a merge names, reporting what is none.
    fn merge_sites(&mut self, value: u32) -> Vec<u32> {
        let document = &self.loader.document;
        let sites = match document.nodes[document.resolve(value) as usize].data {
            Data::List { first, count } => {
                document.items[first as usize..(first + count) as usize].to_vec()
            }
            _ => vec![value],
        };
        let (maps, others): (Vec<u32>, Vec<u32>) = sites.into_iter().partition(|site| {
            matches!(
                document.nodes[document.resolve(*site) as usize].data,
                Data::Map { .. }
            )
        });
        for other in others {
            let document = &self.loader.document;
            if !matches!(
                document.nodes[document.resolve(other) as usize].data,
                Data::Invalid
            ) {
                let diagnostic =
                    Diagnostic::error(&codes::INVALID_MERGE, "only a mapping can be merged")
                        .labelled(document.span_of(other), "not a mapping");
                self.loader.report(diagnostic);
            }
        }
        maps
    }

    /// Returns the entries that mappings add to those from `first` on.
    fn merged_entries(&mut self, first: usize, sites: &[u32]) -> Vec<EntryData> {
        let document = &self.loader.document;
        let mut taken: HashSet<&str> = document.entries[first..]
            .iter()
            .map(|entry| document.text_of(entry.text))
            .collect();
        let mut added = Vec::new();
        let most = self.loader.limits.nodes_max;
        let mut spent = self.loader.spent.nodes;
        for site in sites {
            let Data::Map {
                first: from, count, ..
            } = document.nodes[document.resolve(*site) as usize].data
            else {
                continue;
            };
            // Entries multiply by merging merged mappings, so they count as values.
            spent += count as usize;
            if spent > most {
                let diagnostic =
                    Diagnostic::error(&codes::TOO_MANY_NODES, format!("more than {most} values"))
                        .at(document.span_of(*site));
                self.exhausted = true;
                self.loader.report(diagnostic);
                return added;
            }
            let entries = &document.entries[from as usize..(from + count) as usize];
            let new = entries
                .iter()
                .filter(|entry| taken.insert(document.text_of(entry.text)));
            added.extend(new.map(|entry| EntryData {
                merged: true,
                ..*entry
            }));
        }
        self.loader.spent.nodes = spent;
        added
    }
}
