//! What a camera sees of a house.

use super::{Mover, PartForm, World};
use crate::camera::{Camera, CameraEntry, Material, Scene, Shape, Solid, Texture};

const WALL: [f32; 3] = [0.87, 0.85, 0.80];
const FLOOR: [f32; 3] = [0.62, 0.52, 0.40];
const DOOR: [f32; 3] = [0.55, 0.38, 0.24];
const SKIN: [f32; 3] = [0.90, 0.75, 0.60];
const CLOTHES: [f32; 3] = [0.25, 0.40, 0.70];
/// A walker, as physics has it: radius and half length of the straight part, meters.
const WALKER: [f32; 2] = [0.2, 0.65];
/// Radius of a walker's hands, meters.
const PALM: f32 = 0.045;
/// Segmentation ids: floor, walls; an entity has its number plus [`ENTITIES`].
const FLOOR_ID: u16 = 1;
const WALL_ID: u16 = 2;
const ENTITIES: u16 = 16;

/// Fills a scene with what is in a house now; nothing of what it was stays. There are no ceilings. Segmentation ids: 1 is the
/// floor, 2 walls, 3 a hand on an arm, 16 and more are entities by their number.
pub fn scene_of(world: &World, scene: &mut Scene) {
    scene.solids.clear();
    let plain = |shape, position, color, id| Solid {
        shape,
        position,
        material: Material::plain(color),
        id,
        ..Solid::default()
    };
    scene.solids.push(Solid {
        material: Material {
            texture: Texture::Checker {
                size: 0.5,
                color: FLOOR.map(|x| 0.93 * x),
            },
            ..Material::plain(FLOOR)
        },
        ..plain(Shape::Plane, [0.0; 3], FLOOR, FLOOR_ID)
    });
    for (low, high) in world.walls() {
        let half = [0, 1, 2].map(|i| 0.5 * (high[i] - low[i]));
        let middle = [0, 1, 2].map(|i| 0.5 * (low[i] + high[i]));
        scene
            .solids
            .push(plain(Shape::Box { half }, middle, WALL, WALL_ID));
    }
    let house = world.house();
    for drawn in world.drawn() {
        let (color, id) = match drawn.mover {
            Mover::Entity(id) if id == house.agent() => {
                let [radius, half_length] = WALKER;
                let shape = Shape::Capsule {
                    radius,
                    half_length,
                };
                let [x, y, z] = drawn.position;
                let middle = [x, y, z.max(radius + half_length)];
                scene
                    .solids
                    .push(plain(shape, middle, CLOTHES, ENTITIES + id.0));
                continue;
            }
            Mover::Entity(id) | Mover::Front(id) => {
                let color = house.class(id).map_or(DOOR, |class| class.color);
                // Fronts stand out from the body that they close.
                let shade = if matches!(drawn.mover, Mover::Front(_)) {
                    0.85
                } else {
                    1.0
                };
                (color.map(|x| shade * x), ENTITIES + id.0)
            }
            Mover::Reach(_) => {
                let shape = Shape::Sphere { radius: PALM };
                scene.solids.push(plain(
                    shape,
                    drawn.position,
                    SKIN,
                    ENTITIES + house.agent().0,
                ));
                continue;
            }
            Mover::Link(_) => (SKIN, 3),
        };
        for (form, position, rotation) in &drawn.solids {
            scene.solids.push(Solid {
                rotation: turned(drawn.rotation, *rotation),
                ..plain(
                    shape(*form),
                    placed(drawn.position, drawn.rotation, *position),
                    color,
                    id,
                )
            });
        }
    }
}

/// A camera of the scenario as it stands now; `None` if nothing has the name of what it is on.
pub fn camera_of(entry: &CameraEntry, world: &World) -> Option<Camera> {
    let Some(on) = &entry.on else {
        return Some(entry.camera(None));
    };
    let house = world.house();
    let drawn = world.drawn().into_iter();
    let mut movers = drawn.filter_map(|drawn| match drawn.mover {
        Mover::Entity(id) => Some((id, (drawn.position, drawn.rotation))),
        _ => None,
    });
    let named = |id| match on.get_ref().as_str() {
        "walker" => id == house.agent(),
        name => house.name(id) == name,
    };
    let (_, frame) = movers.find(|(id, _)| named(*id))?;
    Some(entry.camera(Some(frame)))
}

fn shape(form: PartForm) -> Shape {
    match form {
        PartForm::Box(half) => Shape::Box { half },
        PartForm::Cylinder(half_length, radius) => Shape::Cylinder {
            radius,
            half_length,
        },
        PartForm::Ball(radius) => Shape::Sphere { radius },
        PartForm::Capsule(half_length, radius) => Shape::Capsule {
            radius,
            half_length,
        },
        PartForm::Ellipsoid(half) => Shape::Ellipsoid { half },
    }
}

/// First `b`, then `a`: unit quaternions (x, y, z, w).
fn turned(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
    (rapier3d::math::Rotation::from_array(a) * rapier3d::math::Rotation::from_array(b)).to_array()
}

fn placed(position: [f32; 3], rotation: [f32; 4], point: [f32; 3]) -> [f32; 3] {
    let turned =
        rapier3d::math::Rotation::from_array(rotation) * rapier3d::math::Vector::from_array(point);
    [0, 1, 2].map(|i| position[i] + turned[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{Camera, Pictures, Renderer};
    use crate::scenario::load_text;
    use crate::world::World;

    #[test]
    fn a_house_is_seen_with_walls_furniture_and_who_lives_there() {
        let text = include_str!("../../../scenarios/two_room_flat.toml");
        let loaded = load_text(text, "two_room_flat.toml").unwrap();
        let mut rng = crate::random::episode_rng(1, "", 0, "");
        let instance = loaded.instantiate(&mut rng).unwrap();
        let world = World::new(&instance);
        let mut scene = Scene::default();
        scene_of(&world, &mut scene);
        let again = scene.clone();
        scene_of(&world, &mut scene);
        assert_eq!(scene, again);
        let camera = Camera::look_at([4.0, -5.0, 7.0], [4.0, 2.0, 0.5], 0.9, 96, 96);
        let mut ids = vec![0; 96 * 96];
        let into = Pictures {
            segmentation: Some(&mut ids),
            ..Pictures::default()
        };
        Renderer::new().draw(&scene, &camera, into).unwrap();
        let kinds: std::collections::BTreeSet<u16> = ids.into_iter().collect();
        assert!(
            kinds.contains(&FLOOR_ID) && kinds.contains(&WALL_ID),
            "{kinds:?}"
        );
        assert!(
            kinds.contains(&(ENTITIES + world.house().agent().0)),
            "{kinds:?}"
        );
        assert!(
            kinds.iter().filter(|id| **id >= ENTITIES).count() > 8,
            "{kinds:?}"
        );
    }
}
