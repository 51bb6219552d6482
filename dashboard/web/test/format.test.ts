// How numbers, money, times and durations read in both languages.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import type { Kind } from "../src/api";
import { carbon, clockSeconds, day, duration, exactMoney, instant, kw, kwh, money, number, percent, percentSeen, short } from "../src/format";
import { isFault, kindText, known, whyNames, words } from "../src/words";

const won = (amount: number) => ({ amount, currency: "KRW" });

function check(written: string, expected: string) {
  assert.equal(written.replace(/\u00a0/g, " "), expected);
}

test("won in Korean count in 만 and 억", () => {
  for (const [amount, expected] of [
    [0, "0원"], [512, "512원"], [9_999, "9,999원"], [9_999.6, "1만 원"], [10_000, "1만 원"], [412_000, "41.2만 원"], [1_180_000, "118만 원"],
    [12_346_000, "1,235만 원"], [99_999_999, "1억 원"], [123_456_789, "1.23억 원"], [-412_000, "-41.2만 원"],
  ] as const) check(money(won(amount), "ko"), expected);
});

test("won in English count in thousands and millions", () => {
  for (const [amount, expected] of [
    [512, "₩512"], [9_999, "₩9,999"], [412_000, "₩412k"], [999_600, "₩1M"], [1_180_000, "₩1.2M"], [-36_890, "-₩37k"],
  ] as const) check(money(won(amount), "en"), expected);
  check(money({ amount: 1234.5, currency: "EUR" }, "ko"), "1,234.50 EUR");
  check(exactMoney(won(1_180_432), "ko"), "1,180,432원");
  check(exactMoney(won(1_180_432), "en"), "₩1,180,432");
});

test("what is not known is a dash and never zero", () => {
  for (const written of [kw(null), kwh(undefined), percent(null), money(null, "ko"), exactMoney(undefined, "en")]) check(written, "—");
  check(carbon(null), "— kgCO₂e");
  check(number(-0.001, 1), "0.0");
});

test("numbers keep about three places", () => {
  for (const [written, expected] of [
    [kw(9.62), "9.6"], [kw(1234.5), "1,235"], [kwh(0), "0"], [kwh(2.916), "2.92"], [kwh(41.25), "41.3"], [kwh(2184.4), "2,184"],
    [carbon(2.59), "2.59 kgCO₂e"], [carbon(5801), "5.80 tCO₂e"], [percent(0.998), "99.8 %"], [short(240), "240"], [short(1.5), "1.5"], [short(100.25), "100.25"],
  ] as const) check(written, expected);
});

test("durations name their two largest parts", () => {
  for (const [seconds, ko, en] of [
    [0, "0초", "0 s"], [59, "59초", "59 s"], [125, "2분 5초", "2 min 5 s"], [2760, "46분", "46 min"], [2765, "46분", "46 min"],
    [7500, "2시간 5분", "2 h 5 min"], [86_400, "1일", "1 d"], [93_600, "1일 2시간", "1 d 2 h"], [90_000, "1일 1시간", "1 d 1 h"],
  ] as const) {
    check(duration(seconds, "ko"), ko);
    check(duration(seconds, "en"), en);
  }
});

test("times stand in the site's zone on a 24-hour clock", () => {
  const midnight = Date.parse("2026-08-27T15:00:05Z");
  check(clockSeconds(midnight, "Asia/Seoul"), "00:00:05");
  check(instant(midnight, "Asia/Seoul", "ko"), "8. 28. (금) 00:00");
  check(instant(midnight, "Asia/Seoul", "en"), "Fri 28 Aug 00:00");
  for (const [after, expected] of [[2, "8. 30. (일)"], [3, "8. 31. (월)"]] as const) check(day(midnight + after * 86_400_000, "Asia/Seoul", "ko"), expected);
  check(day(midnight, "Europe/Berlin", "en"), "Thu 27 Aug");
});

test("both languages say something for every kind and key", () => {
  for (const [key, text] of Object.entries(words.en)) {
    assert.equal(typeof text, typeof words.ko[key as keyof typeof words.ko], key);
    assert.notEqual(text, "", key);
  }
  const said = kindText("idle_running").because({ duration_s: "46분", mean_power_kw: "9.6 kW", standby_kw: "1.5 kW", running_from_kw: "25 kW", after_s: "10분" });
  assert.match(said.ko, /46분.*9\.6 kW/);
  assert.doesNotMatch(said.en, /undefined|—/);
  for (const kind of ["idle_running", "off_hours_load", "demand_peak", "meter_silent", "harmonics"] as const) assert.ok(kindText(kind).checks.length <= 3);
});

test("every kind that the engine sends has texts, and every number of it a name", () => {
  const sent: Record<string, string[]> = JSON.parse(readFileSync("../../agent/evidence.json", "utf8"));
  assert.deepEqual(Object.keys(known).sort(), Object.keys(sent).sort());
  for (const [kind, keys] of Object.entries(sent) as [Kind, string[]][]) {
    const text = kindText(kind);
    const asked = new Set<string>();
    const numbers = new Proxy({}, { get: (_, name) => (asked.add(String(name)), `<${String(name)}>`) });
    const because = text.because(numbers);
    for (const name of asked) {
      assert.ok(keys.includes(name), `${kind} asks ${name}, which is never sent`);
      for (const said of [because.ko, because.en]) assert.ok(said.includes(`<${name}>`), `${kind}: ${name} in one language only`);
    }
    for (const key of keys) {
      const name = text.names?.[key] ?? whyNames[key];
      assert.ok(name?.ko && name.en, `${kind}.${key} has no name`);
    }
    assert.ok(text.checks.length > 0 && text.checks.length <= 3, kind);
  }
});

test("a meter fault is no waste", () => {
  for (const kind of ["meter_stuck", "meter_silent", "meter_reset"] as const) assert.ok(isFault(kind), kind);
  for (const kind of ["idle_running", "low_power_factor", "demand_peak"] as const) assert.ok(!isFault(kind), kind);
});

test("what was not seen whole never reads as 100 %", () => {
  for (const [share, expected] of [[1, "100.0 %"], [0.9996, "99.9 %"], [0.665, "66.5 %"], [0.3, "30.0 %"], [null, "—"]] as const) check(percentSeen(share), expected);
});
