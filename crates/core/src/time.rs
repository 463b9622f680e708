//! Times on the wire: milliseconds since the Unix epoch inside, RFC 3339 UTC with milliseconds outside.

/// `2026-03-01T12:00:00.000Z`
pub fn format_rfc3339(unix_ms: u64) -> String {
    let mut text = [0u8; 24];
    write_rfc3339(unix_ms, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// As [`format_rfc3339`], without allocating. Years beyond 9999 are shown as the end of 9999.
pub fn write_rfc3339(unix_ms: u64, out: &mut [u8; 24]) {
    const LAST_MS: u64 = 253_402_300_799_999;
    let unix_ms = unix_ms.min(LAST_MS);
    let (days, ms_of_day) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = civil_from_days(days);
    let seconds = ms_of_day / 1_000;
    let mut at = 0;
    let mut put = |value: u64, width: u32, then: u8| {
        for place in (0..width).rev() {
            if let Some(byte) = out.get_mut(at) {
                *byte = b'0' + ((value / 10u64.pow(place)) % 10) as u8;
            }
            at += 1;
        }
        if let Some(byte) = out.get_mut(at) {
            *byte = then;
        }
        at += 1;
    };
    put(year, 4, b'-');
    put(month, 2, b'-');
    put(day, 2, b'T');
    put(seconds / 3_600, 2, b':');
    put(seconds / 60 % 60, 2, b':');
    put(seconds % 60, 2, b'.');
    put(ms_of_day % 1_000, 3, b'Z');
}

/// Parses any RFC 3339 time; `None` when it is none or lies before 1970.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let parsed = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    u64::try_from(parsed.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Days since 1970-01-01 to a Gregorian date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_time_reads_back_as_it_was_written(ms in 0u64..253_402_300_799_999) {
            prop_assert_eq!(parse_rfc3339(&format_rfc3339(ms)), Some(ms));
        }
    }

    #[test]
    fn a_leap_day_is_written_as_one() {
        assert_eq!(format_rfc3339(1_709_208_000_123), "2024-02-29T12:00:00.123Z");
    }
}
