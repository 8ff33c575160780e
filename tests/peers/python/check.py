"""Holds our codec and ciphers against Python's: reads cases as JSON lines (`cargo run -p
xingka-peers` prints them), does each again with libraries that share nothing with ours, and
exits 1 at the first difference.

Messages: pyiso8583. DES and 3DES MACs, key wrapping, check values: psec. AES-CMAC: cryptography.
SM4: gmssl. The two home-made MACs (cup-ecb) are put together here from wire.md's words.
"""

import collections
import json
import sys

import iso8583
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from gmssl.sm4 import SM4_DECRYPT, SM4_ENCRYPT, CryptSM4
from psec import des, mac

BINARY = "b"
TEXT = "ascii"


def field(length_digits, most, encoding):
    return {
        "data_enc": encoding,
        "len_enc": "ascii",
        "len_type": length_digits,
        "max_len": most,
        "desc": "",
    }


def fixed(length, encoding=TEXT):
    return field(0, length, encoding)


def ll(most, encoding=TEXT):
    return field(2, most, encoding)


def lll(most, encoding=TEXT):
    return field(3, most, encoding)


# wire.md's table, by hand: taken from ours it would prove nothing.
ASCII87 = {
    "h": fixed(0), "t": fixed(4), "p": fixed(8, BINARY), "1": fixed(8, BINARY),
    "2": ll(19), "3": fixed(6), "4": fixed(12), "11": fixed(6), "12": fixed(6), "13": fixed(4),
    "14": fixed(4), "15": fixed(4), "22": fixed(3), "23": fixed(3), "25": fixed(2), "26": fixed(2),
    "32": ll(11), "35": ll(37), "36": lll(104), "37": fixed(12), "38": fixed(6), "39": fixed(2),
    "41": fixed(8), "42": fixed(15), "43": fixed(40), "44": ll(25), "48": lll(322), "49": fixed(3),
    "52": fixed(8, BINARY), "53": fixed(16), "54": lll(20), "55": lll(512, BINARY), "57": lll(512, BINARY),
    "60": lll(17), "61": lll(29), "62": lll(512, BINARY), "63": lll(163), "64": fixed(8, BINARY),
}


def value(number, content):
    return content.hex().upper() if ASCII87[number]["data_enc"] == BINARY else content.decode("ascii")


def check_message(case):
    wanted = bytes.fromhex(case["bytes"])
    said = {"t": case["mti"]}
    said |= {number: value(number, bytes.fromhex(content)) for number, content in case["fields"].items()}
    written, _ = iso8583.encode(dict(said), ASCII87)
    assert written == wanted, written.hex()
    read, _ = iso8583.decode(wanted, ASCII87)
    assert {number: content for number, content in read.items() if number not in "hp1"} == said, read


def sm4(key, block, mode=SM4_ENCRYPT):
    cipher = CryptSM4()
    cipher.set_key(key, mode)
    return bytes(cipher.one_round(cipher.sk, list(block)))


def xor(one, other):
    return bytes(a ^ b for a, b in zip(one, other))


def blocks(data, size):
    padded = data + bytes(-len(data) % size)
    return [padded[at:at + size] for at in range(0, len(padded), size)]


def home_made(encrypt, data, size):
    """wire.md's cup-ecb: XOR of all blocks, then twice through the cipher as hexadecimal text."""
    folded = bytes(size)
    for block in blocks(data, size):
        folded = xor(folded, block)
    text = folded.hex().upper().encode()
    first = encrypt(text[:size])
    return encrypt(xor(first, text[size:])).hex().upper().encode()[:8]


def sm4_cbc(key, data):
    chained = bytes(16)
    for block in blocks(data, 16):
        chained = sm4(key, xor(chained, block))
    return chained[:8]


def cmac(key, data):
    made = CMAC(AES(key))
    made.update(data)
    return made.finalize()[:8]


def ecb(key):
    return lambda block: des.encrypt_tdes_ecb(key, block)


MACS = {
    "aes-cmac": cmac,
    "sm4-cbc": sm4_cbc,
    "x9.19": lambda key, data: mac.generate_retail_mac(key[:8], key[8:], data, 1),
    "x9.9": lambda key, data: mac.generate_cbc_mac(key, data, 1),
    "cup-ecb": lambda key, data: home_made(ecb(key), data, 8),
    "cup-ecb-sm4": lambda key, data: home_made(lambda block: sm4(key, block), data, 16),
}


def check_mac(case):
    key, data = bytes.fromhex(case["key"]), bytes.fromhex(case["data"])
    made = MACS[case["algorithm"]](key, data)
    assert made.hex() == case["mac"], made.hex()


def by_des(tmk, key):
    return des.encrypt_tdes_ecb(tmk, key), des.generate_kcv(key, 4)


def by_sm4(tmk, key):
    return sm4(tmk, key), sm4(key, bytes(16))[:4]


# What field 62 has of each key, and how it is encrypted, by network code.
LAYOUTS = {"001": (8, 2, by_des), "003": (16, 2, by_des), "004": (16, 3, by_des),
           "005": (16, 2, by_sm4), "006": (16, 3, by_sm4)}


def check_keys(case):
    key_bytes, count, wrapped = LAYOUTS[case["network_code"]]
    tmk, carried = bytes.fromhex(case["tmk"]), bytes.fromhex(case["field"])
    assert len(carried) == count * (key_bytes + 4), len(carried)
    known = [bytes.fromhex(case["pin_key"]), bytes.fromhex(case["mac_key"])]
    for place, key in enumerate(known):
        at = place * (key_bytes + 4)
        part = carried[at:at + key_bytes + 4]
        encrypted, check_value = wrapped(tmk, key[:key_bytes])
        assert part == encrypted + check_value, (encrypted + check_value).hex()
    if count == 3:
        # The track key has no other name than its check value.
        part = carried[2 * (key_bytes + 4):]
        if wrapped is by_sm4:
            clear = sm4(tmk, part[:16], SM4_DECRYPT)
        else:
            clear = des.decrypt_tdes_ecb(tmk, part[:16])
        assert wrapped(tmk, clear) == (part[:16], part[16:]), clear.hex()


CHECKS = {"message": check_message, "mac": check_mac, "keys": check_keys}


def main():
    done = collections.Counter()
    for line in sys.stdin:
        case = json.loads(line)
        try:
            CHECKS[case["case"]](case)
        except Exception as error:
            sys.exit(f"{type(error).__name__}: {error}\nin the case {line}")
        name = case["case"]
        detail = case.get("algorithm") or case.get("network_code") or case.get("mti")
        done[f"{name} {detail}"] += 1
    for name, count in sorted(done.items()):
        print(f"{count:6} {name}")
    wanted = len(MACS) + len(LAYOUTS)
    if sum(name.startswith(("mac", "keys")) for name in done) != wanted or not done["message 0200"]:
        sys.exit("cases of some kind are missing")


if __name__ == "__main__":
    main()
