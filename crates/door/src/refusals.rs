//! A flood of refusals must neither fill nor stop the journal: beyond a measure they are counted, not kept.

use crate::journal::Draft;
use ahash::AHashMap;
use doorman_core::id::AuditId;
use doorman_core::record::{Kind, Record};
use parking_lot::Mutex;
use std::net::IpAddr;

/// One window, in milliseconds.
pub const WINDOW_MS: u64 = 10_000;
/// Single entries for one address in a window.
const PER_ADDRESS: u32 = 100;
/// Single entries for all addresses in a window.
const OVER_ALL: u32 = 1_000;
/// Addresses counted apart in a window; what comes from more is counted together.
const MAX_ADDRESSES: usize = 10_000;

/// Counts refusals without a verified principal.
#[derive(Default)]
pub struct RefusalGate {
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    started_ms: u64,
    kept: u32,
    addresses: AHashMap<IpAddr, Count>,
    /// Refusals of addresses that have no count of their own.
    others: u64,
}

#[derive(Default)]
struct Count {
    kept: u32,
    surplus: u64,
}

/// Refusals that got no entry of their own.
#[derive(Debug, PartialEq, Eq)]
pub struct Surplus {
    /// The address, or `None` for all that were not counted apart.
    pub address: Option<IpAddr>,
    /// How many.
    pub count: u64,
}

/// The entry for refusals that were counted.
pub fn record(surplus: &Surplus, now_ms: u64) -> Draft {
    let mut record = Record::new(Kind::Refused, AuditId::default(), now_ms);
    record.count = Some(surplus.count);
    record.client_ip = surplus.address.map(|address| address.to_string().into());
    record.decision = Some("deny".into());
    Draft::new(record)
}

impl RefusalGate {
    /// Whether this refusal gets an entry of its own. What the last window left is handed out with it: it is to be
    /// written as `refused` entries.
    pub fn admit(&self, address: IpAddr, now_ms: u64) -> (bool, Vec<Surplus>) {
        let mut window = self.window.lock();
        let surplus = window.roll(now_ms);
        let room = window.kept < OVER_ALL;
        if !window.addresses.contains_key(&address) && window.addresses.len() >= MAX_ADDRESSES {
            window.others += 1;
            return (false, surplus);
        }
        let count = window.addresses.entry(address).or_default();
        let admitted = room && count.kept < PER_ADDRESS;
        if admitted {
            count.kept += 1;
            window.kept += 1;
        } else {
            count.surplus += 1;
        }
        (admitted, surplus)
    }

    /// What a window that has ended left; to be called now and then, so that the last flood is told too.
    pub fn collect(&self, now_ms: u64) -> Vec<Surplus> {
        self.window.lock().roll(now_ms)
    }
}

impl Window {
    fn roll(&mut self, now_ms: u64) -> Vec<Surplus> {
        if now_ms < self.started_ms + WINDOW_MS {
            return Vec::new();
        }
        let ended = std::mem::replace(self, Self { started_ms: now_ms, ..Self::default() });
        let mut surplus: Vec<Surplus> = ended
            .addresses
            .into_iter()
            .filter(|(_, count)| count.surplus > 0)
            .map(|(address, count)| Surplus { address: Some(address), count: count.surplus })
            .collect();
        // Many addresses at once would be a flood of their own.
        if surplus.len() > PER_ADDRESS as usize {
            surplus.sort_by_key(|surplus| std::cmp::Reverse(surplus.count));
            let rest = surplus.split_off(PER_ADDRESS as usize);
            let count = rest.iter().map(|surplus| surplus.count).sum();
            surplus.push(Surplus { address: None, count });
        }
        if ended.others > 0 {
            surplus.push(Surplus { address: None, count: ended.others });
        }
        surplus
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_kept_up_to_a_measure_and_then_counted() {
        let gate = RefusalGate::default();
        let address: IpAddr = [127, 0, 0, 1].into();
        let kept = (0..5_000).filter(|_| gate.admit(address, 20_000).0).count();
        assert_eq!(kept, 100);
        assert_eq!(gate.collect(29_999), []);
        assert_eq!(gate.collect(30_000), [Surplus { address: Some(address), count: 4_900 }]);
        assert!(gate.admit(address, 30_001).0);
    }

    #[test]
    fn many_addresses_share_one_measure() {
        let gate = RefusalGate::default();
        let (mut kept, mut told) = (0, 0);
        for n in 0..20_000u32 {
            kept += u64::from(gate.admit(IpAddr::from(n.to_be_bytes()), 20_000).0);
        }
        let surplus = gate.collect(40_000);
        told += surplus.iter().map(|surplus| surplus.count).sum::<u64>();
        assert_eq!((kept, kept + told), (1_000, 20_000));
        assert!(surplus.len() <= 102);
    }
}
