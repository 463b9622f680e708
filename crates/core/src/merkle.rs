//! The Merkle tree over one journal batch (RFC 9162 §2.1: leaf and node hashing, inclusion proofs).

use crate::{Digest, sha256};
use sha2::Digest as _;

/// `H(0x00 ‖ SHA-256(claims) ‖ SHA-256(record))`: the leaf of one entry.
pub fn leaf_hash(claims: &Digest, record: &Digest) -> Digest {
    let mut hasher = sha2::Sha256::new_with_prefix([0x00]);
    hasher.update(claims);
    hasher.update(record);
    hasher.finalize().into()
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = sha2::Sha256::new_with_prefix([0x01]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// All levels of the tree of one batch, leaves first, so that every inclusion path is a walk upwards.
pub struct Tree {
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// Builds the tree. A last node without a sibling moves up unchanged, which gives RFC 9162's shape.
    pub fn new(leaves: Vec<Digest>) -> Self {
        let mut levels = Vec::with_capacity(usize::BITS as usize - leaves.len().leading_zeros() as usize + 1);
        let mut level = leaves;
        while level.len() > 1 {
            let next = level
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => node_hash(left, right),
                    single => single.first().copied().unwrap_or_default(),
                })
                .collect();
            levels.push(std::mem::replace(&mut level, next));
        }
        levels.push(level);
        Self { levels }
    }

    /// The tree head; that of no leaves is `SHA-256("")`.
    pub fn root(&self) -> Digest {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or_else(|| sha256(b""))
    }

    /// The leaves, in order.
    pub fn leaves(&self) -> &[Digest] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// The siblings on the way from leaf `index` to the root.
    pub fn inclusion_path(&self, index: usize) -> impl Iterator<Item = &Digest> {
        self.levels.iter().enumerate().filter_map(move |(height, level)| level.get((index >> height) ^ 1))
    }
}

/// The root that `path` leads to from `leaf` (RFC 9162 §2.1.3.2), or `None` when the path does not fit a tree of
/// `count` leaves.
pub fn root_from_path(leaf: Digest, index: u32, count: u32, path: &[Digest]) -> Option<Digest> {
    if index >= count {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, count - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|i| leaf_hash(&sha256(&i.to_be_bytes()), &sha256(b"record"))).collect()
    }

    /// RFC 9162 §2.1.1, word for word.
    fn reference_root(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => sha256(b""),
            [leaf] => *leaf,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&reference_root(&leaves[..split]), &reference_root(&leaves[split..]))
            }
        }
    }

    proptest! {
        #[test]
        fn every_leaf_proves_itself_and_nothing_else(count in 1usize..200, pick in 0usize..200, other in 0usize..200) {
            let (pick, other) = (pick % count, other % count);
            let leaves = leaves(count);
            let tree = Tree::new(leaves.clone());
            prop_assert_eq!(tree.root(), reference_root(&leaves));
            let path: Vec<Digest> = tree.inclusion_path(pick).copied().collect();
            let (index, total) = (pick as u32, count as u32);
            prop_assert_eq!(root_from_path(leaves[pick], index, total, &path), Some(tree.root()));
            if other != pick {
                prop_assert_ne!(root_from_path(leaves[other], index, total, &path), Some(tree.root()));
                prop_assert_ne!(root_from_path(leaves[pick], other as u32, total, &path), Some(tree.root()));
            }
            let mut longer = path.clone();
            longer.push([0; 32]);
            prop_assert_eq!(root_from_path(leaves[pick], index, total, &longer), None);
            if let Some((_, shorter)) = path.split_last() {
                prop_assert_ne!(root_from_path(leaves[pick], index, total, shorter), Some(tree.root()));
            }
        }
    }
}
