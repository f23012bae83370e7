//! The file of a recorded run: one JSON object per line, a header, the steps,
//! and the verdict. `docs/replay.md` describes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zenekar_diagnostics::codes::replay as codes;
use zenekar_diagnostics::{Diagnostic, FileId, Span};
use zenekar_search::Fingerprint128;

use crate::trace::{Choice, Run, Verdict};

/// The version of the format that is written, and the only one that is read.
pub const REPLAY_FORMAT: u32 = 1;

/// Bytes of a file at most: a step takes some two hundred, and searches end
/// long before a hundred thousand steps.
pub const REPLAY_BYTES_MAX: usize = 64 << 20;

/// Steps at most; the longest runs of searches have some thousand.
pub const REPLAY_STEPS_MAX: usize = 100_000;

/// Bytes of a line at most: a header names all nodes and steps of the script.
pub const REPLAY_LINE_BYTES_MAX: usize = 1 << 20;

/// Bytes of a label at most: labels quote commands of scripts, which are cut
/// long before.
pub const REPLAY_LABEL_BYTES_MAX: usize = 16 << 10;

/// Mistakes of one file that are told at most: whoever has so many has not
/// written the file for us.
const MISTAKES_MAX: usize = 20;

/// A file, as far as it identifies what was explored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// Where it was, as the user named it.
    pub path: String,
    /// A digest of it and of what it includes, as `sha256:…`.
    pub digest: String,
}

/// A step of the script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptLine {
    /// `up`, `update`, `scale` or `down`.
    pub demand: String,
    /// The node that is scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The count that it is scaled to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// The descriptor that it is updated to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<Described>,
    /// Whether people wait until what they asked for before is done.
    pub waits: bool,
}

/// How much may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowanceLine {
    /// Faults.
    pub faults: u8,
    /// Times that something takes longer than until the engine looks again.
    pub delays: u8,
    /// How long after the last demand or fault all has to be well, in ms.
    pub patience_ms: u64,
}

/// The counts of a node, where they are not those of the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountLine {
    /// The initial and the lowest count.
    pub min: u32,
    /// The highest count.
    pub max: u32,
}

/// The first line: what the run was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of the format.
    pub replay: u32,
    /// The version of Zenekar that wrote it.
    pub engine: String,
    /// What was brought up.
    pub descriptor: Described,
    /// Counts that differ from the descriptor's, by node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, CountLine>,
    /// What people ask for.
    pub script: Vec<ScriptLine>,
    /// How much may happen.
    pub allowance: AllowanceLine,
    /// Names of the faults that may happen.
    pub faults: Vec<String>,
    /// The personality that all providers have, if it is not their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personality: Option<String>,
    /// Machines that each provider has at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<u32>,
    /// The provider that was put in place of the descriptor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// The files of the user's properties that were looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Described>,
    /// Whether it was recorded from real nodes: the times of its steps are then
    /// those of a clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub live: bool,
    /// What the first state is remembered by, in hexadecimal digits.
    pub beginning: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepLine {
    step: u32,
    at_ms: u64,
    label: String,
    pick: u32,
    of: u32,
    state: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VerdictLine {
    verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    property: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<u32>,
    #[serde(default)]
    minimal: bool,
}

/// A recorded run with everything that is needed to repeat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayFile {
    /// What it was made from.
    pub header: Header,
    /// What happened.
    pub choices: Vec<Choice>,
    /// What came of it.
    pub verdict: Verdict,
    /// Whether no single step can be left out of it.
    pub is_minimal: bool,
}

impl ReplayFile {
    /// Makes the file of a run; the beginning in the header is the run's.
    pub fn new(header: Header, run: &Run, is_minimal: bool) -> Self {
        let beginning = hex(run.beginning);
        Self {
            header: Header {
                beginning,
                ..header
            },
            choices: run.choices.clone(),
            verdict: run.verdict.clone(),
            is_minimal,
        }
    }

    /// Returns the file as text.
    pub fn to_text(&self) -> String {
        let mut text = line(&self.header);
        for (step, choice) in (1..).zip(&self.choices) {
            text += &line(&StepLine {
                step,
                at_ms: choice.at_ms,
                label: choice.label.clone(),
                pick: choice.pick,
                of: choice.of,
                state: hex(choice.state),
            });
        }
        let (property, step) = match &self.verdict {
            Verdict::Violated { property, step } => (Some(property.clone()), Some(*step)),
            Verdict::Passed | Verdict::Open => (None, None),
        };
        text + &line(&VerdictLine {
            verdict: self.verdict.name().to_owned(),
            property,
            step,
            minimal: self.is_minimal,
        })
    }

    /// Reads a file. What is wrong with it is told with the lines; nothing is
    /// returned then.
    pub fn parse(text: &str, file: FileId) -> (Option<Self>, Vec<Diagnostic>) {
        let mut reader = Reader {
            file,
            mistakes: Vec::new(),
        };
        let read = reader.read(text);
        (read.filter(|_| reader.mistakes.is_empty()), reader.mistakes)
    }

    /// Returns the place of a step's line in the text that the file was read
    /// from; step 0 is the header, the one behind the last is the verdict.
    pub fn span_of(text: &str, file: FileId, step: usize) -> Option<Span> {
        lines(text).nth(step).map(|line| line.span(file))
    }
}

/// Writes something as one line.
fn line(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("texts and numbers can be written");
    text.push('\n');
    text
}

/// Writes 128 bits as 32 digits.
pub(crate) fn hex(fingerprint: Fingerprint128) -> String {
    format!("{:032x}", fingerprint.0)
}

/// Reads 32 digits.
fn unhex(text: &str) -> Option<Fingerprint128> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_hex.then(|| u128::from_str_radix(text, 16).ok())?;
    number.map(Fingerprint128)
}

/// A line that is not empty, and where it begins.
#[derive(Clone, Copy)]
struct Line<'t> {
    start: usize,
    text: &'t str,
}

impl Line<'_> {
    fn span(self, file: FileId) -> Span {
        let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let end = self.start + self.text.len();
        Span::new(file, clamp(self.start), clamp(end))
    }
}

/// Splits a text into lines, without those that are empty.
fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    let all = text.split_inclusive('\n').map(move |whole| {
        let line = Line {
            start,
            text: whole.trim_end_matches(['\n', '\r']),
        };
        start += whole.len();
        line
    });
    all.filter(|line| !line.text.trim().is_empty())
}

/// Reads a file and remembers what is wrong with it.
struct Reader {
    file: FileId,
    mistakes: Vec<Diagnostic>,
}

impl Reader {
    fn read(&mut self, text: &str) -> Option<ReplayFile> {
        if text.len() > REPLAY_BYTES_MAX {
            let message = format!(
                "the file has {} bytes, more than {REPLAY_BYTES_MAX}",
                text.len()
            );
            self.mistakes
                .push(Diagnostic::error(&codes::TOO_LARGE, message));
            return None;
        }
        let mut lines = lines(text).peekable();
        let header = self.header(lines.next())?;
        let mut choices = Vec::new();
        while let Some(line) = lines.next() {
            if self.mistakes.len() >= MISTAKES_MAX || !self.fits(line) {
                return None;
            }
            if lines.peek().is_none() {
                let (verdict, is_minimal) = self.verdict(line, choices.len())?;
                return Some(ReplayFile {
                    header,
                    choices,
                    verdict,
                    is_minimal,
                });
            }
            if choices.len() >= REPLAY_STEPS_MAX {
                let message = format!("there are more than {REPLAY_STEPS_MAX} steps");
                self.mistake(line, &codes::TOO_LARGE, message);
                return None;
            }
            // What is broken counts as a step all the same, so that the next ones keep their numbers.
            let step = choices.len() + 1;
            let choice = self.step(line, step);
            choices.push(choice.unwrap_or_else(|| Choice {
                label: String::new(),
                pick: 0,
                of: 1,
                at_ms: 0,
                state: Fingerprint128(0),
            }));
        }
        let message = "the file ends without a verdict";
        let end = Line {
            start: text.len(),
            text: "",
        };
        self.mistake(end, &codes::WRONG_ORDER, message.to_owned());
        None
    }

    fn mistake(
        &mut self,
        line: Line<'_>,
        code: &'static zenekar_diagnostics::Code,
        message: String,
    ) {
        let diagnostic = Diagnostic::error(code, message).at(line.span(self.file));
        self.mistakes.push(diagnostic);
    }

    fn fits(&mut self, line: Line<'_>) -> bool {
        let fits = line.text.len() <= REPLAY_LINE_BYTES_MAX;
        if !fits {
            let message = format!("the line has more than {REPLAY_LINE_BYTES_MAX} bytes");
            self.mistake(line, &codes::TOO_LARGE, message);
        }
        fits
    }

    /// Reads one object; says what is wrong with it in the words of its reader.
    fn object<T: for<'de> Deserialize<'de>>(&mut self, line: Line<'_>, what: &str) -> Option<T> {
        match serde_json::from_str(line.text) {
            Ok(object) => Some(object),
            Err(error) => {
                let reason = error.to_string();
                // The line is told by the place; only the column is of interest.
                let reason = reason.replace(" at line 1 column", " at column");
                let message = format!("this is not {what}: {reason}");
                self.mistake(line, &codes::BROKEN_LINE, message);
                None
            }
        }
    }

    fn header(&mut self, line: Option<Line<'_>>) -> Option<Header> {
        let Some(line) = line else {
            let nothing = Line { start: 0, text: "" };
            self.mistake(
                nothing,
                &codes::NOT_A_REPLAY,
                "the file is empty".to_owned(),
            );
            return None;
        };
        if !self.fits(line) {
            return None;
        }
        let value: Option<serde_json::Value> = serde_json::from_str(line.text).ok();
        let format = value.as_ref().and_then(|value| value.get("replay"));
        let Some(format) = format else {
            let message = "the first line is not the header of a replay file".to_owned();
            self.mistake(line, &codes::NOT_A_REPLAY, message);
            return None;
        };
        if format.as_u64() != Some(u64::from(REPLAY_FORMAT)) {
            let message = format!("the format is {format}, and this version reads {REPLAY_FORMAT}");
            self.mistake(line, &codes::NOT_A_REPLAY, message);
            return None;
        }
        let header: Header = self.object(line, "the header of a replay file")?;
        if unhex(&header.beginning).is_none() {
            self.not_hex(line, "beginning");
        }
        Some(header)
    }

    fn not_hex(&mut self, line: Line<'_>, key: &str) {
        let message = format!("`{key}` is not 32 hexadecimal digits");
        self.mistake(line, &codes::BROKEN_LINE, message);
    }

    fn step(&mut self, line: Line<'_>, expected: usize) -> Option<Choice> {
        let read: StepLine = self.object(line, "a step")?;
        if usize::try_from(read.step) != Ok(expected) {
            let message = format!("step {} stands where {expected} should", read.step);
            self.mistake(line, &codes::WRONG_ORDER, message);
        }
        if read.label.len() > REPLAY_LABEL_BYTES_MAX {
            let message = format!("the label has more than {REPLAY_LABEL_BYTES_MAX} bytes");
            self.mistake(line, &codes::TOO_LARGE, message);
        }
        if read.pick >= read.of {
            let message = format!("`pick` is {} of {}, counted from 0", read.pick, read.of);
            self.mistake(line, &codes::BROKEN_LINE, message);
        }
        let Some(state) = unhex(&read.state) else {
            self.not_hex(line, "state");
            return None;
        };
        Some(Choice {
            label: read.label,
            pick: read.pick,
            of: read.of,
            at_ms: read.at_ms,
            state,
        })
    }

    fn verdict(&mut self, line: Line<'_>, steps: usize) -> Option<(Verdict, bool)> {
        let read: VerdictLine = self.object(line, "the verdict")?;
        let verdict = match (read.verdict.as_str(), read.property, read.step) {
            ("violated", Some(property), Some(step)) => Verdict::Violated { property, step },
            ("passed", None, None) => Verdict::Passed,
            ("open", None, None) => Verdict::Open,
            (other, _, _) => {
                let message = format!(
                    "the verdict is `{other}`; it is `violated` with `property` and `step`, or \
                     `passed` or `open` without them"
                );
                self.mistake(line, &codes::BROKEN_LINE, message);
                return None;
            }
        };
        if let Verdict::Violated { step, .. } = &verdict
            && *step as usize > steps
        {
            let message = format!("the verdict is about step {step}, and there are {steps}");
            self.mistake(line, &codes::WRONG_ORDER, message);
        }
        Some((verdict, read.minimal))
    }
}

/// Returns what the beginning of a header is remembered by.
pub(crate) fn beginning_of(header: &Header) -> Option<Fingerprint128> {
    unhex(&header.beginning)
}
