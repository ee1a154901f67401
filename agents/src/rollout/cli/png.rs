//! Pictures as PNG files.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Writes a picture: RGB, one byte a channel `(height, width, 3)`.
pub(crate) fn write(
    path: &Path,
    rgb: &[u8],
    [width, height]: [usize; 2],
) -> Result<(), Box<dyn std::error::Error>> {
    let file = BufWriter::new(File::create(path)?);
    let mut encoder = ::png::Encoder::new(file, u32::try_from(width)?, u32::try_from(height)?);
    encoder.set_color(::png::ColorType::Rgb);
    encoder.set_depth(::png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(())
}
