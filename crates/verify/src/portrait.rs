//! A state in sentences, and how two states differ.

use std::collections::BTreeMap;

use zenekar_base::ResourceState;
use zenekar_engine::{Phase, State};
use zenekar_model::behaviour::{Contact, Segment};

use crate::action::Action;
use crate::agent::Compiled;
use crate::breach::Breach;
use crate::control::Outstanding;
use crate::moment::Moment;
use crate::network::Link;
use crate::world::World;

/// What a sentence is about, in the order in which people want to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Aspect {
    /// What people have asked for.
    Script,
    /// The machine of an instance.
    Machine,
    /// How far its contextualisation is.
    Context,
    /// What it has read, and others have changed.
    Objects,
    /// What the engine believes.
    Belief,
    /// What is on its way.
    Calls,
    /// What the network does for it, or what a provider has besides machines.
    Network,
}

const NOTHING_ARRIVES: &str = "what is sent to it is lost";
const CUT_OFF: &str = "it is cut off";

/// Sentences by subject and aspect. A subject may have several of one aspect.
type Portrait = BTreeMap<(String, Aspect), Vec<String>>;

/// Something in which two states differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contrast {
    /// Whom it is about, as `worker/1`.
    pub subject: String,
    /// How it is in the first state; empty where there is nothing to say.
    pub here: String,
    /// How it is in the second state.
    pub there: String,
}

impl World {
    /// Returns a state in sentences, as `worker/1: it runs`.
    pub fn sentences(&self, moment: &Moment) -> Vec<String> {
        let portrait = self.portrait(moment);
        let sentences = portrait.iter().flat_map(|((subject, _), texts)| {
            texts.iter().map(move |text| format!("{subject}: {text}"))
        });
        sentences.collect()
    }

    /// Returns in what two states differ, in sentences.
    pub fn contrasts(&self, here: &Moment, there: &Moment) -> Vec<Contrast> {
        let (here, there) = (self.portrait(here), self.portrait(there));
        let keys: std::collections::BTreeSet<_> = here.keys().chain(there.keys()).collect();
        let text = |portrait: &Portrait, key| {
            let texts: Option<&Vec<String>> = portrait.get(key);
            texts.map_or_else(String::new, |texts| texts.join("; "))
        };
        let contrasts = keys.into_iter().map(|key| Contrast {
            subject: key.0.clone(),
            here: text(&here, key),
            there: text(&there, key),
        });
        contrasts
            .filter(|contrast| contrast.here != contrast.there)
            .collect()
    }

    fn portrait(&self, moment: &Moment) -> Portrait {
        let mut portrait = Portrait::new();
        let mut say = |subject: String, aspect: Aspect, text: String| {
            portrait.entry((subject, aspect)).or_default().push(text);
        };
        let asked = &self.setting().script[..usize::from(moment.script)];
        if let Some(last) = asked.last() {
            let text = format!("the last thing they have asked for is `{}`", last.label());
            say("people".to_owned(), Aspect::Script, text);
        }
        self.say_machines(moment, &mut say);
        self.say_beliefs(moment, &mut say);
        for (call, text) in self.calls_in_words(moment) {
            let subject = call.unwrap_or_else(|| "the engine".to_owned());
            say(subject, Aspect::Calls, text);
        }
        let providers = self.setting().providers();
        for place in self.cloud(moment).networks() {
            let name = providers.get(usize::from(place));
            let name = name.map_or("a provider", String::as_str);
            let text = "it has more of the infrastructure than machines".to_owned();
            say(format!("provider `{name}`"), Aspect::Network, text);
        }
        portrait
    }

    fn say_machines(&self, moment: &Moment, say: &mut dyn FnMut(String, Aspect, String)) {
        let machines = self.cloud(moment).machines().iter().enumerate();
        for (at, machine) in machines {
            let Ok(number) = u8::try_from(at) else { return };
            let text = match machine.state {
                ResourceState::Pending => "its machine boots",
                ResourceState::Running => "its machine runs",
                ResourceState::Stopped => "its machine is stopped",
                ResourceState::Failed => "its machine could not be started",
                ResourceState::Deleting => "its machine is being deleted",
                ResourceState::Gone => continue,
            };
            let subject = self.machine_name(moment, number);
            say(subject.clone(), Aspect::Machine, text.to_owned());
            if machine.state != ResourceState::Running {
                continue;
            }
            if let Some(text) = self.context_in_words(moment, at) {
                say(subject.clone(), Aspect::Context, text);
            }
            match moment.agents[at].link {
                Link::Sound => {}
                Link::Deaf => say(subject.clone(), Aspect::Network, NOTHING_ARRIVES.to_owned()),
                Link::Cut => say(subject.clone(), Aspect::Network, CUT_OFF.to_owned()),
            }
            if moment.agents[at].stale != 0 {
                let text = "what it has read was changed by another one since";
                say(subject, Aspect::Objects, text.to_owned());
            }
        }
    }

    /// Says how far the contextualisation of a machine is.
    fn context_in_words(&self, moment: &Moment, at: usize) -> Option<String> {
        let agent = moment.agents.get(at)?;
        let node = usize::from(self.cloud(moment).machines().get(at)?.node);
        if self.roles[node].segments.is_empty() {
            return None;
        }
        let Some(segment) = self.segment_at(moment, at) else {
            return Some("its contextualisation is finished".to_owned());
        };
        let label = &segment.label;
        Some(if agent.has_failed {
            format!("its contextualisation has failed at `{label}`")
        } else if agent.is_within {
            format!("it is within `{label}`")
        } else {
            format!("it has yet to do `{label}`")
        })
    }

    /// Returns the segment that a machine enters or ends next.
    pub(crate) fn segment_at(&self, moment: &Moment, at: usize) -> Option<&Segment> {
        let node = usize::from(self.cloud(moment).machines().get(at)?.node);
        let done = usize::from(moment.agents.get(at)?.done);
        let place = self.roles[node].segments.get(done)?.place;
        let behaviours = &self.setting().behaviours;
        let segments = behaviours.segments_of(&self.parts.nodes[node]);
        segments.get(usize::from(place))
    }

    /// Says whether others can tell where that segment begins from where it ends.
    pub(crate) fn has_inside(&self, moment: &Moment, at: usize) -> bool {
        let machine = self.cloud(moment).machines().get(at);
        let segment = machine
            .zip(moment.agents.get(at))
            .and_then(|(machine, agent)| {
                let segments = &self.roles[usize::from(machine.node)].segments;
                segments.get(usize::from(agent.done))
            });
        segment.is_some_and(Compiled::has_inside)
    }

    fn say_beliefs(&self, moment: &Moment, say: &mut dyn FnMut(String, Aspect, String)) {
        let state: &State = self.control(moment).state();
        for instance in state.instances.values() {
            let subject = state.instance_name(instance);
            let belief = match instance.phase {
                Phase::Planned => "the engine is about to create it",
                Phase::Creating => "the engine does not know yet whether it was created",
                Phase::Booting => "the engine waits for it to boot",
                Phase::Checking => "the engine waits for it to become healthy",
                Phase::Ready => "the engine takes it for ready",
                Phase::Unready => "the engine takes it for unhealthy",
                Phase::Restarting => "the engine waits for it to be contextualised again",
            };
            say(subject.clone(), Aspect::Belief, belief.to_owned());
            if let Some(breakage) = &instance.breakage {
                let text = format!("the engine takes it for broken: {breakage}");
                say(subject.clone(), Aspect::Belief, text);
            }
            if instance.doom.is_some() {
                let text = "the engine wants it deleted".to_owned();
                say(subject, Aspect::Belief, text);
            }
        }
    }

    /// Returns what is on its way, with the instance that it is about.
    fn calls_in_words(&self, moment: &Moment) -> Vec<(Option<String>, String)> {
        let control = self.control(moment);
        let name = |call: &Outstanding| {
            let state = control.state();
            let instance = call.instance().and_then(|key| state.instances.get(&key))?;
            Some(state.instance_name(instance))
        };
        let waiting = control.calls.iter().map(|call| {
            let kind = call.operation.kind();
            let text = match call.answer {
                Some(_) => format!("the answer to `{kind}` is on its way"),
                None => format!("`{kind}` is under way"),
            };
            (name(call), text)
        });
        let abandoned = control.abandoned.iter().map(|call| {
            let kind = call.operation.kind();
            (name(call), format!("`{kind}` may still take effect"))
        });
        waiting.chain(abandoned).collect()
    }

    /// Says why what an action does in a state is a breach, if there is more
    /// to say than that it is one.
    pub(crate) fn reason(&self, before: &Moment, action: Action, breach: Breach) -> Option<String> {
        let after = self.next(before, action);
        match (breach, action) {
            (Breach::Contact, Action::Run { machine }) => {
                let segment = self.segment_at(before, usize::from(machine))?;
                let needs = self.unmet(before, usize::from(machine), segment);
                let name = self.machine_name(before, machine);
                let place = segment.place.as_ref().map(|place| format!(" ({place})"));
                let place = place.unwrap_or_default();
                let verb = if needs.len() == 1 { "is" } else { "are" };
                let (needs, label) = (needs.join(", "), &segment.label);
                Some(format!(
                    "{name} fails at `{label}`{place}: {needs} {verb} not there, and it does not try again"
                ))
            }
            (Breach::LostUpdate, Action::Run { machine }) => {
                let segment = self.segment_at(before, usize::from(machine))?;
                let objects: Vec<String> = segment
                    .writes
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect();
                let name = self.machine_name(before, machine);
                Some(format!(
                    "{name} writes {} as it was before another one has changed it",
                    objects.join(", ")
                ))
            }
            (Breach::Duplicate, _) => self.twins(&after),
            (Breach::Secret, _) => self.told(before, &after),
            (Breach::NotConverged | Breach::NeverReady | Breach::Leftover, _) => {
                self.unfinished(&after)
            }
            _ => self.sent(before, &after),
        }
    }

    /// Names what a segment needs and is not there.
    fn unmet(&self, moment: &Moment, at: usize, segment: &Segment) -> Vec<String> {
        let cloud = self.cloud(moment);
        let node = usize::from(cloud.machines()[at].node);
        let done = usize::from(moment.agents[at].done);
        let Some(compiled) = self.roles[node].segments.get(done) else {
            return Vec::new();
        };
        // Those that are looked at, in the same order.
        let needs = segment
            .needs
            .iter()
            .filter(|need| need.what != Contact::Address && self.parts.nodes.contains(&need.node));
        let unmet = needs.zip(&compiled.needs).filter(|(_, need)| {
            let alone = Compiled {
                needs: vec![(*need).clone()],
                ..compiled.clone()
            };
            !Self::needs_met(moment, cloud, at, &alone)
        });
        unmet.map(|(need, _)| format!("`{need}`")).collect()
    }

    /// Says which calls are made at a step.
    fn sent(&self, before: &Moment, after: &Moment) -> Option<String> {
        let control = self.control(after);
        let known = &self.control(before).calls;
        let is_new = |call: &&Outstanding| {
            let mut known = known.iter();
            known.all(|known| known.operation != call.operation)
        };
        let state = control.state();
        let new = control.calls.iter().filter(is_new).map(|call| {
            let kind = call.operation.kind();
            let instance = call.instance().and_then(|key| state.instances.get(&key));
            match instance {
                Some(instance) => format!("`{kind}` of {}", state.instance_name(instance)),
                None => format!("`{kind}`"),
            }
        });
        let new: Vec<String> = new.collect();
        (!new.is_empty()).then(|| format!("the engine asks for {}", new.join(", ")))
    }

    /// Names the new instance that is given secrets of others, and the secrets.
    fn told(&self, before: &Moment, after: &Moment) -> Option<String> {
        let known = self.cloud(before).machines();
        let machines = self.cloud(after).machines();
        let is_new = |at: &usize| {
            let machine = &machines[*at];
            let identity = (machine.instance, machine.number);
            let mut known = known.iter().map(|old| (old.instance, old.number));
            self.roles[usize::from(machine.node)].is_given_secrets
                && known.all(|old| old != identity)
        };
        let at = (0..machines.len()).find(is_new)?;
        let node = &self.parts.nodes[usize::from(machines[at].node)];
        let secrets = &self.setting().behaviours.nodes.get(node)?.foreign_secrets;
        let secrets = secrets.iter().map(|secret| {
            let (variable, owner) = (&secret.variable, &secret.owner);
            format!("`{variable}`, which `{owner}` uses")
        });
        let secrets: Vec<String> = secrets.collect();
        let name = self.machine_name(after, u8::try_from(at).ok()?);
        Some(format!(
            "{name} is given {}, and nothing of `{node}` names it",
            secrets.join(", and ")
        ))
    }

    /// Names an instance that has several machines.
    fn twins(&self, moment: &Moment) -> Option<String> {
        let machines = self.cloud(moment).machines();
        let lives = |state| !matches!(state, ResourceState::Gone | ResourceState::Deleting);
        let alive = machines.iter().filter(|machine| lives(machine.state));
        let mut alive = alive.map(|machine| machine.instance);
        let twin = alive.find(|instance| {
            let same = machines.iter().filter(|other| other.instance == *instance);
            same.filter(|other| lives(other.state)).count() > 1
        })?;
        let same = (0..machines.len()).filter(|at| machines[*at].instance == twin);
        let same = same.filter(|at| lives(machines[*at].state));
        let names = same.filter_map(|at| u8::try_from(at).ok());
        let names: Vec<String> = names.map(|at| self.machine_name(moment, at)).collect();
        Some(format!("both are there: {}", names.join(" and ")))
    }

    /// Says what is not as it should be once nothing happens any more.
    fn unfinished(&self, moment: &Moment) -> Option<String> {
        let names = self.open_ends(moment);
        (!names.is_empty()).then(|| format!("nothing happens any more, and {}", names.join(", ")))
    }

    /// Says what is not as it should be, each as a clause.
    pub(crate) fn open_ends(&self, moment: &Moment) -> Vec<String> {
        let state = self.control(moment).state();
        let instances = state
            .instances
            .values()
            .filter(|instance| !instance.serves());
        let mut names: Vec<String> = instances
            .map(|instance| {
                format!(
                    "{} is `{}`",
                    state.instance_name(instance),
                    instance.phase.name()
                )
            })
            .collect();
        let machines = self.cloud(moment).machines();
        for (at, machine) in machines.iter().enumerate() {
            let Ok(number) = u8::try_from(at) else {
                continue;
            };
            if !machine.is_alive() {
                continue;
            }
            let instance = state.instances.get(&machine.instance);
            let is_known = instance
                .is_some_and(|instance| instance.resource.as_ref() == Some(&machine.resource()));
            if !is_known {
                names.push(format!(
                    "{} is left over",
                    self.machine_name(moment, number)
                ));
            } else if machine.state == ResourceState::Running
                && self.segment_at(moment, at).is_some()
            {
                let name = self.machine_name(moment, number);
                let text = self.context_in_words(moment, at).unwrap_or_default();
                names.push(match text.strip_prefix("it ") {
                    Some(text) => format!("{name} {text}"),
                    None => text.replacen("its", &format!("{name}'s"), 1),
                });
            }
        }
        names
    }
}
