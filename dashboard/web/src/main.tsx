// The frame around every view: ribbon, header, offline banner, the view of the address.
import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { clockSeconds, duration } from "./format";
import { FindingView } from "./finding";
import { NowView } from "./now";
import { AckDialog, Link } from "./parts";
import { age_s, findings, language, link, now, path, site, start, switchLanguage, t, zone } from "./state";
import "uplot/dist/uPlot.min.css";
import "./style.css";

function App() {
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const view = path.value;
  useEffect(() => {
    if (!isFirst.current) main.current?.focus();
    isFirst.current = false;
  }, [view]);
  const id = /^\/waste\/([^/]+)$/.exec(view)?.[1];
  const finding = id && findings.value?.get(decodeURIComponent(id));
  useEffect(() => {
    const place = site.value?.name ?? "Wattwarden";
    document.title = `${finding ? finding.title[language.value] : t.value.now} – ${place}`;
  });
  return (
    <div class={`app ${link.value === "offline" ? "offline" : ""}`}>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>{t.value.skip}</a>
      {site.value?.demo && <Ribbon />}
      <Header />
      {link.value === "offline" && <Banner />}
      <main id="main" ref={main} tabIndex={-1}>
        {view === "/" ? <NowView /> : id ? <FindingView key={id} id={decodeURIComponent(id)} /> : <Unknown />}
      </main>
      <footer>
        <span>Wattwarden {site.value?.version}</span>
      </footer>
      <AckDialog />
    </div>
  );
}

function Ribbon() {
  const speed = site.value?.speed ?? 1;
  return (
    <aside class="ribbon" aria-label="DEMO">
      {t.value.demo}
      {speed !== 1 && ` · ${t.value.demo_speed(String(speed))}`}
    </aside>
  );
}

function Header() {
  const month = now.value?.waste_month.month;
  return (
    <header>
      <Link href="/" class="brand">
        <b>Wattwarden</b>
        <span>{site.value?.name}</span>
      </Link>
      <nav aria-label="Wattwarden">
        <Link href="/" current={path.value === "/"}>{t.value.now}</Link>
        {month && <a href={`/api/v1/report?month=${month}&lang=${language.value}`}>{t.value.report}</a>}
      </nav>
      <Freshness />
      <button type="button" class="language" lang={language.value === "ko" ? "en" : "ko"} onClick={switchLanguage}>
        {t.value.language}
      </button>
    </header>
  );
}

/** A sample older than this many seconds is no news any more. */
const OLD_S = 15;

function Freshness() {
  const age = age_s.value;
  const isOld = link.value === "offline" || age === null || age > OLD_S;
  const text = link.value === "offline" ? t.value.offline_short : age === null ? t.value.no_sample : t.value.last_sample(duration(age, language.value));
  return (
    <p class={`fresh ${isOld ? "old" : ""}`}>
      <i aria-hidden="true" />
      {text}
    </p>
  );
}

function Banner() {
  const at = now.value?.now?.at ?? now.value?.clock;
  return (
    <p class="banner" role="status">
      {at ? t.value.offline(clockSeconds(Date.parse(at), zone.value)) : t.value.offline_first}
    </p>
  );
}

function Unknown() {
  return (
    <div class="page">
      <h1>{t.value.unknown_page}</h1>
      <Link href="/">{t.value.back}</Link>
    </div>
  );
}

start();
const root = document.getElementById("app");
if (root) render(<App />, root);
