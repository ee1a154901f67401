//! What the representation recipe promises: exact resume, errors that say what is wrong, controls, files that PyTorch
//! reads.

use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use dataset::transitions::{Crop, Observations, Transitions};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use sim::hand::sight::Context;
use sim::hand::suites::suite;
use tch::{Device, Tensor};
use trainers::evaluation::suites::{View, collect};
use trainers::nn::{
    EncoderConfig, FrozenEncoder, ImageEncoderConfig, MlpConfig, Precision, VectorEncoderConfig,
};
use trainers::objectives::ObjectiveConfig;
use trainers::recipes::RecipeError;
use trainers::recipes::representation::{
    Config, Features, Options, PolicyConfig, Pretrained, encode, pretrain, read_features,
    train_policy,
};

use crate::tiny::v;

/// Eight episodes of six frames of 12 x 12 pixels: a bright square that moves by the action.
fn images() -> Transitions<'static> {
    let (mut pixels, mut actions, mut states) = (Vec::new(), Vec::new(), Vec::new());
    for episode in 0..8 {
        let choice = v(episode, 14);
        let (mut x, mut y) = (6.0 + 3.0 * choice[12], 6.0 + 3.0 * choice[13]);
        for frame in 0..6 {
            for at in 0..144_u32 {
                let near = (at % 12) as f32 - x;
                let inside = near.abs() < 2.0 && ((at / 12) as f32 - y).abs() < 2.0;
                pixels.extend(if inside {
                    [230, 200, 90]
                } else {
                    [20, 30, (at % 50) as u8]
                });
            }
            let action = [choice[2 * frame], choice[2 * frame + 1]];
            states.extend([x, y]);
            actions.extend(action);
            (x, y) = (x + action[0], y + action[1]);
        }
    }
    Transitions::new(
        Observations::Images {
            pixels: pixels.into(),
            height: 12,
            width: 12,
        },
        actions.into(),
        2,
        states.into(),
        2,
        (0..=8).map(|episode| 6 * episode).collect(),
    )
    .unwrap()
}

fn encoder() -> EncoderConfig {
    EncoderConfig::Image(ImageEncoderConfig {
        size: 12,
        channels: vec![4, 6],
        strides: vec![2, 1],
        keypoints: 5,
        embedding: 6,
    })
}

fn config(objective: ObjectiveConfig) -> Config {
    Config {
        seed: 4,
        encoder: encoder(),
        precision: Precision::F32,
        objective,
        steps: 20,
        batch: 16,
        crop: Some(Crop {
            pad: 2,
            shared: false,
        }),
        policy: MlpConfig {
            hidden: vec![8],
            dropout: 0.1,
        },
        monitor_every: 5,
        monitor_frames: 40,
        checkpoint_every: 4,
        ..Config::default()
    }
}

fn run(
    config: &Config,
    data: &Transitions<'_>,
    out: &Path,
    resume: bool,
    stop_after: Option<u64>,
) -> Result<Pretrained, RecipeError> {
    let options = Options {
        out: out.to_path_buf(),
        resume,
        stop: &AtomicBool::new(false),
        stop_after,
        device: Device::Cpu,
        progress: false,
    };
    pretrain(config, data, &options)
}

fn error<T>(result: Result<T, RecipeError>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn twenty_steps_are_ten_and_ten_bit_for_bit_with_every_objective() {
    tch::set_num_threads(1);
    let data = images();
    for objective in ObjectiveConfig::all() {
        let name = objective.name();
        let config = config(objective);
        let folder = tempfile::tempdir().unwrap();
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        let one = run(&config, &data, &whole, false, None).unwrap();
        run(&config, &data, &parts, false, Some(10)).unwrap();
        let two = run(&config, &data, &parts, true, None).unwrap();
        assert_eq!((one.summary.step, two.summary.step), (20, 20));
        for file in ["model.safetensors", "optimizer.safetensors"] {
            let read =
                |out: &Path| std::fs::read(out.join("checkpoints/step_20").join(file)).unwrap();
            assert!(read(&whole) == read(&parts), "{name}: {file} differs");
        }
        let read = |out: &Path| std::fs::read(out.join("metrics.jsonl")).unwrap();
        assert!(read(&whole) == read(&parts), "{name}: metrics differ");
        assert!(one.summary.rank_me >= 1.0 && one.summary.rank_me <= 6.0);
        assert!(one.summary.losses.iter().any(|(part, _)| part == "probe"));
    }
}

#[test]
fn another_run_s_checkpoint_is_refused() {
    let data = images();
    let folder = tempfile::tempdir().unwrap();
    let own = config(ObjectiveConfig::all().remove(0));
    run(&own, &data, folder.path(), false, Some(2)).unwrap();
    let message = error(run(&own, &data, folder.path(), false, None));
    assert!(message.contains("holds a run already"), "{message}");
    let other = Config { seed: 5, ..own };
    let message = error(run(&other, &data, folder.path(), true, None));
    assert!(
        message.contains("seed: the checkpoint has 4, this run 5"),
        "{message}"
    );
}

#[test]
fn a_loss_that_is_not_a_number_stops_the_run_and_names_the_episodes() {
    let data = images();
    let mut actions = data.actions().to_vec();
    // the second frame of episode 5
    actions[2 * 31] = f32::NAN;
    let observations = data.observations().clone();
    let offsets = (0..=8).map(|episode| 6 * episode).collect();
    let states = Cow::Owned(data.states().to_vec());
    let data = Transitions::new(observations, actions.into(), 2, states, 2, offsets).unwrap();
    let mut config = config(ObjectiveConfig::all().remove(0));
    (config.batch, config.checkpoint_every) = (2, 1);
    let folder = tempfile::tempdir().unwrap();
    let message = error(run(&config, &data, folder.path(), false, None));
    assert!(message.contains("the loss \"inverse\" is NaN"), "{message}");
    assert!(message.contains("frames of episodes"), "{message}");
    let episodes = message
        .split("episodes ")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    assert!(
        episodes.split(", ").any(|episode| episode == "5"),
        "{message}"
    );
    let step: u64 = message.split([' ', ':']).nth(1).unwrap().parse().unwrap();
    assert!(step > 0, "the seed draws another frame first");
    let last = folder
        .path()
        .join(format!("checkpoints/step_{step}/model.safetensors"));
    assert!(last.exists(), "{message}");
    assert!(message.contains(&format!("step_{step}")), "{message}");
}

#[test]
fn data_that_the_encoder_cannot_read_are_refused() {
    let mut config = config(ObjectiveConfig::all().remove(0));
    config.encoder = EncoderConfig::preset("small").unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        error(run(&config, &images(), folder.path(), false, None)),
        "the encoder reads images of 48 x 48, the data are images of 12 x 12"
    );
}

#[test]
fn every_control_trains_a_policy() {
    let data = images();
    let config = PolicyConfig {
        steps: 200,
        batch: 32,
        head: MlpConfig {
            hidden: vec![64],
            dropout: 0.0,
        },
        ..PolicyConfig::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    let values: Vec<u8> = data
        .states()
        .iter()
        .flat_map(|x| (x / 6.0 - 1.0).to_le_bytes())
        .collect();
    let view = TensorView::new(Dtype::F32, vec![48, 2], &values).unwrap();
    std::fs::write(&path, serialize([("features", view)], None).unwrap()).unwrap();
    let imported = data
        .with_observations(read_features(&path, 48, 2).unwrap())
        .unwrap();
    let random = FrozenEncoder::random(&encoder(), Precision::F32, 1, Device::Cpu).unwrap();
    let scratch = Features::Scratch {
        encoder: encoder(),
        precision: Precision::F32,
        crop: Some(Crop {
            pad: 1,
            shared: false,
        }),
    };
    for (name, features, data) in [
        ("random", Features::Frozen(random), &data),
        ("scratch", scratch, &data),
        ("state", Features::State, &data),
        ("imported", Features::Observations, &imported),
    ] {
        let policy = train_policy(&config, features, data, Device::Cpu).unwrap();
        let mut buffer = data.observations().buffer(48);
        for frame in 0..48 {
            data.copy_frame(frame, &mut buffer, frame);
        }
        let seen =
            trainers::objectives::observation_tensor(&buffer, data.observations(), Device::Cpu);
        let states = Tensor::from_slice(data.states()).reshape([48, 2]);
        let actions = policy.act(&seen.unwrap(), &states).unwrap();
        assert_eq!(actions.size(), [48, 2], "{name}");
        let largest = actions.abs().max().double_value(&[]);
        assert!(largest <= 1.0 && largest > 0.01, "{name}: {largest}");
    }
    assert!(
        error(train_policy(&config, Features::Observations, &data, Device::Cpu).map(|_| ()))
            .contains("found images")
    );
}

#[test]
fn imported_features_of_other_dimensions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    let values = vec![0; 4 * 10 * 3];
    let view = || TensorView::new(Dtype::F32, vec![10, 3], &values).unwrap();
    std::fs::write(&path, serialize([("features", view())], None).unwrap()).unwrap();
    assert!(read_features(&path, 10, 3).is_ok());
    let message = error(read_features(&path, 10, 4));
    assert!(
        message.ends_with("expected 10 frames of 4 numbers, found shape [10, 3]"),
        "{message}"
    );
    let message = error(read_features(&path, 11, 3));
    assert!(
        message.ends_with("expected 11 frames of 3 numbers, found shape [10, 3]"),
        "{message}"
    );
    std::fs::write(&path, serialize([("other", view())], None).unwrap()).unwrap();
    assert!(
        error(read_features(&path, 10, 3)).contains("no tensor \"features\", found [\"other\"]")
    );
    std::fs::write(&path, b"nonsense").unwrap();
    assert!(error(read_features(&path, 10, 3)).contains("not a safetensors file"));
    assert!(error(read_features(&folder.path().join("none"), 10, 3)).contains("none: "));
}

#[test]
fn a_saved_encoder_is_the_same_encoder() {
    let data = images();
    let folder = tempfile::tempdir().unwrap();
    let done = run(
        &config(ObjectiveConfig::all().remove(0)),
        &data,
        folder.path(),
        false,
        Some(3),
    )
    .unwrap();
    let load = |path: &Path| FrozenEncoder::load(path, Precision::F32, Device::Cpu);
    let loaded = load(&done.summary.encoder).unwrap();
    assert_eq!(loaded.config(), &encoder());
    assert_eq!(
        encode(&loaded, &data).unwrap(),
        encode(&done.encoder, &data).unwrap()
    );
    // a checkpoint's file holds the encoder too
    let within = load(&done.summary.checkpoint.join("model.safetensors")).unwrap();
    assert_eq!(
        encode(&within, &data).unwrap(),
        encode(&loaded, &data).unwrap()
    );

    let path = folder.path().join("plain.safetensors");
    let view = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
    std::fs::write(&path, serialize([("x", view)], None).unwrap()).unwrap();
    let message = load(&path).err().unwrap().to_string();
    assert!(
        message.contains("expected the encoder's shape under \"encoder\" in the metadata"),
        "{message}"
    );
}

/// Writes encoders and their embeddings into the folder $HABITUS_PEER_OUT, for tests/peers/representation/run.sh.
#[test]
#[ignore = "writes what tests/peers/representation/check_encoder.py compares"]
fn encoders_for_pytorch() {
    let out = std::env::var("HABITUS_PEER_OUT").expect("HABITUS_PEER_OUT: a folder");
    let vector = EncoderConfig::Vector(VectorEncoderConfig {
        inputs: 64,
        hidden: vec![128, 128],
        embedding: 8,
    });
    let mut encoders = vec![("vector", vector)];
    for name in ["small", "paper_84", "paper_120"] {
        encoders.push((name, EncoderConfig::preset(name).unwrap()));
    }
    for (name, config) in encoders {
        let frozen = FrozenEncoder::random(&config, Precision::F32, 3, Device::Cpu).unwrap();
        std::fs::write(format!("{out}/{name}.safetensors"), frozen.to_bytes()).unwrap();
        let observations = match &config {
            EncoderConfig::Vector(vector) => {
                Tensor::from_slice(&v(1, 20 * vector.inputs as usize)).reshape([20, vector.inputs])
            }
            EncoderConfig::Image(image) => {
                // a bright square on a slope: on noise every keypoint is in the middle, and normalization makes
                // nothing but rounding large
                let size = image.size;
                let pixels: Vec<u8> = (0..4 * size * size)
                    .flat_map(|at| {
                        let (number, row, column) =
                            (at / (size * size), at / size % size, at % size);
                        let inside = (row - size * (number + 1) / 6).abs() < size / 8
                            && (column - size * (4 - number) / 6).abs() < size / 8;
                        let slope = (200 * (row + 2 * column) / (3 * size)) as u8;
                        if inside {
                            [240, 90, 30]
                        } else {
                            [slope, 255 - slope, slope / 2]
                        }
                    })
                    .collect();
                Tensor::from_slice(&pixels).reshape([4, image.size, image.size, 3])
            }
        };
        let embeddings = frozen.encode(&observations).unwrap();
        let named = [("observations", observations), ("embeddings", embeddings)];
        Tensor::write_safetensors(&named, format!("{out}/{name}_embeddings.safetensors")).unwrap();
    }

    // one that was trained: 150 steps on 60 demonstrations of the point mass, on frames that it was not trained on
    let suite = suite("point").unwrap();
    let view = View {
        size: 48,
        context: Context::Latent,
        samples: 1,
    };
    let tasks = suite.pretraining();
    let collect =
        |seed, episodes| collect(suite, &tasks, seed, episodes, view, usize::MAX).unwrap();
    let config = Config {
        steps: 150,
        batch: 64,
        ..Config::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let done = run(
        &config,
        &collect(1, 60).transitions,
        folder.path(),
        false,
        None,
    )
    .unwrap();
    println!("trained: {:?}", done.summary.losses);
    std::fs::copy(&done.summary.encoder, format!("{out}/trained.safetensors")).unwrap();
    let trained = FrozenEncoder::load(&done.summary.encoder, Precision::F32, Device::Cpu).unwrap();
    let unseen = collect(2, 10).transitions;
    let Observations::Images { pixels, .. } = unseen.observations() else {
        panic!("a suite is seen in pictures")
    };
    let observations = Tensor::from_slice(pixels).reshape([-1, 48, 48, 3]);
    let embeddings = trained.encode(&observations).unwrap();
    let named = [("observations", observations), ("embeddings", embeddings)];
    Tensor::write_safetensors(&named, format!("{out}/trained_embeddings.safetensors")).unwrap();
}

/// Prints core-seconds of a pretraining step per image, for tests/peers/representation/step_speed.py beside it.
#[test]
#[ignore = "a measurement"]
fn step_speed() {
    tch::set_num_threads(1);
    for (name, size, steps) in [("paper_84", 84, 8), ("small", 48, 64)] {
        let pixels: Vec<u8> = v(1, 130 * size * size * 3)
            .iter()
            .map(|x| (127.5 + 127.5 * x) as u8)
            .collect();
        let data = Transitions::new(
            Observations::Images {
                pixels: pixels.into(),
                height: size,
                width: size,
            },
            v(2, 260).into(),
            2,
            v(3, 260).into(),
            2,
            vec![0, 65, 130],
        )
        .unwrap();
        for precision in [Precision::F32, Precision::Bf16] {
            let config = Config {
                encoder: EncoderConfig::preset(name).unwrap(),
                precision,
                steps: 1 + steps,
                batch: 64,
                monitor_frames: 2,
                ..Config::default()
            };
            let folder = tempfile::tempdir().unwrap();
            run(&config, &data, folder.path(), false, Some(1)).unwrap();
            let before = cpu_seconds();
            run(&config, &data, folder.path(), true, None).unwrap();
            let each = (cpu_seconds() - before) / (steps * 128) as f64;
            println!(
                "{name} {precision:?}: {:.3} core-ms an image over {steps} steps of 128",
                1000.0 * each
            );
        }
    }
}

/// User and system seconds of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|x| x.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}
