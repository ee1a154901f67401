//! How a house is at one moment, in symbols.

/// The state of a house.
#[derive(Clone, Debug)]
pub struct HouseGraph {}
