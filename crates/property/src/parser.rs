//! Formulas and statements from text.
//!
//! Statements of SZTAKI's scenario files are Python's expressions of truth
//! values: a part of what predicates here can be, with other words reserved.
//! One parser reads both; nothing is ever evaluated that was not parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zenekar_diagnostics::{codes::property as codes, did_you_mean};

use crate::datum::Comparison;
use crate::formula::{Formula, Shape};
use crate::lexer::{self, Lexeme, Token};
use crate::limits::{DEPTH_MAX, ONCE_MAX};
use crate::mistake::Mistake;
use crate::predicate::{Predicate, Quantified, Sum, Tally};
use crate::valuation::{NodeRef, Symbols};

mod part;
mod quantified;
mod words;

use part::{Item, Part, add, compared, truth};
use words::{FUNCTIONS, RESERVED, TEMPORAL};

/// Which of the two languages a text is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// A formula over runs.
    Formula,
    /// A statement of a scenario file.
    Statement,
}

/// What a formula was made of, besides itself.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) formula: Formula,
    /// The variables that it uses.
    pub(crate) variables: BTreeSet<String>,
    /// The nodes that it names, and where.
    pub(crate) nodes: Vec<(NodeRef, (usize, usize))>,
}

/// The variables that were declared, by name.
pub(crate) type Variables = BTreeMap<String, Arc<Quantified>>;

/// Reads a formula over runs.
pub(crate) fn formula(
    text: &str,
    variables: &Variables,
    symbols: &mut Symbols,
) -> Result<Parsed, Mistake> {
    Parser::new(text, Dialect::Formula, variables, symbols)?.finish(Parser::formula)
}

/// Reads a statement, which has to hold in every state.
pub(crate) fn statement(
    text: &str,
    variables: &Variables,
    symbols: &mut Symbols,
) -> Result<Parsed, Mistake> {
    Parser::new(text, Dialect::Statement, variables, symbols)?.finish(|parser| {
        let predicate = parser.predicate()?;
        Ok((Shape::Always(predicate), None))
    })
}

type Parsing<T> = Result<T, Mistake>;

struct Parser<'p> {
    lexemes: Vec<Lexeme>,
    at: usize,
    /// The byte behind the text.
    end: usize,
    depth: usize,
    dialect: Dialect,
    variables: &'p Variables,
    symbols: &'p mut Symbols,
    once: Vec<Predicate>,
    used: BTreeSet<String>,
    nodes: Vec<(NodeRef, (usize, usize))>,
}

impl<'p> Parser<'p> {
    fn new(
        text: &str,
        dialect: Dialect,
        variables: &'p Variables,
        symbols: &'p mut Symbols,
    ) -> Parsing<Self> {
        Ok(Self {
            lexemes: lexer::split(text)?,
            at: 0,
            end: text.len(),
            depth: 0,
            dialect,
            variables,
            symbols,
            once: Vec::new(),
            used: BTreeSet::new(),
            nodes: Vec::new(),
        })
    }

    fn finish(
        mut self,
        read: impl FnOnce(&mut Self) -> Parsing<(Shape, Option<u32>)>,
    ) -> Parsing<Parsed> {
        let (shape, within_ms) = read(&mut self)?;
        if self.at < self.lexemes.len() {
            return Err(self.unexpected());
        }
        Ok(Parsed {
            formula: Formula {
                shape,
                within_ms,
                once: self.once,
            },
            variables: self.used,
            nodes: self.nodes,
        })
    }

    fn peek(&self) -> Option<&Token> {
        self.lexemes.get(self.at).map(|lexeme| &lexeme.token)
    }

    fn range(&self) -> (usize, usize) {
        self.lexemes
            .get(self.at)
            .map_or((self.end, self.end), Lexeme::range)
    }

    /// The byte after the token that was read last.
    fn end_of_last(&self) -> usize {
        self.at
            .checked_sub(1)
            .and_then(|at| self.lexemes.get(at))
            .map_or(0, |lexeme| lexeme.end)
    }

    fn is_word_at(&self, at: usize, word: &str) -> bool {
        matches!(self.lexemes.get(at), Some(Lexeme { token: Token::Word(found), .. }) if found == word)
    }

    fn is_sign_at(&self, at: usize, sign: &str) -> bool {
        matches!(self.lexemes.get(at), Some(Lexeme { token: Token::Sign(found), .. }) if *found == sign)
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let takes = self.is_word_at(self.at, word);
        self.at += usize::from(takes);
        takes
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let takes = self.is_sign_at(self.at, sign);
        self.at += usize::from(takes);
        takes
    }

    fn needs_sign(&mut self, sign: &str) -> Parsing<()> {
        if self.takes_sign(sign) {
            return Ok(());
        }
        Err(self.expected(&format!("`{sign}`")))
    }

    fn expected(&self, what: &str) -> Mistake {
        let found = self
            .peek()
            .map_or("the end of the formula".to_owned(), Token::describe);
        Mistake::syntax(self.range(), format!("expected {what}, found {found}"))
    }

    fn unexpected(&self) -> Mistake {
        let Some(token) = self.peek() else {
            return Mistake::syntax(self.range(), "the formula ends too early");
        };
        let mistake = Mistake::syntax(self.range(), format!("unexpected {}", token.describe()));
        match token {
            Token::Word(word) if self.is_formula() && TEMPORAL.contains(&&**word) => mistake.help(
                "a formula has one temporal form: `always`, `eventually`, `never`, `never … then`, `until` or `leads_to`",
            ),
            Token::Word(word) if self.is_formula() && word == "within" => {
                mistake.help("only what has to happen, or must not follow, takes a bound of time")
            }
            _ => mistake,
        }
    }

    fn is_formula(&self) -> bool {
        self.dialect == Dialect::Formula
    }

    /// Reads something one level deeper.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsing<T>) -> Parsing<T> {
        if self.depth == DEPTH_MAX {
            let message = format!("the formula has more than {DEPTH_MAX} levels");
            return Err(Mistake::new(&codes::TOO_LARGE, self.range(), message));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn formula(&mut self) -> Parsing<(Shape, Option<u32>)> {
        if self.takes_word("always") {
            return Ok((Shape::Always(self.predicate()?), None));
        }
        if self.takes_word("eventually") {
            let goal = self.predicate()?;
            let shape = Shape::Until(Predicate::Constant(true), goal);
            return Ok((shape, self.within()?));
        }
        if self.takes_word("never") {
            return self.never();
        }
        let first = self.predicate()?;
        if self.takes_word("until") {
            let shape = Shape::Until(first, self.predicate()?);
            return Ok((shape, self.within()?));
        }
        if self.takes_word("leads_to") {
            let shape = Shape::LeadsTo(first, self.predicate()?);
            return Ok((shape, self.within()?));
        }
        if self.at < self.lexemes.len() {
            return Err(self.unexpected());
        }
        Err(Mistake::syntax(
            (0, self.end),
            "the formula does not say when it has to hold",
        )
        .help(
            "begin with `always`, `eventually` or `never`, or join two with `until` or `leads_to`",
        ))
    }

    fn never(&mut self) -> Parsing<(Shape, Option<u32>)> {
        let is_in_brackets = self.has_then_in_brackets();
        self.at += usize::from(is_in_brackets);
        let first = self.predicate()?;
        let has_and = self.is_word_at(self.at, "and");
        if !self.is_word_at(self.at + usize::from(has_and), "then") {
            return Ok((Shape::Always(Predicate::Not(Box::new(first))), None));
        }
        self.at += 1 + usize::from(has_and);
        let second = self.predicate()?;
        if is_in_brackets {
            self.needs_sign(")")?;
        }
        Ok((Shape::NeverThen(first, second), self.within()?))
    }

    /// Says whether brackets begin here that hold a `then` of their own.
    fn has_then_in_brackets(&self) -> bool {
        let mut depth = 0_usize;
        for at in self.at..self.lexemes.len() {
            if self.is_sign_at(at, "(") {
                depth += 1;
            } else if self.is_sign_at(at, ")") {
                depth = depth.saturating_sub(1);
            } else if depth == 1 && self.is_word_at(at, "then") {
                return true;
            }
            if depth == 0 {
                return false;
            }
        }
        false
    }

    fn within(&mut self) -> Parsing<Option<u32>> {
        if !self.takes_word("within") {
            return Ok(None);
        }
        let Some(Token::Duration(span_ms)) = self.peek() else {
            return Err(self.expected("a span of time such as `90s` or `5m`"));
        };
        let span_ms = *span_ms;
        self.at += 1;
        Ok(Some(span_ms))
    }

    fn predicate(&mut self) -> Parsing<Predicate> {
        let part = self.implication()?;
        truth(part)
    }

    fn implication(&mut self) -> Parsing<Part> {
        let left = self.disjunction()?;
        if !self.is_formula() || !self.takes_word("implies") {
            return Ok(left);
        }
        let start = left.range.0;
        let left = truth(left)?;
        let right = self.deeper(Self::implication)?;
        let right = truth(right)?;
        let predicate = Predicate::Any(vec![Predicate::Not(Box::new(left)), right]);
        Ok(self.part_from(start, Item::Truth(predicate)))
    }

    fn disjunction(&mut self) -> Parsing<Part> {
        self.joined("or", Self::conjunction, Predicate::Any)
    }

    fn conjunction(&mut self) -> Parsing<Part> {
        self.joined("and", Self::negation, Predicate::All)
    }

    fn joined(
        &mut self,
        word: &str,
        read: fn(&mut Self) -> Parsing<Part>,
        join: fn(Vec<Predicate>) -> Predicate,
    ) -> Parsing<Part> {
        let first = read(self)?;
        let start = first.range.0;
        // In `p and then q` the word belongs to the form around the predicates.
        let goes_on = |parser: &Self| {
            parser.is_word_at(parser.at, word)
                && !(parser.is_formula() && parser.is_word_at(parser.at + 1, "then"))
        };
        if !goes_on(self) {
            return Ok(first);
        }
        let mut parts = vec![truth(first)?];
        while goes_on(self) {
            self.at += 1;
            let next = read(self)?;
            parts.push(truth(next)?);
        }
        Ok(self.part_from(start, Item::Truth(join(parts))))
    }

    fn negation(&mut self) -> Parsing<Part> {
        let start = self.range().0;
        if !self.takes_word("not") {
            return self.comparison();
        }
        let inner = self.deeper(Self::negation)?;
        let inner = truth(inner)?;
        Ok(self.part_from(start, Item::Truth(Predicate::Not(Box::new(inner)))))
    }

    /// Reads comparisons, which chain as in Python: `1 <= x <= 3`.
    fn comparison(&mut self) -> Parsing<Part> {
        let mut left = self.sum()?;
        let start = left.range.0;
        if self.is_formula() && self.is_word_at(self.at, "between") {
            return self.between(left);
        }
        let mut pairs = Vec::new();
        while let Some(comparison) = self.comparison_sign() {
            self.at += 1;
            let right = self.sum()?;
            pairs.push(compared(&left, comparison, &right)?);
            left = right;
        }
        Ok(match pairs.len() {
            0 => left,
            1 => {
                let pair = pairs.remove(0);
                self.part_from(start, Item::Truth(pair))
            }
            _ => self.part_from(start, Item::Truth(Predicate::All(pairs))),
        })
    }

    fn comparison_sign(&self) -> Option<Comparison> {
        match self.peek() {
            Some(Token::Sign(sign)) => Comparison::of_sign(sign),
            _ => None,
        }
    }

    fn between(&mut self, value: Part) -> Parsing<Part> {
        self.at += 1;
        let low = self.sum()?;
        if !self.takes_word("and") {
            return Err(self.expected("`and`"));
        }
        let high = self.sum()?;
        let above = compared(&low, Comparison::AtMost, &value)?;
        let below = compared(&value, Comparison::AtMost, &high)?;
        let both = Predicate::All(vec![above, below]);
        Ok(self.part_from(value.range.0, Item::Truth(both)))
    }

    fn sum(&mut self) -> Parsing<Part> {
        let start = self.range().0;
        let is_negative = self.is_formula() && self.takes_sign("-");
        let first = self.primary()?;
        let is_plus = |parser: &Self| parser.is_sign_at(parser.at, "+");
        let is_minus = |parser: &Self| parser.is_sign_at(parser.at, "-");
        if !is_negative && !is_plus(self) && !is_minus(self) {
            return Ok(first);
        }
        let mut sum = Sum::default();
        add(&mut sum, first, is_negative)?;
        while is_plus(self) || is_minus(self) {
            let is_subtracted = is_minus(self);
            self.at += 1;
            let next = self.primary()?;
            add(&mut sum, next, is_subtracted)?;
        }
        Ok(self.part_from(start, Item::Number(sum)))
    }

    fn primary(&mut self) -> Parsing<Part> {
        let range = self.range();
        let Some(token) = self.peek().cloned() else {
            return Err(self.unexpected());
        };
        if token == Token::Sign("(") {
            self.at += 1;
            let inner = self.deeper(Self::implication)?;
            self.needs_sign(")")?;
            return Ok(Part {
                item: inner.item,
                range: (range.0, self.end_of_last()),
            });
        }
        let item = match token {
            Token::Word(word) => return self.word(&word, range),
            Token::Integer(constant) if self.is_formula() => Item::Number(Sum {
                constant,
                tallies: Vec::new(),
            }),
            Token::Text(_) if self.is_formula() => Item::Text,
            Token::Decimal(_) if self.is_formula() => {
                return Err(Mistake::new(
                    &codes::TYPE_MISMATCH,
                    range,
                    "what is counted is a whole number",
                ));
            }
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(Part { item, range })
    }

    fn word(&mut self, word: &str, range: (usize, usize)) -> Parsing<Part> {
        let is_call = self.is_sign_at(self.at + 1, "(");
        let constant = match word {
            "True" => Some(true),
            "False" => Some(false),
            "true" if self.is_formula() => Some(true),
            "false" if self.is_formula() => Some(false),
            _ => None,
        };
        if let Some(truth) = constant {
            self.at += 1;
            let item = Item::Truth(Predicate::Constant(truth));
            return Ok(Part { item, range });
        }
        if self.is_formula() {
            if self.starts_quantified() {
                return self.quantified();
            }
            if is_call {
                return self.call(word, range);
            }
            if RESERVED.contains(&word) {
                return Err(self.unexpected());
            }
        } else if ["and", "or", "not"].contains(&word) {
            return Err(self.unexpected());
        } else if is_call {
            return Err(Mistake::syntax(
                range,
                format!("a statement cannot call anything, and `{word}` is called"),
            )
            .help("statements join variables by `and`, `or`, `not`, `==` and `!=`"));
        }
        let Some(variable) = self.variables.get(word) else {
            return Err(self.unknown(word, range));
        };
        self.used.insert(word.to_owned());
        self.at += 1;
        let item = Item::Truth(Predicate::Quantified(Arc::clone(variable)));
        Ok(Part { item, range })
    }

    fn unknown(&self, word: &str, range: (usize, usize)) -> Mistake {
        let mistake = Mistake::new(
            &codes::UNKNOWN_NAME,
            range,
            format!("no variable is named `{word}`"),
        );
        let names = self.variables.keys().map(String::as_str);
        match did_you_mean(word, names) {
            Some(near) => mistake.help(format!("did you mean `{near}`?")),
            None if self.is_formula() && FUNCTIONS.contains(&word) => {
                mistake.help(format!("of a node it is asked as `{word}(NODE)`"))
            }
            None => mistake,
        }
    }

    fn call(&mut self, word: &str, range: (usize, usize)) -> Parsing<Part> {
        if word == "once" {
            return self.once(range);
        }
        if let Some(tally) = Tally::of_word(word) {
            self.at += 1;
            let node = self.node_in_brackets()?;
            let item = Item::Number(Sum {
                constant: 0,
                tallies: vec![(tally, node, false)],
            });
            return Ok(self.part_from(range.0, item));
        }
        if ["breakpoint", "var"].contains(&word) {
            let message = format!("`{word}` is different for each instance");
            return Err(
                Mistake::new(&codes::TYPE_MISMATCH, range, message).help(format!(
                    "say for how many instances it has to hold, as in `all {word}(…)`: `all`, `any`, `none`, `exactly 2` or `at_least 2`"
                )),
            );
        }
        let mistake = Mistake::new(
            &codes::UNKNOWN_NAME,
            range,
            format!("nothing named `{word}` can be asked"),
        );
        Err(match did_you_mean(word, FUNCTIONS.iter().copied()) {
            Some(near) => mistake.help(format!("did you mean `{near}`?")),
            None => mistake.help(format!("known are `{}`", FUNCTIONS.join("`, `"))),
        })
    }

    fn once(&mut self, range: (usize, usize)) -> Parsing<Part> {
        self.at += 2;
        let inner = self.deeper(Self::predicate)?;
        self.needs_sign(")")?;
        let number = u8::try_from(self.once.len())
            .ok()
            .filter(|number| usize::from(*number) < ONCE_MAX);
        let Some(number) = number else {
            let message = format!("the formula has more than {ONCE_MAX} uses of `once`");
            return Err(Mistake::new(&codes::TOO_LARGE, range, message));
        };
        self.once.push(inner);
        Ok(self.part_from(range.0, Item::Truth(Predicate::Once(number))))
    }

    /// Reads `(NODE)`.
    fn node_in_brackets(&mut self) -> Parsing<NodeRef> {
        self.needs_sign("(")?;
        let node = self.node()?;
        self.needs_sign(")")?;
        Ok(node)
    }

    fn node(&mut self) -> Parsing<NodeRef> {
        let range = self.range();
        let text = self.name("the name of a node")?;
        let node = self.symbols.node(&text);
        self.nodes.push((node, range));
        Ok(node)
    }

    /// Reads a name, in quotes if it is a strange one.
    fn name(&mut self, what: &str) -> Parsing<String> {
        match self.peek() {
            Some(Token::Word(text) | Token::Text(text)) if !text.is_empty() => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.expected(what)),
        }
    }

    fn part_from(&self, start: usize, item: Item) -> Part {
        Part {
            item,
            range: (start, self.end_of_last()),
        }
    }
}
