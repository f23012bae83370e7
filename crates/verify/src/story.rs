//! What happens, in words.

use zenekar_simcloud::Change;

use crate::action::{Action, Outcome};
use crate::control::Outstanding;
use crate::moment::Moment;
use crate::network::Link;
use crate::setting::{Fault, Step};
use crate::world::World;

impl World {
    /// Returns a clause on what happens in a state, as `worker/1 boots`.
    pub fn describe(&self, moment: &Moment, action: &Action) -> String {
        let calls = &self.control(moment).calls;
        let abandoned = &self.control(moment).abandoned;
        match *action {
            Action::Demand => {
                let step = self.setting().script.get(usize::from(moment.script));
                let label = step.map_or_else(String::new, Step::label);
                format!("people ask for `{label}`")
            }
            Action::Call { call, outcome } => {
                let call = calls.get(usize::from(call));
                format!("{} {}", self.subject(moment, call), ends(outcome))
            }
            Action::Arrive { call } => {
                let call = calls.get(usize::from(call));
                format!("the answer to {} arrives", self.subject(moment, call))
            }
            Action::LateEffect { call } => {
                let call = abandoned.get(usize::from(call));
                format!("{} takes effect late", self.subject(moment, call))
            }
            Action::EffectAgain { call } => {
                let call = abandoned.get(usize::from(call));
                let subject = self.subject(moment, call);
                format!("{subject} takes effect late, and makes a second machine")
            }
            Action::NoEffect { call } => {
                let call = abandoned.get(usize::from(call));
                format!("{} never takes effect", self.subject(moment, call))
            }
            Action::Machine { machine, change } => {
                let what = match change {
                    Change::Boots => "boots",
                    Change::BootFails => "cannot be started",
                    Change::IsDeleted => "is gone",
                    Change::Vanishes => "vanishes",
                    Change::Stops => "is stopped from outside",
                    Change::Readdresses => "restarts under another address",
                };
                format!("{} {what}", self.machine_name(moment, machine))
            }
            Action::Run { machine } => self.describe_run(moment, machine),
            Action::AgentDies { machine } => {
                let name = self.machine_name(moment, machine);
                format!("the contextualisation of {name} dies")
            }
            Action::Link { machine, link } => {
                let name = self.machine_name(moment, machine);
                match link {
                    Link::Sound => format!("{name} is in reach again"),
                    Link::Deaf => format!("what is sent to {name} is lost from now on"),
                    Link::Cut => format!("{name} is cut off from now on"),
                }
            }
            Action::NameMissing { machine } => self.describe_look(moment, machine),
            Action::Crash => "the engine dies, and another one takes over".to_owned(),
            Action::Tick => "time passes until the engine looks again".to_owned(),
        }
    }

    /// Says at which segment an instance does not find a name.
    fn describe_look(&self, moment: &Moment, machine: u8) -> String {
        let name = self.machine_name(moment, machine);
        let segment = self.segment_at(moment, usize::from(machine));
        let label = segment.map_or("its next step", |segment| segment.label.as_str());
        format!("{name} does not find the name that it looks for: {label}")
    }

    /// Says which segment an instance enters or ends.
    fn describe_run(&self, moment: &Moment, machine: u8) -> String {
        let name = self.machine_name(moment, machine);
        let at = usize::from(machine);
        let segment = self.segment_at(moment, at);
        let label = segment.map_or("goes on", |segment| segment.label.as_str());
        // Between the two, others can do something that matters.
        match moment.agents.get(at).map(|agent| agent.is_within) {
            Some(true) => format!("{name} ends: {label}"),
            Some(false) if self.has_inside(moment, at) => format!("{name} begins: {label}"),
            _ => format!("{name}: {label}"),
        }
    }

    /// Returns what people call the instance of a machine.
    pub(crate) fn machine_name(&self, moment: &Moment, machine: u8) -> String {
        let Some(machine) = self.cloud(moment).machines().get(usize::from(machine)) else {
            return "a machine".to_owned();
        };
        let state = self.control(moment).state();
        match state.instances.get(&machine.instance) {
            Some(instance) if machine.number == 0 => state.instance_name(instance),
            Some(instance) => {
                let name = state.instance_name(instance);
                format!("machine {} of {name}", machine.number + 1)
            }
            None => {
                let node = &self.parts.nodes[usize::from(machine.node)];
                format!("a former machine of `{node}`")
            }
        }
    }

    fn subject(&self, moment: &Moment, call: Option<&Outstanding>) -> String {
        let Some(call) = call else {
            return "a call".to_owned();
        };
        let kind = call.operation.kind();
        let state = self.control(moment).state();
        let instance = call.instance().and_then(|key| state.instances.get(&key));
        match instance {
            Some(instance) => format!("`{kind}` of {}", state.instance_name(instance)),
            None => format!("`{kind}`"),
        }
    }
}

/// Says how a call ends.
fn ends(outcome: Outcome) -> String {
    match outcome {
        Outcome::Served => "is answered".to_owned(),
        Outcome::Postponed => "takes effect; its answer is on its way".to_owned(),
        Outcome::DiesBefore => {
            "takes effect; the engine dies before it knows, and another one takes over".to_owned()
        }
        Outcome::DiesAfter(sent) => format!(
            "is answered; the engine dies after {sent} of the calls that it makes thereupon"
        ),
        Outcome::Faulty(fault) => match fault {
            Fault::TimeoutAfterEffect => "takes effect; its answer is lost".to_owned(),
            Fault::TimeoutLateEffect => {
                "has no answer in time, and may still take effect".to_owned()
            }
            Fault::StaleList => "is answered by a list that lags behind".to_owned(),
            Fault::FalseAlarm => "says that a healthy instance is not".to_owned(),
            fault => format!("fails: {}", fault.name()),
        },
    }
}
