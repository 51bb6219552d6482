// The evidence chart: measured line, limit, excess as an area, gaps hatched, working hours as a lane. A canvas says
// nothing to a screen reader, so the figure carries its conclusion, a keyboard cursor and a table.
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { Evidence, Finding } from "./api";
import { excess, steps, table, withGaps } from "./chart";
import { clock, day, instant, kw, short, type Language } from "./format";
import { language, site, t, zone } from "./state";
import { kindText, whyNames } from "./words";

const COLOUR = { line: "#1b242b", limit: "#4b5862", excess: "rgba(179, 33, 28, 0.38)", gap: "#8f9aa3", lane: "#9fb0bd", grid: "#dfe4e8", text: "#4b5862" };
const FONT = "12px Pretendard, 'Malgun Gothic', 'Apple SD Gothic Neo', 'Noto Sans KR', sans-serif";
/** Height of the lane of working hours under the axis, CSS pixels. */
const LANE = 7;
const TABLE_ROWS = 48;

type Line = [number[], (number | null)[]];

function lineOf(evidence: Evidence): Line {
  if (evidence.source === "intervals") return steps(evidence.times_ms.map((ms) => ms / 1000), evidence.mean, site.value?.demand_interval_s ?? 900);
  return withGaps(evidence.times_ms, evidence.mean, evidence.gaps);
}

export function EvidenceFigure({ evidence, finding }: { evidence: Evidence; finding: Finding }) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const index = useSignal<number | null>(null);
  const spoken = useSignal("");
  const line = lineOf(evidence);
  const said = useComputed(() => {
    const at = line[0][index.value ?? -1];
    return at === undefined ? "" : `${instant(at * 1000, zone.value, language.value)}  ${kw(line[1][index.value ?? -1])} kW`;
  });
  useEffect(() => {
    const target = holder.current;
    if (!target || line[0].length === 0) return;
    const chart = new uPlot(options(evidence, finding, line, target.clientWidth, (at) => (index.value = at)), line as uPlot.AlignedData, target);
    plot.current = chart;
    const observer = new ResizeObserver(() => chart.setSize({ width: target.clientWidth, height: heightFor(target.clientWidth) }));
    observer.observe(target);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [evidence, language.value, zone.value]);
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, PageUp: -20, PageDown: 20 }[event.key];
    const chart = plot.current;
    if (!step || !chart) return;
    event.preventDefault();
    const next = Math.min(line[0].length - 1, Math.max(0, (index.value ?? (step > 0 ? -1 : line[0].length)) + step));
    chart.setCursor({ left: chart.valToPos(line[0][next] ?? 0, "x"), top: chart.valToPos(line[1][next] ?? 0, "y") });
    index.value = next;
    spoken.value = said.value;
  };
  if (line[0].length === 0) return <p class="empty">{t.value.no_evidence}</p>;
  return (
    <>
      <ul class="legend">
        <li><i class="line" />{t.value.measured}</li>
        {evidence.reference_kw !== null && <li><i class="limit" />{limitName(evidence, finding)} {short(evidence.reference_kw)} kW</li>}
        {evidence.reference_kw !== null && <li><i class="excess" />{t.value.excess}</li>}
        {evidence.gaps.length > 0 && <li><i class="gap" />{t.value.gap}</li>}
        {evidence.working && <li><i class="lane" />{t.value.working_hours}</li>}
      </ul>
      <p class="reading" aria-hidden="true">{said.value || "kW"}</p>
      <div class="plot" ref={holder} tabIndex={0} role="img" onKeyDown={move} aria-describedby="chart-keys"
        aria-label={t.value.chart_label(kw(finding.why["mean_power_kw"]), kw(evidence.reference_kw))} />
      <p class="hidden" aria-live="polite">{spoken.value}</p>
      <p id="chart-keys" class="quiet keys">{t.value.chart_keys}{evidence.source === "intervals" && ` · ${t.value.from_intervals}`}</p>
      <Table line={line} />
    </>
  );
}

function limitName(evidence: Evidence, finding: Finding): string {
  const name = evidence.limits[0]?.name ?? "";
  return (kindText(finding.kind).names?.[name] ?? whyNames[name])?.[language.value] ?? t.value.limit;
}

function Table({ line }: { line: Line }) {
  const isOpen = useSignal(false);
  return (
    <details onToggle={(event) => (isOpen.value = event.currentTarget.open)}>
      <summary>{t.value.as_table}</summary>
      {isOpen.value && (
        <div class="scroll" tabIndex={0} role="region" aria-label={t.value.as_table}>
          <table>
            <thead>
              <tr><th scope="col">{t.value.time}</th><th scope="col">{t.value.mean} kW</th><th scope="col">{t.value.lowest}</th><th scope="col">{t.value.highest}</th></tr>
            </thead>
            <tbody>
              {table(line, TABLE_ROWS).map((row) => (
                <tr key={row.since}>
                  <th scope="row">{instant(row.since * 1000, zone.value, language.value)}</th>
                  <td>{kw(row.mean)}</td><td>{kw(row.min)}</td><td>{kw(row.max)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}

const heightFor = (width: number) => (width < 520 ? 270 : 340);

function options(evidence: Evidence, finding: Finding, line: Line, width: number, cursor: (at: number | null) => void): uPlot.Options {
  const [siteZone, words] = [zone.value, language.value];
  const highest = Math.max(evidence.reference_kw ?? 0, ...evidence.max, 1);
  return {
    width,
    height: heightFor(width),
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), siteZone),
    legend: { show: false },
    // Half of the widest label of the time axis hangs over its end.
    padding: [8, 34, 0, 0],
    cursor: { y: false, drag: { x: true, y: false } },
    scales: {
      x: { range: (_, min, max) => (min === line[0][0] ? [Date.parse(evidence.from) / 1000, Date.parse(evidence.to) / 1000] : [min, max]) },
      y: { range: [0, highest * 1.08] },
    },
    axes: [
      { stroke: COLOUR.text, font: FONT, grid: { stroke: COLOUR.grid, width: 1 }, ticks: { stroke: COLOUR.grid, width: 1 }, gap: LANE + 7, size: 62, space: 62,
        values: (_, splits) => axisTimes(splits, siteZone, words) },
      { stroke: COLOUR.text, font: FONT, grid: { stroke: COLOUR.grid, width: 1 }, ticks: { show: false }, size: 44, gap: 6 },
    ],
    series: [{}, { stroke: COLOUR.line, width: 1.5, points: { show: false }, spanGaps: false }],
    hooks: {
      drawAxes: [(plot) => drawBehind(plot, evidence, finding, line)],
      draw: [(plot) => drawLimit(plot, evidence), (plot) => drawLane(plot, evidence)],
      setCursor: [(plot) => cursor(plot.cursor.idx ?? null)],
    },
  };
}

/** Times of day, with the day under the first of each day. */
function axisTimes(splits: number[], siteZone: string, words: Language): string[] {
  let before = "";
  return splits.map((at) => {
    const today = day(at * 1000, siteZone, words);
    const text = clock(at * 1000, siteZone) + (today === before ? "" : `\n${today}`);
    before = today;
    return text;
  });
}

/** Within the plot's area only. */
function inside(plot: uPlot, draw: (context: CanvasRenderingContext2D) => void) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  draw(ctx);
  ctx.restore();
}

function drawBehind(plot: uPlot, evidence: Evidence, finding: Finding, line: Line) {
  const x = (second: number) => plot.valToPos(second, "x", true);
  const y = (power: number) => plot.valToPos(power, "y", true);
  const { top, height } = plot.bbox;
  inside(plot, (context) => {
    for (const { since_ms, until_ms } of evidence.gaps) hatch(context, x(since_ms / 1000), top, x(until_ms / 1000), top + height);
    const reference = evidence.reference_kw;
    if (reference === null) return;
    const until = finding.until ? Date.parse(finding.until) / 1000 : Infinity;
    context.fillStyle = COLOUR.excess;
    for (const area of excess(line, reference, Date.parse(finding.since) / 1000, until)) {
      context.beginPath();
      context.moveTo(x(area[0]?.[0] ?? 0), y(reference));
      for (const [at, power] of area) context.lineTo(x(at), y(power));
      context.lineTo(x(area[area.length - 1]?.[0] ?? 0), y(reference));
      context.fill();
    }
  });
}

/** Working hours, between the axis and its labels. */
function drawLane(plot: uPlot, evidence: Evidence) {
  const { left, top, width, height } = plot.bbox;
  const x = (ms: number) => Math.min(left + width, Math.max(left, plot.valToPos(ms / 1000, "x", true)));
  plot.ctx.fillStyle = COLOUR.lane;
  for (const { since_ms, until_ms } of evidence.working ?? []) {
    plot.ctx.fillRect(x(since_ms), top + height + 4 * devicePixelRatio, x(until_ms) - x(since_ms), LANE * devicePixelRatio);
  }
}

function hatch(context: CanvasRenderingContext2D, left: number, top: number, right: number, bottom: number) {
  const pitch = 8 * devicePixelRatio;
  context.save();
  context.beginPath();
  context.rect(left, top, Math.max(right - left, devicePixelRatio), bottom - top);
  context.clip();
  context.strokeStyle = COLOUR.gap;
  context.lineWidth = devicePixelRatio;
  context.beginPath();
  const tall = bottom - top;
  for (let at = left - tall; at < right; at += pitch) {
    context.moveTo(at, bottom);
    context.lineTo(at + tall, top);
  }
  context.stroke();
  context.restore();
}

function drawLimit(plot: uPlot, evidence: Evidence) {
  const reference = evidence.reference_kw;
  if (reference === null) return;
  const height = plot.valToPos(reference, "y", true);
  inside(plot, (context) => {
    context.strokeStyle = COLOUR.limit;
    context.lineWidth = 1.5 * devicePixelRatio;
    context.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    context.beginPath();
    context.moveTo(plot.bbox.left, height);
    context.lineTo(plot.bbox.left + plot.bbox.width, height);
    context.stroke();
  });
}
