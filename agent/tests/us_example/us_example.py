"""Monthly bills of a year of hourly loads under the default commercial rate of NREL's System Advisor Model, reckoned by SAM
itself: python -m venv v && v/bin/pip install nrel-pysam==7.1.1.post1 && v/bin/python us_example.py > us_example.json"""
import json
import PySAM.Utilityrate5 as rate5

def load(hour):
    day, clock = divmod(hour, 24)
    working = day % 7 < 5  # 2018-01-01 is a Monday
    base = 40 + day % 9 * 1.25
    return base + (90 + day % 11 * 6.5 if working and 7 <= clock < 17 + day % 5 else 0)

loads = [load(hour) for hour in range(8760)]
rate = rate5.default("PVWattsCommercial")
rate.Load.load = loads
rate.SystemOutput.gen = [0.0] * 8760
rate.Lifetime.analysis_period = 1
rate.Lifetime.inflation_rate = 0
rate.execute()
out = rate.Outputs
months = []
for month in range(12):
    months.append({
        "month": f"2018-{month + 1:02}",
        "fixed": out.charge_wo_sys_fixed_ym[1][month],
        "energy": out.charge_wo_sys_ec_ym[1][month],
        "demand": out.charge_wo_sys_dc_tou_ym[1][month],
        "total": out.utility_bill_wo_sys_ym[1][month],
    })
print(json.dumps({"source": "nrel-pysam 7.1.1.post1, Utilityrate5, defaults PVWattsCommercial", "months": months}, indent=1))
