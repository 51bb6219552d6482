// The view Now: what is drawn, what the bill will say, what is wasted, and the state of every machine.
// Needs no interaction to be read. Colour of a tile and content of the list come from the same findings.
import { useSignal } from "@preact/signals";
import type { Finding, Intervals, Machine, Now } from "./api";
import { bullet, byWorth, sparkline, watch, type Point } from "./chart";
import { carbon, duration, instant, kw, kwh, money, percentSeen, short, UNKNOWN } from "./format";
import { AckButton, Card, Failed, incidentWord, Link, Mark, sentenceOf, Waiting } from "./parts";
import { findings, intervals, language, listError, now, site, t, zone } from "./state";
import { isFault, machineKinds } from "./words";

const DAY_MS = 86_400_000;

export function NowView() {
  return (
    <>
      <h1 class="hidden">{t.value.now}</h1>
      <div class="figures">
        <Power />
        <Demand />
        <Today />
        <WasteMonth />
      </div>
      <Card title={t.value.to_deal} id="to-deal">
        <OpenFindings />
      </Card>
      {site.value && machines().length === 0 ? null : (
        <Card title={t.value.equipment} id="equipment">
          <Tiles />
        </Card>
      )}
      <Ended />
    </>
  );
}

function Figure(props: { value: string; unit?: string; class?: string }) {
  return (
    <p class={`figure ${props.class ?? ""}`}>
      <strong>{props.value}</strong>
      {props.unit && <span class="unit"> {props.unit}</span>}
    </p>
  );
}

function Power() {
  const main = site.value?.main_meter;
  const meter = now.value?.now?.meters.find((meter) => meter.meter === main);
  return (
    <Card title={t.value.power_now} id="power" class="power">
      {!now.value ? <Waiting height={88} /> : (
        <>
          <Figure value={meter && !meter.is_stale ? kw(meter.power_kw) : UNKNOWN} unit="kW" />
          {main && <Spark meter={main} name={t.value.power_trend} power={meter && !meter.is_stale ? meter.power_kw : null} />}
        </>
      )}
    </Card>
  );
}

function Demand() {
  const demand = now.value?.now?.demand;
  if (!now.value) return <Card title={t.value.demand} id="demand" class="demand"><Waiting height={88} /></Card>;
  if (!demand) {
    return (
      <Card title={t.value.demand} id="demand" class="demand">
        <Figure value={UNKNOWN} unit="kW" />
        <p class="quiet">{t.value.no_demand}</p>
      </Card>
    );
  }
  const shares = bullet({
    so_far: demand.demand_kw,
    forecast: demand.forecast_kw,
    target: demand.target_kw,
    contract: demand.contract_kw,
    peak: peakOf(intervals.value, site.value?.main_meter),
  });
  const left = (Date.parse(demand.end) - Date.parse(now.value.now?.at ?? demand.start)) / 1000;
  const limits = [
    demand.target_kw !== null && `${t.value.target} ${short(demand.target_kw)} kW`,
    demand.contract_kw !== null && `${t.value.contract} ${short(demand.contract_kw)} kW`,
  ].filter(Boolean);
  return (
    <Card title={t.value.demand} id="demand" class="demand">
      <Figure value={kw(demand.forecast_kw ?? demand.demand_kw)} unit="kW" class={shares.is_above ? "bad" : ""} />
      <svg class="bullet" role="img" aria-label={t.value.demand_label(kw(demand.forecast_kw), kw(demand.target_kw))} viewBox="0 0 1000 28" preserveAspectRatio="none">
        <rect class="range far" width="1000" height="28" />
        <rect class="range near" width={1000 * (shares.target ?? 0)} height="28" />
        <rect class={shares.is_above ? "forecast above" : "forecast"} y="8" width={1000 * shares.forecast} height="12" />
        <rect class={shares.is_above ? "so-far above" : "so-far"} y="8" width={1000 * shares.so_far} height="12" />
        {shares.target !== null && <rect class="target" x={1000 * shares.target - 3} y="2" width="6" height="24" />}
      </svg>
      <p class="quiet">
        {demand.forecast_kw !== null ? t.value.demand_text(duration(left, language.value), kw(demand.forecast_kw)) : ""}
        {shares.is_above && <b class="bad"> ▲ {t.value.above_target}</b>}
      </p>
      <p class="quiet">{[t.value.demand_so_far(kw(demand.demand_kw)), ...limits].join(" · ")}</p>
    </Card>
  );
}

function peakOf(intervals: Intervals | null, meter: string | null | undefined): number {
  const columns = intervals?.meters.find((columns) => columns.meter === meter);
  return Math.max(1, ...(columns?.demand_kw.map((value) => value ?? 0) ?? []));
}

function Today() {
  const today = now.value?.now?.today;
  // Of a first interval that is not whole nothing is said here, as under "no waste".
  const isWatched = intervals.value !== null && watch(intervals.value) !== null;
  return (
    <Card title={t.value.today} id="today" class="today">
      {!now.value ? <Waiting height={88} /> : (
        <>
          <Figure value={kwh(today?.energy_kwh)} unit="kWh" />
          <p class="quiet">{t.value.coverage} {percentSeen(isWatched ? today?.coverage : null)}</p>
        </>
      )}
    </Card>
  );
}

function WasteMonth() {
  const waste = now.value?.waste_month;
  return (
    <Card title={t.value.waste_month} id="waste" class="waste">
      {!waste ? <Waiting height={88} /> : (
        <>
          <Figure value={waste.count === 0 ? kwh(0) : waste.cost ? money(waste.cost, language.value) : kwh(waste.energy_kwh)} {...(waste.cost ? {} : { unit: "kWh" })} />
          <p class="quiet">
            {[waste.cost && `${kwh(waste.energy_kwh)} kWh`, waste.count > 0 && carbon(waste.kgco2e), t.value.cases(waste.count)].filter(Boolean).join(" · ")}
          </p>
          {waste.count > 0 && !waste.cost && <p class="quiet">{t.value.no_tariff}</p>}
        </>
      )}
    </Card>
  );
}

/** Findings shown before "show all". */
const FIRST = 5;

function OpenFindings() {
  const isAll = useSignal(false);
  if (listError.value && !findings.value) return <Failed error={listError.value} />;
  if (!findings.value || !now.value) return <Waiting height={180} />;
  const open = [...findings.value.values()].filter((finding) => finding.state === "open");
  if (open.length === 0) return <Nothing />;
  const sorted = byWorth(open, Date.parse(now.value.clock));
  const shown = isAll.value ? sorted : sorted.slice(0, FIRST);
  return (
    <>
      <ul class="findings">
        {shown.map((finding) => <Row key={finding.id} finding={finding} />)}
      </ul>
      {open.length > shown.length && (
        <button type="button" onClick={() => (isAll.value = true)}>{t.value.show_all(open.length)}</button>
      )}
    </>
  );
}

function Row({ finding }: { finding: Finding }) {
  return (
    <li>
      <Mark severity={finding.severity} />
      <Link href={`/waste/${encodeURIComponent(finding.id)}`} class="what">
        <b>{finding.machine}</b>
        <span>{sentenceOf(finding)}</span>
      </Link>
      <Worth finding={finding} />
      <span class={`incident ${finding.incident}`}>{incidentWord(finding)}</span>
      <AckButton finding={finding} />
    </li>
  );
}

/** What it costs and how much it was; a fault of a meter is neither. */
function Worth({ finding }: { finding: Finding }) {
  if (isFault(finding.kind)) return <span class="worth"><small>{t.value.meter_fault}</small></span>;
  return (
    <span class="worth">
      <b>{money(finding.cost, language.value)}</b>
      {finding.energy_kwh !== null && <small>{kwh(finding.energy_kwh)} kWh</small>}
    </span>
  );
}

/** Nothing open: says who looked, for how long, and how much was seen. */
function Nothing() {
  const known = site.value;
  if (!known || known.meters.length === 0) return <p class="empty">{t.value.none_meters}</p>;
  const watched = intervals.value && watch(intervals.value);
  return (
    <div class="empty">
      <p><b>{t.value.none_title}</b></p>
      <p class="quiet">
        {watched
          ? t.value.none_proof(machines().length, duration(watched.seconds, language.value), percentSeen(watched.share))
          : t.value.none_learning}
      </p>
    </div>
  );
}

/** Machines with a tile; the site as a whole has the figures above. */
const machines = () => site.value?.machines.filter((machine) => machine.kind !== "site") ?? [];

function Tiles() {
  if (!site.value || !now.value) return <Waiting height={220} />;
  const worst = new Map<string, Finding>();
  for (const finding of findings.value?.values() ?? []) {
    const before = worst.get(finding.machine);
    if (finding.state === "open" && (!before || finding.severity < before.severity)) worst.set(finding.machine, finding);
  }
  const rank = (machine: Machine) => worst.get(machine.name)?.severity ?? "p9";
  const sorted = [...machines()].sort((a, b) => rank(a).localeCompare(rank(b)));
  return (
    <ul class="tiles">
      {sorted.map((machine) => <Tile key={machine.name} machine={machine} moment={now.value?.now ?? null} finding={worst.get(machine.name)} />)}
    </ul>
  );
}

function Tile({ machine, moment, finding }: { machine: Machine; moment: Now | null; finding: Finding | undefined }) {
  const meter = moment?.meters.find((meter) => meter.meter === machine.meter);
  const state = moment?.machines.find((state) => state.machine === machine.name);
  const isStale = !meter || meter.is_stale;
  const power = isStale ? null : (state?.power_kw ?? meter.power_kw);
  const word = isStale ? t.value.no_data : t.value[`state_${state?.state ?? "unknown"}`];
  return (
    <li class={`tile ${isStale ? "stale" : ""} ${finding?.severity ?? ""}`}>
      <p class="head">
        <b>{machine.label}</b>
        <span class="state">{word}</span>
      </p>
      <p class="head">
        <span><strong>{kw(power)}</strong>{power !== null && " kW"}</span>
        <span class="quiet">{[machineKinds[machine.kind][language.value], machine.area].filter(Boolean).join(" · ")}</span>
      </p>
      <Spark meter={machine.meter} name={machine.label} power={power} />
      {finding && (
        <Link href={`/waste/${encodeURIComponent(finding.id)}`} class="cause">
          <Mark severity={finding.severity} />
          <span>{sentenceOf(finding)}</span>
        </Link>
      )}
    </li>
  );
}

/** Demand intervals of the last 24 hours, or since the beginning, and the power of now; holes stay holes. */
function Spark({ meter, name, power }: { meter: string; name: string; power: number | null }) {
  const all = intervals.value;
  const columns = all?.meters.find((columns) => columns.meter === meter);
  if (!all || !columns) return <div class="spark" />;
  const until = Date.parse(now.value?.now?.at ?? all.until);
  const begin = Math.min(...all.meters.map((columns) => columns.starts_ms[0] ?? Infinity));
  const from = Math.max(until - DAY_MS, begin);
  const step = all.interval_s * 1000;
  const points: (Point | null)[] = [];
  columns.starts_ms.forEach((start, index) => {
    const value = columns.demand_kw[index];
    const before = columns.starts_ms[index - 1];
    if (start < from) return;
    if (before !== undefined && start - before > step) points.push(null);
    points.push(value == null ? null : [start + step / 2, value]);
  });
  if (power !== null) points.push([until, power]);
  const top = Math.max(0.1, ...points.map((point) => point?.[1] ?? 0));
  const path = sparkline(points, { from, until, top: top * 1.08, width: 300, height: 40 });
  return (
    <svg class="spark" viewBox="0 -1 300 42" preserveAspectRatio="none" role="img" aria-label={t.value.trend_label(name, kw(top))}>
      <line x1="0" x2="300" y1="40" y2="40" class="zero" />
      <path d={path} vector-effect="non-scaling-stroke" />
    </svg>
  );
}

function Ended() {
  const ended = [...(findings.value?.values() ?? [])]
    .filter((finding) => finding.state === "closed")
    .sort((a, b) => Date.parse(b.until ?? b.since) - Date.parse(a.until ?? a.since))
    .slice(0, FIRST);
  if (ended.length === 0) return null;
  return (
    <Card title={t.value.ended} id="ended">
      <ul class="findings ended">
        {ended.map((finding) => (
          <li key={finding.id}>
            <Mark severity={finding.severity} />
            <Link href={`/waste/${encodeURIComponent(finding.id)}`} class="what">
              <b>{finding.machine}</b>
              <span>{sentenceOf(finding)}</span>
            </Link>
            <Worth finding={finding} />
            <span class="incident">{instant(Date.parse(finding.until ?? finding.since), zone.value, language.value)}</span>
          </li>
        ))}
      </ul>
    </Card>
  );
}
