// Geometry of the charts. Pure: numbers in, numbers or path texts out; drawing is elsewhere.
import type { Finding, Intervals, Stretch } from "./api";

/** A point of time (ms) and power (kW). */
export type Point = readonly [number, number];

/** Columns with a null where a gap lies, so that no line crosses it: times in seconds, as uPlot wants them. */
export function withGaps(times: number[], values: number[], gaps: Stretch[]): [number[], (number | null)[]] {
  const outTimes: number[] = [];
  const outValues: (number | null)[] = [];
  let next = 0;
  times.forEach((at, index) => {
    for (let gap = gaps[next]; gap && gap.since_ms < at; gap = gaps[++next]) {
      const before = outTimes[outTimes.length - 1];
      const middle = (gap.since_ms + gap.until_ms) / 2000;
      if (before === undefined || middle > before) {
        outTimes.push(middle);
        outValues.push(null);
      }
    }
    const second = at / 1000;
    if (second > (outTimes[outTimes.length - 1] ?? -Infinity)) {
      outTimes.push(second);
      outValues.push(values[index] ?? null);
    }
  });
  return [outTimes, outValues];
}

/** Areas between the line and `reference`, where the line lies above it within `[since, until]`; never across a gap. */
export function excess(line: [number[], (number | null)[]], reference: number, since: number, until: number): Point[][] {
  const areas: Point[][] = [];
  let area: Point[] = [];
  const end = () => {
    if (area.length > 1) areas.push(area);
    area = [];
  };
  const [times, values] = line;
  for (let i = 1; i < times.length; i++) {
    const piece = clipped([times[i - 1]!, values[i - 1]!], [times[i]!, values[i]!], since, until);
    if (values[i - 1] == null || values[i] == null || !piece) {
      end();
      continue;
    }
    const above = clippedAbove(piece[0], piece[1], reference);
    if (!above) {
      end();
      continue;
    }
    if (above[0][0] > piece[0][0]) end();
    if (area.length === 0) area.push(above[0]);
    area.push(above[1]);
    if (above[1][0] < piece[1][0]) end();
  }
  end();
  return areas;
}

/**
 * For how long meters of energy were watched, and the share of it that was seen. Each meter counts from its first whole
 * interval: before that the agent, or the meter, was not there. Meters without energy (air, temperature) have no say.
 */
export function watch(intervals: Intervals): { seconds: number; share: number } | null {
  const step = intervals.interval_s * 1000;
  const meters = intervals.meters.filter((columns) => columns.energy_import_kwh.some((value) => value !== null));
  const starts = meters.map((columns) => columns.starts_ms.slice(1));
  const begin = Math.min(...starts.map((meter) => meter[0] ?? Infinity));
  const end = Math.max(...starts.map((meter) => meter[meter.length - 1] ?? -Infinity)) + step;
  if (begin >= end) return null;
  let [seen, wanted] = [0, 0];
  meters.forEach((columns, index) => {
    const first = starts[index]?.[0];
    if (first === undefined) return;
    wanted += (end - first) / step;
    seen += columns.coverage.slice(1).reduce((sum, share) => sum + share, 0);
  });
  return { seconds: (end - begin) / 1000, share: seen / wanted };
}

function at(a: Point, b: Point, time: number): Point {
  const share = b[0] === a[0] ? 0 : (time - a[0]) / (b[0] - a[0]);
  return [time, a[1] + share * (b[1] - a[1])];
}

/** The part of a line between two times. */
function clipped(a: Point, b: Point, since: number, until: number): [Point, Point] | null {
  const from = Math.max(a[0], since);
  const to = Math.min(b[0], until);
  return from < to ? [at(a, b, from), at(a, b, to)] : null;
}

/** The part of a line above a level. */
function clippedAbove(a: Point, b: Point, level: number): [Point, Point] | null {
  if (a[1] <= level && b[1] <= level) return null;
  if (a[1] >= level && b[1] >= level) return [a, b];
  const time = a[0] + ((level - a[1]) / (b[1] - a[1])) * (b[0] - a[0]);
  const crossing: Point = [time, level];
  return a[1] > level ? [a, crossing] : [crossing, b];
}

/** Columns as a chain of steps: each value holds from its time for `step` seconds; a hole ends it. */
export function steps(times: number[], values: (number | null)[], step: number): [number[], (number | null)[]] {
  const outTimes: number[] = [];
  const outValues: (number | null)[] = [];
  const edge = step / 1000;
  times.forEach((time, index) => {
    const value = values[index] ?? null;
    outTimes.push(time, time + step - edge);
    outValues.push(value, value);
    const next = times[index + 1];
    if (next !== undefined && next > time + step) {
      outTimes.push(time + step);
      outValues.push(null);
    }
  });
  return [outTimes, outValues];
}

/** Paths of a sparkline in a box: a new path after each hole. `from` and `until` span the width, `top` the height. */
export function sparkline(points: (Point | null)[], box: { from: number; until: number; top: number; width: number; height: number }): string {
  const x = (time: number) => (((time - box.from) / (box.until - box.from)) * box.width).toFixed(1);
  const y = (value: number) => (box.height - (Math.max(0, value) / box.top) * box.height).toFixed(1);
  let path = "";
  let isDown = false;
  for (const point of points) {
    if (point) path += `${isDown ? "L" : "M"}${x(point[0])} ${y(point[1])}`;
    isDown = point !== null;
  }
  return path;
}

/** Lengths of the bullet graph as shares of its width, and whether the forecast is above the target. */
export function bullet(numbers: { so_far: number; forecast: number | null; target: number | null; contract: number | null; peak: number }) {
  const { so_far, forecast, target, contract, peak } = numbers;
  const end = Math.max(contract ?? 0, (target ?? 0) * 1.1, forecast ?? 0, so_far, contract === null && target === null ? peak * 1.1 : 0, 1);
  const share = (value: number | null) => (value === null ? null : Math.max(0, value) / end);
  return {
    so_far: share(so_far) ?? 0,
    forecast: share(forecast) ?? 0,
    target: share(target),
    contract: share(contract),
    is_above: target !== null && (forecast ?? so_far) > target,
  };
}

/** Open findings, most money a day times confidence first; those without money by urgency behind. */
export function byWorth(findings: Finding[], now: number): Finding[] {
  const worth = (finding: Finding) => {
    const days = Math.max(1 / 24, (now - Date.parse(finding.since)) / 86_400_000);
    return ((finding.cost?.amount ?? 0) / days) * finding.confidence;
  };
  const rank = (finding: Finding) => ["p1", "p2", "p3"].indexOf(finding.severity);
  return [...findings].sort((a, b) => worth(b) - worth(a) || rank(a) - rank(b) || a.id.localeCompare(b.id));
}

/** At most `rows` rows of a table under a chart: mean, lowest and highest of equal stretches; null where a hole is. */
export function table(line: [number[], (number | null)[]], rows: number): { since: number; mean: number | null; min: number | null; max: number | null }[] {
  const [times, values] = line;
  const first = times[0];
  const last = times[times.length - 1];
  if (first === undefined || last === undefined) return [];
  const width = Math.max(60, Math.ceil((last - first + 1) / rows / 60) * 60);
  const start = Math.floor(first / width) * width;
  const out = new Map<number, number[]>();
  for (let since = start; since <= last; since += width) out.set(since, []);
  times.forEach((time, index) => {
    const value = values[index];
    if (value != null) out.get(start + Math.floor((time - start) / width) * width)?.push(value);
  });
  return [...out].map(([since, seen]) => ({
    since,
    mean: seen.length ? seen.reduce((sum, value) => sum + value, 0) / seen.length : null,
    min: seen.length ? Math.min(...seen) : null,
    max: seen.length ? Math.max(...seen) : null,
  }));
}
