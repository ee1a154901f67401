//! Draws pictures, packet by packet.

use hand::lanes::{Lanes, V3, Width, Work};

use super::packet::{Hit, Rays, linear, texture};
use super::prepare::{Prepared, View, nearest_first, prepare_all};
use super::shadow::Shadows;
use super::{Camera, CameraError, Scene, Solid, Texture};

/// Pixels on a side of a packet.
const SIDE: usize = 4;
/// Pixels of a packet: the most lanes that there are.
const PIXELS: usize = SIDE * SIDE;

/// Buffers that pictures are drawn into, each if it is asked for; row by row from the top, one picture after the other.
#[derive(Debug, Default)]
pub struct Pictures<'a> {
    /// Red, green, blue in sRGB (pictures × rows × columns × 3).
    pub rgb: Option<&'a mut [u8]>,
    /// Meters along the axis of view; the camera's `far` where nothing is (pictures × rows × columns).
    pub depth: Option<&'a mut [f32]>,
    /// [`super::Solid::id`] of what is seen; 0 where nothing is (pictures × rows × columns).
    pub segmentation: Option<&'a mut [u16]>,
    /// Direction of the surface in the camera's frame: right, up, backward; 0 where nothing is
    /// (pictures × rows × columns × 3).
    pub normals: Option<&'a mut [f32]>,
}

/// Why nothing was drawn.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PictureError {
    /// The camera cannot be.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// A buffer is of another size than the pictures.
    #[error("the buffer for {what} has {found} numbers, expected {expected}")]
    Buffer {
        /// Which.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that all pictures need.
        expected: usize,
    },
    /// A texture has no such size.
    #[error("the texture of solid {solid} has a size of {size} m, expected more than 0")]
    Texture {
        /// Its place among the scene's.
        solid: usize,
        /// Meters.
        size: f32,
    },
}

fn check_textures(scene: &Scene) -> Result<(), PictureError> {
    for (solid, Solid { material, .. }) in scene.solids.iter().enumerate() {
        if let Texture::Checker { size, .. } | Texture::Noise { size, .. } = material.texture
            && !(size > 0.0 && size.is_finite())
        {
            return Err(PictureError::Texture { solid, size });
        }
    }
    Ok(())
}

/// Draws pictures, with working memory that it keeps: once warm, a picture allocates nothing.
#[derive(Debug)]
pub struct Renderer {
    width: Width,
    samples: usize,
    culling: bool,
    /// In the order of the scene.
    solids: Vec<Prepared>,
    /// Their places, the nearest first.
    order: Vec<u32>,
    shadows: Shadows,
    /// Who may be met in each column and each row of packets, a bit for each solid in that order.
    masks: [Vec<u64>; 2],
    /// x of the rays by column of packets, y by row, for each part of a pixel.
    tangents: [Vec<f32>; 2],
    /// What `tangents` is for.
    made_for: Option<(u32, usize, usize, usize)>,
}

impl Default for Renderer {
    fn default() -> Self {
        Self::new()
    }
}

impl Renderer {
    /// With as many rays at a time as the processor can.
    pub fn new() -> Self {
        Self::with_width(Width::best())
    }

    /// With so many rays at a time; the pictures are the same.
    pub fn with_width(width: Width) -> Self {
        Self {
            width,
            samples: 1,
            culling: true,
            solids: Vec::new(),
            order: Vec::new(),
            shadows: Shadows::default(),
            masks: [Vec::new(), Vec::new()],
            tangents: [Vec::new(), Vec::new()],
            made_for: None,
        }
    }

    /// Colors are the mean of `samples` × `samples` rays through each pixel, at most 8 × 8; depth, ids and normals are still those
    /// of its middle.
    #[must_use]
    pub fn supersampled(mut self, samples: usize) -> Self {
        self.samples = samples.clamp(1, 8);
        self
    }

    /// Tests every solid for every packet; the pictures are the same. For tests.
    #[cfg(test)]
    pub(super) fn without_culling(mut self) -> Self {
        self.culling = false;
        self
    }

    /// Rays cast at a time.
    pub fn lanes(&self) -> usize {
        self.width.lanes()
    }

    /// Draws what a camera sees of a scene.
    ///
    /// # Errors
    /// The camera cannot be, or a buffer is of another size.
    pub fn draw(
        &mut self,
        scene: &Scene,
        camera: &Camera,
        into: Pictures<'_>,
    ) -> Result<(), PictureError> {
        self.draw_all(&[(scene, camera)], into)
    }

    /// Draws many pictures into one buffer of each kind; all cameras have one size.
    ///
    /// # Errors
    /// A camera cannot be, or a buffer is of another size.
    pub fn draw_all(
        &mut self,
        views: &[(&Scene, &Camera)],
        mut into: Pictures<'_>,
    ) -> Result<(), PictureError> {
        let mut pixels = 0;
        for (scene, camera) in views {
            camera.check()?;
            check_textures(scene)?;
            pixels += camera.width * camera.height;
        }
        let check = |what, found: Option<usize>, expected| match found {
            Some(found) if found != expected => Err(PictureError::Buffer {
                what,
                found,
                expected,
            }),
            _ => Ok(()),
        };
        check("rgb", into.rgb.as_ref().map(|b| b.len()), 3 * pixels)?;
        check("depth", into.depth.as_ref().map(|b| b.len()), pixels)?;
        let ids = into.segmentation.as_ref().map(|b| b.len());
        check("segmentation", ids, pixels)?;
        let normals = into.normals.as_ref().map(|b| b.len());
        check("normals", normals, 3 * pixels)?;
        let mut first = 0;
        for (scene, camera) in views {
            let end = first + camera.width * camera.height;
            let one = Pictures {
                rgb: into.rgb.as_mut().map(|b| &mut b[3 * first..3 * end]),
                depth: into.depth.as_mut().map(|b| &mut b[first..end]),
                segmentation: into.segmentation.as_mut().map(|b| &mut b[first..end]),
                normals: into.normals.as_mut().map(|b| &mut b[3 * first..3 * end]),
            };
            self.draw_one(scene, camera, one);
            first = end;
        }
        Ok(())
    }

    fn draw_one(&mut self, scene: &Scene, camera: &Camera, into: Pictures<'_>) {
        let view = View::new(camera, &scene.light);
        prepare_all(&view, camera, scene, self.culling, &mut self.solids);
        nearest_first(&self.solids, &mut self.order);
        if scene.light.shadows && into.rgb.is_some() {
            self.shadows.prepare(scene, &self.solids, view.to_light);
        }
        let packets = [camera.width.div_ceil(SIDE), camera.height.div_ceil(SIDE)];
        let words = self.solids.len().div_ceil(64);
        for (axis, masks) in self.masks.iter_mut().enumerate() {
            masks.clear();
            masks.resize(packets[axis] * words, 0);
            for (i, place) in self.order.iter().enumerate() {
                let solid = &self.solids[*place as usize];
                let [first, last] = solid.pixels[axis].map(|p| p / SIDE);
                for packet in first..=last {
                    masks[packet * words + i / 64] |= 1 << (i % 64);
                }
            }
        }
        self.cast_rays(camera, &view, packets);
        self.width.run(Picture {
            scene,
            camera,
            view: &view,
            solids: &self.solids,
            order: &self.order,
            shadows: scene.light.shadows.then_some(&self.shadows),
            masks: [&self.masks[0], &self.masks[1]],
            tangents: [&self.tangents[0], &self.tangents[1]],
            words,
            packets,
            samples: self.samples,
            culling: self.culling,
            fancy: self.solids.iter().any(|s| s.fancy),
            into,
        });
    }

    /// Fills `tangents`: first those of the middle of each pixel, then those of each part of it.
    fn cast_rays(&mut self, camera: &Camera, view: &View, packets: [usize; 2]) {
        let key = (
            camera.fovy.to_bits(),
            camera.width,
            camera.height,
            self.samples,
        );
        if self.made_for == Some(key) {
            return;
        }
        self.made_for = Some(key);
        let n = self.samples;
        let middle = std::iter::once(0.5);
        let parts = (0..n).map(|i| (i as f64 + 0.5) / n as f64);
        let offsets: Vec<f64> = middle.chain(parts.filter(|_| n > 1)).collect();
        for axis in 0..2 {
            let size = [camera.width, camera.height][axis] as f64;
            let sign = [1.0, -1.0][axis];
            let tangents = &mut self.tangents[axis];
            tangents.clear();
            for offset in &offsets {
                for packet in 0..packets[axis] {
                    for lane in 0..PIXELS {
                        let place = [lane % SIDE, lane / SIDE][axis];
                        let at = (SIDE * packet + place) as f64 + offset;
                        let share = sign * (2.0 * at / size - 1.0);
                        tangents.push((share * f64::from(view.half[axis])) as f32);
                    }
                }
            }
        }
    }
}

/// One picture, everything made ready.
struct Picture<'a> {
    scene: &'a Scene,
    camera: &'a Camera,
    view: &'a View,
    solids: &'a [Prepared],
    order: &'a [u32],
    shadows: Option<&'a Shadows>,
    masks: [&'a [u64]; 2],
    tangents: [&'a [f32]; 2],
    words: usize,
    packets: [usize; 2],
    samples: usize,
    culling: bool,
    /// Whether any solid has a texture or highlights.
    fancy: bool,
    into: Pictures<'a>,
}

impl Work for Picture<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = f32>>(mut self) {
        let parts = if self.samples == 1 { 0 } else { self.samples };
        let middle_only = parts == 0;
        let others = self.into.depth.is_some()
            || self.into.segmentation.is_some()
            || self.into.normals.is_some();
        for row in 0..self.packets[1] {
            for column in 0..self.packets[0] {
                let mut words = [0_u32; PIXELS];
                let mut first = 0;
                while first < PIXELS {
                    if middle_only || others {
                        let rays = self.rays::<L>(row, column, first, [0, 0]);
                        let hit = self.hit(&rays, row, column);
                        if middle_only && self.into.rgb.is_some() {
                            let color = self.color(&rays, &hit);
                            pack(color).store_whole(&mut words[first..]);
                        }
                        if others {
                            self.store(&rays, &hit, row, column, first);
                        }
                    }
                    if !middle_only && self.into.rgb.is_some() {
                        let mut sum = V3::<L>::zero();
                        for part in 0..parts * parts {
                            let offset = [1 + part % parts, 1 + part / parts];
                            let rays = self.rays::<L>(row, column, first, offset);
                            let hit = self.hit(&rays, row, column);
                            sum = sum + self.color(&rays, &hit);
                        }
                        let mean = sum.scale(L::splat(1.0 / (parts * parts) as f32));
                        pack(mean).store_whole(&mut words[first..]);
                    }
                    first += L::N;
                }
                self.store_rgb(&words, row, column);
            }
        }
    }
}

/// Red, green and blue in one whole number below 2^24, which 32 bits of a float hold exactly.
#[inline(always)]
fn pack<L: Lanes<Scalar = f32>>(color: V3<L>) -> L {
    let top = L::splat(255.0);
    let byte = |x: L| x.min(top).round();
    byte(color.0) + (byte(color.1) * L::splat(256.0) + byte(color.2) * L::splat(65536.0))
}

impl Picture<'_> {
    #[inline(always)]
    fn rays<L: Lanes<Scalar = f32>>(
        &self,
        row: usize,
        column: usize,
        first: usize,
        offset: [usize; 2],
    ) -> Rays<L> {
        let x = (offset[0] * self.packets[0] + column) * PIXELS + first;
        let y = (offset[1] * self.packets[1] + row) * PIXELS + first;
        let (x, y) = (&self.tangents[0][x..], &self.tangents[1][y..]);
        Rays::new(self.view, L::load(x), L::load(y))
    }

    #[inline(always)]
    fn hit<L: Lanes<Scalar = f32>>(&self, rays: &Rays<L>, row: usize, column: usize) -> Hit<L> {
        let mut hit = Hit::<L>::none(self.camera.far);
        let limit = L::splat(1.0 / self.camera.near);
        let columns = &self.masks[0][column * self.words..];
        let rows = &self.masks[1][row * self.words..];
        let both = columns.iter().zip(rows).zip(self.order.chunks(64));
        for ((by_column, by_row), order) in both {
            let mut left = by_column & by_row;
            while left != 0 {
                let which = order[left.trailing_zeros() as usize];
                left &= left - 1;
                let solid = &self.solids[which as usize];
                // The nearest come first: where all rays have met something nearer, they are done.
                if self.culling && !L::any(hit.w.lt(L::splat(solid.nearest))) {
                    return hit;
                }
                hit.meet(rays, solid, which, limit);
            }
        }
        hit
    }

    /// Colors in [0, 255].
    #[inline(always)]
    fn color<L: Lanes<Scalar = f32>>(&self, rays: &Rays<L>, hit: &Hit<L>) -> V3<L> {
        let light = &self.scene.light;
        let depth = L::one() / hit.w;
        let zero = L::zero();
        let cosine = (hit.slope * depth + hit.level).max(zero);
        let mut shine = cosine;
        let any = hit.which.ge(zero);
        if let Some(shadows) = self.shadows {
            let asked = L::and(any, cosine.gt(zero));
            if L::any(asked) {
                let at = |k: usize| linear(&shadows.axes[k], rays.x, rays.y) * depth;
                let covered =
                    shadows.cover(V3(at(0), at(1), at(2)), hit.which, asked, self.culling);
                shine = L::select(covered, zero, cosine);
            }
        }
        let lit = L::splat(light.ambient) + L::splat(light.diffuse) * shine;
        let mut base = hit.color;
        let mut highlight = zero;
        self.for_fancy(hit, |which, solid, mask| {
            let original = &self.scene.solids[which];
            let (point, normal) = hit.surface(rays, solid, &original.shape, depth);
            let [a, b, c] = solid.frame.axes.map(|a| V3::<L>::splat(&a));
            let outward = V3(a.dot(normal), b.dot(normal), c.dot(normal));
            base = V3::select(mask, texture(original, point, outward), base);
            let strength = original.material.specular;
            if strength > 0.0 {
                // Blinn: the cosine of the normal with the direction between eye and light, to the 32nd.
                let to_eye = V3(-rays.x, -rays.y, -L::one()).unit(1e-20);
                let between = (to_eye + V3::splat(&self.view.to_light)).unit(1e-20);
                let mut power = normal.dot(between).max(zero);
                for _ in 0..5 {
                    power = power * power;
                }
                let power = power.only(shine.gt(zero));
                let amount = power * L::splat(255.0 * strength * light.diffuse);
                highlight = L::select(mask, amount, highlight);
            }
        });
        let one = V3(highlight, highlight, highlight);
        let color = base.scale(lit) + one;
        if L::any(L::not(any)) {
            let background = self.scene.background.map(|c| 255.0 * c);
            return V3::select(any, color, V3::splat(&background));
        }
        color
    }

    /// Calls for each solid with a texture or highlights that any ray has met, with the rays that have.
    #[inline(always)]
    fn for_fancy<L: Lanes<Scalar = f32>>(
        &self,
        hit: &Hit<L>,
        mut each: impl FnMut(usize, &Prepared, L::Mask),
    ) {
        if !self.fancy {
            return;
        }
        self.for_met(hit, |which, solid, mask| {
            if solid.fancy {
                each(which, solid, mask);
            }
        });
    }

    /// Calls for each solid that any ray has met, with the rays that have.
    #[inline(always)]
    fn for_met<L: Lanes<Scalar = f32>>(
        &self,
        hit: &Hit<L>,
        mut each: impl FnMut(usize, &Prepared, L::Mask),
    ) {
        let mut lanes = [0.0; PIXELS];
        hit.which.store(&mut lanes);
        for (i, which) in lanes[..L::N].iter().enumerate() {
            let is_new = !lanes[..i].contains(which);
            if *which >= 0.0 && is_new {
                let k = L::splat(*which);
                let same = L::and(hit.which.le(k), k.le(hit.which));
                let which = *which as usize;
                each(which, &self.solids[which], same);
            }
        }
    }

    #[inline(always)]
    fn store_rgb(&mut self, words: &[u32; PIXELS], row: usize, column: usize) {
        let Some(rgb) = &mut self.into.rgb else {
            return;
        };
        let (width, height) = (self.camera.width, self.camera.height);
        for (line, four) in words.chunks_exact(SIDE).enumerate() {
            let y = SIDE * row + line;
            if y >= height {
                break;
            }
            let start = 3 * (y * width + SIDE * column);
            let two = |i: usize| u64::from(four[i]) | u64::from(four[i + 1]) << 24;
            let (left, right) = (two(0), two(2));
            let low = left | right << 48;
            let high = (right >> 16) as u32;
            if SIDE * (column + 1) <= width {
                let to = &mut rgb[start..start + 12];
                to[..8].copy_from_slice(&low.to_le_bytes());
                to[8..].copy_from_slice(&high.to_le_bytes());
            } else {
                let mut bytes = [0; 12];
                bytes[..8].copy_from_slice(&low.to_le_bytes());
                bytes[8..].copy_from_slice(&high.to_le_bytes());
                let n = 3 * (width - SIDE * column);
                rgb[start..start + n].copy_from_slice(&bytes[..n]);
            }
        }
    }

    /// Stores depth, ids and normals of lanes that begin with pixel `first` of the packet.
    #[inline(always)]
    fn store<L: Lanes<Scalar = f32>>(
        &mut self,
        rays: &Rays<L>,
        hit: &Hit<L>,
        row: usize,
        column: usize,
        first: usize,
    ) {
        let (width, height) = (self.camera.width, self.camera.height);
        let (mut which, mut depths) = ([0.0; PIXELS], [0.0; PIXELS]);
        hit.which.store(&mut which);
        let depth = L::one() / hit.w;
        let none = hit.which.lt(L::zero());
        L::select(none, L::splat(self.camera.far), depth).store(&mut depths);
        let mut normals = [[0.0; PIXELS]; 3];
        if self.into.normals.is_some() {
            let mut normal = V3::<L>::zero();
            self.for_met(hit, |which, solid, mask| {
                let shape = &self.scene.solids[which].shape;
                let (_, own) = hit.surface(rays, solid, shape, depth);
                normal = V3::select(mask, own, normal);
            });
            let lanes = [normal.0, normal.1, L::zero() - normal.2];
            for (lanes, to) in lanes.into_iter().zip(&mut normals) {
                lanes.store(to);
            }
        }
        for lane in 0..L::N {
            let pixel = first + lane;
            let (x, y) = (SIDE * column + pixel % SIDE, SIDE * row + pixel / SIDE);
            if x >= width || y >= height {
                continue;
            }
            let at = y * width + x;
            if let Some(depth) = &mut self.into.depth {
                depth[at] = depths[lane];
            }
            if let Some(ids) = &mut self.into.segmentation {
                ids[at] = if which[lane] < 0.0 {
                    0
                } else {
                    self.scene.solids[which[lane] as usize].id
                };
            }
            if let Some(to) = &mut self.into.normals {
                for k in 0..3 {
                    to[3 * at + k] = normals[k][lane];
                }
            }
        }
    }
}
