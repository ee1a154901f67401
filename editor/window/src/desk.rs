//! The editor as the app sees it: its scene goes to the view, its wishes are granted, mouse and keys become its actions.

use std::path::PathBuf;
use std::time::Duration;

use bevy::prelude::*;
use bevy::window::{PrimaryWindow, RequestRedraw, WindowCloseRequested};
use editor::action::{Action, Item};
use editor::editor::{Editor, Look, Wish};
use editor::episodes::export::Export;
use editor::scene::{ItemId, Scene};

use crate::app::{Quality, SceneCamera};
use crate::cut_away::CutAway;
use crate::orbit::{Orbit, Side, View};
use crate::picture::{self, Canvas, Pictures};
use crate::sight::{self, Draw, Sight};
use crate::waker::{Compiling, Waker};

/// The editor, and where its viewport is.
#[derive(Resource)]
pub struct Desk {
    /// All that is edited.
    pub editor: Editor,
    /// Where the scene is seen, in points of the window.
    pub viewport: egui::Rect,
    framed: bool,
    /// Pictures that were asked for, each with the frames until it is taken: panels and camera settle first.
    pictures: Vec<(PathBuf, u8)>,
    /// The film that is being made.
    filming: Option<Filming>,
    /// Whether this frame is to be drawn at all: without a window, only those are that become pictures.
    drawing: bool,
}

/// An episode on its way into pictures: one frame after the other is looked at and taken.
struct Filming {
    export: Export,
    /// The next picture, from 0.
    next: usize,
    /// Pictures of any kind that there are once the last one that was asked for is taken.
    awaited: usize,
    /// Where the episode was looked at before.
    before: u32,
}

/// How many frames it takes until a picture shows what the editor shows.
const SETTLE: u8 = 2;

impl Desk {
    /// A desk with nothing but the viewport yet.
    pub fn new(editor: Editor) -> Self {
        Self {
            editor,
            viewport: egui::Rect::NOTHING,
            framed: false,
            pictures: Vec::new(),
            filming: None,
            drawing: true,
        }
    }

    /// Does what an action says; what cannot be done is said in the status line.
    pub fn act(&mut self, action: &Action) {
        self.editor.act(action);
    }

    /// Whether an episode is being made into pictures.
    pub fn is_filming(&self) -> bool {
        self.filming.is_some()
    }

    /// Size of the viewport, width / height.
    fn aspect(&self) -> f32 {
        if self.viewport.is_positive() {
            self.viewport.width() / self.viewport.height()
        } else {
            16.0 / 9.0
        }
    }
}

/// How an entry is named in actions.
pub fn item(id: ItemId) -> Item {
    Item(format!("{}:{}", id.table.name(), id.index))
}

/// Keeps the view in step with the editor.
pub(crate) struct DeskPlugin;

impl Plugin for DeskPlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(
            Update,
            (close, film, tick, glide, show, rest).chain().before(Draw),
        );
        app.add_systems(Last, redraw);
    }
}

/// The close button asks as the menu does.
fn close(mut asked: MessageReader<'_, '_, WindowCloseRequested>, mut desk: ResMut<'_, Desk>) {
    if asked.read().count() > 0 {
        desk.act(&Action::Quit);
    }
}

/// Lets time pass in the editor and grants what it wishes for.
fn tick(
    mut commands: Commands<'_, '_>,
    mut desk: ResMut<'_, Desk>,
    time: Res<'_, Time<Real>>,
    mut orbit: Single<'_, '_, &mut Orbit>,
    canvas: Option<Res<'_, Canvas>>,
    mut exit: MessageWriter<'_, AppExit>,
) {
    desk.editor.tick(time.elapsed_secs_f64());
    desk.editor.focus = [orbit.goal.focus.x, orbit.goal.focus.y].map(f64::from);
    let scene = desk.editor.scene();
    if !desk.framed && !scene.pieces.is_empty() {
        desk.framed = true;
        frame(&mut orbit.goal, &desk, &scene, |_| true);
        orbit.now = orbit.goal;
    }
    desk.drawing = canvas.is_none() || desk.pictures.iter().any(|(_, frames)| *frames < SETTLE);
    for (path, frames) in std::mem::take(&mut desk.pictures) {
        match frames.checked_sub(1) {
            Some(left) => desk.pictures.push((path, left)),
            None => picture::take(&mut commands, canvas.as_deref(), &path),
        }
    }
    for wish in desk.editor.wishes() {
        match wish {
            Wish::FrameSelection if !desk.editor.selection.is_empty() => {
                let selection = &desk.editor.selection;
                frame(&mut orbit.goal, &desk, &scene, |item| {
                    selection.contains(&item)
                });
            }
            Wish::FrameSelection | Wish::FrameAll => {
                frame(&mut orbit.goal, &desk, &scene, |_| true)
            }
            Wish::Look(look) => {
                orbit.goal.look_from(match look {
                    Look::Top => Side::Top,
                    Look::Front => Side::Front,
                    Look::Side => Side::Side,
                    Look::Home => Side::Corner,
                });
                frame(&mut orbit.goal, &desk, &scene, |_| true);
            }
            Wish::Turn([left, up]) => {
                let [left, up] = [left, up].map(|degrees| (degrees as f32).to_radians());
                orbit.goal.turn(left, up);
            }
            Wish::Shift([right, up]) => orbit.goal.pan(-Vec2::new(right as f32, -up as f32)),
            Wish::Zoom(steps) => orbit.goal.zoom(steps as f32, None),
            Wish::Screenshot(path) => {
                desk.editor.status = format!("Picture: {}", path.display());
                desk.pictures.push((path, SETTLE));
            }
            Wish::Export(export) => {
                if let Err(error) = std::fs::create_dir_all(&export.dir) {
                    desk.editor.status = format!("{}: {error}", export.dir.display());
                    continue;
                }
                desk.filming = Some(Filming {
                    before: desk.editor.episodes.cursor().frame,
                    export,
                    next: 0,
                    awaited: 0,
                });
            }
            Wish::Quit => {
                exit.write(AppExit::Success);
            }
        }
    }
}

/// Takes the next picture of a film once the one before is there; after the last one, finishes it.
fn film(mut desk: ResMut<'_, Desk>, pictures: Res<'_, Pictures>) {
    let taken = pictures.done.len();
    let Some(mut filming) = desk.filming.take_if(|filming| taken >= filming.awaited) else {
        return;
    };
    let n = filming.export.frames.len();
    if let Some(frame) = filming.export.frames.get(filming.next) {
        desk.editor.episodes.seek_frame(*frame);
        let path = filming.export.picture(filming.next);
        desk.pictures.push((path, SETTLE));
        filming.next += 1;
        filming.awaited = taken + 1;
        desk.editor.status = format!("Picture {} of {n}", filming.next);
        desk.filming = Some(filming);
    } else {
        desk.editor.episodes.seek_frame(filming.before);
        desk.editor.status = match filming.export.finish() {
            Ok(()) => format!("{n} pictures in {}", filming.export.dir.display()),
            Err(error) => error.to_string(),
        };
    }
}

/// Sends the eye to where it sees the pieces of the entries that `wanted` names. Walls that are cut off there count as little as
/// is seen of them.
fn frame(view: &mut View, desk: &Desk, scene: &Scene, wanted: impl Fn(ItemId) -> bool) {
    let pieces = || scene.pieces.iter().filter(|piece| wanted(piece.item));
    view.frame(&sight::corners(pieces()), desk.aspect());
    if desk.editor.view.cut_away {
        let cut = CutAway::seen_from(view.eye(), scene);
        let seen = pieces().filter(|piece| cut.height(piece).is_none());
        view.frame(&sight::corners(seen), desk.aspect());
    }
}

/// Moves the eye on toward where it was sent.
fn glide(
    camera: Single<'_, '_, (&mut Orbit, &mut Transform)>,
    time: Res<'_, Time<Real>>,
    quality: Res<'_, Quality>,
) {
    let (mut orbit, mut transform) = camera.into_inner();
    if orbit.now != orbit.goal {
        // Where a frame takes a third of a second, gliding would only be late.
        let secs = if *quality == Quality::Plain {
            f32::INFINITY
        } else {
            time.delta_secs()
        };
        orbit.step(secs);
    }
    let seen = orbit.now.transform();
    if *transform != seen {
        *transform = seen;
    }
}

/// Draws the scene only in frames in which it is looked at.
fn rest(desk: Res<'_, Desk>, mut camera: Single<'_, '_, &mut Camera, With<SceneCamera>>) {
    if camera.is_active != desk.drawing {
        camera.is_active = desk.drawing;
    }
}

/// Hands the editor's scene to the view.
fn show(desk: Res<'_, Desk>, mut sight: ResMut<'_, Sight>) {
    let editor = &desk.editor;
    let (revision, view) = (editor.scene_revision(), &editor.view);
    if sight.revision != revision || !std::sync::Arc::ptr_eq(&sight.scene, &editor.scene()) {
        sight.scene = editor.scene();
        sight.revision = revision;
    }
    if sight.selection != editor.selection {
        sight.selection.clone_from(&editor.selection);
    }
    sight.hovered = editor.hovered;
    (sight.cut_away, sight.grid) = (view.cut_away, view.grid);
}

/// What was drawn last, as far as it can change between frames.
#[derive(Default, PartialEq)]
struct Drawn {
    scene: u64,
    document: u64,
    selection: std::collections::BTreeSet<ItemId>,
    hovered: Option<ItemId>,
    view: Option<editor::editor::ViewSettings>,
    viewport: Option<egui::Rect>,
    status: String,
}

/// Asks for another frame while anything is on its way; otherwise the window sleeps.
fn redraw(
    desk: Res<'_, Desk>,
    orbit: Single<'_, '_, &Orbit>,
    waker: Option<Res<'_, Waker>>,
    compiling: Option<Res<'_, Compiling>>,
    mut unfinished: Local<'_, u8>,
    mut drawn: Local<'_, Drawn>,
    mut again: MessageWriter<'_, RequestRedraw>,
) {
    let editor = &desk.editor;
    let now = Drawn {
        scene: editor.scene_revision(),
        document: editor.document.revision(),
        selection: editor.selection.clone(),
        hovered: editor.hovered,
        view: Some(editor.view.clone()),
        viewport: Some(desk.viewport),
        status: editor.status.clone(),
    };
    if let Some(waker) = waker {
        waker.watch(editor.document.path(), editor.document.is_dirty());
        if editor.is_busy() {
            waker.wake_in(Duration::from_millis(100));
        }
    }
    // The renderer runs a frame behind: some more show what it has finished.
    let compiles = compiling.is_some_and(|compiling| compiling.goes_on());
    let new = *drawn != now;
    *unfinished = if compiles || new {
        3
    } else {
        unfinished.saturating_sub(1)
    };
    if *unfinished > 0 || orbit.now != orbit.goal || !desk.pictures.is_empty() || desk.is_filming()
    {
        *drawn = now;
        again.write(RequestRedraw);
    }
}

/// The title names the file and says whether it has changes.
pub(crate) fn title(
    desk: Res<'_, Desk>,
    mut window: Single<'_, '_, &mut Window, With<PrimaryWindow>>,
) {
    let document = &desk.editor.document;
    let mark = if document.is_dirty() { "● " } else { "" };
    let title = format!("{mark}{} - habitus", document.title());
    if window.title != title {
        window.title = title;
    }
}
