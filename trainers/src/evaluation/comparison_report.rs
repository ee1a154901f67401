//! A comparison of encoders as one page of HTML: the table with its intervals, curves over demonstrations and over pretraining
//! episodes, and what each embedding holds. The figures are inline SVG; nothing is loaded.

use std::collections::BTreeSet;

use sim::hand::appearance::presets;
use sim::hand::sight::Context;

use super::comparison::{Comparison, PREDICTOR, Row};
use super::report::{card, head, percent, push, share, thousands, words};
use super::statistics::Estimate;

/// Colors of the methods, in their order; more than these begin again.
const COLORS: [&str; 10] = [
    "#1f7a6d", "#d0803b", "#6d5bb0", "#b3402f", "#3b7dd0", "#8a6d1f", "#c25b94", "#9aa5b1",
    "#5d6876", "#1d2530",
];

/// The whole page.
pub fn html(found: &Comparison) -> String {
    let mut html = head("habitus report");
    html += &summary(found);
    html += &table(found);
    html += &beside_the_paper(found);
    html += &elsewhere(found);
    html += &over_demonstrations(found);
    html += &over_episodes(found);
    html += &embeddings(found);
    html += &labels(found);
    html += &method(found);
    html + "</main></body></html>\n"
}

fn summary(found: &Comparison) -> String {
    let plan = &found.plan;
    let mut text = format!(
        "<header><p class=\"kicker\">habitus · representation</p><h1>What pretraining an encoder is worth: {}, goal {}</h1><div \
         class=\"cards\">",
        words(&plan.suite),
        words(&format!("{:?}", plan.context).to_lowercase()),
    );
    if let Some((at, demonstrations)) = plan.demonstrations.iter().enumerate().next_back() {
        let mut rows: Vec<&Row> = found.rows.iter().collect();
        rows.sort_by(|a, b| success(b, at).total_cmp(&success(a, at)));
        let note = format!("success with {demonstrations} demonstrations");
        for row in rows.into_iter().take(3) {
            text += &card(&name(found, row), &percent(success(row, at)), &note);
        }
    }
    let rollouts = plan.seeds * plan.rollouts;
    text += &card(
        "Rollouts of each figure",
        &thousands(rollouts as usize),
        &format!("{} seeds of {}", plan.seeds, plan.rollouts),
    );
    text + "</div></header>"
}

fn success(row: &Row, at: usize) -> f64 {
    row.success.get(at).map_or(0.0, |estimate| estimate.value)
}

/// A method's name; with its corpus where there are several.
fn name(found: &Comparison, row: &Row) -> String {
    let method = words(&row.method);
    if row.episodes > 0 && found.plan.episodes.len() > 1 {
        format!("{method}, {} episodes", thousands(row.episodes as usize))
    } else {
        method
    }
}

fn table(found: &Comparison) -> String {
    let mut html =
        String::from("<section><h2>Success</h2><div class=\"scroll\"><table><thead><tr><th></th>");
    for size in &found.plan.demonstrations {
        let plural = if *size == 1 { "" } else { "s" };
        push(
            &mut html,
            format_args!("<th>{size} demonstration{plural}</th>"),
        );
    }
    let parts = found.parts();
    for size in parts {
        push(&mut html, format_args!("<th>parts done, {size}</th>"));
    }
    html += "<th>by seed</th></tr></thead><tbody>";
    for row in &found.rows {
        push(&mut html, format_args!("<tr><th>{}</th>", name(found, row)));
        for estimate in &row.success {
            push(&mut html, format_args!("<td>{}</td>", share(*estimate)));
        }
        for (progress, _) in row.progress.iter().zip(parts) {
            push(&mut html, format_args!("<td>{}</td>", percent(*progress)));
        }
        let last = row.by_seed.last().into_iter().flatten();
        let seeds: Vec<String> = last.map(|share| format!("{:.0}", 100.0 * share)).collect();
        push(
            &mut html,
            format_args!("<td class=\"n\">{}</td></tr>", seeds.join(" ")),
        );
    }
    html += "</tbody></table></div><p class=\"note\">Small figures are 95 % Wilson intervals over all rollouts; they do not hold how \
             much seeds differ, which the last column shows (success in percent with the most demonstrations). Every policy of a seed \
             meets the same worlds.";
    if !parts.is_empty() {
        html += " Parts done: the mean share of what is wanted one after the other.";
    }
    html + "</p></section>"
}

/// What [`PAPER`] has figures for; objectives first.
const IN_PAPER: [&str; 6] = [
    "inverse_dynamics",
    "behavior_cloning",
    "explicit_forward",
    "implicit_forward",
    "static_contrastive",
    "scratch",
];

/// By suite: the number of demonstrations that is usual in the paper (arXiv:2305.16985, figure 1 and appendix), and success of
/// [`IN_PAPER`] with them and the largest corpus, read off its plots to half a hundredth. Goals are latent there, or told by
/// the scene.
const PAPER: [(&str, u64, [f64; 6]); 6] = [
    ("point", 2, [0.717, 0.25, 0.20, 0.476, 0.523, 0.238]),
    ("place", 5, [0.832, 0.75, 0.798, 0.796, 0.189, 0.508]),
    ("door", 10, [0.39, 0.49, 0.467, 0.232, 0.233, 0.387]),
    ("kitchen", 10, [0.43, 0.19, 0.043, 0.16, 0.0, 0.45]),
    ("broad", 10, [0.516, 0.509, 0.433, 0.320, 0.160, 0.438]),
    ("broad2", 10, [0.613, 0.584, 0.696, 0.578, 0.383, 0.674]),
];

/// The order of the objectives here and in the paper, and whether inverse dynamics is ahead of behavior cloning as it is there.
fn beside_the_paper(found: &Comparison) -> String {
    let plan = &found.plan;
    let row = PAPER.iter().find(|row| row.0 == plan.suite);
    let row = row.filter(|_| plan.context == Context::Latent);
    let Some((_, demonstrations, theirs)) = row else {
        return String::new();
    };
    let at = plan.demonstrations.iter().position(|n| n == demonstrations);
    let largest = plan.episodes.iter().max();
    let ours = |method: &str| {
        let of = |row: &&Row| {
            row.method == method && (row.episodes == 0 || Some(&row.episodes) == largest)
        };
        let row = found.rows.iter().find(of)?;
        Some((row.success.get(at?)?.value, row.held.as_ref()))
    };
    let both: Vec<_> = IN_PAPER
        .iter()
        .zip(theirs)
        .filter_map(|(method, theirs)| {
            ours(method).map(|(here, held)| (*method, here, *theirs, held))
        })
        .collect();
    let pretrained = || both.iter().filter(|row| row.0 != "scratch");
    let here = pretrained().max_by(|a, b| a.1.total_cmp(&b.1));
    let there = pretrained().max_by(|a, b| a.2.total_cmp(&b.2));
    let named = |method: &str| both.iter().find(|row| row.0 == method);
    let (inverse, cloning) = (named("inverse_dynamics"), named("behavior_cloning"));
    let (Some(here), Some(there), Some(inverse), Some(cloning)) = (here, there, inverse, cloning)
    else {
        return String::new();
    };
    let mut html = String::from(
        "<section><h2>Beside the paper</h2><div class=\"scroll\"><table><thead><tr><th></th><th>here</th><th>paper</th>\
         <th>state, mean R²</th></tr></thead><tbody>",
    );
    for (method, here, theirs, held) in &both {
        let probe = held.map_or_else(
            || "–".to_owned(),
            |held| format!("{:.2}", held.mean_probe()),
        );
        push(
            &mut html,
            format_args!(
                "<tr><th>{}</th><td>{}</td><td>{}</td><td>{probe}</td></tr>",
                words(method),
                percent(*here),
                percent(*theirs)
            ),
        );
    }
    let (ahead, theirs) = (inverse.1 - cloning.1, inverse.2 - cloning.2);
    let same = here.0 == there.0 && (ahead > 0.0) == (theirs > 0.0);
    push(
        &mut html,
        format_args!(
            "</tbody></table></div><p>{}: of the pretrained, {} comes first here and {} there; inverse dynamics is {ahead:+.2} ahead of \
             behavior cloning here and {theirs:+.2} there.</p><p class=\"note\">Brandfonbrener et al. (2023, arXiv:2305.16985), \
             {demonstrations} demonstrations; their tasks, pictures and budgets are others (100,000 steps of 256 pairs and more). The \
             probe tells how much of the state the embedding has: where all have it, what is left to part them is how much else \
             they have.</p></section>",
            if same {
                "As in the paper"
            } else {
                "Not as in the paper"
            },
            words(here.0),
            words(there.0),
        ),
    );
    html
}

/// Success where everything looks otherwise than in training.
fn elsewhere(found: &Comparison) -> String {
    let measured = || found.rows.iter().filter(|row| !row.elsewhere.is_empty());
    if measured().next().is_none() {
        return String::new();
    }
    let mut html = String::from(
        "<section><h2>Where it looks otherwise</h2><div class=\"scroll\"><table><thead><tr><th></th><th>as in training</th>",
    );
    for (look, _) in presets() {
        push(&mut html, format_args!("<th>other {look}</th>"));
    }
    html += "</tr></thead><tbody>";
    for row in measured() {
        push(&mut html, format_args!("<tr><th>{}</th>", name(found, row)));
        let most = found.plan.demonstrations.iter().enumerate();
        let most = most.max_by_key(|(_, n)| **n).map(|(at, _)| at);
        let usual = most.and_then(|at| row.success.get(at));
        for estimate in usual.into_iter().chain(&row.elsewhere) {
            push(&mut html, format_args!("<td>{}</td>", share(*estimate)));
        }
        html += "</tr>";
    }
    html += "</tbody></table></div><p class=\"note\">With the most demonstrations, in the same worlds, under light, textures and among \
             things that nobody was trained on. The true state does not see them.</p></section>";
    html
}

/// One line of a plot: its name, its color, and a value at some of the places along x.
struct Curve {
    name: String,
    color: &'static str,
    dashed: bool,
    points: Vec<(usize, Estimate)>,
}

/// Colors follow the method, not the row: a method keeps its color in all plots.
fn color(found: &Comparison, row: &Row) -> &'static str {
    let mut methods: Vec<&str> = Vec::new();
    for row in &found.rows {
        if !methods.contains(&row.method.as_str()) {
            methods.push(&row.method);
        }
    }
    let at = methods.iter().position(|method| *method == row.method);
    COLORS[at.unwrap_or(0) % COLORS.len()]
}

fn over_demonstrations(found: &Comparison) -> String {
    let largest = found.plan.episodes.iter().copied().max().unwrap_or(0);
    let rows = found
        .rows
        .iter()
        .filter(|row| row.episodes == 0 || row.episodes == largest);
    let curves: Vec<Curve> = rows
        .map(|row| Curve {
            name: words(&row.method),
            color: color(found, row),
            dashed: row.episodes == 0,
            points: row.success.iter().copied().enumerate().collect(),
        })
        .collect();
    let ticks: Vec<String> = found
        .plan
        .demonstrations
        .iter()
        .map(u64::to_string)
        .collect();
    format!(
        "<section><h2>Success against demonstrations</h2>{}{}<p class=\"note\">Pretrained on {} episodes; controls are dashed. Whiskers: \
         95 % intervals.</p></section>",
        legend(&curves),
        plot(&curves, &ticks, "demonstrations"),
        thousands(largest as usize)
    )
}

fn over_episodes(found: &Comparison) -> String {
    let sizes: BTreeSet<u64> = found.plan.episodes.iter().copied().collect();
    if sizes.len() < 2 {
        return String::new();
    }
    let ticks: Vec<String> = sizes.iter().map(|n| thousands(*n as usize)).collect();
    let mut html = String::from("<section><h2>Success against pretraining episodes</h2>");
    for (at, demonstrations) in found.plan.demonstrations.iter().enumerate() {
        let mut curves: Vec<Curve> = Vec::new();
        for row in &found.rows {
            let (Some(estimate), method) = (row.success.get(at), words(&row.method)) else {
                continue;
            };
            if row.episodes == 0 {
                // a control has no corpus: the same everywhere
                curves.push(Curve {
                    name: method,
                    color: color(found, row),
                    dashed: true,
                    points: (0..sizes.len()).map(|x| (x, *estimate)).collect(),
                });
                continue;
            }
            let x = sizes.iter().position(|size| *size == row.episodes);
            let point = (x.unwrap_or(0), *estimate);
            match curves.iter_mut().find(|curve| curve.name == method) {
                Some(curve) => curve.points.push(point),
                None => curves.push(Curve {
                    name: method,
                    color: color(found, row),
                    dashed: false,
                    points: vec![point],
                }),
            }
        }
        for curve in &mut curves {
            curve.points.sort_by_key(|(x, _)| *x);
        }
        if at == 0 {
            html += &legend(&curves);
        }
        push(
            &mut html,
            format_args!(
                "<h4>{demonstrations} demonstrations</h4>{}",
                plot(&curves, &ticks, "episodes")
            ),
        );
    }
    html + "<p class=\"note\">Controls are dashed: nothing of theirs is pretrained.</p></section>"
}

fn legend(curves: &[Curve]) -> String {
    let mut html = String::from("<p class=\"legend\">");
    for curve in curves {
        push(
            &mut html,
            format_args!(
                "<span><i class=\"swatch\" style=\"background:{}\"></i>{}</span>",
                curve.color, curve.name
            ),
        );
    }
    html + "</p>"
}

/// Shares over ordered places, each place as wide as the next.
fn plot(curves: &[Curve], ticks: &[String], unit: &str) -> String {
    let (left, width, height) = (46.0, 680.0, 240.0);
    let each = width / ticks.len().max(1) as f64;
    let y = |share: f64| 8.0 + (1.0 - share) * height;
    // side by side, so that whiskers do not hide each other
    let spread = (each * 0.5).min(9.0 * curves.len() as f64);
    let x = |place: usize, curve: usize| {
        let aside = (curve as f64 + 0.5) / curves.len().max(1) as f64 - 0.5;
        left + (place as f64 + 0.5) * each + aside * spread
    };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {:.0} {:.0}\" role=\"img\">",
        left + width + 20.0,
        height + 48.0
    );
    for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
        push(
            &mut svg,
            format_args!(
                "<line class=\"grid\" x1=\"{left:.1}\" x2=\"{:.1}\" y1=\"{2:.1}\" y2=\"{2:.1}\"/><text class=\"label\" x=\"{3:.1}\" \
                 y=\"{4:.1}\">{1}</text>",
                left + width,
                percent(tick),
                y(tick),
                left - 6.0,
                y(tick) + 4.0
            ),
        );
    }
    for (place, tick) in ticks.iter().enumerate() {
        push(
            &mut svg,
            format_args!(
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{tick}</text>",
                left + (place as f64 + 0.5) * each,
                height + 26.0
            ),
        );
    }
    push(
        &mut svg,
        format_args!(
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{unit}</text>",
            left + width / 2.0,
            height + 43.0
        ),
    );
    for (number, curve) in curves.iter().enumerate() {
        let path: Vec<String> = curve
            .points
            .iter()
            .map(|(place, e)| format!("{:.1},{:.1}", x(*place, number), y(e.value)))
            .collect();
        push(
            &mut svg,
            format_args!(
                "<g stroke=\"{0}\" fill=\"{0}\"><title>{1}</title><polyline fill=\"none\" stroke-width=\"1.8\"{2} points=\"{3}\"/>",
                curve.color,
                curve.name,
                if curve.dashed {
                    " stroke-dasharray=\"4 3\""
                } else {
                    ""
                },
                path.join(" ")
            ),
        );
        for (place, e) in &curve.points {
            let x = x(*place, number);
            push(
                &mut svg,
                format_args!(
                    "<path stroke-opacity=\"0.55\" d=\"M{x:.1} {:.1}V{:.1}\"/><circle r=\"3\" cx=\"{x:.1}\" cy=\"{:.1}\"/>",
                    y(e.low),
                    y(e.high),
                    y(e.value)
                ),
            );
        }
        svg += "</g>";
    }
    svg + "</svg>"
}

fn embeddings(found: &Comparison) -> String {
    let rows = || {
        found
            .rows
            .iter()
            .filter_map(|row| row.held.as_ref().map(|held| (row, held)))
    };
    let numbers = rows().map(|(_, held)| held.probe.len()).max().unwrap_or(0);
    let mut html = String::from(
        "<section><h2>What the embeddings hold</h2><div class=\"scroll\"><table><thead><tr><th></th>",
    );
    for number in 1..=numbers {
        push(&mut html, format_args!("<th>state {number}, R²</th>"));
    }
    html += "<th>RankMe</th><th>α-ReQ</th><th>seconds</th></tr></thead><tbody>";
    for (row, held) in rows() {
        push(&mut html, format_args!("<tr><th>{}</th>", name(found, row)));
        for number in 0..numbers {
            let cell = held.probe.get(number);
            let cell = cell.map_or_else(|| "–".to_owned(), |r2| format!("{r2:.3}"));
            push(&mut html, format_args!("<td>{cell}</td>"));
        }
        let trained = row.episodes > 0;
        let measured = |value: f64, digits: usize| match trained {
            true => format!("{value:.digits$}"),
            false => "–".to_owned(),
        };
        push(
            &mut html,
            format_args!(
                "<td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>",
                measured(held.rank_me, 1),
                measured(held.alpha_req, 2),
                measured(held.seconds, 0)
            ),
        );
    }
    html += "</tbody></table></div><p class=\"note\">R² of the best linear map from the embedding to each number of the ground truth, on \
             episodes that nothing was trained on. RankMe: the effective number of directions of the embedding; α-ReQ: how fast their \
             variances fall, near 1 is said to be good. Seconds: of pretraining.</p></section>";
    html
}

fn labels(found: &Comparison) -> String {
    let rows = || {
        // the predictor's network is that of inverse dynamics
        let own = found.rows.iter().filter(|row| row.method != PREDICTOR);
        own.filter_map(|row| Some((row, &row.held.as_ref()?.labels)))
            .filter(|(_, labels)| !labels.is_empty())
    };
    let numbers = rows().map(|(_, labels)| labels.len()).max().unwrap_or(0);
    if numbers == 0 {
        return String::new();
    }
    let mut html = String::from(
        "<section><h2>Labels for frames without actions</h2><div class=\"scroll\"><table><thead><tr><th></th>",
    );
    for number in 1..=numbers {
        push(&mut html, format_args!("<th>action {number}, R²</th>"));
    }
    html += "</tr></thead><tbody>";
    for (row, labels) in rows() {
        push(&mut html, format_args!("<tr><th>{}</th>", name(found, row)));
        for number in 0..numbers {
            let cell = labels.get(number);
            let cell = cell.map_or_else(|| "–".to_owned(), |r2| format!("{r2:.3}"));
            push(&mut html, format_args!("<td>{cell}</td>"));
        }
        html += "</tr>";
    }
    html + "</tbody></table></div><p class=\"note\">R² of the actions that pretrained inverse dynamics tell between two frames, on \
            episodes that nothing was trained on: how well unlabelled pictures can be labelled.</p></section>"
}

fn method(found: &Comparison) -> String {
    let plan = &found.plan;
    let corpora: Vec<String> = found
        .corpora
        .iter()
        .map(|[episodes, frames, thrown]| {
            format!(
                "{} episodes ({} frames; {thrown} demonstrations failed and were left out)",
                thousands(*episodes as usize),
                thousands(*frames as usize)
            )
        })
        .collect();
    format!(
        "<section><h2>How it was measured</h2><p>Pretrained on {}, {} steps of {} pairs of frames, encoder {}; then frozen. Policies: {} \
         steps on the embeddings of the demonstrations; from scratch {} steps with random crops. Each seed has a goal, demonstrations \
         and networks of its own; the first seed is {}.</p></section>",
        corpora.join(", "),
        thousands(plan.pretraining[0] as usize),
        plan.pretraining[1],
        words(&plan.encoder),
        thousands(plan.finetuning as usize),
        thousands(plan.scratch as usize),
        plan.seed
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::comparison::{Held, Plan};
    use crate::evaluation::statistics;

    #[test]
    fn a_page_shows_every_method_and_both_curves() {
        let row = |method: &str, episodes| Row {
            method: method.to_owned(),
            episodes,
            held: (episodes > 0).then(|| Held {
                probe: vec![0.5, 0.25],
                rank_me: 3.0,
                alpha_req: 1.0,
                labels: vec![0.75, 0.5],
                seconds: 7.0,
            }),
            success: vec![statistics::share(3, 8), statistics::share(8, 8)],
            by_seed: vec![vec![0.5, 0.25], vec![1.0, 1.0]],
            progress: vec![0.66, 1.0],
            elsewhere: vec![statistics::share(1, 8); 3],
        };
        let found = Comparison {
            plan: Plan {
                suite: "point".to_owned(),
                context: Context::Latent,
                samples: 1,
                objectives: vec!["a_b".to_owned()],
                pretrained: Vec::new(),
                episodes: vec![10, 1000],
                demonstrations: vec![1, 2],
                seeds: 2,
                rollouts: 4,
                encoder: "small".to_owned(),
                pretraining: [1, 1],
                finetuning: 1,
                scratch: 1,
                looks: true,
                seed: 1,
            },
            corpora: vec![[10, 900, 1], [1000, 90_000, 0]],
            rows: vec![row("a_b", 10), row("a_b", 1000), row("scratch", 0)],
        };
        let page = html(&found);
        // one plot over demonstrations, one over episodes for each number of them
        assert_eq!(page.matches("<svg").count(), 3);
        // two curves each: a method's corpora are points of one curve
        assert_eq!(page.matches("<polyline").count(), 6);
        assert!(page.contains("a b, 1,000 episodes") && page.contains("0.250"));
        assert!(page.contains("action 2, R²") && page.contains("0.750"));
        assert!(page.contains("parts done, 2") && page.contains("66 %"));
        assert!(page.contains("other distractors") && page.contains("12.5 %"));
        assert!(!page.contains("NaN") && !page.contains("http"), "{page}");
        for tag in ["section", "svg", "g", "table", "tr"] {
            let open = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(open, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        let mut both = found.clone();
        both.rows[0].method = "inverse_dynamics".to_owned();
        both.rows[1].method = "inverse_dynamics".to_owned();
        both.rows.insert(2, row("behavior_cloning", 1000));
        both.rows[1].success[1] = statistics::share(7, 8);
        let page = html(&both);
        assert!(
            page.contains(
                "Not as in the paper: of the pretrained, behavior cloning comes first here"
            )
        );
        assert!(
            page.contains("is -0.12 ahead of behavior cloning here and +0.47 there"),
            "{page}"
        );
        both.plan.context = Context::Visible;
        assert!(!html(&both).contains("Beside the paper"));
        let mut one = found;
        one.plan.episodes = vec![1000];
        one.rows.remove(0);
        assert_eq!(html(&one).matches("<svg").count(), 1);
    }
}
