//! What was found, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};
use zenekar_base::{InfrastructureId, ResourceState};
use zenekar_occopus_redis::Installation;

use super::candidate::{Candidate, Fate, Member, Presence};
use crate::output::{Output, Paint, SCHEMA_VERSION, counted};
use crate::render::plan::Preview;

/// Instances of one node that the preview names.
const INSTANCES_SHOWN_MAX: usize = 20;

/// Describes all candidates.
pub(super) fn preview(
    candidates: &[Candidate],
    missing: &BTreeSet<String>,
    output: Output,
) -> String {
    let paint = output.talk_paint;
    let mut text = String::new();
    for candidate in candidates {
        describe(&mut text, candidate, paint);
    }
    for id in missing {
        let _ = writeln!(
            text,
            "{}: in the list of infrastructures, and Occopus keeps nothing about it\n",
            paint.strong(id)
        );
    }
    if candidates.is_empty() && missing.is_empty() {
        text.push_str("Occopus has no infrastructures\n");
    }
    if candidates.iter().any(Candidate::is_adoptable) {
        let _ = writeln!(
            text,
            "{} stop Occopus's own maintenance of them first (`occopus-maintain -c`, `occopus-rest-service`): two masters would undo each other's work",
            paint.notable("important:")
        );
    }
    text
}

/// Infrastructures beside the list that are named.
const OTHERS_SHOWN_MAX: usize = 10;

/// Names what is in Redis and not in the list: builds that failed, or lists of
/// another machine.
pub(super) fn others(installation: &Installation, output: Output) {
    let count = installation.others.len();
    if count == 0 {
        return;
    }
    let shown: Vec<String> = installation
        .others
        .iter()
        .take(OTHERS_SHOWN_MAX)
        .map(|owner| format!("`{}`", owner.id))
        .collect();
    let more = if count > shown.len() { ", …" } else { "" };
    output.line(&format!(
        "{} in Redis and not in the list of infrastructures: {}{more}; they are taken over by their ids",
        counted(count, "infrastructure"),
        shown.join(", ")
    ));
}

fn describe(text: &mut String, candidate: &Candidate, paint: Paint) {
    let owner = &candidate.stored.owner;
    let by = if owner.user.is_empty() {
        String::new()
    } else {
        format!(" of user `{}`", owner.user)
    };
    let _ = writeln!(
        text,
        "{} `{}`{by}: {}",
        paint.strong(&owner.id),
        candidate.stored.name,
        fate_text(&candidate.fate)
    );
    if candidate.fate == Fate::Already {
        // What Occopus knows of it is of no use any more.
        text.push('\n');
        return;
    }
    for (node, members) in by_node(candidate) {
        describe_node(text, candidate, node, &members, paint);
    }
    for note in &candidate.notes {
        let _ = writeln!(text, "  {} {note}", paint.notable("note:"));
    }
    if candidate.is_adoptable() {
        for provider in candidate.providers_missing() {
            let _ = writeln!(
                text,
                "  {} provider `{provider}` is not available in this version: its instances were not looked at, and cannot be changed from here yet",
                paint.notable("note:")
            );
        }
        describe_next(text, candidate, paint);
    }
    text.push('\n');
}

fn fate_text(fate: &Fate) -> String {
    match fate {
        Fate::Adoptable => "can be taken over".to_owned(),
        Fate::Adopted => "taken over".to_owned(),
        Fate::Already => "was taken over before".to_owned(),
        Fate::Refused(why) => format!("cannot be taken over: {why}"),
    }
}

fn by_node(candidate: &Candidate) -> Vec<(&str, Vec<&Member>)> {
    let mut members: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for member in &candidate.members {
        members.entry(&member.stored.node).or_default().push(member);
    }
    let nodes = candidate.stored.nodes.iter().map(|node| node.name.as_str());
    let mut told = BTreeSet::new();
    nodes
        .filter(|name| told.insert(*name))
        .map(|name| (name, members.remove(name).unwrap_or_default()))
        .collect()
}

fn describe_node(
    text: &mut String,
    candidate: &Candidate,
    node: &str,
    members: &[&Member],
    paint: Paint,
) {
    let wanted = candidate.next.as_ref().and_then(|(engine, _)| {
        let key = engine.state().find_node(node)?;
        Some(engine.node_status(key))
    });
    let there = members
        .iter()
        .filter(|member| member.presence != Presence::Gone)
        .count();
    let counts = match wanted {
        Some(status) => match status.range {
            Some((min, max)) => format!("{there} of {} ({min} to {max})", status.wanted),
            None => format!("{there} of {}", status.wanted),
        },
        None => counted(members.len(), "instance"),
    };
    let _ = writeln!(text, "  {}  {counts}", paint.strong(node));
    for member in members.iter().take(INSTANCES_SHOWN_MAX) {
        let addresses = match member.addresses.all.as_slice() {
            [] => "address not stored".to_owned(),
            all => all.join(" "),
        };
        let state = state_of(candidate, member);
        let state = match member.presence {
            Presence::Gone => paint.bad(state),
            Presence::There(ResourceState::Running) => paint.good(state),
            _ => paint.notable(state),
        };
        let _ = writeln!(
            text,
            "    {}  {} `{}`  {addresses}  {state}",
            member.stored.id, member.stored.provider, member.stored.resource
        );
    }
    if members.len() > INSTANCES_SHOWN_MAX {
        let more = members.len() - INSTANCES_SHOWN_MAX;
        let _ = writeln!(text, "    and {}", counted(more, "more instance"));
    }
}

/// Names what is known of an instance's state.
fn state_of(candidate: &Candidate, member: &Member) -> &'static str {
    let failing = candidate.stored.failing.contains(&member.stored.id);
    match member.presence {
        Presence::Gone => "gone: it is replaced",
        Presence::Unknown if failing => "not looked at; its last check failed",
        Presence::Unknown => "not looked at",
        Presence::There(ResourceState::Running) if failing => "running; its last check failed",
        Presence::There(ResourceState::Running) => "running",
        Presence::There(ResourceState::Pending) => "pending",
        Presence::There(ResourceState::Stopped) => "stopped",
        Presence::There(ResourceState::Failed) => "failed",
        Presence::There(ResourceState::Deleting) => "being deleted",
        Presence::There(ResourceState::Gone) => "gone",
    }
}

fn describe_next(text: &mut String, candidate: &Candidate, paint: Paint) {
    let Some((engine, plan)) = &candidate.next else {
        return;
    };
    let id = candidate.stored.owner.id.as_str();
    if plan.steps.is_empty() {
        let _ = writeln!(text, "  after it there is nothing to do");
        return;
    }
    let _ = writeln!(
        text,
        "  taking it over changes nothing; the next `zenekar watch {id}` does this:"
    );
    let preview = Preview {
        infrastructure: id,
        engine,
        plan,
    };
    for line in preview.to_text(paint, false).lines() {
        let _ = writeln!(text, "    {line}");
    }
}

/// Says what was done.
pub(super) fn outcome(candidates: &[Candidate], output: Output) {
    let paint = output.talk_paint;
    for candidate in candidates {
        let id = candidate.stored.owner.id.as_str();
        match candidate.fate {
            Fate::Adopted => {
                let there = candidate
                    .members
                    .iter()
                    .filter(|member| member.presence != Presence::Gone)
                    .count();
                output.line(&format!(
                    "{} {}: {}; `zenekar watch {id}` looks after it from now on",
                    paint.good("taken over:"),
                    paint.strong(id),
                    counted(there, "instance")
                ));
            }
            Fate::Already => output.line(&format!("{}: was taken over before", paint.strong(id))),
            Fate::Adoptable | Fate::Refused(_) => {}
        }
    }
}

/// Returns everything for programs.
pub(super) fn to_json(candidates: &[Candidate], missing: &BTreeSet<String>) -> Value {
    let infrastructures: Vec<Value> = candidates.iter().map(candidate_json).collect();
    json!({
        "schema_version": SCHEMA_VERSION,
        "kind": "adoption",
        "infrastructures": infrastructures,
        "missing": missing,
    })
}

fn candidate_json(candidate: &Candidate) -> Value {
    let (fate, reason) = match &candidate.fate {
        Fate::Adoptable => ("adoptable", None),
        Fate::Adopted => ("adopted", None),
        Fate::Already => ("already-adopted", None),
        Fate::Refused(why) => ("refused", Some(why)),
    };
    let nodes: Vec<Value> = by_node(candidate)
        .into_iter()
        .map(|(name, members)| {
            let instances: Vec<Value> = members
                .iter()
                .map(|member| {
                    json!({
                        "id": member.stored.id,
                        "provider": member.stored.provider,
                        "resource": member.stored.resource,
                        "addresses": member.addresses.all,
                        "state": presence_name(&member.presence),
                        "check_failed": candidate.stored.failing.contains(&member.stored.id),
                    })
                })
                .collect();
            let wanted = candidate.next.as_ref().and_then(|(engine, _)| {
                let key = engine.state().find_node(name)?;
                Some(engine.state().wanted(key))
            });
            json!({ "name": name, "wanted": wanted, "instances": instances })
        })
        .collect();
    let id = InfrastructureId::new(candidate.stored.owner.id.as_str());
    json!({
        "id": id.as_str(),
        "user": candidate.stored.owner.user,
        "name": candidate.stored.name,
        "outcome": fate,
        "reason": reason,
        "nodes": nodes,
        "notes": candidate.notes,
        "providers_missing": candidate.providers_missing(),
        "steps_next": candidate.next.as_ref().map(|(_, plan)| plan.steps.len()),
    })
}

const fn presence_name(presence: &Presence) -> &'static str {
    match presence {
        Presence::Unknown => "unknown",
        Presence::Gone | Presence::There(ResourceState::Gone) => "gone",
        Presence::There(ResourceState::Pending) => "pending",
        Presence::There(ResourceState::Running) => "running",
        Presence::There(ResourceState::Stopped) => "stopped",
        Presence::There(ResourceState::Failed) => "failed",
        Presence::There(ResourceState::Deleting) => "deleting",
    }
}
