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
