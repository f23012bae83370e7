//! What a search costs, on two-phase commit of eight managers: processor time
//! per state that is generated, and states per second.
//!
//! The numbers depend on the machine. States are packed into one word, so that
//! what is measured is the search and not the model.

#![expect(clippy::print_stdout, reason = "a bench reports on stdout")]

use std::time::Instant;

use zenekar_search::{
    Access, Budget, Exchange, Fingerprint128, Model, Shared, Strategy, count_histories, never,
    search,
};

/// Managers.
const MANAGERS: u32 = 8;

/// Of each manager two bits say where it is (working, prepared, committed,
/// aborted), one that it was heard; above them is the coordinator (open,
/// committed, aborted).
struct TwoPhase;

const HEARD: u32 = 2 * MANAGERS;
const COORDINATOR: u32 = 3 * MANAGERS;
const PREPARED_SENT: u32 = 4 * MANAGERS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Commit,
    Abort,
    Hear(u32),
    Prepare(u32),
    ChooseAbort(u32),
    ReceiveCommit(u32),
    ReceiveAbort(u32),
}

impl Model for TwoPhase {
    type State = u64;
    type Action = Action;

    fn initial(&self) -> Vec<u64> {
        vec![0]
    }

    fn actions(&self, state: &u64, actions: &mut Vec<Action>) {
        let coordinator = (state >> COORDINATOR) & 3;
        if coordinator == 0 && (state >> HEARD) & 0xFF == 0xFF {
            actions.push(Action::Commit);
        }
        if coordinator == 0 {
            actions.push(Action::Abort);
        }
        for manager in 0..MANAGERS {
            if coordinator == 0 && (state >> (PREPARED_SENT + manager)) & 1 == 1 {
                actions.push(Action::Hear(manager));
            }
            if (state >> (2 * manager)).is_multiple_of(4) {
                actions.push(Action::Prepare(manager));
                actions.push(Action::ChooseAbort(manager));
            }
            match coordinator {
                1 => actions.push(Action::ReceiveCommit(manager)),
                2 => actions.push(Action::ReceiveAbort(manager)),
                _ => {}
            }
        }
    }

    fn apply(&self, state: &u64, action: &Action) -> Option<u64> {
        let put = |manager: u32, to: u64| (state & !(3 << (2 * manager))) | (to << (2 * manager));
        Some(match *action {
            Action::Commit => state | (1 << COORDINATOR),
            Action::Abort => state | (2 << COORDINATOR),
            Action::Hear(manager) => state | (1 << (HEARD + manager)),
            Action::Prepare(manager) => put(manager, 1) | (1 << (PREPARED_SENT + manager)),
            Action::ReceiveCommit(manager) => put(manager, 2),
            Action::ChooseAbort(manager) | Action::ReceiveAbort(manager) => put(manager, 3),
        })
    }

    fn fingerprint(&self, state: &u64) -> Fingerprint128 {
        Fingerprint128::of(state)
    }
}

/// Clients that do something, contact a server and do something; and the
/// server, the last one.
struct ClientServer(usize);

impl Model for ClientServer {
    type State = Vec<u8>;
    type Action = (usize, u8);

    fn initial(&self) -> Vec<Vec<u8>> {
        vec![vec![0; self.0 + 1]]
    }

    fn actions(&self, state: &Vec<u8>, actions: &mut Vec<(usize, u8)>) {
        let all = state.iter().copied().enumerate();
        actions.extend(all.filter(|(_, at)| *at < 3));
    }

    fn apply(&self, state: &Vec<u8>, action: &(usize, u8)) -> Option<Vec<u8>> {
        let mut state = state.clone();
        state[action.0] += 1;
        Some(state)
    }

    fn fingerprint(&self, state: &Vec<u8>) -> Fingerprint128 {
        Fingerprint128::of(state)
    }

    fn ample(&self, _state: &Vec<u8>, actions: &[(usize, u8)]) -> Option<Vec<usize>> {
        let local = actions.iter().position(|action| action.1 != 1);
        local.map(|place| vec![place])
    }

    fn actor(&self, action: &(usize, u8)) -> u32 {
        u32::try_from(action.0).unwrap_or_default()
    }
}

impl Shared for ClientServer {
    fn kind(&self, actor: u32) -> u64 {
        u64::from(actor as usize == self.0)
    }

    fn label(&self, _state: &Vec<u8>, action: &(usize, u8)) -> u64 {
        u64::from(action.1)
    }

    fn accesses(&self, _state: &Vec<u8>, action: &(usize, u8), accesses: &mut Vec<Access>) {
        if action.1 == 1 {
            accesses.push(Access {
                object: 0,
                is_write: true,
            });
        }
    }
}

fn main() {
    let walks = 20_000;
    for (name, strategy, threads) in [
        ("breadth", Strategy::Breadth, 1),
        ("breadth", Strategy::Breadth, 2),
        ("depth", Strategy::Depth, 1),
        ("best", Strategy::Best, 1),
        ("random", Strategy::Random { seed: 1, walks }, 2),
    ] {
        let budget = Budget {
            states_max: 10_000_000,
            memory_bytes_max: 1 << 33,
            depth_max: 100,
            threads,
            ..Budget::default()
        };
        let started_at = Instant::now();
        let outcome = search(&TwoPhase, &strategy, &budget, &never);
        let taken_ns = started_at.elapsed().as_nanos().max(1);
        let generated = u128::from(outcome.generated);
        println!(
            "{name}, {threads} threads: {} unique, {generated} generated, {} ns each, {} per ms, about {} MB",
            outcome.unique,
            taken_ns / generated,
            generated * 1_000_000 / taken_ns,
            outcome.bytes / 1_000_000,
        );
    }
    let started_at = Instant::now();
    let count = count_histories(
        &ClientServer(100),
        Exchange::EqualActors,
        &Budget::default(),
        &never,
    );
    println!(
        "100 clients and a server: {} classes in {} ms",
        count.classes,
        started_at.elapsed().as_millis()
    );
}
