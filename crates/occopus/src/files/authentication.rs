//! The authentication file: which secrets are for which nodes.

use std::fmt;
use std::path::Path;

use zenekar_base::Value;
use zenekar_diagnostics::codes::files as codes;
use zenekar_diagnostics::{Diagnostic, FileId, SourceMap, Span, did_you_mean};
use zenekar_document::{Document, Entry, Kind, Limits, View, load_file, load_text};

use crate::checker::{list_of, value_text, with_article};
use crate::equality::equal;
use crate::files::secret::Secret;

/// The key of an entry that holds its secrets.
const SECRETS: &str = "auth_data";

/// Entries of one list: far more than there are clouds, and few enough to look at all for each node.
const ENTRIES_MAX: usize = 10_000;

/// Bytes of the files together: secrets and keys are short.
const BYTES_MAX: usize = 4 << 20;

/// A kind of credentials: the types it is for, the value that `type` must have
/// in `auth_data`, and the keys beside that.
struct Format {
    types: &'static [&'static str],
    kind: Option<&'static str>,
    keys: &'static [&'static str],
}

const FORMATS: &[Format] = &[
    Format {
        types: &["ec2"],
        kind: None,
        keys: &["accesskey", "secretkey"],
    },
    Format {
        types: &["nova"],
        kind: None,
        keys: &["username", "password"],
    },
    Format {
        types: &["nova"],
        kind: Some("application_credential"),
        keys: &["id", "secret"],
    },
    Format {
        types: &["azure_vm", "azure_aci"],
        kind: None,
        keys: &["tenant_id", "client_id", "client_secret", "subscription_id"],
    },
    Format {
        types: &["cloudbroker", "cloudsigma"],
        kind: None,
        keys: &["email", "password"],
    },
    Format {
        types: &["chef"],
        kind: None,
        keys: &["client_name", "client_key"],
    },
];

/// The list of an authentication file in which secrets are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthenticationSection {
    /// Secrets of clouds, for sections `resource`.
    Resource,
    /// Secrets of configuration managers, for sections `config_management`.
    ConfigManagement,
}

impl AuthenticationSection {
    const ALL: [Self; 2] = [Self::Resource, Self::ConfigManagement];

    /// Returns the key of the list, which is that of the nodes' section too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::ConfigManagement => "config_management",
        }
    }
}

/// Several entries of an authentication file fit one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ambiguous {
    /// The list that was searched.
    pub section: AuthenticationSection,
    /// What the entries ask for, as `key: value` joined by commas.
    pub entries: Vec<String>,
}

impl fmt::Display for Ambiguous {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "cannot determine authorization information: {} entries of `{}` fit, those with {}",
            self.entries.len(),
            self.section.name(),
            list_of(self.entries.iter().map(String::as_str))
        )
    }
}

impl std::error::Error for Ambiguous {}

#[derive(Clone, Debug)]
struct AuthenticationEntry {
    section: AuthenticationSection,
    /// What a node's section must have.
    wanted: Vec<(String, Value)>,
    secret: Secret,
}

impl AuthenticationEntry {
    fn fits(&self, resource: &Value) -> bool {
        self.wanted
            .iter()
            .all(|(key, value)| resource.get(key).is_some_and(|found| equal(found, value)))
    }

    fn description(&self) -> String {
        let parts: Vec<String> = self
            .wanted
            .iter()
            .map(|(key, value)| format!("{key}: {}", value_text(value)))
            .collect();
        parts.join(", ")
    }
}

/// The secrets of an authentication file.
#[derive(Clone, Debug, Default)]
pub struct AuthenticationFile {
    entries: Vec<AuthenticationEntry>,
}

impl AuthenticationFile {
    /// Reads an authentication file. There is none if it has an error; warnings
    /// come beside it. Whatever is secret is masked in `sources`.
    pub fn load(path: &Path, sources: &mut SourceMap) -> (Option<Self>, Vec<Diagnostic>) {
        Self::masked(sources, |limits, sources| load_file(path, limits, sources))
    }

    /// Reads an authentication file that is given as text; imports are refused.
    pub fn load_text(
        name: &str,
        text: &str,
        sources: &mut SourceMap,
    ) -> (Option<Self>, Vec<Diagnostic>) {
        Self::masked(sources, |limits, sources| {
            load_text(name, text, limits, sources)
        })
    }

    fn masked(
        sources: &mut SourceMap,
        read: impl FnOnce(&Limits, &mut SourceMap) -> zenekar_document::Loaded,
    ) -> (Option<Self>, Vec<Diagnostic>) {
        let limits = Limits {
            bytes_max: BYTES_MAX,
            ..Limits::default()
        };
        let known = sources.ids().count();
        let loaded = read(&limits, sources);
        if loaded.diagnostics.iter().any(Diagnostic::is_error) {
            // Where the text could not be read, nobody knows what of it is secret.
            let files: Vec<FileId> = sources.ids().skip(known).collect();
            for file in files {
                mask_values(file, sources);
            }
            return (None, loaded.diagnostics.into_iter().map(silenced).collect());
        }
        let mut reader = Reader::default();
        reader.read(&loaded.document);
        for span in std::mem::take(&mut reader.secret_spans) {
            sources.mask(span);
        }
        let mut diagnostics: Vec<Diagnostic> =
            loaded.diagnostics.into_iter().map(silenced).collect();
        diagnostics.append(&mut reader.diagnostics);
        let has_error = diagnostics.iter().any(Diagnostic::is_error);
        let file = (!has_error).then_some(Self {
            entries: reader.entries,
        });
        (file, diagnostics)
    }

    /// Returns the number of entries, of both lists together.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Says whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the secrets for a node's rendered section: those of the entry
    /// all of whose keys equal the section's.
    ///
    /// # Errors
    ///
    /// Fails if several entries fit.
    pub fn find(
        &self,
        section: AuthenticationSection,
        rendered: &Value,
    ) -> Result<Option<&Secret>, Ambiguous> {
        let fitting: Vec<&AuthenticationEntry> = self
            .entries
            .iter()
            .filter(|entry| entry.section == section && entry.fits(rendered))
            .collect();
        match fitting.as_slice() {
            [] => Ok(None),
            [entry] => Ok(Some(&entry.secret)),
            several => Err(Ambiguous {
                section,
                entries: several.iter().map(|entry| entry.description()).collect(),
            }),
        }
    }
}

/// Masks all of a text but keys: of each line what is behind its first colon,
/// and whole lines without one.
fn mask_values(file: FileId, sources: &mut SourceMap) {
    let text = sources.shared_text(file);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let from = start + line.find(':').map_or(0, |colon| colon + 1);
        let end = start + line.len();
        if let (Ok(from), Ok(end)) = (u32::try_from(from), u32::try_from(end)) {
            sources.mask(Span::new(file, from, end));
        }
        start = end;
    }
}

/// Takes from a finding of the document reader all that may quote the text.
fn silenced(diagnostic: Diagnostic) -> Diagnostic {
    // Of includes only the address is quoted, which is no secret and needed to mend it.
    let is_harmless = diagnostic.code.id >= "ZK0130";
    if is_harmless {
        return diagnostic;
    }
    let mut silent = Diagnostic {
        message: diagnostic.code.title.to_owned(),
        help: Vec::new(),
        fix: None,
        ..diagnostic
    };
    let labels = silent.primary.iter_mut().chain(&mut silent.secondary);
    for label in labels {
        label.text.clear();
    }
    silent
}

#[derive(Default)]
struct Reader {
    entries: Vec<AuthenticationEntry>,
    secret_spans: Vec<Span>,
    diagnostics: Vec<Diagnostic>,
}

impl Reader {
    fn read(&mut self, document: &Document) {
        let Some(root) = document.root() else { return };
        if root.kind() != Kind::Map {
            self.hide(root);
            self.malformed("an authentication file", "a mapping", root);
            return;
        }
        for entry in root.entries() {
            let known = AuthenticationSection::ALL
                .into_iter()
                .find(|section| section.name() == entry.key.text());
            if let Some(section) = known {
                self.read_list(section, entry.value);
            } else {
                let names = AuthenticationSection::ALL.map(AuthenticationSection::name);
                self.hide(entry.value);
                self.unknown_key(entry, "an authentication file", &names);
            }
        }
    }

    fn read_list(&mut self, section: AuthenticationSection, list: View<'_>) {
        match list.kind() {
            Kind::Null => {}
            Kind::List => {
                if list.items().len() > ENTRIES_MAX {
                    let message = format!("there are more than {ENTRIES_MAX} entries");
                    self.diagnostics.push(
                        Diagnostic::error(&codes::MALFORMED_AUTHENTICATION, message)
                            .at(list.span()),
                    );
                    return;
                }
                for item in list.items() {
                    self.read_item(section, item);
                }
            }
            _ => {
                self.hide(list);
                self.malformed(&format!("`{}`", section.name()), "a list", list);
            }
        }
    }

    fn read_item(&mut self, section: AuthenticationSection, item: View<'_>) {
        if item.kind() != Kind::Map {
            self.hide(item);
            self.malformed(
                &format!("an item of `{}`", section.name()),
                "a mapping",
                item,
            );
            return;
        }
        let Some(secrets) = item.get(SECRETS) else {
            self.diagnostics.push(
                Diagnostic::warning(
                    &codes::MALFORMED_AUTHENTICATION,
                    format!("an item of `{}` has no `{SECRETS}`", section.name()),
                )
                .at(first_key(item)),
            );
            return;
        };
        self.hide(secrets);
        if !matches!(secrets.kind(), Kind::Map | Kind::Null) {
            self.malformed(&format!("`{SECRETS}`"), "a mapping", secrets);
            return;
        }
        if item.entries().len() == 1 {
            self.diagnostics.push(
                Diagnostic::warning(
                    &codes::MALFORMED_AUTHENTICATION,
                    format!("an item of `{}` fits every node", section.name()),
                )
                .at(first_key(item))
                .help("add the `type` of the cloud beside `auth_data`"),
            );
        }
        let kind = item.get("type").and_then(View::as_str);
        self.check_format(kind, first_key(item), secrets);
        let parts: Vec<(String, String)> = secrets
            .entries()
            .filter_map(|part| self.read_part(part))
            .collect();
        self.entries.push(AuthenticationEntry {
            section,
            wanted: item
                .entries()
                .filter(|entry| entry.key.text() != SECRETS)
                .map(|entry| (entry.key.text().to_owned(), entry.value.to_value()))
                .collect(),
            secret: Secret::new(parts),
        });
    }

    fn read_part(&mut self, part: Entry<'_>) -> Option<(String, String)> {
        let name = part.key.text();
        let text = match part.value.kind() {
            Kind::String(text) => text.to_owned(),
            Kind::List | Kind::Map | Kind::Bytes(_) | Kind::Invalid | Kind::Null => {
                self.malformed(&format!("`{name}`"), "text", part.value);
                return None;
            }
            _ => {
                self.diagnostics.push(
                    Diagnostic::warning(
                        &codes::SECRET_IS_NOT_TEXT,
                        format!(
                            "`{name}` is {}, not text",
                            with_article(part.value.type_name())
                        ),
                    )
                    .at(part.key.span())
                    .help("put it between quotes"),
                );
                value_text(&part.value.to_value())
            }
        };
        Some((name.to_owned(), text))
    }

    /// Warns of credentials that the cloud will not take. Nothing is refused:
    /// a file often has entries for clouds that are not used.
    fn check_format(&mut self, kind: Option<&str>, place: Span, secrets: View<'_>) {
        let Some(kind) = kind else { return };
        let formats: Vec<&Format> = FORMATS
            .iter()
            .filter(|format| format.types.contains(&kind))
            .collect();
        let wanted = secrets.get("type").and_then(View::as_str);
        let Some(format) = formats.iter().find(|format| format.kind == wanted) else {
            if let (Some(wanted), false) = (secrets.get("type"), formats.is_empty()) {
                let kinds = formats.iter().filter_map(|format| format.kind);
                let mut diagnostic = Diagnostic::warning(
                    &codes::UNSUITABLE_CREDENTIALS,
                    format!("`{kind}` has no such `type` of credentials"),
                )
                .at(wanted.span());
                if kinds.clone().next().is_some() {
                    diagnostic =
                        diagnostic.help(format!("leave it out, or write {}", list_of(kinds)));
                }
                self.diagnostics.push(diagnostic);
            }
            return;
        };
        let missing: Vec<&str> = format
            .keys
            .iter()
            .copied()
            .filter(|key| secrets.get(key).is_none())
            .collect();
        if !missing.is_empty() {
            self.diagnostics.push(
                Diagnostic::warning(
                    &codes::UNSUITABLE_CREDENTIALS,
                    format!("the secrets for `{kind}` lack {}", list_of(missing)),
                )
                .at(place),
            );
        }
        for entry in secrets.entries() {
            let key = entry.key.text();
            if key != "type" && !format.keys.contains(&key) {
                self.unknown_key(entry, &format!("the secrets for `{kind}`"), format.keys);
            }
        }
    }

    fn malformed(&mut self, subject: &str, wanted: &str, found: View<'_>) {
        self.diagnostics.push(
            Diagnostic::error(
                &codes::MALFORMED_AUTHENTICATION,
                format!(
                    "{subject} must be {wanted}, but is {}",
                    with_article(found.type_name())
                ),
            )
            .at(found.span()),
        );
    }

    fn unknown_key(&mut self, entry: Entry<'_>, owner: &str, known: &[&'static str]) {
        let key = entry.key.text();
        let diagnostic = Diagnostic::warning(
            &codes::UNKNOWN_AUTHENTICATION_KEY,
            format!("unknown key `{key}` in {owner}"),
        )
        .at(entry.key.span());
        self.diagnostics
            .push(match did_you_mean(key, known.iter().copied()) {
                Some(meant) => diagnostic
                    .help(format!("did you mean `{meant}`?"))
                    .fix(entry.key.span(), meant),
                None => diagnostic.help(format!("there is {}", list_of(known.iter().copied()))),
            });
    }

    /// Remembers all scalars of a value as secret. The recursion is bounded,
    /// because the depth of a document is.
    fn hide(&mut self, view: View<'_>) {
        match view.kind() {
            Kind::Map => {
                for entry in view.entries() {
                    self.hide(entry.value);
                }
            }
            Kind::List => {
                for item in view.items() {
                    self.hide(item);
                }
            }
            _ => self.secret_spans.push(view.definition_span()),
        }
    }
}

/// Returns the place of the first key of a mapping.
fn first_key(view: View<'_>) -> Span {
    view.entries()
        .next()
        .map_or(view.span(), |entry| entry.key.span())
}
