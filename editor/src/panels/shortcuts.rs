//! Keys do what the table of actions says.

use std::sync::LazyLock;

use egui::{Context, Event, Key, KeyboardShortcut, Modifiers};

use crate::action::{ACTIONS, Action};
use crate::editor::Editor;

/// Keys of every action that has some; those with more modifiers first, as they would also match with fewer.
static KEYS: LazyLock<Vec<(KeyboardShortcut, Action)>> = LazyLock::new(|| {
    let keys = ACTIONS
        .iter()
        .filter_map(|spec| Some((parse(spec.shortcut)?, spec.action()?)));
    let mut keys: Vec<_> = keys.collect();
    let modifiers =
        |m: &Modifiers| usize::from(m.shift) + usize::from(m.command) + usize::from(m.alt);
    keys.sort_by_key(|(shortcut, _)| std::cmp::Reverse(modifiers(&shortcut.modifiers)));
    keys
});

/// Keys as they are written in the table: `Ctrl+Shift+Z`.
pub(super) fn parse(text: &str) -> Option<KeyboardShortcut> {
    let mut modifiers = Modifiers::NONE;
    let mut key = None;
    for part in text.split('+') {
        match part {
            "Ctrl" => modifiers |= Modifiers::COMMAND,
            "Shift" => modifiers |= Modifiers::SHIFT,
            "Alt" => modifiers |= Modifiers::ALT,
            name => key = Key::from_name(name),
        }
    }
    Some(KeyboardShortcut::new(modifiers, key?))
}

/// Does what the pressed keys say; while something is typed, keys belong to it.
pub(super) fn dispatch(ctx: &Context, editor: &mut Editor) {
    let typing = ctx.memory(|m| m.focused().is_some()) && ctx.egui_wants_keyboard_input();
    if typing {
        return;
    }
    // The clipboard's keys come as events of their own.
    let clipboard = ctx.input(|i| {
        i.events.iter().find_map(|event| match event {
            Event::Copy => Some(Action::Copy),
            Event::Cut => Some(Action::Cut),
            Event::Paste(_) => Some(Action::Paste),
            _ => None,
        })
    });
    let pressed = KEYS.iter().filter(|(shortcut, _)| {
        let waits = editor.dialog.is_some() && shortcut.logical_key != Key::Escape;
        !waits && ctx.input_mut(|i| i.consume_shortcut(shortcut))
    });
    let actions: Vec<&Action> = pressed
        .map(|(_, action)| action)
        .chain(&clipboard)
        .collect();
    for action in actions {
        editor.act(action);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shortcut_of_the_table_is_a_key_and_its_action_needs_no_more() {
        for spec in ACTIONS.iter().filter(|s| !s.shortcut.is_empty()) {
            assert!(
                parse(spec.shortcut).is_some(),
                "{}: {}",
                spec.name,
                spec.shortcut
            );
        }
    }
}
