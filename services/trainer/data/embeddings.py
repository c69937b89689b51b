"""Embeddings, computed once for each text and encoder, and kept in the database."""

from collections.abc import Callable, Sequence

import numpy as np

from secondlook.common.bundle.classifier import Encoder, Floats
from secondlook.common.postgres import Queryable
from secondlook.trainer.data.handler import text_sha256

CHUNK = 512
LOAD = "SELECT text_sha256, vector FROM embedding WHERE encoder_sha256 = $1 AND text_sha256 = ANY($2::bytea[])"
KEEP = "INSERT INTO embedding (encoder_sha256, text_sha256, vector) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
# What a bundle with files may be asked to score again, and what the next model will be fitted on.
FORGET = """
DELETE FROM embedding e WHERE encoder_sha256 <> $1 AND NOT EXISTS (
    SELECT FROM bundle b WHERE b.encoder_sha256 = e.encoder_sha256 AND b.removed_at IS NULL)
"""


async def embed(
    connection: Queryable,
    encoder: Encoder,
    encoder_sha256: str,
    texts: Sequence[str],
    progress: Callable[[int, int], None],
) -> Floats:
    """Embeddings float32[n, dim] of the texts. Calls `progress` with (done, total) of those that were missing.

    An interruption loses at most one chunk, as long as `forget` keeps the embeddings of this encoder.
    """
    keys = [text_sha256(text) for text in texts]
    known = {row["text_sha256"]: row["vector"] for row in await connection.fetch(LOAD, encoder_sha256, keys)}
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    for start in range(0, len(missing), CHUNK):
        part = list(missing)[start : start + CHUNK]
        vectors = [row.astype("<f4").tobytes() for row in encoder.encode([missing[key] for key in part])]
        await connection.executemany(
            KEEP, [(encoder_sha256, key, vector) for key, vector in zip(part, vectors, strict=True)]
        )
        known.update(zip(part, vectors, strict=True))
        progress(start + len(part), len(missing))
    stacked = np.frombuffer(b"".join(known[key] for key in keys), "<f4").reshape(len(texts), encoder.dim)
    return stacked.astype(np.float32)


async def forget(connection: Queryable, encoder_sha256: str) -> None:
    """Drop the embeddings by all encoders but this one and those of the bundles whose files are kept."""
    await connection.execute(FORGET, encoder_sha256)
