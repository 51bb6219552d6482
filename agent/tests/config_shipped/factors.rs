//! The factor files against the published values, typed here once more: every value of a source is read back.

use energy::{
    carbon::{
        Factor, FactorSeries, Purpose, ToeBasis,
        fuel::{Fuel, FuelPurpose},
    },
    unit::{Carbon, Energy},
};
use wattwarden::config::{
    self, Secrets,
    data::{DataFiles, Folder},
    diagnostic::Source,
};

use crate::{all, data, day};

fn series(name: &str) -> FactorSeries {
    data(Folder::Factors, name)
}

/// Id, tCO2eq/MWh, side, purpose, published, statistics, status.
const APPROVALS: &str = "\
kr-grid-2018 0.4594 Consumption esg_location 2019-01-02 – unverified
kr-grid-2021 0.4781 Consumption esg_location 2022-01-10 – unverified
kr-grid-2021-generation 0.4434 Generation reference 2022-01-10 – from memory, verify
kr-grid-2024 0.4541 Consumption esg_location 2025-03-31 2020-2022 mean secondary source
kr-grid-2025 0.4173 Consumption esg_location 2025-12-18 2023 secondary source
kr-grid-2025-generation 0.3844 Generation reference 2025-12-18 2023 secondary source
kr-grid-2025-mean 0.433 Consumption reference 2025-12-18 2021-2023 mean secondary source
kr-grid-2025-ar2 0.3996 Consumption reference 2025-12-18 2023 secondary source
kr-grid-single-2021 0.4509 Consumption reference 2025-12-18 2021 secondary source
kr-grid-single-2022 0.4312 Consumption reference 2025-12-18 2022 secondary source
kr-grid-single-2023 0.4173 Consumption reference 2025-12-18 2023 secondary source
";

#[test]
fn the_grid_factors_are_those_of_every_approval() {
    let series = series("kr-grid");
    let line = |factor: &Factor| {
        format!(
            "{} {} {:?} {} {} {} {}\n",
            factor.id,
            factor.kgco2e_per_kwh,
            factor.side,
            factor.purpose.name(),
            factor.published.unwrap(),
            factor.statistics.as_deref().unwrap_or("–"),
            factor.status
        )
    };
    let found: Vec<String> = series.factor.iter().map(line).collect();
    assert_eq!(found.concat(), APPROVALS);
    let split = |id: &str| {
        let factor = series.by_id(id).unwrap();
        (factor.kgco2_per_kwh, factor.kgch4_per_mwh, factor.kgn2o_per_mwh)
    };
    assert_eq!(split("kr-grid-2018"), (Some(0.4567), Some(0.0036), Some(0.0085)));
    assert_eq!(split("kr-grid-2021"), (Some(0.4747), None, None));
    assert_eq!(split("kr-grid-2024"), (Some(0.4517), None, None));
    assert_eq!(split("kr-grid-2025"), (Some(0.4149), Some(0.0075), Some(0.0081)));
}

#[test]
fn a_published_split_makes_its_value_with_the_potentials_of_its_set() {
    let gwp = series("gwp").gwp;
    let sets: Vec<(&str, f64, f64)> = gwp.iter().map(|gwp| (gwp.set.as_str(), gwp.ch4, gwp.n2o)).collect();
    assert_eq!(
        sets,
        [
            ("SAR", 21.0, 310.0),
            ("AR4", 25.0, 298.0),
            ("AR5", 28.0, 265.0),
            ("AR6", 27.9, 273.0)
        ]
    );
    let grid = series("kr-grid");
    let made = |factor: &Factor| {
        let set = gwp.iter().find(|gwp| Some(&gwp.set) == factor.gwp.as_ref())?;
        Some((factor.id.clone(), factor.kgco2e_per_kwh, factor.from_split(set)?))
    };
    let made: Vec<(String, f64, f64)> = grid.factor.iter().filter_map(made).collect();
    assert_eq!(made.len(), 2, "two splits are published whole");
    for (id, value, made) in made {
        assert!((made - value).abs() < 5e-5, "{id}: {value}, its split makes {made}");
    }
}

/// Fuel, unit, net MJ, tC/TJ, kgCO2/TJ, kgCO2 a unit, whether a source can be cited.
type Annex12<'a> = (&'a str, &'a str, f64, Option<f64>, Option<f64>, Option<f64>, bool);

const ANNEX_12: &[Annex12<'_>] = &[
    (
        "city-gas-lng",
        "Nm³",
        38.9,
        Some(15.312),
        Some(56_100.0),
        Some(2.182),
        true,
    ),
    (
        "natural-gas-lng",
        "kg",
        49.4,
        Some(15.312),
        Some(56_100.0),
        Some(2.771),
        false,
    ),
    (
        "city-gas-lpg",
        "Nm³",
        58.4,
        Some(17.454),
        Some(64_000.0),
        Some(3.738),
        false,
    ),
    ("propane", "kg", 46.3, Some(17.641), Some(64_600.0), Some(2.991), false),
    ("butane", "kg", 45.7, Some(18.107), Some(66_300.0), Some(3.030), false),
    ("gasoline", "L", 30.4, Some(19.548), Some(71_600.0), Some(2.177), true),
    ("diesel", "L", 35.2, None, Some(73_200.0), Some(2.577), true),
    ("kerosene", "L", 34.2, Some(19.969), None, None, false),
    (
        "heavy-oil-a",
        "L",
        36.4,
        Some(20.657),
        Some(75_700.0),
        Some(2.755),
        false,
    ),
    (
        "heavy-oil-b",
        "L",
        38.0,
        Some(21.384),
        Some(78_400.0),
        Some(2.979),
        false,
    ),
    (
        "heavy-oil-c",
        "L",
        39.2,
        Some(21.929),
        Some(80_300.0),
        Some(3.148),
        false,
    ),
    (
        "petroleum-coke",
        "kg",
        34.2,
        Some(26.086),
        Some(95_600.0),
        Some(3.270),
        false,
    ),
    (
        "bituminous-coal",
        "kg",
        23.7,
        Some(25.951),
        Some(95_100.0),
        Some(2.254),
        false,
    ),
    (
        "anthracite-domestic",
        "kg",
        19.4,
        Some(30.185),
        Some(110_600.0),
        Some(2.146),
        false,
    ),
];

fn of_purpose(series: &FactorSeries, purpose: FuelPurpose) -> Vec<&Fuel> {
    series.fuel.iter().filter(|row| row.purpose == purpose).collect()
}

#[test]
fn fuels_are_those_of_annex_12() {
    let series = series("kr-fuels");
    let found: Vec<Annex12<'_>> = of_purpose(&series, FuelPurpose::Scope1)
        .into_iter()
        .map(|row| {
            (
                row.fuel.as_str(),
                row.unit.name(),
                row.net_mj.unwrap(),
                row.tc_per_tj,
                row.kgco2_per_tj,
                row.kgco2_per_unit,
                row.status == "secondary source",
            )
        })
        .collect();
    assert_eq!(found, ANNEX_12);
    for row in of_purpose(&series, FuelPurpose::Scope1) {
        assert_eq!(row.edition, "2017-12", "{}", row.id);
        let Some(per_unit) = row.kgco2_per_unit else {
            assert_eq!(row.kgco2(1.0), None, "{}: nothing is made of tC a TJ", row.id);
            continue;
        };
        let made = row.kgco2(1.0).unwrap();
        assert!(
            (made - per_unit).abs() < 5.1e-4,
            "{}: {made}, published {per_unit}",
            row.id
        );
    }
}

#[test]
fn city_gas_has_both_editions_with_net_and_gross() {
    let series = series("kr-fuels");
    let editions: Vec<_> = series
        .fuel
        .iter()
        .filter(|row| row.fuel == "city-gas-lng")
        .map(|row| (row.purpose, row.use_from, row.net_mj, row.gross_mj))
        .collect();
    let (old, new) = (day("2017-12-28"), day("2022-11-21"));
    assert_eq!(
        editions,
        [
            (FuelPurpose::Scope1, old, Some(38.9), Some(43.1)),
            (FuelPurpose::Reference, new, Some(38.5), Some(42.7)),
            (FuelPurpose::Toe, old, Some(38.9), Some(43.1)),
            (FuelPurpose::Toe, new, None, Some(42.7)),
        ]
    );
}

#[test]
fn heat_values_and_toe_are_those_of_2022() {
    let fuels = series("kr-fuels");
    let of_2022: Vec<_> = of_purpose(&fuels, FuelPurpose::Toe)
        .into_iter()
        .filter(|row| row.use_from == day("2022-11-21"))
        .map(|row| (row.fuel.as_str(), row.net_kcal, row.gross_kcal))
        .collect();
    let expected = [
        ("kerosene", Some(8150.0), Some(8740.0)),
        ("diesel", Some(8420.0), Some(9020.0)),
        ("heavy-oil-c", Some(9390.0), Some(9980.0)),
        ("propane", Some(11_040.0), Some(12_000.0)),
        ("natural-gas-lng", Some(11_800.0), Some(13_080.0)),
        ("city-gas-lng", Some(9190.0), None),
    ];
    assert_eq!(of_2022, expected);
    let grid = series("kr-grid");
    for (basis, toe_per_mwh, kcal_per_kwh, mj_per_kwh) in [
        (ToeBasis::Consumption, 0.229, 2290.0, 9.6),
        (ToeBasis::Generation, 0.213, 2130.0, 8.9),
        (ToeBasis::FinalUse, 0.086, 860.0, 3.6),
    ] {
        for on in ["2018-01-01", "2022-11-21", "2026-01-01"] {
            let toe = grid.toe_on(basis, day(on)).unwrap();
            let found = (toe.toe_per_mwh, toe.kcal_per_kwh, toe.mj_per_kwh);
            assert_eq!(found, (toe_per_mwh, kcal_per_kwh, mj_per_kwh), "{basis:?} {on}");
        }
        let a_mwh = Energy::Mwh.to(Energy::Kwh, 1.0) * kcal_per_kwh;
        assert!(
            (Energy::Kcal.to(Energy::Toe, a_mwh) - toe_per_mwh).abs() < 1e-9,
            "{basis:?}"
        );
        let joule = Energy::Kcal.to(Energy::Mj, kcal_per_kwh);
        assert!((joule - mj_per_kwh).abs() < 0.05, "{basis:?}");
    }
}

#[test]
fn values_of_other_countries_say_where_they_are_from() {
    let heat = series("kr-heat").heat;
    assert_eq!(
        (heat[0].branch.as_str(), heat[0].kgco2_per_tj, heat[0].use_from),
        ("수도권", 34_901.0, day("2024-01-01"))
    );
    let states = series("us-egrid");
    for factor in &states.factor {
        let note = factor.note.as_deref().unwrap();
        let lb_per_mwh: f64 = note.strip_suffix(" lb/MWh").unwrap().parse().unwrap();
        let kg_per_mwh = Carbon::Lb.to(Carbon::Kg, lb_per_mwh);
        let made = Energy::Kwh.to(Energy::Mwh, kg_per_mwh);
        assert!((made - factor.kgco2e_per_kwh).abs() < 5.1e-7, "{}: {made}", factor.id);
    }
    let world = series("world-grids");
    assert!(world.factor.iter().all(|factor| factor.purpose == Purpose::Reference));
    let of_packages = states.factor.iter().chain(&world.factor);
    assert!(of_packages.clone().count() > 50);
    for factor in of_packages {
        assert!(factor.source.contains("codecarbon 3.3.2"), "{}", factor.id);
        assert_eq!(factor.status, "secondary source", "{}", factor.id);
    }
}

#[test]
fn every_factor_file_can_be_used() {
    let files = DataFiles::beside(std::path::Path::new("/nonexistent"));
    for name in files.names(Folder::Factors) {
        let region = series(&name).factor.iter().find_map(|factor| factor.region.clone());
        let region = region.map_or(String::new(), |region| format!("carbon_region = \"{region}\"\n"));
        let text = format!("[site]\nname = \"s\"\nzone = \"Asia/Seoul\"\ncarbon = \"{name}\"\n{region}");
        let found = config::parse(
            Source::new("w.toml", &text),
            std::path::Path::new("/nonexistent"),
            Secrets::LeaveOut,
        );
        found.unwrap_or_else(|found| panic!("{name}: {}", all(&found)));
    }
}
