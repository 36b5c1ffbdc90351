"""Secrets out of what is kept: by the names they stand under and by the shapes that well-known ones have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

SCRUBBED = "<scrubbed>"

_SHORTEST_SECRET = 6
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ALONE = {
    "password", "passwd", "passphrase", "secret", "secrets", "credential", "credentials", "apikey", "accesskey",
    "secretkey", "authorization", "bearer", "cookie", "dsn", "authtoken", "accesstoken",
}  # fmt: skip
_BEFORE_KEY = {"api", "access", "secret", "private", "signing", "encryption", "ssh", "account", "storage", "auth"}
_OF_TEXT = {
    "eos", "bos", "pad", "unk", "sep", "cls", "mask", "special", "image", "audio", "video", "start", "end", "stop", "next",
    "first", "last", "prefix", "suffix", "num", "max", "min", "per", "by", "decoder", "new", "added", "task", "eot", "sos",
}  # fmt: skip
"""Words before a token that is a piece of text and no key to anything."""

_HARMLESS = re.compile(
    r"(?i)^(|true|false|none|null|yes|no|on|off|auto|[-+]?[\d.,]+(e[-+]?\d+)?|[<\[].{0,60}[>\]]|\$\{.*\}|\*+)$"
)

_SHAPES = [
    re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY[A-Z ]{0,20}-----(?:.{1,20000}?-----END [A-Z ]{0,40}PRIVATE KEY[A-Z ]{0,20}-----|.{0,20000})", re.DOTALL),
    re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b"),
    re.compile(r"\bhf_[A-Za-z0-9]{20,}\b"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}\b"),
    re.compile(r"\bgithub_pat_\w{20,}\b"),
    re.compile(r"\bglpat-[\w-]{16,}"),
    re.compile(r"\bsk-[\w-]{16,}"),
    re.compile(r"\bxox[a-z]-[\w-]{10,}"),
    re.compile(r"\bAIza[\w-]{30,}"),
    re.compile(r"\bya29\.[\w-]{20,}"),
    re.compile(r"\b(?:npm|dckr_pat|dop_v1|wandb_v1)_[\w-]{20,}"),
    re.compile(r"\bpypi-[\w-]{30,}"),
    re.compile(r"\bSG\.[\w-]{16,}\.[\w-]{16,}"),
    re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
]  # fmt: skip
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/-]{12,}=*")
_URL_LOGIN = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]{0,20}://)(?P<login>[^\s/@\"'<>]{1,500})@")
_ASSIGNED = re.compile(
    r"(?<![\w.-])(?P<name>[A-Za-z_][A-Za-z0-9_.-]{0,80}+)(?P<between>[\"']?\s{0,8}(?::\s{0,8}str\s{0,8}=|=>|:|=)\s{0,8})(?!//)"
    r"(?:(?P<quote>[\"'])(?P<quoted>[^\"'\n]{1,2000})(?P=quote)|(?P<bare>[^\s\"',;&(){}\[\]]{1,2000})(?P<after>[(\[]?))"
)


def is_secret_name(name: str) -> bool:
    """Whether a key, a flag or a variable of this name holds a secret: password, hf_token, AWS_SECRET_ACCESS_KEY.

    Tokens of text are none (eos_token, max_tokens, token_dropout, tokenizer).
    """
    words = [word.lower() for word in _WORDS.findall(name) if not word.isdigit()]
    if _ALONE.intersection(words) or any(word.endswith("password") for word in words):
        return True
    if any(before in _BEFORE_KEY and word in {"key", "keys"} for before, word in pairwise(words)):
        return True
    if words[-1:] == ["token"]:
        return not _OF_TEXT.intersection(words)
    return words[-1:] == ["pwd"] and len(words) > 1 and words[0] != "old"


def scrub_text(text: str) -> str:
    """A text without passwords in URLs, private keys, tokens of known shape and values assigned to secret names."""
    for shape in _SHAPES:
        text = shape.sub(SCRUBBED, text)
    text = _BEARER.sub(rf"\1 {SCRUBBED}", text)
    text = _URL_LOGIN.sub(_without_login, text)
    return _ASSIGNED.sub(_without_value, text)


def scrub_argv(arguments: Sequence[str]) -> list[str]:
    """A command line without secrets: `--token X`, `--api-key=X` and `logger.password=X` lose their X."""
    kept: list[str] = []
    secret_next = False
    for argument in arguments:
        name, equals, value = argument.partition("=")
        flag = name.startswith("-")
        if secret_next and not flag:
            kept.append(_hidden(argument))
        elif equals and is_secret_name(name):
            kept.append(f"{name}={_hidden(value)}")
        else:
            kept.append(scrub_text(argument))
        secret_next = flag and not equals and is_secret_name(name)
    return kept


def scrub(value: Any, name: str = "") -> Any:
    """Nested plain data (a config, environment variables) without secrets; what stands under a secret name is hidden."""
    if isinstance(value, Mapping):
        return {key: scrub(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(item, name) for item in value]
    if not isinstance(value, str):
        return value
    return _hidden(value) if is_secret_name(name) else scrub_text(value)


def _hidden(value: str) -> str:
    return value if _HARMLESS.match(value) else SCRUBBED


def _without_login(match: re.Match[str]) -> str:
    scheme, login = match["scheme"], match["login"]
    name, colon, _ = login.partition(":")
    if not colon and not scheme.startswith("http"):
        return match[0]  # ssh://git@host: a name is no secret
    return f"{scheme}{SCRUBBED}@" if not colon or scheme.startswith("http") else f"{scheme}{name}:{SCRUBBED}@"


def _without_value(match: re.Match[str]) -> str:
    """Only what looks like a literal: quoted, or a bare word with a digit that is no call, index or attribute."""
    name, between, quote, bare = match["name"], match["between"], match["quote"], match["bare"]
    value = match["quoted"] if quote else bare
    if not is_secret_name(name) or _HARMLESS.match(value) or value.startswith("<"):
        return match[0]
    if quote:
        return f"{name}{between}{quote}{SCRUBBED}{quote}"
    if match["after"] or len(bare) < _SHORTEST_SECRET or not any(letter.isdigit() for letter in bare):
        return match[0]
    return f"{name}{between}{SCRUBBED}"
