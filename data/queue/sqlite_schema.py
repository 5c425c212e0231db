"""The tables of the SQLite queue. Imported by ``data.queue.sqlite_queue`` alone.

Invariant: triggers keep ``tallies`` and the payloads in step with ``tasks`` whoever changes it, so counting
never reads the tasks. Every question a claim asks is answered by the first entry of an index of its own.
"""

from __future__ import annotations

#: In one transaction, so that processes that open a new file together make it once.
SCHEMA = """
BEGIN IMMEDIATE;
-- A task is known inside by its number, rising in the order tasks were put.
CREATE TABLE IF NOT EXISTS tasks(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, priority INTEGER NOT NULL,
  place TEXT NOT NULL, created_s REAL NOT NULL, not_before_s REAL NOT NULL, ready_s REAL,
  attempts INTEGER NOT NULL DEFAULT 0, token INTEGER NOT NULL DEFAULT 0,
  worker TEXT NOT NULL DEFAULT '', until_s REAL, ended_s REAL, result BLOB, error TEXT NOT NULL DEFAULT '',
  UNIQUE(tenant, id)
) STRICT;
-- Apart, for they are read once and a task's row is written several times.
CREATE TABLE IF NOT EXISTS payloads(seq INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS tasks_ready ON tasks(kind, tenant, priority DESC, seq) WHERE place = 'ready';
CREATE INDEX IF NOT EXISTS tasks_age ON tasks(kind, ready_s) WHERE place = 'ready';
CREATE INDEX IF NOT EXISTS tasks_delayed ON tasks(not_before_s) WHERE place = 'delayed';
CREATE INDEX IF NOT EXISTS tasks_leased ON tasks(until_s) WHERE place = 'leased';
CREATE INDEX IF NOT EXISTS tasks_ended ON tasks(place, ended_s) WHERE ended_s IS NOT NULL;
CREATE INDEX IF NOT EXISTS tasks_listed ON tasks(tenant, place, seq);
-- A tenant's queue of a kind: how many turns it had, and its next task where it has one.
CREATE TABLE IF NOT EXISTS lanes(
  kind TEXT NOT NULL, tenant TEXT NOT NULL, turn INTEGER NOT NULL, priority INTEGER, seq INTEGER,
  PRIMARY KEY(kind, tenant)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lanes_next ON lanes(kind, turn, priority DESC, seq) WHERE seq IS NOT NULL;
-- The turn at which a kind's lanes are; where a lane joins.
CREATE TABLE IF NOT EXISTS rounds(kind TEXT PRIMARY KEY, turn INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens(one INTEGER PRIMARY KEY CHECK(one = 1), token INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO tokens VALUES(1, 0);
-- Tasks by tenant, kind and place; under the tenant '' those of all.
CREATE TABLE IF NOT EXISTS tallies(
  tenant TEXT NOT NULL, kind TEXT NOT NULL, place TEXT NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY(tenant, kind, place)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS tasks_put AFTER INSERT ON tasks BEGIN
  INSERT INTO tallies VALUES('', new.kind, new.place, 1), (new.tenant, new.kind, new.place, 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER IF NOT EXISTS tasks_moved AFTER UPDATE OF place ON tasks WHEN old.place <> new.place BEGIN
  UPDATE tallies SET n = n - 1
    WHERE tenant IN ('', old.tenant) AND kind = old.kind AND place = old.place;
  INSERT INTO tallies VALUES('', new.kind, new.place, 1), (new.tenant, new.kind, new.place, 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER IF NOT EXISTS tasks_pruned AFTER DELETE ON tasks BEGIN
  UPDATE tallies SET n = n - 1
    WHERE tenant IN ('', old.tenant) AND kind = old.kind AND place = old.place;
  DELETE FROM payloads WHERE seq = old.seq;
END;
COMMIT;
"""
