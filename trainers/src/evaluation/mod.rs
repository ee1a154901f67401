//! What measures the result: accuracy on questions, plans carried out in the simulator, forgetting on general text, and
//! the report that shows them.
//!
//! Every figure has its n and a 95 % interval, every model is measured on the same items, and the base model is
//! measured first, without and with solved examples before each item. Nothing here trains.

pub mod floor_plan;
pub mod language;
pub mod plans;
pub mod report;
pub mod representation;
pub mod statistics;
