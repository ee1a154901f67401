//! A model made ready for computing: names resolved once into flat tables, welded bodies fused into links.
//!
//! Vectors of a step are in world axes, measured from the origin of one link of the trunk (`origin`), so that numbers stay
//! small wherever the hand is.

use crate::lanes::{M3, Scalar, V3};
use crate::math::{norm, sub};
use crate::model::{Contact, Curves, JointKind, Model, ParameterSet, PathPoint, ShapeKind};

/// The tables. Links and degrees of freedom (dofs): parents before children; link 0 is the world and all that is fixed to it.
#[derive(Clone, Debug)]
pub(crate) struct Mechanism<T> {
    pub(crate) links: Vec<Link<T>>,
    pub(crate) dofs: Vec<Dof<T>>,
    /// Entries of the mass matrix that can differ from 0: row k holds `ancestors[k]`, then k itself.
    pub(crate) n_mass: usize,
    /// Dofs of the chains of all links, together.
    pub(crate) n_reach: usize,
    /// The link whose origin world vectors are measured from.
    pub(crate) origin: usize,
    pub(crate) wraps: Vec<Wrap<T>>,
    pub(crate) tendons: Vec<Tendon<T>>,
    /// Moment arms that can differ from 0, over all tendons.
    pub(crate) n_arms: usize,
    pub(crate) muscles: Vec<Muscle<T>>,
    pub(crate) motors: Vec<Motor<T>>,
    /// Metres per second squared.
    pub(crate) gravity: [T; 3],
    pub(crate) shapes: Vec<Shape<T>>,
    /// Dof of each joint of the model.
    pub(crate) dof_of_joint: Vec<usize>,
    /// Pairs of links that never touch.
    pub(crate) excluded: Vec<(usize, usize)>,
}

/// Bodies that move as one.
#[derive(Clone, Debug)]
pub(crate) struct Link<T> {
    pub(crate) parent: usize,
    /// Origin in the parent.
    pub(crate) pos: [T; 3],
    /// Axes in the parent; none: as the parent's.
    pub(crate) turn: Option<[T; 9]>,
    pub(crate) mass: T,
    /// With everything that hangs on it.
    pub(crate) subtree_mass: T,
    pub(crate) com: [T; 3],
    /// Around the centre of mass: xx, xy, xz, yy, yz, zz.
    pub(crate) inertia: [T; 6],
    pub(crate) dofs: std::ops::Range<usize>,
    /// Dofs that move it, from the root on.
    pub(crate) chain: Vec<usize>,
    /// Where a table of all chains has its chain.
    pub(crate) reach: usize,
    /// How many links lie between it and the world.
    pub(crate) level: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Dof<T> {
    pub(crate) link: usize,
    pub(crate) kind: JointKind,
    /// Length 1, in the link.
    pub(crate) axis: [T; 3],
    /// A point of the axis in the link; none: the origin.
    pub(crate) anchor: Option<[T; 3]>,
    pub(crate) limit: Option<Limit<T>>,
    pub(crate) damping: T,
    pub(crate) armature: T,
    /// The dofs above it, from the root on.
    pub(crate) ancestors: Vec<usize>,
    /// Where its row of the mass matrix begins.
    pub(crate) row: usize,
    /// Its joint in the model.
    pub(crate) joint: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Limit<T> {
    pub(crate) low: T,
    pub(crate) high: T,
    pub(crate) softness: Softness<T>,
}

/// How a constraint yields: MuJoCo's solref and solimp (documentation, "Solver parameters"), solved for what a row needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Softness<T> {
    /// Pull toward zero distance, per second squared, before the impedance.
    pub(crate) stiffness: T,
    /// Per second.
    pub(crate) damping: T,
    /// Impedance where the constraint begins, and at `width`.
    pub(crate) begin: T,
    pub(crate) end: T,
    /// 1 / metres (or radians).
    pub(crate) inverse_width: T,
    /// Where the curve from begin to end bends, in (0, 1).
    pub(crate) middle: T,
}

/// What a tendon wraps around.
#[derive(Clone, Debug)]
pub(crate) struct Wrap<T> {
    pub(crate) link: usize,
    pub(crate) pos: [T; 3],
    pub(crate) turn: [T; 9],
    /// Otherwise an endless cylinder around z.
    pub(crate) sphere: bool,
    pub(crate) radius: T,
}

#[derive(Clone, Debug)]
pub(crate) struct Tendon<T> {
    /// Stretches between sites of one link: they never change.
    pub(crate) fixed_length: T,
    pub(crate) spans: Vec<Span<T>>,
    /// The dofs that change its length.
    pub(crate) dofs: Vec<usize>,
    /// Where its moment arms begin.
    pub(crate) arms: usize,
}

/// The way between two sites, around at most one surface.
#[derive(Clone, Debug)]
pub(crate) struct Span<T> {
    pub(crate) from: (usize, [T; 3]),
    pub(crate) to: (usize, [T; 3]),
    pub(crate) around: Option<Around<T>>,
    /// What changes the straight part; with a surface, the part before it and the part after it.
    pub(crate) before: Vec<Lever>,
    pub(crate) after: Vec<Lever>,
}

#[derive(Clone, Debug)]
pub(crate) struct Around<T> {
    pub(crate) wrap: usize,
    /// Where the tendon passes, in the surface's frame; across the axis and of length 1 for a cylinder.
    pub(crate) side: Option<[T; 3]>,
    pub(crate) inside: Option<Inside>,
}

/// How the point of contact along an inside is found.
///
/// MuJoCo's search gives up in narrow windows of poses and takes the middle of both ends instead: of 7,000 random poses of the
/// MyoHand, 48 have one muscle whose length is wrong by 0.1 to 1.3 mm there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    /// Where the way is shortest.
    Exact,
    /// Where MuJoCo 3.6 finds it: within about 1e-6 of its radius of that, or in the middle where it gives up.
    AsMuJoCo,
}

/// A dof that moves one end of a straight part: + the end, - the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lever {
    /// Its place among the tendon's dofs.
    pub(crate) place: usize,
    pub(crate) dof: usize,
    pub(crate) end: bool,
}

/// A muscle's curves with everything that does not change computed once. Names as in [`crate::muscle`].
#[derive(Clone, Debug)]
pub(crate) struct Muscle<T> {
    pub(crate) peak_force: T,
    /// L = length × scale + offset.
    pub(crate) length_scale: T,
    pub(crate) length_offset: T,
    /// V = velocity × scale.
    pub(crate) velocity_scale: T,
    pub(crate) lmin: T,
    pub(crate) a: T,
    pub(crate) b: T,
    pub(crate) lmax: T,
    /// 1 / (a - lmin), 1 / (1 - a), 1 / (b - 1), 1 / (lmax - b).
    pub(crate) inverse: [T; 4],
    pub(crate) fpmax: T,
    pub(crate) fvmax: T,
    pub(crate) inverse_y: T,
    /// Per second.
    pub(crate) rise: T,
    pub(crate) fall: T,
}

/// A torque or position actuator.
#[derive(Clone, Debug)]
pub(crate) struct Motor<T> {
    pub(crate) dof: usize,
    pub(crate) control: [T; 2],
    pub(crate) force: [T; 2],
    /// Force = gain × control - stiffness × q - damping × velocity, clamped to `force`, × gear.
    pub(crate) gain: T,
    pub(crate) stiffness: T,
    pub(crate) damping: T,
    pub(crate) gear: T,
}

/// A shape that touches others.
#[derive(Clone, Debug)]
pub(crate) struct Shape<T> {
    pub(crate) link: usize,
    pub(crate) kind: ShapeKind,
    pub(crate) size: [T; 3],
    pub(crate) pos: [T; 3],
    pub(crate) turn: [T; 9],
    pub(crate) contact: Contact,
}

impl<T: Scalar> Mechanism<T> {
    /// The tables of a model that was checked.
    pub(crate) fn new(model: &Model, parameters: ParameterSet) -> Self {
        Self::with_places(model, parameters, Inside::Exact).0
    }

    /// The same, and where each body lies in its link.
    pub(crate) fn with_places(
        model: &Model,
        parameters: ParameterSet,
        inside: Inside,
    ) -> (Self, Vec<(String, Place)>) {
        let mut this = Self {
            links: Vec::new(),
            dofs: Vec::new(),
            n_mass: 0,
            n_reach: 0,
            origin: 0,
            wraps: Vec::new(),
            tendons: Vec::new(),
            n_arms: 0,
            muscles: Vec::new(),
            motors: Vec::new(),
            gravity: model.gravity.map(T::of),
            shapes: Vec::new(),
            dof_of_joint: vec![0; model.joint.len()],
            excluded: Vec::new(),
        };
        let places = this.add_links(model);
        let place = |body: &str| {
            let found = places.iter().find(|(name, _)| *name == body);
            found.expect("a checked model names its bodies").1
        };
        let excluded = model.exclude.iter();
        this.excluded = excluded
            .map(|[a, b]| (place(a).link, place(b).link))
            .collect();
        let site = |name: &str| {
            let site = model.site.iter().find(|s| s.name == name);
            let site = site.expect("a checked model names its sites");
            let at = place(&site.body);
            (at.link, at.point(site.pos))
        };
        let mut wrap_names: Vec<&str> = Vec::new();
        for muscle in &model.muscle {
            let tendon = model.tendon.iter().find(|t| t.name == muscle.tendon);
            let path = &tendon.expect("a checked model names its tendons").path;
            let (mut from, mut around) = (None, None);
            let mut fixed_length = 0.0;
            let mut dofs: Vec<usize> = Vec::new();
            let mut spans = Vec::new();
            for part in path {
                match part {
                    PathPoint::Wrap { shape, side } => {
                        let known = wrap_names.iter().position(|name| name == shape);
                        let wrap = known.unwrap_or_else(|| {
                            wrap_names.push(shape);
                            this.add_wrap(model, shape, &place);
                            wrap_names.len() - 1
                        });
                        around = Some(this.around(wrap, side.as_deref().map(&site), inside));
                    }
                    PathPoint::Site(name) => {
                        let to = site(name);
                        let Some(from) = from.replace(to) else {
                            continue;
                        };
                        let around = around.take();
                        if around.is_none() && from.0 == to.0 {
                            fixed_length += norm(sub(to.1, from.1));
                            continue;
                        }
                        let middle = around
                            .as_ref()
                            .map_or(to.0, |a: &Around<T>| this.wraps[a.wrap].link);
                        let last = if around.is_some() { to.0 } else { middle };
                        spans.push(Span {
                            before: this.levers(from.0, middle, &mut dofs),
                            after: this.levers(middle, last, &mut dofs),
                            from: (from.0, from.1.map(T::of)),
                            to: (to.0, to.1.map(T::of)),
                            around,
                        });
                    }
                }
            }
            this.muscles.push(Muscle::new(muscle, parameters));
            let (arms, n) = (this.n_arms, dofs.len());
            this.tendons.push(Tendon {
                fixed_length: T::of(fixed_length),
                spans,
                dofs,
                arms,
            });
            this.n_arms += n;
        }
        let joint = |name: &str| {
            let joint = model.joint.iter().position(|j| j.name == name);
            this.dof_of_joint[joint.expect("a checked model names its joints")]
        };
        let range = |range: Option<[f64; 2]>| {
            range
                .unwrap_or([f64::from(f32::MIN), f64::from(f32::MAX)])
                .map(T::of)
        };
        let motors = model.torque.iter().map(|t| Motor {
            dof: joint(&t.joint),
            control: range(t.control),
            force: range(t.force),
            gain: T::of(1.0),
            stiffness: T::of(0.0),
            damping: T::of(0.0),
            gear: T::of(t.gear),
        });
        let held = model.position.iter().map(|p| Motor {
            dof: joint(&p.joint),
            control: range(p.control),
            force: range(p.force),
            gain: T::of(p.stiffness),
            stiffness: T::of(p.stiffness),
            damping: T::of(p.damping),
            gear: T::of(1.0),
        });
        this.motors = motors.chain(held).collect();
        for shape in &model.shape {
            let Some(contact) = shape.contact.clone() else {
                continue;
            };
            let at = place(&shape.body);
            let mut size = [0.0; 3];
            size[..shape.size.len()].copy_from_slice(&shape.size);
            this.shapes.push(Shape {
                link: at.link,
                kind: shape.kind,
                size: size.map(T::of),
                pos: at.point(shape.pos).map(T::of),
                turn: at.turn.product(&matrix(shape.quat)).0.map(T::of),
                contact,
            });
        }
        let places = places
            .into_iter()
            .map(|(name, place)| (name.to_owned(), place));
        (this, places.collect())
    }

    /// Fuses bodies without joints into the body that carries them; says where each body lies in its link.
    fn add_links<'a>(&mut self, model: &'a Model) -> Vec<(&'a str, Place)> {
        let origin = Place {
            link: 0,
            pos: [0.0; 3],
            turn: identity(),
        };
        let mut places: Vec<(&str, Place)> = vec![("world", origin)];
        let mut parts: Vec<Vec<(f64, [f64; 3], M3<f64>)>> = vec![Vec::new()];
        let still = Link {
            parent: 0,
            pos: [T::of(0.0); 3],
            turn: None,
            mass: T::of(0.0),
            subtree_mass: T::of(0.0),
            com: [T::of(0.0); 3],
            inertia: [T::of(0.0); 6],
            dofs: 0..0,
            chain: Vec::new(),
            reach: 0,
            level: 0,
        };
        self.links.push(still.clone());
        // Depth first, children in the order of the file.
        let children = |name: &str| {
            let mut found: Vec<_> = model.body.iter().filter(|b| b.parent == name).collect();
            found.reverse();
            found
        };
        let mut waiting = children("world");
        while let Some(body) = waiting.pop() {
            let above = places.iter().find(|(name, _)| *name == body.parent);
            let above = above.expect("parents come first").1;
            let mut at = Place {
                link: above.link,
                pos: above.point(body.pos),
                turn: above.turn.product(&matrix(body.quat)),
            };
            let joints = model
                .joint
                .iter()
                .enumerate()
                .filter(|(_, j)| j.body == body.name);
            let joints: Vec<_> = joints.collect();
            if !joints.is_empty() {
                let parent = above.link;
                let mut chain = self.links[parent].chain.clone();
                let first = self.dofs.len();
                for (joint, j) in joints {
                    let dof = self.dofs.len();
                    self.dof_of_joint[joint] = dof;
                    self.dofs.push(Dof {
                        link: self.links.len(),
                        kind: j.kind,
                        axis: unit(j.axis).map(T::of),
                        anchor: (j.anchor != [0.0; 3]).then(|| j.anchor.map(T::of)),
                        limit: j.limit.map(|[low, high]| Limit {
                            low: T::of(low),
                            high: T::of(high),
                            softness: Softness::new(j.limit_solref, j.limit_solimp),
                        }),
                        damping: T::of(j.damping),
                        armature: T::of(j.armature),
                        ancestors: chain.clone(),
                        row: self.n_mass,
                        joint,
                    });
                    self.n_mass += chain.len() + 1;
                    chain.push(dof);
                }
                let turned = at
                    .turn
                    .0
                    .iter()
                    .zip(identity().0)
                    .any(|(a, b)| (a - b).abs() > 1e-12);
                let reach = self.n_reach;
                self.n_reach += chain.len();
                self.links.push(Link {
                    parent,
                    pos: at.pos.map(T::of),
                    turn: turned.then(|| at.turn.0.map(T::of)),
                    dofs: first..self.dofs.len(),
                    chain,
                    reach,
                    level: self.links[parent].level + 1,
                    ..still.clone()
                });
                parts.push(Vec::new());
                at = Place {
                    link: self.links.len() - 1,
                    pos: [0.0; 3],
                    turn: identity(),
                };
            }
            if let Some(inertial) = &body.inertial {
                let [xx, yy, zz, xy, xz, yz] = inertial.inertia;
                let own = M3([xx, xy, xz, xy, yy, yz, xz, yz, zz]);
                let inertia = at.turn.product(&own).product(&transposed(&at.turn));
                parts[at.link].push((inertial.mass, at.point(inertial.com), inertia));
            }
            places.push((&body.name, at));
            waiting.extend(children(&body.name));
        }
        let mut subtree = vec![0.0; self.links.len()];
        for (i, parts) in parts.iter().enumerate().skip(1).rev() {
            let mass: f64 = parts.iter().map(|(m, ..)| m).sum();
            let mut com = [0.0; 3];
            for (m, at, _) in parts {
                com = [0, 1, 2].map(|e| com[e] + at[e] * m / mass);
            }
            let mut inertia = [0.0; 6];
            for (m, at, own) in parts {
                let [x, y, z] = sub(*at, com);
                let shift = [
                    y * y + z * z,
                    -x * y,
                    -x * z,
                    x * x + z * z,
                    -y * z,
                    x * x + y * y,
                ];
                for (e, place) in [0, 1, 2, 4, 5, 8].into_iter().enumerate() {
                    inertia[e] += own.0[place] + m * shift[e];
                }
            }
            subtree[i] += mass;
            let parent = self.links[i].parent;
            subtree[parent] += subtree[i];
            let link = &mut self.links[i];
            (link.mass, link.subtree_mass) = (T::of(mass), T::of(subtree[i]));
            (link.com, link.inertia) = (com.map(T::of), inertia.map(T::of));
        }
        // The trunk ends where the tree first branches.
        let count = |link: usize| {
            (1..self.links.len())
                .filter(|i| self.links[*i].parent == link)
                .count()
        };
        let only_child =
            |link: usize| (1..self.links.len()).find(|i| self.links[*i].parent == link);
        while count(self.origin) == 1 {
            self.origin = only_child(self.origin).expect("it has one");
        }
        places
    }

    fn add_wrap(&mut self, model: &Model, name: &str, place: &impl Fn(&str) -> Place) {
        let shape = model.shape.iter().find(|s| s.name == name);
        let shape = shape.expect("a checked model names its shapes");
        let at = place(&shape.body);
        self.wraps.push(Wrap {
            link: at.link,
            pos: at.point(shape.pos).map(T::of),
            turn: at.turn.product(&matrix(shape.quat)).0.map(T::of),
            sphere: shape.kind == ShapeKind::Sphere,
            radius: T::of(shape.size[0]),
        });
    }

    fn around(&self, wrap: usize, side: Option<(usize, [f64; 3])>, inside: Inside) -> Around<T> {
        let surface = &self.wraps[wrap];
        let turn = M3(surface.turn.map(Scalar::f64));
        let side = side.map(|(_, at)| {
            let V3(x, y, z) =
                turn.apply_transposed(V3::splat(&sub(at, surface.pos.map(Scalar::f64))));
            [x, y, z]
        });
        let is_inside = side.is_some_and(|side| norm(side) < surface.radius.f64());
        let side = side.map(|side| {
            if surface.sphere {
                return side;
            }
            let flat = [side[0], side[1], 0.0];
            let length = norm(flat).max(1e-12);
            flat.map(|x| x / length)
        });
        Around {
            wrap,
            side: side.map(|s| s.map(T::of)),
            inside: is_inside.then_some(inside),
        }
    }

    /// The dofs between two links, added to the tendon's.
    fn levers(&self, from: usize, to: usize, dofs: &mut Vec<usize>) -> Vec<Lever> {
        let (from, to) = (&self.links[from].chain, &self.links[to].chain);
        let ends = to.iter().filter(|k| !from.contains(k)).map(|k| (*k, true));
        let starts = from.iter().filter(|k| !to.contains(k)).map(|k| (*k, false));
        let mut levers = Vec::new();
        for (dof, end) in ends.chain(starts) {
            let known = dofs.iter().position(|k| *k == dof);
            let place = known.unwrap_or_else(|| {
                dofs.push(dof);
                dofs.len() - 1
            });
            levers.push(Lever { place, dof, end });
        }
        levers
    }

    /// How many controls there are: muscles, then motors.
    pub(crate) fn n_controls(&self) -> usize {
        self.muscles.len() + self.motors.len()
    }
}

impl<T: Scalar> Softness<T> {
    /// MuJoCo's defaults for what is not given, and its limits: impedances in [1e-4, 0.9999].
    pub(crate) fn new([time, ratio]: [f64; 2], [begin, end, width, middle, _]: [f64; 5]) -> Self {
        let (begin, end) = (begin.clamp(1e-4, 0.9999), end.clamp(1e-4, 0.9999));
        Self {
            stiffness: T::of(1.0 / (end * end * time * time * ratio * ratio)),
            damping: T::of(2.0 / (end * time)),
            begin: T::of(begin),
            end: T::of(end),
            inverse_width: T::of(1.0 / width.max(1e-9)),
            middle: T::of(middle.clamp(1e-4, 0.9999)),
        }
    }
}

impl<T: Scalar> Muscle<T> {
    fn new(muscle: &crate::model::Muscle, parameters: ParameterSet) -> Self {
        let Curves {
            range,
            lmin,
            lmax,
            vmax,
            fpmax,
            fvmax,
            activation_secs,
            deactivation_secs,
        } = muscle.curves;
        let [low, high] = muscle.length_range(parameters);
        let optimal = (high - low) / (range[1] - range[0]);
        let (a, b) = ((lmin + 1.0) / 2.0, (1.0 + lmax) / 2.0);
        Self {
            peak_force: T::of(muscle.peak_force),
            length_scale: T::of(1.0 / optimal),
            length_offset: T::of(range[0] - low / optimal),
            velocity_scale: T::of(1.0 / (optimal * vmax)),
            lmin: T::of(lmin),
            a: T::of(a),
            b: T::of(b),
            lmax: T::of(lmax),
            inverse: [a - lmin, 1.0 - a, b - 1.0, lmax - b].map(|x| T::of(1.0 / x)),
            fpmax: T::of(fpmax),
            fvmax: T::of(fvmax),
            inverse_y: T::of(1.0 / (fvmax - 1.0)),
            rise: T::of(1.0 / activation_secs),
            fall: T::of(1.0 / deactivation_secs),
        }
    }
}

/// Where a body lies in its link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) link: usize,
    pub(crate) pos: [f64; 3],
    pub(crate) turn: M3<f64>,
}

impl Place {
    fn point(&self, at: [f64; 3]) -> [f64; 3] {
        let V3(x, y, z) = self.turn.apply(V3::splat(&at)) + V3::splat(&self.pos);
        [x, y, z]
    }
}

fn identity() -> M3<f64> {
    matrix([1.0, 0.0, 0.0, 0.0])
}

pub(crate) fn matrix(quat: [f64; 4]) -> M3<f64> {
    let length = quat.iter().map(|x| x * x).sum::<f64>().sqrt();
    M3::of_quat(quat.map(|x| x / length))
}

fn transposed(m: &M3<f64>) -> M3<f64> {
    let a = &m.0;
    M3([a[0], a[3], a[6], a[1], a[4], a[7], a[2], a[5], a[8]])
}

fn unit(a: [f64; 3]) -> [f64; 3] {
    let length = norm(a);
    a.map(|x| x / length)
}
