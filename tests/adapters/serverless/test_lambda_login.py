"""What a broken login says: who, and the command that mends it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lambda_helpers import REGION, Proxy, environment

from adapters.serverless.aws import boto, credentials
from adapters.serverless.aws.boto import BotoCloud
from adapters.serverless.aws.section import AwsConfig
from control.errors import AuthError, Unreachable

SSO = """[profile ml]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Operator
region = eu-central-1
[sso-session corp]
sso_region = eu-central-1
sso_start_url = https://corp.example/start
"""
LEGACY = """[profile ml]
sso_account_id = 111122223333
sso_role_name = Operator
sso_region = eu-central-1
sso_start_url = https://corp.example/start
"""
PROCESS = "[profile ml]\ncredential_process = /bin/false --token hunter2\n"
MFA = """[profile ml]
role_arn = arn:aws:iam::111122223333:role/r
source_profile = base
mfa_serial = arn:aws:iam::111122223333:mfa/me
[profile base]
aws_access_key_id = a
aws_secret_access_key = b
"""
WEB = "[profile ml]\nrole_arn = arn:aws:iam::111122223333:role/r\nweb_identity_token_file = /nonexistent/token\n"


@pytest.mark.parametrize(
    ("config", "says", "hint"),
    [
        (SSO, "missing or has expired", "aws sso login --profile ml"),
        (LEGACY, "missing or has expired", "aws sso login --profile ml"),
        (PROCESS, "credential_process", "by hand"),
        (MFA, "MFA code", "session"),
        (WEB, "/nonexistent/token", ""),
        ("", "ml", "list-profiles"),
    ],
)
async def test_a_broken_profile_is_an_auth_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, says: str, hint: str
) -> None:
    file = tmp_path / "config"
    file.write_text(config)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("HOME", str(tmp_path))
    cloud = BotoCloud("fn", AwsConfig(REGION, profile="ml"), "read")
    with pytest.raises(AuthError) as caught:
        await cloud.call("lambda", "ListFunctions", {})
    assert says in caught.value.message
    assert hint in (caught.value.hint or "")
    assert "hunter2" not in str(caught.value)
    await cloud.close()


async def test_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    cloud = BotoCloud("fn", AwsConfig(REGION), "read")
    with pytest.raises(AuthError, match="no AWS credentials"):
        await cloud.call("lambda", "ListFunctions", {})
    await cloud.close()


@pytest.fixture(autouse=True)
def no_session_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto, "_sessions", {})


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """What a call with the profile `ml` of a config file ends with."""

    async def call(config: str) -> AuthError:
        file = tmp_path / "config"
        file.write_text(config)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
        cloud = BotoCloud("fn", AwsConfig(REGION, profile="ml"), "read")
        with pytest.raises(AuthError) as caught:
            await cloud.call("lambda", "ListFunctions", {})
        await cloud.close()
        assert "hunter2" not in str(caught.value)
        return caught.value

    return call


@pytest.mark.parametrize("config", [SSO, LEGACY])
@pytest.mark.parametrize(
    "text",
    [
        "{broken",
        "",
        "[]",
        "null",
        '{"accessToken": "hunter2"}',
        '{"accessToken": "hunter2", "expiresAt": "soon"}',
        "\udcff",
    ],
)
async def test_a_damaged_login_cache_is_named_with_the_command_that_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[[str], object], config: str, text: str
) -> None:
    from botocore.credentials import SSOProvider
    from botocore.tokens import SSOTokenProvider

    for kind in (SSOProvider, SSOTokenProvider):
        monkeypatch.setattr(kind, "_SSO_TOKEN_CACHE_DIR", str(tmp_path))
    for name in ("corp", "https://corp.example/start"):
        key = hashlib.sha1(name.encode()).hexdigest()
        (tmp_path / f"{key}.json").write_text(text, errors="surrogateescape")
    error = await refused(config)  # type: ignore[misc]
    assert "login of profile 'ml'" in error.message and "damaged" in error.message
    assert error.hint == "run: aws sso login --profile ml"


LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
GOOD = '{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "hunter2", "Expiration": "%s"}'
HELPERS = {
    "echo hunter2": "printed no JSON",
    "true": "printed nothing",
    "echo '[1]'": "printed JSON that is no object",
    "echo '{}'": "Version is not 1",
    'echo \'{"Version": 1, "SecretAccessKey": "hunter2"}\'': "without AccessKeyId",
    f"echo '{GOOD % '2020-01-01T00:00:00Z'}'": "expired",
    f"echo '{GOOD % 'tomorrow'}'": "Expiration that is no time",
    "echo hunter2 >&2; exit 7": "failed with code 7",
    "sleep 60 & echo hunter2; sleep 60": "gave no answer in",
    "read answer; echo hunter2": "failed with code 1",
}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("script", HELPERS)
async def test_each_way_in_which_a_helper_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[[str], object], script: str, nested: bool
) -> None:
    monkeypatch.setattr(credentials, "PROCESS_SECONDS", 1.0)
    program = tmp_path / "helper"
    program.write_text(f"#!/bin/sh -e\n{script}\n")
    program.chmod(0o755)
    process = f"credential_process = {program} --token hunter2\n"
    role = "[profile ml]\nrole_arn = arn:aws:iam::111122223333:role/r\nsource_profile = base\n[profile base]\n"
    error = await refused((role if nested else "[profile ml]\n") + process)  # type: ignore[misc]
    assert HELPERS[script] in error.message
    assert f"credential_process of profile '{'base' if nested else 'ml'}', {program}" in error.message
    assert "by hand" in error.hint


async def test_a_helper_that_is_missing_or_may_not_run(tmp_path: Path, refused: Callable[[str], object]) -> None:
    program = tmp_path / "helper"
    for text in ("No such file", "Permission denied"):
        error = await refused(f"[profile ml]\ncredential_process = {program} hunter2\n")  # type: ignore[misc]
        assert text in error.message and str(program) in error.message
        program.write_text("not executable")


async def test_a_helper_that_hangs_keeps_no_other_environment_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ministack: str
) -> None:
    file = tmp_path / "config"
    file.write_text("[profile ml]\ncredential_process = sleep 60\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setattr(credentials, "PROCESS_SECONDS", 5.0)
    hanging = BotoCloud("fn", AwsConfig(REGION, profile="ml"), "read")
    waiting = asyncio.create_task(hanging.call("lambda", "ListFunctions", {}))
    await asyncio.sleep(0.5)
    other = environment(ministack).settings
    assert other is not None
    cloud = BotoCloud("other", other, "read")
    assert "Functions" in await cloud.call("lambda", "ListFunctions", {})
    assert not waiting.done()
    with pytest.raises(AuthError, match="gave no answer"):
        await waiting
    await cloud.close()
    await hanging.close()


@pytest.mark.parametrize(
    ("variables", "config", "says", "hint"),
    [
        ({}, "", "switched off (AWS_EC2_METADATA_DISABLED)", "aws configure"),
        (
            {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"},
            "",
            "instance metadata does not answer",
            "modify-instance-metadata-options",
        ),
        (
            {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"},
            "[default]\nrole_arn = arn:aws:iam::111122223333:role/r\ncredential_source = Ec2InstanceMetadata\n",
            "instance metadata gives the default credentials none",
            "modify-instance-metadata-options",
        ),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/c"}, "", "the container's endpoint", "container"),
        ({"AWS_ACCESS_KEY_ID": "hunter2"}, "", "incomplete", "unset AWS_ACCESS_KEY_ID"),
        (
            {
                "AWS_ACCESS_KEY_ID": "hunter2",
                "AWS_SECRET_ACCESS_KEY": "hunter2",
                "AWS_SESSION_TOKEN": "hunter2",
                "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z",
            },
            "",
            "expired",
            "unset AWS_ACCESS_KEY_ID",
        ),
    ],
)
async def test_where_credentials_were_looked_for_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], config: str, says: str, hint: str
) -> None:
    file = tmp_path / "config"
    file.write_text(config)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    cloud = BotoCloud("fn", AwsConfig(REGION), "read")
    with pytest.raises(AuthError) as caught:
        await cloud.call("lambda", "ListFunctions", {})
    assert says in caught.value.message
    assert hint in (caught.value.hint or "")
    assert "hunter2" not in str(caught.value)
    await cloud.close()


EXPIRED = (403, "ExpiredTokenException", "The security token included in the request is expired")
UNKNOWN = (403, "UnrecognizedClientException", "The security token included in the request is invalid.")
UNFIT = (403, "InvalidSignatureException", "The request signature we calculated does not match")
LATE = "Signature expired: 20220127T001427Z is now earlier than 20220127T014428Z (20220127T015928Z - 15 min.)"
EARLY = "Signature not yet current: 20220127T021427Z is still later than 20220127T020428Z (20220127T015928Z + 5 min.)"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": "hunter2"}


@pytest.mark.parametrize(
    ("answer", "variables", "says", "hint"),
    [
        (
            EXPIRED,
            KEYS | {"AWS_SESSION_TOKEN": "hunter2"},
            "keys in the environment have expired",
            "unset AWS_ACCESS_KEY",
        ),
        (EXPIRED, {}, "credentials of profile 'ml' have expired", "aws configure --profile ml"),
        (UNKNOWN, KEYS, "does not know the AWS keys in the environment", "unset AWS_ACCESS_KEY_ID"),
        (UNKNOWN, KEYS | {"AWS_ACCESS_KEY_ID": "ASIAX"}, "does not know", "export its AWS_SESSION_TOKEN"),
        (UNKNOWN, {}, "does not know the AWS credentials of profile 'ml'", "aws configure --profile ml"),
        (UNFIT, KEYS, "do not fit together", "unset AWS_ACCESS_KEY_ID"),
        ((403, "InvalidSignatureException", LATE), KEYS, "clock is off by about 105 min (behind)", "set-ntp"),
        ((403, "SignatureDoesNotMatch", EARLY), {}, "clock is off by about 15 min (ahead)", "set-ntp"),
        ((403, "RequestTimeTooSkewed", "too large"), {}, "clock is off", "set-ntp"),
    ],
)
async def test_what_aws_says_of_keys_and_of_the_clock_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    proxy: Proxy,
    answer: tuple[int, str, str],
    variables: dict[str, str],
    says: str,
    hint: str,
) -> None:
    file = tmp_path / "credentials"
    file.write_text("[ml]\naws_access_key_id = a\naws_secret_access_key = hunter2\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy.mode, proxy.answer = "answer", answer
    config = AwsConfig(REGION, None if variables else "ml", ("*",), {"lambda": proxy.url})
    cloud = BotoCloud("fn", config, "read")
    with pytest.raises(AuthError) as caught:
        await cloud.call("lambda", "ListFunctions", {})
    assert says in caught.value.message
    assert hint in (caught.value.hint or "")
    assert "hunter2" not in str(caught.value)
    await cloud.close()


@pytest.mark.parametrize(
    ("answer", "says", "hint"),
    [
        (
            (403, "AccessDenied", "not authorized to perform: sts:AssumeRole"),
            "AssumeRole for profile 'ml' is refused",
            "role",
        ),
        (EXPIRED, "AssumeRole for profile 'ml' is refused: ExpiredTokenException", "aws configure --profile ml"),
        ((403, "SignatureDoesNotMatch", LATE), "clock is off by about 105 min", "set-ntp"),
    ],
)
async def test_a_role_that_is_not_given_is_no_missing_right_of_lambda(
    monkeypatch: pytest.MonkeyPatch,
    proxy: Proxy,
    refused: Callable[[str], object],
    answer: tuple[int, str, str],
    says: str,
    hint: str,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", proxy.url)
    proxy.mode, proxy.answer = "answer", answer
    error = await refused(MFA.replace("mfa_serial = arn:aws:iam::111122223333:mfa/me\n", "region = eu-central-1\n"))  # type: ignore[misc]
    assert says in error.message
    assert hint in error.hint


async def test_who_gives_credentials_and_hangs_is_named_and_not_lambda(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: Proxy
) -> None:
    file = tmp_path / "config"
    file.write_text(MFA.replace("mfa_serial = arn:aws:iam::111122223333:mfa/me\n", "region = eu-central-1\n"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", proxy.url)
    monkeypatch.setattr(boto, "CALL_SECONDS", 2.0)
    proxy.mode = "hang"
    cloud = BotoCloud("fn", AwsConfig(REGION, profile="ml"), "read")
    with pytest.raises(Unreachable, match="no credentials came for profile 'ml'"):
        await cloud.call("lambda", "ListFunctions", {})
    proxy.released.set()
    await cloud.close()


@pytest.mark.parametrize("code", ["ExpiredTokenException", "InvalidIdentityToken"])
async def test_a_web_identity_that_has_expired_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: Proxy, refused: Callable[[str], object], code: str
) -> None:
    (tmp_path / "token").write_text("hunter2")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", proxy.url)
    proxy.mode, proxy.answer = "answer", (400, code, "Token expired")
    config = WEB.replace("/nonexistent/token", str(tmp_path / "token")) + "region = eu-central-1\n"
    error = await refused(config)  # type: ignore[misc]
    assert "AssumeRoleWithWebIdentity for profile 'ml' is refused" in error.message
    assert "renew the token" in error.hint
