//! One Parquet file: encoding and decoding. No files are touched here.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder, StringBuilder};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::manifest::{Identity, Schema};
use crate::{Action, Episode, Header, Observation, RewardTerm, Step, Value};

/// What the metadata says about one episode; its frames are one row group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) header: Header,
    pub(super) success: bool,
    pub(super) steps: u64,
}

/// The file that holds `episodes`. Equal episodes give equal bytes.
pub(super) fn encode(identity: &Identity, episodes: &[Episode]) -> Result<Vec<u8>, StoreError> {
    let mut columns = Columns::default();
    for episode in episodes {
        columns.see(episode).map_err(refused(episode))?;
    }
    let schema = columns.schema();
    let records: Vec<Record> = episodes
        .iter()
        .map(|e| Record {
            header: e.header.clone(),
            success: e.success,
            steps: e.steps.len() as u64,
        })
        .collect();
    let json = |value: &dyn erased::Json| Some(value.json());
    let metadata = [
        ("habitus.schema", Some(Schema::CURRENT.name().to_owned())),
        ("habitus.run", json(identity)),
        ("habitus.episodes", json(&records)),
    ];
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::None)
        // One row group per episode, however long: only `flush` below ends one.
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(None)
        .set_key_value_metadata(Some(
            metadata
                .into_iter()
                .map(|(key, value)| KeyValue::new(key.to_owned(), value))
                .collect(),
        ))
        .build();
    let broken = |error: parquet::errors::ParquetError| StoreError::Episode {
        index: episodes[0].header.index,
        message: format!("cannot be written as Parquet: {error}"),
    };
    let mut writer =
        ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties)).map_err(broken)?;
    for episode in episodes {
        let batch = columns.batch(&schema, episode).map_err(refused(episode))?;
        writer
            .write(&batch)
            .and_then(|()| writer.flush())
            .map_err(broken)?;
    }
    writer.into_inner().map_err(broken)
}

fn refused(episode: &Episode) -> impl FnOnce(String) -> StoreError + use<> {
    let index = episode.header.index;
    move |message| StoreError::Episode { index, message }
}

/// Serialization of values that are always representable in JSON.
mod erased {
    pub(super) trait Json {
        fn json(&self) -> String;
    }
    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).expect("structs of texts and numbers are JSON")
        }
    }
}

/// How a named value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Array,
}

impl Kind {
    fn of(name: &str, value: &Value) -> Result<Self, String> {
        match value {
            Value::Text(_) => Ok(Self::Text),
            Value::Array(_) => Ok(Self::Array),
            Value::Dict(_) => Err(format!(
                "\"{name}\" is a Dict within a Dict, which a store does not hold: give its parts names of their own"
            )),
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Array => list_of(DataType::Float32),
        }
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// The columns that depend on what the episodes hold.
#[derive(Debug, Default)]
struct Columns {
    action: Option<Kind>,
    observation: BTreeMap<String, Kind>,
    info: BTreeMap<String, Kind>,
}

impl Columns {
    fn see(&mut self, episode: &Episode) -> Result<(), String> {
        see_values(&mut self.observation, &episode.first.0)?;
        for step in &episode.steps {
            let action = match step.action {
                Action::Text(_) => Kind::Text,
                Action::Array(_) => Kind::Array,
            };
            if *self.action.get_or_insert(action) != action {
                return Err("its actions are texts in one place and arrays in another".into());
            }
            see_values(&mut self.observation, &step.observation.0)?;
            see_values(&mut self.info, &step.info)?;
        }
        Ok(())
    }

    fn schema(&self) -> Arc<ArrowSchema> {
        let mut fields = vec![
            Field::new("episode_index", DataType::Int64, false),
            Field::new("frame_index", DataType::Int64, false),
            Field::new(
                "action",
                self.action.unwrap_or(Kind::Text).data_type(),
                true,
            ),
        ];
        let named = |prefix: &'static str, kinds: &BTreeMap<String, Kind>| -> Vec<Field> {
            kinds
                .iter()
                .map(|(name, kind)| Field::new(format!("{prefix}{name}"), kind.data_type(), true))
                .collect()
        };
        fields.extend(named("observation.", &self.observation));
        fields.extend([
            Field::new("next.reward", DataType::Float32, true),
            Field::new("next.reward_term_names", list_of(DataType::Utf8), true),
            Field::new("next.reward_term_values", list_of(DataType::Float32), true),
            Field::new("next.terminated", DataType::Boolean, true),
            Field::new("next.truncated", DataType::Boolean, true),
            Field::new("refusal", DataType::Utf8, true),
        ]);
        fields.extend(named("info.", &self.info));
        fields.push(Field::new("state_digest", DataType::Utf8, false));
        Arc::new(ArrowSchema::new(fields))
    }

    /// The episode's frames, one row each.
    fn batch(&self, schema: &Arc<ArrowSchema>, episode: &Episode) -> Result<RecordBatch, String> {
        let Episode {
            header,
            first,
            first_digest,
            steps,
            ..
        } = episode;
        let index = i64::try_from(header.index)
            .map_err(|error| format!("its index is too large: {error}"))?;
        let frames = steps.len() + 1;
        // What happened after a frame: nothing after the last one.
        let after = || steps.iter().map(Some).chain([None]);
        let observations: Vec<&Observation> = std::iter::once(first)
            .chain(steps.iter().map(|s| &s.observation))
            .collect();

        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![index; frames])),
            Arc::new(Int64Array::from_iter_values(0..frames as i64)),
        ];
        arrays.push(match self.action.unwrap_or(Kind::Text) {
            Kind::Text => texts(
                "action",
                after().map(|s| match s.map(|s| &s.action) {
                    Some(Action::Text(text)) => Some(text.as_str()),
                    _ => None,
                }),
            )?,
            Kind::Array => lists(
                "action",
                after().map(|s| match s.map(|s| &s.action) {
                    Some(Action::Array(array)) => Some(array.as_slice()),
                    _ => None,
                }),
            )?,
        });
        for (name, kind) in &self.observation {
            arrays.push(values(
                name,
                *kind,
                observations.iter().map(|o| o.0.get(name)),
            )?);
        }
        arrays.push(Arc::new(Float32Array::from_iter(
            after().map(|s| s.map(|s| s.reward)),
        )));
        arrays.push(reward_term_names(after()));
        let term_values: Vec<Option<Vec<f32>>> = after()
            .map(|s| s.map(|s| s.reward_terms.iter().map(|t| t.value).collect()))
            .collect();
        arrays.push(lists(
            "next.reward_term_values",
            term_values.iter().map(Option::as_deref),
        )?);
        arrays.push(Arc::new(BooleanArray::from_iter(
            after().map(|s| s.map(|s| s.terminated)),
        )));
        arrays.push(Arc::new(BooleanArray::from_iter(
            after().map(|s| s.map(|s| s.truncated)),
        )));
        arrays.push(texts(
            "refusal",
            after().map(|s| s.and_then(|s| s.refusal.as_deref())),
        )?);
        for (name, kind) in &self.info {
            arrays.push(values(
                name,
                *kind,
                after().map(|s| s.and_then(|s| s.info.get(name))),
            )?);
        }
        arrays.push(texts(
            "state_digest",
            std::iter::once(first_digest)
                .chain(steps.iter().map(|s| &s.state_digest))
                .map(|d| Some(d.as_str())),
        )?);
        RecordBatch::try_new(schema.clone(), arrays)
            .map_err(|error| format!("cannot be laid out in columns: {error}"))
    }
}

fn see_values(
    kinds: &mut BTreeMap<String, Kind>,
    values: &BTreeMap<String, Value>,
) -> Result<(), String> {
    for (name, value) in values {
        let kind = Kind::of(name, value)?;
        match kinds.get(name) {
            Some(&seen) if seen != kind => {
                return Err(format!(
                    "\"{name}\" is a text in one place and an array in another"
                ));
            }
            Some(_) => {}
            None => {
                kinds.insert(name.clone(), kind);
            }
        }
    }
    Ok(())
}

fn values<'a>(
    name: &str,
    kind: Kind,
    values: impl Iterator<Item = Option<&'a Value>>,
) -> Result<ArrayRef, String> {
    match kind {
        Kind::Text => texts(
            name,
            values.map(|v| match v {
                Some(Value::Text(text)) => Some(text.as_str()),
                _ => None,
            }),
        ),
        Kind::Array => lists(
            name,
            values.map(|v| match v {
                Some(Value::Array(array)) => Some(array.as_slice()),
                _ => None,
            }),
        ),
    }
}

fn texts<'a>(name: &str, texts: impl Iterator<Item = Option<&'a str>>) -> Result<ArrayRef, String> {
    let mut builder = StringBuilder::new();
    let mut room = Room::new(name);
    for text in texts {
        room.take(text.map_or(0, str::len))?;
        builder.append_option(text);
    }
    Ok(Arc::new(builder.finish()))
}

fn lists<'a>(
    name: &str,
    lists: impl Iterator<Item = Option<&'a [f32]>>,
) -> Result<ArrayRef, String> {
    let mut builder = ListBuilder::new(Float32Builder::new());
    let mut room = Room::new(name);
    for list in lists {
        room.take(list.map_or(0, <[f32]>::len))?;
        builder.values().append_slice(list.unwrap_or_default());
        builder.append(list.is_some());
    }
    Ok(Arc::new(builder.finish()))
}

fn reward_term_names<'a>(steps: impl Iterator<Item = Option<&'a Step>>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for step in steps {
        for term in step.map_or(&[][..], |s| &s.reward_terms) {
            builder.values().append_value(&term.name);
        }
        builder.append(step.is_some());
    }
    Arc::new(builder.finish())
}

/// Arrow counts what a column holds in 31 bits and panics beyond.
struct Room<'a> {
    name: &'a str,
    left: usize,
}

impl<'a> Room<'a> {
    fn new(name: &'a str) -> Self {
        Self {
            name,
            left: i32::MAX as usize,
        }
    }

    fn take(&mut self, amount: usize) -> Result<(), String> {
        self.left = self.left.checked_sub(amount).ok_or_else(|| {
            format!(
                "\"{}\" holds more than 2^31 bytes or numbers in one episode",
                self.name
            )
        })?;
        Ok(())
    }
}

/// A shard in memory, its metadata read and checked.
#[derive(Clone)]
pub(super) struct Shard {
    path: PathBuf,
    bytes: Bytes,
    reader: ArrowReaderMetadata,
    pub(super) identity: Identity,
    pub(super) records: Vec<Record>,
}

impl Shard {
    /// Reads the metadata of a file's bytes; `path` is for messages only.
    pub(super) fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, StoreError> {
        guarded(path, || Self::parse_unguarded(path, bytes))
    }

    fn parse_unguarded(path: &Path, bytes: Vec<u8>) -> Result<Self, StoreError> {
        let bytes = Bytes::from(bytes);
        let reader =
            ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new()).map_err(|error| {
                StoreError::shard(path, format!("not a whole Parquet file: {error}"))
            })?;
        let file = reader.metadata().file_metadata();
        let value = |key: &str| {
            file.key_value_metadata()
                .into_iter()
                .flatten()
                .find(|kv| kv.key == key)
                .and_then(|kv| kv.value.as_deref())
                .ok_or_else(|| StoreError::shard(path, format!("its metadata lacks {key}")))
        };
        let json_error = |key: &'static str| {
            move |error: serde_json::Error| StoreError::shard(path, format!("{key}: {error}"))
        };
        Schema::parse(path, value("habitus.schema")?)?;
        let identity: Identity =
            serde_json::from_str(value("habitus.run")?).map_err(json_error("habitus.run"))?;
        let records: Vec<Record> = serde_json::from_str(value("habitus.episodes")?)
            .map_err(json_error("habitus.episodes"))?;
        let groups = reader.metadata().row_groups();
        if records.is_empty() || groups.len() != records.len() {
            return Err(StoreError::shard(
                path,
                format!(
                    "holds {} row groups for {} episodes",
                    groups.len(),
                    records.len()
                ),
            ));
        }
        for (i, (record, group)) in records.iter().zip(groups).enumerate() {
            let expected = records[0].header.index.checked_add(i as u64);
            if expected != Some(record.header.index) {
                return Err(StoreError::shard(
                    path,
                    format!(
                        "episode {} does not follow the one before it",
                        record.header.index
                    ),
                ));
            }
            if i128::from(group.num_rows()) != i128::from(record.steps) + 1 {
                return Err(StoreError::shard(
                    path,
                    format!(
                        "episode {} has {} rows for {} steps",
                        record.header.index,
                        group.num_rows(),
                        record.steps
                    ),
                ));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            bytes,
            reader,
            identity,
            records,
        })
    }

    /// Decodes episode `i` of this shard. Panics when there are not so many.
    pub(super) fn episode(&self, i: usize) -> Result<Episode, StoreError> {
        guarded(&self.path, || {
            let record = &self.records[i];
            self.frames(i)
                .and_then(|frames| assemble(record, frames))
                .map_err(|message| {
                    StoreError::shard(
                        &self.path,
                        format!("episode {}: {message}", record.header.index),
                    )
                })
        })
    }

    fn frames(&self, i: usize) -> Result<Vec<Frame>, String> {
        let record = &self.records[i];
        // Bounded, because a lying file may claim any number of rows.
        let rows = (record.steps as usize).saturating_add(1).min(4096);
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.bytes.clone(),
            self.reader.clone(),
        )
        .with_row_groups(vec![i])
        .with_batch_size(rows)
        .build()
        .map_err(|error| error.to_string())?;
        let mut frames = Vec::new();
        for batch in batches {
            read_frames(
                &batch.map_err(|error| error.to_string())?,
                record.header.index,
                &mut frames,
            )?;
        }
        Ok(frames)
    }
}

/// Turns a panic of the Parquet decoder, which trusts more of a file than it should, into an error.
fn guarded<T>(
    path: &Path,
    decode: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(StoreError::shard(path, "damaged: it cannot be decoded")))
}

/// One row.
struct Frame {
    observation: Observation,
    state_digest: String,
    /// `None` in the last row.
    after: Option<After>,
}

struct After {
    action: Action,
    reward: f32,
    reward_terms: Vec<RewardTerm>,
    terminated: bool,
    truncated: bool,
    refusal: Option<String>,
    info: BTreeMap<String, Value>,
}

fn assemble(record: &Record, frames: Vec<Frame>) -> Result<Episode, String> {
    let expected = record.steps.saturating_add(1);
    if frames.len() as u64 != expected {
        return Err(format!(
            "expected {expected} frames, found {}",
            frames.len()
        ));
    }
    let mut frames = frames.into_iter();
    let first = frames.next().ok_or("it has no frames")?;
    let mut steps = Vec::with_capacity(frames.len());
    let mut after = first.after;
    for frame in frames {
        let outcome = after.ok_or("an action is missing before the last frame")?;
        steps.push(Step {
            action: outcome.action,
            observation: frame.observation,
            reward: outcome.reward,
            reward_terms: outcome.reward_terms,
            terminated: outcome.terminated,
            truncated: outcome.truncated,
            refusal: outcome.refusal,
            info: outcome.info,
            state_digest: frame.state_digest,
        });
        after = frame.after;
    }
    if after.is_some() {
        return Err("the last frame has an action".into());
    }
    Ok(Episode {
        header: record.header.clone(),
        first: first.observation,
        first_digest: first.state_digest,
        steps,
        success: record.success,
    })
}

fn read_frames(batch: &RecordBatch, index: u64, frames: &mut Vec<Frame>) -> Result<(), String> {
    let episode_index: &Int64Array = column(batch, "episode_index")?;
    let frame_index: &Int64Array = column(batch, "frame_index")?;
    let reward: &Float32Array = column(batch, "next.reward")?;
    let term_names: &ListArray = column(batch, "next.reward_term_names")?;
    let term_values: &ListArray = column(batch, "next.reward_term_values")?;
    let terminated: &BooleanArray = column(batch, "next.terminated")?;
    let truncated: &BooleanArray = column(batch, "next.truncated")?;
    let refusal: &StringArray = column(batch, "refusal")?;
    let state_digest: &StringArray = column(batch, "state_digest")?;
    let action = batch
        .column_by_name("action")
        .ok_or("column action is missing")?;
    let observation = named(batch, "observation.");
    let info = named(batch, "info.");

    for row in 0..batch.num_rows() {
        if u64::try_from(episode_index.value(row)) != Ok(index)
            || usize::try_from(frame_index.value(row)) != Ok(frames.len())
        {
            return Err(format!(
                "row {} says it is frame {} of episode {}",
                frames.len(),
                frame_index.value(row),
                episode_index.value(row)
            ));
        }
        let after = match value(action, row).map_err(|e| format!("action: {e}"))? {
            None => None,
            Some(done) => {
                let outcome_columns: [&dyn Array; 3] = [reward, terminated, truncated];
                if outcome_columns.iter().any(|c| c.is_null(row)) {
                    return Err(format!(
                        "row {} has an action without an outcome",
                        frames.len()
                    ));
                }
                Some(After {
                    action: match done {
                        Value::Text(text) => Action::Text(text),
                        Value::Array(array) => Action::Array(array),
                        Value::Dict(_) => return Err("an action is a Dict".into()),
                    },
                    reward: reward.value(row),
                    reward_terms: reward_terms(term_names, term_values, row)?,
                    terminated: terminated.value(row),
                    truncated: truncated.value(row),
                    refusal: refusal.is_valid(row).then(|| refusal.value(row).to_owned()),
                    info: values_at(&info, row)?,
                })
            }
        };
        frames.push(Frame {
            observation: Observation(values_at(&observation, row)?),
            state_digest: state_digest.value(row).to_owned(),
            after,
        });
    }
    Ok(())
}

fn column<'a, T: 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a T, String> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| format!("column {name} is missing"))?;
    column
        .as_any()
        .downcast_ref()
        .ok_or_else(|| format!("column {name} has type {}", column.data_type()))
}

/// Columns whose name starts with `prefix`, by the rest of their name.
fn named<'a>(batch: &'a RecordBatch, prefix: &str) -> Vec<(String, &'a ArrayRef)> {
    batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .filter_map(|(field, column)| Some((field.name().strip_prefix(prefix)?.to_owned(), column)))
        .collect()
}

fn values_at(
    columns: &[(String, &ArrayRef)],
    row: usize,
) -> Result<BTreeMap<String, Value>, String> {
    let mut values = BTreeMap::new();
    for (name, column) in columns {
        if let Some(value) = value(column, row).map_err(|e| format!("{name}: {e}"))? {
            values.insert(name.clone(), value);
        }
    }
    Ok(values)
}

fn value(column: &ArrayRef, row: usize) -> Result<Option<Value>, String> {
    if column.is_null(row) {
        return Ok(None);
    }
    if let Some(texts) = column.as_any().downcast_ref::<StringArray>() {
        Ok(Some(Value::Text(texts.value(row).to_owned())))
    } else if let Some(lists) = column.as_any().downcast_ref::<ListArray>() {
        Ok(Some(Value::Array(floats(&lists.value(row))?)))
    } else {
        Err(format!(
            "expected texts or lists of floats, found {}",
            column.data_type()
        ))
    }
}

fn floats(list: &ArrayRef) -> Result<Vec<f32>, String> {
    let floats = list
        .as_any()
        .downcast_ref::<Float32Array>()
        .filter(|f| f.null_count() == 0)
        .ok_or_else(|| {
            format!(
                "expected a list of floats, found one of {}",
                list.data_type()
            )
        })?;
    Ok(floats.values().to_vec())
}

fn reward_terms(
    names: &ListArray,
    values: &ListArray,
    row: usize,
) -> Result<Vec<RewardTerm>, String> {
    if names.is_null(row) || values.is_null(row) {
        return Err("an action has no list of reward terms".into());
    }
    let names = names.value(row);
    let names = names
        .as_any()
        .downcast_ref::<StringArray>()
        .ok_or("the names of reward terms are not texts")?;
    let values = floats(&values.value(row))?;
    if names.len() != values.len() {
        return Err(format!(
            "{} reward terms have {} values",
            names.len(),
            values.len()
        ));
    }
    Ok((0..names.len())
        .zip(values)
        .map(|(i, value)| RewardTerm {
            name: names.value(i).to_owned(),
            value,
        })
        .collect())
}
