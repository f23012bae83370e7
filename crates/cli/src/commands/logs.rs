//! `zenekar logs`: what instances printed.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::json;
use zenekar_base::{ErrorClass, InfrastructureId, InstanceKey, ProviderError};
use zenekar_provider::{LogRequest, LogSource};

use crate::arguments::{Global, LogsArguments};
use crate::commands::target::{self, Subject, Target};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION};
use crate::world;

/// How often `--follow` looks for more: at once, for a person.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How often `--follow` asks at most which instances there are: that reads the journal.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes that are asked for at once.
const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// The longest line; a longer one is broken. Progress bars without line ends
/// and binary output must not fill the memory.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of latest lines that are kept to be shown: more than a screen of any
/// size, less than a small machine's memory.
const TAIL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of one log that are read in one look: whoever prints faster than this
/// reads would keep the look from ever ending.
const LOOK_BYTES_MAX: u64 = 1024 * 1024 * 1024;

pub(crate) fn run(
    arguments: &LogsArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let mut subject = Subject::find(&arguments.subject, global)?;
    let targets = subject.targets()?;
    if targets.is_empty() && !arguments.follow {
        return Err(subject.nothing_there());
    }
    let mut logs = Logs::new(&subject.infrastructure, arguments, output);
    logs.add(targets);
    world::block_on(world::until_stopped(async {
        logs.show(arguments.lines).await?;
        if arguments.follow {
            logs.follow(&mut subject).await?;
        } else {
            logs.finish()?;
        }
        Ok(Exit::Success)
    }))
}

/// One log of one instance.
struct Log {
    target: Target,
    source: LogSource,
    /// Where the next piece begins.
    next: u64,
    /// The beginning of a line whose end has not been printed yet.
    begun: Vec<u8>,
    /// What the provider said when the instance was gone.
    gone: Option<ProviderError>,
    /// Distinguishes instances by colour.
    number: usize,
}

/// The logs that are shown.
struct Logs {
    infrastructure: InfrastructureId,
    output: Output,
    sources: &'static [LogSource],
    all: Vec<Log>,
    known: BTreeSet<InstanceKey>,
    /// The longest name, for the prefix of lines.
    name_width: usize,
}

impl Logs {
    fn new(infrastructure: &InfrastructureId, arguments: &LogsArguments, output: Output) -> Self {
        Self {
            infrastructure: infrastructure.clone(),
            output,
            sources: if arguments.console {
                &[LogSource::Console]
            } else {
                &[LogSource::Contextualisation, LogSource::Console]
            },
            all: Vec::new(),
            known: BTreeSet::new(),
            name_width: 0,
        }
    }

    /// Adds the logs of instances that are new.
    fn add(&mut self, targets: Vec<Target>) {
        for target in targets {
            if !self.known.insert(target.key) {
                continue;
            }
            let number = self.known.len() - 1;
            self.name_width = self.name_width.max(target.name.chars().count());
            for source in self.sources {
                self.all.push(Log {
                    target: target.clone(),
                    source: *source,
                    next: 0,
                    begun: Vec::new(),
                    gone: None,
                    number,
                });
            }
        }
    }

    /// Shows what there is now: of each log the latest `lines`, or all for 0.
    async fn show(&mut self, lines: usize) -> Result<(), Failure> {
        for position in 0..self.all.len() {
            let mut tail = Tail::default();
            let begins_at = self.all[position].next;
            while let Some(read) = self.read(position).await? {
                if lines == 0 {
                    self.write(position, &read)?;
                } else {
                    tail.extend(read, lines);
                }
                // An interrupt is heard between two pieces.
                tokio::task::yield_now().await;
                let passed = self.all[position].next.saturating_sub(begins_at);
                if passed >= LOOK_BYTES_MAX {
                    break;
                }
            }
            let latest: Vec<Vec<u8>> = tail.lines.into();
            self.write(position, &latest)?;
        }
        Ok(())
    }

    /// Ends a look: writes lines without an end, fails if nothing could be read.
    fn finish(&mut self) -> Result<(), Failure> {
        for position in 0..self.all.len() {
            let begun = std::mem::take(&mut self.all[position].begun);
            if !begun.is_empty() {
                self.write(position, &[begun])?;
            }
        }
        let first = self.all.first();
        match first.and_then(|log| Some((&log.target, log.gone.as_ref()?))) {
            Some((target, error)) if self.is_over() => Err(target::failed(target, error)),
            _ => Ok(()),
        }
    }

    /// Shows what is printed, until all instances are gone.
    async fn follow(&mut self, subject: &mut Subject) -> Result<(), Failure> {
        let mut seen = None;
        let mut refreshed_at: Option<Instant> = None;
        loop {
            let is_due = refreshed_at.is_none_or(|at| at.elapsed() >= REFRESH_INTERVAL);
            let counter = subject.store.with(|store| store.change_counter())?;
            if is_due && seen != Some(counter) {
                seen = Some(counter);
                refreshed_at = Some(Instant::now());
                subject.refresh()?;
                let targets = subject.targets()?;
                self.add(targets);
            }
            self.show(0).await?;
            // An instance that is planned or being created will print something.
            let is_more_to_come = subject
                .instances()
                .iter()
                .any(|instance| !self.known.contains(&instance.key));
            if self.is_over() && !is_more_to_come {
                for log in &mut self.all {
                    log.gone = None;
                }
                return self.finish();
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Says whether all instances are gone.
    fn is_over(&self) -> bool {
        self.all.iter().all(|log| log.gone.is_some())
    }

    /// Reads a piece of a log, and returns its complete lines; none at the end.
    async fn read(&mut self, position: usize) -> Result<Option<Vec<Vec<u8>>>, Failure> {
        let log = &mut self.all[position];
        if log.gone.is_some() {
            return Ok(None);
        }
        let request = LogRequest {
            resource: log.target.resource.clone(),
            source: log.source,
            from: log.next,
            bytes_max: CHUNK_BYTES_MAX,
        };
        let provider = &log.target.provider;
        let chunk = match provider.log(self.infrastructure.clone(), request).await {
            Ok(chunk) => chunk,
            Err(error) if error.class == ErrorClass::NotFound => {
                log.gone = Some(error);
                return Ok(None);
            }
            Err(error) => return Err(target::failed(&log.target, &error)),
        };
        if chunk.data.is_empty() {
            return Ok(None);
        }
        log.next = chunk.next;
        Ok(Some(split(&mut log.begun, &chunk.data)))
    }

    /// Writes lines of a log.
    fn write(&self, position: usize, lines: &[Vec<u8>]) -> Result<(), Failure> {
        let log = &self.all[position];
        let mut bytes = Vec::new();
        for line in lines {
            self.append(log, line, &mut bytes);
        }
        self.output.bytes(&bytes)
    }

    fn append(&self, log: &Log, line: &[u8], bytes: &mut Vec<u8>) {
        if self.output.is_json() {
            let source = match log.source {
                LogSource::Contextualisation => "contextualisation",
                LogSource::Console => "console",
            };
            let value = json!({
                "schema_version": SCHEMA_VERSION, "kind": "log", "instance": log.target.name,
                "source": source, "text": String::from_utf8_lossy(line).trim_end_matches('\r'),
            });
            bytes.extend(value.to_string().bytes());
        } else {
            if self.known.len() > 1 {
                let name = format!("{:1$} |", log.target.name, self.name_width);
                bytes.extend(self.output.data_paint.one_of(log.number, &name).bytes());
                bytes.push(b' ');
            }
            bytes.extend_from_slice(line);
        }
        bytes.push(b'\n');
    }
}

/// The latest lines of a log.
#[derive(Default)]
struct Tail {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Tail {
    fn extend(&mut self, lines: Vec<Vec<u8>>, count_max: usize) {
        for line in lines {
            self.bytes += line.len();
            self.lines.push_back(line);
            while self.lines.len() > count_max || self.bytes > TAIL_BYTES_MAX {
                let dropped = self.lines.pop_front().map_or(0, |line| line.len());
                self.bytes -= dropped;
            }
        }
    }
}

/// Takes the complete lines, and keeps what has been begun.
fn split(begun: &mut Vec<u8>, data: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    for piece in data.split_inclusive(|byte| *byte == b'\n') {
        match piece.strip_suffix(b"\n") {
            Some(end) => {
                begun.extend_from_slice(end);
                lines.push(std::mem::take(begun));
            }
            None => begun.extend_from_slice(piece),
        }
        if begun.len() > LINE_BYTES_MAX {
            lines.push(std::mem::take(begun));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut begun = Vec::new();
        assert_eq!(split(&mut begun, b"a\nb"), [b"a".to_vec()]);
        assert_eq!(split(&mut begun, b"c\n\nd"), [b"bc".to_vec(), Vec::new()]);
        assert_eq!(begun, b"d");
        let long = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(split(&mut begun, &long).len(), 1);
        assert!(begun.is_empty());
    }

    #[test]
    fn a_tail_keeps_the_latest() {
        let mut tail = Tail::default();
        tail.extend(vec![b"a".to_vec(), b"b".to_vec(), b"c".to_vec()], 2);
        assert_eq!(tail.lines, [b"b".to_vec(), b"c".to_vec()]);
        assert_eq!(tail.bytes, 2);
        let long = vec![b'x'; TAIL_BYTES_MAX];
        tail.extend(vec![long.clone(), long], 5);
        assert_eq!(tail.lines.len(), 1);
    }
}
