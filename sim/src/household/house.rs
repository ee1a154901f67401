//! What never changes about a house during an episode: who and what is in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fact::EntityId;
use crate::catalogue::{Catalogue, Class, ClassId, Properties, Property};

/// What an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A room.
    Room,
    /// A doorway between two rooms, with a leaf that opens and closes.
    Door {
        /// The rooms it joins.
        between: [EntityId; 2],
    },
    /// A piece of furniture or a thing.
    Object(ClassId),
    /// Who acts.
    Agent,
}

/// A room, door, object or agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Unique lower-case name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// For objects how many square metres of surface it takes up, from its footprint; 0 for the rest.
    pub footprint: f32,
    /// How many square metres of things fit ON it and INSIDE it: half of its usable surfaces; 0 where nothing fits.
    pub capacity: [f32; 2],
}

/// The unchanging part of a house. Entities come in this order: rooms, doors, objects, the agent last.
#[derive(Clone, Debug)]
pub struct House {
    /// The classes that `Kind::Object` points into.
    pub catalogue: Arc<Catalogue>,
    entities: Vec<Entity>,
    by_name: BTreeMap<String, EntityId>,
    /// What the symbolic house asks about an entity in its inner loop, side by side.
    pub(super) traits: Box<[Traits]>,
    /// Doors and the rooms they join.
    pub(super) doors: Box<[(EntityId, [EntityId; 2])]>,
    rooms: u16,
    /// One bit for each (side, support, thing): whether the thing fits there when nothing else does; sides as in
    /// [`Entity::capacity`].
    fits: Box<[u64]>,
}

/// The most rooms a house can have: one bit each in a word.
pub const MAX_ROOMS: usize = 64;

/// The part of an entity that checks and effects read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    pub(super) properties: Properties,
    /// Square millimetres, so that sums do not depend on their order.
    pub(super) footprint: u32,
    /// Square millimetres ON and INSIDE.
    pub(super) capacity: [u32; 2],
}

impl House {
    /// A house of these entities. Names must be unique, the last entity the agent, and there are at most [`MAX_ROOMS`]
    /// rooms; the scenario loader sees to it.
    pub fn new(catalogue: Arc<Catalogue>, entities: Vec<Entity>) -> Self {
        let by_name = entities
            .iter()
            .enumerate()
            .map(|(i, e)| (e.name.clone(), EntityId(i as u16)))
            .collect();
        let square_mm = |area: f32| (area * 1e6) as u32;
        let traits = entities
            .iter()
            .map(|e| Traits {
                properties: properties(&catalogue, e.kind),
                footprint: square_mm(e.footprint),
                capacity: e.capacity.map(square_mm),
            })
            .collect();
        let doors = entities
            .iter()
            .zip(0..)
            .filter_map(|(e, id)| match e.kind {
                Kind::Door { between } => Some((EntityId(id), between)),
                _ => None,
            })
            .collect();
        let rooms = entities.iter().filter(|e| e.kind == Kind::Room).count() as u16;
        let fits = fits(&catalogue, &entities);
        Self {
            catalogue,
            entities,
            by_name,
            traits,
            doors,
            rooms,
            fits,
        }
    }

    /// Number of entities.
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether there is nothing at all, not even an agent.
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// All identifiers in order.
    pub fn ids(&self) -> impl Iterator<Item = EntityId> + use<> {
        (0..self.entities.len() as u16).map(EntityId)
    }

    /// The entity of that identifier.
    pub fn entity(&self, id: EntityId) -> &Entity {
        &self.entities[id.0 as usize]
    }

    /// The name of that entity.
    pub fn name(&self, id: EntityId) -> &str {
        &self.entity(id).name
    }

    /// The entity of that name.
    pub fn find(&self, name: &str) -> Option<EntityId> {
        self.by_name.get(name).copied()
    }

    /// The agent.
    pub fn agent(&self) -> EntityId {
        EntityId(self.entities.len() as u16 - 1)
    }

    /// Whether the entity is a room.
    pub fn is_room(&self, id: EntityId) -> bool {
        id.0 < self.rooms
    }

    /// The rooms, in order; they are the first entities.
    pub fn rooms(&self) -> impl Iterator<Item = EntityId> + use<> {
        (0..self.rooms).map(EntityId)
    }

    /// The doors in order, each with the two rooms it joins.
    pub fn doors(&self) -> &[(EntityId, [EntityId; 2])] {
        &self.doors
    }

    /// The class of an object; `None` for rooms, doors and the agent.
    pub fn class(&self, id: EntityId) -> Option<&Class> {
        match self.entity(id).kind {
            Kind::Object(class) => Some(self.catalogue.class(class)),
            _ => None,
        }
    }

    /// Whether `thing` is small enough to lie on (or `inside`) `support` when nothing else is there.
    pub fn fits(&self, thing: EntityId, support: EntityId, inside: bool) -> bool {
        let n = self.entities.len();
        let bit = (usize::from(inside) * n + support.0 as usize) * n + thing.0 as usize;
        self.fits[bit / 64] & (1 << (bit % 64)) != 0
    }

    /// Properties of an entity: its class's; a door can be opened; rooms and agents have none.
    pub fn properties(&self, id: EntityId) -> Properties {
        self.traits[id.0 as usize].properties
    }
}

fn properties(catalogue: &Catalogue, kind: Kind) -> Properties {
    match kind {
        Kind::Object(class) => catalogue.class(class).properties,
        Kind::Door { .. } => [Property::CanOpen].into_iter().collect(),
        Kind::Room | Kind::Agent => Properties::default(),
    }
}

fn fits(catalogue: &Catalogue, entities: &[Entity]) -> Box<[u64]> {
    let class = |e: &Entity| match e.kind {
        Kind::Object(class) => Some(catalogue.class(class)),
        _ => None,
    };
    let n = entities.len();
    let mut bits = vec![0u64; (2 * n * n).div_ceil(64)].into_boxed_slice();
    for (s, support) in entities.iter().enumerate() {
        let surfaces = class(support).map(Class::surfaces).unwrap_or_default();
        for (t, thing) in entities.iter().enumerate() {
            let Some(thing) = class(thing) else { continue };
            for surface in surfaces.iter().filter(|surface| surface.takes(thing)) {
                let bit = (usize::from(surface.inside) * n + s) * n + t;
                bits[bit / 64] |= 1 << (bit % 64);
            }
        }
    }
    bits
}
