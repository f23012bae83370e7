//! Runs that never get where they should.

use std::collections::BTreeSet;

use zenekar_base::Random;
use zenekar_search::{Budget, End, Fingerprint128, Model, find_lasso, never};

/// States that are numbers, and what leads from which to which.
struct Table<'a> {
    edges: &'a [(u8, &'static str, u8)],
    goals: &'a [u8],
    unfair: &'static [&'static str],
}

impl Model for Table<'_> {
    type State = u8;
    type Action = &'static str;

    fn initial(&self) -> Vec<u8> {
        vec![0]
    }

    fn actions(&self, state: &u8, actions: &mut Vec<&'static str>) {
        let from = self.edges.iter().filter(|edge| edge.0 == *state);
        actions.extend(from.map(|edge| edge.1));
    }

    fn apply(&self, state: &u8, action: &&'static str) -> Option<u8> {
        let mut edges = self.edges.iter();
        let edge = edges.find(|edge| (edge.0, edge.1) == (*state, *action));
        edge.map(|edge| edge.2)
    }

    fn fingerprint(&self, state: &u8) -> Fingerprint128 {
        Fingerprint128::of(state)
    }

    fn is_goal(&self, state: &u8) -> bool {
        self.goals.contains(state)
    }

    fn is_fair(&self, action: &&'static str) -> bool {
        !self.unfair.contains(action)
    }
}

/// Looks for a lasso, and checks that it is one: carried out, its cycle leads
/// back to where it began, passes no goal, and is fair.
fn lasso(model: &Table<'_>) -> Option<(Vec<&'static str>, Vec<&'static str>)> {
    let liveness = find_lasso(model, &Budget::default(), &never);
    assert_eq!(liveness.end, End::Exhausted);
    let lasso = liveness.lasso?;
    let mut state = model.initial()[lasso.initial];
    for action in &lasso.stem {
        state = model.apply(&state, action).expect("the stem is possible");
    }
    let (entry, mut always) = (state, Vec::new());
    model.actions(&state, &mut always);
    always.retain(|action| model.is_fair(action));
    for action in &lasso.cycle {
        let mut possible = Vec::new();
        model.actions(&state, &mut possible);
        always.retain(|one| possible.contains(one) && one != action);
        assert!(!model.is_goal(&state));
        state = model.apply(&state, action).expect("the cycle is possible");
    }
    assert_eq!(state, entry);
    assert!(always.is_empty(), "{always:?} always wait");
    Some((lasso.stem, lasso.cycle))
}

#[test]
fn a_livelock_is_found() {
    // Two that make way for each other for ever, each step of which is fair.
    let model = Table {
        edges: &[
            (0, "meet", 1),
            (1, "left", 2),
            (2, "right", 1),
            (0, "pass", 3),
            (3, "rest", 3),
        ],
        goals: &[3],
        unfair: &[],
    };
    let (stem, cycle) = lasso(&model).expect("they can go on for ever");
    assert_eq!(stem, ["meet"]);
    assert_eq!(cycle, ["left", "right"]);
}

#[test]
fn what_is_only_unfair_is_not_a_livelock() {
    // Retrying for ever while the answer is always there to be read.
    let edges = &[
        (0, "retry", 1),
        (1, "retry", 0),
        (0, "read", 2),
        (1, "read", 2),
        (2, "rest", 2),
    ];
    let model = Table {
        edges,
        goals: &[2],
        unfair: &[],
    };
    assert_eq!(lasso(&model), None);
    // If nothing says that it is read at last, it may not be.
    let model = Table {
        edges,
        goals: &[2],
        unfair: &["read"],
    };
    let (_, cycle) = lasso(&model).expect("nobody has to read");
    assert_eq!(cycle, ["retry", "retry"]);
}

#[test]
fn a_cycle_goes_through_what_makes_it_fair() {
    // The way out is impossible in one state only, which is off the short cycle.
    let model = Table {
        edges: &[
            (0, "spin", 0),
            (0, "out", 3),
            (0, "detour", 1),
            (1, "out", 3),
            (1, "on", 2),
            (2, "back", 0),
            (3, "rest", 3),
        ],
        goals: &[3],
        unfair: &[],
    };
    let (_, cycle) = lasso(&model).expect("the detour is fair");
    assert!(
        cycle.contains(&"spin") && cycle.contains(&"back"),
        "{cycle:?}"
    );
}

#[test]
fn an_end_that_is_no_goal_is_for_ever() {
    let model = Table {
        edges: &[(0, "a", 1), (0, "b", 2), (2, "c", 3)],
        goals: &[1],
        unfair: &[],
    };
    assert_eq!(lasso(&model), Some((vec!["b", "c"], vec![])));
    let model = Table {
        edges: model.edges,
        goals: &[1, 3],
        unfair: &[],
    };
    assert_eq!(lasso(&model), None);
}

#[test]
fn what_was_not_explored_is_no_end() {
    let model = Table {
        edges: &[(0, "a", 1), (1, "b", 2), (2, "c", 3), (3, "d", 4)],
        goals: &[4],
        unfair: &[],
    };
    let budget = Budget {
        states_max: 2,
        ..Budget::default()
    };
    let liveness = find_lasso(&model, &budget, &never);
    assert_eq!((liveness.end, liveness.lasso), (End::States, None));
}

/// Says by definition whether there is a run that is fair and never comes to a
/// goal again: some set of states can be gone round in, and is left by no
/// action that is fair, always possible, and never taken.
fn has_lasso(model: &Table<'_>, states: u8) -> bool {
    let mut reached: BTreeSet<u8> = BTreeSet::from([0]);
    for _ in 0..states {
        let from = model.edges.iter().filter(|edge| reached.contains(&edge.0));
        reached = from
            .map(|edge| edge.2)
            .chain(reached.iter().copied())
            .collect();
    }
    let is_end = |state: &u8| !model.edges.iter().any(|edge| edge.0 == *state);
    if reached
        .iter()
        .any(|state| is_end(state) && !model.goals.contains(state))
    {
        return true;
    }
    (1u16..1 << states).any(|set| {
        let is_in = |state: u8| set & (1 << state) != 0;
        let inner: Vec<_> = model
            .edges
            .iter()
            .filter(|edge| is_in(edge.0) && is_in(edge.2))
            .collect();
        let can_be_gone_round = (0..states).filter(|from| is_in(*from)).all(|from| {
            let mut after = BTreeSet::new();
            for _ in 0..=states {
                let step = inner
                    .iter()
                    .filter(|edge| edge.0 == from || after.contains(&edge.0));
                after = step.map(|edge| edge.2).collect::<BTreeSet<u8>>();
                after.extend(
                    inner
                        .iter()
                        .filter(|edge| edge.0 == from)
                        .map(|edge| edge.2),
                );
            }
            (0..states).all(|to| !is_in(to) || after.contains(&to))
        });
        let is_good = (0..states)
            .filter(|state| is_in(*state))
            .all(|state| reached.contains(&state) && !model.goals.contains(&state));
        let is_fair = NAMES.iter().all(|name| {
            let is_possible = |state| {
                let mut edges = model.edges.iter();
                edges.any(|edge| edge.0 == state && edge.1 == *name)
            };
            model.unfair.contains(name)
                || inner.iter().any(|edge| edge.1 == *name)
                || (0..states).any(|state| is_in(state) && !is_possible(state))
        });
        can_be_gone_round && is_good && is_fair
    })
}

const NAMES: [&str; 3] = ["a", "b", "c"];

#[test]
fn lassos_are_found_where_there_are_some() {
    let mut counts = [0; 2];
    for seed in 0..2_000 {
        let mut random = Random::from_seed(seed);
        let states = 2 + u8::try_from(random.below(5)).expect("it is small");
        let mut edges = Vec::new();
        for state in 0..states {
            for name in NAMES {
                if random.below(2) == 0 {
                    let to = random.below(u64::from(states));
                    edges.push((state, name, u8::try_from(to).expect("it is small")));
                }
            }
        }
        let goals: Vec<u8> = (0..states).filter(|_| random.below(3) == 0).collect();
        let model = Table {
            edges: &edges,
            goals: &goals,
            unfair: &["c"],
        };
        let expected = has_lasso(&model, states);
        assert_eq!(lasso(&model).is_some(), expected, "seed {seed}: {edges:?}");
        counts[usize::from(expected)] += 1;
    }
    assert!(counts.iter().all(|count| *count > 200), "{counts:?}");
}
