//! Pages that show how a hand's policy learns.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use plotters::prelude::{
    ChartBuilder, Color as _, DashedLineSeries, IntoDrawingArea as _, LineSeries, PathElement,
    RGBColor, SVGBackend, Text, WHITE,
};
use serde_json::Value;

use super::RecipeError;
use crate::evaluation::floor_plan::escape;
use crate::evaluation::report::head;

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What it is.
    pub name: String,
    /// Its points.
    pub points: Vec<[f64; 2]>,
}

/// Colors that people who see few colors tell apart (Okabe and Ito 2008).
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
];

/// From one curve's name to the next, in pixels.
const ROW: i32 = 17;

/// What is shown of a run, panel by panel: a title, and the figures whose names begin so.
const PANELS: [(&str, &[&str]); 9] = [
    ("Reward of an episode", &["reward", "evaluated_reward"]),
    (
        "Share of episodes that succeed",
        &["success", "evaluated_success"],
    ),
    (
        "Share of the steps in which what is wanted holds",
        &["held", "evaluated_held"],
    ),
    ("Terms of the reward, by step", &["term/"]),
    ("Losses", &["policy_loss", "value_loss"]),
    ("Entropy of the actions", &["entropy"]),
    ("Divergence, and share of clipped rows", &["kl", "clipped"]),
    ("Variance that the critic explains", &["explained_variance"]),
    (
        "Muscles' activation, mean square",
        &["evaluated_activation"],
    ),
];

/// The lines of a run's metrics.jsonl.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Vec<Value>, RecipeError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| RecipeError::Input(format!("{}: {error}", path.display())))?;
    let lines = text.lines().enumerate().map(|(number, line)| {
        serde_json::from_str(line).map_err(|error| {
            RecipeError::Input(format!("{}, line {}: {error}", path.display(), number + 1))
        })
    });
    lines.collect()
}

/// Writes a run's page beside its metrics: where it is.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(folder: &Path, tasks: &[String]) -> Result<PathBuf, RecipeError> {
    let lines = read(&folder.join("metrics.jsonl"))?;
    let mut body = String::new();
    for (title, prefixes) in PANELS {
        let curves = curves(&lines, prefixes, tasks);
        if !curves.is_empty() {
            body += &section(title, "environment steps", None, &curves)?;
        }
    }
    let path = folder.join("report.html");
    std::fs::write(&path, page("How a hand learns", &tasks.join(", "), &body))
        .map_err(|error| RecipeError::Failed(format!("{}: {error}", path.display())))?;
    Ok(path)
}

/// The figures of these names over the steps: of those that are lists, one for each task; of those whose name begins so and ends with
/// the same part, the mean.
fn curves(lines: &[Value], prefixes: &[&str], tasks: &[String]) -> Vec<Curve> {
    let mut found: Vec<Curve> = Vec::new();
    for line in lines.iter().filter_map(Value::as_object) {
        let Some(at) = line.get("env_steps").and_then(Value::as_f64) else {
            continue;
        };
        let mut figures: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (key, value) in line {
            let shown = prefixes.iter().find(|prefix| match prefix.ends_with('/') {
                true => key.starts_with(**prefix),
                false => key == **prefix,
            });
            let Some(prefix) = shown else { continue };
            let name = match key.rsplit_once('/') {
                Some((_, part)) => format!("{prefix}{part}"),
                None => key.clone(),
            };
            let numbers = value
                .as_array()
                .map_or(std::slice::from_ref(value), |list| list);
            let each = value.is_array() && tasks.len() > 1;
            for (x, number) in numbers.iter().zip(0..) {
                let Some(x) = x.as_f64() else { continue };
                let name = match tasks.get(number) {
                    Some(task) if each => format!("{name}, {task}"),
                    _ => name.clone(),
                };
                figures.entry(name).or_default().push(x);
            }
        }
        for (name, list) in figures {
            let point = [at, list.iter().sum::<f64>() / list.len() as f64];
            match found.iter_mut().find(|curve| curve.name == name) {
                Some(curve) => curve.points.push(point),
                None => found.push(Curve {
                    name,
                    points: vec![point],
                }),
            }
        }
    }
    found
}

/// A part of a page with a chart; `range` of its upward axis where it does not follow from the curves.
///
/// # Errors
/// When a chart cannot be drawn.
pub fn section(
    title: &str,
    x_label: &str,
    range: Option<[f64; 2]>,
    curves: &[Curve],
) -> Result<String, RecipeError> {
    let svg = chart(x_label, range, curves)
        .map_err(|error| RecipeError::Failed(format!("{title}: {error}")))?;
    Ok(format!("<section><h2>{title}</h2>{svg}</section>\n"))
}

/// A chart in SVG, with the curves' names on its right.
fn chart(
    x_label: &str,
    range: Option<[f64; 2]>,
    curves: &[Curve],
) -> Result<String, Box<dyn std::error::Error>> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let last = points().map(|[x, _]| *x).fold(1.0, f64::max);
    let low = points().map(|[_, y]| *y).fold(f64::INFINITY, f64::min);
    let high = points().map(|[_, y]| *y).fold(f64::NEG_INFINITY, f64::max);
    let [low, high] = range.unwrap_or(if low < high {
        [low, high]
    } else {
        let middle = if low.is_finite() { low } else { 0.0 };
        [middle - 0.5, middle + 0.5]
    });
    let mut svg = String::new();
    {
        let height = (ROW * curves.len() as i32 + 40).max(300);
        let area = SVGBackend::with_string(&mut svg, (900, height as u32)).into_drawing_area();
        area.fill(&WHITE)?;
        let (plot, names) = area.split_horizontally(680);
        let mut chart = ChartBuilder::on(&plot)
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..last, low..high)?;
        let short = |x: &f64| match x.abs() {
            x_abs if x_abs >= 1e6 => format!("{:.1} M", x / 1e6),
            x_abs if x_abs >= 1e3 => format!("{:.0} k", x / 1e3),
            _ => format!("{x:.3}")
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned(),
        };
        chart
            .configure_mesh()
            .x_desc(x_label)
            .x_label_formatter(&short)
            .y_label_formatter(&short)
            .x_labels(6)
            .y_labels(6)
            .light_line_style(WHITE)
            .draw()?;
        for (curve, number) in curves.iter().zip(0..) {
            let points = curve.points.iter().map(|[x, y]| (*x, *y));
            let style = COLORS[number % COLORS.len()].stroke_width(2);
            let row = ROW * number as i32 + 20;
            // When all colors are taken they come again, dashed.
            if (number / COLORS.len()).is_multiple_of(2) {
                chart.draw_series(LineSeries::new(points, style))?;
                names.draw(&PathElement::new([(0, row), (22, row)], style))?;
            } else {
                chart.draw_series(DashedLineSeries::new(points, 6, 4, style))?;
                for x in [0, 8, 16] {
                    names.draw(&PathElement::new([(x, row), (x + 6, row)], style))?;
                }
            }
            let name = curve.name.clone();
            names.draw(&Text::new(name, (28, row - 6), ("sans-serif", 12)))?;
        }
        area.present()?;
    }
    Ok(svg)
}

/// A part of a page with a table.
pub fn table(title: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut html = format!("<section class=\"scroll\"><h2>{title}</h2><table><thead><tr>");
    for name in head {
        let _written = write!(html, "<th>{name}</th>");
    }
    html += "</tr></thead><tbody>";
    for row in rows {
        html += "<tr>";
        for (number, cell) in row.iter().enumerate() {
            let tag = if number == 0 { "th" } else { "td" };
            let _written = write!(html, "<{tag}>{}</{tag}>", escape(cell));
        }
        html += "</tr>";
    }
    html + "</tbody></table></section>\n"
}

/// A whole page.
pub fn page(title: &str, what: &str, body: &str) -> String {
    format!(
        "{}<p class=\"kicker\">{}</p><h1>{}</h1>\n{body}</main></body></html>\n",
        head(title),
        escape(what),
        escape(title)
    )
}
