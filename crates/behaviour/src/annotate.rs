//! What annotations say takes the place of what was derived, or is added to it.

use zenekar_diagnostics::{SourceMap, Span};
use zenekar_model::{Behaviour, Behaviours, Contact, Give, Origin, Place, Segment};
use zenekar_occopus::{Annotation, Annotations, StatedSegment};

/// Applies all annotations.
pub(crate) fn apply(annotations: &Annotations, sources: &SourceMap, behaviours: &mut Behaviours) {
    for (node, annotation) in &annotations.nodes {
        let behaviour = behaviours.nodes.entry(node.clone()).or_default();
        behaviour.quorum = annotation.quorum;
        match &annotation.segments {
            Some(segments) => state(behaviour, segments, sources),
            None => refine(behaviour, annotation, sources),
        }
    }
}

/// Replaces all segments. What the health checks look at, and no segment
/// gives, is there at the end.
fn state(behaviour: &mut Behaviour, stated: &[StatedSegment], sources: &SourceMap) {
    behaviour.origin = Origin::Stated;
    behaviour.segments = (1..)
        .zip(stated)
        .map(|(number, stated)| {
            let mut segment = Segment {
                place: Some(place_of(stated.span, sources)),
                ..stated.segment.clone()
            };
            if segment.label.is_empty() {
                segment.label = format!("segment {number}");
            }
            segment
        })
        .collect();
    let is_given = |give: &Give| {
        let mut given = behaviour.segments.iter().flat_map(|one| &one.gives);
        given.any(|one| one == give)
    };
    let missing: Vec<Give> = behaviour
        .ready
        .iter()
        .filter(|give| !is_given(give))
        .cloned()
        .collect();
    if !missing.is_empty() {
        last_of(behaviour).gives.extend(missing);
    }
}

/// Adds to the segments: what is needed and read belongs to the first one,
/// what is given and written to the last.
fn refine(behaviour: &mut Behaviour, annotation: &Annotation, sources: &SourceMap) {
    behaviour.origin = Origin::Refined;
    let stated = &annotation.refinement;
    let added = &stated.segment;
    if *added == Segment::default() && stated.retries.is_none() {
        return;
    }
    // What is given here by hand is not given anywhere else.
    for segment in &mut behaviour.segments {
        segment.gives.retain(|give| !added.gives.contains(give));
        segment.holds.extend(added.holds.iter().cloned());
    }
    let is_needed = !added.needs.is_empty() || !added.reads.is_empty();
    if is_needed {
        let place = place_of(stated.span, sources);
        let first = first_of(behaviour);
        first.needs.retain(|need| {
            let is_address = need.what == Contact::Address;
            !(is_address && added.needs.iter().any(|added| added.node == need.node))
        });
        first.needs.extend(added.needs.iter().cloned());
        first.reads.extend(added.reads.iter().cloned());
        first.place.get_or_insert(place);
    }
    let last = last_of(behaviour);
    last.gives.extend(added.gives.iter().cloned());
    last.writes.extend(added.writes.iter().cloned());
    if let Some(retries) = stated.retries {
        for segment in &mut behaviour.segments {
            let mut needs = segment.needs.iter();
            if needs.any(|need| need.what != Contact::Address) {
                segment.retries = retries;
            }
        }
    }
}

fn first_of(behaviour: &mut Behaviour) -> &mut Segment {
    let _there_is_one = last_of(behaviour);
    &mut behaviour.segments[0]
}

/// Returns the last segment; a node that has none gets one.
fn last_of(behaviour: &mut Behaviour) -> &mut Segment {
    if behaviour.segments.is_empty() {
        behaviour.segments.push(Segment {
            label: "the setup".to_owned(),
            ..Segment::default()
        });
    }
    let last = behaviour.segments.len() - 1;
    &mut behaviour.segments[last]
}

fn place_of(span: Span, sources: &SourceMap) -> Place {
    let position = sources.position(span);
    Place {
        file: sources.name(span.file).to_owned(),
        line: u32::try_from(position.line).unwrap_or(u32::MAX),
    }
}
