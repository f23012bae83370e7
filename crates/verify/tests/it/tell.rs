//! Runs are told so that people can follow them.

use zenekar_model::behaviour::{Behaviours, Give, Segment};
use zenekar_verify::{Detail, Setting, World, record, tell};

use crate::replay::{find, joining_too_early};
use crate::setting::{behaviours, segment, topology};

fn story(setting: &Setting, detail: Detail) -> Vec<String> {
    let world = World::new(setting.clone());
    let run = record(&world, &find(setting)).expect("what was found is possible");
    let story = tell(&world, &run, detail);
    let sentences = story.sentences.iter().map(ToString::to_string);
    sentences.chain([story.ending]).collect()
}

#[test]
fn a_story_says_what_happens_and_which_promise_is_broken() {
    let story = story(&joining_too_early(), Detail::Folded);
    assert_eq!(story[0], "   1.     0ms  people ask for `up`");
    let last = story.len() - 1;
    assert!(
        story[last - 1].ends_with("worker/1: join the master"),
        "{story:#?}"
    );
    let delay = "pass, and the engine looks again while things are still on their way";
    assert_eq!(story.iter().filter(|one| one.ends_with(delay)).count(), 1);
    let ending = "worker/1 fails at `join the master`: `master:7077` is not there, and it does not \
        try again; this breaks `needs-are-there`: what a segment needs is there, or it tries again";
    assert_eq!(story[last], ending);
}

#[test]
fn a_story_can_say_everything() {
    let setting = joining_too_early();
    let world = World::new(setting.clone());
    let run = record(&world, &find(&setting)).expect("what was found is possible");
    let all = tell(&world, &run, Detail::Everything);
    assert_eq!(all.sentences.len(), run.choices.len());
    let folded = tell(&world, &run, Detail::Folded);
    assert!(folded.sentences.len() < all.sentences.len());
    let mut step = 1;
    for sentence in &folded.sentences {
        assert_eq!(sentence.first, step);
        step = sentence.last + 1;
    }
    assert_eq!(step as usize, all.sentences.len() + 1);
    assert_eq!(folded.ending, all.ending);
}

#[test]
fn reasons_are_told() {
    let nodes = || topology("openstack", &[("member", 2, &[])]);
    let object = vec!["volume:members".to_owned()];
    let edits = Segment {
        reads: object.clone(),
        writes: object,
        ..segment("add itself to the list")
    };
    let mut racing = Setting::new(nodes(), behaviours(vec![("member", vec![edits], vec![])]));
    racing.allowance.faults = 0;
    let mut cramped = Setting::new(nodes(), Behaviours::default());
    cramped.allowance.faults = 0;
    cramped.allowance.delays = 0;
    cramped.quota = Some(1);
    let never = vec![Give::Name("token".to_owned())];
    let mut unwell = Setting::new(nodes(), behaviours(vec![("member", vec![], never)]));
    unwell.allowance = cramped.allowance;
    let told = |setting| story(&setting, Detail::Folded);
    let racing = told(racing);
    let ends = |verb: &str| racing.iter().filter(|one| one.contains(verb)).count();
    assert_eq!((ends(" begins: "), ends(" ends: ")), (2, 2), "{racing:#?}");
    let ending = "writes `volume:members` as it was before another one has changed it";
    assert!(
        racing.last().is_some_and(|last| last.contains(ending)),
        "{racing:#?}"
    );
    let cramped = told(cramped);
    let refused = |one: &&String| one.ends_with("is refused: the limit of machines is reached");
    // Once before and once after the last machine has booted.
    let refused = cramped.iter().filter(refused).count();
    assert!((1..=2).contains(&refused), "{cramped:#?}");
    assert!(cramped.len() < 10, "{cramped:#?}");
    let unwell = told(unwell);
    let ending = "nothing happens any more, and member/1 is `checking`, member/2 is `checking`";
    assert!(
        unwell.last().is_some_and(|last| last.starts_with(ending)),
        "{unwell:#?}"
    );
}
