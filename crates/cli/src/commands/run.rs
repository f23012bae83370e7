//! What `up`, `scale`, `watch` and `down` share: preview, question, session, result.

use std::io::{BufRead, Write};

use serde_json::json;
use zenekar_base::{ErrorClass, InfrastructureId};
use zenekar_engine::{Engine, Input, Notice, Plan};
use zenekar_provider::ObserveScope;
use zenekar_provider_local::Isolation;
use zenekar_runtime::{Host, Outcome, Session, Until};

use crate::errors::{Failure, exit_of_class, hint_of_class};
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION, counted, grouped};
use crate::providers::LOCAL;
use crate::render::plan::{Preview, cut};
use crate::render::progress::Progress;
use crate::render::status::Tally;
use crate::world;

/// Characters of a provider's words in an error.
const MESSAGE_CHARS_MAX: usize = 400;

/// Causes of a standstill that an error lists.
const CAUSES_LISTED_MAX: usize = 6;

/// Shows on stderr what would be done.
pub(crate) fn show_preview(id: &InfrastructureId, engine: &Engine, plan: &Plan, output: Output) {
    if output.is_json() {
        return;
    }
    let preview = Preview {
        infrastructure: id.as_str(),
        engine,
        plan,
    };
    output.talk(&preview.to_text(output.talk_paint, false));
}

/// Asks before something is done.
pub(crate) fn confirm(question: &str, yes: bool, output: Output) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !output.can_ask() {
        return Err(
            Failure::usage("cannot ask for confirmation: this is not a terminal")
                .hint("`--yes` goes on without asking"),
        );
    }
    output.talk(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    // The answer is echoed by the terminal; an end of input is not.
    if matches!(read, Ok(0)) {
        let _ = std::io::stderr().write_all(b"\n");
    }
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Cancelled, "nothing was changed")),
    }
}

/// What a session is run for.
pub(crate) struct Work<'a> {
    /// The command, as the last line names it.
    pub(crate) command: &'static str,
    /// The infrastructure.
    pub(crate) id: &'a InfrastructureId,
    /// The isolation of instances on this machine, if there are any.
    pub(crate) isolation: Option<Isolation>,
    /// What the preview has said already.
    pub(crate) notices: Vec<Notice>,
    /// What the engine is told first.
    pub(crate) inputs: Vec<Input>,
    /// When it is done.
    pub(crate) until: Until,
    /// The command that continues it, for hints.
    pub(crate) again: String,
}

/// Runs a session to its end and tells what came of it.
pub(crate) async fn run(
    mut session: Session,
    host: &Host,
    mut work: Work<'_>,
    output: Output,
) -> Result<Exit, Failure> {
    let started_at = host.clock.now();
    let mut progress = Progress::new(output, session.engine(), host.clock.pace(), started_at)
        .without(std::mem::take(&mut work.notices));
    let cancel = world::cancel_on_signals(output, progress.interrupted())?;
    let outcome = session
        .run(
            std::mem::take(&mut work.inputs),
            work.until,
            cancel,
            &mut progress,
        )
        .await?;
    progress.finish(session.engine());
    let unanswered = session.calls_unanswered();
    let took = match outcome {
        // What was waited for in vain did not happen: only the clock tells how long.
        Outcome::TimedOut => progress.span_text(host.clock.now().since(started_at)),
        _ => progress.elapsed_text(session.engine()),
    };
    if output.is_json() {
        let elapsed_ms = progress.elapsed(session.engine()).0;
        output.json(&result_json(&work, session.engine(), &outcome, elapsed_ms))?;
    } else {
        tell_outcome(&work, session.engine(), &outcome, &took, output);
        if outcome == Outcome::Converged {
            tell_details(work.id, session.engine(), host, output).await;
        }
    }
    let ended = end(&work, session.engine(), outcome, unanswered, &took);
    session.close()?;
    ended
}

fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Converged => "converged",
        Outcome::Blocked(_) => "blocked",
        Outcome::Refused(_) => "refused",
        Outcome::Cancelled => "cancelled",
        Outcome::TimedOut => "timed-out",
    }
}

fn result_json(
    work: &Work<'_>,
    engine: &Engine,
    outcome: &Outcome,
    elapsed_ms: u64,
) -> serde_json::Value {
    let tally = Tally::of(engine);
    let causes: Vec<_> = match outcome {
        Outcome::Blocked(causes) => causes
            .iter()
            .map(|(subject, class, message)| json!({ "subject": subject, "class": class.name(), "message": message }))
            .collect(),
        _ => Vec::new(),
    };
    json!({
        "schema_version": SCHEMA_VERSION,
        "kind": "result",
        "infrastructure": work.id.as_str(),
        "outcome": outcome_name(outcome),
        "generation": engine.state().generation(),
        "ready": tally.serving,
        "wanted": tally.wanted,
        "existing": machines(engine),
        "elapsed_ms": elapsed_ms,
        "isolation": work.isolation.map(Isolation::name),
        "causes": causes,
    })
}

fn tell_outcome(work: &Work<'_>, engine: &Engine, outcome: &Outcome, took: &str, output: Output) {
    if *outcome != Outcome::Converged {
        return;
    }
    let paint = output.talk_paint;
    let tally = Tally::of(engine);
    let text = if engine.state().torn_down {
        format!(
            "{} {}: everything is gone, after {took}",
            paint.good("down:"),
            paint.strong(work.id.as_str())
        )
    } else {
        format!(
            "{} {}: {} of {} ready, after {took}",
            paint.good(&format!("{}:", work.command)),
            paint.strong(work.id.as_str()),
            grouped(tally.serving),
            counted(tally.wanted, "instance"),
        )
    };
    output.line(&text);
    if let Some(isolation) = work.isolation
        && work.command == "up"
    {
        output.line(&isolation_text(isolation));
    }
}

/// Instances that are named one by one in warnings.
const DETAILS_TOLD_MAX: usize = 10;

/// Warns of instances on this machine that are ready and yet not as they
/// should be: steps of their contextualisation failed, or their command ended.
pub(crate) async fn tell_details(
    id: &InfrastructureId,
    engine: &Engine,
    host: &Host,
    output: Output,
) {
    let Some(provider) = host.providers.get(LOCAL) else {
        return;
    };
    let observed = provider.observe(id.clone(), ObserveScope::All).await;
    // What cannot be looked at now is shown by the next command that looks.
    let views = observed.unwrap_or_default();
    let details: Vec<(String, String)> = views
        .into_iter()
        .filter_map(|view| {
            let instances = engine.state().instances.values();
            let instance = instances
                .into_iter()
                .find(|instance| instance.resource.as_ref() == Some(&view.resource))?;
            Some((engine.state().instance_name(instance), view.detail?))
        })
        .collect();
    for (name, detail) in details.iter().take(DETAILS_TOLD_MAX) {
        output.warn(&format!(
            "`{name}`: {detail}; `zenekar logs {name}` shows more"
        ));
    }
    if details.len() > DETAILS_TOLD_MAX {
        output.line(&format!(
            "and {} more",
            counted(details.len() - DETAILS_TOLD_MAX, "warning")
        ));
    }
}

/// Says in one line what keeps instances on this machine apart.
fn isolation_text(isolation: Isolation) -> String {
    let less = match isolation {
        Isolation::Namespaces if zenekar_provider_local::enforces_limits() => {
            return format!("isolation: `{isolation}`");
        }
        Isolation::Namespaces | Isolation::UserNamespaces => "limits are not enforced",
        Isolation::Plain => "instances share the machine's files, packages and network",
    };
    format!("isolation: `{isolation}`: {less}; `zenekar doctor` says what would give more")
}

/// Turns the outcome of a session into how the command ends.
fn end(
    work: &Work<'_>,
    engine: &Engine,
    outcome: Outcome,
    unanswered: usize,
    took: &str,
) -> Result<Exit, Failure> {
    let again = format!("`{}` continues", work.again);
    match outcome {
        Outcome::Converged => Ok(Exit::Success),
        Outcome::Refused(reason) => Err(reason.into()),
        Outcome::Blocked(causes) => Err(blocked(&causes).hint(again)),
        Outcome::Cancelled => Err(with_remains(
            Failure::new(Exit::Cancelled, stopped_text(work)),
            engine,
            unanswered,
        )
        .hint(again)),
        Outcome::TimedOut => Err(with_remains(
            Failure::new(Exit::Timeout, format!("not done within {took}")),
            engine,
            unanswered,
        )
        .hint(again)),
    }
}

/// Says what an interrupt ended: what has no end by itself was not cut short.
const fn stopped_text(work: &Work<'_>) -> &'static str {
    match work.until {
        Until::Forever => "stopped watching",
        _ => "stopped before everything was done",
    }
}

/// Returns how many machines are known to be at the providers.
fn machines(engine: &Engine) -> usize {
    let instances = engine.state().instances.values();
    instances
        .filter(|instance| instance.resource.is_some())
        .count()
}

/// Says what goes on running at the providers.
fn with_remains(failure: Failure, engine: &Engine, unanswered: usize) -> Failure {
    let tally = Tally::of(engine);
    let existing = machines(engine);
    let ready = format!(
        "{} of {} ready",
        grouped(tally.serving),
        counted(tally.wanted, "instance")
    );
    let failure = failure.cause(format!(
        "{ready}; {} at the providers, which go on running",
        counted(existing, "machine")
    ));
    let state = engine.state();
    let unreleased = state.release_errors.iter();
    let failure = unreleased.fold(failure, |failure, (provider, (_, message))| {
        failure.cause(format!(
            "what `{}` has besides instances cannot go: {message}",
            state.providers[provider.index()]
        ))
    });
    if unanswered > 0 {
        failure.cause(format!(
            "{} not answered; their outcome is looked up next time",
            counted(unanswered, "call")
        ))
    } else {
        failure
    }
}

/// Makes the failure for an infrastructure that does not get further.
pub(crate) fn blocked(causes: &[(String, ErrorClass, String)]) -> Failure {
    // What a person can remove counts more than what may pass by itself.
    let rank = |class: ErrorClass| match class {
        ErrorClass::Auth => 0,
        ErrorClass::Quota => 1,
        ErrorClass::Capacity => 2,
        ErrorClass::Invalid => 3,
        _ => 4,
    };
    let Some((subject, class, message)) = causes.iter().min_by_key(|(_, class, _)| rank(*class))
    else {
        return Failure::internal("nothing gets further, and nobody knows why");
    };
    let mut failure = Failure::new(
        exit_of_class(*class),
        format!(
            "`{subject}` cannot get further: {} ({class})",
            cut(message, MESSAGE_CHARS_MAX)
        ),
    );
    for (other, class, message) in causes
        .iter()
        .filter(|(other, ..)| other != subject)
        .take(CAUSES_LISTED_MAX)
    {
        failure = failure.cause(format!(
            "`{other}`: {} ({class})",
            cut(message, MESSAGE_CHARS_MAX)
        ));
    }
    if causes.len() > CAUSES_LISTED_MAX + 1 {
        failure = failure.cause(format!("and {} more", causes.len() - CAUSES_LISTED_MAX - 1));
    }
    failure.hint(format!(
        "{}; `zenekar why {subject}` says more",
        hint_of_class(*class)
    ))
}
