//! Recorded episodes: the store's list, the timeline, what happened at the cursor, and curves.

use std::collections::BTreeSet;
use std::path::PathBuf;

use egui::{Button, ComboBox, DragValue, ScrollArea, Slider, TextEdit, Ui};
use egui_plot::{Line, Plot, PlotPoints, VLine};

use crate::action::Action;
use crate::editor::Editor;
use crate::episodes::{Episodes, Opened, SignalGroup};

/// What a person has typed into the panel.
#[derive(Clone, Debug, PartialEq)]
pub struct EpisodesPanel {
    /// Folder of the store to open.
    pub store: String,
    /// Folder that pictures are exported to.
    pub export: String,
}

impl Default for EpisodesPanel {
    fn default() -> Self {
        Self {
            store: "runs/episodes".to_owned(),
            export: "runs/pictures".to_owned(),
        }
    }
}

/// Draws the panel, and carries out what is clicked.
pub fn show(ui: &mut Ui, editor: &mut Editor) {
    let actions = panel(ui, &mut editor.episodes, &mut editor.episodes_panel);
    super::perform(editor, &actions);
}

fn panel(ui: &mut Ui, episodes: &mut Episodes, panel: &mut EpisodesPanel) -> Vec<Action> {
    let mut wanted = Vec::new();
    store(ui, episodes, panel, &mut wanted);
    if episodes.dir().is_none() {
        return wanted;
    }
    filters(ui, episodes);
    list(ui, episodes, &mut wanted);
    if let Some(opened) = episodes.opened() {
        ui.separator();
        heading(ui, opened, &mut wanted);
        timeline(ui, episodes, opened, &mut wanted);
        details(ui, episodes);
        plots(ui, episodes, opened, &mut wanted);
        export(ui, opened, panel, &mut wanted);
    }
    wanted
}

fn store(ui: &mut Ui, episodes: &Episodes, panel: &mut EpisodesPanel, wanted: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        ui.label("Store");
        ui.add(TextEdit::singleline(&mut panel.store).desired_width(200.0));
        let can = !panel.store.trim().is_empty();
        if ui.add_enabled(can, Button::new("Open store")).clicked() {
            wanted.push(Action::EpisodesOpen {
                path: Some(PathBuf::from(panel.store.trim())),
            });
        }
    });
    if let Some(trouble) = episodes.trouble() {
        ui.colored_label(ui.visuals().error_fg_color, &trouble.message);
        if trouble.repairable {
            let hover = "Moves damaged files to the store's folder \"rejected\" and lists what is whole; deletes nothing";
            if ui.button("Repair the store").on_hover_text(hover).clicked() {
                wanted.push(Action::EpisodesRepair);
            }
        }
    }
}

fn filters(ui: &mut Ui, episodes: &mut Episodes) {
    let names = |of: fn(&crate::episodes::Row) -> &String| -> Vec<String> {
        let names: BTreeSet<&String> = episodes.all_rows().iter().map(of).collect();
        names.into_iter().cloned().collect()
    };
    let (scenarios, policies) = (names(|r| &r.scenario), names(|r| &r.policy));
    let filter = &mut episodes.filter;
    ui.horizontal_wrapped(|ui| {
        let field = TextEdit::singleline(&mut filter.words).desired_width(120.0);
        ui.add(field.hint_text("words"));
        choice(ui, "scenario", &mut filter.scenario, &scenarios);
        choice(ui, "policy", &mut filter.policy, &policies);
        let shown = match filter.success {
            None => "any outcome",
            Some(true) => "reached",
            Some(false) => "not reached",
        };
        ComboBox::from_id_salt("success")
            .selected_text(shown)
            .show_ui(ui, |ui| {
                ui.selectable_value(&mut filter.success, None, "any outcome");
                ui.selectable_value(&mut filter.success, Some(true), "reached");
                ui.selectable_value(&mut filter.success, Some(false), "not reached");
            });
        ui.label("steps from");
        ui.add(DragValue::new(&mut filter.steps[0]).range(0..=1_000_000));
        ui.label("to");
        let mut most = filter.steps[1].min(1_000_000);
        if ui
            .add(DragValue::new(&mut most).range(0..=1_000_000))
            .changed()
        {
            filter.steps[1] = most;
        }
    });
}

fn choice(ui: &mut Ui, what: &str, chosen: &mut Option<String>, names: &[String]) {
    let any = format!("any {what}");
    ComboBox::from_id_salt(what)
        .selected_text(chosen.as_deref().unwrap_or(&any))
        .show_ui(ui, |ui| {
            ui.selectable_value(chosen, None, &any);
            for name in names {
                ui.selectable_value(chosen, Some(name.clone()), name);
            }
        });
}

fn list(ui: &mut Ui, episodes: &Episodes, wanted: &mut Vec<Action>) {
    let rows: Vec<_> = episodes.rows().collect();
    let more = if episodes.is_listing() { "…" } else { "" };
    ui.label(format!(
        "{} of {} episodes{more}",
        rows.len(),
        episodes.all_rows().len()
    ));
    let open = episodes.opened().map(|o| o.position);
    let compared = episodes.compared().map(|o| o.position);
    let height = ui.text_style_height(&egui::TextStyle::Button) + 4.0;
    ScrollArea::vertical()
        .id_salt("episodes")
        .max_height(180.0)
        .auto_shrink([false, true])
        .show_rows(ui, height, rows.len(), |ui, shown| {
            for row in &rows[shown] {
                ui.horizontal(|ui| {
                    let outcome = match row.success {
                        Some(true) => "✔",
                        Some(false) => "✘",
                        None => "–",
                    };
                    let label = format!(
                        "{outcome} {} {} · {} · {} steps · {}",
                        row.scenario, row.index, row.policy, row.steps, row.task
                    );
                    let selected = open == Some(row.position);
                    if ui.selectable_label(selected, label).clicked() {
                        wanted.push(Action::EpisodesSelect {
                            number: row.position as u64,
                        });
                    }
                    if open.is_some() && !selected {
                        let over = compared == Some(row.position);
                        if ui.selectable_label(over, "compare").clicked() {
                            wanted.push(if over {
                                Action::EpisodesAlone
                            } else {
                                Action::EpisodesCompare {
                                    number: row.position as u64,
                                }
                            });
                        }
                    }
                });
            }
        });
}

fn heading(ui: &mut Ui, opened: &Opened, wanted: &mut Vec<Action>) {
    let header = &opened.episode.header;
    ui.horizontal(|ui| {
        ui.strong(format!(
            "{}, episode {}, seed {}, {}, {}",
            header.scenario, header.index, header.seed, header.policy, header.fidelity
        ));
        if ui.button("Close episode").clicked() {
            wanted.push(Action::EpisodesLeave);
        }
    });
    if !header.task.is_empty() {
        ui.label(format!("{} ({})", header.task, header.goal.join(", ")));
    }
    match (opened.film(), opened.no_film()) {
        (Some(film), _) => {
            if let Some(mismatch) = film.mismatch() {
                let text = format!(
                    "Simulated again, {mismatch}: what is shown after it is not what happened."
                );
                ui.colored_label(ui.visuals().error_fg_color, text);
            }
        }
        (None, Some(why)) => {
            ui.label(why);
            if opened.progress() < 1.0 {
                ui.add(egui::ProgressBar::new(opened.progress()));
            }
        }
        (None, None) => {}
    }
}

fn timeline(ui: &mut Ui, episodes: &Episodes, opened: &Opened, wanted: &mut Vec<Action>) {
    let cursor = episodes.cursor();
    let steps = opened.episode.steps.len();
    ui.horizontal(|ui| {
        let (label, on) = if episodes.is_playing() {
            ("⏸ Pause film", false)
        } else {
            ("▶ Play film", true)
        };
        let can = opened.film().is_some();
        if ui.add_enabled(can, Button::new(label)).clicked() {
            wanted.push(Action::EpisodesRun { on: Some(on) });
        }
        if ui
            .add_enabled(cursor.step > 0, Button::new("⏮ Step back"))
            .clicked()
        {
            wanted.push(Action::EpisodesPrevious);
        }
        if ui
            .add_enabled(cursor.step < steps, Button::new("⏭ Step on"))
            .clicked()
        {
            wanted.push(Action::EpisodesNext);
        }
        ui.label(format!("step {} of {steps}", cursor.step));
        if let Some(film) = opened.film() {
            ui.label(format!(
                "{:.2} of {:.2} s",
                f64::from(cursor.frame) / 60.0,
                f64::from(film.last()) / 60.0
            ));
        }
    });
    let Some(film) = opened.film() else { return };
    ui.scope(|ui| {
        ui.spacing_mut().slider_width = (ui.available_width() - 80.0).max(80.0);
        let mut frame = cursor.frame;
        let slider = ui.add(Slider::new(&mut frame, 0..=film.last()).text("frame"));
        if slider.changed() {
            wanted.push(Action::EpisodesFrame {
                frame: u64::from(frame),
            });
        }
        // A tick where each step ends.
        let rail = slider
            .rect
            .with_max_x(slider.rect.left() + ui.spacing().slider_width);
        let inset = 0.5 * rail.height();
        let span = (rail.width() - 2.0 * inset) / film.last().max(1) as f32;
        let stroke = egui::Stroke::new(1.0, ui.visuals().weak_text_color());
        for end in film.ends() {
            let x = rail.left() + inset + *end as f32 * span;
            let tick = [
                egui::pos2(x, rail.bottom() - 3.0),
                egui::pos2(x, rail.bottom()),
            ];
            ui.painter().line_segment(tick, stroke);
        }
    });
}

fn details(ui: &mut Ui, episodes: &Episodes) {
    let Some(details) = episodes.details() else {
        return;
    };
    ui.strong(&details.caption);
    if !details.action.is_empty() {
        ui.monospace(&details.action);
    }
    if let Some(refusal) = &details.refusal {
        ui.colored_label(ui.visuals().warn_fg_color, format!("Refused: {refusal}"));
    }
    for (sign, facts) in [("−", &details.lost), ("+", &details.gained)] {
        for fact in facts {
            ui.label(format!("{sign} {fact}"));
        }
    }
    if !details.reward_terms.is_empty() {
        let terms: Vec<String> = details
            .reward_terms
            .iter()
            .map(|(name, value)| format!("{name} {value:+.2}"))
            .collect();
        ui.label(format!("Reward: {}", terms.join(", ")));
    }
    if let Some(end) = details.end {
        ui.strong(end);
    }
    for (title, values) in [
        ("Observation", &details.observation),
        ("Info", &details.info),
    ] {
        if values.is_empty() {
            continue;
        }
        ui.collapsing(title, |ui| {
            ScrollArea::vertical()
                .id_salt(title)
                .max_height(160.0)
                .show(ui, |ui| {
                    for (name, value) in values {
                        ui.label(format!("{name}: {value}"));
                    }
                });
        });
    }
}

fn plots(ui: &mut Ui, episodes: &Episodes, opened: &Opened, wanted: &mut Vec<Action>) {
    let cursor = episodes.cursor().step as f64;
    for group in SignalGroup::ALL {
        let signals = opened.signals.iter().filter(|s| s.group == group);
        let lines: Vec<_> = signals
            .map(|s| Line::new(s.name.clone(), PlotPoints::from(s.points.clone())))
            .collect();
        if lines.is_empty() {
            continue;
        }
        ui.collapsing(group.title(), |ui| {
            let plot = Plot::new(group.title())
                .height(120.0)
                .legend(egui_plot::Legend::default())
                .allow_scroll(false)
                .link_cursor("steps", [true, false])
                .link_axis("steps", [true, false])
                .show(ui, |plot| {
                    for line in lines {
                        plot.line(line);
                    }
                    plot.vline(VLine::new("cursor", cursor));
                    plot.pointer_coordinate()
                });
            if plot.response.clicked()
                && let Some(at) = plot.inner
            {
                wanted.push(Action::EpisodesSeek {
                    step: at.x.round().max(0.0) as u64,
                });
            }
        });
    }
}

fn export(ui: &mut Ui, opened: &Opened, panel: &mut EpisodesPanel, wanted: &mut Vec<Action>) {
    if opened.film().is_none() {
        return;
    }
    ui.collapsing("Export", |ui| {
        ui.horizontal(|ui| {
            ui.label("Folder");
            ui.add(TextEdit::singleline(&mut panel.export).desired_width(180.0));
            let folder = PathBuf::from(panel.export.trim());
            let can = !panel.export.trim().is_empty();
            if ui.add_enabled(can, Button::new("Pictures")).clicked() {
                let folder = folder.clone();
                wanted.push(Action::EpisodesPictures { folder });
            }
            let film = Button::new("Film (mp4, needs ffmpeg)");
            if ui.add_enabled(can, film).clicked() {
                let file = folder.join("episode.mp4");
                wanted.push(Action::EpisodesFilm { file });
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable as _;

    use super::*;
    use crate::editor::Wish;
    use crate::episodes::tests::{store_of_two, wait};

    #[test]
    fn an_episode_is_found_opened_and_stepped_through() {
        let folder = store_of_two();
        let mut editor = Editor::new();
        editor.episodes_panel.store = folder.path().join("store").display().to_string();
        let mut harness = Harness::builder()
            .with_size(egui::vec2(900.0, 1600.0))
            .build_ui_state(
                |ui, editor: &mut Editor| {
                    editor.tick(0.0);
                    show(ui, editor);
                },
                editor,
            );
        harness.get_by_label("Open store").click();
        harness.run_steps(2);
        wait(&mut harness.state_mut().episodes, |e| !e.is_listing());
        harness.run_steps(2);
        harness.get_by_label("2 of 2 episodes");
        let first = harness
            .get_all_by_label_contains("· random ·")
            .next()
            .unwrap();
        first.click();
        harness.run_steps(2);
        wait(&mut harness.state_mut().episodes, |e| {
            e.opened().is_some_and(|o| o.film().is_some())
        });
        harness.run_steps(2);
        harness.get_by_label("⏭ Step on").click();
        harness.run_steps(2);
        assert_eq!(harness.state().episodes.cursor().step, 1);
        let caption = harness.state().episodes.details().unwrap().caption;
        harness.get_by_label(&caption);
        assert!(!harness.state().scene().pieces.is_empty());
        harness.get_by_label("compare").click();
        harness.run_steps(2);
        assert!(harness.state().episodes.compared().is_some());
        for group in SignalGroup::ALL {
            if harness.query_by_label(group.title()).is_some() {
                harness.get_by_label(group.title()).click();
                harness.run_steps(15);
            }
        }
        harness.get_by_label("Export").click();
        harness.run_steps(15);
        harness.get_by_label("Film (mp4, needs ffmpeg)").click();
        harness.run_steps(2);
        let wishes = harness.state_mut().wishes();
        let [Wish::Export(export)] = &wishes[..] else {
            panic!("{wishes:?}");
        };
        assert!(export.frames.len() > 2 && export.mp4.is_some());
        harness.get_by_label("Close episode").click();
        harness.run_steps(2);
        assert!(harness.state().episodes.opened().is_none());
    }
}
