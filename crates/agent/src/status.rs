//! The files by which other programs see how far contextualisation got.
//!
//! They are those of cloud-init, so that `cloud-init status --wait` and
//! scripts that wait for `boot-finished` work.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::place::Place;
use crate::session::Stage;

/// The data source as other programs see it.
pub(crate) const DATA_SOURCE: &str = "DataSourceZenekar";

const FOLDER: &str = "/var/lib/cloud/data";
const RUN_FOLDER: &str = "/run/cloud-init";

#[derive(Debug, Default)]
pub(crate) struct Status {
    entries: Map<String, Value>,
    errors: Vec<String>,
}

impl Status {
    pub(crate) fn enter(&mut self, place: &Place, stage: Stage) {
        if stage == Stage::Init {
            self.begin(place);
        }
        self.entries
            .insert("stage".to_owned(), json!(name_of(stage)));
        self.set(stage, "start", json!(now()));
        self.set(stage, "finished", Value::Null);
        self.save(place);
    }

    /// Takes the results of an earlier contextualisation away: this one is not finished.
    fn begin(&mut self, place: &Place) {
        for folder in [RUN_FOLDER, FOLDER] {
            for file in ["result.json", "status.json"] {
                let _ = std::fs::remove_file(place.of(&format!("{folder}/{file}")));
            }
        }
        self.entries
            .insert("datasource".to_owned(), json!(DATA_SOURCE));
        let _ = place.write(&format!("{RUN_FOLDER}/enabled"), b"", 0o644);
        for mode in [
            "init-local",
            "init",
            "modules-init",
            "modules-config",
            "modules-final",
        ] {
            self.entries.insert(
                mode.to_owned(),
                json!({"errors": [], "start": null, "finished": null}),
            );
        }
    }

    pub(crate) fn leave(&mut self, place: &Place, stage: Stage) {
        self.entries.insert("stage".to_owned(), Value::Null);
        self.set(stage, "finished", json!(now()));
        if stage != Stage::Final {
            self.save(place);
        }
    }

    pub(crate) fn add_error(&mut self, stage: Stage, module: &str, subject: &str, message: &str) {
        let error = format!("{module} ({subject}): {message}");
        if let Some(Value::Array(errors)) = self
            .entries
            .get_mut(name_of(stage))
            .and_then(|entry| entry.get_mut("errors"))
        {
            errors.push(json!(error));
        }
        self.errors.push(error);
    }

    pub(crate) fn finish(&mut self, place: &Place) {
        self.save(place);
        let result = json!({"v1": {"datasource": DATA_SOURCE, "errors": self.errors}});
        write(place, "result.json", &result);
    }

    fn set(&mut self, stage: Stage, key: &str, value: Value) {
        if let Some(Value::Object(entry)) = self.entries.get_mut(name_of(stage)) {
            entry.insert(key.to_owned(), value);
        }
    }

    fn save(&self, place: &Place) {
        write(place, "status.json", &json!({"v1": self.entries}));
    }
}

fn name_of(stage: Stage) -> &'static str {
    match stage {
        Stage::Init => "modules-init",
        Stage::Config => "modules-config",
        Stage::Final => "modules-final",
    }
}

/// Writes a file so that readers see the old one or the new one, and links it
/// to where they look. Whoever reads it only wants to know: a node comes up
/// without it, too.
fn write(place: &Place, name: &str, value: &Value) {
    let path = format!("{FOLDER}/{name}");
    let new = format!("{path}.new");
    let text = format!("{value:#}\n");
    if place.write(&new, text.as_bytes(), 0o644).is_ok()
        && std::fs::rename(place.of(&new), place.of(&path)).is_ok()
    {
        let link = format!("{RUN_FOLDER}/{name}");
        if !place.of(&link).is_symlink() {
            let _ = place.link(&format!("../..{path}"), &link);
        }
    }
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |elapsed| elapsed.as_secs_f64())
}
