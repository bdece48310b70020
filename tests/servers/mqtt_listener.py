"""Listens to an MQTT 5 broker by a library that is not Andon's, and prints each message as a line of JSON.

    mqtt_listener.py PORT FILTER [CA]
"""

import json
import sys

import paho.mqtt.client as mqtt


def on_connect(client, userdata, flags, reason, properties):
    client.subscribe(sys.argv[2], qos=1)


def on_subscribe(client, userdata, message_id, reasons, properties):
    print(json.dumps({"subscribed": True}), flush=True)


def on_message(client, userdata, message):
    properties = message.properties.json() if message.properties else {}
    told = {
        "topic": message.topic,
        "retained": message.retain,
        "qos": message.qos,
        "payload": message.payload.decode(),
        "properties": properties,
    }
    print(json.dumps(told), flush=True)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
if len(sys.argv) > 3:
    client.tls_set(ca_certs=sys.argv[3])
client.connect("localhost", int(sys.argv[1]))
client.loop_forever()
