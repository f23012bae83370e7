//! The language of formulas: what it can say, and what it refuses.

use std::collections::BTreeMap;

use zenekar_base::Random;
use zenekar_diagnostics::codes;
use zenekar_property::limits::{DEPTH_MAX, ONCE_MAX, TEXT_BYTES_MAX};

use crate::world::{Instance, Reported, State, formula, holds, reporting};

/// Two clients, of which one serves, and a server at breakpoint 3.
fn state() -> State {
    let serving = Instance {
        ready: true,
        serving: true,
        breakpoint: 2,
        ..reporting(&[
            ("port", Reported::Text("8080".to_owned())),
            ("joined", Reported::Truth(true)),
        ])
    };
    let fresh = reporting(&[("port", Reported::Integer(80))]);
    let server = Instance {
        ready: true,
        finished: true,
        breakpoint: 3,
        ..reporting(&[("state", Reported::Text("up, well".to_owned()))])
    };
    BTreeMap::from([
        ("cl".to_owned(), vec![serving, fresh]),
        ("spark-worker".to_owned(), vec![server]),
    ])
}

#[test]
fn counts_are_compared_and_added() {
    for predicate in [
        "count(cl) = 2",
        "count(cl) == 2",
        "count(cl) != 3",
        "serving(cl) < count(cl)",
        "serving(cl) <= 1",
        "ready(spark-worker) >= 1",
        "count(cl) > finished(cl)",
        "count(cl) + count(spark-worker) - 1 = 2",
        "count(cl)-1 = serving(cl)",
        "-1 < count(nobody)",
        "0 <= count(nobody) <= serving(cl) < 2",
        "count(cl) between 2 and 3",
        "serving(cl) > count(cl) - serving(cl) or count(cl) = 2",
        "count(\"spark-worker\") = 1",
        "(count(cl) - (serving(cl) - 1)) = 2",
    ] {
        assert!(holds(predicate, &state()), "{predicate}");
        assert!(
            !holds(&format!("not ({predicate})"), &state()),
            "{predicate}"
        );
    }
}

#[test]
fn instances_are_quantified() {
    for predicate in [
        "any ready(cl)",
        "all ready(spark-worker)",
        "none finished(cl)",
        "exactly 1 serving(cl)",
        "at_least 1 ready(cl) and not at_least 2 ready(cl)",
        "all breakpoint(spark-worker) >= 3",
        "any breakpoint(cl) = count(cl)",
        "exactly 1 breakpoint(cl) between 1 and 2",
        "all var(cl, port) between 80 and 8080",
        "any var(cl, port) = \"80\"",
        "any var(cl, port) = 80",
        "all var(cl, port) > -0.5",
        "any var(cl, joined)",
        "not all var(cl, joined)",
        "none var(cl, joined) = false",
        "any var(spark-worker, state) contains \"well\"",
        "all var(spark-worker, 'state') != \"up\"",
        // What was not reported passes no comparison, not even this one.
        "none var(cl, missing) != 1",
        // Of no instance everything is true, and nothing is there.
        "all ready(nobody) and none ready(nobody) and not any ready(nobody)",
        "exactly 0 var(nobody, port) = 1",
    ] {
        assert!(holds(predicate, &state()), "{predicate}");
    }
}

#[test]
fn words_bind_as_people_expect() {
    for predicate in [
        "true or false and false",
        "not false and true",
        "not (true and false)",
        "not true = false",
        "false implies false implies false",
        "(false implies false) implies true",
        "true and false implies false",
        "(true = true) != false",
    ] {
        assert!(holds(predicate, &state()), "{predicate}");
    }
    assert!(!holds("(true implies false) or false", &state()));
    assert!(!holds("(false implies false) implies false", &state()));
}

#[test]
fn forms_of_time_are_read() {
    for text in [
        "eventually count(a) = 1 within 1h30m",
        "never count(a) = 1",
        "never (count(a) = 1)",
        "never (count(a) = 1) and count(b) = 1",
        "never count(a) = 1 then count(b) = 1",
        "never (count(a) = 1 and then count(b) = 1)",
        "never (count(a) = 1 and then count(b) = 1) within 90s",
        "never (count(a) = 1) and then (count(b) = 1)",
        "never ((any ready(a)) then (any ready(b)))",
        "any ready(a) until all ready(b) within 5m",
        "any ready(a) leads_to all ready(b) within 500ms",
        "always once(any ready(a)) implies once(once(any ready(b)) and any ready(c))",
    ] {
        let read = formula(text);
        assert!(read.is_ok(), "{text}: {read:?}");
    }
}

#[test]
fn mistakes_are_told_where_they_are() {
    for (text, code, start) in [
        ("", "ZK0905", 0),
        ("any ready(a)", "ZK0905", 0),
        ("always", "ZK0905", 6),
        ("always count(a)", "ZK0907", 7),
        ("always \"x\"", "ZK0907", 7),
        ("always count(a) = \"x\"", "ZK0907", 7),
        ("always count(a) = true", "ZK0907", 7),
        ("always true < false", "ZK0907", 7),
        ("always count(a) >= 0.5", "ZK0907", 19),
        ("always breakpoint(a) >= 3", "ZK0907", 7),
        ("always var(a, x) = 3", "ZK0907", 7),
        ("always all breakpoint(a)", "ZK0905", 24),
        ("always all ready(a) = true", "ZK0907", 11),
        ("always all count(a)", "ZK0906", 11),
        ("always any var(a) = 1", "ZK0905", 16),
        ("always any var(a, x) < \"b\"", "ZK0907", 23),
        ("always exactly ready(a)", "ZK0905", 15),
        ("always exactly -1 ready(a)", "ZK0905", 15),
        ("always serve(a) = 1", "ZK0906", 7),
        ("always count", "ZK0906", 7),
        ("always count(a = 1", "ZK0905", 15),
        ("always (count(a) = 1", "ZK0905", 20),
        ("always count(a) = 1)", "ZK0905", 19),
        ("always count(a) = 1 within 5m", "ZK0905", 20),
        ("never count(a) = 1 within 5m", "ZK0905", 19),
        ("eventually count(a) = 1 within 5", "ZK0905", 31),
        ("always eventually count(a) = 1", "ZK0905", 7),
        ("always count(a) = 1 until count(b) = 1", "ZK0905", 20),
        ("always (count(a) = 1 and then count(b) = 1)", "ZK0905", 21),
        ("always true + 1 = 2", "ZK0907", 7),
        ("always count(a) = 1 && true", "ZK0905", 20),
        ("always count(a) = 1 and", "ZK0905", 23),
        ("always __import__('os')", "ZK0906", 7),
    ] {
        let finding = formula(text).expect_err(text);
        let found = finding.primary.as_ref().map(|label| label.span.start);
        assert_eq!((finding.code.id, found), (code, Some(start)), "{text}");
    }
}

#[test]
fn hints_lead_on() {
    for (text, hint) in [
        ("always servin(a) = 1", "did you mean `serving`?"),
        ("always any var(a, x) || true", "write `or`"),
        ("always count(a)", "`serving(NODE) >= 1`"),
        ("always var(a, x) = 3", "`all var(…)`"),
        ("count(a) = 1", "`always`"),
        ("always count", "`count(NODE)`"),
        ("always eventually true", "one temporal form"),
    ] {
        let finding = formula(text).expect_err(text);
        assert!(finding.help.join(" ").contains(hint), "{text}: {finding:?}");
    }
}

#[test]
fn formulas_are_bounded() {
    let deep = format!(
        "always {}true{}",
        "(".repeat(DEPTH_MAX),
        ")".repeat(DEPTH_MAX)
    );
    assert!(formula(&deep).is_ok());
    let once = vec!["once(true)"; ONCE_MAX].join(" and ");
    assert!(formula(&format!("always {once}")).is_ok());
    for text in [
        format!(
            "always {}true{}",
            "(".repeat(DEPTH_MAX + 1),
            ")".repeat(DEPTH_MAX + 1)
        ),
        format!("always {}true", "not ".repeat(DEPTH_MAX + 1)),
        format!("always {}true", "true implies ".repeat(DEPTH_MAX + 1)),
        format!("always {once} and once(true)"),
        format!("always true {}", " ".repeat(TEXT_BYTES_MAX)),
        format!("always true{}", " or true".repeat(1_200)),
    ] {
        let finding = formula(&text).expect_err("it is too large");
        assert_eq!(
            finding.code,
            &codes::property::TOO_LARGE,
            "{}",
            finding.message
        );
    }
}

#[test]
fn no_text_is_too_strange() {
    const WORDS: &[&str] = &[
        "always",
        "eventually",
        "never",
        "until",
        "leads_to",
        "then",
        "within",
        "and",
        "or",
        "not",
        "implies",
        "all",
        "any",
        "none",
        "exactly",
        "at_least",
        "between",
        "contains",
        "once(",
        "count(a)",
        "serving(b)",
        "ready(",
        "var(a, x)",
        "breakpoint(a)",
        "true",
        "false",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<=",
        ">",
        "+",
        "-",
        "1",
        "0.5",
        "5m",
        "\"x\"",
        "'",
        "\\",
        "é",
        "\u{0}",
        "{{",
        "a-b",
        "99999999999999999999",
        "__import__",
    ];
    let seeds = Random::from_seed(7);
    let mut readable = 0;
    for number in 0..100_000 {
        let mut random = seeds.child(number);
        let count = random.between(1, 12);
        let mut text = String::new();
        for _ in 0..count {
            let at = random.below(u64::try_from(WORDS.len()).expect("it is small"));
            text.push_str(WORDS[usize::try_from(at).expect("it is small")]);
            if random.below(4) > 0 {
                text.push(' ');
            }
        }
        match formula(&text) {
            Ok(_) => readable += 1,
            Err(finding) => {
                let span = finding.primary.expect("a mistake has a place").span;
                assert!(span.start <= span.end, "{text}");
                assert!(span.end as usize <= text.len(), "{text}");
                assert!(text.is_char_boundary(span.start as usize), "{text}");
                assert!(text.is_char_boundary(span.end as usize), "{text}");
            }
        }
    }
    assert!(readable > 10, "{readable}");
}
