//! What a request and its reply hold beside their framing: function code and data. Pure.
//!
//! It knows no unit and no line. Invariant: nothing here can make a request that writes.

use tokio_modbus::ExceptionCode;

use super::{Table, fault::Fault};

/// Asks for the name plate of a server, function 0x11.
pub(super) const SERVER_ID: [u8; 1] = [REPORT_SERVER_ID];

/// Function codes that are asked beside reads of registers.
pub(super) const REPORT_SERVER_ID: u8 = 0x11;
pub(super) const IDENTIFICATION: u8 = 0x2B;

/// Asks for a block of registers.
pub(super) fn read(table: Table, at: u16, count: u16) -> [u8; 5] {
    let ([at_high, at_low], [count_high, count_low]) = (at.to_be_bytes(), count.to_be_bytes());
    [table.function(), at_high, at_low, count_high, count_low]
}

/// Asks for the device identification (function 0x2B, MEI type 0x0E) by read code and first object.
pub(super) fn identification(code: u8, object: u8) -> [u8; 4] {
    [IDENTIFICATION, 0x0E, code, object]
}

/// Registers that a request for a block asks for; `None` of other requests.
pub(super) fn wanted_registers(request: &[u8]) -> Option<u16> {
    match *request {
        [3 | 4, _, _, high, low] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

/// The registers of a reply whose function and length have been checked.
pub(super) fn registers(reply: &[u8]) -> Vec<u16> {
    let words = reply.get(2..).unwrap_or_default().chunks_exact(2);
    words.map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

/// Refuses a reply that is not one to `request`: an exception, another function, another length.
pub(super) fn judged(request: &[u8], reply: &[u8]) -> Result<(), Fault> {
    let (wanted, got) = (request[0], reply.first().copied().unwrap_or_default());
    if got == wanted | 0x80 {
        let code = reply.get(1).copied().unwrap_or_default();
        return Err(Fault::of_exception(ExceptionCode::new(code)));
    }
    if got != wanted {
        return Err(Fault::Foreign(format!("function {got} instead of {wanted}")));
    }
    match wanted_registers(request) {
        Some(wanted) if reply.len() != 2 + 2 * usize::from(wanted) => Err(Fault::Length {
            got: reply.len().saturating_sub(2) / 2,
            wanted,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_one_to_its_request_or_refused() {
        let request = read(Table::Input, 0x0102, 2);
        assert_eq!(request, [4, 1, 2, 0, 2]);
        for (reply, expected) in [
            (&[4, 4, 0, 1, 0xFF, 2][..], Ok(vec![1, 0xFF02])),
            (&[3, 4, 0, 1, 0, 2], Err("foreign")),
            (&[4, 2, 0, 1], Err("length")),
            (&[0x84, 2], Err("exception")),
            (&[0x84, 0x0B], Err("gateway")),
            (&[], Err("foreign")),
        ] {
            let got = judged(&request, reply).map(|()| registers(reply));
            assert_eq!(got.map_err(|fault| fault.result()), expected, "{reply:02x?}");
        }
        assert_eq!(judged(&SERVER_ID, &[0x11, 2, 1, 0xFF]), Ok(()));
    }
}
