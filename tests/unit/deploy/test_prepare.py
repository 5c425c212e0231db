"""What a node of a cluster needs before Ray starts, and what monitoring is told of backups."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cluster import head
from cluster.names import HOME_SHARE, at_home
from cluster.wiring import open_store
from configs.load import load_settings
from configs.schema import Settings
from data.backups.marks import BackupMarks
from data.changes import put_source
from data.claims import SHARED_TENANT
from data.clock import SystemClock
from data.evidence import Source
from tasks import backup, prepare
from tasks.backup_marks import STREAM_EVERY_S, Teller


def settings_of(home: Path, *overrides: str) -> Settings:
    return load_settings(environment="testing", environ={}, overrides=[f"home={home}", *overrides])


def test_prepared_node_has_what_starts_in_haproxys_place(tmp_path: Path) -> None:
    """The wrapper can be run, and listens where the settings say."""
    settings = settings_of(tmp_path / "home", "http.host=10.1.2.3", "auth.mode=required")
    environment = prepare.prepare_node(settings, tmp_path / "run", embedder=False)
    wrapper = Path(environment["RAY_SERVE_HAPROXY_BINARY_PATH"])

    assert wrapper.parent == tmp_path / "run"
    assert wrapper.stat().st_mode & 0o100
    assert "bind 10.1.2.3:" in (tmp_path / "run" / "haproxy.sed").read_text()


def test_actors_are_bound_to_the_home_only_where_a_resource_marks_it(tmp_path: Path) -> None:
    """On one machine there is nothing to choose."""
    assert at_home(settings_of(tmp_path)) == {}
    assert at_home(settings_of(tmp_path, "ray.home_resource=kite_home")) == {"kite_home": HOME_SHARE}


def test_two_installations_on_a_machine_get_different_ports_for_their_replicas(tmp_path: Path) -> None:
    """A range in which somebody listens is left to them; the same home has the same range as before."""
    folder = tmp_path / "kite-one"
    first = head._replica_ports(folder)
    start = int(first["RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT"])
    with socket.create_server(("127.0.0.1", start)):
        other = head._replica_ports(folder)
    ranges = [
        range(
            int(each["RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT"]),
            int(each["RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT"]) + 1,
        )
        for each in (first, other)
    ]

    assert not set(ranges[0]) & set(ranges[1])
    assert all(30_000 <= port <= 30_999 for each in ranges for port in each)
    assert head._replica_ports(folder) == first


def test_haproxys_last_resort_has_a_port_of_its_own(tmp_path: Path) -> None:
    """Ray's one number for all is shared by installations, and answers would come from the other one."""
    names = ("RAY_SERVE_FALLBACK_PROXY_HTTP_PORT", "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT")
    environment = head.ray_environment(settings_of(tmp_path / "home"), tmp_path)
    ports = {environment[name] for name in names}

    assert len(ports) == 2
    assert not ports & {"8500", "9500"}


def test_backup_and_its_check_leave_a_mark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With size and position, after the work is done."""
    from data.keeper import Keeper
    from tests.fakes import FakeVectorSink

    home = tmp_path / "home"
    keeper = Keeper(home, SystemClock(), FakeVectorSink())
    keeper.append([put_source(Source("zoo", "Perth Zoo"), SHARED_TENANT)])
    keeper.close()
    place = ["--target", str(tmp_path / "target"), "--env", "testing", "--set", f"home={home}"]
    assert backup.main(["create", *place]) == 0
    assert backup.main(["verify", *place]) == 0
    marks = BackupMarks(open_store(settings_of(home)), SystemClock()).all()

    assert set(marks) == {"full", "check"}
    assert marks["full"].size_bytes > 0
    assert marks["full"].seq == 1
    assert marks["check"].faults == 0
    assert capsys.readouterr().err == ""


def test_empty_home_is_recovered_and_one_that_has_a_ledger_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A next version's pod begins with the present one's knowledge; started again, it keeps its own."""
    from data.keeper import Keeper
    from tests.fakes import FakeVectorSink

    def written(home: Path, *names: str) -> Keeper:
        keeper = Keeper(home, SystemClock(), FakeVectorSink())
        for name in names:
            keeper.append([put_source(Source(name, name), SHARED_TENANT)])
        return keeper

    present, following = tmp_path / "present", tmp_path / "next"
    written(present, "zoo", "reef").close()
    target = ["--target", str(tmp_path / "target"), "--env", "testing"]
    assert backup.main(["create", *target, "--set", f"home={present}"]) == 0
    command = ["home", *target, "--set", f"home={following}"]
    capsys.readouterr()

    assert prepare.main(["home", "--env", "testing", "--set", f"home={following}"]) == 0
    assert prepare.main(command) == 0
    keeper = written(following, "river")
    position = keeper.knowledge_seq()
    keeper.close()
    assert prepare.main(command) == 0
    keeper = written(following)
    assert keeper.knowledge_seq() == position == 3
    keeper.close()
    told = capsys.readouterr().out.splitlines()
    assert told == [
        "No backups are named: nothing is recovered.",
        "The home is recovered as of position 2.",
        "There is a home already: nothing is recovered.",
    ]


def test_home_without_a_backup_to_come_from_is_not_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pod that starts empty in silence would answer without knowledge."""
    (tmp_path / "target").mkdir()
    place = ["--target", str(tmp_path / "target"), "--env", "testing", "--set", f"home={tmp_path / 'home'}"]

    assert prepare.main(["home", *place]) == 2
    assert "no backup" in capsys.readouterr().err


def test_stream_leaves_a_mark_every_few_seconds_only(tmp_path: Path) -> None:
    """However often it copies."""
    settings = settings_of(tmp_path)
    teller, now_s = Teller(settings), 100.0
    for seq, after_s in ((1, 0.0), (2, 1.0), (3, STREAM_EVERY_S)):
        teller.streamed(seq, lambda at=now_s + after_s: at)  # type: ignore[misc]
        told = BackupMarks(open_store(settings), SystemClock()).all()["stream"].seq
        assert told == (1 if after_s < STREAM_EVERY_S else 3)


def test_store_that_is_away_harms_no_backup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The work is done; only monitoring was not told, and that is said."""
    away = settings_of(tmp_path, "cache.backend=redis", "cache.url=redis://127.0.0.1:9/0")
    Teller(away).tell("full")

    assert "monitoring was not told" in capsys.readouterr().err
