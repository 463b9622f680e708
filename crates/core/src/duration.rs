//! Durations as people write them: `"5m"`.

use std::time::Duration;

/// The units, in microseconds, longest first.
const UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// A text that is no duration.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no duration: write a whole number and us, ms, s, m, h or d, as in \"5s\"")]
pub struct DurationError(String);

/// Reads `"600us"`, `"250ms"`, `"5s"`, `"15m"`, `"8h"`, `"90d"`.
///
/// # Errors
/// [`DurationError`]: no whole number, no known unit, or too long to count.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let refuse = || DurationError(text.to_owned());
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(refuse)?;
    number.checked_mul(*factor).map(Duration::from_micros).ok_or_else(refuse)
}

/// Writes a duration in the longest unit that is exact; what is shorter than a microsecond is dropped.
pub fn format(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let exact = UNITS.iter().find(|(_, factor)| micros > 0 && micros.is_multiple_of(*factor));
    match exact {
        Some((unit, factor)) => format!("{}{unit}", micros / factor),
        None => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        assert_eq!(parse("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse("90 d"), Ok(Duration::from_secs(90 * 86_400)));
        for bad in
            ["", "5", "m", "-5m", "1.5h", "5 minutes", "99999999999999999999d", "999999999999999d", "５m"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(micros in any::<u64>()) {
            let duration = Duration::from_micros(micros);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in ".{0,24}") {
            let _ = parse(&text);
        }
    }
}
