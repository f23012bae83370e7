//! The end: `final_message`, and the file that scripts wait for.

use jiff::Timestamp;
use zenekar_base::Value;

use super::template;
use crate::session::{Ending, Session};
use crate::status::DATA_SOURCE;
use crate::values::{get, text_of};

const MODULE: &str = "final_message";
const FINISHED_FILE: &str = "/var/lib/cloud/instance/boot-finished";

/// Prints the last message and leaves the mark that everything ran.
pub(super) fn run(session: &mut Session<'_>, config: &[(String, Value)]) {
    let uptime = session
        .place
        .read("/proc/uptime")
        .or_else(|| std::fs::read_to_string("/proc/uptime").ok())
        .and_then(|text| text.split_whitespace().next().map(str::to_owned))
        .unwrap_or_else(|| "??".to_owned());
    let timestamp = Timestamp::now()
        .strftime("%a, %d %b %Y %H:%M:%S +0000")
        .to_string();
    let version = env!("CARGO_PKG_VERSION");
    let text = get(config, MODULE).map(text_of).unwrap_or_default();
    let text = match text.trim() {
        "" => "Contextualised at $TIMESTAMP, up $UPTIME seconds.",
        text => text,
    };
    let names = [
        ("uptime", uptime.as_str()),
        ("UPTIME", uptime.as_str()),
        ("timestamp", timestamp.as_str()),
        ("TIMESTAMP", timestamp.as_str()),
        ("version", version),
        ("VERSION", version),
        ("datasource", DATA_SOURCE),
        ("DATASOURCE", DATA_SOURCE),
    ];
    session.step(MODULE, "", |session| match template::render(text, &names) {
        Ok(message) => {
            session.print(&format!("{message}\n"));
            Ending::done()
        }
        Err(message) => Ending::failed(message),
    });
    let mark = format!("{uptime} - {timestamp} - v. {version}\n");
    if let Err(message) = session.place.write(FINISHED_FILE, mark.as_bytes(), 0o644) {
        session.note(MODULE, FINISHED_FILE, Ending::failed(message));
    }
}
