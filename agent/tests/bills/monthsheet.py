"""One month of one case as a sheet of formulas.

What it is for: days, load, bands, demand, power factor, ratchet and items of one bill, each in cells that a person can follow.
What it does not do: it computes nothing; it types the data of the case and places formulas.
Invariants: all sheets have the same layout and always two parts (contract or edition), the second with zero days if none; days that
are alike are one group, and the sheet itself checks that all days of the month are in a group.
"""

import datetime as dt

from openpyxl.styles import Font
from openpyxl.utils import get_column_letter as letter
from openpyxl.worksheet.formula import ArrayFormula

import check
import terms

BOLD = Font(bold=True)
HOUR_COLUMNS = [letter(4 + hour) for hour in range(24)]  # D .. AA
ROW_SPAN = lambda row: f"$D${row}:$AA${row}"
BLOCK = lambda top, bottom: f"$D${top}:$AA${bottom}"


def day(text):
    return dt.date.fromisoformat(text)


def first_of(month):
    return day(month + "-01")


class Page:
    """A sheet that is filled from top to bottom; `at` is the next free row."""

    def __init__(self, sheet):
        self.sheet, self.at = sheet, 1

    def row(self, *cells):
        """Writes one row and returns its number."""
        for column, value in enumerate(cells, 1):
            if value is not None:
                self.sheet.cell(self.at, column, value)
        self.at += 1
        return self.at - 1

    def title(self, text):
        self.at += 1
        self.sheet.cell(self.at, 1, text).font = BOLD
        self.at += 1

    def value(self, name, formula, array=False):
        """A named value in column B; returns its address."""
        row = self.row(name, formula)
        if array:
            self.sheet[f"B{row}"] = ArrayFormula(f"B{row}", formula)
        return f"$B${row}"

    def hours(self, label, key, formula):
        """One row of 24 cells, formula(column letter, hour)."""
        return self.row(label, key, None, *(formula(c, h) for h, c in enumerate(HOUR_COLUMNS)))


def month_head(page, month):
    a = {}
    page.row(month)
    page.sheet["A1"].font = BOLD
    a["first"] = page.value("first day", first_of(month))
    a["next"] = page.value("first day of next month", f"=EDATE({a['first']},1)")
    a["days"] = page.value("days", f"={a['next']}-{a['first']}")
    m = f"MONTH({a['first']})"
    a["season"] = page.value("season: 0 summer, 1 spring/autumn, 2 winter",
                             f"=IF(AND({m}>=6,{m}<=8),0,IF(OR(AND({m}>=3,{m}<=5),{m}=9,{m}=10),1,2))")
    tests = ",".join(f"{m}={n}" for n in terms.DISCOUNT["months"])
    a["discount_month"] = page.value("month with weekend discount", f"=IF(OR({tests}),1,0)")
    return a


def month_parts(page, month, contracts, a, rule):
    """Two rows: the contract at the start of the month and the one (or the edition) from a later day on; zero days if none."""
    page.title("parts of the month: contract and edition")
    page.row("part", "from", "until (excl.)", "days", "tariff", "contract_kw", "deferred", "area", "edition pinned to", "rules of", "class",
             "no demand meter", "reformed", "price row", "won/kW", "light", "mid", "peak", "flat", "bands row", "discount", "reactive meter")
    for number, (since, c) in enumerate(contracts):
        r = page.at
        until = f"=B{r + 1}" if number == 0 else f"={a['next']}"
        prices = lambda column: f"=N(INDEX(prices!${column}:${column},N{r}))"
        energy = lambda k: f'=IF(K{r}="a1",0,INDEX(prices!$C:$K,N{r},1+3*{a["season"]}+{k}))'
        page.row(
            number + 1, since if since else f"={a['next']}", until, f"=C{r}-B{r}", c["tariff"], c["contract_kw"], int(bool(c.get("deferred"))),
            c.get("area", "mainland"), day(c["edition"]) if "edition" in c else None, f'=IF(I{r}="",B{r},I{r})',
            f'=IF(ISNUMBER(SEARCH("-b-high",E{r})),"b",IF(ISNUMBER(SEARCH("-a2-",E{r})),"a2","a1"))',
            f'=IF(RIGHT(E{r},4)="-low",1,0)',
            f'=IF(K{r}="b",IF(AND(J{r}>={rule["reform_b"]},NOT(AND(G{r}=1,J{r}<={rule["deferred_until"]}))),1,0),'
            f'IF(AND(K{r}="a2",J{r}>={rule["reform_a2"]}),1,0))',
            f'=MATCH(E{r}&IF(AND(K{r}="b",M{r}=1)," 2026-04-16"," 2024-10-24"),prices!$A:$A,0)', prices("B"), energy(0), energy(1), energy(2),
            f'=IF(K{r}="a1",INDEX(prices!$L:$N,N{r},1+{a["season"]}),0)',
            f'=MATCH(IF(K{r}="a1","flat",IF(H{r}="jeju","jeju",IF(M{r}=1,"B","A")))&IF({a["season"]}=2," winter"," other"),bands!$A:$A,0)',
            f'=IF(AND(K{r}="b",M{r}=1,{a["discount_month"]}=1,J{r}<={rule["discount_until"]}),1,0)', int(c.get("reactive_meter", True)))
    a["part"] = [page.at - 2, page.at - 1]


def month_days(page, load, month, a, holidays):
    """The days with their kind for the bill (W work, S Saturday, H Sunday or holiday), load profile and part."""
    page.title("days that take another load profile than their weekday's")
    named = [(d, n) for d, n in sorted(load["dates"].items()) if d.startswith(month)] or [("1900-01-01", "none")]
    top = page.at
    for d, name in named:
        page.row(day(d), name)
    table = f"$A${top}:$B${page.at - 1}"
    page.title("days")
    page.row("day", "weekday", "holiday", "kind", "load profile", "part", "key")
    a["days_top"] = page.at
    week = load["weekdays"]
    for n in range((check.next_month(first_of(month)) - first_of(month)).days):
        r = page.at
        page.row(f"={a['first']}+{n}", f"=WEEKDAY(A{r},2)", f"=COUNTIF({holidays},A{r})", f'=IF(OR(B{r}=7,C{r}>0),"H",IF(B{r}=6,"S","W"))',
                 f'=IFERROR(VLOOKUP(A{r},{table},2,FALSE()),IF(B{r}=7,"{week["sun"]}",IF(B{r}=6,"{week["sat"]}","{week["mon-fri"]}")))',
                 f"=IF(A{r}>=$B${a['part'][1]},2,1)", f'=F{r}&"_"&E{r}&"_"&D{r}')
    a["days_end"] = page.at - 1


def month_profiles(page, load, a):
    page.title("load profiles: kWh and kvarh per quarter hour, by hour of the day")
    page.row("profile", "quantity", None, *range(24))
    a["profile"] = {}
    for name, p in load["profiles"].items():
        for quantity in ("kwh", "lag", "lead"):
            values = p.get(quantity, [0] * 24)
            a["profile"][name, quantity] = page.row(name, quantity, None, *values)
    first = min(a["profile"].values())
    a["profile_names"] = f"$A${first}:$A${page.at - 1}"
    a["profile_block"] = BLOCK(first, page.at - 1)
    page.row("hour", None, None, *range(24))
    a["hour"] = ROW_SPAN(page.at - 1)


def month_overrides(page, load, month, a):
    """Single quarter hours, then the half hours that they touch."""
    page.title("single quarter hours that differ from the profile")
    page.row("start", "kWh", "lag kvarh", "lead kvarh", "day", "hour", "minute", "part", "kind", "key", "band", "discounted", "counts", "half hour", "kW")
    rows = [o for o in load["overrides"] if o["start"].startswith(month)] or [None]
    top, end = page.at, page.at + len(rows) - 1
    a["ov"] = lambda column: f"${column}${top}:${column}${end}"
    days = lambda column: f"${column}${a['days_top']}:${column}${a['days_end']}"
    for o in rows:
        r = page.at
        if o is None:  # a row that no formula counts
            page.row("none", 0, 0, 0, None, -1, 0, 0, "W", "none", "none", 0, 0, "none", 0)
            continue
        find = lambda column: f"=INDEX({days(column)},MATCH(E{r},{days('A')},0))"
        band = f"INDEX(bands!$B:$Y,INDEX($T${a['part'][0]}:$T${a['part'][1]},H{r}),F{r}+1)"
        page.row(o["start"], o["kwh"], o.get("lag", 0), o.get("lead", 0), f"=DATE(LEFT(A{r},4),MID(A{r},6,2),MID(A{r},9,2))",
                 f"=VALUE(MID(A{r},12,2))", f"=VALUE(MID(A{r},15,2))", find("F"), find("D"), find("G"), energy_band(band, f"I{r}"),
                 discount_mask(a, f"H{r}", f"I{r}", f"F{r}"), f'=IF(OR({band}="L",AND({band}<>"F",I{r}="H")),0,1)',
                 f'=LEFT(A{r},14)&IF(G{r}<30,"00","30")', f"=B{r}*4")
    page.title("half hours that hold them (the rest of a half hour is at the profile)")
    page.row("half hour", "single quarter hours", "kWh", "lag kvarh", "lead kvarh", "hour", "key", "lag counts", "lag PF", "lead counts", "lead PF")
    a["hh_rows"] = []
    halves = sorted({o["start"][:14] + ("00" if int(o["start"][14:16]) < 30 else "30") for o in rows if o}) or ["none"]
    a["hh"] = lambda column, t=page.at, e=page.at + len(halves) - 1: f"${column}${t}:${column}${e}"
    for half in halves:
        r = page.at
        if half == "none":
            page.row("none", 0, 0, 0, 0, -1, "none", 0, 0, 0, 0)
            continue
        same = f"({a['ov']('N')}=A{r})"
        base = lambda q: (f"(2-B{r})*SUMPRODUCT(({a['profile_names']}=MID(G{r},3,LEN(G{r})-4))*"
                          f"({a['profile_names'].replace('$A$', '$B$')}=\"{q}\")*INDEX({a['profile_block']},0,F{r}+1))")
        page.row(half, f"=SUMPRODUCT({same}*1)", *(f"=SUMPRODUCT({same}*{a['ov'](c)})+{base(q)}" for c, q in (("B", "kwh"), ("C", "lag"), ("D", "lead"))),
                 f"=VALUE(MID(A{r},12,2))", f"=INDEX({a['ov']('J')},MATCH(A{r},{a['ov']('N')},0))")
        a["hh_rows"].append(r)


def energy_band(band, kind):
    """Sundays and holidays are light, the peak band of a Saturday counts as mid (annex 3); a flat tariff stays flat."""
    return f'=IF({band}="F","F",IF({kind}="H","L",IF(AND({kind}="S",{band}="P"),"M",{band})))'


def discount_mask(a, part, kind, hour):
    rule = a["rule"]
    active = f"INDEX($U${a['part'][0]}:$U${a['part'][1]},{part})"
    return f'=IF(AND({active}=1,{kind}<>"W",{hour}>={rule["discount_from"]},{hour}<{rule["discount_to"]}),1,0)'


def month_groups(page, case, month, a):
    """Groups of days that are alike (part, profile, kind), and one block of 24 columns for each thing that is counted."""
    keys = sorted({group_key(case, month, d) for d in dates_of(month)})
    page.title("groups of days that are alike: part_profile_kind")
    page.row("key", "part", "kind", "profile", "days", "first day")
    days = lambda column: f"${column}${a['days_top']}:${column}${a['days_end']}"
    top = page.at
    for key in keys:
        r = page.at
        page.row(key, f"=VALUE(LEFT(A{r},1))", f"=RIGHT(A{r},1)", f"=MID(A{r},3,LEN(A{r})-4)", f"=SUMPRODUCT(({days('G')}=A{r})*1)",
                 f"=INDEX({days('A')},MATCH(A{r},{days('G')},0))")
    a["all_days_grouped"] = page.value("all days are in a group", f"=IF(SUM(E{top}:E{page.at - 1})={a['days']},1,0)")
    rows = list(range(top, top + len(keys)))
    block = {}

    def add(name, note, formula):
        page.title(f"{note}")
        start = page.at
        for g in rows:
            key = f"=$A${g}"
            page.hours(key, f"=$B${g}", lambda c, h: formula(g, c, h, page.at))
        block[name] = (start, page.at - 1)

    where = lambda name, g, c: f"{c}{block[name][0] + g - top}"
    ov = a["ov"]
    add("n", "quarter hours at the profile", lambda g, c, h, r: f"=4*$E${g}-SUMPRODUCT(({ov('J')}=$A${g})*({ov('F')}={h}))")
    for q in ("kwh", "lag", "lead"):
        add(q, f"{q} of such a quarter hour", lambda g, c, h, r, q=q: f"={c}{a['profile'][profile_of(keys[g - top]), q]}")
    base_band = lambda g, c, h: f"INDEX(bands!$B:$Y,INDEX($T${a['part'][0]}:$T${a['part'][1]},$B${g}),{h + 1})"
    add("band", "band for its energy", lambda g, c, h, r: energy_band(base_band(g, c, h), f"$C${g}"))
    add("disc", "half price", lambda g, c, h, r: discount_mask(a, f"$B${g}", f"$C${g}", h))
    add("counts", "its demand counts for the billing demand",
        lambda g, c, h, r: f'=IF(OR({base_band(g, c, h)}="L",AND({base_band(g, c, h)}<>"F",$C${g}="H")),0,1)')
    a["block"] = {name: BLOCK(*span) for name, span in block.items()}
    a["group_part"] = f"$B${block['n'][0]}:$B${block['n'][1]}"
    month_half_hours(page, a, add, where, block)
    a["block"] = {name: BLOCK(*span) for name, span in block.items()}
    a["where"], a["groups"] = where, rows


def month_half_hours(page, a, add, where, block):
    """Power factor of each half hour (articles 41-43): both halves of an hour are alike except where single quarter hours are."""
    hh, rule = a["hh"], a["rule"]
    find = lambda k: f"INDEX(rules!${k}$2:${k}$3,MATCH($J${a['part'][0]},rules!$J$2:$J$3,1))"
    page.title("power-factor rule of the month")
    pf = {name: page.value(name, "=" + find(k)) for name, k in
          (("reference", "K"), ("lowest", "L"), ("highest", "M"), ("opens", "N"), ("closes", "O"))}
    a["pf"] = pf
    inside = lambda hour: f"AND({hour}>={pf['opens']},{hour}<{pf['closes']})"
    lag_pf = lambda e, q: f"MIN({pf['highest']},MAX({pf['lowest']},100*{e}/SQRT({e}^2+{q}^2)))"
    lead_pf = lambda e, lag, lead: f"IF({lead}<={lag},100,MAX({rule['pf_lead_lowest']},100*{e}/SQRT({e}^2+{lead}^2)))"
    e_lag_lead = lambda g, c: (where("kwh", g, c), where("lag", g, c), where("lead", g, c))
    some = lambda g, c: "+".join(e_lag_lead(g, c)) + ">0"
    add("nh", "half hours at the profile", lambda g, c, h, r: f"=2*$E${g}-SUMPRODUCT(({hh('G')}=$A${g})*({hh('F')}={h}))")
    add("lag_in", "lagging counts", lambda g, c, h, r: f"=IF(AND({some(g, c)},{inside(h)}),1,0)")
    add("lag_pf", "lagging power factor in %", lambda g, c, h, r: f"=IF({where('lag_in', g, c)}=1,{lag_pf(*e_lag_lead(g, c)[:2])},0)")
    add("lead_in", "leading counts", lambda g, c, h, r: f"=IF(AND({some(g, c)},NOT({inside(h)})),1,0)")
    add("lead_pf", "leading power factor in %", lambda g, c, h, r: f"=IF({where('lead_in', g, c)}=1,{lead_pf(*e_lag_lead(g, c))},0)")
    for r in a["hh_rows"]:
        page.sheet[f"H{r}"] = f"=IF(AND(C{r}+D{r}+E{r}>0,{inside(f'F{r}')}),1,0)"
        page.sheet[f"I{r}"] = f"=IF(H{r}=1,{lag_pf(f'C{r}', f'D{r}')},0)"
        page.sheet[f"J{r}"] = f"=IF(AND(C{r}+D{r}+E{r}>0,NOT({inside(f'F{r}')})),1,0)"
        page.sheet[f"K{r}"] = f"=IF(J{r}=1,{lead_pf(f'C{r}', f'D{r}', f'E{r}')},0)"


def dates_of(month):
    first = first_of(month)
    return [first + dt.timedelta(n) for n in range((check.next_month(first) - first).days)]


def profile_of(key):
    return key[2:-2]


def second_part(case, month):
    """First day of the second part of a month: a new contract, or the reform of (을) or (갑)Ⅱ in mid-month."""
    first, stop = first_of(month), check.next_month(first_of(month))
    inside = [day(c["from"]) for c in case["contracts"] if first < day(c["from"]) < stop]
    held = [c for c in case["contracts"] if day(c["from"]) <= first][-1]
    if "-b-high" in held["tariff"] and first < day(terms.REFORM_FROM_B) < stop:
        inside.append(day(terms.REFORM_FROM_B))
    assert len(inside) <= 1, "a sheet holds two parts"
    return inside[0] if inside else None


def group_key(case, month, on):
    """Only names the groups that occur; the sheet counts their days itself and says whether all days were counted."""
    load, split = case["load"], second_part(case, month)
    kind = "H" if on.weekday() == 6 or on.isoformat() in dict(terms.HOLIDAYS) else "S" if on.weekday() == 5 else "W"
    week = ["mon-fri"] * 5 + ["sat", "sun"]
    name = load["dates"].get(on.isoformat(), load["weekdays"][week[on.weekday()]])
    return f"{2 if split and on >= split else 1}_{name}_{kind}"


def month_figures(page, case, month, a, earlier):
    """Energy by part, band and price; demand; ratchet; power factor."""
    b, ov = a["block"], a["ov"]
    page.title("energy in kWh by part and band, full price and half price apart; each rounded half up")
    page.row("band", "part", "kWh full", "kWh half price", "billed kWh full", "billed kWh half price", "won/kWh", "won", "won off")
    a["energy"] = {}
    for code, column in (("L", "P"), ("M", "Q"), ("P", "R"), ("F", "S")):
        for part in (1, 2):
            r = page.at
            kwh = lambda d: (f'=SUMPRODUCT(({a["group_part"]}={part})*({b["band"]}="{code}")*({b["disc"]}={d})*{b["n"]}*{b["kwh"]})'
                             f'+SUMPRODUCT(({ov("H")}={part})*({ov("K")}="{code}")*({ov("L")}={d})*{ov("B")})')
            page.row(code, part, kwh(0), kwh(1), f"=ROUND(C{r},0)", f"=ROUND(D{r},0)", f"={column}{a['part'][part - 1]}",
                     f"=ROUND((E{r}+F{r})*G{r},6)", f"=-ROUND(F{r}*G{r}*{a['rule']['discount_share']},6)")
            a["energy"][code, part] = r
    top, end = a["energy"]["L", 1], a["energy"]["F", 2]
    span = lambda column: f"{column}{top}:{column}{end}"
    page.title("figures")
    a["kwh"] = page.value("energy_import_kwh", f"=SUM({span('C')})+SUM({span('D')})")
    a["billed_kwh"] = page.value("billed kWh", f"=SUM({span('E')})+SUM({span('F')})")
    for code, name in (("L", "light"), ("M", "mid"), ("P", "peak"), ("F", "flat")):
        rows = [a["energy"][code, p] for p in (1, 2)]
        a["band_" + name] = page.value(f"energy {name} kWh", "=" + "+".join(f"C{r}+D{r}" for r in rows))
    live = f"({b['n']}>0)*4*{b['kwh']}"
    a["peak"] = page.value("peak_demand_kw (any hour)", f"=MAX(SUMPRODUCT(MAX({live})),SUMPRODUCT(MAX({ov('O')})))")
    a["counted"] = page.value("counted_demand_kw (mid and peak, or all hours of a flat price)",
                              f"=MAX(SUMPRODUCT(MAX({live}*{b['counts']})),SUMPRODUCT(MAX({ov('O')}*{ov('M')})))")
    first_days = f"$F${a['groups'][0]}:$F${a['groups'][-1]}"
    a["peak_base"] = page.value("first such quarter hour at the profile",
                                f"=MIN(IF(({b['n']}>0)*(4*{b['kwh']}={a['peak']}),{first_days}+{a['hour']}/24,99999))", array=True)
    a["peak_single"] = page.value("first such single quarter hour",
                                  f"=MIN(IF({ov('O')}={a['peak']},{ov('E')}+{ov('F')}/24+{ov('G')}/1440,99999))", array=True)
    a["peak_start"] = page.value("peak_demand_start", f'=IF({a["peak"]}=0,"",MIN({a["peak_base"]},{a["peak_single"]}))')
    month_ratchet(page, case, month, a, earlier)
    month_power_factor(page, a)


def month_ratchet(page, case, month, a, earlier):
    """Article 68: the largest maximum of Dec, Jan, Feb, Jul, Aug, Sep and this month within 12 months."""
    page.title("ratchet: months, whether they count, their maximum if known")
    given = {k: v for c in case["contracts"] for k, v in c.get("earlier_peaks", {}).items()}
    top = page.at
    for back in range(11, -1, -1):
        r = page.at
        at = first_of(month)
        number = at.year * 12 + at.month - 1 - back
        name = f"{number // 12}-{number % 12 + 1:02}"
        peak = f"={a['counted']}" if back == 0 else f"={earlier[name]}" if name in earlier else given.get(name)
        tests = ",".join(f"MONTH(A{r})={n}" for n in terms.RATCHET_MONTHS)
        page.row(f"=EDATE({a['first']},-{back})", f"=IF(OR({tests},{back}=0),1,0)", peak, f"=IF(AND(B{r}=1,ISNUMBER(C{r})),C{r},0)", name)
    a["ratchet_rows"] = range(top, page.at)
    a["ratchet"] = page.value("largest known", f"=MAX(D{top}:D{page.at - 1})")
    p1, p2 = a["part"]
    last = f"INDEX($F${p1}:$F${p2},IF(D{p2}>0,2,1))"
    a["last_contract"] = page.value("contract at the end of the month", "=" + last)
    floor = a["rule"]["floor_pct"]
    a["billing"] = page.value("billing_demand_kw (as measured)",
                              f"=IF(L{p1}=1,{a['last_contract']},MAX({a['ratchet']},{a['last_contract']}*{floor}/100))")
    a["billed_kw"] = [page.value(f"billed kW, part {n}", f"=IF(L{p}=1,F{p},MAX(ROUND({a['ratchet']},0),ROUND(F{p}*{floor}/100,0)))")
                      for n, p in enumerate(a["part"], 1)]


def month_power_factor(page, a):
    page.title("power factor of the month in %")
    b, hh, pf, p = a["block"], a["hh"], a["pf"], a["part"][0]
    mean = lambda k, flag, value: (f"(SUMPRODUCT({b['nh']}*{b[k + '_in']}*{b[k + '_pf']})+SUMPRODUCT({hh(flag)}*{hh(value)}))"
                                   f"/(SUMPRODUCT({b['nh']}*{b[k + '_in']})+SUMPRODUCT({hh(flag)}*1))")
    lag_sum = f"(SUMPRODUCT({b['n']}*{b['lag']})+SUM({a['ov']('C')}))"
    sums = f"MIN({pf['highest']},MAX({pf['lowest']},100*{a['kwh']}/SQRT({a['kwh']}^2+{lag_sum}^2)))"
    none = f"OR({a['kwh']}=0,V{p}=0)"
    a["lag"] = page.value("power_factor_lag_pct", f'=IF({none},"",IF(L{p}=1,{sums},{mean("lag", "H", "I")}))')
    a["lead"] = page.value("power_factor_lead_pct", f'=IF(OR({none},L{p}=1),"",{mean("lead", "J", "K")})')
    steps = f"{pf['reference']}-ROUND({a['lag']},0)"
    a["lag_steps"] = page.value("steps below (+) or above (-) the reference", f'=IF({a["lag"]}="",0,{steps})')
    a["lead_steps"] = page.value("steps below 95 %", f'=IF({a["lead"]}="",0,MAX(0,{a["rule"]["pf_lead_reference"]}-ROUND({a["lead"]},0)))')


def month_items(page, a, before):
    """The bill. `before` holds the addresses of what happened in earlier months of the load."""
    p1, p2 = a["part"]
    rule = a["rule"]
    never = before or {"pf_ever": "0", "excess_ever": "0"}
    page.title("what was before")
    pf_before = page.value("a power-factor surcharge before this month", f"={never['pf_ever']}")
    a["pf_ever"] = page.value("… with this month", f"=IF(OR({pf_before}=1,{a['lag_steps']}>0,{a['lead_steps']}>0),1,0)")
    excess_before = page.value("an excess over the contract before this month", f"={never['excess_ever']}")
    over = page.value("excess kW of any hour", f"=MAX(0,ROUND({a['peak']},0)-{a['last_contract']})")
    raised = page.value("contract raised in this month", f"=IF(AND(D{p2}>0,F{p2}>F{p1}),1,0)")
    exceeds = page.value("excess applies", f"=IF(AND({over}>0,{raised}=0,L{p1}=0),1,0)")
    a["exceeds"] = exceeds
    a["excess_ever"] = page.value("… with this month", f"=IF(OR({excess_before}=1,{exceeds}=1),1,0)")
    multiple = page.value("multiple of the demand price", f"=VLOOKUP({over}/{a['last_contract']},rules!$Q$2:$R$7,2,TRUE())")
    page.title("items in won")
    kw1, kw2 = a["billed_kw"]
    half = f"IF(AND(L{p1}=1,{a['kwh']}=0),{rule['no_use_share']},1)"
    item = {}
    put = lambda name, formula: item.__setitem__(name, page.value(name, f"=ROUND({formula},6)"))
    put("demand_charge", f"({kw1}*O{p1}*D{p1}+{kw2}*O{p2}*D{p2})/{a['days']}*{half}")
    for code, name in (("L", "light"), ("M", "mid"), ("P", "peak"), ("F", "flat")):
        put("energy_" + name, "+".join(f"H{a['energy'][code, p]}" for p in (1, 2)))
    put("weekend_discount", f"SUM(I{a['energy']['L', 1]}:I{a['energy']['F', 2]})")
    of_demand = lambda steps: f"{item['demand_charge']}*{steps}*{rule['pf_step_pct']}/100"
    put("power_factor_lag", f"IF(OR({a['lag_steps']}<0,{pf_before}=1),{of_demand(a['lag_steps'])},0)")
    put("power_factor_lead", f"IF({pf_before}=1,{of_demand(a['lead_steps'])},0)")
    dated = lambda column, rows: f"VLOOKUP($J${p1},rules!${column}$2:${chr(ord(column) + 1)}${1 + rows},2,TRUE())"
    put("climate", f"{a['billed_kwh']}*{dated('A', len(terms.CLIMATE))}")
    put("fuel", f"{a['billed_kwh']}*{dated('D', len(terms.FUEL))}")
    put("excess_demand", f"IF(AND({exceeds}=1,{excess_before}=1),{over}*INDEX($O${p1}:$O${p2},IF(D{p2}>0,2,1))*{multiple},0)")
    a["charge"] = page.value("charge", f"=ROUND({'+'.join(item.values())},6)")
    put("vat", f"ROUND(ROUND({a['charge']}*{rule['vat']},6),0)")
    put("fund", f"10*INT(ROUND({a['charge']}*{dated('G', len(terms.FUND))}/10,6))")
    a["total"] = page.value("total", f"=10*INT(ROUND(({a['charge']}+{item['vat']}+{item['fund']})/10,6))")
    a["item"] = item


def month_sheet(book, name, case, month, rule, holidays, earlier):
    """Places one month; `earlier` = addresses in the sheets of the months before it, by month."""
    page = Page(book.create_sheet(name))
    a = month_head(page, month)
    a["rule"] = rule
    held = [c for c in case["contracts"] if day(c["from"]) <= first_of(month)][-1]
    split = second_part(case, month)
    later = [c for c in case["contracts"] if split and day(c["from"]) <= split][-1:] or [held]
    month_parts(page, month, [(first_of(month), held), (split, later[0])], a, rule)
    month_days(page, case["load"], month, a, holidays)
    month_profiles(page, case["load"], a)
    month_overrides(page, case["load"], month, a)
    month_groups(page, case, month, a)
    month_figures(page, case, month, a, {m: f"'{s}'!{x['counted']}" for m, (s, x) in earlier.items()})
    before = None
    if earlier:
        s, x = list(earlier.values())[-1]
        before = {k: f"'{s}'!{x[k]}" for k in ("pf_ever", "excess_ever")}
    month_items(page, a, before)
    page.sheet.column_dimensions["A"].width = 34
    page.sheet.freeze_panes = "B2"
    return a
