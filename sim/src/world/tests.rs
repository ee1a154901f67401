use std::sync::Arc;

use super::*;
use crate::catalogue::Catalogue;
use crate::scenario::load_text;

#[test]
fn thin_path() {
    let _ = (Arc::new(1), Catalogue::standard(), load_text("", ""));
}
