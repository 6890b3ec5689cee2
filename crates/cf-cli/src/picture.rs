//! Links as pictures: QR codes in the terminal and in PNG files.

use std::io::Cursor;

use cf::core::{Error, ErrorKind, Result};
use qrcode::{Color, EcLevel, QrCode};

/// What every PNG file starts with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The light frame that a reader needs, in modules.
const FRAME: usize = 4;
/// The side of a module in a file, in pixels.
const SCALE: usize = 8;
/// The most pixels of a picture that is read: a photograph of 40 megapixels.
const MAX_PIXELS: u64 = 40_000_000;

/// A QR code with its frame: which modules are dark, row by row.
pub(crate) struct Picture {
    side: usize,
    dark: Vec<bool>,
}

impl Picture {
    /// Draws a text.
    pub(crate) fn of(text: &str) -> Result<Self> {
        let levels = [EcLevel::M, EcLevel::L];
        let code = levels
            .iter()
            .find_map(|level| QrCode::with_error_correction_level(text, *level).ok())
            .ok_or_else(|| {
                Error::rejected(
                    "this link is too long for a picture of 2,953 characters: make a short link",
                )
            })?;
        let (inner, modules) = (code.width(), code.to_colors());
        let side = inner + 2 * FRAME;
        let mut dark = vec![false; side * side];
        for (at, color) in modules.iter().enumerate() {
            let (x, y) = (at % inner + FRAME, at / inner + FRAME);
            dark[y * side + x] = *color == Color::Dark;
        }
        Ok(Self { side, dark })
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        y < self.side && self.dark[y * self.side + x]
    }

    /// Two modules in each character, black on white whatever the terminal's colours.
    pub(crate) fn to_terminal(&self) -> String {
        let mut shown = String::new();
        for y in (0..self.side).step_by(2) {
            shown.push_str("\x1b[38;5;16;48;5;231m");
            for x in 0..self.side {
                shown.push(match (self.is_dark(x, y), self.is_dark(x, y + 1)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            shown.push_str("\x1b[0m\n");
        }
        shown
    }

    /// The bytes of a PNG file.
    pub(crate) fn to_png(&self) -> Result<Vec<u8>> {
        let side = self.side * SCALE;
        let pixel = |at: usize| match self.is_dark(at % side / SCALE, at / side / SCALE) {
            true => 0,
            false => 255,
        };
        let pixels: Vec<u8> = (0..side * side).map(pixel).collect();
        let mut file = Vec::new();
        let len = u32::try_from(side).expect("at most 185 modules");
        let mut encoder = png::Encoder::new(&mut file, len, len);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&pixels));
        let failed = |error| Error::new(ErrorKind::Other, format!("no picture: {error}"));
        written.map_err(failed)?;
        Ok(file)
    }
}

pub(crate) fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(PNG)
}

/// The text of the one QR code in a PNG file.
pub(crate) fn read_png(bytes: &[u8]) -> Result<String> {
    let damaged = |error| Error::malformed(format!("this picture can't be read: {error}"));
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = (reader.info().width, reader.info().height);
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Error::rejected("a picture takes at most 40 megapixels"));
    }
    let len = reader.output_buffer_size().unwrap_or_default();
    let mut pixels = vec![0; len];
    let info = reader.next_frame(&mut pixels).map_err(damaged)?;
    let samples = info.color_type.samples();
    let grey = |x: usize, y: usize| {
        let at = y * info.line_size + x * samples;
        let sample = |n: usize| u32::from(pixels.get(at + n).copied().unwrap_or_default());
        let (light, alpha) = match samples {
            1 => (sample(0), 255),
            2 => (sample(0), sample(1)),
            3 => ((sample(0) + sample(1) + sample(2)) / 3, 255),
            _ => ((sample(0) + sample(1) + sample(2)) / 3, sample(3)),
        };
        // What can be seen through lies on white.
        u8::try_from((light * alpha + 255 * (255 - alpha)) / 255).unwrap_or(255)
    };
    scan(width as usize, height as usize, grey)
}

fn scan(width: usize, height: usize, grey: impl FnMut(usize, usize) -> u8) -> Result<String> {
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, grey);
    let read = |grid: &rqrr::Grid<_>| grid.decode().ok().map(|(_, text)| text);
    let mut texts: Vec<_> = image.detect_grids().iter().filter_map(read).collect();
    texts.dedup();
    match texts.len() {
        1 => Ok(texts.remove(0)),
        0 => Err(Error::malformed("there is no QR code in this picture")),
        _ => Err(Error::malformed(
            "there is more than one QR code in this picture: cut out the one that is meant",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = "cfshort_1_b6oTL1c5p2MFl8Vq0sJdmPjKuTzXwRyNaEhGiOfBvUQC3kDLW4SZ7xHt.nats://chat.example:4222";

    /// The pixels of a terminal that shows a picture: foreground and background as
    /// it says, else as the terminal has them.
    fn shown(text: &str) -> (usize, usize, Vec<u8>) {
        const START: &str = "\u{1b}[38;5;16;48;5;231m";
        let mut rows: Vec<Vec<u8>> = Vec::new();
        for line in text.lines() {
            let line = line
                .strip_prefix(START)
                .expect("its colours")
                .strip_suffix("\u{1b}[0m");
            let (mut upper, mut lower) = (Vec::new(), Vec::new());
            for c in line.expect("the terminal's colours again").chars() {
                let (top, bottom) = match c {
                    '█' => (0, 0),
                    '▀' => (0, 255),
                    '▄' => (255, 0),
                    ' ' => (255, 255),
                    c => panic!("{c:?}"),
                };
                upper.extend([top; 4]);
                lower.extend([bottom; 4]);
            }
            rows.extend(vec![upper; 4]);
            rows.extend(vec![lower; 4]);
        }
        (rows[0].len(), rows.len(), rows.concat())
    }

    #[test]
    fn a_picture_reads_as_what_was_drawn() {
        let long = format!("cfintro_1_{}", "Aq-_9z".repeat(480));
        for text in [SHORT, "cfdir_1_raya@local:", &long] {
            let picture = Picture::of(text).expect("it fits");
            let (width, height, pixels) = shown(&picture.to_terminal());
            let scanned = scan(width, height, |x, y| pixels[y * width + x]);
            assert_eq!(scanned.expect("it scans"), text, "in a terminal");
            let file = picture.to_png().expect("a file");
            assert!(is_png(&file));
            assert_eq!(read_png(&file).expect("it scans"), text, "in a file");
        }
        assert!(Picture::of(&"a".repeat(2954)).is_err());
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let file = Picture::of(SHORT)
            .and_then(|it| it.to_png())
            .expect("a file");
        for len in [0, 8, 20, file.len() / 2] {
            assert!(read_png(&file[..len]).is_err(), "{len} bytes");
        }
        let mut huge = file.clone();
        huge[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        assert!(read_png(&huge).is_err());
        let blank = Picture {
            side: 40,
            dark: vec![false; 1600],
        };
        let error = read_png(&blank.to_png().expect("a file")).expect_err("nothing there");
        assert!(error.to_string().contains("no QR code"), "{error}");
    }
}
