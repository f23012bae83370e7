//! Puts store, providers and clock together for a command, and runs sessions.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tokio::signal::unix::{Signal, SignalKind, signal};
use zenekar_base::{InfrastructureId, Timestamp};
use zenekar_engine::Engine;
use zenekar_occopus::OccopusRenderer;
use zenekar_provider::Provider;
use zenekar_provider_local::Isolation;
use zenekar_provider_sim::{SimFiles, SimProvider};
use zenekar_runtime::{Cancel, CancelHandle, Clock, Host, Pace, Session, SharedStore, Until};
use zenekar_simcloud::{Intervention, Settings as SimSettings};
use zenekar_store::Store;

use crate::arguments::{PaceChoice, RunArguments, SimArguments};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::host_commands::ThisMachine;
use crate::opening;
use crate::output::Output;
use crate::place::Place;
use crate::providers::{self, Needs, settings_to_look};

/// Simulated seconds per second, if nobody says otherwise: a machine that boots
/// in half a minute is there in half a second.
const PACE_DEFAULT: f64 = 60.0;

/// Returns the time that people read from a clock on the wall.
pub(crate) fn wall_now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Reads an infrastructure as its journal says; a new one if there is none.
pub(crate) fn read_or_new(place: &Place, id: &InfrastructureId) -> Result<Engine, Failure> {
    match place.look()? {
        Some(store) if store.infrastructure(id)?.is_some() => read(store, id),
        _ => Ok(Engine::new(id.clone(), settings_to_look())),
    }
}

/// Reads an infrastructure as its journal says.
pub(crate) fn read(store: Store, id: &InfrastructureId) -> Result<Engine, Failure> {
    read_shared(&SharedStore::new(store), id)
}

/// Reads an infrastructure as its journal says, from a store that stays open.
pub(crate) fn read_shared(store: &SharedStore, id: &InfrastructureId) -> Result<Engine, Failure> {
    let host = Host {
        store: store.clone(),
        providers: BTreeMap::new(),
        renderer: Arc::new(OccopusRenderer::default()),
        clock: Clock::real(),
        parallel: None,
        seed: 0,
    };
    let engine = Session::read(&host, id)?;
    Ok(Engine::recover(engine.state().clone(), settings_to_look()))
}

/// What a command works with that changes something.
pub(crate) struct World {
    /// Store, providers and clock.
    pub(crate) host: Arc<Host>,
    /// The isolation of instances on this machine; none if there are none.
    pub(crate) isolation: Option<Isolation>,
}

fn renderer(place: &Place) -> OccopusRenderer {
    let renderer = OccopusRenderer::default();
    if place.allows_host_commands() {
        renderer.with_host_commands(Arc::new(ThisMachine))
    } else {
        renderer
    }
}

/// Builds the world for a command that changes something, with the providers
/// that it needs.
pub(crate) fn world(
    place: &Place,
    store: SharedStore,
    run: &RunArguments,
    isolation: Option<Isolation>,
    needs: &Needs,
) -> Result<World, Failure> {
    needs.check_available()?;
    partial_world(place, store, run, isolation, needs)
}

/// Builds the world as far as this version can reach it: for commands that can
/// do without some of the providers.
pub(crate) fn partial_world(
    place: &Place,
    store: SharedStore,
    run: &RunArguments,
    isolation: Option<Isolation>,
    needs: &Needs,
) -> Result<World, Failure> {
    needs.check(&run.sim, isolation)?;
    let mut opened: BTreeMap<String, Arc<dyn Provider>> = BTreeMap::new();
    let mut clock = Clock::real();
    if needs.has(providers::SIM) {
        let (cloud, its_clock) = open_sim(place, &run.sim, needs.is_simulated())?;
        let sim = SimProvider::new(cloud, Arc::new(its_clock.clone()))?;
        opened.insert(providers::SIM.to_owned(), Arc::new(sim));
        clock = its_clock;
    }
    let mut granted = None;
    if needs.has(providers::LOCAL) {
        let (local, isolation) = providers::open_local(place, isolation)?;
        granted = needs.uses(providers::LOCAL).then_some(isolation);
        opened.insert(providers::LOCAL.to_owned(), local);
    }
    for name in needs.all() {
        if name == providers::SIM || name == providers::LOCAL || !providers::is_available(name) {
            continue;
        }
        match opening::open(place, &store, name) {
            Ok(provider) => {
                opened.insert(name.to_owned(), provider);
            }
            Err(failure) if needs.uses(name) => return Err(failure),
            // Nothing is there any more; what might come late shows when it can be asked again.
            Err(_) => {}
        }
    }
    let host = Arc::new(Host {
        store,
        providers: opened,
        renderer: Arc::new(renderer(place)),
        clock,
        parallel: run.parallel,
        seed: run.sim.seed.unwrap_or(0),
    });
    Ok(World {
        host,
        isolation: granted,
    })
}

/// Opens the simulated cloud and starts the clock that goes on from it: in real
/// time if something else is real.
fn open_sim(
    place: &Place,
    arguments: &SimArguments,
    is_simulated: bool,
) -> Result<(SimFiles, Clock), Failure> {
    let pace = match arguments.pace {
        _ if !is_simulated => Pace::Real,
        None => Pace::Compressed(PACE_DEFAULT),
        Some(PaceChoice::Real) => Pace::Real,
        Some(PaceChoice::Compressed(factor)) => Pace::Compressed(factor),
        Some(PaceChoice::Jump) => Pace::Jump,
    };
    let mut files = SimFiles::open(&place.sim_directory())?;
    let anchor = files.anchor()?;
    let clock = if anchor.cloud <= Timestamp::ZERO {
        Clock::start(pace, wall_now())
    } else {
        Clock::resume(pace, anchor.cloud, anchor.wall)
    };
    let before: &SimSettings = files.cloud().settings();
    let mut wanted = before.clone();
    if let Some(profile) = arguments
        .sim_profile
        .as_deref()
        .and_then(SimSettings::profile)
    {
        wanted = SimSettings {
            seed: before.seed,
            quota: before.quota,
            ..profile
        };
    }
    if let Some(seed) = arguments.seed {
        wanted.seed = seed;
    }
    if wanted != *before {
        files.intervene(clock.now(), Intervention::SetSettings(Box::new(wanted)))?;
    }
    Ok((files, clock))
}

/// Returns when a run has done its work.
pub(crate) fn until_settled(run: &RunArguments) -> Until {
    match run.timeout {
        Some(span) => Until::SettledWithin(zenekar_base::Millis(
            u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
        )),
        None => Until::Settled,
    }
}

/// Runs a future on the small async runtime that only some commands need.
///
/// One thread: the engine has one owner, the calls of the simulated cloud are
/// short, and handing work between threads costs more than it saves.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::internal("cannot start the async runtime").because_of(Some(&error))
        })?;
    let result = runtime.block_on(work);
    // A task that still waits for a provider must not hold the process up.
    runtime.shutdown_background();
    result
}

/// Turns interrupts and requests to terminate into cancellation; `interrupted`
/// is set when that was told on the terminal.
pub(crate) fn cancel_on_signals(
    output: Output,
    interrupted: Arc<AtomicBool>,
) -> Result<Cancel, Failure> {
    let (handle, cancel) = Cancel::new();
    forward_signals(output, interrupted, handle)?;
    Ok(cancel)
}

/// Turns interrupts and requests to terminate into calls of a handle;
/// `interrupted` is set when that was told on the terminal.
pub(crate) fn forward_signals(
    output: Output,
    interrupted: Arc<AtomicBool>,
    handle: CancelHandle,
) -> Result<(), Failure> {
    let (mut interrupt, mut terminate) = signals()?;
    tokio::spawn(async move {
        let mut is_repeated = false;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if !is_repeated && !output.is_json() {
                output.line("\nstopping: nothing new is started; waiting for answers (interrupt again to stop at once)");
                interrupted.store(true, Ordering::Relaxed);
            }
            is_repeated = true;
            handle.cancel();
        }
    });
    Ok(())
}

/// Works until it is done, or ends as cancelled when it is told to stop.
///
/// For commands that show something again and again and have nothing to clean up.
pub(crate) async fn until_stopped<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let (mut interrupt, mut terminate) = signals()?;
    tokio::select! {
        result = work => result,
        _ = interrupt.recv() => Err(Failure::told(Exit::Cancelled)),
        _ = terminate.recv() => Err(Failure::told(Exit::Cancelled)),
    }
}

/// Listens for interrupts and requests to terminate.
pub(crate) fn signals() -> Result<(Signal, Signal), Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| {
            Failure::internal("cannot listen for signals").because_of(Some(&error))
        })
    };
    Ok((
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
    ))
}
