//! The drawing of an execution graph.

use crate::execution::{ExecutionGraph, NodeKind};
use crate::layers::order;
use crate::reduce::{Line, Reduced, Shown, reduce};
use crate::svg::{Anchor, INK, PALE_INK, RED, RULE, Svg, Text, Written, shortened, width};

/// Characters of a label at most; the rest is in the tooltip.
const LABEL_MAX: usize = 22;
/// Characters of an edge's label at most.
const LINE_LABEL_MAX: usize = 18;
/// More lines than that are drawn pale, so that one sees through.
const PALE_FROM: usize = 60;
/// Sizes of letters.
const LABEL_SIZE: i32 = 12;
const SMALL_SIZE: i32 = 10;

const NODE_HEIGHT: i32 = 40;
const NODE_WIDTH_MIN: i32 = 84;
const GAP: i32 = 26;
/// Between two rows, wide enough for labels of lines.
const ROW_GAP: i32 = 62;
const MARGIN: i32 = 24;

/// How a kind of node looks.
pub(crate) struct Look {
    pub(crate) fill: &'static str,
    pub(crate) border: &'static str,
    pub(crate) is_dashed: bool,
    is_thick: bool,
}

/// Returns how a kind of node looks. Kinds differ in more than colour: in the
/// border, and in the word below the label.
pub(crate) const fn look(kind: NodeKind) -> Look {
    let (fill, border, is_thick, is_dashed) = match kind {
        NodeKind::Root => ("#e5e7eb", "#111827", true, false),
        NodeKind::Alternative => ("#dbeafe", "#1d4ed8", false, false),
        NodeKind::Deterministic => ("#f8fafc", "#64748b", false, false),
        NodeKind::Final => ("#dcfce7", "#15803d", true, false),
        NodeKind::Violated => ("#fee2e2", "#b91c1c", true, false),
        NodeKind::Stuck => ("#fef3c7", "#b45309", true, false),
        NodeKind::Pruned => ("#ffffff", "#6b7280", false, true),
    };
    Look {
        fill,
        border,
        is_dashed,
        is_thick,
    }
}

/// A node's place on the picture.
#[derive(Clone, Copy, Default)]
struct Frame {
    x: i32,
    y: i32,
    width: i32,
}

impl Frame {
    fn middle(self) -> i32 {
        self.x + self.width / 2
    }
}

/// Draws a graph.
pub(crate) fn draw(graph: &ExecutionGraph) -> String {
    let reduced = reduce(graph);
    let rows = order(&reduced);
    let names: Vec<String> = reduced
        .row_layers
        .iter()
        .map(|layer| format!("M{layer}"))
        .collect();
    let longest = names.iter().map(|name| width(name, SMALL_SIZE)).max();
    let left = 20 + longest.unwrap_or(0);
    let (frames, right, bottom) = place(&reduced, &rows, left);
    let mut svg = Svg::default();
    draw_rows(&mut svg, &reduced, &names, left, right);
    draw_lines(&mut svg, &reduced, &frames);
    for (node, frame) in reduced.nodes.iter().zip(&frames) {
        draw_node(&mut svg, node, *frame);
    }
    let notes = notes(graph, &reduced);
    let longest = notes.iter().map(|note| width(note, LABEL_SIZE)).max();
    let (legend_right, mut y) = draw_legend(&mut svg, bottom + 18);
    for note in &notes {
        y += 20;
        svg.text(&Text::new(MARGIN, y, LABEL_SIZE, note));
    }
    let all = [right, legend_right, MARGIN + longest.unwrap_or(0)];
    let right = all.into_iter().max().unwrap_or(right);
    svg.finish(right + MARGIN, y + MARGIN)
}

/// Draws what the rows are called, and where some are missing.
fn draw_rows(svg: &mut Svg, reduced: &Reduced, names: &[String], left: i32, right: i32) {
    for (row, name) in names.iter().enumerate() {
        let y = row_top(row) + NODE_HEIGHT / 2;
        svg.put(format_args!(
            "<path d=\"M{left},{y} H{right}\" stroke=\"{RULE}\" stroke-dasharray=\"1 6\"/>"
        ));
        svg.text(&Text {
            color: PALE_INK,
            is_bold: true,
            ..Text::new(12, y + 4, SMALL_SIZE, name)
        });
    }
    if let Some(row) = reduced.gap {
        let y = row_top(row) - ROW_GAP / 2;
        svg.put(format_args!(
            "<path d=\"M12,{} H{right} M12,{} H{right}\" stroke=\"{INK}\"/>",
            y - 2,
            y + 2,
        ));
    }
}

fn row_top(row: usize) -> i32 {
    let row = i32::try_from(row).unwrap_or(i32::MAX / 1_000);
    MARGIN + row * (NODE_HEIGHT + ROW_GAP)
}

/// Places the nodes; returns the right and the bottom border, too.
fn place(reduced: &Reduced, rows: &[Vec<usize>], left: i32) -> (Vec<Frame>, i32, i32) {
    let mut frames = vec![Frame::default(); reduced.nodes.len()];
    let mut widths = Vec::new();
    for row in rows {
        let mut x = 0;
        for place in row {
            let node = &reduced.nodes[*place];
            let label = width(&shortened(&node.label, LABEL_MAX), LABEL_SIZE);
            let under = width(&under(node), SMALL_SIZE);
            let width = NODE_WIDTH_MIN.max(label.max(under) + 16);
            frames[*place] = Frame {
                x,
                y: row_top(node.row),
                width,
            };
            x += width + GAP;
        }
        widths.push(x - GAP);
    }
    let widest = widths.iter().copied().max().unwrap_or(0).max(0);
    for (row, width) in rows.iter().zip(&widths) {
        for place in row {
            frames[*place].x += left + MARGIN + (widest - width) / 2;
        }
    }
    let bottom = row_top(rows.len()) - ROW_GAP;
    (frames, left + MARGIN + widest, bottom)
}

/// Returns what stands below a node's label.
fn under(node: &Shown) -> String {
    let mut words = Vec::new();
    match node.kind {
        NodeKind::Alternative | NodeKind::Deterministic => {}
        kind => words.push(kind.name().to_owned()),
    }
    if node.merged > 1 && !node.is_chain {
        words.push("merged".to_owned());
    }
    if node.multiplicity > 1 {
        words.push(format!("×{}", node.multiplicity));
    }
    words.join(" ")
}

fn draw_node(svg: &mut Svg, node: &Shown, frame: Frame) {
    let look = look(node.kind);
    let stroke = if look.is_thick { 3 } else { 1 };
    let is_dashed = look.is_dashed || node.merged > 1;
    let dashes = if is_dashed {
        " stroke-dasharray=\"5 3\""
    } else {
        ""
    };
    let Frame { x, y, width } = frame;
    svg.open(&format!("{} ({})", node.label, node.kind.name()));
    if node.merged > 1 || node.multiplicity > 1 {
        // Sheets behind it: it stands for several.
        svg.put(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{NODE_HEIGHT}\" rx=\"6\" \
             fill=\"{}\" stroke=\"{}\"/>",
            x + 4,
            y + 4,
            look.fill,
            look.border,
        ));
    }
    svg.put(format_args!(
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{NODE_HEIGHT}\" rx=\"6\" \
         fill=\"{}\" stroke=\"{}\" stroke-width=\"{stroke}\"{dashes}/>",
        look.fill, look.border,
    ));
    let under = under(node);
    let label = shortened(&node.label, LABEL_MAX);
    let label_y = y + if under.is_empty() { 24 } else { 18 };
    plain(svg, frame.middle(), label_y, LABEL_SIZE, &label);
    plain(svg, frame.middle(), y + 33, SMALL_SIZE, &under);
    svg.close();
}

/// Writes a text on a coloured ground, without a halo.
fn plain(svg: &mut Svg, x: i32, y: i32, size: i32, text: &str) {
    if !text.is_empty() {
        svg.put(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"middle\" fill=\"#111827\">\
             {}</text>",
            crate::svg::escaped(text)
        ));
    }
}

/// Draws the lines, and then what is written on them, where there is room: on
/// what leads to something wrong first, then on faults, then on the rest.
fn draw_lines(svg: &mut Svg, reduced: &Reduced, frames: &[Frame]) {
    let is_wrong = |line: &Line| {
        matches!(
            reduced.nodes[line.to].kind,
            NodeKind::Violated | NodeKind::Stuck
        )
    };
    let mut lines: Vec<&Line> = reduced.lines.iter().collect();
    lines.sort_by_key(|line| (!is_wrong(line), !line.is_fault));
    let opacity = if lines.len() > PALE_FROM { "0.5" } else { "1" };
    for line in lines.iter().rev() {
        let [from, to] = [line.from, line.to].map(|place| &reduced.nodes[place].label);
        let more = if line.merged > 1 { ", and others" } else { "" };
        let (color, marker, dashes) = if line.is_fault {
            (RED, "fault-arrow", " stroke-dasharray=\"6 3\"")
        } else {
            (PALE_INK, "arrow", "")
        };
        let [(x, y), (x1, y1), (x2, y2), (x3, y3)] = curve(frames, line);
        svg.open(&format!("{from} → {to}: {}{more}", line.label));
        svg.put(format_args!(
            "<path d=\"M{x},{y} C{x1},{y1} {x2},{y2} {x3},{y3}\" fill=\"none\" stroke=\"{color}\" \
             stroke-width=\"1.3\" stroke-opacity=\"{opacity}\" marker-end=\"url(#{marker})\"{dashes}/>"
        ));
        svg.close();
    }
    let mut written = Written::default();
    for line in lines {
        let label = if line.merged > 1 {
            format!("{} ways", line.merged)
        } else {
            shortened(&line.label, LINE_LABEL_MAX)
        };
        let curve = curve(frames, line);
        for eighths in [4, 5, 3, 6, 2] {
            let (x, y) = point(&curve, eighths);
            let text = Text {
                anchor: Anchor::Middle,
                color: if line.is_fault { RED } else { PALE_INK },
                ..Text::new(x, y + 4, SMALL_SIZE, &label)
            };
            if written.take_if_free(&text) {
                svg.text(&text);
                break;
            }
        }
    }
}

/// The points of a cubic curve.
type Curve = [(i32, i32); 4];

/// Returns the curve of a line.
fn curve(frames: &[Frame], line: &Line) -> Curve {
    let (from, to) = (frames[line.from], frames[line.to]);
    if to.y > from.y {
        let (start, end) = (from.y + NODE_HEIGHT, to.y - 2);
        let bend = (end - start) / 2;
        [
            (from.middle(), start),
            (from.middle(), start + bend),
            (to.middle(), end - bend),
            (to.middle(), end),
        ]
    } else {
        // Back, or within a row: around the right side.
        let (out, back) = (from.x + from.width, to.x + to.width + 2);
        let side = out.max(back) + 34;
        let (start, end) = (from.y + 12, to.y + NODE_HEIGHT - 12);
        [(out, start), (side, start), (side, end), (back, end)]
    }
}

/// Returns a point of a curve, in eighths of its length.
fn point(curve: &Curve, eighths: i32) -> (i32, i32) {
    let rest = 8 - eighths;
    let weights = [
        rest * rest * rest,
        3 * rest * rest * eighths,
        3 * rest * eighths * eighths,
        eighths * eighths * eighths,
    ];
    let sum = |of: fn(&(i32, i32)) -> i32| {
        let weighted = curve.iter().zip(weights);
        weighted
            .map(|(point, weight)| of(point) * weight)
            .sum::<i32>()
            / 512
    };
    (sum(|point| point.0), sum(|point| point.1))
}

/// Draws what each kind looks like; returns the right border and the bottom.
fn draw_legend(svg: &mut Svg, top: i32) -> (i32, i32) {
    let mut x = MARGIN;
    for kind in NodeKind::ALL {
        let look = look(kind);
        let stroke = if look.is_thick { 3 } else { 1 };
        let dashes = if look.is_dashed {
            " stroke-dasharray=\"5 3\""
        } else {
            ""
        };
        svg.put(format_args!(
            "<rect x=\"{x}\" y=\"{top}\" width=\"22\" height=\"14\" rx=\"4\" fill=\"{}\" \
             stroke=\"{}\" stroke-width=\"{stroke}\"{dashes}/>",
            look.fill, look.border,
        ));
        svg.text(&Text::new(x + 29, top + 11, LABEL_SIZE, kind.name()));
        x += 29 + width(kind.name(), LABEL_SIZE) + 16;
    }
    svg.put(format_args!(
        "<path d=\"M{x},{} H{}\" stroke=\"{RED}\" stroke-width=\"1.3\" stroke-dasharray=\"6 3\" \
         marker-end=\"url(#fault-arrow)\"/>",
        top + 7,
        x + 34,
    ));
    svg.text(&Text::new(x + 41, top + 11, LABEL_SIZE, "fault"));
    let notes = "M1, M2, …: macrosteps.  ×2: two states that differ only in who is who.  \
                 Labels for which there is no room are shown when pointed at.";
    svg.text(&Text::new(MARGIN, top + 36, LABEL_SIZE, notes));
    (x + 80, top + 36)
}

/// Says what is not to be seen.
fn notes(graph: &ExecutionGraph, reduced: &Reduced) -> Vec<String> {
    let mut notes = Vec::new();
    let all = graph.nodes.len();
    if reduced.merged > 0 {
        notes.push(format!(
            "{} of {all} states are merged into boxes with dashed borders; \
             those that lead to what is wrong are the last to be merged.",
            reduced.merged
        ));
    }
    if reduced.cut > 0 {
        notes.push(format!(
            "{} of {all} states are in rows that are not drawn, at the double line.",
            reduced.cut
        ));
    }
    if all == 0 {
        notes.push("There are no states.".to_owned());
    }
    notes
}
