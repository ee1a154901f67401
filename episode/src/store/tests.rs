//! Contract of the store: what goes in comes out, whole; whatever happens to the files, reading them gives what went in
//! or an error, and repairing keeps all that is whole.

#![expect(
    clippy::single_range_in_vec_init,
    reason = "lists of blocks of episodes, some of them with one block"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{Action, Episode, Header, Observation, RewardTerm, Step, Value};

const SCENARIO: &str = "name = \"a room\"\n";

fn identity(seed: u64) -> Identity {
    Identity(BTreeMap::from([
        ("seed".into(), seed.to_string()),
        ("policy".into(), "random".into()),
    ]))
}

fn header(index: u64) -> Header {
    Header {
        index,
        seed: 7,
        scenario: "a room".into(),
        scenario_digest: blake3::hash(SCENARIO.as_bytes()).to_hex().to_string(),
        policy: "random".into(),
        fidelity: "symbolic".into(),
        task: "Close the fridge.".into(),
        goal: vec!["fridge CLOSED".into()],
        software: "habitus test".into(),
    }
}

/// An episode of `index % 5` steps.
fn episode(index: u64) -> Episode {
    let seen = |t: u64| {
        Observation::new().with("facts", Value::Text(format!("episode {index}\nframe {t}")))
    };
    Episode {
        header: header(index),
        first: seen(0),
        first_digest: format!("{index:032x}"),
        steps: (1..=index % 5)
            .map(|t| Step {
                action: Action::Text(format!("[WALK] <room> ({t})")),
                observation: seen(t),
                reward: t as f32,
                reward_terms: vec![RewardTerm {
                    name: "goal".into(),
                    value: t as f32,
                }],
                terminated: false,
                truncated: t == index % 5,
                refusal: (t == 2).then(|| "the door is closed".into()),
                info: BTreeMap::from([("path".into(), Value::Array(vec![t as f32; t as usize]))]),
                state_digest: format!("{t:032x}"),
            })
            .collect(),
        success: index.is_multiple_of(2),
    }
}

/// A store of these blocks of episodes.
fn store_of(dir: &Path, blocks: &[std::ops::Range<u64>]) {
    let mut writer = Writer::open(dir, &identity(7)).unwrap();
    writer.add_scenario(SCENARIO).unwrap();
    for block in blocks {
        let episodes: Vec<Episode> = block.clone().map(episode).collect();
        writer.append(&identity(7), &episodes).unwrap();
    }
}

fn read_all(dir: &Path) -> Vec<Episode> {
    Store::open(dir)
        .unwrap()
        .episodes()
        .map(Result::unwrap)
        .collect()
}

fn digest(dir: &Path) -> String {
    Store::open(dir).unwrap().content_digest().unwrap()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = files::files_in(&dir.join("shards")).unwrap();
    all.push(dir.join("manifest.jsonl"));
    all
}

fn value_strategy() -> impl Strategy<Value = Value> {
    prop_oneof![
        ".{0,20}".prop_map(Value::Text),
        prop::collection::vec(any::<f32>(), 0..5).prop_map(Value::Array),
    ]
}

/// Named values whose kinds are the same wherever the name occurs: a store's columns have types.
fn values_strategy(
    kinds: BTreeMap<String, bool>,
) -> impl Strategy<Value = BTreeMap<String, Value>> {
    let entries: Vec<_> = kinds
        .into_iter()
        .map(|(name, is_text)| {
            let value = value_strategy()
                .prop_filter("kind", move |v| matches!(v, Value::Text(_)) == is_text);
            (Just(name), prop::option::of(value))
        })
        .collect();
    entries.prop_map(|entries| {
        entries
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    })
}

fn step_strategy(kinds: BTreeMap<String, bool>, text_actions: bool) -> impl Strategy<Value = Step> {
    let action = if text_actions {
        ".{0,20}".prop_map(Action::Text).boxed()
    } else {
        prop::collection::vec(any::<f32>(), 0..4)
            .prop_map(Action::Array)
            .boxed()
    };
    (
        action,
        values_strategy(kinds.clone()),
        any::<f32>(),
        prop::collection::vec((".{0,5}", any::<f32>()), 0..3),
        any::<(bool, bool)>(),
        prop::option::of(".{0,10}"),
        values_strategy(kinds),
        "[0-9a-f]{32}",
    )
        .prop_map(
            |(
                action,
                seen,
                reward,
                terms,
                (terminated, truncated),
                refusal,
                info,
                state_digest,
            )| Step {
                action,
                observation: Observation(seen),
                reward,
                reward_terms: terms
                    .into_iter()
                    .map(|(name, value)| RewardTerm { name, value })
                    .collect(),
                terminated,
                truncated,
                refusal,
                info,
                state_digest,
            },
        )
}

fn episodes_strategy() -> impl Strategy<Value = Vec<Episode>> {
    (
        prop::collection::btree_map(".{0,8}", any::<bool>(), 0..4),
        any::<bool>(),
        0..u64::from(u32::MAX),
    )
        .prop_flat_map(|(kinds, text_actions, first)| {
            let one = (
                values_strategy(kinds.clone()),
                prop::collection::vec(step_strategy(kinds, text_actions), 0..6),
                (
                    ".{0,9}",
                    prop::collection::vec(".{0,9}", 0..3),
                    any::<u64>(),
                ),
                any::<bool>(),
            );
            prop::collection::vec(one, 1..5).prop_map(move |parts| {
                (first..)
                    .zip(parts)
                    .map(
                        |(index, (seen, steps, (task, goal, seed), success))| Episode {
                            header: Header {
                                task,
                                goal,
                                seed,
                                ..header(index)
                            },
                            first: Observation(seen),
                            first_digest: "0".repeat(32),
                            steps,
                            success,
                        },
                    )
                    .collect()
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Compared by canonical bytes, which tell every NaN from every other.
    #[test]
    fn what_goes_in_comes_out(episodes in episodes_strategy()) {
        let dir = TempDir::new().unwrap();
        let mut writer = Writer::open(dir.path(), &identity(1)).unwrap();
        writer.add_scenario(SCENARIO).unwrap();
        writer.append(&identity(1), &episodes).unwrap();
        let store = Store::open(dir.path()).unwrap();
        prop_assert_eq!(store.len(), episodes.len());
        for (position, episode) in episodes.iter().enumerate().rev() {
            let read = store.episode(position).unwrap();
            prop_assert_eq!(episode_digest(&read), episode_digest(episode));
            prop_assert_eq!(store.header(position).unwrap(), (episode.header.clone(), episode.success));
            prop_assert_eq!(store.steps(position).unwrap(), episode.steps.len() as u64);
        }
    }

    #[test]
    fn a_flipped_bit_is_an_error_and_repair_keeps_the_rest(which in 0..3_usize, at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let dir = TempDir::new().unwrap();
        store_of(dir.path(), &[0..4, 4..9]);
        let path = files(dir.path())[which].clone();
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(&path, bytes).unwrap();
        // Without a repair: an error, or nothing but what was written. A flip in the manifest may lose the line's end.
        if let Ok(store) = Store::open(dir.path()) {
            for episode in store.episodes().flatten() {
                prop_assert_eq!(&episode, &self::episode(episode.header.index));
            }
        }
        let shards_lost = if which < 2 { 1 } else { 0 };
        match doctor(dir.path(), true) {
            Ok(report) => {
                prop_assert!(!report.problems.is_empty());
                let kept = read_all(dir.path());
                prop_assert_eq!(report.episodes, kept.len() as u64);
                for episode in &kept {
                    prop_assert_eq!(episode, &self::episode(episode.header.index));
                }
                if shards_lost == 1 {
                    prop_assert_eq!(kept.len(), if which == 0 { 5 } else { 4 });
                    prop_assert!(!report.is_healthy());
                }
                prop_assert_eq!(doctor(dir.path(), false).unwrap().problems, vec![]);
            }
            // The schema's own name was hit: a version that this software does not know.
            Err(error) => prop_assert!(matches!(error, StoreError::Schema { .. }), "{}", error),
        }
    }

    /// With the right digest in the manifest, the Parquet decoder itself meets the hostile bytes.
    #[test]
    fn a_lying_manifest_does_not_make_the_decoder_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), cut in prop::option::of(any::<prop::sample::Index>())) {
        let dir = TempDir::new().unwrap();
        store_of(dir.path(), &[0..4]);
        let path = files(dir.path())[0].clone();
        let mut bytes = fs::read(&path).unwrap();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(&path, &bytes).unwrap();
        edit_entry(dir.path(), |entry| {
            entry.bytes = bytes.len() as u64;
            entry.blake3 = blake3::hash(&bytes).to_hex().to_string();
        });
        let store = Store::open(dir.path()).unwrap();
        prop_assert_eq!(store.episodes().count(), 4);
        doctor(dir.path(), true).unwrap();
    }

    #[test]
    fn any_manifest_is_read_without_panic(text in ".{0,200}", first in any::<u64>(), episodes in any::<u64>(), steps in any::<u64>()) {
        let dir = TempDir::new().unwrap();
        store_of(dir.path(), &[0..4]);
        edit_entry(dir.path(), |entry| {
            (entry.first, entry.episodes, entry.steps) = (first, episodes, steps);
        });
        if let Ok(store) = Store::open(dir.path()) {
            prop_assert!(store.episode(0).is_err());
            prop_assert!(store.episode(usize::MAX).is_err());
        }
        let report = doctor(dir.path(), true).unwrap();
        prop_assert!(!report.is_healthy());
        prop_assert_eq!(read_all(dir.path()), (0..4).map(episode).collect::<Vec<_>>());
        fs::write(dir.path().join("manifest.jsonl"), text).unwrap();
        prop_assert!(Store::open(dir.path()).is_err());
    }
}

fn edit_entry(dir: &Path, edit: impl FnOnce(&mut ShardEntry)) {
    let path = dir.join("manifest.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let (header, entry) = text.split_once('\n').unwrap();
    let mut entry: ShardEntry = serde_json::from_str(entry).unwrap();
    edit(&mut entry);
    fs::write(
        &path,
        format!("{header}\n{}\n", serde_json::to_string(&entry).unwrap()),
    )
    .unwrap();
}

#[test]
fn truncation_at_every_length_is_an_error_and_repair_keeps_the_rest() {
    let dir = TempDir::new().unwrap();
    store_of(dir.path(), &[0..2, 2..4]);
    let (victim, manifest) = (
        files(dir.path())[0].clone(),
        dir.path().join("manifest.jsonl"),
    );
    let (whole, listed) = (fs::read(&victim).unwrap(), fs::read(&manifest).unwrap());
    for length in (0..whole.len()).step_by(61) {
        fs::write(&victim, &whole[..length]).unwrap();
        fs::write(&manifest, &listed).unwrap();
        let store = Store::open(dir.path()).unwrap();
        let read: Vec<bool> = store.episodes().map(|e| e.is_ok()).collect();
        assert_eq!(read, [false, false, true, true], "cut at {length}");
        let report = doctor(dir.path(), true).unwrap();
        assert_eq!(report.problems.len(), 1, "cut at {length}: {report:?}");
        assert_eq!(report.problems[0].trouble, Trouble::Truncated);
        assert_eq!(read_all(dir.path()), [episode(2), episode(3)]);
        assert!(!victim.exists());
    }
    assert!(files::files_in(&dir.path().join("rejected")).unwrap().len() > 1);
}

#[test]
fn a_manifest_cut_at_any_length_loses_no_closed_shard() {
    let dir = TempDir::new().unwrap();
    store_of(dir.path(), &[0..2, 2..4]);
    let undisturbed = digest(dir.path());
    let manifest = dir.path().join("manifest.jsonl");
    let listed = fs::read(&manifest).unwrap();
    for length in 0..listed.len() {
        fs::write(&manifest, &listed[..length]).unwrap();
        let report = doctor(dir.path(), true).unwrap();
        assert_eq!(report.episodes, 4, "cut at {length}: {report:?}");
        assert_eq!(digest(dir.path()), undisturbed);
        assert_eq!(doctor(dir.path(), false).unwrap().problems, []);
    }
    fs::remove_file(&manifest).unwrap();
    assert!(matches!(
        Store::open(dir.path()),
        Err(StoreError::NotAStore { .. })
    ));
    assert_eq!(doctor(dir.path(), true).unwrap().episodes, 4);
    assert_eq!(digest(dir.path()), undisturbed);
}

#[test]
fn writing_goes_on_after_a_crash_in_the_middle_of_an_append() {
    let dir = TempDir::new().unwrap();
    store_of(dir.path(), &[0..2, 2..4]);
    let undisturbed = digest(dir.path());
    let manifest = dir.path().join("manifest.jsonl");
    let listed = fs::read(&manifest).unwrap();
    fs::write(&manifest, &listed[..listed.len() - 10]).unwrap();
    fs::write(dir.path().join("shards/x.parquet.tmp"), "PAR1").unwrap();

    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.len(), 2);
    assert!(
        store.notes()[0].contains("cut short"),
        "{:?}",
        store.notes()
    );

    let mut writer = Writer::open(dir.path(), &identity(7)).unwrap();
    assert!(writer.contains(&identity(7), 1) && !writer.contains(&identity(7), 2));
    writer
        .append(&identity(7), &[episode(2), episode(3)])
        .unwrap();
    assert_eq!(digest(dir.path()), undisturbed);
    assert_eq!(fs::read(&manifest).unwrap(), listed);
    drop(writer);
    assert_eq!(doctor(dir.path(), false).unwrap().problems, []);
}

#[test]
fn content_digest_knows_nothing_of_shards_and_order() {
    let digests: Vec<String> = [vec![0..6], vec![0..3, 3..6], vec![4..6, 0..1, 1..4]]
        .iter()
        .map(|blocks| {
            let dir = TempDir::new().unwrap();
            store_of(dir.path(), blocks);
            digest(dir.path())
        })
        .collect();
    assert!(digests.iter().all(|d| *d == digests[0]), "{digests:?}");
    let dir = TempDir::new().unwrap();
    store_of(dir.path(), &[0..5]);
    assert_ne!(digest(dir.path()), digests[0]);
}

#[test]
fn merged_parts_are_the_undivided_run_byte_for_byte() {
    let whole = TempDir::new().unwrap();
    store_of(whole.path(), &[0..32, 32..64, 64..70]);
    let (first, second, out) = (
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
    );
    store_of(first.path(), &[0..32, 64..70]);
    store_of(second.path(), &[32..40, 40..64, 0..3]);
    assert_eq!(
        merge(&[first.path(), second.path()], out.path()).unwrap(),
        70
    );
    for file in files(whole.path()) {
        let name = file.strip_prefix(whole.path()).unwrap();
        assert_eq!(
            fs::read(out.path().join(name)).unwrap(),
            fs::read(&file).unwrap(),
            "{}",
            name.display()
        );
    }
    let refused = merge(&[first.path()], out.path()).unwrap_err();
    assert!(matches!(refused, StoreError::NotEmpty { .. }), "{refused}");
}

#[test]
fn merging_keeps_runs_apart_and_refuses_contradictions() {
    let (first, second, out) = (
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
    );
    store_of(first.path(), &[0..3]);
    let mut writer = Writer::open(second.path(), &identity(8)).unwrap();
    writer.add_scenario(SCENARIO).unwrap();
    writer.append(&identity(8), &[episode(0)]).unwrap();
    assert_eq!(
        merge(&[first.path(), second.path()], out.path()).unwrap(),
        4
    );
    let store = Store::open(out.path()).unwrap();
    assert_eq!(store.runs().len(), 2);
    assert_eq!(store.episodes().filter(Result::is_ok).count(), 4);
    assert_eq!(doctor(out.path(), false).unwrap().problems, []);

    let (liar, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut writer = Writer::open(liar.path(), &identity(7)).unwrap();
    writer.add_scenario(SCENARIO).unwrap();
    let other = Episode {
        success: false,
        ..episode(0)
    };
    writer.append(&identity(7), &[other]).unwrap();
    let refused = merge(&[first.path(), liar.path()], out.path()).unwrap_err();
    assert!(
        matches!(refused, StoreError::Conflict { index: 0, .. }),
        "{refused}"
    );
}

#[test]
fn another_run_is_refused_with_what_differs() {
    let dir = TempDir::new().unwrap();
    store_of(dir.path(), &[0..1]);
    let refused = Writer::open(dir.path(), &identity(8))
        .err()
        .unwrap()
        .to_string();
    assert!(
        refused.contains("seed is \"7\" there, asked for \"8\""),
        "{refused}"
    );
    assert!(!refused.contains("policy"), "{refused}");
    let other = TempDir::new().unwrap();
    fs::write(other.path().join("thesis.tex"), "").unwrap();
    let refused = Writer::open(other.path(), &identity(7)).err().unwrap();
    assert!(matches!(refused, StoreError::NotEmpty { .. }), "{refused}");
}

#[test]
fn one_writer_at_a_time() {
    let dir = TempDir::new().unwrap();
    let writer = Writer::open(dir.path(), &identity(7)).unwrap();
    let refused = Writer::open(dir.path(), &identity(7)).err().unwrap();
    assert!(matches!(refused, StoreError::Busy { .. }), "{refused}");
    drop(writer);
    Writer::open(dir.path(), &identity(7)).unwrap();
}

#[test]
fn what_the_format_does_not_hold_is_refused_before_anything_is_written() {
    let dir = TempDir::new().unwrap();
    let mut writer = Writer::open(dir.path(), &identity(7)).unwrap();
    let mut check = |episodes: &[Episode], expected: &str| {
        let refused = writer
            .append(&identity(7), episodes)
            .unwrap_err()
            .to_string();
        assert!(refused.contains(expected), "{refused}");
        writer.add_scenario(SCENARIO).unwrap();
    };
    check(&[episode(0)], "no copy of its scenario");
    check(&[episode(0), episode(2)], "does not follow");
    let mut nested = episode(1);
    nested.first = Observation::new().with("hand", Value::Dict(BTreeMap::new()));
    check(&[nested], "\"hand\" is a Dict within a Dict");
    let mut mixed = episode(1);
    mixed.first = Observation::new().with("facts", Value::Array(vec![1.0]));
    check(&[mixed], "a text in one place and an array in another");
    assert!(
        files::files_in(&dir.path().join("shards"))
            .unwrap()
            .is_empty()
    );
    assert_eq!(writer.episodes(), 0);
}

#[test]
fn a_changed_scenario_is_noticed() {
    let dir = TempDir::new().unwrap();
    store_of(dir.path(), &[0..1]);
    let digest = header(0).scenario_digest;
    assert_eq!(
        Store::open(dir.path())
            .unwrap()
            .scenario_text(&digest)
            .unwrap(),
        SCENARIO
    );
    fs::write(
        dir.path().join(format!("scenarios/{digest}.toml")),
        "name = \"a hall\"",
    )
    .unwrap();
    let refused = Store::open(dir.path())
        .unwrap()
        .scenario_text(&digest)
        .unwrap_err();
    assert!(matches!(refused, StoreError::Scenario { .. }), "{refused}");
    let report = doctor(dir.path(), true).unwrap();
    assert_eq!(report.problems[0].trouble, Trouble::Scenario);
    assert_eq!(report.episodes, 1);
    assert!(
        Store::open(dir.path())
            .unwrap()
            .scenario_text("../manifest")
            .is_err()
    );
}

#[test]
fn a_failing_disk_leaves_the_store_as_it_was() {
    let dir = TempDir::new().unwrap();
    store_of(dir.path(), &[0..2]);
    let before = digest(dir.path());
    let mut writer = Writer::open(dir.path(), &identity(7)).unwrap();
    // Where the system has a device that is always full, writing to the shard's temporary name meets it.
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let name = format!("shards/{}-00000002.parquet.tmp", &identity(7).id()[..8]);
    #[cfg(unix)]
    std::os::unix::fs::symlink(full, dir.path().join(name)).unwrap();
    let refused = writer.append(&identity(7), &[episode(2)]).unwrap_err();
    assert!(refused.to_string().contains("No space left"), "{refused}");
    // The space is given back, and the same writer can go on.
    writer.append(&identity(7), &[episode(2)]).unwrap();
    drop(writer);
    assert_ne!(digest(dir.path()), before);
    assert_eq!(doctor(dir.path(), false).unwrap().problems, []);
}

#[test]
fn blocks_end_at_multiples_and_gaps() {
    assert_eq!(blocks(0..70), [0..32, 32..64, 64..70]);
    assert_eq!(blocks([0, 1, 5, 31, 32, 33]), [0..2, 5..6, 31..32, 32..34]);
    assert_eq!(blocks([]), []);
}
