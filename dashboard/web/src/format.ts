// How numbers, money, times and durations are written in Korean and English. Pure: language, zone and value in, text
// out. What is not known is "—", never 0.
import type { Money } from "./api";

export type Language = "ko" | "en";
export const UNKNOWN = "—";

const numbers = new Map<number, Intl.NumberFormat>();

/** `1,234.5` with exactly `places` decimals; grouping is the same in both languages. */
export function number(value: number, places = 0): string {
  let format = numbers.get(places);
  if (!format) {
    format = new Intl.NumberFormat("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
    numbers.set(places, format);
  }
  // No "-0": a reader would look for a sign that means nothing.
  return format.format(value).replace(/^-(?=0(\.0+)?$)/, "");
}

/** Three significant places where that is honest: 9.63, 41.2, 412, 2,184. */
const places = (value: number) => (Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);

/** Power as a meter reader says it: one decimal below 1,000 kW, none above. */
export function kw(value: number | null | undefined): string {
  return value == null ? UNKNOWN : number(value, Math.abs(value) >= 1000 ? 0 : 1);
}

/** At most two decimals, none for nothing: 240, 1.5, 9.63. Limits and settings are written so. */
export function short(value: number): string {
  return number(value, 2).replace(/\.?0+$/, "");
}

/** Energy, about three significant places. */
export function kwh(value: number | null | undefined): string {
  return value == null ? UNKNOWN : value === 0 ? "0" : number(value, places(value));
}

/** Emissions with the unit that keeps the number readable. */
export function carbon(kg: number | null | undefined): string {
  if (kg == null) return `${UNKNOWN} kgCO₂e`;
  return Math.abs(kg) >= 1000 ? `${number(kg / 1000, places(kg / 1000))} tCO₂e` : `${number(kg, places(kg))} kgCO₂e`;
}

export function percent(share: number | null | undefined, digits = 1): string {
  return share == null ? UNKNOWN : `${number(share * 100, digits)} %`;
}

/** A coverage: rounded down, so that what is not whole never reads as 100 %. */
export function percentSeen(share: number | null | undefined): string {
  return share == null ? UNKNOWN : percent(Math.floor(share * 1000 + 1e-7) / 1000);
}

/** Money for a glance: 41.2만 원, 1,180만 원, 2.5억 원; ₩412k, ₩11.8M. */
export function money(value: Money | null | undefined, language: Language): string {
  if (value == null) return UNKNOWN;
  const { amount, currency } = value;
  if (currency !== "KRW") return `${number(amount, 2)} ${currency}`;
  return language === "ko" ? won(amount) : wonInEnglish(amount);
}

function won(amount: number): string {
  const size = Math.abs(amount);
  if (size >= 99_999_500) return `${trimmed(amount / 1e8, size >= 1e10 ? 0 : 2)}억 원`;
  // Below 1억 nobody counts single won; from 1,000만 on no decimals either.
  if (size >= 9_999.5) return `${trimmed(amount / 1e4, size >= 1e7 ? 0 : 1)}만 원`;
  return `${number(amount)}원`;
}

function wonInEnglish(amount: number): string {
  const sign = amount < 0 ? "-" : "";
  const size = Math.abs(amount);
  if (size >= 999_500) return `${sign}₩${trimmed(size / 1e6, size >= 1e8 ? 0 : 1)}M`;
  if (size >= 9_999.5) return `${sign}₩${number(size / 1e3)}k`;
  return `${sign}₩${number(size)}`;
}

const trimmed = (value: number, places: number) => number(value, places).replace(/\.0+$/, "");

/** Money to the last unit, for tables. */
export function exactMoney(value: Money | null | undefined, language: Language): string {
  if (value == null) return UNKNOWN;
  const places = Number.isInteger(value.amount) ? 0 : 2;
  if (value.currency !== "KRW") return `${number(value.amount, places)} ${value.currency}`;
  return language === "ko" ? `${number(value.amount, places)}원` : `₩${number(value.amount, places)}`;
}

/** `2시간 5분`, `2 h 5 min`; the two largest parts. */
export function duration(seconds: number, language: Language): string {
  const names = language === "ko" ? ["일", "시간", "분", "초"] : [" d", " h", " min", " s"];
  const whole = Math.max(0, Math.round(seconds));
  const sizes = [86_400, 3600, 60, 1];
  const first = sizes.findIndex((size) => whole >= size);
  if (first < 0) return `0${names[3]}`;
  const parts = [first, first + 1].flatMap((index) => {
    const size = sizes[index];
    if (size === undefined) return [];
    const rest = index === first ? whole : whole % (sizes[first] ?? 1);
    const count = Math.floor(rest / size);
    // Seconds beside minutes only while there are few of them.
    const isNoise = size === 1 && whole >= 600;
    return (count === 0 && index !== first) || isNoise ? [] : [`${count}${names[index]}`];
  });
  return parts.join(" ");
}

type Part = "year" | "month" | "day" | "weekday" | "hour" | "minute" | "second";
const clocks = new Map<string, Intl.DateTimeFormat>();

/** Calendar parts of an instant in the site's zone, whatever the browser's own zone and habits are. */
function parts(at: number, zone: string, language: Language): Record<Part, string> {
  const key = `${zone} ${language}`;
  let format = clocks.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(language === "ko" ? "ko-KR" : "en-GB", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: language === "ko" ? "numeric" : "short",
      day: "numeric",
      weekday: "short",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    clocks.set(key, format);
  }
  const found = {} as Record<Part, string>;
  // Sunday and Monday are called by the very words that stand behind a day and a month.
  for (const { type, value } of format.formatToParts(at)) found[type as Part] = type === "weekday" ? value : value.replace(/[.월일년]/g, "");
  return found;
}

/** `14:32`. */
export function clock(at: number, zone: string): string {
  const { hour, minute } = parts(at, zone, "en");
  return `${hour}:${minute}`;
}

/** `14:32:05`. */
export function clockSeconds(at: number, zone: string): string {
  return `${clock(at, zone)}:${parts(at, zone, "en").second}`;
}

/** `8. 28. (금)`, `Fri 28 Aug`. */
export function day(at: number, zone: string, language: Language): string {
  const { month, day, weekday } = parts(at, zone, language);
  return language === "ko" ? `${month}. ${day}. (${weekday})` : `${weekday} ${day} ${month}`;
}

/** `8. 28. (금) 14:32`. */
export function instant(at: number, zone: string, language: Language): string {
  return `${day(at, zone, language)} ${clock(at, zone)}`;
}
