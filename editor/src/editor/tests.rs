//! What a person does has the effect that they expect, on whatever document is open.

use tempfile::TempDir;

use super::*;
use crate::action::ACTIONS;
use crate::scene::Kind;

const HOME: &str = include_str!("../../../scenarios/family_flat.toml");
const HAND: &str = "
[[agent]]
body.hand = { room = \"kitchen\", at = [2.5, 2.0, 1.2], model = \"myohand\" }
";

fn home() -> Editor {
    let mut editor = Editor::with(Document::from_text(HOME));
    editor.settle();
    assert_eq!(editor.problems, []);
    editor
}

/// Does lines of a script, all of which can be done.
fn script(editor: &mut Editor, lines: &[&str]) {
    for line in lines {
        let action = Action::parse(line).unwrap();
        editor
            .dispatch(&action)
            .unwrap_or_else(|e| panic!("{line}: {e}"));
    }
}

fn valid(editor: &mut Editor) {
    editor.settle();
    assert_eq!(editor.problems, []);
}

/// Lines that are in one text and not in the other.
fn changed(editor: &Editor) -> Vec<String> {
    let mut old: Vec<&str> = HOME.lines().collect();
    let mut new = Vec::new();
    for line in editor.document.text().lines() {
        match old.iter().position(|o| *o == line) {
            Some(i) => drop(old.remove(i)),
            None => new.push(format!("+{line}")),
        }
    }
    new.extend(old.iter().map(|line| format!("-{line}")));
    new
}

const TASK: &str =
    "schema = \"habitus.hand_task/1\"\nname = \"Hold\"\nhand = \"myohand\"\ntask.hold = {}\n";

#[test]
fn every_action_can_be_done_on_any_document_without_a_panic() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("home.toml");
    let hand = format!("{HOME}{HAND}");
    for text in [HOME, hand.as_str(), TASK, "", "name = ["] {
        for select in [
            "object:0",
            "object:40",
            "room:0",
            "door:0",
            "agent:0",
            "agent:1",
            "goal:0",
            "",
        ] {
            for spec in ACTIONS {
                std::fs::write(&path, text).unwrap();
                let mut editor = Editor::open(&path).unwrap();
                let select = Action::SelectOnly {
                    item: Item(select.to_owned()),
                };
                editor.act(&select);
                let action = Action::parse(spec.example).unwrap();
                editor.act(&action);
                editor.tick(1.0);
                assert!(editor.document.broken().is_none() || text == "name = [");
                while editor.document.undo().is_some() {}
                if !matches!(action, Action::New | Action::Recent { .. }) {
                    assert_eq!(editor.document.text(), text, "{}", spec.name);
                }
            }
        }
    }
}

#[test]
fn a_mug_is_placed_on_the_table_below_the_pointer_moved_and_saved() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("home.toml");
    std::fs::write(&path, HOME).unwrap();
    let mut editor = Editor::open(&path).unwrap();
    editor.settle();
    let table = editor.home.resolve("kitchen table").unwrap();
    let [x, y, _] = editor.position(table).unwrap();
    script(&mut editor, &[&format!("object.place mug at {x} {y}")]);
    let mug = [
        "+[[object]]",
        "+class = \"mug\"",
        "+on = \"kitchen table\"",
        "+",
    ];
    assert_eq!(changed(&editor), mug);
    let placed = *editor.selection.first().unwrap();
    let at = editor.position(placed).unwrap();
    assert!((at[0] - x).abs() < 1e-3 && at[2] > 0.5, "{at:?}");

    // Along the table it stays on the table; onto the floor it stands on the floor.
    script(&mut editor, &["object.move 0.1 0"]);
    assert_eq!(changed(&editor), mug);
    assert!((editor.position(placed).unwrap()[0] - x - 0.1).abs() < 1e-3);
    script(&mut editor, &["object.move_to 3.9 3.5"]);
    assert!(
        editor
            .document
            .text()
            .contains("class = \"mug\"\nat = [3.9, 3.5]")
    );
    script(
        &mut editor,
        &["edit.undo", "edit.undo", "edit.redo", "file.save"],
    );
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        editor.document.text()
    );
    assert_eq!(changed(&editor), mug);
    assert!(!editor.document.is_dirty());
}

#[test]
fn everything_that_mentions_a_name_follows_it() {
    let mut editor = home();
    script(
        &mut editor,
        &[
            "goal.add \"Tidy up.\" \"milk INSIDE fridge\" \"fridge CLOSED\"",
            "select.only fridge",
            "object.rename icebox",
        ],
    );
    let text = editor.document.text().to_owned();
    assert!(!text.contains("\"fridge\"") || text.contains("class = \"fridge\""));
    assert!(
        text.contains("all = [\"milk INSIDE icebox\", \"icebox CLOSED\"]"),
        "{text}"
    );
    assert!(text.contains("inside = \"icebox\""));
    valid(&mut editor);
    script(
        &mut editor,
        &["select.only kitchen", "object.rename galley"],
    );
    assert!(
        editor
            .document
            .text()
            .contains("between = [\"galley\", \"living room\"]")
    );
    valid(&mut editor);
    script(&mut editor, &["edit.undo", "edit.undo", "edit.undo"]);
    assert_eq!(editor.document.text(), HOME);
    let error = editor.dispatch(&Action::parse("object.rename \"kitchen table\"").unwrap());
    assert!(error.is_err(), "nothing is selected, or the name is taken");
}

#[test]
fn what_lies_on_a_thing_goes_with_it_and_the_rest_stays_valid() {
    let mut editor = home();
    let before = editor.home.objects.len();
    script(
        &mut editor,
        &["select.only \"kitchen table\"", "object.delete"],
    );
    assert!(editor.home.objects.len() < before);
    editor.settle();
    let about = |p: &LocatedProblem| p.problem.message.contains("kitchen table");
    let goals = editor.problems.iter().filter(|p| about(p));
    for problem in goals {
        // What is wanted of it is for a person to decide.
        assert_eq!(
            problem.item.map(|i| i.table),
            Some(Table::Goal),
            "{problem:?}"
        );
    }
    script(&mut editor, &["edit.undo"]);
    assert_eq!(editor.document.text(), HOME);
}

#[test]
fn copies_have_names_of_their_own() {
    let mut editor = home();
    let count = editor.document.len(Table::Object);
    script(
        &mut editor,
        &["select.only fridge", "select.also sofa", "object.duplicate"],
    );
    assert_eq!(editor.document.len(Table::Object), count + 2);
    assert_eq!(editor.selection.len(), 2);
    let mut titles: Vec<String> = editor
        .home
        .objects
        .iter()
        .map(|o| o.title.clone())
        .collect();
    titles.sort();
    titles.dedup();
    assert_eq!(titles.len(), count + 2);
    script(&mut editor, &["edit.undo", "edit.copy"]);
    assert_eq!(editor.document.text(), HOME);
}

#[test]
fn rooms_and_doors_fit_together() {
    let mut editor = home();
    script(
        &mut editor,
        &[
            "room.add 10.4 0 13 4.2 study",
            "door.add 10.3 1.25",
            "select.only study",
            "room.wall 1 0.5",
            "room.resize 2 13.5 4",
        ],
    );
    let text = editor.document.text();
    assert!(
        text.contains("[[10.4, 0.0], [13.5, 0.0], [13.5, 4.0], [10.4, 4.0]]"),
        "{text}"
    );
    assert!(
        text.contains("between = [\"living room\", \"study\"]"),
        "{text}"
    );
    valid(&mut editor);
    let walls = editor.scene.pieces.iter().filter(|p| p.kind == Kind::Wall);
    assert!(walls.count() >= 12);
    // A room takes along what stands in it, and its doors.
    script(&mut editor, &["select.only bedroom", "object.move 0 1"]);
    assert!(editor.document.text().contains("at = [6.5, 5.2]"));
}

#[test]
fn a_home_with_errors_is_drawn_and_its_problems_are_found() {
    let text = HOME
        .replacen("class = \"fridge\"", "class = \"frigde\"", 1)
        .replacen("on = \"kitchen counter\"", "on = \"moon\"", 1);
    let mut editor = Editor::with(Document::from_text(&text));
    editor.settle();
    assert!(editor.problems.len() >= 2, "{:?}", editor.problems);
    let first = &editor.problems[0];
    let item = first.item.unwrap();
    assert_eq!(editor.home.objects[item.index].class, "frigde");
    let pieces = &editor.scene.pieces;
    let shown = pieces
        .iter()
        .filter(|p| p.item.table == Table::Object)
        .count();
    assert!(shown >= editor.home.objects.len());
    assert!(
        pieces
            .iter()
            .any(|p| p.item == item && p.kind == Kind::Placeholder)
    );
}

#[test]
fn the_preview_shows_what_is_drawn_and_what_could_be() {
    let mut editor = home();
    let count = |editor: &Editor, kind| {
        editor
            .scene
            .pieces
            .iter()
            .filter(|p| p.kind == kind)
            .count()
    };
    assert!(count(&editor, Kind::Ghost) > 5);
    let before = editor.scene();
    script(&mut editor, &["view.reseed 7"]);
    editor.settle();
    assert_ne!(before, editor.scene());
    script(&mut editor, &["view.reseed 1", "view.ghosts off"]);
    editor.settle();
    assert_eq!(count(&editor, Kind::Ghost), 0);
    // What lies on a table moves with it.
    let lies = editor.home.objects.iter().position(
        |o| matches!(&o.places[..], [Place::On(name)] if name == "kitchen table" || name == "desk"),
    );
    let index = lies.unwrap();
    let support = editor.home.parent(index).unwrap();
    let item = |index| ItemId {
        table: Table::Object,
        index,
    };
    let before = editor.position(item(index)).unwrap();
    editor.selection = BTreeSet::from([item(support)]);
    script(&mut editor, &["object.move 0.5 0"]);
    let after = editor.position(item(index)).unwrap();
    assert!((after[0] - before[0] - 0.5).abs() < 1e-3);
}

#[test]
fn checks_run_beside_the_editor() {
    let mut editor = Editor::with(Document::from_text(HOME));
    let mut now = 0.0;
    while editor.is_busy() {
        now += 0.1;
        editor.tick(now);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(editor.problems.is_empty());
    assert!(editor.scene.pieces.iter().any(|p| p.kind == Kind::Ghost));
}

#[test]
fn nobody_loses_unsaved_changes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("home.toml");
    std::fs::write(&path, HOME).unwrap();
    let mut editor = Editor::open(&path).unwrap();
    script(&mut editor, &["scenario.set name Flat", "file.quit"]);
    assert!(editor.wishes().iter().all(|w| *w != Wish::Quit));
    assert!(matches!(editor.dialog, Some(Dialog::Unsaved(_))));
    editor.tick(100.0);
    assert!(editor.document.autosave_path().unwrap().exists());
    script(&mut editor, &["file.save_and_go"]);
    assert_eq!(editor.wishes(), [Wish::Quit]);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        HOME.replace("Family flat", "Flat")
    );

    std::fs::write(&path, format!("{HOME}# theirs\n")).unwrap();
    script(&mut editor, &["scenario.set name Mine"]);
    editor.tick(200.0);
    assert_eq!(
        editor.banner.as_ref().unwrap().choices,
        [Action::KeepMine, Action::LoadTheirs]
    );
    let error = editor.dispatch(&Action::Save).unwrap_err();
    assert!(
        error.to_string().contains("changed by another program"),
        "{error}"
    );
    script(&mut editor, &["file.load_theirs"]);
    assert!(editor.document.text().ends_with("# theirs\n"));
    assert!(editor.banner.is_none());
}

/// A home of 20 rooms with 50 objects each.
fn large() -> String {
    let mut text = "schema = \"habitus.scenario/1\"\nname = \"Large\"\n".to_owned();
    for room in 0..20 {
        let (x, y) = (f64::from(room % 5) * 8.0, f64::from(room / 5) * 8.0);
        let corners = [[x, y], [x + 8.0, y], [x + 8.0, y + 8.0], [x, y + 8.0]];
        text += &format!("\n[[room]]\nname = \"room {room}\"\ncorners = {corners:?}\n");
    }
    for room in 0..20 {
        let (x, y) = (f64::from(room % 5) * 8.0, f64::from(room / 5) * 8.0);
        for i in 0..10 {
            let at = [
                x + 1.5 + f64::from(i % 5) * 1.3,
                y + 2.0 + f64::from(i / 5) * 3.5,
            ];
            text += &format!(
                "\n[[object]]\nname = \"table {room} {i}\"\nclass = \"kitchen table\"\nat = {at:?}\n"
            );
            for class in ["mug", "plate", "glass", "apple"] {
                text += &format!("\n[[object]]\nclass = \"{class}\"\non = \"table {room} {i}\"\n");
            }
        }
    }
    text + "\n[[agent]]\nbody.walker = { room = \"room 0\" }\n"
}

/// CPU milliseconds of this thread.
fn milliseconds(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 * 1e-6
    };
    let start = now();
    work();
    now() - start
}

/// `cargo nextest run -p editor --run-ignored only --no-capture large_home` prints what an update costs.
#[test]
#[ignore = "prints times, which depend on the machine"]
fn updates_of_a_large_home() {
    let mut editor = Editor::with(Document::from_text(&large()));
    println!("check: {:.2} ms", milliseconds(|| editor.settle()));
    println!("problems: {:?}", editor.problems.first());
    println!(
        "objects: {}, pieces: {}",
        editor.home.objects.len(),
        editor.scene.pieces.len()
    );
    let median = |name: &str, editor: &mut Editor, work: &mut dyn FnMut(&mut Editor, u32)| {
        let mut times: Vec<f64> = (0..101).map(|i| milliseconds(|| work(editor, i))).collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{name}: median {:.2} ms, worst {:.2} ms (n = 101)",
            times[50], times[100]
        );
    };
    script(&mut editor, &["select.only \"table 3 4\""]);
    editor.begin_gesture("Move");
    median(
        "drag a table with four things on it",
        &mut editor,
        &mut |editor, i| {
            let x = if i % 2 == 0 { 0.01 } else { -0.01 };
            editor.act(&Action::Move { x, y: 0.0, z: None });
        },
    );
    editor.end_gesture();
    median("undo and redo", &mut editor, &mut |editor, i| {
        editor.act(if i % 2 == 0 {
            &Action::Undo
        } else {
            &Action::Redo
        });
    });
    median("place a mug", &mut editor, &mut |editor, i| {
        let spot = Some(Spot::On(format!("table {} {}", i % 20, i % 10)));
        editor.act(&Action::Place {
            class: "mug".to_owned(),
            spot,
        });
    });
    median(
        "delete a mug and take it back",
        &mut editor,
        &mut |editor, i| {
            if i % 2 == 0 {
                let item = Item("mug".to_owned());
                editor.act(&Action::SelectOnly { item });
                editor.act(&Action::Delete);
            } else {
                editor.act(&Action::Undo);
            }
        },
    );
    let (document, view, preview) = (
        editor.document.clone(),
        editor.view.clone(),
        editor.preview.clone(),
    );
    median("of which: read the tree", &mut editor, &mut |_, _| {
        drop(Home::read(&document))
    });
    let home = Home::read(&document);
    median("of which: project", &mut editor, &mut |_, _| {
        drop(project(&home, &preview, &view))
    });
    median("of which: print the tree", &mut editor, &mut |_, _| {
        drop(document.tree().to_string())
    });
    median("of which: parse", &mut editor, &mut |_, _| {
        drop(document.text().parse::<toml_edit::DocumentMut>());
    });
}
