//! One plot as inline SVG: axes, lines, points, bars. It knows nothing of evaluations.

use std::fmt::Write as _;

/// Room around the plot's inside for its labels, in pixels.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 34.0;

/// A plot under construction. Coordinates are in the data's units.
pub(super) struct Plot {
    width: f64,
    height: f64,
    x: (f64, f64),
    y: (f64, f64),
    body: String,
}

impl Plot {
    /// A plot of so many pixels over these ranges.
    pub(super) fn new(width: f64, height: f64, x: (f64, f64), y: (f64, f64)) -> Self {
        let wide = |range: (f64, f64)| if range.1 > range.0 { range } else { (range.0, range.0 + 1.0) };
        Self { width, height, x: wide(x), y: wide(y), body: String::new() }
    }

    pub(super) fn at_x(&self, x: f64) -> f64 {
        LEFT + (x - self.x.0) / (self.x.1 - self.x.0) * (self.width - LEFT - RIGHT)
    }

    pub(super) fn at_y(&self, y: f64) -> f64 {
        let share = ((y - self.y.0) / (self.y.1 - self.y.0)).clamp(0.0, 1.0);
        self.height - BOTTOM - share * (self.height - TOP - BOTTOM)
    }

    /// Ticks with their labels below the plot.
    pub(super) fn x_axis(&mut self, ticks: &[(f64, String)], title: &str) {
        let base = self.height - BOTTOM;
        for (x, label) in ticks {
            let x = self.at_x(*x);
            let _ = write!(
                self.body,
                r#"<line class="grid" x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{base}"/><text x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                base + 13.0,
                escaped(label)
            );
        }
        let middle = (LEFT + self.width - RIGHT) / 2.0;
        let _ = write!(
            self.body,
            r#"<text x="{middle:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            self.height - 5.0,
            escaped(title)
        );
    }

    /// Ticks with their labels left of the plot.
    pub(super) fn y_axis(&mut self, ticks: &[(f64, String)]) {
        let right = self.width - RIGHT;
        for (y, label) in ticks {
            let y = self.at_y(*y);
            let _ = write!(
                self.body,
                r#"<line class="grid" x1="{LEFT}" y1="{y:.1}" x2="{right}" y2="{y:.1}"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                LEFT - 5.0,
                y + 3.5,
                escaped(label)
            );
        }
    }

    /// A line through these points; where a coordinate isn't finite, it is broken.
    pub(super) fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut path = String::new();
        let mut pen_is_down = false;
        for (x, y) in points {
            if x.is_finite() && y.is_finite() {
                let _ =
                    write!(path, "{}{:.1} {:.1}", if pen_is_down { "L" } else { "M" }, self.at_x(*x), self.at_y(*y));
            }
            pen_is_down = x.is_finite() && y.is_finite();
        }
        let _ = write!(self.body, r#"<path class="line {class}" d="{path}"/>"#);
    }

    /// A disc of `radius` pixels.
    pub(super) fn point(&mut self, class: &str, x: f64, y: f64, radius: f64, tip: &str) {
        let (x, y) = (self.at_x(x), self.at_y(y));
        let _ = write!(
            self.body,
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}"><title>{}</title></circle>"#,
            escaped(tip)
        );
    }

    /// A filled rectangle from corner to corner.
    pub(super) fn area(&mut self, class: &str, from: (f64, f64), to: (f64, f64), tip: &str) {
        let (x1, x2, y1, y2) = (self.at_x(from.0), self.at_x(to.0), self.at_y(to.1), self.at_y(from.1));
        let _ = write!(
            self.body,
            r#"<rect class="{class}" x="{x1:.1}" y="{y1:.1}" width="{:.1}" height="{:.1}"><title>{}</title></rect>"#,
            (x2 - x1).max(1.0),
            (y2 - y1).max(0.0),
            escaped(tip)
        );
    }

    /// The finished element; `title` is what a screen reader says.
    pub(super) fn finish(self, title: &str) -> String {
        format!(
            r#"<svg role="img" viewBox="0 0 {w} {h}" width="{w}" height="{h}"><title>{}</title>{}</svg>"#,
            escaped(title),
            self.body,
            w = self.width,
            h = self.height,
        )
    }
}

/// Ticks at these values.
pub(super) fn ticks(values: &[f64]) -> Vec<(f64, String)> {
    values.iter().map(|value| (*value, format!("{value}"))).collect()
}

/// Text that means itself in HTML: names come from files.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
