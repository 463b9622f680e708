//! Durations as `"5s"`, sizes as `"64KiB"`, and other texts that mean more than text.

use serde::{Deserializer, de};

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Text;
    impl de::Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("text in quotes")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }
    deserializer.deserialize_str(Text)
}

/// The number and the unit behind it.
fn split(text: &str) -> Option<(u64, &str)> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// `"600us"`, `"250ms"`, `"5s"`, `"15m"`, `"8h"`, `"90d"`.
pub mod duration {
    use super::*;
    use std::time::Duration;

    pub use doorman_core::duration::parse;

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse(&text(deserializer)?).map_err(de::Error::custom)
    }
}

/// `"64KiB"`, `"1MiB"`, `"512B"`.
pub mod size {
    use super::*;

    /// Reads one, in bytes.
    pub fn parse(text: &str) -> Result<usize, String> {
        let bytes: Option<u64> = split(text).and_then(|(number, unit)| {
            let unit = match unit {
                "B" => 1,
                "KiB" => 1 << 10,
                "MiB" => 1 << 20,
                "GiB" => 1 << 30,
                _ => return None,
            };
            number.checked_mul(unit)
        });
        bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| {
            format!("`{text}` is no size: write a whole number and B, KiB, MiB or GiB, as in \"64KiB\"")
        })
    }

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
        parse(&text(deserializer)?).map_err(de::Error::custom)
    }
}

/// An `http` or `https` URL that names a server and nothing on it.
pub mod origin {
    use super::*;
    use url::Url;

    /// Reads one.
    pub fn parse(text: &str) -> Result<Url, String> {
        let refuse = |why: &str| Err(format!("{why}: write it as \"https://host:port\""));
        let url = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
            _ => return refuse("this is no http or https URL"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("this URL holds a user name or password");
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return refuse("this URL has more than a host and a port");
        }
        Ok(url)
    }

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
        parse(&text(deserializer)?).map_err(de::Error::custom)
    }
}

/// As [`origin`], for settings that may be absent.
pub mod optional_origin {
    use super::*;

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<url::Url>, D::Error> {
        origin::deserialize(deserializer).map(Some)
    }
}

/// An address to listen on.
pub mod address {
    use super::*;
    use std::net::SocketAddr;

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
        let text = text(deserializer)?;
        let bad = || {
            format!(
                "`{text}` is no address to listen on: write an IP address and a port, as in \"127.0.0.1:8440\""
            )
        };
        text.parse().map(Some).map_err(|_| de::Error::custom(bad()))
    }
}

/// A text that must not be empty.
pub mod name {
    use super::*;

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        let text = text(deserializer)?;
        if text.is_empty() { Err(de::Error::custom("must not be empty")) } else { Ok(text) }
    }
}

/// Whether a URL leads to this very machine, where plain HTTP is accepted.
pub fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn durations_and_sizes_are_read_with_their_units() {
        assert_eq!(duration::parse("600us"), Ok(Duration::from_micros(600)));
        assert_eq!(duration::parse("8h"), Ok(Duration::from_secs(28_800)));
        assert_eq!(duration::parse("0s"), Ok(Duration::ZERO));
        assert_eq!(size::parse("64KiB"), Ok(65_536));
        assert_eq!(size::parse("1 MiB"), Ok(1 << 20));
        for bad in [
            "",
            "5",
            "s",
            "-5s",
            "5 weeks",
            "1.5s",
            "99999999999999999999s",
            "18446744073709551615h",
            "5KB",
            "٣s",
        ] {
            assert!(duration::parse(bad).is_err() && size::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC*") {
            let _ = (duration::parse(&text), size::parse(&text), origin::parse(&text));
        }
    }
}
