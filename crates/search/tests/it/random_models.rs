//! Small random programs: everything that is counted cleverly is the same as
//! what is counted by writing down all runs.

use std::collections::BTreeSet;

use zenekar_base::Random;
use zenekar_search::{
    Access, Budget, End, Exchange, Fingerprint128, Identity, Model, Shared, Strategy,
    count_classes, count_histories, count_runs, never, search,
};

/// What an actor does in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Local,
    /// Adds one to a variable.
    Add(usize),
    /// Doubles a variable: it matters whether before or after an addition.
    Double(usize),
    /// Waits until a variable is at least two.
    Await(usize),
}

/// Actors with a program each; the first two have the same one.
#[derive(Clone, Debug)]
struct Programs {
    of_actors: Vec<Vec<Operation>>,
    is_reduced: bool,
}

const VARIABLES: usize = 2;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    at: Vec<u8>,
    variables: [u8; VARIABLES],
}

type Action = (usize, u8);

impl Programs {
    fn draw(seed: u64) -> Self {
        let mut random = Random::from_seed(seed);
        let mut draw = |bound| usize::try_from(random.below(bound)).expect("it is small");
        let mut of_actors = Vec::new();
        for actor in 0..3 {
            let program = (0..=draw(2)).map(|_| match draw(5) {
                0 | 1 => Operation::Local,
                2 => Operation::Add(draw(2)),
                3 => Operation::Double(draw(2)),
                _ => Operation::Await(draw(2)),
            });
            let program: Vec<Operation> = program.collect();
            if actor == 0 {
                of_actors.push(program.clone());
            }
            of_actors.push(program);
        }
        of_actors.truncate(3);
        Self {
            of_actors,
            is_reduced: false,
        }
    }

    fn operation(&self, action: Action) -> Operation {
        self.of_actors[action.0][usize::from(action.1)]
    }

    /// Says whether the order of two actions matters.
    fn depend(&self, one: Action, other: Action) -> bool {
        let touched = |action| match self.operation(action) {
            Operation::Local => None,
            Operation::Add(variable) | Operation::Double(variable) => Some((variable, true)),
            Operation::Await(variable) => Some((variable, false)),
        };
        one.0 == other.0
            || match (touched(one), touched(other)) {
                (Some((first, writes)), Some((second, also))) => {
                    first == second && (writes || also)
                }
                _ => false,
            }
    }

    /// Writes down all runs.
    fn runs(&self, state: &State, run: &mut Vec<Action>, runs: &mut Vec<Vec<Action>>) {
        let mut actions = Vec::new();
        self.actions(state, &mut actions);
        if actions.is_empty() {
            runs.push(run.clone());
        }
        for action in actions {
            let next = self.apply(state, &action).expect("it is possible");
            run.push(action);
            self.runs(&next, run, runs);
            run.pop();
        }
    }

    /// What a class is by definition: what happened, and the order of all that
    /// depends on each other. With the names of the first two actors exchanged,
    /// if `is_turned`.
    fn class(&self, run: &[Action], is_turned: bool) -> BTreeSet<(Action, Action)> {
        let name = |(actor, at): Action| match (is_turned, actor) {
            (true, 0 | 1) => (1 - actor, at),
            _ => (actor, at),
        };
        let mut order = BTreeSet::new();
        for (place, later) in run.iter().enumerate() {
            order.insert((name(*later), name(*later)));
            for earlier in &run[..place] {
                if self.depend(*earlier, *later) {
                    order.insert((name(*earlier), name(*later)));
                }
            }
        }
        order
    }
}

impl Model for Programs {
    type State = State;
    type Action = Action;

    fn initial(&self) -> Vec<State> {
        vec![State {
            at: vec![0; self.of_actors.len()],
            variables: [1, 0],
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (actor, at) in state.at.iter().enumerate() {
            let can = match self.of_actors[actor].get(usize::from(*at)) {
                None => false,
                Some(Operation::Await(variable)) => state.variables[*variable] >= 2,
                Some(_) => true,
            };
            if can {
                actions.push((actor, *at));
            }
        }
    }

    fn apply(&self, state: &State, action: &Action) -> Option<State> {
        let mut state = state.clone();
        match self.operation(*action) {
            Operation::Local | Operation::Await(_) => {}
            Operation::Add(variable) => state.variables[variable] += 1,
            Operation::Double(variable) => state.variables[variable] *= 2,
        }
        state.at[action.0] += 1;
        Some(state)
    }

    fn fingerprint(&self, state: &State) -> Fingerprint128 {
        Fingerprint128::of(state)
    }

    fn representative(&self, mut state: State) -> State {
        state.at[..2].sort_unstable();
        state
    }

    fn are_independent(&self, _state: &State, one: &Action, other: &Action) -> bool {
        !self.depend(*one, *other)
    }

    fn ample(&self, _state: &State, actions: &[Action]) -> Option<Vec<usize>> {
        let is_local = |action: &Action| self.operation(*action) == Operation::Local;
        let local = actions.iter().position(is_local);
        local.filter(|_| self.is_reduced).map(|place| vec![place])
    }

    fn violation(&self, state: &State) -> Option<u32> {
        if state.variables[0] >= 4 {
            Some(0)
        } else {
            (state.variables[1] >= 2).then_some(1)
        }
    }

    fn is_accepting(&self, state: &State) -> bool {
        let mut all = state.at.iter().zip(&self.of_actors);
        all.all(|(at, program)| usize::from(*at) == program.len())
    }

    fn actor(&self, action: &Action) -> u32 {
        u32::try_from(action.0).unwrap_or_default()
    }
}

impl Shared for Programs {
    fn kind(&self, actor: u32) -> u64 {
        u64::from(actor.max(1))
    }

    fn label(&self, _state: &State, action: &Action) -> u64 {
        u64::from(action.1)
    }

    fn accesses(&self, _state: &State, action: &Action, accesses: &mut Vec<Access>) {
        let (object, is_write) = match self.operation(*action) {
            Operation::Local => return,
            Operation::Add(variable) | Operation::Double(variable) => (variable, true),
            Operation::Await(variable) => (variable, false),
        };
        accesses.push(Access {
            object: object as u64,
            is_write,
        });
    }
}

const SEEDS: u64 = 300;

#[test]
fn classes_are_those_of_the_definition() {
    for seed in 0..SEEDS {
        let mut model = Programs::draw(seed);
        let mut runs = Vec::new();
        model.runs(&model.initial()[0], &mut Vec::new(), &mut runs);
        let classes: BTreeSet<_> = runs.iter().map(|run| model.class(run, false)).collect();
        let either = |run: &Vec<Action>| model.class(run, false).min(model.class(run, true));
        let up_to_who: BTreeSet<_> = runs.iter().map(either).collect();
        let budget = Budget::default();
        for identity in [Identity::Exact, Identity::UpToSymmetry] {
            let count = count_runs(&model, identity, &budget, &never).expect("it ends");
            assert_eq!(
                count.runs.to_u128(),
                Some(runs.len() as u128),
                "seed {seed}"
            );
        }
        for is_reduced in [false, true] {
            model.is_reduced = is_reduced;
            let slept = count_classes(&model, u64::MAX, &never);
            assert_eq!(slept.classes, classes.len() as u64, "seed {seed}");
            for (exchange, expected) in [
                (Exchange::Nobody, classes.len()),
                (Exchange::EqualActors, up_to_who.len()),
            ] {
                let count = count_histories(&model, exchange, &budget, &never);
                assert_eq!(count.end, End::Exhausted);
                assert_eq!(count.classes, expected as u64, "seed {seed} {exchange:?}");
            }
        }
    }
}

#[test]
fn what_waits_changes_no_end_and_no_violation() {
    let (mut all, mut visited) = (0, 0);
    for seed in 0..SEEDS {
        let mut model = Programs::draw(seed);
        for strategy in [Strategy::Breadth, Strategy::Depth, Strategy::Best] {
            let budget = Budget {
                violations_max: 9,
                ..Budget::default()
            };
            let [full, reduced] = [false, true].map(|is_reduced| {
                model.is_reduced = is_reduced;
                search(&model, &strategy, &budget, &never)
            });
            let properties = |outcome: &zenekar_search::Outcome<Action>| -> BTreeSet<u32> {
                outcome.violations.iter().map(|one| one.property).collect()
            };
            assert_eq!(reduced.end, End::Exhausted);
            assert_eq!(reduced.ends, full.ends, "seed {seed} {strategy:?}");
            assert_eq!(reduced.stuck_ends, full.stuck_ends, "seed {seed}");
            assert_eq!(properties(&reduced), properties(&full), "seed {seed}");
            assert!(reduced.unique <= full.unique);
            all += full.unique;
            visited += reduced.unique;
        }
    }
    assert!(
        visited * 4 < all * 3,
        "{visited} of {all} states: it is worth it"
    );
}
