//! Several stores made into one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Identity, Store, StoreError, Writer, blocks, episode_digest, files};

/// Writes every episode of `sources` into a new store at `out`, and says how many there are. Parts of one run
/// (`--shard i/N`) become what one undivided run would have written; episodes that are in several sources are kept
/// once, and must be equal.
pub fn merge(sources: &[&Path], out: &Path) -> Result<u64, StoreError> {
    let stores = sources
        .iter()
        .map(|dir| Store::open(dir))
        .collect::<Result<Vec<_>, _>>()?;
    if !files::is_vacant(out)? {
        return Err(StoreError::NotEmpty {
            path: out.to_owned(),
        });
    }
    let runs: BTreeMap<String, &Identity> = stores
        .iter()
        .flat_map(|store| store.runs())
        .map(|identity| (identity.id(), identity))
        .collect();
    let identities: Vec<Identity> = runs.values().map(|&i| i.clone()).collect();
    let mut writer = Writer::open_for_runs(out, &identities)?;
    for store in &stores {
        for digest in store.scenarios()? {
            writer.add_scenario(&store.scenario_text(&digest)?)?;
        }
        for path in store.files()? {
            let bytes = fs::read(&path).map_err(StoreError::io(&path))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            writer.add_file(&name, &bytes)?;
        }
    }
    // By run and index: where the episode is, as (store, position); further copies follow the first.
    let mut places: BTreeMap<(&str, u64), Vec<(usize, usize)>> = BTreeMap::new();
    for (s, store) in stores.iter().enumerate() {
        let mut position = 0;
        for entry in store.shards() {
            for index in entry.first..entry.end() {
                places
                    .entry((entry.run.as_str(), index))
                    .or_default()
                    .push((s, position));
                position += 1;
            }
        }
    }
    for (run, identity) in &runs {
        let indices = places
            .range((run.as_str(), 0)..=(run.as_str(), u64::MAX))
            .map(|(&(_, index), _)| index);
        for block in blocks(indices) {
            let mut episodes = Vec::new();
            for index in block {
                let copies = &places[&(run.as_str(), index)];
                let (first, position) = copies[0];
                let episode = stores[first].episode(position)?;
                for &(second, position) in &copies[1..] {
                    let copy = stores[second].episode(position)?;
                    if episode_digest(&copy) != episode_digest(&episode) {
                        return Err(StoreError::Conflict {
                            first: sources[first].to_owned(),
                            second: sources[second].to_owned(),
                            index,
                        });
                    }
                }
                episodes.push(episode);
            }
            writer.append(identity, &episodes)?;
        }
    }
    Ok(writer.episodes())
}
