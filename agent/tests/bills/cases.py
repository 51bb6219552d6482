"""The cases: contracts and loads, as data.

What it is for: says for each bill what the customer has signed and what was used in each quarter hour.
What it does not do: no prices, no arithmetic of a bill.
Invariants: every kWh and kvarh is a multiple of 1/8, so binary and decimal sums are the same to the last digit; the load
covers whole months; all instants are Korean time.
"""


def h(base, *spans):
    """24 hourly values: `base`, then each (from hour, to hour, value)."""
    hours = [base] * 24
    for start, stop, value in spans:
        hours[start:stop] = [value] * (stop - start)
    return hours


def profile(kwh, lag, lead=None):
    return {"kwh": kwh, "lag": lag, "lead": lead or h(0)}


def load(months, profiles, overrides=(), **dates):
    """The usual week is work, saturday, rest; `dates` names days that take another profile ("work" = list of days)."""
    return {
        "months": months,
        "profiles": profiles,
        "weekdays": {"mon-fri": "work", "sat": "saturday", "sun": "rest"},
        "dates": {day: name for name, days in dates.items() for day in days},
        "overrides": [dict(zip(("start", "kwh", "lag", "lead"), row)) for row in overrides],
    }


REST = profile(h(18.125, (8, 18, 22.75)), h(7.5, (8, 18, 9.125)), h(0))
CASES = []


def case(name, why, contracts, loaded):
    CASES.append({"name": name, "why": why, "contracts": contracts, "load": loaded})


case(
    "winter-ratchet-month", "January with the power-factor rule before 2025-02-01 (90 %, 60-95, 09-23 h, unverified) and the fund of 3.2 %; Seollal; "
    "an ad-hoc day that is a working day; a Sunday peak that does not count for the billing demand; earlier peaks outside the "
    "window and outside the ratchet months; February with the new rule (92 %, 60-97, 08-22 h)",
    [{"from": "2025-01-01", "tariff": "kepco-industrial-b-high-a-2", "contract_kw": 850,
      "earlier_peaks": {"2024-01": 842.0, "2024-05": 830.0, "2024-08": 655.5, "2024-12": 701.25}}],
    load(["2025-01", "2025-02"], {
        "work": profile(h(20.375, (7, 8, 60.125), (8, 12, 150.625), (12, 13, 96.25), (13, 18, 160.5), (18, 22, 84.875)),
                        h(9, (7, 9, 58.5), (9, 12, 60.125), (12, 13, 41), (13, 18, 62.25), (18, 22, 31.5), (22, 23, 2))),
        "saturday": profile(h(20.375, (8, 13, 98.625), (13, 16, 40.25)), h(9, (8, 9, 60), (9, 13, 40.5), (13, 16, 14.125))),
        "rest": REST},
        [("2025-01-15 10:15", 178.375, 71.5, 0), ("2025-01-19 10:00", 190.0, 80.25, 0), ("2025-01-22 23:45", 21.125, 9, 0)],
        rest=["2025-01-01", "2025-01-28", "2025-01-30"], work=["2025-01-29"]))

case(
    "after-the-ratchet", "March: the maximum of January, given in the contract, sets the billing demand; a holiday on a Saturday and "
    "its substitute; the fund still 3.2 %",
    [{"from": "2024-11-01", "tariff": "kepco-industrial-b-high-a-2", "contract_kw": 900,
      "earlier_peaks": {"2024-07": 690.25, "2024-08": 702.0, "2024-09": 655.0, "2024-12": 744.5, "2025-01": 768.5, "2025-02": 731.75}}],
    load(["2025-03"], {
        "work": profile(h(24.5, (8, 12, 140.125), (12, 13, 88.5), (13, 18, 151.875), (18, 22, 66.25)),
                        h(11, (8, 12, 50.25), (12, 13, 34), (13, 18, 55.5), (18, 22, 27.75)), h(0, (0, 6, 1.5))),
        "saturday": profile(h(24.5, (8, 15, 92.375)), h(11, (8, 15, 36.5))),
        "rest": profile(h(22.625), h(8.5))},
        [("2025-03-12 13:30", 166.625, 58, 0), ("2025-03-01 11:45", 120.5, 44.5, 0)],
        rest=["2025-03-03"]))

case(
    "summer-notice-then-billed", "August brings the first power-factor surcharge ever (notice, 0), September bills it; the "
    "maximum of August sets the billing demand of September; a shutdown with reactive energy only and with nothing at all",
    [{"from": "2024-11-01", "tariff": "kepco-industrial-b-high-a-1", "contract_kw": 700, "earlier_peaks": {"2024-12": 511.0}}],
    load(["2025-08", "2025-09"], {
        "work": profile(h(30.25, (8, 11, 118.125), (11, 12, 124.75), (12, 13, 80.5), (13, 18, 131.625), (18, 22, 70.375)),
                        h(14.5, (8, 11, 62.5), (11, 12, 66.5), (12, 13, 47.25), (13, 18, 74.5), (18, 22, 36.125))),
        "saturday": profile(h(30.25, (9, 15, 77.875)), h(14.5, (9, 15, 40.25))),
        "rest": profile(h(25.5), h(11.25)),
        "shut": profile(h(0, (22, 24, 2.125)), h(0, (8, 18, 2.5), (22, 24, 1)))},
        [("2025-08-20 14:45", 149.875, 82.25, 0), ("2025-09-17 15:15", 140.25, 70, 0), ("2025-09-24 02:30", 30.125, 14.5, 0)],
        shut=["2025-08-04", "2025-08-05", "2025-08-06", "2025-08-07", "2025-08-08"], rest=["2025-08-15"]))

case(
    "chuseok-week", "October with a week of holidays: Chuseok, its substitute and Hangul Day are light load even where the plant works",
    [{"from": "2025-02-01", "tariff": "kepco-industrial-b-high-b-3", "contract_kw": 2400,
      "earlier_peaks": {"2024-12": 1500.0, "2025-01": 1622.0, "2025-02": 1588.5, "2025-07": 1701.25, "2025-08": 1733.75, "2025-09": 1699.0}}],
    load(["2025-10"], {
        "work": profile(h(210.5, (8, 12, 402.125), (12, 13, 300.25), (13, 18, 421.375), (18, 22, 350.75)),
                        h(70, (8, 12, 120.5), (12, 13, 96), (13, 18, 118.25), (18, 22, 101.5)), h(0)),
        "saturday": profile(h(205.75, (8, 18, 330.625)), h(68, (8, 18, 99.5))),
        "rest": profile(h(120.125), h(40.5))},
        [("2025-10-07 14:00", 470.5, 130, 0), ("2025-10-22 16:30", 433.125, 121, 0), ("2025-10-14 03:15", 211.125, 70, 0)],
        rest=["2025-10-03", "2025-10-06", "2025-10-08", "2025-10-09"], work=["2025-10-07"]))

REFORM = {
    "work": profile(h(28.125, (8, 12, 140.25), (12, 13, 90.125), (13, 15, 150.375), (15, 18, 155.5), (18, 22, 88.625)),
                    h(12, (8, 12, 50.5), (12, 13, 34.25), (13, 15, 52.5), (15, 18, 55), (18, 22, 34.5)), h(0)),
    "saturday": profile(h(28.125, (8, 11, 84.375), (11, 14, 70.125), (14, 17, 60.875)), h(12, (8, 17, 28.5))),
    "rest": profile(h(24.5, (11, 14, 31.625)), h(10.25, (11, 14, 12.5)))}

case(
    "reform-in-mid-month", "April 2026: old prices and bands to the 15th, new ones with the weekend discount from the 16th; "
    "every priced quantity is rounded by itself",
    [{"from": "2025-11-01", "tariff": "kepco-industrial-b-high-a-2", "contract_kw": 820,
      "earlier_peaks": {"2025-07": 612.5, "2025-08": 633.0, "2025-09": 604.0, "2025-12": 640.75, "2026-01": 651.5, "2026-02": 648.0}}],
    load(["2026-04"], REFORM,
         [("2026-04-08 14:15", 160.375, 60.25, 0), ("2026-04-22 19:30", 168.625, 62.5, 0), ("2026-04-18 12:15", 72.625, 30, 0)]))

MAY = {
    "work": profile(h(28.125, (8, 12, 140.25), (12, 13, 90.125), (13, 15, 150.375), (15, 18, 155.5), (18, 22, 88.625)),
                    h(12, (8, 12, 50.5), (12, 13, 34.25), (13, 15, 52.5), (15, 18, 55), (18, 22, 34.5)), h(0)),
    "saturday": profile(h(28.125, (8, 11, 84.375), (11, 14, 70.25), (14, 17, 60.875)), h(12, (8, 17, 28.5))),
    "rest": profile(h(24.5, (11, 14, 31.75)), h(10.25, (11, 14, 12.5)))}
MAY_LOAD = dict(rest=["2026-05-05", "2026-05-25"], saturday=["2026-05-01"])
MAY_PEAKS = {"2025-07": 612.5, "2025-08": 633.0, "2025-09": 604.0, "2025-12": 640.75, "2026-01": 651.5, "2026-02": 648.0}
MAY_OVERRIDES = [("2026-05-13 11:15", 171.5, 64, 0), ("2026-05-20 20:45", 166.125, 60.125, 0), ("2026-05-27 23:00", 28.375, 12, 0)]

case(
    "discount-weekends", "May 2026: half price 11-14 h on Saturdays, Sundays and holidays; Labour Day, Children's Day and the "
    "substitute of Buddha's Birthday are holidays",
    [{"from": "2025-11-01", "tariff": "kepco-industrial-b-high-a-2", "contract_kw": 820, "earlier_peaks": MAY_PEAKS}],
    load(["2026-05"], MAY, MAY_OVERRIDES, **MAY_LOAD))

case(
    "discount-weekends-deferred", "the same month and load for a customer who deferred the reform: old prices, old bands, no discount",
    [{"from": "2025-11-01", "tariff": "kepco-industrial-b-high-a-2", "contract_kw": 820, "deferred": True, "earlier_peaks": MAY_PEAKS}],
    load(["2026-05"], MAY, MAY_OVERRIDES, **MAY_LOAD))

case(
    "deferral-over", "October 2026 of a customer who deferred: the reform is in force from 1 October with prices, bands and discount",
    [{"from": "2025-11-01", "tariff": "kepco-industrial-b-high-c-2", "contract_kw": 5200, "deferred": True,
      "earlier_peaks": {"2025-12": 4100.25, "2026-07": 4222.5, "2026-08": 4318.5}}],
    load(["2026-10"], {
        "work": profile(h(640.5, (8, 15, 930.125), (15, 21, 1010.625), (21, 22, 800)), h(170, (8, 15, 240.5), (15, 21, 251), (21, 22, 200))),
        "saturday": profile(h(610.25, (11, 14, 700.5)), h(160, (11, 14, 181.5))),
        "rest": profile(h(500.125, (11, 14, 512.25)), h(130.5))},
        [("2026-10-20 17:30", 1080.125, 280, 0), ("2026-10-21 07:45", 640.875, 170, 0)],
        rest=["2026-10-05", "2026-10-09"], saturday=["2026-10-03"]))

case(
    "discount-rounded-by-itself", "September 2026: the rest of the mid band and its discounted part both end in half a kWh and are rounded "
    "each by itself, so 1 kWh more is billed than by rounding the band once; Chuseok from Thursday to Saturday",
    [{"from": "2026-01-01", "tariff": "kepco-industrial-b-high-a-3", "contract_kw": 400, "earlier_peaks": {"2026-08": 290.0}}],
    load(["2026-09"], {
        "work": profile(h(10.5, (8, 15, 60.25), (15, 18, 70.5), (18, 22, 30.25)), h(4, (8, 15, 20.5), (15, 18, 25), (18, 22, 11))),
        "saturday": profile(h(10.5, (8, 11, 32.25), (11, 14, 28.25)), h(4, (8, 14, 11))),
        "rest": profile(h(9.25), h(3.25))},
        [("2026-09-09 17:15", 77.75, 27, 0), ("2026-09-12 12:30", 28.75, 11, 0), ("2026-09-16 09:45", 60.75, 20.5, 0)],
        rest=["2026-09-24", "2026-09-25"]))

case(
    "class-a2-new-bands", "(갑)Ⅱ: old bands and no discount in May 2026, new bands in June with the old prices; the local elections are "
    "a holiday, Memorial Day falls on a Saturday",
    [{"from": "2026-01-01", "tariff": "kepco-industrial-a2-high-a-1", "contract_kw": 290,
      "earlier_peaks": {"2025-12": 201.5, "2026-01": 214.75, "2026-02": 220.25}}],
    load(["2026-05", "2026-06"], {
        "work": profile(h(8.125, (8, 12, 48.25), (12, 13, 30.5), (13, 18, 51.125), (18, 22, 22.625)),
                        h(3, (8, 12, 15.5), (12, 13, 11), (13, 18, 17.25), (18, 22, 8.5))),
        "saturday": profile(h(8.125, (8, 14, 33.375), (14, 18, 20.875)), h(3, (8, 18, 11.5))),
        "rest": profile(h(6.625), h(2.25))},
        [("2026-05-14 14:30", 56.125, 19.5, 0), ("2026-06-18 16:45", 54.625, 18.25, 0), ("2026-06-10 05:00", 8.5, 3, 0)],
        rest=["2026-05-05", "2026-05-25", "2026-06-03"], saturday=["2026-05-01"]))

case(
    "flat-with-demand-meter", "(갑)Ⅰ at high voltage: one price, demand of any hour counts, here the night of a Sunday; power factor by half hours, "
    "its mean exactly 90.5 %, billed as 91 %; November is the notice, December is billed",
    [{"from": "2025-06-01", "tariff": "kepco-industrial-a1-high-a-1", "contract_kw": 250, "earlier_peaks": {"2025-07": 150.0, "2025-08": 161.25}}],
    load(["2025-11", "2025-12"], {
        # 24:7 is 96 %, 4:3 is 80 %, no kvarh is clamped to 97 %: 3, 6 and 5 hours of the 14.
        "work": profile(h(6.125, (8, 11, 30.625), (11, 17, 36), (17, 22, 24)), h(2, (8, 11, 0), (11, 17, 10.5), (17, 22, 18))),
        "saturday": profile(h(6.125, (8, 14, 24), (14, 19, 20), (19, 22, 10.125)), h(2, (8, 14, 7), (14, 19, 15), (19, 22, 0))),
        "rest": profile(h(6.125, (8, 13, 8), (13, 16, 6.125), (16, 22, 6)), h(2, (8, 13, 6), (13, 16, 0), (16, 22, 1.75)))},
        [("2025-12-21 23:15", 47.375, 12, 0), ("2025-12-10 06:30", 6.5, 2, 0)], rest=["2025-12-25"]))

case(
    "flat-low-voltage", "(갑)Ⅰ at low voltage: no demand meter, so the contract is billed; power factor of the month's sums; "
    "notice in April, billed in May; Labour Day 2025",
    [{"from": "2025-01-01", "tariff": "kepco-industrial-a1-low", "contract_kw": 95}],
    load(["2025-04", "2025-05"], {
        "work": profile(h(1.125, (8, 12, 14.5), (12, 13, 8.25), (13, 18, 15.625)), h(0.75, (8, 12, 8.5), (12, 13, 5), (13, 18, 9.5))),
        "saturday": profile(h(1.125, (8, 12, 9.375)), h(0.75, (8, 12, 5.5))),
        "rest": profile(h(1), h(0.625))},
        [("2025-04-09 09:30", 16.375, 9, 0), ("2025-05-01 15:15", 18.875, 11, 0)], rest=["2025-05-05", "2025-05-06"]))

case(
    "contract-changed-by-days", "June 2025: option Ⅱ and 600 kW for 12 days, option Ⅲ and 800 kW for 18; the ad-hoc election day is a working day",
    [{"from": "2024-06-01", "tariff": "kepco-industrial-b-high-a-2", "contract_kw": 600,
      "earlier_peaks": {"2024-07": 555.0, "2024-12": 560.25, "2025-01": 571.0, "2025-02": 569.5}},
     {"from": "2025-06-13", "tariff": "kepco-industrial-b-high-a-3", "contract_kw": 800}],
    load(["2025-06"], {
        "work": profile(h(26.625, (8, 12, 121.125), (12, 13, 80.375), (13, 18, 133.25), (18, 22, 71.5)),
                        h(10, (8, 12, 40.5), (12, 13, 28), (13, 18, 44.25), (18, 22, 25)), h(0, (0, 7, 12))),
        "saturday": profile(h(26.625, (8, 13, 75.125)), h(10, (8, 13, 26.5))),
        "rest": profile(h(20.125), h(7.5))},
        [("2025-06-11 15:45", 145.125, 48, 0), ("2025-06-13 00:00", 27.25, 10, 12)], rest=["2025-06-06"]))

case(
    "floor-by-days", "September 2025: the contract goes from 600 to 815 kW on the 10th; the maximum binds for 9 days, 30 % of 815 kW (244.5, "
    "billed as 245) for 21",
    [{"from": "2025-01-01", "tariff": "kepco-industrial-b-high-a-2", "contract_kw": 600, "earlier_peaks": {"2025-08": 200.0}},
     {"from": "2025-09-10", "tariff": "kepco-industrial-b-high-a-2", "contract_kw": 815}],
    load(["2025-09"], {
        "work": profile(h(8.375, (8, 12, 42.125), (12, 13, 28.5), (13, 18, 47.25), (18, 22, 18.125)),
                        h(3, (8, 12, 15.5), (12, 13, 10), (13, 18, 16.25), (18, 22, 6.5))),
        "saturday": profile(h(8.375, (8, 18, 20.125)), h(3, (8, 18, 7))),
        "rest": profile(h(7.125), h(2.5))},
        [("2025-09-18 14:15", 51.625, 17, 0), ("2025-09-09 23:45", 9, 3, 0), ("2025-09-10 00:00", 9.25, 3, 0)]))

case(
    "contract-raised-in-excess", "July: first excess over the contract ever, a notice; August: contract raised from 500 to 800 kW on the 13th (option Ⅲ from then), so no "
    "surcharge although 620 kW exceed the first part; demand charge by 12 and 19 of 31 days",
    [{"from": "2024-06-01", "tariff": "kepco-industrial-b-high-b-2", "contract_kw": 500},
     {"from": "2025-08-13", "tariff": "kepco-industrial-b-high-b-3", "contract_kw": 800}],
    load(["2025-07", "2025-08"], {
        "work": profile(h(22.125, (8, 12, 101.375), (12, 13, 70.25), (13, 18, 108.5), (18, 22, 61.75)),
                        h(8, (8, 12, 38.5), (12, 13, 26), (13, 18, 41.25), (18, 22, 23))),
        "saturday": profile(h(22.125, (8, 13, 60.625)), h(8, (8, 13, 22.5))),
        "rest": profile(h(17.625), h(6.5))},
        [("2025-07-23 14:00", 135.125, 50, 0), ("2025-08-06 15:30", 155.0, 56, 0)], rest=["2025-08-15"]))

case(
    "excess-over-contract", "June 2025: first excess ever, a notice; July: 24 % over by a Sunday maximum, billed at 200 %, the billing demand is lower; "
    "August: exactly 20 %; the fund changes from 3.2 to 2.7 % on 1 July",
    [{"from": "2024-06-01", "tariff": "kepco-industrial-b-high-a-2", "contract_kw": 500,
      "earlier_peaks": {"2024-07": 480.0, "2024-08": 492.5, "2024-09": 470.0, "2024-12": 455.0, "2025-01": 460.0, "2025-02": 458.25}}],
    load(["2025-06", "2025-07", "2025-08"], {
        "work": profile(h(23.375, (8, 12, 104.125), (12, 13, 72.5), (13, 18, 112.25), (18, 22, 64.375)),
                        h(8.5, (8, 12, 38), (12, 13, 26.5), (13, 18, 40.75), (18, 22, 23.5)), h(0, (22, 24, 9))),
        "saturday": profile(h(23.375, (8, 13, 62.125)), h(8.5, (8, 13, 22.5))),
        "rest": profile(h(18.5), h(6.5))},
        [("2025-06-18 14:30", 138.125, 50.5, 0), ("2025-07-20 10:45", 155.375, 55, 0), ("2025-07-16 16:00", 128.125, 46, 0),
         ("2025-08-21 13:15", 150.0, 54.5, 0)],
        rest=["2025-06-06", "2025-08-15"]))

case(
    "jeju", "May 2026 on Jeju: its own bands in all seasons, the new prices and the weekend discount",
    [{"from": "2025-11-01", "tariff": "kepco-industrial-b-high-a-2", "contract_kw": 820, "area": "jeju", "earlier_peaks": MAY_PEAKS}],
    load(["2026-05"], MAY, MAY_OVERRIDES, **MAY_LOAD))

case(
    "leading-at-night", "January 2026: lagging surcharge, the first ever, a notice; February: leading surcharge at night, billed, "
    "beside a lagging deduction",
    [{"from": "2025-03-01", "tariff": "kepco-industrial-b-high-c-1", "contract_kw": 6000,
      "earlier_peaks": {"2025-07": 4711.0, "2025-08": 4802.5, "2025-12": 4690.0}}],
    load(["2026-01", "2026-02"], {
        "work": profile(h(602.125, (8, 12, 1101.25), (12, 13, 900.5), (13, 18, 1150.375), (18, 22, 980.625)),
                        h(200.5, (8, 12, 580.5), (12, 13, 470), (13, 18, 604.25), (18, 22, 500.5)), h(0)),
        "saturday": profile(h(590.875, (8, 18, 800.125)), h(198, (8, 18, 402.5)), h(0)),
        "rest": profile(h(410.5), h(190.25), h(0)),
        "capacitors": profile(h(600.375, (8, 12, 1101.25), (12, 13, 900.5), (13, 18, 1150.375), (18, 22, 980.625)),
                              h(0, (8, 12, 380.5), (12, 13, 301), (13, 18, 390.25), (18, 22, 330.5)), h(390.125, (8, 22, 0))),
        "capacitors-rest": profile(h(402.625), h(0, (8, 22, 120)), h(301.5, (3, 5, 80), (8, 22, 0)))},
        [("2026-01-21 10:30", 1210.125, 640, 0), ("2026-02-11 17:15", 1188.875, 401, 0), ("2026-02-12 23:15", 0, 0, 350),
         ("2026-02-12 23:30", 0, 0, 350), ("2026-02-12 23:45", 0, 0, 350)],
        rest=["2026-01-01"],
        **{"capacitors": [f"2026-02-{d:02}" for d in (2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 19, 20, 23, 24, 25, 26, 27)],
           "capacitors-rest": [f"2026-02-{d:02}" for d in (1, 7, 8, 14, 15, 16, 17, 18, 21, 22, 28)]}))

case(
    "no-use-low-voltage", "month without use of a customer without a demand meter: half of the demand charge, power factor deemed 92 %",
    [{"from": "2025-01-01", "tariff": "kepco-industrial-a1-low", "contract_kw": 77}],
    load(["2025-11"], {name: profile(h(0), h(0)) for name in ("work", "saturday", "rest")}))

case(
    "no-use-high-voltage", "month without use of a customer with a demand meter: the whole demand charge by the ratchet, power factor deemed 92 %",
    [{"from": "2025-01-01", "tariff": "kepco-industrial-b-high-a-3", "contract_kw": 1000, "earlier_peaks": {"2025-02": 700.5, "2025-05": 900.0}}],
    load(["2025-11"], {name: profile(h(0), h(0)) for name in ("work", "saturday", "rest")}))

PINNED = {
    "work": profile(h(14.375, (7, 8, 30.125), (8, 12, 110.5), (12, 13, 60.625), (13, 18, 118.875), (18, 22, 40.25)),
                    h(4, (7, 8, 10), (8, 12, 42.5), (12, 13, 25), (13, 18, 44.75), (18, 22, 16))),
    "saturday": profile(h(14.375, (8, 18, 51.125)), h(4, (8, 18, 19.5))),
    "rest": profile(h(12.875), h(4.25))}

case(
    "pinned-edition", "May 2018 priced by the rules of 2025-02-01; the calendar stays that of 2018: Children's Day on a Saturday, its "
    "substitute, Labour Day a working day",
    [{"from": "2018-01-01", "tariff": "kepco-industrial-b-high-a-2", "contract_kw": 900, "edition": "2025-02-01"}],
    load(["2018-05"], PINNED,
         [("2018-05-01 14:15", 127.625, 47, 0), ("2018-05-05 13:30", 140.0, 52, 0), ("2018-05-16 22:15", 14.5, 4, 0)],
        rest=["2018-05-07", "2018-05-22"]))

case(
    "floor-of-the-contract", "July 2026 under new summer bands: 30 % of 815 kW is 244.5, billed as 245; Constitution Day is a holiday",
    [{"from": "2026-01-01", "tariff": "kepco-industrial-b-high-b-1", "contract_kw": 815, "earlier_peaks": {"2026-02": 231.5, "2026-05": 260.0}}],
    load(["2026-07"], {
        "work": profile(h(10.375, (8, 12, 44.125), (12, 13, 30.5), (13, 15, 46.25), (15, 18, 48.625), (18, 22, 20.125)),
                        h(3.5, (8, 12, 14.5), (12, 13, 10), (13, 15, 15.25), (15, 18, 16), (18, 22, 6.5))),
        "saturday": profile(h(10.375, (8, 18, 22.125)), h(3.5, (8, 18, 7.5))),
        "rest": profile(h(8.125), h(2.5))},
        [("2026-07-17 16:15", 58.5, 19, 0), ("2026-07-22 10:15", 55.125, 18.5, 0)], saturday=["2026-07-17"]))

case(
    "no-reactive-meter", "(갑)Ⅱ without a reactive meter: power factor deemed 92 %, no leading item; the ad-hoc election day is a working day",
    [{"from": "2025-01-01", "tariff": "kepco-industrial-a2-high-b-1", "contract_kw": 240, "reactive_meter": False,
      "earlier_peaks": {"2025-01": 166.5, "2025-02": 171.25}}],
    load(["2025-06"], {
        "work": {"kwh": h(5.125, (8, 12, 36.625), (12, 13, 22.5), (13, 18, 40.375), (18, 22, 12.25))},
        "saturday": {"kwh": h(5.125, (8, 16, 20.875))},
        "rest": {"kwh": h(4.875)}},
        [("2025-06-03 14:45", 44.625), ("2025-06-25 06:00", 5.25)], rest=["2025-06-06"]))

case(
    "pinned-and-deferred", "May 2018 priced by the rules of 2026-05-20 for a customer who deferred the reform: on that day the old prices and "
    "bands hold, without the weekend discount; climate, fuel, fund and power-factor rule are those of the day",
    [{"from": "2018-01-01", "tariff": "kepco-industrial-b-high-a-2", "contract_kw": 900, "edition": "2026-05-20", "deferred": True}],
    load(["2018-05"], PINNED, [("2018-05-16 19:15", 90.125, 30, 0)], rest=["2018-05-07", "2018-05-22"]))

case(
    "jeju-flat", "(갑)Ⅰ on Jeju: one price has no bands, so the area changes nothing",
    [{"from": "2025-01-01", "tariff": "kepco-industrial-a1-high-b-2", "contract_kw": 180, "area": "jeju", "earlier_peaks": {"2025-02": 90.5}}],
    load(["2025-05"], {
        "work": profile(h(4.125, (8, 18, 20.375)), h(1.5, (8, 18, 7.25))),
        "saturday": profile(h(4.125, (8, 13, 11.5)), h(1.5, (8, 13, 4))),
        "rest": profile(h(3.875), h(1.25))},
        [("2025-05-14 23:30", 24.625, 8, 0)], rest=["2025-05-05", "2025-05-06"]))
