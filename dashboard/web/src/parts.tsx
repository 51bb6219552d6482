// Small parts that several views share: links, marks of urgency, the acknowledgement, cards in their states.
import type { ComponentChildren } from "preact";
import { signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { acknowledge, ApiError, type Finding, type Severity } from "./api";
import { go, language, link, remember, remembered, t, take } from "./state";

/** A link inside the page. */
export function Link(props: { href: string; class?: string; children: ComponentChildren; current?: boolean }) {
  const follow = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    go(props.href);
  };
  return (
    <a href={props.href} class={props.class} onClick={follow} aria-current={props.current ? "page" : undefined}>
      {props.children}
    </a>
  );
}

const SHAPES: Record<Severity, string> = { p1: "M8 1.5 15 14H1Z", p2: "M8 1 15 8 8 15 1 8Z", p3: "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2Z" };

/** Urgency as shape, text and colour. */
export function Mark({ severity }: { severity: Severity }) {
  return (
    <span class={`mark ${severity}`}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        <path d={SHAPES[severity]} />
      </svg>
      <b>{severity.toUpperCase()}</b>
    </span>
  );
}

export const titleOf = (finding: Finding) => finding.title[language.value];
/** The sentence without the machine's name in front, where the name stands beside it already. */
export function sentenceOf(finding: Finding): string {
  const title = titleOf(finding);
  return title.startsWith(`${finding.machine}: `) ? title.slice(finding.machine.length + 2) : title;
}

export function incidentWord(finding: Finding): string {
  return t.value[`incident_${finding.incident}`];
}

const NAME_KEY = "wattwarden.name";
/** The finding whose acknowledgement is being written. */
const asked = signal<Finding | null>(null);

/** Acknowledges in place; asks for a name the first time, and for a comment where `detailed`. */
export function AckButton({ finding, detailed }: { finding: Finding; detailed?: boolean }) {
  const state = useSignal<"idle" | "busy" | "failed">("idle");
  const isOffline = link.value === "offline";
  if (finding.incident !== "open") return null;
  const click = async () => {
    const name = remembered(NAME_KEY);
    if (!name || detailed) {
      asked.value = finding;
      return;
    }
    state.value = "busy";
    try {
      take(await acknowledge(finding.id, name, ""));
      state.value = "idle";
    } catch {
      state.value = "failed";
    }
  };
  return (
    <span class="ack">
      <button type="button" class={detailed ? "primary" : ""} disabled={isOffline || state.value === "busy"} onClick={click}>
        {t.value.acknowledge}
        <span class="hidden"> – {titleOf(finding)}</span>
      </button>
      {isOffline && <span class="reason">{t.value.why_disabled}</span>}
      {state.value === "failed" && !isOffline && (
        <span class="reason bad" role="alert">
          {t.value.not_saved}
        </span>
      )}
    </span>
  );
}

/** The dialog that asks who has seen a finding; one a page. */
export function AckDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const error = useSignal("");
  const finding = asked.value;
  useEffect(() => {
    error.value = "";
    if (finding) dialog.current?.showModal();
    else dialog.current?.close();
  }, [finding]);
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!finding) return;
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const [by, comment] = [String(form.get("by")).trim(), String(form.get("comment")).trim()];
    try {
      take(await acknowledge(finding.id, by, comment));
      remember(NAME_KEY, by);
      asked.value = null;
    } catch (thrown) {
      error.value = thrown instanceof ApiError && thrown.code !== "offline" ? thrown.message : t.value.offline_short;
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="ack-title" onClose={() => (asked.value = null)}>
      <form onSubmit={save}>
        <h2 id="ack-title">{t.value.acknowledge_title}</h2>
        {finding && <p>{titleOf(finding)}</p>}
        <p class="quiet">{t.value.acknowledge_text}</p>
        <label>
          {t.value.your_name}
          <input name="by" required maxLength={80} autocomplete="name" defaultValue={remembered(NAME_KEY) ?? ""} />
        </label>
        <label>
          {t.value.comment}
          <textarea name="comment" rows={3} maxLength={1000} />
        </label>
        {error.value && (
          <p class="bad" role="alert">
            {t.value.not_saved}: {error.value}
          </p>
        )}
        <div class="buttons">
          <button type="button" onClick={() => (asked.value = null)}>
            {t.value.cancel}
          </button>
          <button type="submit" class="primary" disabled={link.value === "offline"}>
            {t.value.acknowledge}
          </button>
        </div>
      </form>
    </dialog>
  );
}

/** A card with its heading. */
export function Card(props: { title: string; id: string; class?: string; children: ComponentChildren }) {
  return (
    <section class={`card ${props.class ?? ""}`} aria-labelledby={props.id}>
      <h2 id={props.id}>{props.title}</h2>
      {props.children}
    </section>
  );
}

/** What stands in a card whose content is not there: the skeleton appears late, so that quick answers do not flicker. */
export function Waiting({ height }: { height: number }) {
  return (
    <div class="skeleton" style={{ height: `${height}px` }} role="status">
      <span class="hidden">{t.value.loading}</span>
    </div>
  );
}

export function Failed({ error, again }: { error: ApiError; again?: () => void }) {
  return (
    <div class="failed" role="alert">
      <p>
        <b>{t.value.failed}</b> <span class="quiet">({error.code})</span>
      </p>
      <p>{error.code === "offline" ? t.value.offline_first : error.message}</p>
      {error.help && <p class="quiet">{error.help}</p>}
      {again && (
        <button type="button" onClick={again}>
          {t.value.retry}
        </button>
      )}
    </div>
  );
}
