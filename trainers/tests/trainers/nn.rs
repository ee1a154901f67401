//! The language model against transformers, and against itself computed another way.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor, no_grad};
use trainers::cache::default_model;
use trainers::nn::{
    Gguf, Llama, Lora, LoraConfig, Packed, Precision, Tokenizer, generate_greedy, load_model,
    nll_per_document, score_choices, score_choices_ids,
};

use crate::tiny::{assert_close, data, floats, json, tiny, tiny_config, tiny_weights, v};

/// The real model. `./habitus setup` fetches it; without it these tests fail, and say so.
pub(crate) fn real(precision: Precision) -> (Llama, Tokenizer) {
    load_model(&default_model(), precision)
        .unwrap_or_else(|error| panic!("{error}: run ./habitus setup"))
}

/// An adapter of the tiny model that does something.
pub(crate) fn busy_adapter(model: &Llama, rank: i64) -> Lora {
    let config = LoraConfig {
        rank,
        alpha: 2.0 * rank as f64,
        ..LoraConfig::default()
    };
    let mut lora = Lora::zeros(model.config(), config, model.kind(), model.device()).unwrap();
    let values: Vec<f32> = v(77, lora.values().len()).iter().map(|x| 0.1 * x).collect();
    lora.set_values(&values).unwrap();
    lora
}

fn logits(model: &Llama, ids: &[i64]) -> Vec<f64> {
    no_grad(|| {
        let hidden = model.hidden(&Packed::of(&[ids])).unwrap();
        let all: Vec<i64> = (0..ids.len() as i64).collect();
        numbers(&model.logits(&hidden, &all))
    })
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

const A: [i64; 9] = [3, 17, 5, 11, 2, 9, 14, 21, 8];
const B: [i64; 6] = [7, 1, 19, 4, 4, 13];

#[test]
fn the_real_model_says_what_transformers_says() {
    let expected = json("english.json");
    let (model, tokenizer) = real(Precision::F32);
    let text = std::fs::read_to_string(data("english.txt")).unwrap();
    let ids = tokenizer.encode(&text).unwrap();
    assert_eq!(ids.len() as u64, expected["tokens"].as_u64().unwrap());
    assert_eq!(serde_json::json!(ids[..12]), expected["first_ids"]);
    let sum: i64 = ids.iter().zip(0..).map(|(id, n)| id * (n % 97 + 1)).sum();
    assert_eq!(sum, expected["ids_sum"].as_i64().unwrap());
    let nll = nll_per_document(&model, &tokenizer, &text, 4096).unwrap();
    let mean = nll.nats / nll.tokens as f64;
    let wanted = expected["mean_nll"].as_f64().unwrap();
    assert!((mean - wanted).abs() < 1e-4, "{mean} instead of {wanted}");
    assert_eq!(nll.tokens, ids.len() - 1);
    assert_eq!(nll.bytes, text.len() - "The".len());

    let prompt: Vec<i64> = serde_json::from_value(expected["greedy_prompt_ids"].clone()).unwrap();
    assert_eq!(
        tokenizer.encode("The capital of France is").unwrap(),
        prompt
    );
    let greedy: Vec<i64> = serde_json::from_value(expected["greedy"].clone()).unwrap();
    let prompts = [
        "The capital of France is",
        "One, two, three, four, five, six, seven, eight,",
    ];
    let found = generate_greedy(&model, &tokenizer, &prompts, greedy.len(), false).unwrap();
    assert_eq!(found[0], tokenizer.decode(&greedy).unwrap());
    assert_eq!(
        tokenizer.decode(&tokenizer.encode(&text).unwrap()).unwrap(),
        text
    );
}

#[test]
fn the_tiny_model_says_what_transformers_says() {
    let expected = json("ewc_expected.json");
    let model = tiny();
    for (ids, last) in expected["ids"]
        .as_array()
        .unwrap()
        .iter()
        .zip(expected["last_logits"].as_array().unwrap())
    {
        let ids: Vec<i64> = serde_json::from_value(ids.clone()).unwrap();
        let found = logits(&model, &ids);
        assert_close(
            "last logits",
            &found[found.len() - 24..],
            &floats(last),
            1e-4,
        );
    }
}

#[test]
fn an_adapter_with_b_zero_changes_nothing() {
    let mut model = tiny();
    let base = logits(&model, &A);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let lora = Lora::new(
        model.config(),
        LoraConfig::default(),
        Kind::Float,
        model.device(),
        &mut rng,
    )
    .unwrap();
    assert!(lora.values().iter().any(|x| *x != 0.0));
    model.attach(lora);
    assert_eq!(logits(&model, &A), base);
}

#[test]
fn merged_equals_unmerged() {
    let mut model = tiny();
    let base = logits(&model, &A);
    model.attach(busy_adapter(&model, 4));
    let unmerged = logits(&model, &A);
    assert!(
        unmerged
            .iter()
            .zip(&base)
            .any(|(a, b)| (a - b).abs() > 0.01)
    );
    model.merge();
    assert!(model.lora().is_none());
    assert_close("merged", &logits(&model, &A), &unmerged, 1e-5);
}

#[test]
fn packed_equals_one_by_one() {
    let mut model = tiny();
    model.attach(busy_adapter(&model, 3));
    let packed = no_grad(|| {
        let hidden = model.hidden(&Packed::of(&[&A[..], &B[..]])).unwrap();
        numbers(&model.logits(&hidden, &(0..15).collect::<Vec<_>>()))
    });
    let apart = [logits(&model, &A), logits(&model, &B)].concat();
    assert_close("packed", &packed, &apart, 1e-5);
}

#[test]
fn a_shared_prompt_scores_as_whole_texts_do() {
    let model = tiny();
    let choices = vec![vec![1, 2, 3], vec![9], vec![20, 0]];
    let found = score_choices_ids(
        &model,
        &[(A.to_vec(), choices.clone()), (B.to_vec(), choices.clone())],
    )
    .unwrap();
    for (prompt, scores) in [&A[..], &B[..]].iter().zip(found) {
        for (choice, score) in choices.iter().zip(scores) {
            let whole = [prompt, &choice[..]].concat();
            let all = logits(&model, &whole);
            let expected: f64 = (prompt.len()..whole.len())
                .map(|at| {
                    let row = &all[(at - 1) * 24..at * 24];
                    row[whole[at] as usize] - row.iter().map(|x| x.exp()).sum::<f64>().ln()
                })
                .sum();
            assert!(
                (score - expected).abs() < 1e-4,
                "{score} instead of {expected}"
            );
        }
    }
}

#[test]
fn the_real_model_prefers_the_right_answer() {
    let (model, tokenizer) = real(Precision::Auto);
    let choices = [" Paris.\n", " banana.\n", " the the.\n"];
    let scores = score_choices(&model, &tokenizer, "The capital of France is", &choices).unwrap();
    assert!(
        scores[0] > scores[1] + 2.0 && scores[0] > scores[2] + 2.0,
        "{scores:?}"
    );
}

#[test]
fn generating_with_a_cache_equals_generating_without() {
    let (mut model, tokenizer) = real(Precision::F32);
    let mut lora = busy_adapter(&model, 2);
    lora.update(|values| values.iter_mut().for_each(|x| *x *= 0.1))
        .unwrap();
    model.attach(lora);
    let prompts = [
        "Water the plants and then",
        "Put the milk",
        "1, 2, 3, 4,",
        "The cat sat on the kitchen table, looked at the",
    ];
    let cached = generate_greedy(&model, &tokenizer, &prompts, 10, true).unwrap();
    for (prompt, cached) in prompts.iter().zip(cached) {
        let mut ids = tokenizer.encode(prompt).unwrap();
        let start = ids.len();
        for _ in 0..10 {
            let next = no_grad(|| {
                let hidden = model.hidden(&Packed::of(&[&ids])).unwrap();
                model
                    .logits(&hidden, &[ids.len() as i64 - 1])
                    .argmax(-1, false)
                    .int64_value(&[0])
            });
            ids.push(next);
            if next == tokenizer.eos() || tokenizer.decode(&[next]).unwrap().contains('\n') {
                break;
            }
        }
        let plain = tokenizer.decode(&ids[start..]).unwrap();
        assert_eq!(cached, plain.split('\n').next().unwrap(), "{prompt}");
    }
}

#[test]
fn requests_outside_the_model_are_errors() {
    let model = tiny();
    let refusal = |ids: &[i64]| model.hidden(&Packed::of(&[ids])).unwrap_err().to_string();
    assert_eq!(refusal(&[1, 24]), "token 24: the vocabulary has 24");
    assert_eq!(
        refusal(&[1; 33]),
        "a text of at least 33 tokens: the model's context is 32"
    );
    assert_eq!(refusal(&[]), "no tokens");
}

#[test]
fn malformed_gguf_files_are_refused_with_a_reason() {
    let check = |name: &str, bytes: Vec<u8>, expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        std::fs::write(&path, bytes).unwrap();
        let error = load_model(&path, Precision::F32).err().unwrap().to_string();
        assert!(
            error.contains("model.gguf: ") && error.contains(expected),
            "{name}: {error}"
        );
    };
    let text = |s: &str| [&(s.len() as u64).to_le_bytes()[..], s.as_bytes()].concat();
    let entry =
        |key: &str, value: &str| [text(key), 8_u32.to_le_bytes().to_vec(), text(value)].concat();
    let header = |tensors: u64, entries: u64| {
        [
            b"GGUF".to_vec(),
            3_u32.to_le_bytes().to_vec(),
            tensors.to_le_bytes().to_vec(),
            entries.to_le_bytes().to_vec(),
        ]
        .concat()
    };
    let tensor = |kind: u32, size: u64| {
        [
            text("t"),
            1_u32.to_le_bytes().to_vec(),
            size.to_le_bytes().to_vec(),
            kind.to_le_bytes().to_vec(),
            vec![0; 8],
        ]
        .concat()
    };
    check("empty", vec![], "not a GGUF file");
    check(
        "text",
        b"hello, world".to_vec(),
        "expected it to start with \"GGUF\", found hell",
    );
    check(
        "version",
        [b"GGUF".to_vec(), vec![2, 0, 0, 0]].concat(),
        "GGUF version 2",
    );
    check("header only", b"GGUF\x03\0\0\0".to_vec(), "truncated");
    check(
        "a lying count",
        header(0, u64::MAX),
        "metadata count 18446744073709551615",
    );
    check(
        "another architecture",
        [header(0, 1), entry("general.architecture", "mamba")].concat(),
        "found \"mamba\"",
    );
    check("no architecture", header(0, 0), "general.architecture");
    check(
        "a quantization",
        [header(1, 0), tensor(12, 256)].concat(),
        "unsupported type Q4_K",
    );
    check(
        "an unknown type",
        [header(1, 0), tensor(99, 256)].concat(),
        "unsupported type 99",
    );
    check(
        "data missing",
        [header(1, 0), tensor(0, 64)].concat(),
        "truncated: tensor t",
    );
    check(
        "an uneven row",
        [header(1, 0), tensor(3, 33)].concat(),
        "multiple of 32",
    );
    check(
        "a missing size",
        [header(0, 1), entry("general.architecture", "llama")].concat(),
        "llama.attention.head_count",
    );

    // the real file cut short or with a tensor renamed
    let bytes = std::fs::read(default_model()).unwrap();
    check(
        "half",
        bytes[..bytes.len() / 2].to_vec(),
        "truncated: tensor",
    );
    check("the first kilobyte", bytes[..1024].to_vec(), "truncated");
    let name = b"blk.7.attn_q.weight";
    let at = bytes
        .windows(name.len())
        .position(|window| window == name)
        .unwrap();
    let mut renamed = bytes;
    renamed[at + 4] = b'x';
    check("renamed", renamed, "tensor blk.7.attn_q.weight is missing");
    let missing = load_model(&data("nowhere.gguf"), Precision::F32)
        .err()
        .unwrap()
        .to_string();
    assert!(missing.contains("nowhere.gguf"), "{missing}");
    assert!(Gguf::open(&data("english.txt")).is_err());
}

#[test]
fn a_hugging_face_folder_is_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let write =
        |name: &str, bytes: Vec<u8>| std::fs::write(folder.path().join(name), bytes).unwrap();
    let expected = json("ewc_expected.json");
    let config = tiny_config(&expected);
    write("config.json", config.to_string().into_bytes());
    let tensors: Vec<_> = tiny_weights(&expected)
        .into_iter()
        .map(|(name, shape, values)| {
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            (
                name,
                shape.iter().map(|size| *size as usize).collect::<Vec<_>>(),
                bytes,
            )
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name, view.unwrap())
    });
    write(
        "model.safetensors",
        safetensors::serialize(views, None).unwrap(),
    );
    let refusal = || {
        load_model(folder.path(), Precision::F32)
            .err()
            .unwrap()
            .to_string()
    };
    assert!(refusal().contains("tokenizer.json"), "{}", refusal());
    let model = r#"{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,
        "end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"vocab":{"a":0,"b":1},"merges":[]}"#;
    let tokenizer = format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
        "pre_tokenizer":null,"post_processor":null,"decoder":null,"model":{model}}}"#
    );
    write("tokenizer.json", tokenizer.into_bytes());
    let (model, tokenizer) = load_model(folder.path(), Precision::F32).unwrap();
    assert_eq!(logits(&model, &A), logits(&tiny(), &A));
    assert_eq!(tokenizer.encode("ab").unwrap(), [0, 1]);
    assert_eq!(tokenizer.eos(), 0);

    let mut other = config.clone();
    other["model_type"] = "gpt2".into();
    write("config.json", other.to_string().into_bytes());
    assert!(
        refusal().contains("model_type: expected \"llama\", found \"gpt2\""),
        "{}",
        refusal()
    );
    let mut other = config;
    other["intermediate_size"] = 25.into();
    write("config.json", other.to_string().into_bytes());
    assert!(
        refusal().contains("expected shape [25, 16], found [24, 16]"),
        "{}",
        refusal()
    );
}
