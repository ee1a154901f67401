//! People reach everything with mouse and keyboard.

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::*;
use crate::action::Action;
use crate::document::Document;
use crate::scene::{ItemId, Table};

const HOME: &str = include_str!("../../../scenarios/family_flat.toml");

fn harness(text: &str) -> Harness<'static, Editor> {
    let mut editor = Editor::with(Document::from_text(text));
    editor.settle();
    let mut harness = Harness::builder()
        .with_size([1280.0, 720.0])
        .build_ui_state(
            |ui, editor: &mut Editor| {
                show_in(ui, editor);
            },
            editor,
        );
    harness.run();
    harness
}

#[test]
fn the_view_has_room_between_the_panels() {
    let mut editor = Editor::with(Document::from_text(HOME));
    editor.settle();
    let mut harness = Harness::builder()
        .with_size([1280.0, 720.0])
        .build_ui_state(
            |ui, (editor, left): &mut (Editor, Rect)| *left = show_in(ui, editor),
            (editor, Rect::NOTHING),
        );
    harness.run();
    let left = harness.state().1;
    assert!(left.width() >= 740.0 && left.height() >= 400.0, "{left:?}");
    harness
        .state_mut()
        .0
        .act(&Action::Panels { show: Some(false) });
    harness.run();
    assert!(harness.state().1.width() >= 1250.0);
}

#[test]
fn an_object_is_placed_from_the_palette_and_taken_back() {
    let mut harness = harness(HOME);
    harness.get_by_label_contains("Appliances").click();
    harness.run();
    let chips: Vec<_> = harness.query_all_by_label_contains("freezer").collect();
    chips.last().unwrap().click();
    harness.run();
    let before = harness.state().document.len(Table::Object);
    assert_eq!(harness.state().document.history_len(), 1);
    harness.get_by_label("⟲ Undo").click();
    harness.run();
    assert_eq!(harness.state().document.text(), HOME);
    assert_eq!(harness.state().document.len(Table::Object), before - 1);
}

/// The forms of a hand's task come from its own schema.
#[test]
fn a_hands_task_is_chosen_and_its_numbers_are_typed() {
    const TASK: &str = "schema = \"habitus.hand_task/1\"\nname = \"Pose\"\nhand = \"myohand\" # left\ntask.pose = { share = 0.5 }\n";
    let mut harness = harness(TASK);
    harness.state_mut().settle();
    assert_eq!(harness.state().problems, []);
    let pieces = &harness.state().scene().pieces;
    assert!(pieces.len() > 39, "the hand is seen: {}", pieces.len());
    harness.run();
    harness.get_by_label("Hand task");
    harness.get_by_label("share");
    // What is left out is added with its default.
    let field = schema::top(true).iter().find(|f| f.name == "frame_skip");
    assert_eq!(field.unwrap().default, Some(10.into()));
    for (line, expected) in [
        ("scenario.set task.pose.share 0.25", "share = 0.25"),
        ("scenario.set task \"{ reach = {} }\"", "reach = {}"),
        ("scenario.unset about", "reach = {}"),
    ] {
        let action = Action::parse(line).unwrap();
        harness.state_mut().dispatch(&action).unwrap();
        let text = harness.state().document.text();
        assert!(text.contains(expected) && text.contains("# left"), "{text}");
    }
    harness.state_mut().settle();
    assert_eq!(harness.state().problems, []);
    let wrong = Action::parse("scenario.set frame_skip 0").unwrap();
    harness.state_mut().dispatch(&wrong).unwrap();
    harness.state_mut().settle();
    let problem = &harness.state().problems[0].problem;
    assert!(problem.message.contains("1 to 1000"), "{problem:?}");
}

#[test]
fn a_name_is_typed_into_the_inspector() {
    let mut harness = harness(HOME);
    harness
        .state_mut()
        .act(&Action::parse("select.only sofa").unwrap());
    harness.run();
    let id = Id::new((
        "object",
        harness.state().home().find("sofa"),
        &"name".to_owned(),
    ));
    harness.ctx.memory_mut(|m| m.request_focus(id));
    harness.run();
    harness.event(egui::Event::Text("old sofa".to_owned()));
    harness.run();
    harness.key_press(egui::Key::Enter);
    harness.run();
    assert!(
        harness
            .state()
            .document
            .text()
            .contains("name = \"old sofa\"")
    );
    assert_eq!(
        harness.state().document.undo_label(),
        Some("Rename sofa to old sofa")
    );
}

#[test]
fn a_problem_is_clicked_and_its_entry_selected() {
    let text = HOME.replacen("class = \"fridge\"", "class = \"frigde\"", 1);
    // A document with errors opens with them listed.
    let mut harness = harness(&text);
    harness.get_by_label_contains("Problems (1)");
    harness.get_by_label_contains("untitled:").click();
    harness.run();
    let fridge = ItemId {
        table: Table::Object,
        index: 0,
    };
    assert!(harness.state().selection.contains(&fridge));
    assert!(
        harness
            .state_mut()
            .wishes()
            .contains(&crate::editor::Wish::FrameSelection)
    );
}

#[test]
fn keys_and_the_command_palette_do_actions() {
    let mut harness = harness(HOME);
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    harness.run();
    assert!(harness.state().selection.len() > 60);
    harness.key_press_modifiers(
        egui::Modifiers::COMMAND | egui::Modifiers::SHIFT,
        egui::Key::P,
    );
    harness.run();
    harness.event(egui::Event::Text("select.only sofa".to_owned()));
    harness.run();
    harness.key_press(egui::Key::Enter);
    harness.run();
    assert_eq!(harness.state().selection.len(), 1);
    assert!(harness.state().dialog.is_none());
}

#[test]
fn leaving_with_unsaved_changes_asks() {
    let mut harness = harness(HOME);
    harness
        .state_mut()
        .act(&Action::parse("scenario.set name Flat").unwrap());
    harness.state_mut().act(&Action::Quit);
    harness.run();
    harness.get_by_label("Discard").click();
    harness.run();
    assert!(
        harness
            .state_mut()
            .wishes()
            .contains(&crate::editor::Wish::Quit)
    );
}

#[test]
fn every_page_and_selection_can_be_shown() {
    for text in [HOME, "", "name = ["] {
        let mut harness = harness(text);
        for (page, ..) in Page::ALL {
            for select in [
                "object:0",
                "object:30",
                "room:0",
                "door:0",
                "agent:0",
                "goal:0",
            ] {
                harness.state_mut().page = page;
                let line = format!("select.also {select}");
                harness.state_mut().act(&Action::parse(&line).unwrap());
                harness.run();
                let line = format!("select.only {select}");
                harness.state_mut().act(&Action::parse(&line).unwrap());
                harness.run();
            }
        }
    }
}

#[test]
fn the_font_has_every_sign_that_is_shown() {
    let files = [
        include_str!("bars.rs"),
        include_str!("dialogs.rs"),
        include_str!("goals.rs"),
        include_str!("hierarchy.rs"),
        include_str!("inspector.rs"),
        include_str!("palette.rs"),
        include_str!("problems.rs"),
        include_str!("text.rs"),
        include_str!("../action.rs"),
    ];
    let harness = harness(HOME);
    let font = egui::FontId::proportional(12.0);
    harness.ctx.fonts_mut(|fonts| {
        for sign in files
            .iter()
            .flat_map(|f| f.chars())
            .filter(|c| !c.is_ascii())
        {
            assert!(
                fonts.has_glyph(&font, sign),
                "{sign} ({:x})",
                u32::from(sign)
            );
        }
    });
}
