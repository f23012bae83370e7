//! Every code is well formed, unique and documented.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use zenekar_diagnostics::{codes, documentation_page};

/// Set to write the pages instead of comparing them.
const UPDATE_VARIABLE: &str = "ZENEKAR_UPDATE";

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnostics")
}

#[test]
fn codes_are_well_formed_unique_and_in_order() {
    let ids: Vec<&str> = codes::all().map(|code| code.id).collect();
    assert!(ids.is_sorted_by(|one, two| one < two), "{ids:?}");
    for code in codes::all() {
        let digits = code.id.strip_prefix("ZK").unwrap_or("");
        assert!(
            digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()),
            "{}",
            code.id
        );
        assert!(
            !code.title.is_empty() && !code.title.ends_with('.'),
            "{}: {}",
            code.id,
            code.title
        );
        assert!(
            code.explanation.trim().len() > 20,
            "{} has an explanation",
            code.id
        );
        assert_eq!(codes::find(code.id), Some(code));
    }
    assert_eq!(codes::find("zk0101").map(|code| code.id), Some("ZK0101"));
    assert_eq!(codes::find("ZK9999"), None);
}

#[test]
fn every_code_has_a_fresh_page_and_every_page_a_code() {
    let folder = pages();
    let update = std::env::var_os(UPDATE_VARIABLE).is_some_and(|value| value == "1");
    let mut expected = BTreeSet::new();
    for code in codes::all() {
        let name = format!("{}.md", code.id);
        let path = folder.join(&name);
        let page = documentation_page(code);
        if update {
            std::fs::create_dir_all(&folder).expect("the folder of the pages can be made");
            std::fs::write(&path, &page).expect("the page can be written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            written, page,
            "{name} is out of date: run the tests with {UPDATE_VARIABLE}=1"
        );
        expected.insert(name);
    }
    let entries = std::fs::read_dir(&folder).expect("the folder of the pages exists");
    let found = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let left: Vec<String> = found
        .filter(|name| name.starts_with("ZK") && !expected.contains(name))
        .collect();
    if update {
        for name in &left {
            std::fs::remove_file(folder.join(name)).expect("the page can be removed");
        }
        return;
    }
    assert!(left.is_empty(), "pages without a code: {left:?}");
}
