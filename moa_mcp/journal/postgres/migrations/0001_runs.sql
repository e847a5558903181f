-- Runs, their events and texts, and what is spent on each day. All times are seconds since the epoch.
CREATE TABLE moa.runs(
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    run_id TEXT COLLATE "C" PRIMARY KEY,
    pipeline TEXT NOT NULL,
    spec BYTEA NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    caller TEXT NOT NULL,
    batch TEXT NOT NULL,
    begun_by TEXT NOT NULL,
    owner TEXT,
    lease_until FLOAT8 NOT NULL,
    delivered BOOLEAN NOT NULL,
    created_at FLOAT8 NOT NULL,
    updated_at FLOAT8 NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX runs_by_time ON moa.runs(created_at DESC, seq DESC);
CREATE INDEX runs_by_change ON moa.runs(updated_at);
CREATE INDEX runs_active ON moa.runs(run_id) WHERE status IN ('queued', 'running');
CREATE INDEX runs_of_callers ON moa.runs(caller, created_at DESC, seq DESC) WHERE caller <> '';
CREATE INDEX runs_of_batches ON moa.runs(batch, created_at DESC, seq DESC) WHERE batch <> '';
COMMENT ON COLUMN moa.runs.begun_by IS 'who stored it: a beginning whose commit was not acknowledged is not repeated';
COMMENT ON COLUMN moa.runs.owner IS 'one value for each time that a process began or claimed it';

CREATE TABLE moa.events(
    run_id TEXT COLLATE "C" NOT NULL,
    n INTEGER NOT NULL,
    body TEXT NOT NULL,
    crc BIGINT NOT NULL,
    PRIMARY KEY(run_id, n)
);
COMMENT ON COLUMN moa.events.crc IS 'checksum of run_id, n and body; -1 - checksum if only hashes of texts are stored';

CREATE TABLE moa.texts(
    run_id TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY(run_id, digest)
);

CREATE TABLE moa.spending(
    day DATE NOT NULL,
    run_id TEXT COLLATE "C" NOT NULL,
    nanodollars BIGINT NOT NULL,
    held BIGINT NOT NULL,
    PRIMARY KEY(day, run_id)
);
CREATE INDEX spending_held ON moa.spending(day) WHERE held > 0;

CREATE TABLE moa.days(
    day DATE PRIMARY KEY,
    nanodollars BIGINT NOT NULL
) WITH (fillfactor = 10);

-- Runs that wait for room in the budget of a day, in order of arrival. A place ends with the ownership of its run.
CREATE TABLE moa.spending_line(
    place BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id TEXT COLLATE "C" NOT NULL UNIQUE,
    owner TEXT NOT NULL
);

CREATE FUNCTION moa.now() RETURNS FLOAT8 LANGUAGE sql VOLATILE AS $$
    SELECT extract(epoch FROM clock_timestamp())::float8
$$;

CREATE FUNCTION moa.today() RETURNS DATE LANGUAGE sql VOLATILE AS $$
    SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date
$$;

-- Whether another run with a live owner waits in line before this one. Places of others are deleted.
CREATE FUNCTION moa.is_behind(run TEXT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
    first TEXT;
BEGIN
    DELETE FROM moa.spending_line l WHERE NOT EXISTS (
        SELECT 1 FROM moa.runs r WHERE r.run_id = l.run_id AND r.owner = l.owner AND r.status = 'running'
            AND r.lease_until > moa.now());
    SELECT run_id INTO first FROM moa.spending_line ORDER BY place LIMIT 1;
    RETURN first IS NOT NULL AND first <> run;
END
$$;

-- Sets what runs have committed on days, in this order; a null day is today, a null cap is none.
CREATE FUNCTION moa.commit_spending(
    runs TEXT[], owners TEXT[], days DATE[], amounts BIGINT[], caps BIGINT[], helds BIGINT[], in_turn BOOLEAN[])
RETURNS TABLE(accepted BOOLEAN, on_day DATE, total BIGINT, held_by_others BIGINT) LANGUAGE plpgsql AS $$
DECLARE
    before BIGINT;
    today DATE := moa.today();
BEGIN
    FOR on_day IN SELECT DISTINCT coalesce(d, today) FROM unnest(days) AS d ORDER BY 1 LOOP
        INSERT INTO moa.days VALUES(on_day, 0) ON CONFLICT DO NOTHING;
        PERFORM 1 FROM moa.days WHERE day = on_day FOR UPDATE;
    END LOOP;
    FOR i IN 1 .. cardinality(runs) LOOP
        on_day := coalesce(days[i], today);
        SELECT coalesce(max(s.nanodollars), 0) INTO before
            FROM moa.spending s WHERE s.day = on_day AND s.run_id = runs[i];
        SELECT d.nanodollars INTO total FROM moa.days d WHERE d.day = on_day;
        accepted := amounts[i] <= before OR (
            (caps[i] IS NULL OR total - before + amounts[i] <= caps[i])
            AND NOT (in_turn[i] AND moa.is_behind(runs[i])));
        IF accepted THEN
            INSERT INTO moa.spending VALUES(on_day, runs[i], amounts[i], helds[i]) ON CONFLICT(day, run_id)
                DO UPDATE SET nanodollars = excluded.nanodollars, held = excluded.held;
            total := total - before + amounts[i];
            UPDATE moa.days SET nanodollars = total WHERE day = on_day;
            DELETE FROM moa.spending_line WHERE run_id = runs[i];
        ELSIF in_turn[i] AND owners[i] IS NOT NULL THEN
            INSERT INTO moa.spending_line(run_id, owner) VALUES(runs[i], owners[i]) ON CONFLICT(run_id)
                DO UPDATE SET owner = excluded.owner;
        END IF;
        SELECT coalesce(sum(s.held), 0) INTO held_by_others
            FROM moa.spending s JOIN moa.runs r ON r.run_id = s.run_id
            WHERE s.day = on_day AND s.held > 0 AND s.run_id <> runs[i]
                AND r.status = 'running' AND r.owner IS NOT NULL AND r.lease_until > moa.now();
        RETURN NEXT;
    END LOOP;
END
$$;
