//! What is said of a number of instances: `at_least 2 var(NODE, NAME) >= 3`.

use std::sync::Arc;

use zenekar_diagnostics::codes::property as codes;

use super::{Item, Parser, Parsing, Part};
use crate::datum::{Comparison, Literal, Number};
use crate::lexer::Token;
use crate::mistake::Mistake;
use crate::predicate::{Operand, Predicate, Quantified, Quantifier, Subject, Sum, Tally, Test};

/// What holds of an instance for which nothing is compared.
const IS_TRUE: Test = Test::Compare(Comparison::Equal, Operand::Literal(Literal::Truth(true)));

impl Parser<'_> {
    pub(super) fn starts_quantified(&self) -> bool {
        ["all", "any", "none", "exactly", "at_least"]
            .iter()
            .any(|word| self.is_word_at(self.at, word))
    }

    pub(super) fn quantified(&mut self) -> Parsing<Part> {
        let start = self.range().0;
        let quantifier = self.quantifier()?;
        let range = self.range();
        let subject = self.name("`var`, `breakpoint`, `ready`, `serving` or `finished`")?;
        self.needs_sign("(")?;
        let node = self.node()?;
        let subject = match (subject.as_str(), Tally::of_word(&subject)) {
            (_, Some(tally)) if tally != Tally::Count => Subject::Tally(tally),
            ("breakpoint", _) => Subject::Breakpoint,
            ("var", _) => {
                self.needs_sign(",")?;
                let name = self.name("the name of a value")?;
                Subject::Value(self.symbols.name(&name))
            }
            _ => {
                let message = format!("`{subject}` is not something that an instance has");
                return Err(Mistake::new(&codes::UNKNOWN_NAME, range, message).help(
                    "instances have `var`, `breakpoint`, `ready`, `serving` and `finished`",
                ));
            }
        };
        self.needs_sign(")")?;
        let test = self.test(subject, range)?;
        let quantified = Quantified {
            quantifier,
            node,
            subject,
            test,
        };
        let predicate = Predicate::Quantified(Arc::new(quantified));
        Ok(self.part_from(start, Item::Truth(predicate)))
    }

    fn quantifier(&mut self) -> Parsing<Quantifier> {
        if self.takes_word("all") {
            return Ok(Quantifier::All);
        }
        if self.takes_word("any") {
            return Ok(Quantifier::Any);
        }
        if self.takes_word("none") {
            return Ok(Quantifier::None);
        }
        let is_exact = self.is_word_at(self.at, "exactly");
        self.at += 1;
        let count = match self.peek() {
            Some(Token::Integer(count)) => u32::try_from(*count).ok(),
            _ => None,
        };
        let Some(count) = count else {
            return Err(self.expected("a number of instances"));
        };
        self.at += 1;
        Ok(if is_exact {
            Quantifier::Exactly(count)
        } else {
            Quantifier::AtLeast(count)
        })
    }

    fn test(&mut self, subject: Subject, range: (usize, usize)) -> Parsing<Test> {
        let test = if let Some(comparison) = self.comparison_sign() {
            self.at += 1;
            let range = self.range();
            let operand = self.operand()?;
            let is_number = matches!(
                operand,
                Operand::Sum(_) | Operand::Literal(Literal::Number(_))
            );
            let needs_number = comparison.needs_numbers() || subject == Subject::Breakpoint;
            if needs_number && !is_number {
                return Err(Mistake::new(
                    &codes::TYPE_MISMATCH,
                    range,
                    "only numbers can be compared so",
                ));
            }
            Some(Test::Compare(comparison, operand))
        } else if subject != Subject::Breakpoint && self.takes_word("contains") {
            let Some(Token::Text(part)) = self.peek() else {
                return Err(self.expected("a text in quotes"));
            };
            let part = part.clone();
            self.at += 1;
            Some(Test::Contains(part))
        } else if self.takes_word("between") {
            let low = self.number()?;
            if !self.takes_word("and") {
                return Err(self.expected("`and`"));
            }
            Some(Test::Between(low, self.number()?))
        } else {
            None
        };
        match (subject, test) {
            (Subject::Tally(_), Some(_)) => Err(Mistake::new(
                &codes::TYPE_MISMATCH,
                range,
                "this holds of an instance or does not, so that there is nothing to compare",
            )),
            (Subject::Breakpoint, None) => {
                Err(self.expected("a comparison with the number of a breakpoint"))
            }
            (_, test) => Ok(test.unwrap_or(IS_TRUE)),
        }
    }

    fn operand(&mut self) -> Parsing<Operand> {
        let is_negative = self.is_sign_at(self.at, "-");
        let first = self.at + usize::from(is_negative);
        if let Some(Token::Decimal(_)) = self.lexemes.get(first).map(|lexeme| &lexeme.token) {
            return Ok(Operand::Literal(Literal::Number(self.number()?)));
        }
        if let Some(Token::Text(text)) = self.peek() {
            let text = text.clone();
            self.at += 1;
            return Ok(Operand::Literal(Literal::Text(text)));
        }
        let part = self.sum()?;
        match part.item {
            Item::Number(Sum { constant, tallies }) if tallies.is_empty() => {
                Ok(Operand::Literal(Literal::Number(Number::Integer(constant))))
            }
            Item::Number(sum) => Ok(Operand::Sum(sum)),
            Item::Truth(Predicate::Constant(truth)) => Ok(Operand::Literal(Literal::Truth(truth))),
            Item::Truth(_) | Item::Text => Err(Mistake::new(
                &codes::TYPE_MISMATCH,
                part.range,
                "an instance's value is compared with a number, a text, `true` or `false`",
            )),
        }
    }

    fn number(&mut self) -> Parsing<Number> {
        let is_negative = self.takes_sign("-");
        let number = match self.peek() {
            Some(Token::Integer(number)) => Number::Integer(if is_negative {
                number.saturating_neg()
            } else {
                *number
            }),
            Some(Token::Decimal(number)) => {
                Number::Decimal(if is_negative { -number } else { *number })
            }
            _ => return Err(self.expected("a number")),
        };
        self.at += 1;
        Ok(number)
    }
}
