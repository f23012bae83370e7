//! Mistakes on purpose: what explorers have to find.
//!
//! Each one is what some orchestrator did wrong once. They exist only with the
//! feature `defects`, which the program never has, and even then an engine has
//! one only if its [`crate::Settings`] name it. Without the feature
//! [`Engine::has_defect`] is the constant `false`, and nothing of this is left.

use zenekar_base::{ErrorClass, InstanceKey, NodeKey, RequestId};

use crate::engine::Engine;
use crate::record::{Doom, Record};
use crate::state::Phase;

/// A mistake that the engine makes if it is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    not(feature = "defects"),
    expect(
        unreachable_pub,
        reason = "tests name defects, and have them only with the feature"
    )
)]
pub enum Defect {
    /// When a creation fails, the others of its node are forgotten while they go on.
    ParallelRollback,
    /// A new descriptor replaces all instances at once.
    UpdateDestroysAll,
    /// An instance that was scaled in is counted off again when it is gone.
    DoubleDecrement,
    /// What a list does not show is made once more.
    StaleListCreatesAgain,
    /// A creation without an answer counts as failed.
    TimeoutIsFailure,
    /// An instance that is not wanted any more is forgotten while it is being created.
    CancelledCreationIsForgotten,
    /// One list that does not show an instance is enough to replace it.
    OneAbsenceIsLoss,
    /// What the provider refused to delete counts as deleted.
    RefusedDeletionIsDone,
    /// Instances are created before what they depend on.
    CreationIgnoresOrder,
    /// Instances are deleted before those that depend on them.
    DeletionIgnoresOrder,
    /// A count may be lower than the descriptor allows.
    ScalesBelowMinimum,
    /// What was about to be created when the engine died is not known afterwards.
    CrashLosesCreation,
    /// A repeated creation has another token.
    TokenIsNotReused,
    /// One check that fails is enough to replace an instance.
    OneFailedCheckReplaces,
    /// An instance that a new descriptor replaces is forgotten instead of deleted.
    UpdateForgetsInstances,
    /// Networks are removed while there are machines.
    NetworkGoesFirst,
    /// An instance counts as ready whatever its checks say.
    ChecksAreIgnored,
    /// An instance that does not get ready is waited for without end.
    DeadSetupIsKept,
    /// What failed once is not tried again.
    FirstErrorIsFinal,
    /// The same descriptor once more forgets to what nodes were scaled.
    SameAgainForgetsScaling,
    /// What is gone too early to be believed is asked for again at once.
    DeletesWithoutPause,
    /// A second machine of an instance is not minded.
    TwinsAreKept,
}

impl Engine {
    /// Says whether this engine was told to make a mistake.
    #[cfg(feature = "defects")]
    pub(crate) fn has_defect(&self, defect: Defect) -> bool {
        self.settings.defect == Some(defect)
    }

    /// Engines that people use make none of these mistakes.
    #[cfg(not(feature = "defects"))]
    #[expect(clippy::unused_self, reason = "with the feature the settings tell")]
    pub(crate) const fn has_defect(&self, _: Defect) -> bool {
        false
    }

    /// Forgets the other instances of a node that are being created.
    pub(crate) fn forget_siblings(&mut self, node: NodeKey, key: InstanceKey) {
        for other in self.state.node(node).instances.clone() {
            let known = self.instance(other);
            let goes = known.is_some_and(|known| known.phase == Phase::Creating);
            if goes && other != key {
                self.record(Record::Gone { instance: other });
            }
        }
    }

    /// Takes a creation of which nothing is seen for one that had no effect.
    pub(crate) fn lose_creation(&mut self, key: InstanceKey) {
        let known = self.instance(key);
        let candidate = known.map_or(0, |known| known.candidate);
        self.record(Record::CreateFailed {
            instance: key,
            class: ErrorClass::Retryable,
            message: "no list shows it".to_owned(),
            candidate,
        });
    }

    /// Lowers the count of a node once more, as far as it may, when an instance
    /// of it that was scaled in is gone.
    pub(crate) fn count_off_again(&mut self, key: InstanceKey) {
        let known = self.instance(key);
        let known = known.filter(|known| known.doom == Some(Doom::ScaledIn));
        let Some(node) = known.map(|known| known.node) else {
            return;
        };
        let range = self.topology().zip(self.state.node(node).index);
        let range = range.map(|(topology, index)| topology.node(index).count);
        let target = self.state.node(node).target.saturating_sub(1);
        let target = range.map_or(target, |range| range.clamp(target));
        self.record(Record::Scaled {
            request: RequestId::new(format!("again-{key}")),
            generation: self.state.generation() + 1,
            targets: vec![(node, target)],
            victims: Vec::new(),
        });
        self.dirty_nodes.insert(node);
    }
}
