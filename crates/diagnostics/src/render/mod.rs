//! The renderers: one for people, one for one-line consumers, one for programs.

mod concise;
mod human;
mod json;

pub use concise::render_concise;
pub use human::render_human;
pub use json::{JSON_SCHEMA_VERSION, render_json};
