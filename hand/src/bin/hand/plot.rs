//! `hand plot`: length, moment arm and force of a muscle over a joint, as SVG.

use std::fmt::Write as _;

use hand::kernel::{Kernel, Pose};
use hand::model::{JointKind, Model, ParameterSet};

/// Points of each curve.
const POINTS: usize = 241;
const WIDTH: f64 = 640.0;
const PANEL_HEIGHT: f64 = 170.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 56.0;
const BETWEEN: f64 = 52.0;
const COLORS: [&str; 2] = ["#1f5fa8", "#c4561a"];

/// Three panels above each other, sharing the joint's axis.
pub(crate) fn svg(
    model: &Model,
    parameters: ParameterSet,
    muscle: &str,
    joint: &str,
) -> Result<String, String> {
    let kernel = Kernel::new(model, parameters);
    let m = index("muscle", muscle, kernel.muscles())?;
    let j = index("joint", joint, kernel.joints())?;
    let is_hinge = model.joint[j].kind == JointKind::Hinge;
    let limit = |k: usize| model.joint[k].limit;
    let [low, high] = limit(j).unwrap_or(if is_hinge {
        [-std::f64::consts::PI, std::f64::consts::PI]
    } else {
        [-0.1, 0.1]
    });
    if low >= high {
        return Err(format!(
            "joint \"{joint}\" cannot move: its limits are {low} and {high}"
        ));
    }
    // The other joints at rest, or as close to it as they can be.
    let rest = (0..model.joint.len())
        .map(|k| limit(k).map_or(0.0, |[low, high]| 0.0_f64.clamp(low, high)));
    let mut pose = Pose {
        qpos: rest.collect(),
        qvel: vec![0.0; model.joint.len()],
        act: vec![0.0; model.muscle.len()],
    };
    // Joint, length, moment arm, tension at full and at no activation.
    let mut samples = Vec::new();
    for i in 0..POINTS {
        pose.qpos[j] = low + (high - low) * i as f64 / (POINTS - 1) as f64;
        pose.act[m] = 0.0;
        let passive = kernel.evaluate(&pose).map_err(|error| error.to_string())?;
        pose.act[m] = 1.0;
        let active = kernel.evaluate(&pose).map_err(|error| error.to_string())?;
        let at = if is_hinge {
            pose.qpos[j].to_degrees()
        } else {
            pose.qpos[j] * 1e3
        };
        samples.push([
            at,
            active.lengths[m] * 1e3,
            active.moment_arms[m][j] * 1e3,
            active.tensions[m],
            passive.tensions[m],
        ]);
    }
    let (unit, arm) = if is_hinge {
        ("degrees", "moment arm, mm")
    } else {
        ("mm", "length per joint, mm/m")
    };
    let curve = |k: usize| samples.iter().map(|sample| sample[k]).collect::<Vec<f64>>();
    let set = match parameters {
        ParameterSet::Compat => "compat",
        ParameterSet::Calibrated => "calibrated",
    };
    Ok(draw(
        &format!("{muscle} over {joint} ({set}, other joints at rest)"),
        &format!("{joint}, {unit}"),
        &curve(0),
        &[
            Panel {
                label: "length, mm",
                curves: vec![("", curve(1))],
                from_zero: false,
            },
            Panel {
                label: arm,
                curves: vec![("", curve(2))],
                from_zero: true,
            },
            Panel {
                label: "tension, N",
                curves: vec![("fully active", curve(3)), ("passive", curve(4))],
                from_zero: true,
            },
        ],
    ))
}

fn index(kind: &str, name: &str, known: &[String]) -> Result<usize, String> {
    known.iter().position(|known| known == name).ok_or_else(|| {
        format!(
            "there is no {kind} \"{name}\"; these exist: {}",
            known.join(", ")
        )
    })
}

struct Panel {
    label: &'static str,
    curves: Vec<(&'static str, Vec<f64>)>,
    /// Whether 0 is always in the picture.
    from_zero: bool,
}

fn draw(title: &str, x_label: &str, xs: &[f64], panels: &[Panel]) -> String {
    let height = TOP + panels.len() as f64 * (PANEL_HEIGHT + BETWEEN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"28\" font-size=\"16\">{}</text>\n",
        escaped(title)
    );
    for (i, panel) in panels.iter().enumerate() {
        let top = TOP + i as f64 * (PANEL_HEIGHT + BETWEEN);
        draw_panel(&mut svg, panel, x_label, xs, top);
    }
    svg + "</svg>\n"
}

fn draw_panel(svg: &mut String, panel: &Panel, x_label: &str, xs: &[f64], top: f64) {
    let (right, bottom) = (WIDTH - RIGHT, top + PANEL_HEIGHT);
    let x_axis = Axis::over(xs.iter().copied(), LEFT, right, 0.0);
    let values = panel
        .curves
        .iter()
        .flat_map(|(_, curve)| curve.iter().copied());
    let y_axis = Axis::over(
        values.chain(panel.from_zero.then_some(0.0)),
        bottom,
        top,
        0.06,
    );
    for tick in x_axis.ticks() {
        let x = x_axis.place(tick);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#e4e4e4\"/>"
        );
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            x_axis.label(tick)
        );
    }
    for tick in y_axis.ticks() {
        let y = y_axis.place(tick);
        let color = if tick == 0.0 { "#999" } else { "#e4e4e4" };
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"{color}\"/>"
        );
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            y_axis.label(tick)
        );
    }
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#444\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
         <text transform=\"translate(20 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        (LEFT + right) / 2.0,
        bottom + 34.0,
        escaped(x_label),
        (top + bottom) / 2.0,
        escaped(panel.label)
    );
    for (k, (name, curve)) in panel.curves.iter().enumerate() {
        let color = COLORS[k % COLORS.len()];
        let points: Vec<String> = xs
            .iter()
            .zip(curve)
            .map(|(x, y)| format!("{:.2},{:.2}", x_axis.place(*x), y_axis.place(*y)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
        // Names stand in a row above the panel, the last at its right end.
        let after = (panel.curves.len() - 1 - k) as f64;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"{color}\">{name}</text>",
            right - 64.0 * after,
            top - 8.0,
        );
    }
}

/// From values to places on paper.
struct Axis {
    low: f64,
    high: f64,
    /// Where the low and the high end lie.
    from: f64,
    to: f64,
    step: f64,
}

impl Axis {
    /// Around all values, with `margin` (a part of their range) on both sides.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64, margin: f64) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
        // A flat curve gets an axis of its own size, or 1.
        let range = if high - low > 1e-9 {
            high - low
        } else {
            low.abs().max(1.0)
        };
        let (low, high) = (low - margin * range, high.max(low + range) + margin * range);
        // The step of 1, 2 or 5 that gives about six ticks.
        let rough = (high - low) / 6.0;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .find(|s| s * power >= rough)
            .unwrap_or(10.0)
            * power;
        Self {
            low,
            high,
            from,
            to,
            step,
        }
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        let first = (self.low / self.step - 1e-9).ceil() as i64;
        let last = (self.high / self.step + 1e-9).floor() as i64;
        (first..=last).map(|i| i as f64 * self.step)
    }

    fn label(&self, tick: f64) -> String {
        let digits = (-self.step.log10().floor()).max(0.0) as usize;
        format!("{tick:.digits$}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
