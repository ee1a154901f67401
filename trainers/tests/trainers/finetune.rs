//! The finetuning recipe: it learns, resumes bit for bit, and refuses what does not fit.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use trainers::checkpoint;
use trainers::continual::{Ewc, Fisher, LossOf, Sequence};
use trainers::nn::{Llama, LoraConfig, Packed, Precision};
use trainers::recipes::RecipeError;
use trainers::recipes::language_finetune::{Config, Identity, Options, Summary, Text, run, train};

use crate::nn::real;
use crate::tiny::{data, tiny};

static NEVER: AtomicBool = AtomicBool::new(false);

fn options(out: &Path, resume: bool, stop_after: Option<u64>) -> Options<'static> {
    fs::create_dir_all(out.join("checkpoints")).unwrap();
    Options {
        out: out.to_path_buf(),
        resume,
        init_adapter: None,
        stop: &NEVER,
        progress: false,
        stop_after,
    }
}

/// Texts that count up by one, the second half supervised.
fn texts(vocabulary: i64) -> Vec<Text> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    (0..40)
        .map(|_| {
            let (start, length) = (rng.random_range(0..vocabulary), rng.random_range(6..16));
            Text {
                ids: (0..length)
                    .map(|step| (start + step) % vocabulary)
                    .collect(),
                supervised: (0..length).map(|at| at >= length / 2).collect(),
                weight: 1.0,
                truncated: false,
            }
        })
        .collect()
}

fn config(steps: u64) -> Config {
    Config {
        steps,
        batch_tokens: 40,
        accumulation: 2,
        learning_rate: 1e-2,
        checkpoint_every: 7,
        lora: LoraConfig {
            rank: 4,
            alpha: 8.0,
            ..LoraConfig::default()
        },
        ..Config::default()
    }
}

fn identity() -> Identity {
    Identity {
        dataset_digest: "data".to_owned(),
        ..Identity::default()
    }
}

/// 20 steps at once, and 10 and 10, must write the same bytes.
fn check_resume(mut model: impl FnMut() -> Llama, texts: &[Text], config: &Config) {
    let folder = tempfile::tempdir().unwrap();
    let ewc = |model: &mut Llama| {
        let sequence = Sequence::whole(texts[0].ids.clone());
        Ewc::new(
            Fisher::estimate(model, &[sequence], LossOf::Mean, |_| true).unwrap(),
            0.1,
        )
    };
    let mut go = |out: &Path, resume, stop_after| -> Summary {
        let mut model = model();
        let ewc = ewc(&mut model);
        train(
            config,
            &options(out, resume, stop_after),
            &mut model,
            texts,
            Some(&ewc),
            &identity(),
        )
        .unwrap()
    };
    let (whole, halves) = (folder.path().join("whole"), folder.path().join("halves"));
    let at_once = go(&whole, false, None);
    let first = go(&halves, false, Some(10));
    assert_eq!((first.step, first.steps), (10, 20));
    assert!(first.checkpoint.ends_with("step_10"));
    let second = go(&halves, true, None);
    assert_eq!((second.step, second.tokens), (at_once.step, at_once.tokens));
    for file in [
        "adapter_model.safetensors",
        "optimizer.safetensors",
        "adapter_config.json",
    ] {
        let read = |run: &Path| fs::read(run.join("checkpoints/last").join(file)).unwrap();
        assert!(read(&whole) == read(&halves), "{file} differs");
    }
    // the logged losses too, to the last digit
    let losses = |run: &Path| -> Vec<String> {
        let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let line = |line| -> serde_json::Value { serde_json::from_str(line).unwrap() };
        text.lines()
            .map(line)
            .map(|line| format!("{} {} {}", line["step"], line["loss"], line["penalty"]))
            .collect()
    };
    assert_eq!(losses(&whole), losses(&halves));
    assert_eq!(losses(&whole).len(), 20);
}

#[test]
fn twenty_steps_are_ten_and_ten_resumed() {
    check_resume(tiny, &texts(24), &config(20));
}

#[test]
fn twenty_steps_of_the_real_model_are_ten_and_ten_resumed() {
    let text = fs::read_to_string(data("english.txt")).unwrap();
    let (_, tokenizer) = real(Precision::Auto);
    let texts: Vec<Text> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| tokenizer.encode(line).unwrap())
        .map(|ids| Text {
            supervised: (0..ids.len()).map(|at| at > 3 && at < 20).collect(),
            ids,
            weight: 1.0,
            truncated: false,
        })
        .filter(|text| text.ids.len() < 60)
        .collect();
    assert!(texts.len() >= 2);
    let config = Config {
        accumulation: 1,
        batch_tokens: 64,
        ..config(20)
    };
    check_resume(|| real(Precision::Auto).0, &texts, &config);
}

#[test]
fn the_loss_falls_and_the_adapter_can_be_attached_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = tiny();
    let texts = texts(24);
    let summary = train(
        &config(150),
        &options(folder.path(), false, None),
        &mut model,
        &texts,
        None,
        &identity(),
    )
    .unwrap();
    let metrics = fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
    assert!(
        summary.nll < 0.5 * first["nll"].as_f64().unwrap(),
        "{} to {}",
        first["nll"],
        summary.nll
    );

    let logits = |model: &Llama| {
        let hidden = model.hidden(&Packed::of(&[[1, 2, 3]])).unwrap();
        Vec::<f32>::try_from(model.logits(&hidden, &[2]).flatten(0, -1)).unwrap()
    };
    let mut again = tiny();
    let base = logits(&again);
    checkpoint::attach_adapter(&mut again, &summary.checkpoint).unwrap();
    assert_eq!(logits(&again), logits(&model));
    assert_ne!(logits(&again), base);
}

#[test]
fn a_checkpoint_of_another_run_is_refused_with_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(24);
    let go = |config: &Config, identity: &Identity| {
        train(
            config,
            &options(folder.path(), true, None),
            &mut tiny(),
            &texts,
            None,
            identity,
        )
    };
    go(&config(2), &identity()).unwrap();
    let refusal = |config: &Config, identity: &Identity| match go(config, identity) {
        Err(RecipeError::Input(message)) => message,
        other => panic!("{:?}", other.map(|summary| summary.step)),
    };
    let other = Config {
        learning_rate: 0.5,
        ..config(2)
    };
    let message = refusal(&other, &identity());
    assert!(
        message.contains("learning_rate: the checkpoint has 0.01, this run 0.5"),
        "{message}"
    );
    let message = refusal(
        &config(2),
        &Identity {
            dataset_digest: "other".to_owned(),
            ..Identity::default()
        },
    );
    assert!(
        message.contains("dataset digest: the checkpoint has data, this run other"),
        "{message}"
    );

    // of another model: as a checkpoint to go on from, and as an adapter to evaluate
    let last = folder.path().join("checkpoints/step_2");
    let state = fs::read_to_string(last.join("trainer_state.json")).unwrap();
    fs::write(
        last.join("trainer_state.json"),
        state.replace("\"tiny\"", "\"large\""),
    )
    .unwrap();
    assert!(
        refusal(&config(2), &identity())
            .contains("model digest: the checkpoint has large, this run tiny")
    );
    let error = checkpoint::attach_adapter(&mut tiny(), &last)
        .unwrap_err()
        .to_string();
    assert!(error.contains("model digest"), "{error}");
    fs::write(last.join("trainer_state.json"), "{").unwrap();
    assert!(refusal(&config(2), &identity()).contains("trainer_state.json"));
    let bytes = fs::read(last.join("adapter_model.safetensors")).unwrap();
    fs::remove_file(last.join("trainer_state.json")).unwrap();
    fs::write(last.join("adapter_model.safetensors"), &bytes[..100]).unwrap();
    let error = checkpoint::attach_adapter(&mut tiny(), &last)
        .unwrap_err()
        .to_string();
    assert!(error.contains("not a safetensors file"), "{error}");
}

#[test]
fn input_that_cannot_be_learnt_from_is_refused_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let file = folder.path().join("train.jsonl");
    let line = |supervised: bool| {
        format!(
            r#"{{"task":"t","parts":[{{"text":"The cat","supervised":false}},{{"text":" sat.","supervised":{supervised}}}],"source":"s"}}"#
        )
    };
    let mut number = 0;
    let mut refusal = |content: &str, change: fn(&mut Config)| {
        number += 1;
        fs::write(&file, content).unwrap();
        let mut config = Config {
            data: vec![file.clone()],
            ..config(2)
        };
        config.ewc.lambda = 0.0;
        change(&mut config);
        match run(
            &config,
            &options(&out.join(number.to_string()), false, None),
        ) {
            Err(RecipeError::Input(message)) => message,
            other => panic!("{:?}", other.map(|summary| summary.step)),
        }
    };
    let same: fn(&mut Config) = |_| ();
    assert!(refusal(&line(false), same).contains("1 examples without one supervised token"));
    assert!(refusal("", same).contains("0 examples"));
    let message = refusal(&format!("{}\n{{\"task\": 3}}", line(true)), same);
    assert!(message.contains("train.jsonl: line 2: "), "{message}");
    assert!(refusal(&line(true), |config| config.data.clear()).contains("data: expected"));
    assert!(refusal(&line(true), |config| config.ewc.lambda = 1.0).contains("ewc.text: expected"));
    assert!(
        refusal(&line(true), |config| config.model = "nowhere.gguf".into())
            .contains("nowhere.gguf: no such model")
    );
    assert!(
        refusal(&line(true), |config| config.learning_rate = f64::NAN)
            .contains("learning_rate: expected")
    );
    assert!(
        refusal(&line(true), |config| config.lora.targets =
            vec!["all".to_owned()])
        .contains("found \"all\"")
    );
    // nothing was left behind; a folder that holds a run is not written over
    assert!(!out.join("1/config.toml").exists());
    fs::create_dir_all(out.join("1")).unwrap();
    fs::write(out.join("1/config.toml"), "").unwrap();
    let mut config = Config {
        data: vec![file],
        ..Config::default()
    };
    config.ewc.lambda = 0.0;
    let error = run(&config, &options(&out.join("1"), false, None)).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("--resume"), "{error}");
}

/// Once: a checkpoint, exit code 0. Twice: at once, and never by a crash while libtorch still computes.
#[test]
fn a_signal_ends_with_a_checkpoint_and_a_second_one_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("train.jsonl");
    let line = r#"{"task":"t","parts":[{"text":"The cat","supervised":false},{"text":" sat.","supervised":true}],"source":"s"}"#;
    fs::write(&file, line).unwrap();
    let recipe = folder.path().join("recipe.toml");
    fs::write(
        &recipe,
        "recipe = \"language_finetune\"\nsteps = 100000\newc.lambda = 0\n",
    )
    .unwrap();
    let stopped_after = |signals: usize| {
        let out = folder.path().join(signals.to_string());
        let child = Command::new(env!("CARGO_BIN_EXE_train"))
            .arg(&recipe)
            .args([
                "--threads",
                "1",
                "--set",
                &format!("data=[{file:?}]"),
                "--out",
            ])
            .arg(&out)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while fs::read(out.join("metrics.jsonl")).is_ok_and(|lines| lines.is_empty())
            || !out.join("metrics.jsonl").exists()
        {
            sleep(Duration::from_millis(5));
        }
        for _ in 0..signals {
            let kill = Command::new("kill").arg(child.id().to_string()).status();
            assert!(kill.unwrap().success());
            sleep(Duration::from_millis(5));
        }
        (
            child.wait_with_output().unwrap(),
            checkpoint::latest(&out.join("checkpoints")),
        )
    };
    let (output, written) = stopped_after(1);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(written.is_some());
    let (output, _) = stopped_after(2);
    // 0: the first signal's checkpoint was written before the second arrived.
    assert!(matches!(output.status.code(), Some(0 | 130)), "{output:?}");
}
