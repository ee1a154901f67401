//! The real app without display and graphics driver: a pointer that moves over it selects, drags, and leaves one entry to undo.

use std::path::Path;

use bevy::input::ButtonState;
use bevy::input::keyboard::{Key, KeyboardInput};
use bevy::input::mouse::MouseButtonInput;
use bevy::prelude::*;
use bevy::window::{CursorMoved, PrimaryWindow};
use editor::action::Action;
use editor::editor::Editor;
use editor::scene::{ItemId, Table};
use editor_window::app::{self, Output, SceneCamera};
use editor_window::desk::Desk;
use editor_window::picture;

const SIZE: UVec2 = UVec2::new(1280, 800);

struct Bench {
    app: App,
    /// Unsaved work is kept beside a file: each bench has its own.
    _folder: tempfile::TempDir,
}

impl Bench {
    fn open(scenario: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(scenario);
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
        std::fs::copy(home.join(scenario), &path).expect("it can be copied");
        let mut editor = Editor::open(&path).expect("the scenario can be read");
        editor.view.panels = false;
        let mut app = app::build(Desk::new(editor), Output::Nothing, None, SIZE, true);
        picture::ready(&mut app);
        let mut bench = Self {
            app,
            _folder: folder,
        };
        bench.update(4);
        bench
    }

    fn update(&mut self, frames: usize) {
        for _ in 0..frames {
            self.app.update();
        }
    }

    fn editor(&mut self) -> &mut Editor {
        &mut self
            .app
            .world_mut()
            .resource_mut::<Desk>()
            .into_inner()
            .editor
    }

    fn point_at(&mut self, at: Vec2) {
        let world = self.app.world_mut();
        let (entity, mut window) = world
            .query_filtered::<(Entity, &mut Window), With<PrimaryWindow>>()
            .single_mut(world)
            .expect("there is a window");
        window.set_cursor_position(Some(at));
        world.write_message(CursorMoved {
            window: entity,
            position: at,
            delta: None,
        });
        self.update(2);
    }

    fn button(&mut self, state: ButtonState) {
        let world = self.app.world_mut();
        let window = world
            .query_filtered::<Entity, With<PrimaryWindow>>()
            .single(world)
            .expect("there is a window");
        world.write_message(MouseButtonInput {
            button: MouseButton::Left,
            state,
            window,
        });
        self.update(2);
    }

    fn click(&mut self, at: Vec2) {
        self.point_at(at);
        self.button(ButtonState::Pressed);
        self.button(ButtonState::Released);
    }

    fn drag(&mut self, from: Vec2, to: Vec2) {
        self.point_at(from);
        self.button(ButtonState::Pressed);
        for step in 1..=4 {
            self.point_at(from.lerp(to, step as f32 / 4.0));
        }
        self.button(ButtonState::Released);
    }

    /// Presses keys in order and lets them go in reverse, all before the next frame.
    fn keys(&mut self, keys: &[(KeyCode, Key)]) {
        let world = self.app.world_mut();
        let window = world
            .query_filtered::<Entity, With<PrimaryWindow>>()
            .single(world)
            .expect("there is a window");
        let down = keys.iter().map(|key| (key, ButtonState::Pressed));
        let up = keys.iter().rev().map(|key| (key, ButtonState::Released));
        for ((key_code, logical_key), state) in down.chain(up) {
            world.write_message(KeyboardInput {
                key_code: *key_code,
                logical_key: logical_key.clone(),
                state,
                text: None,
                repeat: false,
                window,
            });
        }
        self.update(2);
    }

    /// Where a point of the world is seen.
    fn seen(&mut self, point: Vec3) -> Vec2 {
        let world = self.app.world_mut();
        let (camera, place) = world
            .query_filtered::<(&Camera, &GlobalTransform), With<SceneCamera>>()
            .single(world)
            .expect("there is a camera");
        camera
            .world_to_viewport(place, point)
            .expect("the point is in view")
    }

    fn object(&mut self, title: &str) -> ItemId {
        let index = self.editor().home().find(title).expect("the home has it");
        ItemId {
            table: Table::Object,
            index,
        }
    }

    /// A point of the surface of an object that the eye sees: the top of its first solid.
    fn top(&mut self, item: ItemId) -> Vec3 {
        let scene = self.editor().scene();
        let piece = scene
            .pieces
            .iter()
            .find(|piece| piece.item == item)
            .expect("it is drawn");
        Vec3::from(piece.position) + Vec3::from(piece.solids[0].center)
    }
}

#[test]
fn a_click_selects_what_is_seen_there_and_one_beside_the_home_nothing() {
    let mut bench = Bench::open("five_room_house.toml");
    let sofa = bench.object("sofa");
    let top = bench.top(sofa);
    let at = bench.seen(top);
    bench.click(at);
    assert_eq!(bench.editor().selection, [sofa].into());
    bench.click(Vec2::new(SIZE.x as f32 - 4.0, SIZE.y as f32 * 0.5));
    assert!(
        bench.editor().selection.is_empty(),
        "{:?}",
        bench.editor().selection
    );
}

#[test]
fn dragging_a_handle_is_one_entry_to_undo_that_restores_the_file() {
    let mut bench = Bench::open("five_room_house.toml");
    let sofa = bench.object("sofa");
    let before = bench.editor().document.text().to_owned();
    bench.editor().selection = [sofa].into();
    bench.update(3);
    let from = Vec3::from(bench.editor().position(sofa).expect("it is drawn"));
    let distance = {
        let world = bench.app.world_mut();
        let place = world
            .query_filtered::<&GlobalTransform, With<SceneCamera>>()
            .single(world)
            .expect("there is a camera");
        place.translation().distance(from)
    };
    let grip = from + Vec3::X * 0.05 * distance;
    let (start, end) = (bench.seen(grip), bench.seen(grip + Vec3::X * 0.5));
    bench.drag(start, end);
    let to = Vec3::from(bench.editor().position(sofa).expect("it is drawn"));
    assert!(
        (to.x - from.x - 0.5).abs() < 0.06 && (to.y - from.y).abs() < 1e-4,
        "{from} to {to}"
    );
    assert_eq!(bench.editor().document.history_len(), 1);
    bench.editor().act(&Action::Undo);
    assert_eq!(bench.editor().document.text(), before);
    bench.update(2);
    assert_eq!(
        Vec3::from(bench.editor().position(sofa).expect("it is drawn")),
        from
    );
}

#[test]
fn dragging_an_object_moves_it_over_the_floor_in_one_entry() {
    let mut bench = Bench::open("five_room_house.toml");
    let sofa = bench.object("sofa");
    let top = bench.top(sofa);
    let from = Vec3::from(bench.editor().position(sofa).expect("it is drawn"));
    let (start, end) = (bench.seen(top), bench.seen(top + Vec3::new(0.4, -0.3, 0.0)));
    bench.drag(start, end);
    let to = Vec3::from(bench.editor().position(sofa).expect("it is drawn"));
    assert!(
        (to - from).distance(Vec3::new(0.4, -0.3, 0.0)) < 0.08,
        "{from} to {to}"
    );
    assert_eq!(bench.editor().document.history_len(), 1);
}

#[test]
fn a_box_drawn_from_empty_ground_selects_what_is_in_it() {
    let mut bench = Bench::open("five_room_house.toml");
    let view = bench.app.world().resource::<Desk>().viewport.shrink(2.0);
    bench.drag(
        Vec2::new(view.min.x, view.max.y),
        Vec2::new(view.max.x, view.min.y),
    );
    let (selected, all) = (
        bench.editor().selection.len(),
        bench.editor().home().objects.len(),
    );
    assert!(selected > all / 2, "{selected} of {all}");
}

#[test]
fn everything_in_the_box_is_left_alone_when_nothing_is_in_it() {
    let mut bench = Bench::open("studio.toml");
    let before = bench.editor().document.text().to_owned();
    let view = bench.app.world().resource::<Desk>().viewport.shrink(2.0);
    let corner = Vec2::new(view.min.x, view.min.y);
    bench.drag(corner, corner + 18.0);
    assert!(bench.editor().selection.is_empty());
    assert_eq!(bench.editor().document.text(), before);
}

#[test]
fn keys_pressed_and_let_go_within_a_frame_keep_their_modifiers() {
    let mut bench = Bench::open("studio.toml");
    let before = bench.editor().document.text().to_owned();
    bench.editor().act(&Action::SelectAll);
    bench.keys(&[(KeyCode::Delete, Key::Delete)]);
    assert_ne!(bench.editor().document.text(), before);
    let control = (KeyCode::ControlLeft, Key::Control);
    bench.keys(&[control.clone(), (KeyCode::KeyZ, Key::Character("z".into()))]);
    assert_eq!(bench.editor().document.text(), before);
    let shift = (KeyCode::ShiftLeft, Key::Shift);
    bench.keys(&[control, shift, (KeyCode::KeyZ, Key::Character("Z".into()))]);
    assert_ne!(bench.editor().document.text(), before);
}

#[test]
fn the_close_button_asks_about_what_is_unsaved() {
    let mut bench = Bench::open("studio.toml");
    bench.editor().act(&Action::Place {
        class: "mug".to_owned(),
        spot: None,
    });
    let world = bench.app.world_mut();
    let window = world
        .query_filtered::<Entity, With<PrimaryWindow>>()
        .single(world)
        .expect("there is a window");
    world.write_message(bevy::window::WindowCloseRequested { window });
    bench.update(2);
    let asks = Some(editor::editor::Dialog::Unsaved(Box::new(Action::Quit)));
    assert_eq!(bench.editor().dialog, asks);
    assert!(bench.app.should_exit().is_none());
    bench.editor().act(&Action::DiscardAndGo);
    bench.update(2);
    assert_eq!(bench.app.should_exit(), Some(AppExit::Success));
}

/// What the mouse does to the view, named actions do too.
#[test]
fn the_view_turns_shifts_and_zooms_by_name() {
    let mut bench = Bench::open("studio.toml");
    let view = |bench: &mut Bench| {
        let world = bench.app.world_mut();
        let mut orbits = world.query::<&editor_window::orbit::Orbit>();
        orbits.single(world).expect("there is one camera").goal
    };
    let mut at = view(&mut bench);
    for (line, expected) in [
        ("view.turn_left", [0.0, 15.0, 0.0]),
        ("view.turn -5 2.5", [0.0, -5.0, 2.5]),
        ("view.turn_down", [0.0, 0.0, -15.0]),
        ("view.shift_right", [0.1, 0.0, 0.0]),
        ("view.shift 0.25 0", [0.25, 0.0, 0.0]),
    ] {
        let action = Action::parse(line).expect("it is one");
        bench.editor().act(&action);
        bench.update(2);
        let now = view(&mut bench);
        let height = 2.0 * at.distance * 0.35_f32.tan();
        let right = at.transform().rotation * Vec3::X;
        let done = [
            (now.focus - at.focus).dot(right) / height,
            (now.yaw - at.yaw).to_degrees(),
            (now.pitch - at.pitch).to_degrees(),
        ];
        let off = done.iter().zip(expected).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f32::max) < 1e-3, "{line}: {done:?}");
        at = now;
    }
    for (line, nearer) in [("view.nearer", true), ("view.zoom -2", false)] {
        let action = Action::parse(line).expect("it is one");
        bench.editor().act(&action);
        bench.update(2);
        let now = view(&mut bench);
        assert_eq!(now.distance < at.distance, nearer, "{line}");
        at = now;
    }
}
