"""Builds bills.xlsx, lets LibreOffice compute it, compares it with check.py, and writes bills.json.

What it is for: an independent second opinion on monthly bills, in formulas that a person can follow cell by cell.
What it does not do: no arithmetic of a bill happens in this file; it types numbers, places formulas and reads results.
Invariants: every month is one sheet of the same layout; a difference in any item or figure is an error and nothing is written.

Usage: python workbook.py            (needs openpyxl and `libreoffice` on the path)
"""

import datetime as dt
import json
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

from openpyxl import Workbook, load_workbook

import check
import terms
from cases import CASES
from monthsheet import day, month_sheet

HERE = Path(__file__).parent
KST = "+09:00"
ITEMS = ["demand_charge", "energy_light", "energy_mid", "energy_peak", "energy_flat", "weekend_discount", "power_factor_lag",
         "power_factor_lead", "climate", "fuel", "excess_demand", "vat", "fund"]


# --- the sheets that all months share -------------------------------------------------------------------------------------


def write_rows(sheet, rows, top=1):
    for r, row in enumerate(rows, top):
        for c, value in enumerate(row, 1):
            sheet.cell(r, c, value)
    return top + len(rows)


def prices_sheet(book):
    """Row key = tariff and first day of its prices; three times light, mid, peak; then the flat price by season."""
    sheet = book.create_sheet("prices")
    head = ["tariff and edition", "won/kW", *(f"{b} {s}" for s in ("summer", "spring/autumn", "winter") for b in ("light", "mid", "peak")),
            "flat summer", "flat spring/autumn", "flat winter"]
    rows = [head]
    for edition, table in (("2024-10-24", terms.B_2024_10_24 + terms.A2_2024_10_24), ("2026-04-16", terms.B_2026_04_16)):
        rows += [[f"{name} {edition}", demand, *(p for prices in seasons for p in prices)] for name, demand, *seasons in table]
    rows += [[f"{name} 2024-10-24", demand, *[None] * 9, *flat] for name, demand, *flat in terms.A1_2024_10_24]
    write_rows(sheet, rows)


def bands_sheet(book):
    sheet = book.create_sheet("bands")
    rows = [["edition and season", *range(24)]]
    rows += [[f"{edition} {part}", *hours] for (edition, part), hours in terms.BANDS.items()]
    write_rows(sheet, rows)


def rules_sheet(book):
    """Dated rules; each table has its own columns from row 2 on, the first column is the first day."""
    sheet = book.create_sheet("rules")
    write_rows(sheet, [["climate from", "won/kWh", None, "fuel from", "won/kWh", None, "fund from", "share", None,
                        "power factor from", "reference", "lowest", "highest", "opens", "closes", None, "excess from", "multiple"]])
    for column, table in ((1, terms.CLIMATE), (4, terms.FUEL), (7, terms.FUND), (10, terms.POWER_FACTOR), (17, terms.EXCESS)):
        for r, row in enumerate(table, 2):
            for c, value in enumerate(row, column):
                sheet.cell(r, c, day(value) if isinstance(value, str) else value)
    names = [("reform_b", day(terms.REFORM_FROM_B)), ("reform_a2", day(terms.REFORM_FROM_A2)), ("deferred_until", day(terms.DEFERRED_UNTIL)),
             ("discount_share", terms.DISCOUNT["share"]), ("discount_from", terms.DISCOUNT["from_hour"]), ("discount_to", terms.DISCOUNT["to_hour"]),
             ("discount_until", day(terms.DISCOUNT["until"])), ("vat", terms.VAT), ("pf_step_pct", terms.PF_STEP_PCT),
             ("pf_lead_reference", terms.PF_LEAD_REFERENCE), ("pf_lead_lowest", terms.PF_LEAD_LOWEST), ("floor_pct", terms.FLOOR_PCT),
             ("no_use_share", terms.NO_USE_SHARE)]
    for r, (name, value) in enumerate(names, 12):
        sheet.cell(r, 1, name)
        sheet.cell(r, 2, value)
    return {name: f"rules!$B${r}" for r, (name, _) in enumerate(names, 12)}


def calendar_sheet(book):
    sheet = book.create_sheet("calendar")
    end = write_rows(sheet, [["holiday", "name"], *([day(d), name] for d, name in terms.HOLIDAYS)])
    write_rows(sheet, [[], ["working days all the same", ""], *([d, name] for d, name in terms.NOT_HOLIDAYS)], end)
    return f"calendar!$A$2:$A${end - 1}"


def build(path):
    book = Workbook()
    book.remove(book.active)
    prices_sheet(book)
    bands_sheet(book)
    rule, holidays = rules_sheet(book), calendar_sheet(book)
    places = {}
    for number, case in enumerate(CASES, 1):
        earlier = {}
        for month in case["load"]["months"]:
            name = f"{number:02} {month}"
            earlier[month] = (name, month_sheet(book, name, case, month, rule, holidays, earlier))
            places[case["name"], month] = earlier[month]
    book.save(path)
    return places


# --- results --------------------------------------------------------------------------------------------------------------


def recalculate(source, folder):
    command = ["libreoffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", "xlsx:Calc MS Excel 2007 XML",
               "--outdir", str(folder / "out"), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return folder / "out" / source.name


def decimal_of(cell_value):
    """A cell as a decimal: the sheet rounds to 6 places, which a double holds exactly enough below 10^9 won."""
    return Decimal(str(round(cell_value, 6))).normalize()


def plain(value):
    return format(value.normalize(), "f") if value else "0"


def read_month(sheet, a, case, month):
    """The figures and items that stand in one sheet."""
    at = lambda address: sheet[address.replace("$", "")].value
    empty = lambda value: None if value in ("", None) else value
    assert at(a["all_days_grouped"]) == 1, f"{case['name']} {month}: a day is in no group"
    flat, low = "-a1-" in case["contracts"][0]["tariff"], case["contracts"][0]["tariff"].endswith("-low")
    reactive = case["contracts"][0].get("reactive_meter", True)
    absent = {"energy_light", "energy_mid", "energy_peak"} if flat else {"energy_flat"}
    absent |= {"power_factor_lead"} if low or not reactive else set()
    absent |= set() if at(a["exceeds"]) else {"excess_demand"}
    absent |= set() if any(sheet[f"U{r}"].value == 1 and sheet[f"D{r}"].value > 0 for r in a["part"]) else {"weekend_discount"}
    for name in absent:
        assert at(a["item"][name]) == 0, f"{case['name']} {month}: {name} is left out and not 0"
    ratchet = [[sheet[f"{c}{r}"].value for c in "EBC"] for r in a["ratchet_rows"]]
    start = empty(at(a["peak_start"]))
    if isinstance(start, (int, float)):
        start = dt.datetime(1899, 12, 30) + dt.timedelta(minutes=round(start * 1440))
    return {
        "energy_import_kwh": at(a["kwh"]), "peak_demand_kw": at(a["peak"]), "peak_demand_start": start, "counted_demand_kw": at(a["counted"]),
        "billing_demand_kw": at(a["billing"]), "power_factor_lag_pct": empty(at(a["lag"])), "power_factor_lead_pct": empty(at(a["lead"])),
        "energy_by_band_kwh": {n: at(a["band_" + n]) for n in (["flat"] if flat else ["light", "mid", "peak"])},
        "ratchet_known": None if low else {m: kw for m, counts, kw in ratchet if counts and kw is not None},
        "ratchet_unknown": None if low else [m for m, counts, kw in ratchet if counts and kw is None],
        "items": {n: decimal_of(at(a["item"][n])) for n in ITEMS if n not in absent},
        "charge": decimal_of(at(a["charge"])), "total": decimal_of(at(a["total"])),
    }


def differences(sheet, second, where):
    """What the sheet and the second computation do not agree on. Money to the last digit, figures to 1e-9."""
    found = []
    for key in second:
        one, two = sheet[key], second[key]
        if isinstance(two, Decimal) and isinstance(one, (int, float)):
            same = abs(Decimal(repr(one)) - two) <= Decimal("1e-9")
        elif key in ("energy_by_band_kwh", "ratchet_known") and two is not None:
            same = list(one) == list(two) and all(Decimal(repr(one[k])) == v for k, v in two.items())
        elif key == "items":
            same = list(one) == list(two) and all(one[k] == v for k, v in two.items())
        else:
            same = one == two
        if not same:
            found.append(f"{where}: {key}: the workbook has {one}, the second computation {two}")
    return found


def month_json(month, r):
    number = lambda v: None if v is None else int(v) if v == int(v) else v
    marks = ["power_factor_rule: unverified"] if r["unverified"] else []
    marks += ["fuel: assumed"] if r["assumed"] else []
    return {
        "month": month, "energy_import_kwh": number(r["energy_import_kwh"]), "peak_demand_kw": number(r["peak_demand_kw"]),
        "peak_demand_start": r["peak_demand_start"] and r["peak_demand_start"].isoformat() + KST,
        "counted_demand_kw": number(r["counted_demand_kw"]), "billing_demand_kw": number(r["billing_demand_kw"]),
        "power_factor_lag_pct": r["power_factor_lag_pct"], "power_factor_lead_pct": r["power_factor_lead_pct"],
        "energy_by_band_kwh": {k: number(v) for k, v in r["energy_by_band_kwh"].items()},
        "ratchet_known_kw": r["ratchet_known"] and {k: number(v) for k, v in r["ratchet_known"].items()}, "ratchet_unknown": r["ratchet_unknown"],
        "marks": marks, "items": [{"item": n, "amount": plain(v)} for n, v in r["items"].items()],
        "charge": plain(r["charge"]), "total": plain(r["total"]),
    }


def case_json(case, months):
    load = dict(case["load"])
    load["overrides"] = [{**row, "start": row["start"].replace(" ", "T") + ":00" + KST} for row in load["overrides"]]
    return {"name": case["name"], "why": case["why"], "contracts": case["contracts"], "load": load, "months": months}


def compact(value, indent=""):
    """JSON with lists of numbers and small tables on one line each."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent + line) <= 220 or not isinstance(value, (dict, list)):
        return line
    inner = indent + " "
    if isinstance(value, dict):
        rows = [f"{inner}{json.dumps(k, ensure_ascii=False)}: {compact(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + compact(v, inner) for v in value) + f"\n{indent}]"


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        places = build(folder / "bills.xlsx")
        computed = recalculate(folder / "bills.xlsx", folder)
        book = load_workbook(computed, data_only=True)
        wrong, fixture = [], []
        for case in CASES:
            months, seconds = [], check.bills(case)
            for month, second in seconds.items():
                name, a = places[case["name"], month]
                result = read_month(book[name], a, case, month)
                wrong += differences(result, second, f"{case['name']} {month}")
                as_of = day(case["contracts"][0].get("edition", month + "-01"))
                result["unverified"] = as_of < day(terms.POWER_FACTOR_UNVERIFIED_BEFORE)
                result["assumed"] = as_of > day(terms.FUEL_ASSUMED_AFTER)
                months.append(month_json(month, result))
            fixture.append(case_json(case, months))
        if wrong:
            sys.exit("\n".join(wrong) + f"\n{len(wrong)} differences, nothing written")
        (HERE / "bills.xlsx").write_bytes(computed.read_bytes())
        (HERE / "bills.json").write_text(compact(fixture) + "\n", encoding="utf-8")
        print(f"{len(CASES)} cases, {sum(len(c['months']) for c in fixture)} monthly bills: workbook and second computation agree")


if __name__ == "__main__":
    main()
