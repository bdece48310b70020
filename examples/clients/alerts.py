"""Watches one characteristic, acknowledges its first violation, and ends when that is heard of.

    pip install websockets
    python alerts.py http://127.0.0.1:8080 1
"""

import asyncio
import json
import sys
import urllib.request

import websockets


def acknowledge(server, violation_id):
    body = json.dumps({"reason": "Under Investigation", "user": "alerts.py"}).encode()
    url = f"{server}/api/v1/violations/{violation_id}/acknowledge"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


async def main(server, characteristic_id):
    async with websockets.connect(server.replace("http", "ws", 1) + "/api/v1/ws") as socket:
        await socket.send(json.dumps({"type": "subscribe", "characteristic_ids": [characteristic_id]}))
        answered = None
        async for text in socket:
            message = json.loads(text)
            print(json.dumps(message), flush=True)
            payload = message.get("payload", {})
            if message["type"] == "violation" and answered is None:
                answered = payload["id"]
                await asyncio.to_thread(acknowledge, server, answered)
            if message["type"] == "ack_update" and payload["violation_id"] == answered:
                return


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
