//! What is done wrong, and when.

use std::time::Duration;

/// Something that goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is passed on, and its answer waits so long.
    Delay(Duration),
    /// The connection is reset before the request is passed on.
    Refuse,
    /// The request is carried out; instead of the answer the connection is reset.
    Lose,
    /// The request is carried out; the connection ends after so many bytes of the answer.
    Cut(usize),
    /// The request is carried out, and nothing is heard any more.
    Mute,
    /// The request is not passed on, and nothing is heard any more.
    Swallow,
}

/// Which requests something goes wrong with.
#[derive(Clone, Debug)]
pub struct Plan {
    faults: Vec<Fault>,
    /// What a request must hold.
    marker: Option<Vec<u8>>,
    /// How many requests of its kind come first.
    spared: u64,
    /// How many faults there are left.
    left: u64,
    /// One of so many requests is hit.
    one_of: u64,
    random: u64,
}

impl Plan {
    /// Everything is passed on.
    pub const fn calm() -> Self {
        Self {
            faults: Vec::new(),
            marker: None,
            spared: 0,
            left: 0,
            one_of: 1,
            random: 0,
        }
    }

    /// Every request has that fault.
    pub fn always(fault: Fault) -> Self {
        Self::times(fault, u64::MAX)
    }

    /// The first requests have that fault.
    pub fn times(fault: Fault, count: u64) -> Self {
        Self {
            faults: vec![fault],
            left: count,
            ..Self::calm()
        }
    }

    /// One of so many requests, drawn by lot, has one of the faults; the same
    /// seed gives the same draws.
    pub fn by_lot(seed: u64, one_of: u64, faults: &[Fault]) -> Self {
        Self {
            faults: faults.to_vec(),
            left: u64::MAX,
            one_of: one_of.max(1),
            random: seed,
            ..Self::calm()
        }
    }

    /// Only requests that hold this text count.
    #[must_use]
    pub fn only(mut self, marker: &str) -> Self {
        self.marker = Some(marker.as_bytes().to_vec());
        self
    }

    /// So many requests of the kind go well before.
    #[must_use]
    pub const fn after(mut self, count: u64) -> Self {
        self.spared = count;
        self
    }

    /// Decides about the next request.
    pub(crate) fn next(&mut self, request: &[u8]) -> Option<Fault> {
        let is_meant = self
            .marker
            .as_ref()
            .is_none_or(|marker| holds(request, marker));
        if !is_meant || self.faults.is_empty() || self.left == 0 {
            return None;
        }
        if self.spared > 0 {
            self.spared -= 1;
            return None;
        }
        if self.one_of > 1 && !self.draw().is_multiple_of(self.one_of) {
            return None;
        }
        self.left -= 1;
        let count = self.faults.len() as u64;
        let at = if count > 1 { self.draw() % count } else { 0 };
        self.faults.get(usize::try_from(at).ok()?).copied()
    }

    /// Draws a number (splitmix64).
    const fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_counts_only_what_it_is_about() {
        let mut plan = Plan::times(Fault::Lose, 2).only("Run").after(1);
        let mut hit = |request: &str| plan.next(request.as_bytes()).is_some();
        assert!(!hit("Describe") && !hit("RunInstances") && !hit("Describe"));
        assert!(hit("RunInstances") && !hit("Describe") && hit("RunInstances"));
        assert!(!hit("RunInstances"));
    }

    #[test]
    fn the_same_seed_gives_the_same_draws() {
        let draws = |seed| {
            let mut plan = Plan::by_lot(seed, 4, &[Fault::Lose, Fault::Refuse]);
            (0..400).map(|_| plan.next(b"x")).collect::<Vec<_>>()
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
        let hit = draws(7).iter().flatten().count();
        assert!((60..140).contains(&hit), "{hit}");
    }
}
