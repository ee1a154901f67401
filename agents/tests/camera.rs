//! `bench camera` sees what another renderer sees: ids and depths of five frames against arrays that MuJoCo drew.

use std::path::{Path, PathBuf};
use std::process::Command;

const SIZE: usize = 84;
const FRAMES: usize = 5;

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/render")
}

/// The data of an array, whose header is as long as the rest is not.
fn data(path: &Path, bytes_each: usize) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let length = FRAMES * SIZE * SIZE * bytes_each;
    bytes[bytes.len() - length..].to_vec()
}

fn depths(path: &Path) -> Vec<f32> {
    let each = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    data(path, 4).chunks_exact(4).map(each).collect()
}

#[test]
fn pictures_agree_with_those_of_another_renderer() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_rollout"))
        .args(["bench", "camera", "--seconds", "0.01", "--json", "--dump"])
        .arg(directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        text.contains("\"frames_per_core_second\":{\"plain\":"),
        "{text}"
    );
    let path = |name: &str| [directory.path().join(name), peers().join(name)];
    let [ids, true_ids] = path("segmentation.npy").map(|p| data(&p, 1));
    let [depth, true_depth] = path("depth.npy").map(|p| depths(&p));
    let is_edge = |at: usize| {
        let (frame, row, column) = (at / (SIZE * SIZE), at / SIZE % SIZE, at % SIZE);
        let near = |x: usize| x.saturating_sub(1)..(x + 2).min(SIZE);
        let mut around = near(row).flat_map(|r| near(column).map(move |c| (r, c)));
        around.any(|(r, c)| true_ids[(frame * SIZE + r) * SIZE + c] != true_ids[at])
    };
    let (mut other, mut off) = (0, 0);
    for at in 0..ids.len() {
        if ids[at] != true_ids[at] {
            other += 1;
            assert!(
                is_edge(at),
                "pixel {at} shows {}, expected {}",
                ids[at],
                true_ids[at]
            );
        } else if !is_edge(at) {
            off += usize::from((depth[at] - true_depth[at]).abs() > 1e-3);
        }
    }
    assert!(
        other * 200 <= ids.len(),
        "{other} pixels of {} differ",
        ids.len()
    );
    assert!(
        off * 200 <= ids.len(),
        "{off} depths of {} differ",
        ids.len()
    );
    assert!(directory.path().join("frame4.png").exists());
}

#[test]
fn a_scene_that_cannot_be_drawn_is_said_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let scene = std::fs::read_to_string(peers().join("scene.json")).unwrap();
    let check = |from: &str, to: &str, expected: &str| {
        assert!(scene.contains(from), "{from}");
        let path = directory.path().join("scene.json");
        std::fs::write(&path, scene.replace(from, to)).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_rollout"))
            .args(["bench", "camera", "--seconds", "0.01", "--scene"])
            .arg(&path)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(expected), "{text}");
    };
    check(
        "\"fovy\": 0.7330382858376184",
        "\"fovy\": 0.0",
        "field of view is 0 radians",
    );
    check(
        "\"shape\": \"capsule\"",
        "\"shape\": \"torus\"",
        "unknown variant `torus`",
    );
    check("\"light\": {", "\"lamp\": {", "missing field `light`");
}
