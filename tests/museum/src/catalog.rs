//! Defects of descriptors.

use zenekar_verify::{Breach, Fault};

use crate::{Ask, Exhibit};

pub(crate) fn descriptors() -> Vec<Exhibit> {
    use Breach::{Contact, LostUpdate, NeverReady, NotConverged, Quorum, Secret, Stated};
    let one = Exhibit::descriptor;
    vec![
        one("early-join", Contact),
        one("port-not-open", Contact),
        one("wrong-check", Contact),
        one("no-dependency", Contact),
        one("members-incomplete", Contact),
        one("schema-too-late", Contact),
        one("file-not-written", Contact),
        one("volume-not-started", Contact),
        one("peers-in-a-hurry", Contact),
        one("lost-update", LostUpdate),
        one("lock-too-late", LostUpdate),
        one("two-masters", LostUpdate),
        one("copied-and-back", LostUpdate),
        one("open-while-empty", Stated).stated(),
        one("joined-before-configured", Stated).stated(),
        one("secret-for-all", Secret).delayed(0),
        one("waiting-cycle", NeverReady),
        one("head-waits-first", NeverReady).delayed(0),
        one("lock-order", NeverReady),
        one("peers-wait", NeverReady),
        one("all-peers-lost", NeverReady)
            .with(Fault::MachineLost)
            .with(Fault::MachineLost)
            .asking(&[Ask::Up, Ask::Scale("peer", 2), Ask::Down])
            .delayed(0),
        one("beyond-the-quota", NotConverged).within(2).delayed(0),
        one("scale-in-below-quorum", Quorum).asking(&[
            Ask::Up,
            Ask::Scale("voter", 3),
            Ask::Scale("voter", 1),
            Ask::Down,
        ]),
        one("update-below-quorum", Quorum)
            .asking(&[Ask::Up, Ask::Update, Ask::Down])
            .delayed(0),
    ]
}
