//! IPv4 and IPv6 prefixes.

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Length of `::ffff:0:0/96`, the IPv6 addresses that mean IPv4 ones (RFC 4291, section 2.5.5.2).
const MAPPED_LEN: u8 = 96;

/// An address and how many of its leading bits count; the others are zero.
///
/// An IPv4-mapped IPv6 prefix (`::ffff:10.0.0.0/104`) *is* the IPv4 prefix that it maps (`10.0.0.0/8`): an address that
/// a socket reports in the mapped form meets the rules for its IPv4 form. An IPv6 prefix that is shorter than
/// `::ffff:0:0/96`, like `::/0`, is about IPv6 only and holds no IPv4 address.
///
/// The order is that of the index: IPv4 before IPv6, then by address, then by length.
///
/// ```
/// use zqlite::index::cidr::Prefix;
///
/// let private: Prefix = "10.0.0.0/8".parse()?;
/// assert!(private.contains("10.1.2.3".parse()?));
/// assert!(private.contains("::ffff:10.1.2.3".parse()?));
/// assert!("10.1.2.3/8".parse::<Prefix>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(Bits);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Bits {
    V4(u32, u8),
    V6(u128, u8),
}

/// Why a text is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParsePrefixError {
    /// The part before the slash is neither an IPv4 nor an IPv6 address.
    #[error("not an IP address")]
    Address,
    /// The part after the slash is not a decimal number, or exceeds the bits of the address.
    #[error("not a prefix length for the address")]
    Length,
    /// Bits that do not count are set: an address in a network is not the network.
    #[error("bits after the prefix length are set")]
    HostBits,
}

impl Prefix {
    /// A prefix of an address.
    ///
    /// # Errors
    /// If the length exceeds 32 or 128, or bits beyond it are set.
    pub fn new(address: IpAddr, len: u8) -> Result<Self, ParsePrefixError> {
        let bits = match address {
            IpAddr::V4(address) if len <= 32 => Bits::V4(u32::from(address), len),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) if (MAPPED_LEN..=128).contains(&len) => {
                    Bits::V4(u32::from(address), len - MAPPED_LEN)
                }
                _ if len <= 128 => Bits::V6(u128::from(address), len),
                _ => return Err(ParsePrefixError::Length),
            },
            IpAddr::V4(_) => return Err(ParsePrefixError::Length),
        };
        let prefix = Self(bits);
        if prefix.cut(len_of(bits)) != prefix {
            return Err(ParsePrefixError::HostBits);
        }
        Ok(prefix)
    }

    /// The lowest address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        match self.0 {
            Bits::V4(address, _) => Ipv4Addr::from(address).into(),
            Bits::V6(address, _) => Ipv6Addr::from(address).into(),
        }
    }

    /// How many leading bits count.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "the length of a prefix")]
    pub const fn len(&self) -> u8 {
        len_of(self.0)
    }

    /// Whether it is about IPv4 addresses.
    #[must_use]
    pub const fn is_ipv4(&self) -> bool {
        matches!(self.0, Bits::V4(..))
    }

    /// Whether every address of the other is one of this.
    #[must_use]
    pub fn covers(&self, other: Self) -> bool {
        other.len() >= self.len() && other.cut(self.len()) == *self
    }

    /// Whether an address is one of this.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.covers(address.into())
    }

    /// How many leading bits both have in common, at most as many as each has; `None` in different families.
    pub(super) fn common(self, other: Self) -> Option<u8> {
        let bits = match (self.0, other.0) {
            (Bits::V4(a, _), Bits::V4(b, _)) => (a ^ b).leading_zeros(),
            (Bits::V6(a, _), Bits::V6(b, _)) => (a ^ b).leading_zeros(),
            _ => return None,
        };
        let shorter = self.len().min(other.len());
        Some(u8::try_from(bits).map_or(shorter, |bits| bits.min(shorter)))
    }

    pub(super) const fn bits(self) -> Bits {
        self.0
    }

    /// Of bits whose trailing ones are zero.
    pub(super) const fn from_bits(bits: Bits) -> Self {
        Self(bits)
    }

    /// The first bits of it: at most as many as it has.
    pub(super) fn cut(self, len: u8) -> Self {
        Self(match self.0 {
            Bits::V4(address, own) => {
                let len = len.min(own);
                Bits::V4(super::table::keep(address, len), len)
            }
            Bits::V6(address, own) => {
                let len = len.min(own);
                Bits::V6(super::table::keep(address, len), len)
            }
        })
    }
}

const fn len_of(bits: Bits) -> u8 {
    match bits {
        Bits::V4(_, len) | Bits::V6(_, len) => len,
    }
}

/// The prefix that holds one address.
impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(address) => Bits::V4(u32::from(address), 32),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => Bits::V4(u32::from(address), 32),
                None => Bits::V6(u128::from(address), 128),
            },
        })
    }
}

impl From<Ipv4Addr> for Prefix {
    fn from(address: Ipv4Addr) -> Self {
        IpAddr::V4(address).into()
    }
}

impl From<Ipv6Addr> for Prefix {
    fn from(address: Ipv6Addr) -> Self {
        IpAddr::V6(address).into()
    }
}

/// A network of the crate `ipnet`, whose host bits must be zero.
impl TryFrom<IpNet> for Prefix {
    type Error = ParsePrefixError;

    fn try_from(net: IpNet) -> Result<Self, ParsePrefixError> {
        Self::new(net.addr(), net.prefix_len())
    }
}

impl From<Prefix> for IpNet {
    fn from(prefix: Prefix) -> Self {
        match prefix.0 {
            Bits::V4(address, len) => Ipv4Net::new_assert(address.into(), len).into(),
            Bits::V6(address, len) => Ipv6Net::new_assert(address.into(), len).into(),
        }
    }
}

/// An address, or an address, a slash and a length in decimal digits. No spaces, zones or leading zeros.
impl FromStr for Prefix {
    type Err = ParsePrefixError;

    fn from_str(text: &str) -> Result<Self, ParsePrefixError> {
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ParsePrefixError::Address)?;
        let Some(len) = len else {
            return Ok(address.into());
        };
        let canonical =
            len.bytes().all(|byte| byte.is_ascii_digit()) && (len == "0" || !len.starts_with('0'));
        match len.parse() {
            Ok(len) if canonical => Self::new(address, len),
            _ => Err(ParsePrefixError::Length),
        }
    }
}

/// The canonical text, with its length always: `10.0.0.0/8`, `2001:db8::1/128`.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn texts_are_read_strictly_and_written_canonically() {
        let mut read = 0;
        for (text, canonical) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("FD00:0::/8", "fd00::/8"),
            ("2001:DB8::1", "2001:db8::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            // Shorter than what is mapped, so not IPv4.
            ("::/95", "::/95"),
            ("::10.1.2.3", "::a01:203/128"),
        ] {
            assert_eq!(prefix(text).to_string(), canonical, "{text}");
            assert_eq!(prefix(canonical), prefix(text), "{text}");
            assert_eq!(
                Prefix::try_from(IpNet::from(prefix(text))),
                Ok(prefix(text))
            );
            read += 1;
        }
        assert_eq!(read, 11);
        let mut refused = 0;
        for (text, error) in [
            ("", ParsePrefixError::Address),
            (" 10.0.0.0/8", ParsePrefixError::Address),
            ("10.0.0/8", ParsePrefixError::Address),
            ("010.0.0.0/8", ParsePrefixError::Address),
            ("fe80::1%eth0", ParsePrefixError::Address),
            ("10.0.0.0/", ParsePrefixError::Length),
            ("10.0.0.0/33", ParsePrefixError::Length),
            ("10.0.0.0/08", ParsePrefixError::Length),
            ("10.0.0.0/+8", ParsePrefixError::Length),
            ("10.0.0.0/8/8", ParsePrefixError::Length),
            ("10.0.0.0/255.0.0.0", ParsePrefixError::Length),
            ("::/129", ParsePrefixError::Length),
            ("::/999", ParsePrefixError::Length),
            ("::ffff:0:0/129", ParsePrefixError::Length),
            ("10.0.0.1/8", ParsePrefixError::HostBits),
            ("::1/127", ParsePrefixError::HostBits),
            ("::ffff:0:0/95", ParsePrefixError::HostBits),
            ("::ffff:10.0.0.1/104", ParsePrefixError::HostBits),
        ] {
            assert_eq!(text.parse::<Prefix>(), Err(error), "{text}");
            refused += 1;
        }
        assert_eq!(refused, 18);
    }

    #[test]
    fn a_mapped_address_is_covered_by_ipv4_and_by_no_ipv6_prefix() {
        let address: IpAddr = "::ffff:10.1.2.3".parse().unwrap();
        assert!(prefix("10.0.0.0/8").contains(address));
        assert!(prefix("::ffff:0:0/96").contains(address));
        assert!(!prefix("::/0").contains(address));
        assert!(!prefix("::/0").covers(prefix("0.0.0.0/0")));
        assert!(prefix("::/0").covers(prefix("::/95")));
        assert!(!prefix("::/95").covers(prefix("::/0")));
    }
}
