//! The mouse in the viewport: looking around, hovering, selecting, dragging, and the handles of the selection.
//!
//! Left selects and drags, right turns the view, middle (or shift and right) shifts it, the wheel zooms. Without a second or a
//! third button: alt and left turns, alt, shift and left shifts. A gesture is shown while it lasts and becomes one action at its
//! end; the document never sees its middle.

use bevy::ecs::system::SystemParam;
use bevy::gizmos::transform_gizmo::{
    TransformGizmoAxis, TransformGizmoFocus, TransformGizmoMeshMarker, TransformGizmoMode,
    TransformGizmoSettings, TransformGizmoState, TransformGizmoSystems,
};
use bevy::input::mouse::{MouseScrollUnit, MouseWheel};
use bevy::picking::mesh_picking::ray_cast::{MeshRayCast, MeshRayCastSettings, RayCastVisibility};
use bevy::prelude::*;
use bevy::window::PrimaryWindow;
use bevy_egui::EguiContexts;
use editor::action::{Action, Spot};
use editor::editor::Gizmo;
use editor::scene::{ItemId, Kind, Table};

use crate::app::SceneCamera;
use crate::desk::{Desk, item};
use crate::orbit::Orbit;
use crate::projection::{self, Drawn, Projection, SELECTED};
use crate::sight::{Draw, Sight};

/// A pointer that moved less than this since it was pressed has clicked, points.
const CLICK: f32 = 4.0;
/// A handle is meant when the pointer is this near, points.
const HANDLE: f32 = 12.0;

/// What the mouse is doing.
#[derive(Resource, Default)]
pub struct Pointer {
    /// What is under it.
    pub hit: Option<Hit>,
    /// Corners of the box that is being drawn, points of the window.
    pub boxed: Option<(Vec2, Vec2)>,
    /// Where it was seen last, if that was in the viewport.
    at: Option<Vec2>,
    press: Option<Press>,
    /// The button that moves the view started in the viewport.
    looking: bool,
    last: Vec2,
}

/// A place on something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// What it is on.
    pub item: ItemId,
    /// What kind of piece that is.
    pub kind: Kind,
    /// Where, world, meters.
    pub point: Vec3,
}

/// What began when the left button went down.
#[derive(Clone, Copy, Debug)]
struct Press {
    at: Vec2,
    hit: Option<Hit>,
    gesture: Gesture,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Gesture {
    /// It may still be a click.
    Undecided,
    /// A box that selects what is in it.
    Box,
    /// An object follows over a level plane.
    Slide,
    /// While a scenario is played, a thing is pulled at as if by a spring.
    Pull(ItemId),
    /// A corner of a room follows, to a point on the floor (meters).
    Corner(ItemId, usize, Option<[f64; 2]>),
    /// The handles of the selection have it.
    Handles,
}

/// How the selection is shown moved while a gesture lasts.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq)]
pub struct Preview {
    /// By so many meters.
    pub shift: Vec3,
    /// By so many radians around z, each piece about its own middle.
    pub turn: f32,
}

/// Where the handles of the selection are.
#[derive(Component)]
pub(crate) struct Handles;

/// Mouse and handles.
pub(crate) struct PointerPlugin;

impl Plugin for PointerPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Pointer>()
            .init_resource::<Preview>()
            .insert_resource(TransformGizmoSettings {
                axis_hit_distance: HANDLE,
                confine_cursor: false,
                screen_scale_factor: 0.08,
                ..default()
            })
            .init_resource::<TransformGizmoState>()
            .add_systems(Startup, |mut commands: Commands<'_, '_>| {
                commands.spawn((Handles, Transform::default(), Visibility::default()));
            })
            .add_systems(PostStartup, tame_handles)
            .add_systems(
                Update,
                (look_around, point, drop_class).chain().before(Draw),
            )
            .add_systems(Update, (place_handles, mark).after(Draw))
            .add_systems(
                PostUpdate,
                (follow_handles, show_preview)
                    .chain()
                    .after(TransformGizmoSystems),
            )
            .add_systems(PreUpdate, show_preview);
    }
}

/// Handles that would do what no object can are not shown, and the camera that draws the handles leaves the scene in place.
fn tame_handles(
    mut commands: Commands<'_, '_>,
    handles: Query<'_, '_, (Entity, &TransformGizmoMeshMarker)>,
    mut cameras: Query<'_, '_, (Entity, &mut Camera, &bevy::camera::visibility::RenderLayers)>,
    quality: Res<'_, crate::app::Quality>,
) {
    for (entity, handle) in &handles {
        if !allowed(handle.mode, handle.axis) {
            commands.entity(entity).despawn();
        }
    }
    for (entity, mut camera, layers) in &mut cameras {
        if *layers == bevy::camera::visibility::RenderLayers::layer(crate::app::GIZMO_LAYER) {
            camera.clear_color = ClearColorConfig::None;
            let look = (
                quality.msaa(),
                bevy::core_pipeline::tonemapping::Tonemapping::None,
            );
            commands
                .entity(entity)
                .insert((look, crate::app::scene_projection()));
        }
    }
}

fn allowed(mode: TransformGizmoMode, axis: TransformGizmoAxis) -> bool {
    match mode {
        TransformGizmoMode::Translate => axis != TransformGizmoAxis::View,
        TransformGizmoMode::Rotate => axis == TransformGizmoAxis::Z,
        TransformGizmoMode::Scale => false,
    }
}

/// Turns, shifts and zooms the view.
fn look_around(
    mut pointer: ResMut<'_, Pointer>,
    mut orbit: Single<'_, '_, &mut Orbit>,
    window: Single<'_, '_, &Window, With<PrimaryWindow>>,
    desk: Res<'_, Desk>,
    mut contexts: EguiContexts<'_, '_>,
    buttons: Res<'_, ButtonInput<MouseButton>>,
    keys: Res<'_, ButtonInput<KeyCode>>,
    mut wheel: MessageReader<'_, '_, MouseWheel>,
) {
    let at = window.cursor_position();
    let context = contexts.ctx_mut().ok().map(|context| &*context);
    let covered = |at: Vec2| context.is_some_and(|context| is_covered(context, at));
    pointer.at = at.filter(|at| desk.viewport.contains(egui::pos2(at.x, at.y)) && !covered(*at));
    if let Some(context) = context
        && pointer.at.is_some()
        && buttons.get_just_pressed().len() > 0
        && let Some(typed) = context.memory(|memory| memory.focused())
    {
        // Who presses in the view has done with typing: keys are shortcuts again.
        context.memory_mut(|memory| memory.surrender_focus(typed));
    }
    let scrolled: Vec<MouseWheel> = wheel.read().copied().collect();
    let Some(at) = at else { return };
    let moved = (at - pointer.last) / desk.viewport.height().max(1.0);
    pointer.last = at;
    let shift = keys.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight]);
    let control = keys.any_pressed([KeyCode::ControlLeft, KeyCode::ControlRight]);
    let alt = keys.any_pressed([KeyCode::AltLeft, KeyCode::AltRight]);
    let started = buttons.any_just_pressed([MouseButton::Right, MouseButton::Middle])
        || (alt && buttons.just_pressed(MouseButton::Left));
    let held = buttons.any_pressed([MouseButton::Right, MouseButton::Middle])
        || (alt && buttons.pressed(MouseButton::Left));
    pointer.looking = held && (pointer.looking || (started && pointer.at.is_some()));
    if pointer.looking && !started && moved != Vec2::ZERO {
        if buttons.pressed(MouseButton::Middle) || shift {
            orbit.goal.pan(moved);
        } else {
            orbit.goal.orbit(moved);
        }
    }
    if pointer.at.is_none() {
        return;
    }
    for scroll in scrolled {
        match scroll.unit {
            MouseScrollUnit::Line => orbit.goal.zoom(scroll.y, pointer.hit.map(|hit| hit.point)),
            // Two fingers on a pad: they turn the view, and do what the buttons do with the same keys.
            MouseScrollUnit::Pixel if control => orbit
                .goal
                .zoom(scroll.y * 0.02, pointer.hit.map(|hit| hit.point)),
            MouseScrollUnit::Pixel if shift => orbit
                .goal
                .pan(Vec2::new(scroll.x, scroll.y) / desk.viewport.height().max(1.0)),
            MouseScrollUnit::Pixel => orbit
                .goal
                .orbit(Vec2::new(scroll.x, scroll.y) / desk.viewport.height().max(1.0)),
        }
    }
}

/// Whether a window, a menu or a hint lies over the viewport at a point.
fn is_covered(context: &egui::Context, at: Vec2) -> bool {
    let layer = context.layer_id_at(egui::pos2(at.x, at.y));
    layer.is_some_and(|layer| layer.order != egui::Order::Background)
        || context.egui_is_using_pointer()
}

/// Rays through what is drawn.
#[derive(SystemParam)]
struct PieceRays<'w, 's> {
    rays: MeshRayCast<'w, 's>,
    drawn: Query<'w, 's, &'static Drawn>,
    parents: Query<'w, 's, &'static ChildOf>,
}

impl PieceRays<'_, '_> {
    /// The first piece that a ray meets; it passes through ghosts and what is cut away.
    fn first(&mut self, ray: Ray3d) -> Option<Hit> {
        let Self {
            rays,
            drawn,
            parents,
        } = self;
        let piece = |entity: Entity| {
            parents
                .get(entity)
                .ok()
                .and_then(|parent| drawn.get(parent.0).ok())
        };
        let filter = |entity: Entity| piece(entity).is_some_and(|piece| piece.kind != Kind::Ghost);
        let settings = MeshRayCastSettings::default()
            .with_visibility(RayCastVisibility::Visible)
            .with_filter(&filter);
        let (entity, hit) = rays.cast_ray(ray, &settings).first()?;
        piece(*entity).map(|piece| Hit {
            item: piece.item,
            kind: piece.kind,
            point: hit.point,
        })
    }
}

/// Finds what is under the pointer, and does what the left button says.
fn point(
    mut pointer: ResMut<'_, Pointer>,
    mut preview: ResMut<'_, Preview>,
    mut desk: ResMut<'_, Desk>,
    mut handles: ResMut<'_, TransformGizmoState>,
    camera: Single<'_, '_, (&Camera, &GlobalTransform), With<SceneCamera>>,
    mut rays: PieceRays<'_, '_>,
    sight: Res<'_, Sight>,
    buttons: Res<'_, ButtonInput<MouseButton>>,
    keys: Res<'_, ButtonInput<KeyCode>>,
) {
    let (camera, place) = *camera;
    if !handles.active
        && (pointer.at.is_none()
            || handles
                .hovered_axis
                .is_some_and(|axis| !allowed(mode(&desk), axis)))
    {
        handles.hovered_axis = None;
    }
    let ray = pointer
        .at
        .and_then(|at| camera.viewport_to_world(place, at).ok());
    pointer.hit = ray.and_then(|ray| rays.first(ray));
    let idle = pointer.press.is_none() && !pointer.looking && handles.hovered_axis.is_none();
    let hovered = pointer
        .hit
        .filter(|hit| idle && !is_room(hit.kind))
        .map(|hit| hit.item);
    if desk.editor.hovered != hovered
        && (pointer.at.is_some()
            || !desk.viewport.is_positive()
            || sight.hovered == desk.editor.hovered)
    {
        desk.editor.hovered = hovered;
    }

    if buttons.just_pressed(MouseButton::Left)
        && let Some(at) = pointer.at
        && !pointer.looking
    {
        let corner = corner_under(&desk, camera, place, at);
        let gesture = match corner {
            _ if handles.hovered_axis.is_some() => Gesture::Handles,
            Some((room, corner)) => Gesture::Corner(room, corner, None),
            None => Gesture::Undecided,
        };
        pointer.press = Some(Press {
            at,
            hit: pointer.hit,
            gesture,
        });
    }
    let Some(mut press) = pointer.press else {
        return;
    };
    let at = pointer.last;
    if press.gesture == Gesture::Undecided && at.distance(press.at) > CLICK {
        press.gesture = match press.hit {
            Some(hit) if desk.editor.play.is_on() => Gesture::Pull(hit.item),
            Some(hit) if matches!(hit.item.table, Table::Object | Table::Agent) => {
                if !desk.editor.selection.contains(&hit.item) {
                    desk.act(&Action::SelectOnly {
                        item: item(hit.item),
                    });
                }
                Gesture::Slide
            }
            _ => Gesture::Box,
        };
    }
    let shift = keys.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight]);
    let on_plane = |height: f32| {
        let ray = camera.viewport_to_world(place, at).ok()?;
        ray.plane_intersection_point(Vec3::Z * height, InfinitePlane3d::new(Vec3::Z))
    };
    match press.gesture {
        Gesture::Slide => {
            let from = press.hit.map_or(Vec3::ZERO, |hit| hit.point);
            if let Some(to) = on_plane(from.z) {
                let step = if desk.editor.view.snap && !shift {
                    desk.editor.view.snap_meters as f32
                } else {
                    0.001
                };
                preview.shift = ((to - from) / step).round() * step;
                preview.shift.z = 0.0;
            }
        }
        Gesture::Pull(pulled) => {
            // Toward the pointer, as far away from the eye as where it was taken hold of.
            let from = press.hit.map_or(Vec3::ZERO, |hit| hit.point);
            let ray = camera.viewport_to_world(place, at).ok();
            let plane = InfinitePlane3d::new(place.forward());
            if let Some(to) = ray.and_then(|ray| ray.plane_intersection_point(from, plane)) {
                let [x, y, z] = to.to_array().map(|x| tidy(f64::from(x)));
                let item = item(pulled);
                desk.act(&Action::Pull { item, x, y, z });
            }
        }
        Gesture::Box => pointer.boxed = Some((press.at, at)),
        Gesture::Corner(_, _, ref mut goal) => {
            if let Some(to) = on_plane(0.0) {
                let step = if desk.editor.view.snap && !shift {
                    desk.editor.view.snap_meters
                } else {
                    0.001
                };
                *goal = Some([to.x, to.y].map(|x| tidy((f64::from(x) / step).round() * step)));
            }
        }
        Gesture::Undecided | Gesture::Handles => {}
    }
    if buttons.pressed(MouseButton::Left) {
        pointer.press = Some(press);
        return;
    }
    pointer.press = None;
    match press.gesture {
        Gesture::Undecided => click(&mut desk, press.hit, shift),
        Gesture::Box => {
            let frame = Rect::from_corners(press.at, at);
            select_box(&mut desk, frame, shift, |point| {
                camera.world_to_viewport(place, point).ok()
            });
            pointer.boxed = None;
        }
        Gesture::Slide => finish(&mut desk, &mut preview),
        Gesture::Pull(_) => desk.act(&Action::Release),
        Gesture::Corner(room, corner, to) => {
            // A click on a corner moves nothing.
            if let Some([x, y]) = to.filter(|_| at.distance(press.at) > CLICK) {
                if desk.editor.selection.len() != 1 || !desk.editor.selection.contains(&room) {
                    desk.act(&Action::SelectOnly { item: item(room) });
                }
                let corner = corner as u64;
                desk.act(&Action::RoomResize { corner, x, y });
            }
        }
        Gesture::Handles => {}
    }
}

fn is_room(kind: Kind) -> bool {
    matches!(kind, Kind::Floor | Kind::Wall)
}

fn mode(desk: &Desk) -> TransformGizmoMode {
    match desk.editor.view.gizmo {
        Gizmo::Translate => TransformGizmoMode::Translate,
        Gizmo::Rotate => TransformGizmoMode::Rotate,
    }
}

fn click(desk: &mut Desk, hit: Option<Hit>, shift: bool) {
    match hit {
        Some(hit) if shift => desk.act(&Action::SelectToggle {
            item: item(hit.item),
        }),
        Some(hit) => desk.act(&Action::SelectOnly {
            item: item(hit.item),
        }),
        None if shift => {}
        None => desk.act(&Action::SelectNone),
    }
}

/// Selects the objects, doors and agents whose middle is seen within `frame`; with `more`, besides what is selected.
fn select_box(desk: &mut Desk, frame: Rect, more: bool, seen_at: impl Fn(Vec3) -> Option<Vec2>) {
    let scene = desk.editor.scene();
    let mut found: Vec<ItemId> = Vec::new();
    for piece in scene
        .pieces
        .iter()
        .filter(|piece| !is_room(piece.kind) && piece.kind != Kind::Ghost)
    {
        let (low, high) = projection::bounds(&piece.solids);
        let middle = projection::pose(piece).transform_point(0.5 * (low + high));
        if seen_at(middle).is_some_and(|at| frame.contains(at)) && !found.contains(&piece.item) {
            found.push(piece.item);
        }
    }
    if !more {
        desk.act(&Action::SelectNone);
    }
    for id in found {
        desk.act(&Action::SelectAlso { item: item(id) });
    }
}

/// Turns what was previewed into the one action of the gesture.
fn finish(desk: &mut Desk, preview: &mut Preview) {
    let Preview { shift, turn } = std::mem::take(preview);
    if turn != 0.0 {
        desk.act(&Action::Rotate {
            degrees: tidy(f64::from(turn.to_degrees())),
        });
    } else if shift != Vec3::ZERO {
        let [x, y, z] = shift.to_array().map(|part| tidy(f64::from(part)));
        desk.act(&Action::Move {
            x,
            y,
            z: (z != 0.0).then_some(z),
        });
    }
}

/// A number without the noise of f32: in files they are read by people.
fn tidy(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

/// The handles stand at the middle of the selection, if anything of it can be moved.
fn place_handles(
    mut commands: Commands<'_, '_>,
    handles: Single<'_, '_, (Entity, &mut Transform, Has<TransformGizmoFocus>), With<Handles>>,
    state: Res<'_, TransformGizmoState>,
    mut settings: ResMut<'_, TransformGizmoSettings>,
    desk: Res<'_, Desk>,
    sight: Res<'_, Sight>,
    preview: Res<'_, Preview>,
) {
    let (entity, mut transform, shown) = handles.into_inner();
    let view = &desk.editor.view;
    settings.mode = mode(&desk);
    settings.snap_translate = view.snap.then_some(view.snap_meters as f32);
    settings.snap_rotate = view.snap.then_some((view.snap_degrees as f32).to_radians());
    if state.active {
        return;
    }
    let movable = |item: &ItemId| matches!(item.table, Table::Object | Table::Agent);
    let moved = sight
        .scene
        .pieces
        .iter()
        .filter(|piece| sight.selection.contains(&piece.item) && movable(&piece.item));
    let places: Vec<Vec3> = moved
        .filter(|piece| piece.kind != Kind::Ghost)
        .map(|piece| Vec3::from(piece.position))
        .collect();
    if places.is_empty() {
        if shown {
            commands.entity(entity).remove::<TransformGizmoFocus>();
        }
        return;
    }
    let middle = places.iter().sum::<Vec3>() / places.len() as f32 + preview.shift;
    if transform.translation != middle || transform.rotation != Quat::IDENTITY {
        *transform = Transform::from_translation(middle);
    }
    if !shown {
        commands.entity(entity).insert(TransformGizmoFocus);
    }
}

/// Shows what the handles do to the selection while they are held, and does it once when they are let go.
fn follow_handles(
    handles: Single<'_, '_, &Transform, With<Handles>>,
    state: Res<'_, TransformGizmoState>,
    mut preview: ResMut<'_, Preview>,
    mut desk: ResMut<'_, Desk>,
    mut held: Local<'_, bool>,
) {
    if state.active {
        *held = true;
        let turn = handles.rotation * state.start_transform.rotation.inverse();
        let (axis, angle) = turn.to_axis_angle();
        *preview = Preview {
            shift: handles.translation - state.start_transform.translation,
            turn: angle * axis.z.signum(),
        };
        if state.axis.is_some_and(|axis| axis != TransformGizmoAxis::Z) || settings_translate(&desk)
        {
            preview.turn = 0.0;
        }
    } else if std::mem::take(&mut *held) {
        finish(&mut desk, &mut preview);
    }
}

fn settings_translate(desk: &Desk) -> bool {
    mode(desk) == TransformGizmoMode::Translate
}

/// Moves the pieces of the selection as the gesture would, and back when it is over.
fn show_preview(
    preview: Res<'_, Preview>,
    projection: Res<'_, Projection>,
    sight: Res<'_, Sight>,
    mut transforms: Query<'_, '_, &mut Transform, With<Drawn>>,
    mut shown: Local<'_, Preview>,
) {
    if *preview == *shown && *preview == Preview::default() {
        return;
    }
    *shown = *preview;
    for (entity, piece) in projection.pieces() {
        if !sight.selection.contains(&piece.item) || is_room(piece.kind) {
            continue;
        }
        let Ok(mut transform) = transforms.get_mut(entity) else {
            continue;
        };
        let mut pose = projection::pose(piece);
        pose.translation += preview.shift;
        pose.rotation = Quat::from_rotation_z(preview.turn) * pose.rotation;
        *transform = pose;
    }
}

/// Corners of the one room that is selected, world, meters.
pub(crate) fn room_corners(desk: &Desk) -> Option<(ItemId, Vec<Vec3>)> {
    let mut selected = desk.editor.selection.iter();
    let (room, None) = (*selected.next()?, selected.next()) else {
        return None;
    };
    if room.table != Table::Room {
        return None;
    }
    let corners = &desk.editor.home().rooms.get(room.index)?.corners;
    Some((room, corners.iter().map(|c| floor_point(*c)).collect()))
}

fn corner_under(
    desk: &Desk,
    camera: &Camera,
    place: &GlobalTransform,
    at: Vec2,
) -> Option<(ItemId, usize)> {
    let (room, corners) = room_corners(desk)?;
    let near = |corner: &Vec3| {
        camera
            .world_to_viewport(place, *corner)
            .is_ok_and(|seen| seen.distance(at) < HANDLE)
    };
    corners.iter().position(near).map(|corner| (room, corner))
}

/// Marks the corners that can be dragged, and where something dragged from the palette would land.
fn mark(
    mut gizmos: Gizmos<'_, '_>,
    desk: Res<'_, Desk>,
    pointer: Res<'_, Pointer>,
    orbit: Single<'_, '_, &Orbit>,
) {
    let size = 0.012 * orbit.now.distance;
    if let Some((_, corners)) = room_corners(&desk) {
        for corner in corners {
            gizmos
                .sphere(Isometry3d::from_translation(corner), size, SELECTED)
                .resolution(12);
        }
    }
    let Some(Press {
        gesture: Gesture::Corner(room, corner, Some(to)),
        ..
    }) = pointer.press
    else {
        return;
    };
    // The outline as it will be.
    if let Some(room) = desk.editor.home().rooms.get(room.index) {
        let mut corners: Vec<Vec3> = room.corners.iter().map(|c| floor_point(*c)).collect();
        for (corner, to) in editor::edits::corner_moved(room, corner, to) {
            corners[corner] = floor_point(to.map(|x| x as f32));
        }
        gizmos
            .sphere(
                Isometry3d::from_translation(corners[corner]),
                size,
                SELECTED,
            )
            .resolution(12);
        corners.extend(corners.first().copied());
        gizmos.linestrip(corners, SELECTED);
    }
}

/// A little above the floor, so that it is seen.
fn floor_point([x, y]: [f32; 2]) -> Vec3 {
    Vec3::new(x, y, 0.02)
}

/// What is dragged from the palette lands on what is under the pointer when it is let go.
fn drop_class(
    mut gizmos: Gizmos<'_, '_>,
    mut contexts: EguiContexts<'_, '_>,
    window: Single<'_, '_, &Window, With<PrimaryWindow>>,
    camera: Single<'_, '_, (&Camera, &GlobalTransform), With<SceneCamera>>,
    buttons: Res<'_, ButtonInput<MouseButton>>,
    mut desk: ResMut<'_, Desk>,
    mut rays: PieceRays<'_, '_>,
) -> Result {
    let context = contexts.ctx_mut()?;
    let Some(class) = egui::DragAndDrop::payload::<String>(context) else {
        return Ok(());
    };
    let Some(at) = window
        .cursor_position()
        .filter(|at| desk.viewport.contains(egui::pos2(at.x, at.y)))
    else {
        return Ok(());
    };
    let (camera, place) = *camera;
    let Ok(ray) = camera.viewport_to_world(place, at) else {
        return Ok(());
    };
    let ground = || ray.plane_intersection_point(Vec3::ZERO, InfinitePlane3d::new(Vec3::Z));
    let hit = rays.first(ray);
    let Some(point) = hit.map(|hit| hit.point).or_else(ground) else {
        return Ok(());
    };
    gizmos
        .circle(
            Isometry3d::from_translation(point + Vec3::Z * 0.005),
            0.12,
            SELECTED,
        )
        .resolution(24);
    if buttons.just_released(MouseButton::Left) {
        egui::DragAndDrop::clear_payload(context);
        context.memory_mut(|memory| memory.stop_text_input());
        let spot = match hit {
            Some(hit) if hit.item.table == Table::Object => {
                Spot::On(desk.editor.home().title(hit.item))
            }
            _ => Spot::At([point.x, point.y].map(|part| tidy(f64::from(part)))),
        };
        desk.act(&Action::Place {
            class: class.to_string(),
            spot: Some(spot),
        });
    }
    Ok(())
}
