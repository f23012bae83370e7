//! The drawing of a run.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::columns::{Columns, LABEL_MAX, LABEL_SIZE};
use crate::space_time::{Message, SpaceTime, Step, StepKind};
use crate::svg::{Anchor, INK, PALE_INK, RED, RULE, Svg, Text, Written, shortened, width};

/// From one lane to the next: a mark, and a label above it.
const LANE_HEIGHT: i32 = 40;
const TOP: i32 = 44;
const MARGIN: i32 = 20;
const NAME_SIZE: i32 = 12;
/// Characters of a lane's name at most.
const NAME_MAX: usize = 24;
const SMALL_SIZE: i32 = 10;
/// Names are repeated within long lanes, so that one is always on the screen.
const NAMES_EVERY: i32 = 1_400;
/// Messages at most: with more of them there is no white left.
const MESSAGES_MAX: usize = 2_000;
/// More messages than that are drawn pale, so that one sees through.
const PALE_FROM: usize = 40;
/// What is held back until a boundary.
const HELD: &str = "#b45309";
const SEGMENT: (&str, &str) = ("#bfdbfe", "#1d4ed8");
/// Half the size of a mark.
const MARK: i32 = 6;

/// Where things are.
struct Canvas<'a> {
    run: &'a SpaceTime,
    columns: Columns,
    /// The left border of the lanes.
    left: i32,
}

impl Canvas<'_> {
    fn x(&self, instant: u64) -> i32 {
        self.left + self.columns.at(instant)
    }

    fn row_y(row: usize) -> i32 {
        TOP + i32::try_from(row).unwrap_or(0) * LANE_HEIGHT + LANE_HEIGHT / 2 + 4
    }

    /// Returns where a lane is, if it is drawn.
    fn y(&self, lane: usize) -> Option<i32> {
        self.columns.rows.get(&lane).map(|row| Self::row_y(*row))
    }

    /// Returns the line of a message, as far as it goes.
    fn line<'m>(&self, message: &'m Message) -> Option<Line<'m>> {
        let (from, to) = (&self.run.steps[message.from], &self.run.steps[message.to]);
        let (from_y, to_y) = (self.y(from.lane)?, self.y(to.lane)?);
        // A segment sends what it has to send when it is done.
        let from_x = match from.kind {
            StepKind::Segment { until_ms } => self.x(until_ms.max(from.at_ms)),
            _ => self.x(from.at_ms),
        };
        let edge = match to_y.cmp(&from_y) {
            Ordering::Less => MARK,
            Ordering::Equal => 0,
            Ordering::Greater => -MARK,
        };
        let mut line = Line {
            message,
            from: (from_x, from_y - edge),
            to: (self.x(to.at_ms), to_y + edge),
            boundary: None,
        };
        let boundaries = self.columns.boundaries.iter().flatten();
        let crossed = boundaries.map(|x| self.left + x);
        let crossed = crossed.filter(|x| (line.from.0..line.to.0).contains(x));
        line.boundary = crossed.min();
        if message.is_lost {
            line.to = line.point(5);
        }
        Some(line)
    }

    fn right(&self) -> i32 {
        self.left + self.columns.width
    }

    fn bottom(&self) -> i32 {
        Self::row_y(self.columns.rows.len()) - LANE_HEIGHT / 2
    }
}

/// Draws a run.
pub(crate) fn draw(run: &SpaceTime) -> String {
    let columns = Columns::of(run);
    let names = columns.rows.keys().map(|lane| {
        let name = shortened(&run.lanes[*lane], NAME_MAX);
        width(&name, NAME_SIZE)
    });
    let left = MARGIN + names.max().unwrap_or(0) + 14;
    let canvas = Canvas { run, columns, left };
    let mut svg = Svg::default();
    draw_lanes(&mut svg, &canvas);
    draw_boundaries(&mut svg, &canvas);
    let is_drawn = drawn_steps(&canvas);
    let drawn = run
        .messages
        .iter()
        .filter(|message| is_there(&is_drawn, message.from) && is_there(&is_drawn, message.to));
    let drawn: Vec<&Message> = drawn.take(MESSAGES_MAX).collect();
    let lines: Vec<Line<'_>> = drawn
        .iter()
        .filter_map(|message| canvas.line(message))
        .collect();
    let opacity = if lines.len() > PALE_FROM { "0.5" } else { "1" };
    for line in &lines {
        svg.open(&line.message.label);
        draw_line(&mut svg, line, opacity);
        svg.close();
    }
    draw_line_labels(&mut svg, &canvas, &lines);
    for place in &canvas.columns.steps {
        draw_step(&mut svg, &canvas, &run.steps[*place]);
    }
    let (legend_right, mut bottom) = draw_legend(&mut svg, canvas.bottom() + 26);
    let notes = notes(&canvas, run.messages.len() - drawn.len());
    let mut right = canvas.right().max(legend_right);
    for note in &notes {
        bottom += 20;
        svg.text(&Text::new(MARGIN, bottom, NAME_SIZE, note));
        right = right.max(MARGIN + width(note, NAME_SIZE));
    }
    svg.finish(right + MARGIN, bottom + MARGIN)
}

fn drawn_steps(canvas: &Canvas<'_>) -> Vec<bool> {
    let mut is_drawn = vec![false; canvas.run.steps.len()];
    for place in &canvas.columns.steps {
        is_drawn[*place] = true;
    }
    is_drawn
}

fn is_there(is_drawn: &[bool], step: usize) -> bool {
    is_drawn.get(step).copied().unwrap_or(false)
}

fn draw_lanes(svg: &mut Svg, canvas: &Canvas<'_>) {
    let (left, right) = (canvas.left, canvas.right());
    for (lane, row) in &canvas.columns.rows {
        let y = Canvas::row_y(*row);
        let name = shortened(&canvas.run.lanes[*lane], NAME_MAX);
        if row % 2 == 0 {
            svg.put(format_args!(
                "<rect x=\"0\" y=\"{}\" width=\"{}\" height=\"{LANE_HEIGHT}\" fill=\"#f8fafc\"/>",
                y - LANE_HEIGHT / 2 - 4,
                right + MARGIN,
            ));
        }
        svg.put(format_args!(
            "<path d=\"M{left},{y} H{right}\" stroke=\"#9ca3af\"/>"
        ));
        svg.open(&canvas.run.lanes[*lane]);
        svg.text(&Text {
            anchor: Anchor::End,
            is_bold: true,
            ..Text::new(left - 10, y + 4, NAME_SIZE, &name)
        });
        svg.close();
        let mut x = left + NAMES_EVERY;
        while x < right - NAMES_EVERY / 4 {
            svg.text(&Text {
                color: PALE_INK,
                ..Text::new(x, y + 12, SMALL_SIZE, &name)
            });
            x += NAMES_EVERY;
        }
    }
}

fn draw_boundaries(svg: &mut Svg, canvas: &Canvas<'_>) {
    let bottom = canvas.bottom();
    let all = canvas.run.boundaries.iter().zip(&canvas.columns.boundaries);
    for (boundary, x) in all {
        let Some(x) = x.map(|x| canvas.left + x) else {
            continue;
        };
        svg.put(format_args!(
            "<path d=\"M{x},{} V{bottom}\" stroke=\"#374151\" stroke-width=\"1.2\" \
             stroke-dasharray=\"3 4\"/>",
            TOP - 8,
        ));
        svg.text(&Text {
            anchor: Anchor::Middle,
            is_bold: true,
            ..Text::new(
                x,
                TOP - 14,
                NAME_SIZE,
                &shortened(&boundary.label, LABEL_MAX),
            )
        });
    }
}

fn draw_step(svg: &mut Svg, canvas: &Canvas<'_>, step: &Step) {
    let Some(y) = canvas.y(step.lane) else {
        return;
    };
    let x = canvas.x(step.at_ms);
    svg.open(&format!("{} at {} ms", step.label, step.at_ms));
    if let StepKind::Segment { until_ms } = step.kind {
        let end = canvas.x(until_ms.max(step.at_ms)).max(x + 10);
        svg.put(format_args!(
            "<rect x=\"{x}\" y=\"{}\" width=\"{}\" height=\"12\" rx=\"3\" fill=\"{}\" \
             stroke=\"{}\"/>",
            y - MARK,
            end - x,
            SEGMENT.0,
            SEGMENT.1,
        ));
    } else {
        mark(svg, step.kind, x, y);
    }
    let color = if step.kind == StepKind::Fault {
        RED
    } else {
        INK
    };
    svg.text(&Text {
        color,
        ..Text::new(
            x + 3,
            y - 10,
            LABEL_SIZE,
            &shortened(&step.label, LABEL_MAX),
        )
    });
    svg.close();
}

/// Draws the mark of what takes no time. Marks differ in shape.
fn mark(svg: &mut Svg, kind: StepKind, x: i32, y: i32) {
    match kind {
        StepKind::Segment { .. } => {}
        StepKind::Breakpoint { is_active: true } => svg.put(format_args!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{MARK}\" fill=\"#111827\"/>"
        )),
        StepKind::Breakpoint { is_active: false } => svg.put(format_args!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"5\" fill=\"#ffffff\" stroke=\"#4b5563\" \
             stroke-width=\"1.5\" stroke-dasharray=\"2 2\"/>"
        )),
        StepKind::Fault => svg.put(format_args!(
            "<path d=\"M{},{} l12,12 m0,-12 l-12,12\" stroke=\"{RED}\" stroke-width=\"3\" \
             fill=\"none\"/>",
            x - MARK,
            y - MARK,
        )),
        StepKind::Decision => svg.put(format_args!(
            "<path d=\"M{x},{} l7,7 -7,7 -7,-7 Z\" fill=\"#e5e7eb\" stroke=\"#111827\"/>",
            y - 7,
        )),
    }
}

/// The line of a message.
struct Line<'a> {
    message: &'a Message,
    from: (i32, i32),
    to: (i32, i32),
    /// The first boundary that it crosses: what is held back waits there.
    boundary: Option<i32>,
}

impl Line<'_> {
    fn color(&self) -> &'static str {
        match (self.message.is_lost, self.message.is_postponed) {
            (true, _) => RED,
            (false, true) => HELD,
            (false, false) => PALE_INK,
        }
    }

    /// Returns where a message waits that is held back.
    fn held_at(&self) -> (i32, i32) {
        let Some(x) = self.boundary else {
            return self.point(4);
        };
        let ((from_x, from_y), (to_x, to_y)) = (self.from, self.to);
        let y = from_y + (to_y - from_y) * (x - from_x) / (to_x - from_x).max(1);
        (x, y)
    }

    /// Returns a point of the line, in eighths of its length.
    fn point(&self, eighths: i32) -> (i32, i32) {
        let between = |from: i32, to: i32| from + (to - from) * eighths / 8;
        (
            between(self.from.0, self.to.0),
            between(self.from.1, self.to.1),
        )
    }
}

/// Draws the line of a message: what is lost ends in a cross, what is held back
/// is dashed and has a bar where it waits.
fn draw_line(svg: &mut Svg, line: &Line<'_>, opacity: &str) {
    let (message, color) = (line.message, line.color());
    let is_held = message.is_postponed && !message.is_lost;
    let dashes = if is_held {
        " stroke-dasharray=\"7 4\""
    } else {
        ""
    };
    let marker = if message.is_lost {
        ""
    } else {
        " marker-end=\"url(#arrow)\""
    };
    let ((x, y), (to_x, to_y)) = (line.from, line.to);
    svg.put(format_args!(
        "<path d=\"M{x},{y} L{to_x},{to_y}\" stroke=\"{color}\" stroke-width=\"1.3\" \
         stroke-opacity=\"{opacity}\" fill=\"none\"{dashes}{marker}/>"
    ));
    if message.is_lost {
        svg.put(format_args!(
            "<path d=\"M{},{} l10,10 m0,-10 l-10,10\" stroke=\"{RED}\" stroke-width=\"2\"/>",
            to_x - 5,
            to_y - 5,
        ));
    } else if is_held {
        let (x, y) = line.held_at();
        svg.put(format_args!(
            "<path d=\"M{},{} v10 m4,0 v-10\" stroke=\"{HELD}\" stroke-width=\"2\"/>",
            x - 2,
            y - 5,
        ));
    }
}

/// Writes on lines where there is room; once where one step sends the same to many.
fn draw_line_labels(svg: &mut Svg, canvas: &Canvas<'_>, lines: &[Line<'_>]) {
    let mut written = Written::default();
    for place in &canvas.columns.steps {
        let step = &canvas.run.steps[*place];
        if let Some(y) = canvas.y(step.lane) {
            let label = shortened(&step.label, LABEL_MAX);
            written.take(&Text::new(
                canvas.x(step.at_ms) + 3,
                y - 10,
                LABEL_SIZE,
                &label,
            ));
        }
    }
    let mut known = BTreeSet::new();
    for line in lines {
        let message = line.message;
        if !known.insert((message.from, &message.label, message.is_lost)) {
            continue;
        }
        let label = shortened(&message.label, LABEL_MAX);
        // On the outer side of the line, seen from what comes before and after it.
        let is_down = line.to.1 > line.from.1;
        let (anchor, beside) = if is_down {
            (Anchor::Start, 6)
        } else {
            (Anchor::End, -6)
        };
        for eighths in [4, 5, 3, 6, 2, 7, 1] {
            let (x, y) = line.point(eighths);
            let text = Text {
                anchor,
                color: line.color(),
                ..Text::new(x + beside, y + 4, SMALL_SIZE, &label)
            };
            if written.take_if_free(&text) {
                svg.text(&text);
                break;
            }
        }
    }
}

/// Draws what each sign means; returns the right border and the bottom.
fn draw_legend(svg: &mut Svg, y: i32) -> (i32, i32) {
    let mut x = MARGIN;
    let name = |svg: &mut Svg, text: &str, x: &mut i32| {
        svg.text(&Text::new(*x, y + 4, LABEL_SIZE, text));
        *x += width(text, LABEL_SIZE) + 22;
    };
    svg.put(format_args!(
        "<rect x=\"{x}\" y=\"{}\" width=\"24\" height=\"12\" rx=\"3\" fill=\"{}\" stroke=\"{}\"/>",
        y - MARK,
        SEGMENT.0,
        SEGMENT.1,
    ));
    x += 30;
    name(svg, "segment", &mut x);
    for (kind, text) in [
        (
            StepKind::Breakpoint { is_active: true },
            "active breakpoint",
        ),
        (
            StepKind::Breakpoint { is_active: false },
            "sleeping breakpoint",
        ),
        (StepKind::Decision, "decision"),
        (StepKind::Fault, "fault"),
    ] {
        mark(svg, kind, x + MARK, y);
        x += 20;
        name(svg, text, &mut x);
    }
    for (is_postponed, is_lost, text) in [
        (false, false, "notification"),
        (true, false, "postponed"),
        (false, true, "lost"),
    ] {
        let message = Message {
            from: 0,
            to: 0,
            label: String::new(),
            is_postponed,
            is_lost,
        };
        let line = Line {
            message: &message,
            from: (x, y),
            to: (x + 36, y),
            boundary: None,
        };
        draw_line(svg, &line, "1");
        x += 46;
        name(svg, text, &mut x);
    }
    svg.put(format_args!(
        "<path d=\"M{x},{} v18\" stroke=\"#374151\" stroke-dasharray=\"3 4\"/>",
        y - 9
    ));
    x += 10;
    name(svg, "macrostep boundary", &mut x);
    svg.put(format_args!(
        "<path d=\"M{MARGIN},{} H{x}\" stroke=\"{RULE}\"/>",
        y - 18
    ));
    (x, y + 8)
}

/// Says what is not to be seen.
fn notes(canvas: &Canvas<'_>, messages: usize) -> Vec<String> {
    let columns = &canvas.columns;
    let mut notes = vec![
        "Time goes from left to right; distances tell the order, not how long it took. \
         Labels for which there is no room are shown when pointed at."
            .to_owned(),
    ];
    let missing: Vec<String> = [
        (columns.idle, "lanes in which nothing happens"),
        (columns.too_many, "other lanes"),
        (columns.left_out, "steps"),
        (messages, "messages"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{what} ({count})"))
    .collect();
    if !missing.is_empty() {
        notes.push(format!("Not drawn: {}.", missing.join(", ")));
    }
    notes
}
