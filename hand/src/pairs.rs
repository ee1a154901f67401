//! What may touch what: shapes of all owners, and the groups of pairs that act on the same degrees of freedom.
//!
//! A group has one list of slots for all worlds of a register. Which link of a finger a contact is on may differ from world to
//! world: the slot carries the link's level on the chain, and the chain's dofs above that level take no part. So worlds that
//! touch with different phalanges share a slot, and the sparsity of a row is a table.

use std::collections::BTreeMap;

use crate::lanes::Scalar;
use crate::math::norm;
use crate::mechanism::{Mechanism, Softness};
use crate::model::{Contact, ShapeKind};
use crate::scene::{Primitive, Scene};

/// Who a shape belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    World,
    Link(usize),
    Object(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Geom<T> {
    pub(crate) owner: Owner,
    pub(crate) kind: ShapeKind,
    pub(crate) size: [T; 3],
    pub(crate) pos: [T; 3],
    pub(crate) turn: [T; 9],
    /// Of the sphere around its centre that holds it.
    pub(crate) reach: T,
    /// Level of its link.
    pub(crate) level: T,
    /// How easily its owner is moved where it touches: 1 / kg.
    pub(crate) weight: T,
}

/// Two shapes that may touch. `a` is the rounder one: see [`rank`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<T> {
    pub(crate) a: usize,
    pub(crate) b: usize,
    pub(crate) group: usize,
    /// They cannot touch when their centres are farther apart; squared.
    pub(crate) reach2: T,
}

/// The pairs of one shape with one object: skipped together when the object is far.
#[derive(Clone, Debug)]
pub(crate) struct Bundle<T> {
    pub(crate) geom: usize,
    pub(crate) object: Option<(usize, T)>,
    pub(crate) pairs: std::ops::Range<usize>,
}

/// Pairs whose contacts act on the same dofs in the same way.
#[derive(Clone, Debug)]
pub(crate) struct Group<T> {
    /// The first and the second shape's.
    pub(crate) sides: [Side<T>; 2],
    /// Coordinates of its objects, then the dofs that a contact may act on, ascending: what a row's entries stand for.
    pub(crate) support: Vec<usize>,
    /// Whether contacts resist turning around their normal.
    pub(crate) torsional: bool,
    /// Sliding friction; torsional friction in metres.
    pub(crate) friction: [T; 2],
    pub(crate) softness: Softness<T>,
    pub(crate) margin: T,
}

/// Who one shape of each pair of a group belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Side<T> {
    pub(crate) object: Option<usize>,
    /// The branch of the body, counted from 0.
    pub(crate) branch: Option<usize>,
    /// Links of that branch with their levels, from the root on.
    pub(crate) links: Vec<(T, usize)>,
    /// The place on the branch's chain of each dof of the group; beyond its end for one that moves the other side only.
    pub(crate) places: Vec<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Pairs<T> {
    pub(crate) geoms: Vec<Geom<T>>,
    pub(crate) pairs: Vec<Pair<T>>,
    pub(crate) bundles: Vec<Bundle<T>>,
    pub(crate) groups: Vec<Group<T>>,
    /// The branch of each link: see [`branches`].
    pub(crate) branches: Vec<usize>,
}

/// Which shape of a pair is tested against the other's distance field.
fn rank(kind: ShapeKind) -> u8 {
    match kind {
        ShapeKind::Sphere => 0,
        ShapeKind::Capsule => 1,
        ShapeKind::Ellipsoid => 2,
        ShapeKind::Cylinder => 3,
        ShapeKind::Box => 4,
        ShapeKind::Plane => 5,
    }
}

impl<T: Scalar> Pairs<T> {
    /// `weights`: how easily each link is moved at its centre of mass, 1 / kg (n_links).
    pub(crate) fn new(scene: &Scene, m: &Mechanism<T>, weights: &[f64]) -> Self {
        let mut geoms = Vec::new();
        let mut contacts: Vec<&Contact> = Vec::new();
        for shape in &m.shapes {
            geoms.push(Geom {
                owner: if shape.link == 0 {
                    Owner::World
                } else {
                    Owner::Link(shape.link)
                },
                kind: shape.kind,
                size: shape.size,
                pos: shape.pos,
                turn: shape.turn,
                reach: T::of(reach(shape.kind, shape.size.map(Scalar::f64))),
                level: T::of(m.links[shape.link].level as f64),
                weight: T::of(weights[shape.link]),
            });
            contacts.push(&shape.contact);
        }
        let n_model = geoms.len();
        let objects = scene.objects.iter().enumerate();
        let of_objects = objects.flat_map(|(i, o)| {
            o.shapes
                .iter()
                .map(move |s| (Owner::Object(i), s, 1.0 / o.mass))
        });
        let fixed = scene.fixed.iter().map(|s| (Owner::World, s, 0.0));
        for (owner, shape, weight) in of_objects.chain(fixed) {
            geoms.push(geom(owner, shape, weight));
            contacts.push(&shape.contact);
        }
        let branches = branches(m);
        let mut this = Self {
            geoms,
            pairs: Vec::new(),
            bundles: Vec::new(),
            groups: Vec::new(),
            branches: branches.clone(),
        };
        if !scene.options.contacts {
            return this;
        }
        // By owner of the second side, so that an object's shapes stay together.
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        let n = this.geoms.len();
        for i in 0..n {
            let mut of_geom: BTreeMap<Owner, Vec<Pair<T>>> = BTreeMap::new();
            for j in i + 1..n {
                let (a, b) = (&this.geoms[i], &this.geoms[j]);
                let own = i < n_model && j < n_model;
                if own && !scene.options.self_contacts
                    || !may_touch(m, &branches, (a.owner, contacts[i]), (b.owner, contacts[j]))
                {
                    continue;
                }
                let (a, b) = if rank(a.kind) <= rank(b.kind) {
                    (i, j)
                } else {
                    (j, i)
                };
                let mixed = mix(contacts[a], contacts[b]);
                let branch = |owner| match owner {
                    Owner::Link(link) => format!("branch {}", branches[link]),
                    other => format!("{other:?}"),
                };
                let (first, second) = (this.geoms[a].owner, this.geoms[b].owner);
                let name = format!("{} {} {mixed:?}", branch(first), branch(second));
                let group = *known.entry(name).or_insert_with(|| {
                    this.groups.push(group(m, &branches, first, second, &mixed));
                    this.groups.len() - 1
                });
                let far = this.geoms[a].reach.f64() + this.geoms[b].reach.f64() + mixed.margin;
                let pair = Pair {
                    a,
                    b,
                    group,
                    reach2: T::of(far * far),
                };
                of_geom.entry(this.geoms[j].owner).or_default().push(pair);
            }
            for (owner, pairs) in of_geom {
                let first = this.pairs.len();
                let margin = pairs.iter().map(|p| this.groups[p.group].margin.f64());
                let margin = margin.fold(0.0, f64::max);
                this.pairs.extend(pairs);
                let object = match owner {
                    Owner::Object(object) => {
                        let shapes = this.geoms.iter().filter(|g| g.owner == owner);
                        let reach = shapes.map(|g| norm(g.pos.map(Scalar::f64)) + g.reach.f64());
                        let far = reach.fold(0.0, f64::max) + this.geoms[i].reach.f64() + margin;
                        Some((object, T::of(far * far)))
                    }
                    _ => None,
                };
                this.bundles.push(Bundle {
                    geom: i,
                    object,
                    pairs: first..this.pairs.len(),
                });
            }
        }
        this
    }
}

fn geom<T: Scalar>(owner: Owner, shape: &Primitive, weight: f64) -> Geom<T> {
    let turn = crate::mechanism::matrix(shape.quat);
    Geom {
        owner,
        kind: shape.kind,
        size: shape.size.map(T::of),
        pos: shape.pos.map(T::of),
        turn: turn.0.map(T::of),
        reach: T::of(reach(shape.kind, shape.size)),
        level: T::of(0.0),
        weight: T::of(weight),
    }
}

fn reach(kind: ShapeKind, size: [f64; 3]) -> f64 {
    match kind {
        ShapeKind::Sphere => size[0],
        ShapeKind::Capsule => size[0] + size[1],
        ShapeKind::Cylinder => size[0].hypot(size[1]),
        ShapeKind::Box => norm(size),
        ShapeKind::Ellipsoid => size.into_iter().fold(0.0, f64::max),
        ShapeKind::Plane => 1e6,
    }
}

/// The branch of each link: a link goes on with its parent's branch where it is the only child.
fn branches<T>(m: &Mechanism<T>) -> Vec<usize> {
    let mut branches = vec![0; m.links.len()];
    let mut count = 0;
    for i in 1..m.links.len() {
        let parent = m.links[i].parent;
        let siblings = m
            .links
            .iter()
            .skip(1)
            .filter(|l| l.parent == parent)
            .count();
        branches[i] = if parent > 0 && siblings == 1 {
            branches[parent]
        } else {
            count += 1;
            count
        };
    }
    branches
}

/// MuJoCo's rules (documentation, "Collision"): not within a body, not a body with its parent unless that is the world, not
/// what is excluded; group and mask must fit. Links of one branch do not touch: they are neighbours or nearly so.
fn may_touch<T>(
    m: &Mechanism<T>,
    branches: &[usize],
    (a, ca): (Owner, &Contact),
    (b, cb): (Owner, &Contact),
) -> bool {
    if a == b || ca.group & cb.mask == 0 && cb.group & ca.mask == 0 {
        return false;
    }
    let link = |owner| match owner {
        Owner::World => Some(0),
        Owner::Link(link) => Some(link),
        Owner::Object(_) => None,
    };
    let (Some(a), Some(b)) = (link(a), link(b)) else {
        return true;
    };
    let neighbours = |a: usize, b: usize| a > 0 && m.links[b].parent == a;
    let excluded = m
        .excluded
        .iter()
        .any(|pair| *pair == (a, b) || *pair == (b, a));
    !(neighbours(a, b) || neighbours(b, a) || excluded || branches[a] == branches[b])
}

/// The parameters of a contact from those of its sides: the larger friction and dimensions, the mean softness, both margins.
fn mix(a: &Contact, b: &Contact) -> Contact {
    let mean = |x: f64, y: f64| 0.5 * (x + y);
    Contact {
        group: 0,
        mask: 0,
        friction: [0, 1, 2].map(|e| a.friction[e].max(b.friction[e])),
        dimensions: a.dimensions.max(b.dimensions),
        margin: a.margin + b.margin,
        solref: [0, 1].map(|e| mean(a.solref[e], b.solref[e])),
        solimp: [0, 1, 2, 3, 4].map(|e| mean(a.solimp[e], b.solimp[e])),
    }
}

fn group<T: Scalar>(
    m: &Mechanism<T>,
    branches: &[usize],
    first: Owner,
    second: Owner,
    contact: &Contact,
) -> Group<T> {
    let links = |owner: Owner| -> Vec<usize> {
        match owner {
            Owner::Link(link) => (0..m.links.len())
                .filter(|other| branches[*other] == branches[link])
                .collect(),
            _ => Vec::new(),
        }
    };
    let chain = |owner| {
        links(owner)
            .last()
            .map_or(&[][..], |tip| &m.links[*tip].chain)
    };
    let mut dofs: Vec<usize> = [chain(first), chain(second)].concat();
    dofs.sort_unstable();
    dofs.dedup();
    let side = |owner| {
        let place = |k: &usize| chain(owner).iter().position(|own| own == k);
        Side {
            object: match owner {
                Owner::Object(object) => Some(object),
                _ => None,
            },
            branch: match owner {
                Owner::Link(link) => branches[link].checked_sub(1),
                _ => None,
            },
            links: links(owner)
                .into_iter()
                .map(|link| (T::of(m.links[link].level as f64), link))
                .collect(),
            places: dofs
                .iter()
                .map(|k| place(k).unwrap_or(usize::MAX))
                .collect(),
        }
    };
    let sides = [side(first), side(second)];
    let objects = sides.iter().filter_map(|side| side.object);
    let coordinates = objects.flat_map(|o| m.dofs.len() + 6 * o..m.dofs.len() + 6 * (o + 1));
    Group {
        support: coordinates.chain(dofs.iter().copied()).collect(),
        sides,
        torsional: contact.dimensions >= 4,
        friction: [
            T::of(if contact.dimensions == 1 {
                0.0
            } else {
                contact.friction[0]
            }),
            T::of(contact.friction[1]),
        ],
        softness: Softness::new(contact.solref, contact.solimp),
        margin: T::of(contact.margin),
    }
}
