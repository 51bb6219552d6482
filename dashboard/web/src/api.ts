// What the page asks of the agent, typed by its contract. It keeps nothing; errors carry the contract's code and help.
import type { components } from "./api.gen";

type Schemas = components["schemas"];
export type Site = Schemas["Site"];
export type Machine = Schemas["Machine"];
export type NowAnswer = Schemas["NowAnswer"];
export type Now = Schemas["Now"];
export type Demand = Schemas["Demand"];
export type Finding = Schemas["Finding"];
export type Findings = Schemas["Findings"];
export type Intervals = Schemas["Intervals"];
export type Evidence = Schemas["Evidence"];
export type Money = Schemas["Money"];
export type Severity = Schemas["Severity"];
export type Kind = Schemas["Kind"];
export type MachineKind = Schemas["MachineKind"];
export type Stretch = Schemas["Stretch"];

/** The agent has answered with an error, or not at all (`code` is "offline"). */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly help: string,
  ) {
    super(message);
  }
}

async function ask<T>(path: string, init?: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`/api/v1/${path}`, init);
  } catch {
    throw new ApiError("offline", "no answer", "");
  }
  const body: unknown = await response.json().catch(() => null);
  if (response.ok && body !== null) return body as T;
  const error = (body as Schemas["Error"] | null)?.error;
  throw new ApiError(error?.code ?? `http_${response.status}`, error?.message ?? response.statusText, error?.help ?? "");
}

const of = (id: string) => `findings/${encodeURIComponent(id)}`;

export const getSite = () => ask<Site>("site");
export const getFindings = (query: string) => ask<Findings>(`findings?${query}`);
export const getFinding = (id: string) => ask<Finding>(of(id));
export const getEvidence = (id: string) => ask<Evidence>(`${of(id)}/evidence`);
export const getIntervals = () => ask<Intervals>("intervals");
export const acknowledge = (id: string, by: string, comment: string) =>
  ask<Finding>(`${of(id)}/acknowledge`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-wattwarden": "1" },
    body: JSON.stringify({ by, comment: comment || null }),
  });
