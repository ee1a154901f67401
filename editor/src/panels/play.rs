//! The play bar: time, who acts, what a person can do with what is selected, and how the episode stands.

use std::path::PathBuf;

use egui::{Button, ComboBox, Slider, TextEdit, Ui};

use crate::action::Action;
use crate::editor::Editor;
use crate::play::{Play, Policy};
use crate::scene::ItemId;

/// Verbs that are shown at once; the rest can be searched for.
const VERBS: usize = 60;

/// What a person has typed into the bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayBar {
    /// Folder of the store to record into.
    pub store: String,
    /// Seed of the next reset.
    pub seed: u64,
    /// Words that a verb's sentence must have.
    pub search: String,
}

impl Default for PlayBar {
    fn default() -> Self {
        Self {
            store: "runs/teleoperation".to_owned(),
            seed: 1,
            search: String::new(),
        }
    }
}

/// Draws the bar, and carries out what is clicked.
pub fn show(ui: &mut Ui, editor: &mut Editor) {
    let selection: Vec<ItemId> = editor.selection.iter().copied().collect();
    let actions = bar(ui, &editor.play, &mut editor.play_bar, &selection);
    super::perform(editor, &actions);
}

fn bar(ui: &mut Ui, play: &Play, bar: &mut PlayBar, selection: &[ItemId]) -> Vec<Action> {
    let mut wanted = Vec::new();
    if !play.is_on() {
        ui.horizontal(|ui| {
            if ui.button("▶ Play the scenario").clicked() {
                wanted.push(Action::Play);
            }
            ui.label("A copy of the document is played; nothing in it changes.");
        });
        return wanted;
    }
    let mut tell = |action| wanted.push(action);
    ui.horizontal_wrapped(|ui| time(ui, play, bar, &mut tell));
    ui.horizontal_wrapped(|ui| actor(ui, play, bar, &mut tell));
    if ui.button("⏹ Stop playing").clicked() {
        wanted.push(Action::Stop);
    }
    ui.separator();
    standing(ui, play);
    ui.separator();
    let mut tell = |action| wanted.push(action);
    verbs(ui, play, bar, selection, &mut tell);
    wanted
}

fn time(ui: &mut Ui, play: &Play, bar: &mut PlayBar, tell: &mut impl FnMut(Action)) {
    let status = play.status();
    let (label, action) = if status.playing {
        ("⏸ Pause", Action::Pause)
    } else {
        ("▶ Play", Action::Play)
    };
    if ui.button(label).clicked() {
        tell(action);
    }
    let hover = "Finish what is under way, or make the next action";
    if ui.button("⏭ Step").on_hover_text(hover).clicked() {
        tell(Action::Step);
    }
    let frame = ui.button("Frame").on_hover_text("Show the next 1/60 s");
    if frame.clicked() {
        tell(Action::PlayFrame);
    }
    if ui
        .button("⏮ Restart")
        .on_hover_text("The same episode from its start")
        .clicked()
    {
        tell(Action::Reset);
    }
    if ui
        .button("Next episode")
        .on_hover_text("Things lie elsewhere where the scenario leaves it open")
        .clicked()
    {
        tell(Action::PlayNext);
    }
    ui.label("Seed");
    ui.add(egui::DragValue::new(&mut bar.seed));
    if ui.button("Reset to seed").clicked() {
        tell(Action::PlaySeed { seed: bar.seed });
    }
    let mut speed = status.speed;
    let slider = Slider::new(&mut speed, 1.0 / 16.0..=64.0)
        .logarithmic(true)
        .text("× speed");
    if ui.add(slider).changed() {
        tell(Action::Speed {
            times: f64::from(speed),
        });
    }
}

fn actor(ui: &mut Ui, play: &Play, bar: &mut PlayBar, tell: &mut impl FnMut(Action)) {
    let status = play.status();
    ui.label("Who acts");
    ComboBox::from_id_salt("policy")
        .selected_text(status.policy.to_string())
        .show_ui(ui, |ui| {
            for &policy in status.policies {
                let chosen = policy == status.policy;
                if ui.selectable_label(chosen, policy.to_string()).clicked() && !chosen {
                    tell(Action::Policy {
                        name: policy.to_string(),
                    });
                }
            }
        });
    match &status.recording {
        Some(recording) => {
            if ui.button("⏺ Stop recording").clicked() {
                tell(Action::Record { path: None });
            }
            let this = if recording.takes_this {
                "this episode is kept when it ends"
            } else {
                "this episode is not recorded (any more)"
            };
            ui.label(format!(
                "{} episodes in {}; {this}",
                recording.episodes,
                recording.dir.display()
            ));
        }
        None => {
            let field = TextEdit::singleline(&mut bar.store).desired_width(180.0);
            ui.label("Store");
            ui.add(field);
            let can = !bar.store.trim().is_empty();
            if ui.add_enabled(can, Button::new("⏺ Record")).clicked() {
                tell(Action::Record {
                    path: Some(PathBuf::from(bar.store.trim())),
                });
            }
        }
    }
}

fn standing(ui: &mut Ui, play: &Play) {
    let status = play.status();
    let [steps, most] = status.steps;
    ui.label(format!(
        "Episode {} of seed {}, action {steps} of {most}, {:.1} s simulated, reward {:.1}",
        status.index, status.seed, status.seconds, status.reward
    ));
    if status.task.is_empty() {
        ui.label("Nothing is wanted: the house is explored.");
    } else {
        ui.strong(&status.task);
    }
    for (fact, holds) in &status.goal {
        ui.label(format!("{} {fact}", if *holds { "✔" } else { "✘" }));
    }
    if status.waiting {
        ui.label(format!("The {} is thinking…", status.policy));
    } else if !status.last.is_empty() {
        ui.label(&status.last);
    }
    if let Some(refusal) = &status.refusal {
        ui.colored_label(ui.visuals().warn_fg_color, format!("Refused: {refusal}"));
    }
    if let Some(ended) = &status.ended {
        ui.strong(format!("{ended} “Next episode” starts another one."));
    }
    if let Some(note) = &status.note {
        ui.colored_label(ui.visuals().warn_fg_color, note);
    }
}

fn verbs(
    ui: &mut Ui,
    play: &Play,
    bar: &mut PlayBar,
    selection: &[ItemId],
    tell: &mut impl FnMut(Action),
) {
    if play.status().policy != Policy::Teleoperation {
        return;
    }
    let all = play.verbs(selection);
    let words = bar.search.to_lowercase();
    let found: Vec<_> = all
        .iter()
        .filter(|p| {
            let sentence = p.sentence.to_lowercase();
            words.split_whitespace().all(|word| sentence.contains(word))
        })
        .collect();
    ui.horizontal(|ui| {
        ui.label(if selection.is_empty() {
            "Select something to see what can be done with it."
        } else {
            "What can be done:"
        });
        let field = TextEdit::singleline(&mut bar.search);
        ui.add(field.hint_text("search").desired_width(120.0));
    });
    ui.horizontal_wrapped(|ui| {
        for possible in found.iter().take(VERBS) {
            if ui.button(&possible.sentence).clicked() {
                tell(Action::Verb {
                    line: possible.line.clone(),
                });
            }
        }
    });
    if found.len() > VERBS {
        ui.label(format!("and {} more: search", found.len() - VERBS));
    }
}

#[cfg(test)]
mod tests {
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable as _;

    use super::*;
    use crate::document::Document;
    use crate::play::Status;
    use crate::play::tests::{KITCHEN, item, wait};

    /// A person clicks through an episode.
    #[test]
    fn what_is_selected_can_be_used_by_a_click() {
        let mut editor = Editor::with(Document::from_text(KITCHEN));
        editor.selection.insert(item("mug"));
        let mut harness = Harness::new_ui_state(
            |ui, editor: &mut Editor| {
                editor.tick(0.0);
                show(ui, editor);
            },
            editor,
        );
        harness.get_by_label("▶ Play the scenario").click();
        harness.run_steps(2);
        assert!(harness.state().play.is_on());
        let watch = |harness: &mut Harness<'_, Editor>, is: &dyn Fn(&Status) -> bool| {
            wait(&mut harness.state_mut().play, is);
            harness.run_steps(2);
        };
        watch(&mut harness, &|status| !status.possible.is_empty());
        let speed = Action::Speed { times: 64.0 };
        harness.state_mut().dispatch(&speed).unwrap();
        for (verb, steps) in [("[WALK]", 1), ("[GRAB]", 2)] {
            let mug = [item("mug")];
            let verbs = harness.state().play.verbs(&mug);
            let found = verbs.iter().find(|p| p.line.starts_with(verb)).unwrap();
            let sentence = found.sentence.clone();
            harness.get_by_label(&sentence).click();
            harness.run_steps(2);
            watch(&mut harness, &|status| status.steps[0] == steps);
            let status = harness.state().play.status();
            assert_eq!((&status.last, &status.refusal), (&sentence, &None));
        }
        assert!(harness.state().scene_revision() > 2);
        harness.get_by_label("⏹ Stop playing").click();
        harness.run_steps(2);
        harness.get_by_label("▶ Play the scenario");
    }
}
