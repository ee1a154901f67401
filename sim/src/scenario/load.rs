//! From a file to a checked scenario, and back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::check::{Checked, check};
use super::types::Scenario;
use super::{Instance, ScenarioError, draw};
use crate::camera::Scene;
use crate::catalogue::Catalogue;
use crate::problem::{Problem, read_text};
use crate::random::episode_rng;
use crate::world::{World, camera_of, scene_of};

/// A scenario that was read and checked: every episode can be drawn from it.
#[derive(Clone, Debug)]
pub struct LoadedScenario {
    /// What the file says.
    pub scenario: Scenario,
    /// blake3 of the file's bytes, hexadecimal (64 characters).
    pub digest: String,
    /// The file's text.
    pub text: String,
    /// Where it came from, as the user named it.
    pub path: PathBuf,
    pub(super) checked: Checked,
}

/// Reads and checks a scenario file.
///
/// # Errors
/// When the file cannot be read, is not TOML, or describes something that cannot be; with all problems of the last kind.
pub fn load(path: impl AsRef<Path>) -> Result<LoadedScenario, ScenarioError> {
    let path = path.as_ref();
    let text = read_text(path)?;
    load_text(&text, path)
}

/// Checks a scenario given as text; `path` is its name in errors and need not exist.
///
/// # Errors
/// As [`load`].
pub fn load_text(text: &str, path: impl AsRef<Path>) -> Result<LoadedScenario, ScenarioError> {
    let path = path.as_ref();
    let error = |problems| ScenarioError::new(&path.to_string_lossy(), problems);
    let scenario: Scenario =
        toml::from_str(text).map_err(|e| error(vec![Problem::toml(text, &e)]))?;
    let checked = check(&scenario, text, &Catalogue::standard()).map_err(error)?;
    let loaded = LoadedScenario {
        scenario,
        digest: blake3::hash(text.as_bytes()).to_hex().to_string(),
        text: text.to_owned(),
        path: path.to_owned(),
        checked,
    };
    let problems = loaded.check_cameras();
    if problems.is_empty() {
        Ok(loaded)
    } else {
        Err(error(problems))
    }
}

/// The scenario as a TOML text, without comments; loading it gives an equal scenario.
pub fn save(scenario: &Scenario) -> String {
    toml::to_string(scenario).expect("every field of a scenario has a form in TOML")
}

/// The JSON schema of scenario files.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Scenario)
}

impl LoadedScenario {
    /// The classes that the scenario draws from.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.checked.catalogue
    }

    /// Whether every camera is on something that is there, and sees something when the first episode starts.
    fn check_cameras(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.scenario.camera.is_empty() {
            return problems;
        }
        let mut rng = episode_rng(0, &self.digest, 0, "cameras");
        // Without a free spot there is no house to look at; that shows when an episode is drawn.
        let Ok(instance) = self.instantiate(&mut rng) else {
            return problems;
        };
        let world = World::new(&instance);
        let mut scene = Scene::default();
        scene_of(&world, &mut scene);
        for entry in &self.scenario.camera {
            match camera_of(entry, &world) {
                // What it is on may be around it.
                Some(_) if entry.on.is_some() => {}
                Some(camera) => problems.extend(entry.check_place(&camera, &scene, &self.text)),
                None => {
                    let expected = "\"walker\" or the name of an object";
                    problems.extend(entry.unknown(expected, &self.text));
                }
            }
        }
        problems
    }

    /// Makes the draws of one episode: how many things there are, where they lie, where the agent stands. The same
    /// state of `rng` gives the same instance, bit for bit.
    ///
    /// # Errors
    /// When there is no free spot left for a thing or for the agent.
    pub fn instantiate(&self, rng: &mut ChaCha8Rng) -> Result<Instance, ScenarioError> {
        draw::instance(&self.checked, rng).map_err(|(span, message)| {
            let problem = Problem::at(&self.text, span, message);
            ScenarioError::new(&self.path.to_string_lossy(), vec![problem])
        })
    }
}
