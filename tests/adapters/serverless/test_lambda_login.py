"""What a broken login says: who, and the command that mends it."""

from __future__ import annotations

from pathlib import Path

import pytest
from lambda_helpers import REGION

from adapters.serverless.boto import BotoCloud
from control.deckfile import AwsConfig
from control.errors import AuthError

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
