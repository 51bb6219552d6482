"""The typed numbers of the second opinion: prices, bands, dated rules, holidays.

What it is for: one place where every number that a bill needs is typed by hand, with the document it is from.
What it does not do: no arithmetic.
Invariant: nothing here is copied from, or read from, the program that is checked.
"""

# Demand price in won/kW and energy prices in won/kWh (light, mid, peak) by season.
# Columns: tariff, demand, summer, spring and autumn, winter.

# KEPCO supply terms (기본공급약관), edition 2024-10-24, annex 1, industrial (을).
B_2024_10_24 = [
    ("kepco-industrial-b-high-a-1", 7220, (116.4, 169.3, 251.4), (116.4, 138.9, 169.6), (123.4, 169.5, 227.0)),
    ("kepco-industrial-b-high-a-2", 8320, (110.9, 163.8, 245.9), (110.9, 133.4, 164.1), (117.9, 164.0, 221.5)),
    ("kepco-industrial-b-high-a-3", 9810, (110.0, 163.2, 233.5), (110.0, 132.1, 155.8), (117.3, 163.4, 210.3)),
    ("kepco-industrial-b-high-b-1", 6630, (126.3, 178.6, 259.8), (126.3, 148.6, 178.9), (133.3, 178.6, 234.8)),
    ("kepco-industrial-b-high-b-2", 7380, (122.5, 174.8, 256.0), (122.5, 144.8, 175.1), (129.5, 174.8, 231.0)),
    ("kepco-industrial-b-high-b-3", 8190, (120.8, 173.1, 254.4), (120.8, 143.2, 173.5), (127.9, 173.1, 229.3)),
    ("kepco-industrial-b-high-c-1", 6590, (125.8, 178.7, 259.6), (125.8, 148.7, 179.1), (132.7, 178.3, 234.9)),
    ("kepco-industrial-b-high-c-2", 7520, (121.1, 174.0, 254.9), (121.1, 144.0, 174.4), (128.0, 173.6, 230.2)),
    ("kepco-industrial-b-high-c-3", 8090, (120.0, 172.9, 253.8), (120.0, 142.9, 173.3), (126.9, 172.5, 229.1)),
]

# KEPCO tariff table 2026 (the reform announced on 2026-03-13, in force 2026-04-16), industrial (을).
B_2026_04_16 = [
    ("kepco-industrial-b-high-a-1", 7220, (121.5, 169.3, 234.5), (121.5, 138.9, 156.4), (128.5, 169.5, 210.1)),
    ("kepco-industrial-b-high-a-2", 8320, (116.0, 163.8, 229.0), (116.0, 133.4, 150.9), (123.0, 164.0, 204.6)),
    ("kepco-industrial-b-high-a-3", 9810, (115.1, 163.2, 216.6), (115.1, 132.1, 142.6), (122.4, 163.4, 193.4)),
    ("kepco-industrial-b-high-b-1", 6630, (131.4, 178.6, 242.9), (131.4, 148.6, 165.7), (138.4, 178.6, 217.9)),
    ("kepco-industrial-b-high-b-2", 7380, (127.6, 174.8, 239.1), (127.6, 144.8, 161.9), (134.6, 174.8, 214.1)),
    ("kepco-industrial-b-high-b-3", 8190, (125.9, 173.1, 237.5), (125.9, 143.2, 160.3), (133.0, 173.1, 212.4)),
    ("kepco-industrial-b-high-c-1", 6590, (130.9, 178.7, 242.7), (130.9, 148.7, 165.9), (137.8, 178.3, 218.0)),
    ("kepco-industrial-b-high-c-2", 7520, (126.2, 174.0, 238.0), (126.2, 144.0, 161.2), (133.1, 173.6, 213.3)),
    ("kepco-industrial-b-high-c-3", 8090, (125.1, 172.9, 236.9), (125.1, 142.9, 160.1), (132.0, 172.5, 212.2)),
]

# KEPCO supply terms 2024-10-24, annex 1, industrial (갑)Ⅱ; still the prices of the table of 2026-06-01.
A2_2024_10_24 = [
    ("kepco-industrial-a2-high-a-1", 6490, (95.7, 121.5, 155.0), (95.7, 100.5, 119.7), (103.1, 120.0, 149.4)),
    ("kepco-industrial-a2-high-a-2", 7470, (90.8, 116.6, 150.1), (90.8, 95.6, 114.8), (98.2, 115.1, 144.5)),
    ("kepco-industrial-a2-high-b-1", 6000, (92.5, 120.1, 153.9), (92.5, 99.1, 117.9), (99.7, 117.7, 146.4)),
    ("kepco-industrial-a2-high-b-2", 6900, (88.0, 115.6, 149.4), (88.0, 94.6, 113.4), (95.2, 113.2, 141.9)),
]

# KEPCO supply terms 2024-10-24, annex 1, industrial (갑)Ⅰ: one price per season.
A1_2024_10_24 = [
    ("kepco-industrial-a1-low", 5550, 116.2, 94.4, 114.5),
    ("kepco-industrial-a1-high-a-1", 6490, 124.8, 101.1, 124.7),
    ("kepco-industrial-a1-high-a-2", 7470, 120.0, 96.5, 118.2),
    ("kepco-industrial-a1-high-b-1", 6000, 123.6, 100.0, 123.2),
    ("kepco-industrial-a1-high-b-2", 6900, 118.9, 95.4, 117.1),
]

# Bands by hour of the day, 00 h first: L light, M mid, P peak.
BANDS = {
    # KEPCO supply terms 2024-10-24, annex 3.
    ("A", "winter"): "LLLLLLLLMPPPMMMMPPPMMMLL",
    ("A", "other"): "LLLLLLLLMMMPMPPPPPMMMMLL",
    # Reform announced on 2026-03-13; winter unchanged.
    ("B", "winter"): "LLLLLLLLMPPPMMMMPPPMMMLL",
    ("B", "other"): "LLLLLLLLMMMMMMMPPPPPPMLL",
    # KEPCO supply terms 2024-10-24, annex 3, proviso 4: Jeju, all seasons.
    ("jeju", "winter"): "LLLLLLLLMMMMMMMMPPPPPPLL",
    ("jeju", "other"): "LLLLLLLLMMMMMMMMPPPPPPLL",
    # (갑)Ⅰ has one price; F = every hour counts.
    ("flat", "winter"): "F" * 24,
    ("flat", "other"): "F" * 24,
}

# Announcement of 2026-03-13: first day of the new table, by class.
REFORM_FROM_B = "2026-04-16"
REFORM_FROM_A2 = "2026-06-01"
# The same announcement: last day of the old table for customers (을) who applied for the deferral.
DEFERRED_UNTIL = "2026-09-30"
# The same announcement: (을), 11-14 h on Saturdays, Sundays and holidays, March-May and September-October.
DISCOUNT = {"share": 0.5, "from_hour": 11, "to_hour": 14, "months": (3, 4, 5, 9, 10), "until": "2030-12-31"}

# KEPCO supply terms, annex 7 (climate and environment charge), won/kWh.
CLIMATE = [("2021-01-01", 5.3), ("2022-04-01", 7.3), ("2023-01-01", 9.0)]
# KEPCO supply terms, annex 8 (fuel cost adjustment), won/kWh; after 2026-03-31 the +5.0 is assumed.
FUEL = [("2022-07-01", 5.0)]
FUEL_ASSUMED_AFTER = "2026-03-31"
# Electricity industry fund, KEPCO tariff table 2026, notes: 3.2 % before 2025-07-01.
FUND = [("2024-07-01", 0.032), ("2025-07-01", 0.027)]
# VAT, KEPCO tariff table 2026, notes.
VAT = 0.10

# Power factor: from, reference, lowest, highest, first and last hour of the lagging window.
# KEPCO supply terms 2024-10-24, articles 41-43 with the addendum of 2024-02-01; the row before it is unverified and its
# first day unknown.
POWER_FACTOR = [("1900-01-01", 90, 60, 95, 9, 23), ("2025-02-01", 92, 60, 97, 8, 22)]
POWER_FACTOR_UNVERIFIED_BEFORE = "2025-02-01"
# Article 43: share of the demand charge per 1 %; leading reference 95 %, lowest 60 %.
PF_STEP_PCT = 0.2
PF_LEAD_REFERENCE, PF_LEAD_LOWEST = 95, 60
# Article 42: without a reactive meter, or without use, deemed to be at the 92 % of the reference.
PF_DEEMED = 92

# Article 68 (1): months whose maxima are looked back on for 12 months; floor in percent of the contract.
RATCHET_MONTHS = (12, 1, 2, 7, 8, 9)
FLOOR_PCT = 30
# Article 67-3: from this share of the contract demand on, this multiple of the demand price.
EXCESS = [(0.0, 1.5), (0.2, 2.0), (0.3, 2.5), (0.4, 3.0), (0.5, 3.5), (0.6, 4.0)]
# Article 67 (6) 1: customers without a demand meter, month without use.
NO_USE_SHARE = 0.5

# Annex 3 and the regulation on holidays of public offices (관공서의 공휴일에 관한 규정): days other than Sundays.
# Checked against the PyPI package `holidays` 0.109.
HOLIDAYS = [
    ("2018-05-05", "Children's Day"), ("2018-05-07", "substitute for Children's Day"), ("2018-05-22", "Buddha's Birthday"),
    ("2025-01-01", "New Year"), ("2025-01-28", "Seollal"), ("2025-01-29", "Seollal"), ("2025-01-30", "Seollal"),
    ("2025-03-01", "Independence Movement Day"), ("2025-03-03", "substitute for Independence Movement Day"),
    ("2025-05-05", "Children's Day, Buddha's Birthday"), ("2025-05-06", "substitute"),
    ("2025-06-06", "Memorial Day"), ("2025-08-15", "Liberation Day"),
    ("2025-10-03", "National Foundation Day"), ("2025-10-05", "Chuseok"), ("2025-10-06", "Chuseok"),
    ("2025-10-07", "Chuseok"), ("2025-10-08", "substitute for Chuseok"), ("2025-10-09", "Hangul Day"),
    ("2025-12-25", "Christmas"),
    ("2026-01-01", "New Year"), ("2026-02-16", "Seollal"), ("2026-02-17", "Seollal"), ("2026-02-18", "Seollal"),
    ("2026-05-01", "Labour Day, a public holiday from 2026"), ("2026-05-05", "Children's Day"),
    ("2026-05-24", "Buddha's Birthday"), ("2026-05-25", "substitute for Buddha's Birthday"),
    ("2026-06-03", "local elections"), ("2026-06-06", "Memorial Day"),
    ("2026-07-17", "Constitution Day, a public holiday from 2026"),
    ("2026-09-24", "Chuseok"), ("2026-09-25", "Chuseok"), ("2026-09-26", "Chuseok"),
    ("2026-10-03", "National Foundation Day"), ("2026-10-05", "substitute for National Foundation Day"),
    ("2026-10-09", "Hangul Day"),
]
# Declared ad hoc, therefore working days (annex 3); Labour Day until 2025 is a working day too.
NOT_HOLIDAYS = [("2025-01-27", "ad-hoc day"), ("2025-06-03", "by-election declared ad hoc"),
                ("2018-05-01", "Labour Day"), ("2025-05-01", "Labour Day")]
