// One finding: the sentence, its life, its evidence, why it was said, what it costs, what to do.
import type { ComponentChildren } from "preact";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError, getEvidence, getFinding, type Evidence, type Finding, type Money } from "./api";
import { EvidenceFigure } from "./evidence";
import { carbon, duration, exactMoney, instant, kwh, number, percent, short, UNKNOWN } from "./format";
import { AckButton, Card, Failed, Link, Mark, titleOf, Waiting } from "./parts";
import { findings, language, link, t, take, zone } from "./state";
import { isFault, kindText, whyNames } from "./words";

/** An open finding's evidence grows: asked again this often. */
const AGAIN_MS = 30_000;

export function FindingView({ id }: { id: string }) {
  const error = useSignal<ApiError | null>(null);
  const evidence = useSignal<Evidence | ApiError | null>(null);
  const fetched = useSignal<Finding | null>(null);
  const finding = findings.value?.get(id) ?? fetched.value;
  const load = async () => {
    try {
      fetched.value = await getFinding(id);
      take(fetched.value);
      error.value = null;
      evidence.value = await getEvidence(id);
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      if (fetched.value) evidence.value = thrown;
      else error.value = thrown;
    }
  };
  // Loaded again when the condition ends and when the agent can be reached again.
  const isLive = link.value !== "offline";
  useEffect(() => {
    if (isLive) void load();
  }, [id, isLive, finding?.state]);
  const isGrowing = isLive && finding?.state === "open";
  useEffect(() => {
    if (!isGrowing) return;
    const timer = setInterval(() => void load(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [id, isGrowing]);
  if (error.value && !finding) {
    return (
      <div class="page">
        <h1>{error.value.code === "not_found" ? t.value.unknown_finding : t.value.failed}</h1>
        <Failed error={error.value} again={() => void load()} />
        <Link href="/">{t.value.back}</Link>
      </div>
    );
  }
  if (!finding) return <Waiting height={500} />;
  return <Whole finding={finding} evidence={evidence.value} />;
}

function Whole({ finding, evidence }: { finding: Finding; evidence: Evidence | ApiError | null }) {
  return (
    <article class="finding">
      <nav class="crumbs" aria-label={t.value.back}>
        <Link href="/">‹ {t.value.now}</Link>
      </nav>
      <h1>
        <Mark severity={finding.severity} />
        <span>{titleOf(finding)}</span>
      </h1>
      <Steps finding={finding} />
      {finding.incident === "open" && (
        <div class="actions" role="group" aria-label={t.value.actions}>
          <AckButton finding={finding} detailed />
        </div>
      )}
      <div class="columns">
        <div>
        <Card title={t.value.evidence} id="evidence" class="evidence">
          {evidence === null ? <Waiting height={360} /> : evidence instanceof ApiError ? <Failed error={evidence} /> : <EvidenceFigure evidence={evidence} finding={finding} />}
        </Card>
          <Checks finding={finding} />
          <History finding={finding} />
        </div>
        <div>
          <Why finding={finding} />
          <MoneyCard finding={finding} />
        </div>
      </div>
    </article>
  );
}

function Steps({ finding }: { finding: Finding }) {
  const names = ["open", "acknowledged", "closed"] as const;
  return (
    <ol class="steps" aria-label={t.value.steps}>
      {names.map((name, index) => (
        <li key={name} class={finding.incident === name ? "current" : ""} aria-current={finding.incident === name ? "step" : undefined}>
          {index + 1}. {t.value[`incident_${name}`]}
        </li>
      ))}
    </ol>
  );
}

/** A number of `why` with the unit that its name ends in. */
function written(name: string, value: number): string {
  if (name.endsWith("_s")) return duration(value, language.value);
  if (name.startsWith("is_")) return value ? t.value.yes : t.value.no;
  const [, unit] = /_(kwh|kw|kvarh|kva|pct|bar|v|a|c|h)$/.exec(name) ?? [];
  const units: Record<string, string> = { kwh: "kWh", kw: "kW", kvarh: "kvarh", kva: "kVA", pct: "%", bar: "bar", v: "V", a: "A", c: "°C", h: "h" };
  return [short(value), unit && units[unit]].filter(Boolean).join(" ");
}

function Row({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Why({ finding }: { finding: Finding }) {
  const text = kindText(finding.kind);
  const numbers = Object.fromEntries(Object.entries(finding.why).map(([name, value]) => [name, written(name, value)]));
  const at = (instantText: string) => instant(Date.parse(instantText), zone.value, language.value);
  return (
    <Card title={t.value.why} id="why">
      <p>{text.because(numbers)[language.value]}</p>
      <p class="quiet">{t.value.goes_away}: {text.until[language.value]}</p>
      <dl class="pairs">
        {Object.entries(numbers).filter(([name]) => !name.startsWith("energy_")).map(([name, value]) => (
          <Row key={name} name={(text.names?.[name] ?? whyNames[name])?.[language.value] ?? name}>{value}</Row>
        ))}
        <Row name={t.value.since}>{at(finding.since)}</Row>
        <Row name={t.value.until}>{finding.until ? at(finding.until) : t.value.lasting}</Row>
        <Row name={t.value.confidence}>{percent(finding.confidence, 0)}</Row>
        <Row name={t.value.rule}>{text.name[language.value]} <code>{finding.kind}</code></Row>
      </dl>
    </Card>
  );
}

/** A price of one kWh, to a tenth. */
function perKwh({ amount, currency }: Money): string {
  if (currency !== "KRW") return `${number(amount, 3)} ${currency}/kWh`;
  return language.value === "ko" ? `${number(amount, 1)}원/kWh` : `₩${number(amount, 1)}/kWh`;
}

function MoneyCard({ finding }: { finding: Finding }) {
  if (isFault(finding.kind)) return <Card title={t.value.money} id="money"><p class="quiet">{t.value.fault_no_money}</p></Card>;
  const bands = (["light", "mid", "peak", "flat"] as const).flatMap((band) => {
    const energy = finding.why[`energy_${band}_kwh`];
    return energy === undefined ? [] : [[t.value[`band_${band}`], `${kwh(energy)} kWh`] as const];
  });
  const { cost, cost_net: net, energy_kwh: energy } = finding;
  const levies = cost && net && { amount: Math.round((cost.amount - net.amount) * 100) / 100, currency: cost.currency };
  const price = cost && energy ? { amount: cost.amount / energy, currency: cost.currency } : null;
  const money = (value: typeof cost) => exactMoney(value, language.value);
  const rows = [
    ...bands,
    // Where the harm is no energy but demand or power factor, none is shown as unknown.
    ...(energy == null ? [] : [
      [t.value.avoidable, `${kwh(energy)} kWh`],
      [t.value.range, finding.energy_kwh_low == null ? UNKNOWN : `${kwh(finding.energy_kwh_low)} – ${kwh(finding.energy_kwh_high)} kWh`],
    ]),
    ...(cost ? [[energy == null ? t.value.net : t.value.cost_net, money(net)], [t.value.levies, money(levies)]] : []),
    [t.value.cost, money(cost)],
    ...(price ? [[t.value.mean_price, perKwh(price)]] : []),
    ...(energy == null ? [] : [[t.value.emissions, carbon(finding.kgco2e)]]),
  ];
  return (
    <Card title={t.value.money} id="money">
      <table class="money">
        <tbody>
          {rows.map(([name, value]) => (
            <tr key={name} class={name === t.value.cost ? "sum" : ""}>
              <th scope="row">{name}</th>
              <td>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {!cost && <p class="quiet">{t.value.no_tariff}</p>}
    </Card>
  );
}

function Checks({ finding }: { finding: Finding }) {
  const { checks } = kindText(finding.kind);
  if (checks.length === 0) return null;
  return (
    <Card title={t.value.checks} id="checks">
      <ol class="checks">
        {checks.map((check) => <li key={check.en}>{check[language.value]}</li>)}
      </ol>
    </Card>
  );
}

function History({ finding }: { finding: Finding }) {
  const seen = finding.acknowledged;
  const events: [string, string, string?][] = [
    [finding.since, isFault(finding.kind) ? t.value.fault_opened : t.value.opened],
    [finding.detected_at, t.value.detected],
    ...(seen ? [[seen.at, t.value.acknowledged_by(seen.by), seen.comment ?? ""] as [string, string, string]] : []),
    ...(finding.until ? [[finding.until, t.value.incident_closed] as [string, string]] : []),
  ];
  events.sort((a, b) => Date.parse(a[0]) - Date.parse(b[0]));
  return (
    <Card title={t.value.history} id="history">
      <ol class="history">
        {events.map(([at, what, comment]) => (
          <li key={what}>
            <time dateTime={at}>{instant(Date.parse(at), zone.value, language.value)}</time>
            <span>{what}{comment && <q>{comment}</q>}</span>
          </li>
        ))}
      </ol>
    </Card>
  );
}
