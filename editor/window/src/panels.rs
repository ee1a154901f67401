//! The panels around the viewport, and with them the shortcuts: both are drawn and decided in crate `editor`.

use bevy::camera::Viewport;
use bevy::input::keyboard::{Key, KeyboardFocusLost, KeyboardInput};
use bevy::prelude::*;
use bevy_egui::helpers::{bevy_to_egui_key, bevy_to_egui_physical_key};
use bevy_egui::{EguiContexts, EguiInput, PrimaryEguiContext};
use editor::scene::Kind;

use crate::app::SceneCamera;
use crate::desk::Desk;
use crate::pointer::Pointer;
use crate::sight::Sight;

/// Draws the panels and gives the scene what they leave.
pub(crate) fn draw(
    mut contexts: EguiContexts<'_, '_>,
    mut desk: ResMut<'_, Desk>,
    sight: Res<'_, Sight>,
    pointer: Res<'_, Pointer>,
    camera: Single<'_, '_, (&mut Camera, &GlobalTransform), With<SceneCamera>>,
) -> Result {
    let context = contexts.ctx_mut()?;
    // A blinking cursor would redraw the whole scene twice a second.
    if context.global_style().visuals.text_cursor.blink {
        context.all_styles_mut(|style| style.visuals.text_cursor.blink = false);
    }
    let left = show(context, &mut desk);
    desk.viewport = left;
    let (mut camera, place) = camera.into_inner();
    fit(&mut camera, left, context.pixels_per_point());
    let painter = egui::Painter::new(context.clone(), egui::LayerId::background(), left);
    if let Some((from, to)) = pointer.boxed {
        let frame = egui::Rect::from_two_pos(point(from), point(to));
        let color = egui::Color32::from_rgb(255, 148, 26);
        painter.rect(
            frame,
            0.0,
            color.gamma_multiply(0.12),
            egui::Stroke::new(1.0, color),
            egui::StrokeKind::Inside,
        );
    }
    if desk.editor.view.names {
        write_names(&painter, &sight, &camera, place);
    }
    Ok(())
}

fn show(context: &egui::Context, desk: &mut Desk) -> egui::Rect {
    editor::panels::show_all(context, &mut desk.editor)
}

fn point(at: Vec2) -> egui::Pos2 {
    egui::pos2(at.x, at.y)
}

/// Lets a camera draw into `left` (points) only. A viewport of no size is none.
fn fit(camera: &mut Camera, left: egui::Rect, pixels_per_point: f32) {
    let Some(target) = camera.physical_target_size() else {
        return;
    };
    let pixel = |at: egui::Pos2| {
        (Vec2::new(at.x, at.y) * pixels_per_point)
            .round()
            .max(Vec2::ZERO)
            .as_uvec2()
            .min(target)
    };
    let (low, high) = (pixel(left.min), pixel(left.max));
    let size = high.saturating_sub(low);
    if size.min_element() == 0 {
        return;
    }
    let whole = low == UVec2::ZERO && size == target;
    let wanted = (!whole).then(|| Viewport {
        physical_position: low,
        physical_size: size,
        ..default()
    });
    let now = camera
        .viewport
        .as_ref()
        .map(|view| (view.physical_position, view.physical_size));
    if now
        != wanted
            .as_ref()
            .map(|view| (view.physical_position, view.physical_size))
    {
        camera.viewport = wanted;
    }
}

/// Names beside what can be moved, the nearest first; one that would cover another is left out.
fn write_names(painter: &egui::Painter, sight: &Sight, camera: &Camera, place: &GlobalTransform) {
    let named = |kind| {
        matches!(
            kind,
            Kind::Furniture | Kind::Thing | Kind::Agent | Kind::Placeholder
        )
    };
    let eye = place.translation();
    let pieces = sight.scene.pieces.iter();
    let mut tops: Vec<(Vec3, &str)> = pieces
        .filter(|piece| named(piece.kind) && piece.part == 0)
        .map(|piece| {
            let height = crate::projection::bounds(&piece.solids).1.z;
            let top = Vec3::from(piece.position) + Vec3::Z * height;
            (top, piece.name.as_str())
        })
        .collect();
    tops.sort_by(|a, b| eye.distance(a.0).total_cmp(&eye.distance(b.0)));
    let mut taken: Vec<egui::Rect> = Vec::new();
    for (top, name) in tops {
        let Ok(at) = camera.world_to_viewport(place, top) else {
            continue;
        };
        let font = egui::FontId::proportional(11.0);
        let ink = egui::Color32::from_gray(20);
        let galley = painter.layout_no_wrap(name.to_owned(), font, ink);
        let text = egui::Align2::CENTER_BOTTOM.anchor_size(point(at), galley.size());
        let frame = text.expand(2.0);
        if taken.iter().any(|other| other.intersects(frame)) {
            continue;
        }
        taken.push(frame);
        painter.rect_filled(frame, 3.0, egui::Color32::from_white_alpha(190));
        painter.galley(text.min, galley, ink);
    }
}

/// Keys with the modifiers that were held when they were pressed. Where a frame takes a third of a second, control is often
/// pressed and let go within one: what is held at its end says nothing about the keys in between.
pub(crate) fn order_keys(
    mut messages: MessageReader<'_, '_, KeyboardInput>,
    mut lost: MessageReader<'_, '_, KeyboardFocusLost>,
    mut held: Local<'_, egui::Modifiers>,
    mut input: Single<'_, '_, &mut EguiInput, With<PrimaryEguiContext>>,
) {
    if lost.read().count() > 0 {
        *held = egui::Modifiers::NONE;
    }
    if messages.is_empty() {
        return;
    }
    let events = &mut input.events;
    events.retain(|event| !matches!(event, egui::Event::Key { .. } | egui::Event::Text(_)));
    for message in messages.read() {
        let pressed = message.state.is_pressed();
        match message.key_code {
            KeyCode::ShiftLeft | KeyCode::ShiftRight => held.shift = pressed,
            KeyCode::AltLeft | KeyCode::AltRight => held.alt = pressed,
            KeyCode::ControlLeft | KeyCode::ControlRight => {
                (held.ctrl, held.command) = (pressed, pressed)
            }
            _ => {}
        }
        let typed = match &message.logical_key {
            Key::Character(text) if !text.chars().any(char::is_control) => Some(text.to_string()),
            Key::Space => Some(" ".to_owned()),
            _ => None,
        };
        if let Some(text) = typed.filter(|_| pressed && !held.command && !held.alt) {
            events.push(egui::Event::Text(text));
        }
        let physical_key = bevy_to_egui_physical_key(&message.key_code);
        if let Some(key) = bevy_to_egui_key(&message.logical_key).or(physical_key) {
            events.push(egui::Event::Key {
                key,
                pressed,
                repeat: message.repeat,
                modifiers: *held,
                physical_key,
            });
        }
    }
}
