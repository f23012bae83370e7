//! Collects findings, and the checks that all parts of a descriptor share.

use zenekar_base::Value;
use zenekar_diagnostics::{Code, Diagnostic, Span, did_you_mean};
use zenekar_document::{Kind, View};

use crate::options::DIAGNOSTICS_MAX;

/// Guesses per load: each looks at all candidates, so that thousands of
/// mistyped names among thousands of nodes would take minutes.
const SUGGESTIONS_MAX: usize = 50;

/// Names that a hint lists; more are not read.
const LISTED_MAX: usize = 8;

/// Collects the findings of one load.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    diagnostics: Vec<Diagnostic>,
    errors: usize,
    suggestions: usize,
}

impl Checker {
    /// Adds a finding; beyond the limit errors are still counted. However many
    /// warnings there are, errors have a place.
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.is_error());
        let has_place = diagnostic.is_error() && self.errors <= DIAGNOSTICS_MAX;
        if has_place || self.diagnostics.len() < DIAGNOSTICS_MAX {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Adds findings of the document reader.
    pub(crate) fn report_all(&mut self, diagnostics: Vec<Diagnostic>) {
        for diagnostic in diagnostics {
            self.report(diagnostic);
        }
    }

    /// Returns the number of errors so far, also of those that were not kept.
    pub(crate) const fn errors(&self) -> usize {
        self.errors
    }

    /// Returns the findings in the order in which people read them: by file and place.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(|diagnostic| {
            let place = diagnostic
                .primary
                .as_ref()
                .map(|label| (label.span.file, label.span.start));
            (place.is_none(), place)
        });
        self.diagnostics
    }

    /// Guesses what a word was meant to be.
    pub(crate) fn suggest<'a>(
        &mut self,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Option<&'a str> {
        self.suggestions += 1;
        if self.suggestions > SUGGESTIONS_MAX {
            None
        } else {
            did_you_mean(word, candidates)
        }
    }

    /// Adds to a finding about an unknown name what it was probably meant to be,
    /// or which names there are.
    pub(crate) fn hint<'a>(
        &mut self,
        diagnostic: Diagnostic,
        (word, span): (&str, Option<Span>),
        candidates: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Diagnostic {
        let meant = self.suggest(word, candidates.clone());
        match (meant, span) {
            (Some(meant), Some(span)) => diagnostic
                .help(format!("did you mean `{meant}`?"))
                .fix(span, meant),
            (Some(meant), None) => diagnostic.help(format!("did you mean `{meant}`?")),
            (None, _) => {
                let mut names: Vec<&str> = candidates
                    .into_iter()
                    .filter(|name| !name.is_empty())
                    .take(LISTED_MAX + 1)
                    .collect();
                names.sort_unstable();
                names.dedup();
                if names.is_empty() || names.len() > LISTED_MAX {
                    diagnostic
                } else {
                    diagnostic.help(format!("there is {}", list_of(names)))
                }
            }
        }
    }

    /// Reports a key that `owner` does not know, with a guess and the list of the known ones.
    pub(crate) fn unknown_key<'a>(
        &mut self,
        code: &'static Code,
        owner: &str,
        (key, span): (&str, Span),
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) {
        let diagnostic =
            Diagnostic::error(code, format!("unknown key `{key}` in {owner}")).at(span);
        let diagnostic = match self.suggest(key, known.clone()) {
            Some(meant) => diagnostic
                .help(format!("did you mean `{meant}`?"))
                .fix(span, meant),
            None => diagnostic.help(format!("{owner} knows {}", list_of(known))),
        };
        self.report(diagnostic);
    }

    /// Reports a value of the wrong type. What could not be read was reported already.
    pub(crate) fn wrong_type(
        &mut self,
        code: &'static Code,
        subject: &str,
        wanted: &str,
        found: View<'_>,
    ) {
        if found.is_invalid() {
            return;
        }
        let mut diagnostic = Diagnostic::error(
            code,
            format!(
                "{subject} must be {wanted}, but is {}",
                with_article(found.type_name())
            ),
        )
        .labelled(
            found.span(),
            format!("{} here", with_article(found.type_name())),
        );
        let is_scalar = !matches!(found.kind(), Kind::List | Kind::Map | Kind::Null);
        if wanted.ends_with("string") && is_scalar {
            diagnostic = diagnostic.help("put the value between quotes");
        }
        if let Some(text) = found.as_str()
            && wanted.ends_with("integer")
            && text.parse::<i64>().is_ok()
        {
            diagnostic = diagnostic.help("remove the quotes").fix(found.span(), text);
        }
        self.report(diagnostic);
    }

    /// Returns the text of a value that must be a string.
    pub(crate) fn text<'d>(
        &mut self,
        code: &'static Code,
        subject: &str,
        view: View<'d>,
    ) -> Option<&'d str> {
        let text = view.as_str();
        if text.is_none() {
            self.wrong_type(code, subject, "a string", view);
        }
        text
    }

    /// Says whether a value is a mapping, and reports it if it is something else than that or null.
    pub(crate) fn mapping(&mut self, code: &'static Code, subject: &str, view: View<'_>) -> bool {
        match view.kind() {
            Kind::Map => true,
            Kind::Null => false,
            _ => {
                self.wrong_type(code, subject, "a mapping", view);
                false
            }
        }
    }

    /// Says whether a value is a list, and reports it if it is something else than that or null.
    pub(crate) fn list(&mut self, code: &'static Code, subject: &str, view: View<'_>) -> bool {
        match view.kind() {
            Kind::List => true,
            Kind::Null => false,
            _ => {
                self.wrong_type(code, subject, "a list", view);
                false
            }
        }
    }

    /// Returns a truth value; the words that YAML 1.1 knew get a hint.
    pub(crate) fn truth(
        &mut self,
        code: &'static Code,
        subject: &str,
        view: View<'_>,
    ) -> Option<bool> {
        if let Kind::Bool(truth) = view.kind() {
            return Some(truth);
        }
        if let Some(word) = view.as_str()
            && let Some(truth) = zenekar_document::boolean_word(word)
        {
            self.report(
                Diagnostic::error(
                    code,
                    format!("{subject} must be a boolean, but `{word}` is a string"),
                )
                .at(view.span())
                .help(format!("write `{truth}`"))
                .fix(view.span(), truth.to_string()),
            );
            return None;
        }
        self.wrong_type(code, subject, "a boolean", view);
        None
    }
}

/// Joins words as people do: `a`, `b` and `c`.
pub(crate) fn list_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Puts the indefinite article before a type name.
pub(crate) fn with_article(type_name: &str) -> String {
    match type_name {
        "null" => "null".to_owned(),
        "integer" => "an integer".to_owned(),
        "binary" => "binary data".to_owned(),
        other => format!("a {other}"),
    }
}

/// Returns the value of an optional view.
pub(crate) fn value_of(view: Option<View<'_>>) -> Value {
    view.map_or(Value::Null, View::to_value)
}

/// Returns a scalar as text, as templates print it.
pub(crate) fn value_text(value: &Value) -> String {
    zenekar_template::python_str(value)
}
