//! The declarations of variables.

use std::sync::Arc;

use zenekar_diagnostics::{Diagnostic, codes::property as codes};
use zenekar_document::{Entry, Kind, View};

use super::Reader;
use crate::datum::{Comparison, Literal, Number};
use crate::expected;
use crate::limits::VARIABLES_MAX;
use crate::predicate::{Quantified, Quantifier, Subject, Test};

/// What a variable consists of.
const KEYS: &[&str] = &["vm", "name", "group", "expected"];

impl Reader {
    pub(super) fn declare_all(&mut self, section: View<'_>) {
        if !self.needs_map(section, "the section of variables") {
            return;
        }
        for entry in section.entries() {
            if self.declared.len() == VARIABLES_MAX {
                let message = format!("there are more than {VARIABLES_MAX} variables");
                let diagnostic = Diagnostic::error(&codes::TOO_LARGE, message);
                self.report_once(diagnostic.at(entry.key.span()));
                return;
            }
            self.declare(entry);
        }
    }

    fn declare(&mut self, entry: Entry<'_>) {
        let name = entry.key.text();
        let span = entry.key.span();
        if let Some(other) = self.declared.get(name) {
            let message = format!("two variables are named `{name}`");
            let diagnostic = Diagnostic::error(&codes::DUPLICATE_NAME, message)
                .at(span)
                .also(*other, "the other one");
            self.report(diagnostic);
            return;
        }
        if !self.needs_map(entry.value, "a variable") {
            return;
        }
        // A broken one is known too, so that it is reported only here.
        self.declared.insert(name.to_owned(), span);
        let quantified = self.quantified(entry.value);
        if quantified.is_none() {
            self.used.insert(name.to_owned());
        }
        let quantified = quantified.unwrap_or_else(|| {
            let (node, value) = (self.set.symbols.node(name), self.set.symbols.name(name));
            Quantified {
                quantifier: Quantifier::Any,
                node,
                subject: Subject::Value(value),
                test: expected::compare(Comparison::Equal, Literal::Truth(true)),
            }
        });
        self.variables.insert(name.to_owned(), Arc::new(quantified));
    }

    /// Reads a variable; none after reporting what is wrong with it.
    fn quantified(&mut self, variable: View<'_>) -> Option<Quantified> {
        for entry in variable.entries() {
            self.known_key(entry, KEYS);
        }
        let mut is_complete = true;
        for key in KEYS {
            if variable.get(key).is_none() {
                self.missing(variable, "a variable", key);
                is_complete = false;
            }
        }
        if !is_complete {
            return None;
        }
        let vm = variable.get("vm")?;
        let node = self.text(vm);
        let name = self.text(variable.get("name")?);
        let quantifier = self.group(variable.get("group")?);
        let test = self.expected(variable.get("expected")?);
        let (node, name, quantifier, test) = (node?, name?, quantifier?, test?);
        let node = self.set.symbols.node(node);
        self.set.uses.push((node, vm.definition_span()));
        Some(Quantified {
            quantifier,
            node,
            subject: Subject::Value(self.set.symbols.name(name)),
            test,
        })
    }

    fn text<'d>(&mut self, view: View<'d>) -> Option<&'d str> {
        let text = view.as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            self.wrong_type(view, "this is a name");
        }
        text
    }

    fn group(&mut self, view: View<'_>) -> Option<Quantifier> {
        // YAML takes a bare `none` for text, and other words for nothing.
        let Some(text) = view.as_str() else {
            self.wrong_type(view, "a group is a text");
            return None;
        };
        expected::group(text)
            .map_err(|mistake| self.mistake(mistake, &|start, end| view.range_in(start, end)))
            .ok()
    }

    fn expected(&mut self, view: View<'_>) -> Option<Test> {
        let literal = match view.kind() {
            Kind::Bool(truth) => Literal::Truth(truth),
            Kind::Int(number) => {
                let Ok(number) = i64::try_from(number) else {
                    let message = "the number has more than 64 bits";
                    let diagnostic = Diagnostic::error(&codes::INVALID_VARIABLE, message);
                    self.report(diagnostic.at(view.span()));
                    return None;
                };
                Literal::Number(Number::Integer(number))
            }
            Kind::Float(number) if number.is_finite() => Literal::Number(Number::Decimal(number)),
            Kind::String(text) => {
                return expected::expected(text)
                    .map_err(|mistake| {
                        self.mistake(mistake, &|start, end| view.range_in(start, end));
                    })
                    .ok();
            }
            _ => {
                self.wrong_type(
                    view,
                    "what is expected is a truth value, a number, or a text with an operator",
                );
                return None;
            }
        };
        Some(expected::compare(Comparison::Equal, literal))
    }
}
