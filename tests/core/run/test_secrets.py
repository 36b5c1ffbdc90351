"""Secrets are left out of what is kept, and nothing else is."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankzero.run.facts.secrets import SCRUBBED, is_secret_name, scrub, scrub_argv, scrub_text

SECRET_NAMES = [
    "password",
    "db_password",
    "DB_PASSWORD",
    "dbPassword",
    "passphrase",
    "secret",
    "client_secret",
    "clientSecret",
    "api_key",
    "apikey",
    "api-key",
    "apiKey",
    "OPENAI_API_KEY",
    "WANDB_API_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SESSION_TOKEN",
    "token",
    "hf_token",
    "HF_TOKEN",
    "access_token",
    "auth-token",
    "authToken",
    "github_token",
    "token2",
    "private_key",
    "ssh_key",
    "credentials",
    "authorization",
    "SENTRY_DSN",
    "logger.wandb.api_key",
    "db_pwd",
]
PLAIN_NAMES = [
    "lr",
    "tokenizer",
    "tokenizer_name",
    "max_tokens",
    "num_tokens",
    "tokens_per_batch",
    "eos_token",
    "pad_token_id",
    "bos-token",
    "mask_token",
    "token_dropout",
    "image_token_index",
    "monkey",
    "keyboard",
    "key",
    "keys",
    "key_value_heads",
    "num_key_value_heads",
    "PWD",
    "OLDPWD",
    "path",
    "author",
    "secretary_problem_size",
    "hidden_size",
    "primary_key",
    "foreign_key",
]

# Made-up values of the real shapes, put together here so that no scanner takes this file for a leak.
SHAPES = {
    "aws": "AKIA" + "ABCDEFGHIJKLMNOP",
    "huggingface": "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345",
    "github": "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345",
    "github fine": "github_pat_" + "11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
    "gitlab": "glpat-" + "abcdefghij0123456789",
    "openai": "sk-" + "proj-abcdefghijklmnop0123456789",
    "slack": "xoxb-" + "123456789012-abcdefghij",
    "google": "AIza" + "SyA0123456789abcdefghijklmnopqrstuv",
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJ" + "zdWIiOiIxMjM0In0." + "abcdefghijklmnop",
    "key": "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXk\nabc\n-----END OPENSSH " + "PRIVATE KEY-----",
}


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_secret_names(name: str) -> None:
    """What stands under these names is a secret, however they are written."""
    assert is_secret_name(name)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_plain_names(name: str) -> None:
    """Tokens of text, keys of attention and the working directory are no secrets."""
    assert not is_secret_name(name)


@pytest.mark.parametrize("kind", SHAPES)
def test_known_shapes_go_wherever_they_stand(kind: str) -> None:
    """A well-known token or key is found in the middle of any text; what is around it stays."""
    secret = SHAPES[kind]
    scrubbed = scrub_text(f"before {secret}\nafter {secret} end")
    assert secret not in scrubbed
    assert scrubbed.startswith("before ")
    assert "after" in scrubbed
    assert scrub({"harmless_name": [secret]}) == {"harmless_name": [SCRUBBED]}


def test_key_in_a_diff() -> None:
    """A private key whose lines carry a diff's signs, or that is cut short, is gone to its last line."""
    key = SHAPES["key"]
    diff = "".join(f"+{line}\n" for line in key.splitlines())
    assert "b3BlbnNzaC1rZXk" not in scrub_text(diff)
    assert "b3BlbnNzaC1rZXk" not in scrub_text(key[: len(key) // 2 + 10])


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://user:pass@host/repo.git", f"https://{SCRUBBED}@host/repo.git"),
        ("https://ghtoken123@github.com/a/b", f"https://{SCRUBBED}@github.com/a/b"),
        ("ssh://git@github.com/a/b", "ssh://git@github.com/a/b"),
        ("git@github.com:a/b.git", "git@github.com:a/b.git"),
        ("postgresql://me:pw@db:5432/x", f"postgresql://me:{SCRUBBED}@db:5432/x"),
        ("https://host/x?token=abc123&a=1", f"https://host/x?token={SCRUBBED}&a=1"),
        ("https://host/path@v2", "https://host/path@v2"),
        ("s3://bucket/key", "s3://bucket/key"),
    ],
)
def test_urls_lose_their_logins(url: str, kept: str) -> None:
    """Passwords and tokens in a URL go, its host and path stay."""
    assert scrub_text(f"see {url} there") == f"see {kept} there"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ('api_key = "abcdefgh"', f'api_key = "{SCRUBBED}"'),
        ("password: hunter22", f"password: {SCRUBBED}"),
        ("export HF_TOKEN=abc123456", f"export HF_TOKEN={SCRUBBED}"),
        ('"client_secret": "x1y2z3",', f'"client_secret": "{SCRUBBED}",'),
        ("Authorization: Bearer abcdefghijklmnop", f"Authorization: Bearer {SCRUBBED}"),
        ("token = tokens[i]", "token = tokens[i]"),
        ("password = os.environ['X']", "password = os.environ['X']"),
        ("token = get_token2(x)", "token = get_token2(x)"),
        ("eos_token = '</s>'", "eos_token = '</s>'"),
        ("token: str | None = None", "token: str | None = None"),
        ("max_tokens = 512", "max_tokens = 512"),
        ("use_auth_token=True", "use_auth_token=True"),
    ],
)
def test_assignments_in_text(line: str, kept: str) -> None:
    """Literals assigned to secret names go; code that computes them stays."""
    assert scrub_text(line) == kept


def test_command_lines() -> None:
    """Secrets of flags and overrides go, everything else of the command stays in its place."""
    command = "train.py --lr 0.1 --hf-token abc --api-key=abc logger.password=abc --password --seed 1 --tokenizer t --use-auth-token true"
    assert " ".join(scrub_argv(command.split())) == (
        f"train.py --lr 0.1 --hf-token {SCRUBBED} --api-key={SCRUBBED} logger.password={SCRUBBED} --password --seed 1 "
        "--tokenizer t --use-auth-token true"
    )


def test_nested_data() -> None:
    """In nested data what stands under a secret name goes, numbers and references stay."""
    given_data = {"a": {"token": "abc", "tokens": 3}, "api_keys": ["k1", "k2"], "password": "${oc.env:PW}", "n": 1}
    assert scrub(given_data) == {
        "a": {"token": SCRUBBED, "tokens": 3},
        "api_keys": [SCRUBBED, SCRUBBED],
        "password": "${oc.env:PW}",
        "n": 1,
    }


@settings(max_examples=100)
@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    """No text makes it fail, and a second pass changes nothing."""
    once = scrub_text(text)
    assert scrub_text(once) == once


@pytest.mark.parametrize(
    "unit", ["a", "a.b-", "token=", "://a:", "-----BEGIN PRIVATE KEY-----", "eyJaaaaaaaa.", "\"'", "hf_", " = "]
)
def test_large_texts_take_linear_time(unit: str) -> None:
    """A quarter of a megabyte of whatever repeats is done in seconds, not in minutes."""
    start = time.process_time()
    scrub_text(unit * (250_000 // len(unit)))
    assert time.process_time() - start < 10
