//! Writes every document that can be read as YAML again: what comes out has to
//! read as the same data, and writing that again has to give the same text.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/occopus/tests/it/round_trip.rs"]
mod round_trip;

/// Longer inputs find nothing that shorter ones do not, only later.
const INPUT_BYTES_MAX: usize = 16 << 10;

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() <= INPUT_BYTES_MAX
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        round_trip::check(text);
    }
});
