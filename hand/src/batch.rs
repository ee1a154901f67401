//! Many worlds of one scene, stepped together.
//!
//! ```
//! use hand::batch::Batch;
//! use hand::model::{self, ParameterSet};
//! use hand::scene::{Options, Scene};
//!
//! let model = model::load_text(hand::MYOHAND, "myohand.toml")?;
//! let scene = Scene { model, parameters: ParameterSet::Calibrated, objects: vec![], fixed: vec![], options: Options::default() };
//! let mut batch = Batch::new(&scene, 100)?;
//! batch.control_mut(7).fill(0.2);
//! batch.step(10, 1);
//! assert!(batch.diverged().is_empty());
//! println!("{:?}", batch.state(7).qpos);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::constraint::Warm;
use crate::dynamics::{kinematics, point};
pub use crate::lanes::Width;
use crate::lanes::{Lanes, M3, V3, Work};
use crate::model::Model;
use crate::scene::{ObjectError, Scene};
use crate::step::{Register, Tables, step};
use crate::tendon::tendons;

/// What is wrong with a batch that was asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BatchError {
    /// There is not that much memory.
    #[error("{worlds} worlds need about {needed} MiB of memory, and {available} MiB are available")]
    Memory {
        /// How many worlds were asked for.
        worlds: usize,
        /// MiB.
        needed: usize,
        /// MiB.
        available: usize,
    },
    /// The processor cannot do it.
    #[error("this processor has no instructions for {lanes} worlds at a time")]
    Width {
        /// How many lanes were asked for.
        lanes: usize,
    },
    /// An object of the scene cannot be.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The scene cannot be computed.
    #[error("{0}")]
    Scene(String),
}

/// Where everything in one world is. Angles in the order of the model's joints, activations in that of its muscles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorldState {
    /// Joint angles in radians, or places in metres (n_joints).
    pub qpos: Vec<f32>,
    /// Per second (n_joints).
    pub qvel: Vec<f32>,
    /// In [0, 1] (n_muscles).
    pub act: Vec<f32>,
    /// In the order of the scene.
    pub objects: Vec<ObjectState>,
}

/// Where an object is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObjectState {
    /// Metres, in the world.
    pub pos: [f32; 3],
    /// w, x, y, z.
    pub quat: [f32; 4],
    /// Metres a second, in the world.
    pub velocity: [f32; 3],
    /// Radians a second, around the object's own axes.
    pub spin: [f32; 3],
}

/// All that one world's future depends on: continuing from it gives the bits that continuing without it gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    rows: Vec<f32>,
    contacts: Vec<(usize, f32, [f32; 4])>,
}

/// A list of numbers that every world has, for [`Batch::read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Joint angles in radians, or places in metres (n_joints).
    Angles,
    /// Their velocities per second (n_joints).
    Velocities,
    /// Activations of muscles in [0, 1] (n_muscles).
    Activations,
    /// Lengths of the muscles' tendons in metres (n_muscles): see [`Batch::watch`].
    Lengths,
    /// Their tensions in newtons, in the last step (n_muscles).
    Tensions,
    /// Normal forces on each branch of the body in the last step in newtons, summed over its contacts (n_branches).
    Touch,
    /// Places of watched sites in metres, in the world (3 × n_sites).
    Sites,
    /// An object's place, quaternion, velocity and spin, as in [`ObjectState`] (13).
    Object(usize),
}

/// A point of a link, in its axes.
type Point = (usize, [f32; 3]);

impl Snapshot {
    /// Its numbers' bits in a fixed order, for a digest.
    pub fn bits(&self) -> impl Iterator<Item = u32> {
        let contacts = self.contacts.iter().flat_map(|(group, key, [a, b, c, d])| {
            std::iter::once(*group as u32).chain([key, a, b, c, d].map(|x| x.to_bits()))
        });
        self.rows.iter().map(|x| x.to_bits()).chain(contacts)
    }
}

/// Worlds of one scene.
pub struct Batch {
    tables: Arc<Tables<f32>>,
    points: Vec<Point>,
    layout: Layout,
    width: Width,
    n_worlds: usize,
    groups: Vec<Lanewise>,
    registers: Vec<Option<Box<dyn Any + Send>>>,
    /// Threads of the last step on more than one: starting them anew takes as long as stepping some tens of worlds.
    pool: Option<ThreadPool>,
}

/// What a register's worlds are between steps: one row of lanes for each number.
#[derive(Clone, Debug)]
struct Lanewise {
    rows: Vec<f32>,
    /// Contacts: their group, and a row each for key and four forces.
    contact_groups: Vec<usize>,
    contact_rows: Vec<f32>,
}

/// Where each number of a world has its row.
#[derive(Clone, Copy, Debug)]
struct Layout {
    n_dofs: usize,
    n_muscles: usize,
    n_controls: usize,
    n_objects: usize,
    n_branches: usize,
    n_points: usize,
}

impl Layout {
    fn qd(&self) -> usize {
        self.n_dofs
    }
    fn qacc(&self) -> usize {
        2 * self.n_dofs
    }
    fn limit_force(&self) -> usize {
        3 * self.n_dofs
    }
    fn act(&self) -> usize {
        4 * self.n_dofs
    }
    fn control(&self) -> usize {
        self.act() + self.n_muscles
    }
    /// Thirteen rows of an object.
    fn object(&self, object: usize) -> usize {
        self.control() + self.n_controls + 13 * object
    }
    fn alive(&self) -> usize {
        self.object(self.n_objects)
    }
    /// Lengths of tendons and their tensions, as of the last step.
    fn length(&self) -> usize {
        self.alive() + 1
    }
    fn tension(&self) -> usize {
        self.length() + self.n_muscles
    }
    fn touch(&self) -> usize {
        self.tension() + self.n_muscles
    }
    fn points(&self) -> usize {
        self.touch() + self.n_branches
    }
    fn n_rows(&self) -> usize {
        self.points() + 3 * self.n_points
    }
}

impl Batch {
    /// `n_worlds` worlds with all joints at 0, as wide as the processor can.
    ///
    /// # Errors
    /// When the memory does not suffice, or the scene has an object without shapes.
    pub fn new(scene: &Scene, n_worlds: usize) -> Result<Self, BatchError> {
        Self::with_width(scene, n_worlds, Width::best())
    }

    /// As [`Batch::new`], for a given width.
    ///
    /// # Errors
    /// As [`Batch::new`], and when the processor has no such width.
    pub fn with_width(scene: &Scene, n_worlds: usize, width: Width) -> Result<Self, BatchError> {
        if !width.is_available() {
            return Err(BatchError::Width {
                lanes: width.lanes(),
            });
        }
        for object in &scene.objects {
            object.check()?;
        }
        let tables = Tables::<f32>::new(scene);
        let m = &tables.mechanism;
        let layout = Layout {
            n_dofs: m.dofs.len(),
            n_muscles: m.muscles.len(),
            n_controls: m.n_controls(),
            n_objects: scene.objects.len(),
            n_branches: tables.pairs.branches.iter().copied().max().unwrap_or(0),
            n_points: 0,
        };
        let n_groups = n_worlds.div_ceil(width.lanes());
        let needed = n_groups * width.lanes() * (layout.n_rows() + CONTACT_ROWS) * size_of::<f32>();
        let needed = needed / (1 << 20);
        if let Some(available) = available_mib().filter(|available| needed > *available) {
            return Err(BatchError::Memory {
                worlds: n_worlds,
                needed,
                available,
            });
        }
        let mut start = Lanewise {
            rows: vec![0.0; layout.n_rows() * width.lanes()],
            contact_groups: Vec::new(),
            contact_rows: Vec::new(),
        };
        for lane in 0..width.lanes() {
            start.rows[layout.alive() * width.lanes() + lane] = 1.0;
            for object in 0..layout.n_objects {
                start.rows[(layout.object(object) + 3) * width.lanes() + lane] = 1.0;
            }
        }
        Ok(Self {
            tables: Arc::new(tables),
            points: Vec::new(),
            layout,
            width,
            n_worlds,
            groups: vec![start; n_groups],
            registers: Vec::new(),
            pool: None,
        })
    }

    /// How many worlds.
    pub fn len(&self) -> usize {
        self.n_worlds
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n_worlds == 0
    }

    /// Steps every world `n_steps` times, on `n_threads` threads; the bits are the same for any number of them.
    pub fn step(&mut self, n_steps: usize, n_threads: usize) {
        let n_threads = n_threads.clamp(1, self.groups.len().max(1));
        self.registers
            .resize_with(n_threads.max(self.registers.len()), || None);
        let (tables, points, layout, width) =
            (&*self.tables, &*self.points, &self.layout, self.width);
        // Whoever is done takes the next group: some have more contacts than others.
        let waiting = Mutex::new(self.groups.iter_mut());
        let work = |register: &mut Option<Box<dyn Any + Send>>| {
            let next = || {
                waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .next()
            };
            while let Some(group) = next() {
                width.run(Steps {
                    tables,
                    points,
                    layout,
                    groups: std::slice::from_mut(group),
                    n_steps,
                    register,
                });
            }
        };
        let (own, others) = self.registers.split_at_mut(1);
        let own = &mut own[0];
        if n_threads == 1 {
            return work(own);
        }
        if self
            .pool
            .as_ref()
            .is_none_or(|pool| pool.current_num_threads() != n_threads - 1)
        {
            self.pool = ThreadPoolBuilder::new()
                .num_threads(n_threads - 1)
                .build()
                .ok();
        }
        // A machine that gives no threads has the caller's.
        let Some(pool) = &self.pool else {
            return work(own);
        };
        // The caller works too: handing all to the pool would wait for two threads to wake, not one.
        pool.in_place_scope(|scope| {
            for register in &mut others[..n_threads - 1] {
                scope.spawn(|_| work(register));
            }
            work(own);
        });
    }

    /// Excitations of muscles in [0, 1], then controls of motors, of one world: written by the caller, kept between steps.
    pub fn control_mut(&mut self, world: usize) -> Control<'_> {
        let (first, n) = (self.layout.control(), self.layout.n_controls);
        let lanes = self.width.lanes();
        let lane = world % lanes;
        Control {
            rows: &mut self.groups[world / lanes].rows[first * lanes..(first + n) * lanes],
            lanes,
            lane,
        }
    }

    /// Worlds that diverged: they stand still until they are set again.
    pub fn diverged(&self) -> Vec<usize> {
        (0..self.n_worlds)
            .filter(|w| self.has_diverged(*w))
            .collect()
    }

    /// Where everything is.
    pub fn state(&self, world: usize) -> WorldState {
        let l = &self.layout;
        let of_joints = |first: usize| {
            let dofs = &self.tables.mechanism.dof_of_joint;
            dofs.iter().map(|k| self.row(world, first + k)).collect()
        };
        WorldState {
            qpos: of_joints(0),
            qvel: of_joints(l.qd()),
            act: (0..l.n_muscles)
                .map(|i| self.row(world, l.act() + i))
                .collect(),
            objects: (0..l.n_objects)
                .map(|o| {
                    let at = |e: usize| self.row(world, l.object(o) + e);
                    ObjectState {
                        pos: [at(0), at(1), at(2)],
                        quat: [at(3), at(4), at(5), at(6)],
                        velocity: [at(7), at(8), at(9)],
                        spin: [at(10), at(11), at(12)],
                    }
                })
                .collect(),
        }
    }

    /// Lengths of the muscles' tendons (metres) and their tensions (newtons) in the last step.
    pub fn tendons(&self, world: usize) -> (Vec<f32>, Vec<f32>) {
        let of = |first: usize| {
            (0..self.layout.n_muscles)
                .map(|i| self.row(world, first + i))
                .collect()
        };
        (of(self.layout.length()), of(self.layout.tension()))
    }

    /// How many contacts there were in the last step.
    pub fn contacts(&self, world: usize) -> usize {
        let lanes = self.width.lanes();
        let keys = self.groups[world / lanes]
            .contact_rows
            .iter()
            .skip(world % lanes);
        keys.step_by(5 * lanes).filter(|key| **key >= 0.0).count()
    }

    /// Copies a list of numbers of one world, as far as it fits, without making a list of its own.
    pub fn read(&self, world: usize, what: Reading, to: &mut [f32]) {
        let l = &self.layout;
        let of_joints = |first: usize, to: &mut [f32]| {
            for (x, k) in to.iter_mut().zip(&self.tables.mechanism.dof_of_joint) {
                *x = self.row(world, first + k);
            }
        };
        let (first, n) = match what {
            Reading::Angles => return of_joints(0, to),
            Reading::Velocities => return of_joints(l.qd(), to),
            Reading::Activations => (l.act(), l.n_muscles),
            Reading::Lengths => (l.length(), l.n_muscles),
            Reading::Tensions => (l.tension(), l.n_muscles),
            Reading::Touch => (l.touch(), l.n_branches),
            Reading::Sites => (l.points(), 3 * l.n_points),
            Reading::Object(object) => (l.object(object), 13),
        };
        for (x, row) in to.iter_mut().zip(first..first + n) {
            *x = self.row(world, row);
        }
    }

    /// Whether a world diverged: see [`Batch::diverged`].
    pub fn has_diverged(&self, world: usize) -> bool {
        self.row(world, self.layout.alive()) == 0.0
    }

    /// The branch of the body that a joint moves, as counted in [`Reading::Touch`]: links that follow each other without a
    /// fork, such as those of a finger.
    pub fn branch(&self, joint: usize) -> usize {
        let m = &self.tables.mechanism;
        self.tables.pairs.branches[m.dofs[m.dof_of_joint[joint]].link] - 1
    }

    /// From now on keeps where these sites of the scene's model are after each [`Batch::step`], and the lengths of tendons as
    /// they are then instead of at the start of its last step. Costs about half a step without contacts for each call.
    ///
    /// # Errors
    /// When the model has no such site.
    pub fn watch(&mut self, model: &Model, sites: &[&str]) -> Result<(), BatchError> {
        let point = |name: &&str| {
            let site = model.site.iter().find(|s| s.name == *name)?;
            let place = self
                .tables
                .places
                .iter()
                .find(|(body, _)| *body == site.body)?
                .1;
            let V3(x, y, z) = place.turn.apply(V3::splat(&site.pos)) + V3::splat(&place.pos);
            Some((place.link, [x, y, z].map(|x: f64| x as f32)))
        };
        let found = |name: &&str| {
            point(name).ok_or_else(|| BatchError::Scene(format!("there is no site \"{name}\"")))
        };
        self.points = sites.iter().map(found).collect::<Result<_, _>>()?;
        self.layout.n_points = sites.len();
        let n_rows = self.layout.n_rows() * self.width.lanes();
        for group in &mut self.groups {
            group.rows.resize(n_rows, 0.0);
        }
        for world in (0..self.n_worlds).step_by(self.width.lanes()) {
            self.look(world);
        }
        Ok(())
    }

    /// Makes what is kept about watched sites, tendons and touch fit the state of a world that was set or restored.
    pub fn look(&mut self, world: usize) {
        self.registers
            .resize_with(self.registers.len().max(1), || None);
        let (group, register) = (world / self.width.lanes(), &mut self.registers[0]);
        let group = &mut self.groups[group..=group];
        self.width.run(Steps {
            tables: &self.tables,
            points: &self.points,
            layout: &self.layout,
            groups: group,
            n_steps: 0,
            register,
        });
    }

    /// Puts a world elsewhere, without memory of what it was; a diverged one goes on.
    ///
    /// # Panics
    /// When the state has other numbers of joints, muscles or objects than the scene.
    pub fn set_state(&mut self, world: usize, state: &WorldState) {
        let l = self.layout;
        assert_eq!(
            (
                state.qpos.len(),
                state.qvel.len(),
                state.act.len(),
                state.objects.len()
            ),
            (l.n_dofs, l.n_dofs, l.n_muscles, l.n_objects),
            "a state of another scene"
        );
        let tables = Arc::clone(&self.tables);
        for (joint, &k) in tables.mechanism.dof_of_joint.iter().enumerate() {
            *self.row_mut(world, k) = state.qpos[joint];
            *self.row_mut(world, l.qd() + k) = state.qvel[joint];
            *self.row_mut(world, l.qacc() + k) = 0.0;
            *self.row_mut(world, l.limit_force() + k) = 0.0;
        }
        for (i, act) in state.act.iter().enumerate() {
            *self.row_mut(world, l.act() + i) = *act;
        }
        for (o, object) in state.objects.iter().enumerate() {
            let numbers = object
                .pos
                .iter()
                .chain(&object.quat)
                .chain(&object.velocity);
            for (e, x) in numbers.chain(&object.spin).enumerate() {
                *self.row_mut(world, l.object(o) + e) = *x;
            }
        }
        *self.row_mut(world, l.alive()) = 1.0;
        // What was read of the state that is left is no part of this one.
        for row in l.length()..l.n_rows() {
            *self.row_mut(world, row) = 0.0;
        }
        self.forget_contacts(world);
    }

    /// All that this world's future depends on.
    pub fn snapshot(&self, world: usize) -> Snapshot {
        let lanes = self.width.lanes();
        let (group, lane) = (&self.groups[world / lanes], world % lanes);
        let contacts = group.contact_groups.iter().enumerate().map(|(i, g)| {
            let at = |e: usize| group.contact_rows[(5 * i + e) * lanes + lane];
            (*g, at(0), [at(1), at(2), at(3), at(4)])
        });
        Snapshot {
            rows: (0..self.layout.n_rows())
                .map(|row| self.row(world, row))
                .collect(),
            contacts: contacts.filter(|(_, key, _)| *key >= 0.0).collect(),
        }
    }

    /// Continues a world from a snapshot of any world of the same scene, at any width.
    ///
    /// # Panics
    /// When the snapshot is of another scene.
    pub fn restore(&mut self, world: usize, snapshot: &Snapshot) {
        assert_eq!(
            snapshot.rows.len(),
            self.layout.n_rows(),
            "a snapshot of another scene"
        );
        for (row, x) in snapshot.rows.iter().enumerate() {
            *self.row_mut(world, row) = *x;
        }
        self.forget_contacts(world);
        let lanes = self.width.lanes();
        let (group, lane) = (&mut self.groups[world / lanes], world % lanes);
        for (g, key, force) in &snapshot.contacts {
            // A free place of this group, or a new one behind its last: groups stay in order.
            let free = |i: &usize| {
                group.contact_groups[*i] == *g && group.contact_rows[5 * i * lanes + lane] < 0.0
            };
            let place = (0..group.contact_groups.len()).find(free);
            let place = place.unwrap_or_else(|| {
                let place = group.contact_groups.partition_point(|other| other <= g);
                group.contact_groups.insert(place, *g);
                let at = 5 * place * lanes;
                let mut empty = vec![0.0; 5 * lanes];
                empty[..lanes].fill(-1.0);
                group.contact_rows.splice(at..at, empty);
                place
            });
            for (e, x) in [*key].iter().chain(force).enumerate() {
                group.contact_rows[(5 * place + e) * lanes + lane] = *x;
            }
        }
    }

    fn forget_contacts(&mut self, world: usize) {
        let lanes = self.width.lanes();
        let (group, lane) = (&mut self.groups[world / lanes], world % lanes);
        for i in 0..group.contact_groups.len() {
            group.contact_rows[5 * i * lanes + lane] = -1.0;
        }
    }

    fn row(&self, world: usize, row: usize) -> f32 {
        let lanes = self.width.lanes();
        self.groups[world / lanes].rows[row * lanes + world % lanes]
    }

    fn row_mut(&mut self, world: usize, row: usize) -> &mut f32 {
        let lanes = self.width.lanes();
        &mut self.groups[world / lanes].rows[row * lanes + world % lanes]
    }
}

/// Controls of one world.
pub struct Control<'a> {
    rows: &'a mut [f32],
    lanes: usize,
    lane: usize,
}

impl Control<'_> {
    /// Sets one control.
    pub fn set(&mut self, control: usize, value: f32) {
        self.rows[control * self.lanes + self.lane] = value;
    }

    /// Sets all to one value.
    pub fn fill(&mut self, value: f32) {
        for control in 0..self.rows.len() / self.lanes {
            self.set(control, value);
        }
    }

    /// Sets the first ones to values.
    pub fn copy_from(&mut self, values: &[f32]) {
        for (control, value) in values.iter().enumerate() {
            self.set(control, *value);
        }
    }
}

/// Rows that a world's contacts take in about the worst case, for the estimate of memory.
const CONTACT_ROWS: usize = 400;

/// MiB of memory that the system says it could give; none where it does not say.
pub fn available_mib() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: usize = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024)
}

/// Steps of some registers' worlds.
struct Steps<'a> {
    tables: &'a Tables<f32>,
    points: &'a [Point],
    layout: &'a Layout,
    groups: &'a mut [Lanewise],
    n_steps: usize,
    register: &'a mut Option<Box<dyn Any + Send>>,
}

impl Work for Steps<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = f32>>(self) {
        let register = self
            .register
            .get_or_insert_with(|| Box::new(Register::<L>::new(self.tables)));
        let register = register
            .downcast_mut::<Register<L>>()
            .expect("a batch has one width");
        for group in self.groups {
            load(self.layout, group, register);
            for _ in 0..self.n_steps {
                step(self.tables, register);
            }
            store(self.layout, group, register);
            store_touch(self.tables, self.layout, group, register);
            if !self.points.is_empty() {
                look(self.tables, self.points, self.layout, group, register);
            }
        }
    }
}

#[inline(always)]
fn load<L: Lanes<Scalar = f32>>(l: &Layout, group: &Lanewise, r: &mut Register<L>) {
    load_rows(&group.rows, 0, &mut r.w.q);
    load_rows(&group.rows, l.qd(), &mut r.w.qd);
    load_rows(&group.rows, l.qacc(), &mut r.w.qacc);
    load_rows(&group.rows, l.limit_force(), &mut r.rows.limit_force);
    load_rows(&group.rows, l.act(), &mut r.w.act);
    load_rows(&group.rows, l.control(), &mut r.w.control);
    load_rows(&group.rows, l.length(), &mut r.w.length);
    load_rows(&group.rows, l.tension(), &mut r.w.tension);
    for (o, body) in r.objects.iter_mut().enumerate() {
        let mut x = [L::zero(); 13];
        load_rows(&group.rows, l.object(o), &mut x);
        body.place = V3(x[0], x[1], x[2]);
        body.quat = [x[3], x[4], x[5], x[6]];
        body.velocity = V3(x[7], x[8], x[9]);
        body.spin = V3(x[10], x[11], x[12]);
        body.turn = M3::of_quat(body.quat);
    }
    r.alive = L::load(&group.rows[l.alive() * L::N..]);
    r.rows.warm.clear();
    for (i, g) in group.contact_groups.iter().enumerate() {
        let mut x = [L::zero(); 5];
        load_rows(&group.contact_rows, 5 * i, &mut x);
        r.rows.warm.push(Warm {
            group: *g,
            key: x[0],
            force: [x[1], x[2], x[3], x[4]],
        });
    }
}

#[inline(always)]
fn store<L: Lanes<Scalar = f32>>(l: &Layout, group: &mut Lanewise, r: &Register<L>) {
    store_rows(&r.w.q, 0, &mut group.rows);
    store_rows(&r.w.qd, l.qd(), &mut group.rows);
    store_rows(&r.w.qacc, l.qacc(), &mut group.rows);
    store_rows(&r.rows.limit_force, l.limit_force(), &mut group.rows);
    store_rows(&r.w.act, l.act(), &mut group.rows);
    for (o, body) in r.objects.iter().enumerate() {
        let (p, q, v, s) = (body.place, body.quat, body.velocity, body.spin);
        let x = [
            p.0, p.1, p.2, q[0], q[1], q[2], q[3], v.0, v.1, v.2, s.0, s.1, s.2,
        ];
        store_rows(&x, l.object(o), &mut group.rows);
    }
    r.alive.store(&mut group.rows[l.alive() * L::N..]);
    store_rows(&r.w.length, l.length(), &mut group.rows);
    store_rows(&r.w.tension, l.tension(), &mut group.rows);
    group.contact_groups.clear();
    group.contact_rows.resize(5 * r.rows.warm.len() * L::N, 0.0);
    for (i, warm) in r.rows.warm.iter().enumerate() {
        group.contact_groups.push(warm.group);
        let [a, b, c, d] = warm.force;
        store_rows(&[warm.key, a, b, c, d], 5 * i, &mut group.contact_rows);
    }
}

/// Normal forces by branch.
#[inline(always)]
fn store_touch<L: Lanes<Scalar = f32>>(
    tables: &Tables<f32>,
    l: &Layout,
    group: &mut Lanewise,
    r: &Register<L>,
) {
    group.rows[l.touch() * L::N..l.points() * L::N].fill(0.0);
    for warm in &r.rows.warm {
        let force = warm.force[0].only(warm.key.gt(L::of(-0.5)));
        for side in &tables.pairs.groups[warm.group].sides {
            let Some(branch) = side.branch else { continue };
            let row = &mut group.rows[(l.touch() + branch) * L::N..];
            (L::load(row) + force).store(row);
        }
    }
}

/// Where watched sites are, and how long tendons, in the state that a step led to.
#[inline(always)]
fn look<L: Lanes<Scalar = f32>>(
    tables: &Tables<f32>,
    points: &[Point],
    l: &Layout,
    group: &mut Lanewise,
    r: &mut Register<L>,
) {
    kinematics(&tables.mechanism, &mut r.w);
    tendons(&tables.mechanism, &mut r.w);
    store_rows(&r.w.length, l.length(), &mut group.rows);
    for (i, (link, at)) in points.iter().enumerate() {
        let V3(x, y, z) = point(&r.w, *link, at) + r.w.origin;
        store_rows(&[x, y, z], l.points() + 3 * i, &mut group.rows);
    }
}

#[inline(always)]
fn load_rows<L: Lanes<Scalar = f32>>(from: &[f32], first: usize, to: &mut [L]) {
    for (i, x) in to.iter_mut().enumerate() {
        *x = L::load(&from[(first + i) * L::N..]);
    }
}

#[inline(always)]
fn store_rows<L: Lanes<Scalar = f32>>(from: &[L], first: usize, to: &mut [f32]) {
    for (i, x) in from.iter().enumerate() {
        x.store(&mut to[(first + i) * L::N..]);
    }
}
