//! What carbon figures take from the store: registers of fuel meters, and restatements that are only ever added to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod store_support;

use std::{collections::BTreeMap, fs};

use energy::{
    Quality, Quantity, Reading, Sample,
    carbon::{
        FuelMeter,
        account::Account,
        restate::{Basis, Reckoned, Restatement},
    },
};
use store_support::{Folder, at, open, sample};
use wattwarden::store::{Commit, keep_restatement, restatements};

fn gas(seconds: i64, gas_m3: f64, quality: Quality) -> Sample {
    Sample {
        meter: "gas".into(),
        at: at(seconds),
        readings: vec![Reading {
            quality,
            ..Reading::new(Quantity::Gas, gas_m3)
        }],
    }
}

#[tokio::test]
async fn a_register_is_read_with_a_day_around_it_and_without_what_is_bad() {
    let folder = Folder::new();
    let store = open(&folder);
    let hour = 3600;
    let samples = vec![
        gas(-25 * hour, 1.0, Quality::Ok),
        gas(-23 * hour, 2.0, Quality::Ok),
        gas(0, 3.0, Quality::Bad),
        gas(hour, 4.0, Quality::Ok),
        sample("press-1", hour, 5.0),
        gas(26 * hour, 6.0, Quality::Ok),
        gas(27 * hour, 7.0, Quality::Ok),
    ];
    let commit = Commit {
        samples,
        ..Commit::default()
    };
    store.commit(commit).await.unwrap();
    let meter = FuelMeter {
        meter: "gas".into(),
        rows: Vec::new(),
        nm3_per_m3: 1.0,
    };
    let registers = store.reader().unwrap().registers(&[meter], (at(0), at(2 * hour + 1)));
    let expected = vec![(at(-23 * hour), 2.0), (at(hour), 4.0), (at(26 * hour), 6.0)];
    assert_eq!(registers.unwrap(), BTreeMap::from([("gas".into(), expected)]));
}

fn restatement(year: i16) -> Restatement {
    let reckoned = |known: &str, kgco2e| Reckoned {
        basis: Basis::Known(known.parse().unwrap()),
        kgco2e,
        account: Account::default(),
    };
    Restatement {
        year,
        at: at(0),
        reason: "승인값 공표\n\"again\"".into(),
        energy_kwh: 100.0,
        coverage: 1.0,
        old: reckoned("2024-12-31", 47.81),
        new: reckoned("2025-04-01", 45.41),
        difference_kgco2e: -2.4,
        difference_pct: None,
        explained_by: Vec::new(),
        recounted: None,
    }
}

#[tokio::test]
async fn restatements_are_added_and_never_changed() {
    let folder = Folder::new();
    let store = open(&folder);
    assert_eq!(restatements(folder.path()).unwrap(), []);
    keep_restatement(folder.path(), &restatement(2023)).unwrap();
    let file = folder.path().join("restatements.jsonl");
    let first = fs::read_to_string(&file).unwrap();
    keep_restatement(folder.path(), &restatement(2024)).unwrap();
    assert!(fs::read_to_string(&file).unwrap().starts_with(&first));
    let both = [restatement(2023), restatement(2024)];
    assert_eq!(
        store.reader().unwrap().restatements().unwrap(),
        both,
        "while the store is held"
    );
    fs::write(&file, first + "{\"year\":").unwrap();
    let error = store.reader().unwrap().restatements().unwrap_err().to_string();
    assert!(error.contains("restatements.jsonl line 2"), "{error}");
}
