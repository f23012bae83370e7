//! The order in which things are found, budgets, and threads.

use std::sync::atomic::{AtomicU64, Ordering};

use zenekar_search::{Budget, End, Fingerprint128, Model, Outcome, STUCK, Strategy, never, search};

/// Counters that go up to a limit, one step at a time. It is wrong that they
/// add up to `wrong`, and the end is wrong if `is_end_wrong`.
#[derive(Clone)]
struct Counters {
    size: usize,
    limit: u8,
    wrong: Option<u32>,
    is_end_wrong: bool,
    is_symmetric: bool,
}

const GRID: Counters = Counters {
    size: 4,
    limit: 12,
    wrong: None,
    is_end_wrong: false,
    is_symmetric: false,
};

impl Model for Counters {
    type State = Vec<u8>;
    type Action = usize;

    fn initial(&self) -> Vec<Vec<u8>> {
        vec![vec![0; self.size]]
    }

    fn actions(&self, state: &Vec<u8>, actions: &mut Vec<usize>) {
        actions.extend((0..self.size).filter(|one| state[*one] < self.limit));
    }

    fn apply(&self, state: &Vec<u8>, action: &usize) -> Option<Vec<u8>> {
        let mut state = state.clone();
        state[*action] += 1;
        Some(state)
    }

    fn fingerprint(&self, state: &Vec<u8>) -> Fingerprint128 {
        Fingerprint128::of(state)
    }

    fn representative(&self, mut state: Vec<u8>) -> Vec<u8> {
        if self.is_symmetric {
            state.sort_unstable();
        }
        state
    }

    fn violation(&self, state: &Vec<u8>) -> Option<u32> {
        let sum: u32 = state.iter().copied().map(u32::from).sum();
        (self.wrong == Some(sum)).then_some(sum)
    }

    fn is_accepting(&self, _state: &Vec<u8>) -> bool {
        !self.is_end_wrong
    }
}

fn breadth(model: &Counters, budget: Budget) -> Outcome<usize> {
    let outcomes: Vec<_> = (1..=3)
        .map(|threads| {
            let budget = Budget { threads, ..budget };
            search(model, &Strategy::Breadth, &budget, &never)
        })
        .collect();
    assert_eq!(outcomes[0], outcomes[1], "one thread and two");
    assert_eq!(outcomes[0], outcomes[2], "one thread and three");
    outcomes[0].clone()
}

/// Carries a way out and returns where it ends.
fn walk(model: &Counters, actions: &[usize]) -> Vec<u8> {
    let mut state = model.initial().remove(0);
    for action in actions {
        let mut possible = Vec::new();
        model.actions(&state, &mut possible);
        assert!(possible.contains(action));
        state = model.apply(&state, action).expect("it is possible");
    }
    state
}

#[test]
fn everything_is_visited_once() {
    let outcome = breadth(&GRID, Budget::default());
    assert_eq!(outcome.end, End::Exhausted);
    assert_eq!(outcome.unique, 13u64.pow(4));
    assert_eq!(outcome.generated, 4 * 12 * 13u64.pow(3));
    assert_eq!(
        (outcome.depth, outcome.ends, outcome.stuck_ends),
        (48, 1, 0)
    );
    assert!(outcome.frontier_max > 1_000 && outcome.bytes > 28_561 * 24);
}

#[test]
fn ways_to_violations_are_shortest_and_possible() {
    for is_symmetric in [false, true] {
        let model = Counters {
            wrong: Some(30),
            is_symmetric,
            ..GRID
        };
        let outcome = breadth(&model, Budget::default());
        assert_eq!((outcome.end, outcome.depth), (End::Violation, 30));
        let [violation] = outcome.violations.as_slice() else {
            panic!("{outcome:?}");
        };
        assert!(violation.is_run);
        assert_eq!(violation.actions.len(), 30);
        assert_eq!(model.violation(&walk(&model, &violation.actions)), Some(30));
    }
}

#[test]
fn an_end_where_the_system_may_not_rest_is_a_violation() {
    let model = Counters {
        wrong: Some(3),
        is_end_wrong: true,
        ..GRID
    };
    let budget = Budget {
        violations_max: 9,
        ..Budget::default()
    };
    let outcome = breadth(&model, budget);
    assert_eq!((outcome.end, outcome.stuck_ends), (End::Exhausted, 1));
    let properties: Vec<_> = outcome.violations.iter().map(|one| one.property).collect();
    assert_eq!(properties, [3, STUCK], "one way of each property");
    assert_eq!(outcome.violations[1].actions.len(), 48);
}

#[test]
fn budgets_end_a_search_and_are_named() {
    let states = breadth(
        &GRID,
        Budget {
            states_max: 1_000,
            ..Budget::default()
        },
    );
    assert_eq!(states.end, End::States);
    assert!((1_000..28_561).contains(&states.unique), "{states:?}");

    let depth = breadth(
        &GRID,
        Budget {
            depth_max: 2,
            ..Budget::default()
        },
    );
    assert_eq!((depth.end, depth.unique, depth.depth), (End::Depth, 15, 2));

    let enough = breadth(
        &GRID,
        Budget {
            depth_max: 48,
            ..Budget::default()
        },
    );
    assert_eq!((enough.end, enough.unique), (End::Exhausted, 28_561));

    let memory = breadth(
        &GRID,
        Budget {
            memory_bytes_max: 100_000,
            ..Budget::default()
        },
    );
    assert_eq!(memory.end, End::Memory);
    assert!(memory.unique < 28_561);
}

#[test]
fn the_caller_can_stop_a_search() {
    for threads in 1..=2 {
        let asked = AtomicU64::new(0);
        let budget = Budget {
            threads,
            ..Budget::default()
        };
        let outcome = search(&GRID, &Strategy::Breadth, &budget, &|progress| {
            asked.fetch_add(1, Ordering::Relaxed);
            progress.depth >= 20
        });
        assert_eq!((outcome.end, outcome.depth), (End::Stopped, 20));
        assert!(asked.into_inner() > 20, "also within a level");
    }
}
