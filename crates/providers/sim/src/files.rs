//! A cloud in a directory, shared by processes and surviving their death.
//!
//! | file | holds |
//! | --- | --- |
//! | `settings.json` | how the cloud behaves; people may edit it |
//! | `snapshot.json` | the whole state, and from which log to go on |
//! | `inputs-N.jsonl` | the inputs since then, one JSON object a line; ends with the number of the next log, if there is one |
//! | `lock` | held while a process reads or writes the others |
//!
//! The state is a function of the inputs: whoever reads the same lines has the
//! same cloud, and choices need not be written down. An operation takes the
//! lock, applies the lines that others have appended, appends its own and
//! applies them. Time itself is an input: a process that has seen the cloud at
//! some time writes that time, so that nobody can change the past it saw.
//!
//! Nothing is synced to the disk: data in the page cache survives the death of
//! a process, and a simulated cloud need not survive that of the machine.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use zenekar_base::{CallId, InfrastructureId, InstanceTag, ResourceId, Timestamp};
use zenekar_simcloud::{
    Counters, Intervention, LedgerEntry, Reply, Request, SeededChooser, Settings, SimCloud,
};

use crate::error::SimError;
use crate::storage::{
    check_settings, damaged, io_error, load_settings, load_snapshot, log_path, open_log,
    write_settings, write_snapshot,
};

/// A log of this size is replaced by a snapshot: reading it takes a few tenths
/// of a second at most.
const LOG_BYTES_MIN: u64 = 8 * 1_024 * 1_024;

/// How many times larger than the last snapshot a log may get before the next
/// one is written: bounds what snapshots cost per input.
const LOG_TO_SNAPSHOT_RATIO: u64 = 4;

/// The most bytes that one read of a log takes; a longer one was not written by us.
const LOG_BYTES_MAX: u64 = 4 * 1_024 * 1_024 * 1_024;

/// One line of a log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// When, in cloud time.
    at: Timestamp,
    /// What; nothing where only time passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<Input>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Input {
    Call(CallId, Request),
    Intervene(Intervention),
    /// A process has come, and numbers its calls from this session on.
    Session(u32),
    /// Everything begins again.
    Reset(Box<Settings>),
    /// The lines go on in the log of this number.
    Next(u64),
}

/// Where the time of a stored cloud stands, for the clock that goes on from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The last cloud time that anybody has seen.
    pub cloud: Timestamp,
    /// The wall clock at that moment.
    pub wall: SystemTime,
}

/// What there is in a cloud, for people.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// The cloud's present.
    pub now: Timestamp,
    /// How it behaves.
    pub settings: Settings,
    /// What has happened so far.
    pub counters: Counters,
    /// The machines that exist.
    pub resources: Vec<LedgerEntry>,
    /// How many cores they have.
    pub cores_used: u32,
    /// The infrastructures that have a network.
    pub networks: Vec<InfrastructureId>,
}

/// A cloud in a directory.
#[derive(Debug)]
pub struct SimFiles {
    directory: PathBuf,
    lock: File,
    log: File,
    log_number: u64,
    /// How much of the log has been applied.
    log_bytes: u64,
    snapshot_bytes: u64,
    cloud: SimCloud,
    sessions: u32,
    /// Replies that arrived while lines were applied.
    replies: Vec<Reply>,
    buffer: Vec<u8>,
}

impl SimFiles {
    /// Opens the cloud in a directory; makes an empty one, with the settings
    /// in `settings.json` or else the calm profile, if there is none.
    pub fn open(directory: &Path) -> Result<Self, SimError> {
        fs::create_dir_all(directory).map_err(io_error("create", directory))?;
        let lock_path = directory.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&lock_path)
            .map_err(io_error("open", &lock_path))?;
        lock.lock().map_err(io_error("lock", &lock_path))?;
        let (snapshot, snapshot_bytes) = load_snapshot(directory)?;
        let log = open_log(directory, snapshot.log)?;
        if let Some(before) = snapshot.log.checked_sub(1) {
            // Left behind by a process that died while it replaced the log.
            let _ = fs::remove_file(log_path(directory, before));
        }
        let mut files = Self {
            directory: directory.to_owned(),
            lock,
            log,
            log_number: snapshot.log,
            log_bytes: 0,
            snapshot_bytes,
            cloud: snapshot.cloud,
            sessions: snapshot.sessions,
            replies: Vec::new(),
            buffer: Vec::new(),
        };
        let opened = files.catch_up().and_then(|()| files.follow_settings());
        files.unlock()?;
        opened?;
        Ok(files)
    }

    /// Returns the directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns where the time of the cloud stands.
    pub fn anchor(&self) -> Result<Anchor, SimError> {
        let path = log_path(&self.directory, self.log_number);
        let wall = self
            .log
            .metadata()
            .and_then(|metadata| metadata.modified())
            .map_err(io_error("look at", &path))?;
        Ok(Anchor {
            cloud: self.cloud.now(),
            wall,
        })
    }

    /// Returns the cloud as far as this process knows it.
    pub fn cloud(&self) -> &SimCloud {
        &self.cloud
    }

    /// Lets time pass until `now` and says what there is.
    pub fn overview(&mut self, now: Timestamp) -> Result<Overview, SimError> {
        self.append(now, Vec::new())?;
        let ledger = self.cloud.ledger();
        Ok(Overview {
            now: self.cloud.now(),
            settings: (**self.cloud.settings()).clone(),
            counters: *self.cloud.counters(),
            resources: ledger.alive().collect(),
            cores_used: ledger.cores_count(),
            networks: ledger.networks().cloned().collect(),
        })
    }

    /// Finds the existing machines that somebody means by a resource id, an
    /// instance tag or an instance's name.
    pub fn resolve(&self, text: &str) -> Vec<ResourceId> {
        let by_tag = self.cloud.resources_of(&InstanceTag::new(text));
        if !by_tag.is_empty() {
            return by_tag;
        }
        let named = self
            .cloud
            .ledger()
            .alive()
            .filter(|entry| entry.resource.as_str() == text || entry.name == text);
        named.map(|entry| entry.resource).collect()
    }

    /// Carries an intervention out, and says whether it hit anything. New
    /// settings and quotas are written to `settings.json` too.
    pub fn intervene(
        &mut self,
        now: Timestamp,
        intervention: Intervention,
    ) -> Result<bool, SimError> {
        self.locked(|files| {
            let settings = match &intervention {
                Intervention::SetSettings(settings) => Some((**settings).clone()),
                Intervention::SetQuota(quota) => Some(Settings {
                    quota: *quota,
                    ..(**files.cloud.settings()).clone()
                }),
                _ => None,
            };
            if let Some(settings) = settings {
                check_settings(&files.directory, &settings)?;
                write_settings(&files.directory, &settings)?;
            }
            Ok(files.write(now, vec![Input::Intervene(intervention)])?.hit)
        })
    }

    /// Throws everything away and begins again with these settings; calls in
    /// flight are never answered.
    pub fn reset(&mut self, now: Timestamp, settings: Settings) -> Result<(), SimError> {
        check_settings(&self.directory, &settings)?;
        self.locked(|files| {
            write_settings(&files.directory, &settings)?;
            files
                .write(now, vec![Input::Reset(Box::new(settings))])
                .map(|_| ())
        })
    }

    /// Numbers a new session: a process whose calls cannot be confused with others'.
    pub(crate) fn begin_session(&mut self) -> Result<u32, SimError> {
        self.locked(|files| {
            let session = files.sessions + 1;
            let now = files.cloud.now();
            files.write(now, vec![Input::Session(session)])?;
            Ok(session)
        })
    }

    /// Appends inputs at `now`, or at the cloud's present if that is later.
    /// Without inputs, time passes and the new present is written down.
    pub(crate) fn append(
        &mut self,
        now: Timestamp,
        inputs: Vec<Input>,
    ) -> Result<Appended, SimError> {
        self.locked(|files| files.write(now, inputs))
    }

    /// Takes the replies of all processes that have arrived.
    pub(crate) fn take_replies(&mut self) -> Vec<Reply> {
        std::mem::take(&mut self.replies)
    }

    fn locked<T>(
        &mut self,
        operate: impl FnOnce(&mut Self) -> Result<T, SimError>,
    ) -> Result<T, SimError> {
        self.lock
            .lock()
            .map_err(io_error("lock", &self.directory.join("lock")))?;
        let result = self.catch_up().and_then(|()| operate(self));
        self.unlock()?;
        result
    }

    fn unlock(&self) -> Result<(), SimError> {
        self.lock
            .unlock()
            .map_err(io_error("unlock", &self.directory.join("lock")))
    }

    /// Applies what others have appended. Holds the lock.
    fn catch_up(&mut self) -> Result<(), SimError> {
        loop {
            let path = || log_path(&self.directory, self.log_number);
            let end = self
                .log
                .metadata()
                .map_err(io_error("look at", &path()))?
                .len();
            if end == self.log_bytes {
                return Ok(());
            }
            if end < self.log_bytes || end - self.log_bytes > LOG_BYTES_MAX {
                return Err(damaged(
                    path(),
                    format!(
                        "it has {end} bytes, {} of which were read before",
                        self.log_bytes
                    ),
                ));
            }
            let mut text =
                Vec::with_capacity(usize::try_from(end - self.log_bytes).unwrap_or_default());
            self.log
                .seek(SeekFrom::Start(self.log_bytes))
                .map_err(io_error("read", &path()))?;
            (&self.log)
                .take(LOG_BYTES_MAX)
                .read_to_end(&mut text)
                .map_err(io_error("read", &path()))?;
            let complete = text
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |position| position + 1);
            if complete < text.len() {
                // The lock is ours, so whoever wrote half a line is dead.
                let length = self.log_bytes + complete as u64;
                self.log.set_len(length).map_err(io_error("cut", &path()))?;
                text.truncate(complete);
            }
            if !self.apply_text(&text)? {
                return Ok(());
            }
        }
    }

    /// Applies whole lines; says whether the lines go on in another log.
    fn apply_text(&mut self, text: &[u8]) -> Result<bool, SimError> {
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            let problem = |words: String| {
                damaged(
                    log_path(&self.directory, self.log_number),
                    format!("at byte {}: {words}", self.log_bytes),
                )
            };
            let Line { at, input } =
                serde_json::from_slice(line).map_err(|error| problem(error.to_string()))?;
            let settings = match &input {
                Some(
                    Input::Reset(settings) | Input::Intervene(Intervention::SetSettings(settings)),
                ) => Some(settings),
                _ => None,
            };
            settings
                .map_or(Ok(()), |settings| settings.validate())
                .map_err(problem)?;
            self.log_bytes += line.len() as u64;
            match input {
                Some(Input::Next(number)) => {
                    self.continue_in(number)?;
                    return Ok(true);
                }
                input => {
                    self.apply(at, input);
                }
            }
        }
        Ok(false)
    }

    /// Goes on in the log `number`. Where others have gone on even further,
    /// that log is gone too, and the snapshot says what it led to.
    fn continue_in(&mut self, number: u64) -> Result<(), SimError> {
        self.log_number = number;
        if !log_path(&self.directory, number).exists() {
            let (snapshot, snapshot_bytes) = load_snapshot(&self.directory)?;
            self.cloud = snapshot.cloud;
            self.sessions = snapshot.sessions;
            self.log_number = snapshot.log;
            self.snapshot_bytes = snapshot_bytes;
        }
        self.log = open_log(&self.directory, self.log_number)?;
        self.log_bytes = 0;
        Ok(())
    }

    /// Applies one input to the cloud, and says what came of it.
    fn apply(&mut self, at: Timestamp, input: Option<Input>) -> Applied {
        let dice = &mut SeededChooser::new(self.cloud.settings());
        let mut applied = Applied { due: at, hit: true };
        match input {
            None | Some(Input::Next(_)) => {}
            Some(Input::Call(call, request)) => {
                applied.due = self.cloud.submit(at, call, request, dice);
            }
            Some(Input::Intervene(intervention)) => {
                applied.hit = self.cloud.intervene(at, &intervention, dice);
            }
            Some(Input::Session(session)) => self.sessions = session,
            Some(Input::Reset(settings)) => self.cloud = SimCloud::new(*settings),
        }
        let dice = &mut SeededChooser::new(self.cloud.settings());
        self.replies.append(&mut self.cloud.advance(at, dice));
        applied
    }

    /// Appends inputs and applies them. Holds the lock, and has caught up.
    fn write(&mut self, now: Timestamp, inputs: Vec<Input>) -> Result<Appended, SimError> {
        let at = now.max(self.cloud.now());
        let mut appended = Appended {
            dues: Vec::with_capacity(inputs.len()),
            hit: false,
        };
        if inputs.is_empty() {
            if at > self.cloud.now() {
                self.write_lines(&[Line { at, input: None }])?;
                self.apply(at, None);
            }
        } else {
            let lines: Vec<_> = inputs
                .into_iter()
                .map(|input| Line {
                    at,
                    input: Some(input),
                })
                .collect();
            self.write_lines(&lines)?;
            for Line { at, input } in lines {
                let applied = self.apply(at, input);
                appended.dues.push(applied.due);
                appended.hit |= applied.hit;
            }
        }
        if self.log_bytes
            > LOG_BYTES_MIN.max(self.snapshot_bytes.saturating_mul(LOG_TO_SNAPSHOT_RATIO))
        {
            self.replace_log()?;
        }
        Ok(appended)
    }

    fn write_lines(&mut self, lines: &[Line]) -> Result<(), SimError> {
        let path = log_path(&self.directory, self.log_number);
        self.buffer.clear();
        for line in lines {
            serde_json::to_writer(&mut self.buffer, line)
                .map_err(|error| damaged(path.clone(), error.to_string()))?;
            self.buffer.push(b'\n');
        }
        // What a failed write leaves behind is applied or cut by the next catching up.
        self.log
            .write_all(&self.buffer)
            .map_err(io_error("append to", &path))?;
        self.log_bytes += self.buffer.len() as u64;
        Ok(())
    }

    /// Replaces the log by a snapshot; it is also done when the log gets too long.
    pub fn compact(&mut self) -> Result<(), SimError> {
        self.locked(Self::replace_log)
    }

    /// Writes a snapshot and goes on in a new log. A death between any two
    /// steps leaves files from which the same cloud is read: the old log names
    /// the new one before the snapshot does. Holds the lock, and has caught up.
    fn replace_log(&mut self) -> Result<(), SimError> {
        let (old, new) = (self.log_number, self.log_number + 1);
        let new_path = log_path(&self.directory, new);
        File::create(&new_path).map_err(io_error("create", &new_path))?;
        self.write_lines(&[Line {
            at: self.cloud.now(),
            input: Some(Input::Next(new)),
        }])?;
        self.continue_in(new)?;
        self.snapshot_bytes = write_snapshot(&self.directory, new, self.sessions, &self.cloud)?;
        let old_path = log_path(&self.directory, old);
        // Another process may still have it open, and reads on from there to the new one.
        fs::remove_file(&old_path).map_err(io_error("remove", &old_path))
    }

    /// People may have edited `settings.json`. Holds the lock.
    fn follow_settings(&mut self) -> Result<(), SimError> {
        let wanted = load_settings(&self.directory)?;
        if wanted == **self.cloud.settings() {
            return Ok(());
        }
        let now = self.cloud.now();
        self.write(
            now,
            vec![Input::Intervene(Intervention::SetSettings(Box::new(
                wanted,
            )))],
        )
        .map(|_| ())
    }
}

struct Applied {
    due: Timestamp,
    hit: bool,
}

/// What came of appended inputs.
pub(crate) struct Appended {
    /// When the replies of the calls are due; one per input.
    pub(crate) dues: Vec<Timestamp>,
    /// Whether an intervention hit anything.
    pub(crate) hit: bool,
}
