//! Defects of engines.

use zenekar_engine::Defect;
use zenekar_verify::{Breach, Fault};

use crate::{Ask, Exhibit};

pub(crate) fn engines() -> Vec<Exhibit> {
    let mut all = creations();
    all.extend(deletions());
    all.extend(networks());
    all.extend(counts());
    all
}

fn creations() -> Vec<Exhibit> {
    let one = Exhibit::engine;
    vec![
        one(
            "timeout-is-failure",
            "server",
            Defect::TimeoutIsFailure,
            Breach::Duplicate,
        )
        .with(Fault::TimeoutAfterEffect),
        one(
            "token-not-reused",
            "server",
            Defect::TokenIsNotReused,
            Breach::Duplicate,
        )
        .with(Fault::TimeoutAfterEffect),
        one(
            "stale-list-creates-again",
            "server",
            Defect::StaleListCreatesAgain,
            Breach::Duplicate,
        )
        .with(Fault::EngineCrash),
        one(
            "crash-loses-creation",
            "server",
            Defect::CrashLosesCreation,
            Breach::Duplicate,
        )
        .with(Fault::EngineCrash),
        one(
            "twins-are-kept",
            "server",
            Defect::TwinsAreKept,
            Breach::NotConverged,
        )
        .with(Fault::TimeoutLateEffect)
        .with(Fault::RepeatedCreation)
        .delayed(1),
        one(
            "parallel-rollback",
            "servers",
            Defect::ParallelRollback,
            Breach::NotConverged,
        )
        .with(Fault::ServerError)
        .asking(&[Ask::Up, Ask::DownAtOnce]),
        one(
            "cancelled-creation-forgotten",
            "server",
            Defect::CancelledCreationIsForgotten,
            Breach::NotConverged,
        )
        .asking(&[Ask::Up, Ask::DownAtOnce]),
        one(
            "creation-ignores-order",
            "tiers",
            Defect::CreationIgnoresOrder,
            Breach::Order,
        ),
        one(
            "checks-ignored",
            "tiers",
            Defect::ChecksAreIgnored,
            Breach::Contact,
        )
        .delayed(1),
        one(
            "first-error-is-final",
            "server",
            Defect::FirstErrorIsFinal,
            Breach::NotConverged,
        )
        .with(Fault::ServerError),
        one(
            "dead-setup-kept",
            "server",
            Defect::DeadSetupIsKept,
            Breach::NotConverged,
        )
        .with(Fault::AgentDies),
    ]
}

fn deletions() -> Vec<Exhibit> {
    let one = Exhibit::engine;
    vec![
        one(
            "one-absence-is-loss",
            "server",
            Defect::OneAbsenceIsLoss,
            Breach::Absence,
        )
        .with(Fault::StaleList),
        one(
            "one-failed-check-replaces",
            "servers",
            Defect::OneFailedCheckReplaces,
            Breach::Absence,
        )
        // One setup dies, and while it is waited for the other instance is checked.
        .with(Fault::AgentDies)
        .with(Fault::FalseAlarm),
        one(
            "refused-deletion-is-done",
            "server",
            Defect::RefusedDeletionIsDone,
            Breach::NotConverged,
        )
        .with(Fault::ServerError),
        one(
            "deletes-without-pause",
            "server",
            Defect::DeletesWithoutPause,
            Breach::NotConverged,
        )
        .with(Fault::MachineLost)
        .asking(&[Ask::Up, Ask::DownAtOnce]),
        one(
            "deletion-ignores-order",
            "tiers",
            Defect::DeletionIgnoresOrder,
            Breach::Order,
        ),
        one(
            "network-goes-first",
            "server",
            Defect::NetworkGoesFirst,
            Breach::Order,
        ),
    ]
}

/// What the network does, and engines that take it for something else.
fn networks() -> Vec<Exhibit> {
    let one = Exhibit::engine;
    vec![
        one(
            "cut-off-is-broken",
            "servers",
            Defect::OneFailedCheckReplaces,
            Breach::Absence,
        )
        .with(Fault::AgentDies)
        .with(Fault::Partition),
        one(
            "unheard-is-given-up",
            "tiers-once",
            Defect::DeadSetupIsKept,
            Breach::NotConverged,
        )
        .with(Fault::OneWayLoss),
        one(
            "late-name-is-final",
            "tiers-once",
            Defect::DeadSetupIsKept,
            Breach::NotConverged,
        )
        .with(Fault::LateDns),
    ]
}

fn counts() -> Vec<Exhibit> {
    let one = Exhibit::engine;
    vec![
        one(
            "update-destroys-all",
            "servers",
            Defect::UpdateDestroysAll,
            Breach::Unavailable,
        )
        .asking(&[Ask::Up, Ask::Update, Ask::Down]),
        one(
            "update-forgets-instances",
            "server",
            Defect::UpdateForgetsInstances,
            Breach::NotConverged,
        )
        .asking(&[Ask::Up, Ask::Update, Ask::DownAtOnce]),
        one(
            "double-decrement",
            "server",
            Defect::DoubleDecrement,
            Breach::NotConverged,
        )
        .asking(&[
            Ask::Up,
            Ask::Scale("server", 3),
            Ask::Scale("server", 2),
            Ask::Down,
        ]),
        one(
            "scales-below-minimum",
            "servers",
            Defect::ScalesBelowMinimum,
            Breach::Bounds,
        )
        .asking(&[Ask::Up, Ask::Scale("server", 1), Ask::Down]),
        one(
            "same-again-forgets-scaling",
            "server",
            Defect::SameAgainForgetsScaling,
            Breach::Reapply,
        )
        .asking(&[Ask::Up, Ask::Scale("server", 2), Ask::Up, Ask::Down]),
    ]
}
