//! One run: who is held, who may go, and what happens to those who do not come.

use serde_json::json;
use zenekar_live::limits::NOTIFICATIONS_MAX;
use zenekar_live::{
    Answer, CollectiveBreakpoint, Event, Mode, Notification, Outcome, ProcessName, Refusal,
    Session, Settings, Stage, StepError, StopReason, Stops, Then,
};

use crate::nodes::{Script, act_all, begin, id_of, processes, report};
use crate::traversal::properties;

fn pair() -> (Vec<ProcessName>, Vec<Script>) {
    let names = processes(&[("cl", 1), ("srv", 1)]);
    let scripts = names.iter().map(|name| Script::new(name, 3)).collect();
    (names, scripts)
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.next_event()).collect()
}

fn entered(event: &Event) -> Option<String> {
    match event {
        Event::Entered { state, stepped, .. } => {
            let stepped = stepped.as_ref().map_or("-".to_owned(), ToString::to_string);
            Some(format!("{stepped} {}", state.breakpoints))
        }
        _ => None,
    }
}

#[test]
fn a_person_steps_one_process_at_a_time() {
    let (names, mut scripts) = pair();
    let mut session = begin(&names, Mode::Manual);
    assert_eq!(session.step(0, &names[0]), Err(StepError::NotConsistent));
    act_all(&mut session, &mut scripts, 0);
    session.step(10, &names[1]).expect("it is held");
    assert_eq!(session.step(10, &names[0]), Err(StepError::NotConsistent));
    act_all(&mut session, &mut scripts, 15);
    let told = events(&mut session);
    let states: Vec<String> = told.iter().filter_map(entered).collect();
    assert_eq!(
        states,
        [
            r#"- {"cl":[1],"srv":[1]}"#,
            r#"srv[1] {"cl":[1],"srv":[2]}"#
        ]
    );
    let Some(Event::Entered { took_ms, state, .. }) = told.last() else {
        panic!("{told:?}");
    };
    assert_eq!(*took_ms, Some(5));
    // The client was held, and reported anew after the server had arrived.
    assert_eq!(state.data["cl"][0].user["new"], json!(true));
    assert_eq!(state.data["cl"][0].process["bpTag"], json!("ignored"));
    session.step(20, &names[1]).expect("it is held");
    act_all(&mut session, &mut scripts, 20);
    assert_eq!(
        session.step(20, &names[1]),
        Err(StepError::NotHeld(names[1].clone()))
    );
    let nobody = ProcessName::new("nobody", 1);
    assert_eq!(session.step(20, &nobody), Err(StepError::Unknown(nobody)));
    for _ in 0..2 {
        session.step(30, &names[0]).expect("it is held");
        act_all(&mut session, &mut scripts, 30);
    }
    assert_eq!(session.outcome(), Some(&Outcome::Finished));
    assert_eq!(session.step(40, &names[0]), Err(StepError::Over));
    assert_eq!(session.macrosteps(), 4);
}

#[test]
fn a_free_run_holds_nobody() {
    let (names, mut scripts) = pair();
    let mut session = begin(&names, Mode::FreeRun);
    act_all(&mut session, &mut scripts, 0);
    assert_eq!(session.outcome(), Some(&Outcome::Finished));
    let kept: Vec<(u32, String)> = session
        .breakpoints(&id_of(&names[0]))
        .expect("it reported")
        .map(|one| (one.bp_num, one.bp_tag.clone()))
        .collect();
    assert_eq!(
        kept,
        [
            (1, "first".to_owned()),
            (2, "bp_2".to_owned()),
            (3, "last last_bp".to_owned())
        ]
    );
}

#[test]
fn schedules_are_followed_and_handed_over() {
    let (names, scripts) = pair();
    let (client, server) = (&names[0], &names[1]);
    let steps = vec![server.clone(), client.clone()];
    let run = |then| {
        let mut session = begin(&names, Mode::Scheduled(steps.clone(), then));
        act_all(&mut session, &mut scripts.clone(), 0);
        let told = events(&mut session);
        let states: Vec<String> = told.iter().filter_map(entered).collect();
        assert_eq!(states[1], r#"srv[1] {"cl":[1],"srv":[2]}"#);
        assert_eq!(states[2], r#"cl[1] {"cl":[2],"srv":[2]}"#);
        (session, states.len())
    };
    let (session, states) = run(Then::First);
    assert_eq!((session.outcome(), states), (Some(&Outcome::Finished), 5));
    let (mut session, states) = run(Then::Manual);
    assert_eq!((session.outcome(), states), (None, 3));
    session.step(0, client).expect("a person goes on");
    let (session, states) = run(Then::FreeRun);
    // The end of the free run is a state too.
    assert_eq!((session.outcome(), states), (Some(&Outcome::Finished), 4));
}

#[test]
fn a_schedule_that_asks_too_much_is_told() {
    let (names, mut scripts) = pair();
    let schedule = vec![names[1].clone(); 3];
    let mut session = begin(&names, Mode::Scheduled(schedule, Then::First));
    act_all(&mut session, &mut scripts, 0);
    assert_eq!(
        session.outcome(),
        Some(&Outcome::Diverged(names[1].clone()))
    );
    // Nobody is held by a run that is over.
    assert_eq!(session.next(&id_of(&names[0])), Ok(Answer::Go));
}

#[test]
fn lost_answers_change_nothing() {
    let (names, mut scripts) = pair();
    let mut session = begin(&names, Mode::Manual);
    act_all(&mut session, &mut scripts, 0);
    let id = id_of(&names[0]);
    // The answer to a report is lost: it comes again.
    for _ in 0..2 {
        let again = report(&names[0], "first", &json!({}));
        assert_eq!(session.submit(1, &id, again), Ok(1));
    }
    assert!(session.state().is_some());
    session.step(2, &names[0]).expect("it is held");
    let again = report(&names[0], "first", &json!({}));
    assert_eq!(session.submit(2, &id, again), Ok(1));
    // The answer to the question is lost: it is asked again.
    assert_eq!(session.next(&id), Ok(Answer::Go));
    assert_eq!(session.next(&id), Ok(Answer::Go));
    // Told to go on, it may come to a place with the same tag.
    let circle = report(&names[0], "first", &json!({}));
    assert_eq!(session.submit(3, &id, circle), Ok(2));
}

#[test]
fn a_visit_counts_once() {
    let (names, mut scripts) = pair();
    let mut session = begin(&names, Mode::Manual);
    act_all(&mut session, &mut scripts, 0);
    let id = id_of(&names[0]);
    let visit = |number: &str| {
        let mut report = report(&names[0], "bp", &json!({}));
        report.visit = Some(number.to_owned());
        report
    };
    session.step(0, &names[0]).expect("it is held");
    assert_eq!(session.next(&id), Ok(Answer::Go));
    assert_eq!(session.submit(0, &id, visit("1")), Ok(2));
    act_all(&mut session, &mut scripts[1..], 0);
    session.step(0, &names[0]).expect("it is held");
    // It is told to go on, and does not hear it.
    assert_eq!(session.next(&id), Ok(Answer::Go));
    assert_eq!(session.submit(0, &id, visit("1")), Ok(2));
    assert_eq!(session.next(&id), Ok(Answer::Go));
    assert_eq!(session.submit(0, &id, visit("2")), Ok(3));
}

#[test]
fn who_runs_ahead_is_told() {
    let (names, mut scripts) = pair();
    let mut session = begin(&names, Mode::Manual);
    act_all(&mut session, &mut scripts, 0);
    events(&mut session);
    let ahead = report(&names[0], "bp_2", &json!({}));
    assert_eq!(session.submit(1, &id_of(&names[0]), ahead), Ok(2));
    assert_eq!(events(&mut session), [Event::RanAhead(names[0].clone())]);
    assert!(session.state().is_none(), "the others have to report anew");
}

#[test]
fn who_does_not_come_is_an_outcome() {
    let (names, mut scripts) = pair();
    // One never boots.
    let mut session = begin(&names, Mode::Scheduled(Vec::new(), Then::First));
    act_all(&mut session, &mut scripts[..1], 0);
    let deadline_ms = session.next_deadline_ms().expect("it is waited for");
    assert_eq!(deadline_ms, 15 * 60_000);
    session.tick(deadline_ms - 1);
    assert_eq!(session.outcome(), None);
    session.tick(deadline_ms);
    let stuck = Outcome::Stuck(vec![names[1].clone()]);
    assert_eq!(session.outcome(), Some(&stuck));
    assert_eq!(session.next_deadline_ms(), None);
    let told = events(&mut session);
    assert_eq!(told[0], Event::Stuck(names[1].clone()));
    let Event::Entered { state, .. } = &told[1] else {
        panic!("{told:?}");
    };
    assert_eq!(state.stuck, [names[1].clone()]);
    assert_eq!(told[2], Event::Ended(stuck));
}

#[test]
fn a_person_goes_on_without_the_one_that_is_stuck() {
    let (names, mut scripts) = pair();
    let mut session = begin(&names, Mode::Manual);
    act_all(&mut session, &mut scripts, 0);
    session.step(0, &names[1]).expect("it is held");
    let deadline_ms = session.next_deadline_ms().expect("it is waited for");
    session.tick(deadline_ms);
    let state = session.state().expect("the others wait");
    assert_eq!(state.unfinished, [names[0].clone()]);
    assert_eq!(state.stuck, [names[1].clone()]);
    // It comes after all.
    events(&mut session);
    act_all(&mut session, &mut scripts, deadline_ms + 1);
    let told = events(&mut session);
    assert_eq!(told[0], Event::Late(names[1].clone()));
    assert_eq!(
        entered(&told[1]).as_deref(),
        Some(r#"- {"cl":[1],"srv":[2]}"#)
    );
}

#[test]
fn who_is_held_and_dies_is_noticed() {
    let (names, mut scripts) = pair();
    let mut session = begin(&names, Mode::Manual);
    act_all(&mut session, &mut scripts, 0);
    assert_eq!(
        session.next_deadline_ms(),
        None,
        "people may take their time"
    );
    session.step(0, &names[0]).expect("it is held");
    // The server does not report anew.
    scripts[0].act(&mut session, 1);
    let deadline_ms = session.next_deadline_ms().expect("it is waited for");
    assert_eq!(deadline_ms, 60_001);
    session.tick(deadline_ms);
    let stages: Vec<Stage> = session.stages().map(|(_, _, stage, _)| stage).collect();
    assert_eq!(stages, [Stage::Held, Stage::Stuck]);
}

#[test]
fn sleeping_breakpoints_do_not_stop() {
    let names = processes(&[("a", 1)]);
    let mut settings = Settings::new(names.clone(), Mode::Manual);
    settings.sleeping = ["bp_1", "bp_3", "last"].map(str::to_owned).into();
    let mut session = Session::new(settings, 0).expect("the settings are right");
    let id = id_of(&names[0]);
    let submit = |session: &mut Session, tag| {
        let number = session.submit(0, &id, report(&names[0], tag, &json!({})));
        (
            number.expect("it is taken"),
            session.next(&id).expect("it is known"),
        )
    };
    assert_eq!(submit(&mut session, "bp_1"), (0, Answer::Go));
    assert_eq!(submit(&mut session, "bp_2"), (1, Answer::Wait));
    session.step(0, &names[0]).expect("it is held");
    assert_eq!(session.next(&id_of(&names[0])), Ok(Answer::Go));
    assert_eq!(submit(&mut session, "bp_3"), (1, Answer::Go));
    // The last one always counts: without it nobody knows the end.
    assert_eq!(submit(&mut session, "last"), (2, Answer::Go));
    assert_eq!(session.outcome(), Some(&Outcome::Finished));
    let kept: Vec<bool> = session
        .breakpoints(&id)
        .expect("it reported")
        .map(|one| one.asleep)
        .collect();
    assert_eq!(kept, [true, false, true, false]);
}

#[test]
fn notifications_wait_for_the_boundary() {
    let (names, mut scripts) = pair();
    let mut session = begin(&names, Mode::Manual);
    let say = |from: &ProcessName, text: &str| Notification {
        from: from.clone(),
        text: text.to_owned(),
    };
    act_all(&mut session, &mut scripts, 0);
    session
        .notify(say(&names[1], "at a boundary"))
        .expect("there is room");
    assert_eq!(
        session.next_notification(),
        Some(say(&names[1], "at a boundary"))
    );
    session.step(0, &names[1]).expect("it is held");
    for (from, text) in [(1, "one"), (1, "two"), (0, "three")] {
        session
            .notify(say(&names[from], text))
            .expect("there is room");
    }
    assert_eq!(
        (session.postponed(), session.next_notification()),
        (3, None)
    );
    act_all(&mut session, &mut scripts, 1);
    let told: Vec<String> = std::iter::from_fn(|| session.next_notification())
        .map(|one| one.text)
        .collect();
    // By process and order, whatever order they came in.
    assert_eq!(told, ["three", "one", "two"]);
    session.step(1, &names[1]).expect("it is held");
    for _ in 0..NOTIFICATIONS_MAX {
        session.notify(say(&names[1], "")).expect("there is room");
    }
    assert_eq!(
        session.notify(say(&names[1], "")),
        Err(Refusal::TooManyNotifications)
    );
}

#[test]
fn surplus_instances_are_refused() {
    let (names, mut scripts) = pair();
    let mut session = begin(&names, Mode::Manual);
    act_all(&mut session, &mut scripts, 0);
    for node in ["cl", "other"] {
        let stranger = ProcessName::new(node, 7);
        let refused = session.submit(0, "stranger", report(&stranger, "first", &json!({})));
        assert_eq!(refused, Err(Refusal::NotExpected(node.to_owned())));
    }
    assert_eq!(
        session.next("stranger"),
        Err(Refusal::UnknownProcess("stranger".to_owned()))
    );
    assert!(Session::new(Settings::new(Vec::new(), Mode::Manual), 0).is_err());
}

#[test]
fn schedules_stop_where_they_are_asked_to() {
    let (names, scripts) = pair();
    let run = |stops: Stops| {
        let mode = Mode::Scheduled(Vec::new(), Then::First);
        let mut settings = Settings::new(names.clone(), mode);
        settings.stops = stops;
        let mut session = Session::new(settings, 0).expect("the settings are right");
        for name in &names {
            session.assign(&id_of(name), name).expect("it is free");
        }
        act_all(&mut session, &mut scripts.clone(), 0);
        let told = events(&mut session);
        let reason = told.into_iter().find_map(|event| match event {
            Event::Stopped(reason) => Some(reason),
            _ => None,
        });
        (reason, session)
    };
    let at = CollectiveBreakpoint([("cl".to_owned(), vec![2]), ("srv".to_owned(), vec![1])].into());
    let (reason, mut session) = run(Stops {
        at: [at.clone()].into(),
        ..Stops::default()
    });
    assert_eq!(reason, Some(StopReason::Reached(at.clone())));
    assert_eq!(session.collective_breakpoint(), at);
    session.step(0, &names[1]).expect("a person goes on");
    let formula = "never all finished(cl) and none breakpoint(srv) >= 2";
    let (reason, session) = run(Stops {
        properties: properties(&[formula]),
        ..Stops::default()
    });
    assert_eq!(reason, Some(StopReason::Violated(formula.to_owned())));
    assert_eq!(
        session.collective_breakpoint().to_string(),
        r#"{"cl":[3],"srv":[1]}"#
    );
    assert_eq!(run(Stops::default()).1.outcome(), Some(&Outcome::Finished));
}

#[test]
fn who_has_nothing_new_is_not_asked_again() {
    let names = processes(&[("a", 1), ("b", 1)]);
    let mut session = begin(&names, Mode::Manual);
    let steady = |name: &ProcessName, tag: &str| {
        let mut submission = report(name, tag, &json!({}));
        let value = json!("yes");
        submission.process_data.insert("steady".to_owned(), value);
        submission
    };
    let ids: Vec<String> = names.iter().map(id_of).collect();
    for (name, id) in names.iter().zip(&ids) {
        let taken = session.submit(0, id, steady(name, "first"));
        taken.expect("it is taken");
    }
    assert!(session.state().is_some(), "nobody has to report anew");
    session.step(1, &names[0]).expect("it waits");
    let taken = session.submit(2, &ids[0], report(&names[0], "bp_1", &json!({})));
    taken.expect("it is taken");
    assert_eq!(session.next(&ids[1]), Ok(Answer::Wait));
    assert!(session.state().is_some());
    // Who does not say so is asked.
    session.step(3, &names[1]).expect("it waits");
    let taken = session.submit(4, &ids[1], steady(&names[1], "bp_1"));
    taken.expect("it is taken");
    assert_eq!(session.next(&ids[0]), Ok(Answer::Refresh));
    assert!(session.state().is_none());
}
