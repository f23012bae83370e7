//! Whole traversals, with infrastructures that are tasks of this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use zenekar_live::{
    Controller, Deployment, Ending, Mode, Next, Plan, Progress, Session, Settings, Traversal, Work,
    traverse,
};
use zenekar_property::PropertySet;

use crate::nodes::{Script, id_of, processes};

/// Brings up tasks that do what instrumented scripts do.
#[derive(Default)]
struct Tasks {
    controller: Controller,
    up: Mutex<BTreeMap<String, JoinSet<()>>>,
    most: Mutex<usize>,
    /// What cannot be brought up.
    broken: bool,
}

impl Deployment for Tasks {
    fn start<'a>(&'a self, infrastructure: &'a str) -> Work<'a> {
        Box::pin(async move {
            if self.broken {
                return Err("there is no room".to_owned());
            }
            let mut tasks = JoinSet::new();
            for name in processes(&[("a", 3)]) {
                let known = self.controller.with(infrastructure, |session, _| {
                    session.assign(&id_of(&name), &name)
                });
                assert_eq!(known, Some(Ok(())));
                let controller = self.controller.clone();
                let infrastructure = infrastructure.to_owned();
                tasks.spawn(act(controller, infrastructure, Script::new(&name, 3)));
            }
            let mut up = self.up.lock().expect("no test panics with it");
            up.insert(infrastructure.to_owned(), tasks);
            let mut most = self.most.lock().expect("no test panics with it");
            *most = (*most).max(up.len());
            Ok(())
        })
    }

    fn stop<'a>(&'a self, infrastructure: &'a str) -> Work<'a> {
        Box::pin(async move {
            let tasks = {
                let mut up = self.up.lock().expect("no test panics with it");
                up.remove(infrastructure)
            };
            if let Some(mut tasks) = tasks {
                tasks.shutdown().await;
            }
            Ok(())
        })
    }
}

async fn act(controller: Controller, infrastructure: String, mut script: Script) {
    loop {
        let acted = controller.with(&infrastructure, |session: &mut Session, now_ms| {
            script.act(session, now_ms)
        });
        match acted {
            Some(true) => tokio::task::yield_now().await,
            Some(false) => tokio::time::sleep(Duration::from_millis(1)).await,
            None => return,
        }
    }
}

fn plan(width: usize, runs_max: u64) -> Plan {
    Plan {
        prefix: "run".to_owned(),
        settings: Settings::new(processes(&[("a", 3)]), Mode::Manual),
        width,
        runs_max,
    }
}

fn run(
    tasks: Tasks,
    traversal: &mut Traversal,
    plan: &Plan,
    stop: watch::Receiver<bool>,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> (Result<Ending, String>, Arc<Tasks>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    let tasks = Arc::new(tasks);
    let deployment: Arc<dyn Deployment> = Arc::clone(&tasks) as Arc<dyn Deployment>;
    let ending = runtime.block_on(async {
        let all = traverse(&tasks.controller, traversal, deployment, plan, stop, tell);
        let ending = tokio::time::timeout(Duration::from_mins(1), all).await;
        ending.expect("it ends").map_err(|error| error.to_string())
    });
    assert!(tasks.up.lock().expect("no test panics with it").is_empty());
    assert!(tasks.controller.list().is_empty());
    (ending, tasks)
}

#[test]
fn everything_is_run_several_at_a_time() {
    let mut traversal = Traversal::new(PropertySet::default(), None);
    let (_stop, stopped) = watch::channel(false);
    let mut ended = 0;
    let mut tell = |progress| ended += u64::from(matches!(progress, Progress::Ended(_)));
    let (ending, tasks) = run(
        Tasks::default(),
        &mut traversal,
        &plan(8, u64::MAX),
        stopped,
        &mut tell,
    );
    assert_eq!(ending, Ok(Ending::Complete));
    assert_eq!(
        (ended, traversal.begun(), traversal.tree().leaves()),
        (90, 90, 90)
    );
    assert_eq!(*tasks.most.lock().expect("no test panics with it"), 8);
}

#[test]
fn budgets_end_a_traversal_and_it_can_be_gone_on_with() {
    let mut traversal = Traversal::new(PropertySet::default(), None);
    let (_stop, stopped) = watch::channel(false);
    let (ending, _) = run(
        Tasks::default(),
        &mut traversal,
        &plan(2, 10),
        stopped.clone(),
        &mut |_| {},
    );
    assert_eq!(
        (ending, traversal.tree().leaves()),
        (Ok(Ending::Budget), 10)
    );
    let (ending, _) = run(
        Tasks::default(),
        &mut traversal,
        &plan(2, 5),
        stopped,
        &mut |_| {},
    );
    assert_eq!(
        (ending, traversal.tree().leaves()),
        (Ok(Ending::Budget), 15)
    );
}

#[test]
fn a_traversal_that_is_stopped_takes_everything_down() {
    let mut traversal = Traversal::new(PropertySet::default(), None);
    let (stop, stopped) = watch::channel(false);
    let mut began = 0;
    let mut tell = |progress| {
        began += u64::from(matches!(progress, Progress::Began(..)));
        if began == 5 {
            stop.send_replace(true);
        }
    };
    let plan = plan(3, u64::MAX);
    let (ending, _) = run(Tasks::default(), &mut traversal, &plan, stopped, &mut tell);
    assert_eq!(ending, Ok(Ending::Stopped));
    assert!(traversal.begun() < 10, "{}", traversal.begun());
    assert!(
        matches!(traversal.begin(), Next::Run(..)),
        "there is more to run"
    );
}

#[test]
fn what_cannot_be_brought_up_is_told() {
    let mut traversal = Traversal::new(PropertySet::default(), None);
    let (_stop, stopped) = watch::channel(false);
    let mut reasons = Vec::new();
    let mut tell = |progress| {
        if let Progress::Failed(_, reason) = progress {
            reasons.push(reason);
        }
    };
    let tasks = Tasks {
        broken: true,
        ..Tasks::default()
    };
    let (ending, _) = run(
        tasks,
        &mut traversal,
        &plan(2, u64::MAX),
        stopped,
        &mut tell,
    );
    let error = ending.expect_err("nothing can be brought up");
    assert!(error.ends_with("there is no room"), "{error}");
    // Another one may have begun before the third was over.
    assert!((3..5).contains(&reasons.len()), "{reasons:?}");
    assert!(reasons.iter().all(|reason| reason == "there is no room"));
    // That is no fault of the schedule.
    assert!(traversal.given_up().is_empty());
}
