//! Hidden roles to look into a network by hand and in tests: without instances around it.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::Pid;

use super::links::Links;
use super::{Description, Subnet, attach, configure, ensure, enter, role, stop};
use crate::LocalError;
use crate::layout::NetworkPaths;

/// Runs one of the roles: the arguments are what to do, the network's directory, and more.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match run(&arguments.collect::<Vec<_>>()) {
        Ok(code) => code,
        Err(error) => {
            role::log(&error.chain());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Result<ExitCode, LocalError> {
    let [what, directory, rest @ ..] = arguments else {
        return Err(LocalError::Invalid("too few arguments".to_owned()));
    };
    let paths = NetworkPaths::new(PathBuf::from(directory));
    match what.to_str() {
        Some("ensure") => say_ensured(&paths, rest),
        Some("stop") => stop(&paths).map(|()| ExitCode::SUCCESS),
        Some("node") => run_node(&paths, rest),
        Some("guest") => run_guest(&paths, rest),
        Some("loopback") => add_to_loopback(rest),
        _ => Err(LocalError::Invalid("no such role".to_owned())),
    }
}

fn own_program() -> Result<PathBuf, LocalError> {
    std::env::current_exe().map_err(LocalError::system("find the own program"))
}

/// `ensure DIR ISOLATION [PID…]`: prints the network, its switch, and why nothing outside is reached.
fn say_ensured(paths: &NetworkPaths, rest: &[OsString]) -> Result<ExitCode, LocalError> {
    let isolation = text(rest, 0)?.parse().map_err(LocalError::Invalid)?;
    let siblings: Vec<Pid> = rest[1..]
        .iter()
        .filter_map(|pid| pid.to_str()?.parse().ok().map(Pid::from_raw))
        .collect();
    let info = ensure(paths, isolation, &siblings, &own_program()?)?;
    let line = format!(
        "{} {} {} {}",
        info.subnet,
        info.gateway_address,
        info.switch_pid,
        info.no_outbound.unwrap_or_default()
    );
    writeln!(io::stdout(), "{}", line.trim_end()).map_err(LocalError::system("print"))?;
    Ok(ExitCode::SUCCESS)
}

/// `node DIR NUMBER PROGRAM ARGUMENT…`: runs a program as the instance with that number.
fn run_node(paths: &NetworkPaths, rest: &[OsString]) -> Result<ExitCode, LocalError> {
    let number: u16 = number(rest)?;
    let description = Description::read(paths)?;
    let switch = role::holder(&paths.switch_lock())?
        .ok_or_else(|| LocalError::NotFound("the network has no switch".to_owned()))?;
    enter(switch, description.isolation)?;
    let mut guest = Command::new(own_program()?)
        .args(["__local", "network", "guest"])
        .arg(paths.root())
        .args(rest)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(LocalError::system("start the guest"))?;
    let (Some(mut input), Some(output)) = (guest.stdin.take(), guest.stdout.take()) else {
        return Err(LocalError::Invalid("the guest has no pipes".to_owned()));
    };
    let mut output = BufReader::new(output);
    let mut line = String::new();
    output
        .read_line(&mut line)
        .map_err(LocalError::system("hear the guest"))?;
    let process = i32::try_from(guest.id()).unwrap_or_default();
    attach(Pid::from_raw(process), number)?;
    writeln!(input, "attached").map_err(LocalError::system("tell the guest"))?;
    drop(input);
    io::copy(&mut output, &mut io::stdout()).map_err(LocalError::system("copy the output"))?;
    let status = guest
        .wait()
        .map_err(LocalError::system("wait for the guest"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// The other half of `node`: what runs inside.
fn run_guest(paths: &NetworkPaths, rest: &[OsString]) -> Result<ExitCode, LocalError> {
    let subnet: Subnet = Description::read(paths)?.subnet;
    let address = subnet
        .instance(number(rest)?)
        .ok_or_else(|| LocalError::Invalid("it is no instance's number".to_owned()))?;
    unshare(CloneFlags::CLONE_NEWNET).map_err(LocalError::system("make a network namespace"))?;
    writeln!(io::stdout(), "ready").map_err(LocalError::system("print"))?;
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(LocalError::system("wait for the link"))?;
    configure(address, subnet)?;
    let [_, program, arguments @ ..] = rest else {
        return Err(LocalError::Invalid("there is no program".to_owned()));
    };
    let error = Command::new(program).args(arguments).exec();
    Err(LocalError::file("run", Path::new(program))(error))
}

/// `loopback DIR ADDRESS…`: makes a new network namespace one of a machine with these addresses.
fn add_to_loopback(rest: &[OsString]) -> Result<ExitCode, LocalError> {
    let links = Links::open()?;
    links.up("lo")?;
    for index in 0..rest.len() {
        let address = text(rest, index)?
            .parse()
            .map_err(|_| LocalError::Invalid("it is no address".to_owned()))?;
        links.add_address("lo", address, 32)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn number(rest: &[OsString]) -> Result<u16, LocalError> {
    text(rest, 0)?
        .parse()
        .map_err(|_| LocalError::Invalid("it is no number".to_owned()))
}

fn text(rest: &[OsString], index: usize) -> Result<&str, LocalError> {
    rest.get(index)
        .and_then(|text| text.to_str())
        .ok_or_else(|| LocalError::Invalid("too few arguments".to_owned()))
}
