//! Wakes a sleeping window when something happens that no event tells of: the file changed on the disk, unsaved work is due, the
//! graphics driver has finished what it was compiling.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bevy::prelude::*;
use bevy::render::render_resource::PipelineCache;
use bevy::render::{Render, RenderApp};
use bevy::winit::{EventLoopProxy, EventLoopProxyWrapper, WinitUserEvent};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How often a document with unsaved changes is given time, so that it can write them aside.
const UNSAVED: Duration = Duration::from_secs(20);

/// Wakes the window.
#[derive(Resource, Clone, Default)]
pub(crate) struct Waker(Arc<Mutex<Watch>>);

#[derive(Default)]
struct Watch {
    path: Option<PathBuf>,
    dirty: bool,
    at: Option<Instant>,
}

impl Waker {
    /// Starts the thread that looks.
    pub(crate) fn start(
        mut commands: Commands<'_, '_>,
        proxy: Option<Res<'_, EventLoopProxyWrapper>>,
    ) {
        let Some(proxy) = proxy else { return };
        let waker = Self::default();
        let (watched, proxy) = (waker.clone(), EventLoopProxy::clone(&proxy));
        let thread = std::thread::Builder::new()
            .name("waker".to_owned())
            .spawn(move || watched.look(&proxy));
        if thread.is_ok() {
            commands.insert_resource(waker);
        }
    }

    /// Looks after this file from now on.
    pub(crate) fn watch(&self, path: Option<&Path>, dirty: bool) {
        let mut watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watch.path = path.map(Path::to_owned);
        watch.dirty = dirty;
    }

    /// Wakes the window once, after a while.
    pub(crate) fn wake_in(&self, wait: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).at = Some(Instant::now() + wait);
    }

    fn look(&self, proxy: &EventLoopProxy<WinitUserEvent>) {
        let mut seen: Option<(PathBuf, Option<SystemTime>)> = None;
        let mut last = Instant::now();
        loop {
            std::thread::sleep(LOOK);
            let now = Instant::now();
            let (path, wake) = {
                let mut watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let due = watch.at.is_some_and(|at| at <= now);
                if due {
                    watch.at = None;
                }
                (
                    watch.path.clone(),
                    due || (watch.dirty && now - last > UNSAVED),
                )
            };
            let state = path.map(|path| {
                let changed = path.metadata().and_then(|data| data.modified()).ok();
                (path, changed)
            });
            if wake || state != seen {
                seen = state;
                last = now;
                if proxy.send_event(WinitUserEvent::WakeUp).is_err() {
                    return;
                }
            }
        }
    }
}

/// Whether the graphics driver still compiles what a picture needs: what is drawn until then lacks it.
#[derive(Resource, Clone, Default)]
pub(crate) struct Compiling(Arc<AtomicBool>);

impl Compiling {
    /// Watches the renderer of `app`, if it has one.
    pub(crate) fn watch(app: &mut App) {
        let compiling = Self::default();
        app.insert_resource(compiling.clone());
        if let Some(render) = app.get_sub_app_mut(RenderApp) {
            render.insert_resource(compiling).add_systems(
                Render,
                |cache: Res<'_, PipelineCache>, compiling: Res<'_, Self>| {
                    compiling.0.store(
                        cache.waiting_pipelines().next().is_some(),
                        Ordering::Relaxed,
                    );
                },
            );
        }
    }

    pub(crate) fn goes_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
