//! How a command gets an infrastructure that the REST service maintains.
//!
//! Occopus lets `occopus-build` change an infrastructure while the service
//! maintains it; here only one process leads. So the command takes the turn, a
//! lock on a file, and the service lets go of the infrastructure until the
//! lock is free. The kernel frees it when the command ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;
use zenekar_base::InfrastructureId;
use zenekar_model::Topology;

use super::operations::{self, Bench, Lead};
use super::service;
use crate::commands::status;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::place::Place;

/// How often the turn is tried to be taken: the service looks at it for a
/// moment only, several times a second.
const TRIES_MAX: u32 = 50;

/// How long is waited between two tries.
const TRY_INTERVAL: Duration = Duration::from_millis(10);

/// How long the service may take to let go: it looks several times a second,
/// and then waits a little for answers to calls.
const LET_GO_PATIENCE: Duration = Duration::from_secs(15);

/// How often is tried whether the service has let go.
const LET_GO_INTERVAL: Duration = Duration::from_millis(50);

/// Takes the lead of an infrastructure as [`operations::lead`] does, and from
/// the service too. It has to keep away as long as the turn lives.
pub(crate) async fn lead(
    bench: &Bench,
    id: &InfrastructureId,
    topology: &Topology,
    command: &str,
) -> Result<(Option<Turn>, Lead), Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            Exit::State,
            format!("cannot take the turn to change `{id}`"),
        )
        .cause(error.to_string())
    };
    let turn = TurnPlace::of(&bench.place, id).take().map_err(failed)?;
    let patient_until = Instant::now() + LET_GO_PATIENCE;
    loop {
        let led = operations::lead(bench, id, topology.name(), Some(topology), command)?;
        let store = match &led {
            Lead::Theirs(store, leader) if leader.contains(service::NAME) => store,
            Lead::Theirs(..) | Lead::Ours(_) => return Ok((turn, led)),
        };
        loop {
            if turn.is_none() || Instant::now() >= patient_until {
                return Ok((turn, led));
            }
            tokio::time::sleep(LET_GO_INTERVAL).await;
            if status::holder(store, id)?.is_none() {
                break;
            }
        }
    }
}

/// Where the turn of an infrastructure is taken.
#[derive(Clone, Debug)]
pub(crate) struct TurnPlace {
    path: PathBuf,
}

impl TurnPlace {
    /// Finds the place of an infrastructure.
    pub(crate) fn of(place: &Place, id: &InfrastructureId) -> Self {
        let directory = place.directory().join("occopus").join("turns");
        Self {
            path: directory.join(id.as_str()),
        }
    }

    /// Says whether a living process has the turn.
    pub(crate) fn is_taken(&self) -> bool {
        let Ok(file) = File::open(&self.path) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Takes the turn; none if another process has it. Blocks for a moment.
    pub(crate) fn take(&self) -> io::Result<Option<Turn>> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut file = self.open()?;
        for _ in 0..TRIES_MAX {
            match file.try_lock() {
                // Who had the turn before has removed the file that was opened:
                // a lock on it keeps nobody away.
                Ok(()) if !self.is_here(&file)? => file = self.open()?,
                Ok(()) => {
                    return Ok(Some(Turn {
                        path: self.path.clone(),
                        _file: file,
                    }));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(TRY_INTERVAL),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)
    }

    /// Says whether an open file is the one that others find at its place.
    fn is_here(&self, file: &File) -> io::Result<bool> {
        let ours = file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(found) => Ok((found.dev(), found.ino()) == (ours.dev(), ours.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The turn of this process; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    path: PathBuf,
    _file: File,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // An empty file that stays says nothing: the lock counts.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_on_a_removed_file_is_no_turn() {
        let directory = tempfile::tempdir().expect("a folder for the test");
        let place = TurnPlace {
            path: directory.path().join("turns/a"),
        };
        let first = place.take().expect("the folder can be written");
        // Waits for the lock of the first one's file.
        let waiting = place.open().expect("the folder can be written");
        assert!(place.is_here(&waiting).expect("it is there"));
        drop(first);
        waiting.try_lock().expect("the first one has let go");
        assert!(!place.is_here(&waiting).expect("there is a folder"));
        let second = place.take().expect("the folder can be written");
        assert!(second.is_some(), "the removed file keeps nobody away");
        assert!(!place.is_here(&waiting).expect("there is a folder"));
    }

    #[test]
    fn many_who_wait_never_have_the_turn_together() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicU32, Ordering};
        let directory = tempfile::tempdir().expect("a folder for the test");
        let place = TurnPlace {
            path: directory.path().join("turns/a"),
        };
        let (inside, taken) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (place, inside, taken) = (place.clone(), inside.clone(), taken.clone());
                std::thread::spawn(move || {
                    for _ in 0..200 {
                        let Some(turn) = place.take().expect("the folder can be written") else {
                            continue;
                        };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        taken.fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(turn);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("never two at a time");
        }
        assert!(taken.load(Ordering::SeqCst) > 0);
    }

    #[test]
    fn one_process_at_a_time_has_the_turn() {
        let directory = tempfile::tempdir().expect("a folder for the test");
        let place = TurnPlace {
            path: directory.path().join("turns/a"),
        };
        assert!(!place.is_taken());
        let turn = place.take().expect("the folder can be written");
        assert!(turn.is_some() && place.is_taken());
        assert!(place.take().expect("the folder can be written").is_none());
        drop(turn);
        assert!(!place.is_taken());
        assert!(place.take().expect("the folder can be written").is_some());
    }
}
