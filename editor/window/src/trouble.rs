//! What stands in the way of a window or a picture, said so that it can be put right.

use std::os::unix::net::UnixStream;
use std::panic::PanicHookInfo;

/// What to install for windows and pictures.
const DRIVER: &str = "no Vulkan driver was found: install one (Debian: apt-get install mesa-vulkan-drivers libvulkan1; that one needs \
                      no graphics card), or run ./habitus setup --gui";
const WINDOW: &str = "the window cannot be opened: install what it needs (Debian: apt-get install libvulkan1 mesa-vulkan-drivers \
                      libx11-xcb1 libxcursor1 libxi6 libxrandr2 libxkbcommon-x11-0), or run ./habitus setup --gui";

/// Whether there is a display to open a window on.
///
/// # Errors
/// With what to do, in one sentence.
pub fn find_display() -> Result<(), String> {
    let advice = "start it on a desktop or with `xvfb-run` (Debian: apt-get install xvfb), or take pictures without a display with \
                  --screenshot FILE";
    match std::env::var("DISPLAY") {
        Ok(name) if !name.is_empty() => {
            if answers(&name) {
                Ok(())
            } else {
                Err(format!("no display answers at DISPLAY={name}: {advice}"))
            }
        }
        _ => Err(format!(
            "there is no display (DISPLAY is not set): {advice}"
        )),
    }
}

/// Whether a local display takes connections; one on another machine is believed to.
fn answers(name: &str) -> bool {
    let Some(number) = name.strip_prefix("unix").unwrap_or(name).strip_prefix(':') else {
        return true;
    };
    let number = number.split('.').next().unwrap_or_default();
    UnixStream::connect(format!("/tmp/.X11-unix/X{number}")).is_ok()
}

/// From here on, what Bevy and winit panic with where drivers or libraries are missing ends the program with a sentence.
pub fn speak_plainly() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        let text = panic.payload_as_str().unwrap_or_default();
        if let Some(advice) = advice(text) {
            eprintln!("habitus edit: {advice}");
            std::process::exit(1);
        }
        usual(panic);
    }));
}

fn advice(panic: &str) -> Option<&'static str> {
    if panic.contains("Unable to find a GPU") {
        Some(DRIVER)
    } else if [
        "event loop",
        "XNotSupported",
        "XOpenDisplay",
        "surface",
        "Library",
    ]
    .iter()
    .any(|sign| panic.contains(sign))
    {
        Some(WINDOW)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_driver_is_named_with_its_packages() {
        let text = "Unable to find a GPU! Make sure you have installed required drivers!";
        assert!(
            advice(text).is_some_and(|advice| advice.contains("mesa-vulkan-drivers libvulkan1"))
        );
        assert_eq!(advice("index out of bounds"), None);
    }
}
