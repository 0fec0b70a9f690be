"""The site's key pair for receipts: Ed25519, made on first use below var, readable by the site's user alone."""

import base64
import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings

from annotation.core.errors import InvalidInput

KEY = "receipts-key.pem"


def key_path() -> Path:
    return Path(settings.VAR) / "keys" / KEY


def private_key() -> Ed25519PrivateKey:
    """The site's key; made where there is none. Of two processes that make one at once, the first wins."""
    path = key_path()
    if not path.exists():
        make_key(path)
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInput(f"{path} is no Ed25519 key: restore the key of this site")
    return key


def make_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(number, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)  # whole, or not at all; never over another one
    finally:
        Path(name).unlink(missing_ok=True)


def public_pem() -> str:
    """The site's public key, as openssl reads it."""
    public = private_key().public_key()
    pem: bytes = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def fingerprint(pem: str) -> str:
    """sha256 of the key's raw 32 bytes, in hex."""
    return hashlib.sha256(read_public(pem).public_bytes_raw()).hexdigest()


def read_public(pem: str) -> Ed25519PublicKey:
    """Raises InvalidInput for what is no such key."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except ValueError as error:
        raise InvalidInput(f"this is no public key in PEM: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput("this is no Ed25519 key")
    return key


def sign(content: bytes) -> str:
    """The signature, in base64."""
    return base64.b64encode(private_key().sign(content)).decode()


def is_signed(content: bytes, signature: bytes, pem: str) -> bool:
    """Whether the 64 bytes are this key's signature of exactly this content."""
    try:
        read_public(pem).verify(signature, content)
    except InvalidSignature:
        return False
    return True
