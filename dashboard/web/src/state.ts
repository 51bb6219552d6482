// The page's one state: what the agent last said, whether it can be reached, language and address. Views only read it.
// Invariant: tiles and list are both made from `findings` and `now`, so they never disagree.
import { computed, effect, signal } from "@preact/signals";
import { ApiError, getFindings, getIntervals, getSite, type Finding, type Intervals, type NowAnswer, type Site } from "./api";
import type { Language } from "./format";
import { words } from "./words";

export const site = signal<Site | null>(null);
export const now = signal<NowAnswer | null>(null);
export const findings = signal<ReadonlyMap<string, Finding> | null>(null);
export const intervals = signal<Intervals | null>(null);
/** Error of the lists, shown in their cards; the other cards go on. */
export const listError = signal<ApiError | null>(null);
/** Whether the stream is open. */
export const link = signal<"connecting" | "live" | "offline">("connecting");
/** Wall time of the newest `now`, to let its age grow; ticks once a second. */
const heardAt = signal(0);
export const wall = signal(Date.now());
export const path = signal(location.pathname);

const LANGUAGE_KEY = "wattwarden.language";
const chosen = signal<Language | null>(remembered(LANGUAGE_KEY) as Language | null);
export const language = computed<Language>(() => chosen.value ?? site.value?.language ?? "ko");
export const t = computed(() => words[language.value]);
export const zone = computed(() => site.value?.zone ?? "UTC");

/** Seconds on the wall since the newest sample. */
export const age_s = computed(() => {
  const age = now.value?.age_s;
  return age == null ? null : age + Math.max(0, wall.value - heardAt.value) / 1000;
});

export function remembered(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // Storage is refused in some private windows: nothing is remembered then.
  }
}

export function remember(key: string, value: string) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // See above.
  }
}

export function switchLanguage() {
  chosen.value = language.value === "ko" ? "en" : "ko";
  remember(LANGUAGE_KEY, chosen.value);
}

export function go(target: string) {
  history.pushState(null, "", target);
  path.value = location.pathname;
  scrollTo(0, 0);
}

/** Takes what the agent says about one finding. */
export function take(finding: Finding) {
  if (findings.value) findings.value = new Map(findings.value).set(finding.id, finding);
}

/** Ended findings that are listed. */
const RECENT = 20;

async function load() {
  try {
    site.value ??= await getSite();
    const [open, closed] = await Promise.all([getFindings("state=open&limit=1000"), getFindings(`state=closed&limit=${RECENT}`)]);
    findings.value = new Map([...open.findings, ...closed.findings].map((finding) => [finding.id, finding]));
    listError.value = null;
  } catch (error) {
    if (error instanceof ApiError && error.code !== "offline") listError.value = error;
  }
  await loadIntervals();
}

async function loadIntervals() {
  try {
    intervals.value = await getIntervals();
  } catch {
    // The sparklines keep what they had; whether the agent answers is said by the stream.
  }
}

/** Pauses between attempts to reach the agent again, seconds. */
const BACK_OFF_S = [1, 2, 4, 8, 15, 30];
let attempt = 0;

function connect() {
  const stream = new EventSource("/api/v1/stream");
  stream.onopen = () => {
    attempt = 0;
    link.value = "live";
    void load();
  };
  stream.addEventListener("now", (event) => {
    now.value = JSON.parse(event.data) as NowAnswer;
    heardAt.value = wall.value = Date.now();
  });
  stream.addEventListener("finding", (event) => take(JSON.parse(event.data) as Finding));
  stream.addEventListener("reload", () => void load());
  stream.onerror = () => {
    stream.close();
    link.value = "offline";
    const pause = BACK_OFF_S[Math.min(attempt++, BACK_OFF_S.length - 1)] ?? 30;
    setTimeout(connect, pause * 1000);
  };
}

export function start() {
  addEventListener("popstate", () => (path.value = location.pathname));
  setInterval(() => (wall.value = Date.now()), 1000);
  // New intervals are there when a demand interval has ended in data time: looked for at each new one.
  let shown = "";
  effect(() => {
    const current = now.value?.now?.demand?.start ?? now.value?.now?.at.slice(0, 15) ?? "";
    if (current && current !== shown && shown) void loadIntervals();
    shown = current || shown;
  });
  effect(() => {
    document.documentElement.lang = language.value;
  });
  connect();
}
