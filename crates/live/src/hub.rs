//! The sessions of one process, shared by the server and whoever steers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::limits::{NAME_BYTES_MAX, SESSIONS_MAX, WAIT_MS_MAX};
use crate::session::{Answer, Event, Notification, Refusal, Session, Settings};

/// Why a session cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// There is one of this name.
    #[error("the infrastructure `{0}` has a session already")]
    Taken(String),
    /// The name cannot be part of a path.
    #[error("`{0}` cannot be the name of a session")]
    InvalidName(String),
    /// There are too many.
    #[error("there are {SESSIONS_MAX} sessions already")]
    TooMany,
    /// The settings are wrong.
    #[error("the session cannot begin")]
    Refused(#[from] Refusal),
}

struct Entry {
    session: Session,
    /// Counts the changes, for those who wait for one.
    changes: watch::Sender<u64>,
}

struct Hub {
    entries: Mutex<BTreeMap<String, Entry>>,
    started: Instant,
    /// Wakes the timer when deadlines may have changed.
    rearm: Notify,
}

/// How sessions are reached. Copies of it reach the same ones.
#[derive(Clone)]
pub struct Controller {
    hub: Arc<Hub>,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Controller")
    }
}

impl Default for Controller {
    fn default() -> Self {
        Self::new()
    }
}

impl Controller {
    /// Makes a controller without sessions; its clock begins now.
    pub fn new() -> Self {
        Self {
            hub: Arc::new(Hub {
                entries: Mutex::default(),
                started: Instant::now(),
                rearm: Notify::new(),
            }),
        }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // A session is a plain value that is whole between calls, even if one panicked.
        self.hub
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time of the sessions, in milliseconds.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.hub.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Opens a session for an infrastructure, under its id.
    pub fn open(&self, infrastructure: &str, settings: Settings) -> Result<(), OpenError> {
        let is_name = !infrastructure.is_empty()
            && infrastructure.len() <= NAME_BYTES_MAX
            && !infrastructure.contains('/');
        if !is_name {
            return Err(OpenError::InvalidName(infrastructure.to_owned()));
        }
        let session = Session::new(settings, self.now_ms())?;
        let mut entries = self.entries();
        if entries.contains_key(infrastructure) {
            return Err(OpenError::Taken(infrastructure.to_owned()));
        }
        if entries.len() >= SESSIONS_MAX {
            return Err(OpenError::TooMany);
        }
        let changes = watch::Sender::new(0);
        entries.insert(infrastructure.to_owned(), Entry { session, changes });
        drop(entries);
        self.hub.rearm.notify_one();
        Ok(())
    }

    /// Ends a session; its nodes are told that nobody knows them any more.
    pub fn close(&self, infrastructure: &str) -> Option<Session> {
        let entry = self.entries().remove(infrastructure)?;
        Some(entry.session)
    }

    /// Returns the infrastructures that have sessions.
    pub fn list(&self) -> Vec<String> {
        self.entries().keys().cloned().collect()
    }

    /// Does something with a session, at the current time; none if there is no such session.
    pub fn with<R>(
        &self,
        infrastructure: &str,
        act: impl FnOnce(&mut Session, u64) -> R,
    ) -> Option<R> {
        let now_ms = self.now_ms();
        let mut entries = self.entries();
        let entry = entries.get_mut(infrastructure)?;
        let result = act(&mut entry.session, now_ms);
        entry.changes.send_modify(|count| *count += 1);
        drop(entries);
        self.hub.rearm.notify_one();
        Some(result)
    }

    /// Looks at a session; none if there is no such session.
    pub fn look<R>(&self, infrastructure: &str, look: impl FnOnce(&Session) -> R) -> Option<R> {
        let entries = self.entries();
        entries
            .get(infrastructure)
            .map(|entry| look(&entry.session))
    }

    /// Waits until `take` finds something in a session; none if the session is
    /// closed, or after `patience`.
    async fn wait_for<R>(
        &self,
        infrastructure: &str,
        patience: Option<Duration>,
        mut take: impl FnMut(&mut Session) -> Option<R>,
    ) -> Option<R> {
        let until = patience.map(|patience| Instant::now() + patience);
        loop {
            let mut changed = {
                let mut entries = self.entries();
                let entry = entries.get_mut(infrastructure)?;
                if let Some(found) = take(&mut entry.session) {
                    return Some(found);
                }
                entry.changes.subscribe()
            };
            let timer = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                change = changed.changed() => change.ok()?,
                () = timer => return None,
            }
        }
    }

    /// Waits for the next event of a session; none once it is closed.
    pub async fn next_event(&self, infrastructure: &str) -> Option<Event> {
        self.wait_for(infrastructure, None, Session::next_event)
            .await
    }

    /// Waits for the next notification that may be delivered; none once the session is closed.
    pub async fn next_notification(&self, infrastructure: &str) -> Option<Notification> {
        self.wait_for(infrastructure, None, Session::next_notification)
            .await
    }

    /// Answers whether a process may go on, and waits up to `wait_ms` for
    /// something else than "not yet"; none if there is no such session.
    pub(crate) async fn answer(
        &self,
        infrastructure: &str,
        id: &str,
        wait_ms: u64,
    ) -> Option<Result<Answer, Refusal>> {
        let patience = Duration::from_millis(wait_ms.min(WAIT_MS_MAX));
        let decided = self
            .wait_for(infrastructure, Some(patience), |session| {
                match session.next(id) {
                    Ok(Answer::Wait) => None,
                    other => Some(other),
                }
            })
            .await;
        match decided {
            Some(answer) => Some(answer),
            None => self.look(infrastructure, |_| ()).map(|()| Ok(Answer::Wait)),
        }
    }

    /// Lets time pass in all sessions, for ever.
    pub(crate) async fn keep_time(&self) {
        loop {
            let now_ms = self.now_ms();
            let mut next_ms: Option<u64> = None;
            for entry in self.entries().values_mut() {
                if entry
                    .session
                    .next_deadline_ms()
                    .is_some_and(|at| at <= now_ms)
                {
                    entry.session.tick(now_ms);
                    entry.changes.send_modify(|count| *count += 1);
                }
                let deadline_ms = entry.session.next_deadline_ms();
                next_ms = [next_ms, deadline_ms].into_iter().flatten().min();
            }
            let timer = async {
                match next_ms {
                    Some(at) => {
                        // One more, because the clock is cut off to milliseconds.
                        let left = Duration::from_millis(at.saturating_sub(now_ms) + 1);
                        tokio::time::sleep(left).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = timer => {}
                () = self.hub.rearm.notified() => {}
            }
        }
    }
}
