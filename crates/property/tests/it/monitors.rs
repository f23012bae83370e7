//! Monitors against the definitions: the same verdict on every random run.

use std::collections::BTreeMap;

use zenekar_base::Random;
use zenekar_property::Verdict;

use crate::world::{Instance, State, Table, follow, formula};

/// A run: at which time, and of how many nodes `a`, `b`, `c` there is an instance.
type Run = Vec<(u64, [bool; 3])>;

/// A predicate as the definitions have it.
#[derive(Clone, Debug)]
enum Meaning {
    Atom(usize),
    Not(Box<Meaning>),
    And(Box<Meaning>, Box<Meaning>),
    Or(Box<Meaning>, Box<Meaning>),
    Implies(Box<Meaning>, Box<Meaning>),
    Same(Box<Meaning>, Box<Meaning>),
    Once(Box<Meaning>),
}

const NODES: [&str; 3] = ["a", "b", "c"];

impl Meaning {
    fn random(random: &mut Random, depth: u32) -> Self {
        let inner = |random: &mut Random| Box::new(Self::random(random, depth - 1));
        if depth == 0 {
            return Self::Atom(usize::try_from(random.below(3)).expect("it is small"));
        }
        match random.below(8) {
            0 => Self::Not(inner(random)),
            1 => Self::And(inner(random), inner(random)),
            2 => Self::Or(inner(random), inner(random)),
            3 => Self::Implies(inner(random), inner(random)),
            4 => Self::Same(inner(random), inner(random)),
            5 => Self::Once(inner(random)),
            _ => Self::random(random, 0),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Atom(node) => format!("count({}) = 1", NODES[*node]),
            Self::Not(inner) => format!("not ({})", inner.text()),
            Self::And(one, two) => format!("({}) and ({})", one.text(), two.text()),
            Self::Or(one, two) => format!("({}) or ({})", one.text(), two.text()),
            Self::Implies(one, two) => format!("(({}) implies ({}))", one.text(), two.text()),
            Self::Same(one, two) => format!("(({}) = ({}))", one.text(), two.text()),
            Self::Once(inner) => format!("once({})", inner.text()),
        }
    }

    fn holds(&self, run: &Run, at: usize) -> bool {
        match self {
            Self::Atom(node) => run[at].1[*node],
            Self::Not(inner) => !inner.holds(run, at),
            Self::And(one, two) => one.holds(run, at) && two.holds(run, at),
            Self::Or(one, two) => one.holds(run, at) || two.holds(run, at),
            Self::Implies(one, two) => !one.holds(run, at) || two.holds(run, at),
            Self::Same(one, two) => one.holds(run, at) == two.holds(run, at),
            Self::Once(inner) => (0..=at).any(|before| inner.holds(run, before)),
        }
    }
}

/// A formula as the definitions have it.
#[derive(Clone, Debug)]
enum Form {
    Always(Meaning),
    Never(Meaning),
    Eventually(Meaning, Option<u64>),
    Until(Meaning, Meaning, Option<u64>),
    LeadsTo(Meaning, Meaning, Option<u64>),
    NeverThen(Meaning, Meaning, Option<u64>),
}

impl Form {
    fn random(random: &mut Random) -> Self {
        let one = Meaning::random(random, 3);
        let two = Meaning::random(random, 2);
        let bound = (random.below(2) == 0).then(|| random.below(6));
        match random.below(6) {
            0 => Self::Always(one),
            1 => Self::Never(one),
            2 => Self::Eventually(one, bound),
            3 => Self::Until(one, two, bound),
            4 => Self::LeadsTo(one, two, bound),
            _ => Self::NeverThen(one, two, bound),
        }
    }

    fn text(&self) -> String {
        let within =
            |bound: &Option<u64>| bound.map_or(String::new(), |ms| format!(" within {ms}ms"));
        match self {
            Self::Always(one) => format!("always {}", one.text()),
            Self::Never(one) => format!("never {}", one.text()),
            Self::Eventually(one, bound) => format!("eventually {}{}", one.text(), within(bound)),
            Self::Until(one, two, bound) => {
                format!("{} until {}{}", one.text(), two.text(), within(bound))
            }
            Self::LeadsTo(one, two, bound) => {
                format!("{} leads_to {}{}", one.text(), two.text(), within(bound))
            }
            Self::NeverThen(one, two, bound) => {
                format!("never {} then {}{}", one.text(), two.text(), within(bound))
            }
        }
    }

    /// The definition over a complete run, word by word.
    fn is_true(&self, run: &Run) -> bool {
        let all = 0..run.len();
        let in_time = |from: usize, to: usize, bound: &Option<u64>| {
            bound.is_none_or(|ms| run[to].0 - run[from].0 <= ms)
        };
        match self {
            Self::Always(one) => all.clone().all(|at| one.holds(run, at)),
            Self::Never(one) => !all.clone().any(|at| one.holds(run, at)),
            Self::Eventually(one, bound) => all
                .clone()
                .any(|at| one.holds(run, at) && in_time(0, at, bound)),
            Self::Until(one, two, bound) => all.clone().any(|at| {
                two.holds(run, at)
                    && in_time(0, at, bound)
                    && (0..at).all(|before| one.holds(run, before))
            }),
            Self::LeadsTo(one, two, bound) => all.clone().all(|from| {
                !one.holds(run, from)
                    || (from..run.len()).any(|to| two.holds(run, to) && in_time(from, to, bound))
            }),
            Self::NeverThen(one, two, bound) => !all.clone().any(|from| {
                one.holds(run, from)
                    && (from + 1..run.len())
                        .any(|to| two.holds(run, to) && in_time(from, to, bound))
            }),
        }
    }
}

fn random_run(random: &mut Random) -> Run {
    let length = random.between(1, 7);
    let mut at = random.below(100);
    (0..length)
        .map(|_| {
            at += random.below(4);
            (at, std::array::from_fn(|_| random.below(2) == 0))
        })
        .collect()
}

fn states(run: &Run) -> Vec<(u64, State)> {
    let mut before = 0;
    run.iter()
        .map(|(at, present)| {
            let elapsed_ms = at - before;
            before = *at;
            let state: State = NODES
                .iter()
                .zip(present)
                .filter(|(_, is_there)| **is_there)
                .map(|(node, _)| ((*node).to_owned(), vec![Instance::default()]))
                .collect();
            (elapsed_ms, state)
        })
        .collect()
}

#[test]
fn monitors_agree_with_the_definitions() {
    let seeds = Random::from_seed(2024);
    let mut seen = BTreeMap::new();
    for number in 0..20_000 {
        let mut random = seeds.child(number);
        let form = Form::random(&mut random);
        let text = form.text();
        let set = formula(&text).unwrap_or_else(|finding| panic!("{text}: {}", finding.message));
        let run = random_run(&mut random);
        let (verdicts, end) = follow(&set, &states(&run));
        let meant = if form.is_true(&run) {
            Verdict::Holds
        } else {
            Verdict::Violated
        };
        assert_eq!(end, meant, "{number}: {text} over {run:?}");
        *seen.entry(meant).or_insert(0) += 1;
        for (index, verdict) in verdicts.iter().enumerate() {
            let prefix: Run = run[..=index].to_vec();
            let is_true = form.is_true(&prefix);
            assert_eq!(
                *verdict == Verdict::Holds,
                is_true,
                "{number}: {text} over {prefix:?}"
            );
            if *verdict == Verdict::Violated {
                assert_eq!(end, Verdict::Violated, "{number}: {text}: taken back");
            }
        }
    }
    assert!(seen.values().all(|count| *count > 3_000), "{seen:?}");
}

#[test]
fn what_is_open_at_a_cut_is_not_decided() {
    for (text, complete, cut) in [
        (
            "eventually count(a) = 1",
            Verdict::Violated,
            Verdict::Pending,
        ),
        ("always count(a) = 0", Verdict::Holds, Verdict::Holds),
        (
            "count(a) = 0 until count(b) = 1",
            Verdict::Violated,
            Verdict::Pending,
        ),
        (
            "count(a) = 0 leads_to count(b) = 1",
            Verdict::Violated,
            Verdict::Pending,
        ),
        (
            "count(a) = 1 leads_to count(b) = 1",
            Verdict::Holds,
            Verdict::Holds,
        ),
        (
            "never count(a) = 0 then count(b) = 1",
            Verdict::Holds,
            Verdict::Holds,
        ),
        ("always count(a) = 1", Verdict::Violated, Verdict::Violated),
    ] {
        let set = formula(text).expect(text);
        let monitor = set.properties[0].compile();
        let state = State::new();
        let table = Table {
            state: &state,
            set: &set,
        };
        let (state, _) = monitor.step(monitor.initial(), &table, 0);
        assert_eq!(monitor.at_end(state, true), complete, "{text}");
        assert_eq!(monitor.at_end(state, false), cut, "{text}");
    }
}

#[test]
fn states_are_small_and_forget_what_does_not_matter() {
    assert_eq!(size_of::<zenekar_property::MonitorState>(), 8);
    let set =
        formula("eventually count(a) = 1 or once(count(b) = 1) within 10s").expect("it reads");
    let monitor = set.properties[0].compile();
    let with = |node: &str| State::from([(node.to_owned(), vec![Instance::default()])]);
    let step = |state, table: &State, elapsed_ms| {
        monitor
            .step(
                state,
                &Table {
                    state: table,
                    set: &set,
                },
                elapsed_ms,
            )
            .0
    };
    // Two ways to the goal end in one state, whenever they got there.
    let one = step(monitor.initial(), &with("a"), 0);
    let waiting = step(monitor.initial(), &State::new(), 77);
    assert_eq!(monitor.deadline_ms(waiting), Some(10_000));
    let later = step(waiting, &State::new(), 9_000);
    assert_eq!(monitor.deadline_ms(later), Some(1_000));
    let two = step(later, &with("b"), 1_000);
    assert_eq!(one, two);
    assert!(monitor.is_decided(two));
    assert_eq!(monitor.deadline_ms(two), None);
    let late = step(later, &with("a"), 1_001);
    assert_eq!(monitor.verdict(late), Verdict::Violated);
    // What comes after changes nothing.
    assert_eq!(step(late, &with("a"), 0), late);
}
