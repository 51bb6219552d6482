//! What a device says of itself: device identification (0x2B/0x0E) and server id (0x11). Pure.
//!
//! It asks nothing and believes nothing: a name is only what the device says. Invariant: a text that comes out has no
//! control character and a bounded length.

use std::collections::BTreeMap;

/// Read code for the first three objects.
pub(super) const BASIC: u8 = 1;
/// Read code for the first seven objects.
pub(super) const REGULAR: u8 = 2;

/// Characters of one text at most: longer ones are cut.
const LONGEST_TEXT: usize = 64;
/// Letters in a row that count as text in a server id, which is in each maker's own form.
const SHORTEST_RUN: usize = 3;

/// The objects of a device identification, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity(BTreeMap<u8, String>);

/// The objects that have a name in the specification.
pub const OBJECTS: [(u8, &str); 7] = [
    (0, "vendor"),
    (1, "product_code"),
    (2, "revision"),
    (3, "url"),
    (4, "product"),
    (5, "model"),
    (6, "application"),
];

impl Identity {
    /// Takes in one reply; the next object to ask for, where the device says that more follow.
    pub(super) fn add(&mut self, reply: &[u8]) -> Option<u8> {
        let (&[more, next, n], mut rest) = reply.get(4..)?.split_first_chunk()?;
        for _ in 0..n {
            let (&id, &length) = (rest.first()?, rest.get(1)?);
            let value = rest.get(2..2 + usize::from(length))?;
            if let Some(text) = cleaned(value) {
                self.0.insert(id, text);
            }
            rest = &rest[2 + usize::from(length)..];
        }
        (more == 0xFF && next > 0).then_some(next)
    }

    /// An object by its number.
    pub fn get(&self, object: u8) -> Option<&str> {
        self.0.get(&object).map(String::as_str)
    }

    /// Whether the device said nothing that is text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The objects that have a name, in the order of the specification.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        OBJECTS
            .iter()
            .filter_map(|(object, name)| Some((*name, self.get(*object)?)))
    }
}

/// The texts in a server id, joined; `None` where there is none.
pub(super) fn server_id(reply: &[u8]) -> Option<String> {
    let is_letter = |byte: &u8| (0x20..0x7F).contains(byte);
    let runs = reply.get(2..)?.split(|byte| !is_letter(byte));
    let texts: Vec<String> = runs
        .filter(|run| run.len() >= SHORTEST_RUN)
        .filter_map(cleaned)
        .collect();
    (!texts.is_empty()).then(|| texts.join(" "))
}

/// Bytes as text for people.
fn cleaned(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect();
    let text = text.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reply(more: u8, next: u8, objects: &[(u8, &str)]) -> Vec<u8> {
        let mut reply = vec![0x2B, 0x0E, 2, 0x82, more, next, objects.len() as u8];
        for (id, text) in objects {
            reply.extend([*id, text.len() as u8]);
            reply.extend(text.bytes());
        }
        reply
    }

    #[test]
    fn objects_are_gathered_over_several_replies() {
        let mut identity = Identity::default();
        assert_eq!(identity.add(&reply(0xFF, 2, &[(0, "Maker\0"), (1, "PM-1")])), Some(2));
        assert_eq!(
            identity.add(&reply(0, 0, &[(2, " V1.2 "), (5, "\u{1b}[2J"), (128, "own"), (4, "")])),
            None
        );
        let named: Vec<_> = identity.named().collect();
        let expected = [
            ("vendor", "Maker"),
            ("product_code", "PM-1"),
            ("revision", "V1.2"),
            ("model", "[2J"),
        ];
        assert_eq!(named, expected);
        assert_eq!(
            identity.add(&reply(0xFF, 0, &[])),
            None,
            "a device that begins again is not followed"
        );
    }

    #[test]
    fn a_server_id_is_what_is_text_in_it() {
        for (reply, expected) in [
            (&b"\x11\x0aPM5110\xffV2.\x01"[..], Some("PM5110 V2.")),
            (b"\x11\x02\x01\xff", None),
            (b"\x11", None),
        ] {
            assert_eq!(server_id(reply).as_deref(), expected, "{reply:02x?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_panics_and_no_text_moves_a_cursor(reply in prop::collection::vec(any::<u8>(), 0..260)) {
            let mut identity = Identity::default();
            identity.add(&reply);
            let texts = identity.named().map(|(_, text)| text.to_owned()).chain(server_id(&reply));
            for text in texts {
                prop_assert!(!text.is_empty() && !text.chars().any(char::is_control));
            }
        }
    }
}
