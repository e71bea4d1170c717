"""Proving to another node that this one is who it was paired with, and asking for such a proof.

Two nodes that are paired each hold the digest of the secret that one shows the other. The proof is a code over both
ids, a number used once, and the address that was asked: so it cannot be fetched from the real node for another's use.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import ssl

import msgspec
from yarl import URL

from zeus.nodes.addresses import plain_address
from zeus.peers.connection import Connection, decode
from zeus.wire import Challenge, Proof

MOST = 4096
"""Bytes of an answer."""


def proof(key: str, prover: str, challenge: Challenge) -> str:
    """The proof of the node `prover`. `key` is the digest of the secret that `challenge.node` shows it."""
    words = ["zeus node proof 1", prover, challenge.node, challenge.nonce, challenge.address]
    return hmac.new(key.encode(), msgspec.json.encode(words), hashlib.sha256).hexdigest()


def is_proven(answer: Proof, key: str, challenge: Challenge) -> bool:
    """Whether an answer shows that the node has the key."""
    return answer.proof is not None and hmac.compare_digest(proof(key, answer.id, challenge), answer.proof)


def challenge_for(own_id: str, url: str, *, typed: bool) -> Challenge:
    """A new challenge for whoever answers at a URL; one that the owner `typed` may be a name, or lead past a proxy."""
    parsed = URL(url)
    address = "" if typed else plain_address(parsed.host or "", parsed.port or 0)
    return Challenge(own_id, secrets.token_hex(16), address)


async def ask_for_proof(url: str, challenge: Challenge, trust: ssl.SSLContext | None, wait: float) -> Proof:
    """Who answers at a URL; no token is sent. Raises ServerUnreachable or ServerRefused."""
    connection = Connection(url, None, trust=trust)
    try:
        sent = msgspec.to_builtins(challenge)
        answer = await connection.request("POST", "/api/nodes/prove", json=sent, most=MOST, once=True, wait=wait)
        return decode(answer, Proof)
    finally:
        await connection.close()
