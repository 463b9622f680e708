//! The line in which a run's items stand, and the waves it is cut into.

use super::{Gate, Plan, RegionPlan, Size};

/// How many items of a region each row makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegionShare {
    /// One of `request.regions`; `None` when the job does not fan out over regions.
    pub region: Option<Box<str>>,
    /// Items a row: 1, or the number of instances with `instance: all`.
    pub copies: u32,
}

/// One wave of one region: a stretch of the line.
#[derive(Clone, PartialEq, Debug)]
pub struct Wave {
    /// The region, where the job fans out.
    pub region: Option<Box<str>>,
    /// Its first item.
    pub from: u64,
    /// The first item behind it; equal to `from` when it is empty, which leaves its gate where it is.
    pub until: u64,
    /// What opens the next one.
    pub gate: Gate,
}

/// What one item is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    /// The region, where the job fans out.
    pub region: Option<&'a str>,
    /// Which row, from 0.
    pub row: u64,
    /// Which of the row's items in this region: the number of the instance.
    pub copy: u32,
}

/// A plan applied to so many rows.
#[derive(Clone, PartialEq, Debug)]
pub struct Rollout {
    plan: Plan,
    rows: u64,
    shares: Vec<RegionShare>,
    waves: Vec<Wave>,
}

impl Rollout {
    /// Lays out `rows` rows over `shares`, which are in the order of `request.regions`, or one share without a region.
    pub fn new(plan: Plan, rows: u64, shares: Vec<RegionShare>) -> Self {
        let mut waves = Vec::new();
        let mut from = 0;
        for share in &shares {
            let total = rows.saturating_mul(share.copies.into());
            cut(plan.region(share.region.as_deref()), share, from, total, &mut waves);
            from = from.saturating_add(total);
        }
        Self { plan, rows, shares, waves }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// All items.
    pub fn total(&self) -> u64 {
        self.waves.last().map_or(0, |wave| wave.until)
    }

    /// All waves, in the order in which they open.
    pub fn waves(&self) -> &[Wave] {
        &self.waves
    }

    /// One wave, from 0.
    pub fn wave(&self, number: u32) -> Option<&Wave> {
        self.waves.get(number as usize)
    }

    /// The plan that holds for one wave.
    pub fn plan_of(&self, wave: u32) -> &RegionPlan {
        self.plan.region(self.wave(wave).and_then(|wave| wave.region.as_deref()))
    }

    /// What the item at `index` is.
    pub fn place(&self, index: u64) -> Option<Place<'_>> {
        let mut index = index;
        for share in &self.shares {
            let copies = u64::from(share.copies);
            let total = self.rows.saturating_mul(copies);
            if index < total {
                let copy = u32::try_from(index % copies).ok()?;
                return Some(Place { region: share.region.as_deref(), row: index / copies, copy });
            }
            index -= total;
        }
        None
    }
}

/// Cuts a region's items, which are `total` and begin at `start`, into waves.
fn cut(plan: &RegionPlan, share: &RegionShare, start: u64, total: u64, waves: &mut Vec<Wave>) {
    let mut reached = 0u64;
    for rule in &plan.waves {
        let until = match rule.size {
            Size::Count(count) => reached.saturating_add(count),
            Size::Percent(percent) => share_of(total, percent),
        };
        let until = until.clamp(reached, total);
        waves.push(Wave {
            region: share.region.clone(),
            from: start.saturating_add(reached),
            until: start.saturating_add(until),
            gate: rule.gate,
        });
        reached = until;
    }
    if reached < total || plan.waves.is_empty() {
        waves.push(Wave {
            region: share.region.clone(),
            from: start.saturating_add(reached),
            until: start.saturating_add(total),
            gate: Gate::Auto { bake: std::time::Duration::ZERO },
        });
    }
}

/// So many percent of `total`, rounded up: a wave that was asked for has an item.
fn share_of(total: u64, percent: f64) -> u64 {
    // In millionths of a percent, so that 25 percent of anything is exact.
    let millionths = (percent * 1e6).round() as u128;
    let share = (u128::from(total) * millionths).div_ceil(100_000_000);
    u64::try_from(share).unwrap_or(total).min(total)
}
