"""What two peers must share before their models may be merged."""

from dataclasses import dataclass
from hashlib import blake2b

PROTOCOL_VERSION = 1
DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Feature schema, model shape and protocol version, as text for people and as a digest.

    Args:
        features: name and hash of the feature schema.
        model: the model's layer sizes and number of fragments.
        version: of the protocol.
    """

    features: str
    model: str
    version: int = PROTOCOL_VERSION

    @property
    def digest(self) -> bytes:
        """8 bytes that every frame carries."""
        return blake2b(self.text.encode(), digest_size=DIGEST_BYTES).digest()

    @property
    def text(self) -> str:
        """One line that both sides can log when they differ."""
        return f"protocol {self.version}, features {self.features}, model {self.model}"
