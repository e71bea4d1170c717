"""Two machines that know one short code agree on a long key, and nobody who listens or guesses learns either.

This is SPEKE (Jablon 1996; ISO/IEC 11770-4): Diffie and Hellman's exchange with a generator that is made of the code.
Whoever does not know the code can test one guess for each exchange that it takes part in, and none afterwards.
Both sides prove the key over all that was said, so that neither names nor addresses can be changed on the way.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

import msgspec

from zeus.errors import BadInput
from zeus.wire import Introduction

PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AACAA68FFFFFFFFFFFFFFFF",
    16,
)
"""Of RFC 3526, group 14: half of it, less one, is a prime too."""
SECRET_BITS = 256


class Share:
    """One side's part of an exchange."""

    def __init__(self, code: str) -> None:
        self._secret = secrets.randbits(SECRET_BITS) | 1
        self.public = f"{pow(_generator(code), self._secret, PRIME):x}"
        """What is told to the other side."""

    def key(self, public: str, said: object) -> Key:
        """The key that both sides have when they know one code and heard the same. Raises BadInput."""
        other = int(public, 16)
        if not 1 < other < PRIME - 1:
            raise BadInput("public: this is no share of a key.", code="invalid_field")
        common = pow(other, self._secret, PRIME).to_bytes(256, "big")
        return Key(hashlib.sha256(common + msgspec.json.encode(said)).digest())


class Key:
    """What comes of an exchange: a proof for each side, and a secret for each to show the other from now on."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @property
    def host_proof(self) -> str:
        """Proves that the node that showed the code has the key."""
        return self._made("host proof").hex()

    @property
    def guest_proof(self) -> str:
        """Proves that the node at which the code was typed has the key."""
        return self._made("guest proof").hex()

    @property
    def host_token(self) -> str:
        """What the guest shows the host."""
        return _text(self._made("host token"))

    @property
    def guest_token(self) -> str:
        """What the host shows the guest."""
        return _text(self._made("guest token"))

    def _made(self, purpose: str) -> bytes:
        return hmac.new(self._key, f"zeus pairing 1 {purpose}".encode(), hashlib.sha256).digest()


def said(place: str, guest: Introduction, host: Introduction, guest_public: str, host_public: str) -> object:
    """All that the two sides told each other, as both put it in their key."""
    sides = [[each.id, each.name, list(each.urls)] for each in (guest, host)]
    return ["zeus pairing 1", place, *sides, guest_public, host_public]


def is_same(given: str, wanted: str) -> bool:
    """Whether two proofs are one; it takes as long wherever they differ."""
    return hmac.compare_digest(given, wanted)


def _generator(code: str) -> int:
    """A number of the large subgroup, of which nobody knows how it is made of another code's."""
    return pow(
        int.from_bytes(hashlib.shake_256(b"zeus pairing 1" + code.encode()).digest(272), "big") % PRIME, 2, PRIME
    )


def _text(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret[:24]).decode()
