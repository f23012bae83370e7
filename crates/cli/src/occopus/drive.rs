//! Runs sessions for those who watch, until everything is as wanted.

use zenekar_engine::Input;
use zenekar_runtime::{Cancel, Host, Outcome, Session, Silent, Until};

use super::judge::Judge;
use crate::commands::run;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::render::progress::Progress;
use crate::world;

/// Who watches an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Audience {
    /// A person at a terminal: sees progress, and may interrupt.
    Terminal(Output),
    /// Nobody.
    #[allow(dead_code, reason = "the REST service has no terminal")]
    Nobody,
}

/// Why a session ended before everything was as wanted.
pub(super) struct Stopped {
    /// Why.
    pub(super) failure: Failure,
    /// Whether nothing was changed.
    pub(super) is_refused: bool,
}

/// Runs a session until everything is as wanted.
pub(super) async fn drive(
    session: &mut Session,
    host: &Host,
    inputs: Vec<Input>,
    audience: Audience,
) -> Result<(), Stopped> {
    let (handle, cancel) = Cancel::new();
    let (ended, verdict) = match audience {
        Audience::Nobody => {
            let mut silent = Silent;
            let mut judge = Judge::new(&mut silent, handle);
            let ended = session
                .run(inputs, Until::Settled, cancel, &mut judge)
                .await;
            (ended, judge.into_verdict())
        }
        Audience::Terminal(output) => {
            let now = host.clock.now();
            let mut progress = Progress::new(output, session.engine(), host.clock.pace(), now);
            let interrupted = progress.interrupted();
            world::forward_signals(output, interrupted, handle.clone()).map_err(Stopped::from)?;
            let mut judge = Judge::new(&mut progress, handle);
            let ended = session
                .run(inputs, Until::Settled, cancel, &mut judge)
                .await;
            let verdict = judge.into_verdict();
            progress.finish(session.engine());
            (ended, verdict)
        }
    };
    let outcome = ended.map_err(|error| Stopped::from(Failure::from(error)))?;
    if let Some((name, breakage)) = verdict {
        let text = format!("`{name}` cannot get further: {breakage}");
        return Err(Failure::new(Exit::Provider, text)
            .cause("the instance that it replaces never became ready either")
            .into());
    }
    let is_refused = matches!(outcome, Outcome::Refused(_));
    let failure = match outcome {
        Outcome::Converged => return Ok(()),
        Outcome::Refused(reason) => Failure::from(reason),
        Outcome::Blocked(causes) => run::blocked(&causes),
        Outcome::Cancelled => Failure::new(Exit::Cancelled, "stopped before everything was done"),
        Outcome::TimedOut => Failure::new(Exit::Timeout, "not done in time"),
    };
    Err(Stopped {
        failure,
        is_refused,
    })
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            is_refused: false,
        }
    }
}
