//! Verbs carried out by motion.
//!
//! Every verb leaves a settled world, also when it fails. A verb that needs something within reach first steps closer, and
//! out of the way of what it is about to open, where the agent stands and can.

use super::walking::Promise;
use super::{STEP_SECONDS, World};
use crate::household::{EntityId, House, HouseAction, HouseGraph, State, Verb};

/// How a verb was carried out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Execution {
    /// Simulated time in seconds.
    pub simulated_seconds: f32,
    /// Points (x, y) of the agent's way, meters: where it started, every corner, where it stopped.
    pub path: Vec<[f32; 2]>,
    /// Loose things that were awake meanwhile and are in no hand now, in order.
    pub stirred: Vec<EntityId>,
}

/// Why a motion could not be carried out; the world is valid, and nothing but the agent may have moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No free place on the floor is within reach of it.
    NoStance(EntityId),
    /// There are such places, but no free way leads to one.
    NoWay(EntityId),
    /// The first does not find a free spot on (`inside` false) or in the second.
    NoSpot {
        /// What was to be put down.
        thing: EntityId,
        /// Where.
        target: EntityId,
        /// In it rather than on it.
        inside: bool,
    },
    /// No place to stand from which it can be opened and left.
    Cramped(EntityId),
    /// Out of reach from where the agent sits or lies.
    TooFar(EntityId),
    /// No place to stand up beside the seat.
    NoRoomToStand,
    /// The hand that should hold it does not.
    NotHeld(EntityId),
    /// Nothing is there that moves.
    NoFront(EntityId),
}

impl Failure {
    /// The reason as a clause without capital and full stop: "there is no free spot on the kitchen table for the mug".
    pub fn text(&self, house: &House) -> String {
        let the = |id: EntityId| format!("the {}", house.name(id));
        match *self {
            Self::NoStance(id) => format!("there is no free place to stand near {}", the(id)),
            Self::NoWay(id) => format!("the way to {} is blocked", the(id)),
            Self::NoSpot {
                thing,
                target,
                inside,
            } => format!(
                "there is no free spot {} {} for {}",
                if inside || house.is_room(target) {
                    "in"
                } else {
                    "on"
                },
                the(target),
                the(thing)
            ),
            Self::TooFar(id) => format!("{} is too far away to reach without getting up", the(id)),
            Self::Cramped(id) => format!("there is no room to stand while {} moves", the(id)),
            Self::NoRoomToStand => "there is no free place to stand up".to_owned(),
            Self::NotHeld(id) => format!("{} is not in a hand", the(id)),
            Self::NoFront(id) => format!("{} has nothing that moves", the(id)),
        }
    }
}

impl World {
    /// Carries out a verb that the graph allows. `before` is the symbolic house before it: what the verb promises to bring
    /// within reach decides where the agent goes to stand.
    ///
    /// # Errors
    /// When the motion cannot be done. The world then is settled and valid; the agent may have taken some steps.
    pub fn execute(
        &mut self,
        action: &HouseAction,
        before: &HouseGraph,
    ) -> Result<Execution, Failure> {
        let start = self.state.steps;
        let mut path = vec![self.state.agent.position()];
        let result = self.perform(action, before, &mut path);
        let stirred = self.settle();
        result?;
        Ok(Execution {
            simulated_seconds: (self.state.steps - start) as f32 * STEP_SECONDS,
            path,
            stirred,
        })
    }

    fn perform(
        &mut self,
        action: &HouseAction,
        before: &HouseGraph,
        path: &mut Vec<[f32; 2]>,
    ) -> Result<(), Failure> {
        let agent = self.plan.house.agent();
        let [first, second] = action.objects.map(|o| o.unwrap_or(agent));
        // What the symbols promise, to be made true: which things come within reach, and in which room.
        let mut after = before.clone();
        let after = if after.apply(action).is_ok() {
            &after
        } else {
            before
        };
        let promise = Promise::of(after);
        match action.verb {
            Verb::Walk | Verb::Find => {
                self.go_to(first, &promise, path)?;
                self.turn_to(first);
            }
            Verb::TurnTo | Verb::LookAt | Verb::Watch => self.turn_to(first),
            Verb::Grab => {
                self.come_near(first, &promise, path)?;
                self.grab(first)?;
            }
            Verb::Put | Verb::PutIn => {
                self.come_near(second, &promise, path)?;
                self.put(first, second, action.verb == Verb::PutIn, &promise, path)?;
            }
            Verb::Drop => self.drop_on_floor(first)?,
            Verb::Open | Verb::Close => {
                self.come_near(first, &promise, path)?;
                self.swing(first, action.verb == Verb::Open, &promise, path)?;
            }
            Verb::SwitchOn | Verb::SwitchOff => {
                self.come_near(first, &promise, path)?;
                self.touch(first);
                self.set_condition(first, State::SwitchedOn, action.verb == Verb::SwitchOn);
            }
            Verb::Wash | Verb::Wipe => {
                self.come_near(first, &promise, path)?;
                self.touch(first);
                self.set_condition(first, State::Clean, true);
            }
            Verb::Touch | Verb::Eat => {
                self.come_near(first, &promise, path)?;
                self.touch(first);
            }
            Verb::Sit => self.sit(first, &promise, path)?,
            Verb::Lie => self.lie(first, &promise, path)?,
            Verb::StandUp => self.stand_up(path)?,
            Verb::Drink | Verb::Read => self.lift(first)?,
        }
        Ok(())
    }

    fn set_condition(&mut self, id: EntityId, condition: State, now: bool) {
        let states = &mut self.state.switched[id.0 as usize];
        *states = states.with(condition, now);
        if let Some(opposite) = condition.opposite() {
            *states = states.with(opposite, !now);
        }
    }
}
