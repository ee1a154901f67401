//! A house that is simulated, as a scene: the solids are those that the physics has.
//!
//! A [`Picture`] is made once per episode; poses are filled in per frame.

use std::collections::BTreeMap;

use sim::household::{EntityId, Kind as EntityKind};
use sim::scenario::types::Body;
use sim::scenario::{Instance, RoomShape, Scenario};
use sim::world::{Drawn, Mover, PartForm, Placed, World};

use crate::figure::{self, WALKER_COLOR};
use crate::project::{DOOR_COLOR, FLOOR_COLORS, WALL_COLOR};
use crate::scene::{Form, ItemId, Kind, Piece, Scene, Solid, Table};

/// How thick floors are drawn, below 0 (meters).
const FLOOR: f32 = 0.02;
/// Radius of the balls that stand for a walker's hands (meters).
const PALM: f32 = 0.045;
const UPRIGHT: [f32; 4] = [0.0, 0.0, 0.0, 1.0];

/// The pieces of one episode's house.
#[derive(Clone, Debug)]
pub struct Picture {
    scene: Scene,
    /// The entity of each piece; none for floors, walls and links of a hand.
    entities: Vec<Option<EntityId>>,
    /// The piece of what moves.
    pieces: BTreeMap<Mover, usize>,
}

impl Picture {
    /// The house of an instance, in the state of its world.
    pub fn new(scenario: &Scenario, instance: &Instance, world: &World) -> Self {
        let mut drawing = Drawing {
            scenario,
            instance,
            parts: BTreeMap::new(),
            picture: Self {
                scene: Scene::default(),
                entities: Vec::new(),
                pieces: BTreeMap::new(),
            },
        };
        for room in &instance.layout.rooms {
            drawing.floor(room);
        }
        for wall in world.walls() {
            drawing.wall(wall);
        }
        for drawn in world.drawn() {
            drawing.drawn(drawn);
        }
        drawing.picture
    }

    /// Everything where it was when the picture was made, but for what is placed elsewhere.
    pub fn scene(&self, placed: impl IntoIterator<Item = Placed>) -> Scene {
        let mut scene = self.scene.clone();
        self.place(&mut scene, placed);
        scene
    }

    /// Seen-through copies of what moves, to be laid over the same house in another episode.
    pub fn ghosts(&self, placed: impl IntoIterator<Item = Placed>) -> Vec<Piece> {
        let scene = self.scene(placed);
        let ghost = |piece: Piece| Piece {
            kind: Kind::Ghost,
            ..piece
        };
        self.pieces
            .values()
            .map(|i| ghost(scene.pieces[*i].clone()))
            .collect()
    }

    /// The entity of a piece; none for floors, walls and hands.
    pub fn entity(&self, item: ItemId, part: usize) -> Option<EntityId> {
        let same = |piece: &Piece| piece.item == item && piece.part == part;
        let index = self.scene.pieces.iter().position(same)?;
        self.entities[index]
    }

    /// The entities of an entry, in order: several where it has a count.
    pub fn entities(&self, item: ItemId) -> Vec<EntityId> {
        let pieces = self.scene.pieces.iter().zip(&self.entities);
        let mut entities: Vec<EntityId> = pieces
            .filter(|(piece, _)| piece.item == item)
            .filter_map(|(_, entity)| *entity)
            .collect();
        entities.sort_unstable();
        entities.dedup();
        entities
    }

    /// The entity of a name.
    pub fn named(&self, name: &str) -> Option<EntityId> {
        let index = self.scene.pieces.iter().position(|p| p.name == name)?;
        self.entities[index]
    }

    fn place(&self, scene: &mut Scene, placed: impl IntoIterator<Item = Placed>) {
        for placed in placed {
            if let Some(i) = self.pieces.get(&placed.mover) {
                let piece = &mut scene.pieces[*i];
                (piece.position, piece.rotation) = (placed.position, placed.rotation);
            }
        }
    }
}

struct Drawing<'a> {
    scenario: &'a Scenario,
    instance: &'a Instance,
    /// Pieces of each entry so far.
    parts: BTreeMap<ItemId, usize>,
    picture: Picture,
}

impl Drawing<'_> {
    fn floor(&mut self, room: &RoomShape) {
        let solids = stripes(&room.corners);
        let item = self.item(room.room);
        let name = self.instance.house.name(room.room).to_owned();
        self.add(
            Some(room.room),
            Piece {
                item,
                part: 0,
                name,
                kind: Kind::Floor,
                position: [0.0; 3],
                rotation: UPRIGHT,
                solids,
                color: FLOOR_COLORS[item.index % FLOOR_COLORS.len()],
            },
        );
    }

    fn wall(&mut self, (low, high): &([f32; 3], [f32; 3])) {
        let center = [0, 1, 2].map(|i| 0.5 * (low[i] + high[i]));
        let half = [0, 1, 2].map(|i| 0.5 * (high[i] - low[i]));
        // The room that it stands around: the one whose outline is nearest.
        let away = |room: &RoomShape| {
            let corners = &room.corners;
            let edges = corners.iter().zip(corners.iter().cycle().skip(1));
            edges
                .map(|(a, b)| {
                    let d = [0, 1].map(|i| {
                        let (l, h) = (a[i].min(b[i]), a[i].max(b[i]));
                        (l - center[i]).max(center[i] - h).max(0.0)
                    });
                    d[0] * d[0] + d[1] * d[1]
                })
                .fold(f32::INFINITY, f32::min)
        };
        let rooms = self.instance.layout.rooms.iter();
        let Some(room) = rooms.min_by(|a, b| away(a).total_cmp(&away(b))) else {
            return;
        };
        let (item, name) = (
            self.item(room.room),
            self.instance.house.name(room.room).to_owned(),
        );
        self.add(
            None,
            Piece {
                item,
                part: 0,
                name,
                kind: Kind::Wall,
                position: center,
                rotation: UPRIGHT,
                solids: vec![solid(Form::Box(half))],
                color: WALL_COLOR,
            },
        );
    }

    fn drawn(&mut self, drawn: Drawn) {
        let house = &self.instance.house;
        let mut solids: Vec<Solid> = drawn
            .solids
            .iter()
            .map(|(form, center, rotation)| Solid {
                form: form_of(*form),
                center: *center,
                rotation: *rotation,
            })
            .collect();
        let (entity, kind, color) = match drawn.mover {
            Mover::Entity(id) if id == house.agent() => {
                solids = figure::walker();
                (Some(id), Kind::Agent, WALKER_COLOR)
            }
            Mover::Reach(_) => {
                solids = vec![solid(Form::Ellipsoid([PALM; 3]))];
                (Some(house.agent()), Kind::Agent, [0.9, 0.75, 0.6])
            }
            Mover::Entity(id) | Mover::Front(id) => {
                let kind = match (house.entity(id).kind, house.class(id)) {
                    (EntityKind::Door { .. }, _) => Kind::Door,
                    (_, Some(class)) if !class.fixed => Kind::Thing,
                    _ => Kind::Furniture,
                };
                (
                    Some(id),
                    kind,
                    house.class(id).map_or(DOOR_COLOR, |c| c.color),
                )
            }
            Mover::Link(_) => (None, Kind::Hand, [0.9, 0.75, 0.6]),
        };
        let item = match entity {
            Some(id) => self.item(id),
            None => hand_item(self.scenario),
        };
        let name = entity.map_or("hand", |id| house.name(id)).to_owned();
        let index = self.add(
            entity,
            Piece {
                item,
                part: 0,
                name,
                kind,
                position: drawn.position,
                rotation: drawn.rotation,
                solids,
                color,
            },
        );
        if drawn.moves {
            self.picture.pieces.insert(drawn.mover, index);
        }
    }

    fn item(&self, id: EntityId) -> ItemId {
        item_of(self.scenario, self.instance, id)
    }

    fn add(&mut self, entity: Option<EntityId>, mut piece: Piece) -> usize {
        let part = self.parts.entry(piece.item).or_default();
        piece.part = *part;
        *part += 1;
        self.picture.entities.push(entity);
        self.picture.scene.pieces.push(piece);
        self.picture.scene.pieces.len() - 1
    }
}

/// The entry of the file that an entity comes from.
pub fn item_of(scenario: &Scenario, instance: &Instance, id: EntityId) -> ItemId {
    let house = &instance.house;
    let rooms = scenario.room.len();
    let at = usize::from(id.0);
    let (table, index) = match house.entity(id).kind {
        EntityKind::Room => (Table::Room, at),
        EntityKind::Door { .. } => (Table::Door, at - rooms),
        EntityKind::Object(_) => (Table::Object, instance.layout.entries[at].unwrap_or(0)),
        EntityKind::Agent => (
            Table::Agent,
            agent(scenario, |body| matches!(body, Body::Walker { .. })),
        ),
    };
    ItemId { table, index }
}

fn hand_item(scenario: &Scenario) -> ItemId {
    ItemId {
        table: Table::Agent,
        index: agent(scenario, |body| matches!(body, Body::Hand { .. })),
    }
}

fn agent(scenario: &Scenario, is: impl Fn(&Body) -> bool) -> usize {
    let agents = scenario.agent.iter();
    agents.map(|a| &a.body).position(is).unwrap_or(0)
}

/// A form in the middle of its piece.
pub(crate) fn solid(form: Form) -> Solid {
    Solid {
        form,
        center: [0.0; 3],
        rotation: UPRIGHT,
    }
}

/// The form of a part of a house.
pub(crate) fn form_of(form: PartForm) -> Form {
    match form {
        PartForm::Box(half) => Form::Box(half),
        PartForm::Cylinder(half_height, radius) => Form::Cylinder(half_height, radius),
        PartForm::Ball(radius) => Form::Ellipsoid([radius; 3]),
        PartForm::Capsule(half_height, radius) => Form::Capsule(half_height, radius),
        PartForm::Ellipsoid(half) => Form::Ellipsoid(half),
    }
}

/// A polygon whose edges run along x and y, as boxes side by side.
fn stripes(corners: &[[f32; 2]]) -> Vec<Solid> {
    let mut heights: Vec<f32> = corners.iter().map(|c| c[1]).collect();
    heights.sort_by(f32::total_cmp);
    heights.dedup();
    let mut solids = Vec::new();
    for pair in heights.windows(2) {
        let (low, high) = (pair[0], pair[1]);
        let y = 0.5 * (low + high);
        let edges = corners.iter().zip(corners.iter().cycle().skip(1));
        let mut crossed: Vec<f32> = edges
            .filter(|(a, b)| (a[1] < y) != (b[1] < y))
            .map(|(a, _)| a[0])
            .collect();
        crossed.sort_by(f32::total_cmp);
        for x in crossed.chunks_exact(2) {
            solids.push(Solid {
                center: [0.5 * (x[0] + x[1]), y, -0.5 * FLOOR],
                ..solid(Form::Box([
                    0.5 * (x[1] - x[0]),
                    0.5 * (high - low),
                    0.5 * FLOOR,
                ]))
            });
        }
    }
    solids
}

#[cfg(test)]
mod tests {
    use sim::random::episode_rng;
    use sim::scenario::load_text;

    use super::*;

    #[test]
    fn a_floor_of_six_corners_is_two_boxes() {
        let corners = [
            [0.0, 0.0],
            [4.0, 0.0],
            [4.0, 2.0],
            [2.0, 2.0],
            [2.0, 5.0],
            [0.0, 5.0],
        ];
        let boxes: Vec<([f32; 3], Form)> = stripes(&corners)
            .iter()
            .map(|s| (s.center, s.form))
            .collect();
        assert_eq!(
            boxes,
            [
                ([2.0, 1.0, -0.01], Form::Box([2.0, 1.0, 0.01])),
                ([1.0, 3.5, -0.01], Form::Box([1.0, 1.5, 0.01])),
            ]
        );
    }

    #[test]
    fn every_piece_belongs_to_the_entry_that_it_comes_from() {
        let loaded = load_text(crate::play::tests::KITCHEN, "kitchen.toml").unwrap();
        let instance = loaded
            .instantiate(&mut episode_rng(1, &loaded.digest, 0, "layout"))
            .unwrap();
        let world = World::new(&instance);
        let picture = Picture::new(&loaded.scenario, &instance, &world);
        let scene = picture.scene([]);
        for piece in &scene.pieces {
            let entry = |index: usize| loaded.scenario.object[index].class.get_ref().clone();
            match piece.item.table {
                Table::Object => assert!(
                    piece.name.starts_with(&entry(piece.item.index)),
                    "{} of {}",
                    piece.name,
                    entry(piece.item.index)
                ),
                Table::Room => assert_eq!(piece.name, "kitchen"),
                Table::Agent => assert_eq!((piece.item.index, &*piece.name), (0, "agent")),
                other => panic!("{other:?}"),
            }
        }
        let plates = ItemId {
            table: Table::Object,
            index: 3,
        };
        let names: Vec<&str> = picture
            .entities(plates)
            .into_iter()
            .map(|id| instance.house.name(id))
            .collect();
        assert_eq!(names, ["plate", "plate 2"]);
        let kinds: Vec<Kind> = scene.pieces.iter().map(|p| p.kind).collect();
        for kind in [
            Kind::Floor,
            Kind::Wall,
            Kind::Furniture,
            Kind::Thing,
            Kind::Agent,
        ] {
            assert!(kinds.contains(&kind), "{kind:?}");
        }
    }
}
