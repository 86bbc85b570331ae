#!/usr/bin/env python3
"""A client of RabbitMQ that publishes 1, 2, 3 ... to a quorum queue, and waits for the confirmation of each: `client.py ADDRESS...`.

Told to end by SIGTERM, it takes all that lies in the queue, and prints in one line what was confirmed, what may be there or not,
what was found, and the longest time in seconds without a confirmation.
"""

import json
import signal
import sys
import time

import pika

QUEUE = "rig"
told_to_end = False


def end(*_):
    global told_to_end
    told_to_end = True


def channel(address):
    """A connection to one node, and a channel that has its messages confirmed."""
    parameters = pika.ConnectionParameters(
        address, heartbeat=6, socket_timeout=5, blocked_connection_timeout=5, stack_timeout=10, connection_attempts=1)
    opened = pika.BlockingConnection(parameters).channel()
    opened.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
    opened.confirm_delivery()
    return opened


def publish(addresses):
    confirmed, unknown, stall = [], [], 0
    opened, value, last = None, 0, time.monotonic()
    while not told_to_end:
        try:
            if opened is None:
                addresses.append(addresses.pop(0))
                opened = channel(addresses[0])
            value += 1
            opened.basic_publish("", QUEUE, str(value).encode(), pika.BasicProperties(delivery_mode=2), mandatory=True)
            confirmed.append(value)
            if value == 1:
                print("the first is confirmed", flush=True)
            now = time.monotonic()
            stall, last = max(stall, now - last), now
            opened.connection.sleep(0.05)
        except (pika.exceptions.AMQPError, OSError) as error:
            print(f"{addresses[0]}: {error!r}", file=sys.stderr)
            unknown.append(value)
            opened = None
            time.sleep(0.2)
    return {"confirmed": confirmed, "unknown": sorted(set(unknown) - set(confirmed)), "longestStall": stall}


def take(addresses):
    found, opened = [], channel(addresses[0])
    while True:
        method, _, body = opened.basic_get(QUEUE)
        if method is None:
            return found
        found.append(int(body))
        opened.basic_ack(method.delivery_tag)


signal.signal(signal.SIGTERM, end)
told = publish(sys.argv[1:])
print(json.dumps({**told, "found": take(sys.argv[1:])}))
