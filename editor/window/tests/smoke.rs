//! The program itself on a display without a screen, with a mouse and keys: what a person does first, done for real.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Software rendering on a busy machine takes seconds a frame; what never comes is told from what is slow by this.
const PATIENCE: Duration = Duration::from_secs(240);

struct Screen {
    server: Child,
    name: String,
}

impl Screen {
    fn open() -> Self {
        for (program, package) in [("Xvfb", "xvfb"), ("xdotool", "xdotool")] {
            let found = std::env::var_os("PATH").is_some_and(|path| {
                std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
            });
            assert!(
                found,
                "{program} is missing: run ./habitus setup --gui, or apt-get install {package} mesa-vulkan-drivers libvulkan1"
            );
        }
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "1024x700x24",
                "-nolisten",
                "tcp",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts");
        let mut number = String::new();
        let output = server.stdout.take().expect("its output is piped");
        BufReader::new(output)
            .read_line(&mut number)
            .expect("Xvfb says its number");
        Self {
            server,
            name: format!(":{}", number.trim()),
        }
    }

    fn xdotool(&self, arguments: &[&str]) {
        let status = Command::new("xdotool")
            .args(arguments)
            .env("DISPLAY", &self.name)
            .stdout(Stdio::null())
            .status();
        assert!(
            status.expect("xdotool runs").success(),
            "xdotool {arguments:?}"
        );
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

struct Window {
    program: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    places: Value,
}

impl Window {
    fn open(screen: &Screen, scenario: &Path) -> Self {
        let folder = scenario.parent().expect("it is in a folder");
        let mut program = Command::new(env!("CARGO_BIN_EXE_edit"))
            .arg(scenario)
            .args(["--size", "1024x700", "--log-actions", "--log-places"])
            .env("DISPLAY", &screen.name)
            .env("XDG_RUNTIME_DIR", folder)
            .env("XDG_STATE_HOME", folder)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the editor starts");
        let output = program.stderr.take().expect("its output is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            program,
            lines,
            said: Vec::new(),
            places: Value::Null,
        }
    }

    /// Reads on until `done`.
    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!(
                    "{what} never came; said: {:#?}; seen: {}",
                    self.said, self.places
                );
            };
            match line.strip_prefix("places: ") {
                Some(places) => self.places = serde_json::from_str(places).expect("it is JSON"),
                None => self.said.push(line),
            }
        }
    }

    fn wait_for_action(&mut self, action: &str) {
        let said = |window: &Self| {
            window
                .said
                .iter()
                .any(|line| line.starts_with(&format!("action: {action}")))
        };
        self.wait(action, said);
        self.said.clear();
    }

    /// Moves the mouse and waits until the program knows.
    fn point(&mut self, screen: &Screen, at: [f64; 2]) {
        let [x, y] = at.map(|part| part.to_string());
        screen.xdotool(&["mousemove", &x, &y]);
        self.wait("the pointer", |window| {
            point(&window.places["pointer"]) == Some(at)
        });
    }

    fn press(&mut self, screen: &Screen, down: bool) {
        screen.xdotool(&[if down { "mousedown" } else { "mouseup" }, "1"]);
        self.wait("the button", |window| window.places["pressed"] == down);
    }

    fn click(&mut self, screen: &Screen, at: [f64; 2]) {
        self.point(screen, at);
        self.press(screen, true);
        self.press(screen, false);
    }

    /// Where something named is seen.
    fn seen(&mut self, path: &[&str]) -> [f64; 2] {
        fn at(window: &Window, path: &[&str]) -> Option<[f64; 2]> {
            let mut value = &window.places;
            for name in path {
                value = match name.parse::<usize>() {
                    Ok(index) => &value[index],
                    Err(_) => &value[*name],
                };
            }
            point(value)
        }
        self.wait(&path.join(" "), |window| at(window, path).is_some());
        at(self, path).expect("it is seen")
    }

    /// What of the view changes while a button is held and the mouse moves: focus (3), yaw, pitch, distance.
    fn look(&mut self, screen: &Screen, button: &str, from: [f64; 2]) -> Vec<f64> {
        let view = |window: &Self| -> Vec<f64> {
            let view = window.places["view"].as_array().into_iter().flatten();
            view.filter_map(Value::as_f64).collect()
        };
        self.point(screen, from);
        let before = view(self);
        screen.xdotool(&["mousedown", button]);
        for share in [0.5, 1.0] {
            // A frame that sees the button down, or the mouse there.
            std::thread::sleep(Duration::from_millis(300));
            if button != "4" {
                let [x, y] = from;
                self.point(screen, [x + (60.0 * share), y + (20.0 * share)]);
            }
        }
        self.wait("another view", |window| view(window) != before);
        screen.xdotool(&["mouseup", button]);
        // A frame that sees the button up: what follows is no part of this.
        std::thread::sleep(Duration::from_millis(500));
        let after = view(self);
        after.iter().zip(&before).map(|(a, b)| a - b).collect()
    }

    fn drag(&mut self, screen: &Screen, from: [f64; 2], to: [f64; 2]) {
        self.point(screen, from);
        self.press(screen, true);
        for share in [0.25, 0.5, 0.75, 1.0] {
            self.point(
                screen,
                [0, 1].map(|axis| (from[axis] + share * (to[axis] - from[axis])).round()),
            );
        }
        self.press(screen, false);
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.program.kill().ok();
        self.program.wait().ok();
    }
}

fn point(value: &Value) -> Option<[f64; 2]> {
    Some([value[0].as_f64()?, value[1].as_f64()?])
}

#[test]
fn a_mug_is_put_on_a_table_moved_undone_redone_and_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = copy("studio.toml", folder.path());
    let before = std::fs::read_to_string(&scenario).expect("it can be read");
    let screen = Screen::open();
    let mut window = Window::open(&screen, &scenario);

    window.wait("the palette", |window| {
        point(&window.places["palette"]["search"]).is_some()
    });
    window.wait("the home", |window| {
        point(&window.places["objects"]["kitchen table"]).is_some()
    });
    screen.xdotool(&[
        "search",
        "--sync",
        "--onlyvisible",
        "--name",
        "habitus",
        "windowfocus",
    ]);
    let search = point(&window.places["palette"]["search"]).expect("it is there");
    window.point(&screen, search);
    window.press(&screen, true);
    window.press(&screen, false);
    screen.xdotool(&["type", "--delay", "100", "mug"]);
    window.wait("one class in the palette", |window| {
        window.places["palette"]
            .as_object()
            .is_some_and(|palette| palette.len() == 2)
    });
    let mug = point(&window.places["palette"]["mug"]).expect("it is found");
    let table = point(&window.places["objects"]["kitchen table"]).expect("it is in view");
    window.drag(&screen, mug, table);
    window.wait_for_action("object.place mug on \"kitchen table\"");

    window.wait("the handles", |window| {
        point(&window.places["handle"][0]).is_some()
    });
    let (grip, end) = (
        point(&window.places["handle"][0]),
        point(&window.places["handle"][1]),
    );
    window.drag(
        &screen,
        grip.expect("it is in view"),
        end.expect("it is in view"),
    );
    window.wait_for_action("object.move ");
    for (keys, action) in [
        ("ctrl+z", "edit.undo"),
        ("ctrl+shift+z", "edit.redo"),
        ("ctrl+s", "file.save"),
    ] {
        screen.xdotool(&["key", keys]);
        window.wait_for_action(action);
    }
    window.wait("the file", |window| window.places["unsaved"] == false);

    let after = std::fs::read_to_string(&scenario).expect("it can be read");
    let added = added(&before, &after);
    assert!(added.contains("class = \"mug\""), "{added}");
    assert_eq!(
        added.matches("[[").count(),
        1,
        "only the mug was added: {added}"
    );

    screen.xdotool(&["key", "ctrl+q"]);
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = window.program.try_wait().expect("it can be asked") {
            assert!(status.success(), "{status}");
            break;
        }
        assert!(Instant::now() < end, "the editor does not close");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A room with a table, a bookshelf and someone who looks on.
const ROOM: &str = r#"schema = "habitus.scenario/1"
name = "Room"
[[room]]
name = "hall"
corners = [[0.0, 0.0], [5.0, 0.0], [5.0, 4.0], [0.0, 4.0]]
[[object]]
class = "kitchen table"
at = [1.2, 2.8]
[[object]]
class = "bookshelf"
at = [3.8, 2.8]
[[object]]
class = "mug"
on = "kitchen table"
[[agent]]
body.walker = { room = "hall" }
"#;

#[test]
fn the_mouse_looks_around_selects_turns_resizes_and_pulls() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = folder.path().join("room.toml");
    std::fs::write(&scenario, ROOM).expect("it can be written");
    let screen = Screen::open();
    let mut window = Window::open(&screen, &scenario);
    let floor = window.seen(&["objects", "hall"]);
    screen.xdotool(&[
        "search",
        "--sync",
        "--onlyvisible",
        "--name",
        "habitus",
        "windowfocus",
    ]);

    // Right turns, middle shifts, the wheel zooms.
    let turned = window.look(&screen, "3", floor);
    assert!(turned[3] != 0.0 && turned[4] != 0.0, "{turned:?}");
    assert_eq!(turned[..3], [0.0; 3]);
    let shifted = window.look(&screen, "2", floor);
    assert!(shifted[0] != 0.0 && shifted[1] != 0.0, "{shifted:?}");
    assert_eq!(shifted[3..], [0.0; 3]);
    let zoomed = window.look(&screen, "4", floor);
    assert!(zoomed[5] < 0.0, "{zoomed:?}");
    screen.xdotool(&["key", "5"]);
    window.wait_for_action("view.home");
    window.wait("the view from the corner", |window| {
        let pitch = window.places["view"][4].as_f64();
        pitch.is_some_and(|pitch| (pitch - 0.85).abs() < 1e-6) && window.places["gliding"] == false
    });

    // A click selects one, with shift one more.
    let shelf = window.seen(&["objects", "bookshelf"]);
    window.click(&screen, shelf);
    window.wait_for_action("select.only object:1");
    let table = window.seen(&["objects", "kitchen table"]);
    screen.xdotool(&["keydown", "shift"]);
    window.click(&screen, table);
    window.wait_for_action("select.toggle object:0");
    screen.xdotool(&["keyup", "shift"]);

    // The ring turns what is selected.
    window.click(&screen, shelf);
    window.wait_for_action("select.only object:1");
    screen.xdotool(&["key", "r"]);
    window.wait_for_action("gizmo.rotate");
    let (grip, end) = (window.seen(&["ring", "0"]), window.seen(&["ring", "1"]));
    window.drag(&screen, grip, end);
    window.wait_for_action("object.rotate ");

    // A corner of the selected room leads its walls.
    let free = window.seen(&["objects", "hall"]);
    window.click(&screen, free);
    window.wait_for_action("select.only room:0");
    let (from, beside) = (
        window.seen(&["corners", "1"]),
        window.seen(&["corners", "2"]),
    );
    let to = [0, 1].map(|i| (from[i] + 0.2 * (beside[i] - from[i])).round());
    window.drag(&screen, from, to);
    window.wait_for_action("room.resize 1 ");

    // While it is played, what is dragged is pulled at.
    screen.xdotool(&["key", "space"]);
    window.wait_for_action("play.start");
    window.wait("playing", |window| window.places["playing"][1] == 200);
    let mug = window.seen(&["objects", "mug"]);
    window.drag(&screen, mug, [mug[0], mug[1] - 40.0]);
    window.wait_for_action("play.pull object:2");
    let lifted = window.seen(&["objects", "mug"]);
    assert!(lifted[1] < mug[1], "{mug:?} to {lifted:?}");
}

fn copy(scenario: &str, folder: &Path) -> PathBuf {
    let to = folder.join(scenario);
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../scenarios")
        .join(scenario);
    std::fs::copy(from, &to).expect("it can be copied");
    to
}

/// The one stretch of text by which `after` is longer than `before`.
fn added(before: &str, after: &str) -> String {
    let same = |a: &mut dyn Iterator<Item = u8>, b: &mut dyn Iterator<Item = u8>| {
        a.zip(b).take_while(|(a, b)| a == b).count()
    };
    let front = same(&mut before.bytes(), &mut after.bytes());
    let back = same(&mut before.bytes().rev(), &mut after.bytes().rev()).min(before.len() - front);
    assert_eq!(
        front + back,
        before.len(),
        "something else changed:\n{after}"
    );
    after[front..after.len() - back].to_owned()
}
