//! Units of energy, of gas and of carbon mass, and the only place where one becomes another; figures as printed.
//!
//! Factors are exact definitions; what depends on a year or an authority (emission factors, heat values, toe of a kWh)
//! is data and not here. Readings need none of this: a `Reading` is in its quantity's unit from decoding on.
//! Invariant: only units of one dimension convert; another pairing does not compile.

macro_rules! units {
    ($(#[$doc:meta])* $dimension:ident $($variant:ident $name:literal $factor:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each variant is described by its row: name, factor to the base")]
        pub enum $dimension { $($variant,)* }

        impl $dimension {
            /// Every unit of the dimension.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As printed beside a number.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One of this in the dimension's base.
            fn factor(self) -> f64 {
                match self { $(Self::$variant => $factor,)* }
            }

            /// `value` of this unit in `other`.
            pub fn to(self, other: Self, value: f64) -> f64 {
                convert(value, self.factor(), other.factor())
            }
        }
    };
}

units! {
    /// Energy; base joule. 1 kcal = 4.1868 kJ (international table) and 1 toe = 10⁷ kcal, as in the Korean energy law.
    Energy
    Kwh "kWh" 3.6e6;
    Mwh "MWh" 3.6e9;
    Mj "MJ" 1e6;
    Gj "GJ" 1e9;
    Tj "TJ" 1e12;
    Kcal "kcal" 4186.8;
    Toe "toe" 4.1868e10;
}

units! {
    /// Mass of CO2, or of gases that warm as much; base gram. A pound is 453.59237 g.
    Carbon
    G "gCO2e" 1.0;
    Kg "kgCO2e" 1e3;
    T "tCO2eq" 1e6;
    Lb "lbCO2e" 453.592_37;
}

/// The one conversion. It divides by whole ratios, so that 1 kg in t is 0.001 and not its neighbour.
fn convert(value: f64, from: f64, to: f64) -> f64 {
    if from < to {
        value / (to / from)
    } else {
        value * (from / to)
    }
}

/// A figure to `decimals` places, so that equal figures print equally.
pub fn rounded(value: f64, decimals: i32) -> f64 {
    let factor = 10f64.powi(decimals);
    (value * factor).round() / factor
}

/// A share to six decimals; what is not whole is never rounded to 1, sums of floats apart.
pub fn share(share: f64) -> f64 {
    let most = if share < 1.0 - 1e-9 { 0.999_999 } else { 1.0 };
    rounded(share, 6).min(most)
}

/// A share as people read it, in percent with one decimal, rounded down: what is not whole never reads as 100.
pub fn percent_seen(share: f64) -> String {
    // A share that is a tenth of a percent but for the last bit of its float is that tenth.
    format!("{:.1} %", (share * 1000.0 + 1e-7).floor() / 10.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_whole_is_one() {
        for (exact, expected) in [
            (0.0, 0.0),
            (14.0 / 31.0, 0.451_613),
            (1.0 - 3.7e-7, 0.999_999),
            (1.0 - 1e-12, 1.0),
            (1.0, 1.0),
        ] {
            assert_eq!(share(exact), expected);
        }
    }

    #[test]
    fn units_are_what_they_are_defined_as() {
        for (value, from, to, expected) in [
            (1.0, Energy::Mwh, Energy::Kwh, 1000.0),
            (1.0, Energy::Kwh, Energy::Mj, 3.6),
            (1.0, Energy::Mwh, Energy::Gj, 3.6),
            (1.0, Energy::Tj, Energy::Gj, 1000.0),
            (1234.5, Energy::Kwh, Energy::Mwh, 1.2345),
            (1.0, Energy::Toe, Energy::Gj, 41.868),
            (1e7, Energy::Kcal, Energy::Toe, 1.0),
            (1.0, Energy::Kcal, Energy::Mj, 0.004_186_8),
        ] {
            let got = from.to(to, value);
            assert!(
                (got - expected).abs() <= 1e-12 * expected,
                "{value} {} = {got} {}",
                from.name(),
                to.name()
            );
        }
        assert_eq!(Carbon::Kg.to(Carbon::T, 1.0), 0.001);
        assert_eq!(Carbon::T.to(Carbon::Kg, 0.4541), 454.1);
        assert_eq!(Carbon::Lb.to(Carbon::Kg, 1000.0), 453.592_37);
    }

    #[test]
    fn what_is_not_whole_never_reads_as_whole() {
        let shares = [
            (1.0, "100.0 %"),
            (0.9995, "99.9 %"),
            (0.999_999, "99.9 %"),
            (0.665, "66.5 %"),
            (0.3, "30.0 %"),
            (0.0, "0.0 %"),
        ];
        for (share, expected) in shares {
            assert_eq!(percent_seen(share), expected);
        }
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same(value in -1e12..1e12_f64, from in 0..Energy::ALL.len(), to in 0..Energy::ALL.len()) {
            let (from, to) = (Energy::ALL[from], Energy::ALL[to]);
            let back = to.to(from, from.to(to, value));
            prop_assert!((back - value).abs() <= 1e-12 * value.abs());
        }

        #[test]
        fn carbon_too(value in -1e12..1e12_f64, from in 0..Carbon::ALL.len(), to in 0..Carbon::ALL.len()) {
            let (from, to) = (Carbon::ALL[from], Carbon::ALL[to]);
            let back = to.to(from, from.to(to, value));
            prop_assert!((back - value).abs() <= 1e-12 * value.abs());
        }
    }
}
