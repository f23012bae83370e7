//! What all orders of exploration have in common, and what each is good for.

use zenekar_search::{Budget, End, Fingerprint128, Model, Outcome, STUCK, Strategy, never, search};

/// Two workers each read a counter, and write back one more; then they are
/// done. If nobody holds the counter meanwhile, an update can be lost (property
/// 0); if one waits for two locks in another order than the other, they can be
/// stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    None,
    LostUpdate,
    Deadlock,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    at: [u8; 2],
    read: [u8; 2],
    counter: u8,
    owners: [Option<u8>; 2],
}

struct Workers(Defect);

/// Steps of a worker before its first lock, so that runs are longer than the
/// interesting part.
const IDLE: u8 = 4;

impl Workers {
    fn lock(&self, worker: usize, first: bool) -> usize {
        let is_turned = self.0 == Defect::Deadlock && worker == 1;
        usize::from(first == is_turned)
    }
}

impl Model for Workers {
    type State = State;
    type Action = usize;

    fn initial(&self) -> Vec<State> {
        vec![State {
            at: [0; 2],
            read: [0; 2],
            counter: 0,
            owners: [None; 2],
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<usize>) {
        for worker in 0..2 {
            let is_free = |first| state.owners[self.lock(worker, first)].is_none();
            let can = match state.at[worker] - state.at[worker].min(IDLE) {
                1 => self.0 == Defect::LostUpdate || is_free(true),
                2 => self.0 == Defect::LostUpdate || is_free(false),
                6.. => false,
                _ => true,
            };
            if can {
                actions.push(worker);
            }
        }
    }

    fn apply(&self, state: &State, action: &usize) -> Option<State> {
        let (worker, mut state) = (*action, state.clone());
        let name = u8::try_from(worker).ok();
        match state.at[worker] - state.at[worker].min(IDLE) {
            1 => state.owners[self.lock(worker, true)] = name,
            2 => state.owners[self.lock(worker, false)] = name,
            3 => state.read[worker] = state.counter,
            4 => state.counter = state.read[worker] + 1,
            5 => state.owners = [None; 2],
            _ => {}
        }
        state.at[worker] += 1;
        Some(state)
    }

    fn fingerprint(&self, state: &State) -> Fingerprint128 {
        Fingerprint128::of(state)
    }

    fn violation(&self, state: &State) -> Option<u32> {
        let is_done = state.at.iter().all(|at| *at == IDLE + 6);
        (is_done && state.counter != 2).then_some(0)
    }

    fn is_accepting(&self, state: &State) -> bool {
        state.at.iter().all(|at| *at == IDLE + 6)
    }

    fn score(&self, state: &State) -> u64 {
        u64::from(state.at[0] + state.at[1])
    }

    fn actor(&self, action: &usize) -> u32 {
        u32::try_from(*action).unwrap_or_default()
    }
}

const RANDOM: Strategy = Strategy::Random {
    seed: 1,
    walks: 500,
};

const PCT: Strategy = Strategy::Pct {
    seed: 1,
    depth: 2,
    walks: 500,
};

const COMPLETE: [Strategy; 3] = [Strategy::Breadth, Strategy::Depth, Strategy::Best];

/// Explores with one, two and three threads, carries out the ways to what was
/// found, and returns the outcome.
fn explore(model: &Workers, strategy: &Strategy, budget: Budget) -> Outcome<usize> {
    let outcome = search(model, strategy, &budget, &never);
    for threads in 2..=3 {
        let again = search(model, strategy, &Budget { threads, ..budget }, &never);
        assert_eq!(again, outcome, "{strategy:?} with {threads} threads");
    }
    for violation in &outcome.violations {
        let mut state = model.initial().remove(violation.initial);
        let mut actions = Vec::new();
        for action in &violation.actions {
            actions.clear();
            model.actions(&state, &mut actions);
            assert!(actions.contains(action));
            state = model.apply(&state, action).expect("it is possible");
        }
        if violation.property == STUCK {
            actions.clear();
            model.actions(&state, &mut actions);
            assert!(actions.is_empty() && !model.is_accepting(&state));
        } else {
            assert_eq!(model.violation(&state), Some(violation.property));
        }
    }
    outcome
}

#[test]
fn each_finds_each_defect() {
    for (defect, property) in [(Defect::LostUpdate, 0), (Defect::Deadlock, STUCK)] {
        for strategy in COMPLETE.into_iter().chain([RANDOM, PCT]) {
            let outcome = explore(&Workers(defect), &strategy, Budget::default());
            assert_eq!(outcome.end, End::Violation, "{defect:?} {strategy:?}");
            assert_eq!(outcome.violations[0].property, property);
        }
    }
}

#[test]
fn the_complete_ones_agree_on_everything_there_is() {
    for defect in [Defect::None, Defect::LostUpdate, Defect::Deadlock] {
        let budget = Budget {
            violations_max: 9,
            ..Budget::default()
        };
        let [breadth, depth, best] =
            COMPLETE.map(|strategy| explore(&Workers(defect), &strategy, budget));
        for other in [&depth, &best] {
            assert_eq!(other.end, End::Exhausted);
            assert_eq!(other.unique, breadth.unique);
            assert_eq!(other.generated, breadth.generated);
            assert_eq!(other.ends, breadth.ends);
            assert_eq!(other.stuck_ends, breadth.stuck_ends);
            assert_eq!(other.violations.len(), breadth.violations.len());
        }
        assert_eq!(breadth.violations.is_empty(), defect == Defect::None);
    }
}

#[test]
fn random_ways_claim_nothing() {
    for strategy in [RANDOM, PCT] {
        let outcome = explore(&Workers(Defect::None), &strategy, Budget::default());
        assert_eq!(outcome.end, End::Walks);
        assert!(outcome.violations.is_empty() && outcome.unique > 50);
        assert_eq!(outcome.generated, 500 * 20);
    }
}

#[test]
fn few_changes_of_priority_find_what_needs_few_orderings() {
    // The deadlock needs one change between two actors: the bound is 1/(2 * 20).
    // It is found in far more than that share of the walks.
    let found = (0..200)
        .filter(|seed| {
            let strategy = Strategy::Pct {
                seed: *seed,
                depth: 2,
                walks: 1,
            };
            let outcome = search(
                &Workers(Defect::Deadlock),
                &strategy,
                &Budget::default(),
                &never,
            );
            outcome.end == End::Violation
        })
        .count();
    assert!(found >= 5, "{found} of 200");
    // Without a change one actor goes to its end before the other begins.
    let none = Strategy::Pct {
        seed: 1,
        depth: 1,
        walks: 200,
    };
    let outcome = search(
        &Workers(Defect::Deadlock),
        &none,
        &Budget::default(),
        &never,
    );
    assert_eq!(outcome.end, End::Walks);
}

#[test]
fn depths_that_were_not_reached_are_told() {
    for strategy in COMPLETE {
        for (depth_max, end) in [(5, End::Depth), (20, End::Exhausted)] {
            let budget = Budget {
                depth_max,
                ..Budget::default()
            };
            let outcome = explore(&Workers(Defect::None), &strategy, budget);
            assert_eq!(outcome.end, end, "{strategy:?}");
            assert!(outcome.depth <= depth_max);
        }
    }
}

#[test]
fn the_best_is_not_misled_for_ever() {
    /// A ladder without an end whose rungs all look promising, and a state
    /// beside it that does not.
    struct Ladder;
    impl Model for Ladder {
        type State = u32;
        type Action = bool;
        fn initial(&self) -> Vec<u32> {
            vec![1]
        }
        fn actions(&self, state: &u32, actions: &mut Vec<bool>) {
            if *state > 0 {
                actions.extend([true, false]);
            }
        }
        fn apply(&self, state: &u32, action: &bool) -> Option<u32> {
            Some(if *action { state + 1 } else { 0 })
        }
        fn fingerprint(&self, state: &u32) -> Fingerprint128 {
            Fingerprint128::of(state)
        }
        fn is_accepting(&self, _state: &u32) -> bool {
            false
        }
        fn score(&self, state: &u32) -> u64 {
            u64::from(*state)
        }
    }
    let outcome = search(&Ladder, &Strategy::Best, &Budget::default(), &never);
    assert_eq!(outcome.end, End::Violation);
    assert!(outcome.unique < 100, "{outcome:?}");
    assert_eq!(outcome.violations[0].actions, [false]);
}

#[test]
fn states_and_memory_that_were_used_up_are_told() {
    for strategy in COMPLETE.into_iter().chain([RANDOM]) {
        for (states_max, memory_bytes_max, end) in
            [(50, u64::MAX, End::States), (u64::MAX, 2_000, End::Memory)]
        {
            let budget = Budget {
                states_max,
                memory_bytes_max,
                ..Budget::default()
            };
            let outcome = explore(&Workers(Defect::None), &strategy, budget);
            assert_eq!(outcome.end, end, "{strategy:?}");
        }
    }
}
