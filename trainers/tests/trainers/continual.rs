//! Fisher information and EWC against transformers (data/ewc_expected.json), and what the mathematics promises.

use serde_json::Value;
use tch::{Kind, Tensor};
use trainers::continual::{Ewc, Fisher, FisherUnits, LossOf, Sequence};
use trainers::nn::{KINDS, Llama, Lora, LoraConfig};

use crate::nn::busy_adapter;
use crate::tiny::{assert_close, floats, json, tiny, v};

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).contiguous().flatten(0, -1)).unwrap()
}

/// The file's sequences with its labels, and with its sampled labels.
fn sequences(expected: &Value) -> (Vec<Sequence>, Vec<Sequence>) {
    let labels = |value: &Value| -> Vec<Option<i64>> {
        let labels = value
            .as_array()
            .unwrap()
            .iter()
            .map(|x| x.as_i64().unwrap());
        labels
            .map(|label| (label != -100).then_some(label))
            .collect()
    };
    let (mut given, mut sampled) = (Vec::new(), Vec::new());
    for (number, ids) in expected["ids"].as_array().unwrap().iter().enumerate() {
        let ids: Vec<i64> = serde_json::from_value(ids.clone()).unwrap();
        given.push(Sequence {
            ids: ids.clone(),
            labels: labels(&expected["labels"][number]),
        });
        for draw in expected["sampled_labels"][number].as_array().unwrap() {
            sampled.push(Sequence {
                ids: ids.clone(),
                labels: labels(draw),
            });
        }
    }
    (given, sampled)
}

/// The file's adapter.
fn adapter(expected: &Value, model: &Llama) -> Lora {
    let config = LoraConfig {
        rank: expected["rank"].as_i64().unwrap(),
        alpha: expected["alpha"].as_f64().unwrap(),
        ..LoraConfig::default()
    };
    let mut lora = Lora::zeros(model.config(), config, Kind::Float, model.device()).unwrap();
    let mut values = Vec::new();
    for (t, target) in (0..).zip(lora.targets()) {
        assert_eq!(
            format!("{}.weight", target.module()),
            expected["targets"][t as usize]
        );
        let rank = lora.config().rank;
        values.extend(
            v(100 + 2 * t, (rank * target.columns) as usize)
                .iter()
                .map(|x| 0.25 * x),
        );
        values.extend(
            v(101 + 2 * t, (rank * target.rows) as usize)
                .iter()
                .map(|x| 0.125 * x),
        );
    }
    lora.set_values(&values).unwrap();
    lora
}

#[test]
fn both_kinds_of_fisher_information_and_their_penalties_equal_the_reference() {
    let expected = json("ewc_expected.json");
    let mut model = tiny();
    let (given, sampled) = sequences(&expected);
    let lora = adapter(&expected, &model);
    for (kind, sequences) in [("empirical", given), ("true", sampled)] {
        let fisher = Fisher::estimate(&mut model, &sequences, LossOf::Sum, |_| true).unwrap();
        for target in lora.targets() {
            let name = format!("{}.weight", target.module());
            let found = numbers(&fisher.of(&model, target.layer, target.kind));
            assert_close(
                &name,
                &found,
                &floats(&expected[format!("fisher_{kind}")][&name]),
                1e-4,
            );
            assert!(found.iter().all(|x| *x >= 0.0));
        }
        let ewc = Ewc::new(fisher, expected["lambda"].as_f64().unwrap());
        let mut gradient = vec![0.0; lora.values().len()];
        let value = ewc.add_gradient(&model, &lora, &mut gradient).unwrap();
        let wanted = &expected[format!("penalty_{kind}")];
        assert_close(
            "penalty",
            &[value],
            &[wanted["value"].as_f64().unwrap()],
            1e-4,
        );
        for target in lora.targets() {
            let name = format!("{}.weight", target.module());
            let end = target.b + (target.rows * lora.config().rank) as usize;
            let part = |from: usize, to: usize| {
                gradient[from..to]
                    .iter()
                    .map(|x| f64::from(*x))
                    .collect::<Vec<_>>()
            };
            assert_close(
                &name,
                &part(target.a, target.b),
                &floats(&wanted["dA"][&name]),
                1e-4,
            );
            assert_close(
                &name,
                &part(target.b, end),
                &floats(&wanted["dB"][&name]),
                1e-4,
            );
        }
    }
}

#[test]
fn losses_equal_the_reference() {
    let expected = json("ewc_expected.json");
    let mut model = tiny();
    model.attach(busy_adapter(&model, 2));
    model.detach();
    for (sequence, nll) in sequences(&expected).0.iter().zip(floats(&expected["nll"])) {
        let text = trainers::recipes::language_finetune::Text {
            ids: sequence.ids.clone(),
            supervised: sequence
                .labels
                .iter()
                .enumerate()
                .map(|(at, label)| at > 0 && label.is_some())
                .collect(),
            weight: 1.0,
            truncated: false,
        };
        let lora = busy_adapter(&model, 1);
        let mut zero = vec![0.0; lora.values().len()];
        model.attach(lora);
        model.lora_mut().unwrap().set_values(&zero).unwrap();
        let step = trainers::recipes::language_finetune::gradient_of(
            &model,
            std::slice::from_ref(&text),
            &[vec![0]],
            &mut zero,
        )
        .unwrap();
        assert_close(
            "nll",
            &[step.nll * text.count_supervised() as f64],
            &[nll],
            1e-5,
        );
        model.detach();
    }
}

#[test]
fn no_penalty_and_no_gradient_where_b_is_zero() {
    let mut model = tiny();
    let sequence = Sequence::whole(vec![3, 17, 5, 11, 2]);
    let fisher = Fisher::estimate(&mut model, &[sequence], LossOf::Mean, |_| true).unwrap();
    assert!(fisher.total() > 0.0);
    let ewc = Ewc::new(fisher, 1e6);
    let mut lora = busy_adapter(&model, 4);
    let (targets, rank) = (lora.targets().to_vec(), lora.config().rank);
    lora.update(|values| {
        for target in &targets {
            values[target.b..target.b + (target.rows * rank) as usize].fill(0.0);
        }
    })
    .unwrap();
    let mut gradient = vec![0.0; lora.values().len()];
    assert_eq!(ewc.add_gradient(&model, &lora, &mut gradient).unwrap(), 0.0);
    assert!(gradient.iter().all(|x| *x == 0.0));
}

#[test]
fn the_information_is_of_the_base_and_the_mean_is_the_sum_over_tokens_squared() {
    let mut model = tiny();
    let sequence = Sequence::whole(vec![3, 17, 5, 11, 2]);
    let estimate = |model: &mut Llama, loss| {
        Fisher::estimate(model, std::slice::from_ref(&sequence), loss, |_| true).unwrap()
    };
    let plain = estimate(&mut model, LossOf::Sum).total();
    model.attach(busy_adapter(&model, 4));
    assert_eq!(estimate(&mut model, LossOf::Sum).total(), plain);
    assert!(model.lora().is_some());
    let mean = estimate(&mut model, LossOf::Mean).total();
    assert!((mean * 16.0 / plain - 1.0).abs() < 1e-5, "{mean} {plain}");
}

#[test]
fn row127_gives_each_row_a_largest_entry_of_127() {
    let mut model = tiny();
    let sequence = Sequence::whole(vec![3, 17, 5, 11, 2, 9, 9]);
    let fisher = Fisher::estimate(&mut model, &[sequence], LossOf::Mean, |_| true).unwrap();
    let fisher = fisher.in_units(FisherUnits::Row127);
    for kind in 0..KINDS.len() {
        let rows = fisher.of(&model, 1, kind);
        assert_eq!(
            numbers(&rows.amax(1, false)),
            vec![127.0; rows.size()[0] as usize]
        );
        assert_eq!(numbers(&rows.round()), numbers(&rows));
    }
}

#[test]
fn what_was_saved_is_read_again_and_another_model_s_is_not() {
    let mut model = tiny();
    let fisher = Fisher::estimate(
        &mut model,
        &[Sequence::whole(vec![1, 2, 3])],
        LossOf::Mean,
        |_| true,
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/fisher.safetensors");
    assert!(Fisher::load(&path, &model).is_none());
    fisher.save(&path).unwrap();
    let read = Fisher::load(&path, &model).unwrap();
    for kind in 0..KINDS.len() {
        assert_eq!(
            numbers(&read.of(&model, 1, kind)),
            numbers(&fisher.of(&model, 1, kind))
        );
    }
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(Fisher::load(&path, &model).is_none());
    let error = Fisher::estimate(
        &mut model,
        &[Sequence::whole(vec![1])],
        LossOf::Mean,
        |_| true,
    )
    .err()
    .unwrap();
    assert!(error.to_string().contains("no text"));
}
