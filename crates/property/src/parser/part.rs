//! Parts of formulas, and what can be made of them.

use zenekar_diagnostics::codes::property as codes;

use super::Parsing;
use crate::datum::Comparison;
use crate::mistake::Mistake;
use crate::predicate::{Predicate, Sum};

/// A part of a formula, by what it stands for.
#[derive(Debug)]
pub(super) enum Item {
    Truth(Predicate),
    Number(Sum),
    Text,
}

/// A part of a formula with its bytes.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) item: Item,
    pub(super) range: (usize, usize),
}

pub(super) fn truth(part: Part) -> Parsing<Predicate> {
    match part.item {
        Item::Truth(predicate) => Ok(predicate),
        Item::Number(_) => Err(Mistake::new(
            &codes::TYPE_MISMATCH,
            part.range,
            "this is a number, not something that holds or does not",
        )
        .help("compare it, as in `serving(NODE) >= 1`, or ask `all serving(NODE)`")),
        Item::Text => Err(Mistake::new(
            &codes::TYPE_MISMATCH,
            part.range,
            "this is a text, not something that holds or does not",
        )),
    }
}

pub(super) fn compared(left: &Part, comparison: Comparison, right: &Part) -> Parsing<Predicate> {
    let range = (left.range.0, right.range.1);
    let mismatch = |message: &str| Mistake::new(&codes::TYPE_MISMATCH, range, message);
    match (&left.item, &right.item) {
        (Item::Number(left), Item::Number(right)) => {
            Ok(Predicate::Compare(left.clone(), comparison, right.clone()))
        }
        (Item::Truth(left), Item::Truth(right)) => {
            let same = Predicate::Same(Box::new(left.clone()), Box::new(right.clone()));
            match comparison {
                Comparison::Equal => Ok(same),
                Comparison::NotEqual => Ok(Predicate::Not(Box::new(same))),
                _ => Err(mismatch("truth values have no order")
                    .help("`p implies q` says that `q` holds wherever `p` does")),
            }
        }
        (Item::Text, _) | (_, Item::Text) => Err(mismatch(
            "a text can only be compared with what an instance reported",
        )
        .help("as in `any var(NODE, NAME) = \"TEXT\"`")),
        (Item::Number(_), Item::Truth(_)) | (Item::Truth(_), Item::Number(_)) => {
            Err(mismatch("a number cannot be compared with a truth value"))
        }
    }
}

pub(super) fn add(sum: &mut Sum, part: Part, is_subtracted: bool) -> Parsing<()> {
    let Item::Number(other) = part.item else {
        return Err(Mistake::new(
            &codes::TYPE_MISMATCH,
            part.range,
            "only numbers can be added and subtracted",
        ));
    };
    sum.constant = if is_subtracted {
        sum.constant.saturating_sub(other.constant)
    } else {
        sum.constant.saturating_add(other.constant)
    };
    let tallies = other
        .tallies
        .into_iter()
        .map(|(tally, node, negative)| (tally, node, negative != is_subtracted));
    sum.tallies.extend(tallies);
    Ok(())
}
