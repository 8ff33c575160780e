"""Checks what xingka-wire made, by libraries that know nothing of it.

Reads cases from standard input, one JSON object a line. Messages are read and written by
pyiso8583, MACs and session keys made again by psec (DES and 3DES) and cryptography (AES
and SM4). The table of fields, the MAC rules and the layouts of field 62 stand here a
second time, typed from the description of the wire and not made from the crate's.

Ends with 1 at the first case that comes out otherwise, and prints it.
"""

import collections
import json
import sys
import warnings

import iso8583
import psec
from cryptography.hazmat.primitives import cmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

# Field: format, prefix digits (0 where it has always the same length), length.
FIELDS = {
    2: ("n", 2, 19), 3: ("n", 0, 6), 4: ("n", 0, 12), 11: ("n", 0, 6), 12: ("n", 0, 6),
    13: ("n", 0, 4), 14: ("n", 0, 4), 15: ("n", 0, 4), 22: ("n", 0, 3), 23: ("n right", 0, 3),
    25: ("n", 0, 2), 26: ("n", 0, 2), 32: ("n", 2, 11), 35: ("z", 2, 37), 36: ("z", 3, 104),
    37: ("an", 0, 12), 38: ("an", 0, 6), 39: ("an", 0, 2), 41: ("an", 0, 8), 42: ("an", 0, 15),
    43: ("b", 0, 40), 44: ("an", 2, 25), 48: ("n", 3, 322), 49: ("an", 0, 3), 52: ("b", 0, 8),
    53: ("n", 0, 16), 54: ("an", 3, 20), 55: ("b", 3, 512), 57: ("b", 3, 512), 60: ("n", 3, 17),
    61: ("n", 3, 29), 62: ("b", 3, 512), 63: ("b", 3, 163), 64: ("b", 0, 8), 128: ("b", 0, 8),
}  # fmt: skip

# What stands before the MTI, in bytes: length; length, TPDU and header.
FRONT_BYTES = {"ascii87": 2, "cup": 2 + 5 + 6}


class Wrong(Exception):
    """A case came out otherwise."""


def ascii_row(kind, prefix, length):
    encoding = "b" if kind == "b" else "ascii"
    return {"data_enc": encoding, "len_enc": "ascii", "len_type": prefix, "max_len": length, "desc": ""}


def packed_row(kind, prefix, length):
    row = {"data_enc": "ascii" if kind == "an" else "b", "len_enc": "bcd", "max_len": length, "desc": ""}
    row["len_type"] = {0: 0, 2: 1, 3: 2}[prefix]
    if kind not in ("an", "b"):
        row["len_count"] = "nibbles"
        row["left_pad" if kind == "n right" else "right_pad"] = "0"
    return row


def specification(row, mti):
    fixed = {"len_enc": "ascii", "len_type": 0, "desc": ""}
    bitmap = {**fixed, "data_enc": "b", "max_len": 8}
    spec = {"h": {**fixed, "data_enc": "ascii", "max_len": 0}, "t": {**fixed, **mti}, "p": bitmap, "1": bitmap}
    spec.update({str(field): row(*FIELDS[field]) for field in FIELDS})
    return spec


SPECS = {
    "ascii87": specification(ascii_row, {"data_enc": "ascii", "max_len": 4}),
    "cup": specification(packed_row, {"data_enc": "b", "max_len": 2}),
}


def expect(what, right, found):
    if right != found:
        raise Wrong(f"{what}: it should be {right}, and it is {found}")


def text_of(dialect, field, content):
    """A field's content as pyiso8583 has it: text, or hexadecimal digits."""
    kind = FIELDS[field][0]
    if kind == "b":
        return content.hex().upper()
    text = content.decode("ascii")
    return text.replace("=", "D") if kind == "z" and dialect == "cup" else text


def split(case):
    """The message of a frame, and whether what stands before it is as it should be."""
    frame = bytes.fromhex(case["frame"])
    expect("length", len(frame) - 2, int.from_bytes(frame[:2], "big"))
    front = FRONT_BYTES[case["dialect"]]
    if case["dialect"] == "cup":
        expect("TPDU's first byte", "60", frame[2:3].hex())
    return frame[front:]


def check_message(case):
    message, spec = split(case), SPECS[case["dialect"]]
    said = {field: text_of(case["dialect"], int(field), bytes.fromhex(value)) for field, value in case["fields"].items()}
    read, _ = iso8583.decode(message, spec)
    expect("MTI", case["mti"], read["t"])
    for bitmaps in ("h", "t", "p", "1"):
        read.pop(bitmaps, None)
    expect("fields", said, read)
    written, _ = iso8583.encode({"h": "", "t": case["mti"], **said}, spec)
    expect("message", message.hex(), bytes(written).hex())


def check_probe(case):
    try:
        iso8583.decode(split(case), SPECS[case["dialect"]])
        reads = True
    except iso8583.DecodeError:
        reads = False
    expect(f"whether pyiso8583 reads `{case['row']}`", case["reads"], reads)


def sm4(key, mode, data):
    return Cipher(algorithms.SM4(key), mode).encryptor().update(data)


def sm4_ecb(key, data):
    return sm4(key, modes.ECB(), data)


def des_ecb(key, data):
    """DES for an 8-byte key, two-key 3DES for 16."""
    return psec.des.encrypt_tdes_ecb(key, data)


def padded(data, block):
    return data + bytes(-len(data) % block)


def aes_cmac(key, mab):
    mac = cmac.CMAC(algorithms.AES128(key))
    mac.update(mab)
    return mac.finalize()[:8]


def sm4_cbc(key, mab):
    return sm4(key, modes.CBC(bytes(16)), padded(mab, 16))[-16:][:8]


def cup_ecb(encrypt, block):
    def mac(key, mab):
        folded = 0
        whole = padded(mab, block)
        for at in range(0, len(whole), block):
            folded ^= int.from_bytes(whole[at : at + block], "big")
        letters = folded.to_bytes(block, "big").hex().upper().encode()
        first = encrypt(key, letters[:block])
        second = encrypt(key, bytes(a ^ b for a, b in zip(first, letters[block:])))
        return second.hex().upper().encode()[:8]

    return mac


MACS = {
    "aes-cmac": aes_cmac,
    "sm4-cbc": sm4_cbc,
    "x9.19": lambda key, mab: psec.mac.generate_retail_mac(key[:8], key[8:], mab, 1),
    "x9.9": lambda key, mab: psec.mac.generate_cbc_mac(key, mab, 1),
    "cup-ecb": cup_ecb(des_ecb, 8),
    "cup-ecb-sm4": cup_ecb(sm4_ecb, 16),
}


def check_mac(case):
    key, mab = bytes.fromhex(case["key"]), bytes.fromhex(case["mab"])
    expect("MAC", MACS[case["algorithm"]](key, mab).hex(), case["mac"])


# Network code: the cipher of both wrapping and check value, bytes of a slot, how many keys.
LAYOUTS = {1: ("des", 8, 2), 3: ("des", 16, 2), 4: ("des", 16, 3), 5: ("sm4", 16, 2), 6: ("sm4", 16, 3)}


def slot(cipher, tmk, key, slot_bytes):
    """A key under the master key, zeros behind a short one, and its check value."""
    if cipher == "sm4":
        return sm4_ecb(tmk, key) + sm4_ecb(key, bytes(16))[:4]
    wrapped = des_ecb(tmk, key)
    return wrapped + bytes(slot_bytes - len(wrapped)) + psec.des.generate_kcv(key, 4)


def check_keys(case):
    cipher, slot_bytes, count = LAYOUTS[case["network_code"]]
    tmk, random = bytes.fromhex(case["tmk"]), [bytes.fromhex(key) for key in case["random"]]
    mac_bytes = 8 if case["algorithm"] == "x9.9" else slot_bytes
    keys = [random[0][:slot_bytes], random[1][:mac_bytes], random[2][:slot_bytes]][:count]
    expect("PIN key", keys[0].hex(), case["pin_key"])
    expect("MAC key", keys[1].hex(), case["mac_key"])
    expect("field 62", b"".join(slot(cipher, tmk, key, slot_bytes) for key in keys).hex(), case["field"])


CHECKS = {"message": check_message, "probe": check_probe, "mac": check_mac, "keys": check_keys}


def main():
    # DES is what these terminals have; that it is old isn't news here.
    warnings.simplefilter("ignore")
    done = collections.Counter()
    for line in sys.stdin:
        case = json.loads(line)
        try:
            CHECKS[case["check"]](case)
        except Exception as wrong:
            print(line.strip())
            print(f"{type(wrong).__name__}: {wrong}")
            return 1
        done[case["check"]] += 1
    missing = sorted(CHECKS.keys() - done.keys())
    if missing:
        print(f"no case of: {', '.join(missing)}")
        return 1
    print(", ".join(f"{count} of {check}" for check, count in sorted(done.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
