"""pymodbus as the device at the far end of each kind of line.

Prints one line when it is ready: a port, or the device file of a pseudo-terminal whose other end is a relay that takes
as long for each byte as the line would. The relay prints "early" when a request came before the line was silent.
"""

import asyncio
import os
import ssl
import sys
import threading
import time
import tty

from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

BAUD = 19200
CHARACTER_S = 11 / BAUD
SILENCE_S = 3.5 * CHARACTER_S

DATA = [
    SimData(0, values=[21.5, -3.25], datatype=DataType.FLOAT32),
    SimData(10, values=[123456789], datatype=DataType.UINT32),
    SimData(20, values=[-7], datatype=DataType.INT16),
    SimData(30, values=[2.5e9], datatype=DataType.FLOAT64),
    # 0x0001E240 with its low word first, then 2305 and the exponent -1
    SimData(40, values=[0xE240, 0x0001, 2305, 0xFFFF], datatype=DataType.REGISTERS),
]


def device():
    return SimDevice(7, simdata=DATA)


def relay(ours, theirs, is_request):
    last = time.monotonic()
    while True:
        try:
            data = os.read(ours, 256)
        except OSError:
            return
        now = time.monotonic()
        if is_request and now - relay.busy < SILENCE_S:
            print("early", now - relay.busy, flush=True)
        for byte in data:
            # A late byte does not make the next one late: the line goes on at its speed.
            last = max(last, now) + CHARACTER_S
            time.sleep(max(0.0, last - time.monotonic()))
            os.write(theirs, bytes([byte]))
            if not is_request:
                relay.busy = time.monotonic()


async def serial():
    near_master, near = os.openpty()
    far_master, far = os.openpty()
    for end in (near_master, near, far_master, far):
        tty.setraw(end)
    relay.busy = 0.0
    threading.Thread(target=relay, args=(near_master, far_master, True), daemon=True).start()
    threading.Thread(target=relay, args=(far_master, near_master, False), daemon=True).start()
    server = ModbusSerialServer(device(), port=os.ttyname(far), baudrate=BAUD)
    await server.serve_forever(background=True)
    print(os.ttyname(near), flush=True)


async def network(server):
    await server.serve_forever(background=True)
    print(server.transport.sockets[0].getsockname()[1], flush=True)


async def main(kind, folder):
    here = ("127.0.0.1", 0)
    if kind == "rtu":
        await serial()
    elif kind == "rtu+tcp":
        await network(ModbusTcpServer(device(), framer=FramerType.RTU, address=here))
    elif kind == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
        context.load_verify_locations(f"{folder}/ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        await network(ModbusTlsServer(device(), address=here, sslctx=context))
    else:
        await network(ModbusTcpServer(device(), address=here))
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:3]))
