# hostile: replaces what packs its replies, to send objects that are none
# ends: Protocol
import struct

from glassformer.checking import wire

HEADER = b'{"d":[["number",1],["value",[{"r":["Offer",1,2,3,4,5,6,7]}]]]}'
wire.pack = lambda value: struct.pack("<II", len(HEADER), 0) + HEADER


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
