//! What must never happen.

/// A property of every infrastructure that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breach {
    /// What was asked for is not there in time once faults have ended.
    NotConverged,
    /// There are two machines for one instance.
    Duplicate,
    /// Something is left that nobody knows of, or something known is not there.
    Leftover,
    /// A segment needs something that is not there, and does not try again.
    Contact,
    /// An instance is not ready in time although nothing has gone wrong, or never
    /// although nothing does any more.
    NeverReady,
    /// Two instances changed the same thing, and one change is lost.
    LostUpdate,
    /// Asking again for what is there changes something.
    Reapply,
    /// There are more instances, or are to be fewer, than the descriptor allows.
    Bounds,
    /// Something is created before, or deleted after, what it depends on.
    Order,
    /// A healthy machine is deleted because a list did not show it, or a check failed once.
    Absence,
    /// An update takes out more instances at once than the descriptor allows.
    Unavailable,
    /// An update or a smaller count leaves fewer instances than the node needs.
    Quorum,
    /// An instance is given a secret that another node uses and its own does not.
    Secret,
    /// A property that users state does not hold.
    Stated,
}

impl Breach {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::NotConverged,
        Self::Duplicate,
        Self::Leftover,
        Self::Contact,
        Self::NeverReady,
        Self::LostUpdate,
        Self::Reapply,
        Self::Bounds,
        Self::Order,
        Self::Absence,
        Self::Unavailable,
        Self::Quorum,
        Self::Secret,
        Self::Stated,
    ];

    /// Returns the stable name of the property.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotConverged => "converges",
            Self::Duplicate => "one-machine-per-instance",
            Self::Leftover => "nothing-left-over",
            Self::Contact => "needs-are-there",
            Self::NeverReady => "gets-ready",
            Self::LostUpdate => "no-lost-update",
            Self::Reapply => "same-again-changes-nothing",
            Self::Bounds => "within-bounds",
            Self::Order => "order-of-dependencies",
            Self::Absence => "absence-deletes-nothing",
            Self::Unavailable => "stays-available",
            Self::Quorum => "keeps-its-quorum",
            Self::Secret => "keeps-secrets",
            Self::Stated => "stated",
        }
    }

    /// Returns the property in a sentence.
    pub const fn promise(self) -> &'static str {
        match self {
            Self::NotConverged => "what is asked for is there in time once faults have ended",
            Self::Duplicate => "there is never more than one machine for an instance",
            Self::Leftover => "nothing is left that nobody knows of",
            Self::Contact => "what a segment needs is there, or it tries again",
            Self::NeverReady => "instances get ready if nothing goes wrong any more",
            Self::LostUpdate => "no change of a shared object is lost",
            Self::Reapply => "asking again for what is there changes nothing",
            Self::Bounds => "there are never more or fewer instances than the descriptor allows",
            Self::Order => "creation follows dependencies, deletion goes the other way",
            Self::Absence => {
                "a healthy machine is not deleted because one list or check does not show it"
            }
            Self::Unavailable => {
                "an update takes out no more instances at once than the descriptor allows"
            }
            Self::Quorum => "neither updates nor smaller counts leave fewer instances than needed",
            Self::Secret => "no instance is given a secret that only other nodes use",
            Self::Stated => "what users state holds",
        }
    }

    /// Returns the number by which searches know it.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Returns the breach of a number.
    pub fn numbered(number: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|breach| breach.number() == number)
    }

    /// Returns the breach of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|breach| breach.name() == name)
    }
}
