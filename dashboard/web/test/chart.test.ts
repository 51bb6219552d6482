// Geometry of the charts: gaps stay gaps, excess is an area, the bullet graph tells above from below.
import assert from "node:assert/strict";
import test from "node:test";
import type { Finding, Intervals } from "../src/api";
import { bullet, byWorth, excess, sparkline, steps, table, watch, withGaps } from "../src/chart";

test("no line crosses a gap", () => {
  const [times, values] = withGaps([0, 1000, 9000, 10_000], [1, 2, 3, 4], [{ since_ms: 1000, until_ms: 9000 }]);
  assert.deepEqual(times, [0, 1, 5, 9, 10]);
  assert.deepEqual(values, [1, 2, null, 3, 4]);
  assert.deepEqual(withGaps([5000, 6000], [1, 2], [{ since_ms: 0, until_ms: 5000 }, { since_ms: 6000, until_ms: 9000 }]), [[2.5, 5, 6], [null, 1, 2]]);
  assert.deepEqual(withGaps([], [], []), [[], []]);
});

test("what is watched counts from each meter's first whole interval, and only where energy is measured", () => {
  const meter = (starts: number[], coverage: number[], energy: number | null = 1) =>
    ({ meter: "m", starts_ms: starts.map((n) => n * 900_000), coverage, energy_import_kwh: starts.map(() => energy), demand_kw: [], quality: [] });
  const of = (...meters: object[]) => watch({ from: "", until: "", interval_s: 900, meters } as unknown as Intervals);
  assert.equal(of(), null);
  assert.equal(of(meter([0], [0.3])), null);
  assert.deepEqual(of(meter([0, 1, 2], [0.3, 1, 1])), { seconds: 1800, share: 1 });
  assert.deepEqual(of(meter([0, 1, 2], [0.3, 1, 1]), meter([0, 1, 2], [0, 0, 0], null)), { seconds: 1800, share: 1 });
  assert.deepEqual(of(meter([0, 1, 2], [0.3, 1, 1]), meter([1, 2], [0.5, 1])), { seconds: 1800, share: 1 });
  assert.deepEqual(of(meter([0, 1, 2, 4], [1, 1, 0.5, 0.5])), { seconds: 3600, share: 0.5 });
});

function areaOf(times: number[], values: (number | null)[], level: number, since = 0, until = Infinity) {
  return excess([times, values], level, since, until);
}

test("excess is what lies above the limit within the finding, never across a gap", () => {
  assert.deepEqual(areaOf([0, 10], [2, 2], 5), []);
  assert.deepEqual(areaOf([0, 10], [8, 8], 5), [[[0, 8], [10, 8]]]);
  assert.deepEqual(areaOf([0, 10, 20], [0, 10, 0], 5), [[[5, 5], [10, 10], [15, 5]]]);
  assert.deepEqual(areaOf([0, 10, 20, 30], [8, 8, null, 8], 5), [[[0, 8], [10, 8]]]);
  assert.deepEqual(areaOf([0, 10], [8, 8], 5, 4, 6), [[[4, 8], [6, 8]]]);
  assert.deepEqual(areaOf([0, 10, 20, 30], [9, 1, 1, 9], 5).length, 2);
});

test("the area of the excess is the avoidable energy", () => {
  // A ramp from 0 to 10 kW within an hour, above 4 kW: a triangle of 0.6 h × 6 kW / 2.
  const [area] = areaOf([0, 3600], [0, 10], 4);
  const kwh = area!.slice(1).reduce((sum, [at, kw], index) => {
    const [before, kwBefore] = area![index]!;
    return sum + ((at - before) / 3600) * ((kw + kwBefore) / 2 - 4);
  }, 0);
  assert.ok(Math.abs(kwh - 1.8) < 1e-9, String(kwh));
});

test("an interval holds its value until it ends", () => {
  assert.deepEqual(steps([0, 900, 2700], [1, 2, 3], 900), [[0, 899.1, 900, 1799.1, 1800, 2700, 3599.1], [1, 1, 2, 2, null, 3, 3]]);
});

test("a sparkline begins anew after a hole", () => {
  const box = { from: 0, until: 100, top: 10, width: 100, height: 40 };
  assert.equal(sparkline([[0, 0], [50, 10], null, [100, 5]], box), "M0.0 40.0L50.0 0.0M100.0 20.0");
  assert.equal(sparkline([], box), "");
});

test("the bullet graph is red only above the target", () => {
  const check = (forecast: number | null, target: number | null, expected: boolean) =>
    assert.equal(bullet({ so_far: 50, forecast, target, contract: 300, peak: 200 }).is_above, expected);
  check(200, 240, false);
  check(240, 240, false);
  check(241, 240, true);
  check(null, 40, true);
  check(500, null, false);
  const shares = bullet({ so_far: 150, forecast: 200, target: 240, contract: 300, peak: 0 });
  assert.deepEqual([shares.so_far, shares.forecast, shares.target, shares.contract], [0.5, 200 / 300, 0.8, 1]);
});

test("findings are ordered by money a day times confidence", () => {
  const one = (id: string, hours: number, amount: number | null, confidence: number, severity = "p2") =>
    ({ id, since: new Date(-hours * 3600_000).toISOString(), cost: amount === null ? null : { amount, currency: "KRW" }, confidence, severity }) as Finding;
  const sorted = byWorth([one("old", 240, 1000, 1), one("new", 2, 1000, 1), one("unsure", 2, 1000, 0.1), one("free-p3", 1, null, 1, "p3"), one("free-p1", 1, null, 1, "p1")], 0);
  assert.deepEqual(sorted.map((finding) => finding.id), ["new", "unsure", "old", "free-p1", "free-p3"]);
});

test("the table keeps extremes and says where nothing is known", () => {
  const rows = table([[0, 30, 60, 180], [1, 3, null, 5]], 4);
  assert.deepEqual(rows, [
    { since: 0, mean: 2, min: 1, max: 3 },
    { since: 60, mean: null, min: null, max: null },
    { since: 120, mean: null, min: null, max: null },
    { since: 180, mean: 5, min: 5, max: 5 },
  ]);
});
