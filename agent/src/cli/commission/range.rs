//! Which hosts and units somebody named to be asked. Pure.
//!
//! It resolves no name and asks nothing. Invariant: only what was written comes out, and never more than a bound that is
//! named in the refusal.

use std::net::Ipv4Addr;

/// Hosts of one search at most: a /22. More is nobody's one plant network, and a slip of the pen.
pub(super) const MOST_HOSTS: usize = 1024;
/// The shortest network prefix that [`MOST_HOSTS`] allows.
const SHORTEST_PREFIX: u32 = 22;

/// `192.168.10.20-40`, `192.168.10.20-192.168.11.3`, `192.168.10.0/24`, names, and lists of them.
pub(super) fn hosts(text: &str) -> Result<Vec<String>, String> {
    let mut found: Vec<String> = vec![];
    for part in parts(text) {
        let more = match part.split_once('/') {
            Some((network, prefix)) => of_network(network, prefix)?,
            None => of_span(part)?,
        };
        found.extend(more);
        if found.len() > MOST_HOSTS {
            return Err(format!(
                "{text:?} is more than {MOST_HOSTS} hosts: name the part of the network where meters are"
            ));
        }
    }
    found.sort();
    found.dedup();
    found.sort_by_key(|host| host.parse::<Ipv4Addr>().ok());
    if found.is_empty() {
        return Err("no host is named; write 192.168.10.20-40, 192.168.10.0/24 or a list".to_owned());
    }
    Ok(found)
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn of_network(network: &str, prefix: &str) -> Result<Vec<String>, String> {
    let how = || format!("\"{network}/{prefix}\" is no network: write 192.168.10.0/24, /{SHORTEST_PREFIX} to /32");
    let address: Ipv4Addr = network.parse().map_err(|_| how())?;
    let prefix: u32 = prefix.parse().map_err(|_| how())?;
    if !(SHORTEST_PREFIX..=32).contains(&prefix) {
        return Err(how());
    }
    let size = 1_u32 << (32 - prefix);
    let first = u32::from(address) / size * size;
    // The first and the last address of a network are nobody's, where it is large enough to have them.
    let (skipped, taken) = if size > 2 { (1, size - 2) } else { (0, size) };
    Ok((0..taken)
        .filter_map(|nth| first.checked_add(skipped + nth))
        .map(|address| Ipv4Addr::from(address).to_string())
        .collect())
}

fn of_span(part: &str) -> Result<Vec<String>, String> {
    let Some((first, last)) = part.split_once('-') else {
        return one(part);
    };
    let Ok(first) = first.parse::<Ipv4Addr>() else {
        return one(part);
    }; // a name may have a hyphen
    let last = match last.parse::<u8>() {
        Ok(last) => Ipv4Addr::from((u32::from(first) & !0xFF) | u32::from(last)),
        Err(_) => last.parse().map_err(|_| format!("{part:?}: write 192.168.10.20-40"))?,
    };
    let (from, to) = (u32::from(first), u32::from(last));
    if to < from || (to - from) as usize >= MOST_HOSTS {
        return Err(format!(
            "{part:?}: the last address must be one of the {MOST_HOSTS} from the first on"
        ));
    }
    Ok((from..=to).map(|address| Ipv4Addr::from(address).to_string()).collect())
}

fn one(part: &str) -> Result<Vec<String>, String> {
    let is_host = |c: char| c.is_alphanumeric() || ['-', '.', '_'].contains(&c);
    if part.chars().all(is_host) {
        Ok(vec![part.to_owned()])
    } else {
        Err(format!(
            "{part:?} is no host: write an address as 192.168.10.20, or a name"
        ))
    }
}

/// `1-32`, `1,7,247`: units, each once, in order.
pub(super) fn units(text: &str) -> Result<Vec<u8>, String> {
    let how = |part: &str| format!("{part:?} is no unit: write 1 to 255, as 1-32 or 1,7,20");
    let mut found = vec![];
    for part in parts(text) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u8>().ok().filter(|unit| *unit > 0);
        let (first, last) = number(first).zip(number(last)).ok_or_else(|| how(part))?;
        if last < first {
            return Err(how(part));
        }
        found.extend(first..=last);
    }
    found.sort_unstable();
    found.dedup();
    if found.is_empty() { Err(how(text)) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Result<&[&str], &str>) {
        let found = hosts(text);
        let found = found
            .as_ref()
            .map(|hosts| hosts.iter().map(String::as_str).collect::<Vec<_>>());
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{text}: {why}"),
            (found, expected) => panic!("{text}: {found:?}, wanted {expected:?}"),
        }
    }

    #[test]
    fn hosts_are_spans_networks_names_and_lists() {
        check(
            "192.168.10.9-11",
            Ok(&["192.168.10.9", "192.168.10.10", "192.168.10.11"]),
        );
        check("192.168.0.255-192.168.1.0", Ok(&["192.168.0.255", "192.168.1.0"]));
        check("192.168.10.8/30", Ok(&["192.168.10.9", "192.168.10.10"]));
        check("192.168.10.9/31", Ok(&["192.168.10.8", "192.168.10.9"]));
        check("192.168.10.9/32", Ok(&["192.168.10.9"]));
        check("meter-1.hall, 10.0.0.2,10.0.0.2", Ok(&["meter-1.hall", "10.0.0.2"]));
        check("10.0.0.0/8", Err("/22"));
        check("10.0.0.9-10.0.0.2", Err("1024"));
        check("10.0.0.1-10.9.0.1", Err("1024"));
        check("10.0.0.0/22,10.1.0.0/22", Err("1024"));
        check("10.0.0.1-x", Err("192.168.10.20-40"));
        check("tcp://10.0.0.1", Err("no network"));
        check(" , ", Err("no host"));
    }

    #[test]
    fn units_are_spans_and_lists() {
        for (text, expected) in [
            ("1-3", Some(&[1, 2, 3][..])),
            ("7,1-2,7", Some(&[1, 2, 7])),
            ("255", Some(&[255])),
        ] {
            assert_eq!(units(text).ok().as_deref(), expected, "{text}");
        }
        for text in ["0", "256", "3-1", "", "a"] {
            assert!(units(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_never_more_than_the_bound_comes_out(text in "[0-9./,-]{0,40}") {
            if let Ok(found) = hosts(&text) {
                prop_assert!((1..=MOST_HOSTS).contains(&found.len()));
            }
            if let Ok(found) = units(&text) {
                prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }
}
