use bytes::Bytes;

use super::tree::{Tree, climb, depth, leaf};
use crate::digest::{Digest, digest};

/// What one payload of the inner service carries.
///
/// ```text
/// whole: kind (1) ‖ payload
/// part:  kind (1) ‖ root (32) ‖ index (2) ‖ count (2) ‖ way (32 × kind) ‖ data
/// ```
///
/// The kind is 0 for a whole payload and else the depth of the tree. Everything
/// before the data is masked with hashes of what follows, so that no two
/// unrelated pieces have equal bytes in their headers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A payload that fits.
    Whole(Bytes),
    /// One of several pieces of a payload, found to be of its root.
    Part {
        root: Digest,
        index: u16,
        count: u16,
        data: Bytes,
    },
}

/// Why something is no piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPiece {
    /// Its form is wrong.
    Malformed,
    /// Its root does not follow from it.
    Wrong,
}

/// A payload in pieces.
pub(super) struct Pieces {
    /// What names them together, where there are several.
    pub(super) root: Option<Digest>,
    pub(super) pieces: Vec<Bytes>,
}

/// The bytes of a part's header without the way.
const FIXED: usize = 1 + ROOT + 2 + 2;
const ROOT: usize = 32;
const NODE: usize = 32;
const MAX_DEPTH: usize = 16;
/// How much of a piece's end masks its kind.
const TAIL: usize = 32;

impl Piece {
    /// The most pieces of a payload.
    pub(super) const MAX_COUNT: usize = u16::MAX as usize;

    /// How many pieces of at most `max` bytes a payload of `len` bytes takes,
    /// unless it takes too many.
    pub(super) fn count(len: usize, max: usize) -> Option<usize> {
        Layout::of(len, max).map(|layout| layout.count)
    }

    /// Cuts a payload into pieces of at most `max` bytes.
    pub(super) fn cut(payload: &Bytes, max: usize) -> Option<Pieces> {
        let Layout { data_len, .. } = Layout::of(payload.len(), max)?;
        if data_len >= payload.len() {
            let mut piece = vec![0];
            piece.extend_from_slice(payload);
            mask_kind(&mut piece);
            return Some(Pieces {
                root: None,
                pieces: vec![piece.into()],
            });
        }
        let data: Vec<_> = payload.chunks(data_len).collect();
        let count = u16::try_from(data.len()).ok()?;
        let contents: Vec<_> = data.iter().map(|data| content(data)).collect();
        let leaves = (0..).zip(&contents);
        let tree = Tree::new(
            leaves
                .map(|(index, content)| leaf(index, content))
                .collect(),
        );
        let root = tree.root();
        let mut pieces = Vec::with_capacity(data.len());
        for (index, (data, content)) in (0u16..).zip(data.iter().zip(&contents)) {
            let mut piece = vec![depth(count) as u8];
            piece.extend_from_slice(&root);
            piece.extend(index.to_be_bytes());
            piece.extend(count.to_be_bytes());
            tree.way(index.into())
                .for_each(|node| piece.extend_from_slice(node));
            mask(&mut piece[1..], content);
            piece.extend_from_slice(data);
            mask_kind(&mut piece);
            pieces.push(piece.into());
        }
        let root = Some(root);
        Some(Pieces { root, pieces })
    }

    /// Reads a piece, and checks that its root follows from it.
    pub(super) fn decode(bytes: &Bytes) -> Result<Self, NoPiece> {
        let depth_of_tree = kind(bytes).ok_or(NoPiece::Malformed)?;
        if depth_of_tree == 0 {
            return Ok(Self::Whole(bytes.slice(1..)));
        }
        let header_len = FIXED + NODE * depth_of_tree;
        if depth_of_tree > MAX_DEPTH || bytes.len() <= header_len {
            return Err(NoPiece::Malformed);
        }
        let data = bytes.slice(header_len..);
        let content = content(&data);
        let mut header = bytes[1..header_len].to_vec();
        mask(&mut header, &content);
        let (root, rest) = header.split_at(ROOT);
        let (numbers, way) = rest.split_at(4);
        let index = u16::from_be_bytes([numbers[0], numbers[1]]);
        let count = u16::from_be_bytes([numbers[2], numbers[3]]);
        if index >= count || depth(count) != depth_of_tree {
            return Err(NoPiece::Malformed);
        }
        let way: Vec<Digest> = way
            .chunks_exact(NODE)
            .filter_map(|node| node.try_into().ok())
            .collect();
        let found = climb(leaf(index, &content), index, count, &way);
        if root != found {
            return Err(NoPiece::Wrong);
        }
        Ok(Self::Part {
            root: found,
            index,
            count,
            data,
        })
    }
}

/// How a payload is cut.
struct Layout {
    count: usize,
    data_len: usize,
}

impl Layout {
    fn of(len: usize, max: usize) -> Option<Self> {
        if len < max {
            let count = 1;
            return Some(Self {
                count,
                data_len: len,
            });
        }
        // A deeper tree leaves less room for data: the least that holds all.
        (1..=MAX_DEPTH).find_map(|depth| {
            let data_len = max.checked_sub(FIXED + NODE * depth)?;
            let count = len.checked_div(data_len)? + usize::from(!len.is_multiple_of(data_len));
            let most = (1 << depth).min(Piece::MAX_COUNT);
            (count <= most).then_some(Self { count, data_len })
        })
    }
}

fn content(data: &[u8]) -> Digest {
    digest("/cf/ds/segmented/1 data", &[data])
}

/// Masks a header, or takes the mask off.
fn mask(header: &mut [u8], content: &Digest) {
    for (block, number) in header.chunks_mut(32).zip(0u8..) {
        let mask = digest("/cf/ds/segmented/1 mask", &[content, &[number]]);
        block.iter_mut().zip(mask).for_each(|(byte, m)| *byte ^= m);
    }
}

/// Masks the first byte with the end of what follows it.
fn mask_kind(piece: &mut [u8]) {
    if let Some((kind, rest)) = piece.split_first_mut() {
        *kind ^= kind_mask(rest);
    }
}

fn kind(piece: &[u8]) -> Option<usize> {
    let (kind, rest) = piece.split_first()?;
    Some(usize::from(kind ^ kind_mask(rest)))
}

fn kind_mask(rest: &[u8]) -> u8 {
    let tail = &rest[rest.len().saturating_sub(TAIL)..];
    digest("/cf/ds/segmented/1 kind", &[tail])[0]
}
