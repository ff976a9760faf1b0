"""What two peers must share before their models may be merged."""

from dataclasses import dataclass
from hashlib import blake2b

PROTOCOL_VERSION = 2
DIGEST_BYTES = 8
TEXT_CHARS_MAX = 380
"""A refusal, whose reason holds 400 characters, must be able to carry it."""


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

    def __post_init__(self) -> None:
        """Refuse what a peer could not show in its log.

        Raises:
            ValueError: the text is not printable ASCII or too long for a refusal.
        """
        text = self.text
        if len(text) > TEXT_CHARS_MAX or not (text.isascii() and text.isprintable()):
            raise ValueError(
                f"a fingerprint is at most {TEXT_CHARS_MAX} printable ASCII characters: {text!a}"
            )

    @property
    def digest(self) -> bytes:
        """8 bytes that every frame carries."""
        return blake2b(self.text.encode(), digest_size=DIGEST_BYTES).digest()

    @property
    def schema(self) -> bytes:
        """8 bytes for what is signed.

        Of the features alone: an antigen speaks of them, and fits every model that reads them.
        """
        return blake2b(self.features.encode(), digest_size=DIGEST_BYTES).digest()

    @property
    def text(self) -> str:
        """One line that both sides can log when they differ."""
        return f"protocol {self.version}, features {self.features}, model {self.model}"
