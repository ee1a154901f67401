//! Pictures of a recorded episode, made again from what the store has.

use std::sync::Arc;

use episode::{Episode, Header};
use sim::camera::{Camera, CameraEntry, Pictures, Renderer, Scene};
use sim::env::{EnvError, Fidelity, HouseholdEnv, VectorEnv as _};
use sim::hand::HandScenario;
use sim::hand::sight::{Context, Sight, usual_camera};
use sim::scenario::LoadedScenario;
use sim::scenario_file::ScenarioFile;
use sim::world::{World, camera_of, scene_of};

use super::RolloutError;
use super::episode::start_of;

/// Sides of a picture where nobody says another, pixels.
const USUAL: usize = 240;

/// A picture: RGB, one byte a channel `(height, width, 3)`.
pub struct Picture {
    /// The pixels.
    pub rgb: Vec<u8>,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// How pictures are taken.
#[derive(Clone, Debug, Default)]
pub struct Shot {
    /// Which of the scenario's cameras; by default the first, or the usual one where there is none.
    pub camera: Option<String>,
    /// Rows and columns; by default as the camera says.
    pub size: Option<usize>,
}

/// One picture before the first action and one after each, and what they show in words.
///
/// # Errors
/// When there is no such camera, the episode is one of symbols alone, or it cannot be repeated.
pub fn pictures(
    episode: &Episode,
    scenario: &ScenarioFile,
    shot: &Shot,
) -> Result<(Vec<Picture>, String), RolloutError> {
    match scenario {
        ScenarioFile::Hand(hand) => of_hand(episode, hand, shot),
        ScenarioFile::House(house) => of_house(episode, house, shot),
    }
}

fn of_hand(
    episode: &Episode,
    scenario: &HandScenario,
    shot: &Shot,
) -> Result<(Vec<Picture>, String), RolloutError> {
    let header = &episode.header;
    let env = scenario.env(1, None).map_err(EnvError::from)?;
    let sight = Sight::of(&env);
    let appearance = scenario.appearance(&env, header.seed, header.index);
    let entry = chosen(&scenario.hand_task.camera, shot, header)?;
    let usual = usual_camera(&**env.task(), USUAL);
    let mut eye = Eye::default();
    let mut list = Vec::new();
    let after = episode.steps.iter().map(|step| &step.observation);
    let mut pictures = Vec::new();
    for observation in std::iter::once(&episode.first).chain(after) {
        env.layout().list(observation, &mut list);
        let seen = env.layout().seen(&list);
        sight.draw(&seen, Context::Visible, &appearance, &mut eye.scene);
        let camera = entry.and_then(|entry| sight.camera(entry, &seen));
        let camera = camera.unwrap_or(usual);
        pictures.push(eye.draw(&appearance.moved(&camera), shot, header)?);
    }
    let varies = scenario.hand_task.appearance.is_some();
    let about = if varies {
        appearance.say()
    } else {
        String::new()
    };
    Ok((pictures, about))
}

fn of_house(
    episode: &Episode,
    scenario: &Arc<LoadedScenario>,
    shot: &Shot,
) -> Result<(Vec<Picture>, String), RolloutError> {
    let header = &episode.header;
    let failed = |message: &str| RolloutError::Episode {
        index: header.index,
        message: message.to_owned(),
    };
    if header.fidelity != Fidelity::Physical.name() {
        return Err(failed(
            "expected physical fidelity for pictures, found symbolic: it has no places",
        ));
    }
    let entry = chosen(&scenario.scenario.camera, shot, header)?;
    let overview = overview(scenario);
    let steps = u32::try_from(episode.steps.len().max(1)).unwrap_or(u32::MAX);
    let mut env = HouseholdEnv::new(Arc::clone(scenario), Fidelity::Physical, steps);
    env.reset(0, &start_of(episode))?;
    let mut eye = Eye::default();
    let mut pictures = Vec::new();
    let mut take = |world: Option<&World>| {
        let world = world.ok_or_else(|| failed("has no physical house"))?;
        scene_of(world, &mut eye.scene);
        let camera = entry.and_then(|entry| camera_of(entry, world));
        let camera = camera.unwrap_or(overview);
        pictures.push(eye.draw(&camera, shot, header)?);
        Ok::<_, RolloutError>(())
    };
    take(env.world())?;
    for step in &episode.steps {
        env.step(&[Some(step.action.clone())]);
        take(env.world())?;
    }
    Ok((pictures, String::new()))
}

/// The camera that is asked for; `None` for the usual one of a scenario without any.
fn chosen<'a>(
    cameras: &'a [CameraEntry],
    shot: &Shot,
    header: &Header,
) -> Result<Option<&'a CameraEntry>, RolloutError> {
    let Some(name) = &shot.camera else {
        return Ok(cameras.first());
    };
    let found = cameras.iter().find(|entry| entry.name.get_ref() == name);
    if found.is_none() {
        let names: Vec<&str> = cameras.iter().map(|e| e.name.get_ref().as_str()).collect();
        return Err(RolloutError::Unsuited(format!(
            "camera: expected one of \"{}\" ({}), found \"{name}\"",
            header.scenario,
            if names.is_empty() {
                "it has none".to_owned()
            } else {
                names.join(", ")
            }
        )));
    }
    Ok(found)
}

/// The whole house from above, from the south.
fn overview(scenario: &LoadedScenario) -> Camera {
    let rooms = &scenario.scenario.room;
    let corners = rooms.iter().flat_map(|room| room.corners.get_ref());
    let mut low = [f32::INFINITY; 2];
    let mut high = [f32::NEG_INFINITY; 2];
    for corner in corners {
        for i in 0..2 {
            low[i] = low[i].min(corner[i]);
            high[i] = high[i].max(corner[i]);
        }
    }
    let [x, y] = [0, 1].map(|i| 0.5 * (low[i] + high[i]));
    let wide = (high[0] - low[0]).max(high[1] - low[1]).max(1.0);
    let from = [x, y - 0.75 * wide, 1.1 * wide + 1.0];
    Camera::look_at(from, [x, y, 0.0], 0.85, USUAL, USUAL)
}

/// What draws.
#[derive(Default)]
struct Eye {
    renderer: Renderer,
    scene: Scene,
}

impl Eye {
    fn draw(
        &mut self,
        camera: &Camera,
        shot: &Shot,
        header: &Header,
    ) -> Result<Picture, RolloutError> {
        let mut camera = *camera;
        if let Some(size) = shot.size {
            (camera.width, camera.height) = (size, size);
        }
        let (width, height) = (camera.width, camera.height);
        let mut rgb = vec![0; width * height * 3];
        let into = Pictures {
            rgb: Some(&mut rgb),
            ..Pictures::default()
        };
        let drawn = self.renderer.draw(&self.scene, &camera, into);
        drawn.map_err(|error| RolloutError::Episode {
            index: header.index,
            message: error.to_string(),
        })?;
        Ok(Picture { rgb, width, height })
    }
}
