//! Properties as their users meet them: read from text, checked along runs.

mod language;
mod monitors;
mod scenario;
mod world;
