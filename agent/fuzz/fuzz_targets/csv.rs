//! A recording in the canonical form, of any bytes.
#![no_main]

use energy::Quality;
use libfuzzer_sys::fuzz_target;
use wattwarden::acquire::csv::Rows;

fuzz_target!(|bytes: &[u8]| {
    let Ok(rows) = Rows::open(bytes, None) else { return };
    let mut n_rows = 0;
    for row in rows {
        n_rows += 1;
        let Ok(row) = row else { continue };
        for reading in row.sample.readings {
            assert!(reading.value.is_finite() || reading.quality == Quality::Bad, "{reading:?}");
        }
    }
    assert!(n_rows <= bytes.len() + 1);
});
