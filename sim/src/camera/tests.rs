use std::sync::Arc;

use hand::lanes::Width;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::math::unit;
use super::*;

/// Everything that a renderer says of a picture, as bits.
#[derive(Debug, PartialEq)]
struct Drawn {
    rgb: Vec<u8>,
    depth: Vec<u32>,
    ids: Vec<u16>,
    normals: Vec<u32>,
}

fn drawn(renderer: &mut Renderer, scene: &Scene, camera: &Camera) -> Drawn {
    let pixels = camera.width * camera.height;
    let (mut rgb, mut depth) = (vec![0; 3 * pixels], vec![0.0; pixels]);
    let (mut ids, mut normals) = (vec![0; pixels], vec![0.0; 3 * pixels]);
    let into = Pictures {
        rgb: Some(&mut rgb),
        depth: Some(&mut depth),
        segmentation: Some(&mut ids),
        normals: Some(&mut normals),
    };
    renderer.draw(scene, camera, into).unwrap();
    let bits = |numbers: Vec<f32>| numbers.into_iter().map(f32::to_bits).collect();
    Drawn {
        rgb,
        depth: bits(depth),
        ids,
        normals: bits(normals),
    }
}

/// A box of twelve triangles.
fn box_mesh(half: [f32; 3]) -> Mesh {
    let corner = |i: usize| [0, 1, 2].map(|k| if i >> k & 1 == 0 { -half[k] } else { half[k] });
    let vertices: Vec<_> = (0..8).map(corner).collect();
    let faces = [
        [0, 1, 3, 2],
        [4, 5, 7, 6],
        [0, 1, 5, 4],
        [2, 3, 7, 6],
        [0, 2, 6, 4],
        [1, 3, 7, 5],
    ];
    let halves = |[a, b, c, d]: [u32; 4]| [[a, b, c], [a, c, d]];
    let triangles: Vec<_> = faces.into_iter().flat_map(halves).collect();
    Mesh::new(&vertices, &triangles).unwrap()
}

/// Solids of all kinds, from tiny to huge, and a camera that is often close to one.
fn random_scene(seed: u64) -> (Scene, Camera) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let vector =
        |rng: &mut ChaCha8Rng, size: f32| [0; 3].map(|_| rng.random_range(-1.0_f32..1.0) * size);
    let rotation = |rng: &mut ChaCha8Rng| {
        if rng.random_bool(0.2) {
            return [0.0, 0.0, 0.0, 1.0];
        }
        let q = [0; 4].map(|_| rng.random_range(-1.0_f32..1.0));
        let length = q.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-3);
        let q = q.map(|x| x / length);
        if q.iter().map(|x| x * x).sum::<f32>() > 0.99 {
            q
        } else {
            [0.0, 0.0, 0.0, 1.0]
        }
    };
    let mut scene = Scene::default();
    scene.light.direction = vector(&mut rng, 1.0);
    for id in 1..rng.random_range(2..90) {
        let mut size = || 10.0_f32.powf(rng.random_range(-2.5..0.6));
        let shape = match id % 7 {
            0 => Shape::Box {
                half: [size(), size(), size()],
            },
            1 => Shape::Sphere { radius: size() },
            2 => Shape::Capsule {
                radius: size(),
                half_length: size(),
            },
            3 => Shape::Cylinder {
                radius: size(),
                half_length: size(),
            },
            4 => Shape::Ellipsoid {
                half: [size(), size(), size()],
            },
            5 if id == 5 => Shape::Plane,
            5 => Shape::Box {
                half: [size(), 0.0, size()],
            },
            _ => Shape::Mesh(Arc::new(box_mesh([size(), size(), size()]))),
        };
        let texture = match rng.random_range(0..6) {
            0 => Texture::Checker {
                size: 0.1,
                color: [0.1; 3],
            },
            1 => Texture::Noise {
                size: 0.1,
                color: [0.9; 3],
            },
            _ => Texture::Plain,
        };
        scene.solids.push(Solid {
            shape,
            position: vector(&mut rng, 4.0),
            rotation: rotation(&mut rng),
            material: Material {
                color: vector(&mut rng, 1.0).map(f32::abs),
                texture,
                specular: if rng.random_bool(0.2) { 0.5 } else { 0.0 },
            },
            id,
            casts_shadow: rng.random_bool(0.9),
        });
    }
    let camera = Camera {
        position: vector(&mut rng, 5.0),
        rotation: rotation(&mut rng),
        fovy: rng.random_range(0.2..2.2),
        near: 0.01,
        far: 40.0,
        width: rng.random_range(1..40),
        height: rng.random_range(1..40),
    };
    (scene, camera)
}

/// How many numbers of each kind are not the same.
fn difference(a: &Drawn, b: &Drawn) -> String {
    fn count<T: PartialEq>(a: &[T], b: &[T]) -> usize {
        a.iter().zip(b).filter(|(a, b)| a != b).count()
    }
    format!(
        "{} of rgb, {} of depth, {} of ids, {} of normals",
        count(&a.rgb, &b.rgb),
        count(&a.depth, &b.depth),
        count(&a.ids, &b.ids),
        count(&a.normals, &b.normals)
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn culling_changes_no_bit(seed: u64) {
        let (scene, camera) = random_scene(seed);
        let culled = drawn(&mut Renderer::new(), &scene, &camera);
        let all = drawn(&mut Renderer::new().without_culling(), &scene, &camera);
        prop_assert!(culled == all, "{}", difference(&culled, &all));
    }

    #[test]
    fn any_number_of_lanes_draws_the_same_bits(seed: u64) {
        let (scene, camera) = random_scene(seed);
        let draw = |width| drawn(&mut Renderer::with_width(width).supersampled(2), &scene, &camera);
        let one = draw(Width::One);
        for width in Width::ALL.into_iter().filter(|w| w.is_available()) {
            let wide = draw(width);
            prop_assert!(wide == one, "{:?}: {}", width, difference(&wide, &one));
        }
    }
}

fn alone(shape: Shape) -> Scene {
    Scene {
        solids: vec![Solid {
            shape,
            position: [0.1, -0.2, 0.3],
            rotation: [0.1, 0.7, -0.1, 0.7],
            ..Solid::default()
        }],
        ..Scene::default()
    }
}

/// Walks along rays in small steps and asks [`Solid::contains`].
fn walked(scene: &Scene, camera: &Camera, row: usize, column: usize) -> Option<f32> {
    let tangent = (0.5 * camera.fovy).tan();
    let (w, h) = (camera.width as f32, camera.height as f32);
    let x = tangent * (2.0 * (column as f32 + 0.5) / w - 1.0) * w / h;
    let y = tangent * (1.0 - 2.0 * (row as f32 + 0.5) / h);
    let ray = rotate(camera.rotation, [x, y, -1.0]);
    let step = 5e-4;
    (1..8000).map(|i| i as f32 * step).find(|t| {
        let p = math::add(camera.position, scale(ray, *t));
        scene.solids.iter().any(|s| s.contains(p))
    })
}

#[test]
fn depths_are_where_a_walk_along_the_ray_meets_the_solid() {
    let shapes = [
        Shape::Box {
            half: [0.5, 0.2, 0.3],
        },
        Shape::Sphere { radius: 0.5 },
        Shape::Capsule {
            radius: 0.2,
            half_length: 0.4,
        },
        Shape::Cylinder {
            radius: 0.3,
            half_length: 0.4,
        },
        Shape::Ellipsoid {
            half: [0.6, 0.2, 0.4],
        },
    ];
    let froms = [
        [2.0, 0.1, 0.4],
        [0.1, -1.8, 1.0],
        [-0.3, 0.4, 2.0],
        [-1.4, -0.2, 0.3],
    ];
    for shape in shapes {
        let scene = alone(shape.clone());
        for from in froms {
            let camera = Camera::look_at(from, [0.1, -0.2, 0.3], 0.8, 24, 20);
            let mut depth = vec![0.0; 24 * 20];
            let into = Pictures {
                depth: Some(&mut depth),
                ..Pictures::default()
            };
            Renderer::new().draw(&scene, &camera, into).unwrap();
            let mut wrong = 0;
            for row in 0..20 {
                for column in 0..24 {
                    let found = depth[row * 24 + column];
                    let expected = walked(&scene, &camera, row, column).unwrap_or(camera.far);
                    wrong += usize::from((found - expected).abs() > 1.1e-3);
                }
            }
            assert!(wrong <= 2, "{shape:?} from {from:?}: {wrong} pixels");
        }
    }
}

#[test]
fn a_mesh_of_a_box_is_seen_as_the_box() {
    let half = [0.5, 0.2, 0.3];
    let camera = Camera::look_at([1.5, 1.0, 1.2], [0.1, -0.2, 0.3], 0.8, 60, 48);
    let solid = drawn(&mut Renderer::new(), &alone(Shape::Box { half }), &camera);
    let mesh = alone(Shape::Mesh(Arc::new(box_mesh(half))));
    let mesh = drawn(&mut Renderer::new(), &mesh, &camera);
    assert!(solid.ids.contains(&1));
    let other = solid
        .ids
        .iter()
        .zip(&mesh.ids)
        .filter(|(a, b)| a != b)
        .count();
    assert!(other <= 2, "{other} pixels");
    for (a, b) in solid.depth.iter().zip(&mesh.depth) {
        let (a, b) = (f32::from_bits(*a), f32::from_bits(*b));
        assert!((a - b).abs() < 1e-4 || (a > 40.0) != (b > 40.0), "{a} {b}");
    }
    let colors = solid.rgb.chunks(3).zip(mesh.rgb.chunks(3));
    for ((a, b), ids) in colors.zip(solid.ids.iter().zip(&mesh.ids)) {
        let close = a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= 1);
        assert!(close || ids.0 != ids.1, "{a:?} {b:?}");
    }
}

/// Each triangle alone is nowhere nearer than the mesh of all.
#[test]
fn the_tree_of_a_mesh_finds_what_testing_each_triangle_finds() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let vertices: Vec<[f32; 3]> = (0..300)
        .map(|_| [0; 3].map(|_| rng.random_range(-1.0..1.0)))
        .collect();
    let triangles: Vec<[u32; 3]> = (0..100).map(|i| [3 * i, 3 * i + 1, 3 * i + 2]).collect();
    let mut scene = alone(Shape::Mesh(Arc::new(
        Mesh::new(&vertices, &triangles).unwrap(),
    )));
    let camera = Camera::look_at([3.0, 1.0, 1.2], [0.1, -0.2, 0.3], 0.8, 60, 48);
    let whole = drawn(&mut Renderer::new(), &scene, &camera);
    let model = scene.solids[0].clone();
    scene.solids = triangles
        .iter()
        .map(|t| Solid {
            shape: Shape::Mesh(Arc::new(Mesh::new(&vertices, &[*t]).unwrap())),
            ..model.clone()
        })
        .collect();
    let each = drawn(&mut Renderer::new(), &scene, &camera);
    assert_eq!(whole.ids, each.ids);
    let depth = |d: &Drawn| {
        d.depth
            .iter()
            .map(|b| f32::from_bits(*b))
            .collect::<Vec<_>>()
    };
    for (a, b) in depth(&whole).into_iter().zip(depth(&each)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn a_shadow_lies_where_the_way_to_the_light_is_blocked() {
    let floor = Solid {
        shape: Shape::Plane,
        id: 1,
        ..Solid::default()
    };
    let shapes = [
        Shape::Box {
            half: [0.3, 0.2, 0.1],
        },
        Shape::Sphere { radius: 0.3 },
        Shape::Capsule {
            radius: 0.15,
            half_length: 0.3,
        },
        Shape::Cylinder {
            radius: 0.2,
            half_length: 0.3,
        },
        Shape::Ellipsoid {
            half: [0.3, 0.1, 0.2],
        },
        Shape::Mesh(Arc::new(box_mesh([0.3, 0.2, 0.1]))),
    ];
    for shape in shapes {
        let blocker = Solid {
            shape: shape.clone(),
            position: [0.2, 0.1, 0.9],
            rotation: [0.1, 0.7, -0.1, 0.7],
            id: 2,
            ..Solid::default()
        };
        let mut scene = Scene {
            solids: vec![floor.clone(), blocker.clone()],
            ..Scene::default()
        };
        let camera = Camera::look_at([0.0, -3.0, 2.5], [-0.2, 0.6, 0.0], 0.35, 60, 48);
        let with = drawn(&mut Renderer::new(), &scene, &camera);
        scene.light.shadows = false;
        let without = drawn(&mut Renderer::new(), &scene, &camera);
        // The solid itself stands for the mesh of the same form.
        let probe = Solid {
            shape: match shape {
                Shape::Mesh(_) => Shape::Box {
                    half: [0.3, 0.2, 0.1],
                },
                _ => shape.clone(),
            },
            ..blocker
        };
        let to_light = unit(scale(scene.light.direction, -1.0));
        let tangent = (0.5 * camera.fovy).tan();
        let (mut dark, mut wrong) = (0, 0);
        for at in 0..60 * 48 {
            if with.ids[at] != 1 {
                continue;
            }
            let (row, column) = ((at / 60) as f32, (at % 60) as f32);
            let x = tangent * (2.0 * (column + 0.5) / 60.0 - 1.0) * 60.0 / 48.0;
            let y = tangent * (1.0 - 2.0 * (row + 0.5) / 48.0);
            let ray = rotate(camera.rotation, [x, y, -1.0]);
            let depth = f32::from_bits(with.depth[at]);
            let p = math::add(camera.position, scale(ray, depth));
            let blocked =
                (1..2000).any(|i| probe.contains(math::add(p, scale(to_light, i as f32 * 1e-3))));
            let found = with.rgb[3 * at] < without.rgb[3 * at];
            dark += usize::from(found);
            wrong += usize::from(found != blocked);
        }
        assert!(
            dark > 30 && wrong <= 3,
            "{shape:?}: {dark} dark, {wrong} wrong"
        );
    }
}

#[test]
fn a_batch_is_its_pictures_one_after_the_other() {
    let (scenes, cameras): (Vec<_>, Vec<_>) = (0..4).map(random_scene).unzip();
    let views: Vec<_> = scenes.iter().zip(&cameras).collect();
    let pixels: usize = cameras.iter().map(|c| c.width * c.height).sum();
    let mut rgb = vec![0; 3 * pixels];
    let into = Pictures {
        rgb: Some(&mut rgb),
        ..Pictures::default()
    };
    Renderer::new().draw_all(&views, into).unwrap();
    let single = |(scene, camera)| drawn(&mut Renderer::new(), scene, camera).rgb;
    let one_by_one: Vec<u8> = views.into_iter().flat_map(single).collect();
    assert_eq!(rgb, one_by_one);
}

#[test]
fn supersampling_is_the_mean_of_a_larger_picture() {
    let (scene, camera) = random_scene(11);
    let camera = Camera {
        width: 24,
        height: 20,
        ..camera
    };
    let large = Camera {
        width: 48,
        height: 40,
        ..camera
    };
    let fine = drawn(&mut Renderer::new().supersampled(2), &scene, &camera).rgb;
    let large = drawn(&mut Renderer::new(), &scene, &large).rgb;
    for (i, value) in fine.iter().enumerate() {
        let (row, column, k) = (i / 72, i / 3 % 24, i % 3);
        let at =
            |r: usize, c: usize| u32::from(large[3 * ((2 * row + r) * 48 + 2 * column + c) + k]);
        let mean = f64::from(at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0;
        assert!(
            (f64::from(*value) - mean).abs() <= 1.01,
            "{i}: {value} {mean}"
        );
    }
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let camera = Camera::look_at([1.0, 0.0, 0.0], [0.0; 3], 0.8, 8, 8);
    let scene = alone(Shape::Sphere { radius: 0.1 });
    let error = |camera: Camera| {
        let found = Renderer::new().draw(&scene, &camera, Pictures::default());
        found.unwrap_err().to_string()
    };
    assert!(
        error(Camera {
            fovy: 0.0,
            ..camera
        })
        .contains("field of view is 0 radians")
    );
    assert!(
        error(Camera {
            near: 0.0,
            ..camera
        })
        .contains("0 < near < far")
    );
    assert!(error(Camera { width: 0, ..camera }).contains("0 × 8 pixels"));
    assert!(
        error(Camera {
            rotation: [0.0; 4],
            ..camera
        })
        .contains("length 1")
    );
    assert!(
        error(Camera {
            position: [f32::NAN; 3],
            ..camera
        })
        .contains("not finite")
    );
    for size in [0.0, -0.1, f32::NAN, f32::INFINITY] {
        let mut scene = alone(Shape::Sphere { radius: 0.1 });
        let color = [0.0; 3];
        scene.solids[0].material.texture = Texture::Noise { size, color };
        let found = Renderer::new().draw(&scene, &camera, Pictures::default());
        let expected =
            format!("the texture of solid 0 has a size of {size} m, expected more than 0");
        assert_eq!(found.unwrap_err().to_string(), expected);
    }
    let mut short = vec![0; 5];
    let into = Pictures {
        rgb: Some(&mut short),
        ..Pictures::default()
    };
    let found = Renderer::new().draw(&scene, &camera, into).unwrap_err();
    assert_eq!(
        found.to_string(),
        "the buffer for rgb has 5 numbers, expected 192"
    );
    let mesh = |vertices: &[[f32; 3]], triangles: &[[u32; 3]]| {
        Mesh::new(vertices, triangles).unwrap_err().to_string()
    };
    assert!(mesh(&[[0.0; 3]], &[]).contains("without triangles"));
    assert!(mesh(&[[0.0, f32::NAN, 0.0]], &[[0, 0, 0]]).contains("vertex 0"));
    assert!(mesh(&[[0.0; 3]], &[[0, 0, 4]]).contains("triangle 0 of the mesh has vertex 4"));
    let inside = Camera {
        position: [0.1, -0.2, 0.3],
        ..camera
    };
    assert_eq!(inside.inside_of(&scene), Some(0));
    assert_eq!(camera.inside_of(&scene), None);
}
