//! Asks clouds, before anything is created, whether it can be.
//!
//! Every cloud that is to create something is asked once, all at the same time,
//! by calls that only read; all problems are told together, with their places.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value as Json, json};
use zenekar_base::{CloudKey, ErrorClass, InfrastructureId, ProviderError};
use zenekar_diagnostics::codes::{Code, preflight as codes};
use zenekar_diagnostics::{Diagnostic, Label, SourceMap, Span, render_human, render_json};
use zenekar_engine::{Action, Engine, Plan};
use zenekar_model::{NodeIndex, Topology};
use zenekar_occopus::{LoadOptions, Sections, load};
use zenekar_provider::{CheckNode, CheckRequest, Problem, ProblemKind};
use zenekar_runtime::SharedStore;

use crate::arguments::DescriptorArguments;
use crate::clouds::CLOUD_KINDS;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::opening;
use crate::output::{Output, counted};
use crate::place::Place;
use crate::rehearsal::Rehearsal;
use crate::world;

/// How long a cloud may take for all its answers: a minute of silence before a
/// preview is too long for people, and clouds answer single calls in a second.
const CHECK_TIMEOUT: Duration = Duration::from_secs(45);

/// Nodes that one finding names.
const NODES_NAMED_MAX: usize = 4;

/// What the clouds said.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// By provider.
    problems: Vec<(String, Problem)>,
}

/// Asks all clouds that a plan creates something at.
pub(crate) fn ask(
    place: &Place,
    id: &InfrastructureId,
    topology: &Topology,
    changed: &Engine,
    plan: &Plan,
    arguments: &DescriptorArguments,
) -> Result<Findings, Failure> {
    let counts = counts(changed, plan, topology);
    if counts.is_empty() {
        return Ok(Findings::default());
    }
    let requests = requests(id, topology, &counts, arguments)?;
    let mut findings = Findings::default();
    let store = place.look()?.map(SharedStore::new);
    let mut opened = Vec::new();
    for (name, request) in requests {
        let key: CloudKey = name
            .parse()
            .map_err(|error: zenekar_base::CloudKeyError| Failure::usage(error.to_string()))?;
        let opening = match &store {
            // Then our own machines are known as ours, and in nobody's way.
            Some(store) => opening::open(place, store, &name),
            None => opening::open_key(place, &key),
        };
        match opening {
            Ok(provider) => opened.push((name, provider, request)),
            Err(failure) => findings.problems.push((name, problem_of_opening(&failure))),
        }
    }
    let answers = world::block_on(async {
        let mut tasks = Vec::new();
        for (name, provider, request) in opened {
            tasks.push(tokio::spawn(async move {
                let asked = tokio::time::timeout(CHECK_TIMEOUT, provider.check(request)).await;
                (name, asked)
            }));
        }
        let mut answers = Vec::new();
        for task in tasks {
            let answer = task.await.map_err(|error| {
                Failure::internal("a check was given up").because_of(Some(&error))
            })?;
            answers.push(answer);
        }
        Ok(answers)
    })?;
    for (name, answer) in answers {
        let problems = match answer {
            Ok(Ok(problems)) => problems,
            Ok(Err(error)) => vec![problem_of(&error)],
            Err(_) => vec![plain_problem(
                ProblemKind::Unreachable,
                format!("no answer within {} s", CHECK_TIMEOUT.as_secs()),
            )],
        };
        let named = problems.into_iter().map(|problem| (name.clone(), problem));
        findings.problems.extend(named);
    }
    Ok(findings)
}

/// Counts what a plan creates by node, of nodes that are at clouds.
fn counts(changed: &Engine, plan: &Plan, topology: &Topology) -> BTreeMap<NodeIndex, u32> {
    let mut counts = BTreeMap::new();
    for step in &plan.steps {
        if !matches!(step.action, Action::Create | Action::Replace) {
            continue;
        }
        let Some(index) = changed.state().node(step.node).index else {
            continue;
        };
        let is_at_cloud = topology.candidate(index, 0).is_some_and(|implementation| {
            CLOUD_KINDS.contains(&zenekar_base::kind_of_provider(&implementation.provider))
        });
        if is_at_cloud {
            *counts.entry(index).or_insert(0) += 1;
        }
    }
    counts
}

/// Renders what would be created, by provider.
fn requests(
    id: &InfrastructureId,
    topology: &Topology,
    counts: &BTreeMap<NodeIndex, u32>,
    arguments: &DescriptorArguments,
) -> Result<BTreeMap<String, CheckRequest>, Failure> {
    let mut rehearsal = Rehearsal::new(topology, id.clone(), arguments.allow_host_commands);
    let shown = rehearsal.run(topology, None, false)?;
    let by_name: BTreeMap<&str, u32> = counts
        .iter()
        .map(|(index, count)| (topology.node(*index).name.as_str(), *count))
        .collect();
    let mut requests: BTreeMap<String, CheckRequest> = BTreeMap::new();
    for one in shown {
        let Some(count) = by_name.get(one.node) else {
            continue;
        };
        let request = requests
            .entry(one.implementation.provider.clone())
            .or_insert_with(|| CheckRequest {
                infrastructure: id.clone(),
                nodes: Vec::new(),
            });
        request.nodes.push(CheckNode {
            name: one.node.to_owned(),
            count: *count,
            rendered: one.rendered,
        });
    }
    Ok(requests)
}

fn plain_problem(kind: ProblemKind, message: String) -> Problem {
    Problem {
        kind,
        nodes: Vec::new(),
        key: None,
        message,
        hint: None,
        is_warning: false,
    }
}

fn problem_of_opening(failure: &Failure) -> Problem {
    let kind = if failure.exit == Exit::Auth {
        ProblemKind::Credentials
    } else {
        ProblemKind::Setting
    };
    plain_problem(kind, failure.message().to_owned())
}

fn problem_of(error: &ProviderError) -> Problem {
    let kind = match error.class {
        ErrorClass::Auth => ProblemKind::Credentials,
        ErrorClass::Quota | ErrorClass::Capacity => ProblemKind::Quota,
        ErrorClass::Invalid | ErrorClass::Conflict | ErrorClass::NotFound => ProblemKind::Setting,
        ErrorClass::Retryable | ErrorClass::Throttled | ErrorClass::Unknown => {
            ProblemKind::Unreachable
        }
    };
    plain_problem(kind, error.message.clone())
}

/// Returns the code of a kind of problems.
fn code_of(kind: ProblemKind) -> &'static Code {
    match kind {
        ProblemKind::Unreachable => &codes::UNREACHABLE,
        ProblemKind::Credentials => &codes::CREDENTIALS,
        ProblemKind::Permission => &codes::PERMISSION,
        ProblemKind::Image => &codes::IMAGE,
        ProblemKind::InstanceType => &codes::INSTANCE_TYPE,
        ProblemKind::Network => &codes::NETWORK,
        ProblemKind::SecurityGroup => &codes::SECURITY_GROUP,
        ProblemKind::KeyPair => &codes::KEY_PAIR,
        ProblemKind::Volume => &codes::VOLUME,
        ProblemKind::Quota => &codes::QUOTA,
        ProblemKind::UserData => &codes::USER_DATA,
        ProblemKind::Setting => &codes::SETTING,
        ProblemKind::Account => &codes::ACCOUNT,
    }
}

impl Findings {
    /// Returns how a command ends that must not go on with them; none if it may.
    pub(crate) fn exit(&self) -> Option<Exit> {
        let errors = || {
            self.problems
                .iter()
                .filter(|(_, problem)| !problem.is_warning)
        };
        let any = |kinds: &[ProblemKind]| errors().any(|(_, one)| kinds.contains(&one.kind));
        if any(&[
            ProblemKind::Credentials,
            ProblemKind::Permission,
            ProblemKind::Account,
        ]) {
            Some(Exit::Auth)
        } else if any(&[ProblemKind::Quota])
            && errors().all(|(_, one)| one.kind == ProblemKind::Quota)
        {
            Some(Exit::Capacity)
        } else if errors().next().is_some() {
            Some(Exit::Provider)
        } else {
            None
        }
    }

    /// Makes the failure of a command that must not go on; none if it may.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let exit = self.exit()?;
        let errors = self.problems.iter().filter(|(_, one)| !one.is_warning);
        let count = counted(errors.count(), "problem");
        Some(
            Failure::new(exit, format!("this cannot be created as it is: {count}"))
                .hint("nothing was changed; `--skip-checks` goes on without asking the clouds"),
        )
    }

    /// Tells the findings on stderr, with their places in the descriptor.
    pub(crate) fn tell(
        &self,
        arguments: &DescriptorArguments,
        topology: &Topology,
        output: Output,
    ) {
        if self.problems.is_empty() {
            return;
        }
        let mut sources = SourceMap::default();
        let diagnostics = self.diagnostics(arguments, topology, &mut sources);
        if output.is_json() {
            output.line(&render_json(&diagnostics, &sources).to_string());
        } else {
            output.talk(&render_human(
                &diagnostics,
                &sources,
                output.talk_paint.is_enabled(),
            ));
        }
    }

    /// Returns the findings as a program reads them in a plan.
    pub(crate) fn to_json(&self) -> Json {
        let problems = self.problems.iter().map(|(provider, problem)| {
            json!({
                "code": code_of(problem.kind).id,
                "severity": if problem.is_warning { "warning" } else { "error" },
                "kind": problem.kind,
                "provider": provider,
                "nodes": problem.nodes,
                "key": problem.key,
                "message": problem.message,
                "hint": problem.hint,
            })
        });
        problems.collect()
    }

    fn diagnostics(
        &self,
        arguments: &DescriptorArguments,
        topology: &Topology,
        sources: &mut SourceMap,
    ) -> Vec<Diagnostic> {
        let places = Places::read(arguments, sources);
        self.problems
            .iter()
            .map(|(provider, problem)| {
                let nodes: Vec<String> = problem
                    .nodes
                    .iter()
                    .take(NODES_NAMED_MAX)
                    .map(|node| format!("`{node}`"))
                    .collect();
                let more = problem.nodes.len().saturating_sub(NODES_NAMED_MAX);
                let concerned = match (nodes.is_empty(), more) {
                    (true, _) => String::new(),
                    (false, 0) => format!(" (node {})", nodes.join(", ")),
                    (false, more) => format!(" (node {} and {more} more)", nodes.join(", ")),
                };
                let message = format!("`{provider}`: {}{concerned}", problem.message);
                let mut finding = if problem.is_warning {
                    Diagnostic::warning(code_of(problem.kind), message)
                } else {
                    Diagnostic::error(code_of(problem.kind), message)
                };
                let place = problem
                    .nodes
                    .first()
                    .and_then(|node| places.find(topology, node, problem.key.as_deref()));
                finding.primary = place.map(|span| Label {
                    span,
                    text: String::new(),
                });
                finding.help.extend(problem.hint.clone());
                finding
            })
            .collect()
    }
}

/// Where the parts of a descriptor are written.
struct Places {
    sections: Sections,
}

impl Places {
    fn read(arguments: &DescriptorArguments, sources: &mut SourceMap) -> Self {
        let options = LoadOptions {
            definitions: arguments.nodes.clone(),
            ..LoadOptions::default()
        };
        let files = load(
            Path::new(&arguments.file),
            &options,
            &mut SourceMap::default(),
        )
        .summary
        .files;
        Self {
            sections: Sections::read(&files, &options.limits, sources),
        }
    }

    /// Finds the key of the resource section that a node is made from.
    fn find(&self, topology: &Topology, node: &str, key: Option<&str>) -> Option<Span> {
        let index = topology.find(node)?;
        let chosen = *topology.node(index).candidates.first()? as usize;
        let type_name = &topology.definition_of(index).name;
        let implementations = self.sections.implementations();
        let implementation = implementations
            .iter()
            .find(|one| one.type_name == type_name && one.position == chosen)?;
        let resource = implementation.view.get("resource")?;
        let of_key = key.and_then(|key| resource.get(key));
        Some(of_key.unwrap_or(resource).span())
    }
}
