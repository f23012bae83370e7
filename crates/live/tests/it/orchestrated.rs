//! Sessions with an orchestrator: it makes processes later, and is asked at each boundary.

use serde_json::json;
use zenekar_live::{
    Event, Mode, Notification, Outcome, ProcessName, Session, Settings, Stage, Then,
};

use crate::nodes::{id_of, processes, report};

fn session(names: &[ProcessName], mode: Mode) -> Session {
    let mut settings = Settings::new(names.to_vec(), mode);
    settings.is_orchestrated = true;
    let mut session = Session::new(settings, 0).expect("the settings are right");
    for name in names {
        session
            .assign(&id_of(name), name)
            .expect("the process is free");
    }
    session
}

fn submit(session: &mut Session, name: &ProcessName, tag: &str) {
    let stored = session.submit(0, &id_of(name), report(name, tag, &json!({})));
    stored.expect("it is expected");
    for (name, _, stage, _) in collect(session) {
        if stage == Stage::Held {
            let fresh = report(&name, "ignored", &json!({}));
            session.refresh(0, &id_of(&name), fresh).expect("it waits");
        }
    }
}

fn collect(session: &Session) -> Vec<(ProcessName, Option<String>, Stage, u32)> {
    let all = session.stages();
    all.map(|(name, id, stage, number)| (name.clone(), id.map(str::to_owned), stage, number))
        .collect()
}

fn answer(session: &mut Session) {
    let round = session.consultation().expect("it asks");
    session.settled(0, round);
}

fn states(session: &mut Session) -> Vec<String> {
    std::iter::from_fn(|| session.next_event())
        .filter_map(|event| match event {
            Event::Entered { state, .. } => Some(state.breakpoints.to_string()),
            _ => None,
        })
        .collect()
}

#[test]
fn who_is_made_later_is_waited_for_from_then_on() {
    let names = processes(&[("cl", 1), ("srv", 1)]);
    let mut session = session(&names, Mode::Manual);
    // Nobody is there, so nobody has a deadline, and nothing is a state yet.
    assert_eq!(session.next_deadline_ms(), None);
    let first = session.consultation().expect("it asks");
    session.expect(0, &names[1]).expect("it is known");
    assert_eq!(session.consultation(), None);
    session.settled(0, first);
    submit(&mut session, &names[1], "first");
    assert!(session.state().is_none());
    answer(&mut session);
    assert_eq!(states(&mut session), [r#"{"cl":[0],"srv":[1]}"#]);
    session.step(0, &names[1]).expect("it is held");
    submit(&mut session, &names[1], "serves");
    // The orchestrator sees that the server serves, and makes the client.
    let round = session.consultation().expect("it asks again");
    session.expect(5, &names[0]).expect("it is known");
    assert!(session.next_deadline_ms().is_some());
    session.settled(5, round);
    assert!(session.state().is_none(), "an old answer has no effect");
    submit(&mut session, &names[0], "first");
    answer(&mut session);
    assert_eq!(states(&mut session), [r#"{"cl":[1],"srv":[2]}"#]);
    let unknown = ProcessName::new("x", 1);
    assert!(session.expect(5, &unknown).is_err());
}

#[test]
fn who_is_never_made_is_stuck() {
    let names = processes(&[("cl", 1), ("srv", 1)]);
    let mut session = session(&names, Mode::Scheduled(Vec::new(), Then::First));
    session.expect(0, &names[1]).expect("it is known");
    submit(&mut session, &names[1], "first");
    answer(&mut session);
    submit(&mut session, &names[1], "last");
    assert_eq!(session.outcome(), None);
    assert!(!session.has_unfinished());
    answer(&mut session);
    let stuck = vec![names[0].clone()];
    assert_eq!(session.outcome(), Some(&Outcome::Stuck(stuck)));
    assert_eq!(
        states(&mut session).last().map(String::as_str),
        Some(r#"{"cl":[0],"srv":[2]}"#)
    );
    assert_eq!(session.consultation(), None);
}

#[test]
fn the_orchestrator_gets_its_notifications_when_it_is_asked() {
    let names = processes(&[("srv", 1)]);
    let mut session = session(&names, Mode::Manual);
    session.expect(0, &names[0]).expect("it is known");
    let ready = Notification {
        from: names[0].clone(),
        text: "ready".to_owned(),
    };
    session.notify(ready.clone()).expect("there is room");
    assert_eq!(session.next_notification(), None);
    assert_eq!(session.postponed(), 1);
    submit(&mut session, &names[0], "first");
    assert_eq!(session.next_notification(), Some(ready.clone()));
    session.notify(ready.clone()).expect("there is room");
    assert_eq!(session.next_notification(), Some(ready));
}

#[test]
fn only_chosen_breakpoints_stop() {
    let names = processes(&[("a", 1), ("b", 1)]);
    let mut settings = Settings::new(names.clone(), Mode::Manual);
    settings.awake = Some([("a".to_owned(), "two".to_owned())].into());
    let mut session = Session::new(settings, 0).expect("the settings are right");
    for (name, tag, number) in [
        (&names[0], "one", 0),
        (&names[0], "two", 1),
        (&names[1], "two", 0),
        (&names[1], "last", 1),
    ] {
        let stored = session.submit(0, &id_of(name), report(name, tag, &json!({})));
        assert_eq!(stored, Ok(number), "{name} {tag}");
    }
    let stages: Vec<Stage> = session.stages().map(|(_, _, stage, _)| stage).collect();
    assert_eq!(stages, [Stage::Held, Stage::Finished]);
}
