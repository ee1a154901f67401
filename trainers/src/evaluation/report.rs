//! report.html: one self-contained page with the figures, how sure they are, and what stands behind them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sim::household::{EntityId, Fact};
use sim::scenario::Instance;

use super::floor_plan::{self, escape};
use super::language::{Figures, General, Items};
use super::plans::{CarriedOut, start_of};
use super::statistics::Estimate;

/// One model of the report.
pub struct Model {
    /// As given: `base`, `finetuned`, `without_ewc`.
    pub name: String,
    /// Its figures.
    pub figures: Figures,
    /// Its training: step, loss on answers in nats, EWC penalty in nats; empty for the base.
    pub curve: Vec<CurvePoint>,
}

/// One optimizer step of a training run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Optimizer step.
    pub step: f64,
    /// Cross-entropy per answer token, nats.
    pub nll: f64,
    /// What EWC adds to the loss, nats.
    pub penalty: f64,
}

/// What the report is about.
pub struct Report<'a> {
    /// The base first.
    pub models: &'a [Model],
    /// The base with solved examples before each item.
    pub few_shot: Option<&'a Figures>,
    /// How many solved examples.
    pub shots: usize,
    /// What was asked.
    pub items: &'a Items,
    /// Share of measured relations that agreed with the symbolic prediction, over the verbs of the stores' physical
    /// episodes; `None` where there are none.
    pub agreement: Option<Estimate>,
    /// Share of the reference plans that reach their goal.
    pub reference_success: Estimate,
    /// Episodes in the stores, and training examples where known.
    pub episodes: usize,
    /// See `episodes`.
    pub examples: Option<usize>,
}

/// Reads the loss curve of a run's metrics.jsonl; empty where there is none. Lines that are not metrics are skipped: the
/// last one may be cut off in a run that is still going on.
pub fn read_curve(metrics: &Path) -> Vec<CurvePoint> {
    let text = fs::read_to_string(metrics).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(CurvePoint {
                step: value["step"].as_f64()?,
                nll: value["nll"].as_f64()?,
                penalty: value["penalty"].as_f64().unwrap_or(0.0),
            })
        })
        .collect()
}

impl Report<'_> {
    /// The whole page.
    pub fn html(&self) -> String {
        let mut html = head("habitus report");
        html += &self.summary();
        html += &self.table();
        html += &self.task_bars();
        html += &self.forgetting();
        html += &self.curves();
        html += &self.plans();
        html += &self.method();
        html + "</main></body></html>\n"
    }

    fn summary(&self) -> String {
        let base = &self.models[0].figures;
        let mut text = String::from(
            "<header><p class=\"kicker\">habitus · language</p><h1>Household experience in a language model</h1>",
        );
        if let Some(model) = self.models.get(1) {
            let figures = &model.figures;
            let gain = 100.0 * (figures.embodied_accuracy.value - base.embodied_accuracy.value);
            text += "<div class=\"cards\">";
            text += &card(
                "Questions answered right",
                &format!(
                    "{} → {}",
                    percent(base.embodied_accuracy.value),
                    percent(figures.embodied_accuracy.value)
                ),
                &format!("{gain:+.0} points, mean over {} kinds", base.tasks.len()),
            );
            text += &card(
                "Plans that reach their goal",
                &format!(
                    "{} → {}",
                    percent(base.plan_success.value),
                    percent(figures.plan_success.value)
                ),
                &format!("{} plans carried out in the simulator", base.plan_success.n),
            );
            if let Some(general) = figures.general {
                text += &card(
                    "General English, bits per byte",
                    &format!("{:+.2} %", 100.0 * general.change.value),
                    &format!(
                        "95 %: {:+.2} to {:+.2} %; more is worse",
                        100.0 * general.change.low,
                        100.0 * general.change.high
                    ),
                );
            }
            if let Some(agreement) = self.agreement {
                text += &card(
                    "Physics agrees with symbols",
                    &format!("{:.2} %", 100.0 * agreement.value),
                    &format!(
                        "of {} relations measured after a verb",
                        thousands(agreement.n)
                    ),
                );
            }
            text += "</div>";
        }
        text + "</header>"
    }

    fn table(&self) -> String {
        let few = self
            .few_shot
            .map(|figures| (format!("base, {} shots", self.shots), figures));
        let mut columns: Vec<(String, &Figures)> = Vec::new();
        for (i, model) in self.models.iter().enumerate() {
            columns.push((model.name.replace('_', " "), &model.figures));
            if i == 0 {
                columns.extend(few.clone());
            }
        }
        let mut html = String::from(
            "<section><h2>Results</h2><div class=\"scroll\"><table><thead><tr><th></th>",
        );
        for (name, _) in &columns {
            push(&mut html, format_args!("<th>{}</th>", escape(name)));
        }
        html += "<th>n</th></tr></thead><tbody>";
        let mut row =
            |label: &str, class: &str, n: usize, cell: &dyn Fn(&Figures) -> Option<String>| {
                push(
                    &mut html,
                    format_args!("<tr class=\"{class}\"><th>{label}</th>"),
                );
                for (_, figures) in &columns {
                    push(
                        &mut html,
                        format_args!(
                            "<td>{}</td>",
                            cell(figures).unwrap_or_else(|| "–".to_owned())
                        ),
                    );
                }
                push(
                    &mut html,
                    format_args!("<td class=\"n\">{}</td></tr>", thousands(n)),
                );
            };
        let base = &self.models[0].figures;
        row(
            "Embodied accuracy",
            "total",
            base.embodied_accuracy.n,
            &|f| Some(share(f.embodied_accuracy)),
        );
        for (task, figure) in &base.tasks {
            let label = format!(
                "{} <small>chance {}</small>",
                words(task),
                percent(figure.chance)
            );
            row(&label, "", figure.accuracy.n, &|f| {
                f.tasks.get(task).map(|figure| share(figure.accuracy))
            });
        }
        row(
            "Plans that reach their goal",
            "total",
            base.plan_success.n,
            &|f| Some(share(f.plan_success)),
        );
        // How many steps a model writes is its own choice, so there is no common n.
        row("Steps that can be carried out", "", 0, &|f| {
            (f.plan_executable.n > 0).then(|| {
                format!(
                    "{} <small>{} steps</small>",
                    share(f.plan_executable),
                    f.plan_executable.n
                )
            })
        });
        for (label, general) in REGISTERS {
            let n = general(base).map_or(0, |general| general.bits_per_byte.n);
            row(&format!("Bits per byte, {label}"), "total", n, &|f| {
                let bits = general(f)?.bits_per_byte;
                Some(format!(
                    "{:.4} <small>{:.3}–{:.3}</small>",
                    bits.value, bits.low, bits.high
                ))
            });
            row("change from base <small>paired</small>", "", n, &|f| {
                let change = general(f)?.change;
                // The base differs from itself by nothing.
                if std::ptr::eq(f, base) {
                    return None;
                }
                let [value, low, high] = [change.value, change.low, change.high].map(|x| 100.0 * x);
                Some(format!(
                    "{value:+.2} % <small>{low:+.2} to {high:+.2}</small>"
                ))
            });
        }
        html += "</tbody></table></div><p class=\"note\">Small figures are 95 % intervals: Wilson for shares, normal for the mean of \
                 shares, bootstrap over documents for bits per byte. All models answer the same items, which come from homes and goals \
                 that were never trained on.</p></section>";
        html
    }

    fn task_bars(&self) -> String {
        let tasks: Vec<&String> = self.models[0].figures.tasks.keys().collect();
        let (left, width, bar) = (190.0, 520.0, 13.0);
        let group = self.models.len() as f64 * (bar + 3.0) + 18.0;
        let height = tasks.len() as f64 * group + 30.0;
        let x = |share: f64| left + share * width;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {:.0} {height:.0}\" role=\"img\">",
            left + width + 60.0
        );
        for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
            push(
                &mut svg,
                format_args!(
                    "<line class=\"grid\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"{1:.0}\"/><text class=\"tick\" x=\"{0:.1}\" \
                     y=\"{2:.0}\">{3}</text>",
                    x(tick),
                    height - 22.0,
                    height - 6.0,
                    percent(tick)
                ),
            );
        }
        for (i, task) in tasks.iter().enumerate() {
            let top = i as f64 * group;
            push(
                &mut svg,
                format_args!(
                    "<text class=\"label\" x=\"{:.0}\" y=\"{:.1}\">{}</text>",
                    left - 12.0,
                    top + group / 2.0 - 5.0,
                    words(task)
                ),
            );
            for (m, model) in self.models.iter().enumerate() {
                let Some(figure) = model.figures.tasks.get(*task) else {
                    continue;
                };
                let y = top + m as f64 * (bar + 3.0);
                svg += &bar_with_interval(
                    x(0.0),
                    x(figure.accuracy.value),
                    [x(figure.accuracy.low), x(figure.accuracy.high)],
                    y,
                    bar,
                    m,
                );
            }
            let chance = self.models[0].figures.tasks[*task].chance;
            push(
                &mut svg,
                format_args!(
                    "<line class=\"chance\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\"><title>chance</title></line>",
                    x(chance),
                    top - 3.0,
                    top + group - 16.0
                ),
            );
        }
        svg += "</svg>";
        format!(
            "<section><h2>By kind of question</h2>{}{svg}<p class=\"note\">Whiskers: 95 % intervals. Dashes: guessing.</p></section>",
            self.legend()
        )
    }

    fn forgetting(&self) -> String {
        let models: Vec<(usize, &Model)> = self.models.iter().enumerate().skip(1).collect();
        let changes = models
            .iter()
            .flat_map(|(_, model)| REGISTERS.map(|(_, general)| general(&model.figures)));
        let changes: Vec<General> = changes.flatten().collect();
        if changes.is_empty() {
            return String::new();
        }
        let low = changes
            .iter()
            .map(|general| general.change.low)
            .fold(-0.005, f64::min);
        let high = changes
            .iter()
            .map(|general| general.change.high)
            .fold(0.01, f64::max);
        let (left, width, bar) = (190.0, 520.0, 18.0);
        let x = |change: f64| left + (change - low) / (high - low) * width;
        let group = models.len() as f64 * (bar + 4.0) + 18.0;
        let registers: Vec<_> = REGISTERS
            .iter()
            .filter(|(_, general)| {
                models
                    .iter()
                    .any(|(_, model)| general(&model.figures).is_some())
            })
            .collect();
        let height = registers.len() as f64 * group + 26.0;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {:.0} {height:.0}\" role=\"img\">",
            left + width + 80.0
        );
        for (name, place) in [("base", 0.0), ("+0.5 %", 0.005)] {
            push(
                &mut svg,
                format_args!(
                    "<line class=\"{}\" x1=\"{1:.1}\" x2=\"{1:.1}\" y1=\"0\" y2=\"{2:.0}\"/><text class=\"tick\" x=\"{1:.1}\" \
                     y=\"{3:.0}\">{name}</text>",
                    if place == 0.0 { "axis" } else { "chance" },
                    x(place),
                    height - 22.0,
                    height - 6.0
                ),
            );
        }
        for (i, (label, general)) in registers.iter().enumerate() {
            let top = i as f64 * group;
            push(
                &mut svg,
                format_args!(
                    "<text class=\"label\" x=\"{:.0}\" y=\"{:.1}\">{label}</text>",
                    left - 12.0,
                    top + group / 2.0 - 5.0
                ),
            );
            for (row, (m, model)) in models.iter().enumerate() {
                let Some(general) = general(&model.figures) else {
                    continue;
                };
                let change = general.change;
                let y = top + row as f64 * (bar + 4.0);
                svg += &bar_with_interval(
                    x(0.0),
                    x(change.value),
                    [x(change.low), x(change.high)],
                    y,
                    bar,
                    *m,
                );
                push(
                    &mut svg,
                    format_args!(
                        "<text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{:+.2} %</text>",
                        x(change.value.max(change.high)) + 8.0,
                        y + bar * 0.75,
                        100.0 * change.value
                    ),
                );
            }
        }
        svg += "</svg>";
        format!(
            "<section><h2>Forgetting</h2>{}{svg}<p class=\"note\">Change of bits per byte on held-out text that was never trained on, \
             against the base on the same documents; to the right is worse.</p></section>",
            self.legend()
        )
    }

    fn curves(&self) -> String {
        let curves: Vec<(usize, Vec<CurvePoint>)> = self
            .models
            .iter()
            .enumerate()
            .filter(|(_, model)| model.curve.len() > 1)
            .map(|(m, model)| (m, smooth(&model.curve)))
            .collect();
        if curves.is_empty() {
            return String::new();
        }
        let all = || curves.iter().flat_map(|(_, curve)| curve.iter());
        let last = all().map(|point| point.step).fold(1.0, f64::max);
        let top = all()
            .map(|point| point.nll.max(point.penalty))
            .fold(0.1, f64::max);
        let (left, width, height) = (46.0, 680.0, 230.0);
        let x = |step: f64| left + step / last * width;
        let y = |nats: f64| 8.0 + (1.0 - nats / top) * height;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {:.0} {:.0}\" role=\"img\">",
            left + width + 20.0,
            height + 40.0
        );
        for i in 0..=4 {
            let value = top * f64::from(i) / 4.0;
            push(
                &mut svg,
                format_args!(
                    "<line class=\"grid\" x1=\"{left}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/><text class=\"label\" x=\"{2:.1}\" \
                     y=\"{3:.1}\">{value:.1}</text>",
                    left + width,
                    y(value),
                    left - 8.0,
                    y(value) + 4.0
                ),
            );
        }
        push(
            &mut svg,
            format_args!(
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.0}\">{last:.0} steps</text>",
                left + width - 24.0,
                height + 30.0
            ),
        );
        for (m, curve) in &curves {
            let line = |value: &dyn Fn(&CurvePoint) -> f64| -> String {
                let points = curve
                    .iter()
                    .map(|point| format!("{:.1},{:.1}", x(point.step), y(value(point))));
                points.collect::<Vec<_>>().join(" ")
            };
            push(
                &mut svg,
                format_args!(
                    "<polyline class=\"curve m{m}\" points=\"{}\"/>",
                    line(&|point| point.nll)
                ),
            );
            if curve.iter().any(|point| point.penalty > 0.0) {
                push(
                    &mut svg,
                    format_args!(
                        "<polyline class=\"curve penalty m{m}\" points=\"{}\"/>",
                        line(&|point| point.penalty)
                    ),
                );
            }
        }
        svg += "</svg>";
        format!(
            "<section><h2>Training</h2>{}{svg}<p class=\"note\">Nats per answer token by optimizer step, smoothed; dashed: the EWC \
             penalty.</p></section>",
            self.legend()
        )
    }

    fn plans(&self) -> String {
        let mut html = String::from("<section><h2>Plans, before and after</h2>");
        for i in self.telling_plans() {
            let (task, scenario) = &self.items.plans[i];
            let Ok(instance) = start_of(scenario, task) else {
                continue;
            };
            let wish = task
                .prompt
                .rsplit("\nTask: ")
                .next()
                .unwrap_or_default()
                .trim_end_matches("\nPlan:");
            let facts = task.prompt.split("\nTask: ").next().unwrap_or_default();
            push(
                &mut html,
                format_args!(
                    "<article><h3>“{}”</h3><p class=\"facts\">{}</p><div class=\"pair\">",
                    escape(wish),
                    escape(facts)
                ),
            );
            for (m, model) in self.models.iter().enumerate().take(2) {
                let carried = &model.figures.carried_out[i];
                push(
                    &mut html,
                    format_args!(
                        "<div><h4><i class=\"swatch m{m}\"></i>{} <span class=\"{}\">{}</span></h4>{}{}</div>",
                        escape(&model.name.replace('_', " ")),
                        if carried.success { "yes" } else { "no" },
                        if carried.success {
                            "goal reached"
                        } else {
                            "goal not reached"
                        },
                        steps(carried),
                        floor_plan::svg(
                            &instance,
                            &carried.path,
                            &goal_things(&instance, &task.goal)
                        ),
                    ),
                );
            }
            html += "</div></article>";
        }
        html + "</section>"
    }

    /// Up to four plan tasks: first such that only the finetuned model solves, then both, then one that it fails.
    fn telling_plans(&self) -> Vec<usize> {
        let Some(model) = self.models.get(1) else {
            return Vec::new();
        };
        let base = &self.models[0].figures.carried_out;
        let tuned = &model.figures.carried_out;
        let pick = |wanted: [bool; 2], most: usize| -> Vec<usize> {
            let fits = |i: &usize| [base[*i].success, tuned[*i].success] == wanted;
            (0..tuned.len()).filter(fits).take(most).collect()
        };
        let mut picked = pick([false, true], 3);
        picked.extend(pick([true, true], 1));
        picked.extend(pick([false, false], 1));
        picked.truncate(4);
        picked
    }

    fn legend(&self) -> String {
        let mut html = String::from("<p class=\"legend\">");
        for (m, model) in self.models.iter().enumerate() {
            push(
                &mut html,
                format_args!(
                    "<span><i class=\"swatch m{m}\"></i>{}</span>",
                    escape(&model.name.replace('_', " "))
                ),
            );
        }
        html + "</p>"
    }

    fn method(&self) -> String {
        let examples = self.examples.map_or(String::new(), |n| {
            format!(", {} training examples", thousands(n))
        });
        let physics = match self.agreement {
            Some(agreement) => format!(
                "Of {} relations measured from physics after a verb, {:.2} % (95 %: {:.2} to {:.2} %) are what the symbolic house predicts.",
                thousands(agreement.n),
                100.0 * agreement.value,
                100.0 * agreement.low,
                100.0 * agreement.high
            ),
            None => "The stores hold no physical episodes.".to_owned(),
        };
        let fidelity = self.items.fidelity.name();
        format!(
            "<section><h2>How it was measured</h2><p>{} episodes{examples}. Questions are multiple choice: the likeliest of the choices \
             counts as the answer. Plans are generated greedily, read back sentence by sentence and carried out in the {fidelity} \
             simulator; one counts as reached when all facts of its goal hold; of the planner's own plans {reference} do. General text is read up to {tokens} tokens a document. \
             {physics}</p></section>",
            thousands(self.episodes),
            reference = percent(self.reference_success.value),
            tokens = super::language::DOCUMENT_TOKENS,
        )
    }
}

type Register = fn(&Figures) -> Option<General>;
const REGISTERS: [(&str, Register); 2] = [
    ("World Factbook", |f| f.general),
    ("Jargon File", |f| f.second),
];

fn goal_things(instance: &Instance, goal: &[String]) -> Vec<EntityId> {
    let house = &instance.house;
    let mut things: Vec<EntityId> = goal
        .iter()
        .filter_map(|fact| Fact::parse(house, fact).ok())
        .flat_map(|fact| match fact {
            Fact::Is(id, _) => vec![id],
            Fact::Holds(a, _, b) => vec![a, b],
        })
        .filter(|id| house.class(*id).is_some())
        .collect();
    things.sort_unstable();
    things.dedup();
    things
}

fn steps(carried: &CarriedOut) -> String {
    if carried.steps.is_empty() {
        return "<p class=\"empty\">(nothing written)</p>".to_owned();
    }
    let mut html = String::from("<ol>");
    // A model that repeats itself fills pages; the first steps show it.
    for step in carried.steps.iter().take(14) {
        match &step.refusal {
            None => push(
                &mut html,
                format_args!("<li class=\"yes\">{}</li>", escape(&step.sentence)),
            ),
            Some(refusal) => push(
                &mut html,
                format_args!(
                    "<li class=\"no\">{} <small>{}</small></li>",
                    escape(&step.sentence),
                    escape(refusal)
                ),
            ),
        }
    }
    if carried.steps.len() > 14 {
        push(
            &mut html,
            format_args!("<li class=\"no\">… {} more</li>", carried.steps.len() - 14),
        );
    }
    html + "</ol>"
}

/// A moving average over a fiftieth of the run, thinned to at most 200 points.
fn smooth(curve: &[CurvePoint]) -> Vec<CurvePoint> {
    let window = (curve.len() / 50).max(1);
    let stride = curve.len().div_ceil(200);
    let mean = |chunk: &[CurvePoint], value: fn(&CurvePoint) -> f64| {
        chunk.iter().map(value).sum::<f64>() / chunk.len() as f64
    };
    (0..curve.len())
        .step_by(stride)
        .map(|i| {
            let chunk = &curve[i.saturating_sub(window)..(i + window + 1).min(curve.len())];
            CurvePoint {
                step: curve[i].step,
                nll: mean(chunk, |point| point.nll),
                penalty: mean(chunk, |point| point.penalty),
            }
        })
        .collect()
}

fn bar_with_interval(
    from: f64,
    to: f64,
    interval: [f64; 2],
    y: f64,
    height: f64,
    model: usize,
) -> String {
    let middle = y + height / 2.0;
    format!(
        "<rect class=\"m{model}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height}\" rx=\"2\"/><path class=\"whisker\" \
         d=\"M{:.1} {middle:.1}H{:.1}\"/>",
        from.min(to),
        (to - from).abs().max(1.0),
        interval[0],
        interval[1]
    )
}

pub(super) fn card(label: &str, value: &str, note: &str) -> String {
    format!("<div class=\"card\"><p>{label}</p><strong>{value}</strong><small>{note}</small></div>")
}

pub(super) fn share(estimate: Estimate) -> String {
    format!(
        "{:.1} % <small>{:.0}–{:.0}</small>",
        100.0 * estimate.value,
        100.0 * estimate.low,
        100.0 * estimate.high
    )
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

pub(super) fn words(task: &str) -> String {
    escape(&task.replace('_', " "))
}

/// "1,234"; nothing for 0.
pub(super) fn thousands(n: usize) -> String {
    if n == 0 {
        return String::new();
    }
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(super) fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("writing into a string does not fail");
}

/// How a page begins.
pub(crate) fn head(title: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{}</title><style>{}</style></head><body><main>",
        escape(title),
        include_str!("report.css")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 7, 999, 1_000, 1_234_567].map(thousands),
            ["", "7", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn a_torn_line_of_metrics_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        fs::write(
            &path,
            "{\"step\":1,\"nll\":2.5,\"penalty\":0.1}\n{\"step\":2,\"nl",
        )
        .unwrap();
        let curve = read_curve(&path);
        assert_eq!(
            curve,
            [CurvePoint {
                step: 1.0,
                nll: 2.5,
                penalty: 0.1
            }]
        );
        assert!(read_curve(&folder.path().join("none")).is_empty());
    }

    #[test]
    fn smoothing_keeps_a_constant_and_the_length_small() {
        let point = |i| CurvePoint {
            step: f64::from(i),
            nll: 1.5,
            penalty: 0.0,
        };
        let smoothed = smooth(&(0..1000).map(point).collect::<Vec<_>>());
        assert!(
            smoothed.len() <= 200 && smoothed.iter().all(|point| (point.nll - 1.5).abs() < 1e-12)
        );
    }
}
