//! For every scenario: share of drawn tasks that the planner solves, and how long plans are and take.
//! `cargo run -p agents --example plans [TASKS] [show]`

use std::collections::BTreeSet;
use std::time::Instant;

use agents::measure::{Planned, planned};
use agents::planner::Search;
use sim::scenario::load;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let tasks: u64 = arguments
        .next()
        .map_or(200, |n| n.parse().expect("a number of tasks"));
    let show = arguments.next().is_some();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the scenarios are there")
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    for file in files {
        let scenario = load(&file).unwrap_or_else(|e| panic!("{e}"));
        let (mut drawn, mut reached, mut steps) = (0, 0, 0);
        let mut milliseconds = Vec::new();
        let mut activities = BTreeSet::new();
        for index in 0..tasks {
            let begun = Instant::now();
            let made = planned(&scenario, 7, index, &Search::default())
                .unwrap_or_else(|e| panic!("episode {index}: {e}"));
            milliseconds.push(1e3 * begun.elapsed().as_secs_f64());
            let Some(made) = made else { continue };
            drawn += 1;
            reached += u64::from(made.plan.reached);
            steps += made.plan.actions.len();
            activities.extend(made.task.activity.clone());
            if show && (!made.plan.reached || index < 12) {
                print(&made);
            }
        }
        milliseconds.sort_by(f64::total_cmp);
        let quantile =
            |share: f64| milliseconds[(share * (milliseconds.len() - 1) as f64) as usize];
        println!(
            "{:16} {reached} of {drawn} tasks solved, {:.1} steps on average, {} activities; ms to draw and plan: \
             median {:.1}, 95 % {:.1}, most {:.1}",
            scenario.scenario.name,
            steps as f64 / drawn as f64,
            activities.len(),
            quantile(0.5),
            quantile(0.95),
            quantile(1.0),
        );
    }
}

fn print(Planned { start, task, plan }: &Planned) {
    let solved = if plan.reached { "solved" } else { "NOT SOLVED" };
    println!("{solved}: {} {:?}", task.say, task.goal_text(start));
    let sentences: Vec<String> = plan
        .actions
        .iter()
        .map(|a| a.sentence(start.house()))
        .collect();
    println!("    {}", sentences.join(" "));
}
