//! RTU frames as bytes: a request framed, and its reply found among whatever came. Pure.
//!
//! It reads no line and waits for nothing. RTU has no transaction number, so a reply is one only if unit, function, length
//! and CRC are those of the request; it is looked for at every byte, since echoes, noise and late answers to others may
//! stand before it. Invariant: nothing else is ever taken for the reply.

use std::ops::Range;

use super::{fault::Fault, pdu};

/// No frame is longer, from the specification.
pub(super) const LONGEST: usize = 256;

/// What the bytes that came so far hold for a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Its reply, function and data, and where its frame stands among the bytes.
    Reply(Vec<u8>, Range<usize>),
    /// Its answer, and no good one: nothing else is to come.
    Bad(Fault),
    /// Not yet; what the bytes are instead, as far as that can be told.
    Nothing(Option<Fault>),
}

/// A request as it goes over the line.
pub(super) fn framed(unit: u8, request: &[u8]) -> Vec<u8> {
    let body = [&[unit], request].concat();
    [&body[..], &crc(&body)].concat()
}

/// Characters of a reply at most.
pub(super) fn reply_characters(request: &[u8]) -> usize {
    pdu::wanted_registers(request).map_or(LONGEST, |count| 5 + 2 * usize::from(count))
}

/// The reply to `request` among `bytes`. Of a `watched` unit a wrong one may be the answer to something else, and the right
/// one may follow.
pub(super) fn find(bytes: &[u8], unit: u8, request: &[u8], watched: bool) -> Found {
    for at in 0..bytes.len() {
        let frame = &bytes[at..];
        if misfit(frame, unit, request).is_some() {
            continue;
        }
        if let Some(end) = whole(frame) {
            let reply = frame[1..end - 2].to_vec();
            return match pdu::judged(request, &reply) {
                Ok(()) => Found::Reply(reply, at..at + end),
                Err(fault) => Found::Bad(fault),
            };
        }
    }
    let is_answer = bytes.first() == Some(&unit) && !watched;
    let is_broken = |end: usize| end <= bytes.len() && whole(bytes).is_none();
    match (misfit(bytes, unit, request), extent(bytes)) {
        (_, Some(end)) if end > LONGEST => Found::Bad(Fault::Foreign("a reply longer than a frame may be".to_owned())),
        (None, Some(end)) if is_broken(end) && is_answer => Found::Bad(Fault::Damaged),
        (None, Some(end)) if is_broken(end) => Found::Nothing(Some(Fault::Damaged)),
        (Some(fault), Some(_)) if is_answer && whole(bytes).is_some() => Found::Bad(fault),
        (fault, _) => Found::Nothing(fault),
    }
}

/// Every answer among `bytes`, whoever gave it to whatever: unit, and function and data.
pub(super) fn answers(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match whole(&bytes[at..]) {
            Some(end) => {
                found.push((bytes[at], bytes[at + 1..at + end - 2].to_vec()));
                at += end;
            }
            None => at += 1,
        }
    }
    found
}

/// Why a frame that begins so is no reply to `request`; `None` where it may be one, or too little has come to tell.
fn misfit(frame: &[u8], unit: u8, request: &[u8]) -> Option<Fault> {
    let wanted = request[0];
    let &[got, code, length, ..] = frame else { return None };
    if got != unit {
        return Some(Fault::Foreign(format!("unit {got} instead of {unit}")));
    }
    if code == wanted | 0x80 {
        return None;
    }
    if code != wanted {
        return Some(Fault::Foreign(format!("function {code} instead of {wanted}")));
    }
    let count = pdu::wanted_registers(request)?;
    (usize::from(length) != 2 * usize::from(count)).then(|| Fault::Length {
        got: usize::from(length) / 2,
        wanted: count,
    })
}

/// Where the frame that begins here ends, if all of it has come and its CRC is right.
fn whole(frame: &[u8]) -> Option<usize> {
    let end = extent(frame).filter(|end| *end <= frame.len())?;
    if matches!(frame[1], 3 | 4) && frame[2] & 1 == 1 {
        return None; // registers have two bytes: the echo of a request for 0x0300 has the sum of a whole answer
    }
    (crc(&frame[..end - 2]) == frame[end - 2..end]).then_some(end)
}

/// How long the frame that begins here says it is, with its CRC; `None` where too little has come to tell.
fn extent(frame: &[u8]) -> Option<usize> {
    let &[_, code, length, ..] = frame else { return None };
    if code & 0x80 != 0 {
        return Some(5);
    }
    if code != pdu::IDENTIFICATION {
        return Some(5 + usize::from(length));
    }
    let mut end = 8; // unit, function, type, read code, conformity, two marks, number of objects
    for _ in 0..*frame.get(end - 1)? {
        end += 2 + usize::from(*frame.get(end + 1)?);
        if end > LONGEST {
            break; // no frame at all
        }
    }
    Some(end + 2)
}

/// CRC-16/MODBUS, low byte first as it goes over the line.
fn crc(bytes: &[u8]) -> [u8; 2] {
    let shifted = |crc: u16| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xA001 };
    let crc = bytes.iter().fold(0xFFFF, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| shifted(crc))
    });
    crc.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::acquire::modbus::Table;

    fn summed(frame: &[u8]) -> Vec<u8> {
        [frame, &crc(frame)].concat()
    }

    /// The bytes that came for a request to unit 7 → registers and bytes around them, a bad answer, or what they are instead.
    fn check(request: &[u8], bytes: &[u8], expected: Result<(&[u16], usize), (&str, bool)>) {
        for watched in [false, true] {
            let got = match find(bytes, 7, request, watched) {
                Found::Reply(reply, place) => Ok((pdu::registers(&reply), bytes.len() - place.len())),
                Found::Bad(fault) => Err((fault.result(), true)),
                Found::Nothing(fault) => Err((fault.map_or("", |fault| fault.result()), false)),
            };
            let expected = match expected {
                Ok((words, n)) => Ok((words.to_vec(), n)),
                // It may be the late answer to something else: the right one may follow.
                Err((name @ ("damaged" | "length" | "foreign"), _)) if watched => Err((name, false)),
                Err(other) => Err(other),
            };
            assert_eq!(got, expected, "{bytes:02x?}, watched: {watched}");
        }
    }

    #[test]
    fn frames_are_those_of_the_specification() {
        // Modbus over Serial Line V1.02, and the sums that manuals print beside their examples.
        let framed = |unit, table, at, count| framed(unit, &pdu::read(table, at, count));
        assert_eq!(
            framed(1, Table::Holding, 0, 10),
            [0x01, 0x03, 0x00, 0x00, 0x00, 0x0A, 0xC5, 0xCD]
        );
        assert_eq!(
            framed(1, Table::Input, 0, 2),
            [0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB]
        );
        assert_eq!(summed(&[1, 4, 4, 0x43, 0x66, 0x33, 0x34])[7..], [0x1B, 0x38]);
    }

    #[test]
    fn a_reply_is_believed_only_if_everything_fits() {
        let asked = pdu::read(Table::Holding, 100, 2);
        let right = summed(&[7, 3, 4, 0, 100, 0, 101]);
        check(&asked, &right, Ok((&[100, 101], 0)));
        check(&asked, &right[..right.len() - 1], Err(("", false)));
        check(&asked, &[], Err(("", false)));
        check(&asked, &summed(&[8, 3, 4, 0, 100, 0, 101]), Err(("foreign", false)));
        check(&asked, &summed(&[7, 4, 4, 0, 100, 0, 101]), Err(("foreign", true)));
        check(&asked, &summed(&[7, 3, 2, 0, 100]), Err(("length", true)));
        check(&asked, &summed(&[7, 0x83, 2]), Err(("exception", true)));
        check(&asked, &summed(&[7, 0x83, 0x0B]), Err(("gateway", true)));
        check(&asked, &summed(&[7, 0x84, 2]), Err(("foreign", true)));
        check(&asked, &[7, 0x83, 2, 0, 0], Err(("damaged", true)));
        check(&asked, &[7, 3, 4, 0, 100, 0, 101, 0, 0], Err(("damaged", true)));
    }

    /// An adapter that hears itself, noise, another's late answer, and one of another length, before it and behind.
    #[test]
    fn the_reply_is_found_among_other_bytes() {
        let asked = pdu::read(Table::Holding, 100, 2);
        let right = summed(&[7, 3, 4, 0, 100, 0, 101]);
        for other in [
            framed(7, &asked),
            vec![0],
            vec![7, 3],
            vec![7, 3, 4, 0, 100],
            summed(&[8, 3, 4, 0, 1, 0, 2]),
            summed(&[7, 3, 2, 0, 1]),
            b"HTTP/1.1 400".to_vec(),
        ] {
            check(&asked, &[&other[..], &right].concat(), Ok((&[100, 101], other.len())));
            check(&asked, &[&right[..], &other].concat(), Ok((&[100, 101], other.len())));
        }
        check(&asked, &framed(7, &asked), Err(("length", false)));
    }

    #[test]
    fn the_echo_of_a_request_is_no_answer() {
        for at in 0x0300..=0x03FF {
            for count in [1, 2, 4, 125] {
                assert_eq!(
                    answers(&framed(7, &pdu::read(Table::Holding, at, count))),
                    [],
                    "{at} {count}"
                );
            }
        }
    }

    #[test]
    fn an_identification_says_its_own_length() {
        let request = pdu::identification(1, 0);
        let reply = [0x2B, 0x0E, 1, 0x81, 0, 0, 2, 0, 2, b'A', b'B', 1, 1, b'C'];
        let frame = summed(&[&[7], &reply[..]].concat());
        assert_eq!(
            find(&frame, 7, &request, false),
            Found::Reply(reply.into(), 0..frame.len())
        );
        for n in 0..frame.len() {
            assert_eq!(find(&frame[..n], 7, &request, false), Found::Nothing(None), "{n}");
        }
        let refused = summed(&[7, 0xAB, 1]);
        assert!(matches!(
            find(&refused, 7, &request, false),
            Found::Bad(Fault::Refused(_))
        ));
        let endless = [&[7, 0x2B, 0x0E, 1, 0x81, 0, 0, 255][..], &[0, 250].repeat(400)].concat();
        assert!(matches!(
            find(&endless, 7, &request, false),
            Found::Bad(Fault::Foreign(_))
        ));
    }

    proptest! {
        #[test]
        fn no_flipped_bit_is_believed(words in prop::collection::vec(any::<u16>(), 1..=125), bit: prop::sample::Index, watched: bool) {
            let asked = pdu::read(Table::Holding, 0, words.len() as u16);
            let mut frame = vec![7, 3, (words.len() * 2) as u8];
            frame.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            let mut frame = summed(&frame);
            let Found::Reply(reply, _) = find(&frame, 7, &asked, watched) else { panic!("not found") };
            prop_assert_eq!(pdu::registers(&reply), words);
            let bit = bit.index(frame.len() * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!matches!(find(&frame, 7, &asked, watched), Found::Reply(..)));
        }

        #[test]
        fn whatever_comes_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), count in 1_u16..=125, watched: bool) {
            let asked = pdu::read(Table::Holding, 0, count);
            if let Found::Reply(reply, _) = find(&bytes, bytes.first().copied().unwrap_or(1), &asked, watched) {
                prop_assert_eq!(pdu::registers(&reply).len(), usize::from(count));
            }
        }
    }
}
