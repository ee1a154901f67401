//! Suites: demonstrations succeed, pictures show what they should, and worlds do what a policy says.

use dataset::transitions::{Buffer, Observations};
use sim::hand::sight::Context;
use sim::hand::suites::{SUITES, Suite, SuiteTask, suite};
use trainers::evaluation::comparison::{Comparison, Plan, Row, compare};
use trainers::evaluation::imported::{Pictures, frames, measure};
use trainers::evaluation::suites::{Corpus, SAMPLES, SuiteWorlds, View, collect};
use trainers::recipes::representation::{PolicyConfig, Worlds as _};

const VIEW: View = View {
    size: 48,
    context: Context::Latent,
    samples: 1,
};

fn pixels(observations: &Observations<'_>) -> Vec<u8> {
    match observations {
        Observations::Images { pixels, .. } => pixels.to_vec(),
        _ => panic!("a suite is seen in pictures"),
    }
}

fn corpus(suite: &Suite, tasks: &[SuiteTask], context: Context) -> Corpus {
    collect(suite, tasks, 3, 6, View { context, ..VIEW }, usize::MAX).unwrap()
}

#[test]
fn demonstrations_become_pictures_actions_and_truth() {
    for suite in &SUITES {
        let tasks = suite.pretraining();
        let made = corpus(suite, &tasks, Context::Latent);
        let t = &made.transitions;
        assert_eq!((made.episodes, t.episodes()), (6, 6));
        assert!(t.actions().iter().all(|x| (-1.0..=1.0).contains(x)));
        assert!(t.states().iter().all(|x| x.abs() < 4.0), "{:?}", t.states());
        let rgb = pixels(t.observations());
        assert_eq!(rgb.len(), t.frames() * 48 * 48 * 3);
        let frame = |i: usize| &rgb[i * 48 * 48 * 3..][..48 * 48 * 3];
        assert!(frame(0) != frame(t.episode(0).end - 1), "nothing moved");
        // The same once more; and nothing but the marker changes where the goal is seen.
        let again = corpus(suite, &tasks, Context::Latent);
        assert!(pixels(again.transitions.observations()) == rgb);
        // Or drawn whenever they are wanted.
        let drawn = collect(suite, &tasks, 3, 6, VIEW, rgb.len() - 1)
            .unwrap()
            .transitions;
        let Observations::Drawn { source, .. } = drawn.observations() else {
            panic!("more bytes than are kept");
        };
        assert_eq!(source.frames(), t.frames());
        let mut picture = vec![0; 48 * 48 * 3];
        for at in 0..t.frames() {
            source.draw(at, &mut picture);
            assert!(picture == frame(at), "{} {at}", suite.name);
        }
        let marked = corpus(suite, &tasks, Context::Visible);
        assert_eq!(marked.transitions.states(), t.states());
        let other = pixels(marked.transitions.observations());
        let changed = rgb.iter().zip(&other).filter(|(a, b)| a != b).count();
        assert!(changed > 0 && changed < rgb.len() / 20, "{changed}");
    }
}

#[test]
fn what_is_demonstrated_is_done_again_in_a_suites_worlds() {
    for suite in &SUITES {
        let task = suite.finetuned(5);
        let scenario = task.scenario().unwrap();
        let mut worlds = SuiteWorlds::new(suite, &scenario, VIEW, 3).unwrap();
        worlds.reset(&[3, 3, 4]).unwrap();
        let made = corpus(suite, &[task], Context::Latent);
        let t = &made.transitions;
        let mut seen = Buffer::Images(vec![0; 3 * 48 * 48 * 3]);
        let mut states = vec![0.0; 3 * t.state_size()];
        worlds.observe(&mut seen, &mut states).unwrap();
        let first = &pixels(t.observations())[..48 * 48 * 3];
        let Buffer::Images(seen) = seen else { panic!() };
        assert!(&seen[..first.len()] == first, "episode 0 of seed 3");
        assert!(seen[..first.len()] == seen[first.len()..][..first.len()]);
        for frame in t.episode(0).take(t.episode(0).len() - 1) {
            let n = t.action_size();
            let action = &t.actions()[frame * n..][..n];
            let still = vec![0.0; n];
            worlds.step(&[action, action, &still].concat()).unwrap();
        }
        assert_eq!(worlds.successes(), [true, true, false], "{}", suite.name);
        let progress = worlds.progress();
        assert!(
            progress[..2] == [1.0; 2] && progress[2] < 1.0,
            "{progress:?}"
        );
    }
    assert!(suite("kitchen sink").is_none());
}

/// The whole protocol, much too small to show anything: every method gets its figures, and what is pretrained is taken over.
#[test]
fn a_comparison_measures_objectives_and_controls() {
    let folder = tempfile::tempdir().unwrap();
    let suite = suite("point").unwrap();
    let mut plan = Plan {
        suite: "point".to_owned(),
        context: Context::Latent,
        samples: 1,
        objectives: ["inverse_dynamics", "behavior_cloning", "predictor_inverse"]
            .map(str::to_owned)
            .to_vec(),
        pretrained: Vec::new(),
        episodes: vec![6],
        demonstrations: vec![1, 2],
        seeds: 2,
        rollouts: 4,
        encoder: "small".to_owned(),
        pretraining: [3, 8],
        finetuning: 5,
        scratch: 2,
        looks: false,
        seed: 1,
    };
    let stop = false.into();
    let compared = |plan: &Plan| {
        let mut said = Vec::new();
        let found = compare(plan, suite, folder.path(), &stop, &mut |what| {
            said.push(what)
        });
        found.map(|found| (found, said))
    };
    let (plain, said) = compared(&plan).unwrap();
    assert!(
        said.iter()
            .any(|line| line.contains("pretraining: inverse_dynamics"))
    );
    assert!(plain.rows.iter().all(|row| row.elsewhere.is_empty()));
    // Looks are added to what is finished.
    plan.looks = true;
    let (found, said) = compared(&plan).unwrap();
    assert!(
        said.iter().all(|line| !line.contains("seed 1, 1 ")),
        "{said:?}"
    );
    let methods: Vec<&str> = found.rows.iter().map(|row| row.method.as_str()).collect();
    let expected = [
        "inverse_dynamics",
        "behavior_cloning",
        "predictor_inverse",
        "random",
        "scratch",
        "state",
    ];
    assert_eq!(methods, expected);
    for row in &found.rows {
        assert_eq!(row.success.len(), 2);
        assert!(row.success.iter().all(|s| s.n == 8 && s.low <= s.value));
        // What has no parts is done or not.
        let success: Vec<f64> = row.success.iter().map(|s| s.value).collect();
        assert_eq!(row.progress, success);
        assert!(row.elsewhere.len() == 3 && row.elsewhere.iter().all(|s| s.n == 8));
        // Light and textures are nothing to who knows the state.
        if row.method == "state" {
            assert!(row.elsewhere.iter().all(|s| *s == row.success[1]));
        }
        let frozen = !["scratch", "state"].contains(&row.method.as_str());
        assert_eq!(row.held.is_some(), frozen);
        assert!(row.held.as_ref().is_none_or(|held| held.probe.len() == 2));
        let tells = ["inverse_dynamics", "predictor_inverse"].contains(&row.method.as_str());
        let labels = row.held.as_ref().map_or(0, |held| held.labels.len());
        assert_eq!(labels, if tells { 2 } else { 0 });
    }
    let table = found.table();
    assert!(
        table.contains("| inverse dynamics |") && table.contains("2 demonstrations"),
        "{table}"
    );
    // What is finished is not run again, a longer list adds to it, another setting is refused.
    let (again, said) = compared(&plan).unwrap();
    let figures = |c: &Comparison| serde_json::to_value(&c.rows).unwrap();
    assert_eq!(figures(&again), figures(&found));
    assert!(said.is_empty(), "{said:?}");
    plan.episodes = vec![4, 6];
    let (more, said) = compared(&plan).unwrap();
    assert_eq!(more.rows.len(), 9);
    assert_eq!(
        figures(&more).as_array().unwrap()[3..],
        figures(&found).as_array().unwrap()[..]
    );
    assert_eq!(said.iter().filter(|s| s.contains("pretraining")).count(), 3);
    let trained = said.iter().filter(|line| line.contains("seed"));
    assert_eq!(trained.count(), 12, "{said:?}");
    plan.rollouts = 5;
    let error = compared(&plan).err().unwrap();
    assert_eq!(error.exit_code(), 2);
    assert!(
        error.to_string().contains("with rollouts 4, asked for 5"),
        "{error}"
    );
    plan.rollouts = 4;
    // A line that was torn by a crash is written anew; one that nobody understands is not thrown away.
    let path = folder.path().join("results.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    let (_, said) = compared(&plan).unwrap();
    assert_eq!(said.iter().filter(|line| line.contains("seed")).count(), 1);
    std::fs::write(&path, whole.replacen("\"progress\"", "\"prog\"", 1)).unwrap();
    let error = compared(&plan).err().unwrap();
    assert_eq!(error.exit_code(), 2);
    assert!(
        error
            .to_string()
            .contains("expected a result of this version"),
        "{error}"
    );
    std::fs::write(&path, whole).unwrap();

    // An encoder pretrained here, given as one from elsewhere, is the same encoder: a policy on it does the same.
    let encoder = |name: &str| {
        folder
            .path()
            .join(format!("pretraining/6/{name}/encoder.safetensors"))
    };
    plan.pretrained = vec![("mine".to_owned(), encoder("behavior_cloning"))];
    let (with, said) = compared(&plan).unwrap();
    assert_eq!(said.iter().filter(|line| line.contains("seed")).count(), 4);
    let row = |name: &str| with.rows.iter().rfind(|row| row.method == name).unwrap();
    let (mine, original) = (row("mine"), row("behavior_cloning"));
    assert_eq!(mine.by_seed, original.by_seed);
    let probe = |row: &Row| row.held.as_ref().unwrap().probe.clone();
    assert_eq!((mine.episodes, probe(mine)), (0, probe(original)));
    let (_, said) = compared(&plan).unwrap();
    assert!(said.is_empty(), "{said:?}");
    for (name, file, message) in [
        ("mine", encoder("inverse_dynamics"), "choose another name"),
        (
            "random",
            encoder("inverse_dynamics"),
            "expected a name of its own",
        ),
        ("other", folder.path().join("none"), "none"),
        ("other", path.clone(), "results.jsonl"),
    ] {
        plan.pretrained = vec![(name.to_owned(), file)];
        let error = compared(&plan).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(message), "{error}");
    }
    plan.pretrained = Vec::new();

    // Any number is a seed.
    for seed in [0, u64::MAX] {
        let other = tempfile::tempdir().unwrap();
        let plan = Plan {
            objectives: Vec::new(),
            demonstrations: vec![1],
            rollouts: 1,
            seed,
            ..plan.clone()
        };
        let found = compare(&plan, suite, other.path(), &stop, &mut |_| {}).unwrap();
        assert!(found.rows.iter().all(|row| row.success[0].n == 2));
    }

    plan.objectives = vec!["magic".to_owned()];
    let error = compared(&plan).err().unwrap().to_string();
    assert!(
        error.contains("static_contrastive") && error.contains("magic"),
        "{error}"
    );
    plan.encoder = "huge".to_owned();
    let error = compared(&plan).err().unwrap().to_string();
    assert!(error.contains("expected small"), "{error}");
}

/// Writes a sheet of pictures to look at: `SHEET=out.ppm cargo test …`.
#[test]
#[ignore = "writes a picture"]
fn sheet() {
    let Some(path) = std::env::var_os("SHEET") else {
        return;
    };
    let (columns, size) = (8, 96);
    let mut rows = Vec::new();
    for suite in &SUITES {
        for context in [Context::Latent, Context::Visible] {
            let view = View {
                size,
                context,
                samples: SAMPLES,
            };
            let made = collect(suite, &suite.pretraining()[..1], 3, 1, view, usize::MAX).unwrap();
            let rgb = pixels(made.transitions.observations());
            let frames = made.transitions.frames();
            let mut row = vec![0; columns * size * size * 3];
            for column in 0..columns {
                let frame = column * (frames - 1) / (columns - 1);
                for y in 0..size {
                    let from = (frame * size + y) * size * 3;
                    let to = (y * columns + column) * size * 3;
                    row[to..to + size * 3].copy_from_slice(&rgb[from..from + size * 3]);
                }
            }
            rows.extend(row);
        }
    }
    let height = rows.len() / (columns * size * 3);
    let mut file = format!("P6 {} {height} 255\n", columns * size).into_bytes();
    file.extend(rows);
    std::fs::write(path, file).unwrap();
}

/// Features that are the ground truth itself hold all of it; a file of another shape is refused.
#[test]
fn features_made_elsewhere_are_measured() {
    let pictures = Pictures {
        size: 8,
        context: Context::Latent,
        episodes: 8,
        seed: 1,
    };
    let suite = suite("point").unwrap();
    let made = frames(suite, &pictures).unwrap();
    let n = made.count();
    let tensor = made.tensor(8).unwrap();
    assert_eq!(tensor.size(), [n as i64, 8, 8, 3]);
    let truth: Vec<f32> = [(1, 8), (1_000_004, 2)]
        .iter()
        .flat_map(|(seed, episodes)| {
            let view = View {
                size: 8,
                samples: SAMPLES,
                ..VIEW
            };
            let corpus = collect(
                suite,
                &suite.pretraining(),
                *seed,
                *episodes,
                view,
                usize::MAX,
            )
            .unwrap();
            corpus.transitions.states().to_vec()
        })
        .collect();
    let policy = PolicyConfig {
        steps: 20,
        ..PolicyConfig::default()
    };
    let found = measure(&made, &truth, 2, &policy).unwrap();
    assert_eq!(found.frames.iter().sum::<usize>(), n);
    assert!(found.probe.len() == 2 && found.probe.iter().all(|r2| *r2 > 0.9999));
    assert!(found.imitation.len() == 2 && found.imitation_error.is_finite());
    let error = measure(&made, &truth[2..], 2, &policy).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("rows of 2 numbers"), "{error}");
}
