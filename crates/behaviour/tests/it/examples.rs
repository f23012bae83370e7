//! The examples that users read.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::{behaviours_of, table};

/// The environment variable that has the expectation written anew.
const UPDATE_VARIABLE: &str = "ZENEKAR_UPDATE";

#[test]
fn examples_do_what_their_table_says() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = String::new();
    for name in ["hello", "spark", "three-tier", "web-tier"] {
        let folder = own.join("../../examples").join(name);
        let behaviours = behaviours_of(&folder.join("infrastructure.yaml"));
        let _infallible = writeln!(found, "== {name}\n{}", table(&behaviours));
    }
    let expected = own.join("tests/it/examples.txt");
    if std::env::var_os(UPDATE_VARIABLE).is_some() {
        std::fs::write(&expected, &found).expect("writable");
    }
    let expected = std::fs::read_to_string(&expected).expect("the table is there");
    assert_eq!(found, expected, "run with {UPDATE_VARIABLE}=1 to accept");
}
