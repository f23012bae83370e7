//! A look at the write-ahead log before the database opens it.
//!
//! The database reads its log up to the first frame that is not intact and
//! drops the rest without a word: right after a crash, where the rest was
//! never confirmed, but wrong after damage, where it was. Transactions are
//! flushed one after the other, so a crash spoils the last one only: a later
//! transaction behind a spoiled frame tells damage from a crash. (Damage
//! within the last transaction cannot be told from a crash.)

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::limits::LOG_FRAMES_SCANNED_MAX;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The magic number of a log whose checksums are little-endian; one more means big-endian.
const MAGIC: u32 = 0x377f_0682;
/// The page size of our databases, for a log whose header is unreadable.
const PAGE_BYTES: usize = 4096;
/// Copies of damaged logs that are set aside before a person has to look.
const COPIES_MAX: u32 = 100;
const OPERATION: &str = "read the log of the state";

/// Returns the path of the log of a database.
pub(crate) fn log_path(path: &Path) -> PathBuf {
    with_suffix(path, "-wal")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Returns whether the log holds nothing.
pub(crate) fn is_empty(path: &Path) -> bool {
    fs::metadata(log_path(path)).map_or(true, |metadata| metadata.len() == 0)
}

/// Returns why the database would drop confirmed transactions, if it would.
pub(crate) fn damage_of(path: &Path) -> Result<Option<String>, StoreError> {
    let log = log_path(path);
    match scan(&log) {
        Ok(found) => Ok(found),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
            ) =>
        {
            Ok(None)
        }
        Err(source) => Err(StoreError::from_io(OPERATION, &log, source)),
    }
}

/// Copies a damaged log, which the database is about to cut off.
pub(crate) fn set_aside(path: &Path) -> Result<(), StoreError> {
    let log = log_path(path);
    let failed = |source| StoreError::from_io("set the damaged log aside", &log, source);
    let free = (1..=COPIES_MAX)
        .map(|number| with_suffix(&log, &format!(".damaged-{number}")))
        .find(|copy| !copy.exists());
    let copy = free.ok_or_else(|| {
        failed(io::Error::other(
            "there are too many copies of damaged logs already",
        ))
    })?;
    fs::copy(&log, &copy).map_err(failed)?;
    File::open(&copy)
        .and_then(|file| file.sync_all())
        .map_err(failed)
}

/// The running checksum of a log, as its format defines it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct LogSum {
    one: u32,
    two: u32,
}

impl LogSum {
    /// Reads a stored checksum.
    fn stored(bytes: &[u8], at: usize) -> Self {
        Self {
            one: word(bytes, at),
            two: word(bytes, at + 4),
        }
    }

    fn add(mut self, bytes: &[u8], is_big_endian: bool) -> Self {
        for pair in bytes.chunks_exact(8) {
            let (first, second) = (word(pair, 0), word(pair, 4));
            let (first, second) = if is_big_endian {
                (first, second)
            } else {
                (first.swap_bytes(), second.swap_bytes())
            };
            self.one = self.one.wrapping_add(first).wrapping_add(self.two);
            self.two = self.two.wrapping_add(second).wrapping_add(self.one);
        }
        self
    }
}

/// Reads a big-endian word; zero behind the end.
fn word(bytes: &[u8], at: usize) -> u32 {
    let four = bytes
        .get(at..at + 4)
        .and_then(|four| <[u8; 4]>::try_from(four).ok());
    four.map_or(0, u32::from_be_bytes)
}

fn scan(log: &Path) -> io::Result<Option<String>> {
    let mut reader = BufReader::with_capacity(1 << 16, File::open(log)?);
    let header = read_header(&mut reader)?;
    let what = scan_frames(&mut reader, &header)?;
    if what.is_some() {
        // The log may have been started afresh during the scan.
        let is_same_log = read_header(&mut File::open(log)?)? == header;
        return Ok(what.filter(|_| is_same_log));
    }
    Ok(None)
}

fn scan_frames(reader: &mut impl Read, header: &[u8; HEADER_BYTES]) -> io::Result<Option<String>> {
    let is_big_endian = word(header, 0) & 1 == 1;
    let mut previous = LogSum::stored(header, 24);
    let is_header_intact = word(header, 0) & !1 == MAGIC
        && LogSum { one: 0, two: 0 }.add(&header[..24], is_big_endian) == previous;
    let page_bytes = if is_header_intact {
        word(header, 8) as usize
    } else {
        PAGE_BYTES
    };
    let mut spoiled = (!is_header_intact).then(|| "its header has changed".to_owned());
    let mut is_previous_commit = false;
    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
    for index in 0..LOG_FRAMES_SCANNED_MAX {
        match reader.read_exact(&mut frame) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            other => other?,
        }
        let stored = LogSum::stored(&frame, 16);
        // Frames of an earlier log stay behind the current one.
        let is_of_this_log = !is_header_intact || frame[8..16] == header[16..24];
        let is_chained = is_of_this_log
            && previous
                .add(&frame[..8], is_big_endian)
                .add(&frame[FRAME_HEADER_BYTES..], is_big_endian)
                == stored;
        if !is_chained && spoiled.is_none() {
            spoiled = Some(format!("frame {index} has changed"));
        } else if is_chained
            && is_previous_commit
            && let Some(what) = spoiled
        {
            // This frame was written after the commit before it was flushed,
            // and the spoiled place with it.
            return Ok(Some(format!("{what}, and confirmed transactions follow")));
        }
        previous = stored;
        is_previous_commit = word(&frame, 4) != 0;
    }
    Ok(None)
}

fn read_header(reader: &mut impl Read) -> io::Result<[u8; HEADER_BYTES]> {
    let mut header = [0; HEADER_BYTES];
    reader.read_exact(&mut header)?;
    Ok(header)
}
