"""What must hold before a production installation starts, and what is told where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.encryption import Disks
from configs.errors import ConfigError
from configs.load import load_settings
from configs.production import check_production, faults, is_public
from configs.schema import Settings

DISKS = Disks(Path("/nowhere"), flags=lambda _: 0)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The three settings that the shipped file leaves open, and a home."""
    for name in ("certificate.pem", "key.pem"):
        (tmp_path / name).write_text("PEM")
        (tmp_path / name).chmod(0o600)
    return {
        "KITE_HOME": str(tmp_path / "home"),
        "KITE_HTTP__HOST": "0.0.0.0",
        "KITE_HTTP__TLS__CERTIFICATE": str(tmp_path / "certificate.pem"),
        "KITE_HTTP__TLS__KEY": str(tmp_path / "key.pem"),
    }


def production(files: dict[str, str], *overrides: str) -> Settings:
    return load_settings(environment="production", environ=files, overrides=overrides)


def told(files: dict[str, str], *overrides: str, **environ: str) -> list[str]:
    return faults(production(files, *overrides), {**files, **environ}, DISKS)


def test_shipped_settings_and_three_more_are_fit(files: dict[str, str]) -> None:
    """Host, certificate and key are all that an operator has to say."""
    settings = production(files)

    assert settings.production
    check_production(settings, files, DISKS)


def test_every_fault_is_told_at_once(files: dict[str, str]) -> None:
    """Settings of a laptop named production: one error, a line each."""
    settings = load_settings(environ={"KITE_HOME": files["KITE_HOME"]}, overrides=["limits.enabled=false"])
    with pytest.raises(ConfigError) as caught:
        check_production(settings, {"RAY_ADDRESS": "auto"}, DISKS)
    lines = str(caught.value).splitlines()

    assert lines[0] == "production: 4 of the settings are not safe:"
    assert [line.split()[1] for line in lines[1:]] == ["auth.mode", "limits.enabled", "TLS", "RAY_ADDRESS"]


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (["limits.enabled=false"], "limits.enabled is false"),
        (["encryption.at_rest=required"], "is on no file system known to be encrypted"),
    ],
)
def test_unsafe_setting_is_named(files: dict[str, str], overrides: list[str], fault: str) -> None:
    """One fault, and what to do."""
    (line,) = told(files, *overrides)

    assert fault in line


PLAIN = ["http.tls.certificate=null", "http.tls.key=null", "http.tls_terminated_upstream=true"]
PROXY = 'http.trusted_proxies=["10.0.0.0/8"]'


@pytest.mark.parametrize(
    ("overrides", "faulty"),
    [
        ([PROXY, "http.host=127.0.0.1"], []),
        ([PROXY, "http.host=10.1.2.3"], []),
        ([PROXY, "http.host=8.8.8.8"], ["http.host"]),
        ([PROXY, "http.host=0.0.0.0"], ["http.host"]),
        (["http.host=127.0.0.1"], ["http.trusted_proxies"]),
    ],
)
def test_tls_upstream_wants_a_private_address_and_a_named_proxy(
    files: dict[str, str], overrides: list[str], faulty: list[str]
) -> None:
    """Behind a proxy that speaks TLS, only that proxy may reach the plain port."""
    assert [fault.split()[0] for fault in told(files, *PLAIN, *overrides)] == faulty


def test_secret_files_open_to_others_are_named(files: dict[str, str], tmp_path: Path) -> None:
    """A key others can read, one that is away, and one of the home's own: each with its place."""
    (tmp_path / "key.pem").chmod(0o640)
    secrets = tmp_path / "home" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "key_pepper").write_text("x")
    (secrets / "key_pepper").chmod(0o604)
    found = told(files, KITE_PEPPER_FILE=str(tmp_path / "away"))

    assert [fault.partition(":")[0] for fault in found] == ["http.tls.key", "KITE_PEPPER_FILE", "home"]
    assert "key.pem is open to others (mode 0640)" in found[0]
    assert "cannot be read" in found[1]


def test_password_in_a_settings_file_is_told(files: dict[str, str], tmp_path: Path) -> None:
    """From the environment it is taken."""
    extra = tmp_path / "extra.yaml"
    extra.write_text("cache: {backend: redis, url: 'redis://:hunter2@cache:6379/0'}\n")
    settings = load_settings(environment="production", file=extra, environ=files)
    named = faults(settings, files, DISKS)

    assert [fault.split()[0] for fault in named] == ["cache.url"]
    assert "hunter2" not in named[0]
    assert faults(settings, {**files, "KITE_CACHE__URL": str(settings.cache.url)}, DISKS) == []


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("127.0.0.1", False),
        ("::1", False),
        ("10.0.0.1", False),
        ("fd00::1", False),
        ("0.0.0.0", True),
        ("::", True),
        ("8.8.8.8", True),
        ("kite.example.org", True),
    ],
)
def test_address_is_public_unless_known_to_be_private(host: str, public: bool) -> None:
    """All interfaces, and names, may be reached from outside."""
    assert is_public(host) is public


def disks(root: Path, mounts: str, devices: dict[str, str]) -> Disks:
    """A machine: its mount table, and files under /sys by their content."""
    for name, text in {"proc/self/mountinfo": mounts, **devices}.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Disks(root, flags=lambda _: 0)


MOUNTS = (
    "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    "23 22 253:0 / /srv rw - ext4 /dev/mapper/crypt rw\n"
    "24 22 253:3 / /lvm rw - xfs /dev/mapper/vg-data rw\n"
    "25 22 0:40 / /btrfs rw - btrfs /dev/sdb1 rw\n"
    "26 22 0:41 / /srv/memory rw - tmpfs tmpfs rw\n"
)
DEVICES = {
    "sys/dev/block/8:1/size": "1",
    "sys/dev/block/253:0/dm/uuid": "CRYPT-LUKS2-0a1b-crypt",
    "sys/dev/block/253:3/dm/uuid": "LVM-abc",
    "sys/dev/block/253:3/slaves/dm-2/dm/uuid": "CRYPT-LUKS2-0a1b-below",
    "sys/class/block/sdb1/size": "1",
}


@pytest.mark.parametrize(
    ("folder", "encrypted"),
    [
        ("/home/kite", False),
        ("/srv/kite", True),
        ("/srv", True),
        ("/srvlike", False),
        ("/lvm/kite", True),
        ("/btrfs/kite", False),
        ("/srv/memory/kite", False),
    ],
)
def test_encryption_is_found_under_the_folder(tmp_path: Path, folder: str, encrypted: bool) -> None:
    """The nearest mount counts, and what its device is made of."""
    assert disks(tmp_path, MOUNTS, DEVICES).encrypts(Path(folder)) is encrypted


def test_device_half_of_which_is_plain_is_not_encrypted(tmp_path: Path) -> None:
    """A volume over an encrypted and a plain disk writes in the clear."""
    devices = DEVICES | {"sys/dev/block/253:3/slaves/sdc/size": "1"}

    assert not disks(tmp_path, MOUNTS, devices).encrypts(Path("/lvm"))


def test_btrfs_on_luks_is_found_by_its_device(tmp_path: Path) -> None:
    """A file system without a device number names its device."""
    devices = DEVICES | {"sys/class/block/sdb1/dm/uuid": "CRYPT-LUKS2-x"}

    assert disks(tmp_path, MOUNTS, devices).encrypts(Path("/btrfs/kite"))


def test_fscrypt_marks_the_folder_itself(tmp_path: Path) -> None:
    """A folder whose files the file system encrypts needs no encrypted device."""
    assert Disks(tmp_path, flags=lambda _: 0x800).encrypts(Path("/home/kite"))
