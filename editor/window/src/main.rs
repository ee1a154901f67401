//! Opens the editor, or takes pictures without a window.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use bevy::math::UVec2;
use clap::Parser;
use editor::action::Action;
use editor::editor::Editor;
use editor_window::app::{self, Output, Quality};
use editor_window::desk::Desk;
use editor_window::picture::{self, Pictures};
use editor_window::places::LogPlaces;
use editor_window::script::Script;
use editor_window::trouble;

/// Edit a scenario by hand, play it, look into any episode.
///
/// Mouse: left selects and drags, right turns the view, middle (or shift and right) shifts it, the wheel zooms; alt and left
/// turns where there is no second button. All commands with their keys: Ctrl+Shift+P. Policies act in the program `rollout`
/// beside this one.
///
/// Pictures and scripts need no display, only a Vulkan driver; one in software does. Example:
/// habitus edit scenarios/loft.toml --screenshot loft.png --size 1920x1080 --viewport-only
#[derive(Parser)]
#[command(name = "habitus edit", version)]
struct Arguments {
    /// Scenario to open; a new one without it
    scenario: Option<PathBuf>,
    /// Write a picture (PNG) and exit. It shows the panels too; for a paper add --viewport-only
    #[arg(long, value_name = "FILE")]
    screenshot: Option<PathBuf>,
    /// Leave the panels out of pictures
    #[arg(long)]
    viewport_only: bool,
    /// Size of the window or of pictures in pixels
    #[arg(long, value_name = "WxH", default_value = "1280x720", value_parser = size)]
    size: UVec2,
    /// Play the scenario for so many seconds before the picture
    #[arg(long, value_name = "SECONDS", requires = "screenshot", value_parser = seconds)]
    at: Option<f64>,
    /// Do what a file says, one action a line, as `object.place mug on "kitchen table"`, `wait 0.5`, `screenshot a.png`; without
    /// a window, then exit
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Do what --script says in the window, and leave it open
    #[arg(long, requires = "script")]
    window: bool,
    /// Seed of what is drawn for each episode
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write every action to stderr as a line of a script
    #[arg(long)]
    log_actions: bool,
    /// Write to stderr where things are seen, whenever that changes: for programs that move a real mouse
    #[arg(long, hide = true)]
    log_places: bool,
    /// Print one JSON object with what was done as the last line
    #[arg(long)]
    json: bool,
}

fn size(text: &str) -> Result<UVec2, String> {
    let sides = text
        .split_once('x')
        .and_then(|(width, height)| Some(UVec2::new(width.parse().ok()?, height.parse().ok()?)));
    let allowed = |size: &UVec2| size.min_element() >= 64 && size.max_element() <= 8192;
    sides
        .filter(allowed)
        .ok_or_else(|| "expected WIDTHxHEIGHT in pixels from 64 to 8192, as in 1280x720".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|secs| (0.0..=3600.0).contains(secs))
        .ok_or_else(|| "expected seconds from 0 to 3600".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            eprintln!("habitus edit: {message}");
            ExitCode::from(code)
        }
    }
}

/// Exit code of what the user has to write otherwise.
const USAGE: u8 = 2;
/// Exit code of what cannot be done here.
const FAILED: u8 = 1;

fn run(arguments: &Arguments) -> Result<(), (u8, String)> {
    let mut script = match &arguments.script {
        Some(path) => Script::read(path).map_err(|error| (USAGE, error))?,
        None => Script::default(),
    };
    let mut editor = match &arguments.scenario {
        Some(path) => Editor::open(path).map_err(|error| (USAGE, error.to_string()))?,
        None => Editor::new(),
    };
    editor.view.seed = arguments.seed;
    editor.view.panels = !arguments.viewport_only;
    if arguments.log_actions {
        editor.observer = Some(|action| eprintln!("action: {action}"));
    }
    trouble::speak_plainly();
    let pictures_only =
        arguments.screenshot.is_some() || (arguments.script.is_some() && !arguments.window);
    if !pictures_only {
        trouble::find_display().map_err(|message| (FAILED, message))?;
        return open_window(editor, script, arguments);
    }
    if let Some(path) = &arguments.screenshot {
        picture_name(path)?;
        if let Some(secs) = arguments.at {
            script.push(Action::Play);
            script.push_wait(secs);
            script.push(Action::Pause);
        }
        script.push(Action::Screenshot {
            path: Some(path.clone()),
        });
    }
    take_pictures(editor, script, arguments)
}

fn picture_name(path: &Path) -> Result<(), (u8, String)> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if path
        .extension()
        .is_none_or(|extension| !extension.eq_ignore_ascii_case("png"))
    {
        Err((
            USAGE,
            format!(
                "{}: pictures are PNG files; give it the ending .png",
                path.display()
            ),
        ))
    } else if folder.is_some_and(|folder| !folder.is_dir()) {
        Err((
            USAGE,
            format!("{}: the folder does not exist", path.display()),
        ))
    } else {
        Ok(())
    }
}

fn open_window(
    mut editor: Editor,
    script: Script,
    arguments: &Arguments,
) -> Result<(), (u8, String)> {
    if let Some(list) = recent_list() {
        editor.keep_recent(list);
    }
    let mut app = app::build(
        Desk::new(editor),
        Output::Window,
        None,
        arguments.size,
        !arguments.viewport_only,
    );
    app.insert_resource(script);
    if arguments.log_places {
        app.insert_resource(LogPlaces);
    }
    match app.run() {
        bevy::app::AppExit::Success => Ok(()),
        bevy::app::AppExit::Error(_) => Err((FAILED, "the window closed with an error".to_owned())),
    }
}

/// Where files that were open are remembered.
fn recent_list() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| {
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"))
    })?;
    let folder = state.join("habitus");
    std::fs::create_dir_all(&folder)
        .ok()
        .map(|()| folder.join("recent"))
}

fn take_pictures(
    mut editor: Editor,
    script: Script,
    arguments: &Arguments,
) -> Result<(), (u8, String)> {
    let start = Instant::now();
    editor.attend_pictures_only();
    editor.settle();
    let output = Output::Picture(arguments.size);
    let mut app = app::build(
        Desk::new(editor),
        output,
        Some(Quality::Full),
        arguments.size,
        !arguments.viewport_only,
    );
    app.insert_resource(script);
    picture::ready(&mut app);
    let mut exited = false;
    while !app.world().resource::<Script>().is_done() && !exited {
        app.update();
        exited = app.should_exit().is_some();
    }
    let world = app.world();
    if let Some(error) = &world.resource::<Script>().failed {
        return Err((FAILED, error.clone()));
    }
    let mut written = Vec::new();
    for (path, outcome) in &world.resource::<Pictures>().done {
        outcome
            .as_ref()
            .map_err(|error| (FAILED, format!("{}: {error}", path.display())))?;
        written.push(path.display().to_string());
    }
    let editor = &world.resource::<Desk>().editor;
    eprintln!(
        "{} picture(s) in {:.1} s",
        written.len(),
        start.elapsed().as_secs_f64()
    );
    if arguments.json {
        let facts = serde_json::json!({
            "pictures": written,
            "size": [arguments.size.x, arguments.size.y],
            "pieces": editor.scene().pieces.len(),
            "problems": editor.problems.len(),
            "unsaved": editor.document.is_dirty(),
            "seconds": start.elapsed().as_secs_f64(),
        });
        println!("{facts}");
    }
    Ok(())
}
