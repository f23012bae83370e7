//! Where instants are drawn: in their order, with room for what is written.

use std::collections::BTreeMap;

use crate::space_time::{SpaceTime, StepKind};
use crate::svg::{shortened, width};

/// Instants at most: as many as fit on a few screens side by side.
pub(crate) const INSTANTS_MAX: usize = 240;

/// Lanes at most, the same from top to bottom.
pub(crate) const LANES_MAX: usize = 64;

/// Characters of a step's label at most.
pub(crate) const LABEL_MAX: usize = 16;
pub(crate) const LABEL_SIZE: i32 = 11;

/// Between two instants, at most; less if there are many, so that they take
/// about [`INSTANTS_WIDTH`], but not less than can be told apart.
const INSTANT_GAP: i32 = 22;
const INSTANT_GAP_MIN: i32 = 9;
const INSTANTS_WIDTH: i32 = 2_000;
/// Between what is written in one lane.
const LABEL_GAP: i32 = 10;
/// What a boundary takes.
const BOUNDARY_GAP: i32 = 26;

/// What of a run is drawn, and where.
pub(crate) struct Columns {
    /// Where each instant is, from the left border of the lanes.
    x: BTreeMap<u64, i32>,
    /// Where each boundary is, by its place.
    pub(crate) boundaries: Vec<Option<i32>>,
    /// The row of each lane that is drawn.
    pub(crate) rows: BTreeMap<usize, usize>,
    /// The steps that are drawn, in the order of time.
    pub(crate) steps: Vec<usize>,
    pub(crate) width: i32,
    /// Steps after the last instant, or in lanes that are not drawn.
    pub(crate) left_out: usize,
    /// Lanes in which nothing happens.
    pub(crate) idle: usize,
    /// Lanes that are too many.
    pub(crate) too_many: usize,
}

impl Columns {
    /// Chooses what is drawn, and where.
    pub(crate) fn of(run: &SpaceTime) -> Self {
        let (rows, idle, too_many) = rows(run);
        let mut steps: Vec<usize> = (0..run.steps.len()).collect();
        steps.retain(|place| rows.contains_key(&run.steps[*place].lane));
        steps.sort_by_key(|place| (run.steps[*place].at_ms, *place));
        let mut instants = BTreeMap::new();
        for place in &steps {
            let step = &run.steps[*place];
            instants.insert(step.at_ms, 0);
            if let StepKind::Segment { until_ms } = step.kind {
                instants.insert(until_ms.max(step.at_ms), 0);
            }
        }
        let last = instants.keys().nth(INSTANTS_MAX).copied();
        if let Some(last) = last {
            steps.retain(|place| run.steps[*place].at_ms < last);
            instants.split_off(&last);
        }
        let left_out = run.steps.len() - steps.len();
        let mut columns = Self {
            x: instants,
            boundaries: vec![None; run.boundaries.len()],
            rows,
            steps,
            width: 0,
            left_out,
            idle,
            too_many,
        };
        columns.lay_out(run);
        columns
    }

    /// Gives each instant a place: after all before it, and after what is
    /// written in the lanes in which something happens.
    fn lay_out(&mut self, run: &SpaceTime) {
        let mut boundaries: Vec<usize> = (0..run.boundaries.len()).collect();
        boundaries.sort_by_key(|place| (run.boundaries[*place].at_ms, *place));
        // There is at least an instant between two that matter.
        boundaries.truncate(INSTANTS_MAX);
        let mut boundaries = boundaries.into_iter().peekable();
        let mut steps = self.steps.iter().peekable();
        let mut free_from: BTreeMap<usize, i32> = BTreeMap::new();
        let count = i32::try_from(self.x.len().max(1)).unwrap_or(i32::MAX);
        let gap = (INSTANTS_WIDTH / count).clamp(INSTANT_GAP_MIN, INSTANT_GAP);
        let mut x = INSTANT_GAP;
        for (instant, place) in &mut self.x {
            while let Some(next) = boundaries.next_if(|one| run.boundaries[*one].at_ms <= *instant)
            {
                self.boundaries[next] = Some(x + BOUNDARY_GAP / 2);
                x += BOUNDARY_GAP;
            }
            let mut here = Vec::new();
            while let Some(step) = steps.next_if(|one| run.steps[**one].at_ms == *instant) {
                here.push(&run.steps[*step]);
            }
            for step in &here {
                x = x.max(free_from.get(&step.lane).copied().unwrap_or(0));
            }
            *place = x;
            for step in here {
                let label = width(&shortened(&step.label, LABEL_MAX), LABEL_SIZE);
                free_from.insert(step.lane, x + label.max(LABEL_GAP) + LABEL_GAP);
                self.width = self.width.max(x + label + INSTANT_GAP);
            }
            x += gap;
        }
        for next in boundaries {
            if self.left_out == 0 {
                self.boundaries[next] = Some(x);
                x += BOUNDARY_GAP;
            }
        }
        self.width = self.width.max(x);
    }

    /// Returns where an instant is; what is after the last one is at the border.
    pub(crate) fn at(&self, instant: u64) -> i32 {
        self.x.get(&instant).copied().unwrap_or(self.width)
    }
}

/// Returns the rows of the lanes that are drawn, and how many are idle and how
/// many too many.
fn rows(run: &SpaceTime) -> (BTreeMap<usize, usize>, usize, usize) {
    let mut is_busy = vec![false; run.lanes.len()];
    for step in &run.steps {
        if let Some(busy) = is_busy.get_mut(step.lane) {
            *busy = true;
        }
    }
    let busy: Vec<usize> = (0..run.lanes.len()).filter(|lane| is_busy[*lane]).collect();
    let drawn = busy.len().min(LANES_MAX);
    let rows = busy.iter().take(drawn).copied().zip(0..).collect();
    (rows, run.lanes.len() - busy.len(), busy.len() - drawn)
}
