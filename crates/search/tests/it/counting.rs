//! Numbers of runs and of classes of runs that are known in closed form.

use zenekar_search::{
    Access, Budget, End, Estimated, Exchange, Fingerprint128, Identity, Model, Natural, Shared,
    Strategy, Uncounted, count_classes, count_histories, count_runs, estimate, never, search,
};

/// Actors that each do a number of things one after another; some of them touch
/// one shared object.
struct Deployment {
    /// Of each actor, its steps; `true` touches the object.
    actors: Vec<Vec<bool>>,
    /// How many of the first actors are equal.
    equal: usize,
    /// Whether steps that touch nothing are taken first.
    is_reduced: bool,
}

impl Deployment {
    /// Machines with so many local breakpoints each. All have reported the
    /// first one at the beginning, so there is a step less.
    fn of_breakpoints(breakpoints: &[usize]) -> Self {
        Self {
            actors: breakpoints.iter().map(|of| vec![false; of - 1]).collect(),
            equal: 0,
            is_reduced: false,
        }
    }

    /// Clients that do something, contact the server and do something; and a
    /// server that does something, opens its port and does something.
    fn client_server(clients: usize) -> Self {
        Self {
            actors: vec![vec![false, true, false]; clients + 1],
            equal: clients,
            is_reduced: false,
        }
    }

    /// Clients that each send one message to one inbox.
    fn messages(clients: usize) -> Self {
        Self {
            actors: vec![vec![true]; clients],
            equal: clients,
            is_reduced: false,
        }
    }

    fn reduced(mut self) -> Self {
        self.is_reduced = true;
        self
    }

    fn touches(&self, (actor, at): (usize, u8)) -> bool {
        self.actors[actor][usize::from(at)]
    }
}

impl Model for Deployment {
    type State = Vec<u8>;
    type Action = (usize, u8);

    fn initial(&self) -> Vec<Vec<u8>> {
        vec![vec![0; self.actors.len()]]
    }

    fn actions(&self, state: &Vec<u8>, actions: &mut Vec<(usize, u8)>) {
        for (actor, at) in state.iter().enumerate() {
            if usize::from(*at) < self.actors[actor].len() {
                actions.push((actor, *at));
            }
        }
    }

    fn apply(&self, state: &Vec<u8>, action: &(usize, u8)) -> Option<Vec<u8>> {
        let mut state = state.clone();
        state[action.0] += 1;
        Some(state)
    }

    fn fingerprint(&self, state: &Vec<u8>) -> Fingerprint128 {
        Fingerprint128::of(state)
    }

    fn representative(&self, mut state: Vec<u8>) -> Vec<u8> {
        state[..self.equal].sort_unstable();
        state
    }

    fn are_independent(&self, _state: &Vec<u8>, one: &(usize, u8), other: &(usize, u8)) -> bool {
        one.0 != other.0 && !(self.touches(*one) && self.touches(*other))
    }

    fn ample(&self, _state: &Vec<u8>, actions: &[(usize, u8)]) -> Option<Vec<usize>> {
        let local = actions.iter().position(|action| !self.touches(*action));
        local.filter(|_| self.is_reduced).map(|place| vec![place])
    }

    fn actor(&self, action: &(usize, u8)) -> u32 {
        u32::try_from(action.0).unwrap_or_default()
    }
}

impl Shared for Deployment {
    fn kind(&self, actor: u32) -> u64 {
        let is_equal = (actor as usize) < self.equal;
        if is_equal { 0 } else { 1 + u64::from(actor) }
    }

    fn label(&self, _state: &Vec<u8>, action: &(usize, u8)) -> u64 {
        u64::from(action.1)
    }

    fn accesses(&self, _state: &Vec<u8>, action: &(usize, u8), accesses: &mut Vec<Access>) {
        if self.touches(*action) {
            accesses.push(Access {
                object: 0,
                is_write: true,
            });
        }
    }
}

fn factorial(number: usize) -> u64 {
    (1..=number as u64).product()
}

fn classes(model: &Deployment) -> u64 {
    let count = count_classes(model, u64::MAX, &never);
    assert!(!count.is_cut);
    let is_reduced = model.is_reduced || model.equal == model.actors.len();
    assert!(!is_reduced || count.blocked == 0, "{count:?}");
    count.classes
}

fn histories(model: &Deployment, exchange: Exchange) -> u64 {
    let count = count_histories(model, exchange, &Budget::default(), &never);
    assert_eq!(count.end, End::Exhausted);
    count.classes
}

#[test]
fn runs_and_states_are_as_many_as_the_table_says() {
    // Machines by breakpoints: deployments that a debugger without reduction
    // would need, nodes of its tree, and states.
    let table: [(&[usize], u128, Option<u128>, u64); 6] = [
        (&[3, 3, 3], 90, Some(271), 27),
        (&[3, 3, 4], 210, Some(650), 36),
        (&[4, 4, 4], 1_680, Some(5_248), 64),
        (&[4; 4], 369_600, None, 256),
        (&[4; 5], 168_168_000, None, 1_024),
        (&[5; 5], 305_540_235_000, None, 3_125),
    ];
    for (breakpoints, runs, tree_nodes, states) in &table {
        let model = Deployment::of_breakpoints(breakpoints);
        let count = count_runs(&model, Identity::Exact, &Budget::default(), &never).unwrap();
        assert_eq!(count.runs.to_u128(), Some(*runs), "{breakpoints:?}");
        assert_eq!(count.states, *states);
        if let Some(tree_nodes) = tree_nodes {
            assert_eq!(count.tree_nodes.to_u128(), Some(*tree_nodes));
        }
    }
}

#[test]
fn runs_are_as_many_as_the_formula_says_where_they_cannot_be_walked() {
    // Ten machines with five breakpoints: 40! / (4!)^10, as a product of
    // binomials; about 10^34 on 9.77 million states, so up to symmetry.
    let mut model = Deployment::of_breakpoints(&[5; 10]);
    model.equal = 10;
    let budget = Budget::default();
    let count = count_runs(&model, Identity::UpToSymmetry, &budget, &never).unwrap();
    let mut runs = Natural::from(1);
    for machine in 1..=10 {
        for step in 1..=4 {
            runs = runs.times(4 * (machine - 1) + step).over(step);
        }
    }
    assert_eq!(count.runs, runs);
    assert_eq!((count.runs.magnitude(), count.states), (34, 1_001));
}

#[test]
fn runs_are_as_many_when_each_is_walked() {
    /// The same where everything depends on everything.
    struct Alone(Deployment);
    impl Model for Alone {
        type State = Vec<u8>;
        type Action = (usize, u8);
        fn initial(&self) -> Vec<Vec<u8>> {
            self.0.initial()
        }
        fn actions(&self, state: &Vec<u8>, actions: &mut Vec<(usize, u8)>) {
            self.0.actions(state, actions);
        }
        fn apply(&self, state: &Vec<u8>, action: &(usize, u8)) -> Option<Vec<u8>> {
            self.0.apply(state, action)
        }
        fn fingerprint(&self, state: &Vec<u8>) -> Fingerprint128 {
            self.0.fingerprint(state)
        }
    }
    for (breakpoints, runs) in [([3, 3, 3], 90), ([3, 3, 4], 210), ([4, 4, 4], 1_680)] {
        let model = Alone(Deployment::of_breakpoints(&breakpoints));
        let count = count_classes(&model, u64::MAX, &never);
        assert_eq!((count.classes, count.is_cut), (runs, false));
        let cut = count_classes(&model, 10, &never);
        assert!(cut.is_cut && cut.steps == 10);
    }
}

#[test]
fn runs_are_as_many_up_to_symmetry() {
    for clients in 1..=4 {
        let model = Deployment::client_server(clients);
        let [exact, folded] = [Identity::Exact, Identity::UpToSymmetry]
            .map(|identity| count_runs(&model, identity, &Budget::default(), &never).unwrap());
        assert_eq!(exact.runs, folded.runs);
        assert_eq!(exact.tree_nodes, folded.tree_nodes);
        assert!(clients == 1 || folded.states < exact.states);
    }
}

#[test]
fn messages_to_one_inbox_have_as_many_classes_as_orders() {
    for clients in 1..=7 {
        let model = Deployment::messages(clients);
        assert_eq!(classes(&model), factorial(clients));
        assert_eq!(histories(&model, Exchange::Nobody), factorial(clients));
        assert_eq!(histories(&model, Exchange::EqualActors), 1);
    }
}

#[test]
fn clients_and_a_server_have_as_many_classes_as_orders_of_contacts() {
    for clients in 1..=6 {
        let model = Deployment::client_server(clients);
        assert_eq!(classes(&model), factorial(clients + 1));
        assert_eq!(classes(&model.reduced()), factorial(clients + 1));
    }
    for clients in 1..=5 {
        for model in [
            Deployment::client_server(clients),
            Deployment::client_server(clients).reduced(),
        ] {
            assert_eq!(histories(&model, Exchange::Nobody), factorial(clients + 1));
            let up_to_who = histories(&model, Exchange::EqualActors);
            assert_eq!(up_to_who, clients as u64 + 1, "only when the port opens");
        }
    }
}

#[test]
fn a_hundred_clients_have_a_hundred_and_one_classes() {
    let model = Deployment::client_server(100).reduced();
    assert_eq!(histories(&model, Exchange::EqualActors), 101);
}

#[test]
fn estimates_are_near() {
    let model = Deployment::client_server(4);
    let exact = count_runs(&model, Identity::Exact, &Budget::default(), &never).unwrap();
    let reduced = Deployment::client_server(4).reduced();
    for (model, what, exact) in [
        (&model, Estimated::Runs, exact.runs.to_u128().unwrap()),
        (&reduced, Estimated::Classes, 120),
    ] {
        let estimate = estimate(model, what, 7, 4_000, 1_000);
        assert_eq!((estimate.probes, estimate.cut), (4_000, 0));
        let mean = estimate.mean.to_u128().unwrap();
        let is_near = mean * 10 > exact * 8 && mean * 10 < exact * 12;
        assert!(is_near, "{what:?}: {mean} instead of {exact}");
    }
    let cut = estimate(&model, Estimated::Runs, 7, 10, 3);
    assert_eq!((cut.cut, cut.mean), (10, Natural::default()));
}

#[test]
fn what_waits_is_not_lost() {
    // The same ends and the same violations, with fewer states.
    for clients in 1..=5 {
        for strategy in [Strategy::Breadth, Strategy::Depth, Strategy::Best] {
            let [full, reduced] = [false, true].map(|is_reduced| {
                let mut model = Deployment::client_server(clients);
                model.equal = 0;
                model.is_reduced = is_reduced;
                search(&model, &strategy, &Budget::default(), &never)
            });
            assert_eq!((full.ends, full.end), (1, End::Exhausted));
            assert_eq!((reduced.ends, reduced.end), (1, End::Exhausted));
            assert_eq!(full.unique, 4u64.pow(u32::try_from(clients).unwrap() + 1));
            assert!(reduced.unique < full.unique, "{strategy:?} {clients}");
        }
    }
}

#[test]
fn runs_without_end_are_not_counted() {
    struct Circle;
    impl Model for Circle {
        type State = u8;
        type Action = ();
        fn initial(&self) -> Vec<u8> {
            vec![0]
        }
        fn actions(&self, _state: &u8, actions: &mut Vec<()>) {
            actions.push(());
        }
        fn apply(&self, state: &u8, (): &()) -> Option<u8> {
            Some((state + 1) % 5)
        }
        fn fingerprint(&self, state: &u8) -> Fingerprint128 {
            Fingerprint128::of(state)
        }
    }
    let count = |states_max| {
        let budget = Budget {
            states_max,
            ..Budget::default()
        };
        count_runs(&Circle, Identity::Exact, &budget, &never)
    };
    assert_eq!(count(100), Err(Uncounted::Cyclic));
    assert_eq!(count(3), Err(Uncounted::Unexplored(End::States)));
}
