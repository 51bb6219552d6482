// A small stand-in for the agent: a plant of seven machines whose numbers fit one another, served over the contract.
// `npm run fake` serves it for looking; the tests start it on a free port. It checks nothing of the agent's own.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname } from "node:path";

const NOW = Date.parse("2026-08-28T08:26:00Z"); // 17:26 in Seoul, a Friday
const QUARTER = 900_000;
const PRICE = 168.4;
const FACTOR = 0.4173;
const iso = (ms) => new Date(ms).toISOString().replace(".000Z", "Z");
const hour = (ms) => ((ms / 3600_000 + 9) % 24 + 24) % 24;
const isWork = (ms) => hour(ms) >= 8 && hour(ms) < 18 && !(hour(ms) >= 12 && hour(ms) < 13);
/** Repeatable noise in -1..1. */
const noise = (ms, seed) => Math.sin(ms / 61_000 + seed * 7) * 0.6 + Math.sin(ms / 23_000 + seed * 3) * 0.4;

const MACHINES = [
  ["press-2", "press", "hall 2", 55, (ms) => (isWork(ms) ? (ms >= NOW - 46 * 60_000 ? 9.6 : 41) : 1.5)],
  ["compressor-1", "compressor", "utility", 37, (ms) => (isWork(ms) ? 31 : 12.4)],
  ["dryer-1", "dryer", "hall 1", 75, (ms) => (isWork(ms) ? 63 : 1.2)],
  ["imm-3", "injection_moulding", "hall 1", 48, (ms) => (isWork(ms) ? 36 : 2.1)],
  ["cooling-pump-2", "pump", "utility", 18, (ms) => (!isWork(ms) ? 0.9 : ms >= NOW - 35 * 60_000 ? 8.2 : 14.9)],
  ["hall-2-lighting", "lighting", "hall 2", 9, (ms) => (hour(ms) >= 7 && hour(ms) < 22 ? 7.6 : 0.1)],
  ["weld-4", "welding", null, 30, (ms) => (isWork(ms) ? 16 : 0)],
];
const power = (name, ms) => {
  const index = MACHINES.findIndex((machine) => machine[0] === name);
  if (index < 0) return MACHINES.reduce((sum, machine) => sum + power(machine[0], ms), 0) + 22;
  const kw = MACHINES[index][4](ms);
  return Math.max(0, kw * (1 + 0.04 * noise(ms, index)));
};

function finding(kind, machine, since, until, more) {
  const { kw, base, why, severity, ko, en } = more;
  const seconds = ((until ?? NOW) - since) / 1000;
  const energy = Math.round((kw - base) * (seconds / 3600) * 1000) / 1000;
  const cost = Math.round(energy * PRICE);
  const stamp = iso(since).replace(/[-:]/g, "");
  return {
    id: `${kind}.${machine}.${stamp}`, kind, machine, meter: machine,
    since: iso(since), detected_at: iso(since + why.after_s * 1000), until: until ? iso(until) : null,
    state: until ? "closed" : "open", severity,
    energy_kwh: energy, energy_kwh_low: Math.round(energy * 920) / 1000, energy_kwh_high: Math.round(energy * 1160) / 1000,
    cost: { amount: cost, currency: "KRW" }, cost_net: { amount: Math.round(cost / 1.127), currency: "KRW" },
    kgco2e: Math.round(energy * FACTOR * 1000) / 1000, confidence: 0.96,
    why: { ...why, mean_power_kw: kw, duration_s: seconds, energy_mid_kwh: Math.round(energy * 600) / 1000, energy_peak_kwh: Math.round(energy * 400) / 1000 },
    title: { ko: `${machine}: ${ko}`, en: `${machine}: ${en}` },
    incident: until ? "closed" : "open", acknowledged: null,
  };
}

const FINDINGS = [
  finding("idle_running", "press-2", NOW - 46 * 60_000, null, { kw: 9.6, base: 1.5, severity: "p2", why: { standby_kw: 1.5, running_from_kw: 25, after_s: 600 },
    ko: "생산 없이 46분 동안 9.6 kW로 공회전", en: "idling for 46 min at 9.6 kW without producing" }),
  finding("off_hours_load", "compressor-1", NOW - 9.43 * 3600_000 - 14 * 3600_000, NOW - 9.43 * 3600_000, { kw: 12.4, base: 0.8, severity: "p2", why: { above_kw: 3, base_kw: 0.8, after_s: 1800 },
    ko: "가동 시간 외 14시간 동안 12.4 kW 켜져 있음", en: "left on at 12.4 kW for 14 h outside working hours" }),
  finding("idle_running", "cooling-pump-2", NOW - 35 * 60_000, null, { kw: 8.2, base: 0.9, severity: "p1", why: { standby_kw: 0.9, running_from_kw: 12, after_s: 600 },
    ko: "생산 없이 35분 동안 8.2 kW로 공회전", en: "idling for 35 min at 8.2 kW without producing" }),
  { ...finding("time_of_week_anomaly", "hall-2-lighting", NOW - 70 * 60_000, null, { kw: 7.6, base: 5.1, severity: "p3", why: { mean_power_kw: 7.6, after_s: 1800 },
    ko: "이 시간대 평소보다 2.5 kW 높음", en: "2.5 kW above what is usual at this hour" }),
    incident: "acknowledged", acknowledged: { at: iso(NOW - 30 * 60_000), by: "김정비", comment: "재고 조사 때문에 켜 둠" } },
];

/** A finding whose harm is no energy of one machine: what a bill bears, or data that is missing. */
function other(kind, machine, since, until, severity, why, [ko, en], more = {}) {
  const stamp = iso(since).replace(/[-:]/g, "");
  return {
    id: `${kind}.${machine}.${stamp}`, kind, machine, meter: machine === "ansan-1" ? "incomer" : machine, since: iso(since), detected_at: iso(since + 600_000),
    until: until ? iso(until) : null, state: until ? "closed" : "open", severity, energy_kwh: null, energy_kwh_low: null, energy_kwh_high: null,
    cost: null, cost_net: null, kgco2e: null, confidence: 0.9, why, title: { ko, en }, incident: until ? "closed" : "open", acknowledged: null, ...more,
  };
}

const DAY = 86_400_000;
FINDINGS.push(
  other("meter_silent", "weld-4", NOW - 25 * 60_000, null, "p2", { silent_s: 1500 }, ["계측기 weld-4: 25분 동안 수신 없음", "meter weld-4: not heard of for 25 min"]),
  other("meter_stuck", "imm-3", NOW - 2 * DAY, NOW - DAY, "p2", { stood_s: 86_400, register_kwh: 4012.5, spread_kwh: 212.5, longest_s: 28_800 },
    ["계측기 imm-3: 사용 중인데 energy_import_kwh 지시값이 24시간 00분 동안 늘지 않음", "meter imm-3: energy_import_kwh has not counted for 24 h 00 min while energy was used"]),
  other("meter_reset", "dryer-1", NOW - 3 * DAY, NOW - 3 * DAY + 900_000, "p2", { before_kwh: 99_812.4, after_kwh: 0 },
    ["계측기 dryer-1: energy_import_kwh 99812.4 → 0: 초기화 또는 등록되지 않은 교체(swaps)", "meter dryer-1: energy_import_kwh went from 99812.4 to 0: reset, or a change not entered in swaps"]),
  other("low_power_factor", "ansan-1", NOW - 20 * DAY, null, "p3", { power_factor_pct: 86.4, reference_pct: 90, missing_pct: 4, is_leading: 0, is_notice: 0, duration_s: 1_728_000, billed_kw: 240 },
    ["ansan-1: 이번 달 주간 지상역률 86.4 % (기준 90 %)", "ansan-1: lagging power factor by day 86.4 % this month (reference 90 %)"],
    { cost: { amount: 18_002, currency: "KRW" }, cost_net: { amount: 15_974, currency: "KRW" } }),
  other("baseload_drift", "ansan-1", NOW - 12 * DAY, null, "p3", { base_kw: 24.6, reference_kw: 21.9, deviation_kw: 0.7, days: 12, duration_s: 1_036_800 },
    ["ansan-1: 쉬는 시간 기저부하가 21.9 kW에서 24.6 kW로 오름 (12일)", "ansan-1: load at rest crept from 21.9 kW to 24.6 kW over 12 days"],
    { energy_kwh: 402.1, energy_kwh_low: 310.4, energy_kwh_high: 777.6, cost: { amount: 61_500, currency: "KRW" }, cost_net: { amount: 54_570, currency: "KRW" }, kgco2e: 167.8 }),
);
const FAULTS = ["meter_silent", "meter_stuck", "meter_reset"];

function site(scenario) {
  return {
    name: "ansan-1", zone: "Asia/Seoul", language: "ko", currency: "KRW", demand_interval_s: 900, main_meter: "incomer",
    demo: true, speed: 60, version: "0.1.0",
    machines: (scenario === "bare" ? [] : [["ansan-1", "site", null, null], ...MACHINES]).map(([name, kind, area, rated_kw]) => ({
      name, label: name, kind, meter: kind === "site" ? "incomer" : name, area, rated_kw, has_hours: true })),
    meters: scenario === "bare" ? [] : ["incomer", ...MACHINES.map((machine) => machine[0])].map((name) => ({ name, area: null, every_s: 1 })),
  };
}

function state(name, scenario) {
  const kw = power(name, NOW);
  if (["press-2", "cooling-pump-2"].includes(name) && scenario !== "empty") return "idle";
  return kw < 0.5 ? "off" : kw < 3 ? "standby" : "running";
}

function now(state_) {
  const meters = ["incomer", ...MACHINES.map((machine) => machine[0])];
  const start = Math.floor(NOW / QUARTER) * QUARTER;
  const energy = power("incomer", NOW) * ((NOW - start) / 3600_000) * 1.02;
  const month = state_.findings.filter((finding) => finding.since >= "2026-07-31T15:00:00Z" && !FAULTS.includes(finding.kind));
  const sum = (key) => Math.round(month.reduce((total, finding) => total + finding[key], 0) * 1e6) / 1e6;
  const target = state_.scenario === "above" ? 150 : 240;
  return {
    clock: iso(NOW), age_s: state_.scenario === "bare" ? null : 0.8,
    now: state_.scenario === "bare" ? null : {
      at: iso(NOW),
      demand: { start: iso(start), end: iso(start + QUARTER), energy_kwh: energy, demand_kw: energy * 4, forecast_kw: energy * 4 + (power("incomer", NOW) * (start + QUARTER - NOW)) / QUARTER, target_kw: target, contract_kw: 300 },
      today: { energy_kwh: 1831.4, coverage: 0.998 },
      meters: meters.map((meter) => {
        const isStale = meter === "weld-4" && state_.scenario !== "empty";
        const kw = power(meter, NOW);
        return { meter, at: iso(isStale ? NOW - 25 * 60_000 : NOW), readings: [{ quantity: "active_power_kw", value: kw, quality: isStale ? "stale" : "ok" }], power_kw: isStale ? null : kw, is_stale: isStale };
      }),
      machines: ["ansan-1", ...MACHINES.map((machine) => machine[0])].map((machine) => ({
        machine, meter: machine === "ansan-1" ? "incomer" : machine, state: machine === "ansan-1" ? null : state(machine, state_.scenario),
        since: iso(NOW - 46 * 60_000), power_kw: power(machine, NOW), is_working_time: true })),
    },
    waste_month: { month: "2026-08", count: month.length, energy_kwh: month.length ? sum("energy_kwh") : null,
      cost: month.length ? { amount: month.reduce((total, finding) => total + (finding.cost?.amount ?? 0), 0), currency: "KRW" } : null, kgco2e: month.length ? sum("kgco2e") : null },
  };
}

function intervals(scenario) {
  const end = Math.floor(NOW / QUARTER) * QUARTER;
  const starts = Array.from({ length: 95 }, (_, index) => end - (95 - index) * QUARTER);
  const columns = (meter) => {
    const own = starts.filter((_, index) => !(meter === "weld-4" && scenario !== "empty" && index > 92) && !(meter === "imm-3" && index > 40 && index < 47));
    const energy = own.map((start) => Math.round((power(meter, start + 200_000) + power(meter, start + 700_000)) * 125) / 1000);
    return { meter, starts_ms: own, energy_import_kwh: energy, demand_kw: energy.map((kwh) => kwh * 4), coverage: own.map((_, index) => (index % 31 === 7 ? 0.94 : 1)), quality: own.map(() => "ok") };
  };
  return { from: iso(NOW - 86_400_000), until: iso(NOW), interval_s: 900, meters: scenario === "bare" ? [] : ["incomer", ...MACHINES.map((machine) => machine[0])].map(columns) };
}

function evidence(finding) {
  const since = Date.parse(finding.since);
  const end = finding.until ? Date.parse(finding.until) : NOW;
  const margin = Math.max((end - since) / 4, 1800_000);
  const [from, to] = [since - margin, Math.min(NOW, end + margin)];
  const step = Math.max(10_000, Math.ceil((to - from) / 900 / 10_000) * 10_000);
  const hole = [since + (end - since) * 0.55, since + (end - since) * 0.63];
  const times = [];
  for (let at = from; at < to; at += step) if (at < hole[0] || at > hole[1]) times.push(at);
  const kw = times.map((at) => Math.round(power(finding.machine, at) * 1000) / 1000);
  const working = [];
  for (let at = Math.floor(from / 60_000) * 60_000; at < to; at += 60_000) {
    if (!isWork(at)) continue;
    const last = working[working.length - 1];
    if (last && last.until_ms === at) last.until_ms = at + 60_000;
    else working.push({ since_ms: Math.max(at, from), until_ms: at + 60_000 });
  }
  const names = ["reference_kw", "base_kw", "standby_kw", "above_kw", "running_from_kw"].filter((name) => name in finding.why);
  const limits = names.map((name) => ({ name, kw: finding.why[name] }));
  return {
    id: finding.id, meter: finding.meter, quantity: "active_power_kw", source: "samples", from: iso(from), to: iso(to), since: finding.since, until: finding.until,
    gaps: [{ since_ms: Math.round(hole[0]), until_ms: Math.round(hole[1]) }], limits, reference_kw: limits[0]?.kw ?? null, working, bucket_ms: step,
    times_ms: times.map(Math.round), mean: kw, min: kw.map((value) => value * 0.97), max: kw.map((value) => value * 1.03),
  };
}

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** What the agent answers to a GET, as JSON; undefined = it has no such thing. */
export function answer(path, query, state_) {
  const id = decodeURIComponent(/^\/api\/v1\/findings\/([^/]+)/.exec(path)?.[1] ?? "");
  const found = state_.findings.find((one) => one.id === id);
  if (path === "/api/v1/site") return site(state_.scenario);
  if (path === "/api/v1/now") return now(state_);
  if (path === "/api/v1/intervals") return intervals(state_.scenario);
  if (path === "/api/v1/findings") {
    const list = state_.findings.filter((one) => !query.get("state") || one.state === query.get("state"));
    return { total: list.length, findings: list };
  }
  if (path.endsWith("/evidence")) return found && evidence(found);
  return found;
}

/** The state of a scenario: full, empty (nothing open), above (demand over its target), bare (no meters). */
export const scenario = (name) => ({ scenario: name, findings: name === "empty" || name === "bare" ? [] : structuredClone(FINDINGS) });

/** Serves a scenario on a port (0 = a free one). */
export async function serve(name, port = 0) {
  const state_ = scenario(name);
  const streams = new Set();
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://127.0.0.1");
    const json = (status, value) => response.writeHead(status, { "content-type": "application/json", "content-security-policy": POLICY }).end(JSON.stringify(value));
    if (url.pathname === "/api/v1/stream") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const tell = () => response.write(`event: now\ndata: ${JSON.stringify(now(state_))}\n\n`);
      tell();
      const timer = setInterval(tell, 1000);
      streams.add(response);
      response.on("close", () => clearInterval(timer));
      return;
    }
    if (request.method === "POST") {
      let body = "";
      for await (const chunk of request) body += chunk;
      const found = answer(url.pathname, url.searchParams, state_);
      if (!found || request.headers["x-wattwarden"] !== "1") return json(403, { error: { code: "forbidden", message: "no", help: "" } });
      const { by, comment } = JSON.parse(body);
      Object.assign(found, { incident: "acknowledged", acknowledged: { at: iso(NOW), by, comment: comment ?? null } });
      for (const stream of streams) stream.write(`event: finding\ndata: ${JSON.stringify(found)}\n\n`);
      return json(200, found);
    }
    if (url.pathname.startsWith("/api/")) {
      const value = answer(url.pathname, url.searchParams, state_);
      return value ? json(200, value) : json(404, { error: { code: "not_found", message: "there is no such thing", help: "look at the list" } });
    }
    const name = url.pathname.startsWith("/assets/") ? url.pathname : "/index.html";
    try {
      const file = readFileSync(new URL(`../dist${name}`, import.meta.url));
      response.writeHead(200, { "content-type": TYPES[extname(name)], "content-security-policy": POLICY }).end(file);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(port, "127.0.0.1", done));
  const stop = () => {
    for (const stream of streams) stream.destroy();
    server.closeAllConnections();
    return new Promise((done) => server.close(done));
  };
  return { url: `http://127.0.0.1:${server.address().port}`, findings: state_.findings, stop };
}

if (process.argv[1]?.endsWith("fake.mjs")) {
  const { url } = await serve(process.argv[2] ?? "full", Number(process.argv[3] ?? 8421));
  console.log(url);
}
