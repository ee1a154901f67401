//! How a house is at one moment, in symbols.

use std::sync::Arc;

use super::action::{Effect, HouseAction, Need, VERBS, Verb};
use super::fact::{EntityId, Fact, Relation, State, StateSet};
use super::house::{House, Kind};

/// A hand of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Hand {
    /// Used first.
    Right,
    /// Used when the right hand is full.
    Left,
}

impl Hand {
    /// The relation that says what it holds.
    pub fn relation(self) -> Relation {
        match self {
            Self::Right => Relation::HoldsRh,
            Self::Left => Relation::HoldsLh,
        }
    }
}

/// Where an entity is: in exactly one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Rooms and doors are not anywhere.
    Nowhere,
    /// On the floor of that room.
    Room(EntityId),
    /// On that object; for the agent: sitting or lying on it.
    On(EntityId),
    /// In that object.
    Inside(EntityId),
    /// In the agent's hand.
    Hand(Hand),
}

impl Place {
    /// The room or object that the entity lies on or in.
    fn parent(self) -> Option<EntityId> {
        match self {
            Self::Room(p) | Self::On(p) | Self::Inside(p) => Some(p),
            Self::Nowhere | Self::Hand(_) => None,
        }
    }
}

/// A fact that became true or stopped being true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The fact.
    pub fact: Fact,
    /// Whether it is true now.
    pub now: bool,
}

/// Why an action cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked for.
    pub action: HouseAction,
    /// Why not.
    pub reason: Reason,
}

/// The kinds of refusal, each with the entity to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`Refusal::text` says what each means")]
pub enum Reason {
    WrongNumber,
    NotPossible,
    NotStanding,
    NotSeated,
    /// The closed door in the way.
    DoorClosed(EntityId),
    NoWay(EntityId),
    NotInRoom(EntityId),
    OutOfReach(EntityId),
    /// The closed thing around it.
    Closed(EntityId),
    NotHeld(EntityId),
    InHand(EntityId),
    HandsFull,
    HandsEmpty,
    IsNot(EntityId, State),
    NotFacing(EntityId),
    FullOn(EntityId),
    FullInside(EntityId),
    TooLargeFor(EntityId, EntityId),
    /// What is on the seat, and the seat.
    Taken(EntityId, EntityId),
    Within(EntityId, EntityId),
}

impl Refusal {
    /// The reason as a clause without capital and full stop: "the fridge is closed".
    pub fn text(&self, house: &House) -> String {
        let the = |id: EntityId| format!("the {}", house.name(id));
        match self.reason {
            Reason::WrongNumber => {
                let spec = self.action.verb.spec();
                format!(
                    "[{}] takes {} objects, not {}",
                    spec.name,
                    spec.arity,
                    self.action.objects().count()
                )
            }
            Reason::NotPossible => {
                format!("it is not possible to {}", self.action.imperative(house))
            }
            Reason::NotStanding => "the agent is not standing".to_owned(),
            Reason::NotSeated => "the agent is not sitting or lying".to_owned(),
            Reason::NoWay(o) => format!("there is no way to {}", the(o)),
            Reason::NotInRoom(o) => format!("{} is not in this room", the(o)),
            Reason::OutOfReach(o) => format!("{} is not within reach", the(o)),
            Reason::DoorClosed(o) | Reason::Closed(o) => format!("{} is closed", the(o)),
            Reason::NotHeld(o) => format!("{} is not in a hand", the(o)),
            Reason::InHand(o) => format!("{} is in a hand", the(o)),
            Reason::HandsFull => "both hands are full".to_owned(),
            Reason::HandsEmpty => "both hands are empty".to_owned(),
            Reason::IsNot(o, state) => {
                let now = match state {
                    State::Closed => "already open",
                    State::Open => "already closed",
                    State::SwitchedOn => "already switched off",
                    State::SwitchedOff => "already switched on",
                    State::Clean => "not clean",
                    State::Dirty => "not dirty",
                    State::Sitting | State::Lying => "not there",
                };
                format!("{} is {now}", the(o))
            }
            Reason::NotFacing(o) => format!("the agent is not facing {}", the(o)),
            Reason::FullOn(o) => format!("there is no room left on {}", the(o)),
            Reason::FullInside(o) => format!("there is no room left in {}", the(o)),
            Reason::TooLargeFor(thing, support) => {
                format!("{} does not fit {}", the(thing), the(support))
            }
            Reason::Taken(thing, seat) => format!("{} is on {}", the(thing), the(seat)),
            Reason::Within(o, p) if o == p => format!("{} cannot go there", the(o)),
            Reason::Within(inner, outer) => format!("{} is on or in {}", the(inner), the(outer)),
        }
    }
}

/// No entity, in the links between nodes.
const NONE: u16 = u16::MAX;

/// One entity's place, states and links to its siblings and children.
#[derive(Clone, Copy, Debug)]
struct Node {
    place: Place,
    states: StateSet,
    first: u16,
    next: u16,
    previous: u16,
    /// Square millimetres taken ON and INSIDE.
    used: [u32; 2],
}

/// The state of a house.
///
/// Equal graphs hold the same facts about the same house. Copying costs two short `memcpy`s; every question about one
/// fact is a look-up, and nothing here allocates while an action is checked or applied.
#[derive(Debug)]
pub struct HouseGraph {
    house: Arc<House>,
    nodes: Box<[Node]>,
    /// One bit per entity within the agent's reach.
    close: Box<[u64]>,
    facing: u16,
    hands: [u16; 2],
    /// The agent's room.
    room: u16,
    /// One bit per room that open doors lead to from the agent's room.
    reachable: u64,
}

impl Clone for HouseGraph {
    fn clone(&self) -> Self {
        Self {
            house: Arc::clone(&self.house),
            nodes: self.nodes.clone(),
            close: self.close.clone(),
            ..*self
        }
    }

    /// Keeps the allocations: what a planner does before every imagined future.
    fn clone_from(&mut self, source: &Self) {
        if !Arc::ptr_eq(&self.house, &source.house) {
            *self = source.clone();
            return;
        }
        self.nodes.copy_from_slice(&source.nodes);
        self.close.copy_from_slice(&source.close);
        (self.facing, self.hands) = (source.facing, source.hands);
        (self.room, self.reachable) = (source.room, source.reachable);
    }
}

impl PartialEq for HouseGraph {
    fn eq(&self, other: &Self) -> bool {
        let nodes = |g: &Self| {
            g.nodes
                .iter()
                .map(|n| (n.place, n.states))
                .collect::<Vec<_>>()
        };
        self.house.len() == other.house.len()
            && self.facing == other.facing
            && self.close == other.close
            && nodes(self) == nodes(other)
    }
}

impl HouseGraph {
    /// A house with every entity at a place and in some states, indexed by entity. Nothing is close or faced, except
    /// that what is held is close.
    ///
    /// # Panics
    /// When a list is not as long as the house has entities, the agent is nowhere, or a place is not a room or object
    /// that comes to rest in a room.
    pub fn new(house: Arc<House>, places: Vec<Place>, states: Vec<StateSet>) -> Self {
        assert!(
            places.len() == house.len() && states.len() == house.len(),
            "{} entities, but {} places and {} states",
            house.len(),
            places.len(),
            states.len()
        );
        let node = |states: StateSet| Node {
            place: Place::Nowhere,
            states,
            first: NONE,
            next: NONE,
            previous: NONE,
            used: [0; 2],
        };
        let mut graph = Self {
            close: vec![0; house.len().div_ceil(64)].into(),
            nodes: states.into_iter().map(node).collect(),
            facing: NONE,
            hands: [NONE; 2],
            room: 0,
            reachable: 0,
            house,
        };
        for (id, place) in graph.house.ids().zip(places) {
            graph.link(id, place);
        }
        graph.settle_agent();
        graph
    }

    /// The house of which exactly `facts` are true, as [`Self::facts`] lists them; of two places the last counts.
    ///
    /// # Errors
    /// Names the first entity, other than rooms and doors, that no fact puts anywhere, or that is put on or in itself.
    pub fn from_facts(house: Arc<House>, facts: &[Fact]) -> Result<Self, EntityId> {
        let mut places = vec![Place::Nowhere; house.len()];
        let mut states = vec![StateSet::default(); house.len()];
        for fact in facts {
            match *fact {
                Fact::Is(id, state) => {
                    let states = &mut states[id.0 as usize];
                    *states = states.with(state, true);
                }
                Fact::Holds(a, Relation::On, b) => places[a.0 as usize] = Place::On(b),
                Fact::Holds(a, Relation::Inside, b) => {
                    places[a.0 as usize] = match house.is_room(b) {
                        true => Place::Room(b),
                        false => Place::Inside(b),
                    }
                }
                Fact::Holds(_, Relation::HoldsRh, b) => {
                    places[b.0 as usize] = Place::Hand(Hand::Right);
                }
                Fact::Holds(_, Relation::HoldsLh, b) => {
                    places[b.0 as usize] = Place::Hand(Hand::Left);
                }
                Fact::Holds(_, Relation::Close | Relation::Facing, _) => {}
            }
        }
        for id in house.ids() {
            let mut at = id;
            let mut steps = 0..=house.len();
            // Up to a room, a hand or, for rooms and doors, nowhere.
            while let Some(parent) = places[at.0 as usize].parent() {
                if house.is_room(parent) {
                    break;
                }
                if steps.next().is_none() {
                    return Err(id);
                }
                at = parent;
            }
            let placeless = matches!(house.entity(at).kind, Kind::Object(_) | Kind::Agent);
            if placeless && places[at.0 as usize] == Place::Nowhere {
                return Err(at);
            }
        }
        let mut graph = Self::new(house, places, states);
        graph.close.fill(0);
        for fact in facts {
            match *fact {
                Fact::Holds(_, Relation::Close, o) => graph.set_close(o, true),
                Fact::Holds(_, Relation::Facing, o) => graph.facing = o.0,
                _ => {}
            }
        }
        Ok(graph)
    }

    /// The unchanging part.
    pub fn house(&self) -> &Arc<House> {
        &self.house
    }

    /// Where an entity is.
    pub fn place(&self, id: EntityId) -> Place {
        self.node(id).place
    }

    /// Its states.
    pub fn states(&self, id: EntityId) -> StateSet {
        self.node(id).states
    }

    /// Whether it is in that state.
    pub fn is(&self, id: EntityId, state: State) -> bool {
        self.node(id).states.has(state)
    }

    /// The room an entity is in: up the chain of what it lies on or in; what is held is where the agent is. A room is in
    /// itself, a door in the first of its rooms (see [`Self::standing_room`]).
    pub fn room_of(&self, id: EntityId) -> EntityId {
        let mut at = id;
        loop {
            match self.place(at) {
                Place::Room(room) => return room,
                Place::On(p) | Place::Inside(p) => at = p,
                Place::Hand(_) => return EntityId(self.room),
                Place::Nowhere => {
                    return match self.house.entity(at).kind {
                        Kind::Door { between } => between[0],
                        _ => at,
                    };
                }
            }
        }
    }

    /// The agent's room.
    pub fn agent_room(&self) -> EntityId {
        EntityId(self.room)
    }

    /// The room the agent stands in once it has walked to `id`: the entity's room; for a door, that of its two rooms
    /// which the agent comes to first.
    pub fn standing_room(&self, id: EntityId) -> EntityId {
        let Kind::Door { between } = self.house.entity(id).kind else {
            return self.room_of(id);
        };
        let sides = between.map(|r| 1u64 << r.0);
        let mut seen = 1u64 << self.room;
        loop {
            for (room, side) in between.into_iter().zip(sides) {
                if seen & side != 0 {
                    return room;
                }
            }
            let next = self.through_open_doors(seen);
            if next == seen {
                return between[0];
            }
            seen = next;
        }
    }

    /// What the hand holds.
    pub fn held(&self, hand: Hand) -> Option<EntityId> {
        some(self.hands[hand as usize])
    }

    /// What the agent faces.
    pub fn facing(&self) -> Option<EntityId> {
        some(self.facing)
    }

    /// Whether the entity is within the agent's reach.
    pub fn is_close(&self, id: EntityId) -> bool {
        self.close[id.0 as usize / 64] & (1 << (id.0 % 64)) != 0
    }

    /// What lies directly on or in an entity, in no particular order; things on a room's floor are its children too.
    pub fn children(&self, id: EntityId) -> impl Iterator<Item = EntityId> {
        let mut next = self.node(id).first;
        std::iter::from_fn(move || {
            let child = some(next)?;
            next = self.node(child).next;
            Some(child)
        })
    }

    /// Whether there is room left on (or `inside`) `support` for all of `things`, each of which fits it.
    pub fn room_left(&self, things: &[EntityId], support: EntityId, inside: bool) -> bool {
        let side = usize::from(inside);
        let footprints = things
            .iter()
            .map(|t| self.house.traits[t.0 as usize].footprint);
        let taken = footprints.fold(self.node(support).used[side], u32::saturating_add);
        taken <= self.house.traits[support.0 as usize].capacity[side]
    }

    /// The nearest closed thing that the entity lies in, if there is one.
    pub fn shut_in(&self, id: EntityId) -> Option<EntityId> {
        let mut at = id;
        loop {
            match self.place(at) {
                Place::Inside(p) if self.is(p, State::Closed) => return Some(p),
                Place::Inside(p) | Place::On(p) => at = p,
                Place::Room(_) | Place::Hand(_) | Place::Nowhere => return None,
            }
        }
    }

    /// Whether a fact is true: exactly those that [`Self::facts`] lists are.
    pub fn holds(&self, fact: Fact) -> bool {
        match fact {
            Fact::Is(id, state) => self.is(id, state),
            Fact::Holds(a, Relation::On, b) => self.place(a) == Place::On(b),
            Fact::Holds(a, Relation::Inside, b) => {
                matches!(self.place(a), Place::Inside(p) | Place::Room(p) if p == b)
            }
            Fact::Holds(_, Relation::HoldsRh, b) => self.hands[0] == b.0,
            Fact::Holds(_, Relation::HoldsLh, b) => self.hands[1] == b.0,
            Fact::Holds(_, Relation::Close, b) => self.is_close(b),
            Fact::Holds(_, Relation::Facing, b) => self.facing == b.0,
        }
    }

    /// Everything that is true: for each entity in order its states and its place, then what the agent holds, is close
    /// to and faces.
    pub fn facts(&self) -> Vec<Fact> {
        let agent = self.house.agent();
        let mut facts = Vec::with_capacity(2 * self.nodes.len());
        for id in self.house.ids() {
            facts.extend(self.states(id).iter().map(|s| Fact::Is(id, s)));
            if !matches!(self.place(id), Place::Hand(_)) {
                facts.extend(self.place_fact(id, self.place(id)));
            }
        }
        for hand in [Hand::Right, Hand::Left] {
            facts.extend(
                self.held(hand)
                    .map(|o| Fact::Holds(agent, hand.relation(), o)),
            );
        }
        let close = self.house.ids().filter(|o| self.is_close(*o));
        facts.extend(close.map(|o| Fact::Holds(agent, Relation::Close, o)));
        facts.extend(
            self.facing()
                .map(|o| Fact::Holds(agent, Relation::Facing, o)),
        );
        facts
    }

    /// Whether an action can be carried out now.
    ///
    /// # Errors
    /// The first need of the verb that is not met.
    pub fn check(&self, action: &HouseAction) -> Result<(), Refusal> {
        let refuse = |reason| Refusal {
            action: *action,
            reason,
        };
        let spec = action.verb.spec();
        let given = action.objects.map(|o| o.is_some());
        let in_house = action.objects().all(|o| o < self.house.agent());
        if given != [spec.arity > 0, spec.arity > 1] || !in_house {
            let number = given != [spec.arity > 0, spec.arity > 1];
            return Err(refuse(if number {
                Reason::WrongNumber
            } else {
                Reason::NotPossible
            }));
        }
        let objects = action.objects.map(|o| o.unwrap_or(EntityId(NONE)));
        for need in spec.needs {
            self.meets(*need, objects).map_err(refuse)?;
        }
        Ok(())
    }

    /// Carries an action out.
    ///
    /// # Errors
    /// As [`Self::check`]; then nothing has changed.
    pub fn apply(&mut self, action: &HouseAction) -> Result<(), Refusal> {
        self.check(action)?;
        self.carry_out(action, &mut |_| {});
        Ok(())
    }

    /// Carries an action out and appends what changed to `changes`.
    ///
    /// # Errors
    /// As [`Self::check`]; then nothing has changed.
    pub fn apply_with(
        &mut self,
        action: &HouseAction,
        changes: &mut Vec<Change>,
    ) -> Result<(), Refusal> {
        self.check(action)?;
        self.carry_out(action, &mut |change| changes.push(change));
        Ok(())
    }

    /// Replaces `out` by every action that [`Self::check`] accepts, ordered by verb and then by objects.
    pub fn valid_actions(&self, out: &mut Vec<HouseAction>) {
        out.clear();
        for spec in &VERBS {
            self.valid_of(spec.verb, out);
        }
    }

    /// Appends every valid action of one verb, ordered by objects.
    pub fn valid_of(&self, verb: Verb, out: &mut Vec<HouseAction>) {
        let consider = |action: HouseAction, out: &mut Vec<HouseAction>| {
            if self.check(&action).is_ok() {
                out.push(action);
            }
        };
        match verb.spec().arity {
            0 => consider(HouseAction::alone(verb), out),
            1 => self.candidates(verb, 0, &mut |o| consider(HouseAction::one(verb, o), out)),
            _ => self.candidates(verb, 0, &mut |a| {
                self.candidates(verb, 1, &mut |b| {
                    consider(HouseAction::two(verb, a, b), out)
                });
            }),
        }
    }

    /// Calls `visit` with every entity that can be the verb's object `i`, and perhaps with some that cannot.
    fn candidates(&self, verb: Verb, i: usize, visit: &mut impl FnMut(EntityId)) {
        let needs = verb.spec().needs;
        if needs.contains(&Need::Holds(i)) {
            let mut held = self.hands.map(some);
            held.sort();
            held.into_iter().flatten().for_each(visit);
        } else if needs.contains(&Need::Faces(i)) {
            self.facing().into_iter().for_each(visit);
        } else if needs.contains(&Need::Close(i)) {
            for (word, bits) in (0..).zip(self.close.iter()) {
                let mut bits = *bits;
                while bits != 0 {
                    visit(EntityId(word * 64 + bits.trailing_zeros() as u16));
                    bits &= bits - 1;
                }
            }
        } else {
            self.house.ids().for_each(visit);
        }
    }

    /// Moves an entity, whatever the verbs say: what was measured overrides what was predicted. Putting something into a
    /// hand that is full drops what it held.
    pub fn set_place(&mut self, id: EntityId, place: Place) {
        if let Place::Hand(hand) = place
            && let Some(other) = self.held(hand)
            && other != id
        {
            self.unlink(other);
            self.link(other, Place::Room(EntityId(self.room)));
        }
        self.unlink(id);
        self.link(id, place);
        if id == self.house.agent() {
            self.settle_agent();
        }
    }

    /// Starts or ends a state, and ends or starts its opposite with it.
    pub fn set_state(&mut self, id: EntityId, state: State, now: bool) {
        let states = &mut self.nodes[id.0 as usize].states;
        *states = states.with(state, now);
        if let Some(opposite) = state.opposite() {
            *states = states.with(opposite, !now);
        }
        if matches!(self.house.entity(id).kind, Kind::Door { .. }) {
            self.reachable = self.flood(self.room);
        }
    }

    /// Brings an entity within the agent's reach or out of it.
    pub fn set_close(&mut self, id: EntityId, now: bool) {
        let (word, bit) = (&mut self.close[id.0 as usize / 64], 1 << (id.0 % 64));
        *word = if now { *word | bit } else { *word & !bit };
    }

    /// Lets the agent face something or nothing.
    pub fn set_facing(&mut self, id: Option<EntityId>) {
        self.facing = id.map_or(NONE, |id| id.0);
    }

    /// Makes one fact true or false, as measured. Ending a place makes no new one: use [`Self::set_place`] for that.
    pub fn set(&mut self, fact: Fact, now: bool) {
        match (fact, now) {
            (Fact::Is(id, state), now) => self.set_state(id, state, now),
            (Fact::Holds(_, Relation::Close, o), now) => self.set_close(o, now),
            (Fact::Holds(_, Relation::Facing, o), true) => self.facing = o.0,
            (Fact::Holds(_, Relation::Facing, o), false) if self.facing == o.0 => {
                self.facing = NONE;
            }
            (Fact::Holds(a, Relation::On, b), true) => self.set_place(a, Place::On(b)),
            (Fact::Holds(a, Relation::Inside, b), true) if self.house.is_room(b) => {
                self.set_place(a, Place::Room(b));
            }
            (Fact::Holds(a, Relation::Inside, b), true) => self.set_place(a, Place::Inside(b)),
            (Fact::Holds(_, Relation::HoldsRh, o), true) => {
                self.set_place(o, Place::Hand(Hand::Right));
            }
            (Fact::Holds(_, Relation::HoldsLh, o), true) => {
                self.set_place(o, Place::Hand(Hand::Left));
            }
            (Fact::Holds(..), false) => {}
        }
    }

    /// A digest of all facts, for comparing histories.
    pub fn digest(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        for node in &self.nodes {
            let (kind, at) = match node.place {
                Place::Nowhere => (0, 0),
                Place::Room(p) => (1, p.0),
                Place::On(p) => (2, p.0),
                Place::Inside(p) => (3, p.0),
                Place::Hand(hand) => (4, hand as u16),
            };
            let [low, high] = at.to_le_bytes();
            hasher.update(&[kind, low, high, node.states.0]);
        }
        for word in &self.close {
            hasher.update(&word.to_le_bytes());
        }
        hasher.update(&self.facing.to_le_bytes());
        let mut digest = [0; 16];
        digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        digest
    }

    fn node(&self, id: EntityId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The fact that says that an entity is at a place.
    fn place_fact(&self, id: EntityId, place: Place) -> Option<Fact> {
        match place {
            Place::Nowhere => None,
            Place::On(p) => Some(Fact::Holds(id, Relation::On, p)),
            Place::Room(p) | Place::Inside(p) => Some(Fact::Holds(id, Relation::Inside, p)),
            Place::Hand(hand) => Some(Fact::Holds(self.house.agent(), hand.relation(), id)),
        }
    }

    /// The held thing that the entity is, or lies on or in.
    fn held_around(&self, id: EntityId) -> Option<EntityId> {
        let mut at = id;
        loop {
            match self.place(at) {
                Place::Hand(_) => return Some(at),
                Place::On(p) | Place::Inside(p) => at = p,
                Place::Room(_) | Place::Nowhere => return None,
            }
        }
    }

    fn within(&self, inner: EntityId, outer: EntityId) -> bool {
        let mut at = Some(inner);
        while let Some(id) = at {
            if id == outer {
                return true;
            }
            at = self.place(id).parent();
        }
        false
    }

    fn meets(&self, need: Need, objects: [EntityId; 2]) -> Result<(), Reason> {
        let agent = self.house.agent();
        let posture = |s| self.is(agent, s);
        let seated = posture(State::Sitting) || posture(State::Lying);
        let holds = |o: EntityId| self.hands.contains(&o.0);
        let ok = |met: bool, reason: Reason| if met { Ok(()) } else { Err(reason) };
        match need {
            Need::Property(i, any) => {
                let properties = self.house.traits[objects[i].0 as usize].properties;
                ok(any.iter().any(|p| properties.has(*p)), Reason::NotPossible)
            }
            Need::Thing(i) => ok(!self.house.is_room(objects[i]), Reason::NotPossible),
            Need::Standing => ok(!seated, Reason::NotStanding),
            Need::SittingOrLying => ok(seated, Reason::NotSeated),
            Need::Reachable(i) => {
                let room = self.standing_room(objects[i]);
                if self.reachable & (1 << room.0) != 0 {
                    return Ok(());
                }
                Err(match self.door_in_the_way(room) {
                    Some(door) => Reason::DoorClosed(door),
                    None => Reason::NoWay(objects[i]),
                })
            }
            Need::SameRoom(i) => {
                let here = match self.house.entity(objects[i]).kind {
                    Kind::Door { between } => between.contains(&EntityId(self.room)),
                    _ => self.room_of(objects[i]).0 == self.room,
                };
                ok(here, Reason::NotInRoom(objects[i]))
            }
            Need::Close(i) => ok(self.is_close(objects[i]), Reason::OutOfReach(objects[i])),
            Need::NotShutIn(i) => match self.shut_in(objects[i]) {
                Some(around) => Err(Reason::Closed(around)),
                None => Ok(()),
            },
            Need::OpenIfCanOpen(i) => ok(
                !self.is(objects[i], State::Closed),
                Reason::Closed(objects[i]),
            ),
            Need::Holds(i) => ok(holds(objects[i]), Reason::NotHeld(objects[i])),
            Need::NotHeld(i) => match self.held_around(objects[i]) {
                Some(held) => Err(Reason::InHand(held)),
                None => Ok(()),
            },
            Need::FreeHand => ok(self.hands.contains(&NONE), Reason::HandsFull),
            Need::HoldsSomething => ok(self.hands != [NONE; 2], Reason::HandsEmpty),
            Need::Is(i, state) => ok(self.is(objects[i], state), Reason::IsNot(objects[i], state)),
            Need::Faces(i) => ok(self.facing == objects[i].0, Reason::NotFacing(objects[i])),
            Need::RoomLeft(inside) => {
                let [thing, support] = objects;
                if !self.house.fits(thing, support, inside) {
                    return Err(Reason::TooLargeFor(thing, support));
                }
                let full = if inside {
                    Reason::FullInside(support)
                } else {
                    Reason::FullOn(support)
                };
                ok(self.room_left(&[thing], support, inside), full)
            }
            Need::FreeSeat(i) => {
                let on = |c: &EntityId| self.place(*c) == Place::On(objects[i]);
                match self.children(objects[i]).filter(on).min() {
                    Some(thing) => Err(Reason::Taken(thing, objects[i])),
                    None => Ok(()),
                }
            }
            Need::NotWithin(inner, outer) => {
                let (inner, outer) = (objects[inner], objects[outer]);
                ok(!self.within(inner, outer), Reason::Within(inner, outer))
            }
        }
    }

    fn carry_out(&mut self, action: &HouseAction, report: &mut impl FnMut(Change)) {
        let objects = action.objects.map(|o| o.unwrap_or(EntityId(NONE)));
        let agent = self.house.agent();
        for effect in action.verb.spec().effects {
            match *effect {
                Effect::GoTo(i) => {
                    let room = self.standing_room(objects[i]);
                    self.move_to(agent, Place::Room(room), report);
                    self.face(None, report);
                    self.reach_only(objects[i], report);
                }
                Effect::Face(i) => self.face(Some(objects[i]), report),
                Effect::Take(i) => {
                    let hand = match self.held(Hand::Right) {
                        None => Hand::Right,
                        Some(_) => Hand::Left,
                    };
                    self.move_to(objects[i], Place::Hand(hand), report);
                }
                Effect::PlaceOn => self.move_to(objects[0], Place::On(objects[1]), report),
                Effect::PlaceIn => self.move_to(objects[0], Place::Inside(objects[1]), report),
                Effect::Release(i) => {
                    self.move_to(objects[i], Place::Room(EntityId(self.room)), report);
                }
                Effect::Swap(i, before, after) => {
                    self.change_state(objects[i], before, false, report);
                    self.change_state(objects[i], after, true, report);
                    if matches!(after, State::Open | State::Closed) {
                        self.opened(objects[i], after == State::Open, report);
                    }
                }
                Effect::Settle(i, posture) => {
                    self.move_to(agent, Place::On(objects[i]), report);
                    self.change_state(agent, posture, true, report);
                    self.face(None, report);
                    self.reach_only(objects[i], report);
                }
                Effect::GetUp => {
                    self.move_to(agent, Place::Room(EntityId(self.room)), report);
                    for posture in [State::Sitting, State::Lying] {
                        self.change_state(agent, posture, false, report);
                    }
                }
            }
        }
    }

    /// Moves an entity and reports it; standing still is no change.
    fn move_to(&mut self, id: EntityId, place: Place, report: &mut impl FnMut(Change)) {
        let before = self.place(id);
        if before == place {
            return;
        }
        for (place, now) in [(before, false), (place, true)] {
            if let Some(fact) = self.place_fact(id, place) {
                report(Change { fact, now });
            }
        }
        self.unlink(id);
        self.link(id, place);
        if id == self.house.agent() {
            self.settle_agent();
        }
    }

    fn face(&mut self, target: Option<EntityId>, report: &mut impl FnMut(Change)) {
        let agent = self.house.agent();
        if self.facing() == target {
            return;
        }
        for (o, now) in [(self.facing(), false), (target, true)] {
            if let Some(o) = o {
                report(Change {
                    fact: Fact::Holds(agent, Relation::Facing, o),
                    now,
                });
            }
        }
        self.set_facing(target);
    }

    fn change_state(
        &mut self,
        id: EntityId,
        state: State,
        now: bool,
        report: &mut impl FnMut(Change),
    ) {
        let node = &mut self.nodes[id.0 as usize];
        if node.states.has(state) != now {
            node.states = node.states.with(state, now);
            report(Change {
                fact: Fact::Is(id, state),
                now,
            });
        }
    }

    /// After something opened or closed: doors open or block ways, containers give or take what lies in them.
    fn opened(&mut self, id: EntityId, open: bool, report: &mut impl FnMut(Change)) {
        if matches!(self.house.entity(id).kind, Kind::Door { .. }) {
            self.reachable = self.flood(self.room);
            return;
        }
        let before = self.close_words();
        if open {
            self.add_contents(id);
        } else {
            for word in 0..self.close.len() {
                let mut bits = self.close[word];
                while bits != 0 {
                    let o = EntityId(word as u16 * 64 + bits.trailing_zeros() as u16);
                    bits &= bits - 1;
                    if self.shut_in(o).is_some() {
                        self.set_close(o, false);
                    }
                }
            }
        }
        self.report_close(&before, report);
    }

    /// Leaves everything but what is held, then comes within reach of `target`, of what it lies on or in, and of what
    /// lies on or openly in any of them that is not a room (of the supports only the things on `target`'s chain).
    fn reach_only(&mut self, target: EntityId, report: &mut impl FnMut(Change)) {
        let before = self.close_words();
        self.close.fill(0);
        for held in self.hands.map(some).into_iter().flatten() {
            self.set_close(held, true);
            self.add_contents(held);
        }
        if !self.house.is_room(target) {
            let mut at = target;
            // What is shut in stays out of reach; what is around it does not.
            while let Some(around) = self.shut_in(at) {
                at = around;
            }
            self.set_close(at, true);
            self.add_contents(at);
            while let Place::On(p) | Place::Inside(p) = self.place(at) {
                self.set_close(p, true);
                at = p;
            }
        }
        self.report_close(&before, report);
    }

    /// Brings what lies on an entity, and openly in it, within reach, with what lies on and in that.
    fn add_contents(&mut self, id: EntityId) {
        let closed = self.is(id, State::Closed);
        let mut next = self.node(id).first;
        while let Some(child) = some(next) {
            next = self.node(child).next;
            let inside = self.place(child) == Place::Inside(id);
            if child != self.house.agent() && !(closed && inside) {
                self.set_close(child, true);
                self.add_contents(child);
            }
        }
    }

    /// A copy of the close bits on the stack; houses have at most 65,536 entities, but hardly ever more than 512.
    fn close_words(&self) -> CloseWords {
        let mut words = CloseWords {
            few: [0; 8],
            many: Vec::new(),
        };
        match words.few.get_mut(..self.close.len()) {
            Some(few) => few.copy_from_slice(&self.close),
            None => words.many = self.close.to_vec(),
        }
        words
    }

    fn report_close(&self, before: &CloseWords, report: &mut impl FnMut(Change)) {
        let before = match self.close.len() {
            n @ ..=8 => &before.few[..n],
            _ => &before.many,
        };
        let agent = self.house.agent();
        for (word, (old, new)) in (0..).zip(before.iter().zip(&self.close)) {
            let mut bits = old ^ new;
            while bits != 0 {
                let bit = bits.trailing_zeros() as u16;
                bits &= bits - 1;
                report(Change {
                    fact: Fact::Holds(agent, Relation::Close, EntityId(word * 64 + bit)),
                    now: new & (1 << bit) != 0,
                });
            }
        }
    }

    /// Takes an entity out of its parent's children or out of the hand.
    fn unlink(&mut self, id: EntityId) {
        let node = *self.node(id);
        if let Place::Hand(hand) = node.place {
            self.hands[hand as usize] = NONE;
        }
        let Some(parent) = node.place.parent() else {
            return;
        };
        let footprint = self.house.traits[id.0 as usize].footprint;
        let parent = &mut self.nodes[parent.0 as usize];
        let side = usize::from(matches!(node.place, Place::Inside(_)));
        parent.used[side] = parent.used[side].saturating_sub(footprint);
        match some(node.previous) {
            Some(p) => self.nodes[p.0 as usize].next = node.next,
            None => parent.first = node.next,
        }
        if let Some(n) = some(node.next) {
            self.nodes[n.0 as usize].previous = node.previous;
        }
    }

    /// Puts an entity that is nowhere at a place. What is held is within reach.
    fn link(&mut self, id: EntityId, place: Place) {
        let footprint = self.house.traits[id.0 as usize].footprint;
        let mut first = NONE;
        if let Some(parent) = place.parent() {
            let parent = &mut self.nodes[parent.0 as usize];
            let side = usize::from(matches!(place, Place::Inside(_)));
            parent.used[side] = parent.used[side].saturating_add(footprint);
            first = std::mem::replace(&mut parent.first, id.0);
            if first != NONE {
                self.nodes[first as usize].previous = id.0;
            }
        }
        if let Place::Hand(hand) = place {
            self.hands[hand as usize] = id.0;
            self.set_close(id, true);
        }
        let node = &mut self.nodes[id.0 as usize];
        (node.place, node.next, node.previous) = (place, first, NONE);
    }

    /// Finds the agent's room and the rooms it can reach again after the agent has moved.
    fn settle_agent(&mut self) {
        let agent = self.house.agent();
        let room = self.room_of(agent).0;
        self.room = room;
        if self.reachable & (1 << room) == 0 {
            self.reachable = self.flood(room);
        }
    }

    /// `rooms` and those that one open door leads to from them.
    fn through_open_doors(&self, rooms: u64) -> u64 {
        let mut next = rooms;
        for (door, between) in &self.house.doors {
            let sides = (1 << between[0].0) | (1 << between[1].0);
            if rooms & sides != 0 && self.is(*door, State::Open) {
                next |= sides;
            }
        }
        next
    }

    fn flood(&self, room: u16) -> u64 {
        let mut seen = 1u64 << room;
        loop {
            let next = self.through_open_doors(seen);
            if next == seen {
                return seen;
            }
            seen = next;
        }
    }

    /// The first closed door on a shortest way to `room` from the rooms that can be reached.
    fn door_in_the_way(&self, room: EntityId) -> Option<EntityId> {
        // Rooms by their distance from `room`, until one that can be reached borders on them.
        let mut seen = 1u64 << room.0;
        loop {
            let mut next = seen;
            for (door, between) in &self.house.doors {
                let sides = (1 << between[0].0) | (1 << between[1].0);
                if seen & sides == 0 {
                    continue;
                }
                if self.reachable & sides != 0 {
                    return Some(*door);
                }
                next |= sides;
            }
            if next == seen {
                return None;
            }
            seen = next;
        }
    }
}

struct CloseWords {
    few: [u64; 8],
    many: Vec<u64>,
}

fn some(id: u16) -> Option<EntityId> {
    (id != NONE).then_some(EntityId(id))
}
