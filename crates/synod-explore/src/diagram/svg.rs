//! A diagram as SVG: complete in itself, or in the colours of stateright's Explorer.

use super::{Diagram, Mark, OUTSIDE};
use std::fmt::{self, Write};

/// The height of a row, and of the header.
const ROW: usize = 26;
const HEADER: usize = 44;
/// The width of a character of a label, as a fraction, and of a name.
const GLYPH: (usize, usize) = (29, 4);
const NAME_GLYPH: usize = 9;
/// The least distance between two lifelines.
const SPACING: usize = 120;
/// The margin left and right.
const MARGIN: usize = 16;
/// The distance between the end of a lost message's arrow and its destination.
const SHORT: usize = 20;
/// The column of row numbers.
const NUMBERS: usize = 34;

/// The styles of a diagram that stands alone. In the Explorer its style sheet applies.
const STYLE: &str = "\
svg{background:#fff}\
text{font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:12px}\
.svg-actor-label{font-size:14px;font-weight:bold;fill:#1b2733}\
.svg-actor-box{fill:#eef3f8;stroke:#8aa0b4}\
.svg-actor-timeline{stroke:#8aa0b4}\
.svg-event-line{stroke:#2b5672;stroke-width:1.5;fill:none}\
.svg-event-shape{fill:#2b5672;stroke:none}\
.svg-event-label{fill:#1b2733;paint-order:stroke;stroke:#fff;stroke-width:4px}\
.svg-down{stroke:#c0392b;stroke-dasharray:3 5}\
.svg-crash{stroke:#c0392b;stroke-width:3;fill:none}\
.svg-recover{fill:#fff;stroke:#1e8449;stroke-width:2.5}\
.svg-number{fill:#8aa0b4;font-size:11px}\
.svg-cycle{stroke:#b7791f;stroke-width:2;fill:none}\
.svg-renamed{stroke:#8aa0b4;stroke-dasharray:2 4}\
.svg-ignored{opacity:.45}";

/// The styles that the Explorer's style sheet does not have.
const EXPLORER_STYLE: &str = "\
.svg-event-line{stroke:#7fb2d6!important;fill:none!important;stroke-width:1.5}\
.svg-event-shape{fill:#7fb2d6!important;stroke:none!important}\
.svg-actor-label,.svg-event-label{font-family:monospace;font-size:12px}\
.svg-event-label{paint-order:stroke;stroke:#142b46;stroke-width:4px}\
.svg-actor-box{fill:#2b5672;stroke:#bbb}\
.svg-down{stroke:#e08e7b;stroke-dasharray:3 5}\
.svg-crash{stroke:#e08e7b;stroke-width:3;fill:none}\
.svg-recover{fill:#142b46;stroke:#7dcea0;stroke-width:2.5}\
.svg-number{fill:#bbb;font-size:11px;font-family:monospace}\
.svg-cycle{stroke:#e8c07d;stroke-width:2;fill:none}\
.svg-renamed{stroke:#bbb;stroke-dasharray:2 4}\
.svg-ignored{opacity:.45}";

/// The positions of actors and rows.
struct Layout {
    left: usize,
    spacing: usize,
    width: usize,
    height: usize,
}

/// The width of a label with its margin.
fn wide(label: &str) -> usize {
    label.chars().count() * GLYPH.0 / GLYPH.1 + 12
}

impl Layout {
    fn of(diagram: &Diagram) -> Self {
        let actors = diagram.names.len();
        let name = diagram.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let label = |right: bool| {
            let rows = diagram.rows.iter().filter(move |row| {
                let edge = if right { actors.saturating_sub(1) } else { 0 };
                row.actor == edge && (label_goes_right(row.actor, row.mark) == right)
            });
            rows.map(|row| wide(&row.label)).max().unwrap_or(0)
        };
        let spacing = SPACING.max(name * NAME_GLYPH + 40);
        let half_box = name * NAME_GLYPH / 2 + 12;
        let left = MARGIN + NUMBERS + half_box.max(label(false));
        // A label left or right of an inner lifeline may also reach over the edge.
        let longest = diagram.rows.iter().map(|row| wide(&row.label)).max().unwrap_or(0);
        let reach = longest.saturating_sub(spacing);
        let left = left.max(MARGIN + NUMBERS + reach);
        let right = half_box.max(label(true)).max(reach) + MARGIN;
        Self {
            left,
            spacing,
            width: left + actors.saturating_sub(1) * spacing + right,
            height: HEADER + (diagram.rows.len() + 1) * ROW,
        }
    }

    fn x(&self, actor: usize) -> usize {
        self.left + actor * self.spacing
    }

    fn y(row: usize) -> usize {
        HEADER + row * ROW
    }
}

/// A label stands on the side its arrow does not come from, so that the arrow does not cross it.
fn label_goes_right(actor: usize, mark: Mark) -> bool {
    match mark {
        Mark::Arrow { from, .. } | Mark::Lost { from, .. } => from == OUTSIDE || from <= actor,
        _ => true,
    }
}

/// Text that means itself in XML, control characters shown as such.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

impl Diagram {
    /// The diagram as an SVG file that needs nothing else.
    pub fn svg(&self) -> String {
        self.draw(STYLE, "<rect width='100%' height='100%' fill='#fff'/>")
    }

    /// The diagram for stateright's Explorer: its class names, and no background.
    pub fn explorer_svg(&self) -> String {
        self.draw(EXPLORER_STYLE, "")
    }

    fn draw(&self, style: &str, background: &str) -> String {
        let layout = Layout::of(self);
        let mut svg = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut svg, &layout, style, background);
        svg
    }

    fn write(&self, out: &mut String, layout: &Layout, style: &str, background: &str) -> fmt::Result {
        let Layout { width, height, .. } = *layout;
        writeln!(
            out,
            "<svg version='1.1' xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' \
             viewBox='0 0 {width} {height}'>\n<style>{style}</style>\n\
             <defs><marker class='svg-event-shape' id='arrow' markerWidth='12' markerHeight='10' refX='11' \
             refY='5' orient='auto' markerUnits='userSpaceOnUse'><polygon points='0 1, 12 5, 0 9'/></marker></defs>\n\
             {background}"
        )?;
        for actor in 0..self.names.len() {
            self.lifeline(out, layout, actor)?;
        }
        for (number, row) in (1..).zip(&self.rows) {
            let class = if row.ignored { " class='svg-ignored'" } else { "" };
            writeln!(out, "<g{class}>")?;
            Self::event(out, layout, number, row)?;
            writeln!(out, "</g>")?;
        }
        for (number, words) in (1..).zip(&self.rows).filter_map(|(at, row)| Some((at, row.renamed.as_ref()?)))
        {
            let (y, right) = (Layout::y(number) + ROW / 2, width - MARGIN);
            writeln!(
                out,
                "<line x1='{MARGIN}' y1='{y}' x2='{right}' y2='{y}' class='svg-renamed'/>\
                 <text x='{right}' y='{}' text-anchor='end' class='svg-number'>renamed: {}</text>",
                y + 4,
                escape(words)
            )?;
        }
        // Labels come last, over every line.
        for (number, row) in (1..).zip(&self.rows) {
            let y = Layout::y(number);
            writeln!(
                out,
                "<text x='{}' y='{}' text-anchor='end' class='svg-number'>{number}</text>",
                MARGIN + NUMBERS - 14,
                y + 4
            )?;
            let actor = if row.actor == OUTSIDE { self.names.len() } else { row.actor };
            let x = if row.actor == OUTSIDE { layout.x(actor) - layout.spacing / 2 } else { layout.x(actor) };
            let (x, anchor) = if label_goes_right(row.actor, row.mark) {
                (x + 10, "start")
            } else {
                (x.saturating_sub(10), "end")
            };
            let label = if row.ignored { format!("{} (ignored)", row.label) } else { row.label.clone() };
            writeln!(
                out,
                "<text x='{x}' y='{}' text-anchor='{anchor}' class='svg-event-label'>{}</text>",
                y + 4,
                escape(&label)
            )?;
        }
        self.around(out)?;
        writeln!(out, "</svg>")
    }

    /// A bracket left of the numbers of the rows that repeat for ever; below them if the run stands still.
    fn around(&self, out: &mut String) -> fmt::Result {
        let Some(before) = self.cycle else { return Ok(()) };
        let (top, bottom) = (Layout::y(before + 1) - ROW / 3, Layout::y(self.rows.len()) + ROW / 3);
        let (x, tip) = (MARGIN - 6, MARGIN);
        let says = if self.stands_still() { "nothing more is done, for ever" } else { "repeated for ever" };
        if self.stands_still() {
            let y = Layout::y(self.rows.len()) + ROW / 2 + 4;
            return writeln!(out, "<text x='{tip}' y='{y}' class='svg-number'>{says}</text>");
        }
        writeln!(
            out,
            "<path d='M {tip} {top} H {x} V {bottom} H {tip}' class='svg-cycle'><title>{says}</title></path>"
        )
    }

    fn lifeline(&self, out: &mut String, layout: &Layout, actor: usize) -> fmt::Result {
        let (x, top, bottom) = (layout.x(actor), HEADER - 10, layout.height - ROW / 2);
        let mut from = top;
        let downtimes = self.downtimes(actor);
        for &(since, until) in downtimes.iter().chain(&[(self.rows.len() + 1, self.rows.len() + 1)]) {
            let (since, until) = (Layout::y(since).min(bottom), Layout::y(until).min(bottom));
            writeln!(out, "<line x1='{x}' y1='{from}' x2='{x}' y2='{since}' class='svg-actor-timeline'/>")?;
            if since < until {
                writeln!(out, "<line x1='{x}' y1='{since}' x2='{x}' y2='{until}' class='svg-down'/>")?;
            }
            from = until;
        }
        let name = &self.names[actor];
        let half = name.chars().count() * NAME_GLYPH / 2 + 10;
        writeln!(
            out,
            "<rect x='{}' y='{}' width='{}' height='24' rx='4' class='svg-actor-box'/>\
             <text x='{x}' y='{}' text-anchor='middle' class='svg-actor-label'>{}</text>",
            x - half,
            HEADER - 34,
            2 * half,
            HEADER - 17,
            escape(name)
        )
    }

    fn event(out: &mut String, layout: &Layout, number: usize, row: &super::Row) -> fmt::Result {
        let y = Layout::y(number);
        let x = if row.actor == OUTSIDE { 0 } else { layout.x(row.actor) };
        match row.mark {
            Mark::Arrow { from, sent } | Mark::Lost { from, sent } => {
                let lost = matches!(row.mark, Mark::Lost { .. });
                let to_x = match (from, row.actor) {
                    (OUTSIDE, OUTSIDE) => return Ok(()),
                    (from, OUTSIDE) => layout.x(from) + layout.spacing / 2,
                    _ => x,
                };
                let from_x = if from == OUTSIDE { to_x - layout.spacing / 2 } else { layout.x(from) };
                let from_y = if from == OUTSIDE { y } else { Layout::y(sent) };
                let end = if lost { "" } else { " marker-end='url(#arrow)'" };
                if from == row.actor && !lost {
                    let bulge = x + 34;
                    return writeln!(
                        out,
                        "<path d='M{x},{from_y} C{bulge},{from_y} {bulge},{y} {x},{y}' class='svg-event-line'{end}/>"
                    );
                }
                // A lost message ends just before it would have arrived.
                let to_x = match (lost, from_x > to_x) {
                    (false, _) => to_x,
                    (true, true) => to_x + SHORT,
                    (true, false) => to_x.saturating_sub(SHORT),
                };
                let to_y = y;
                writeln!(
                    out,
                    "<line x1='{from_x}' y1='{from_y}' x2='{to_x}' y2='{to_y}' class='svg-event-line'{end}/>"
                )?;
                if lost { cross(out, to_x, to_y) } else { Ok(()) }
            }
            Mark::Timeout => writeln!(out, "<circle cx='{x}' cy='{y}' r='5' class='svg-event-shape'/>"),
            Mark::Choice => writeln!(
                out,
                "<polygon points='{},{y} {x},{} {},{y} {x},{}' class='svg-event-shape'/>",
                x - 6,
                y - 6,
                x + 6,
                y + 6
            ),
            Mark::Crash => cross(out, x, y),
            Mark::Tick => Ok(()),
            Mark::Recover => writeln!(out, "<circle cx='{x}' cy='{y}' r='5' class='svg-recover'/>"),
        }
    }
}

fn cross(out: &mut String, x: usize, y: usize) -> fmt::Result {
    writeln!(out, "<path d='M{0},{1} l12,12 m0,-12 l-12,12' class='svg-crash'/>", x - 6, y - 6)
}
