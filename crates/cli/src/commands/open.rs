//! `zenekar open`: the URL under which a port of an instance is reached.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use zenekar_base::InfrastructureId;
use zenekar_provider::Reach;

use crate::arguments::{Global, OpenArguments};
use crate::commands::target::{self, Subject, Target};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION};
use crate::world;

/// Connections that are relayed at once: a browser opens a handful per tab, and
/// each costs two files, of which a process may often have 1,024.
const CONNECTIONS_MAX: usize = 256;

/// The pause after a connection could not be accepted: what is lacking then,
/// files or memory, does not come back at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What opens URLs on desktops.
const OPENER: &str = "xdg-open";

pub(crate) fn run(
    arguments: &OpenArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let port = arguments.port().map_err(|why| {
        Failure::usage(why)
            .hint("for example `zenekar open web 8080`, or `zenekar open web/2 8080`")
    })?;
    let words = &arguments.subject[..arguments.subject.len().saturating_sub(1)];
    let mut subject = Subject::find(words, global)?;
    let target = subject.only(output)?;
    let infrastructure = subject.infrastructure.clone();
    drop(subject);
    world::block_on(async {
        let reach = target
            .provider
            .reach(infrastructure.clone(), target.resource.clone(), port)
            .await
            .map_err(|error| target::failed(&target, &error))?;
        match reach {
            Reach::Direct(address) if arguments.listen.is_none() => {
                tell(address, port, "direct", arguments, output)?;
                Ok(Exit::Success)
            }
            Reach::Direct(_) | Reach::Through => {
                world::until_stopped(async {
                    let listener = listen(arguments.listen).await?;
                    let address = listener.local_addr().map_err(|error| {
                        Failure::internal("cannot tell the own address").because_of(Some(&error))
                    })?;
                    tell(address, port, "relayed", arguments, output)?;
                    if !output.is_json() {
                        output.line(&format!(
                            "relaying to port {port} of `{}`; interrupt to stop",
                            target.name
                        ));
                    }
                    relay(listener, infrastructure, target, port, output).await
                })
                .await
            }
        }
    })
}

/// Prints the URL, and opens it if that is asked for.
fn tell(
    address: SocketAddr,
    port: u16,
    reach: &str,
    arguments: &OpenArguments,
    output: Output,
) -> Result<(), Failure> {
    let scheme = if port == 443 { "https" } else { "http" };
    let url = format!("{scheme}://{address}{}", arguments.path);
    if output.is_json() {
        output.json_line(&json!({
            "schema_version": SCHEMA_VERSION, "kind": "url", "url": url, "reach": reach,
        }))?;
    } else {
        output.data(&format!("{url}\n"))?;
    }
    if arguments.browser {
        browse(&url, output);
    }
    Ok(())
}

/// Opens a URL with what the desktop has for it.
fn browse(url: &str, output: Output) {
    let Some(program) = find_program(OPENER) else {
        output.warn(&format!(
            "cannot open a browser: there is no `{OPENER}` here"
        ));
        return;
    };
    let started = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = started {
        output.warn(&format!("cannot run `{OPENER}`: {error}"));
    }
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

async fn listen(address: Option<SocketAddr>) -> Result<TcpListener, Failure> {
    let address = address.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    TcpListener::bind(address).await.map_err(|error| {
        Failure::usage(format!("cannot listen at `{address}`"))
            .cause(error.to_string())
            .hint("without `--listen` a free port is taken")
    })
}

/// Relays connections until nobody wants any more.
async fn relay(
    listener: TcpListener,
    infrastructure: InfrastructureId,
    target: Target,
    port: u16,
    output: Output,
) -> Result<Exit, Failure> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places)
            .acquire_owned()
            .await
            .expect("nobody closes the semaphore");
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                output.warn(&format!("cannot accept a connection: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (infrastructure, target) = (infrastructure.clone(), target.clone());
        tokio::spawn(async move {
            if let Err(why) = serve(client, infrastructure, &target, port).await {
                output.warn(&format!("`{}`: {why}", target.name));
            }
            drop(place);
        });
    }
}

/// Relays one connection to its end.
async fn serve(
    mut client: TcpStream,
    infrastructure: InfrastructureId,
    target: &Target,
    port: u16,
) -> Result<(), String> {
    let connection = target
        .provider
        .connect(infrastructure, target.resource.clone(), port)
        .await
        .map_err(|error| error.message)?;
    let mut server = connection
        .set_nonblocking(true)
        .and_then(|()| TcpStream::from_std(connection))
        .map_err(|error| format!("cannot use the connection: {error}"))?;
    // How a connection ends is the business of its two sides.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    Ok(())
}
