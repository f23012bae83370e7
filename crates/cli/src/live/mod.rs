//! `zenekar verify --live`: brings an infrastructure up for real, again and
//! again if wanted, and takes its nodes through chosen global states.

mod account;
mod address;
mod arguments;
mod deployment;
mod gap;
mod nodes;
mod observations;
mod orchestra;
mod pictures;
mod recorded;
mod reduction;
mod reproduction;
mod single;
mod steered;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{oneshot, watch};
use zenekar_live::{
    Controller, Deployment, Ending, Mode, Plan, Server, Settings, SteeredRenderer, Traversal,
    TraverseError, traverse,
};
use zenekar_model::Topology;
use zenekar_model::behaviour::Behaviours;
use zenekar_property::PropertySet;
use zenekar_runtime::{Cancel, SharedStore};

use crate::arguments::{DescriptorArguments, Global, RunArguments, SimArguments};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::place::Place;
use crate::properties;
use crate::providers::{self, Needs};
use crate::world::{self, World};

use account::Account;
pub(crate) use arguments::LiveArguments;
use deployment::Production;
use nodes::{Nodes, Wanted};
pub(crate) use observations::Observations;
use orchestra::Orchestra;
pub(crate) use recorded::Recorded;
use reduction::Reduction;
use reproduction::Reproduction;
use single::{Course, Single};
use summary::Summary;

/// Letters of a descriptor's name that ids of its runs begin with: ids have at
/// most 63, and the number of the run follows.
const NAME_LETTERS_MAX: usize = 32;

/// Writes what was seen in a run.
pub(crate) type Record<'a> = dyn Fn(&Observations) -> Result<(), Failure> + 'a;

/// What is run, besides the options of this module.
pub(crate) struct Task<'a> {
    pub(crate) arguments: &'a LiveArguments,
    pub(crate) descriptor: &'a DescriptorArguments,
    /// What has to be true of each run.
    pub(crate) properties: &'a [PathBuf],
    /// The descriptor, moved to where it is to run.
    pub(crate) topology: &'a Topology,
    /// What its nodes do, as far as the descriptor shows it.
    pub(crate) behaviours: Behaviours,
    /// The run that is tried, if it was explored before.
    pub(crate) recorded: Option<&'a Recorded>,
    /// Writes a run into a file, if it is wanted.
    pub(crate) record: Option<&'a Record<'a>>,
    /// Where the execution graph is written.
    pub(crate) graph: Option<&'a Path>,
    /// Where the space-time diagram of a run is written.
    pub(crate) diagram: Option<&'a Path>,
}

/// Runs real nodes through global states, and tells what came of it.
pub(crate) fn run(task: Task<'_>, global: &Global, output: Output) -> Result<Exit, Failure> {
    let place = Place::find(global)?;
    let topology = nodes::patient(task.topology)?;
    providers::check_topology(&topology)?;
    let needs = Needs::of(
        &zenekar_engine::State::new(zenekar_base::InfrastructureId::new("none")),
        Some(&topology),
    );
    if needs.uses(providers::SIM) {
        return Err(Failure::usage("nothing runs on the simulated cloud")
            .hint("leave `--live` out to explore a simulated world, or run it `--on local`"));
    }
    let arguments = task.arguments;
    let is_automatic = !arguments.no_automatic;
    let may_run = task.descriptor.allow_host_commands;
    let mut wanted = Wanted {
        is_automatic,
        ..Wanted::default()
    };
    if arguments.at_segments || task.recorded.is_some() {
        wanted.more = recorded::ends_of_segments(&task.behaviours);
    }
    let nodes = nodes::find(&topology, may_run, &wanted, output)?;
    check_names(arguments, &nodes)?;
    let course = match task.recorded {
        Some(recorded) => recorded.course(&task.behaviours, &nodes.points, &nodes.processes),
        None => recorded::Course {
            schedule: arguments.schedule.clone(),
            ..recorded::Course::default()
        },
    };
    for obstacle in &course.obstacles {
        output.warn(&format!("real nodes cannot be made to do this: {obstacle}"));
    }
    let properties = properties::read(task.properties, &topology, output)?;
    let listen = match arguments.listen {
        Some(listen) => listen,
        None => SocketAddr::new(own_address()?, 0),
    };
    let run = run_arguments();
    world::block_on(async {
        let store = SharedStore::new(place.change()?);
        let World { host, .. } =
            world::world(&place, store, &run, arguments.local.isolation, &needs)?;
        let setup = Setup {
            task,
            topology,
            nodes,
            more: wanted.more,
            properties,
            course,
            listen,
            output,
        };
        setup.run(&host).await
    })
}

/// Refuses processes and nodes that are not steered.
fn check_names(arguments: &LiveArguments, nodes: &Nodes) -> Result<(), Failure> {
    let names: Vec<String> = nodes.processes.iter().map(ToString::to_string).collect();
    for process in &arguments.schedule {
        if nodes.processes.contains(process) {
            continue;
        }
        let text = format!("no process `{process}` is steered");
        return Err(Failure::usage(text).hint(format!("there are: {}", names.join(", "))));
    }
    for (node, _) in &arguments.breakpoint {
        if nodes.processes.iter().all(|process| process.node != *node) {
            return Err(Failure::usage(format!("no node `{node}` is steered"))
                .hint(format!("the processes are: {}", names.join(", "))));
        }
    }
    Ok(())
}

/// Returns the options that runs have in common with `up`.
fn run_arguments() -> RunArguments {
    RunArguments {
        parallel: None,
        timeout: None,
        sim: SimArguments {
            pace: None,
            sim_profile: None,
            seed: None,
        },
    }
}

fn own_address() -> Result<IpAddr, Failure> {
    address::of_this_machine().ok_or_else(|| {
        Failure::new(
            Exit::Provider,
            "this machine has no address that instances could reach",
        )
        .hint("`--listen ADDRESS:PORT` names one")
    })
}

/// Everything that is known before the first run.
struct Setup<'a> {
    task: Task<'a>,
    topology: Arc<Topology>,
    nodes: Nodes,
    /// The commands that get breakpoints though they refer to nobody.
    more: BTreeMap<String, BTreeSet<usize>>,
    properties: PropertySet,
    /// Who goes in which order, in a single run, and what is to be seen.
    course: recorded::Course,
    listen: SocketAddr,
    output: Output,
}

impl Setup<'_> {
    async fn run(self, host: &zenekar_runtime::Host) -> Result<Exit, Failure> {
        let output = self.output;
        let arguments = self.task.arguments;
        // Scripts of the original know no token.
        let token = (!arguments.no_automatic).then(new_token);
        let (server, address) = self.listen(token.as_deref()).await?;
        let controller = Controller::new();
        let settings = self.settings();
        let patience = std::time::Duration::from_millis(settings.arrival_ms);
        let orchestra = Orchestra::new(controller.clone(), &self.nodes.processes, patience);
        let renderer = Arc::clone(&host.renderer);
        let mut renderer =
            SteeredRenderer::new(renderer, &address, token.as_deref()).with_more(self.more.clone());
        if arguments.no_automatic {
            renderer = renderer.by_hand();
        }
        let (stop, give_up) = self.stop_on_signals()?;
        let deployment: Arc<dyn Deployment> = Arc::new(Production::new(
            host,
            Arc::new(renderer),
            Arc::clone(&orchestra),
            Arc::clone(&self.topology),
            give_up,
        ));
        let model = gap::Model::new(self.task.behaviours.clone(), self.nodes.points.clone());
        let is_detailed = !arguments.traverse || output.verbosity > 0;
        let mut account = Account::new(output, controller.clone(), model, is_detailed);
        let plan = self.plan(settings);
        let mut traversal = self.traversal(&account.model);
        let (end, ended) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.run(controller.clone(), async {
            // Whoever would say so is gone, which says it too.
            let _ = ended.await;
        }));
        if !output.is_json() {
            output.line(&format!("breakpoints report to {address}"));
        }
        let result = if arguments.traverse {
            let mut tell = |progress| account.take(progress);
            traverse(
                &controller,
                &mut traversal,
                deployment,
                &plan,
                stop,
                &mut tell,
            )
            .await
        } else {
            let single = Single {
                controller,
                deployment,
                plan: &plan,
                course: Course {
                    schedule: self.course.schedule.clone(),
                    is_manual: arguments.manual,
                },
                output,
            };
            single.run(&mut traversal, stop, &mut account).await
        };
        let _ = end.send(());
        let _ = serving.await;
        self.finish(&traversal, &account, &orchestra, result)
    }

    async fn listen(&self, token: Option<&str>) -> Result<(Server, String), Failure> {
        let host = self.listen.ip().to_string();
        let server = Server::listen(&host, self.listen.port())
            .await
            .map_err(|error| Failure::caused(Exit::Provider, &error))?;
        let address = format!("http://{}", server.address());
        Ok(match token {
            Some(token) => (server.with_token(token), address),
            None => (server, address),
        })
    }

    fn settings(&self) -> Settings {
        let arguments = self.task.arguments;
        let mut settings = Settings::new(self.nodes.processes.clone(), Mode::Manual);
        settings.is_orchestrated = true;
        if let Some(deadline) = arguments.deadline {
            let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
            settings.arrival_ms = deadline_ms;
            settings.step_ms = deadline_ms;
        }
        if !arguments.breakpoint.is_empty() {
            settings.awake = Some(arguments.breakpoint.iter().cloned().collect());
        }
        settings
    }

    fn plan(&self, settings: Settings) -> Plan {
        let arguments = self.task.arguments;
        let name = self.topology.name();
        let fits = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
        let name: String = name.chars().filter(fits).take(NAME_LETTERS_MAX).collect();
        let random = uuid::Uuid::new_v4().simple().to_string();
        Plan {
            prefix: format!("live-{name}-{}", &random[..8]),
            settings,
            width: arguments.parallel.map_or(1, usize::from),
            runs_max: arguments.runs.unwrap_or(u64::MAX),
        }
    }

    /// Stops the runs at the first interrupt; at the second one also what takes
    /// infrastructures down.
    fn stop_on_signals(&self) -> Result<(watch::Receiver<bool>, Cancel), Failure> {
        let (sender, stop) = watch::channel(false);
        let (handle, give_up) = Cancel::new();
        let (mut interrupt, mut terminate) = world::signals()?;
        let output = self.output;
        tokio::spawn(async move {
            let is_told = AtomicBool::new(false);
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if is_told.swap(true, std::sync::atomic::Ordering::Relaxed) {
                    handle.cancel();
                } else if !output.is_json() {
                    output
                        .line("\nstopping: everything is taken down (interrupt again to leave it)");
                }
                sender.send_replace(true);
            }
        });
        Ok((stop, give_up))
    }

    fn finish(
        &self,
        traversal: &Traversal,
        account: &Account,
        orchestra: &Orchestra,
        result: Result<Ending, TraverseError>,
    ) -> Result<Exit, Failure> {
        if let Some(file) = self.task.graph {
            pictures::write_graph(traversal.tree(), file)?;
        }
        if let (Some(file), Some(story)) = (self.task.diagram, &account.shown) {
            let told = orchestra.told_in(story.run);
            pictures::write_diagram(story, &self.nodes.processes, &told, file)?;
        }
        if let (Some(record), Some(story)) = (self.task.record, &account.shown) {
            let unsteered = self.nodes.unsteered.keys();
            record(&Observations::of(story, &account.model, unsteered))?;
        }
        let summary = Summary {
            name: self.topology.name(),
            file: &self.task.descriptor.file,
            is_traversal: self.task.arguments.traverse,
            traversal,
            reproduction: self.reproduction(account),
            unsteered: &self.nodes.unsteered,
            account,
            postponed: orchestra.postponed(),
            unsettled: orchestra.unsettled(),
            ending: result.as_ref().ok().copied(),
        };
        summary.tell(self.output)?;
        match result {
            Err(error) => Err(Failure::new(Exit::Provider, error.to_string())),
            Ok(_) => Ok(summary.exit()),
        }
    }
}

impl Setup<'_> {
    /// Begins the traversal. Each state is looked at where properties are, and the
    /// order of steps decides which there are.
    fn traversal(&self, model: &gap::Model) -> Traversal {
        let is_reducible = self.task.arguments.traverse
            && !self.task.arguments.every_order
            && self.properties.properties.is_empty()
            && self.nodes.unsteered.is_empty()
            && self.task.arguments.breakpoint.is_empty();
        let processes = &self.nodes.processes;
        let reduction = is_reducible
            .then(|| Reduction::new(model, &self.topology, processes))
            .flatten();
        match reduction {
            Some(reduction) => {
                Traversal::new(self.properties.clone(), Some(reduction.independence))
                    .with_prerequisites(reduction.prerequisites)
            }
            None => Traversal::new(self.properties.clone(), None),
        }
    }

    /// Compares what happened with what was explored, if that was the task.
    fn reproduction(&self, account: &Account) -> Option<Reproduction> {
        let recorded = self.task.recorded?;
        let is_stated = !self.properties.properties.is_empty();
        Some(Reproduction::of(
            recorded.property.as_deref(),
            &self.course,
            account.shown.as_ref(),
            is_stated,
        ))
    }
}

/// Makes a word that only the instances of this session know.
fn new_token() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
