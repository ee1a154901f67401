//! MuJoCo's XML, in a documented subset.
