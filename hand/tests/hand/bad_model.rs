//! Everything that can be wrong with a model file is named with its file, its line and the reason.

use hand::model::{self, Model};

use crate::{Broken, broken};

/// A model that is right.
const ARM: &str = include_str!("arm.toml");

#[test]
fn the_arm_is_right_and_saves_to_itself() {
    let model = model::load_text(ARM, "arm.toml").unwrap();
    assert_eq!(
        model::load_text(&model::save(&model), "saved.toml").unwrap(),
        model
    );
    for text in [hand::MYOHAND, hand::ROBOT_HAND] {
        let model = model::load_text(text, "shipped.toml").unwrap();
        assert_eq!(
            model::load_text(&model::save(&model), "saved.toml").unwrap(),
            model
        );
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for Broken {
        right,
        wrong,
        line,
        reason,
    } in broken(include_str!("bad_model.txt"))
    {
        assert!(ARM.contains(right), "{right}");
        let error = model::load_text(&ARM.replacen(right, wrong, 1), "arm.toml").expect_err(wrong);
        assert!(
            error.to_string().starts_with(&format!("arm.toml:{line}:")),
            "{wrong}: {error}"
        );
        assert!(error.reason.contains(reason), "{wrong}: {error}");
    }
}

#[test]
fn tables_of_their_own_have_lines_too() {
    let text = "schema = \"habitus.hand/1\"\nname = \"a\"\ntimestep = 0.002\ngravity = [0.0, 0.0, 0.0]\n\n\
        [[body]]\nname = \"a\"\nparent = \"world\"\npos = [0.0, 0.0, 0.0]\n\n\
        [[body]]\nname = \"b\"\nparent = \"c\"\npos = [0.0, 0.0, 0.0]\n";
    let error = model::load_text(text, "a.toml").expect_err("c is not there");
    assert_eq!(
        error.to_string(),
        "a.toml:11:1: body \"b\": there is no body \"c\" to be its parent"
    );
}

#[test]
fn a_missing_file_is_an_error() {
    let error = model::load("not/there.toml").expect_err("it is not there");
    assert!(
        error
            .to_string()
            .starts_with("not/there.toml:1:1: cannot be read"),
        "{error}"
    );
}

#[test]
fn no_text_makes_it_panic() {
    // Each prefix, and each line left out: whatever it is, it is an answer.
    for cut in (0..ARM.len()).filter(|cut| ARM.is_char_boundary(*cut)) {
        let _: Result<Model, _> = model::load_text(&ARM[..cut], "cut.toml");
    }
    let lines: Vec<&str> = ARM.lines().collect();
    for skip in 0..lines.len() {
        let rest: Vec<&str> = lines
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != skip)
            .map(|(_, line)| *line)
            .collect();
        if let Ok(model) = model::load_text(&rest.join("\n"), "rest.toml") {
            let _ = hand::kernel::Kernel::new(&model, model::ParameterSet::Calibrated);
        }
    }
}
