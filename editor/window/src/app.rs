//! The app: one camera for the scene, one for the panels, and the systems that keep both in step with the editor.

use std::time::Duration;

use bevy::camera::visibility::RenderLayers;
use bevy::camera::{CameraOutputMode, RenderTarget};
use bevy::core_pipeline::tonemapping::Tonemapping;
use bevy::gizmos::transform_gizmo::{TransformGizmoCamera, TransformGizmoPlugin};
use bevy::light::{CascadeShadowConfigBuilder, DirectionalLightShadowMap, GlobalAmbientLight};
use bevy::log::{Level, LogPlugin};
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::pipelined_rendering::PipelinedRenderingPlugin;
use bevy::render::render_resource::BlendState;
use bevy::render::renderer::RenderAdapterInfo;
use bevy::render::settings::{RenderCreation, WgpuSettings};
use bevy::window::ExitCondition;
use bevy::winit::{UpdateMode, WinitPlugin, WinitSettings};
use bevy_egui::{
    EguiGlobalSettings, EguiPlugin, EguiPreUpdateSet, EguiPrimaryContextPass, PrimaryEguiContext,
};

use crate::desk::{self, Desk, DeskPlugin};
use crate::orbit::{FIELD_OF_VIEW, Orbit, View};
use crate::panels;
use crate::picture::{Canvas, Pictures};
use crate::places;
use crate::pointer::{Pointer, PointerPlugin};
use crate::script::{self, Script};
use crate::sight::{Draw, SightPlugin};
use crate::waker::{Compiling, Waker};

/// How much work a picture may cost.
#[derive(Resource, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// For software rendering: neither shadows nor smoothed edges, no gliding camera.
    Plain,
    /// Shadows and smoothed edges.
    Full,
}

impl Quality {
    pub(crate) fn msaa(self) -> Msaa {
        match self {
            Self::Plain => Msaa::Off,
            Self::Full => Msaa::Sample4,
        }
    }
}

/// What was asked for; without it, what the graphics driver allows.
#[derive(Resource)]
struct WantedQuality(Option<Quality>);

/// The sky, and what fills the window around the home.
const BACKGROUND: Color = Color::srgb(0.80, 0.84, 0.88);
/// The overlay camera of Bevy's gizmo draws on this layer.
pub(crate) const GIZMO_LAYER: usize = 15;

/// The camera that draws the scene.
#[derive(Component)]
pub struct SceneCamera;

/// How the scene is projected; the handles are drawn over it with the same.
pub(crate) fn scene_projection() -> Projection {
    Projection::Perspective(PerspectiveProjection {
        fov: FIELD_OF_VIEW,
        near: 0.01,
        ..default()
    })
}

/// Cameras, lights and the sky. `target` is a picture instead of the window.
fn set_stage(
    mut commands: Commands<'_, '_>,
    canvas: Option<Res<'_, Canvas>>,
    adapter: Option<Res<'_, RenderAdapterInfo>>,
    wanted: Res<'_, WantedQuality>,
    mut egui_settings: ResMut<'_, EguiGlobalSettings>,
) {
    egui_settings.auto_create_primary_context = false;
    let software = adapter.is_none_or(|adapter| adapter.device_type == wgpu_types::DeviceType::Cpu);
    let quality = wanted.0.unwrap_or(if software {
        Quality::Plain
    } else {
        Quality::Full
    });
    commands.insert_resource(quality);
    let target = canvas.map_or_else(RenderTarget::default, |canvas| {
        RenderTarget::Image(canvas.0.clone().into())
    });
    let view = View::default();
    commands.spawn((
        SceneCamera,
        Orbit::at(view),
        Camera3d::default(),
        Camera {
            clear_color: ClearColorConfig::Custom(BACKGROUND),
            ..default()
        },
        scene_projection(),
        view.transform(),
        quality.msaa(),
        Tonemapping::None,
        TransformGizmoCamera,
        target.clone(),
    ));
    commands.spawn((
        PrimaryEguiContext,
        Camera2d,
        RenderLayers::none(),
        Camera {
            order: 10,
            output_mode: CameraOutputMode::Write {
                blend_state: Some(BlendState::ALPHA_BLENDING),
                clear_color: ClearColorConfig::None,
            },
            clear_color: ClearColorConfig::Custom(Color::NONE),
            ..default()
        },
        Msaa::Off,
        Tonemapping::None,
        target,
    ));
    commands.insert_resource(GlobalAmbientLight {
        color: Color::srgb(0.93, 0.96, 1.0),
        brightness: 470.0,
        ..default()
    });
    commands.insert_resource(DirectionalLightShadowMap { size: 2048 });
    commands.spawn((
        DirectionalLight {
            illuminance: 2_100.0,
            color: Color::srgb(1.0, 0.97, 0.91),
            shadow_maps_enabled: quality == Quality::Full,
            ..default()
        },
        CascadeShadowConfigBuilder {
            num_cascades: 2,
            maximum_distance: 40.0,
            ..default()
        }
        .build(),
        Transform::default().looking_to(Vec3::new(0.34, 0.44, -1.25), Vec3::Z),
    ));
    // Fills the sides that the sun does not reach, so that they differ from each other.
    commands.spawn((
        DirectionalLight {
            illuminance: 500.0,
            color: Color::srgb(0.85, 0.91, 1.0),
            ..default()
        },
        Transform::default().looking_to(Vec3::new(-0.8, -0.25, -0.35), Vec3::Z),
    ));
}

/// What an app draws on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A window on the display.
    Window,
    /// An image of so many pixels; there is no window.
    Picture(UVec2),
    /// Nothing: a window that exists as data only, without display and graphics driver.
    Nothing,
}

/// An app that draws [`crate::sight::Sight`] on `output`.
pub fn build(
    desk: Desk,
    output: Output,
    quality: Option<Quality>,
    size: UVec2,
    with_panels: bool,
) -> App {
    let mut app = App::new();
    let window = Window {
        title: "habitus".to_owned(),
        name: Some("habitus".to_owned()),
        resolution: bevy::window::WindowResolution::new(size.x, size.y),
        ..default()
    };
    let render = match output {
        Output::Nothing => RenderPlugin {
            render_creation: RenderCreation::Automatic(Box::new(WgpuSettings {
                backends: None,
                ..default()
            })),
            ..default()
        },
        Output::Picture(_) => RenderPlugin {
            synchronous_pipeline_compilation: true,
            ..default()
        },
        Output::Window => RenderPlugin::default(),
    };
    let windows = WindowPlugin {
        primary_window: (!matches!(output, Output::Picture(_))).then_some(window),
        exit_condition: ExitCondition::DontExit,
        close_when_requested: false,
        ..default()
    };
    let log = LogPlugin {
        level: Level::ERROR,
        filter: "wgpu=error,naga=error".to_owned(),
        ..default()
    };
    let mut plugins = DefaultPlugins.set(render).set(windows).set(log);
    if output != Output::Window {
        plugins = plugins
            .disable::<WinitPlugin>()
            .disable::<PipelinedRenderingPlugin>();
    }
    if output == Output::Nothing {
        plugins = plugins.disable::<LogPlugin>();
    }
    app.add_plugins((plugins, EguiPlugin::default(), SightPlugin, DeskPlugin));
    app.insert_resource(WantedQuality(quality))
        .insert_resource(desk)
        .init_resource::<Pictures>()
        .init_resource::<Pointer>();
    if let Output::Picture(size) = output {
        let canvas = Canvas::new(size, &mut app.world_mut().resource_mut::<Assets<Image>>());
        app.insert_resource(canvas);
    }
    app.init_resource::<Script>()
        .add_systems(Startup, set_stage)
        .add_systems(Update, script::run.before(Draw));
    if with_panels {
        app.add_systems(EguiPrimaryContextPass, panels::draw);
        let keys = panels::order_keys
            .after(EguiPreUpdateSet::ProcessInput)
            .before(EguiPreUpdateSet::BeginPass);
        app.add_systems(PreUpdate, keys);
    }
    if !matches!(output, Output::Picture(_)) {
        app.add_plugins((TransformGizmoPlugin, PointerPlugin))
            .add_systems(Update, desk::title)
            .add_systems(Last, places::log);
    }
    if output == Output::Window {
        let reactive = |secs| UpdateMode::Reactive {
            wait: Duration::from_secs(secs),
            react_to_device_events: false,
            react_to_user_events: true,
            react_to_window_events: true,
        };
        app.insert_resource(WinitSettings {
            focused_mode: reactive(60),
            unfocused_mode: reactive(60),
        });
        app.add_systems(Startup, Waker::start);
        Compiling::watch(&mut app);
    }
    app
}
