//! Feeds arbitrary bytes to the reader of user-data.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zenekar_agent::read_user_data;

/// Longer inputs find nothing that shorter ones do not, only later.
const INPUT_BYTES_MAX: usize = 16 << 10;

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() <= INPUT_BYTES_MAX {
        let found = read_user_data(bytes);
        assert!(found.parts.iter().all(|part| !part.name.is_empty()));
    }
});
