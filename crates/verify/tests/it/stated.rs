//! Properties that users state.

use std::sync::Arc;

use zenekar_diagnostics::SourceMap;
use zenekar_model::behaviour::{Give, Segment};
use zenekar_property::{PropertySet, Reader};
use zenekar_search::End;
use zenekar_verify::{Allowance, Breach, Setting, Verdict, World, record};

use crate::setting::{behaviours, breach, explore, port_of, segment, topology};

fn stated(texts: &[&str]) -> Arc<PropertySet> {
    let mut sources = SourceMap::new();
    let mut reader = Reader::new();
    for (number, text) in (1..).zip(texts) {
        let file = sources.add(format!("{number}"), *text);
        reader.formula(&format!("property {number}"), text, file);
    }
    let (set, diagnostics) = reader.finish();
    assert_eq!(diagnostics, [], "{texts:?}");
    Arc::new(set)
}

/// A master that gives a token and then its port, and two workers that wait for it.
pub(crate) fn setting(texts: &[&str]) -> Setting {
    let gives = |label, give| Segment {
        gives: vec![give],
        ..segment(label)
    };
    let joins = Segment {
        needs: vec![port_of("master", 7077)],
        retries: true,
        gives: vec![Give::Name("joined".to_owned())],
        ..segment("join")
    };
    let master = vec![
        gives("token", Give::Name("token".to_owned())),
        gives("listen", Give::Port(7077)),
    ];
    let nodes = vec![
        ("master", master, vec![Give::Port(7077)]),
        ("worker", vec![joins], vec![]),
    ];
    let rows = [("master", 1, &[][..]), ("worker", 2, &[0][..])];
    let mut setting = Setting::new(topology("openstack", &rows), behaviours(nodes));
    setting.allowance = Allowance {
        faults: 0,
        delays: 1,
        ..Allowance::default()
    };
    setting.properties = stated(texts);
    setting
}

#[test]
fn what_holds_is_not_violated() {
    let texts = [
        "always count(worker) <= 2",
        "never any var(worker, joined) and none var(master, token)",
        "eventually all finished(worker)",
        "any serving(worker) leads_to none serving(worker)",
        "never any breakpoint(worker) >= 1 then count(master) > 1",
        "always any breakpoint(master) >= 2 implies any var(master, '7077')",
    ];
    let outcome = explore(setting(&texts), 1);
    assert_eq!((outcome.end, breach(&outcome)), (End::Exhausted, None));
    assert!(outcome.ends > 0);
}

#[test]
fn what_does_not_hold_is_found_with_its_name() {
    for text in [
        "always count(worker) <= 1",
        "never any finished(worker) then any serving(worker)",
        "eventually count(master) > 1",
        "none serving(master) until count(worker) = 2",
        "count(master) = 1 leads_to serving(worker) = 3",
        "eventually serving(worker) = 2 within 1ms",
        "always none breakpoint(master) = 2",
        "never any var(master, token)",
    ] {
        let setting = setting(&["always count(master) <= 1", text]);
        let outcome = explore(setting.clone(), 1);
        assert_eq!(breach(&outcome), Some(Breach::Stated), "{text}");
        let run = &outcome.violations[0].actions;
        let run = record(&World::new(setting), run).expect("it is possible");
        let Verdict::Violated { property, step } = run.verdict else {
            panic!("{text}: {:?}", run.verdict);
        };
        assert_eq!(
            (property.as_str(), step as usize),
            ("property 2", run.actions.len())
        );
    }
}
