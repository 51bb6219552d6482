"""pymodbus as a plant to set up: units with the registers that a JSON document gives, on any kind of line.

{"kind": "tcp" | "rtu+tcp" | "rtu", "silent": true where a unit that is not there answers nothing instead of 0x0B,
 "vendor": "…", "product": "…", "units": {"7": {"holding": {"100": [words]}, "input": {…}, "exception": 4}}}

A unit may also have a chain: "sunspec": {"base": 40000, "layouts": FOLDER, "models": [{"id": 203, "values": {"W": 6461}},
{"id": 103, "length": 50}]}; the layout of a model is FOLDER/model_ID.json of the SunSpec Alliance. "port" asks for one,
"delay_s" is what every answer takes. "rises": {"at": 72, "from": 12345.6, "per_s": 0.1} of a unit is a float among the
input registers that counts; "slow": {"at": 100, "s": 0.4} a register that takes longer; "busy": 1 so many questions that
are put off first.

Prints one line when it is ready: a port, or the device file of a pseudo-terminal.
"""

import asyncio
import json
import os
import struct
import sys
import threading
import time
import tty

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.pdu.device import ModbusDeviceIdentification
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


def words(kind, size, value):
    """A value as a SunSpec point holds it; None is each type's own "not implemented"."""
    if kind == "string":
        data = (value or "").encode().ljust(2 * size, b"\0")
    elif kind == "float32":
        data = struct.pack(">f", float("nan") if value is None else value)
    elif kind in ("int16", "sunssf"):
        data = struct.pack(">h", -0x8000 if value is None else value)
    else:
        data = (value or 0).to_bytes(2 * size, "big")
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def model(layouts, described):
    if "length" in described:
        return [described["id"], described["length"]] + [7] * described["length"]
    with open(f"{layouts}/model_{described['id']}.json", encoding="utf-8") as file:
        points = json.load(file)["group"]["points"]
    body = [
        word
        for point in points[2:]
        for word in words(point["type"], point["size"], described["values"].get(point["name"]))
    ]
    return [described["id"], len(body)] + body


def chain(described):
    models = [model(described.get("layouts"), one) for one in described["models"]]
    return {described["base"]: [0x5375, 0x6E53] + sum(models, []) + [0xFFFF, 0]}


def block(registers):
    data = [SimData(int(at), values=words, datatype=DataType.REGISTERS) for at, words in registers.items()]
    return data or [SimData(65535, values=[0], datatype=DataType.REGISTERS)]


def device(unit, described, delay_s):
    began = time.monotonic()

    async def action(function, start, address, count, current, written):
        slow = described.get("slow", {"at": -1})
        await asyncio.sleep(slow["s"] if address <= slow["at"] < address + count else delay_s)
        if described.get("busy", 0) > 0:
            described["busy"] -= 1
            return ExcCodes.DEVICE_BUSY
        rises = described.get("rises")
        if rises and function == 4:
            value = rises["from"] + rises["per_s"] * (time.monotonic() - began)
            current[rises["at"] - start : rises["at"] - start + 2] = struct.unpack(">HH", struct.pack(">f", value))
        if code := described.get("exception"):
            return ExcCodes(code)
        return None
    bits = [SimData(0, values=[False], datatype=DataType.BITS)]
    holding = described.get("holding", {}) | (chain(described["sunspec"]) if "sunspec" in described else {})
    tables = (bits, bits, block(holding), block(described.get("input", {})))
    return SimDevice(int(unit), simdata=tables, action=action)


def nobody(is_silent):
    """Every other unit: a gateway's word that nobody answers, or nothing at all."""
    async def action(*_):
        if is_silent:
            await asyncio.Event().wait()
        return ExcCodes.GATEWAY_NO_RESPONSE
    bits = [SimData(0, values=[False], datatype=DataType.BITS)]
    every = [SimData(0, values=0, count=65535, datatype=DataType.REGISTERS)]
    return SimDevice(0, simdata=(bits, bits, every, every), action=action)


def relay(ours, theirs):
    while True:
        try:
            os.write(theirs, os.read(ours, 256))
        except OSError:
            return


async def main(described):
    devices = [device(unit, registers, described.get("delay_s", 0)) for unit, registers in described["units"].items()]
    devices.append(nobody(described.get("silent", described["kind"] == "rtu")))
    identity = ModbusDeviceIdentification(
        info_name={
            "VendorName": described.get("vendor", ""),
            "ProductCode": described.get("product", ""),
            "MajorMinorRevision": described.get("revision", ""),
        }
    )
    more = {"identity": identity}
    if described["kind"] == "rtu":
        near_master, near = os.openpty()
        far_master, far = os.openpty()
        for end in (near_master, near, far_master, far):
            tty.setraw(end)
        for ends in ((near_master, far_master), (far_master, near_master)):
            threading.Thread(target=relay, args=ends, daemon=True).start()
        server = ModbusSerialServer(devices, port=os.ttyname(far), baudrate=19200, **more)
        await server.serve_forever(background=True)
        print(os.ttyname(near), flush=True)
    else:
        framer = FramerType.RTU if described["kind"] == "rtu+tcp" else FramerType.SOCKET
        server = ModbusTcpServer(devices, framer=framer, address=("127.0.0.1", described.get("port", 0)), **more)
        await server.serve_forever(background=True)
        print(server.transport.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main(json.loads(sys.argv[1])))
