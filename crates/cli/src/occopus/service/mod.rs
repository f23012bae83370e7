//! `occopus-rest-service`: Occopus's REST interface.
//!
//! The paths and their quirks are in `zenekar-occopus-rest`; this carries the
//! operations out. Each attached infrastructure is led by a [`keeper`], and
//! which ones are attached is [remembered](maintained) over the service's end.

mod information;
mod keeper;
mod maintained;
mod serving;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use zenekar_occopus_rest::{ServeError, Server};

use crate::arguments::Global;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::occopus::arguments::RestServiceArguments;
use crate::occopus::operations::Bench;
use crate::output::Output;
use crate::world;
use serving::Service;

/// The name under which the service leads infrastructures.
pub(crate) const NAME: &str = "occopus-rest-service";

/// Where the service listens if nobody says otherwise.
const HOST_DEFAULT: &str = "127.0.0.1";

/// The port at which the service listens if nobody says otherwise.
const PORT_DEFAULT: u16 = 5000;

/// How long infrastructures may take to be let go of when the service ends.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until it is stopped.
pub(crate) fn run(
    arguments: &RestServiceArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let bench = crate::occopus::bench(&arguments.files, arguments.parallelize, global, output)?;
    let configured = &bench.configuration;
    let host = arguments
        .host
        .clone()
        .or_else(|| configured.rest_host.clone());
    let host = host.unwrap_or_else(|| HOST_DEFAULT.to_owned());
    let port = arguments
        .port
        .or(configured.rest_port)
        .unwrap_or(PORT_DEFAULT);
    // Infrastructures must not wait for each other's work.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::internal("cannot start the async runtime").because_of(Some(&error))
        })?;
    let served = runtime.block_on(serve(bench, &host, port, output));
    // Work that nobody waits for any more must not hold the process up.
    runtime.shutdown_background();
    served
}

async fn serve(bench: Bench, host: &str, port: u16, output: Output) -> Result<Exit, Failure> {
    let server = Server::listen(host, port).await.map_err(|error| {
        let ServeError::Listen { source, .. } = &error;
        Failure::new(Exit::Usage, error.to_string())
            .because_of(Some(source))
            .hint("choose another address with `--host` and `--port`")
    })?;
    let (mut interrupt, mut terminate) = world::signals()?;
    let service = Arc::new(Service::new(bench, output)?);
    greet(server.address(), output);
    service.restore().await?;
    let ended = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    server.run(Arc::clone(&service) as _, ended).await;
    // Whoever does not let go in time is found by the next one that leads.
    let _ = tokio::time::timeout(END_TIMEOUT, service.end()).await;
    Ok(Exit::Success)
}

/// Tells where the service is, as Flask did.
fn greet(address: SocketAddr, output: Output) {
    if !address.ip().is_loopback() {
        output.warn(&format!(
            "everybody who reaches `{address}` can create and delete infrastructures: there is no authentication"
        ));
    }
    output.line(&format!(
        " * Running on http://{address}/ (Press CTRL+C to quit)"
    ));
}
