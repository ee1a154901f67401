//! Free space on the floor: an occupancy grid, A* on it, and paths pulled straight.
//!
//! A cell is free when the walker's axis can stand at its middle: no solid below its head is nearer than the walker's
//! radius. Fixed furniture and walls are rasterized once; doors, fronts and things on the floor are layers of their own
//! that are replaced one by one when they move. A layer may be soft: one does not stand there, but can brush past. Knows nothing of entities or of what the agent wants.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use libm::{cosf, hypotf, sinf};

/// Side of a cell in meters. Half of it is how far a real gap may be misjudged; smaller costs search time.
pub(super) const CELL: f32 = 0.05;
/// Solids that begin above this height do not stop a walker (meters).
pub(super) const HEADROOM: f32 = crate::scenario::WALKER_HEIGHT;
/// Solids lower than this are stepped on, like rugs (meters).
pub(super) const STEP: f32 = 0.03;
/// No room: outside the house.
pub(super) const OUTSIDE: u16 = u16::MAX;

/// A rectangle on the floor, turned by `yaw`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Footprint {
    pub(super) center: [f32; 2],
    pub(super) half: [f32; 2],
    pub(super) yaw: f32,
}

impl Footprint {
    /// `point` in the rectangle's own frame.
    pub(super) fn local(&self, point: [f32; 2]) -> [f32; 2] {
        let (s, c) = (sinf(self.yaw), cosf(self.yaw));
        let (x, y) = (point[0] - self.center[0], point[1] - self.center[1]);
        [c * x + s * y, c * y - s * x]
    }

    /// Distance from `point` to its nearest point, 0 within.
    pub(super) fn distance(&self, point: [f32; 2]) -> f32 {
        let local = self.local(point);
        let out = |i: usize| (local[i].abs() - self.half[i]).max(0.0);
        hypotf(out(0), out(1))
    }
}

/// Which parts of the floor a walker can stand on.
#[derive(Clone)]
pub(super) struct Grid {
    origin: [f32; 2],
    nx: usize,
    ny: usize,
    /// Index of the room that a cell's middle lies in, or [`OUTSIDE`].
    room: Arc<[u16]>,
    /// Blocked for good.
    fixed: Arc<[bool]>,
    /// How many hard layers block a cell.
    moving: Vec<u8>,
    /// How many soft layers do.
    soft: Vec<u8>,
    /// Whether a layer can be brushed past, and the cells that it blocks.
    layers: Vec<(bool, Arc<[u32]>)>,
    /// Number of the connected region that a passable cell belongs to, else 0; empty when out of date.
    regions: Vec<u16>,
}

/// Working memory of a search, kept between searches; never part of a state.
#[derive(Default)]
pub(super) struct Search {
    stamp: u32,
    seen: Vec<u32>,
    cost: Vec<u32>,
    from: Vec<u32>,
    heap: BinaryHeap<Reverse<(u32, u32)>>,
}

impl Grid {
    /// A grid over the rooms, whose outlines are given in their order, with `layers` empty layers.
    pub(super) fn new(rooms: &[&[[f32; 2]]], layers: usize) -> Self {
        let corners = || rooms.iter().flat_map(|r| r.iter());
        let low = corners().fold([f32::MAX; 2], |m, c| [m[0].min(c[0]), m[1].min(c[1])]);
        let high = corners().fold([f32::MIN; 2], |m, c| [m[0].max(c[0]), m[1].max(c[1])]);
        let cells = |i: usize| ((high[i] - low[i]) / CELL).ceil().max(1.0) as usize;
        let (nx, ny) = (cells(0), cells(1));
        let mut grid = Self {
            origin: low,
            nx,
            ny,
            room: Arc::new([]),
            fixed: Arc::new([]),
            moving: vec![0; nx * ny],
            soft: vec![0; nx * ny],
            layers: vec![(false, Arc::new([])); layers],
            regions: Vec::new(),
        };
        let room_at = |cell: u32| {
            let middle = grid.middle(cell);
            let found = rooms.iter().position(|r| contains(r, middle));
            found.map_or(OUTSIDE, |r| r as u16)
        };
        let room: Arc<[u16]> = (0..(nx * ny) as u32).map(room_at).collect();
        grid.fixed = room.iter().map(|r| *r == OUTSIDE).collect();
        grid.room = room;
        grid
    }

    /// Blocks cells for good; only while the world is built.
    pub(super) fn block(&mut self, cells: &[u32]) {
        let mut fixed = self.fixed.to_vec();
        for cell in cells {
            fixed[*cell as usize] = true;
        }
        self.fixed = fixed.into();
        self.regions.clear();
    }

    /// Lets a walker brush past what an empty layer will block: a way through it is long, but a way.
    pub(super) fn soften(&mut self, layer: usize) {
        self.layers[layer].0 = true;
    }

    /// Replaces what a layer blocks.
    pub(super) fn set_layer(&mut self, layer: usize, cells: Vec<u32>) {
        let (soft, old) = &mut self.layers[layer];
        if **old == cells[..] {
            return;
        }
        let counts = if *soft {
            &mut self.soft
        } else {
            self.regions.clear();
            &mut self.moving
        };
        for cell in old.iter() {
            counts[*cell as usize] -= 1;
        }
        for cell in &cells {
            counts[*cell as usize] += 1;
        }
        *old = cells.into();
    }

    /// Cells whose middle is nearer than `radius` to the rectangle.
    pub(super) fn cells_near(&self, rectangle: &Footprint, radius: f32) -> Vec<u32> {
        let mut cells = Vec::new();
        let (s, c) = (sinf(rectangle.yaw).abs(), cosf(rectangle.yaw).abs());
        let [hx, hy] = rectangle.half;
        let reach = [c * hx + s * hy + radius, s * hx + c * hy + radius];
        self.for_cells_within(rectangle.center, reach, |cell, middle| {
            if rectangle.distance(middle) < radius {
                cells.push(cell);
            }
        });
        cells
    }

    /// Calls `visit` with every cell whose middle is within `reach` (x, y) of `center`.
    pub(super) fn for_cells_within(
        &self,
        center: [f32; 2],
        reach: [f32; 2],
        mut visit: impl FnMut(u32, [f32; 2]),
    ) {
        let range = |i: usize, n: usize| {
            let low = (center[i] - reach[i] - self.origin[i]) / CELL - 0.5;
            let high = (center[i] + reach[i] - self.origin[i]) / CELL - 0.5;
            (low.ceil().max(0.0) as usize)..((high.floor() + 1.0).clamp(0.0, n as f32) as usize)
        };
        for y in range(1, self.ny) {
            for x in range(0, self.nx) {
                let cell = (y * self.nx + x) as u32;
                visit(cell, self.middle(cell));
            }
        }
    }

    /// Lowest corner.
    pub(super) fn origin(&self) -> [f32; 2] {
        self.origin
    }

    /// Cells along x.
    pub(super) fn columns(&self) -> usize {
        self.nx
    }

    /// Number of cells.
    pub(super) fn len(&self) -> usize {
        self.nx * self.ny
    }

    /// Middle of a cell.
    pub(super) fn middle(&self, cell: u32) -> [f32; 2] {
        let (x, y) = (cell as usize % self.nx, cell as usize / self.nx);
        [
            self.origin[0] + (x as f32 + 0.5) * CELL,
            self.origin[1] + (y as f32 + 0.5) * CELL,
        ]
    }

    /// The cell that a point lies in.
    pub(super) fn cell(&self, point: [f32; 2]) -> Option<u32> {
        let index = |i: usize, n: usize| {
            let at = (point[i] - self.origin[i]) / CELL;
            (at >= 0.0 && at < n as f32).then_some(at as usize)
        };
        Some((index(1, self.ny)? * self.nx + index(0, self.nx)?) as u32)
    }

    /// Whether a walker can stand there.
    pub(super) fn free(&self, cell: u32) -> bool {
        self.passable(cell) && self.soft[cell as usize] == 0
    }

    /// Whether a walker can get through there, if need be past a soft layer.
    fn passable(&self, cell: u32) -> bool {
        !self.fixed[cell as usize] && self.moving[cell as usize] == 0
    }

    /// Room of a cell.
    pub(super) fn room(&self, cell: u32) -> u16 {
        self.room[cell as usize]
    }

    /// Room of a point.
    pub(super) fn room_at(&self, point: [f32; 2]) -> u16 {
        self.cell(point).map_or(OUTSIDE, |c| self.room(c))
    }

    /// The free cell nearest to a point, at most `reach` away.
    pub(super) fn nearest_free(&self, point: [f32; 2], reach: f32) -> Option<u32> {
        if let Some(cell) = self.cell(point)
            && self.free(cell)
        {
            return Some(cell);
        }
        let mut best: Option<(f32, u32)> = None;
        let here = self.room_at(point);
        self.for_cells_within(point, [reach; 2], |cell, middle| {
            let d = hypotf(middle[0] - point[0], middle[1] - point[1]);
            // Not through a wall: the same room first.
            let d = if self.room(cell) == here {
                d
            } else {
                d + reach
            };
            if self.free(cell) && best.is_none_or(|b| d < b.0) {
                best = Some((d, cell));
            }
        });
        best.map(|b| b.1)
    }

    /// Brings the numbers of connected regions up to date.
    pub(super) fn number_regions(&mut self) {
        if !self.regions.is_empty() {
            return;
        }
        self.regions = vec![0; self.len()];
        let mut stack = Vec::new();
        let mut number = 0;
        for start in 0..self.len() as u32 {
            if self.regions[start as usize] != 0 || !self.passable(start) {
                continue;
            }
            number += 1;
            self.regions[start as usize] = number;
            stack.push(start);
            while let Some(cell) = stack.pop() {
                for next in self.neighbors(cell) {
                    if self.regions[next as usize] == 0 && self.passable(next) {
                        self.regions[next as usize] = number;
                        stack.push(next);
                    }
                }
            }
        }
    }

    /// Number of the connected region of a cell, 0 if it is blocked. Up to date after [`Self::number_regions`].
    pub(super) fn region(&self, cell: u32) -> u16 {
        self.regions.get(cell as usize).copied().unwrap_or(0)
    }

    /// The region with most cells. Up to date after [`Self::number_regions`].
    pub(super) fn largest_region(&self) -> u16 {
        let most = self.regions.iter().copied().max().unwrap_or(0);
        let mut count = vec![0u32; usize::from(most) + 1];
        for region in &self.regions {
            count[usize::from(*region)] += u32::from(*region != 0);
        }
        (1..=most)
            .max_by_key(|r| count[usize::from(*r)])
            .unwrap_or(0)
    }

    /// The cells beside a cell, without diagonals. Diagonal steps need both cells beside them free, so they join no
    /// regions that these do not.
    fn neighbors(&self, cell: u32) -> impl Iterator<Item = u32> + use<> {
        let (nx, ny) = (self.nx as u32, self.ny as u32);
        let (x, y) = (cell % nx, cell / nx);
        [
            (x > 0).then(|| cell - 1),
            (x + 1 < nx).then(|| cell + 1),
            (y > 0).then(|| cell - nx),
            (y + 1 < ny).then(|| cell + nx),
        ]
        .into_iter()
        .flatten()
    }

    /// A cheapest 8-connected path between cells, without cutting corners, both ends included. Steps into a soft layer
    /// count ten times.
    pub(super) fn path(&self, start: u32, goal: u32, search: &mut Search) -> Option<Vec<u32>> {
        const STRAIGHT: u32 = 1000;
        const DIAGONAL: u32 = 1414;
        if search.seen.len() != self.len() {
            *search = Search {
                seen: vec![0; self.len()],
                cost: vec![0; self.len()],
                from: vec![0; self.len()],
                ..Search::default()
            };
        }
        search.stamp = search.stamp.wrapping_add(1);
        if search.stamp == 0 {
            search.seen.fill(0);
            search.stamp = 1;
        }
        let stamp = search.stamp;
        let nx = self.nx as i32;
        let at = |cell: u32| (cell as i32 % nx, cell as i32 / nx);
        let goal_at = at(goal);
        let rest = |cell: u32| {
            let (x, y) = at(cell);
            let (dx, dy) = (
                (x - goal_at.0).unsigned_abs(),
                (y - goal_at.1).unsigned_abs(),
            );
            STRAIGHT * dx.max(dy) + (DIAGONAL - STRAIGHT) * dx.min(dy)
        };
        search.heap.clear();
        search.heap.push(Reverse((rest(start), start)));
        search.seen[start as usize] = stamp;
        search.cost[start as usize] = 0;
        search.from[start as usize] = start;
        while let Some(Reverse((estimate, cell))) = search.heap.pop() {
            if cell == goal {
                let mut path = vec![goal];
                let mut back = goal;
                while back != start {
                    back = search.from[back as usize];
                    path.push(back);
                }
                path.reverse();
                return Some(path);
            }
            let cost = search.cost[cell as usize];
            if estimate > cost + rest(cell) {
                continue; // a cheaper way to this cell was found later
            }
            let (x, y) = at(cell);
            let open = |dx: i32, dy: i32| {
                let (x, y) = (x + dx, y + dy);
                if x < 0 || y < 0 || x >= nx || y >= self.ny as i32 {
                    return None;
                }
                let next = (y * nx + x) as u32;
                self.passable(next).then_some(next)
            };
            let sides = [open(1, 0), open(0, 1), open(-1, 0), open(0, -1)];
            let diagonal = |i: usize, dx: i32, dy: i32| {
                sides[i]?;
                sides[(i + 1) % 4]?;
                open(dx, dy)
            };
            let corners = [
                diagonal(0, 1, 1),
                diagonal(1, -1, 1),
                diagonal(2, -1, -1),
                diagonal(3, 1, -1),
            ];
            let steps = sides
                .into_iter()
                .map(|s| (s, STRAIGHT))
                .chain(corners.into_iter().map(|c| (c, DIAGONAL)));
            for (next, step) in steps {
                let Some(next) = next else { continue };
                let i = next as usize;
                let cost = cost + if self.soft[i] == 0 { step } else { 10 * step };
                if search.seen[i] != stamp || cost < search.cost[i] {
                    search.seen[i] = stamp;
                    search.cost[i] = cost;
                    search.from[i] = cell;
                    search.heap.push(Reverse((cost + rest(next), next)));
                }
            }
        }
        None
    }

    /// The corners of a path pulled straight: from each corner the farthest cell in sight. The first cell is left out.
    pub(super) fn pull(&self, path: &[u32]) -> Vec<[f32; 2]> {
        let mut corners = Vec::new();
        let mut from = 0;
        while from + 1 < path.len() {
            // Sight along a shortest path ends once, so halving finds where.
            let (mut seen, mut unseen) = (from + 1, path.len());
            while seen + 1 < unseen {
                let middle = (seen + unseen) / 2;
                if self.in_sight(path[from], path[middle]) {
                    seen = middle;
                } else {
                    unseen = middle;
                }
            }
            corners.push(self.middle(path[seen]));
            from = seen;
        }
        corners
    }

    /// Whether every cell on the line between two cells is free; a step between neighbors always is.
    fn in_sight(&self, a: u32, b: u32) -> bool {
        let (p, q) = (self.middle(a), self.middle(b));
        let (dx, dy) = (q[0] - p[0], q[1] - p[1]);
        let steps = (hypotf(dx, dy) / (0.4 * CELL)).ceil().max(1.0);
        (0..=steps as usize).all(|i| {
            let t = i as f32 / steps;
            let point = [p[0] + t * dx, p[1] + t * dy];
            self.cell(point).is_some_and(|c| self.free(c))
        })
    }
}

/// Whether `point` lies within the outline (even-odd rule).
pub(super) fn contains(corners: &[[f32; 2]], point: [f32; 2]) -> bool {
    let next = corners.iter().cycle().skip(1);
    corners.iter().zip(next).fold(false, |inside, (a, b)| {
        let crosses = (a[1] > point[1]) != (b[1] > point[1]);
        let right = || point[0] < (b[0] - a[0]) * (point[1] - a[1]) / (b[1] - a[1]) + a[0];
        inside ^ (crosses && right())
    })
}

impl Grid {
    /// How many connected regions there are that are not wholly within `cells` (sorted). Up to date after
    /// [`Self::number_regions`].
    pub(super) fn regions_without(&self, cells: &[u32]) -> usize {
        let most = self.regions.iter().copied().max().unwrap_or(0);
        let mut left = vec![false; usize::from(most) + 1];
        for (cell, region) in (0..).zip(&self.regions) {
            if *region != 0 && !left[usize::from(*region)] && cells.binary_search(&cell).is_err() {
                left[usize::from(*region)] = true;
            }
        }
        left.iter().filter(|l| **l).count()
    }
}
