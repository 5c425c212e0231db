"""Damage in a backup is found, the file is named, and nothing is restored from it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from data.backups.creation import Place
from data.backups.manifest import read_catalogue
from data.backups.plan import plan
from data.backups.restoration import restore
from data.backups.sealing import AesSealer, PlainSealer
from data.backups.stream import Follower
from data.backups.verification import Verified, check_stream, verify_backup
from data.backups.worker import Worker
from data.errors import CorruptDataError, InvalidValueError, KiteError
from tests.unit.backups.homes import House, facts, rows_of, segment, tree

#: Positions of a file at which a byte is flipped: the ends, and some in between.
PLACES = (0.0, 0.03, 0.17, 0.31, 0.5, 0.66, 0.83, 0.97, 1.0)


@pytest.fixture
def house(sealed_house: House) -> House:
    """A home with a full, an incremental, a differential backup and a snapshot, with segments and views."""
    made = sealed_house
    made.write([*facts("a", 30), segment(made.home, "d1")], key="first")
    (made.home / "views").mkdir()
    with closing(sqlite3.connect(made.home / "views" / "passages.sqlite")) as view:
        view.execute("CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID")
        view.execute("INSERT INTO meta VALUES ('applied_seq', 31)")
        view.commit()
    made.back_up(views=True)
    made.write([*facts("b", 5), segment(made.home, "d2")])
    made.back_up("incremental")
    made.write(facts("c", 5))
    made.back_up("differential")
    made.back_up("snapshot", name="before")
    return made


def verified(house: House, backup_id: str) -> Verified:
    worker = Worker(None, house.target, house.place.sealer)
    return verify_backup(house.catalogue(), backup_id, sealer=house.place.sealer, runner=worker)


def flipped(path: Path, share: float) -> bytes:
    """Flip one bit of a file and return what it was."""
    before = path.read_bytes()
    content = bytearray(before)
    content[round(share * (len(content) - 1))] ^= 1 << (len(content) % 8)
    path.write_bytes(content)
    return before


def test_sound_backups_have_no_fault(house: House) -> None:
    """Every backup of every kind verifies, and says how much was read."""
    done = [verified(house, one.id) for one in house.catalogue().backups]

    assert [one.faults for one in done] == [()] * 4
    assert [len(one.chain) for one in done] == [1, 2, 2, 1]
    assert all(one.size_bytes > 1_000 for one in done)


@pytest.mark.timeout(180)
def test_any_flipped_byte_is_found_and_nothing_is_restored(house: House, tmp_path: Path) -> None:
    """In every file of every backup, wherever a bit flips: verify names the file, restore changes nothing."""
    needed: dict[str, list[str]] = {}
    catalogue = house.catalogue()
    for manifest in catalogue.backups:
        for one in catalogue.chain(manifest):
            for path in (one.path, *(file.path for file in one.files)):
                needed.setdefault(path, []).append(manifest.id)
    house.ledger.close()
    before = tree(house.home)
    for path, ids in sorted(needed.items()):
        for share in PLACES:
            content = flipped(tmp_path / "target" / path, share)
            assert [fault.path for fault in verified(house, ids[-1]).faults] == [path], (path, share)
            with pytest.raises(CorruptDataError, match=r"is damaged|does not match|was built on"):
                house.restore_to(house.home, ids[-1])
            assert tree(house.home) == before
            (tmp_path / "target" / path).write_bytes(content)

    assert len(needed) == 11
    assert [verified(house, one.id).faults for one in catalogue.backups] == [()] * 4


@pytest.mark.parametrize("share", PLACES)
def test_flipped_byte_in_a_streamed_file_is_found(house: House, tmp_path: Path, share: float) -> None:
    """A streamed file is named by its SHA-256: any flipped byte is found and the file is named."""
    house.write([*facts("late", 4), segment(house.home, "d3")])
    follower = Follower(house.place)
    follower.step()
    (piece,) = (tmp_path / "target" / "stream").rglob("*-*")
    sound = check_stream(house.place, house.catalogue())
    flipped(piece, share)
    (fault,) = check_stream(house.place, house.catalogue())

    assert sound == []
    assert fault.path == piece.relative_to(tmp_path / "target").as_posix()


def test_truncated_and_missing_files_are_named(house: House, tmp_path: Path) -> None:
    """A file that lost its end, and one that is gone."""
    newest = house.catalogue().backups[-1]
    first, second = [file.path for file in newest.files][:2]
    whole = tmp_path / "target" / first
    whole.write_bytes(whole.read_bytes()[:-1])
    (tmp_path / "target" / second).unlink()
    faults = {fault.path: fault.reason for fault in verified(house, newest.id).faults}

    assert set(faults) == {first, second}
    assert "missing" in faults[second]


def test_half_written_manifest_is_named_and_passed_over(house: House, tmp_path: Path) -> None:
    """A target that tore the newest manifest: it is damaged, the next backup builds on the one before."""
    torn, before = house.catalogue().backups[2], house.catalogue().backups[1]
    path = tmp_path / "target" / torn.path
    path.write_bytes(path.read_bytes()[:200])
    created = house.back_up("incremental")
    house.restore_to(tmp_path / "new", created.manifest.id)

    assert [one.path for one in house.catalogue().damaged] == [torn.path]
    assert created.manifest.parent is not None
    assert created.manifest.parent.id == before.id
    assert rows_of(tmp_path / "new") == rows_of(house.home)
    with pytest.raises(CorruptDataError, match=torn.id):
        house.restore_to(tmp_path / "other", torn.id)


def test_files_that_changed_places_are_found(house: House, tmp_path: Path) -> None:
    """Two sound files under each other's names are both named."""
    newest = house.catalogue().backups[-1]
    one, two = [tmp_path / "target" / file.path for file in newest.files if file.role == "segment"]
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)

    assert len(verified(house, newest.id).faults) == 2


def test_missing_link_of_a_chain_is_named(house: House, tmp_path: Path) -> None:
    """An incremental backup without the one it builds on is refused."""
    full, incremental, *_ = house.catalogue().backups
    (tmp_path / "target" / full.path).unlink()

    assert "missing" in verified(house, incremental.id).faults[0].reason
    with pytest.raises(CorruptDataError, match="missing"):
        house.restore_to(tmp_path / "new", incremental.id)


def test_backup_under_another_key_is_told_in_one_sentence(tmp_path: Path) -> None:
    """The wrong key, and no key at all, are user mistakes, not damage."""
    house = House(tmp_path, "sealed")
    house.write(facts("a", 3))
    created = house.back_up()
    for sealer, told in ((AesSealer(bytes(32)), "is not sealed with"), (PlainSealer(), "no key was given")):
        place = Place(tmp_path / "new", house.target, sealer)
        catalogue = read_catalogue(house.target, sealer)
        with pytest.raises(InvalidValueError, match=told) as caught:
            restore(place, plan(place, catalogue))
        assert created.manifest.key_id is not None
        assert created.manifest.key_id in str(caught.value)
        assert str(caught.value).count("\n") == 0


def test_sealed_backup_holds_no_readable_text(tmp_path: Path) -> None:
    """Neither what was stored nor whose it is can be read in any file."""
    house = House(tmp_path, "sealed")
    house.write([*facts("secretfact", 3), segment(house.home, "secretdocument")], key="secretkey")
    house.back_up()
    Follower(house.place).step()
    content = b"".join(path.read_bytes() for path in (tmp_path / "target").rglob("*") if path.is_file())

    assert b"secret" not in content
    assert b"Paris" not in content


def test_manifest_that_names_a_file_outside_the_home_is_refused(house: House) -> None:
    """A restore writes where a home has files, whatever a manifest says."""
    from dataclasses import replace

    from data.backups.manifest import decode_manifest, encode_manifest

    manifest = house.catalogue().backups[0]
    for name in ("../secrets/ray_token", "secrets/ray_token", "vectors/passages/../x", "segments/../../x"):
        bad = replace(manifest.files[-1], role="segment", name=name, span=None)
        content = encode_manifest(replace(manifest, files=(bad,)), house.place.sealer)
        with pytest.raises(CorruptDataError, match="not part of a home"):
            decode_manifest(content, house.place.sealer)


def test_manifest_of_newer_software_is_told(house: House, tmp_path: Path) -> None:
    """A format that this software does not know is a clear sentence, not damage."""
    from dataclasses import replace

    from data.backups.manifest import encode_manifest

    manifest = replace(house.catalogue().backups[0], format=99)
    house.target.write(manifest.path, [encode_manifest(manifest, house.place.sealer)])

    with pytest.raises(InvalidValueError, match="newer software"):
        house.catalogue()


def test_dry_run_reads_everything_and_changes_nothing(house: House, tmp_path: Path) -> None:
    """It reports what a restore would bring, finds damage, and leaves no trace."""
    from data.backups.restoration import Scope

    before = tree(tmp_path)
    tried = house.restore_to(house.home, scope=Scope(dry_run=True))
    after = tree(tmp_path)
    path = tmp_path / "target" / house.catalogue().backups[-1].files[-1].path
    flipped(path, 0.5)

    assert (tried.dry_run, tried.end.seq, tried.segments) == (True, house.ledger.head(), 2)
    assert before == after
    with pytest.raises(KiteError, match=path.name):
        house.restore_to(house.home, scope=Scope(dry_run=True))


def test_recovery_passes_over_damaged_backups(house: House, tmp_path: Path) -> None:
    """The newest good backup and the stream after it bring everything back; the damaged ones are named."""
    from data.backups.recovery import recover

    follower = Follower(house.place)
    house.write(facts("late", 4), key="late")
    follower.step()
    damaged = house.catalogue().backups[-1].files[0].path
    flipped(tmp_path / "target" / damaged, 0.5)
    recovered = recover(Place(tmp_path / "new", house.target, house.place.sealer))

    assert rows_of(tmp_path / "new") == rows_of(house.home)
    assert [damaged in text for text in recovered.refused] == [True]
    assert recovered.lost_after_seq is None
    assert recovered.chain_rows == house.ledger.head()
    assert recovered.views["facts"].counts["facts"] == 44
    assert recovered.views["passages"].counts["documents"] == 2
