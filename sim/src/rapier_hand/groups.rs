//! Which shapes may touch, told to Rapier by collision groups.
//!
//! Rapier's own switch for the contacts of a joint does not see through the small link between two joints of one body, and a
//! hand whose neighbours collide pushes itself open. So shapes that may touch the same others share a group, and the groups say
//! exactly what the model says.

use std::ops::Range;

use hand::kernel::{Link, LinkShape};
use hand::model::Contact;
use rapier3d::prelude::{Group, InteractionGroups, InteractionTestMode};

use super::HandError;

/// Whether a group of one is a mask of the other.
pub(super) fn fit(a: &Contact, b: &Contact) -> bool {
    a.group & b.mask != 0 || b.group & a.mask != 0
}

/// Whether two shapes of a hand may touch, by the rules of the batch solver: not within a link, not a link with its parent
/// unless that is the world, not links of one finger, not what is excluded.
pub(super) fn may_touch(
    links: &[Link],
    excluded: &[(usize, usize)],
    a: &LinkShape,
    b: &LinkShape,
) -> bool {
    let (i, j) = (a.link, b.link);
    let neighbours = |i: usize, j: usize| i > 0 && links[j].parent == i;
    let excluded = excluded.contains(&(i, j)) || excluded.contains(&(j, i));
    i != j
        && fit(&a.contact, &b.contact)
        && !neighbours(i, j)
        && !neighbours(j, i)
        && !excluded
        && branch(links, i) != branch(links, j)
}

/// The branch that each link is on, counted from 1 in the order of the links; 0 is the world. The batch solver counts alike.
pub(super) fn branches(links: &[Link]) -> Vec<usize> {
    let mut firsts = vec![0];
    let mut number = |link| {
        let first = branch(links, link);
        let known = firsts.iter().position(|f| *f == first);
        known.unwrap_or_else(|| {
            firsts.push(first);
            firsts.len() - 1
        })
    };
    (0..links.len()).map(&mut number).collect()
}

/// The first link of the unbranched chain that a link is on.
fn branch(links: &[Link], mut link: usize) -> usize {
    let children = |parent: usize| links.iter().skip(1).filter(|l| l.parent == parent).count();
    while links[link].parent > 0 && children(links[link].parent) == 1 {
        link = links[link].parent;
    }
    link
}

/// Groups out of `bits` for `count` shapes of which two collide where `touch` says so; `touch` must be symmetric.
pub(super) fn assign(
    count: usize,
    bits: Range<u32>,
    touch: impl Fn(usize, usize) -> bool,
) -> Result<Vec<InteractionGroups>, HandError> {
    let mut kinds: Vec<Vec<usize>> = Vec::new();
    for shape in 0..count {
        let alike = |kind: &&mut Vec<usize>| {
            let first = kind[0];
            let others = (0..count).filter(|k| *k != shape && !kind.contains(k));
            let within = kind.len() < 2 || touch(first, kind[1]);
            let mut others = others.map(|k| touch(shape, k) == touch(first, k));
            let own = kind.iter().map(|k| touch(shape, *k));
            let first_two = kind.len() < 2;
            others.all(|same| same) && own.into_iter().all(|t| first_two || t == within)
        };
        match kinds.iter_mut().find(alike) {
            Some(kind) => kind.push(shape),
            None => kinds.push(vec![shape]),
        }
    }
    if kinds.len() > bits.len() {
        return Err(HandError::Groups(bits.len() as u32));
    }
    let bit = |kind: usize| Group::from_bits_retain(1 << (bits.start + kind as u32));
    let group_of = |shape: usize| {
        let own = kinds
            .iter()
            .position(|kind| kind.contains(&shape))
            .unwrap_or(0);
        let touched = kinds.iter().enumerate().filter(|(_, kind)| {
            kind.iter()
                .any(|other| *other != shape && touch(shape, *other))
        });
        let filter = touched.fold(Group::NONE, |sum, (kind, _)| sum | bit(kind));
        InteractionGroups::new(bit(own), filter, InteractionTestMode::And)
    };
    Ok((0..count).map(group_of).collect())
}
