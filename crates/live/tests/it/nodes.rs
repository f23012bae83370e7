//! Nodes without sockets: they do what instrumented scripts do.

use serde_json::{Value, json};
use zenekar_live::{
    Answer, Event, Mode, Next, ProcessName, Session, Settings, Submission, Then, Traversal,
};

/// A report of one process.
pub(crate) fn report(name: &ProcessName, tag: &str, variables: &Value) -> Submission {
    let mut user_data = json!({ "nodeIP": "10.0.0.1" });
    for (key, value) in variables.as_object().into_iter().flatten() {
        user_data[key] = value.clone();
    }
    let body = json!({
        "processData": {
            "infraID": "i-1",
            "infraName": "demo",
            "nodeID": id_of(name),
            "nodeName": name.node,
            "bpTag": tag,
        },
        "userData": user_data,
    });
    Submission::parse(body.to_string().as_bytes()).expect("the report is well formed")
}

/// The id of an instance; its order is not that of the numbers.
pub(crate) fn id_of(name: &ProcessName) -> String {
    format!("{}-{}", 1_000 - name.number, name.node)
}

/// Processes of nodes with so many instances each.
pub(crate) fn processes(nodes: &[(&str, u32)]) -> Vec<ProcessName> {
    nodes
        .iter()
        .flat_map(|(node, count)| (1..=*count).map(|number| ProcessName::new(*node, number)))
        .collect()
}

/// Begins a session and says which instance is which process.
pub(crate) fn begin(processes: &[ProcessName], mode: Mode) -> Session {
    let mut session =
        Session::new(Settings::new(processes.to_vec(), mode), 0).expect("the settings are right");
    for name in processes {
        session
            .assign(&id_of(name), name)
            .expect("the process is free");
    }
    session
}

/// A process with so many breakpoints.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) name: ProcessName,
    pub(crate) length: u32,
    at: u32,
}

impl Script {
    pub(crate) fn new(name: &ProcessName, length: u32) -> Self {
        Self {
            name: name.clone(),
            length,
            at: 0,
        }
    }

    fn tag(&self) -> String {
        match self.at {
            at if at == self.length => "last last_bp".to_owned(),
            1 => "first".to_owned(),
            at => format!("bp_{at}"),
        }
    }

    /// Does what it can; says whether that was anything.
    pub(crate) fn act(&mut self, session: &mut Session, now_ms: u64) -> bool {
        let id = id_of(&self.name);
        if self.at == self.length {
            return false;
        }
        let answer = if self.at == 0 {
            Answer::Go
        } else {
            session.next(&id).expect("it is known")
        };
        match answer {
            Answer::Go => {
                self.at += 1;
                let report = report(&self.name, &self.tag(), &json!({ "at": self.at }));
                let number = session.submit(now_ms, &id, report).expect("it is taken");
                assert_eq!(number, self.at);
                true
            }
            Answer::Refresh => {
                let report = report(
                    &self.name,
                    "ignored",
                    &json!({ "at": self.at, "new": true }),
                );
                session.refresh(now_ms, &id, report).expect("it is taken");
                true
            }
            Answer::Wait => false,
        }
    }
}

/// Lets processes act until none can any more.
pub(crate) fn act_all(session: &mut Session, scripts: &mut [Script], now_ms: u64) {
    while scripts.iter_mut().any(|script| script.act(session, now_ms)) {}
}

/// Runs a schedule with fresh processes; the events of the run.
pub(crate) fn run(schedule: Vec<ProcessName>, scripts: &[Script]) -> Vec<Event> {
    let names: Vec<ProcessName> = scripts.iter().map(|script| script.name.clone()).collect();
    let mut session = begin(&names, Mode::Scheduled(schedule, Then::First));
    act_all(&mut session, &mut scripts.to_vec(), 0);
    assert!(session.outcome().is_some(), "the run ended");
    std::iter::from_fn(|| session.next_event()).collect()
}

/// Runs a traversal to its end; the events of all runs.
pub(crate) fn traverse(traversal: &mut Traversal, scripts: &[Script]) -> Vec<Event> {
    let mut all = Vec::new();
    while let Next::Run(id, schedule) = traversal.begin() {
        let events = run(schedule, scripts);
        for event in &events {
            traversal.observe(id, event).expect("runs are reproducible");
        }
        all.extend(events);
    }
    all
}
