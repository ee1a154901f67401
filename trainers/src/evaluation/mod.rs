//! What measures the result: accuracy on questions, plans carried out in the simulator, forgetting on general text, and
//! the report that shows them.
//!
//! Every figure has its n and a 95 % interval, every model is measured on the same items, and the base model is
//! measured first, without and with solved examples before each item. A [`comparison`] of encoders trains what it compares, by
//! the recipe; nothing else here trains.

pub mod comparison;
pub mod comparison_report;
pub mod floor_plan;
pub mod imported;
pub mod language;
pub mod plans;
pub mod report;
pub mod representation;
pub mod statistics;
pub mod suites;
