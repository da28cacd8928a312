//! The content that the demo back ends send. All functions are pure: the same bytes on every machine and in every run.
//!
//! Owns as much of PNG and gzip as a valid file of known bytes needs. It has no compressor, because a compressor's output may
//! change with its version.

/// `n` bytes that look random: a linear congruential generator, so byte `i` never depends on `n`.
pub(super) fn noise(n: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

/// `n` bytes of readable ASCII in lines.
pub(super) fn prose(n: usize) -> Vec<u8> {
    b"The old system and the new one answer side by side until nobody asks the old one any more.\n"
        .iter()
        .copied()
        .cycle()
        .take(n)
        .collect()
}

/// Side of the picture in pixels: 320 * (1 + 320 * 3) bytes, about 300 KB.
const SIDE: u32 = 320;

/// A valid RGB picture of 300 KB: smooth colours with noise in one channel.
pub(super) fn png() -> Vec<u8> {
    let noise = noise((SIDE * SIDE) as usize);
    let mut grain = noise.iter();
    let mut scanlines = Vec::with_capacity((SIDE * (1 + SIDE * 3)) as usize);
    for y in 0..SIDE {
        scanlines.push(0); // filter type `none`
        for x in 0..SIDE {
            scanlines.push((x * 255 / SIDE) as u8);
            scanlines.push((y * 255 / SIDE) as u8);
            scanlines.push(*grain.next().unwrap_or(&0));
        }
    }

    let mut header = Vec::new();
    header.extend_from_slice(&SIDE.to_be_bytes());
    header.extend_from_slice(&SIDE.to_be_bytes());
    header.extend_from_slice(&[8, 2, 0, 0, 0]); // 8 bits a channel, RGB, the only compression and filter, not interlaced

    let mut zlib = vec![0x78, 0x01];
    zlib.extend(stored_deflate(&scanlines));
    zlib.extend_from_slice(&adler32(&scanlines).to_be_bytes());

    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    push_chunk(&mut file, b"IHDR", &header);
    push_chunk(&mut file, b"IDAT", &zlib);
    push_chunk(&mut file, b"IEND", &[]);
    file
}

fn push_chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    file.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let checked_from = file.len();
    file.extend_from_slice(kind);
    file.extend_from_slice(data);
    let checksum = file.get(checked_from..).map_or(0, crc32);
    file.extend_from_slice(&checksum.to_be_bytes());
}

/// A gzip file (RFC 1952) of `data`, without name or time stamp.
pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    file.extend(stored_deflate(data));
    file.extend_from_slice(&crc32(data).to_le_bytes());
    file.extend_from_slice(&(data.len() as u32).to_le_bytes());
    file
}

/// Deflate (RFC 1951 section 3.2.4) with stored blocks only. Empty data is one empty block.
fn stored_deflate(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + data.len() / 65_535 * 5 + 5);
    let mut rest = data;
    loop {
        let (block, tail) = rest.split_at(rest.len().min(65_535));
        out.push(u8::from(tail.is_empty()));
        out.extend_from_slice(&(block.len() as u16).to_le_bytes());
        out.extend_from_slice(&(!(block.len() as u16)).to_le_bytes());
        out.extend_from_slice(block);
        if tail.is_empty() {
            return out;
        }
        rest = tail;
    }
}

/// The checksum of PNG chunks and gzip (RFC 1952 section 8), bit by bit: it runs only once.
fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// The checksum of zlib streams (RFC 1950 section 8.2).
fn adler32(data: &[u8]) -> u32 {
    let (a, b) = data.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_agree_with_published_values() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn noise_is_a_prefix_of_longer_noise_and_holds_every_byte_value() {
        let long = noise(20_000);
        assert_eq!(noise(100), &long[..100]);
        assert!((0..=255).all(|value| long.contains(&value)), "a byte value is missing");
    }

    #[test]
    fn the_picture_is_300_kb_and_starts_and_ends_as_png() {
        let file = png();
        assert!((300_000..=310_000).contains(&file.len()), "{} bytes", file.len());
        assert!(file.starts_with(b"\x89PNG\r\n\x1a\n"));
        assert!(file.ends_with(b"IEND\xaeB`\x82"), "the checksum of IEND is a known constant");
    }

    #[test]
    fn stored_blocks_split_at_their_limit() {
        assert_eq!(stored_deflate(b""), [1, 0, 0, 0xff, 0xff]);
        let two = stored_deflate(&[7; 65_536]);
        assert_eq!(&two[..5], [0, 0xff, 0xff, 0, 0]);
        assert_eq!(&two[5 + 65_535..], [1, 1, 0, 0xfe, 0xff, 7]);
    }
}
