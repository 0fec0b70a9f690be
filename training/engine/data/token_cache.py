"""Cache of tokenized rows, by content: a second run on the same rows reads them instead of tokenizing again.

One safetensors file for each tokenizer, chat template and set of rows, named by the sha256 of all three. Files are
written aside and renamed, so that runs at the same time see whole files or none; what is damaged is computed again.
The newest `LIMIT` bytes are kept.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from training.engine.data.encoding import Encoder
from training.engine.data.messages import TEMPLATE_KWARGS, TOOLS
from training.engine.data.splitting import Split

log = logging.getLogger("konomi.engine")

# Part of every key: increase it when the same rows give other tokens.
VERSION = "2"
LIMIT = 2 << 30
SUFFIX = ".safetensors"
PLACES = ("mismatches", "control_text", "reasoning_left_out")


@dataclass(frozen=True)
class TokenCache:
    """A folder of tokenized rows. Of several processes the one that `leads` tokenizes, while the others wait."""

    folder: Path
    leads: bool = True
    barrier: Callable[[], None] = lambda: None
    limit: int = LIMIT

    def fetch(
        self,
        encoder: Encoder,
        rows: Sequence[Mapping[str, Any]],
        positions: Sequence[int],
        columns: Sequence[str],
        compute: Callable[[], Split],
    ) -> Split:
        """The rows' token ids, from the file where there is a whole one."""
        path = self.folder / f"{content_key(encoder, rows, positions, columns)}{SUFFIX}"
        size = (len(positions), len(columns))
        found = None
        if self.leads:
            try:
                found = self._read(path, *size)
                if found is None:
                    found = compute()
                    self._write(path, found)
            finally:  # the others must not wait for one that failed or was cancelled
                self.barrier()
        else:
            self.barrier()
        if found is None:
            found = self._read(path, *size)
        return compute() if found is None else found

    def _read(self, path: Path, rows: int, completions: int) -> Split | None:
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="np") as file:
                metadata, ids, lengths = file.metadata(), file.get_tensor("ids"), file.get_tensor("lengths")
            if metadata["sha256"] != _digest(ids, lengths):
                raise ValueError("its content is not what was written")
            places = {name: json.loads(metadata[name]) for name in PLACES}
            pieces = _pieces(ids, lengths)
            split = Split(**places)
            for _row in range(rows):
                split.prompt_ids.append(next(pieces))
                split.completion_ids.append([next(pieces) for _ in range(completions)])
            os.utime(path)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, StopIteration) as error:
            log.warning("%s is damaged (%s): the rows are tokenized again", path, error)
            return None
        log.info("token ids read from %s", path)
        return split

    def _write(self, path: Path, split: Split) -> None:
        pieces = [
            ids
            for prompt, completions in zip(split.prompt_ids, split.completion_ids, strict=True)
            for ids in (prompt, *completions)
        ]
        lengths = np.fromiter(map(len, pieces), dtype=np.int32, count=len(pieces))
        ids = np.fromiter((token for piece in pieces for token in piece), dtype=np.int32, count=int(lengths.sum()))
        metadata = {name: json.dumps(getattr(split, name)) for name in PLACES}
        metadata["sha256"] = _digest(ids, lengths)
        partial = path.with_name(f".{path.stem}.{os.getpid()}.partial")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(save({"ids": ids, "lengths": lengths}, metadata))
            partial.replace(path)
            self._prune(path)
        except OSError as error:
            log.warning("token ids are not cached in %s: %s", self.folder, error)
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def _prune(self, newest: Path) -> None:
        """Remove the files that were used longest ago, until `limit` is kept; never the newest."""
        files = []
        for file in self.folder.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):  # another run prunes, too
                status = file.stat()
                files.append((status.st_mtime, status.st_size, file))
        kept = 0
        for _used, size, file in sorted(files, reverse=True):
            kept += size
            if kept > self.limit and file != newest:
                file.unlink(missing_ok=True)
                log.info("%s removed: token ids take at most %d MB", file, self.limit >> 20)


def content_key(
    encoder: Encoder, rows: Sequence[Mapping[str, Any]], positions: Sequence[int], columns: Sequence[str]
) -> str:
    """sha256 over all that decides the token ids: tokenizer, template, rows, and our own way of writing them."""
    digest = hashlib.sha256(f"{VERSION} {transformers.__version__} {tokenizers.__version__}".encode())
    for part in _tokenizer_parts(encoder):
        digest.update(b"\0" + part)
    names = ("prompt", *columns, TOOLS, TEMPLATE_KWARGS)
    encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str).encode
    for position in positions:
        row = rows[position]
        digest.update(encode([row.get(name) for name in names]).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def _tokenizer_parts(encoder: Encoder) -> Iterator[bytes]:
    tokenizer = encoder.tokenizer
    added = sorted((index, str(token.__getstate__())) for index, token in tokenizer.added_tokens_decoder.items())
    about = [type(tokenizer).__name__, tokenizer.chat_template, tokenizer.special_tokens_map, added]
    about += [encoder.prefix, encoder.suffix, encoder.control.tokens, tokenizer.split_special_tokens]
    yield json.dumps(about, sort_keys=True, default=str).encode()
    if hasattr(tokenizer, "backend_tokenizer"):
        yield tokenizer.backend_tokenizer.to_str().encode()
        return
    yield json.dumps(sorted(tokenizer.get_vocab().items())).encode()
    for name in sorted(set(vars(type(tokenizer)).get("vocab_files_names", {}).values())):
        file = Path(tokenizer.name_or_path) / name
        if file.is_file():
            yield hashlib.sha256(file.read_bytes()).digest()


def _pieces(ids: np.ndarray, lengths: np.ndarray) -> Iterator[list[int]]:
    if int(lengths.sum()) != len(ids) or (lengths < 0).any():
        raise ValueError("its lengths do not fit")
    every = ids.tolist()
    end = 0
    for length in lengths.tolist():
        yield every[end : end + length]
        end += length


def _digest(ids: np.ndarray, lengths: np.ndarray) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(lengths).tobytes())
    digest.update(np.ascontiguousarray(ids).tobytes())
    return digest.hexdigest()
