"""Messages as nobody should write them and somebody does, in the manner of RFC 4475; ours, not copied from there."""

from __future__ import annotations

INVITE = (
    "INVITE sip:bob@example.com SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport\r\n"
    "Max-Forwards: 70\r\n"
    'From: "Alice" <sip:alice@example.org>;tag=1928\r\n'
    "To: <sip:bob@example.com>\r\n"
    "Call-ID: a84b4c76e66710@192.0.2.1\r\n"
    "CSeq: 314159 INVITE\r\n"
    "Contact: <sip:alice@192.0.2.1:5080>\r\n"
    "Content-Length: 0\r\n"
    "\r\n"
)
VIA = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport\r\n"
FROM = 'From: "Alice" <sip:alice@example.org>;tag=1928\r\n'


def changed(old: str, new: str) -> bytes:
    """The INVITE with one thing changed."""
    assert INVITE.count(old) == 1, old
    return INVITE.replace(old, new).encode("utf-8", "surrogateescape")


def shortened() -> bytes:
    """The INVITE with the short names of its fields."""
    data = INVITE
    names = {"Via": "v", "From": "f", "To": "t", "Call-ID": "I", "Contact": "m", "Content-Length": "L"}
    for long, short in names.items():
        data = data.replace(f"\n{long}:", f"\n{short}:")
    return data.encode()


READ: dict[str, bytes] = {
    "plain": INVITE.encode(),
    "a field with a very long name": changed("Content-Length", f"X-{'Long' * 60}-Name: value\r\nContent-Length"),
    "folded header": changed("To: <sip:bob", "To:\r\n <sip:bob"),
    "folded in the middle": changed("CSeq: 314159 INVITE", "CSeq: 314159\r\n\t  INVITE"),
    "folded with nothing but spaces": changed("CSeq: 314159 INVITE\r\n", "CSeq: 314159 INVITE\r\n   \r\n"),
    "space before the colon": changed("Call-ID:", "Call-ID  \t:"),
    "no space after the colon": changed("Call-ID: ", "Call-ID:"),
    "compact forms": shortened(),
    "odd capitals": changed("CSeq:", "cSEQ:"),
    "two Vias on one line": changed("rport\r\n", "rport, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKdef\r\n"),
    "two lines of Via": changed(VIA, VIA + "Via: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bKdef\r\n"),
    "tel URI": changed("To: <sip:bob@example.com>", "To: <tel:+43111>"),
    "sips": changed("INVITE sip:bob", "INVITE sips:bob"),
    "IPv6": changed("bob@example.com SIP/2.0", "bob@[2001:db8::9]:5070 SIP/2.0").replace(
        b"UDP 192.0.2.1:5060", b"UDP [2001:db8::1]:5060"
    ),
    "Via with spaces": changed("SIP/2.0/UDP 192.0.2.1:5060;branch", "SIP / 2.0 / UDP   192.0.2.1 : 5060 ; branch"),
    "transport that nobody knows": changed("2.0/UDP", "2.0/CARRIER-PIGEON"),
    "escaped user": changed("INVITE sip:bob@", "INVITE sip:b%40b;x=1@"),
    "name without quotes": changed('"Alice" <', "Alice B Smith <"),
    "no name and no space": changed('"Alice" <', "<"),
    "name in UTF-8": changed('"Alice"', '"Jürgen"'),
    "name in Latin-1": changed('"Alice"', '"J\udcfcrgen"'),
    "semicolon and quotes in the name": changed('"Alice"', '"A;B\\"C, <D>;tag=no"'),
    "control characters in quoted pairs": changed('"Alice"', '"BEL:\\\x07 NUL:\\\0 DEL:\\\x7f"'),
    "backslash before the closing quote": changed('"Alice"', '"Alice\\\\"'),
    "address without brackets": changed('"Alice" <sip:alice@example.org>', "sip:alice@example.org"),
    "bare LF": INVITE.replace("\r\n", "\n").encode(),
    "bare LF in one line": changed("Max-Forwards: 70\r\n", "Max-Forwards: 70\n"),
    "bare LF in the blank line": changed("Content-Length: 0\r\n\r\n", "Content-Length: 0\r\n\n"),
    "line ends before": b"\r\n\n\r\n" + INVITE.encode(),
    "no Max-Forwards": changed("Max-Forwards: 70\r\n", ""),
    "no Content-Length": changed("Content-Length: 0\r\n", ""),
    "zeros before Content-Length": changed("Content-Length: 0", "Content-Length: 0000"),
    "more after the body": INVITE.encode() + b"BYE sip:x SIP/2.0\r\n\r\n",
    "unknown method": INVITE.replace("INVITE", "!method-token_%*`'~").encode(),
    "unknown headers": changed("Contact:", "X-Unknown.header!: yes\r\nContact:"),
    "header without value": changed("Contact:", "Supported:\r\nContact:"),
    "spaces after the version": changed("SIP/2.0\r\nVia", "SIP/2.0  \r\nVia"),
    "version in lower case": changed("SIP/2.0\r\nVia", "sip/2.0\r\nVia"),
    "unknown scheme": changed("INVITE sip:bob@example.com", "INVITE foo:bar"),
    "pn-parameters": changed(
        "<sip:alice@192.0.2.1:5080>",
        '<sip:alice@192.0.2.1:5080;pn-provider=apns;pn-prid=00fc>;+sip.instance="<urn:uuid:1>";expires=60',
    ),
    "a parameter that is empty": changed(";tag=1928", ";;tag=1928;"),
    "CSeq at its largest": changed("314159", "2147483647"),
    "long values": changed('"Alice"', '"' + "x" * 20_000 + '"'),
}
"""All of them mean the same call; none may be refused."""

REFUSED: dict[str, bytes] = {
    "no blank line": INVITE[:-2].encode(),
    "no Via": changed(VIA, ""),
    "Via of another protocol": changed("SIP/2.0/UDP", "HTTP/1.1/TCP"),
    "Via without host": changed("UDP 192.0.2.1:5060", "UDP "),
    "Via with an impossible port": changed("192.0.2.1:5060", "192.0.2.1:65536"),
    "Via with two branches": changed(";rport", ";branch=z9hG4bKdef"),
    "Via that is empty": changed(VIA, "Via: ,\r\n"),
    "no From": changed(FROM, ""),
    "two From": changed(FROM, FROM + "f: <sip:mallory@example.org>;tag=2\r\n"),
    "no To": changed("To: <sip:bob@example.com>\r\n", ""),
    "no Call-ID": changed("Call-ID: a84b4c76e66710@192.0.2.1\r\n", ""),
    "empty Call-ID": changed("a84b4c76e66710@192.0.2.1", ""),
    "two Call-IDs": changed("CSeq", "i: other\r\nCSeq"),
    "no CSeq": changed("CSeq: 314159 INVITE\r\n", ""),
    "two CSeqs": changed("Contact", "CSeq: 2 INVITE\r\nContact"),
    "CSeq too large": changed("314159", "2147483648"),
    "CSeq negative": changed("314159", "-1"),
    "CSeq of another method": changed("314159 INVITE", "314159 BYE"),
    "CSeq in digits of another script": changed("314159", "٣"),
    "two tags": changed(";tag=1928", ";tag=1928;tag=1929"),
    "empty tag": changed(";tag=1928", ";tag="),
    "tag without value": changed(";tag=1928", ";tag"),
    "open quote": changed('"Alice"', '"Alice'),
    "open bracket": changed("<sip:alice@example.org>", "<sip:alice@example.org"),
    "nothing in brackets": changed("<sip:alice@example.org>", "<>"),
    "question mark without brackets": changed('"Alice" <sip:alice@example.org>', "sip:alice@example.org?Route=x"),
    "Max-Forwards too large": changed("70", "256"),
    "Max-Forwards no number": changed("70", "seventy"),
    "two Content-Lengths": changed("Content-Length: 0", "Content-Length: 0\r\nl: 0"),
    "Content-Length negative": changed("Content-Length: 0", "Content-Length: -9"),
    "Content-Length larger than the datagram": changed("Content-Length: 0", "Content-Length: 10"),
    "Content-Length beyond all numbers": changed("Content-Length: 0", "Content-Length: 99999999999999999999"),
    "NUL in a value": changed('"Alice"', '"Al\0ice"'),
    "escape character in a value": changed('"Alice"', '"\x1b[2J"'),
    "quoted pair without quotes": changed('"Alice"', "Al\\\0ice"),
    "quoted pair behind the name": changed(";tag=1928", ';x="\\\x07";tag=1928'),
    "quoted pair in a Call-ID": changed("a84b4c76e66710@192.0.2.1", '"\\\x07"'),
    "quoted pair of a line end": changed('"Alice"', '"Al\\\rice"'),
    "quoted pair that is none": changed('"Alice"', '"Al\\\\\x07ice"'),
    "stray carriage return": changed('"Alice"', '"Al\rice"'),
    "line without colon": changed("Contact:", "what is this\r\nContact:"),
    "name that is none": changed("Contact:", "Con tact: x\r\nContact:"),
    "name that is empty": changed("Contact:", ": x\r\nContact:"),
    "first line folded": changed(VIA, " folded\r\n" + VIA),
    "other version": changed("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"),
    "other version in Via too": INVITE.replace("SIP/2.0", "SIP/7.0").encode(),
    "brackets around the Request-URI": changed("INVITE sip:bob@example.com", "INVITE <sip:bob@example.com>"),
    "spaces in the Request-URI": changed("INVITE sip:bob@example.com", "INVITE sip:bob@example.com; lr"),
    "no Request-URI": changed("INVITE sip:bob@example.com SIP", "INVITE SIP"),
    "too many fields": changed("Contact:", "X: y\r\n" * 300 + "Contact:"),
    "HTTP": b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "STUN": bytes.fromhex("000100002112a442") + b"\0" * 12,
    "nothing": b"",
    "line ends only": b"\r\n\r\n",
}
ANSWERABLE = {
    name for name in REFUSED
    if name not in {
        "no Via", "Via of another protocol", "Via without host", "Via with an impossible port", "Via with two branches",
        "Via that is empty", "no From", "no To", "no Call-ID", "empty Call-ID", "no CSeq", "NUL in a value",
        "escape character in a value", "quoted pair without quotes", "quoted pair behind the name",
        "quoted pair in a Call-ID", "quoted pair that is none", "HTTP", "STUN", "nothing", "line ends only",
    }
}  # fmt: skip
"""Those that are told what is wrong with them. Of the others, something is missing that the answer would be made of."""
