//! What is written for an action is what it is.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[test]
fn every_action_can_be_written_as_in_its_example() {
    let mut names = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for spec in ACTIONS {
        assert!(names.insert(spec.name), "{} is there twice", spec.name);
        assert!(
            spec.shortcut.is_empty() || keys.insert(spec.shortcut),
            "{} has the keys of another",
            spec.name
        );
        let action = Action::parse(spec.example).unwrap_or_else(|e| panic!("{}: {e}", spec.name));
        assert_eq!(action.name(), spec.name);
        assert_eq!(Action::parse(&action.to_string()), Ok(action));
        assert!(spec.about.ends_with('.') && !spec.label.is_empty());
    }
}

#[test]
fn wrong_lines_say_what_is_wrong() {
    let check = |line: &str, expected: &str| {
        assert_eq!(Action::parse(line).unwrap_err().to_string(), expected);
    };
    check(
        "edit.undp",
        "there is no action \"edit.undp\", did you mean \"edit.undo\"?",
    );
    check("object.rotate north", "\"north\" is not a number");
    check(
        "edit.undo now",
        "edit.undo takes no more arguments (found \"now\")",
    );
    check(
        "object.rename",
        "object.rename lacks its to (expected as in: object.rename \"old oak\")",
    );
    check(
        "object.rename \"x",
        "quotes do not match in: object.rename \"x",
    );
    check(
        "object.place mug under table",
        "\"under\" is not a place: on NAME, inside NAME or at X Y",
    );
    assert_eq!(
        parse_script("# a script\n\nedit.undo\n edit.rdo"),
        Err((
            4,
            ParseError::Unknown {
                name: "edit.rdo".to_owned()
            }
        ))
    );
}

#[test]
fn a_place_is_written_as_people_say_it() {
    let action = Action::parse("object.place mug on \"kitchen table\"").unwrap();
    assert_eq!(
        action,
        Action::Place {
            class: "mug".to_owned(),
            spot: Some(Spot::On("kitchen table".to_owned())),
        }
    );
}

proptest! {
    #[test]
    fn any_words_survive_being_written(
        text in "\\PC{0,12}|[\\s\"\\\\]{0,6}",
        more in prop::collection::vec("\\PC{0,8}", 0..3),
        number in -1e9..1e9_f64,
        whole in any::<u64>(),
        which in 0..9_usize,
    ) {
        let action = match which {
            0 => Action::Place { class: text, spot: None },
            1 => Action::Place { class: "x".to_owned(), spot: Some(Spot::Inside(text)) },
            2 => Action::Place { class: text, spot: Some(Spot::At([number, -number])) },
            3 => Action::GoalAdd { say: text, facts: more },
            4 => Action::Set { field: "a.b".to_owned(), value: Literal(text) },
            5 => Action::Recent { number: whole },
            6 => Action::Grid { show: Some(whole % 2 == 0) },
            7 => Action::SelectOnly { item: Item(text) },
            _ => Action::Move { x: number, y: -number, z: Some(number / 3.0) },
        };
        prop_assert_eq!(Action::parse(&action.to_string()), Ok(action));
    }

    #[test]
    fn no_line_is_a_panic(line in "[a-z._\" \\\\]{0,30}|\\PC{0,30}") {
        drop(Action::parse(&line));
        drop(parse_script(&line));
    }
}
