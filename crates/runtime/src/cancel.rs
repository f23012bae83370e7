//! Asking a session to stop.

use tokio::sync::watch;

/// How urgently a session is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Not at all.
    None,
    /// Start nothing more, wait a little for answers.
    Soon,
    /// At once.
    Now,
}

/// The side that asks.
#[derive(Clone, Debug)]
pub struct CancelHandle {
    sender: watch::Sender<Urgency>,
}

impl CancelHandle {
    /// Asks the session to stop. The first time it waits a little for the
    /// answers of calls in flight; the second time it stops at once.
    pub fn cancel(&self) {
        self.sender.send_modify(|urgency| {
            *urgency = if *urgency == Urgency::None {
                Urgency::Soon
            } else {
                Urgency::Now
            };
        });
    }
}

/// The side that is asked; may be handed to one session after the other.
#[derive(Clone, Debug)]
pub struct Cancel {
    receiver: watch::Receiver<Urgency>,
    // Keeps the channel open where nobody will ever cancel.
    _sender: Option<watch::Sender<Urgency>>,
}

impl Cancel {
    /// Makes both sides.
    pub fn new() -> (CancelHandle, Self) {
        let (sender, receiver) = watch::channel(Urgency::None);
        (
            CancelHandle { sender },
            Self {
                receiver,
                _sender: None,
            },
        )
    }

    /// Returns one that is never used.
    pub fn never() -> Self {
        let (sender, receiver) = watch::channel(Urgency::None);
        Self {
            receiver,
            _sender: Some(sender),
        }
    }

    pub(crate) fn is_requested(&self) -> bool {
        *self.receiver.borrow() > Urgency::None
    }

    /// Waits until the urgency is at least `urgency`; for ever if all handles are dropped.
    pub(crate) async fn reached(&mut self, urgency: Urgency) {
        if self.receiver.wait_for(|now| *now >= urgency).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
