//! What a step is worth, as named terms.

use episode::RewardTerm;

/// Weights of the reward's terms; the defaults are those of the planner in E2WM (Xiang et al. 2023, `mcts.py`), except
/// that undoing a fact costs what making it earned, and that a refused action costs one more step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reward {
    /// For each fact of the goal that became true. At least twice `step` times the steps a unit takes, or standing still
    /// pays.
    pub made: f32,
    /// For each fact of the goal that stopped being true. With less than `-made` (E2WM has -1.5) opening and closing the
    /// same thing without end would pay.
    pub undone: f32,
    /// Once, when all facts hold.
    pub success: f32,
    /// For every step.
    pub step: f32,
    /// For a refused action, besides `step`.
    pub refusal: f32,
}

impl Default for Reward {
    fn default() -> Self {
        Self {
            made: 2.0,
            undone: -2.0,
            success: 5.0,
            step: -0.1,
            refusal: -0.1,
        }
    }
}

impl Reward {
    /// The terms of one step, given which facts of the goal held before and after it: `progress`, `success`, `step`,
    /// `refusal`.
    pub fn terms(&self, before: &[bool], after: &[bool], refused: bool) -> Vec<RewardTerm> {
        let changed = |from, to| {
            let pairs = before.iter().zip(after);
            pairs.filter(|(b, a)| (**b, **a) == (from, to)).count() as f32
        };
        let done = !after.is_empty() && after.iter().all(|a| *a);
        let success = done && !before.iter().all(|b| *b);
        let term = |name: &str, value: f32| RewardTerm {
            name: name.to_owned(),
            value,
        };
        vec![
            term(
                "progress",
                self.made * changed(false, true) + self.undone * changed(true, false),
            ),
            term("success", if success { self.success } else { 0.0 }),
            term("step", self.step),
            term("refusal", if refused { self.refusal } else { 0.0 }),
        ]
    }
}
