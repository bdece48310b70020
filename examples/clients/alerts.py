"""Prints what happens to some characteristics, and goes on where it was when the server or the network breaks.

    pip install websockets
    python alerts.py http://127.0.0.1:8080 1 2
"""

import asyncio
import json
import random
import sys

import websockets


async def listen(server, subscription):
    since, failures = None, 0
    while True:
        revisions, wait, failures = {}, random.uniform(0, min(30, 2**failures)), failures + 1
        try:
            async with websockets.connect(server.replace("http", "ws", 1) + "/api/v1/ws", max_size=None) as socket:
                await socket.send(json.dumps({**subscription, "since": since} if since else subscription))
                async for text in socket:
                    print(text, flush=True)
                    message = json.loads(text)
                    key, kind = str(message.get("characteristic_id")), message["type"]
                    if kind == "subscribed":
                        revisions, since = message["revisions"], {"epoch": message["epoch"], "seq": message["seq"]}
                    elif revisions and "revision" in message and kind != "snapshot":
                        since["seq"], failures = max(since["seq"], message["seq"]), 0
                        if key in revisions:
                            if message["revision"] != revisions[key] + 1 + message.get("skipped", 0):
                                print("events are missing before", text, file=sys.stderr)
                            revisions[key] = message["revision"]
                wait = json.loads(socket.close_reason or "{}").get("retry_after_ms", 1000 * wait) / 1000
        except (OSError, ValueError, websockets.WebSocketException) as error:
            print(error, file=sys.stderr)
        await asyncio.sleep(wait)


ids = [int(id) for id in sys.argv[2:]]
asyncio.run(listen(sys.argv[1], {"type": "subscribe", "characteristic_ids": ids}))
