"""Names of things that are made from other things: the same inputs give the same name."""

import hashlib
import json

N_DIGITS = 12


def content_id(definition: object) -> str:
    """First 12 hex digits of the sha256 over the canonical JSON of what defines a thing."""
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:N_DIGITS]
