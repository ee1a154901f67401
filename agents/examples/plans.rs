//! For every scenario: share of drawn tasks that the planner solves, lengths and times of plans, and symbolic actions per
//! second in the largest home. `cargo run -p agents --example plans [TASKS] [--show]`

use std::time::Instant;

use agents::measure::{carry_out, planned, random_program};
use agents::planner::Search;
use sim::random::episode_rng;
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
    let search = Search::default();
    let mut largest = None;
    for file in files {
        let scenario = load(&file).unwrap_or_else(|e| panic!("{e}"));
        let (mut drawn, mut reached, mut steps, mut simulations) = (0, 0, 0, 0);
        let mut seconds = Vec::new();
        let mut activities = std::collections::BTreeSet::new();
        for index in 0..tasks {
            let begun = Instant::now();
            let made = match planned(&scenario, 7, index, &search) {
                Ok(made) => made,
                Err(e) => {
                    println!("{e}");
                    continue;
                }
            };
            seconds.push(begun.elapsed().as_secs_f64());
            let Some(made) = made else { continue };
            drawn += 1;
            reached += u64::from(made.plan.reached);
            steps += made.plan.actions.len();
            simulations += made.plan.simulations;
            activities.extend(made.task.activity.clone());
            let house = made.start.house();
            if show && (!made.plan.reached || index < 12) {
                println!(
                    "{} {:?} {:?}",
                    if made.plan.reached { "ok  " } else { "FAIL" },
                    made.task.say,
                    made.task.goal_text(&made.start)
                );
                let sentences: Vec<String> = made
                    .plan
                    .actions
                    .iter()
                    .map(|a| a.sentence(house))
                    .collect();
                println!("     {}", sentences.join(" "));
            }
            if largest
                .as_ref()
                .is_none_or(|g: &sim::household::HouseGraph| g.house().len() < house.len())
            {
                largest = Some(made.start);
            }
        }
        seconds.sort_by(f64::total_cmp);
        println!(
            "{:24} drawn {drawn} reached {reached} ({:.1} %), mean steps {:.1}, mean simulations {:.0}, activities {}, ms median {:.1} p95 {:.1} max {:.1} (with drawing the house)",
            scenario.scenario.name,
            100.0 * reached as f64 / drawn as f64,
            steps as f64 / drawn as f64,
            f64::from(simulations) / drawn as f64,
            activities.len(),
            1e3 * seconds[seconds.len() / 2],
            1e3 * seconds[seconds.len() * 95 / 100],
            1e3 * seconds[seconds.len() - 1],
        );
    }
    let start = largest.expect("there are scenarios");
    let program = random_program(&start, 1000, &mut episode_rng(1, "", 0, "bench"));
    let begun = Instant::now();
    let done = carry_out(&start, &program, 3000);
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{} entities: {rate:.0} symbolic actions per second",
        start.house().len()
    );
}
