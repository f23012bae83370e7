//! `zenekar events`: what has happened.

use std::time::Duration;

use serde_json::{Value, json};
use zenekar_base::InfrastructureId;
use zenekar_engine::{Entry, State};
use zenekar_runtime::{SharedStore, read_entries};

use crate::arguments::{EventsArguments, Global};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, Paint, SCHEMA_VERSION};
use crate::place::{self, Place};
use crate::render::event::{Mood, Narrator, Told, time_json, time_text};
use crate::world;

/// How often `--follow` looks for new events.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// An event, in words and as it was stored.
pub(crate) struct Happened {
    sequence: u64,
    entry: Entry,
    /// The event in words.
    pub(crate) told: Told,
}

impl Happened {
    /// Writes the event for people.
    pub(crate) fn to_text(&self, paint: Paint) -> String {
        let text = match self.told.mood {
            Mood::Step => self.told.text.clone(),
            Mood::Good => paint.good(&self.told.text),
            Mood::Change => paint.notable(&self.told.text),
            Mood::Bad => paint.bad(&self.told.text),
        };
        let subject = if self.told.subject.is_empty() {
            String::new()
        } else {
            format!("{}  ", paint.strong(&self.told.subject))
        };
        format!(
            "{}  {subject}{text}",
            paint.faint(&time_text(self.entry.at))
        )
    }

    /// Returns the event for programs.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "event",
            "sequence": self.sequence,
            "at": time_json(self.entry.at),
            "event": self.entry.record.kind(),
            "subject": (!self.told.subject.is_empty()).then_some(&self.told.subject),
            "text": self.told.text,
        })
    }
}

/// Reads a journal from its beginning, in words.
struct Reader {
    store: SharedStore,
    id: InfrastructureId,
    state: State,
    narrator: Narrator,
    next: u64,
}

impl Reader {
    fn new(store: &SharedStore, id: &InfrastructureId) -> Result<Self, Failure> {
        let first = store
            .with(|store| store.infrastructure(id))?
            .map_or(1, |row| row.first_sequence);
        Ok(Self {
            store: store.clone(),
            id: id.clone(),
            state: State::new(id.clone()),
            narrator: Narrator::default(),
            next: first,
        })
    }

    /// Reads what is new.
    fn read(
        &mut self,
        mut each: impl FnMut(Happened) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        loop {
            let entries = read_entries(&self.store, &self.id, self.next)?;
            let Some((last, _)) = entries.last() else {
                return Ok(());
            };
            self.next = last + 1;
            for (sequence, entry) in entries {
                self.state.apply(&entry);
                self.narrator.note(&self.state, &entry);
                if let Some(told) = self.narrator.tell(&self.state, &entry) {
                    each(Happened {
                        sequence,
                        entry,
                        told,
                    })?;
                }
            }
        }
    }
}

/// Returns everything that has happened.
pub(crate) fn history(
    store: &SharedStore,
    id: &InfrastructureId,
) -> Result<Vec<Happened>, Failure> {
    let mut all = Vec::new();
    Reader::new(store, id)?.read(|happened| {
        all.push(happened);
        Ok(())
    })?;
    Ok(all)
}

pub(crate) fn run(
    arguments: &EventsArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let store = Place::find(global)?.look_at()?;
    let row = place::find(&store, arguments.infrastructure.infrastructure.as_deref())?;
    let mut reader = Reader::new(&SharedStore::new(store), &row.id)?;
    let mut latest = Vec::new();
    reader.read(|happened| {
        latest.push(happened);
        Ok(())
    })?;
    let from = if arguments.lines == 0 {
        0
    } else {
        latest.len().saturating_sub(arguments.lines)
    };
    let mut text = String::new();
    for happened in &latest[from..] {
        text.push_str(&line(happened, output));
    }
    if !arguments.follow {
        output.data(&text)?;
        return Ok(Exit::Success);
    }
    world::block_on(world::until_stopped(async {
        output.data(&text)?;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            reader.read(|happened| output.data(&line(&happened, output)))?;
        }
    }))
}

fn line(happened: &Happened, output: Output) -> String {
    if output.is_json() {
        format!("{}\n", happened.to_json())
    } else {
        format!("{}\n", happened.to_text(output.data_paint))
    }
}
