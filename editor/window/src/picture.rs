//! Pictures without a window: the same app, drawn into an image.

use std::path::{Path, PathBuf};

use bevy::app::PluginsState;
use bevy::asset::RenderAssetUsages;
use bevy::prelude::*;
use bevy::render::render_resource::{TextureDimension, TextureFormat, TextureUsages};
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured};

/// What the cameras draw into where there is no window.
#[derive(Resource, Clone)]
pub(crate) struct Canvas(pub(crate) Handle<Image>);

impl Canvas {
    /// An image of `size` pixels.
    pub(crate) fn new(size: UVec2, images: &mut Assets<Image>) -> Self {
        let extent = bevy::render::render_resource::Extent3d {
            width: size.x,
            height: size.y,
            depth_or_array_layers: 1,
        };
        let mut image = Image::new_fill(
            extent,
            TextureDimension::D2,
            &[0, 0, 0, 255],
            TextureFormat::Rgba8UnormSrgb,
            RenderAssetUsages::default(),
        );
        image.texture_descriptor.usage |= TextureUsages::RENDER_ATTACHMENT
            | TextureUsages::COPY_SRC
            | TextureUsages::TEXTURE_BINDING;
        Self(images.add(image))
    }
}

/// Pictures that were asked for and how they came out.
#[derive(Resource, Default)]
pub struct Pictures {
    /// Written, or why not.
    pub done: Vec<(PathBuf, Result<(), String>)>,
}

/// Asks for a picture of the canvas, or of the window, as of the next frame.
pub(crate) fn take(commands: &mut Commands<'_, '_>, canvas: Option<&Canvas>, path: &Path) {
    let screenshot = canvas.map_or_else(Screenshot::primary_window, |canvas| {
        Screenshot::image(canvas.0.clone())
    });
    let path = path.to_owned();
    commands.spawn(screenshot).observe(
        move |captured: On<'_, '_, ScreenshotCaptured>, mut pictures: ResMut<'_, Pictures>| {
            let written = write(&captured.image, &path);
            pictures.done.push((path.clone(), written));
        },
    );
}

fn write(image: &Image, path: &Path) -> Result<(), String> {
    // The alpha channel says how panels were blended, not what is seen.
    let picture = image
        .clone()
        .try_into_dynamic()
        .map_err(|error| error.to_string())?
        .to_rgb8();
    picture.save(path).map_err(|error| error.to_string())
}

/// Readies an app that no window drives.
pub fn ready(app: &mut App) {
    while app.plugins_state() == PluginsState::Adding {
        std::thread::yield_now();
    }
    app.finish();
    app.cleanup();
}
