//! Says where things are seen, for programs that move a real mouse: tests, demonstrations.

use bevy::prelude::*;
use bevy::window::PrimaryWindow;
use bevy_egui::EguiContexts;
use serde_json::{Map, Value, json};

use crate::app::SceneCamera;
use crate::desk::Desk;
use crate::orbit::{Orbit, View};
use crate::pointer::{self, Handles};
use crate::projection;

/// Present where places are written to stderr.
#[derive(Resource)]
pub struct LogPlaces;

/// Writes a line of JSON whenever something is seen elsewhere than before, in points of the window.
pub(crate) fn log(
    asked: Option<Res<'_, LogPlaces>>,
    desk: Res<'_, Desk>,
    camera: Single<'_, '_, (&Camera, &GlobalTransform), With<SceneCamera>>,
    orbit: Single<'_, '_, &Orbit>,
    handles: Single<'_, '_, &GlobalTransform, With<Handles>>,
    window: Single<'_, '_, &Window, With<PrimaryWindow>>,
    mut contexts: EguiContexts<'_, '_>,
    buttons: Res<'_, ButtonInput<MouseButton>>,
    mut last: Local<'_, String>,
) {
    if asked.is_none() || !desk.viewport.is_positive() {
        return;
    }
    let (camera, place) = *camera;
    let seen = |point: Vec3| {
        let at = camera.world_to_viewport(place, point).ok()?;
        desk.viewport
            .contains(egui::pos2(at.x, at.y))
            .then(|| json!([at.x.round(), at.y.round()]))
    };
    let scene = desk.editor.scene();
    let home = desk.editor.home();
    let mut objects = Map::new();
    for piece in scene.pieces.iter().filter(|piece| piece.part == 0) {
        let (low, high) = projection::bounds(&piece.solids);
        let top = Vec3::new(0.5 * (low.x + high.x), 0.5 * (low.y + high.y), high.z);
        if let Some(at) = seen(projection::pose(piece).transform_point(top)) {
            objects.entry(home.title(piece.item)).or_insert(at);
        }
    }
    let middle = handles.translation();
    // Half way along the handle of x, which is as long on the screen at any distance.
    let grip = middle + Vec3::X * 0.04 * middle.distance(place.translation());
    let reach = 2.0 * (grip - middle);
    let ring = [0.0, 0.25].map(|turns: f32| {
        let (sin, cos) = (turns * std::f32::consts::TAU).sin_cos();
        seen(middle + reach.x * Vec3::new(cos, sin, 0.0))
    });
    let corners = pointer::room_corners(&desk).map_or_else(Vec::new, |(_, corners)| corners);
    let View {
        focus,
        yaw,
        pitch,
        distance,
    } = orbit.goal;
    let selected: Vec<String> = desk
        .editor
        .selection
        .iter()
        .map(|item| home.title(*item))
        .collect();
    let context = contexts.ctx_mut().ok();
    let classes = home
        .catalogue
        .classes()
        .map(|(_, class)| class.name.as_str());
    let chip = |name: &str| {
        let at = editor::panels::place_of(context.as_ref()?, name)?.center();
        Some((name.to_owned(), json!([at.x.round(), at.y.round()])))
    };
    let palette: Map<String, Value> = classes.chain(["search"]).filter_map(chip).collect();
    let line = json!({
        "objects": objects,
        "palette": palette,
        "selected": selected,
        "handle": if selected.is_empty() { Value::Null } else { json!([seen(grip), seen(grip + Vec3::X * 0.3)]) },
        "ring": if selected.is_empty() { Value::Null } else { json!(ring) },
        "corners": corners.into_iter().map(seen).collect::<Vec<_>>(),
        "view": [focus.x, focus.y, focus.z, yaw, pitch, distance],
        "gliding": orbit.goal.eye().distance(place.translation()) > 1e-3,
        "playing": desk.editor.play.status().steps,
        "pointer": window.cursor_position().map(|at| [at.x.round(), at.y.round()]),
        "pressed": buttons.pressed(MouseButton::Left),
        "unsaved": desk.editor.document.is_dirty(),
    })
    .to_string();
    if *last != line {
        eprintln!("places: {line}");
        *last = line;
    }
}
