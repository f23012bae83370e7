//! What instances do while they are contextualised: the fast part of a state.

use zenekar_model::behaviour::{Contact, Quantifier, Segment};

use crate::network::Link;

/// How far an instance is with its segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Agent {
    /// Segments that are done.
    pub(crate) done: u8,
    /// Whether it is within the next one.
    pub(crate) is_within: bool,
    /// Whether it will never go on.
    pub(crate) has_failed: bool,
    /// What the network does for it.
    pub(crate) link: Link,
    /// Shared objects that it has read, as bits.
    pub(crate) read: u16,
    /// Those of them that others have written since.
    pub(crate) stale: u16,
}

impl Agent {
    /// Returns the agent as five bytes for fingerprints.
    pub(crate) const fn bytes(self) -> [u8; 6] {
        let flags = self.is_within as u8 | (self.has_failed as u8) << 1 | (self.link as u8) << 2;
        let [read, read_high] = self.read.to_le_bytes();
        let [stale, stale_high] = self.stale.to_le_bytes();
        [self.done, flags, read, read_high, stale, stale_high]
    }
}

/// The most shared objects that are told apart; those beyond count as one.
pub(crate) const OBJECTS_MAX: usize = 16;

/// A segment with names replaced by places, so that steps compare numbers only.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    /// Its place among the segments of the behaviour.
    pub(crate) place: u8,
    pub(crate) needs: Vec<CompiledNeed>,
    pub(crate) reads: u16,
    pub(crate) writes: u16,
    pub(crate) holds: u16,
    pub(crate) retries: bool,
}

/// A need with names replaced by places.
#[derive(Clone, Debug)]
pub(crate) struct CompiledNeed {
    /// The node's place.
    pub(crate) node: u16,
    /// Segments that an instance of it has to have done; `None` if it never has it.
    pub(crate) done: Option<u8>,
    /// Whether all instances have to.
    pub(crate) all: bool,
}

impl Compiled {
    /// Says whether others can tell where it begins from where it ends.
    pub(crate) const fn has_inside(&self) -> bool {
        self.holds != 0 || (self.reads != 0 && self.writes != 0)
    }

    /// Says whether nobody else notices it and it does not depend on anybody.
    pub(crate) fn is_private(&self) -> bool {
        self.needs.is_empty() && self.reads | self.writes | self.holds == 0
    }
}

/// Returns how many segments have to be done until an instance has something.
pub(crate) fn done_for(segments: &[Segment], contact: &Contact) -> Option<u8> {
    let all = u8::try_from(segments.len()).unwrap_or(u8::MAX);
    match contact {
        Contact::Address => Some(0),
        Contact::Finished => Some(all),
        contact => {
            let giving = |segment: &Segment| segment.gives.iter().any(|give| give.fulfils(contact));
            match segments.iter().position(giving) {
                Some(at) => u8::try_from(at + 1).ok(),
                // Nobody says when a port opens: at the end it is open.
                None => matches!(contact, Contact::Port(_)).then_some(all),
            }
        }
    }
}

/// Returns the place of a node, and what its instances do, by its name.
pub(crate) type NodeOf<'a> = &'a dyn Fn(&str) -> Option<(u16, Vec<Segment>)>;

/// Replaces names by places.
pub(crate) fn compile(
    segment: &Segment,
    place: usize,
    node_of: NodeOf<'_>,
    object_of: &mut dyn FnMut(&str) -> u16,
) -> Compiled {
    let needs = segment
        .needs
        .iter()
        .filter(|need| need.what != Contact::Address);
    let needs = needs.filter_map(|need| {
        let (node, segments) = node_of(&need.node)?;
        Some(CompiledNeed {
            node,
            done: done_for(&segments, &need.what),
            all: need.quantifier == Quantifier::All,
        })
    });
    let needs = needs.collect();
    let mut bits = |names: &[String]| names.iter().fold(0, |all, name| all | object_of(name));
    Compiled {
        place: u8::try_from(place).unwrap_or(u8::MAX),
        needs,
        reads: bits(&segment.reads),
        writes: bits(&segment.writes),
        holds: bits(&segment.holds),
        retries: segment.retries,
    }
}

/// What instances of one node do, and when they are healthy.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) segments: Vec<Compiled>,
    /// Segments that have to be done before its checks pass; `None`: they never do.
    pub(crate) healthy: Option<u8>,
    /// Whether its checks look at anything.
    pub(crate) is_checked: bool,
    /// Whether its instances are given secrets that only other nodes use.
    pub(crate) is_given_secrets: bool,
}

impl Role {
    /// Forgets what makes no difference to anybody any more: of one that does
    /// not run everything, and of objects that it will not write that it has
    /// read them.
    pub(crate) fn forget(&self, agent: &mut Agent, runs: bool) {
        if !runs {
            *agent = Agent::default();
            return;
        }
        if agent.read | agent.stale != 0 {
            let later = self.segments.iter().skip(usize::from(agent.done));
            let written = later.fold(0, |all, segment| all | segment.writes);
            agent.read &= written;
            agent.stale &= written;
        }
    }
}

/// Drops the segments that nobody can tell from their successors: those that
/// need and touch nothing, and whose end nobody waits for.
pub(crate) fn fuse(roles: &mut [Role]) {
    let seen: Vec<Vec<u8>> = (0_u16..)
        .zip(roles.iter())
        .map(|(node, role)| {
            let all = roles.iter().flat_map(|role| &role.segments);
            let needs = all.flat_map(|segment| &segment.needs);
            let needs = needs.filter(|need| need.node == node);
            needs
                .filter_map(|need| need.done)
                .chain(role.healthy)
                .collect()
        })
        .collect();
    // How many segments are left of the first so many.
    let left: Vec<Vec<u8>> = roles
        .iter()
        .zip(&seen)
        .map(|(role, seen)| {
            let mut left = vec![0];
            for (at, segment) in (1_u8..).zip(&role.segments) {
                let goes = segment.is_private() && !seen.contains(&at);
                let before = left.last().copied().unwrap_or(0);
                left.push(before + u8::from(!goes));
            }
            left
        })
        .collect();
    for ((role, seen), left) in roles.iter_mut().zip(&seen).zip(&left) {
        let mut at = 0_u8;
        role.segments.retain(|segment| {
            at += 1;
            !segment.is_private() || seen.contains(&at)
        });
        role.healthy = role.healthy.map(|done| left[usize::from(done)]);
    }
    for segment in roles.iter_mut().flat_map(|role| &mut role.segments) {
        for need in &mut segment.needs {
            let left = &left[usize::from(need.node)];
            need.done = need.done.map(|done| left[usize::from(done)]);
        }
    }
}
