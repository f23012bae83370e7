//! Whatever stands in a replay file, it is read or refused with places.

use zenekar_base::Random;
use zenekar_diagnostics::FileId;
use zenekar_verify::{REPLAY_LABEL_BYTES_MAX, REPLAY_LINE_BYTES_MAX, REPLAY_STEPS_MAX, ReplayFile};

const HEADER: &str = r#"{"replay":1,"engine":"0.0.0","descriptor":{"path":"a.yaml","digest":"sha256:00"},"script":[{"demand":"up","waits":false},{"demand":"scale","node":"worker","count":2,"waits":true}],"allowance":{"faults":1,"delays":2,"patience_ms":3600000},"faults":["throttled"],"beginning":"00000000000000000000000000000001"}"#;
const STEP: &str = r#"{"step":1,"at_ms":1,"label":"people ask for `up`","pick":0,"of":1,"state":"000000000000000000000000000000ff"}"#;
const VERDICT: &str = r#"{"verdict":"violated","property":"converges","step":1,"minimal":true}"#;

fn whole() -> String {
    [HEADER, STEP, VERDICT].join("\n") + "\n"
}

/// Returns the codes and the places of what is wrong with a text.
fn mistakes(text: &str) -> Vec<(&'static str, u32)> {
    let (read, mistakes) = ReplayFile::parse(text, FileId(0));
    assert_eq!(read.is_none(), !mistakes.is_empty(), "{mistakes:?}");
    let place = |span: Option<&zenekar_diagnostics::Label>| span.map_or(0, |at| at.span.start);
    let told = mistakes.iter();
    told.map(|one| (one.code.id, place(one.primary.as_ref())))
        .collect()
}

fn at(line: usize) -> u32 {
    let starts = [0, HEADER.len() + 1, HEADER.len() + STEP.len() + 2];
    u32::try_from(starts[line]).expect("lines are short")
}

#[test]
fn this_is_the_format() {
    let text = whole();
    let (read, mistakes) = ReplayFile::parse(&text, FileId(0));
    assert_eq!(mistakes, []);
    let read = read.expect("nothing is wrong with it");
    assert_eq!(read.to_text(), text);
    assert!(read.is_minimal);
    let (spread, _) = ReplayFile::parse(&text.replace('\n', "\r\n\n"), FileId(0));
    assert_eq!(spread, Some(read));
}

#[test]
fn mistakes_are_told_with_their_lines() {
    assert_eq!(mistakes(""), [("ZK1001", 0)]);
    assert_eq!(mistakes("nodes: []\n"), [("ZK1001", 0)]);
    let newer = whole().replace("\"replay\":1", "\"replay\":2");
    assert_eq!(mistakes(&newer), [("ZK1001", 0)]);
    let cut = [HEADER, STEP].join("\n");
    assert_eq!(mistakes(&cut), [("ZK1003", at(1))]);
    assert_eq!(mistakes(HEADER), [("ZK1004", at(1) - 1)]);
    let skipped = whole().replace("{\"step\":1", "{\"step\":2");
    assert_eq!(mistakes(&skipped), [("ZK1004", at(1))]);
    let beyond = whole().replace("\"step\":1,\"minimal\"", "\"step\":9,\"minimal\"");
    assert_eq!(mistakes(&beyond), [("ZK1004", at(2))]);
    let typed = whole().replace("\"label\"", "\"lable\"");
    assert_eq!(mistakes(&typed), [("ZK1003", at(1))]);
    let picked = whole().replace("\"of\":1", "\"of\":0");
    assert_eq!(mistakes(&picked), [("ZK1003", at(1))]);
    let odd = whole().replace("ff\"", "fg\"");
    assert_eq!(mistakes(&odd), [("ZK1003", at(1))]);
    let verdict = whole().replace("violated", "odd");
    assert_eq!(mistakes(&verdict), [("ZK1003", at(2))]);
}

#[test]
fn limits_hold() {
    let long = "x".repeat(REPLAY_LABEL_BYTES_MAX);
    let labelled = whole().replace("people", &long);
    assert_eq!(mistakes(&labelled), [("ZK1002", at(1))]);
    let longer = "x".repeat(REPLAY_LINE_BYTES_MAX);
    let lined = whole().replace("people", &longer);
    assert_eq!(mistakes(&lined), [("ZK1002", at(1))]);
    let deep = "[".repeat(100_000);
    assert_eq!(mistakes(&deep), [("ZK1001", 0)]);
    let step = STEP.to_owned() + "\n";
    let many = step.repeat(30);
    // After so many mistakes nobody reads on.
    assert!(mistakes(&(HEADER.to_owned() + "\n" + &many + VERDICT)).len() <= 21);
    let steps = (1..=REPLAY_STEPS_MAX + 1).map(|step| {
        let number = format!("{{\"step\":{step}");
        STEP.replace("{\"step\":1", &number) + "\n"
    });
    let text = HEADER.to_owned() + "\n" + &steps.collect::<String>() + VERDICT;
    let codes: Vec<&str> = mistakes(&text).iter().map(|one| one.0).collect();
    assert_eq!(codes, ["ZK1002"]);
}

#[test]
fn mutated_files_are_read_or_refused() {
    let mut random = Random::from_seed(11);
    let whole = whole();
    for _ in 0..3_000 {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..=random.below(4) {
            let at = usize::try_from(random.below(bytes.len() as u64)).expect("texts are short");
            match random.below(5) {
                0 => drop(bytes.drain(at..bytes.len().min(at + 1))),
                1 => bytes.extend(u8::try_from(random.below(256))),
                2 => bytes.insert(at, b"{}[]\",:0-9e\n"[at % 12]),
                3 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
                _ => bytes.truncate(at.max(1)),
            }
        }
        mistakes(&String::from_utf8_lossy(&bytes));
    }
}
