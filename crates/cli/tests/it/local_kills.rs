//! Kills the command while it works on instances of this very machine, and
//! counts what is left.
//!
//! `ZENEKAR_TEST_BUDGET=deep` tries every boundary and 100 random moments as
//! root, 20 as an ordinary user; otherwise fewer.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::kill_sweep::{has_died, is_deep, is_full};
use crate::local::Machine;
use crate::traces::Traces;

/// How much is tried.
struct Budget {
    /// Every so many boundaries one is tried.
    stride: u64,
    /// Kills at random moments as root, and as an ordinary user.
    kills: (u32, u32),
}

impl Budget {
    fn read() -> Self {
        let (stride, kills) = match (is_deep(), is_full()) {
            (true, _) => (1, (100, 20)),
            (_, true) => (2, (40, 8)),
            _ => (7, (10, 3)),
        };
        Self { stride, kills }
    }
}

/// More boundaries than any of the commands has.
const BOUNDARIES_MAX: u64 = 2_000;

/// Three nodes in two levels; two of them read the first one's address.
fn describe(machine: &Machine) -> String {
    let mut text = "infra_name: swept\nuser_id: somebody\nnodes:\n".to_owned();
    for (name, scaling) in [
        ("db", "{min: 1, max: 1}"),
        ("app", "{min: 2, max: 5}"),
        ("job", "{min: 2, max: 3}"),
    ] {
        let _ = writeln!(
            text,
            "  - &{name} {{name: {name}, type: {name}, scaling: {scaling}}}"
        );
    }
    text.push_str("dependencies:\n  - connection: [*app, *db]\n  - connection: [*job, *db]\n");
    for name in ["db", "app", "job"] {
        let command = if name == "db" {
            "echo ready"
        } else {
            "echo {{getip('db')}} > /tmp/db"
        };
        let _ = writeln!(
            text,
            "'node_def:{name}':\n  - resource: {{type: local}}\n    contextualisation:\n      type: cloudinit\n      context_template: |\n        #cloud-config\n        runcmd: [\"{command}\"]"
        );
    }
    let path = machine.sandbox.write("swept.yaml", &text);
    path.display().to_string()
}

fn up(file: &str) -> Vec<&str> {
    vec!["up", file, "--yes", "--timeout", "90s"]
}

const DOWN: [&str; 5] = ["down", "swept", "--yes", "--timeout", "90s"];

/// Runs the command to its end, after it was killed before.
#[track_caller]
fn run_again(machine: &Machine, arguments: &[&str], what: &str) {
    let again = machine.run(arguments);
    assert_eq!(
        again.code,
        Some(0),
        "{what}, then run again:\n{}\n{}",
        again.stdout,
        again.stderr
    );
}

fn wanted(app: usize) -> [(&'static str, usize); 3] {
    [("db", 1), ("app", app), ("job", 2)]
}

/// What dies.
#[derive(Clone, Copy, Debug)]
enum Victims {
    /// The command.
    Command,
    /// All that a terminal would have ended with it.
    Group,
    /// The command and all that it was just starting.
    Starting,
}

fn kill(targets: &[String]) {
    let status = Command::new("kill")
        .args(["-KILL", "--"])
        .args(targets)
        .stderr(Stdio::null())
        .status();
    // Those that ended before are no failure.
    status.expect("there is a kill");
}

/// Kills the command, and what else is to die.
fn strike(command: u32, victims: Victims, traces: &Traces) {
    match victims {
        Victims::Command => kill(&[command.to_string()]),
        Victims::Group => kill(&[format!("-{command}")]),
        Victims::Starting => {
            let starting = traces.processes().into_iter().filter(|seen| {
                let is_up = seen
                    .directory()
                    .is_some_and(|directory| directory.join("status.json").exists());
                seen.is("launch") || seen.is("shim") && !is_up
            });
            let pids = starting.map(|seen| seen.pid.to_string());
            kill(&pids.chain([command.to_string()]).collect::<Vec<_>>());
        }
    }
}

/// Draws numbers, the same ones in each run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn draw(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// Most happens at the beginning of each second: checks come once a second.
    fn moment(&mut self) -> Duration {
        let second = [0, 0, 0, 1000][usize::try_from(self.draw(4)).expect("it is small")];
        Duration::from_millis(second + self.draw(300))
    }
}

#[expect(
    clippy::print_stdout,
    reason = "whoever runs it wants to know how much was tried"
)]
fn kill_at_random(machine: &Machine, who: &str, kills_wanted: u32) {
    let file = describe(machine);
    let traces = Traces::of(machine, "swept");
    let mut dice = Dice(40_961);
    // The wanted number of `app` instances, if the infrastructure is to be up.
    let mut app: Option<usize> = None;
    let (mut kills, mut ended, mut rounds) = (0, 0, 0);
    while kills < kills_wanted {
        rounds += 1;
        assert!(rounds < kills_wanted * 10, "it ends too soon to be killed");
        let count = usize::try_from(2 + dice.draw(4)).expect("it is below 6");
        let scale = format!("app={count}");
        let (arguments, next) = match (app, dice.draw(10)) {
            (None, _) => (up(&file), Some(2)),
            (Some(now), 0) => (up(&file), Some(now)),
            (Some(_), 1..=4) => (DOWN.to_vec(), None),
            (Some(_), _) => (
                vec!["scale", "swept", &scale, "--timeout", "90s"],
                Some(count),
            ),
        };
        let victims = [Victims::Command, Victims::Group, Victims::Starting]
            [usize::try_from(dice.draw(3)).expect("it is small")];
        let mut command = machine.command(&arguments);
        let child = command.process_group(0).stdout(Stdio::null()).spawn();
        let mut child = child.expect("the binary was built");
        // This wait is the moment of the kill, not a wait for something.
        std::thread::sleep(dice.moment());
        if child.try_wait().expect("it is our child").is_some() {
            ended += 1;
        } else {
            strike(child.id(), victims, &traces);
            kills += 1;
        }
        let told = child.wait_with_output().expect("it is our child");
        let what = format!(
            "{who}, round {rounds}, kill {kills} of {victims:?}, `{}`",
            arguments.join(" ")
        );
        let stderr = String::from_utf8_lossy(&told.stderr);
        assert!(!stderr.contains("panicked"), "{what}: {stderr}");
        // Some kills hit a state that was not cleaned up after the last one.
        if dice.draw(4) == 0 && next == app {
            continue;
        }
        run_again(machine, &arguments, &what);
        app = next;
        match app {
            Some(count) => traces.expect(&wanted(count), &what),
            None => traces.expect_none(&what),
        }
    }
    run_again(machine, &up(&file), "the last up");
    traces.expect_visible();
    run_again(machine, &DOWN, "the last down");
    traces.expect_none("the last down");
    println!(
        "{who}: {kills} kills at random moments, {ended} runs that ended before; nothing left over, duplicated or lost"
    );
}

#[test]
fn random_kills_leave_nothing_on_the_machine() {
    if let Some(machine) = Machine::new() {
        kill_at_random(&machine, "this user", Budget::read().kills.0);
    }
}

#[test]
fn random_kills_leave_nothing_of_an_ordinary_user() {
    if let Some(machine) = Machine::of_ordinary_user() {
        kill_at_random(&machine, "an ordinary user", Budget::read().kills.1);
    }
}

fn dies_at(machine: &Machine, arguments: &[&str], boundary: u64) -> bool {
    has_died(machine.command(arguments), boundary)
}

/// Lets all commands die at one boundary after the other.
#[test]
fn a_kill_at_every_boundary_leaves_nothing_on_the_machine() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let file = describe(&machine);
    let traces = Traces::of(&machine, "swept");
    let stride = Budget::read().stride;
    let (mut boundary, mut crashes) = (1, 0);
    while boundary <= BOUNDARIES_MAX {
        let mut has_died = false;
        for (arguments, app) in [
            (up(&file), Some(2)),
            (vec!["scale", "swept", "app=4", "--timeout", "90s"], Some(4)),
            (DOWN.to_vec(), None),
        ] {
            let what = format!("`{}` killed at boundary {boundary}", arguments.join(" "));
            if dies_at(&machine, &arguments, boundary) {
                (has_died, crashes) = (true, crashes + 1);
                run_again(&machine, &arguments, &what);
            }
            match app {
                Some(count) => traces.expect(&wanted(count), &what),
                None => traces.expect_none(&what),
            }
        }
        if !has_died {
            break;
        }
        boundary += stride;
    }
    println!(
        "{crashes} kills at boundaries 1 to {boundary}, every {stride}. one; nothing left over, duplicated or lost"
    );
}
