//! From single measurements to the figures that are compared: medians, and ratios of one interleaved run.

use crate::rounds::{Load, Shot};

/// Every measurement of a run.
pub struct Figures<'a> {
    pub shots: &'a [Shot],
}

/// One quantity of a measurement.
pub type Quantity = fn(&Shot) -> Option<f64>;

pub const RATE: Quantity = |shot| Some(shot.requests_per_second).filter(|rate| *rate > 0.0);
pub const P50: Quantity = |shot| shot.p50;
pub const P99: Quantity = |shot| shot.p99;
pub const CPU: Quantity = |shot| shot.cpu_per_request;
pub const INDEXER_CPU: Quantity = |shot| shot.indexer_cpu_per_request;
pub const CPU_BUT_INDEXER: Quantity =
    |shot| Some(shot.cpu_per_request? - shot.indexer_cpu_per_request.unwrap_or_default());
pub const INSTRUCTIONS: Quantity = |shot| shot.instructions_per_request;

impl Figures<'_> {
    fn by_round(&self, chain: &str, load: Load, quantity: Quantity) -> Vec<(usize, f64)> {
        let matching = self.shots.iter().filter(|shot| shot.chain == chain && shot.load == load);
        matching.filter_map(|shot| Some((shot.round, quantity(shot)?))).collect()
    }

    /// The median over the rounds.
    pub fn median(&self, chain: &str, load: Load, quantity: Quantity) -> Option<f64> {
        median(self.by_round(chain, load, quantity).into_iter().map(|(_, value)| value).collect())
    }

    /// `chain` ÷ `rival`: the median of the rounds' own ratios, since both sides of a round ran within seconds.
    pub fn ratio(&self, chain: &str, rival: &str, load: Load, quantity: Quantity) -> Option<f64> {
        let rivals = self.by_round(rival, load, quantity);
        let ratios = self.by_round(chain, load, quantity).into_iter().filter_map(|(round, value)| {
            let (_, other) = rivals.iter().find(|(other, _)| *other == round)?;
            (*other > 0.0).then(|| value / other)
        });
        median(ratios.collect())
    }
}

/// The middle value; the mean of the middle two when they are even in number.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some((values.get(values.len() / 2 - 1)? + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::MAIN;

    fn shot(chain: &str, round: usize, rate: f64) -> Shot {
        Shot {
            chain: chain.to_owned(),
            load: MAIN,
            round,
            requests_per_second: rate,
            p50: None,
            p99: None,
            cpu_per_request: None,
            indexer_cpu_per_request: None,
            instructions_per_request: None,
            errors: 0,
            first_error: None,
        }
    }

    #[test]
    fn a_ratio_compares_within_rounds() {
        // The machine was half as fast in the second round: no round's ratio is anything but 2.
        let shots = [shot("a", 0, 200.0), shot("b", 0, 100.0), shot("a", 1, 100.0), shot("b", 1, 50.0)];
        let figures = Figures { shots: &shots };
        assert_eq!(figures.ratio("a", "b", MAIN, RATE), Some(2.0));
        assert_eq!(figures.ratio("a", "c", MAIN, RATE), None);
    }

    #[test]
    fn a_median_of_nothing_is_nothing() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }
}
