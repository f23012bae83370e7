//! What may wait, and that nothing waits for ever.

use zenekar_search::{Budget, End, Fingerprint128, Model, Strategy, never, search};

/// One actor goes round in circles by itself; another one does one thing that
/// is wrong, and independent of the first. What is chosen is always the circle.
struct Ignoring {
    is_reduced: bool,
}

impl Model for Ignoring {
    type State = (u8, bool);
    type Action = bool;

    fn initial(&self) -> Vec<(u8, bool)> {
        vec![(0, false)]
    }

    fn actions(&self, state: &(u8, bool), actions: &mut Vec<bool>) {
        actions.push(false);
        if !state.1 {
            actions.push(true);
        }
    }

    fn apply(&self, state: &(u8, bool), action: &bool) -> Option<(u8, bool)> {
        Some(if *action {
            (state.0, true)
        } else {
            ((state.0 + 1) % 9, state.1)
        })
    }

    fn fingerprint(&self, state: &(u8, bool)) -> Fingerprint128 {
        Fingerprint128::of(state)
    }

    fn ample(&self, _state: &(u8, bool), _actions: &[bool]) -> Option<Vec<usize>> {
        self.is_reduced.then(|| vec![0])
    }

    fn violation(&self, state: &(u8, bool)) -> Option<u32> {
        state.1.then_some(3)
    }
}

#[test]
fn what_waits_has_its_turn_before_a_circle_closes() {
    for strategy in [Strategy::Breadth, Strategy::Depth, Strategy::Best] {
        for threads in 1..=2 {
            let budget = Budget {
                threads,
                ..Budget::default()
            };
            let model = Ignoring { is_reduced: true };
            let reduced = search(&model, &strategy, &budget, &never);
            assert_eq!(reduced.end, End::Violation, "{strategy:?}");
            assert_eq!(reduced.violations[0].property, 3);
            // It waits as long as it can.
            assert_eq!(reduced.violations[0].actions.len(), 9);
            let model = Ignoring { is_reduced: false };
            let full = search(&model, &Strategy::Breadth, &budget, &never);
            assert_eq!(full.violations[0].actions.len(), 1);
        }
    }
}
