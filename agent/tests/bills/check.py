"""The same bills a second time: plain decimal arithmetic over the expanded quarter hours.

What it is for: catches a wrong formula in the workbook. It shares the typed numbers of `terms` with the workbook and nothing else.
What it does not do: it does not write anything and knows nothing of cells.
Invariant: no binary fraction enters a sum of money; every typed number is taken by its decimal digits.
"""

import datetime as dt
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, getcontext

import terms

getcontext().prec = 50
D = lambda number: Decimal(str(number))
WORDS = {"L": "light", "M": "mid", "P": "peak", "F": "flat"}


def half_up(value):
    return value.quantize(Decimal(1), ROUND_HALF_UP)


def truncated_to_ten(value):
    return (value / 10).quantize(Decimal(1), ROUND_DOWN) * 10


def day(text):
    return dt.date.fromisoformat(text)


def next_month(first):
    return (first.replace(day=28) + dt.timedelta(4)).replace(day=1)


def quarter_hours(load, month):
    """(start, kWh, lagging kvarh, leading kvarh) of each quarter hour of the month."""
    overrides = {dt.datetime.fromisoformat(row["start"]): row for row in load["overrides"]}
    start, rows = dt.datetime.combine(day(month + "-01"), dt.time()), []
    while start.strftime("%Y-%m") == month:
        week = ["mon-fri"] * 5 + ["sat", "sun"]
        name = load["dates"].get(start.date().isoformat()) or load["weekdays"][week[start.weekday()]]
        row = overrides.get(start)
        hourly = load["profiles"][name]
        values = [row[q] if row else hourly[q][start.hour] for q in ("kwh", "lag", "lead") if q in hourly]
        rows.append((start, *map(D, values + [0] * (3 - len(values)))))
        start += dt.timedelta(minutes=15)
    return rows


def latest(table, when):
    return [row for row in table if day(row[0]) <= when][-1]


def season(month):
    return 0 if month in (6, 7, 8) else 1 if month in (3, 4, 5, 9, 10) else 2


def rules(contract, when):
    """What the contract means on a day: prices, bands, discount."""
    as_of = day(contract.get("edition") or when.isoformat())
    name = contract["tariff"]
    reformed = False
    if "-b-high" in name:
        deferred = contract.get("deferred") and as_of <= day(terms.DEFERRED_UNTIL)
        reformed = as_of >= day(terms.REFORM_FROM_B) and not deferred
        row = next(r for r in (terms.B_2026_04_16 if reformed else terms.B_2024_10_24) if r[0] == name)
        prices = dict(zip("LMP", map(D, row[2 + season(when.month)])))
    elif "-a2-" in name:
        reformed = as_of >= day(terms.REFORM_FROM_A2)
        row = next(r for r in terms.A2_2024_10_24 if r[0] == name)
        prices = dict(zip("LMP", map(D, row[2 + season(when.month)])))
    else:
        row = next(r for r in terms.A1_2024_10_24 if r[0] == name)
        prices = {"F": D(row[2 + season(when.month)])}
    discount = "-b-high" in name and reformed and when.month in terms.DISCOUNT["months"] and as_of <= day(terms.DISCOUNT["until"])
    return {"as_of": as_of, "demand": D(row[1]), "prices": prices, "reformed": reformed, "discount": discount,
            "flat": "F" in prices, "jeju": contract.get("area") == "jeju"}


def band(rule, start):
    """Band of a quarter hour for its energy, and whether its demand counts."""
    if rule["flat"]:
        return "F", True
    hour, winter = start.hour, season(start.month) == 2
    holiday = start.weekday() == 6 or start.date().isoformat() in {d for d, _ in terms.HOLIDAYS}
    if holiday or hour >= 22 or hour < 8:
        return "L", False
    if rule["jeju"]:
        peak = hour >= 16
    elif winter:
        peak = 9 <= hour < 12 or 16 <= hour < 19
    elif rule["reformed"]:
        peak = 15 <= hour < 21
    else:
        peak = hour == 11 or 13 <= hour < 18
    return ("P" if peak and start.weekday() != 5 else "M"), True


def discounted(rule, start):
    off = start.weekday() >= 5 or start.date().isoformat() in {d for d, _ in terms.HOLIDAYS}
    return bool(rule["discount"]) and off and terms.DISCOUNT["from_hour"] <= start.hour < terms.DISCOUNT["to_hour"]


def ratio_pct(kwh, kvarh):
    return 100 * kwh / (kwh * kwh + kvarh * kvarh).sqrt()


def power_factors(rows, first_rule, low_voltage, metered):
    """Lagging and leading power factor of the month in percent, None where there is none."""
    _, _, lowest, highest, opens, closes = first_rule
    if not metered or not any(r[1] for r in rows):
        return None, None
    clamp = lambda pct: min(max(pct, D(lowest)), D(highest))
    if low_voltage:
        return clamp(ratio_pct(sum(r[1] for r in rows), sum(r[2] for r in rows))), None
    lag, lead = [], []
    for a, b in zip(rows[::2], rows[1::2]):
        start, kwh, lagging, leading = a[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]
        if not (kwh or lagging or leading):
            continue
        if opens <= start.hour < closes:
            assert kwh or lagging, "a reading that is left open"
            lag.append(clamp(ratio_pct(kwh, lagging)))
        elif leading <= lagging:
            assert kwh, "a reading that is left open"
            lead.append(D(100))
        else:
            lead.append(max(ratio_pct(kwh, leading), D(terms.PF_LEAD_LOWEST)))
    mean = lambda values: sum(values) / len(values)
    return mean(lag), mean(lead)


def bill(case, month, past):
    """One month's figures and items. `past` = {"peaks": {month: kW}, "pf_surcharge": bool, "excess": bool} and is updated."""
    first = day(month + "-01")
    stop = next_month(first)
    days = (stop - first).days
    begun = [c for c in case["contracts"] if day(c["from"]) <= first][-1:]
    parts = [(first, begun[0])] + [(day(c["from"]), c) for c in case["contracts"] if first < day(c["from"]) < stop]
    contract, last = parts[0][1], parts[-1][1]
    low = contract["tariff"].endswith("-low")
    rows = quarter_hours(case["load"], month)

    # Energy by (part and edition, band, discounted).
    kwh, by_band, counted, peak = {}, {}, D(0), (D(0), None)
    for start, energy, _, _ in rows:
        held = [c for since, c in parts if since <= start.date()][-1]
        rule = rules(held, start.date())
        letter, counts = band(rule, start)
        key = (held["from"], rule["reformed"], rule["prices"][letter], letter, discounted(rule, start))
        kwh[key] = kwh.get(key, D(0)) + energy
        by_band[letter] = by_band.get(letter, D(0)) + energy
        peak = (energy * 4, start) if energy * 4 > peak[0] else peak
        counted = max(counted, energy * 4) if counts else counted
    total_kwh = sum(by_band.values())
    whole = {key: half_up(value) for key, value in kwh.items()}

    # Billing demand.
    window = [((first.year * 12 + first.month - 1 - back) // 12, (first.year * 12 + first.month - 1 - back) % 12 + 1) for back in range(11, -1, -1)]
    names = [f"{y}-{m:02}" for y, m in window if m in terms.RATCHET_MONTHS or f"{y}-{m:02}" == month]
    past["peaks"].update({k: D(v) for c in case["contracts"] for k, v in c.get("earlier_peaks", {}).items()})
    past["peaks"][month] = counted
    known = {n: past["peaks"][n] for n in names if n in past["peaks"]}
    ratchet = max(known.values())
    floor = lambda c: D(c["contract_kw"]) * terms.FLOOR_PCT / 100
    billing = D(last["contract_kw"]) if low else max(ratchet, floor(last))
    demand_charge = D(0)
    for d in range(days):
        on = first + dt.timedelta(d)
        held = [c for since, c in parts if since <= on][-1]
        kw = D(held["contract_kw"]) if low else max(half_up(ratchet), half_up(floor(held)))
        demand_charge += kw * rules(held, on)["demand"]
    demand_charge /= days
    if low and not total_kwh:
        demand_charge *= D(terms.NO_USE_SHARE)

    # Power factor.
    as_of = rules(contract, first)["as_of"]
    pf_rule = latest(terms.POWER_FACTOR, as_of)
    lag, lead = power_factors(rows, pf_rule, low, contract.get("reactive_meter", True))
    lag_steps = pf_rule[1] - half_up(lag) if lag is not None else D(0)
    lead_steps = max(terms.PF_LEAD_REFERENCE - half_up(lead), D(0)) if lead is not None else D(0)
    of_demand = lambda steps: demand_charge * steps * D(terms.PF_STEP_PCT) / 100
    noticed, surcharged = past["pf_surcharge"], lag_steps > 0 or lead_steps > 0
    past["pf_surcharge"] |= surcharged

    # Excess over the contract.
    excess = half_up(peak[0]) - D(last["contract_kw"])
    raised = len(parts) > 1 and last["contract_kw"] > contract["contract_kw"]
    exceeds = excess > 0 and not low and not raised
    multiple = [m for share, m in terms.EXCESS if excess / D(last["contract_kw"]) >= D(share)][-1] if exceeds else 0
    excess_charge = excess * rules(last, first)["demand"] * D(multiple) if past["excess"] else D(0)
    past["excess"] |= exceeds

    items = {"demand_charge": demand_charge}
    for letter in "F" if rules(contract, first)["flat"] else "LMP":
        items["energy_" + WORDS[letter]] = sum((q * k[2] for k, q in whole.items() if k[3] == letter), D(0))
    if any(rules(c, on)["discount"] for c in (contract, last) for on in (first, stop - dt.timedelta(1))):
        items["weekend_discount"] = -sum((q * k[2] * D(terms.DISCOUNT["share"]) for k, q in whole.items() if k[4]), D(0))
    items["power_factor_lag"] = of_demand(lag_steps) if lag_steps < 0 or noticed else D(0)
    if not low and contract.get("reactive_meter", True):
        items["power_factor_lead"] = of_demand(lead_steps) if noticed else D(0)
    items["climate"] = sum(whole.values()) * D(latest(terms.CLIMATE, as_of)[1])
    items["fuel"] = sum(whole.values()) * D(latest(terms.FUEL, as_of)[1])
    if exceeds:
        items["excess_demand"] = excess_charge
    charge = sum(items.values())
    items["vat"] = half_up(charge * D(terms.VAT))
    items["fund"] = truncated_to_ten(charge * D(latest(terms.FUND, as_of)[1]))
    total = truncated_to_ten(charge + items["vat"] + items["fund"])
    return {
        "energy_import_kwh": total_kwh, "peak_demand_kw": peak[0], "peak_demand_start": peak[1], "counted_demand_kw": counted,
        "billing_demand_kw": billing, "power_factor_lag_pct": lag, "power_factor_lead_pct": lead,
        "energy_by_band_kwh": {WORDS[k]: by_band.get(k, D(0)) for k in ("F" if "F" in by_band else "LMP")},
        "ratchet_known": None if low else known, "ratchet_unknown": None if low else [n for n in names if n not in known],
        "items": items, "charge": charge, "total": total,
    }


def bills(case):
    past = {"peaks": {}, "pf_surcharge": False, "excess": False}
    return {month: bill(case, month, past) for month in case["load"]["months"]}
